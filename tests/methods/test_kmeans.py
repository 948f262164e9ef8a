"""k-means."""

import multiprocessing
import re
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
from sklearn.cluster import KMeans as Reference
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import emcore
from emcore import KMeans, _emcore
from emcore.methods.kmeans.fit import distances, kmeans, nearest
from emcore.methods.preprocessing import Recipe, prepare

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct:sklearn.exceptions.ConvergenceWarning")

TYPES = ["u1", "u2", "u4", "i2", "i4", "f4", "f8"]
SHAPES = [(400, 6, 3), (300, 70, 5), (250, 333, 4), (300, 10, 40)]


def groups(n=300, d=20, k=4, dtype="u1", seed=0, spread=1.0):
    """Counts around k overlapping patterns, each row with a brightness of its own; and k places to start from."""
    rng = np.random.default_rng(seed)
    patterns = rng.gamma(4, 10, (k, d))
    X = rng.poisson(patterns[rng.integers(k, size=n)] * rng.uniform(0.5, 1, (n, 1)) * spread)
    start = X[rng.choice(n, k, replace=False)] + rng.uniform(0, 0.5, (k, d))  # nothing is equally far
    return np.minimum(X, 250).astype(dtype), start


def square_distances(X, centers):
    return ((X[:, None].astype("f8") - centers) ** 2).sum(axis=2)


def unit(X):
    return X.astype("f8") / np.linalg.norm(X.astype("f8"), axis=1, keepdims=True)


def lloyd(X, start, n_iter, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = Reference(len(start), init=start, n_init=1, max_iter=n_iter, algorithm="lloyd", **options)
        return model.fit(X.astype("f8"))


@parametrize_with_checks(
    [KMeans(), KMeans(3, init="random"), KMeans(2, n_init=2)],
    expected_failed_checks=lambda estimator: (
        {
            f"check_sample_weight_equivalence_on_{kind}_data": "the rows drawn to start from differ, as in scikit-learn"
            for kind in ("dense", "sparse")
        }
        if estimator.init == "k-means++"
        else {}
    ),
)
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_iteration_equals_that_of_scikit_learn(dtype, shape):
    X, start = groups(*shape, dtype)
    for n_iter in (1, 2, 3, 5, 12, 300):
        reference = lloyd(X, start, n_iter)
        observed = kmeans(X, len(start), init=start, max_iter=n_iter)
        assert np.array_equal(observed.labels, reference.labels_)
        assert observed.n_iter == reference.n_iter_
        assert observed.inertia == pytest.approx(reference.inertia_, rel=1e-10)
        np.testing.assert_allclose(observed.centers, reference.cluster_centers_, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("tol", [0, 1e-4, 1e-2, 1])
def test_tol_means_what_it_means_in_scikit_learn(tol):
    X, start = groups(2000, 5, 6)
    reference = lloyd(X, start, 300, tol=tol)
    observed = kmeans(X, 6, init=start, tol=tol)
    assert observed.n_iter == reference.n_iter_
    assert np.array_equal(observed.labels, reference.labels_)
    assert observed.converged


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TYPES),
    st.integers(1, 300),
    st.integers(1, 90),
    st.integers(1, 12),
    st.sampled_from(["euclidean", "cosine"]),
    st.integers(1, 20),
    st.integers(0, 99),
)
def test_labels_are_those_of_brute_force(dtype, n, d, k, metric, n_iter, seed):
    k = min(k, n)
    X = groups(n, d, k, dtype, seed)[0]
    X += (X == 0).astype(dtype)
    observed = kmeans(X, k, metric=metric, max_iter=n_iter, random_state=seed)
    rows = unit(X) if metric == "cosine" else X
    squares = square_distances(rows, observed.centers)
    own = squares[np.arange(n), observed.labels]
    assert (own <= squares.min(axis=1) * (1 + 1e-10) + 1e-13).all()
    assert observed.inertia == pytest.approx(own.sum(), rel=1e-9, abs=1e-9)
    assert np.array_equal(nearest(X, observed.centers, metric=metric)[0], observed.labels)


def test_of_equally_near_centres_the_first_is_taken():
    X = np.array([[0, 0], [2, 0], [1, 0], [1, 5]], "u1")
    centers = np.array([[2, 0], [0, 0], [2, 0]])
    assert nearest(X, centers)[0].tolist() == [1, 0, 0, 0]
    rng = np.random.default_rng(0)
    start = rng.integers(0, 9, (5, 40))
    X = rng.integers(0, 9, (300, 40)).astype("f4")
    assert (nearest(X, np.repeat(start, 3, axis=0))[0] % 3 == 0).all()
    assert np.array_equal(nearest(X, start)[0], square_distances(X, start).argmin(axis=1))


@pytest.mark.parametrize("offset", [0, 1e4, 3e7])
def test_a_huge_offset_does_not_change_labels(offset):
    X, start = groups(500, 30, 4, "f8")
    expected = kmeans(X, 4, init=start)
    for dtype in ("f8", "u4"):
        observed = kmeans((X + offset).astype(dtype), 4, init=start + offset)
        assert np.array_equal(observed.labels, expected.labels)
        assert observed.inertia == pytest.approx(expected.inertia, rel=1e-6)


@pytest.mark.parametrize("factor", [2.0**-70, 2.0**-40, 2.0**40])
def test_the_unit_of_the_data_does_not_matter(factor):
    for shape in ((300, 70, 5), (300, 6, 3)):
        X, start = groups(*shape, "f4")
        expected = kmeans(X, len(start), init=start)
        observed = kmeans(X * np.float32(factor), len(start), init=start * factor)
        assert np.array_equal(observed.labels, expected.labels)
        assert observed.inertia / factor**2 == pytest.approx(expected.inertia, rel=1e-9)
        assert observed.n_iter == expected.n_iter


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("shape", SHAPES)
def test_inertia_never_rises(metric, shape):
    X, start = groups(*shape, "f4", spread=0.3)
    X += 1
    inertia = [kmeans(X, len(start), init=start, metric=metric, max_iter=i).inertia for i in range(1, 15)]
    assert (np.diff(inertia) <= 1e-9 * inertia[0]).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_total_scatter_is_scatter_within_and_between(dtype):
    X = groups(500, 40, 5, dtype)[0]
    observed = kmeans(X, 5, tol=0)
    counts = np.bincount(observed.labels, minlength=5)
    mean = X.mean(axis=0, dtype="f8")
    total = ((X - mean) ** 2).sum()
    between = (counts * ((observed.centers - mean) ** 2).sum(axis=1)).sum()
    assert total == pytest.approx(observed.inertia + between, rel=1e-10)
    for c in range(5):
        np.testing.assert_allclose(observed.centers[c], X[observed.labels == c].mean(axis=0, dtype="f8"), rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_cosine_is_spherical_k_means(shape):
    X, start = groups(*shape, "u2")
    X += 1
    observed = kmeans(X, len(start), init=start, metric="cosine", max_iter=7, tol=0)
    rows, centers = unit(X), unit(start)
    for _ in range(observed.n_iter):
        labels = (rows @ centers.T).argmax(axis=1)
        sums = np.stack([rows[labels == c].sum(axis=0) for c in range(len(start))])
        assert (np.linalg.norm(sums, axis=1) > 0).all()
        centers = unit(sums)
    np.testing.assert_allclose(observed.centers, centers, atol=1e-12)
    assert np.array_equal(observed.labels, (rows @ centers.T).argmax(axis=1))
    assert observed.inertia == pytest.approx((2 - 2 * (rows * centers[observed.labels]).sum(axis=1)).sum(), rel=1e-9)
    scaled = (X * np.random.default_rng(0).integers(1, 200, (len(X), 1))).astype("u4")
    assert np.array_equal(
        kmeans(scaled, len(start), init=start, metric="cosine", max_iter=7, tol=0).labels, observed.labels
    )


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("shape", [(300, 8, 3), (300, 80, 5)])
def test_weights_stand_for_repeated_rows(metric, shape):
    X, start = groups(*shape)
    X += 1
    repeats = np.random.default_rng(2).integers(0, 4, len(X))
    options = {"init": start, "metric": metric, "max_iter": 8}
    long = kmeans(np.repeat(X, repeats, axis=0), len(start), **options)
    short = kmeans(X, len(start), sample_weight=repeats, **options)
    assert short.inertia == pytest.approx(long.inertia, rel=1e-12)
    assert np.array_equal(np.repeat(short.labels, repeats), long.labels)
    np.testing.assert_allclose(short.centers, long.centers, rtol=1e-12)
    tripled = kmeans(X, len(start), sample_weight=repeats * 0.3, **options)
    assert np.array_equal(tripled.labels, short.labels)


@pytest.mark.parametrize("weighted", [False, True])
def test_empty_clusters_take_the_farthest_rows_as_in_scikit_learn(weighted):
    X, start = groups(200, 12, 3)
    start = np.vstack([start, start[0] + 4000])
    weights = np.random.default_rng(0).integers(1, 4, len(X)).astype("f8") if weighted else None
    for n_iter in (1, 2, 5, 50):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            reference = Reference(4, init=start, n_init=1, max_iter=n_iter, tol=0).fit(X.astype("f8"), None, weights)
        observed = kmeans(X, 4, init=start, max_iter=n_iter, tol=0, sample_weight=weights)
        assert np.array_equal(observed.labels, reference.labels_)
        np.testing.assert_allclose(observed.centers, reference.cluster_centers_, rtol=1e-10)


def test_several_empty_clusters_take_different_rows():
    X, start = groups(200, 12, 2)
    start = np.vstack([start, start[:1] + 4000, start[:1] + 5000, start[:1] + 6000])
    observed = kmeans(X, 5, init=start)
    assert len(np.unique(observed.labels)) == 5
    assert observed.inertia < kmeans(X, 2, init=start[:2]).inertia


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_as_many_clusters_as_rows_leave_no_inertia(metric):
    X = groups(30, 12, 3)[0]
    X += 1
    observed = kmeans(X, 30, metric=metric)
    assert observed.inertia == pytest.approx(0, abs=1e-20)
    assert sorted(observed.labels) == list(range(30))


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_fewer_distinct_rows_than_clusters_are_warned_of(init):
    X = np.repeat(groups(3, 15, 3)[0], 20, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(3\) found smaller than n_clusters \(5\)"):
        model = KMeans(5, init=init).fit(X)
    assert model.inertia_ == 0
    assert np.isfinite(model.cluster_centers_).all()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_fewer_distinct_rows_than_clusters_end_before_any_limit(metric, seed):
    rng = np.random.default_rng(seed)
    distinct, d = rng.integers(2, 6, 2)
    X = (rng.random((distinct, d)) + 0.1)[rng.permutation(np.arange(3 * distinct) % distinct)]
    k = rng.integers(distinct, len(X) + 1)
    init = rng.random((k, d)) + 0.1
    weights = rng.random(len(X)) + 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        observed = kmeans(X, k, init=init, metric=metric, max_iter=1000, tol=0, sample_weight=weights)
    assert observed.n_iter < 1000


def test_plus_plus_finds_clusters_that_lie_apart():
    rng = np.random.default_rng(0)
    for d in (2, 200):
        centers = rng.normal(size=(20, d)) * 100
        truth = np.repeat(np.arange(20), 50)
        X = (centers[truth] + rng.normal(size=(1000, d))).astype("f4")
        observed = kmeans(X, 20, random_state=3)
        assert len(set(zip(observed.labels.tolist(), truth.tolist(), strict=True))) == 20


def test_one_seed_gives_one_result_and_more_runs_are_no_worse():
    X = groups(500, 6, 10)[0]
    first, again = kmeans(X, 10, random_state=5), kmeans(X, 10, random_state=5)
    assert np.array_equal(first.centers, again.centers)
    more = kmeans(X, 10, random_state=5, n_init=5)
    assert more.inertia <= first.inertia
    one = kmeans(X, 10, init="random", n_init=1)
    assert kmeans(X, 10, init="random").inertia <= one.inertia
    given = kmeans(X, 10, init=lambda rows, k, random_state: rows[:k])
    assert np.array_equal(given.labels, kmeans(X, 10, init=X[:10]).labels)


def test_strided_mapped_and_prepared_rows_give_the_same_bits(tmp_path):
    for shape in ((200, 61, 4), (500, 7, 3)):
        X, start = groups(*shape, "u2")
        expected = kmeans(X, len(start), init=start)
        big = np.zeros((2 * X.shape[0], 2 * X.shape[1]), "u2")
        big[::2, ::2] = X
        mapped = np.memmap(tmp_path / "x", "u2", "w+", shape=X.shape)
        mapped[:] = X
        before = X.copy()
        for other in (big[::2, ::2], np.asfortranarray(X), X[::-1][::-1], mapped, X.astype(">u2"), X.astype("f4")):
            observed = kmeans(other, len(start), init=start)
            assert np.array_equal(observed.centers, expected.centers)
            assert np.array_equal(observed.labels, expected.labels)
        assert np.array_equal(X, before)
        rows = prepare(Recipe(X, normalize="sum"))
        stored = np.asarray(rows)
        for metric in ("euclidean", "cosine"):
            observed, expected = kmeans(rows, 3, metric=metric), kmeans(stored, 3, metric=metric)
            assert np.array_equal(observed.centers, expected.centers)
            assert np.array_equal(observed.labels, expected.labels)


def bits(X, **options):
    observed = kmeans(X, 7, random_state=1, **options)
    labels, inertia = nearest(X, observed.centers)
    return (
        observed.centers.tobytes()
        + observed.labels.tobytes()
        + labels.tobytes()
        + repr((inertia, observed.inertia)).encode()
    )


@pytest.mark.parametrize("options", [{}, {"metric": "cosine"}, {"sample_weight": np.linspace(0.1, 2, 40000)}])
@pytest.mark.parametrize(("d", "dtype"), [(10, "f4"), (5, "f8"), (80, "f4"), (80, "u1")])
def test_bits_are_the_same_on_one_two_and_three_threads(options, d, dtype):
    X = groups(40000, d, 7, dtype)[0]
    X += 1
    observed = []
    for threads in (1, 2, 3):
        with emcore.num_threads(threads):
            observed.append(bits(X, max_iter=12, **options))
    assert observed[0] == observed[1] == observed[2]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_it_works_after_a_fork_and_from_four_threads():
    X = groups(3000, 40, 7, "f4")[0]
    expected = bits(X)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(bits, (X,)) == expected
    observed = []
    threads = [threading.Thread(target=lambda: observed.append(bits(X))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert observed == [expected] * 4


@pytest.mark.parametrize("shape", [(3000, 3000, 400), (300000, 10, 300)])
@pytest.mark.posix
def test_control_c_ends_it_and_the_next_call_works(shape):
    code = f"""
import numpy as np, time
from emcore.methods.kmeans.fit import kmeans
n, d, k = {shape}
X = np.random.default_rng(0).integers(0, 99, (n, d), dtype="u1")
print("ready", flush=True)
try:
    kmeans(X, k, init="random", n_init=10**6, max_iter=10**6, tol=0)
except KeyboardInterrupt:
    print(time.time(), flush=True)
print(kmeans(X[:50], 2).centers.shape)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.7)
        sent = time.time()
        process.send_signal(signal.SIGINT)
        ended, after = process.communicate(timeout=60)[0].splitlines()
    finally:
        process.kill()
    assert float(ended) - sent < 2  # 0.3 s on a machine that does nothing else
    assert after == f"(2, {shape[1]})"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": [[1.0, np.nan]]}, r"first at \[0, 1\]"),
        ({"X": np.zeros((0, 3))}, "empty"),
        ({"X": np.eye(6) * 1e200}, "too large to square"),
        ({"X": np.eye(4)[:, :3], "metric": "cosine"}, "row 3 is zero throughout"),
        ({"n_clusters": 7}, "n_samples=6 should be >= n_clusters=7"),
        ({"n_clusters": 0}, "n_clusters=0.*at least 1"),
        ({"metric": "cosin"}, "did you mean 'cosine'"),
        ({"init": "kmeans++"}, "did you mean 'k-means\\+\\+'"),
        ({"init": np.ones((3, 4))}, "does not match the number of clusters 2"),
        ({"init": np.ones((2, 3))}, "does not match the number of features"),
        ({"init": np.full((2, 4), np.inf)}, "init contains NaN or infinity"),
        ({"n_init": 0}, "n_init=0"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"tol": -1}, "tol=-1"),
        ({"sample_weight": [1, 2]}, r"sample_weight.shape == \(2,\), expected \(6,\)"),
        ({"sample_weight": [1, 2, 3, -1, 1, 1]}, "sample_weight.*first at"),
        ({"sample_weight": np.zeros(6)}, "sample_weight is zero throughout"),
        ({"random_state": -1}, "random_state"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"X": np.arange(24.0).reshape(6, 4) + 1, "n_clusters": 2} | change
    with pytest.raises(ValueError, match=message):
        kmeans(**arguments)


def test_data_that_are_not_numbers_are_refused():
    with pytest.raises(TypeError, match="strings"):
        kmeans([["a", "b"]], 1)
    with pytest.raises(TypeError, match="n_clusters"):
        kmeans(np.ones((4, 2)), 2.0)
    with pytest.raises(ValueError, match="centers: 3 features, X has 4"):
        nearest(np.ones((2, 4)), np.ones((1, 3)))


def test_the_estimator_means_what_scikit_learn_means():
    X, start = groups(300, 20, 4, "u2")
    model = KMeans(4, init=start).fit(X)
    reference = lloyd(X, start, 300)
    other = groups(100, 20, 4, "u2", seed=9)[0]
    np.testing.assert_allclose(model.transform(other), reference.transform(other.astype("f8")), rtol=1e-9)
    assert np.array_equal(model.predict(other), reference.predict(other.astype("f8")))
    assert model.score(other) == pytest.approx(reference.score(other.astype("f8")))
    assert np.array_equal(model.fit_predict(X), model.labels_)
    assert np.array_equal(model.predict(X), model.labels_)
    np.testing.assert_allclose(distances(X, model.cluster_centers_), model.transform(X))
    assert model.get_feature_names_out().tolist() == ["kmeans0", "kmeans1", "kmeans2", "kmeans3"]


ROWS = np.arange(24.0).reshape(6, 4)
NEAR = {"metric": "euclidean", "weights": None}
STATE = {"centers": ROWS[:2], "n_iter": 0, "tol": 0.0, "converged": False, "inertia": np.nan}
FEATURES = {"features": 4, "double": True, "max_iter": 3, "tol": 0.0, "metric": "euclidean"}


class _Passes:
    """Passes over `ROWS` that return what they are told to."""

    nearest, weights = np.ones(6), None

    def __init__(self, **values):
        self.values = values

    def __getattr__(self, name):
        return lambda *_: self.values.get(name)


def labels(*values):
    return np.array(values, np.int32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _emcore.kmeans(ROWS, ROWS[:2], max_iter=1, tol=0.0, **NEAR | {"metric": "cosin"}), 'metric: "cosin"'),
        (lambda: _emcore.kmeans(ROWS, ROWS[:2, :3], max_iter=1, tol=0.0, **NEAR), "centers: 3 features"),
        (lambda: _emcore.kmeans(ROWS, ROWS[:0], max_iter=1, tol=0.0, **NEAR), "centers: 0 values"),
        (
            lambda: _emcore.kmeans(ROWS, ROWS[:2], max_iter=1, tol=0.0, metric="cosine", weights=np.ones(5)),
            "5 weights for 6 rows",
        ),
        (
            lambda: _emcore.kmeans(ROWS, ROWS[:2], max_iter=1, tol=0.0, metric="euclidean", weights=np.zeros(6)),
            "sample_weight: zero for all rows",
        ),
        (lambda: _emcore.kmeans_seeds(ROWS, 2, draws=np.empty(0), **NEAR), "draws: 0 random numbers"),
        (lambda: _emcore.kmeans_seeds(ROWS, 0, draws=np.ones(1), **NEAR), "n_clusters: 0"),
        (lambda: _emcore.kmeans_seeds(ROWS, 7, draws=np.ones(19), **NEAR), "n_clusters: 7"),
        (lambda: _emcore.kmeans_seeds(ROWS, 2, draws=np.ones(3), **NEAR | {"weights": np.ones(7)}), "7 weights"),
        (lambda: _emcore.kmeans_nearest(ROWS, ROWS[:0], **NEAR), "centers: 0 values"),
        (lambda: _emcore.kmeans_nearest(ROWS, ROWS[:2], **NEAR | {"weights": -np.ones(6)}), "a weight is negative"),
        (lambda: _emcore.kmeans_distances(ROWS, ROWS[:0], metric="euclidean"), "centers: 0 values"),
        (lambda: _emcore.kmeans_spread(ROWS, labels(), 0, metric="euclidean"), "k: 0"),
        (lambda: _emcore.kmeans_spread(ROWS, labels(*[0] * 6), 2**60, metric="euclidean"), "k: 1152921504606846976"),
        (lambda: _emcore.kmeans_spread(ROWS, labels(0, 1), 2, metric="euclidean"), "2 labels"),
        (lambda: _emcore.kmeans_spread(ROWS, labels(0, 1, 0, 1, -1, 0), 2, metric="euclidean"), "label -1 of row 4"),
        (lambda: _emcore.kmeans_visit(ROWS, ROWS[:2], labels(0, 1), **NEAR), "labels: 2"),
        (lambda: _emcore.kmeans_visit(ROWS, ROWS[:2, :1], labels(*[0] * 6), **NEAR), "centers: 1 features"),
        (lambda: _emcore.kmeans_farthest(ROWS, ROWS[:2], labels(*[2] * 6), 1, **NEAR), "label 2 of row 0"),
        (lambda: _emcore.kmeans_farthest(ROWS, ROWS[:2], labels(*[-1] * 6), 1, **NEAR), "label -1 of row 0"),
        (lambda: _emcore.kmeans_farthest(ROWS, ROWS[:2], labels(0), 1, **NEAR), "1 labels"),
        (lambda: _emcore.kmeans_farthest(ROWS, ROWS[:2, :2], labels(*[0] * 6), 1, **NEAR), "centers: 2 features"),
        (lambda: _emcore.kmeans_attempts(ROWS, ROWS[:2], None, **NEAR), "candidates: 2"),
        (lambda: _emcore.kmeans_attempts(ROWS, ROWS[:0], None, **NEAR), "candidates: 0 values"),
        (lambda: _emcore.kmeans_attempts(ROWS, ROWS[:2, :3], None, **NEAR), "candidates: 3 features"),
        (
            lambda: _emcore.kmeans_attempts(ROWS, ROWS[:2], (ROWS[:1], np.ones(6), np.ones(5)), **NEAR),
            "chosen: 6 and 5 squared distances for 6 rows",
        ),
        (
            lambda: _emcore.kmeans_attempts(ROWS, ROWS[:2], (ROWS[:0], np.ones(6), np.ones(6)), **NEAR),
            "chosen: 0 values",
        ),
        (lambda: _emcore.kmeans_out_of_core(_Passes(), STATE, **FEATURES | {"features": 3}), "centers: 4 features"),
        (
            lambda: _emcore.kmeans_out_of_core(_Passes(), STATE | {"centers": ROWS[:0]}, **FEATURES),
            "centers: 0 values",
        ),
        (
            lambda: _emcore.kmeans_out_of_core(
                _Passes(assign=(ROWS[:3], np.ones(3), 0.0, 6, np.nan)), STATE, **FEATURES
            ),
            "sums: 12 values of 3 clusters",
        ),
        (
            lambda: _emcore.kmeans_out_of_core(
                _Passes(
                    assign=(ROWS[:2], np.array([1.0, 0.0]), 9.0, 6, np.nan),
                    farthest=(0.0, ROWS[:1], labels(2), np.ones(1)),
                ),
                STATE,
                **FEATURES,
            ),
            "label 2 of row 0",
        ),
        (
            lambda: _emcore.kmeans_out_of_core(
                _Passes(
                    assign=(ROWS[:2], np.array([1.0, 0.0]), 9.0, 6, np.nan),
                    farthest=(0.0, ROWS[:1], labels(0, 1), np.ones(1)),
                ),
                STATE,
                **FEATURES,
            ),
            "labels: 2 for 1 rows",
        ),
        (
            lambda: _emcore.kmeans_seeds_out_of_core(_Passes(), [], 2, rows=5, draws=np.ones(3)),
            "nearest: 6 values for 5 rows",
        ),
        (
            lambda: _emcore.kmeans_seeds_out_of_core(_Passes(attempt=np.ones(2)), [], 2, rows=6, draws=np.ones(3)),
            "sums: 2 for 1 candidates",
        ),
        (lambda: _emcore.kmeans_seeds_out_of_core(_Passes(), [], 2, rows=6, draws=np.ones(9)), "draws: 9"),
    ],
)
def test_private_bindings_refuse_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
