"""OME-Zarr of both versions is read with its axes, and what is written is what the specification and readers expect."""

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis
from emcore.io.ome_zarr import write_ome_zarr

zarr = pytest.importorskip("zarr", reason="needs the extra zarr")
STACK = np.random.default_rng(0).integers(0, 200, (2, 3, 12, 10), dtype=np.uint16)
AXES = [
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "nanometer"},
    {"name": "x", "type": "space", "unit": "nanometer"},
]
STEPS = [
    {"type": "scale", "scale": [1.0, 0.5, 4.0, 2.0]},
    {"type": "translation", "translation": [0.0, 1.0, 20.0, 10.0]},
]


def store(path, version, values=STACK, axes=AXES, steps=STEPS, also=None, whole=None):
    """A pyramid of two levels in a store of either version."""
    form = 2 if version < "0.5" else 3
    group = zarr.open_group(path, mode="w", zarr_format=form)
    for level, shrunk in (("0", values), ("1", values[..., ::2, ::2])):
        group.create_array(level, shape=shrunk.shape, dtype=shrunk.dtype, chunks=shrunk.shape)[...] = shrunk
    datasets = [{"path": level, "coordinateTransformations": steps} for level in "01"]
    about = {"multiscales": [{"name": "cells", "axes": axes, "datasets": datasets, **(whole or {})}], **(also or {})}
    group.attrs.update({"ome": {"version": version, **about}} if version >= "0.5" else about)
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("name", ["a.zarr", "a.ome.zarr", "a"])
def test_the_full_resolution_is_read_with_names_units_scales_and_places(version, lazy, name, tmp_path):
    observed = emcore.read(store(tmp_path / name, version), lazy=lazy)
    np.testing.assert_array_equal(np.asarray(observed.data), STACK)
    assert observed.title == "cells"
    assert observed.flagged
    assert observed.axes == (
        Axis("channel", 2, navigation=True),
        Axis("z", 3, 0.5, 1.0, "um", navigation=True),
        Axis("y", 12, 4.0, 20.0, "nm"),
        Axis("x", 10, 2.0, 10.0, "nm"),
    )
    assert isinstance(observed.data, np.ndarray) != lazy


@pytest.mark.parametrize("lazy", [False, True])
def test_axes_of_one_point_beside_the_picture_are_left_out(lazy, tmp_path):
    axes = [{"name": "t", "type": "time", "unit": "second"}, *AXES]
    path = store(tmp_path / "a.zarr", "0.4", STACK[None, :1, :1], axes, [])
    observed = emcore.read(path, lazy=lazy)
    np.testing.assert_array_equal(np.asarray(observed.data), STACK[0, 0])
    assert [axis.name for axis in observed.axes] == ["y", "x"]


def test_the_transformations_of_the_whole_follow_those_of_the_level(tmp_path):
    whole = {"coordinateTransformations": [{"type": "scale", "scale": [1, 1, 0.5, 10]}]}
    observed = emcore.read(store(tmp_path / "a.zarr", "0.4", whole=whole))
    assert [(axis.scale, axis.offset) for axis in observed.axes[2:]] == [(2.0, 10.0), (20.0, 100.0)]


def test_a_store_in_a_zip_file_is_read(tmp_path):
    import shutil

    shutil.make_archive(str(tmp_path / "packed"), "zip", store(tmp_path / "a.zarr", "0.5"))
    (tmp_path / "packed.zip").rename(tmp_path / "a.ozx")
    np.testing.assert_array_equal(emcore.read(tmp_path / "a.ozx").data, STACK)


def test_axes_of_earlier_versions_have_no_units(tmp_path):
    observed = emcore.read(store(tmp_path / "a.zarr", "0.3", axes=["c", "z", "y", "x"], steps=[]))
    assert [axis.name for axis in observed.axes] == ["channel", "z", "y", "x"]
    assert {axis.units for axis in observed.axes} == {"px"}


def test_three_channels_shown_in_red_green_and_blue_are_colour(tmp_path):
    channels = [{"color": color} for color in ("ff0000", "00ff00", "0000ff")]
    values = np.zeros((3, 8, 9), dtype="u1")
    path = store(tmp_path / "a.zarr", "0.4", values, [AXES[0], *AXES[2:]], [], {"omero": {"channels": channels}})
    assert [axis.name for axis in emcore.read(path).axes] == ["colour", "y", "x"]


def test_a_plate_is_refused_with_the_picture_to_name(tmp_path):
    group = zarr.open_group(tmp_path / "plate.zarr", mode="w", zarr_format=2)
    group.attrs["plate"] = {"wells": [{"path": "A/1"}, {"path": "A/2"}]}
    store(tmp_path / "plate.zarr" / "A" / "1" / "0", "0.4")
    with pytest.raises(ValueError, match=r"is a plate of 2 wells, which is not supported: .* such as (.*0)$") as caught:
        emcore.read(tmp_path / "plate.zarr")
    assert emcore.read(str(caught.value).split("such as ")[1]).shape == STACK.shape


def test_a_level_that_is_missing_or_has_other_axes_is_damage(tmp_path):
    path = store(tmp_path / "a.zarr", "0.4", axes=AXES[1:], steps=[])
    with pytest.raises(ValueError, match=r"3 axes for data of shape \(2, 3, 12, 10\)"):
        emcore.read(path)
    group = zarr.open_group(path)
    group.attrs["multiscales"] = [{"axes": AXES, "datasets": [{"path": "s0"}]}]
    with pytest.raises(ValueError, match=r"a\.zarr .* the array 's0' .* is missing"):
        emcore.read(path)


Y, X = Axis("y", 5, 0.5, 2.0, "um"), Axis("x", 6, 0.25, 0.0, "um")
IMAGE = np.random.default_rng(1).random((5, 6)).astype("f4")
LABELS = np.arange(30).reshape(5, 6) % 4 - 1
MAPS = np.random.default_rng(2).random((3, 5, 6)).astype("f4")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_is_written_follows_the_specification(version, tmp_path):
    path = tmp_path / "out.ome.zarr"
    maps = {"maps": (MAPS, (Axis("component", 3), Y, X))}
    write_ome_zarr(path, (IMAGE, (Y, X)), maps, {"grains": LABELS}, "scan", version)
    root = zarr.open_group(path, mode="r")
    assert root.metadata.zarr_format == (2 if version == "0.4" else 3)

    def about(group):
        attributes = dict(group.attrs)
        return attributes if version == "0.4" else attributes["ome"]

    (scales,) = about(root)["multiscales"]
    assert scales["axes"] == [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"]
    assert scales["datasets"][0]["coordinateTransformations"] == [
        {"type": "scale", "scale": [0.5, 0.25]},
        {"type": "translation", "translation": [2.0, 0.0]},
    ]
    assert (scales if version == "0.4" else about(root))["version"] == version
    np.testing.assert_array_equal(root["0"][...], IMAGE)
    assert about(root["labels"])["labels"] == ["grains"]
    np.testing.assert_array_equal(root["labels/grains/0"][...], LABELS + 1)
    shown = about(root["labels/grains"])["image-label"]
    assert [each["label-value"] for each in shown["properties"]] == [1, 2, 3]
    assert about(root["maps"])["multiscales"][0]["axes"][0] == {"name": "c", "type": "channel"}
    np.testing.assert_array_equal(root["maps/0"][...], MAPS)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_is_written_is_read_back(version, tmp_path):
    path = tmp_path / "out.zarr"
    maps = {"maps": (MAPS, (Axis("component", 3), Y, X))}
    write_ome_zarr(path, (IMAGE, (Y, X)), maps, {"grains": LABELS}, "scan", version)
    for title, values in (("scan", IMAGE), ("labels/grains", LABELS + 1), ("maps", MAPS)):
        observed = emcore.read(path, dataset=title)
        np.testing.assert_array_equal(observed.data, values)
        assert observed.axes[-2:] == (Y, X)
    assert emcore.read(path).title == "scan"


def test_a_store_is_replaced_only_when_asked_and_another_folder_never(tmp_path):
    path = write_ome_zarr(tmp_path / "out.zarr", (IMAGE, (Y, X)), {}, {})
    with pytest.raises(FileExistsError):
        write_ome_zarr(path, (IMAGE, (Y, X)), {}, {})
    write_ome_zarr(path, (2 * IMAGE, (Y, X)), {}, {}, overwrite=True)
    np.testing.assert_array_equal(emcore.read(path).data, 2 * IMAGE)
    (tmp_path / "photos").mkdir()
    with pytest.raises(FileExistsError):
        write_ome_zarr(tmp_path / "photos", (IMAGE, (Y, X)), {}, {}, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.zarr", "photos"]
    with pytest.raises(ValueError, match=r"version must be one of 0\.4, 0\.5, found '0\.6'"):
        write_ome_zarr(tmp_path / "b.zarr", (IMAGE, (Y, X)), {}, {}, version="0.6")
