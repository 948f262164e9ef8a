"""Values of a volume, the phase by Otsu's threshold, and a first look."""

import numpy as np
import pytest

from emcore.methods.volume.overview import Overview, survey
from emcore.methods.volume.threshold import Values, limits_of, otsu, phase_of, values_of
from emcore.outofcore.planes import Planes


def by_search(values):
    """The threshold that leaves least variance within its two sides."""
    levels = np.unique(values)
    within = []
    for low in levels[:-1]:
        sides = values[values <= low], values[values > low]
        within.append(sum(len(side) * side.var() for side in sides))
    best = int(np.argmin(within))
    return (levels[best] + levels[best + 1]) / 2


@pytest.mark.parametrize("seed", range(3))
def test_otsu_leaves_least_variance_on_both_sides(seed):
    rng = np.random.default_rng(seed)
    values = np.append(rng.normal(40, 9, 300), rng.normal(90, 20, 200)).astype(np.uint8)
    levels, counts = np.unique(values, return_counts=True)
    assert otsu(levels.astype(float), counts) == by_search(values.astype(float))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_values_are_counted_alike_in_every_type_and_cut(dtype):
    rng = np.random.default_rng(5)
    volume = (rng.integers(0, 2, (7, 5, 6)) * 60 + rng.integers(3, 30, (7, 5, 6))).astype(dtype)
    limits = limits_of([volume[:3], volume[3:]])
    assert limits == (volume.min(), volume.max())
    values = values_of([volume[:2], volume[2:]], volume.dtype, limits)
    assert values.counts.sum() == volume.size
    assert values.mean == pytest.approx(volume.mean(dtype=float))
    phase = phase_of(values, None, "bright")
    assert 30 < phase.threshold < 63
    assert phase.share == pytest.approx((volume > 40).mean())
    dark = phase_of(values, None, "dark")
    assert dark.share == pytest.approx(1 - phase.share)
    assert dark.high < dark.threshold == phase.low


def test_a_binary_volume_is_parted_between_its_values():
    phase = phase_of(Values(np.array([3.0, 200.0]), np.array([99, 1]), 0.0), None, "bright")
    assert phase.threshold == 101.5
    assert phase.how == "the volume has two values"


def test_what_has_no_phase_is_refused():
    with pytest.raises(ValueError, match="constant, every voxel is 7"):
        phase_of(Values(np.array([7.0]), np.array([8]), 7.0), None, "bright")
    values = Values(np.array([1.0, 2.0, 9.0]), np.array([1, 1, 1]), 4.0)
    with pytest.raises(ValueError, match=r"no voxel is at or above it, values lie between 1 and 9"):
        phase_of(values, 10, "bright")
    with pytest.raises(ValueError, match="no voxel is below it"):
        phase_of(values, 1, "dark")
    with pytest.raises(ValueError, match="did you mean 'bright'"):
        phase_of(values, None, "brigth")
    assert phase_of(values, 1, "bright").share == 1


def test_the_place_of_a_value_that_is_no_number_is_named():
    volume = np.zeros((6, 4, 5), dtype=np.float32)
    volume[4, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinity, first at \[4, 2, 3\]"):
        limits_of([volume[:3], volume[3:]])


def test_bins_are_means_and_cuts_the_middle_planes():
    volume = np.random.default_rng(0).integers(0, 255, (130, 9, 11), dtype=np.uint8)
    overview = Overview(volume.shape, volume.dtype)
    overview.add(volume[:70])
    overview.add(volume[70:])
    assert overview.bin == 2
    expected = volume[:, :8, :10].reshape(65, 2, 4, 2, 5, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(overview.binned, expected, rtol=1e-6)
    for cut, plane in zip(overview.cuts, (volume[65], volume[:, 4], volume[:, :, 5]), strict=True):
        np.testing.assert_array_equal(cut, plane)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_first_look_has_the_hash_of_the_array(dtype):
    from emcore.core.signals import array_sha256

    volume = np.random.default_rng(1).integers(0, 9, (5, 6, 7)).astype(dtype)
    found = survey(Planes(volume))
    assert found.sha256 == array_sha256(volume)
    assert (found.low, found.high) == (volume.min(), volume.max())
