"""Fuzzy c-means and Gustafson-Kessel."""

import itertools
import multiprocessing
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import emcore
from emcore import FuzzyCMeans, GustafsonKessel, _emcore
from emcore.methods.fuzzy.fit import fuzzy_c_means, gustafson_kessel
from emcore.methods.fuzzy.membership import CovarianceSettings, memberships
from emcore.methods.preprocessing import Recipe, prepare
from emcore.outofcore.engine import Passes

TYPES = ["u1", "u2", "u4", "i2", "i4", "f4", "f8"]
METHODS = [fuzzy_c_means, gustafson_kessel]


def groups(n=900, d=4, k=3, dtype="f8", seed=0, spread=25.0):
    """Rows around k points, each group of a shape of its own."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(70, 70 + 4 * spread, size=(k, d))
    truth = np.arange(n) % k
    shapes = (rng.normal(size=(k, d, d)) + 2 * np.eye(d)) * spread / 12
    rows = centers[truth] + np.einsum("nij,nj->ni", shapes[truth], rng.normal(size=(n, d)))
    if dtype[0] != "f":
        rows = np.clip(rows.round(), 0, 250)
    return rows.astype(dtype), truth


def from_distances(squares, m):
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (squares.min(axis=1, keepdims=True) / squares) ** (1 / (m - 1))
    u = np.where(squares == squares.min(axis=1, keepdims=True), 1, ratios)
    return u / u.sum(axis=1, keepdims=True)


def start(X, k):
    """Memberships to begin with: random ones would lie on an unstable point, where rounding grows."""
    X = X.astype("f8")
    return from_distances(((X[:, None] - X[:k]) ** 2).sum(axis=2) + 1, 2.0)


def plain(X, u, n_iter, m=2.0, kessel=False, rho=1.0):
    """The textbook, in float64: memberships, centres, covariances, J of every iteration."""
    X = X.astype("f8")
    d, objective, f = X.shape[1], [], None
    for _ in range(n_iter):
        w = u**m
        v = w.T @ X / w.sum(axis=0)[:, None]
        z = X[:, None] - v
        squares = (z**2).sum(axis=2)
        if kessel:
            f = np.einsum("nk,nki,nkj->kij", w, z, z) / w.sum(axis=0)[:, None, None]
            a = (rho * np.linalg.det(f)) ** (1 / d)
            squares = np.einsum("nki,kij,nkj->nk", z, a[:, None, None] * np.linalg.inv(f), z)
        u = from_distances(squares, m)
        objective.append(float((u**m * squares).sum()))
    return u, v, f, np.array(objective)


@parametrize_with_checks(
    [FuzzyCMeans(2), GustafsonKessel(2), FuzzyCMeans(3, m=1.5, init="random", n_init=2)],
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": "the rows drawn to start from differ, as of KMeans"
    },
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("m", [2.0, 1.3, 2.7])
@pytest.mark.parametrize("dtype", TYPES)
def test_fuzzy_c_means_equals_the_textbook_from_the_same_memberships(dtype, m):
    X, _ = groups(dtype=dtype)
    u = start(X, 3)
    for n_iter in (1, 2, 12):
        observed = fuzzy_c_means(X, 3, m=m, init=u, max_iter=n_iter, tol=0)
        expected, v, _, objective = plain(X, u.astype("f4" if dtype != "f8" else "f8"), n_iter, m)
        tolerance = 1e-9 if dtype == "f8" else 1e-5
        np.testing.assert_allclose(observed.memberships, expected, atol=tolerance)
        np.testing.assert_allclose(observed.centers, v, rtol=tolerance)
        np.testing.assert_allclose(observed.objective, objective[: observed.n_iter], rtol=tolerance)


@pytest.mark.parametrize("m", [2.0, 1.6])
@pytest.mark.parametrize("dtype", TYPES)
def test_gustafson_kessel_equals_the_textbook_from_the_same_memberships(dtype, m):
    X, _ = groups(dtype=dtype, spread=20.0)
    u = start(X, 3)
    rho = np.array([1.0, 2.0, 0.7])
    for n_iter in (1, 2, 8):
        observed = gustafson_kessel(X, 3, m=m, init=u, max_iter=n_iter, tol=0, rho=rho)
        expected, v, f, objective = plain(X, u.astype("f4" if dtype != "f8" else "f8"), n_iter, m, True, rho)
        tolerance = 1e-8 if dtype == "f8" else 2e-4
        np.testing.assert_allclose(observed.memberships, expected, atol=tolerance)
        np.testing.assert_allclose(observed.centers, v, rtol=tolerance)
        np.testing.assert_allclose(observed.covariances, f, atol=tolerance * np.abs(f).max())
        np.testing.assert_allclose(observed.objective, objective[: observed.n_iter], rtol=tolerance)
        assert observed.notes == ()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TYPES),
    st.integers(2, 90),
    st.integers(1, 20),
    st.integers(2, 9),
    st.sampled_from([1.02, 1.5, 2.0, 4.0]),
    st.integers(0, 99),
)
def test_memberships_sum_to_one_and_are_those_of_the_centres(dtype, n, d, k, m, seed):
    X, _ = groups(n, d, min(3, n), dtype, seed)
    k = min(k, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        observed = fuzzy_c_means(X, k, m=m, max_iter=6, random_state=seed)
        shaped = gustafson_kessel(X, k, m=m, max_iter=6, random_state=seed)
    for result in (observed, shaped):
        assert np.abs(result.memberships.sum(axis=1) - 1).max() < 1e-6
        assert (result.memberships >= 0).all()
        assert np.isfinite(result.centers).all()
        assert np.isfinite(result.objective).all()
    squares = ((X.astype("f8")[:, None] - observed.centers) ** 2).sum(axis=2)
    apart = squares.min(axis=1) > 1e-3 * squares.max()  # else the rounding of a distance counts
    tolerance = 1e-9 if dtype == "f8" else 1e-4 / (m - 1)
    np.testing.assert_allclose(observed.memberships[apart], from_distances(squares, m)[apart], atol=tolerance)
    again = memberships(X, shaped.centers, m=m, covariances=shaped.covariances)
    assert np.array_equal(again, shaped.memberships)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("m", [1.2, 2.0, 3.0])
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_the_objective_never_rises(method, m, dtype, init):
    X, _ = groups(dtype=dtype, seed=3)
    observed = method(X, 4, m=m, init=init, max_iter=60, tol=0)
    rounding = 1e-13 if dtype == "f8" else 2e-6
    assert len(observed.objective) > 5
    assert all(b <= a * (1 + rounding) for a, b in itertools.pairwise(observed.objective))


def test_m_near_one_gives_the_labels_of_k_means_from_the_same_centres():
    from sklearn.cluster import KMeans

    X, _ = groups(3000, 6, 5)
    centers = X[:5]
    expected = KMeans(5, init=centers, n_init=1, algorithm="lloyd", tol=0).fit(X)
    for dtype in ("f4", "f8"):
        observed = fuzzy_c_means(X.astype(dtype), 5, m=1.02, init=centers)
        assert np.mean(observed.labels != expected.labels_) < 1e-3
        np.testing.assert_allclose(observed.centers, expected.cluster_centers_, rtol=2e-3)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_labels_do_not_change_with_an_affine_map_of_the_data(dtype):
    X, truth = groups(1500, 5, 3, seed=7)
    matrix = np.random.default_rng(2).normal(size=(5, 5)) + 2 * np.eye(5)
    mapped = X @ matrix + 1000
    u = start(X, 3)
    one = gustafson_kessel(X.astype(dtype), 3, init=u)
    other = gustafson_kessel(mapped.astype(dtype), 3, init=u)
    assert np.mean(one.labels != other.labels) <= (0 if dtype == "f8" else 1e-3)
    assert adjusted_rand_score(truth, one.labels) > 0.9
    # From centres there is a spherical start, which knows units but not the rest.
    scale = 10.0 ** np.arange(-6, 9, 3)
    one = gustafson_kessel(X.astype(dtype), 3)
    other = gustafson_kessel((X * scale).astype(dtype), 3, init=one.centers * scale)
    assert np.mean(one.labels != other.labels) <= 1e-3
    assert other.notes == ()


def test_a_row_on_a_centre_belongs_to_it_alone_and_to_equal_centres_equally():
    X = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    for dtype in ("f4", "f8", "u1"):
        u = memberships(X.astype(dtype), [[0, 0], [0, 0], [5, 5]])
        np.testing.assert_allclose(u[0], [0.5, 0.5, 0], atol=1e-6)
        np.testing.assert_allclose(u[2], [0, 0, 1], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1e-30, 1e-12, 1e12, 1e30])
def test_units_do_not_matter(method, factor):
    X, _ = groups(dtype="f8", seed=5)
    u = start(X, 3)
    one, other = method(X, 3, init=u, max_iter=20), method(X * factor, 3, init=u, max_iter=20)
    np.testing.assert_allclose(other.memberships, one.memberships, atol=1e-9)
    small = np.abs(np.log10(factor)) < 20
    if small:
        narrow = method((X * factor).astype("f4"), 3, init=u, max_iter=20)
        np.testing.assert_allclose(narrow.memberships, one.memberships, atol=1e-3)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("power", [-40, -12, -5, 2, 6, 12, 40])
def test_a_power_of_two_changes_no_bit_whether_rows_are_scaled_or_not(dtype, power):
    X, _ = groups(dtype=dtype, seed=5)
    u = start(X, 3)
    one = fuzzy_c_means(X, 3, init=u, max_iter=20)
    other = fuzzy_c_means(np.ldexp(X, power), 3, init=u, max_iter=20)
    np.testing.assert_array_equal(other.memberships, one.memberships)
    np.testing.assert_array_equal(other.centers, np.ldexp(one.centers, power))


@pytest.mark.parametrize("method", METHODS)
def test_values_whose_squares_are_no_numbers_are_refused_and_others_have_finite_memberships(method):
    X, _ = groups(seed=5)
    X = (X - X.mean(axis=0)) / np.abs(X - X.mean(axis=0)).max()
    for factor, dtype in ((1e-16, "f4"), (5e16, "f4"), (1e-139, "f8"), (5e139, "f8")):
        observed = method((X * factor).astype(dtype), 3, init=start(X, 3), max_iter=5)
        assert np.isfinite(observed.memberships).all()
        assert np.abs(observed.memberships.sum(axis=1) - 1).max() < 1e-6
    for factor, dtype in ((1e-42, "f4"), (3.4e38, "f4"), (1e-300, "f8"), (1e300, "f8")):
        with pytest.raises(ValueError, match="give them in a unit in which they are near 1"):
            method((X * factor).astype(dtype), 3)


@pytest.mark.parametrize("method", METHODS)
def test_a_large_offset_costs_no_digits(method):
    X, _ = groups(dtype="f8", seed=5)
    X = X.round()
    u = start(X, 3)
    one = method(X.astype("f4"), 3, init=u, max_iter=15, tol=0)
    other = method((X + 2**20).astype("f4"), 3, init=u, max_iter=15, tol=0)
    np.testing.assert_allclose(other.memberships, one.memberships, atol=1e-4)


DEGENERATE = {
    "duplicates": np.repeat([[1.0, 2.0], [5.0, 1.0]], 50, axis=0),
    "one row many times": np.full((40, 3), 7.0),
    "a constant feature": np.c_[groups(300, 2, 3)[0], np.full(300, 4.0)],
    "a cluster on a line": np.r_[groups(200, 2, 1)[0], np.c_[np.linspace(0, 500, 200), np.linspace(900, 400, 200)]],
    "all on a line": np.c_[np.arange(100.0), 2 * np.arange(100.0)],
    "fewer rows than features": groups(6, 20, 2)[0],
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("k", [2, 5])
def test_degenerate_data_end_with_finite_numbers_and_a_warning(name, dtype, k):
    X = DEGENERATE[name].astype(dtype)
    with pytest.warns(RuntimeWarning, match="singular|coincide|lost all"):
        observed = gustafson_kessel(X, k)
    for values in (observed.memberships, observed.centers, observed.covariances, observed.objective):
        assert np.isfinite(values).all()
    assert np.abs(observed.memberships.sum(axis=1) - 1).max() < 1e-6
    assert (np.linalg.eigvalsh(observed.covariances) > 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        observed = fuzzy_c_means(X, k)
    assert np.isfinite(observed.memberships).all()
    assert np.isfinite(observed.objective).all()


def test_more_clusters_than_distinct_rows_is_said():
    X = np.repeat([[1.0, 2.0], [5.0, 1.0]], 50, axis=0)
    with pytest.warns(RuntimeWarning, match="coincide"):
        fuzzy_c_means(X, 3)
    with pytest.warns(ConvergenceWarning, match="coincide"):
        FuzzyCMeans(3).fit(X)


def test_conditioning_is_said_and_keeps_the_ratio_of_eigenvalues():
    X = DEGENERATE["a constant feature"]
    with pytest.warns(RuntimeWarning, match="clusters 0, 1"):
        observed = gustafson_kessel(X, 2, beta=1e4)
    scale = X.std(axis=0)
    scale[2] = 1
    values = np.linalg.eigvalsh(observed.covariances / np.outer(scale, scale))
    np.testing.assert_allclose(values[:, -1] / values[:, 0], 1e4, rtol=1e-6)


def test_gamma_of_one_makes_all_clusters_spheres_of_standard_deviations():
    X, _ = groups()
    observed = gustafson_kessel(X, 3, gamma=1.0)
    scale = X.std(axis=0)
    for f in observed.covariances / np.outer(scale, scale):
        np.testing.assert_allclose(f, f[0, 0] * np.eye(4), atol=1e-12)
    u = start(X, 3)
    one = gustafson_kessel(X, 3, gamma=1.0, init=u, max_iter=9, tol=0)
    np.testing.assert_allclose(one.memberships, plain(X / scale, u, 9)[0], atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "d"), [(30_000, 10), (9_000, 33)])
def test_results_are_the_same_to_the_last_bit_on_any_number_of_threads(method, n, d):
    X, _ = groups(n, d, 4, "f4")
    results = []
    for threads in (1, 2, 3):
        with emcore.num_threads(threads):
            results.append(method(X, 4, max_iter=5, tol=0))
    for observed in results[1:]:
        for name in ("memberships", "centers", "covariances", "objective"):
            assert np.array_equal(getattr(observed, name), getattr(results[0], name))


@pytest.mark.parametrize("method", METHODS)
def test_strides_and_prepared_rows_do_not_matter(method):
    X, _ = groups(700, 5, 3, "u2")
    expected = method(X, 3, max_iter=10)
    wide = np.zeros((1400, 10), "u2")
    wide[::2, ::2] = X
    views = [wide[::2, ::2], np.asfortranarray(X), X[::-1][::-1]]
    for view in views:
        assert np.array_equal(method(view, 3, max_iter=10).memberships, expected.memberships)
    prepared = method(prepare(Recipe(wide[::2], keep=np.arange(10) % 2 == 0)), 3, max_iter=10)
    assert np.array_equal(prepared.memberships, expected.memberships)


@pytest.mark.parametrize("estimator", [FuzzyCMeans(3), GustafsonKessel(3)])
def test_fitted_rows_are_predicted_as_they_were_fitted(estimator):
    X, truth = groups(dtype="f4")
    before = X.copy()
    model = estimator.fit(X)
    assert np.array_equal(X, before)
    assert np.array_equal(model.predict_proba(X), model.memberships_)
    assert np.array_equal(model.predict(X), model.labels_)
    assert np.array_equal(estimator.fit_predict(X), model.labels_)
    assert model.labels_.dtype == np.int32
    assert adjusted_rand_score(truth, model.labels_) > 0.8
    assert len(model.objective_) == model.n_iter_


def test_the_best_of_several_runs_is_kept():
    X, _ = groups(600, 3, 6, spread=60.0)
    runs = [fuzzy_c_means(X, 6, m=1.2, init="random", random_state=4, n_init=n).objective[-1] for n in (1, 4, 12)]
    assert runs[0] >= runs[1] >= runs[2]
    assert runs[2] < runs[0]


def test_it_stops_when_no_membership_changes_by_more_than_tol():
    X, _ = groups()
    observed = fuzzy_c_means(X, 3, tol=1e-3)
    before = fuzzy_c_means(X, 3, tol=0, max_iter=observed.n_iter - 1)
    earlier = fuzzy_c_means(X, 3, tol=0, max_iter=observed.n_iter - 2)
    assert observed.converged
    assert np.abs(observed.memberships - before.memberships).max() <= 1e-3
    assert np.abs(before.memberships - earlier.memberships).max() > 1e-3
    with pytest.warns(ConvergenceWarning, match="iterations 2 reached"):
        FuzzyCMeans(3, max_iter=2).fit(X)


@pytest.mark.parametrize("source", ["memory", "outside"])
@pytest.mark.parametrize("kessel", [False, True])
def test_the_iterations_are_counted_by_the_row_that_changes_most_wherever_it_is(kessel, source, tmp_path):
    X, _ = groups(3 * 8192 + 77, 3, spread=20.0)
    begin = start(X, 3)
    order = np.argsort(np.ptp(np.sort(begin)[:, 1:], axis=1))
    # Rows that belong to two clusters, whose memberships change most, come last, or after the first of all.
    for rows in (order[::-1], np.r_[order[-1:], order[:-1]]):
        x, u = X[rows], begin[rows]
        runs = [u, *(plain(x, u, n, kessel=kessel)[0] for n in range(1, 7))]
        changes = [np.abs(b - a).max() for a, b in itertools.pairwise(runs)]
        assert all(b < a for a, b in itertools.pairwise(changes))
        for n in (1, 2, 3, 5):
            method = gustafson_kessel if kessel else fuzzy_c_means
            for tol, n_iter in ((changes[n - 1] * 1.001, n), (changes[n - 1] * 0.999, n + 1)):
                # With a checkpoint rows are visited as those out of core are.
                kept = tmp_path / f"{len(list(tmp_path.iterdir()))}.npz" if source == "outside" else None
                observed = method(x, 3, init=u, tol=tol, max_iter=n + 1, checkpoint=kept)
                assert (observed.n_iter, observed.converged) == (n_iter, bool(changes[n_iter - 1] <= tol))


def test_up_to_512_features_have_covariances():
    X = np.random.default_rng(0).normal(size=(1200, 200)).astype("f4")
    X[::2] += 3
    observed = gustafson_kessel(X, 2, max_iter=3)
    assert np.isfinite(observed.covariances).all()
    assert adjusted_rand_score(np.arange(1200) % 2, observed.labels) > 0.8
    with pytest.raises(ValueError, match=r"600 features.*limited to 512.*PCA"):
        gustafson_kessel(np.zeros((700, 600)), 2)


BAD = {
    "m": ({"m": 1.0}, "m=1.0 is too close to 1"),
    "m below": ({"m": 0.5}, "m=0.5 is out of range"),
    "m not finite": ({"m": np.inf}, "m=inf is out of range"),
    "one cluster": ({"n_clusters": 1}, "n_clusters=1 is out of range"),
    "too many": ({"n_clusters": 901}, "n_samples=900 should be >= n_clusters=901"),
    "init name": ({"init": "kmeans"}, "init='kmeans' is not known"),
    "init shape": ({"init": np.ones((3, 5))}, "init has shape"),
    "init sums": ({"init": np.full((900, 3), 0.5)}, "sum to 1.5; each row must sum to 1"),
    "init negative": ({"init": np.c_[np.ones((900, 2)), -np.ones(900)]}, "Negative values"),
    "init NaN": ({"init": np.full((3, 4), np.nan)}, "NaN"),
    "max_iter": ({"max_iter": 0}, "max_iter=0 is out of range"),
    "tol": ({"tol": -1.0}, "tol=-1.0 is out of range"),
    "n_init": ({"n_init": 0}, "n_init=0 is out of range"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("method", METHODS)
def test_bad_arguments_are_refused_by_name(method, name):
    arguments, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        method(groups()[0], **({"n_clusters": 3} | arguments))


def test_bad_data_and_metrics_are_refused_by_name():
    X, _ = groups()
    X[17, 2] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinity, first at \[17, 2\]"):
        fuzzy_c_means(X, 2)
    X, _ = groups()
    for arguments, message in [
        ({"gamma": 1.5}, "gamma=1.5 is out of range"),
        ({"beta": 0.5}, "beta=0.5 is out of range"),
        ({"rho": [1.0, 2.0]}, "rho has shape"),
        ({"rho": -1.0}, "rho holds values that are not positive"),
    ]:
        with pytest.raises(ValueError, match=message):
            gustafson_kessel(X, 3, **arguments)
    with pytest.raises(ValueError, match="centers have 3 features and X has 4"):
        memberships(X, np.ones((2, 3)))
    with pytest.raises(ValueError, match="covariances have shape"):
        memberships(X, np.ones((2, 4)), covariances=np.ones((2, 3, 3)))
    with pytest.raises(TypeError, match="n_clusters"):
        fuzzy_c_means(X, 2.5)


ROWS = np.random.default_rng(0).random((50, 4))
CENTERS = ROWS[:3].copy()
OPTIONS = {"m": 2.0, "max_iter": 3, "tol": 0.0, "covariances": None}
MODEL = {"m": 2.0, "offset": np.zeros(4), "factor": np.ones(4), "centers": CENTERS, "whitening": None}
MATRICES = np.stack([np.eye(4)] * 3)


def fitted(x=ROWS, centers=CENTERS, u=None, **options):
    return _emcore.cmeans(x, centers=centers, memberships=u, **OPTIONS | options)


def of_clusters(x=ROWS, centers=CENTERS, covariances=None, rho=None):
    return _emcore.memberships(x, centers, m=2.0, covariances=covariances, rho=rho)


def visited(members=MODEL, former=None, x=ROWS, **about):
    return _emcore.cmeans_visit(x, members, MODEL | about, former)


DO_NOT_FIT = {
    "centres of fewer features": lambda: fitted(centers=np.ones((3, 3))),
    "centres of more features": lambda: fitted(centers=np.ones((3, 5))),
    "no centres": lambda: fitted(centers=np.ones((0, 4))),
    "no features": lambda: fitted(np.ones((5, 0)), np.ones((2, 0))),
    "no rows": lambda: fitted(np.ones((0, 4))),
    "fewer memberships than rows": lambda: fitted(centers=None, u=np.full((20, 3), 1 / 3)),
    "more memberships than rows": lambda: fitted(centers=None, u=np.full((70, 3), 1 / 3)),
    "no memberships": lambda: fitted(centers=None, u=np.ones((50, 0))),
    "centres and memberships": lambda: fitted(u=np.full((50, 3), 1 / 3)),
    "neither": lambda: fitted(centers=None),
    "one volume": lambda: fitted(covariances=CovarianceSettings([1.0])),
    "memberships in centres of fewer features": lambda: of_clusters(centers=np.ones((3, 3))),
    "memberships in centres of twice the features": lambda: of_clusters(centers=np.ones((3, 8))),
    "memberships in no centres": lambda: of_clusters(centers=np.ones((0, 4))),
    "memberships of no features": lambda: of_clusters(np.ones((5, 0)), np.ones((2, 0))),
    "too few covariances": lambda: of_clusters(covariances=MATRICES[:2], rho=[1.0] * 3),
    "covariances of fewer features": lambda: of_clusters(covariances=MATRICES[:, :3, :3].copy(), rho=[1.0] * 3),
    "covariances without volumes": lambda: of_clusters(covariances=MATRICES),
    "one volume of three": lambda: of_clusters(covariances=MATRICES, rho=[1.0]),
    "labels of no clusters": lambda: _emcore.cmeans_labels(np.ones((5, 0))),
    "sums of no clusters": lambda: _emcore.cmeans_farthest_from_one(np.ones((5, 0))),
    "a visit with fewer memberships": lambda: visited(np.full((20, 3), 1 / 3)),
    "a visit with memberships in two clusters": lambda: visited(np.full((50, 2), 1 / 2)),
    "a visit with fewer former memberships": lambda: visited(former=np.full((20, 3), 1 / 3)),
    "a visit with an offset of fewer features": lambda: visited(offset=np.zeros(3)),
    "a visit with a factor of fewer features": lambda: visited(factor=np.ones(3)),
    "a visit about centres of fewer features": lambda: visited(centers=np.ones((3, 3))),
    "a visit about no centres": lambda: visited(None, centers=np.ones((0, 4))),
    "a visit with a short triangle": lambda: visited(whitening=np.ones(7)),
    "a visit with a triangle for one cluster": lambda: visited(whitening=np.ones(16)),
    "a visit with members without triangles": lambda: visited(MODEL | {"whitening": np.ones(0)}),
    "a visit with members of two clusters": lambda: visited(MODEL | {"centers": ROWS[:2].copy()}),
    "a visit with former members of two clusters": lambda: visited(former=MODEL | {"centers": ROWS[:2].copy()}),
    "a visit of rows of fewer features": lambda: visited(x=np.ones((5, 3))),
}


@pytest.mark.parametrize("name", DO_NOT_FIT)
def test_what_does_not_fit_together_is_refused_by_the_kernels_too(name):
    with pytest.raises(ValueError, match=r"^(X|m|centers|memberships|covariances|rho|offset|factor|whitening): "):
        DO_NOT_FIT[name]()


def test_a_model_of_another_type_than_the_rows_is_refused():
    with pytest.raises(TypeError):
        visited(x=ROWS.astype("f4"))


@pytest.mark.parametrize("kessel", [False, True])
def test_out_of_core_an_iteration_is_a_pass_and_memberships_are_written_once(kessel, monkeypatch, tmp_path):
    made, call = [], Passes.__call__

    def counted(self, function, *args, **options):
        made.append(function.__name__)
        return call(self, function, *args, **options)

    monkeypatch.setattr(Passes, "__call__", counted)
    X, _ = groups(600, dtype="u1")
    options = {"init": "random", "n_init": 2, "tol": 0, "max_iter": 4, "checkpoint": tmp_path / "c.npz"}
    if kessel:
        gustafson_kessel(X, 3, gamma=0.1, **options)
        before = made.count("_visit") - 2 * 4
        assert 2 * (1 + 1 + 1) <= before <= 2 * (10 + 1 + 1)  # spheres, the share of all rows, the first covariances
    else:
        fuzzy_c_means(X, 3, **options)
        assert made.count("_visit") == 2 * 4
    assert made == ["_moments", *["_visit"] * made.count("_visit"), "_memberships"]


def _forked(queue, X):
    queue.put(fuzzy_c_means(X, 3, max_iter=3).objective[-1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_it_works_after_a_fork_and_from_several_threads_at_once():
    X, _ = groups(20_000, 6)
    expected = fuzzy_c_means(X, 3, max_iter=3)
    queue = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=_forked, args=(queue, X))
    child.start()
    assert queue.get(timeout=30) == expected.objective[-1]
    child.join()
    observed = [None] * 4
    threads = [
        threading.Thread(target=lambda i=i: observed.__setitem__(i, fuzzy_c_means(X, 3, max_iter=3))) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(f.memberships, expected.memberships) for f in observed)


@pytest.mark.parametrize("name", ["fuzzy_c_means", "gustafson_kessel"])
@pytest.mark.posix
def test_ctrl_c_ends_a_call_and_leaves_the_process_usable(name):
    code = f"""
import numpy as np, time
from emcore.methods.fuzzy.fit import {name} as method
X = np.random.default_rng(0).random((300000, 20), dtype="f4")
print("ready", flush=True)
try:
    while True:
        method(X, 20, m=1.2, tol=0, max_iter=100000)
except KeyboardInterrupt:
    print("stopped", method(X[:200], 2, max_iter=2).n_iter, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert out == "stopped 2\n"


@pytest.mark.parametrize("method", METHODS)
def test_the_largest_fuzziness_gives_memberships(method):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        observed = method(groups()[0], n_clusters=3, m=1000.0)
    np.testing.assert_allclose(observed.memberships.sum(axis=1), 1, rtol=1e-5)
    assert np.isfinite(observed.centers).all()


@pytest.mark.parametrize("estimator", [emcore.FuzzyCMeans, emcore.GustafsonKessel])
def test_transform_gives_memberships_and_names_them(estimator):
    pd = pytest.importorskip("pandas")
    X = np.random.default_rng(0).normal(size=(60, 3)) + 6 * (np.arange(60) % 2)[:, None]
    model = estimator(2, random_state=0)
    fitted = model.fit_transform(X)
    np.testing.assert_array_equal(fitted, model.memberships_)
    np.testing.assert_allclose(model.transform(X), model.predict_proba(X))
    named = model.set_output(transform="pandas").transform(X)
    assert isinstance(named, pd.DataFrame)
    assert list(named.columns) == [f"{estimator.__name__.lower()}{i}" for i in range(2)]
