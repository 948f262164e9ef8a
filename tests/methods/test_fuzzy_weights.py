"""Fuzzy clusters of rows that count more than once, or not at all."""

import warnings

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emcore import FuzzyCMeans, GustafsonKessel
from emcore.methods.fuzzy.fit import fuzzy_c_means, gustafson_kessel
from emcore.methods.fuzzy.validity import fuzzy_validity

METHODS = [fuzzy_c_means, gustafson_kessel]
TYPES = ["u1", "u2", "i2", "f4", "f8"]


def rows(n=300, d=3, dtype="f8", seed=0):
    """Three overlapping groups, centres near them, and how often each row counts."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(60, 180, (3, d))
    X = (centers[np.arange(n) % 3] + rng.normal(0, 6, (n, d)) * (1 + np.arange(d))).clip(0, 250)
    return X.astype(dtype), centers + 3, rng.integers(0, 4, n)


def plain(X, v, s, n_iter, m):
    """The textbook in NumPy with weights, from centres: memberships, centres, J of every iteration."""
    X, objective = X.astype("f8"), []
    for step in range(n_iter):
        squares = ((X[:, None] - v) ** 2).sum(axis=2)
        u = squares ** (-1 / (m - 1))
        u /= u.sum(axis=1, keepdims=True)
        w = s[:, None] * u**m
        objective.append(float((w * squares).sum()))
        v = w.T @ X / w.sum(axis=0)[:, None] if step < n_iter - 1 else v
    return u, v, np.array(objective)


@pytest.mark.parametrize("m", [2.0, 1.5])
@pytest.mark.parametrize("dtype", TYPES)
def test_iterations_are_those_of_the_textbook_with_weights(dtype, m):
    X, start, counts = rows(dtype=dtype)
    weights = counts * 0.37
    tolerance = 1e-9 if dtype == "f8" else 2e-4
    for n_iter in (1, 2, 5):
        found = fuzzy_c_means(X, 3, m=m, init=start, sample_weight=weights, max_iter=n_iter, tol=0)
        u, v, objective = plain(X, start, weights, n_iter, m)
        np.testing.assert_allclose(found.memberships, u, atol=tolerance)
        np.testing.assert_allclose(found.centers, v, rtol=tolerance)
        np.testing.assert_allclose(found.objective, objective, rtol=tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("m", "gamma"), [(2.0, 0.0), (1.6, 0.2)])
@pytest.mark.parametrize("dtype", TYPES)
def test_a_weight_of_two_is_the_row_twice_and_one_of_zero_none(method, dtype, m, gamma):
    X, start, counts = rows(dtype=dtype)
    options = {"m": m, "init": start, "max_iter": 5, "tol": 0}
    options |= {"gamma": gamma} if method is gustafson_kessel else {}
    long = method(np.repeat(X, counts, axis=0), 3, **options)
    short = method(X, 3, sample_weight=counts, **options)
    tolerance = 1e-8 if dtype == "f8" else 1e-3
    np.testing.assert_allclose(short.centers, long.centers, rtol=tolerance)
    np.testing.assert_allclose(short.objective, long.objective, rtol=tolerance)
    np.testing.assert_allclose(np.repeat(short.memberships, counts, axis=0), long.memberships, atol=tolerance)
    if method is gustafson_kessel:
        np.testing.assert_allclose(short.covariances, long.covariances, rtol=5 * tolerance, atol=tolerance)
    shapes = {"m": m, "covariances": short.covariances}
    one = fuzzy_validity(X, short.memberships, short.centers, sample_weight=counts, **shapes)
    other = fuzzy_validity(np.repeat(X, counts, axis=0), long.memberships, long.centers, **shapes)
    np.testing.assert_allclose(one, other, rtol=10 * tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_count_for_nothing_neither_move_clusters_nor_keep_them_from_settling(method):
    X, start, counts = rows()
    far = X.copy()
    far[counts == 0] = 1e4  # where memberships would go on changing
    without = method(X[counts > 0], 3, init=start, sample_weight=counts[counts > 0])
    for data in (X, far):
        found = method(data, 3, init=start, sample_weight=counts)
        assert (found.n_iter, found.converged) == (without.n_iter, True)
        np.testing.assert_allclose(found.centers, without.centers, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_weights_of_one_change_no_bit_and_their_unit_the_objective_alone(method, init):
    X, _, counts = rows()
    options = {"init": init, "n_init": 2, "random_state": 3, "max_iter": 20}
    none, ones = method(X, 3, **options), method(X, 3, sample_weight=np.ones(len(X)), **options)
    for name in ("centers", "memberships", "objective"):
        np.testing.assert_array_equal(getattr(none, name), getattr(ones, name))
    few, many = (method(X, 3, sample_weight=unit * counts, **options) for unit in (2.0**-400, 2.0**100))
    np.testing.assert_array_equal(few.centers, many.centers)
    np.testing.assert_allclose(np.log2(many.objective) - np.log2(few.objective), 500, rtol=1e-12)


@pytest.mark.parametrize("init", ["k-means++", "random", "centres", "memberships"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["u2", "f8"])
def test_weights_out_of_core_are_those_of_memory(tmp_path, method, dtype, init):
    X, start, counts = rows(n=900, dtype=dtype)
    np.save(tmp_path / "x.npy", X)
    u = np.random.default_rng(1).dirichlet(np.ones(3), len(X))
    options = {"init": {"centres": start, "memberships": u}.get(init, init), "max_iter": 8, "tol": 0, "random_state": 1}
    options |= {"gamma": 0.1} if method is gustafson_kessel else {}
    inside = method(X, 3, sample_weight=counts, **options)
    lazy = da.from_array(X.reshape(30, 30, -1), chunks=(9, 20, -1))
    tolerance = 1e-7 if dtype == "f8" else 1e-2
    for where, memory in ((np.load(tmp_path / "x.npy", mmap_mode="r"), "150 kB"), (lazy, "2 MB")):
        outside = method(where, 3, sample_weight=counts, memory=memory, **options)
        np.testing.assert_allclose(outside.centers, inside.centers, rtol=tolerance)
        np.testing.assert_allclose(outside.objective, inside.objective, rtol=tolerance)
        np.testing.assert_allclose(outside.memberships, inside.memberships, atol=tolerance)


def test_a_job_goes_on_with_its_weights_and_with_no_others(tmp_path):
    X, start, counts = rows()
    options = {"init": start, "tol": 0, "checkpoint": tmp_path / "job.npz"}
    fuzzy_c_means(X, 3, sample_weight=counts, max_iter=3, **options)
    longer = fuzzy_c_means(X, 3, sample_weight=counts, max_iter=9, **options)
    np.testing.assert_allclose(
        longer.centers, fuzzy_c_means(X, 3, init=start, sample_weight=counts, max_iter=9, tol=0).centers
    )
    with pytest.raises(ValueError, match="weights"):
        fuzzy_c_means(X, 3, sample_weight=counts + 1, max_iter=9, **options)


@given(st.integers(2, 40), st.integers(1, 6), st.integers(2, 4), st.sampled_from([1.3, 2.0]), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_the_objective_never_rises_and_memberships_sum_to_one(n, d, k, m, seed):
    X, _, counts = rows(n, d, TYPES[seed % 5], seed)
    counts[: k + 1] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = fuzzy_c_means(X, min(k, n), m=m, sample_weight=counts, max_iter=8, random_state=seed)
    mean = np.average(X, axis=0, weights=counts)
    rounding = 1e-6 * np.sum(counts[:, None] * (X - mean) ** 2) + 1e-9
    assert (np.diff(found.objective) <= rounding).all()
    np.testing.assert_allclose(found.memberships.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("Estimator", [FuzzyCMeans, GustafsonKessel])
def test_the_estimators_take_weights_as_scikit_learn_passes_them(Estimator):
    X, start, counts = rows()
    model = Estimator(3, init=start).fit(X, sample_weight=counts)
    method = fuzzy_c_means if Estimator is FuzzyCMeans else gustafson_kessel
    np.testing.assert_array_equal(model.cluster_centers_, method(X, 3, init=start, sample_weight=counts).centers)
    np.testing.assert_array_equal(model.fit_transform(X, sample_weight=counts), model.memberships_)
    np.testing.assert_array_equal(model.fit_predict(X, sample_weight=counts), model.labels_)


@pytest.mark.parametrize(
    ("weights", "error", "said"),
    [
        (np.ones(299), ValueError, r"sample_weight.shape == \(299,\), expected \(300,\)"),
        (-np.ones(300), ValueError, "Negative values in data passed to sample_weight"),
        (np.full(300, np.inf), ValueError, "sample_weight contains NaN or infinity"),
        (np.zeros(300), ValueError, "sample_weight is zero throughout"),
        (np.arange(300) < 2, ValueError, "n_samples=2 should be >= n_clusters=3"),
        (["a"] * 300, TypeError, "real numbers are needed"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_what_are_no_weights_is_refused(method, weights, error, said):
    X, _, _ = rows()
    with pytest.raises(error, match=said):
        method(X, 3, sample_weight=weights)
