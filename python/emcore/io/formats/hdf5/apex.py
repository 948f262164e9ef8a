"""EDAX's APEX (.edaxh5): spectrum images (SPD), the spectra of areas (SPC), and the image of the field of view."""

from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.formats.hdf5.arrays import Access, Contents, is_numeric, made, number

_MAP, _SUM, _IMAGE, _STEPS = "SPD", "SPC", "FOVIMAGE", "FOVIPR"


def read_apex(found: Contents, access: Access) -> list[Signal]:
    """Every spectrum image, sum spectrum and image of a field of view in a file of APEX."""
    signals = []
    for path, array in found.arrays.items():
        name, beside = path.rpartition("/")[2], array.parent
        if name == _MAP and is_numeric(array) and "MicronPerPixelX" in array.attrs:
            signals.append(_map(array, beside, path, access))
        elif name == _IMAGE and is_numeric(array) and "PixelWidth" in array.attrs:
            signals.append(_image(array, beside, path, access))
        elif name == _SUM and {"eVOffset", "evPch", "SpectrumCounts"} <= set(array.dtype.names or ()):
            counts = np.ravel(array[()])[0]["SpectrumCounts"]
            signals.append(made([_energies(array, counts.size)], counts, path, flagged=True))
    return signals


def _map(array: Any, beside: Any, path: str, access: Access) -> Signal:
    data = access.movable(array)
    steps = [number(array.attrs.get(f"MicronPerPixel{letter}")) for letter in "YX"]
    lines, points = (int(number(array.attrs.get(key), 1.0)) for key in ("NumberOfLines", "NumberOfPoints"))
    data = data.reshape(lines, points, -1)
    axes = [Axis(name, n, step, 0.0, "um", True) for name, n, step in zip("yx", data.shape, steps, strict=False)]
    return made([*axes, _energies(beside.get(_SUM), data.shape[2])], data, path, flagged=True)


def _energies(spectrum: Any, size: int) -> Axis:
    """The energies of the channels, which stand with the sum spectrum, if that has as many."""
    names = set(getattr(getattr(spectrum, "dtype", None), "names", None) or ())
    if {"eVOffset", "evPch", "SpectrumCounts"} <= names:
        record = np.ravel(spectrum[()])[0]
        if np.size(record["SpectrumCounts"]) == size:
            return Axis("Energy", size, number(record["evPch"], 1.0), number(record["eVOffset"], 0.0), "eV")
    return Axis("channel", size)


def _image(array: Any, beside: Any, path: str, access: Access) -> Signal:
    shape = tuple(int(number(array.attrs[key])) for key in ("PixelHeight", "PixelWidth"))
    names = set(beside[_STEPS].dtype.names or ()) if _STEPS in beside else set()
    steps = [1.0, 1.0]
    if {"MicronsPerPixelX", "MicronsPerPixelY"} <= names:
        steps = [number(np.ravel(beside[_STEPS][()])[0][f"MicronsPerPixel{letter}"]) for letter in "YX"]
    units = "um" if steps != [1.0, 1.0] else "px"
    axes = [Axis(name, n, step, units=units) for name, n, step in zip("yx", shape, steps, strict=True)]
    return made(axes, access.movable(array).reshape(shape), path, flagged=True)
