"""Ward's linkage of what touches: against scikit-learn's clustering, and where it is cut."""

import numpy as np
import pytest

from emcore.datasets import adjusted_rand_index
from emcore.methods.grouping.ward import choose_cut, touching_pairs, ward


def test_labels_are_those_of_agglomerative_clustering():
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.feature_extraction.image import grid_to_graph

    places = np.random.default_rng(0).normal(size=(120, 3))
    tree = ward(places, touching_pairs(np.arange(120).reshape(10, 12)))
    for k in (2, 5, 40):
        expected = AgglomerativeClustering(k, linkage="ward", connectivity=grid_to_graph(10, 12)).fit_predict(places)
        assert adjusted_rand_index(tree.labels(k), expected) == 1


def test_positions_hang_together_across_gaps():
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rng = np.random.default_rng(1)
    rows = np.full((15, 17), -1)
    there = rng.random((15, 17)) < 0.15
    rows[there] = np.arange(there.sum())
    pairs = touching_pairs(rows)
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(there.sum(),) * 2)
    assert connected_components(graph, directed=False)[0] == 1


@pytest.mark.parametrize("k", [2, 3, 7])
def test_the_cut_is_at_the_gap(k):
    rng = np.random.default_rng(k)
    truth = np.arange(20)[:, None] * k // 20 + np.zeros((1, 24), dtype=int)
    values = rng.normal(size=(20, 24, 4)) + 8 * rng.normal(size=(k, 4))[truth]
    rows = np.arange(480).reshape(20, 24)
    tree = ward(values.reshape(480, 4), touching_pairs(rows))
    cut = choose_cut(tree, values, rows)
    assert (cut.k, cut.clear) == (k, True)
    assert adjusted_rand_index(truth, tree.labels(k).reshape(20, 24)) > 0.99


def test_a_slope_is_not_cut_but_where_it_steps():
    rng = np.random.default_rng(5)
    y, x = np.indices((24, 36))
    slope = 2.0 * np.stack([np.sin(x / 5), np.cos(x / 5), np.sin(y / 5), np.cos(y / 5)], axis=2)
    values = 0.3 * rng.normal(size=slope.shape) + slope
    rows = np.arange(864).reshape(24, 36)

    def chosen(values):
        tree = ward(values.reshape(864, 4), touching_pairs(rows))
        cut = choose_cut(tree, values, rows)
        return cut, tree.labels(cut.k).reshape(24, 36)

    assert chosen(values)[0].k == 1
    truth = (x > 17).astype(int)
    cut, labels = chosen(values + 2.5 * truth[..., None] * np.array([1, -1, 1, -1]))
    assert (cut.k, cut.clear) == (2, False)
    assert "not to be relied on" in cut.reason
    assert adjusted_rand_index(truth, labels) > 0.95
