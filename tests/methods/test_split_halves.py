"""Components that halves share: of noise none, of planted ones as many as were planted."""

import numpy as np
import pytest

from emcore.methods.selection.split_halves import count_shared_by_positions, count_shared_by_thinning, thinned

SPECTRA = np.repeat(np.eye(3), 40, axis=1) + 0.1
SPECTRA /= SPECTRA.sum(axis=1, keepdims=True)


def scan(counts, n=400, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(counts * rng.dirichlet([0.3] * 3, n) @ SPECTRA).astype(np.float32)


def test_halves_are_whole_numbers_of_half_the_counts_and_independent():
    counts = np.random.default_rng(0).poisson(6.0, (300, 300)).astype(np.float32)
    half = thinned(counts)
    assert np.all((half >= 0) & (half <= counts) & (half % 1 == 0))
    assert half.mean() == pytest.approx(counts.mean() / 2, rel=0.01)
    assert abs(np.corrcoef(half.ravel(), (counts - half).ravel())[0, 1]) < 0.01
    np.testing.assert_array_equal(half, thinned(counts))


@pytest.mark.parametrize("seed", range(5))
def test_of_noise_halves_share_only_the_mean(seed):
    noise = np.random.default_rng(seed).poisson(0.3, (400, 120)).astype(np.float32)
    scale = noise.sum(axis=0, dtype=float) ** -0.5
    assert count_shared_by_thinning(noise, scale, np.arange(400), 6, seed) == 1
    assert count_shared_by_positions(noise, scale, np.arange(0, 400, 2), np.arange(1, 400, 2), 6) == 1


@pytest.mark.parametrize("seed", range(3))
def test_as_many_components_as_were_planted_are_shared(seed):
    counts = scan(60, seed=seed)
    scale = counts.sum(axis=0, dtype=float) ** -0.5
    assert count_shared_by_thinning(counts, scale, np.arange(400), 8) == 3
    assert count_shared_by_positions(counts, scale, np.arange(0, 400, 2), np.arange(1, 400, 2), 8) == 3
