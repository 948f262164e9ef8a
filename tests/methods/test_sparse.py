"""Sparse matrices give what the same rows give in full, in memory of the order of what they store."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn.decomposition
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

import emcore
from emcore import NMF, PCA, FuzzyCMeans, KMeans, _emcore
from emcore.core.validation import PIXEL_TYPES, as_matrix
from emcore.methods.nmf.fit import nmf, nmf_loss, nmf_maps
from emcore.methods.pca.fit import pca, scores

LOSSES = {"frobenius": "hals", "kullback-leibler": "mu"}
FORMATS = ("csr_array", "csc_array", "coo_array", "lil_array", "dok_array", "csr_matrix")


def counts(n=300, d=90, k=3, rate=6.0, seed=0, dtype="u2"):
    """Counts of n spectra of few events each."""
    rng = np.random.default_rng(seed)
    spectra = rng.random((k, d)) ** 8
    spectra /= spectra.sum(axis=1, keepdims=True)
    return rng.poisson(rate * rng.dirichlet(np.full(k, 0.3), n) @ spectra).astype(dtype)


def rows_of(dense):
    """The rows of a matrix as the kernels have them, whatever its density."""
    csr = sparse.csr_array(dense)
    values = csr.data.astype(dense.dtype)
    return _emcore.SparseRows(dense.shape[1], csr.indptr.astype(np.int64), csr.indices.view(np.uint32), values)


def started(dense, k, loss, seed=1, **options):
    rng = np.random.default_rng(seed)
    start = {"W0": rng.random((len(dense), k)) + 0.1, "H0": rng.random((k, dense.shape[1])) + 0.1}
    return {"init": "custom", "solver": LOSSES[loss], "loss": loss, "max_iter": 30, "tol": 0, **start, **options}


@st.composite
def matrices(draw):
    n, d = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(PIXEL_TYPES))
    dense = rng.integers(1, 100, (n, d)) * (rng.random((n, d)) < draw(st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0])))
    dense[rng.random(n) < 0.1] = 0
    return dense.astype(dtype)


@given(matrices(), st.integers(1, 9), st.booleans())
def test_products_means_and_ranges_are_those_of_the_rows_in_full(dense, k, offset):
    rows, rng = rows_of(dense), np.random.default_rng(0)
    q, y = rng.random((dense.shape[1], k)), rng.random((len(dense), k))
    along = rng.random(dense.shape[1]) if offset else None
    for name, thin in (("x_q", q), ("xt_y", y), ("xt_x_q", q)):
        observed, expected = (getattr(_emcore, name)(x, thin, along) for x in (rows, dense))
        np.testing.assert_allclose(observed, expected, rtol=1e-5, atol=1e-5 * abs(expected).max())
    assert _emcore.value_range(rows) == _emcore.value_range(dense)
    assert _emcore.mean(rows) == _emcore.mean(dense)
    for observed, expected in zip(_emcore.moments(rows), _emcore.moments(dense), strict=True):
        np.testing.assert_allclose(observed, expected, rtol=1e-10, atol=1e-9)
    np.testing.assert_array_equal(rows.take(range(len(dense))), dense)


@given(matrices(), st.integers(1, 5), st.sampled_from(sorted(LOSSES)), st.booleans())
def test_factors_are_those_of_the_rows_in_full(dense, k, loss, weighted):
    assume(dense.any())
    weights = np.linspace(0.5, 2, dense.shape[1]) if weighted else None
    options = started(dense, k, loss, weights=weights)
    observed, expected = nmf(rows_of(dense), k, **options), nmf(dense, k, **options)
    assert observed.W.dtype == expected.W.dtype
    np.testing.assert_allclose(observed.W @ observed.H, expected.W @ expected.H, rtol=1e-3, atol=1e-4 * dense.max())
    scale = nmf_loss(dense, np.zeros_like(expected.W), expected.H, loss="frobenius")
    np.testing.assert_allclose(observed.loss, expected.loss, rtol=1e-4, atol=1e-6 * scale)
    maps = [nmf_maps(x, expected.H, loss=loss, weights=weights) for x in (rows_of(dense), dense)]
    np.testing.assert_allclose(*maps, rtol=1e-3, atol=1e-4 * dense.max() / max(expected.H.max(), 1e-3))


def test_factors_of_counts_are_the_same_to_the_last_bit():
    dense = counts()
    options = started(dense, 3, "kullback-leibler")
    observed, expected = nmf(rows_of(dense), 3, **options), nmf(dense, 3, **options)
    np.testing.assert_array_equal(observed.W, expected.W)
    np.testing.assert_array_equal(observed.H, expected.H)


@settings(max_examples=40)
@given(matrices(), st.integers(1, 6), st.booleans(), st.sampled_from(["auto", "exact", "randomized"]))
def test_components_are_those_of_the_rows_in_full(dense, k, center, solver):
    assume(len(dense) > 1 and k <= min(dense.shape))
    weights = np.linspace(0.5, 2, dense.shape[1])
    observed, expected = (
        pca(x, k, center=center, solver=solver, weights=weights) for x in (rows_of(dense), dense.astype("f8"))
    )
    total = expected.total_variance * max(len(dense) - 1, 1)
    np.testing.assert_allclose(observed.total_variance, expected.total_variance, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(observed.mean, expected.mean, rtol=1e-6, atol=1e-9)
    if solver != "randomized":
        variances = observed.singular_values**2, expected.singular_values**2
        np.testing.assert_allclose(*variances, rtol=1e-5, atol=1e-6 * total + 1e-9)


def test_a_large_mean_costs_sparse_rows_no_digits():
    dense = counts(dtype="f4")
    dense[:, 5] = 1e5 + np.arange(len(dense))
    observed, expected = (pca(x, 3, solver="randomized") for x in (rows_of(dense), dense))
    np.testing.assert_allclose(observed.singular_values, expected.singular_values, rtol=1e-5)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_taken_and_left_as_it_is(format):
    dense = counts()
    X = getattr(sparse, format)(dense)
    model, full = NMF(3, max_iter=20, tol=0), NMF(3, max_iter=20, tol=0)
    maps = model.fit_transform(X)
    np.testing.assert_allclose(maps @ model.components_, full.fit_transform(dense) @ full.components_, atol=1e-3)
    np.testing.assert_array_equal(X.toarray(), dense)
    assert PCA(3).fit_transform(X).shape == KMeans(3).fit_transform(X).shape == (300, 3)
    np.testing.assert_array_equal(KMeans(3).fit(X).labels_, KMeans(3).fit(dense).labels_)


def test_features_twice_unsorted_or_of_64_bits_are_put_right_in_a_copy():
    dense = counts(dtype="i8")
    exact = sparse.csr_matrix(dense)
    expected = NMF(2, max_iter=20, tol=0).fit_transform(exact)
    twice = sparse.coo_matrix(exact)
    data, row, column = np.repeat(twice.data, 2) / 2, np.repeat(twice.row, 2), np.repeat(twice.col, 2)
    order = np.lexsort((-column, row))
    starts = 2 * exact.indptr.astype(np.int64)
    X = sparse.csr_matrix((data[order], column[order], starts), shape=dense.shape)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    before = X.data.copy(), X.indices.copy(), X.indptr.copy()
    np.testing.assert_allclose(NMF(2, max_iter=20, tol=0).fit_transform(X), expected)
    for observed, former in zip((X.data, X.indices, X.indptr), before, strict=True):
        np.testing.assert_array_equal(observed, former)
    zeros = exact.copy()
    zeros.data[::3] = 0
    np.testing.assert_allclose(NMF(2).fit_transform(zeros), NMF(2).fit_transform(zeros.toarray()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [t.name for t in PIXEL_TYPES] + ["bool", "int8", "int64", "uint64"])
def test_the_type_of_the_result_is_that_of_the_rows_in_full(name):
    dense = counts().clip(0, 1).astype(name)
    for model in (NMF(2), PCA(2), KMeans(2)):
        observed, expected = (model.fit_transform(x) for x in (sparse.csr_array(dense), dense))
        assert observed.dtype == expected.dtype


@pytest.mark.parametrize("init", ["nndsvda", "nndsvd", "nndsvdar", "random", "spa"])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_start_leads_where_that_of_the_rows_in_full_does(init, loss):
    dense = counts(dtype="f8")
    if init == "nndsvd" and loss != "frobenius":
        return  # whose zeros a multiplicative update cannot leave
    options = {"solver": LOSSES[loss], "loss": loss, "init": init, "max_iter": 20, "tol": 0}
    observed, expected = nmf(rows_of(dense), 3, **options), nmf(dense, 3, **options)
    np.testing.assert_allclose(observed.loss, expected.loss, rtol=1e-4)


def test_batches_and_what_comes_after_a_fit_take_sparse_rows():
    dense = counts(dtype="f8")
    X = sparse.csr_array(dense)
    for model, other in ((NMF(3), NMF(3)), (PCA(3), PCA(3)), (KMeans(3), KMeans(3))):
        for part in (slice(0, 150), slice(150, 300)):
            model.partial_fit(X[part])
            other.partial_fit(dense[part])
        np.testing.assert_allclose(model.transform(X), other.transform(dense), rtol=1e-6, atol=1e-6)
    model = PCA(3).fit(X)
    np.testing.assert_allclose(model.score_samples(X), model.score_samples(dense))
    np.testing.assert_allclose(scores(X, pca(X, 3)), model.transform(X))
    model = NMF(3).fit(X)
    maps = model.transform(X)
    np.testing.assert_allclose(model.inverse_transform(sparse.csr_array(maps)), model.inverse_transform(maps))


@pytest.mark.parametrize(("loss", "solver"), [("frobenius", "cd"), ("frobenius", "mu"), ("kullback-leibler", "mu")])
def test_the_fit_is_that_of_scikit_learn(loss, solver):
    X = sparse.csr_matrix(counts(dtype="f8"))
    rng = np.random.default_rng(3)
    start = {"W": rng.random((300, 3)) + 0.1, "H": rng.random((3, 90)) + 0.1}
    settings = {"solver": solver, "beta_loss": loss, "init": "custom", "max_iter": 40, "tol": 0}
    other = sklearn.decomposition.NMF(3, **settings)
    there = other.fit_transform(X, **{name: value.copy() for name, value in start.items()}) @ other.components_
    here = nmf(X, 3, init="custom", solver=solver.replace("cd", "hals"), loss=loss, max_iter=40, tol=0,
               W0=start["W"], H0=start["H"])  # fmt: skip
    np.testing.assert_allclose(here.W @ here.H, there, rtol=1e-3, atol=1e-4 * there.max())


def test_components_are_those_of_scikit_learn():
    X = sparse.csr_matrix(counts(dtype="f8"))
    other = sklearn.decomposition.PCA(3, svd_solver="arpack", random_state=0).fit(X)
    model = PCA(3, svd_solver="full").fit(X)
    np.testing.assert_allclose(model.explained_variance_, other.explained_variance_)
    np.testing.assert_allclose(model.explained_variance_ratio_, other.explained_variance_ratio_)
    np.testing.assert_allclose(abs(model.transform(X)), abs(other.transform(X)), atol=1e-8)


def test_the_answer_is_the_same_on_one_two_and_three_threads():
    X = sparse.random_array((5000, 400), density=0.01, rng=np.random.default_rng(0), dtype=np.float32)

    def answers(threads):
        with emcore.num_threads(threads):
            factors = [nmf(X, 3, solver=solver, loss=loss, max_iter=15, tol=0) for loss, solver in LOSSES.items()]
            components = [pca(X, 3, solver=solver).components for solver in ("exact", "randomized")]
            return [*(f.W for f in factors), *(f.H for f in factors), *components]

    for threads in (2, 3):
        for one, more in zip(answers(1), answers(threads), strict=True):
            np.testing.assert_array_equal(one, more)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_loss_never_rises(loss):
    X = sparse.csr_array(counts(2000, 200, 4, dtype="f4"))
    options = {"solver": LOSSES[loss], "loss": loss, "tol": 0}
    losses = [nmf(X, 4, max_iter=i, **options).loss for i in range(1, 12)]
    assert (np.diff(losses) <= 1e-6 * losses[0]).all()


def bad(dense, where, value):
    X = sparse.csr_array(dense.astype("f8"))
    X.data[where] = value
    return X


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (bad(counts(), 7, np.nan), ValueError, "Input X contains NaN or infinity, first at"),
        (bad(counts(), 7, np.inf), ValueError, "Input X contains NaN or infinity, first at"),
        (bad(counts(), 7, -1), ValueError, "Negative values in data passed to X, first at"),
        (sparse.csr_array(counts() + 1j), TypeError, "complex numbers"),
        (sparse.csr_array((0, 5)), ValueError, "is empty"),
    ],
)
def test_bad_values_are_named(X, error, message):
    with pytest.raises(error, match=message):
        nmf(X, 2)
    if "Negative" in message:
        dense = X.toarray()
        row, column = np.argwhere(dense < 0)[0]
        with pytest.raises(ValueError, match=rf"\[{row}, {column}\]"):
            NMF(2).fit(X)
        PCA(2).fit(X)


def test_what_takes_no_sparse_matrix_says_so():
    X = sparse.csr_array(counts())
    assert all(model.__sklearn_tags__().input_tags.sparse for model in (NMF(), PCA(), KMeans()))
    assert not FuzzyCMeans(2).__sklearn_tags__().input_tags.sparse
    with pytest.raises(TypeError, match=r"dense data is required. Use '\.toarray\(\)'"):
        FuzzyCMeans(2).fit(X)
    with pytest.raises(TypeError, match="is a sparse matrix; give a dense array"):
        emcore.unmix(X)
    with pytest.raises(ValueError, match="saves no checkpoint"):
        NMF(2, checkpoint="fit.npz").fit(X)
    with pytest.raises(ValueError, match="features"):
        PCA(2).fit(X).transform(X[:, :5])


def test_a_matrix_that_is_hardly_sparse_is_read_in_full():
    dense = counts(rate=3000)
    assert isinstance(as_matrix(sparse.csr_array(dense)), np.ndarray)
    assert isinstance(as_matrix(sparse.csr_array(dense * (np.arange(90) < 9))), _emcore.SparseRows)


def test_features_that_are_none_are_refused():
    values, starts = np.ones(2, "f4"), np.array([0, 1, 2])
    for features in ([0, 9], [0, 2**32 - 1]):
        with pytest.raises(ValueError, match="row 1 are not ascending numbers below 5"):
            _emcore.SparseRows(5, starts, np.array(features, "u4"), values)
    X = sparse.csr_array((values, [0, 1], starts), shape=(2, 5))
    X.indices[1] = 7
    with pytest.raises(ValueError, match="indices must be < 5"):
        as_matrix(X)


# 4 GB in full; a process of its own, as the peak is one of a process.
CODE = """
import resource
import numpy as np
from scipy import sparse
import emcore
rng = np.random.default_rng(0)
n, d, stored = 200_000, 5_000, 500_000
X = sparse.csr_array((np.ones(stored, "f4"), (rng.integers(0, n, stored), rng.integers(0, d, stored))), shape=(n, d))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for model in (
    emcore.NMF(5, max_iter=2, tol=0),
    emcore.NMF(5, max_iter=2, tol=0, solver="mu", loss="kullback-leibler"),
    emcore.PCA(5),
):
    model.fit_transform(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.linux
def test_memory_is_of_the_order_of_what_is_stored():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 300_000  # KiB
