"""Peaks of a hyperspectral stack: against the truth of synthetic scans, in memory, out of core, from files."""

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.datasets import adjusted_rand_index, energy_series, plasmon_spectra
from emcore.results.result import load_result
from emcore.workflows.peaks import map_peaks

SHAPE = (60, 72)


@pytest.fixture(scope="module")
def sample():
    return energy_series(shape=SHAPE, seed=1)


@pytest.fixture(scope="module")
def result(sample):
    return map_peaks(sample.stack)


def test_the_published_energies_and_no_others_are_found_in_nine_of_ten_series():
    right = []
    for seed in range(11, 21):
        sample = energy_series(shape=(72, 90), seed=seed)
        observed = map_peaks(sample.stack)
        right.append(observed.n_peaks == 5)
        assert np.abs(observed.energies - sample.peaks[:, None]).min(axis=1).max() < 0.05
        assert observed.n_references == 5 or not right[-1]
        assert not right[-1] or adjusted_rand_index(sample.labels, observed.labels) > 0.97
        assert (observed.labels < 0).mean() < 0.02
    assert sum(right) >= 9


def test_energies_scatter_from_seed_to_seed_by_about_their_errors(result):
    found = np.array([map_peaks(energy_series(shape=SHAPE, seed=seed).stack).energies for seed in range(21, 27)])
    assert (found.std(axis=0) < 4 * result.errors).all()
    assert found.std(axis=0).mean() > 0.3 * result.errors.mean()


def test_the_gain_of_a_position_changes_no_angle_and_no_label(sample, result):
    stack = np.asarray(sample.stack.data, dtype="f8") * np.random.default_rng(0).choice([0.5, 1.0, 4.0], SHAPE)
    other = map_peaks(Signal(stack, sample.stack.axes, flagged=True))
    np.testing.assert_allclose(other.energies, result.energies, atol=0.03)
    both = (other.labels >= 0) & (result.labels >= 0)
    assert (other.labels == result.labels)[both].mean() > 0.995


def test_pictures_spectra_and_counts_are_those_of_the_data(sample, result):
    data = np.asarray(sample.stack.data, dtype="f8")
    np.testing.assert_allclose(result.image.data, data.mean(axis=0), rtol=1e-6)
    slope = np.gradient(data.mean(axis=(1, 2)), sample.stack.axes[0].values)
    assert np.corrcoef(result.mean.data, slope)[0, 1] > 0.99
    assert result.found.shape == (20, 24)
    assert result.found.sum() == len(result.positions) == len(result.peak_of)
    assert result.area.sum() == pytest.approx((result.labels >= 0).mean())
    there = result.labels >= 0
    expected = 100 * (1 - result.angle[there] / result.second[there])
    np.testing.assert_allclose(result.reliability[there], expected, rtol=1e-4, atol=1e-4)
    assert (result.angle <= result.second).all()


def test_drift_is_taken_out(tmp_path):
    drifted = energy_series(shape=(90, 100), seed=2, drift=0.3)
    observed = map_peaks(drifted.stack, register=True)
    off = observed.shifts - drifted.shifts
    # Of the first images, which hold hardly any electrons, nobody can tell.
    assert np.abs(off[10:] - np.median(off[10:], axis=0)).max() < 1.5
    assert observed.n_peaks == 5
    assert np.abs(observed.energies - drifted.peaks).max() < 0.05
    height, width = observed.labels.shape
    assert height < 90
    down, right = (np.rint(np.median(off, axis=0)) - np.rint(observed.shifts).min(axis=0)).astype(int)
    lines, columns = np.arange(height) + down, np.arange(width) + right
    assert adjusted_rand_index(drifted.labels[np.ix_(lines.clip(0, 89), columns.clip(0, 99))], observed.labels) > 0.9
    assert any("registered" in note for note in observed.provenance.notes)
    assert load_result(observed.save(tmp_path / "drift.h5")) == observed


def test_spectra_are_taken_as_they_are_and_their_peaks_found(result):
    sample = plasmon_spectra((60, 72), seed=1)
    observed = map_peaks(sample.signal)
    assert result.differentiated
    assert not observed.differentiated
    for plasmon in np.unique(sample.plasmon[np.isfinite(sample.plasmon)]):
        assert np.abs(observed.energies - plasmon).min() < 0.5


def test_counts_of_all_from_an_energy_on_give_the_same_spectra(sample, result):
    data = np.asarray(sample.stack.data).astype("f8")
    falling = Signal(data[-1] - data + 10, sample.stack.axes, flagged=True)
    observed = map_peaks(falling, differentiate=True)
    np.testing.assert_allclose(observed.energies, result.energies, atol=0.03)
    assert any("from an energy on" in note for note in observed.provenance.notes)


def test_layouts_of_the_same_data_give_the_same(sample, result, same):
    data, energy = np.asarray(sample.stack.data), sample.stack.axes[0]
    last = Signal(data.transpose(1, 2, 0), (*sample.stack.axes[1:], energy), title=sample.stack.title, flagged=True)
    assert same(map_peaks(last), result)
    bare = map_peaks(data, energies=energy.values)
    np.testing.assert_array_equal(bare.labels, result.labels)
    np.testing.assert_array_equal(bare.energies, result.energies)
    listed = map_peaks(list(data), energies=energy.values)
    np.testing.assert_array_equal(listed.labels, result.labels)
    falling = Signal(data[::-1], (Axis("energy", 71, -0.1, 7.0, "eV", True), *sample.stack.axes[1:]), flagged=True)
    np.testing.assert_allclose(map_peaks(falling).energies, result.energies, atol=1e-3)


def test_energies_at_uneven_distances_are_energies(sample):
    keep = np.sort(np.random.default_rng(0).choice(71, 58, replace=False))
    data, energies = np.asarray(sample.stack.data)[keep], sample.stack.axes[0].values[keep]
    observed = map_peaks(data, energies=energies)
    assert observed.n_peaks == 5
    assert np.abs(observed.energies - sample.peaks).max() < 0.06


def test_peaks_that_stand_in_the_same_spectra_share_a_reference():
    rng = np.random.default_rng(0)
    energy = np.arange(80.0)
    one, two, three, four = (np.exp(-np.square(energy - at) / 20) for at in (12, 30, 48, 66))
    spectra = np.where(np.arange(60)[:, None, None] < 30, 60 * one + 40 * three, 60 * two + 45 * four)
    data = rng.poisson(np.broadcast_to(5 + spectra, (60, 48, 80)))
    observed = map_peaks(data.astype("u2"))
    np.testing.assert_allclose(observed.energies, [12, 30, 48, 66], atol=0.3)
    assert observed.reference_of.tolist() == [0, 1, 0, 1]
    assert (observed.labels[:29] == 0).mean() > 0.95
    assert (observed.labels[31:] == 1).mean() > 0.95


def test_positions_without_a_measurement_take_no_part_and_other_spectra_have_no_reference(sample):
    data = np.asarray(sample.stack.data).astype("f4")
    data[:, :3, :3], data[:, 5, 5], data[7, 6, 6] = 0, 4, np.nan
    data[:, 40:43, 40:46] = (data[-1, 40:43, 40:46] * np.linspace(0, 1, 71)[:, None, None] ** 6).round()
    observed = map_peaks(Signal(data, sample.stack.axes, flagged=True))
    assert observed.n_empty == 11
    assert (observed.labels[~observed.measured] == -1).all()
    assert not observed.measured[[5, 6], [5, 6]].any()
    assert observed.found[0, 0] == -1
    assert (observed.labels[40:43, 40:46] < 0).mean() > 0.8
    assert observed.n_peaks == 5
    assert all(np.isfinite(each).all() for each in (observed.angle, observed.references, observed.mean.data))
    assert "11 of 4320 positions are empty" in " ".join(observed.provenance.notes)


def test_a_number_and_an_angle_that_are_given_are_used(sample):
    observed = map_peaks(sample.stack, n_peaks=3, max_angle=10.0)
    assert observed.n_peaks == 3
    assert observed.rule == "given"
    assert observed.angle[observed.labels >= 0].max() <= 10


@pytest.mark.parametrize("order", ["energy first", "energy last"])
def test_what_is_left_in_a_file_gives_the_same(sample, result, tmp_path, order):
    data, axes = np.tile(np.asarray(sample.stack.data), (1, 6, 1)), sample.stack.axes
    number = 0
    if order == "energy last":
        data, number = data.transpose(1, 2, 0), 2
    np.save(tmp_path / "stack.npy", data)
    mapped = np.load(tmp_path / "stack.npy", mmap_mode="r")
    options = {"energies": axes[0].values, "signal_axis": number}
    whole = map_peaks(np.load(tmp_path / "stack.npy"), **options)
    observed = map_peaks(mapped, memory="3 MB", **options)
    assert any("out of core, visited in" in note for note in observed.provenance.notes)
    np.testing.assert_array_equal(observed.labels, whole.labels)
    np.testing.assert_allclose(observed.energies, whole.energies, rtol=1e-12)
    np.testing.assert_allclose(observed.references, whole.references, rtol=1e-9)


@pytest.mark.usefixtures("nothing_is_loaded")
def test_a_dask_array_gives_the_same(sample, result):
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(np.asarray(sample.stack.data), chunks=(20, 30, 72))
    observed = map_peaks(lazy, energies=sample.stack.axes[0].values)
    np.testing.assert_array_equal(observed.labels, result.labels)


def test_a_job_goes_on_from_its_checkpoint_and_refuses_other_data(sample, result, tmp_path, monkeypatch):
    path, data = tmp_path / "job.npz", np.asarray(sample.stack.data)
    energies = sample.stack.axes[0].values
    first = map_peaks(data, energies=energies, checkpoint=path)
    np.testing.assert_array_equal(first.labels, result.labels)
    from emcore.workflows import peaks_passes

    def fail(*_):
        raise AssertionError("peaks are sought again")

    monkeypatch.setattr(peaks_passes, "prominent_peaks", fail)
    again = map_peaks(data, energies=energies, checkpoint=path)
    np.testing.assert_array_equal(again.labels, result.labels)
    with pytest.raises(ValueError, match="is of another job"):
        map_peaks(data + 1, energies=energies, checkpoint=path)
    with pytest.raises(ValueError, match="block was 3, and is 4"):
        map_peaks(data, block=4, energies=energies, checkpoint=path)


def test_a_result_is_read_back_and_is_the_same_on_any_number_of_threads(sample, result, tmp_path, same):
    assert load_result(result.save(tmp_path / "peaks.h5")) == result
    for threads in (1, 3):
        with emcore.num_threads(threads):
            assert same(map_peaks(sample.stack), result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"energies": np.arange(70.0)}, "energies has 70 values, the stack 71"),
        ({"energies": np.r_[np.arange(70.0), 3.0]}, "neither rise nor fall"),
        ({"energies": np.full(71, np.nan)}, "finite number"),
        ({"block": 0}, "block=0 is out of range"),
        ({"n_peaks": 13}, "n_peaks=13 is out of range"),
        ({"n_peaks": "some"}, "n_peaks='some' is not known"),
        ({"max_angle": 91}, "max_angle=91"),
        ({"differentiate": "maybe"}, "differentiate='maybe' is not known"),
        ({"signal_axis": "z"}, "signal_axis='z' is not an axis"),
        ({"memory": "10 kB"}, "memory=9.8 KiB is too little for stack: the smallest possible is"),
    ],
)
def test_what_does_not_fit_is_refused(sample, options, message):
    with pytest.raises(ValueError, match=message):
        map_peaks(sample.stack, **options)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((8, 9, 20)), "none of 72 positions holds a measurement"),
        (np.ones((20, 30)), "holds a measurement"),
        (np.random.default_rng(0).normal(size=(9, 9, 40)), "stands? out of noise"),
        (np.zeros((8, 9, 5)), "at least 8 energies"),
        (np.zeros(50), "a spectrum or curve at every position is needed"),
        (np.zeros((3, 4, 5, 20)), "3 axes beside its energy"),
        ([], "empty list"),
    ],
)
def test_what_holds_no_peaks_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        map_peaks(data)


def test_positions_along_a_line_are_a_scan(sample):
    line = np.asarray(sample.stack.data)[:, 30]
    observed = map_peaks(line.T.copy(), energies=sample.stack.axes[0].values)
    assert observed.labels.shape == (72,)
    assert observed.found.shape == (24,)
    with pytest.raises(ValueError, match="register needs images"):
        map_peaks(line, energies=sample.stack.axes[0].values, register=True)


def test_the_verb_maps_a_file_and_a_folder_of_images(sample, tmp_path, capsys):
    data = np.asarray(sample.stack.data)
    np.save(tmp_path / "stack.npy", data)
    (tmp_path / "energies.txt").write_text("\n".join(f"{energy:g}" for energy in sample.stack.axes[0].values))
    words = ["--energies", str(tmp_path / "energies.txt"), "--output", str(tmp_path / "out")]
    assert main(["peaks", str(tmp_path / "stack.npy"), *words]) == 0
    told = capsys.readouterr().out
    assert "5 peaks" in told
    assert "peak 1" in told
    written = load_result(tmp_path / "out" / "stack.peaks.h5")
    assert written.n_peaks == 5
    assert (tmp_path / "out" / "stack.peaks.pdf").stat().st_size > 10_000
    tifffile = pytest.importorskip("tifffile")
    (tmp_path / "images").mkdir()
    for i, image in enumerate(data):
        tifffile.imwrite(tmp_path / "images" / f"image_{i}.tif", image)
    assert main(["peaks", "--frames", str(tmp_path / "images"), *words]) == 0
    np.testing.assert_array_equal(load_result(tmp_path / "out" / "images.peaks.h5").labels, written.labels)


def test_real_spectra_have_peaks_where_their_elements_have_lines(data_folder):
    observed = map_peaks(data_folder / "core_shell.hspy")
    # Iron, copper of the grid and platinum, in channels of 20 eV.
    for line in (6404, 8046, 9442):
        assert np.abs(observed.energies - line).min() < 20
