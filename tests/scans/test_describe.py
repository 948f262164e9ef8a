"""What is said of a file: that it is true, and that what is recommended runs."""

import json
import shlex

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.io.formats import numpy_files
from emcore.io.read import read
from emcore.scans import describe as module
from emcore.scans.describe import describe, inspect


def test_axes_say_what_they_mean_and_gaps_are_counted():
    data = np.ones((4, 5, 30), dtype=np.float32)
    data[..., 7] = 0.5
    data[1, 2:] = 0
    data[0, 0, 3], data[3, 3, 1] = np.nan, -np.inf
    data[2, 2] = np.nan
    axes = (Axis("y", 4, 0.5, units="nm"), Axis("x", 5, 0.5, units="nm"), Axis("Energy", 30, 0.01, 0.2, "keV"))
    (observed,) = inspect(Signal(data, axes))
    assert [axis["role"] for axis in observed["axes"]] == ["scan", "scan", "spectral"]
    assert (observed["minimum"], observed["maximum"], observed["nan"], observed["infinite"]) == (0.0, 1.0, 31, 1)
    assert (observed["positions"], observed["empty_positions"]) == (20, 6)
    moved = Signal(np.moveaxis(data, 2, 0), (axes[2], *axes[:2]))
    assert inspect(moved)[0]["empty_positions"] == 6
    text = describe(moved)
    assert "6 of 20 positions are empty (30 %)" in text
    assert "31 values NaN, 1 infinite" in text
    assert "0.01 keV per point, 0.2 to 0.49 keV, spectral" in text


def test_positions_are_as_empty_as_the_analysis_says(data_folder):
    for name in ("cases/eds_stopped.bcf", "cases/hitachi.bcf", "cases/rock_low_dose.bcf"):
        if not (data_folder / name).exists():
            pytest.skip("this real file is not at hand")
        (said,) = [each for each in inspect(data_folder / name) if "positions" in each]
        assert said["empty_positions"] == emcore.unmix(data_folder / name, 1, signal_range=(-1e4, 1e6)).n_empty


def test_blocks_add_up_to_the_whole(monkeypatch):
    data = np.random.default_rng(0).integers(0, 2, (9, 4, 7)).astype(np.int16)
    axes = (Axis("y", 9, navigation=True), Axis("x", 4, navigation=True), Axis("bias", 7, 0.1, units="V"))
    for signal in (Signal(data, axes), Signal(data.transpose(2, 0, 1), (axes[2], *axes[:2]))):
        monkeypatch.setattr("emcore.scans.describe._TOGETHER", 1 << 26)
        whole = inspect(signal)
        monkeypatch.setattr("emcore.scans.describe._TOGETHER", 64)
        assert inspect(signal) == whole
        assert whole[0]["empty_positions"] == int((~data.any(axis=2)).sum())


def test_uneven_axes_and_lists_beside_the_data_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", current=np.ones((3, 4, 5)), bias_V=np.array([0.0, 0.1, 0.3, 0.7, 1.5]))
    said = describe(tmp_path / "a.npz")
    assert "0 to 1.5 V, steps not even, spectral" in said
    assert "curve at every position" in said


def test_json_is_what_inspect_gives(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.full((20, 20), np.nan))
    assert main(["info", "--json", str(tmp_path / "a.npy")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["datasets"] == inspect(tmp_path / "a.npy")
    assert said["datasets"][0]["minimum"] is None
    assert said["datasets"][0]["nan"] == 400


FILES = ["test1.blo", "iv_grid.npz", "eds_two_particles_map_p1.npy", "cases/eds_large_counts.bcf", "tilt_series.dm3"]


@pytest.mark.parametrize("name", FILES)
def test_what_is_recommended_runs(name, data_folder, tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    if not (data_folder / name).exists():
        pytest.skip("this real file is not at hand")
    monkeypatch.chdir(tmp_path)
    commands = [command for each in inspect(data_folder / name) for command in each["use"]]
    assert commands
    for i, command in enumerate(commands):
        assert main([*shlex.split(command)[1:], "--output", str(i), "--quiet"]) == 0, command


def test_every_real_file_is_described_as_it_is_read(data_folder):
    for name in ("fei_sem.tif", "rock.bcf", "test1.blo", "haadf_particles.emd", "eels_si.npz"):
        for number, observed in enumerate(inspect(data_folder / name)):
            signal = read(data_folder / name, dataset=number)
            assert tuple(observed["shape"]) == signal.shape
            assert observed["minimum"] == signal.data.min()
            assert [axis["name"] for axis in observed["axes"]] != []
    assert emcore.describe is describe


def test_a_series_of_patterns_is_no_stack_of_images_and_what_is_all_one_value_is_for_no_command():
    axes = (Axis("pattern", 16, navigation=True), Axis("y", 24), Axis("x", 24))
    blank = Signal(np.zeros((16, 24, 24), np.uint32), axes, "a.h5", flagged=True)
    (found,) = inspect(blank)
    assert [axis["role"] for axis in found["axes"]] == ["scan", "detector", "detector"]
    assert (found["empty_positions"], found["use"]) == (16, [])
    assert inspect(np.full((40, 40), 7.0))[0]["use"] == []
    for same in (blank, np.full((40, 40), 7.0)):
        assert "all values are the same" in describe(same)


def test_of_large_data_a_sample_is_looked_at_and_said_to_be_one(tmp_path):
    zarr = pytest.importorskip("zarr")
    shape = (4096, 4096, 2048, 2048)  # 64 TiB
    array = zarr.open_array(str(tmp_path / "scan.zarr"), mode="w", shape=shape, chunks=(1, 1, 2048, 2048), dtype="u2")
    array[0, 0] = 7
    (found,) = inspect(tmp_path / "scan.zarr")
    assert (found["minimum"], found["maximum"], found["sampled"] < 1e-6) == (0, 7, True)
    assert [command.split()[1] for command in found["use"]] == ["grains", "diffraction"]
    assert "values 0 to 7, of " in describe(tmp_path / "scan.zarr")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_sample_counts_what_is_not_finite_and_a_whole_does_the_same(axis, monkeypatch):
    data = np.random.default_rng(0).normal(size=(8, 9, 10)).astype("f4")
    data[np.unravel_index(3 + axis, data.shape)] = np.nan
    whole = inspect(data)[0]
    monkeypatch.setattr(module, "_WHOLE", 0)
    monkeypatch.setattr(module, "_PIECES", 10**6)
    monkeypatch.setattr(module, "_PIECE", [4, 60, 400][axis])
    sampled = inspect(data)[0]
    assert sampled.pop("sampled") == 1
    for key in ("nan", "infinite", "minimum", "maximum", "axes", "use"):
        assert sampled[key] == pytest.approx(whole[key]) if key == "minimum" else sampled[key] == whole[key]


def test_what_is_packed_in_one_large_piece_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WHOLE", 1000)
    monkeypatch.setattr(numpy_files, "_UNPACKED", 1000)
    monkeypatch.setattr(numpy_files, "_unpacked", lambda *_: pytest.fail("it was unpacked"))
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros((40, 50)), b=np.ones(3))
    assert "values not looked at" in describe(tmp_path / "a.npz")


def test_an_archive_is_unpacked_when_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_files, "_UNPACKED", 1000)
    data = np.random.default_rng(0).random((40, 50))
    np.savez_compressed(tmp_path / "a.npz", a=data)
    np.testing.assert_array_equal(np.asarray(read(tmp_path / "a.npz", lazy=True).data), data)


def test_what_is_larger_than_the_machine_is_refused_with_both_sizes(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (4096, 4096, 1024, 512), "u2", chunks=(1, 1, 1024, 512), compression="gzip")
    with pytest.raises(MemoryError, match=r"/a holds 16384 GiB, and this machine has .* lazy=True"):
        read(tmp_path / "a.h5")
