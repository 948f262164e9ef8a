"""HDF5 files of no one's convention, and NSID's: every array, with the scales and labels that HDF5 gives dimensions.

NSID (pycroscopy's) adds to each scale what kind of dimension it is: spatial, spectral, reciprocal, temporal.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal, default_axes
from emcore.io.errors import BadFile
from emcore.io.formats.hdf5.arrays import Access, Contents, axis_of_values, each_signal, is_numeric, left_out, text

_UNITS = ("units", "unit", "Units", "UNITS", "UNIT", "Unit")
_NSID_SIGNALS = ("SPECTRAL", "RECIPROCAL")
_NSID_KINDS = (*_NSID_SIGNALS, "SPATIAL", "TEMPORAL", "FRAME", "TIME", "CHANNEL", "POINT_CLOUD")
_NETCDF = "This is a netCDF dimension but not a netCDF variable"


def read_plain(found: Contents, access: Access) -> list[Signal]:
    """Every array of numbers in a file that is not itself the scale of another's dimension."""
    arrays = {name: item for name, item in found.arrays.items() if is_numeric(item) and not is_scale(item)}
    if found.broken and not arrays:
        raise BadFile(f"{found.path} holds no data: {found.broken[0]}")
    others = [said for item in found.arrays.values() if (said := left_out(item))]
    if others and not arrays:
        raise BadFile(f"{found.path} holds no array of numbers: {'; '.join(others[:3])}")
    return each_signal(arrays, lambda name, item: plain_signal(item, name, access), found.broken)


def is_scale(dataset: Any) -> bool:
    """Whether a data set is the scale of a dimension."""
    return text(dataset.attrs.get("CLASS")) == "DIMENSION_SCALE"


def plain_signal(dataset: Any, title: str, access: Access) -> Signal:
    """A data set with the axes that HDF5's dimensions, or its attributes, tell."""
    axes, kinds = _dimensions(dataset)
    if not axes:
        data = access.take(dataset, 2 if len(dataset.shape) > 3 else 1)
        return Signal(data, default_axes(tuple(data.shape)), title=title)
    flagged = all(kinds)
    if flagged:
        signals = [kind in _NSID_SIGNALS for kind in kinds]
        if not any(signals):  # an image, or a stack of them
            signals = [kind == "SPATIAL" for kind in kinds]
        if not any(signals):
            signals = [True] * len(axes)
    else:
        inside = [i for i, axis in enumerate(axes) if axis.name != "colour"][-2:]
        signals = [i in inside or axis.name == "colour" for i, axis in enumerate(axes)]
    axes = [replace(axis, navigation=not signal) for axis, signal in zip(axes, signals, strict=True)]
    return access.signal(dataset, axes, title, flagged)


def units_of(item: Any) -> str:
    """The unit of a scale, however its attribute is written."""
    return next((text(item.attrs[key]) for key in _UNITS if key in item.attrs), "")


def colour_axis(dataset: Any) -> int | None:
    """Which axis of a picture is its colour, by HDF5's convention for images."""
    if text(dataset.attrs.get("IMAGE_SUBCLASS")) != "IMAGE_TRUECOLOR" or len(dataset.shape) < 3:
        return None
    order = {"INTERLACE_PLANE": -3, "INTERLACE_LINE": -2}.get(text(dataset.attrs.get("INTERLACE_MODE")), -1)
    labels = [text(dim.label) for dim in dataset.dims]
    place = labels.index("C") if "C" in labels else len(labels) + order
    return place if dataset.shape[place] in (3, 4) else None


def _dimensions(dataset: Any) -> tuple[list[Axis], list[str]]:
    """One axis for each dimension and its kind by NSID; none where nothing is said about any of them."""
    axes, kinds, said = [], [], False
    steps = np.ravel(dataset.attrs.get("element_size_um", ()))  # ilastik's and ImageJ's
    colour = colour_axis(dataset)
    for i, size in enumerate(dataset.shape):
        if i == colour:
            axes.append(Axis("colour", size))
            kinds.append("")
            said = True
            continue
        label, scale = text(dataset.dims[i].label), _scale(dataset, i)
        said |= bool(label) or scale is not None
        if scale is not None:
            named = text(scale.attrs.get("NAME"))
            blank = named.startswith(_NETCDF)
            name = label or ("" if blank else named.rsplit("/")[-1]) or scale.name.rsplit("/")[-1]
            values = None if blank else np.asarray(scale[()])
            axes.append(axis_of_values(name, size, values, units_of(scale)))
            kind = text(scale.attrs.get("dimension_type")).upper().rpartition(".")[2]
            kinds.append(kind if kind in _NSID_KINDS else "")
        elif len(steps) == len(dataset.shape):
            axes.append(Axis(label, size, float(steps[i]), 0.0, "um"))
            kinds.append("")
            said = True
        else:
            axes.append(Axis(label, size))
            kinds.append("")
    return (axes, kinds) if said else ([], [])


def _scale(dataset: Any, i: int) -> Any:
    """The scale of a dimension; where the reference is lost, as in a group that was copied, the one of its name."""
    try:
        if len(dataset.dims[i]):
            return dataset.dims[i][0]
    except (RuntimeError, KeyError, ValueError):
        pass
    beside = dataset.parent.get(text(dataset.dims[i].label) or "?")
    fits = beside is not None and hasattr(beside, "dtype") and beside.shape == (dataset.shape[i],)
    return beside if fits and beside != dataset else None
