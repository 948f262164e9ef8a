"""Non-negative factors."""

import itertools
import multiprocessing
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import NMF as Reference
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import emcore
from emcore import NMF, _emcore
from emcore.methods.nmf.fit import nmf, nmf_maps
from emcore.methods.nmf.settings import Parameters, Penalty
from emcore.methods.preprocessing import Recipe, prepare

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

METHODS = [("hals", "frobenius"), ("mu", "frobenius"), ("mu", "kullback-leibler")]
TYPES = ["u1", "u2", "u4", "i2", "i4", "f4", "f8"]


def mixture(n=60, d=45, k=3, dtype="f8", seed=0, noise=1.0):
    """Counts of k spectra mixed with random weights."""
    rng = np.random.default_rng(seed)
    spectra = rng.gamma(0.6, size=(k, d)) * 12
    counts = rng.poisson(rng.gamma(0.7, size=(n, k)) @ spectra) if noise else rng.gamma(0.7, size=(n, k)) @ spectra
    return np.minimum(counts, 250).astype(dtype)


def start(X, k, seed=1, dtype="f8"):
    rng = np.random.default_rng(seed)
    return rng.random((X.shape[0], k)).astype(dtype), rng.random((k, X.shape[1])).astype(dtype)


def objective(X, W, H, loss, weights=1.0):
    X, model = X.astype("f8"), W.astype("f8") @ H.astype("f8")
    if loss == "frobenius":
        return float((weights * (X - model) ** 2).sum() / 2)
    logs = np.where(X > 0, X * np.log(np.where(X > 0, X, 1) / np.where(X > 0, model, 1)), 0)
    return float((weights * (logs - X + model)).sum())


@parametrize_with_checks(
    [
        NMF(),
        NMF(2, solver="mu"),
        NMF(2, solver="mu", loss="kullback-leibler"),
        NMF(1, init="spa"),
        NMF(3, init="random"),
        NMF(2, inner_sweeps=3),
    ]
)
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize(("solver", "loss"), METHODS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("penalty", [0.0, 0.05])
def test_iterates_equal_those_of_scikit_learn(solver, loss, dtype, penalty):
    X = mixture(dtype=dtype)
    real = "f8" if dtype == "f8" else "f4"
    W, H = start(X, 3, dtype=real)
    options = {"tol": 0, "alpha_W": penalty, "alpha_H": 2 * penalty, "l1_ratio": 0.3}
    for n_iter in (1, 2, 15):
        reference = Reference(
            3, solver="cd" if solver == "hals" else "mu", beta_loss=loss, init="custom", max_iter=n_iter, **options
        )
        w = reference.fit_transform(X.astype(real), W=W.copy(), H=H.copy())
        observed = nmf(X, 3, solver=solver, loss=loss, init="custom", W0=W, H0=H, max_iter=n_iter, **options)
        expected = objective(X, w, reference.components_, loss)
        assert objective(X, observed.W, observed.H, loss) == pytest.approx(expected, rel=1e-5)
        assert observed.loss == pytest.approx(expected, rel=1e-5)
        assert observed.n_iter == n_iter


@pytest.mark.parametrize(("solver", "loss"), METHODS)
def test_it_stops_where_scikit_learn_stops(solver, loss):
    X = mixture()
    W, H = start(X, 3)
    reference = Reference(3, solver="cd" if solver == "hals" else "mu", beta_loss=loss, init="custom", max_iter=2000)
    reference.fit_transform(X, W=W.copy(), H=H.copy())
    assert nmf(X, 3, solver=solver, loss=loss, init="custom", W0=W, H0=H, max_iter=2000).n_iter == reference.n_iter_


@pytest.mark.parametrize(("solver", "loss"), METHODS)
@pytest.mark.parametrize("init", ["nndsvda", "nndsvd", "random", "spa"])
def test_the_loss_never_rises(solver, loss, init):
    X = mixture(dtype="f4")
    losses = [nmf(X, 4, solver=solver, loss=loss, init=init, tol=0, max_iter=i).loss for i in (1, 2, 3, 5, 8, 20, 60)]
    assert all(b <= a * (1 + 1e-6) for a, b in itertools.pairwise(losses))


@pytest.mark.parametrize(("solver", "tol"), [("hals", 1e-4), ("mu", 1e-5)])
def test_more_sweeps_need_fewer_iterations_to_a_loss_that_is_no_worse(solver, tol):
    X = mixture(n=200, d=90, k=6, dtype="u1")
    options = {"solver": solver, "init": "random", "tol": tol, "max_iter": 5000}
    fits = [[nmf(X, 5, inner_sweeps=sweeps, random_state=i, **options) for i in range(3)] for sweeps in (1, 5)]
    once, often = (sum(fit.n_iter for fit in some) for some in fits)
    assert often < 0.6 * once
    assert all(b.loss < a.loss * (1 + 1e-5) for a, b in zip(*fits, strict=True))


@pytest.mark.parametrize("sweeps", [1, 4])
@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0, 0), (0.02, 0), (0.02, 0.7)])
def test_the_optimality_conditions_hold_at_convergence(alpha, l1_ratio, sweeps):
    X = mixture()
    n, d = X.shape
    W, H, _, _ = nmf(X, 3, tol=1e-10, max_iter=20000, alpha_W=alpha, l1_ratio=l1_ratio, inner_sweeps=sweeps)
    rest = W @ H - X
    slope_w = rest @ H.T + d * alpha * (l1_ratio + (1 - l1_ratio) * W)
    slope_h = W.T @ rest + n * alpha * (l1_ratio + (1 - l1_ratio) * H)
    assert np.abs(np.minimum(W / W.max(), slope_w / (X @ H.T).max())).max() < 1e-8
    assert np.abs(np.minimum(H / H.max(), slope_h / (W.T @ X).max())).max() < 1e-8


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TYPES), st.integers(1, 40), st.integers(1, 40), st.integers(1, 7), st.booleans(), st.integers(0, 99)
)
def test_maps_of_known_spectra_are_exact_minima(dtype, n, d, k, dependent, seed):
    X = mixture(n, d, 3, dtype, seed)
    H = np.random.default_rng(seed).random((k, d))
    if dependent and k > 2:
        H[-1] = H[0] + H[1]
    W = nmf_maps(X, H)
    slope = W.astype("f8") @ (H @ H.T) - X.astype("f8") @ H.T
    size = 1 + np.abs(X.astype("f8") @ H.T).max()
    tolerance = 1e-10 if dtype == "f8" else 1e-5
    assert (W >= 0).all()
    assert slope.min() >= -tolerance * size
    assert (W * np.abs(slope)).max() <= tolerance * size * (1 + W.max())


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
def test_penalties_count_in_maps_of_known_spectra(loss):
    X = mixture()
    H = np.random.default_rng(3).random((3, X.shape[1])) + 0.1
    W = nmf_maps(X, H, loss=loss, alpha_W=0.05, l1_ratio=0.4)
    rest = W @ H - X if loss == "frobenius" else 1 - X / (W @ H)
    slope = rest @ H.T + X.shape[1] * 0.05 * (0.4 + 0.6 * W)
    assert np.abs(np.minimum(W / W.max(), slope / (X @ H.T).max())).max() < 1e-7


@pytest.mark.parametrize("counts", [1, 30, 3000])
@pytest.mark.parametrize("weighted", [False, True])
def test_maps_of_known_spectra_are_the_most_likely_ones(counts, weighted):
    rng = np.random.default_rng(counts)
    H = rng.gamma(0.5, size=(5, 90)) + 1e-3
    H *= rng.random(H.shape) < 0.7
    X = rng.poisson(counts * (rng.dirichlet([0.3] * 5, 300) @ (H / H.sum(axis=1, keepdims=True)))).astype("f8")
    X[7] = 0
    weights = rng.random(90) + 0.5 if weighted else None
    W = nmf_maps(X, H, loss="kullback-leibler", weights=weights)
    assert not W[7].any()
    omega = np.ones(90) if weights is None else weights
    sums, whole = H @ omega, np.maximum(X @ omega, 1)
    ratio = np.divide(X, W @ H, out=np.zeros_like(X), where=X > 0)
    # A multiplicative update makes a row likelier if anything does.
    other = (W + 1e-5 * whole[:, None] / sums) * ((ratio * omega) @ H.T / sums)
    likeliest = objective(X, W, H, "kullback-leibler", omega)
    assert objective(X, other, H, "kullback-leibler", omega) > likeliest - 1e-9 * whole.sum()
    exact = nmf_maps(X, H, loss="kullback-leibler", weights=weights, tol=1e-12)
    assert (np.abs(exact - W) * sums / whole[:, None]).max() < 1e-6


def test_dependent_spectra_share_what_is_theirs_and_what_none_explains_is_left():
    rng = np.random.default_rng(0)
    H = rng.random((3, 40))
    H[2], H[:, 5] = H[0], 0
    X = rng.poisson(9 * rng.random((50, 3)) @ H).astype("u2")
    X[:, 5], X[3], X[3, 5] = 7, 0, 4
    W = nmf_maps(X, H, loss="kullback-leibler")
    assert not W[3].any()
    np.testing.assert_allclose(W[:, 0], W[:, 2], rtol=1e-3)
    alone = nmf_maps(np.delete(X, 5, axis=1), np.delete(H, 5, axis=1)[:2], loss="kullback-leibler")
    np.testing.assert_allclose(W[:, 0] + W[:, 2], alone[:, 0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(W[:, 1], alone[:, 1], rtol=1e-5, atol=1e-5)


def test_column_sums_of_the_model_are_those_of_the_counts():
    X = mixture(dtype="u2")
    W, H, _, _ = nmf(X, 3, solver="mu", loss="kullback-leibler", max_iter=7)
    np.testing.assert_allclose((W.astype("f8") @ H).sum(axis=0), X.sum(axis=0), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_separable_data_are_recovered_exactly_from_their_purest_rows(dtype):
    rng = np.random.default_rng(5)
    spectra = rng.random((4, 50))
    spectra /= spectra.sum(axis=1, keepdims=True)
    maps = rng.random((200, 4)) * 10
    maps[[7, 50, 120, 199]] = np.diag([3, 8, 5, 1])
    _, H, _, loss = nmf((maps @ spectra).astype(dtype), 4, init="spa")
    match = ((H[:, None] - spectra) ** 2).sum(axis=2).argmin(axis=1)
    assert sorted(match) == [0, 1, 2, 3]
    np.testing.assert_allclose(H, spectra[match], atol=1e-6 if dtype == "f4" else 1e-12)
    assert loss < 1e-6


def test_weights_stand_for_repeated_features():
    X = mixture()
    repeats = np.random.default_rng(2).integers(1, 4, X.shape[1])
    W, H = start(X, 3)
    for solver, loss in METHODS:
        options = {"solver": solver, "loss": loss, "init": "custom", "max_iter": 9, "tol": 0}
        long = nmf(np.repeat(X, repeats, axis=1), 3, W0=W, H0=np.repeat(H, repeats, axis=1), **options)
        short = nmf(X, 3, W0=W, H0=H, weights=repeats, **options)
        assert short.loss == pytest.approx(long.loss, rel=1e-9)
        np.testing.assert_allclose(np.repeat(short.H, repeats, axis=1), long.H, rtol=1e-6)
    for loss in ("frobenius", "kullback-leibler"):
        np.testing.assert_allclose(
            nmf_maps(X, H, weights=repeats, loss=loss),
            nmf_maps(np.repeat(X, repeats, axis=1), np.repeat(H, repeats, axis=1), loss=loss),
            rtol=1e-6,
            atol=1e-9,
        )


@pytest.mark.parametrize(("solver", "loss"), METHODS)
@pytest.mark.parametrize("factor", [2.0**-70, 2.0**-30, 2.0**30, 2.0**70])
def test_the_unit_of_the_data_does_not_matter(solver, loss, factor):
    X = mixture(dtype="f4")
    one = nmf(X, 3, solver=solver, loss=loss, max_iter=20)
    other = nmf(X * np.float32(factor), 3, solver=solver, loss=loss, max_iter=20)
    np.testing.assert_allclose(other.H, one.H, rtol=1e-2, atol=1e-4)
    np.testing.assert_allclose(other.W / factor, one.W, rtol=1e-2, atol=1e-4 * one.W.max())


@pytest.mark.parametrize("dtype", TYPES)
def test_components_are_in_canonical_order_and_scale(dtype):
    W, H, _, _ = nmf(mixture(dtype=dtype), 4)
    assert W.dtype == H.dtype == (np.float64 if dtype == "f8" else np.float32)
    np.testing.assert_allclose(H.sum(axis=1), 1, rtol=1e-6)
    energy = np.linalg.norm(W, axis=0) * np.linalg.norm(H, axis=1)
    assert (np.diff(energy) <= 0).all()


@pytest.mark.parametrize(("solver", "loss"), METHODS)
@pytest.mark.parametrize("init", ["nndsvda", "nndsvd", "random", "spa"])
def test_empty_rows_columns_and_data_give_finite_factors(solver, loss, init):
    X = mixture(30, 20, 2, "u1")
    X[3], X[:, 4] = 0, 0
    for data in (X, np.zeros_like(X), np.ones_like(X), X[:1], X[:, :1]):
        k = min(3, *data.shape)
        W, H, _, loss_reached = nmf(data, k, solver=solver, loss=loss, init=init)
        assert np.isfinite(W).all()
        assert np.isfinite(H).all()
        assert np.isfinite(loss_reached)
        assert np.isfinite(nmf_maps(data, H, loss=loss)).all()


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(TYPES),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 12),
    st.sampled_from(METHODS),
    st.sampled_from(["nndsvda", "nndsvd", "random", "spa"]),
)
def test_every_shape_and_type_gives_finite_factors_that_fit_no_worse_than_nothing(dtype, n, d, k, method, init):
    X = mixture(n, d, 2, dtype, seed=n * d)
    k = min(k, n, d)
    W, H, _, loss = nmf(X, k, solver=method[0], loss=method[1], init=init, max_iter=10)
    assert W.shape == (n, k)
    assert H.shape == (k, d)
    assert min(W.min(), H.min()) >= 0
    assert loss == pytest.approx(objective(X, W, H, method[1]), rel=1e-4, abs=1e-3)
    assert method[1] != "frobenius" or loss <= (X.astype("f8") ** 2).sum() / 2 * (1 + 1e-6) + 1e-6


def test_strided_and_mapped_data_give_the_same_bits(tmp_path):
    X = mixture(80, 61, dtype="u2")
    expected = nmf(X, 3)
    big = np.zeros((160, 122), "u2")
    big[::2, ::2] = X
    mapped = np.memmap(tmp_path / "x", "u2", "w+", shape=X.shape)
    mapped[:] = X
    before = X.copy()
    for other in (big[::2, ::2], np.asfortranarray(X), X[::-1][::-1], mapped, X.astype(">u2")):
        observed = nmf(other, 3)
        assert all(np.array_equal(a, b) for a, b in zip(observed, expected, strict=True))
    assert np.array_equal(X, before)


def bits(X, method, init="nndsvda"):
    factors = nmf(X, 3, solver=method[0], loss=method[1], init=init, max_iter=15)
    maps = nmf_maps(X, factors.H, loss=method[1])
    return b"".join(np.ascontiguousarray(a).tobytes() for a in (*factors, maps))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("init", ["nndsvda", "random", "spa"])
def test_bits_are_the_same_on_one_two_and_three_threads(method, init):
    X = mixture(700, 80, dtype="u1")
    observed = []
    for threads in (1, 2, 3):
        with emcore.num_threads(threads):
            observed.append(bits(X, method, init))
    assert observed[0] == observed[1] == observed[2]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_it_works_after_a_fork_and_from_four_threads():
    X = mixture(300, 40, dtype="f4")
    expected = bits(X, METHODS[0])
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(bits, (X, METHODS[0])) == expected
    observed = []
    threads = [threading.Thread(target=lambda: observed.append(bits(X, METHODS[0]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert observed == [expected] * 4


@pytest.mark.parametrize(("solver", "loss"), METHODS)
@pytest.mark.posix
def test_control_c_ends_it_and_the_next_call_works(solver, loss):
    code = f"""
import numpy as np, time
from emcore.methods.nmf.fit import nmf
X = np.random.default_rng(0).integers(0, 99, (3000, 3000), dtype="u1")
W, H = np.ones((3000, 4)), np.random.default_rng(0).random((4, 3000))
print("ready", flush=True)
try:
    nmf(X, 4, solver={solver!r}, loss={loss!r}, init="custom", W0=W, H0=H, max_iter=10**6, tol=0)
except KeyboardInterrupt:
    print(time.time(), flush=True)
print(nmf(X[:50], 2).H.shape)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.7)
    sent = time.time()
    process.send_signal(signal.SIGINT)
    ended, shape = process.communicate(timeout=60)[0].splitlines()
    assert float(ended) - sent < 2  # 0.3 s on a machine that does nothing else
    assert shape == "(2, 3000)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": [[1.0, -2.0]]}, r"Negative values in data passed to X, first at \[0, 1\]"),
        ({"X": [[1.0, np.nan]]}, r"first at \[0, 1\]"),
        ({"X": np.zeros((0, 3))}, "empty"),
        ({"X": np.full((4, 4), 1e30)}, "choose a unit"),
        ({"n_components": 7}, "n_components=7.*between 1 and 4"),
        ({"n_components": 9, "init": "spa"}, "n_components=9.*between 1 and 6"),
        ({"n_components": 0}, "at least 1|between 1"),
        ({"solver": "hal"}, "did you mean 'hals'"),
        ({"loss": "kullback"}, "did you mean 'kullback-leibler'"),
        ({"loss": "kullback-leibler"}, "use solver='mu'"),
        ({"init": "nndsvd_a"}, "did you mean 'nndsvda'"),
        ({"alpha_W": -1}, "alpha_W"),
        ({"alpha_H": "some"}, "alpha_H"),
        ({"l1_ratio": 2}, "l1_ratio"),
        ({"tol": -1}, "tol"),
        ({"max_iter": 0}, "max_iter"),
        ({"inner_sweeps": 0}, "inner_sweeps=0.*between 1 and 100"),
        ({"inner_sweeps": 2, "solver": "mu", "loss": "kullback-leibler"}, "inner_sweeps=2 is for loss='frobenius'"),
        ({"init": "custom"}, "H0 is missing"),
        ({"W0": np.ones((6, 2))}, "init='custom' only"),
        ({"init": "custom", "W0": np.ones((6, 2)), "H0": np.ones((2, 3))}, r"H0 has shape \(2, 3\).*\(2, 4\)"),
        ({"init": "custom", "W0": -np.ones((6, 2)), "H0": np.ones((2, 4))}, "W0"),
        ({"weights": [1, 2]}, "one for each of the 4 features"),
        ({"weights": [1, 2, 0, 1]}, r"weights\[2\] is not positive"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"X": np.ones((6, 4)), "n_components": 2} | change
    with pytest.raises(ValueError, match=message):
        nmf(**arguments)


def settings_of(**change):
    none = Penalty()
    return Parameters(
        **{
            "solver": "mu",
            "loss": "frobenius",
            "inner_sweeps": 1,
            "max_iter": 2,
            "tol": 0.0,
            "on_w": none,
            "on_h": none,
        }
        | change
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"solver": "cd"}, 'solver: "cd" is not known; give one of "hals", "mu"'),
        ({"loss": "l1"}, 'loss: "l1" is not known; give one of "frobenius", "kullback-leibler"'),
        ({"solver": "hals", "loss": "kullback-leibler"}, "solver: 'hals' minimises the 'frobenius' loss only"),
        ({"inner_sweeps": 0}, "inner_sweeps: 0"),
        ({"max_iter": 0}, "max_iter: 0"),
    ],
)
def test_the_kernel_refuses_settings_it_does_not_know(change, message):
    X, W, H = np.ones((6, 4), "f4"), np.ones((6, 2), "f4"), np.ones((2, 4))
    parameters = settings_of(**change)
    for call in (
        lambda: _emcore.nmf(X, W, H, parameters, None),
        lambda: _emcore.nmf_visit(X, W, H, parameters, None, True, 1.0),
        lambda: _emcore.nmf_out_of_core(object(), X.shape, W, H, parameters, None, None),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
@pytest.mark.parametrize("wrong", ["w", "h", "no h", "weights", "zero weight"])
def test_the_kernel_names_lengths_that_do_not_fit(wrong, loss):
    X, W, H = (
        np.ones((6, 4), "f4"),
        np.ones((5 if wrong == "w" else 6, 2), "f4"),
        np.ones((2, 5 if wrong == "h" else 4)),
    )
    weights = {"weights": np.ones(3), "zero weight": np.zeros(4)}.get(wrong)
    H = H[:0] if wrong == "no h" else H
    named = {"w": "W and H", "h": "H", "no h": "H"}.get(wrong, "weights")
    parameters, options = settings_of(loss=loss), {"loss": loss, "weights": weights}
    for call in (
        lambda: _emcore.nmf(X, W, H, parameters, weights),
        lambda: _emcore.nmf_visit(X, W, H, parameters, weights, True, 1.0),
        lambda: _emcore.nmf_loss(X, W, H, **options),
        lambda: _emcore.nmf_maps(X, W, H, max_iter=2, tol=0.0, penalty=Penalty(), **options),
    ):
        with pytest.raises(ValueError, match=f"^{named}: "):
            call()


class Passes:
    """A visit of ones, of which some sums have a wrong length."""

    def __init__(self, wrong=None):
        self.wrong, self.saved = wrong, []

    def mean(self):
        return 1.0

    def loss(self, h, mean):
        return 1.0

    def visit(self, h, first, mean):
        sums = [np.ones(h.size), np.ones(4), np.ones(4 * first), np.ones(3)]
        if self.wrong is not None:
            sums[self.wrong] = np.ones(2)
        return tuple(sums)

    def save(self, h, state):
        self.saved.append((h, state))


def test_the_driver_names_sums_and_factors_that_do_not_fit():
    H, parameters = np.ones((2, 4)), settings_of()
    for wrong in (0, 1, 2):
        with pytest.raises(ValueError, match=r"^partial: a visit gave"):
            _emcore.nmf_out_of_core(Passes(wrong), (6, 4), np.ones((6, 2), "f4"), H, parameters, None, None)
    with pytest.raises(ValueError, match=r"^W and H: "):
        _emcore.nmf_out_of_core(Passes(), (6, 4), np.ones((5, 2), "f4"), H, parameters, None, None)
    state = {"n_iter": 1, "converged": False, "loss": 0.0}
    with pytest.raises(ValueError, match="'norm' is missing"):
        _emcore.nmf_out_of_core(Passes(), (6, 4), np.ones((6, 2), "f4"), H, parameters, None, state)
    failing = Passes()
    failing.visit = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        _emcore.nmf_out_of_core(failing, (6, 4), np.ones((6, 2), "f4"), H, parameters, None, None)


def test_pure_rows_name_lengths_that_do_not_fit():
    X = np.ones((6, 4), "f4")
    for state, newest, weights in ((11, None, None), (12, 3, None), (12, None, 3)):
        with pytest.raises(ValueError, match=r"^(state and newest|weights): "):
            _emcore.pure_rows_visit(X, np.zeros(state), newest and np.ones(newest), weights and np.ones(weights))
    with pytest.raises(ValueError, match=r"^weights: "):
        _emcore.pure_rows(X, 2, np.ones(5))


def test_maps_need_spectra_of_as_many_features():
    with pytest.raises(ValueError, match="H has 3 features and X has 4"):
        nmf_maps(np.ones((2, 4)), np.ones((1, 3)))


def test_the_estimator_means_what_scikit_learn_means():
    X = mixture(dtype="u2")
    model = NMF(3, max_iter=500)
    W = model.fit_transform(X)
    assert model.reconstruction_err_ == pytest.approx(np.linalg.norm(X - W.astype("f8") @ model.components_), rel=1e-5)
    np.testing.assert_allclose(model.inverse_transform(W), W @ model.components_)
    np.testing.assert_allclose(model.transform(X), W, atol=0.02 * W.max())
    assert list(model.get_feature_names_out()) == ["nmf0", "nmf1", "nmf2"]
    W0, H0 = start(X, 3)
    custom = NMF(3, init="custom", max_iter=500, tol=1e-6).fit(X, W=W0, H=H0)
    assert custom.reconstruction_err_ == pytest.approx(model.reconstruction_err_, rel=0.02)


def test_the_estimator_says_when_it_did_not_converge():
    with pytest.warns(ConvergenceWarning, match="Maximum number of iterations 2 reached"):
        NMF(3, max_iter=2).fit(mixture())


def test_prepared_rows_have_the_factors_of_what_they_stand_for():
    data = np.random.default_rng(0).poisson(4, (80, 30)).astype(np.uint16)
    prepared = prepare(Recipe(data, normalize="root-sum", scale=np.linspace(0.5, 2, 30)))
    for init in ("nndsvda", "random", "spa"):
        for observed, expected in zip(
            nmf(prepared, 3, init=init), nmf(np.asarray(prepared), 3, init=init), strict=True
        ):
            np.testing.assert_allclose(observed, expected, rtol=1e-4, atol=1e-6)
    H = np.random.default_rng(1).random((3, 30))
    np.testing.assert_allclose(nmf_maps(prepared, H), nmf_maps(np.asarray(prepared), H), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="negative"):
        nmf(prepare(Recipe(data, offset=np.full(30, 9.0))), 2)


def test_names_of_scikit_learn_mean_the_same():
    X = np.random.default_rng(0).poisson(3.0, (40, 12)).astype(float)
    expected = emcore.NMF(3, max_iter=30, tol=0).fit(X).components_
    for same in ({"solver": "cd"}, {"beta_loss": "frobenius"}, {"beta_loss": 2}, {"init": None}, {"verbose": 0}):
        assert np.array_equal(emcore.NMF(3, max_iter=30, tol=0, **same).fit(X).components_, expected), same
    likely = emcore.NMF(3, solver="mu", loss="kullback-leibler", max_iter=30, tol=0).fit(X).components_
    for name in ("kullback-leibler", 1):
        again = emcore.NMF(3, solver="mu", beta_loss=name, max_iter=30, tol=0).fit(X).components_
        assert np.array_equal(again, likely)
    with pytest.raises(ValueError, match="are two: give one"):
        emcore.NMF(3, solver="mu", loss="kullback-leibler", beta_loss="frobenius").fit(X)
    with pytest.raises(ValueError, match="did you mean"):
        emcore.NMF(3, beta_loss="frobeniuss").fit(X)
    assert emcore.NMF("auto", max_iter=5, tol=0).fit(X).n_components_ == 12
    assert emcore.NMF("auto", init="custom", max_iter=5, tol=0).fit(X, H=expected).n_components_ == 3
    assert emcore.NMF(50, init=None, random_state=0, max_iter=5, tol=0).fit(X).n_components_ == 50


def test_verbose_says_how_it_ended(capsys):
    model = emcore.NMF(2, max_iter=30, tol=0, verbose=1).fit(np.random.default_rng(0).random((20, 8)))
    assert capsys.readouterr().out == f"NMF: 30 iterations, reconstruction error {model.reconstruction_err_:.6g}\n"


def test_nndsvdar_fills_zeros_with_small_numbers_that_a_seed_repeats():
    X = np.random.default_rng(0).poisson(3.0, (60, 15)).astype(float)
    runs = [nmf(X, 4, init="nndsvdar", random_state=seed, solver="mu", max_iter=400, tol=0) for seed in (0, 0, 1)]
    assert np.array_equal(runs[0].H, runs[1].H)
    assert not np.array_equal(runs[0].H, runs[2].H)
    expected = nmf(X, 4, init="nndsvda", solver="mu", max_iter=400, tol=0).loss
    assert runs[0].loss == pytest.approx(expected, rel=0.02)


def test_it_starts_from_spectra_alone():
    rng = np.random.default_rng(3)
    W, H = rng.random((50, 3)), rng.random((3, 9))
    found = nmf(W @ H, init="custom", H0=H, max_iter=300, tol=0)
    assert found.H.shape == (3, 9)
    assert found.loss < 1e-4
    with pytest.raises(ValueError, match="H0 is missing"):
        nmf(W @ H, 3, init="custom", W0=W)
