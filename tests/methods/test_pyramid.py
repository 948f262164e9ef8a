"""Components that bins show: planted ones, and none that is noise or another's copy."""

import numpy as np
import pytest
from scipy.optimize import nnls

from emcore.methods.unmixing.pyramid import search_level, spectra_of_maps

CHANNELS = np.arange(120)


def peak(at, width=4.0):
    return np.exp(-0.5 * ((CHANNELS - at) / width) ** 2)


def mixed(spectra, counts, n=500, seed=0):
    rng = np.random.default_rng(seed)
    spectra = np.stack(spectra) + 0.02
    spectra /= spectra.sum(axis=1, keepdims=True)
    return rng.poisson(counts * rng.dirichlet([0.3] * len(spectra), n) @ spectra).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_noise_shows_nothing(seed):
    rng = np.random.default_rng(seed)
    spectrum = peak(30) + 0.05
    bright = rng.uniform(20, 60, (500, 1))
    assert search_level(rng.poisson(bright * spectrum / spectrum.sum()).astype(np.float32), 1) is None


def test_planted_components_are_found_and_no_more():
    counts = mixed([peak(20), peak(60), peak(100)], 30)
    level = search_level(counts, 1)
    assert level.n == 3
    assert level.maps.shape == (500, 3)
    np.testing.assert_allclose(level.counts, counts.sum(axis=1))
    np.testing.assert_allclose(level.maps.sum(axis=1), level.counts, rtol=0.6)
    assert search_level(counts, 3) is None


def test_empty_bins_have_no_maps():
    counts = mixed([peak(20), peak(90)], 40)
    counts[::7] = 0
    level = search_level(counts, 1)
    assert level.n == 2
    assert not level.maps[::7].any()


def test_spectra_of_maps_are_non_negative_least_squares():
    rng = np.random.default_rng(0)
    maps = rng.uniform(0, 5, (60, 3))
    counts = maps.sum(axis=1)
    data = rng.poisson(maps @ (np.stack([peak(20), peak(60), peak(64)]) + 0.01)).astype(float)
    observed = spectra_of_maps(data.T @ (maps / counts[:, None]), maps, counts)
    root = np.sqrt(counts)
    exact = np.stack([nnls(maps / root[:, None], column / root)[0] for column in data.T], axis=1)
    np.testing.assert_allclose(observed, exact / exact.sum(axis=1, keepdims=True), atol=1e-8)
