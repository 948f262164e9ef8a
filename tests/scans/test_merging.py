"""Signals of one scan side by side: scaled, balanced, never copied; and how many components stand out from noise."""

import tracemalloc

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis, Signal
from emcore.datasets import adjusted_rand_index, correlated_scan
from emcore.methods.pca.fit import pca
from emcore.methods.selection.noise import count_above_noise, noise_edge


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    return rng.poisson(20, (6, 7, 5, 4)).astype(np.uint16), rng.poisson(0.3, (6, 7, 9)).astype(np.uint8)


def rows_of(signal):
    return signal.reshape(42, -1).astype(float)


def test_robust_scaling_is_distance_from_the_median_in_interquartile_ranges(pair):
    x = rows_of(pair[0])
    low, middle, high = np.quantile(x, (0.25, 0.5, 0.75), axis=0)
    merged = emcore.merge_signals([pair[0]], scaling="robust")
    assert np.allclose(np.asarray(merged.rows), (x - middle) / (high - low), atol=1e-5)
    assert merged.iqr_zero == (0,)


@pytest.mark.parametrize("scaling", ["robust", "standard", "noise", "poisson"])
def test_after_merging_all_signals_carry_the_same_variance(pair, scaling):
    merged = emcore.merge_signals(pair, scaling=scaling)
    x = np.asarray(merged.rows, dtype=float)
    first = int(merged.kept[0].sum())
    assert x[:, :first].var(axis=0).sum() == pytest.approx(x[:, first:].var(axis=0).sum(), rel=1e-5)
    assert [v.sum() for v in merged.variances] == pytest.approx([merged.variances[0].sum()] * 2)
    assert np.allclose(np.concatenate(merged.variances), x.var(axis=0), rtol=1e-4)


def test_scaled_by_noise_neighbours_differ_by_the_same_in_all_features_that_stand_above_it():
    rng = np.random.default_rng(0)
    steps = np.repeat([0, 9], 20)[:, None, None] * (np.arange(12) > 5)
    scan = np.arange(1, 13) * (rng.normal(size=(40, 30, 12)) + steps)
    merged = emcore.merge_signals([scan], scaling="noise")
    assert np.flatnonzero(merged.kept[0]).tolist() == list(range(6, 12))
    along = np.asarray(merged.rows).reshape(40, 30, -1)
    noise = np.square(np.diff(along, axis=1)).mean(axis=(0, 1)) / 2
    assert np.allclose(noise, 1, rtol=1e-4)


def test_balance_by_the_ratio_multiplies_by_it_and_none_by_nothing(pair):
    totals = [v.sum() for v in emcore.merge_signals(pair, balance="none").variances]
    assert emcore.merge_signals(pair, balance="ratio").factors == pytest.approx((1, totals[0] / totals[1]))
    assert emcore.merge_signals(pair, balance="none").factors == (1, 1)


def test_multiplying_a_signal_by_a_constant_changes_nothing(pair):
    ours = np.asarray(emcore.merge_signals(pair).rows)
    assert np.allclose(np.asarray(emcore.merge_signals([pair[0] * 3, pair[1]]).rows), ours, atol=1e-5)
    assert np.allclose(np.asarray(emcore.merge_signals([pair[0], pair[1] * 5]).rows), ours, atol=1e-5)


@pytest.mark.parametrize("choice", ["std", "poisson", "one"])
def test_features_without_interquartile_range_are_scaled_as_asked_and_counted(pair, choice):
    x = rows_of(pair[1])
    merged = emcore.merge_signals([pair[1]], scaling="robust", iqr_zero=choice)
    zero = np.subtract(*np.quantile(x, (0.75, 0.25), axis=0)) == 0
    assert 0 < merged.iqr_zero[0] == zero.sum() < 9
    expected = {"std": x.std(axis=0), "poisson": np.sqrt(x.mean(axis=0)), "one": np.ones(9)}[choice]
    assert np.allclose(merged.variances[0][zero], (x.var(axis=0) / expected**2)[zero])
    assert any(f"{zero.sum()} of 9 features have an interquartile range of 0" in note for note in merged.notes)


def test_features_without_interquartile_range_are_dropped_where_that_was_asked(pair):
    merged = emcore.merge_signals(pair, scaling="robust", iqr_zero="drop")
    assert merged.rows.shape[1] == 20 + 9 - merged.iqr_zero[1]
    assert merged.kept[1].sum() == 9 - merged.iqr_zero[1]


def test_constant_features_are_left_out_and_counted(pair):
    dead = pair[0].copy()
    dead[:, :, 2, 1] = 7
    merged = emcore.merge_signals([dead, pair[1]])
    assert merged.constant == (1, 0)
    assert not merged.kept[0][2 * 4 + 1]
    assert any("1 of 20 features are constant" in note for note in merged.notes)


def test_vectors_over_the_rows_are_split_into_those_of_each_signal(pair):
    dead = pair[0].copy()
    dead[:, :, 0, 0] = 7
    merged = emcore.merge_signals([dead, pair[1]])
    first, second = merged.split(np.arange(28.0)[None])
    assert first.shape == (1, 20)
    assert first[0, 0] == 0
    assert first[0, 1:].tolist() == list(range(19))
    assert second[0].tolist() == list(range(19, 28))


def test_merging_copies_neither_signal():
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 9, (64, 64, 32, 32), dtype=np.uint8)
    tracemalloc.start()
    emcore.merge_signals([patterns, patterns[..., 0]])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < patterns.nbytes / 4


def test_one_bad_pixel_that_carries_most_of_the_variance_is_named(pair):
    hot = pair[0].astype(np.uint32)
    hot[0, 0, 3, 2] = 10**6
    assert any(
        "feature 14 alone carries" in note for note in emcore.merge_signals([hot, pair[1]], scaling="robust").notes
    )


def test_grids_that_differ_are_named(pair):
    with pytest.raises(ValueError, match=r"signal 0 has 6 x 7, signal 1 has 7 x 6 positions"):
        emcore.merge_signals([pair[0], np.zeros((7, 6, 9))])
    axes = (Axis("y", 6, navigation=True), Axis("energy", 9, 0.01, units="keV"))
    with pytest.raises(ValueError, match="signal 0 has 6 x 7, EDS has 6 positions"):
        emcore.merge_signals([pair[0], Signal(pair[1][:, 0], axes, title="EDS")])


def test_a_signal_with_its_scan_axes_last_is_turned_to_have_them_first(pair):
    axes = (Axis("energy", 9, 0.01, units="keV"), Axis("y", 6, navigation=True), Axis("x", 7, navigation=True))
    turned = emcore.merge_signals([Signal(np.moveaxis(pair[1], 2, 0), axes)])
    np.testing.assert_array_equal(np.asarray(turned.rows), np.asarray(emcore.merge_signals([pair[1]]).rows))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scaling": "robbust"}, "did you mean 'robust'"),
        ({"balance": "equall"}, "did you mean 'equal'"),
        ({"iqr_zero": "sd"}, "Choose from 'std'"),
    ],
)
def test_unknown_options_are_told_with_those_there_are(pair, change, said):
    with pytest.raises(ValueError, match=said):
        emcore.merge_signals(pair, **change)


def test_bad_signals_are_told(pair):
    with pytest.raises(ValueError, match="constant"):
        emcore.merge_signals([pair[0], np.ones((6, 7, 9))])
    with pytest.raises(ValueError, match="empty"):
        emcore.merge_signals([])
    with pytest.raises(TypeError, match="list of signals"):
        emcore.merge_signals(pair[0])
    with pytest.raises(TypeError, match="complex"):
        emcore.merge_signals([pair[0], np.ones((6, 7, 9)) + 1j])
    bad = pair[1].astype(float)
    bad[2, 3, 4] = np.nan
    with pytest.raises(ValueError, match=r"signal 1 contains NaN or infinity, first at \[2, 3, 4\]"):
        emcore.merge_signals([pair[0], bad])
    with pytest.raises(ValueError, match=r"Negative values in data passed to signal 0"):
        emcore.merge_signals([pair[0].astype(int) - 30], scaling="poisson")


def test_the_input_is_not_changed(pair):
    before = [signal.copy() for signal in pair]
    pca(emcore.merge_signals(pair).rows, 3)
    assert all(np.array_equal(a, b) for a, b in zip(before, pair, strict=True))


def test_the_noise_edge_of_equal_variances_is_that_of_marchenko_and_pastur():
    for d, n in ((50, 500), (500, 50), (100, 100)):
        assert noise_edge(np.full(d, 3.0), n) == pytest.approx(3 * (1 + np.sqrt(d / n)) ** 2, rel=1e-9)
    assert noise_edge(np.zeros(4), 10) == 0


def test_the_noise_edge_is_where_shuffled_columns_have_their_largest_eigenvalue():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 400)) * rng.gamma(2, 1, size=400)
    top = pca(x, 1).explained_variance[0]
    assert noise_edge(x.var(axis=0), 1500) == pytest.approx(top, rel=0.07)


def test_components_are_counted_up_to_the_noise_though_a_strong_one_could_hide_them():
    rng = np.random.default_rng(1)
    structure = rng.normal(size=(800, 3)) * [30, 3, 2] @ np.linalg.qr(rng.normal(size=(200, 3)))[0].T
    x = structure * 3 + rng.normal(size=(800, 200))
    observed = pca(x, 10)
    assert count_above_noise(observed.singular_values**2 / 800, observed.components, x.var(axis=0), 800) == 3
    noise = pca(rng.normal(size=(800, 200)), 10)
    assert count_above_noise(noise.singular_values**2 / 800, noise.components, np.ones(200), 800) == 0


def test_of_the_correlated_scan_every_component_but_noise_is_found():
    sample = correlated_scan(shape=(60, 60), bend=0.0)
    merged = emcore.merge_signals([sample.diffraction, sample.eds])
    observed = pca(merged.rows, 10)
    variances = np.concatenate(merged.variances)
    count = count_above_noise(observed.singular_values**2 / 3600, observed.components, variances, 3600)
    # Four phases span three dimensions; the foil's thickness adds one.
    assert count in (3, 4)


def test_the_generator_is_seeded_and_its_truth_is_consistent():
    a, b, c = (correlated_scan(shape=(24, 30), seed=seed) for seed in (3, 3, 4))
    assert a.diffraction == b.diffraction
    assert a.eds != c.eds
    assert np.allclose(a.fractions.sum(axis=0), 1)
    assert np.array_equal(a.labels, a.fractions.argmax(axis=0))
    assert set(np.unique(a.labels)) == {0, 1, 2, 3}
    assert a.eds.data.sum(axis=-1).mean() == pytest.approx(50, rel=0.05)
    assert adjusted_rand_index(a.labels, c.labels) == 1


def test_of_the_four_phases_two_have_one_pattern_and_two_others_one_spectrum():
    sample = correlated_scan(shape=(60, 60), bend=0.0, overlap=0.0)
    patterns = np.stack([sample.diffraction.data[sample.labels == i].mean(axis=0) for i in range(4)])
    spectra = np.stack([sample.eds.data[sample.labels == i].mean(axis=0) for i in range(4)])

    def apart(means, i, j):
        return np.abs(means[i] / means[i].sum() - means[j] / means[j].sum()).sum()

    assert apart(patterns, 0, 1) < 0.2 * apart(patterns, 2, 3) < 0.2 * apart(patterns, 0, 2)
    assert apart(spectra, 2, 3) < 0.2 * apart(spectra, 0, 1)
    assert np.allclose(sample.spectra[2], sample.spectra[3])


@pytest.mark.parametrize(
    ("variances", "said"),
    [([1.0, np.nan], "NaN or infinity"), ([1.0, -1.0], "Negative"), ([[1.0]], "1-D"), ([], "empty")],
)
def test_variances_that_are_none_have_no_noise_edge(variances, said):
    with pytest.raises(ValueError, match=said):
        noise_edge(variances, 10)
