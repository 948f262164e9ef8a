"""Groups by density, by a mixture, by merged clusters: against scikit-learn and planted ones."""

import numpy as np
import pytest

from emcore.datasets import adjusted_rand_index
from emcore.methods.grouping.density import assigned, density_clusters, stratified
from emcore.methods.grouping.mixture import mixture_clusters
from emcore.methods.grouping.overclustering import merged_clusters
from emcore.methods.grouping.peaks import strongest_peak
from emcore.methods.superpixels.sizes import weighted_quantiles


def blobs(n, seed, k=6, d=4, lost=0.2):
    """Normal groups and rows scattered over the same space, and which is which."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(n) < lost, -1, rng.integers(0, k, n))
    centres = 12 * rng.standard_normal((k, d))
    places = np.where(labels[:, None] < 0, 12 * rng.standard_normal((n, d)), centres[labels] + rng.normal(size=(n, d)))
    return places.astype(np.float32), labels


def test_with_both_settings_given_labels_are_those_of_scikit_learn():
    from sklearn.cluster import HDBSCAN

    places, _ = blobs(800, 11)
    observed = density_clusters(places, 15, 8)
    expected = HDBSCAN(min_cluster_size=15, min_samples=8, copy=True).fit_predict(places)
    # But for rows that are as near to two groups, which are told in no order.
    assert adjusted_rand_index(observed.labels, expected) > 0.99
    assert np.mean((observed.labels < 0) != (expected < 0)) < 0.005
    assert (len(observed.tried), observed.reason) == (0, "both settings were asked for")


def test_settings_are_found_that_give_the_planted_groups_and_share_of_noise():
    places, labels = blobs(1500, 12)
    observed = density_clusters(places)
    assert observed.n_groups == 6
    assert adjusted_rand_index(labels, observed.labels) > 0.95
    assert abs(np.mean(observed.labels < 0) - np.mean(labels < 0)) < 0.03
    assert observed.tried.shape == (15, 5)
    assert observed.agreement == observed.tried[observed.tried[:, 2] > 1, 4].max() or observed.agreement > 0.95


def test_one_setting_that_is_given_is_kept_while_the_other_is_found():
    places, _ = blobs(600, 13)
    observed = density_clusters(places, min_cluster_size=20)
    assert observed.min_cluster_size == 20
    assert set(observed.tried[:, 0]) == {20}
    assert len(observed.tried) == 3


def test_a_sample_and_nearest_neighbours_give_what_the_whole_gives():
    places, labels = blobs(4000, 14)
    whole = density_clusters(places, 40, 10, sample=4000)
    part = density_clusters(places, 40, 10, sample=1200)
    assert (whole.fitted, part.fitted) == (4000, 1200)
    assert adjusted_rand_index(whole.labels, part.labels) > 0.95
    assert abs(np.mean(part.labels < 0) - np.mean(labels < 0)) < 0.03


def test_no_row_far_from_all_groups_joins_one():
    places, _ = blobs(500, 15, lost=0)
    labels = density_clusters(places, 20, 5).labels
    far = np.full((3, 4), 500.0, dtype=np.float32)
    assert assigned(far, places, labels, 5).tolist() == [-1, -1, -1]


def test_rows_without_groups_have_none():
    places = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    observed = density_clusters(places, 30, 10)
    assert observed.n_groups == 0
    assert (observed.labels == -1).all()


def test_a_stratified_sample_has_one_row_of_every_stretch():
    rows = stratified(1003, 100, 3)
    assert len(set(rows)) == 100
    assert np.array_equal(np.searchsorted(np.arange(1, 101) * 1003 // 100, rows, side="right"), np.arange(100))


def test_a_mixture_has_as_many_components_as_were_planted():
    places, labels = blobs(500, 16, k=4, lost=0)
    observed = mixture_clusters(places, most=6)
    assert observed.n_groups == 4
    assert adjusted_rand_index(labels, observed.labels) > 0.99
    assert observed.bic[observed.bic[:, 1].argmin(), 0] == 4


@pytest.mark.parametrize("seed", [17, 18])
def test_many_clusters_become_the_groups_when_they_are_merged(seed):
    places, labels = blobs(2000, seed, k=9, lost=0)
    observed = merged_clusters(places, seed)
    assert observed.before > 3 * observed.n_groups
    assert adjusted_rand_index(labels, observed.labels) > 0.98


def test_one_group_that_was_cut_is_one_again():
    places = np.random.default_rng(19).normal(size=(1500, 2))
    assert merged_clusters(places).n_groups == 1


def test_the_peak_is_the_plasmon_and_not_the_peak_at_zero_nor_its_tail():
    energy = np.linspace(-8, 60, 341)
    rng = np.random.default_rng(20)
    spectrum = rng.poisson(1e5 * np.exp(-(energy**2)) + 900 * np.exp(-(((energy - 21.3) / 5) ** 2)) + 20).astype(float)
    place, band = strongest_peak(spectrum, energy)
    assert place == pytest.approx(21.3, abs=0.5)
    assert energy[band][0] > 12
    assert energy[band][-1] < 30
    assert strongest_peak(np.exp(-energy / 9), energy + 10) is None
    assert strongest_peak(np.zeros(341), energy) is None


def test_half_of_all_area_is_above_the_median_that_counts_by_area():
    area = np.array([1.0, 2, 3, 10])
    assert weighted_quantiles(area, area, (0.5,)).tolist() == [10]
    assert weighted_quantiles(np.arange(5.0), np.ones(5), (0.0, 0.5, 1.0)).tolist() == [0, 2, 4]
