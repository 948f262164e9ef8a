"""Textures are told apart by how coarse they are and by their directions, and one texture is one."""

import numpy as np
import pytest

from emcore.methods.power_spectra.separation import Picture
from emcore.methods.power_spectra.textures import parted_by_texture, polar_means, textures
from emcore.methods.power_spectra.windows import half_plane_weights, windowed_power_spectra

SHAPE = (256, 384)


def noise(along, across, seed=0):
    """Of a correlation length along y and x, variance 1."""
    from scipy.ndimage import gaussian_filter

    image = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), (along, across), mode="wrap")
    return image / image.std()


def spectra_of(image):
    return windowed_power_spectra(image + 0.1 * np.random.default_rng(9).normal(size=SHAPE), 64, 16)


@pytest.mark.parametrize("other", [(2.0, 2.0), (0.5, 2.0)], ids=["coarser", "with a direction"])
def test_two_textures_are_two_and_each_is_one(other):
    right = np.arange(SHAPE[1]) >= 200
    first, second = noise(1.0, 1.0), noise(*other, seed=1)
    parts = textures(spectra_of(np.where(right, second, first)), 16)
    assert len(parts) == 2
    assert np.allclose(parts.sum(axis=0), 1)
    # Columns of windows whose middle is well to one side.
    found = parts.argmax(axis=0)
    assert np.all(found[:, :8] == found[0, 0])
    assert np.all(found[:, 13:] == 1 - found[0, 0])
    for image in (first, second):
        assert len(textures(spectra_of(image), 16)) == 1


def test_brightness_and_contrast_are_no_texture():
    x = np.arange(SHAPE[1])
    assert len(textures(spectra_of(noise(1.0, 1.0) + 0.02 * x), 16)) == 1


def test_components_are_mean_spectra_and_maps_their_share_in_the_order_of_energy():
    spectra = spectra_of(np.where(np.arange(SHAPE[1]) >= 140, noise(2.0, 2.0), noise(1.0, 1.0, 1)))
    weights = np.tile(half_plane_weights(64), 64)
    parts = parted_by_texture(spectra, weights, Picture(SHAPE, 16, (1.0, 1.0)))
    assert len(parts.maps) == 2
    assert np.allclose((parts.spectra.reshape(2, -1) * weights).sum(axis=1), 1, rtol=1e-4)
    totals = (spectra.reshape(-1, len(weights)) * weights).sum(axis=1)
    assert np.allclose(parts.maps.sum(axis=0).ravel(), totals, rtol=1e-4)
    energy = np.square(parts.maps).sum(axis=(1, 2))
    assert energy[0] > energy[1]
    assert not parts.lattices.any()
    assert parts.counts.sum() == np.prod(SHAPE)


def test_polar_means_are_means_of_frequencies_of_like_distance_and_direction():
    n = 32
    spectra = np.zeros((1, 2, n, n // 2 + 1), np.float32)
    spectra[0, 0, 0, 10] = 1
    spectra[0, 1] = 3
    one, three = polar_means(spectra)[0]
    # Every bin of a plane of threes is three times the root of its size; one frequency lies in one bin.
    sizes = np.square(three / 3)
    assert np.allclose(sizes, np.rint(sizes))
    assert np.count_nonzero(one) == 1
    assert one.max() == pytest.approx(1 / np.sqrt(sizes[one.argmax()]))


def test_the_silhouette_is_that_of_scikit_learn():
    from sklearn.metrics import silhouette_score

    from emcore.methods.power_spectra.textures import _silhouette

    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(30, 2)), rng.normal(size=(50, 2)) + 3])
    labels = (np.arange(80) >= 30).astype(int)
    assert _silhouette(points, labels) == pytest.approx(silhouette_score(points, labels))


def test_windows_that_are_all_alike_are_one_texture():
    assert len(textures(np.ones((4, 5, 32, 17), np.float32), 8)) == 1
    assert len(textures(np.ones((1, 1, 32, 17), np.float32), 8)) == 1
