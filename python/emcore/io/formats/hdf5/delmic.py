"""Delmic's cathodoluminescence files (SPARC, written by Odemis): acquisitions with the axes C or A, T, Z, Y, X.

X, Y and Z have a step and the position of their middle; wavelengths and times are listed.
"""

from pathlib import Path
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.formats.hdf5.arrays import Access, axis_of_values, made, number, text
from emcore.io.formats.hdf5.plain import units_of

_NAMES = {"C": "Wavelength", "T": "Time", "A": "Angle", "Z": "z", "Y": "y", "X": "x"}
_INVALID = 111  # the state of a value that means nothing


def acquisitions(file: Any) -> list[Any]:
    """The groups that hold an acquisition, in the order in which they were made."""
    groups = [file[name] for name in file if name.startswith("Acquisition")]
    found = [group for group in groups if "ImageData/Image" in group and "PhysicalData" in group]
    return sorted(found, key=lambda group: int("".join(filter(str.isdigit, group.name)) or 0))


def read_delmic(file: Any, path: Path, access: Access) -> list[Signal]:
    """Every acquisition: spectra, angles or times at each position, and the images of secondary electrons."""
    return [_read(group, access) for group in acquisitions(file)]


def _read(group: Any, access: Access) -> Signal:
    within = group["ImageData"]
    image = within["Image"]
    labels = [text(dim.label) for dim in image.dims]
    if not all(labels):
        labels = list("CTZYX")[-image.ndim :]
    sizes = dict(zip(labels, image.shape, strict=True))
    spectral = any(sizes.get(label, 1) > 1 for label in "CTA")
    axes = [_axis(within, label, size, spectral and label in "XYZ") for label, size in sizes.items()]
    # The format has five axes whatever was measured: those of one point are not of the measurement.
    measured = [axis for axis in axes if axis.size > 1] or axes[-1:]
    data = access.movable(image).reshape(tuple(axis.size for axis in measured))
    title = text(group["PhysicalData"]["Title"][()]) if "Title" in group["PhysicalData"] else ""
    return made(measured, data, title or group.name.strip("/"), flagged=True)


def _axis(within: Any, label: str, size: int, navigation: bool) -> Axis:
    name = _NAMES.get(label, label)
    scale = within.get(f"DimensionScale{label}")
    if scale is None or np.ravel(scale.attrs.get("State", 0))[0] == _INVALID or scale.dtype.kind not in "iuf":
        return Axis("Channel" if label == "C" else name, size, navigation=navigation)
    units = units_of(scale)
    values = np.asarray(scale[()], dtype=np.float64)
    if values.ndim == 0 and values:
        middle = number(within[f"{label}Offset"], 0.0) if f"{label}Offset" in within else 0.0
        step = float(values)
        return Axis(name, size, step, middle - (size - 1) / 2 * step, units or "px", navigation)
    if label == "C" and units == "m":
        values, units = values * 1e9, "nm"
    return axis_of_values(name, size, values, units, navigation)
