"""Plain HDF5 files and Zarr stores are read, or stay where they are."""

import json
import warnings

import dask.array as da
import h5py
import numpy as np
import pytest
import zarr

import emcore
from emcore import NMF
from emcore.io.formats.hdf5_zarr import read_hdf5, read_zarr
from emcore.io.registry import read_all
from emcore.outofcore.open import as_source


@pytest.fixture
def cube():
    return np.random.default_rng(0).poisson(3, (12, 10, 60)).astype("u2")


def test_a_data_set_in_one_piece_is_mapped_and_one_in_chunks_is_a_dask_array_of_whole_rows(cube, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["plain"] = cube
        file.create_dataset("chunked", data=cube, chunks=(3, 4, 7), compression="gzip")
    plain = emcore.read(tmp_path / "a.h5", lazy=True, dataset="plain").data
    chunked = emcore.read(tmp_path / "a.h5", lazy=True, dataset="chunked").data
    assert isinstance(plain, np.memmap)
    assert isinstance(chunked, da.Array)
    assert chunked.chunks[-1] == (60,)
    for data in (plain, chunked, emcore.read(tmp_path / "a.h5").data):
        assert np.array_equal(np.asarray(data), cube)
    expected = NMF(2, max_iter=5, tol=0).fit(cube.reshape(-1, 60)).components_
    for data in (as_source(plain), chunked):
        assert np.abs(NMF(2, max_iter=5, tol=0).fit(data).components_ - expected).max() < 1e-5 * expected.max()


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_arrays_and_groups_are_read(version, cube, tmp_path):
    array = zarr.create_array(
        tmp_path / "one.zarr", shape=cube.shape, chunks=(5, 10, 20), dtype="u2", zarr_format=version
    )
    array[:] = cube
    group = zarr.open_group(tmp_path / "many.zarr", mode="w", zarr_format=version)
    for name, data in (("inner/cube", cube), ("image", cube[:, :, 0]), ("list", cube[0, 0])):
        made = group.create_array(name, shape=data.shape, dtype="u2")
        made[...] = data
    for lazy in (False, True):
        assert np.array_equal(np.asarray(emcore.read(tmp_path / "one.zarr", lazy=lazy).data), cube)
        observed = emcore.read(tmp_path / "many.zarr", lazy=lazy, dataset="inner/cube")
        assert np.array_equal(np.asarray(observed.data), cube)
    assert emcore.read(tmp_path / "one.zarr", lazy=True).data.chunks[-1] == (60,)
    assert "3 data sets" in emcore.describe(tmp_path / "many.zarr")


@pytest.mark.parametrize("packed", [False, True])
def test_hyperspy_stores_keep_their_calibration_and_are_not_loaded(packed, cube, tmp_path):
    path = tmp_path / "map.zspy"
    store = zarr.storage.ZipStore(path, mode="w") if packed else path
    root = zarr.open_group(store, mode="w", zarr_format=2, attributes={"file_format": "ZSpy"})
    kept = root.create_group("Experiments/two phases")
    kept.create_array("data", shape=cube.shape, chunks=(5, 10, 20), dtype="u2")[...] = cube
    axes = [("y", "nm", 2.0, 0.0, True), ("x", "nm", 2.0, 1.0, True), ("Energy", "eV", 10.0, -100.0, False)]
    for i, (name, units, scale, offset, navigate) in enumerate(axes):
        told = {"name": name, "units": units, "scale": scale, "offset": offset, "size": cube.shape[i]}
        kept.create_group(f"axis-{i}", attributes={**told, "_type": "UniformDataAxis", "navigate": navigate})
    kept.create_group("metadata")
    if packed:
        store.close()
    for lazy in (False, True):
        observed = emcore.read(path, lazy=lazy)
        assert isinstance(observed.data, da.Array) == lazy
        assert np.array_equal(np.asarray(observed.data), cube)
        assert observed.title == "two phases"
        assert [(a.name, a.units, a.scale, a.offset, a.navigation) for a in observed.axes] == axes
    assert emcore.unmix(path, 2).mean.axes[0].offset == -100


@pytest.mark.parametrize("version", [2, 3])
def test_named_dimensions_of_a_zarr_store_have_the_positions_beside_them(version, cube, tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    dims = ["y", "x", "Energy"]
    y, x, energy = 2.0 * np.arange(12), 2.0 * np.arange(10), np.arange(60.0) ** 2
    positions = {"y": (y, "nm"), "x": (x, "nm"), "Energy": (energy, "eV")}
    for name, data, names, units in (
        ("map", cube, dims, "counts"),
        *((name, values, [name], units) for name, (values, units) in positions.items()),
    ):
        named = {"dimension_names": names} if version == 3 else {"attributes": {"_ARRAY_DIMENSIONS": names}}
        made = group.create_array(f"scan/{name}", shape=data.shape, dtype=data.dtype, **named)
        made[...] = data
        made.attrs["units"] = units
    for lazy in (False, True):
        (observed,) = read_zarr(tmp_path / "a.zarr", lazy)
        np.testing.assert_array_equal(np.asarray(observed.data), cube)
        assert [axis.name for axis in observed.axes] == dims
        for axis in observed.axes:
            assert axis.units == positions[axis.name][1]
            np.testing.assert_array_equal(axis.values, positions[axis.name][0])


def test_a_hyperspy_store_is_read_whatever_else_is_in_it(cube, tmp_path):
    root = zarr.open_group(tmp_path / "a.zspy", mode="w", zarr_format=2, attributes={"file_format": "ZSpy"})
    kept = root.create_group("Experiments/map")
    kept.create_array("data", shape=cube.shape, dtype="u2")[...] = cube
    for i, size in enumerate(cube.shape):
        said = {"name": "yxE"[i], "units": "nm", "scale": 1.0, "offset": 0.0, "size": size, "navigate": i < 2}
        kept.create_group(f"axis-{i}", attributes=said)
    kept.create_group("metadata")
    # A list of texts, which Zarr 3 has no type for; it stands also in the metadata of the whole store.
    texts = {"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "fill_value": 0, "order": "C"}
    texts |= {"compressor": None, "filters": [{"id": "msgpack"}]}
    (tmp_path / "a.zspy/Experiments/map/metadata/_list_names").mkdir()
    whole = {}
    (tmp_path / "a.zspy/Experiments/map/metadata/_list_names/.zarray").write_text(json.dumps(texts))
    for path in (tmp_path / "a.zspy").rglob(".z*"):
        whole[path.relative_to(tmp_path / "a.zspy").as_posix()] = json.loads(path.read_text())
    (tmp_path / "a.zspy/.zmetadata").write_text(json.dumps({"zarr_consolidated_format": 1, "metadata": whole}))
    observed = emcore.read(tmp_path / "a.zspy")
    np.testing.assert_array_equal(observed.data, cube)
    assert [axis.navigation for axis in observed.axes] == [True, True, False]


def test_the_same_signal_comes_out_of_hyperspys_hdf5_and_zarr(cube, tmp_path):
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        for root in (file, zarr.open_group(tmp_path / "a.zspy", mode="w", zarr_format=2)):
            root.attrs["file_format"] = "HyperSpy"
            group = root.create_group("Experiments/__unnamed__")
            group.create_group("metadata/General").attrs["title"] = "map"
            for i, (name, size) in enumerate(zip(("y", "x", "Energy"), cube.shape, strict=True)):
                said = {"name": name, "size": size, "scale": 2.0, "offset": 1.0, "units": "nm" if i < 2 else "eV"}
                group.create_group(f"axis-{i}").attrs.update(said | {"navigate": i < 2})
            made = group.create_dataset if root is file else group.create_array
            made("data", shape=cube.shape, dtype="u2")[...] = cube
    (packed,), (store,) = (read_all(tmp_path / name) for name in ("a.hspy", "a.zspy"))
    assert packed.axes == store.axes
    assert (packed.title, packed.flagged) == (store.title, store.flagged) == ("map", True)
    np.testing.assert_array_equal(packed.data, store.data)


def test_hyperspy_files_keep_their_calibration_and_are_not_loaded(cube, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hs = pytest.importorskip("hyperspy.api")
        signal = hs.signals.Signal1D(cube)
        signal.axes_manager[-1].name, signal.axes_manager[-1].units, signal.axes_manager[-1].scale = "Energy", "eV", 10
        signal.save(tmp_path / "a.hspy")
    observed = emcore.read(tmp_path / "a.hspy", lazy=True)
    assert isinstance(observed.data, da.Array)
    assert (observed.axes[-1].scale, observed.axes[-1].units) == (10, "eV")
    assert as_source(observed).shape == (120, 60)


@pytest.mark.parametrize("kind", ["colour", "functional", "marked", "big endian", "complex"])
def test_what_hyperspy_saves_comes_back_as_it_was(kind, cube, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hs = pytest.importorskip("hyperspy.api")
        if kind == "colour":
            signal = hs.signals.Signal1D(cube[:, :, :3].astype("u1"))
            signal.change_dtype("rgb8")
        elif kind == "functional":
            inner = {"scale": 2.0, "offset": 3.0, "size": 60}
            energy = {"expression": "a / (x + 1) + b", "a": 100.0, "b": 2.0, "x": inner, "name": "E", "navigate": False}
            places = [{"size": size, "name": name, "navigate": True} for name, size in (("y", 12), ("x", 10))]
            signal = hs.signals.Signal1D(cube, axes=[*places, energy])
        else:
            signal = hs.signals.Signal2D(cube.astype({"big endian": ">f4", "complex": "c8"}.get(kind, "u2")))
        if kind == "marked":
            signal.add_marker(hs.plot.markers.Points(offsets=np.ones((2, 2))), permanent=True)
            signal.metadata.set_item("Sample.elements", ["Fe", "Pt"])
        signal.save(tmp_path / "a.hspy")
    expected = emcore.io.read.as_signal(signal)
    for lazy in (False, True):
        (observed,) = read_hdf5(tmp_path / "a.hspy", lazy)
        assert observed.axes == expected.axes
        assert observed.flagged
        np.testing.assert_array_equal(np.asarray(observed.data), expected.data)


def test_folders_that_are_no_stores_are_named(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match=r"a\.zarr is not Zarr: damaged or mislabelled"):
        emcore.read(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="b is a folder: name a file in it"):
        emcore.read(tmp_path / "b")
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(ValueError, match=r"a\.zarr \(Zarr\) holds no image"):
        emcore.read(tmp_path / "a.zarr")
