"""Delmic's cathodoluminescence files (SPARC, written by Odemis): acquisitions with the axes C or A, T, Z, Y, X.

X, Y and Z have a step and the position of their middle; wavelengths and times are listed.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.formats.hdf5.arrays import Access, axis_of_values, made, number, one_value, text
from emcore.io.formats.hdf5.plain import colour_axis, units_of
from emcore.io.instrument import about
from emcore.io.optional import dask_array

_NAMES = {"C": "Wavelength", "T": "Time", "A": "Angle", "Z": "z", "Y": "y", "X": "x"}
# The names that LumiSpy and RosettaSciIO have for spectra, and for what is measured over time.
_KINDS = {"C": "CL_SEM", "T": "LumiTransient", "CT": "LumiTransientSpectrum"}
_LATEST = 1e11  # seconds, that are no date
_INVALID = 111  # the state of a value that means nothing


def acquisitions(file: Any) -> list[Any]:
    """The groups that hold an acquisition, in the order in which they were made."""
    groups = [file[name] for name in file if name.startswith("Acquisition")]
    observed = [group for group in groups if "ImageData/Image" in group and "PhysicalData" in group]
    return sorted(observed, key=lambda group: int("".join(filter(str.isdigit, group.name)) or 0))


def read_delmic(file: Any, path: Path, access: Access) -> list[Signal]:
    """Every acquisition: spectra, angles or times at each position, and the images of secondary electrons.

    Images of the angles of emission, which are one acquisition for each position, become one scan.
    """
    groups = acquisitions(file)
    angular: dict[str, list[Any]] = {}
    for group in groups:
        if (
            _is_valid(group["PhysicalData"].get("PolePosition"))
            and int(np.prod(group["ImageData/Image"].shape[:-2])) == 1
        ):
            angular.setdefault(_physical(group, "Polarization"), []).append(group)
    scans = []
    for polarization, images in angular.items():
        scan = next((group for group in groups if _is_scan_of(group, images)), None)
        if scan is not None and len(images) > 1:
            scans.append(_angular_scan(scan, images, polarization, access))
            groups = [group for group in groups if group not in images]
    return [_read(group, access) for group in groups] + scans


def _is_valid(value: Any) -> bool:
    return value is not None and int(np.ravel(value.attrs.get("State", 0))[0]) != _INVALID


def _physical(group: Any, name: str) -> str:
    value = group["PhysicalData"].get(name)
    return text(np.asarray(value[()])) if value is not None else ""


def _is_scan_of(group: Any, images: list[Any]) -> bool:
    """Whether an acquisition is the image of secondary electrons with a point for each of these images."""
    shape = group["ImageData/Image"].shape
    return group not in images and int(np.prod(shape)) == int(np.prod(shape[-2:])) == len(images)


def _angular_scan(scan: Any, images: list[Any], polarization: str, access: Access) -> Signal:
    """The images of angles at all positions, in the order in which they were taken, (y, x, angles)."""
    images = sorted(images, key=lambda group: number(group["ImageData"].get("TOffset"), 0.0))
    places = [replace(axis, navigation=True) for axis in _read(scan, access).axes]
    shape = images[0]["ImageData/Image"].shape[-2:]
    stack = dask_array().stack if access.lazy else np.stack
    data = stack([access.movable(group["ImageData/Image"]).reshape(shape) for group in images])
    axes = [*places, Axis("angle_y", shape[0]), Axis("angle_x", shape[1])]
    title = f"{_title(images[0])} {polarization}".strip()
    metadata = _described(images[0], "")
    return made(axes, data.reshape(tuple(axis.size for axis in axes)), title, flagged=True, metadata=metadata)


def _title(group: Any) -> str:
    return _physical(group, "Title") or group.name.strip("/")


def _read(group: Any, access: Access) -> Signal:
    within = group["ImageData"]
    image = within["Image"]
    labels = [text(dim.label) for dim in image.dims]
    if not all(labels):
        labels = list("CTZYX")[-image.ndim :]
    sizes = dict(zip(labels, image.shape, strict=True))
    colour = colour_axis(image)
    spectral = colour is None and any(sizes.get(label, 1) > 1 for label in "CTA")
    axes = [_axis(within, label, size, spectral and label in "XYZ") for label, size in sizes.items()]
    if colour is not None:
        axes[colour] = Axis("colour", image.shape[colour])
    # The format has five axes whatever was measured: those of one point are not of the measurement.
    measured = [axis for axis in axes if axis.size > 1] or axes[-1:]
    data = access.movable(image).reshape(tuple(axis.size for axis in measured))
    kind = _KINDS.get("".join(label for label in "CT" if spectral and sizes.get(label, 1) > 1), "")
    return made(measured, data, _title(group), flagged=True, metadata=_described(group, kind))


def _described(group: Any, kind: str) -> dict[str, Any]:
    """Detector, magnification, and when it was measured, as far as its settings are valid."""
    settings = {
        name: item for name, item in group["PhysicalData"].items() if hasattr(item, "dtype") and _is_valid(item)
    }
    seconds = number(group["ImageData"].get("TOffset"), 0.0)
    began = datetime.fromtimestamp(seconds, UTC).isoformat() if 0 < seconds < _LATEST else ""
    date, _, time = began.removesuffix("+00:00").partition("T")
    detector = {"model": settings.get("HardwareName"), "integration_time": settings.get("IntegrationTime")}
    column = {} if kind else {"SEM": {"magnification": one_value(settings.get("Magnification"))}}
    instrument = column | {"Detector": {name: one_value(item) for name, item in detector.items()}}
    said = {"General": {"date": date, "time": time}, "Signal": {"signal_type": kind}}
    return about(said | {"Acquisition_instrument": instrument})


def _axis(within: Any, label: str, size: int, navigation: bool) -> Axis:
    name = _NAMES.get(label, label)
    scale = within.get(f"DimensionScale{label}")
    if not _is_valid(scale) or scale.dtype.kind not in "iuf":
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
