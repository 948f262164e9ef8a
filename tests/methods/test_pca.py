"""Principal components are those of scikit-learn, from any pixel type, on any number of threads."""

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn.decomposition
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

import emcore
from emcore.methods.pca.fit import pca, scores
from emcore.methods.pca.together import Merged, pca_together
from emcore.outofcore.sources import Preparation, Source
from emcore.outofcore.stored import Stored

PIXELS = ["u1", "u2", "u4", "i2", "i4", "f4", "f8"]
SHAPES = [(150, 80), (80, 150)]


def data(n, d, dtype="f8", rank=5, seed=0):
    """A few strong components of distinct strength on noise, all positive."""
    rng = np.random.default_rng(seed)
    strong = rng.random((n, rank)) * 60 * 0.7 ** np.arange(rank) @ rng.random((rank, d))
    return (strong + 3 * rng.standard_normal((n, d)) + 20).clip(0).astype(dtype)


def svd(X, center=True, weights=1.0):
    """Singular values and signed right singular vectors in float64."""
    A = X.astype(np.float64)
    _, s, v = np.linalg.svd((A - A.mean(axis=0) * center) * weights, full_matrices=False)
    return s, v * np.sign(v[np.arange(len(v)), np.abs(v).argmax(axis=1)])[:, None]


@parametrize_with_checks([emcore.PCA(), emcore.PCA(center=False), emcore.PCA(1, svd_solver="randomized")])
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("dtype", PIXELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_estimator_agrees_with_scikit_learn_s_full_solver(shape, dtype):
    X = data(*shape, dtype)
    ours = emcore.PCA(5, svd_solver="full").fit(X)
    theirs = sklearn.decomposition.PCA(5, svd_solver="full").fit(X.astype(np.float64))
    tol = 1e-10 if dtype == "f8" or shape[0] > shape[1] else 1e-5  # a tall matrix never leaves float64
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=tol, atol=tol, err_msg=name)
    assert ours.noise_variance_ == pytest.approx(theirs.noise_variance_, rel=1e-9)
    assert (ours.n_components_, ours.n_samples_) == (theirs.n_components_, theirs.n_samples_)
    tol = 1e-10 if dtype == "f8" else 1e-5
    expected = theirs.transform(X.astype(np.float64))
    np.testing.assert_allclose(ours.transform(X), expected, atol=tol * np.abs(expected).max())
    np.testing.assert_allclose(ours.inverse_transform(expected), theirs.inverse_transform(expected), rtol=1e-5)


@pytest.mark.parametrize("dtype", PIXELS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_randomised_solver_agrees_with_the_singular_value_decomposition(shape, dtype, center, weighted):
    X = data(*shape, dtype)
    weights = np.random.default_rng(1).random(shape[1]) + 0.5 if weighted else None
    observed = pca(X, 5, center=center, weights=weights, solver="randomized")
    assert observed.solver == "randomized"
    s, v = svd(X, center, 1.0 if weights is None else weights)
    np.testing.assert_allclose(observed.singular_values, s[:5], rtol=1e-5)
    np.testing.assert_allclose(observed.components, v[:5], atol=1e-4)
    np.testing.assert_allclose(observed.explained_variance_ratio, s[:5] ** 2 / (s**2).sum(), rtol=1e-5)
    assert observed.total_variance == pytest.approx((s**2).sum() / (shape[0] - 1), rel=1e-10)


@pytest.mark.parametrize("spectrum", ["power law", "steps", "many equal", "noise below"])
def test_the_randomised_solver_is_at_least_as_close_as_scikit_learn_s(spectrum):
    rng = np.random.default_rng(3)
    j = np.arange(1.0, 301)
    strength = {
        "power law": 1 / j,
        "steps": np.where(j <= 20, 10.0, 0.1),
        "many equal": np.ones(300),
        "noise below": np.where(j <= 6, 30.0 / j, 0) + 1.0,
    }[spectrum]
    u, v = (np.linalg.qr(rng.standard_normal((n, 300)))[0] for n in (700, 600))
    X = (u * strength) @ v.T
    exact = np.linalg.svd(X, compute_uv=False)[:12]
    ours = pca(X, 12, center=False, solver="randomized").singular_values
    theirs = sklearn.utils.extmath.randomized_svd(X, 12, n_iter=7, random_state=0)[1]
    np.testing.assert_array_less(ours, exact * (1 + 1e-9))
    assert (exact - ours).max() <= max((exact - theirs).max(), 1e-8 * exact[0])


def test_components_above_the_noise_are_exact_even_when_others_in_it_are_asked_for():
    X = data(1500, 1200, rank=3)
    observed = pca(X, 12, solver="randomized")
    s, v = svd(X)
    np.testing.assert_allclose(observed.singular_values[:3], s[:3], rtol=1e-8)
    np.testing.assert_allclose(observed.components[:3], v[:3], atol=1e-4)
    np.testing.assert_allclose(observed.singular_values, s[:12], rtol=0.03)


@pytest.mark.parametrize("solver", ["exact", "randomized"])
@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_a_large_offset_costs_no_digits(solver, dtype):
    X = (30000 + data(600, 500) / 40).round(3).astype(dtype)
    for center in (True, False):
        s, v = svd(X, center)
        observed = pca(X, 4, solver=solver, center=center)
        # Without centring the first eigenvalue is 1e11 times the fourth: float64 has 16 digits.
        np.testing.assert_allclose(observed.singular_values, s[:4], rtol=1e-5 if center else 1e-4)
        np.testing.assert_allclose(observed.components, v[:4], atol=1e-2)
        projected = scores(X, observed)
        expected = (X.astype(np.float64) - X.mean(axis=0, dtype=np.float64) * center) @ observed.components.T
        np.testing.assert_allclose(projected, expected, atol=1e-5 * np.abs(expected).max(axis=0).min())


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 40),
    d=st.integers(1, 40),
    dtype=st.sampled_from(PIXELS),
    solver=st.sampled_from(["auto", "exact", "randomized"]),
    center=st.booleans(),
    rank=st.integers(0, 4),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_components_are_orthonormal_and_explain_what_they_claim(n, d, dtype, solver, center, rank, share, seed):
    rng = np.random.default_rng(seed)
    X = (rng.integers(0, 5, (n, rank)) @ rng.integers(0, 5, (rank, d))).astype(dtype)
    k = max(1, round(share * min(n, d)))
    observed = pca(X, k, solver=solver, center=center)
    np.testing.assert_allclose(observed.components @ observed.components.T, np.eye(k), atol=1e-10)
    assert (observed.components[np.arange(k), np.abs(observed.components).argmax(axis=1)] > 0).all()
    s = svd(X, center)[0]
    np.testing.assert_allclose(observed.singular_values, s[:k], atol=1e-5 * s[0] + 1e-12)
    assert observed.explained_variance_ratio.sum() <= 1 + 1e-6
    assert np.isfinite(observed.explained_variance_ratio).all()
    norms = np.linalg.norm(scores(X, observed), axis=0)
    np.testing.assert_allclose(norms, observed.singular_values, atol=1e-5 * s[0] + 1e-12)


def test_all_components_restore_the_data():
    X = data(30, 20)
    model = emcore.PCA().fit(X)
    assert model.explained_variance_ratio_.sum() == pytest.approx(1)
    assert model.noise_variance_ == 0
    np.testing.assert_allclose(model.inverse_transform(model.fit_transform(X)), X, atol=1e-10)


def test_a_share_of_the_variance_chooses_as_many_components_as_scikit_learn():
    X = data(60, 40)
    for share in (0.5, 0.9, 0.999):
        theirs = sklearn.decomposition.PCA(share, svd_solver="full").fit(X)
        assert emcore.PCA(share).fit(X).n_components_ == theirs.n_components_


@pytest.mark.parametrize("solver", ["exact", "randomized"])
def test_constant_data_have_no_variance_and_no_nan(solver):
    observed = pca(np.full((40, 30), 7, np.uint16), 3, solver=solver)
    assert not observed.singular_values.any()
    assert not observed.explained_variance_ratio.any()
    assert observed.total_variance == 0
    np.testing.assert_allclose(observed.components @ observed.components.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("solver", ["exact", "randomized"])
@pytest.mark.parametrize("factor", [1e-30, 1e-12, 1e12, 1e30])
def test_the_unit_of_the_data_changes_nothing_but_the_scale(solver, factor):
    X = data(60, 70, "f4")
    observed, scaled = pca(X, 3, solver=solver), pca(X * np.float32(factor), 3, solver=solver)
    np.testing.assert_allclose(scaled.singular_values, observed.singular_values * factor, rtol=1e-5)
    np.testing.assert_allclose(scaled.components, observed.components, atol=1e-4)


@pytest.mark.parametrize("solver", ["exact", "randomized"])
def test_the_order_of_the_rows_does_not_matter(solver):
    X = data(300, 100, "u2")
    observed, turned = pca(X, 4, solver=solver), pca(X[::-1], 4, solver=solver)
    np.testing.assert_allclose(turned.singular_values, observed.singular_values, rtol=1e-7)
    np.testing.assert_allclose(turned.components, observed.components, atol=1e-5)


@pytest.mark.parametrize("solver", ["exact", "randomized"])
def test_strides_and_memory_maps_do_not_matter(solver, tmp_path):
    X = data(90, 80, "i2")
    expected = pca(X, 3, solver=solver).components
    wide = np.zeros((180, 240), "i2")
    wide[::2, ::3] = X
    np.save(tmp_path / "x.npy", X)
    for same in (np.asfortranarray(X), wide[::2, ::3], np.load(tmp_path / "x.npy", mmap_mode="r")):
        assert np.array_equal(pca(same, 3, solver=solver).components, expected)


def test_the_input_is_not_changed():
    X = data(90, 80, "f4")
    before = X.copy()
    emcore.PCA(3, svd_solver="randomized").fit_transform(X)
    assert np.array_equal(X, before)


@pytest.mark.parametrize("solver", ["exact", "randomized"])
@pytest.mark.parametrize("shape", [(1500, 300), (300, 1500)])
def test_results_are_the_same_to_the_last_bit_on_any_number_of_threads(solver, shape):
    X = data(*shape, "u1")
    results = []
    for threads in (1, 2, 3):
        with emcore.num_threads(threads):
            observed = pca(X, 6, solver=solver)
            results.append(
                b"".join(a.tobytes() for a in (observed.components, observed.singular_values, scores(X, observed)))
            )
    assert len(set(results)) == 1


def test_four_python_threads_at_once_get_the_same_result():
    X = data(500, 300, "u2")
    alone = pca(X, 4, solver="randomized").components
    with ThreadPoolExecutor(4) as threads:
        for observed in threads.map(lambda _: pca(X, 4, solver="randomized").components, range(8)):
            assert np.array_equal(observed, alone)


def run(code):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )


@pytest.mark.posix
@pytest.mark.parametrize("solver", ["exact", "randomized"])
def test_ctrl_c_ends_a_call_and_the_next_one_works(solver):
    done = run(f"""
        import os, signal, threading, time, numpy as np
        from emcore.methods.pca.fit import pca
        X = np.random.default_rng(0).random((6000, 5000), np.float32)
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            while True:
                pca(X, 300, solver={solver!r})
        except KeyboardInterrupt:
            pass
        print(pca(X[:50, :40], 2).components.shape)
        os._exit(0)
        """)
    assert done.stdout.strip().endswith("(2, 40)"), done.stderr


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda X: pca(X, 21), ValueError, "n_components=21.*between 1 and 20"),
        (lambda X: pca(X, 0), ValueError, "n_components=0"),
        (lambda X: pca(X, 2.5), TypeError, "n_components"),
        (lambda X: pca(X, 2, solver="exakt"), ValueError, "did you mean 'exact'"),
        (lambda X: pca(X, 2, weights=np.ones(3)), ValueError, "weights has shape"),
        (lambda X: pca(X, 2, weights=-np.ones(20)), ValueError, "weights"),
        (lambda X: pca(X[:1], 1), ValueError, "1 sample"),
        (lambda X: pca(X[0], 1), ValueError, "2-D"),
        (lambda X: pca(X[:0], 1), ValueError, "empty"),
        (lambda X: pca(X * 1j, 1), TypeError, "complex"),
        (lambda X: pca(X * 1e300, 1), ValueError, "too large"),
        (lambda X: pca(np.where(X[3, 7] == X, np.nan, X), 1), ValueError, r"first at \[3, 7\]"),
        (lambda X: emcore.PCA(1.5).fit(X), ValueError, "between 0 and 1"),
        (lambda X: emcore.PCA("mlf").fit(X), ValueError, "did you mean 'mle'"),
        (lambda X: emcore.PCA("mle").fit(X[:3]), ValueError, "at least as many rows as features"),
        (lambda X: emcore.PCA(2, svd_solver="ful").fit(X), ValueError, "did you mean 'full'"),
        (lambda X: emcore.PCA(2, svd_solver="exact").fit(X), ValueError, "svd_solver"),
    ],
)
def test_bad_requests_are_refused_with_a_reason(call, error, message):
    with pytest.raises(error, match=message):
        call(data(30, 20))


@pytest.mark.parametrize("rank", [5, 40])
@pytest.mark.parametrize("memory", ["16 MiB", "2 GiB"])
def test_parts_and_all_of_them_together_are_decomposed_in_the_passes_of_one(rank, memory, monkeypatch, passes):
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", 1 << 20)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, rank)) * 0.7 ** np.arange(rank) @ rng.normal(size=(rank, 900))
    x = (x - x.mean(axis=0)).astype(np.float32)
    parts, plain = (slice(0, 700), slice(700, 900)), Preparation(None, "none", None, None)
    matrices = [x, *(np.ascontiguousarray(x[:, part]) for part in parts)]
    wanted = [
        Merged(which, matrix.mean(axis=0, dtype=float), matrix.var(axis=0, dtype=float) * 1200, 8)
        for which, matrix in zip(((0, 1), (0,), (1,)), matrices, strict=True)
    ]
    source = Source([Stored(each) for each in matrices[1:]])
    source.budget = memory
    found, scored, made = pca_together(source, [plain, plain], np.ones(1200, dtype=bool), wanted, 0)
    assert len(passes) == made
    assert made == 2 if memory == "2 GiB" else made > 2
    for ours, places, matrix in zip(found, scored, matrices, strict=True):
        theirs = pca(matrix, 8)
        small = 1e-5 * theirs.singular_values[0]
        np.testing.assert_allclose(ours.singular_values, theirs.singular_values, rtol=1e-4, atol=small)
        np.testing.assert_allclose(np.abs(places[:, :4]), np.abs(scores(matrix, theirs)[:, :4]), atol=100 * small)


@pytest.mark.parametrize(("k", "whiten"), [(3, False), (3, True), (8, True), (8, False), (0.9, True), ("mle", False)])
def test_whitening_covariance_and_likelihood_are_those_of_scikit_learn(k, whiten):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 8)) * 3 + rng.normal(size=(200, 8))
    new = rng.normal(size=(7, 8))
    reference = sklearn.decomposition.PCA
    ours, theirs = (each(k, whiten=whiten, svd_solver="full").fit(X) for each in (emcore.PCA, reference))
    assert ours.n_components_ == theirs.n_components_
    signs = np.sign((ours.components_ * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(ours.transform(new), theirs.transform(new) * signs, atol=1e-9)
    back, expected = (each.inverse_transform(each.transform(new)) for each in (ours, theirs))
    np.testing.assert_allclose(back, expected, atol=1e-9)
    # Which is that of the data, whitened or not; scikit-learn's changes.
    theirs = reference(k, svd_solver="full").fit(X)
    np.testing.assert_allclose(ours.get_covariance(), theirs.get_covariance(), atol=1e-9)
    np.testing.assert_allclose(ours.get_precision(), theirs.get_precision(), atol=1e-7)
    np.testing.assert_allclose(ours.score_samples(new), theirs.score_samples(new), rtol=1e-8)
    assert ours.score(X) == pytest.approx(theirs.score(X))
    if whiten:
        np.testing.assert_allclose(ours.fit_transform(X).var(axis=0, ddof=1), 1)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(7, 12), st.integers(13, 300))
def test_the_most_probable_number_is_that_of_scikit_learn(seed, rank, d, n):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d)) * 2 + 0.3 * rng.normal(size=(n, d))
    expected = sklearn.decomposition.PCA("mle", svd_solver="full").fit(X).n_components_
    assert emcore.PCA("mle").fit(X).n_components_ == expected
