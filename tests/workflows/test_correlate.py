"""Phases of a scan from diffraction and X-rays together: against a labelled scan on which neither suffices."""

from dataclasses import replace

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.signals import Signal
from emcore.datasets import adjusted_rand_index, co_fe_ratio, correlated_scan
from emcore.io.registry import read_all
from emcore.results.result import load_result
from emcore.scans.grids import on_one_grid
from emcore.scans.neighbours import neighbours, noise_between
from emcore.scans.several import quantiles_together, several
from emcore.scans.survey import survey
from emcore.workflows.correlate import correlate


@pytest.fixture(scope="module")
def sample():
    return correlated_scan()


@pytest.fixture(scope="module")
def result(sample):
    return correlate([sample.diffraction, sample.eds], 4)


@pytest.fixture(scope="module")
def small():
    """Two phases without overlap on a small scan, and their signals as arrays."""
    rng = np.random.default_rng(0)
    truth = np.arange(12 * 10).reshape(12, 10) // 60
    patterns = rng.poisson(20 + 20 * truth[..., None, None] * np.eye(6)).astype(np.uint16)
    spectra = rng.poisson(2 + 8 * truth[..., None] * (np.arange(15) > 9)).astype(np.uint8)
    return truth, patterns, spectra


@pytest.mark.parametrize("seed", [0, 3])
def test_both_signals_find_the_phases_and_neither_does_alone(seed, sample, result):
    if seed:
        sample = correlated_scan(seed=seed)
        result = correlate([sample.diffraction, sample.eds], 4)
    together = adjusted_rand_index(sample.labels, result.labels)
    alone = [adjusted_rand_index(sample.labels, each.argmax(axis=0)) for each in result.alone]
    assert together >= 0.9
    assert max(alone) <= 0.6
    # Purer positions bring the composition of the second phase nearer to the truth.
    energy = sample.eds.axis("energy").values
    cluster = int(np.bincount(result.labels[sample.labels == 1]).argmax())
    ratios = [co_fe_ratio(result.cluster_signals(threshold)[1][cluster], energy) for threshold in (0.5, 0.75)]
    truth = sample.co_fe[1]
    print(f"seed {seed}: adjusted Rand index {together:.3f}, diffraction alone {alone[0]:.3f}, EDS {alone[1]:.3f}")
    print(f"Co/Fe of the second phase: {ratios[0]:.4f} above 0.5, {ratios[1]:.4f} above 0.75, truth {truth:.4f}")
    assert abs(ratios[1] - truth) < abs(ratios[0] - truth)


def test_every_field_has_the_shape_and_type_that_is_promised(result):
    expected = {
        "memberships": ((4, 80, 80), np.float32),
        "labels": ((80, 80), np.int32),
        "area": ((4,), np.float64),
        "positions": ((4,), np.int64),
        "scores": ((result.n_components, 80, 80), np.float32),
        "evr": ((30,), np.float64),
        "alone": ((2, 4, 80, 80), np.float32),
    }
    for name, (shape, dtype) in expected.items():
        assert (getattr(result, name).shape, getattr(result, name).dtype) == (shape, dtype), name
        assert np.isfinite(getattr(result, name)).all(), name
    assert [s.shape for s in result.signals] == [(4, 40, 40), (4, 200)]
    assert [s.shape for s in result.components] == [(result.n_components, 40, 40), (result.n_components, 200)]
    assert [s.shape for s in result.means] == [(40, 40), (200,)]
    assert [axis.units for axis in result.signals[0].axes] == ["px", "1/nm", "1/nm"]
    assert [axis.units for axis in result.image.axes] == ["nm", "nm"]
    assert set(result.validity) >= {"partition_coefficient", "xie_beni", "fukuyama_sugeno"}


def test_memberships_sum_to_one_and_labels_are_the_largest(result):
    assert np.allclose(result.memberships.sum(axis=0), 1, atol=1e-6)
    assert np.array_equal(result.labels, result.memberships.argmax(axis=0))
    assert np.all(np.diff(result.area) <= 0)
    assert np.array_equal(result.positions, (result.memberships > 0.5).sum(axis=(1, 2)))


@pytest.mark.parametrize("threshold", [0, 0.5, 0.75])
def test_cluster_signals_are_weighted_means_of_the_measured_data(sample, result, threshold):
    observed = result.cluster_signals(threshold)
    u = result.memberships.reshape(4, -1).astype(float)
    weights = np.where(u > threshold, u, 0)
    for signal, means in zip((sample.diffraction, sample.eds), observed, strict=True):
        rows = signal.data.reshape(6400, -1)
        expected = weights @ rows / weights.sum(axis=1, keepdims=True)
        assert np.allclose(means.reshape(4, -1), expected, rtol=1e-5)
    assert np.array_equal(observed.positions, (u > threshold).sum(axis=1))


def test_the_kept_signals_are_those_at_the_threshold_asked_for(sample, result):
    again = result.cluster_signals()
    assert all(np.array_equal(kept.data, observed) for kept, observed in zip(result.signals, again, strict=True))
    purer = correlate([sample.diffraction, sample.eds], 4, threshold=0.75)
    assert np.array_equal(purer.memberships, result.memberships)
    assert np.array_equal(purer.positions, result.cluster_signals(0.75).positions)


def test_a_threshold_that_no_position_reaches_gives_zeros_and_says_so(result):
    observed = result.cluster_signals(1)
    assert np.array_equal(observed.positions, (result.memberships > 1).sum(axis=(1, 2)))
    assert all(np.isfinite(signal).all() for signal in observed)


def test_multiplying_a_signal_by_a_constant_changes_no_label(sample, result):
    louder = Signal(sample.eds.data * 3, sample.eds.axes)
    assert np.array_equal(correlate([sample.diffraction, louder], 4).labels, result.labels)


def test_the_order_of_the_signals_changes_the_groups_hardly(sample, result):
    turned = correlate([sample.eds, sample.diffraction], 4)
    assert adjusted_rand_index(turned.labels, result.labels) > 0.99


@pytest.mark.parametrize("threads", [3])
def test_the_result_is_the_same_to_the_bit_on_any_number_of_threads(sample, result, threads, same):
    with emcore.num_threads(threads):
        assert same(correlate([sample.diffraction, sample.eds], 4), result)


@pytest.mark.parametrize("method", ["common-shape", "gustafson-kessel", "fuzzy-c-means", "k-means"])
@pytest.mark.parametrize("scaling", ["robust", "standard", "noise", "poisson"])
def test_two_clear_phases_are_found_by_every_method_with_every_scaling(small, method, scaling):
    truth, patterns, spectra = small
    observed = correlate([patterns, spectra], 2, method=method, scaling=scaling)
    assert adjusted_rand_index(truth, observed.labels) == 1


@pytest.mark.parametrize("phases", [2, 3])
def test_the_number_of_phases_is_found_and_said(phases):
    rng = np.random.default_rng(phases)
    truth = np.arange(600).reshape(20, 30) * phases // 600
    patterns = rng.poisson(20 + 20 * (truth[..., None, None] == 1) * np.eye(6)).astype(np.uint16)
    spectra = rng.poisson(3 + 9 * (truth[..., None] == 2) * (np.arange(15) > 9)).astype(np.uint8)
    observed = correlate([patterns, spectra])
    assert observed.n_clusters == phases
    assert observed.number.startswith((f"{phases} have the largest silhouette of ", f"{phases} are apart"))
    assert adjusted_rand_index(truth, observed.labels) > 0.98


def test_an_image_of_noise_is_said_to_have_no_clear_clusters():
    rng = np.random.default_rng(0)
    observed = correlate([rng.poisson(5, (20, 20, 6, 6)), rng.poisson(5, (20, 20, 9))])
    assert "not to be relied on" in observed.number


def test_a_strong_variation_that_is_no_phase_does_not_decide_where_clusters_begin():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (20, 30))
    slope = rng.uniform(-50, 50, (20, 30, 1)) * np.ones(60) + rng.normal(size=(20, 30, 60))
    steps = 6.0 * truth[..., None] * np.ones(8) + rng.normal(size=(20, 30, 8))
    both = np.concatenate([slope, steps], axis=2)
    observed = correlate([both, both[..., ::-1] + rng.normal(size=both.shape)], 2, method="k-means", components=2)
    assert adjusted_rand_index(truth, observed.labels) > 0.9


def test_the_clusters_of_each_signal_alone_stand_where_they_overlap_most(result):
    from scipy.optimize import linear_sum_assignment

    for alone in result.alone:
        overlap = np.einsum("iyx,jyx->ij", result.memberships, alone)
        assert np.array_equal(linear_sum_assignment(-overlap)[1], np.arange(4))


@pytest.mark.parametrize("components", [1, 3, "parallel", "gap", "elbow", "broken-stick"])
def test_components_are_chosen_as_asked(small, components):
    truth, patterns, spectra = small
    observed = correlate([patterns, spectra], 2, components=components, method="k-means")
    assert observed.n_components == components or observed.rule == components or isinstance(components, str)
    assert adjusted_rand_index(truth, observed.labels) > 0.9
    assert [part.shape[0] for part in observed.components] == [observed.n_components] * 2


def test_three_signals_and_positions_without_a_grid_are_taken(small):
    truth, patterns, spectra = small
    flat = [signal.reshape(120, *signal.shape[2:]) for signal in (patterns, spectra, spectra[..., 10:])]
    matrices = [flat[0].reshape(120, -1), *flat[1:]]
    observed = correlate(matrices, 2)
    assert observed.labels.shape == (120,)
    assert observed.alone.shape == (3, 2, 120)
    assert adjusted_rand_index(truth, observed.labels) > 0.9
    assert len(observed.cluster_signals(0.75)) == 3


def test_of_a_file_with_pictures_the_scan_is_taken_and_a_picture_may_be_a_signal(data_folder):
    pytest.importorskip("rsciio")
    picture = emcore.read(data_folder / "rock.bcf").data[..., None]
    observed = correlate([data_folder / "rock.bcf", picture], 3)
    assert [mean.shape for mean in observed.means] == [(2048,), (1,)]
    assert observed.means[0].axes[0].units == "keV"
    bright = [picture[observed.labels == i].mean() for i in range(3)]
    assert np.ptp(bright) > picture.std()
    figure = pytest.importorskip("matplotlib") and observed.plot()
    assert any(line.get_marker() == "o" for axes in figure.axes for line in axes.lines)


def test_the_input_is_not_changed_and_not_kept_in_the_file(small, tmp_path):
    pytest.importorskip("h5py")
    _, patterns, spectra = small
    before = patterns.copy(), spectra.copy()
    observed = correlate([patterns, spectra], 2)
    assert np.array_equal(patterns, before[0])
    assert np.array_equal(spectra, before[1])
    again = load_result(observed.save(tmp_path / "both.h5"))
    assert again == observed
    with pytest.raises(ValueError, match=r"give them as signals=\[...\]"):
        again.cluster_signals(0.75)
    ours, theirs = observed.cluster_signals(0.75), again.cluster_signals(0.75, signals=[patterns, spectra])
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    with pytest.raises(ValueError, match="those that were clustered had"):
        again.cluster_signals(0.75, signals=[spectra, patterns])


def test_a_hyperspy_signal_for_each_array_is_given(result):
    pytest.importorskip("hyperspy")
    observed = result.to_hyperspy()
    assert observed["signals_0"].data.shape == (4, 40, 40)
    assert observed["signals_1"].axes_manager[-1].units == "keV"


# Data out of core


@pytest.fixture(scope="module")
def larger():
    """Three phases that only both signals tell apart, and gaps: nothing, NaN, and a spectrum without a count."""
    rng = np.random.default_rng(0)
    truth = np.arange(24 * 32).reshape(24, 32) // 256
    patterns = rng.poisson(20 + 20 * (truth[..., None, None] == 1) * np.eye(32)).astype(np.float32)
    spectra = rng.poisson(2 + 8 * (truth[..., None] == 2) * (np.arange(40) > 25)).astype(np.uint16)
    patterns[3, 5:9], spectra[3, 5:9], spectra[7, 7] = 0, 0, 0
    patterns[20, 2, 7, 7] = np.nan
    return truth, patterns, spectra


def close(observed, here):
    assert np.array_equal(observed.labels, here.labels)
    assert (observed.reason, observed.number, observed.n_empty) == (here.reason, here.number, here.n_empty)
    for name in ("memberships", "alone", "evr"):
        np.testing.assert_allclose(getattr(observed, name), getattr(here, name), atol=1e-5)
    np.testing.assert_allclose(observed.scores, here.scores, atol=1e-5 * np.abs(here.scores).max())
    for name in ("signals", "means"):
        for ours, theirs in zip(getattr(observed, name), getattr(here, name), strict=True):
            assert np.isfinite(ours.data).all()
            np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-5)
    np.testing.assert_allclose(observed.image.data, here.image.data, rtol=1e-6)


KINDS = [("map", "map"), ("hdf5", "zarr"), ("zarr", "hdf5"), ("dask", "dask"), ("map", "dask"), ("dask", "array")]


@pytest.fixture
def small_blocks(monkeypatch):
    """What is stored is read in many blocks."""
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", 1 << 19)


@pytest.mark.filterwarnings("ignore:signals (has|is stored in) chunks")
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("options", [{}, {"scaling": "robust"}, {"scaling": "poisson"}])
def test_signals_left_where_they_are_stored_give_the_same(
    larger, passes, stored_as, nothing_is_loaded, small_blocks, capsys, kinds, options
):
    truth, patterns, spectra = larger
    here = correlate([patterns, spectra], 3, **options)
    assert options.get("scaling") == "robust" or adjusted_rand_index(truth, here.labels) > 0.9
    del passes[:]
    signals = [
        each if kind == "array" else stored_as(kind, each, name)
        for kind, each, name in zip(kinds, (patterns, spectra), "ab", strict=True)
    ]
    observed = correlate(signals, 3, memory="24 MiB", **options)
    assert "predicted peak memory " in capsys.readouterr().err
    assert any(f"read {len(passes)} times, 3.1 MiB each" in note for note in observed.provenance.notes)
    assert len(passes) <= (22 if options.get("scaling") == "robust" else 5)
    close(observed, here)
    purer = observed.cluster_signals(0.75)
    for ours, theirs in zip(purer, here.cluster_signals(0.75), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_with_room_for_the_gram_matrix_one_pass_finds_all_components(
    larger, passes, stored_as, nothing_is_loaded, small_blocks
):
    _, patterns, spectra = larger
    patterns = np.ascontiguousarray(np.nan_to_num(patterns)[..., :26, :26])
    here = correlate([patterns, spectra], 3, scaling="robust")
    del passes[:]
    observed = correlate([stored_as("map", patterns), spectra], 3, scaling="robust", memory="64 MiB")
    assert passes == ["_survey", "_features", "_products", "_scores", "_weighted"]
    # In memory components that do not stand out from noise are found less exactly.
    assert (observed.evr >= here.evr - 1e-7).all()
    p = here.n_components
    close(replace(observed, evr=observed.evr[:p]), replace(here, evr=here.evr[:p]))


@pytest.mark.parametrize("chunks", [(1, 32), (24, 1), (5, 7)])
def test_neighbours_in_different_chunks_are_compared(larger, nothing_is_loaded, chunks):
    dask = pytest.importorskip("dask.array")
    _, patterns, spectra = larger
    counts = np.nan_to_num(patterns)
    here = survey(several(on_one_grid([counts, spectra]), None), noise=True)
    lazy = [dask.from_array(each, chunks=(*chunks, *each.shape[2:])) for each in (counts, spectra)]
    observed = survey(several(on_one_grid(lazy, read=read_all), None), noise=True)
    pairs = neighbours((24, 32), here.gaps.measured)
    for ours, theirs, each in zip(observed.noise, here.noise, (counts, spectra), strict=True):
        rows = each.reshape(768, -1)[here.gaps.measured]
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        np.testing.assert_allclose(ours, noise_between(rows, pairs), rtol=1e-12)


def test_more_pairs_than_are_looked_at_and_no_gaps_take_one_pass(small, passes, monkeypatch):
    monkeypatch.setattr("emcore.scans.survey._PAIRS", 50)
    _, patterns, spectra = small
    found = survey(several(on_one_grid([patterns, spectra]), None), noise=True)
    pairs = neighbours((12, 10), np.arange(120))[::3]
    assert (found.pairs, found.passes, passes) == (36, 1, ["_survey"])
    np.testing.assert_allclose(found.noise[1], noise_between(spectra.reshape(120, -1), pairs), rtol=1e-12)


def test_quartiles_of_some_features_at_a_time_are_those_of_all(larger, stored_as, nothing_is_loaded, passes):
    _, patterns, spectra = larger
    found = several(on_one_grid([stored_as("map", patterns), spectra], read=read_all), "2 MiB")
    gaps = survey(found, noise=False).gaps
    observed, made = quantiles_together(found, gaps, (0.25, 0.5, 0.75))
    assert 3 < made == passes.count("_features")
    for ours, each in zip(observed, (patterns, spectra), strict=True):
        rows = each.reshape(768, -1)[gaps.measured]
        np.testing.assert_allclose(ours, np.quantile(rows, (0.25, 0.5, 0.75), axis=0), rtol=1e-6)


def test_lazy_signals_of_hyperspy_are_taken_as_they_are(small, nothing_is_loaded):
    hs = pytest.importorskip("hyperspy.api")
    _, patterns, spectra = small
    lazy = [hs.signals.Signal2D(patterns).as_lazy(), hs.signals.Signal1D(spectra).as_lazy()]
    observed, here = correlate(lazy, 2, memory="20 MiB"), correlate([patterns, spectra], 2)
    assert hasattr(observed._inputs[0].data, "dask")
    assert np.array_equal(observed.labels, here.labels)


def test_what_takes_half_of_the_budget_together_is_loaded(small, stored_as, passes):
    signals = [stored_as("dask", each) for each in small[1:]]
    observed = correlate(signals, 2)
    assert np.array_equal(observed.labels, correlate(list(small[1:]), 2).labels)
    assert not any("out of core" in note for note in observed.provenance.notes)


@pytest.mark.parametrize(
    ("scaling", "killed_in"),
    [*(("standard", i) for i in range(5)), *(("robust", i) for i in (1, 2, 3, 9, -4, -3, -2, -1))],
)
def test_a_job_that_was_killed_goes_on_to_the_same_bits(
    larger, tmp_path, stored_as, nothing_is_loaded, small_blocks, killing, passes, same, scaling, killed_in
):
    signals = [stored_as("map", each, name) for each, name in zip(larger[1:], "ab", strict=True)]
    options = {"memory": "24 MiB", "scaling": scaling}
    whole = correlate(signals, 3, **options)
    read = len(passes)
    made = killing(1 + killed_in % read)
    job = {**options, "checkpoint": tmp_path / "job.npz"}
    with pytest.raises(KeyboardInterrupt):
        correlate(signals, 3, **job)
    again = correlate(signals, 3, **job)
    assert len(made) == read + 1  # the pass that was killed, twice
    assert same(again, whole)
    with pytest.raises(ValueError, match="another job: threshold"):
        correlate(signals, 3, **job, threshold=0.7)


def test_too_little_memory_is_refused_with_the_least(larger, stored_as, nothing_is_loaded):
    with pytest.raises(ValueError, match=r"memory=500 KiB is too little for signals: the smallest possible is \d"):
        correlate([stored_as("map", larger[1]), larger[2]], 3, memory="500 KiB")


def test_what_is_wrong_with_stored_signals_is_told_by_its_position(larger, stored_as, nothing_is_loaded):
    _, patterns, spectra = larger
    negative = spectra.astype(np.int16)
    negative[20, 3, 5] = -2
    with pytest.raises(ValueError, match=r"Negative values .* signal 1, first at \[20, 3, 5\]"):
        correlate([stored_as("map", patterns), negative], 3, scaling="poisson")


def test_bad_input_is_told(small):
    _, patterns, spectra = small
    both = [patterns, spectra]
    with pytest.raises(ValueError, match=r"not taken on one scan grid: signal 0 has 12 x 10, signal 1 has 10 x 12"):
        correlate([patterns, spectra.swapaxes(0, 1)], 2)
    with pytest.raises(ValueError, match="holds one signal"):
        correlate([patterns], 2)
    with pytest.raises(ValueError, match="n_clusters=1 is out of range"):
        correlate(both, 1)
    with pytest.raises(ValueError, match="n_clusters=121 is out of range"):
        correlate(both, 121)
    for threshold in (-0.1, 1.01, np.nan):
        with pytest.raises(ValueError, match="threshold="):
            correlate(both, 2, threshold=threshold)
    with pytest.raises(ValueError, match="did you mean 'fuzzy-c-means'"):
        correlate(both, 2, method="fuzzy-cmeans")
    with pytest.raises(ValueError, match="did you mean 'threshold'"):
        correlate(both, 2, components="treshold")
    with pytest.raises(ValueError, match="components=500 is too many"):
        correlate(both, 2, components=500)
    with pytest.raises(ValueError, match="m=1"):
        correlate(both, 2, m=1.0)
    with pytest.raises(ValueError, match="signal 1 has nothing to tell positions apart: every feature is constant"):
        correlate([patterns, np.ones_like(spectra)], 2)
    bad = spectra.astype(np.float32)
    bad[..., 5] = np.inf
    with pytest.raises(ValueError, match=r"signal 1 contains NaN or infinity at every position, first at \[0, 0, 5\]"):
        correlate([patterns, bad], 2)
    with pytest.raises(TypeError, match="list of signals"):
        correlate(patterns, 2)
    two = np.tile(np.eye(6, dtype=np.uint8), (12, 10, 1, 1))
    two[6:] = two[6:, :, ::-1]
    with pytest.raises(ValueError, match="n_clusters=3 is too many: there are 2 distinct scan positions"):
        correlate([two, two[..., 0]], 3)


def test_the_command_takes_two_files_as_one_job(small, tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    np.save("patterns.npy", small[1])
    np.save("spectra.npy", small[2])
    assert main(["correlate", "patterns.npy", "spectra.npy", "--clusters", "2", "--threshold", "0.75"]) == 0
    said = capsys.readouterr().out
    assert "patterns.npy + spectra.npy: 2 clusters" in said
    assert "60 positions above 0.75" in said
    assert "  clusters  n_clusters=2 was asked for" in said
    assert "alone     spectra: adjusted Rand index " in said
    made = ["patterns.npy", "patterns_spectra.correlate.h5", "patterns_spectra.correlate.pdf", "spectra.npy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == made
    assert load_result("patterns_spectra.correlate.h5").threshold == 0.75


def test_a_command_takes_a_budget_and_a_checkpoint(small, tmp_path, monkeypatch, nothing_is_loaded, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    np.save("patterns.npy", small[1])
    np.save("spectra.npy", small[2])
    options = ["--clusters", "2", "--memory", "20 MiB", "--checkpoint", "job.npz"]
    assert main(["correlate", "patterns.npy", "spectra.npy", *options]) == 0
    assert (tmp_path / "job.npz").exists()
    said = capsys.readouterr()
    assert "data out of core, read 4 times" in said.out
    assert "predicted peak memory" in said.err


def test_a_command_that_cannot_be_done_says_why_and_leaves_nothing(small, tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    np.save("patterns.npy", small[1])
    np.save("other.npy", small[2][:5])
    assert main(["correlate", "patterns.npy", "other.npy", "--clusters", "2"]) == 1
    assert "not taken on one scan grid: patterns has 12 x 10, other has 5 x 10" in capsys.readouterr().err
    assert main(["correlate", "patterns.npy", "nowhere.npy", "--clusters", "2"]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.npy", "patterns.npy"]
    for words in (
        ["--clusters", "1"],
        ["--clusters", "2", "--threshold", "2"],
        ["--clusters", "2", "--method", "x"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(["correlate", "patterns.npy", "other.npy", *words])
        assert ended.value.code == 2


def test_the_pages_show_map_signals_components_and_each_signal_alone(result):
    pytest.importorskip("matplotlib")
    from emcore.reporting.pages import pages
    from emcore.reporting.plotting import style

    with style():
        figures = list(pages(result))
    titles = [axes.get_title("left") for figure in figures for axes in figure.axes]
    assert titles[:3] == ["Mean of diffraction", "4 clusters", f"Scree: {result.n_components} components"]
    assert sum(title.startswith("Component ") for title in titles) == result.n_components
    assert titles[-3] == "All together"
    assert titles[-2].startswith("diffraction alone, adjusted Rand index 0.")
    assert titles[-1].startswith("EDS alone, adjusted Rand index 0.")
    assert "4 clusters" in [axes.get_title("left") for axes in result.plot().axes]


def test_bright_is_certain_and_black_is_undecided():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    from emcore.reporting.plotting import component_color, draw_memberships

    axes = figure.add_axes((0, 0, 1, 1))
    memberships = np.array([[[1.0, 0.5, 0.25]], [[0.0, 0.5, 0.75]]])
    draw_memberships(axes, memberships, np.arange(1.0), np.arange(3.0))
    certain, undecided, half = np.asarray(axes.images[0].get_array())[0]
    assert np.allclose(certain, 255 * np.array(component_color(0)), atol=1)
    assert undecided.tolist() == [0, 0, 0]
    assert np.allclose(half, 127.5 * np.array(component_color(1)), atol=1)


def test_the_sum_of_what_is_known_of_a_signal_is_kept(sample, result):
    named = replace(sample.eds, source="")
    assert result.means[1].title == named.title
    parameters = result.provenance.parameters
    assert parameters["m"] == pytest.approx(1 + 2 / result.n_components)
    assert result.provenance.input_name == "diffraction + EDS"
    assert len(result.provenance.input_sha256) == 64 * 2 + 3
