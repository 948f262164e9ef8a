"""OME-Zarr (NGFF) 0.1 to 0.5: the pictures at full resolution, with what their axes are called, their units and places.

The specification is at https://ngff.openmicroscopy.org. A store holds a picture, or several beside one another, and in
`labels` the pictures of what was segmented in it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emcore.core.signals import Axis, Signal, name_axes, tidy_axes
from emcore.io.errors import BadFile
from emcore.io.optional import dask_array, zarr_module

_NAMES = {"c": "channel", "t": "time"}


def read_ome_zarr(path: Path, lazy: bool) -> list[Signal]:
    """Every picture of a store at its full resolution; lazily as Dask arrays.

    Parameters
    ----------
    path : Path
        A folder or a zip file.
    lazy : bool

    Returns
    -------
    list of Signal
        Time, channels and z are navigation axes. Labels follow their picture, titled "labels/NAME".

    Raises
    ------
    ValueError
        If it is a plate of wells, or names arrays that it does not have.
    """
    zarr = zarr_module()
    store = zarr.storage.ZipStore(path, mode="r") if path.is_file() else str(path)
    root = zarr.open_group(store, mode="r")
    about = metadata_of(dict(root.attrs))
    if "plate" in about:
        wells = [str(well.get("path", "")) for well in about["plate"].get("wells", [])]
        example = f", such as {path / wells[0] / '0'}" if wells else ""
        raise BadFile(f"{path} is a plate of {len(wells)} wells, which is not supported: name a picture in it{example}")
    signals = [_picture(path, group, about, name, lazy) for name, group, about in _pictures(root, "")]
    if not signals:
        raise BadFile(f"{path} is an OME-Zarr store without a picture")
    return signals


def metadata_of(attributes: dict[str, Any]) -> dict[str, Any]:
    """What NGFF says in the attributes of a group: under "ome" from 0.5 on, before among the others."""
    inside = attributes.get("ome")
    return dict(inside) if isinstance(inside, dict) else attributes


def _pictures(group: Any, name: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Every group with a picture, by its path: this one, its labels, and those beside."""
    about = metadata_of(dict(group.attrs))
    arrays = set()
    if about.get("multiscales"):
        yield name, group, about
        arrays = {str(level["path"]).split("/")[0] for level in about["multiscales"][0]["datasets"]}
    for member, inside in sorted(group.groups()):
        if member not in arrays:
            yield from _pictures(inside, f"{name}/{member}".lstrip("/"))


def _picture(path: Path, group: Any, about: dict[str, Any], name: str, lazy: bool) -> Signal:
    scales = about["multiscales"][0]
    level = scales["datasets"][0]
    try:
        array = group[level["path"]]
    except KeyError as error:
        raise BadFile(f"{path} is damaged: the array {level['path']!r} of a picture in it is missing") from error
    axes = _axes(path, scales, level, array.shape)
    notes = () if len(about["multiscales"]) == 1 else ("it has several pyramids of one picture: the first was read",)
    data = dask_array().from_zarr(array) if lazy else array[...]
    colour = _is_colour(about, axes, array)
    if colour:
        axes = [Axis("colour", axis.size) if axis.name == "channel" else axis for axis in axes]
    single = tuple(i for i, axis in enumerate(axes) if axis.navigation and axis.size == 1)  # there are mostly five axes
    data, axes = data.squeeze(single), [axis for i, axis in enumerate(axes) if i not in single]
    title = name if name else str(scales.get("name") or "").strip("/")
    return Signal(data, tidy_axes(name_axes(tuple(axes))), title=title, notes=notes, flagged=True)


def _axes(path: Path, scales: dict[str, Any], level: dict[str, Any], shape: tuple[int, ...]) -> list[Axis]:
    listed = scales.get("axes") or ("t", "c", "z", "y", "x")[-len(shape) :]  # before 0.3 there were always these five
    listed = [axis if isinstance(axis, dict) else {"name": axis} for axis in listed]
    if len(listed) != len(shape):
        raise BadFile(f"{path} is damaged: it names {len(listed)} axes for data of shape {shape}")
    scale, offset = [1.0] * len(shape), [0.0] * len(shape)
    # Those of the level come first, then those of the whole picture.
    for step in (*level.get("coordinateTransformations", ()), *scales.get("coordinateTransformations", ())):
        if "scale" in step:
            scale = [s * float(f) for s, f in zip(scale, step["scale"], strict=True)]
            offset = [o * float(f) for o, f in zip(offset, step["scale"], strict=True)]
        elif "translation" in step:
            offset = [o + float(d) for o, d in zip(offset, step["translation"], strict=True)]
    space = [i for i, axis in enumerate(listed) if axis.get("type", "space") == "space"]
    plane = [i for i in space if listed[i]["name"] not in _NAMES][-2:]
    return [
        Axis(_NAMES.get(axis["name"], axis["name"]), size, s, o, axis.get("unit") or "px", navigation=i not in plane)
        for i, (axis, size, s, o) in enumerate(zip(listed, shape, scale, offset, strict=True))
    ]


def _is_colour(about: dict[str, Any], axes: list[Axis], array: Any) -> bool:
    # Three channels of 8 bits that are to be shown in red, green and blue.
    shown = [str(channel.get("color", "")).upper() for channel in about.get("omero", {}).get("channels", [])]
    return shown == ["FF0000", "00FF00", "0000FF"] and array.dtype == "u1" and any(a.name == "channel" for a in axes)
