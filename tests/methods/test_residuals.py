"""What factors leave: against the definition."""

import numpy as np
import pytest

import emcore
from emcore.methods.nmf.residuals import residuals
from emcore.methods.preprocessing import Recipe, prepare


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "f4", "f8"])
def test_residuals_are_sums_of_squares_over_rows_and_over_features(dtype):
    rng = np.random.default_rng(0)
    X = rng.poisson(3, (257, 131)).astype(dtype)
    W, H = rng.random((257, 4)), rng.random((4, 131))
    rows, features = residuals(X, W, H)
    exact = (X - W @ H) ** 2
    np.testing.assert_allclose(rows, exact.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(features, exact.sum(axis=0), rtol=1e-5)


def test_factors_that_must_not_be_written_to_are_taken():
    X, W, H = np.array([[3, 1], [0, 2]]), np.ones((2, 1), "f4"), np.ones((1, 2))
    W.flags.writeable = H.flags.writeable = False
    assert [observed.tolist() for observed in residuals(X, W, H)] == [[4, 2], [5, 1]]


def test_bright_data_cost_no_digits():
    rng = np.random.default_rng(1)
    W, H = rng.integers(1, 9, (60, 2)) * 4096.0, rng.integers(1, 9, (2, 50)).astype(float)
    X = (W @ H).astype("u4")
    X[5, 7] += 3
    rows, features = residuals(X, W, H)
    assert (rows[5], rows.sum()) == (9, 9)
    assert (features[7], features.sum()) == (9, 9)


def test_prepared_rows_have_those_of_what_they_stand_for():
    rng = np.random.default_rng(2)
    X = rng.poisson(3, (40, 30)).astype("u2")
    prepared = prepare(Recipe(X, normalize="root-sum", rows=[3, 9, 4]))
    W, H = rng.random((3, 2)), rng.random((2, 30))
    for observed, expected in zip(residuals(prepared, W, H), residuals(np.asarray(prepared), W, H), strict=True):
        np.testing.assert_array_equal(observed, expected)


def test_residuals_are_the_same_on_one_and_three_threads():
    rng = np.random.default_rng(3)
    X, W, H = rng.poisson(2, (5000, 300)).astype("u2"), rng.random((5000, 3)), rng.random((3, 300))
    results = []
    for threads in (1, 3):
        with emcore.num_threads(threads):
            results.append(residuals(X, W, H))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_factors_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"W \(2, 1\) times H \(1, 3\) does not have the shape of X \(2, 2\)"):
        residuals([[1, 2], [3, 4]], [[1.0], [1.0]], [[1.0, 1.0, 1.0]])
