"""Clusters of a scan: a phase that is bent varies more than two phases differ, but does not step."""

import numpy as np
import pytest

from emcore.datasets import adjusted_rand_index
from emcore.methods.selection.density import density_groups
from emcore.methods.selection.steps import joined, spread, steps_apart
from emcore.methods.selection.within import common_shape

GRID = (40, 40)


def bent_scan(grid):
    """Two small phases that touch, and one that is bent another way above them than below: true labels, and places."""
    y, x = np.indices(grid) / np.reshape(grid, (2, 1, 1))
    truth = np.where(abs(y - 0.5) > 0.15, 2, x > 0.5)
    noise = np.random.default_rng(0).normal(size=(*grid, 3))
    bend = 2.8 * np.sign(y - 0.5) * (truth == 2)
    return truth.ravel(), (noise + np.stack([bend, 8.0 * (truth == 1), 20.0 * (truth == 2)], axis=2)).reshape(-1, 3)


@pytest.fixture(scope="module")
def bent():
    return bent_scan(GRID)


@pytest.mark.parametrize("grid", [GRID, (64, 70)])
def test_a_bent_phase_is_not_cut_where_two_that_step_could_be_parted(grid):
    truth, places = bent_scan(grid)
    groups = density_groups(places)
    assert adjusted_rand_index(truth, common_shape(places, 3, groups, 0)[0]) < 0.6
    assert adjusted_rand_index(truth, common_shape(places, 3, groups, 0, steps_apart(grid))[0]) > 0.95


def test_pieces_are_joined_as_if_every_joining_were_tried(bent):
    _, places = bent
    pairs = steps_apart(GRID)
    y, x = np.indices(GRID)
    pieces = (3 * (y // 10) + x // 14).ravel()
    tried = {}
    for a in range(12):
        for b in range(a):
            tried[a, b] = spread(places, np.where(pieces == a, b, pieces), pairs)
    a, b = min(tried, key=tried.get)
    observed = joined(places, pieces, pairs, 11)
    assert len(np.unique(observed)) == 11
    assert observed[pieces == a].max() == observed[pieces == b].min()
    assert set(joined(places, pieces, pairs, 1)) == {0}
    assert np.array_equal(joined(places, pieces, pairs, 12), pieces)


def test_the_spread_does_not_change_with_the_units_of_the_places_but_for_a_constant(bent):
    truth, places = bent
    pairs = steps_apart(GRID)
    turned = places @ np.array([[2.0, 1.0, 0.0], [-3.0, 0.5, 1.0], [0.0, 1.0, 4.0]])
    for labels in (truth, (places[:, 0] > 0).astype(int)):
        gained = spread(turned, labels, pairs) - spread(places, labels, pairs)
        assert gained == pytest.approx(spread(turned, 0 * truth, pairs) - spread(places, 0 * truth, pairs), abs=1e-5)


@pytest.mark.parametrize("grid", [(9,), (2, 3, 4)])
def test_only_a_scan_of_two_axes_has_steps(grid):
    assert steps_apart(grid).shape == (0, 2)
    assert steps_apart((3, 3)).shape == (0, 2)
