"""HDBSCAN on emcore's tree against scikit-learn's own."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

import emcore
from emcore import _emcore
from emcore.methods.grouping.hdbscan import hdbscan, hdbscan_of_sizes

SHAPES = st.tuples(st.integers(2, 60), st.integers(1, 6))
VALUES = st.one_of(st.floats(-1e6, 1e6, width=32), st.integers(-2, 2).map(float))


@given(rows=arrays.arrays(np.float32, SHAPES, elements=VALUES), neighbours=st.integers(1, 12))
def test_the_tree_is_as_long_as_that_of_scikit_learn(rows: np.ndarray, neighbours: int) -> None:
    neighbours = min(neighbours, len(rows))
    model = HDBSCAN(min_cluster_size=2, min_samples=neighbours, algorithm="brute", copy=True).fit(rows)
    ends, lengths = _emcore.spanning_tree(rows, neighbours)
    expected = np.sort(model._single_linkage_tree_["value"])
    np.testing.assert_allclose(np.sort(lengths), expected, rtol=1e-6, atol=1e-9 * np.abs(rows).max())
    assert sorted({*ends.ravel().tolist()}) == list(range(len(rows)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("size", "neighbours"), [(5, 5), (20, 10), (40, 3)])
def test_groups_are_those_of_scikit_learn(seed: int, size: int, neighbours: int) -> None:
    rng = np.random.default_rng(seed)
    centers = 12 * rng.normal(size=(6, 4))
    rows = (rng.normal(size=(900, 4)) + centers[rng.integers(0, 6, 900)]).astype(np.float32)
    expected = HDBSCAN(min_cluster_size=size, min_samples=neighbours, algorithm="brute", copy=True).fit_predict(rows)
    found = hdbscan(rows, size, neighbours)
    assert expected.max() > 0
    assert found.max() == expected.max()
    # Rows that join at the same distance join in an order that is nobody's.
    assert adjusted_rand_score(found, expected) > 0.99
    again, finer = hdbscan_of_sizes(rows, [size, 3], neighbours)
    np.testing.assert_array_equal(again, found)
    np.testing.assert_array_equal(finer, hdbscan(rows, 3, neighbours))


def test_equal_rows_are_one_group() -> None:
    rows = np.repeat(np.array([[0, 0], [0, 1], [9, 9]], dtype=np.float32), [30, 30, 30], axis=0)
    labels = hdbscan(rows, 10, 5)
    assert labels.tolist() == np.repeat([0, 1, 2], 30).tolist()


def test_too_few_rows_are_in_no_group() -> None:
    rows = np.arange(9, dtype=np.float32)[:, None]
    assert hdbscan(rows, 5, 3).tolist() == [-1] * 9
    assert hdbscan(rows, 2, 10).tolist() == [-1] * 9


def test_a_long_tree_can_be_interrupted_on_its_way() -> None:
    rows = np.random.default_rng(0).normal(size=(40_000, 30)).astype(np.float32)

    def stop(done: int, total: int) -> None:
        assert 0 <= done < total
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), emcore.progress(stop):
        hdbscan(rows, 20, 10)


def test_what_is_not_finite_is_refused() -> None:
    rows = np.zeros((30, 2), dtype=np.float32)
    rows[4, 1] = np.inf
    with pytest.raises(ValueError, match="finite"):
        hdbscan(rows, 5, 5)
