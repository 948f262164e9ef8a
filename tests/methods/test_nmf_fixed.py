"""Non-negative factors of which some spectra are known."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.decomposition import non_negative_factorization

from emcore import NMF
from emcore.methods.nmf.fit import nmf, nmf_loss

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

METHODS = [("hals", "frobenius"), ("mu", "frobenius"), ("mu", "kullback-leibler")]
INITS = ["nndsvda", "nndsvd", "nndsvdar", "random", "spa"]


def mixture(n=80, d=45, k=3, dtype="f8", seed=0):
    """Counts, and the spectra that they are mixed from."""
    rng = np.random.default_rng(seed)
    spectra = rng.gamma(0.4, size=(k, d)) + 0.01
    counts = rng.poisson(40 * rng.gamma(0.7, size=(n, k)) @ spectra)
    return np.minimum(counts, 250).astype(dtype), spectra


def angle(a, b):
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def test_with_all_spectra_fixed_the_maps_are_those_of_least_squares_row_by_row():
    X, spectra = mixture()
    model = NMF(3, fixed_components=spectra)
    maps = model.fit_transform(X)
    np.testing.assert_allclose(maps, [nnls(spectra.T, row)[0] for row in X], rtol=1e-9, atol=1e-9)
    assert (model.components_ == spectra).all()
    assert model.n_iter_ == 0
    np.testing.assert_allclose(model.reconstruction_err_, np.linalg.norm(X - maps @ spectra))


def test_with_all_spectra_fixed_the_maps_of_counts_are_those_of_scikit_learn():
    X, spectra = mixture()
    kullback = {"solver": "mu", "beta_loss": "kullback-leibler"}
    maps = NMF(3, fixed_components=spectra, tol=1e-8, **kullback).fit_transform(X)
    options = {"n_components": 3, "update_H": False, "max_iter": 20000, "tol": 1e-12, **kullback}
    expected, _, _ = non_negative_factorization(X, H=spectra.copy(), init="custom", **options)
    np.testing.assert_allclose(maps, expected, rtol=2e-4, atol=2e-3)


def test_penalties_see_the_scale_of_fixed_spectra_as_it_is_given():
    X, spectra = mixture()
    penalties = {"alpha_W": 0.5, "l1_ratio": 0.5}
    maps = NMF(3, fixed_components=5 * spectra, **penalties).fit_transform(X)
    expected, _, _ = non_negative_factorization(
        X, H=5 * spectra, update_H=False, max_iter=5000, tol=1e-12, n_components=3, init="custom", **penalties
    )
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("solver", "loss"), METHODS)
@pytest.mark.parametrize("init", INITS)
def test_fixed_rows_are_untouched_to_the_bit_and_the_loss_never_rises(solver, loss, init):
    X, spectra = mixture()
    fixed, weights = spectra[[2]] * 3.7, np.linspace(0.5, 2, X.shape[1])
    former = np.inf
    for max_iter in (1, 2, 5, 30):
        options = {"solver": solver, "loss": loss, "init": init, "tol": 0, "max_iter": max_iter}
        found = nmf(X, 3, fixed_components=fixed, weights=weights, **options)
        assert (found.H[:1] == fixed).all()
        np.testing.assert_allclose(found.loss, nmf_loss(X, *found[:2], loss=loss, weights=weights), rtol=1e-7)
        assert found.loss <= former * (1 + 1e-12)
        former = found.loss
    np.testing.assert_allclose((found.H[1:] * weights).sum(axis=1), 1)
    energy = np.linalg.norm(found.W[:, 1:], axis=0) * np.linalg.norm(found.H[1:] * np.sqrt(weights), axis=1)
    assert energy[0] >= energy[1]


def on_a_film(dtype, n=300):
    """Counts of two phases on a film that is everywhere and shares a line with each; and the three spectra."""
    rng, x = np.random.default_rng(0), np.arange(60)
    first, second, third, fourth = (np.exp(-(((x - at) / 1.5) ** 2) / 2) for at in (8, 20, 30, 40))
    spectra = np.stack([first + 0.6 * third + 0.02, second + 0.3 * third + 0.01, fourth + 0.5 * first + 0.01])
    maps = rng.random((n, 3)) * [20, 80, 80] * (rng.random((n, 3)) < [1, 0.6, 0.6]) + [60, 0, 0]
    return rng.poisson(maps @ spectra).astype(dtype), spectra


@pytest.mark.parametrize(("solver", "loss"), METHODS)
@pytest.mark.parametrize("dtype", ["u1", "i4", "f4", "f8"])
def test_the_spectrum_of_a_support_film_helps_to_find_the_phases_on_it(solver, loss, dtype):
    X, spectra = on_a_film(dtype)
    beside, alone = [], []
    for init in ("nndsvda", "nndsvdar", "random"):
        options = {"solver": solver, "loss": loss, "max_iter": 400, "init": init}
        found = nmf(X, 3, fixed_components=spectra[:1], **options)
        assert found.H.dtype == (np.float64 if dtype == "f8" else np.float32)
        assert (found.H[:1] == spectra[:1].astype(found.H.dtype)).all()
        for H, angles in ((found.H[1:], beside), (nmf(X, 3, **options).H, alone)):
            angles.append(max(min(angle(row, phase) for row in H) for phase in spectra[1:]))
    assert max(beside) < 10
    assert np.mean(beside) < 0.5 * np.mean(alone)


def test_data_of_two_spectra_are_explained_by_the_known_one_and_the_other_to_rounding():
    rng = np.random.default_rng(3)
    spectra = rng.random((2, 30))
    spectra[1, :5], spectra[0, -5:] = 0, 0  # each has features of its own, so there is one answer
    X = np.vstack([rng.random((40, 2)), np.eye(2)]) @ spectra
    found = nmf(X, 2, fixed_components=spectra[:1], tol=1e-9, max_iter=5000)
    assert found.loss < 1e-9 * (X**2).sum()
    assert angle(found.H[1], spectra[1]) < 0.1


@pytest.mark.parametrize(("solver", "loss"), METHODS)
def test_the_scale_of_a_fixed_spectrum_changes_its_map_alone(solver, loss):
    X, spectra = mixture(dtype="f4")
    options = {"solver": solver, "loss": loss, "max_iter": 20, "tol": 0}
    one = nmf(X, 3, fixed_components=spectra[:2], **options)
    for scale in (2.0**-60, 1e-20, 1e3, 2.0**70):
        other = nmf(X, 3, fixed_components=scale * spectra[:2], **options)
        exact = np.log2(scale).is_integer()
        np.testing.assert_allclose(other.H[2], one.H[2], rtol=0 if exact else 1e-3, atol=0 if exact else 1e-6)
        np.testing.assert_allclose(other.W[:, :2] * scale, one.W[:, :2], rtol=0 if exact else 1e-3, atol=1e-3)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize(("solver", "loss"), METHODS)
def test_out_of_core_is_as_in_memory(tmp_path, solver, loss, init):
    X, spectra = mixture(n=120, dtype="u2")
    np.save(tmp_path / "x.npy", X)
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    for fixed in (spectra[:2], spectra):
        options = {"solver": solver, "loss": loss, "init": init, "fixed_components": fixed, "max_iter": 10, "tol": 0}
        inside = nmf(X, 3, **options)
        lazy = da.from_array(X, chunks=(50, -1))
        for outside in (nmf(stored, 3, memory="200 kB", **options), nmf(lazy, 3, memory="1 MB", **options)):
            assert (outside.H[: len(fixed)] == inside.H[: len(fixed)]).all()
            np.testing.assert_allclose(outside.W, inside.W, rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(outside.H, inside.H, rtol=1e-3, atol=1e-5)


def test_a_job_goes_on_with_the_same_fixed_spectra_and_with_no_others(tmp_path):
    X, spectra = mixture(n=120, dtype="u2")
    options = {"fixed_components": spectra[:1], "weights": np.linspace(1, 2, X.shape[1]), "tol": 0}
    nmf(X, 3, checkpoint=tmp_path / "job.npz", max_iter=3, **options)
    longer = nmf(X, 3, checkpoint=tmp_path / "job.npz", max_iter=9, **options)
    at_once = nmf(X, 3, checkpoint=tmp_path / "other.npz", max_iter=9, **options)
    assert (longer.H == at_once.H).all()
    assert (longer.W == at_once.W).all()
    with pytest.raises(ValueError, match="fixed_components"):
        nmf(X, 3, checkpoint=tmp_path / "job.npz", max_iter=9, **{**options, "fixed_components": spectra[1:2]})


def test_given_factors_start_beside_fixed_spectra_which_they_repeat():
    X, spectra = mixture()
    rng = np.random.default_rng(1)
    W, H = rng.random((len(X), 3)), np.vstack([spectra[:1], rng.random((2, X.shape[1]))])
    options = {"init": "custom", "fixed_components": spectra[:1], "max_iter": 1, "tol": 0}
    one = nmf(X, 3, W0=W, H0=H, **options)
    two = nmf(X, 3, W0=W * [0.5, 1, 1], H0=H * [[2], [1], [1]], **{**options, "fixed_components": 2 * spectra[:1]})
    np.testing.assert_allclose(one.W @ one.H, two.W @ two.H, rtol=1e-9)
    assert NMF(3, init="custom", fixed_components=spectra[:1]).fit(X, H=H).components_.shape == H.shape
    with pytest.raises(ValueError, match="H0 begins with other spectra than the 1 of fixed_components"):
        nmf(X, 3, H0=H[::-1], **options)


@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_shapes_of_any_size_are_factored_beside_what_is_fixed(n, d, k, m, seed):
    rng = np.random.default_rng(seed)
    X = rng.poisson(3, (n, d)).astype(rng.choice(["u1", "f4", "f8"]))
    k = max(k, m)
    fixed = rng.random((m, d)) + np.eye(m, d) * 5
    solver, loss = METHODS[seed % 3]
    init = "random" if k > min(n, d) else INITS[seed % 5]
    if (init == "spa" and k > n) or (m > 1 and d == 1):
        return
    found = nmf(X, k, solver=solver, loss=loss, init=init, fixed_components=fixed, max_iter=5)
    assert (found.W.shape, found.H.shape) == ((n, k), (k, d))
    assert np.isfinite(found.W).all()
    assert min(found.W.min(), found.H.min()) >= 0
    assert (found.H[:m] == fixed.astype(found.H.dtype)).all()


def test_batches_keep_what_is_fixed():
    X, spectra = mixture(n=300)
    model = NMF(3, fixed_components=spectra[:2], max_iter=300)
    for batch in np.array_split(X, 3):
        model.partial_fit(batch)
    assert (model.components_[:2] == spectra[:2]).all()
    assert angle(model.components_[2], spectra[2]) < 15
    assert clone(model).fixed_components.shape == (2, 45)
    assert NMF("auto", fixed_components=spectra).fit(X).n_components_ == 3


@pytest.mark.parametrize(
    ("fixed", "said"),
    [
        (-np.ones((1, 45)), "Negative values in data passed to fixed_components"),
        (np.full((1, 45), np.nan), "fixed_components contains NaN"),
        (np.eye(2, 45) * [[1], [0]], r"fixed_components\[1\] is zero throughout"),
        (np.ones((1, 44)), "fixed_components has 44 features and X has 45"),
        (np.eye(4, 45), "fixed_components has 4 spectra, more than n_components=3"),
        (np.ones(45), r"fixed_components has shape \(45,\)"),
        (np.ones((2, 45)) * [[1], [3]], r"fixed_components\[0\] and \[1\] are the same but for a factor"),
        (np.full((1, 45), 1e-30), r"fixed_components\[0\] has 1e-30 as largest value"),
    ],
)
def test_what_cannot_be_fixed_is_refused_by_name(fixed, said):
    X, _ = mixture()
    with pytest.raises(ValueError, match=said):
        NMF(3, fixed_components=fixed).fit(X)
