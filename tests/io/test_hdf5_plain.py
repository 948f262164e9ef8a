"""HDF5 files of no one's convention: every array, its dimension scales and labels, records, links, what is missing."""

import dask.array as da
import h5py
import numpy as np
import pytest

from emcore.core.signals import Axis
from emcore.io.errors import BadFile
from emcore.io.formats.hdf5_zarr import read_hdf5


def test_short_axes_and_vectors_are_read_and_scales_are_not_data(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["map"] = np.ones((2, 3, 4))
        for i, name in enumerate("abc"):
            file[name] = np.arange(2.0 + i)
            file[name].make_scale(name)
            file["map"].dims[i].attach_scale(file[name])
        file["vector"] = np.arange(3.0)
        file["one"], file["text"], file["number"] = [1.0], "x", 2.0
    assert [(each.title, each.shape) for each in read_hdf5(tmp_path / "a.h5", False)] == [
        ("map", (2, 3, 4)),
        ("vector", (3,)),
    ]


@pytest.mark.parametrize("lazy", [False, True])
def test_what_holds_no_numbers_is_passed_over(lazy, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=1024) as file:
        file["picture"] = np.arange(42, dtype=">i2").reshape(6, 7)
        file["half"] = np.ones((6, 7), "f2")
        file["empty"], file["mask"], file["texts"] = h5py.Empty("f4"), np.ones((6, 7), bool), ["a", "b"]
        file.create_dataset("ragged", (6,), h5py.vlen_dtype("f4"))
        file.create_dataset("cells", (6, 7), np.dtype(("u1", (3,))))
    half, picture = read_hdf5(tmp_path / "a.h5", lazy)
    assert (half.title, half.dtype) == ("half", np.float16)
    np.testing.assert_array_equal(np.asarray(picture.data), np.arange(42).reshape(6, 7))


def test_labels_alone_name_axes_and_unnamed_arrays_have_default_axes(tmp_path, read_both):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["named"] = np.zeros((5, 2, 3))
        for i, label in enumerate("CYX"):
            file["named"].dims[i].label = label
        file["bare"] = np.zeros((5, 6, 7))
    assert [axis.name for axis in read_both(tmp_path / "a.h5", "named").axes] == list("CYX")
    assert read_both(tmp_path / "a.h5", "bare").axes == (Axis("frame", 5, navigation=True), Axis("y", 6), Axis("x", 7))


@pytest.mark.parametrize(
    ("names", "axis"),
    [("rgb", "colour"), ("RGBA", "colour"), (("red", "green", "blue"), "colour"), (("re", "im"), "")],
)
def test_records_are_colours_or_complex_numbers(names, axis, tmp_path, read_both):
    records = np.zeros((6, 7), [(name, "u1" if axis else "f4") for name in names])
    for i, name in enumerate(names):
        records[name] = i + 1
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("picture", data=records, chunks=(3, 7))
    observed = read_both(tmp_path / "a.h5")
    if axis:
        assert observed.axes == (Axis("y", 6), Axis("x", 7), Axis("colour", len(names)))
        assert (observed.data == 1 + np.arange(len(names))).all()
    else:
        assert observed.shape == (6, 7)
        assert (observed.data == 1 + 2j).all()


@pytest.mark.parametrize(("order", "place"), [("INTERLACE_PIXEL", 2), ("INTERLACE_LINE", 1), ("INTERLACE_PLANE", 0)])
def test_pictures_by_the_convention_of_hdf5_have_their_colour_where_it_says(order, place, tmp_path, read_both):
    shape = [6, 7]
    shape.insert(place, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["picture"] = np.zeros(shape, "u1")
        file["picture"].attrs.update({"IMAGE_SUBCLASS": "IMAGE_TRUECOLOR", "INTERLACE_MODE": order})
    observed = read_both(tmp_path / "a.h5")
    assert [axis.name for axis in observed.axes].index("colour") == place
    assert not any(axis.navigation for axis in observed.axes)


def test_other_records_are_named_and_do_not_hide_what_can_be_read(tmp_path):
    table = np.zeros(5, [("x", "f4"), ("name", "S3")])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["table"] = table
    with pytest.raises(BadFile, match=r"/table \(5,\) holds records of x, name"):
        read_hdf5(tmp_path / "a.h5", False)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["picture"] = np.zeros((6, 7))
    assert [each.title for each in read_hdf5(tmp_path / "a.h5", False)] == ["picture"]


def test_what_is_missing_is_said_and_not_made_up_for_by_something_smaller(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["picture"] = np.zeros((6, 7))
        file["frames"] = h5py.ExternalLink("frames.h5", "data")
        file.create_dataset("small", data=np.zeros((2, 3)), compression="gzip")
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    (observed,) = read_hdf5(tmp_path / "a.h5", False)
    assert observed.title == "picture"
    assert observed.notes[0] == "frames is in frames.h5, which must lie beside it; it was left out"
    assert "/small is compressed with deflate" in observed.notes[1]
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.create_dataset("large", data=np.zeros((20, 30)), compression="gzip")
    with pytest.raises(ImportError, match=r"/large is compressed .*install '.+\[hdf5plugin\]"):
        read_hdf5(tmp_path / "a.h5", False)


def test_an_array_that_two_names_have_is_read_once_and_groups_may_contain_themselves(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.zeros((6, 7))
        file["b"] = file["a"]
        file["c"] = h5py.SoftLink("/a")
        file["group/up"] = file["/"]
    assert [each.title for each in read_hdf5(tmp_path / "a.h5", False)] == ["a"]


def test_a_virtual_data_set_whose_source_is_missing_is_no_array_of_zeros(tmp_path, read_both):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["data"] = np.ones((6, 7))
    layout = h5py.VirtualLayout((6, 7), "f8")
    layout[...] = h5py.VirtualSource("source.h5", "data", (6, 7))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("data", layout)
    assert read_both(tmp_path / "a.h5").data.min() == 1
    (tmp_path / "source.h5").unlink()
    with pytest.raises(BadFile, match=r"/data lies in source\.h5, which must lie beside it"):
        read_hdf5(tmp_path / "a.h5", True)


def test_a_pattern_is_not_split_when_it_is_left_in_the_file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("Experiments/patterns")
        group.create_dataset("data", (4, 4, 256, 256), "u2", chunks=(1, 1, 64, 64))
        for i in range(4):
            said = {"name": "", "scale": 1.0, "offset": 0.0, "navigate": i < 2, "size": 4}
            group.create_group(f"axis-{i}").attrs.update(said)
    (signal,) = read_hdf5(tmp_path / "a.h5", True)
    assert isinstance(signal.data, da.Array)
    assert signal.data.chunks[2:] == ((256,), (256,))


@pytest.mark.parametrize("chunks", [None, (3, 5, 7), (11, 1, 1)])
def test_values_that_are_read_in_pieces_are_those_of_the_file(chunks, tmp_path, monkeypatch):
    from emcore.io.formats.hdf5 import arrays

    data = np.random.default_rng(0).integers(0, 999, (11, 6, 8), dtype=np.uint16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=chunks)
    for piece in (1, 300, 10**6):
        monkeypatch.setattr(arrays, "_PIECE", piece)
        (signal,) = read_hdf5(tmp_path / "a.h5", lazy=False)
        np.testing.assert_array_equal(signal.data, data)
