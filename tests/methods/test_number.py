"""The number of clusters of a scan: what borders tell that places alone do not."""

import numpy as np
import pytest

from emcore.methods.selection.borders import flattest_means, least_separation, least_step
from emcore.methods.selection.density import density_groups
from emcore.methods.selection.number import choose_number

GRID = (40, 40)


@pytest.fixture(scope="module")
def quarters():
    """Four phases, two of them hardly farther apart than noise lets density tell."""
    y, x = np.indices(GRID)
    truth = 2 * (y > 19) + (x > 19)
    centres = np.array([[0.0, 0, 0], [30, 0, 0], [0, 30, 0], [0, 30, 4.5]])
    return truth, centres[truth] + np.random.default_rng(0).normal(size=(*GRID, 3))


def test_borders_part_phases_that_density_does_not(quarters):
    places = quarters[1].reshape(-1, 3)
    groups = density_groups(places)
    assert groups.n_groups == 3
    assert choose_number(places, groups, 0).n_clusters == 3
    observed = choose_number(places, groups, 0, GRID)
    assert observed.n_clusters == 4
    assert "of 5 two touch where the scan does not change" in observed.reason


def test_positions_without_measurement_do_not_change_the_number(quarters):
    wide = (46, 48)
    there = np.zeros(wide, dtype=bool)
    there[3:43, 4:44] = True
    places = quarters[1].reshape(-1, 3)
    groups = density_groups(places)
    assert choose_number(places, groups, 0, wide, np.flatnonzero(there)) == choose_number(places, groups, 0, GRID)


def test_the_scan_changes_along_a_border_of_phases_and_not_along_a_cut_through_one_that_is_bent(quarters):
    truth, places = quarters
    bent = places + 12.0 * (np.arange(40) / 40)[:, None, None] * np.array([0, 1.0, 0])
    flattest = flattest_means(bent)
    assert least_step(bent, flattest, truth) > 0.8
    cut = np.where((truth == 0) & (np.arange(40)[:, None] > 9), 4, truth)
    assert least_step(bent, flattest, cut) < 0.6


def test_clusters_that_scatter_by_noise_are_as_far_apart_as_noise_lets_them_be_and_bent_ones_are_not(quarters):
    truth, places = quarters
    assert least_separation(places, truth).of_noise > 0.8
    bent = places + 9.0 * (np.arange(40) / 40)[None, :, None] * np.array([0, 0, 1.0])
    assert least_separation(bent, truth).of_noise < 0.5


def test_at_single_missing_positions_the_flattest_means_are_missing_and_nowhere_else(quarters):
    places = quarters[1].copy()
    places[5, 5] = places[0, 0] = np.nan
    missing = np.isnan(flattest_means(places)).any(axis=2)
    assert np.argwhere(missing).tolist() == [[0, 0], [5, 5]]


def test_a_scan_of_noise_has_no_number_to_rely_on():
    places = np.random.default_rng(1).normal(size=(900, 3))
    assert "not to be relied on" in choose_number(places, density_groups(places), 0, (30, 30)).reason
