"""Groups that regions of low density part."""

import numpy as np
import pytest

from emcore import choose_n_clusters
from emcore.datasets import adjusted_rand_index
from emcore.methods.selection import density
from emcore.methods.selection.density import density_groups


def arcs(n=1200, noise=0.06, seed=0):
    """Two arcs that reach around each other, which no straight line parts."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(2, size=n)
    angle = np.pi * rng.random(n)
    places = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places[truth == 1] = [1, 0.4] - places[truth == 1]
    return places + noise * rng.normal(size=(n, 2)), truth


def test_groups_of_any_shape_are_found_and_counted():
    places, truth = arcs()
    groups = density_groups(places)
    assert groups.n_groups == 2
    assert groups.clear
    assert adjusted_rand_index(groups.labels, truth) > 0.98
    assert "halves of the rows give 2 and 2" in groups.reason


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_cloud_and_noise_without_structure_are_never_clearly_parted(seed):
    rng = np.random.default_rng(seed)
    for rows in (rng.normal(size=(1500, 6)), rng.random((1500, 2)), np.zeros((50, 2)), rng.normal(size=(3, 2))):
        assert not density_groups(rows).clear


def test_rows_outside_the_sample_belong_to_the_group_they_lie_in(monkeypatch):
    rng = np.random.default_rng(0)
    truth = rng.integers(5, size=4000)
    places = rng.normal(size=(4000, 3)) + 12 * np.eye(5)[truth][:, :3] + 12 * (truth == 4)[:, None]
    whole = density_groups(places)
    monkeypatch.setattr(density, "_SAMPLE", 800)
    monkeypatch.setattr(density, "_COMPARED", 100)
    part = density_groups(places)
    assert whole.n_groups == part.n_groups == 5
    assert adjusted_rand_index(part.labels, truth) == 1


def test_numbers_far_beyond_ten_are_chosen_and_one_at_the_end_is_said():
    rng = np.random.default_rng(0)
    truth = np.arange(3600) % 60
    places = 30 * rng.normal(size=(60, 8))[truth] + rng.normal(size=(3600, 8))
    settings = {"n_seeds": 1, "n_references": 2, "sample": 1000}
    assert choose_n_clusters(places, **settings).n_clusters == 60
    observed = choose_n_clusters(places, range(2, 6), **settings)
    assert observed.density == 60
    assert observed.reason.endswith(f"{observed.tried[-1]} is the largest number tried: there may be more")


def test_rows_of_groups_lie_inside_and_those_far_from_all_do_not():
    rng = np.random.default_rng(3)
    places = rng.normal(size=(602, 2)) * 0.3 + np.repeat([0, 9], 301)[:, None]
    places[:2] = [[40.0, 0.0], [-46.0, 9.0]]
    groups = density_groups(places)
    assert groups.n_groups == 2
    assert not groups.inside[:2].any()
    assert np.mean(~groups.inside) == groups.between < 0.05
