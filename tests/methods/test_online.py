"""Estimators of rows that come in batches: against scikit-learn's, against a fit of all rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import IncrementalPCA

import emcore
from emcore import NMF, PCA, KMeans
from emcore.datasets import adjusted_rand_index
from emcore.methods.nmf.fit import nmf_loss, nmf_maps
from emcore.methods.preprocessing import Recipe, prepare

RNG = np.random.default_rng(0)
GROUPS = np.concatenate([RNG.poisson(m, (150, 6)) for m in (3, 20, 60)]).astype(np.uint16)[RNG.permutation(450)]
SPECTRA = RNG.gamma(0.5, size=(3, 40)) + 0.01
COUNTS = RNG.poisson(RNG.dirichlet(np.full(3, 0.5), 600) @ SPECTRA * 50).astype(np.uint16)


def batches(rows, size):
    return [rows[i : i + size] for i in range(0, len(rows), size)]


@settings(max_examples=30, deadline=None)
@given(size=st.integers(5, 200), k=st.integers(1, 5), dtype=st.sampled_from(["u1", "u2", "f4", "f8"]))
def test_centres_are_those_of_scikit_learn(size, k, dtype):
    rows = np.minimum(GROUPS, 255).astype(dtype)
    start = rows[:k].astype(float)
    peer = MiniBatchKMeans(k, init=start, n_init=1, reassignment_ratio=0, random_state=0)
    model = KMeans(k, init=start)
    for batch in batches(rows, size):
        peer.partial_fit(batch.astype(float))
        model.partial_fit(batch)
    if (model._seen[0].weights > 0).all():
        np.testing.assert_allclose(model.cluster_centers_, peer.cluster_centers_, rtol=1e-4)
    assert model._seen[0].weights.sum() == len(rows)
    assert model.n_iter_ == len(batches(rows, size))


def test_groups_are_found_in_a_stream_and_a_centre_without_rows_goes_where_there_are_some():
    model = KMeans(3, init=np.array([[3.0] * 6, [20.0] * 6, [1e6] * 6]))
    for batch in batches(GROUPS, 50):
        model.partial_fit(batch)
    assert (model._seen[0].weights > 0).all()
    true = np.digitize(GROUPS.mean(axis=1), [10, 40])
    assert adjusted_rand_index(true, model.predict(GROUPS)) > 0.95
    once = KMeans(3, random_state=1)
    weighted = KMeans(3, random_state=1)
    for batch in batches(GROUPS, 150):
        once.partial_fit(np.repeat(batch, 2, axis=0))
        weighted.partial_fit(batch, sample_weight=np.full(len(batch), 2.0))
    for model in (once, weighted):
        np.testing.assert_allclose(np.sort(model.cluster_centers_.mean(axis=1)), [3, 20, 60], rtol=0.1)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(4, 300), k=st.integers(1, 4), center=st.booleans(), dtype=st.sampled_from(["u2", "f4", "f8"]))
def test_components_of_a_stream_of_few_features_are_those_of_all_rows(size, k, center, dtype):
    rows = GROUPS.astype(dtype)
    model = PCA(k, center=center)
    for batch in batches(rows, size):
        model.partial_fit(batch)
    whole = PCA(k, center=center, svd_solver="full").fit(rows)
    for name in ("singular_values_", "mean_", "explained_variance_ratio_", "noise_variance_"):
        np.testing.assert_allclose(getattr(model, name), getattr(whole, name), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(np.abs((model.components_ * whole.components_).sum(axis=1)), 1, rtol=1e-6)
    np.testing.assert_allclose(model.transform(rows[:5]), whole.transform(rows[:5]), rtol=1e-3, atol=1e-3)


def test_components_of_a_stream_of_many_features_are_nearer_those_of_all_rows_than_scikit_learn_has_them():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(900, 5)) * [5, 4, 3, 2, 1.5] @ rng.normal(size=(5, 300)) / 10 + rng.normal(size=(900, 300))
    whole = PCA(5, svd_solver="full").fit(rows)
    model, peer = PCA(5), IncrementalPCA(5)
    for batch in batches(rows, 60):
        model.partial_fit(batch)
        peer.partial_fit(batch)

    def lost(components):
        return 5 - np.square(whole.components_ @ components.T).sum()

    assert lost(model.components_) < 0.5 * lost(peer.components_)
    np.testing.assert_allclose(model.explained_variance_, whole.explained_variance_, rtol=0.02)
    np.testing.assert_allclose(model.components_ @ model.components_.T, np.eye(5), atol=1e-9)


def test_bits_do_not_depend_on_threads():
    rows = np.random.default_rng(2).poisson(4, (400, 700)).astype(np.uint16)
    observed = []
    for threads in (1, 3):
        with emcore.num_threads(threads):
            models = [PCA(3), KMeans(3), NMF(3)]
            for batch in batches(rows, 100):
                for model in models:
                    model.partial_fit(batch)
            observed.append([getattr(model, model._basis) for model in models])
    for one, three in zip(*observed, strict=True):
        assert np.array_equal(one, three)


@pytest.mark.parametrize("size", [100, 300])
def test_spectra_of_a_stream_explain_all_rows_nearly_as_well_as_those_of_a_fit(size):
    model = NMF(3, max_iter=500)
    for batch in batches(COUNTS, size):
        model.partial_fit(batch)
    whole = NMF(3, max_iter=500).fit(COUNTS)

    def loss(spectra):
        return nmf_loss(COUNTS, nmf_maps(COUNTS, spectra), spectra)

    assert loss(model.components_) < 1.02 * loss(whole.components_)
    first = NMF(3, max_iter=500).partial_fit(COUNTS[:size])
    assert loss(model.components_) < loss(first.components_)
    np.testing.assert_allclose(model.components_.sum(axis=1), 1, rtol=1e-5)
    angle = np.degrees(np.arccos(np.clip(_cosines(model.components_, SPECTRA), -1, 1)))
    assert angle.max() < 12


def _cosines(found, true):
    found, true = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (found, true))
    return (found @ true.T).max(axis=1)


def test_penalties_fix_the_scale_of_spectra_as_they_do_in_a_fit():
    options = {"alpha_W": 0.05, "alpha_H": 0.01, "l1_ratio": 0.5, "max_iter": 2000, "tol": 1e-5}
    model = NMF(3, **options)
    for _ in range(15):  # the same rows again and again
        model.partial_fit(COUNTS)
    whole = NMF(3, **options).fit(COUNTS)
    np.testing.assert_allclose(np.sort(model.components_.sum(axis=1)), np.sort(whole.components_.sum(axis=1)), rtol=0.1)


@pytest.mark.parametrize("model", [PCA(2), KMeans(2), NMF(2)], ids=lambda model: type(model).__name__)
def test_batches_may_be_stored_lazy_or_prepared_and_a_fit_forgets_them(model, tmp_path):
    da = pytest.importorskip("dask.array")
    np.save(tmp_path / "a.npy", COUNTS)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    model.partial_fit(COUNTS[:300]).partial_fit(COUNTS[300:])
    here = getattr(model, model._basis).copy()
    kinds = {
        "map": [mapped[:300], mapped[300:]],
        "dask": [da.from_array(COUNTS[:300]), da.from_array(COUNTS[300:])],
        "prepared": [prepare(Recipe(COUNTS[:300])), prepare(Recipe(COUNTS[300:]))],
    }
    for given_as in kinds.values():
        model.fit(COUNTS)
        for batch in given_as:
            model.partial_fit(batch)
        np.testing.assert_allclose(getattr(model, model._basis), here, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="40"):
        model.partial_fit(COUNTS[:, :20])
    bad = COUNTS.astype(float)
    bad[3, 4] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(bad)
    model.memory = 1000
    with pytest.raises(ValueError, match=r"a batch of .* is more than memory"):
        model.partial_fit(mapped)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (KMeans(50), "n_samples=40 should be >= n_clusters=50"),
        (PCA(0.9), "share of the variance"),
        (PCA(41), "n_components=41"),
    ],
)
def test_what_a_stream_cannot_have_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        model.partial_fit(COUNTS[:40])


@pytest.mark.parametrize("model", [KMeans(2, metric="cosine"), NMF(2, solver="mu", loss="kullback-leibler")])
def test_what_cannot_go_on_from_sums_has_no_batches_and_says_so(model):
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as error:
        model.partial_fit(COUNTS)
    assert "use fit" in str(error.value.__cause__)
