"""Volumes of quasi-ordered matter are what they say."""

import numpy as np
import pytest

from emcore.datasets import far_from_borders, quasi_ordered_volume
from emcore.datasets.volumes import TEXTURES


def first_peak(values):
    """Length of the strongest wave vector, in periods per voxel."""
    power = np.abs(np.fft.rfftn(values - values.mean())) ** 2
    at = np.unravel_index(np.argmax(power), power.shape)
    full = [np.fft.fftfreq(values.shape[0])[i] for i in at[:2]]
    return np.linalg.norm([*full, at[2] / values.shape[2]])


@pytest.mark.parametrize("name", TEXTURES)
def test_the_first_reflection_of_every_texture_has_the_spacing_asked_for(name):
    sample = quasi_ordered_volume((48, 48, 48), (name,), 1, spacing=8, noise=0.3, seed=3)
    assert first_peak(sample.volume.astype(float)) == pytest.approx(1 / 8, abs=0.016)


def test_the_same_seed_gives_the_same_volume_and_another_one_another():
    first, again, other = (quasi_ordered_volume((16, 20, 24), n_grains=4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.volume, again.volume)
    assert not np.array_equal(first.volume, other.volume)


@pytest.mark.parametrize("layout", ["cells", "blocks"])
def test_every_grain_is_there_and_has_its_texture(layout):
    sample = quasi_ordered_volume((24, 24, 24), ("gyroid", "diamond"), 5, layout=layout)
    assert np.unique(sample.grains).tolist() == [0, 1, 2, 3, 4]
    assert sample.texture_of_grain.tolist() == [0, 1, 0, 1, 0]
    assert np.array_equal(sample.textures, sample.texture_of_grain[sample.grains])


def test_grains_of_one_texture_are_turned_well_apart_and_rotations_are_rotations():
    sample = quasi_ordered_volume((8, 8, 8), n_grains=12, seed=5)
    for rotation in sample.rotations:
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
    for a in range(12):
        for b in range(a % 4, a, 4):
            assert 20 <= sample.angle(a, b) <= 63 + 31 * (a % 4 == 3)
            assert sample.angle(a, b) == pytest.approx(sample.angle(b, a))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
def test_types_hold_the_same_values(dtype):
    exact = quasi_ordered_volume((12, 12, 12), n_grains=2, dtype="float64").volume
    values = quasi_ordered_volume((12, 12, 12), n_grains=2, dtype=dtype).volume.astype(float)
    assert np.corrcoef(values.ravel(), exact.ravel())[0, 1] > 0.99


def test_what_is_out_of_range_is_refused():
    with pytest.raises(ValueError, match="gyroid"):
        quasi_ordered_volume((8, 8, 8), ("gyroids",))
    with pytest.raises(ValueError, match="depth, height, width"):
        quasi_ordered_volume((8, 8))
    with pytest.raises(ValueError, match="textures is empty"):
        quasi_ordered_volume((8, 8, 8), ())
    with pytest.raises(ValueError, match="spacing"):
        quasi_ordered_volume((8, 8, 8), spacing=1)
    with pytest.raises(TypeError, match="complex"):
        quasi_ordered_volume((8, 8, 8), dtype=complex)


def test_far_from_borders_counts_along_all_three_axes():
    labels = np.zeros((9, 9, 9), dtype=int)
    labels[4:, :, :] = 1
    far = far_from_borders(labels, 2)
    assert np.flatnonzero(far.all(axis=(1, 2))).tolist() == [0, 7, 8]
    assert far.any(axis=(1, 2)).sum() == 3
