"""Phases of spectrum images out of core are those of memory, wherever the data lie."""

from collections import Counter

import h5py
import numpy as np
import pytest
import zarr

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.datasets import eds_phases
from emcore.outofcore.engine import Passes
from emcore.scans.spectrum_images import select
from emcore.workflows.unmix import unmix

da = pytest.importorskip("dask.array")
pytestmark = pytest.mark.usefixtures("nothing_is_loaded")
MEMORY = "10 MB"
AXES = (Axis("y", 64, 2.0, 0.0, "nm", True), Axis("x", 64, 2.0, 0.0, "nm", True), Axis("E", 1000, 20, -100, "eV"))
MASK = np.zeros((64, 64), dtype=bool)
MASK[:, 40:] = MASK[20, 30] = True


@pytest.fixture(scope="module")
def cube():
    data = eds_phases(minority=0.01).signal.data.copy()
    data[5, 6] = 0
    data[:8, :8] = np.random.default_rng(0).poisson(0.002, (8, 8, 1000))  # too few counts to take part
    return data


@pytest.fixture(scope="module")
def stored(cube, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    np.save(folder / "map.npy", cube)
    with h5py.File(folder / "map.h5", "w") as file:
        file.create_dataset("map", data=cube, chunks=(4, 8, 1000))
    array = zarr.create_array(store=str(folder / "map.zarr"), shape=cube.shape, dtype=cube.dtype, chunks=(4, 16, 1000))
    array[...] = cube
    with h5py.File(folder / "map.h5", "r") as file:
        yield {
            "memory map": np.load(folder / "map.npy", mmap_mode="r"),
            "chunked HDF5": file["map"],
            "Zarr": array,
            "Dask": da.from_array(cube, chunks=(20, 32, -1)),
            "folder": folder,
        }


def assert_same(found, expected):
    assert (found.n_components, found.rule) == (expected.n_components, expected.rule)
    for name in ("spectra", "maps", "fraction", "residual_map", "residual_spectrum", "evr", "image", "mean"):
        a, b = (getattr(each, name) for each in (found, expected))
        a, b = (each.data if isinstance(each, Signal) else each for each in (a, b))
        assert a.dtype == b.dtype, name
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max(), name
    assert found.image.axes == expected.image.axes
    assert found.mean.axes == expected.mean.axes


@pytest.fixture(scope="module")
def expected(cube):
    return unmix(Signal(cube, AXES))


@pytest.mark.parametrize("place", ["memory map", "chunked HDF5", "Zarr", "Dask"])
def test_phases_are_those_of_memory_wherever_the_data_lie(stored, expected, place):
    signal = Signal(stored[place], AXES)
    memory = None if place == "Dask" else MEMORY
    image = select(signal, memory=memory)
    assert len(image.rows().cut().blocks) > 1
    assert_same(unmix(signal, memory=memory), expected)


def test_chunks_of_dask_are_cut_to_the_budget_and_one_that_is_too_little_named(stored, expected):
    signal = Signal(stored["Dask"], AXES)
    with pytest.warns(RuntimeWarning, match=r"has chunks of \(20, 32, 1000\), more than memory=12 MiB allows"):
        assert_same(unmix(signal, memory="12 MiB"), expected)
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match=r"smallest possible is .* MiB for results"):
        unmix(signal, memory="1 MB")


@pytest.mark.parametrize(
    ("place", "options"),
    [
        ("memory map", {"navigation_mask": MASK, "signal_range": (300, 9000)}),
        ("chunked HDF5", {"navigation_mask": MASK, "weighting": "none"}),
        ("Dask", {"navigation_mask": MASK, "signal_range": (300, 9000), "n_components": 3}),
        ("Zarr", {"signal_range": (300, 9000), "weighting": "none", "loss": "kullback-leibler"}),
        ("memory map", {"navigation_mask": MASK, "loss": "kullback-leibler", "n_components": 2}),
        ("chunked HDF5", {"navigation_mask": "vacuum"}),
        ("Dask", {"navigation_mask": "vacuum", "blocks": (32, 32)}),
    ],
)
def test_so_they_are_with_every_option(stored, cube, place, options):
    memory = None if place == "Dask" else "16 MB" if "signal_range" in options else MEMORY
    found = unmix(Signal(stored[place], AXES), memory=memory, **options)
    assert_same(found, unmix(Signal(cube, AXES), **options))


def test_other_values_than_counts_are_looked_at_and_other_types_converted_slab_by_slab(tmp_path, cube):
    for data, memory in ((1e-3 * cube[:, :, 50:500].astype("f4"), "16 MB"), (cube.astype("i8"), "20 MB")):
        np.save(tmp_path / "map.npy", data)
        mapped = np.load(tmp_path / "map.npy", mmap_mode="r")
        assert_same(unmix(mapped, 2, memory=memory), unmix(data, 2))


def test_the_strobe_is_found_outside_memory(tmp_path):
    signal = eds_phases(minority=0.01, zero_peak=100).signal
    np.save(tmp_path / "map.npy", signal.data)
    for data in (np.load(tmp_path / "map.npy", mmap_mode="r"), da.from_array(signal.data, chunks=(20, 32, -1))):
        found = select(Signal(data, signal.axes), memory=MEMORY if isinstance(data, np.ndarray) else None)
        assert (found.channels, found.notes) == (select(signal).channels, select(signal).notes)
        assert np.array_equal(found.rows().take([5, 4000]), select(signal).rows()[[5, 4000]])


def test_no_pass_is_made_twice(stored, monkeypatch):
    made, call = Counter(), Passes.__call__

    def counted(self, function, *args, **options):
        made[function.__module__, function.__name__] += 1
        return call(self, function, *args, **options)

    monkeypatch.setattr(Passes, "__call__", counted)
    found = unmix(Signal(stored["memory map"], AXES), memory=MEMORY, navigation_mask=MASK)
    # Of the first channels for the strobe, of all, and of those at positions with enough counts.
    assert made["emcore.outofcore.moments", "_sums"] == 3
    assert made["emcore.outofcore.moments", "_range"] == 1  # of the weighted rows
    assert made["emcore.methods.nmf.out_of_core", "_maps"] == made["emcore.methods.nmf.residuals", "_residuals"] == 1
    assert made["emcore.methods.nmf.out_of_core", "_visit"] > 10
    assert found.n_components == 3


def test_the_whole_is_never_in_memory(stored, monkeypatch):
    from emcore.outofcore.stored import Stored

    sizes, read = [], Stored.read

    def noted(self, start, stop):
        rows = read(self, start, stop)
        sizes.append(rows.nbytes)
        return rows

    monkeypatch.setattr(Stored, "read", noted)
    unmix(Signal(stored["Zarr"], AXES), 2, memory=MEMORY)
    assert max(sizes) < 5e6  # of 8.2, two at a time
    assert np.median(sizes) < 2e6  # while sums are held


def test_a_prediction_is_told_before_and_a_budget_that_is_too_little_named(stored, capsys):
    unmix(Signal(stored["memory map"], AXES), 2, memory=MEMORY)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "spectrum_image of 4096 x 1000 uint16" in told[0]
    assert "predicted peak memory" in told[0]
    with pytest.raises(ValueError, match="smallest possible is"):
        unmix(Signal(stored["memory map"], AXES), 2, memory="1 MB")
    with pytest.raises(ValueError, match="too little for blocks of 32 x 32 positions: the smallest possible is 4 MiB"):
        unmix(Signal(stored["memory map"], AXES), 2, blocks=(32, 32), memory="1 MB")


def test_bad_values_are_found_outside_memory(tmp_path):
    data = np.random.default_rng(0).poisson(3, (6, 7, 40)).astype("f4")
    negative = r"negative values, first at \[4, 2, 3\], 1 of 1680, the smallest -1: .*negative='clip'"
    for place, value, said in (((4, 2, 3), -1, negative), ((..., 3), np.nan, r"NaN .* every position, .* \[0, 0, 3\]")):
        data[place] = value
        for stored in (da.from_array(data.copy(), chunks=(2, 3, -1)), _mapped(tmp_path, data)):
            with pytest.raises(ValueError, match=said):
                unmix(stored, memory="9 kB" if isinstance(stored, np.ndarray) else None)


def _mapped(folder, data):
    np.save(folder / "bad.npy", data)
    return np.load(folder / "bad.npy", mmap_mode="r")


def test_lazy_signals_of_the_readers_are_taken(cube, expected):
    axes = [
        {"name": axis.name, "size": axis.size, "scale": axis.scale, "offset": axis.offset, "units": axis.units}
        | {"navigate": axis.navigation, "index_in_array": i}
        for i, axis in enumerate(AXES)
    ]
    lazy = da.from_array(cube, chunks=(32, 32, 500))
    with pytest.warns(RuntimeWarning, match="signal axis in 2 chunks"):
        assert_same(unmix({"data": lazy, "axes": axes, "metadata": {}}), expected)


def test_the_command_line_leaves_in_the_file_what_is_larger_than_the_budget(stored, tmp_path, capsys):
    words = ["unmix", str(stored["folder"] / "map.zarr"), "--output", str(tmp_path), "--components", "2"]
    assert main([*words, "--memory", "8 MB"]) == 0
    assert "visited in" in capsys.readouterr().err
    found = emcore.load_result(tmp_path / "map.unmix.h5")
    assert found.provenance.input_name == "map.zarr"
    assert np.array_equal(found.image.data, stored["memory map"].sum(axis=-1))
    assert_same(unmix(stored["folder"] / "map.h5", 2, memory="8 MB"), found)
    for name in ("map.h5", "map.zarr"):  # in slabs that are held, not by Dask
        assert select(stored["folder"] / name, memory="8 MB").source.cut().hold > 0
    assert "visited in" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, "--memory", "many"])
    assert "memory='many' is not known" in capsys.readouterr().err
