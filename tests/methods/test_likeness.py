"""Components of one lattice are told from those of several."""

import numpy as np
import pytest

from emcore.methods.power_spectra.likeness import one_lattice


def spectrum(*peaks, n=64, seed=0):
    power = 1 + 0.2 * np.random.default_rng(seed).normal(size=(n, n))
    for y, x, height in peaks:
        for sign in (1, -1):
            power[n // 2 + sign * y, n // 2 + sign * x] += height
    return power


LATTICES = [[(0, 9, 100.0), (9, 0, 60.0)], [(5, 7, 100.0), (7, -5, 60.0)], [(11, 2, 100.0)]]


@pytest.mark.parametrize("seed", range(5))
def test_spectra_of_any_strength_are_one_lattice_where_their_peaks_are(seed):
    rng = np.random.default_rng(seed)
    which = rng.permutation([0, 0, 0, 1, 1, 2])
    powers = np.stack([rng.uniform(0.1, 10) * spectrum(*LATTICES[i], seed=j) for j, i in enumerate(which)])
    numbers = one_lattice(powers, np.ones(6, dtype=bool))
    assert np.array_equal(numbers[:, None] == numbers, which[:, None] == which)
    assert numbers[0] == 0
    assert set(numbers) == {0, 1, 2}
    assert np.all(np.maximum.accumulate(numbers)[1:] - np.maximum.accumulate(numbers)[:-1] <= 1)


def test_components_without_a_lattice_stay_by_themselves():
    powers = np.stack([spectrum(*LATTICES[0], seed=seed) for seed in range(3)])
    assert one_lattice(powers, np.array([False, True, True])).tolist() == [0, 1, 1]
    assert one_lattice(powers, np.zeros(3, dtype=bool)).tolist() == [0, 1, 2]


def test_a_rise_towards_the_zero_frequency_is_no_likeness():
    y, x = np.mgrid[:64, :64] - 32
    rise = 1e4 / (1 + np.hypot(y, x)) ** 3
    powers = np.stack([spectrum(*LATTICES[i], seed=i) + rise for i in (0, 1)])
    assert one_lattice(powers, np.ones(2, dtype=bool)).tolist() == [0, 1]
