"""Scans at low rank: against the truth of synthetic scans, in memory, out of core, to files of every kind."""

import errno
import warnings
from dataclasses import replace

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core import files
from emcore.core.signals import Axis, Signal
from emcore.datasets import eds_phases
from emcore.io import scan_files
from emcore.methods.denoising import subspace
from emcore.results.result import load_result
from emcore.workflows import denoise as workflow
from emcore.workflows.denoise import denoise

GRID, CHANNELS = (24, 20), 120


def truth_of(seed=0, dose=40.0):
    """Three smooth maps of spectra with a peak of their own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: GRID[0], : GRID[1]] / 10
    maps = np.stack([np.ones(GRID), 1 + np.sin(3 * y + seed), 1 + np.cos(2 * x + y)])
    energy = np.arange(CHANNELS)
    spectra = [0.2 + np.exp(-energy / 40), *(np.exp(-0.5 * ((energy - e) / 4) ** 2) for e in (30, 80))]
    truth = np.einsum("kyx,ke->yxe", maps, np.stack(spectra))
    return dose * truth / truth.sum(axis=2).mean(), rng


def counts_of(seed=0, dose=40.0):
    truth, rng = truth_of(seed, dose)
    return rng.poisson(truth).astype(np.uint16), truth


def error(data, truth):
    return np.linalg.norm(data - truth) / np.linalg.norm(truth)


def plain(counts, k):
    """HyperSpy's model of weighted counts."""
    rows = counts.reshape(-1, counts.shape[-1]).astype(float)
    a, b = np.sqrt(np.maximum(rows.sum(axis=1), 1e-9)), np.sqrt(np.maximum(rows.sum(axis=0), 1e-9))
    u, s, v = np.linalg.svd(rows / a[:, None] / b, full_matrices=False)
    return ((u[:, :k] * s[:k]) @ v[:k] * a[:, None] * b).reshape(counts.shape)


@pytest.mark.parametrize("dose", [5, 20, 50, 200])
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_the_denoised_scan_is_nearer_the_truth_than_the_same_rank_without_shrinkage(seed, dose):
    counts, truth = counts_of(seed, dose)
    ours = error(denoise(counts, 3).signal.data, truth)
    assert ours < error(plain(counts, 3), truth)
    best = min(error(denoise(counts, k).signal.data, truth) for k in (1, 2, 3, 4))
    assert error(denoise(counts).signal.data, truth) < 1.05 * best


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_components_too_many_do_no_harm_since_they_are_kept_as_far_as_they_are_signal(seed):
    counts, truth = counts_of(seed, 20)
    enough, more = (denoise(counts, k) for k in (3, 20))
    assert error(more.signal.data, truth) < 1.02 * error(enough.signal.data, truth)
    assert more.kept[10:] == pytest.approx(0)
    assert "noise, of which nothing was kept" in " ".join(more.provenance.notes)


def test_sums_of_positions_are_brought_to_their_mean_as_far_as_they_differ_by_noise():
    truth, rng = truth_of(2, 50)
    truth *= 50 / truth.sum(axis=2, keepdims=True)
    even = denoise(rng.poisson(truth).astype(np.uint16), negative="keep").signal.data.sum(axis=2)
    wedge = truth * np.linspace(0.2, 5, GRID[1])[:, None]
    uneven = denoise(rng.poisson(wedge).astype(np.uint16), negative="keep").signal.data.sum(axis=2)
    assert even.std() < 0.3 * np.sqrt(50)
    assert np.corrcoef(uneven.ravel(), wedge.sum(axis=2).ravel())[0, 1] > 0.97
    assert uneven.std() == pytest.approx(wedge.sum(axis=2).std(), rel=0.05)


def test_the_denoised_scan_is_nearer_the_truth_than_the_model_of_hyperspy():
    hs = pytest.importorskip("hyperspy.api")
    counts, truth = counts_of(1, 20)
    signal = hs.signals.Signal1D(counts.astype(float))
    signal.decomposition(normalize_poissonian_noise=True, output_dimension=3, print_info=False)
    model = signal.get_decomposition_model(3).data
    assert error(model, truth) == pytest.approx(error(plain(counts, 3), truth), rel=1e-3)
    assert error(denoise(counts, 3).signal.data, truth) < error(model, truth)


@pytest.mark.parametrize("weighting", ["auto", "none"])
def test_data_of_low_rank_come_back(weighting):
    truth, _ = truth_of()
    for data in (truth, truth - 1):
        observed = denoise(data.astype("f4"), 3, weighting=weighting)
        np.testing.assert_allclose(observed.signal.data, data, rtol=1e-4, atol=1e-5)
        assert observed.kept == pytest.approx(1, abs=1e-4)


@pytest.fixture(scope="module")
def counts():
    return counts_of(3, 100)[0]


@pytest.fixture(scope="module")
def result(counts):
    return denoise(counts)


def test_what_is_said_of_the_scan_is_so(counts, result):
    after = np.asarray(result.signal.data, dtype=float)
    assert (result.n_components, result.rule) == (3, "noise")
    np.testing.assert_allclose(result.mean.data, counts.mean(axis=(0, 1)))
    np.testing.assert_allclose(result.mean_denoised, after.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(result.image.data, counts.sum(axis=2))
    np.testing.assert_array_equal(result.at_position, counts[result.position])
    np.testing.assert_allclose(result.at_position_denoised, after[result.position], rtol=1e-5)
    np.testing.assert_array_equal(result.of_channel, counts[..., result.channel[0]])
    np.testing.assert_array_equal(result.of_channel_denoised, after[..., result.channel[0]].astype("f4"))
    squares = (counts - after) ** 2
    np.testing.assert_allclose(result.residual_map, squares.sum(axis=2) / counts.sum(axis=2), rtol=1e-4)
    np.testing.assert_allclose(result.residual_signal, squares.sum(axis=(0, 1)) / counts.sum(axis=(0, 1)), rtol=1e-4)
    assert result.residual_map.mean() == pytest.approx(1, abs=0.05)
    assert min(abs(result.channel[0] - peak) for peak in (30, 80)) < 8


def test_results_are_saved_read_back_and_drawn(result, tmp_path):
    assert load_result(result.save(tmp_path / "a.h5")) == result
    assert result.report(tmp_path / "a.pdf").stat().st_size > 1000


@pytest.mark.parametrize("kind", ["memory map", "HDF5", "Dask"])
def test_data_out_of_core_give_the_same_scan_however_they_are_cut(counts, result, kind, tmp_path, request):
    h5py, da = pytest.importorskip("h5py"), pytest.importorskip("dask.array")
    if kind == "memory map":
        np.save(tmp_path / "a.npy", counts)
        data = np.load(tmp_path / "a.npy", mmap_mode="r")
    elif kind == "HDF5":
        data = h5py.File(tmp_path / "a.h5", "w").create_dataset("a", data=counts, chunks=(4, 5, CHANNELS))
    else:
        request.getfixturevalue("nothing_is_loaded")
        data = da.from_array(counts, chunks=(10, 20, CHANNELS))
    cut = {"memory": None if kind == "Dask" else "600 kB"}
    observed = denoise(data, out=tmp_path / "b.npy", **cut)
    assert observed.n_components == result.n_components
    np.testing.assert_allclose(observed.signal.data, result.signal.data, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(observed.residual_map, result.residual_map, rtol=1e-4)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_the_number_of_threads_changes_no_bit(counts, result, same):
    with emcore.num_threads(3):
        observed = denoise(counts)
    assert same(observed, result)


@pytest.mark.parametrize("ending", ["hspy", "h5", "zspy", "npy"])
def test_a_scan_is_written_with_its_axes_as_it_would_be_returned(counts, result, ending, tmp_path):
    for package in ("h5py", "zarr", "rsciio"):
        pytest.importorskip(package)
    axes = Axis("y", 24, 2.0, units="nm", navigation=True), Axis("x", 20, 2.0, 5.0, "nm", True)
    signal = Signal(counts, (*axes, Axis.from_values("energy", np.arange(120) ** 1.1, "eV")), title="a/b")
    observed = denoise(signal, out=tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(observed.signal.data, result.signal.data)
    assert observed.signal.axes == signal.axes
    again = emcore.read(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(again.data, result.signal.data)
    if ending != "npy":
        assert again.axes == signal.axes
    with pytest.raises(FileExistsError, match="exists"):
        denoise(signal, out=tmp_path / f"a.{ending}")
    assert denoise(signal, out=tmp_path / f"a.{ending}", overwrite=True).n_components == 3


def test_hyperspy_opens_the_files(tmp_path, counts):
    hs = pytest.importorskip("hyperspy.api")
    patterns = Signal(
        counts.reshape(24, 20, 10, 12),
        tuple(Axis(n, size, 0.5, units=u, navigation=u == "nm") for n, size, u in
              (("y", 24, "nm"), ("x", 20, "nm"), ("ky", 10, "1/nm"), ("kx", 12, "1/nm"))),
    )  # fmt: skip
    for ending in ("hspy", "zspy"):
        written = denoise(patterns, out=tmp_path / f"a.{ending}")
        signal = hs.load(tmp_path / f"a.{ending}")
        assert (signal.axes_manager.signal_shape, signal.axes_manager.navigation_shape) == ((12, 10), (20, 24))
        assert [axis.units for axis in signal.axes_manager.signal_axes] == ["1/nm", "1/nm"]
        assert "denoised by emcore" in signal.metadata.General.notes
        np.testing.assert_array_equal(signal.data, written.signal.data)


PATTERNS = (("y", 24, 2.0, "nm"), ("x", 20, 2.0, "nm"), ("ky", 10, 0.5, "1/nm"), ("kx", 12, 0.5, "1/nm"))


@pytest.fixture(scope="module")
def written(counts, tmp_path_factory):
    """A scan of patterns as .emd, .h5 and .npy, and what is in them."""
    pytest.importorskip("h5py")
    axes = [Axis(n, size, step, units=u, navigation=u == "nm") for n, size, step, u in PATTERNS]
    axes[2:] = [replace(axis, offset=-axis.scale * (axis.size - 1) / 2) for axis in axes[2:]]
    known = {"signal_type": "electron_diffraction", "Acquisition_instrument": {"TEM": {"beam_energy": 200.0}}}
    patterns = Signal(counts.reshape(24, 20, 10, 12), tuple(axes), title="a/b", metadata={"instrument": known})
    folder = tmp_path_factory.mktemp("patterns")
    signals = [denoise(patterns, 3, out=folder / f"a.{ending}").signal for ending in ("emd", "h5", "npy")]
    return folder, np.asarray(signals[0].data), known


def test_an_emd_file_comes_back_with_its_calibration(written):
    folder, values, known = written
    observed = emcore.read(folder / "a.emd")
    np.testing.assert_array_equal(observed.data, values)
    assert observed.metadata["instrument"] == known
    assert [axis.navigation for axis in observed.axes] == [True, True, False, False]
    assert [axis.to(u).scale for axis, (*_, u) in zip(observed.axes, PATTERNS, strict=True)] == pytest.approx(
        [2, 2, 0.5, 0.5]
    )
    assert [axis.to("1/nm").offset for axis in observed.axes[2:]] == pytest.approx([-2.25, -2.75])


def test_an_emd_file_holds_a_scan_of_patterns_and_nothing_else(counts, tmp_path):
    pytest.importorskip("h5py")
    with pytest.raises(ValueError, match=r"an .emd file holds a scan in y and x of patterns.*choose .h5"):
        denoise(counts, 3, out=tmp_path / "a.emd")
    assert not list(tmp_path.iterdir())


def test_py4dstem_opens_an_emd_file_with_its_calibration(written):
    py4dstem = pytest.importorskip("py4DSTEM")
    folder, values, _ = written
    with warnings.catch_warnings(action="ignore"):
        cube = py4dstem.read(folder / "a.emd")
    assert isinstance(cube, py4dstem.DataCube)
    np.testing.assert_array_equal(cube.data, values)
    known = cube.calibration
    assert (known.get_R_pixel_size(), known.get_R_pixel_units()) == (2.0, "nm")
    assert (known.get_Q_pixel_size(), known.get_Q_pixel_units()) == (pytest.approx(0.05), "A^-1")
    assert (known.get_qx0_mean(), known.get_qy0_mean()) == pytest.approx((4.5, 5.5))


@pytest.mark.parametrize("ending", ["emd", "h5", "npy"])
def test_libertem_opens_the_scans(ending, written):
    lt = pytest.importorskip("libertem.api")
    folder, values, _ = written
    with lt.Context.make_with("inline") as context:
        dataset = context.load("auto", path=str(folder / f"a.{ending}"))
        assert tuple(dataset.shape) == values.shape
        summed = context.run(context.create_sum_analysis(dataset=dataset))
    np.testing.assert_allclose(summed.intensity.raw_data, values.sum(axis=(0, 1)), rtol=1e-5)


def test_positions_without_a_measurement_stay_as_they_are_and_are_counted(counts):
    data = counts.astype("f4")
    data[0, 0], data[0, 1], data[2, 3, 5] = 0, 7, np.nan
    observed = denoise(data)
    assert observed.n_empty == 3
    assert np.flatnonzero(~observed.measured).tolist() == [0, 1, 43]
    for place in ((0, 0), (0, 1), (2, 3)):
        np.testing.assert_array_equal(observed.signal.data[place], data[place])
    assert "3 of 480 positions are empty" in " ".join(observed.provenance.notes)
    whole = np.ones(GRID, dtype=bool)
    whole[0, :2] = whole[2, 3] = False
    np.testing.assert_allclose(observed.mean.data, counts[whole].mean(axis=0), rtol=1e-6)
    assert np.isfinite(observed.residual_map).all()


def test_broken_pixels_stay_as_they_are_and_are_said():
    truth, rng = truth_of(5, 2000)
    patterns = rng.poisson(np.repeat(np.repeat(truth.reshape(24, 20, 10, 12), 2, 2), 2, 3)).astype(np.uint16)
    patterns[..., 7, :] = 0
    patterns[..., 3, 4] = rng.integers(0, 9000, GRID)
    observed = denoise(patterns)
    assert observed.broken[7].all()
    assert observed.broken[3, 4]
    np.testing.assert_array_equal(observed.signal.data[..., observed.broken], patterns[..., observed.broken])
    assert "far from those around them" in " ".join(observed.provenance.notes)
    assert observed.n_components == 3


def test_negative_values_are_set_to_zero_or_left_and_then_sums_are_kept():
    counts = eds_phases(shape=(16, 16), channels=200, counts=40).signal.data
    clipped, kept = denoise(counts, negative="clip"), denoise(counts, negative="keep")
    assert clipped.signal.data.min() == 0 > kept.signal.data.min()
    np.testing.assert_array_equal(clipped.signal.data, np.maximum(kept.signal.data, 0))
    np.testing.assert_allclose(kept.mean_denoised.sum(), kept.mean.data.sum(), rtol=1e-2)
    assert "set to zero" in " ".join(clipped.provenance.notes)
    assert "left so" in " ".join(kept.provenance.notes)


def test_whole_numbers_are_rounded_and_what_that_loses_is_said(counts, result):
    observed = denoise(counts, dtype="native")
    assert observed.signal.data.dtype == np.uint16
    np.testing.assert_array_equal(observed.signal.data, np.rint(result.signal.data))
    lost = ((result.signal.data > 0) & (np.rint(result.signal.data) == 0)).mean()
    assert f"{100 * lost:.2g} % of them, below a half, became zero" in " ".join(observed.provenance.notes)


def test_a_residual_of_more_than_noise_is_said(counts):
    few = denoise(np.uint16(50) * (np.arange(480).reshape(GRID)[..., None] % 2) * counts + counts, 1)
    assert few.residual_map.mean() > 2
    assert "signal was taken off, or the noise is larger" in " ".join(few.provenance.notes)
    assert "signal was taken off" not in " ".join(denoise(counts).provenance.notes)


def test_the_noise_of_a_camera_is_measured_and_weighted():
    truth, rng = truth_of(6, 2e5)
    values = np.rint(8 * rng.poisson(truth) + rng.normal(500, 30, truth.shape)).astype(np.uint32)
    observed = denoise(values)
    assert observed.residual_unit == "times the measured noise"
    assert (observed.n_components, observed.residual_map.mean()) == (3, pytest.approx(1, abs=0.2))
    assert error(observed.signal.data, 8 * truth + 500) < 0.3 * error(values, 8 * truth + 500)


def test_values_of_other_noise_are_weighted_by_what_neighbours_differ_in():
    truth, rng = truth_of(7, 1000)
    noise = np.where(np.arange(CHANNELS) < 60, 0.2, 4)
    values = truth - 10 + rng.normal(size=truth.shape) * noise
    observed = denoise(values)
    assert observed.signal.data.min() < 0
    assert error(observed.signal.data, truth - 10) < 0.4 * error(values, truth - 10)
    quiet = (slice(None), slice(None), slice(60))
    alike = denoise(values, weighting="none")
    assert error(observed.signal.data[quiet], (truth - 10)[quiet]) < error(
        alike.signal.data[quiet], (truth - 10)[quiet]
    )


def test_a_job_that_fails_while_it_writes_leaves_nothing_and_goes_on_from_the_components(counts, tmp_path, monkeypatch):
    made = workflow.approximated

    def fails(*of):
        raise RuntimeError("killed")

    monkeypatch.setattr(workflow, "approximated", fails)
    names = {"out": tmp_path / "a.npy", "checkpoint": tmp_path / "job.npz"}
    with pytest.raises(RuntimeError, match="killed"):
        denoise(counts, **names)
    assert [path.name for path in tmp_path.iterdir()] == ["job.npz"]
    monkeypatch.setattr(workflow, "approximated", made)
    (tmp_path / f".emcore-{files._HOST}-{2**31 - 2}-ab.part").write_bytes(b"left by a job that was killed")
    monkeypatch.setattr("emcore.methods.denoising.components.search", fails)
    observed = denoise(counts, **names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "job.npz"]
    np.testing.assert_allclose(observed.signal.data, denoise_without_checkpoint(counts), rtol=1e-3, atol=1e-4)


def denoise_without_checkpoint(counts):
    rows = plain(counts, CHANNELS)  # all components: the counts themselves
    assert np.allclose(rows, counts, atol=1e-6)
    with pytest.MonkeyPatch.context() as patch:
        from emcore.methods.denoising.subspace import search

        patch.setattr("emcore.methods.denoising.components.search", search)
        return denoise(counts).signal.data


def test_a_job_that_was_killed_in_its_search_makes_only_the_passes_that_it_lacks(tmp_path, monkeypatch, same):
    counts = counts_of(4, 30)[0]
    made, calls = subspace._product, []

    def fails(*of):
        calls.append(len(of[1][0]))
        if len(calls) == 2:
            raise RuntimeError("killed")
        return made(*of)

    whole = denoise(counts, checkpoint=tmp_path / "whole.npz")
    monkeypatch.setattr(subspace, "_product", fails)
    with pytest.raises(RuntimeError, match="killed"):
        denoise(counts, checkpoint=tmp_path / "job.npz")
    before = len(calls)
    again = denoise(counts, checkpoint=tmp_path / "job.npz")
    calls_again = len(calls) - before
    calls.clear()
    calls.extend([0, 0])
    denoise(counts, checkpoint=tmp_path / "third.npz")
    assert calls_again == len(calls) - 2 - 1
    np.testing.assert_array_equal(again.signal.data, whole.signal.data)
    assert same(again, whole)


def test_what_a_disk_takes_in_parts_is_written_whole():
    class Slow:
        def __init__(self):
            self.taken = b""

        def tell(self):
            return 0

        def seek(self, place):
            assert place == 24

        def write(self, data):
            self.taken += bytes(data[:10])
            return min(len(data), 10)

    file, rows = Slow(), np.arange(12, dtype="f4").reshape(2, 6)
    about = scan_files.ScanFile(rows.dtype, (Axis("y", 9, navigation=True), Axis("energy", 6)))
    scan_files._Plain(file, about).write(1, rows)
    assert file.taken == rows.tobytes()


def test_a_full_disk_is_said_before_the_work_or_when_it_fills_and_leaves_nothing(counts, tmp_path, monkeypatch):
    def full(self, start, rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(scan_files._Plain, "write", full)
        with pytest.raises(OSError, match=r"cannot write .*a.npy: No space left"):
            denoise(counts, out=tmp_path / "a.npy")
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(scan_files.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="its disk has 10 bytes left"):
        denoise(counts, out=tmp_path / "a.hspy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_components": 200}, "n_components=200 is too many"),
        ({"n_components": "many"}, "n_components"),
        ({"dtype": "float16"}, "dtype"),
        ({"weighting": "gauss"}, "weighting"),
        ({"negative": "drop"}, "negative"),
        ({"out": "a.tif"}, "ends in '.tif'"),
        ({"memory": "100 kB"}, "give out="),
    ],
)
def test_bad_settings_are_refused(counts, settings, said):
    with pytest.raises(ValueError, match=said):
        denoise(counts, **settings)


def test_bad_data_are_refused(counts):
    with pytest.raises(ValueError, match="NaN or infinity at every position"):
        denoise(np.full((4, 5, 9), np.nan))
    with pytest.raises(ValueError, match="negative values"):
        denoise(counts - 1.0, weighting="poisson")
    with pytest.raises(ValueError, match="empty"):
        denoise(np.zeros((4, 5, 9), np.uint8))


def test_the_verb_writes_a_scan_a_report_and_a_results_file(tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    np.save(source / "map.npy", eds_phases(shape=(12, 12), channels=150).signal.data)
    command = ["denoise", str(source / "map.npy"), "--output", str(tmp_path), "--format", "npy", "--components", "3"]
    assert main(command) == 0
    assert "3 components kept" in capsys.readouterr().out
    assert np.load(tmp_path / "map_denoised.npy").shape == (12, 12, 150)
    assert load_result(tmp_path / "map.denoise.h5").signal.shape == (12, 12, 150)
    assert main(command) == 1
    assert main([*command, "--force"]) == 0
    with pytest.raises(SystemExit):
        main(["denoise", "map.npy", "--format", "tif"])


def test_a_tilt_series_that_is_smooth_is_not_taken_for_counts(data_folder):
    observed = denoise(emcore.read(data_folder / "tilt_series.dm3"))
    assert "the noise is not that of counts" in " ".join(observed.provenance.notes)
    assert observed.residual_map.mean() < 2
