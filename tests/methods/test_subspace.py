"""The strongest vectors of weighted rows: as numpy has them, in few passes, the same bits wherever the rows lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import emcore
from emcore.methods.denoising import subspace
from emcore.methods.denoising.components import _Shape, find_components
from emcore.methods.denoising.heteroscedasticity import heteroscedasticity
from emcore.methods.denoising.subspace import WeightedRows
from emcore.methods.denoising.weighting import of_sums, unweighted
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored


def counts_of(rank, n=600, d=150, dose=4000, seed=11):
    """Counts of mixtures of `rank` spectra, each with peaks of its own."""
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.full(d, 0.2), rank)
    return rng.poisson(dose * rng.dirichlet(np.full(rank, 0.5), n) @ spectra).astype(np.uint16)


def weights_of(counts):
    sums = counts.sum(axis=1, dtype=float), counts.sum(axis=0, dtype=float)
    return sums, of_sums(sums[1], sums[0], True)


def found(counts, n_components="auto", rows=None, features=None, sample=None):
    sums, weights = weights_of(counts)
    rows = counts if rows is None else rows
    return find_components(rows, sums, weights, np.arange(len(counts)), n_components, features, sample)


def plain(counts, features=None):
    """Singular values and vectors of the weighted rows by LAPACK."""
    weights = weights_of(counts)[1]
    part = counts if features is None else counts * features
    total = part.sum(axis=1)
    return np.linalg.svd(part * weights.scale / np.sqrt(total)[:, None], full_matrices=False)[1:]


@pytest.mark.parametrize(("rank", "d"), [(3, 60), (3, 150), (9, 400), (40, 300)])
def test_components_are_those_of_a_singular_value_decomposition(rank, d):
    counts = counts_of(rank, d=d)
    values, vectors = plain(counts)
    observed = found(counts)
    k = observed.choice.n
    assert k == rank
    np.testing.assert_allclose(observed.singular_values[:k] * values[0], values[:k], rtol=2e-3)
    # Of each vector as much as noise leaves of it lies in the span of those that are exact.
    inside = np.linalg.norm(observed.vectors @ vectors[:k].T, axis=1)
    assert (1 - inside**2 < 0.01).all()
    np.testing.assert_allclose(observed.vectors @ observed.vectors.T, np.eye(k), atol=1e-10)


@pytest.mark.parametrize("seed", range(11, 15))
def test_noise_of_what_few_rows_hold_is_no_component(seed):
    # Patterns of groups of few and of many, each with reflections that no other has.
    rng, share = np.random.default_rng(seed), 1.5 ** -np.arange(9)
    mean = np.where(np.arange(600) % 9 == np.arange(9)[:, None], 2.0, 0.05)
    counts = rng.poisson(mean[rng.choice(9, 900, p=share / share.sum())]).astype(np.uint16)
    assert found(counts).choice.n == 9


@given(
    rows=st.integers(20, 90),
    features=st.integers(20, 90),
    quiet=st.floats(0.02, 1),
    part=st.floats(0.1, 0.9),
    seed=st.integers(0, 99),
)
def test_noise_lies_below_the_edge_of_its_noisiest_rows_and_features(rows, features, quiet, part, seed):
    rng = np.random.default_rng(seed)
    deviations = np.where(rng.random(rows) < part, 1, quiet)[:, None] * np.where(rng.random(features) < part, 1, quiet)
    variances = deviations**2
    largest = np.linalg.norm(deviations * rng.normal(size=(rows, features)), 2)
    edge = variances.sum(axis=0).max() ** 0.5 + variances.sum(axis=1).max() ** 0.5
    assert largest < edge + 3 * deviations.max()  # what chance adds to a bound of the mean
    even = _Shape(
        rows,
        features,
        variances.sum(axis=1).max() / variances.sum(axis=1).mean(),
        variances.sum(axis=0).max() / variances.sum(axis=0).mean(),
    )
    assert even.edge * variances.mean() ** 0.5 == pytest.approx(edge)


def noisiest(counts, features=None):
    sums, weights = weights_of(counts)
    scale = weights.scale if features is None else np.where(features, weights.scale, 0)
    rows = WeightedRows(counts, scale, 1 / sums[0], features)
    rows.times(np.ones((1, len(scale))))
    return heteroscedasticity(rows, weights)


@pytest.mark.parametrize("dose", [10, 50])
def test_heteroscedasticity_is_that_of_the_expected_counts(dose):
    rng = np.random.default_rng(11)
    dim = np.arange(300) % 5 == 0
    mean = dose * np.where(np.arange(800)[:, None] < 40, dim, np.where(dim, 0.05, 1.2))
    counts = rng.poisson(mean).astype(np.uint16)
    variances = mean * weights_of(counts)[1].scale ** 2 / mean.sum(axis=1)[:, None]
    for axis, observed in zip((1, 0), noisiest(counts), strict=True):
        of = variances.sum(axis=axis)
        assert of.max() > 2 * of.mean()
        assert observed == pytest.approx(of.max() / of.mean(), rel=0.1)


def test_even_noise_is_not_heteroscedastic():
    assert max(noisiest(np.random.default_rng(11).poisson(5.0, (800, 300)).astype(np.uint16))) < 1.02


def test_a_pixel_that_takes_no_part_makes_no_row_noisier():
    rng = np.random.default_rng(11)
    counts = rng.poisson(np.where(np.arange(300) % 5 == 0, 12.0, 2.0), (800, 300)).astype(np.uint16)
    counts[:, 7] = rng.integers(0, 20_000, 800)  # broken
    assert max(noisiest(counts, np.arange(300) != 7)) < 1.05
    assert max(noisiest(counts)) > 1.05


def test_rows_without_noise_have_exact_components():
    rng = np.random.default_rng(11)
    rows = (rng.normal(size=(500, 4)) * [100, 10, 1, 0.1]) @ rng.normal(size=(4, 300)) + 20
    sums = rows.sum(axis=1), rows.sum(axis=0)
    observed = find_components(rows, sums, unweighted(300), np.arange(500), 5)
    values, vectors = np.linalg.svd(rows, full_matrices=False)[1:]
    np.testing.assert_allclose(observed.singular_values[:5] * values[0], values[:5], rtol=1e-6)
    np.testing.assert_allclose(np.abs(observed.vectors @ vectors[:5].T), np.eye(5), atol=1e-5)


def test_features_that_take_no_part_change_nothing():
    counts = counts_of(3)
    features = np.ones(150, dtype=bool)
    features[[5, 77]] = False
    loud = counts.copy()
    loud[:, ~features] = np.random.default_rng(0).integers(0, 60000, (600, 2))
    values, _ = plain(counts, features)
    sums, weights = weights_of(counts)
    observed = find_components(loud, sums, weights, np.arange(600), "auto", features)
    assert observed.choice.n == 3
    np.testing.assert_allclose(observed.singular_values[:3] * values[0], values[:3], rtol=1e-3)
    assert not observed.vectors[:, ~features].any()


@pytest.mark.parametrize("rank", [3, 30])
def test_every_pass_goes_on_from_those_before_it(rank, monkeypatch):
    counts, blocks = counts_of(rank, d=400, dose=20000), []
    times = WeightedRows.times

    def counted(self, vectors):
        blocks.append(vectors)
        return times(self, vectors)

    monkeypatch.setattr(WeightedRows, "times", counted)
    assert found(counts).choice.n == rank
    together = np.concatenate(blocks)
    np.testing.assert_allclose(together @ together.T, np.eye(len(together)), atol=1e-8)
    assert len(blocks) <= 6


def test_a_search_with_little_memory_keeps_the_span_of_the_leading_pairs(monkeypatch):
    counts = counts_of(9, d=400)
    expected = found(counts)
    monkeypatch.setattr(WeightedRows, "capacity", property(lambda self: 32))
    observed = found(counts)
    assert observed.choice.n == expected.choice.n
    np.testing.assert_allclose(observed.singular_values[:9], expected.singular_values[:9], rtol=2e-3)


def test_a_search_begins_near_the_vectors_of_a_sample(monkeypatch):
    counts = counts_of(5, n=4000, d=300)
    expected = found(counts)
    sizes, times = [], WeightedRows.times

    def counted(self, vectors):
        sizes.append(self.rows.shape[0])
        return times(self, vectors)

    monkeypatch.setattr(WeightedRows, "times", counted)
    some = np.arange(0, 4000, 40)
    observed = found(counts, sample=(some, counts[some]))
    assert 100 in sizes
    assert sizes.count(4000) <= 3
    assert observed.choice.n == expected.choice.n == 5
    np.testing.assert_allclose(observed.singular_values[:5], expected.singular_values[:5], rtol=1e-3)


def test_the_number_of_threads_changes_no_bit():
    counts = counts_of(9, n=1500, d=400)
    observed = []
    for threads in (1, 2, 3):
        with emcore.num_threads(threads):
            observed.append(found(counts))
    for other in observed[1:]:
        np.testing.assert_array_equal(other.vectors, observed[0].vectors)
        np.testing.assert_array_equal(other.singular_values, observed[0].singular_values)


def test_rows_out_of_core_have_the_same_components():
    counts = counts_of(9, n=3000, d=400)
    expected = found(counts)
    source = Source([Stored(counts)])
    source.budget = "2 MB"
    observed = found(counts, rows=source)
    assert observed.choice == expected.choice
    np.testing.assert_allclose(observed.singular_values[:9], expected.singular_values[:9], rtol=1e-6)
    np.testing.assert_allclose(np.abs((observed.vectors * expected.vectors).sum(axis=1)), 1, atol=1e-3)


def test_few_features_are_all_multiplied_with_in_one_pass(monkeypatch):
    counts, made = counts_of(3, d=80), []
    times = WeightedRows.times
    monkeypatch.setattr(WeightedRows, "times", lambda self, v: made.append(len(v)) or times(self, v))
    assert found(counts).choice.n == 3
    assert made == [80]
    assert subspace.FEW >= 80
