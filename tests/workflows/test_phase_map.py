"""Phases by correlation with references: against the truth of synthetic scans, in memory, out of core, from files."""

import re

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.datasets import absorption_phases, adjusted_rand_index, eds_phases, polycrystal_scan
from emcore.outofcore import engine, sources
from emcore.outofcore.sources import Source
from emcore.results.result import load_result
from emcore.workflows.phase_map import phase_map


@pytest.fixture(scope="module")
def sample():
    return absorption_phases(shape=(40, 50))


@pytest.fixture(scope="module")
def result(sample):
    return phase_map(sample.signal, sample.references)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_phases_are_found_where_the_nearest_reference_misses_them(seed):
    sample = absorption_phases(shape=(40, 50), seed=seed)
    data, references = np.asarray(sample.signal.data), np.asarray(sample.references.data)
    nearest = np.square(data[:, :, None] - references).sum(axis=3).argmin(axis=2)
    assert adjusted_rand_index(sample.labels, nearest) < 0.8
    observed = phase_map(sample.signal, sample.references)
    assert adjusted_rand_index(sample.labels, observed.labels) >= 0.95


def test_correlations_and_reliabilities_are_the_definition(sample, result):
    data = np.asarray(sample.signal.data).reshape(-1, 120)
    r = np.corrcoef(data, sample.references.data)[len(data) :, : len(data)].reshape(-1, 40, 50)
    np.testing.assert_allclose(result.r, r, atol=1e-6)
    first, second = -np.sort(-r, axis=0)[:2]
    there = result.labels >= 0
    np.testing.assert_array_equal(result.labels[there], r.argmax(axis=0)[there])
    np.testing.assert_allclose(result.correlation, first, atol=1e-6)
    second = np.maximum(second, 0)
    np.testing.assert_allclose(result.difference[there], (first - second)[there], atol=1e-6)
    np.testing.assert_allclose(result.reliability[there], (100 * (1 - second / first))[there], atol=1e-3)
    for phase, mean in enumerate(result.signals):
        expected = data[result.labels.ravel() == phase].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(mean, expected, rtol=1e-5)
    np.testing.assert_allclose(result.mean.data, data.mean(axis=0, dtype=np.float64), rtol=1e-5)


def test_gain_and_offset_of_a_position_change_no_phase(sample, result):
    rng = np.random.default_rng(0)
    gain, offset = rng.uniform(0.1, 10, (2, 40, 50, 1))
    other = phase_map((gain * (np.asarray(sample.signal.data, "f8") + offset)).astype("f4"), sample.references.data)
    np.testing.assert_allclose(other.r, result.r, atol=1e-5)
    assert (other.labels == result.labels).mean() > 0.999


def test_references_of_one_phase_do_not_make_each_other_unreliable(sample):
    references = np.repeat(sample.references.data, 2, axis=0)
    references[1::2] += 1e-3 * np.sin(np.arange(120))
    names = [name for name in "abcd" for _ in range(2)]
    observed, alone = phase_map(sample.signal, references, phases=names), phase_map(sample.signal, references)
    assert observed.names == ("a", "b", "c", "d")
    assert observed.phase_of.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert adjusted_rand_index(sample.labels, observed.labels) >= 0.95
    assert np.median(observed.reliability) > 20 * np.median(alone.reliability)
    named = phase_map(sample.signal, {name: references[2 * i : 2 * i + 2] for i, name in enumerate("abcd")})
    np.testing.assert_array_equal(named.labels, observed.labels)
    assert named.names == observed.names


def test_positions_without_a_measurement_or_a_phase_have_label_minus_one_and_are_counted(sample):
    data = np.array(sample.signal.data)
    data[0, 0], data[0, 1, 5], data[0, 2, 7] = 3.0, np.nan, np.inf
    data[1, 0] = np.random.default_rng(0).normal(size=120)
    observed = phase_map(data, sample.references.data, min_correlation=0.5)
    assert observed.n_empty == 3
    assert observed.labels[0, :3].tolist() == [-1, -1, -1] == observed.labels[1, :1].tolist() * 3
    assert observed.measured[:2, :3].tolist() == [[False] * 3, [True] * 3]
    assert all(np.isfinite(each).all() for each in (observed.r, observed.signals, observed.reliability))
    assert np.isfinite(observed.mean.data).all()
    said = " ".join(observed.provenance.notes)
    assert "3 of 2000 positions are empty (1 constant, 2 with NaN or infinity)" in said
    assert "1 of 1997 measured positions correlate with no phase" in said
    assert observed.area.sum() == pytest.approx(1996 / 1997)


def test_grains_are_found_by_their_mean_patterns():
    scan = polycrystal_scan(scan_shape=(16, 20), n_grains=3)
    means = [scan.patterns[scan.labels == grain].mean(axis=0) for grain in range(3)]
    observed = phase_map(scan.patterns, np.array(means))
    assert adjusted_rand_index(scan.labels, observed.labels) > 0.9
    assert observed.signals.shape == (3, 64, 64)


def test_the_spectra_of_an_unmixing_are_references_on_their_own_channels(tmp_path):
    scan = eds_phases(shape=(24, 30), counts=400, minority=0.03, zero_peak=50)
    unmixed = emcore.unmix(scan.signal)
    observed = phase_map(scan.signal, unmixed)
    assert observed.mean.axes == unmixed.mean.axes != scan.signal.axes[-1:]
    truth = scan.maps.argmax(axis=0)
    assert adjusted_rand_index(truth, observed.labels) > 0.95
    from_file = phase_map(scan.signal, unmixed.save(tmp_path / "unmixed.h5"))
    np.testing.assert_array_equal(from_file.r, observed.r)


def test_what_is_left_in_a_file_gives_the_same(sample, result, tmp_path):
    np.save(tmp_path / "scan.npy", np.tile(np.asarray(sample.signal.data), (8, 1, 1)))
    mapped = np.load(tmp_path / "scan.npy", mmap_mode="r")
    observed = phase_map(mapped, sample.references.data, memory="4 MiB")
    assert any("out of core" in note for note in observed.provenance.notes)
    for part in range(8):
        np.testing.assert_array_equal(observed.r[:, 40 * part : 40 * part + 40], result.r)
    np.testing.assert_allclose(observed.signals, result.signals, rtol=1e-12)


def test_a_map_of_phases_goes_on_from_where_it_was_left_and_reads_the_data_once(sample, result, tmp_path, monkeypatch):
    np.save(tmp_path / "scan.npy", np.asarray(sample.signal.data))
    mapped = np.load(tmp_path / "scan.npy", mmap_mode="r")
    read, load = [], Source.load

    def counted(self, block):
        read.append(block.index)
        if len(read) == 4:
            raise KeyboardInterrupt
        return load(self, block)

    monkeypatch.setattr(Source, "load", counted)
    monkeypatch.setattr(sources, "SLAB_BYTES", mapped.nbytes // 6)
    monkeypatch.setattr(engine, "SAVED", 0.0)
    words = {"checkpoint": tmp_path / "job.npz", "memory": "4 MiB"}
    with pytest.raises(KeyboardInterrupt):
        phase_map(mapped, sample.references.data, **words)
    observed = phase_map(mapped, sample.references.data, **words)
    assert sorted(set(read)) == list(range(max(read) + 1))
    assert len(read) <= max(read) + 3  # what was being read when it was left is read again
    np.testing.assert_array_equal(observed.r, result.r)
    np.testing.assert_array_equal(observed.labels, result.labels)
    with pytest.raises(ValueError, match=r"checkpoint=.* is of another job: least correlation was 0"):
        phase_map(mapped, sample.references.data, min_correlation=0.5, **words)


def test_channels_of_a_range_are_compared(sample, result):
    energies = sample.signal.axes[-1].values
    low, high = energies[30], energies[89]
    observed = phase_map(sample.signal, sample.references, signal_range=(low, high))
    expected = phase_map(sample.signal.data[..., 30:90], sample.references.data[:, 30:90])
    np.testing.assert_array_equal(observed.r, expected.r)
    assert observed.mean.axes[0].values[[0, -1]] == pytest.approx([low, high])
    with pytest.raises(ValueError, match="holds 0 channels"):
        phase_map(sample.signal, sample.references, signal_range=(1, 2))
    with pytest.raises(ValueError, match="signal_range is of spectra"):
        phase_map(np.random.default_rng(0).random((4, 5, 8, 8)), np.eye(64)[:2].reshape(2, 8, 8), signal_range=(1, 2))


def test_the_strobe_peak_of_a_detector_makes_no_phases_alike():
    scan = eds_phases(shape=(24, 30), counts=400, zero_peak=4000)
    truth = scan.maps.argmax(axis=0)
    means = np.stack([np.asarray(scan.signal.data)[truth == phase].mean(axis=0) for phase in np.unique(truth)])
    observed = phase_map(scan.signal, Signal(means, (Axis("phase", len(means), navigation=True), scan.signal.axes[-1])))
    assert observed.mean.axes[0].values[0] > 0
    assert "the strobe peak at 0 eV was left out" in " ".join(observed.provenance.notes)
    assert adjusted_rand_index(truth, observed.labels) > 0.95


@pytest.mark.usefixtures("nothing_is_loaded")
def test_a_dask_array_gives_the_same(sample, result):
    da = pytest.importorskip("dask.array")
    observed = phase_map(da.from_array(np.asarray(sample.signal.data), chunks=(13, 50, 120)), sample.references.data)
    np.testing.assert_array_equal(observed.r, result.r)
    np.testing.assert_allclose(observed.signals, result.signals, rtol=1e-12)


def test_a_result_is_read_back_and_is_the_same_on_any_number_of_threads(sample, result, tmp_path, same):
    assert load_result(result.save(tmp_path / "phases.h5")) == result
    for threads in (1, 3):
        with emcore.num_threads(threads):
            assert same(phase_map(sample.signal, sample.references), result)


@pytest.mark.parametrize(
    ("references", "options", "message"),
    [
        (np.ones((2, 119)), {}, r"references have shape \(119,\) each; 120 along"),
        (np.ones((2, 120)), {}, "number 0 is constant"),
        (np.full((2, 120), np.nan), {}, "references contains NaN"),
        (np.eye(2, 120), {"phases": ["a"]}, "a name for each of the 2 references"),
        (np.eye(2, 120), {"min_correlation": 2}, "min_correlation"),
        ({}, {}, "references is empty"),
    ],
)
def test_what_does_not_fit_is_refused(sample, references, options, message):
    with pytest.raises(ValueError, match=message):
        phase_map(np.asarray(sample.signal.data), references, **options)


def test_references_on_other_energies_are_refused(sample):
    axis = Axis("energy", 60, 2.0, 7080.0, "eV")
    other = Signal(np.eye(2, 60), (Axis("phase", 2, navigation=True), axis))
    with pytest.raises(ValueError, match="not among those of the scan"):
        phase_map(sample.signal, other)


def test_a_scan_without_a_measurement_is_refused():
    with pytest.raises(ValueError, match="12 of 12 positions are empty"):
        phase_map(np.ones((3, 4, 20)), np.eye(2, 20))


def test_the_verb_maps_phases_of_a_file(sample, tmp_path, capsys):
    np.save(tmp_path / "scan.npy", np.asarray(sample.signal.data))
    np.save(tmp_path / "references.npy", np.asarray(sample.references.data))
    words = ["--references", str(tmp_path / "references.npy"), "--phases", "FeO,Fe3O4,Fe2O3,Fe"]
    assert main(["phases", str(tmp_path / "scan.npy"), *words, "--output", str(tmp_path)]) == 0
    assert "Fe3O4" in capsys.readouterr().out
    written = load_result(tmp_path / "scan.phases.h5")
    assert adjusted_rand_index(sample.labels, written.labels) >= 0.95
    assert (tmp_path / "scan.phases.pdf").stat().st_size > 10_000


def test_a_phase_that_is_found_nowhere_is_said_and_why(data_folder):
    file = data_folder / "core_shell.hspy"
    found = emcore.unmix(file)
    (note,) = [note for note in emcore.phase_map(file, found).provenance.notes if "no position is most like" in note]
    assert "signal_range= leaves them out" in note
    low, high = (float(value) for value in re.search(r"at (\S+) to (\S+) eV", note).groups())
    assert 200 < low < high < 350  # the carbon of the film
    without = emcore.phase_map(file, found, signal_range=(1000, 19000))
    assert not any("most like" in note for note in without.provenance.notes)
