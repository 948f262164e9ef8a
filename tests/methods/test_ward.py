"""Ward's linkage of what touches: against scikit-learn's clustering, and where it is cut."""

import numpy as np
import pytest

from emcore.datasets import adjusted_rand_index
from emcore.methods.grouping.ward import choose_cut, touching_pairs, ward


def scatter(places, labels):
    return sum(((places[labels == label] - places[labels == label].mean(axis=0)) ** 2).sum() for label in set(labels))


@pytest.mark.parametrize("apart", [0, 4])
def test_groups_are_as_close_as_those_of_agglomerative_clustering(apart):
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.feature_extraction.image import grid_to_graph

    rng = np.random.default_rng(0)
    truth = (np.arange(24)[:, None] // 6 * 4 + np.arange(28) // 7).ravel()
    places = rng.normal(size=(672, 5)) + apart * rng.normal(size=(16, 5))[truth]
    tree = ward(places, touching_pairs(np.arange(672).reshape(24, 28)))
    assert (np.diff(tree.heights) >= 0).all()
    graph = grid_to_graph(24, 28)
    for k in (3, 16, 60):
        expected = AgglomerativeClustering(k, linkage="ward", connectivity=graph).fit_predict(places)
        labels = tree.labels(k)
        assert np.unique(labels).tolist() == list(range(k))
        assert scatter(places, labels) < 1.03 * scatter(places, expected)
        if apart and k == 16:
            assert adjusted_rand_index(labels, expected) == 1


def test_what_does_not_touch_is_joined_after_what_is_between():
    places = np.array([[0.0], [9.0], [0.0]])
    tree = ward(places, np.array([[0, 1], [1, 2]]))
    assert tree.labels(2).tolist() in ([0, 0, 1], [0, 1, 1])
    assert ward(places, np.array([[0, 1], [1, 2], [0, 2]])).labels(2).tolist() == [0, 1, 0]


def test_rows_that_are_all_the_same_are_joined_too():
    tree = ward(np.zeros((12, 2)), touching_pairs(np.arange(12).reshape(3, 4)))
    assert not tree.heights.any()
    assert len(set(tree.labels(5))) == 5


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
    cut, labels = chosen(values + 3 * truth[..., None] * np.array([1, -1, 1, -1]))
    assert cut.k == 2
    assert adjusted_rand_index(truth, labels) > 0.95


def test_what_has_no_end_is_refused():
    places = np.arange(4.0)[:, None]
    with pytest.raises(ValueError, match="hang together"):
        ward(places, np.array([[0, 1], [2, 3]]))
    places[2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ward(places, np.array([[0, 1], [1, 2], [2, 3]]))
