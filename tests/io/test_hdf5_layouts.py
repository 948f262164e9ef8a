"""The same scan comes out of every layout of an HDF5 file, whatever its ending: HyperSpy, Berkeley, NeXus, plain."""

import h5py
import numpy as np
import pytest

import emcore
from emcore.io.errors import BadFile
from emcore.io.formats.hdf5_zarr import read_hdf5


def axes_of(signal):
    return [(axis.name, axis.size, axis.scale, axis.offset, axis.units, axis.navigation) for axis in signal.axes]


MEANT = [
    ("y", 3, 2.0, 0.0, "nm", True),
    ("x", 4, 2.0, 1.0, "nm", True),
    ("Energy", 7, 10.0, -100.0, "eV", False),
]
ENDINGS = (".h5", ".hdf5", ".hf5", ".emd", ".hspy", ".nxs")


def scale_of(axis):
    return axis[3] + axis[2] * np.arange(axis[1])


def write_hyperspy(file: h5py.File, data, axes=MEANT):
    file.attrs.update({"file_format": "HyperSpy", "file_format_version": "3.3"})
    group = file.create_group("Experiments/__unnamed__")
    group["data"] = data
    for i, (name, size, scale, offset, units, navigate) in enumerate(axes):
        said = {"name": name, "size": size, "scale": scale, "offset": offset, "units": units, "navigate": navigate}
        group.create_group(f"axis-{i}").attrs.update(said | {"_type": "UniformDataAxis"})
    group.create_group("metadata/General").attrs["title"] = "map"
    return group


def write_scales(file: h5py.File, data, axes=MEANT):
    file["map"] = data
    for i, axis in enumerate(axes):
        scale = file.create_dataset(axis[0], data=scale_of(axis))
        scale.make_scale(axis[0])
        scale.attrs["units"] = axis[4]
        file["map"].dims[i].attach_scale(scale)
        file["map"].dims[i].label = axis[0]


def write_berkeley(file: h5py.File, data, axes=MEANT):
    file.attrs.update({"version_major": 0, "version_minor": 2})
    group = file.create_group("data/map")
    group.attrs["emd_group_type"] = 1
    group["data"] = data
    for i, axis in enumerate(axes, 1):
        group[f"dim{i}"] = scale_of(axis)
        group[f"dim{i}"].attrs.update({"name": axis[0], "units": f"[{'_'.join(axis[4])}]"})


def write_nexus(file: h5py.File, data, axes=MEANT):
    file.attrs["default"] = "entry"
    entry = file.create_group("entry")
    entry.attrs.update({"NX_class": "NXentry", "default": "map"})
    group = entry.create_group("map")
    group.attrs.update({"NX_class": "NXdata", "signal": "map", "axes": [axis[0] for axis in axes]})
    group["map"] = data
    for axis in axes:
        group[axis[0]] = scale_of(axis)
        group[axis[0]].attrs["units"] = axis[4]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("write", [write_hyperspy, write_scales, write_berkeley, write_nexus])
def test_the_same_scan_comes_out_of_every_layout_whatever_the_ending(write, ending, cube, tmp_path, read_both):
    path = tmp_path / f"map{ending}"
    with h5py.File(path, "w") as file:
        write(file, cube)
    observed = read_both(path)
    assert observed.title.rsplit("/")[-1] == "map"
    np.testing.assert_array_equal(observed.data, cube)
    assert [each[:5] for each in axes_of(observed)] == [each[:5] for each in MEANT]
    assert observed.flagged == (write is write_hyperspy)
    if observed.flagged:
        assert axes_of(observed) == MEANT


@pytest.mark.parametrize("write", [write_hyperspy, write_scales, write_berkeley, write_nexus])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_axes_come_in_the_order_of_the_file(write, order, cube, tmp_path, read_both):
    with h5py.File(tmp_path / "map.emd", "w") as file:
        write(file, cube.transpose(order), [MEANT[i] for i in order])
    observed = read_both(tmp_path / "map.emd")
    assert [each[:5] for each in axes_of(observed)] == [MEANT[i][:5] for i in order]
    np.testing.assert_array_equal(observed.data, cube.transpose(order))


@pytest.mark.parametrize("write", [write_scales, write_berkeley, write_nexus])
def test_an_uneven_axis_keeps_its_points_and_its_unit(write, cube, tmp_path, read_both):
    points = np.array([0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        write(file, cube)
        place = {write_scales: "Energy", write_berkeley: "data/map/dim3", write_nexus: "entry/map/Energy"}[write]
        file[place][...] = points
    energy = read_both(tmp_path / "a.h5").axes[2]
    assert energy.units == "eV"
    np.testing.assert_array_equal(energy.values, points)


# HyperSpy


def test_the_oldest_files_of_hyperspy_say_which_axes_are_the_signal_in_one_word(cube, tmp_path, read_both):
    for record_by, inside in (("spectrum", 1), ("image", 2)):
        with h5py.File(tmp_path / "a.hdf5", "w") as file:
            group = file.create_group("Experiments/sample")
            group["data"] = cube
            group.create_group("mapped_parameters").attrs.update({"record_by": record_by, "title": "old"})
            for i, axis in enumerate(MEANT):
                said = {"name": axis[0], "scale": axis[2], "offset": axis[3], "units": axis[4], "size": axis[1]}
                group.create_group(f"_list_3_axes/{i}").attrs.update(said)
        observed = read_both(tmp_path / "a.hdf5")
        assert observed.title == "old"
        assert observed.flagged
        assert [axis.navigation for axis in observed.axes] == [i < 3 - inside for i in range(3)]
        assert [each[:5] for each in axes_of(observed)] == [each[:5] for each in MEANT]


def test_a_functional_axis_of_hyperspy_is_computed_and_never_executed(cube, tmp_path, read_both):
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        group = write_hyperspy(file, cube)
        axis = group["axis-2"]
        axis.attrs.update({"expression": "a / (x + 1) ** b", "a": 1239.84, "b": 1.0, "name": "Energy"})
        axis.create_group("x").attrs.update({"scale": 2.0, "offset": 3.0, "size": 7})
    expected = 1239.84 / (3.0 + 2.0 * np.arange(7) + 1)
    np.testing.assert_allclose(read_both(tmp_path / "a.hspy").axes[2].values, expected)
    with h5py.File(tmp_path / "a.hspy", "a") as file:
        file["Experiments/__unnamed__/axis-2"].attrs["expression"] = "__import__('os').getpid() + x"
    with pytest.raises(BadFile, match="which is not arithmetic"):
        read_hdf5(tmp_path / "a.hspy", False)


def test_hyperspy_itself_agrees(cube, tmp_path):
    hs = pytest.importorskip("hyperspy.api")
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        group = write_hyperspy(file, cube)
        group["axis-2"].attrs.update({"_type": "DataAxis"})
        del group["axis-2"].attrs["scale"], group["axis-2"].attrs["offset"]
        group["axis-2"]["axis"] = np.arange(7.0) ** 2
        group.create_group("original_metadata")
        group["metadata"].create_group("Signal").attrs["signal_type"] = ""
    theirs = emcore.read(tmp_path / "a.hspy")
    ours = emcore.io.read.as_signal(hs.load(tmp_path / "a.hspy"))
    assert ours.axes == theirs.axes
    np.testing.assert_array_equal(ours.data, theirs.data)


@pytest.mark.parametrize("stored", [False, True])
def test_ragged_signals_are_named(stored, tmp_path):
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        group = file.create_group("Experiments/peaks")
        group.create_dataset("data", shape=(4,), dtype=h5py.vlen_dtype("f8"))
    with pytest.raises(BadFile, match="what is in it is ragged"):
        read_hdf5(tmp_path / "a.hspy", stored, stored)


# Berkeley


def test_rosettasciio_writes_berkeley_files_that_are_read_in_their_order(cube, tmp_path, read_both):
    writer = pytest.importorskip("rsciio.emd").file_writer
    keys = ("name", "size", "scale", "offset", "units", "navigate")
    axes = [dict(zip(keys, axis, strict=True)) for axis in MEANT]
    metadata = {"General": {"title": "map"}, "Signal": {}}
    writer(tmp_path / "a.emd", {"data": cube, "axes": axes, "metadata": metadata, "original_metadata": {}})
    observed = read_both(tmp_path / "a.emd", "map")
    with h5py.File(tmp_path / "a.emd") as file:
        np.testing.assert_array_equal(observed.data, file["signals/map/data"][()])
    assert [each[:5] for each in axes_of(observed)] == [each[:5] for each in MEANT[::-1]]


def test_py4dstem_says_which_axes_are_the_scan_and_its_calibration_is_used(tmp_path, read_both):
    data = np.arange(2 * 3 * 5 * 6, dtype="f4").reshape(2, 3, 5, 6)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update({"emd_group_type": "file", "version_major": 1, "version_minor": 0})
        group = file.create_group("root/datacube")
        group.attrs.update({"emd_group_type": "array", "python_class": "DataCube"})
        group["data"] = data
        for i, name in enumerate(("Rx", "Ry", "Qx", "Qy")):
            group[f"dim{i}"] = [0, 1]
            group[f"dim{i}"].attrs.update({"name": name, "units": "pixels"})
        image = file.create_group("root/datacube/virtual")
        image.attrs.update({"emd_group_type": "array", "python_class": "VirtualImage"})
        image["data"], image["dim0"], image["dim1"] = data[..., 0, 0], [0.0, 0.5], [0.0, 0.5]
        points = file.create_group("root/peaks")
        points.attrs.update({"emd_group_type": "pointlist"})
        points["qx/data"] = np.arange(4.0)
        calibration = file.create_group("root/metadatabundle/calibration")
        for letter, size, units in (("R", 2.0, "nm"), ("Q", 0.02, "A^-1")):
            calibration[f"{letter}_pixel_size"], calibration[f"{letter}_pixel_units"] = size, units
    observed = read_both(tmp_path / "a.h5", "datacube")
    assert axes_of(observed) == [
        ("Rx", 2, 2.0, 0.0, "nm", True),
        ("Ry", 3, 2.0, 0.0, "nm", True),
        ("Qx", 5, 0.02, 0.0, "1/A", False),
        ("Qy", 6, 0.02, 0.0, "1/A", False),
    ]
    assert [signal.title for signal in read_hdf5(tmp_path / "a.h5", False)] == ["datacube", "virtual"]


def test_the_patterns_of_an_fpd_file_are_a_scan(tmp_path, read_both):
    data = np.arange(2 * 3 * 5 * 6, dtype="u2").reshape(2, 3, 1, 5, 6)
    names = ("scanY", "scanX", "colour", "detY", "detX")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2, "fpd_version": "0.64"})
        for place, array in (("fpd_data", data), ("fpd_sum_im", data.sum((2, 3, 4)))):
            group = file.create_group(f"fpd_expt/{place}")
            group.attrs["emd_group_type"] = 1
            group["data"] = array
            for i, (name, size) in enumerate(zip(names, array.shape, strict=False), 1):
                group[f"dim{i}"] = np.arange(size) * 0.5
                group[f"dim{i}"].attrs.update({"name": name, "units": "[u_m]" if "scan" in name else "[pix]"})
    observed = read_both(tmp_path / "a.hdf5", "fpd_data")
    meant = [("scanY", True), ("scanX", True), ("counter", True), ("detY", False), ("detX", False)]
    assert [(axis.name, axis.navigation) for axis in observed.axes] == meant
    assert (observed.axes[0].scale, observed.axes[0].units) == (0.5, "um")
    assert observed.flagged


# NeXus


def test_rosettasciio_writes_nexus_files_that_come_back(cube, tmp_path, read_both):
    writer = pytest.importorskip("rsciio.nexus").file_writer
    keys = ("name", "size", "scale", "offset", "units", "navigate")
    axes = [dict(zip(keys, axis, strict=True)) | {"_type": "UniformDataAxis"} for axis in MEANT]
    metadata = {"General": {"title": "map"}, "Signal": {}}
    signal = {"data": cube, "axes": axes, "metadata": metadata, "original_metadata": {}, "learning_results": {}}
    writer(str(tmp_path / "a.nxs"), signal)
    observed = read_both(tmp_path / "a.nxs")
    assert axes_of(observed) == MEANT
    assert observed.flagged
    np.testing.assert_array_equal(observed.data, cube)


def test_the_default_nxdata_comes_first_and_old_ways_of_naming_axes_are_known(cube, tmp_path, read_both):
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        write_nexus(file, cube)
        before = file.create_group("entry/before")
        before.attrs["NX_class"] = "NXdata"
        before["counts"] = cube
        before["counts"].attrs.update({"signal": np.bytes_("1"), "axes": "v:h:E"})
        for name, axis in zip("vhE", MEANT, strict=True):
            before[name] = scale_of(axis)
            before[name].attrs["units"] = axis[4]
        edges = file.create_group("entry/edges")
        edges.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": "E"})
        edges["counts"], edges["E"] = cube[0, 0], np.arange(8.0)
        edges["E"].attrs["units"] = "keV"
    assert [each.title for each in read_hdf5(tmp_path / "a.nxs", False)] == [
        "entry/map/map",
        "entry/before/counts",
        "entry/edges/counts",
    ]
    assert [each[1:5] for each in axes_of(read_both(tmp_path / "a.nxs", "entry/before/counts"))] == [
        each[1:5] for each in MEANT
    ]
    assert axes_of(read_both(tmp_path / "a.nxs", "entry/edges/counts")) == [("E", 7, 1.0, 0.5, "keV", False)]


def test_nexus_data_behind_a_link_are_followed_and_a_missing_file_is_named(cube, tmp_path, read_both):
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        file["frames"] = cube
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        group = file.create_group("entry/data")
        group.attrs.update({"NX_class": "NXdata", "signal": "data"})
        group["data"] = h5py.ExternalLink("frames.h5", "frames")
        file["entry/instrument/mask"] = np.ones((4, 7))
    np.testing.assert_array_equal(read_both(tmp_path / "a.nxs").data, cube)
    (tmp_path / "frames.h5").rename(tmp_path / "other.h5")
    with pytest.raises(BadFile, match=r"entry/data/data is in frames\.h5, which must lie beside it"):
        read_hdf5(tmp_path / "a.nxs", False)


@pytest.mark.parametrize("default", [".", "up"])
def test_a_default_that_names_itself_or_what_is_above_it_ends(default, tmp_path):
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        entry = file.create_group("entry")
        file.attrs["default"] = "entry"
        entry.attrs["default"] = default
        entry["up"] = entry
        data = entry.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts"})
        data["counts"] = np.arange(12).reshape(3, 4)
    assert emcore.read(tmp_path / "a.nxs").shape == (3, 4)
