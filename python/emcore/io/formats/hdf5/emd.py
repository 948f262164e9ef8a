"""EMD of Berkeley, 0.2 and 1.0, and what is laid out so: py4DSTEM and emdfile, Prismatic, fpd, Direct Electron.

A group that is marked has an array and, for each of its axes, a data set `dim`: its positions, or the first two.
"""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.formats.hdf5.arrays import Access, Contents, axis_of_values, is_numeric, number, one_value, text
from emcore.io.instrument import about

# What the array of a group is called, by program.
_ARRAYS = ("data", "datacube", "realslice", "diffractionslice", "array")
_DIMENSION = re.compile(r"dim\d+$")


def _arrays(found: Contents) -> dict[str, tuple[Any, list[Any]]]:
    """The arrays in marked groups by their title, with the data sets of their dimensions."""
    arrays: dict[str, tuple[Any, list[Any]]] = {}
    marked = "version_major" in found.root.attrs
    for path, group in found.groups.items():
        if not marked and "emd_group_type" not in group.attrs:
            continue
        first = 0 if "dim0" in group else 1
        for name in group:
            item = group.get(name)
            if not is_numeric(item) or _DIMENSION.match(name):
                continue
            dims = [group.get(f"dim{first + i}") for i in range(len(item.shape))]
            if all(hasattr(dim, "dtype") for dim in dims):
                # The array is what its group is called, unless there are several in it.
                arrays[path if name in _ARRAYS else f"{path}/{name}"] = (item, dims)
    last = [path.rsplit("/")[-1] for path in arrays]
    return {each if last.count(each) == 1 else path: arrays[path] for path, each in zip(arrays, last, strict=True)}


def read_emd(found: Contents, access: Access) -> list[Signal]:
    """Every array of a Berkeley EMD file, its axes in the file's order."""
    signals = []
    for title, (array, dims) in _arrays(found).items():
        axes = [_axis(dim, size) for dim, size in zip(dims, array.shape, strict=True)]
        if "fpd_expt" in array.name:  # its colours are the counters of a detector
            axes = [replace(axis, name="counter") if axis.name.lower().startswith("colo") else axis for axis in axes]
        axes = _calibrated(axes, found)
        scanned = _scan_axes(array, axes)
        flagged = scanned is not None
        outer = max(len(axes) - 2, 0) if scanned is None else scanned
        axes = [replace(axis, navigation=i < outer) for i, axis in enumerate(axes)]
        known = _instrument(found) if flagged else {}
        if flagged and text(array.parent.attrs.get("python_class")) == "DataCube":
            known = {"signal_type": "electron_diffraction"} | known
        signals.append(access.signal(array, axes, title, flagged, about({"Signal": known, **known})))
    return signals


def _instrument(found: Contents) -> dict[str, Any]:
    """What emcore writes of the instrument beside a scan."""
    path = next((path for path in found.arrays if path.endswith("metadatabundle/instrument/json")), "")
    try:
        known = json.loads(str(one_value(found.arrays.get(path)) or "{}"))
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


def _axis(dim: Any, size: int) -> Axis:
    numbers = np.asarray(dim[()]) if dim.dtype.kind in "iuf" else None
    return axis_of_values(text(dim.attrs.get("name")), size, numbers, _units(text(dim.attrs.get("units"))))


def _units(written: str) -> str:
    """A unit as EMD writes it, [n_m] or [1_/_n_m], as it is meant.

    Examples
    --------
    >>> _units("[1_/_n_m]"), _units("A^-1"), _units("[]")
    ('1/nm', 'A^-1', '')
    """
    parts = re.findall(r"\[(.*?)\]", written)
    return " ".join(part.replace("_", "") for part in parts) if parts else written


def _scan_axes(array: Any, axes: list[Axis]) -> int | None:
    """How many of the first axes are the scan, where the group's class, its place or its names say so."""
    group = array.parent
    if text(group.attrs.get("python_class")) == "DataCube" or "/datacubes/" in array.name:
        return 2 if len(axes) == 4 else None
    if "fpd_data" in group.name and len(axes) >= 4:
        return len(axes) - 2
    return None


def _calibrated(axes: list[Axis], found: Contents) -> list[Axis]:
    """The axes of a py4DSTEM data cube, with the sizes where its dimensions are pixels, and its origin in pixels."""
    if [axis.name for axis in axes] not in (["Rx", "Ry", "Qx", "Qy"], ["R_x", "R_y", "Q_x", "Q_y"]):
        return axes
    said: Any = next((item for path, item in found.groups.items() if path.endswith("metadatabundle/calibration")), {})
    calibrated = []
    for axis in axes:
        size, units = said.get(f"{axis.name[0]}_pixel_size"), said.get(f"{axis.name[0]}_pixel_units")
        known = size is not None and units is not None and text(units[()]) not in ("", "pixels")
        if known and axis.units in ("px", "pixels") and number(size) > 0:
            axis = replace(axis, scale=number(size), offset=0.0, units=text(units[()]))
        origin = number(said.get({"x": "qx0_mean", "y": "qy0_mean"}[axis.name[-1]])) if axis.name[0] == "Q" else np.nan
        calibrated.append(replace(axis, offset=-origin * axis.scale) if np.isfinite(origin) else axis)
    return calibrated
