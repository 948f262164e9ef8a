"""Maps of patterns and spectra of EDAX (OIM, .oh5), Bruker, kikuchipy (both h5) and Oxford Instruments (.h5oina).

A group has a `Header`, with rows, columns and steps in micrometres, and `Data`, in which everything of which there is
one for each position lies flat.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.formats.hdf5.arrays import Access, Contents, made, number, one_value, text
from emcore.io.formats.hdf5.plain import units_of
from emcore.io.instrument import about

# By maker: rows, columns, step along rows, step along columns.
_GRIDS = (
    ("nRows", "nColumns", "Step Y", "Step X"),
    ("NROWS", "NCOLS", "YSTEP", "XSTEP"),
    ("Y Cells", "X Cells", "Y Step", "X Step"),
    ("n_rows", "n_columns", "step_y", "step_x"),
)
# What headers say of the microscope, by HyperSpy's names; energies in keV, working distances in mm.
_MICROSCOPE = {
    "beam_energy": ("Beam Voltage", "KV", "beam_energy"),
    "magnification": ("Magnification", "Mag", "magnification"),
    "working_distance": ("Working Distance", "WD", "working_distance"),
    "microscope": ("microscope",),
}
_EDS = {
    "azimuth_angle": ("Detector Azimuth",),
    "elevation_angle": ("Detector Elevation",),
    "live_time": ("Live Time",),
    "real_time": ("Real Time",),
}


def _grids(found: Contents) -> list[tuple[str, Any, tuple[int, int], tuple[float, float]]]:
    """The path and the group of each map, its rows and columns, and its steps."""
    grids = []
    for path, group in found.groups.items():
        if "Header" not in group or "Data" not in group:
            continue
        header = group["Header"]
        keys = next((keys for keys in _GRIDS if all(key in header for key in keys)), None)
        if keys and "hex" not in text(header["Grid Type"][()] if "Grid Type" in header else "").lower():
            rows, columns, dy, dx = (number(header[key][()]) for key in keys)
            shape = _measured(group) or (int(rows), int(columns))
            grids.append((path, group, shape, (dy, dx)))
    return grids


def _measured(group: Any) -> tuple[int, int] | None:
    """Rows and columns of the part of a map that Bruker measured, where the positions fill a rectangle line by line."""
    places = [group.get(f"SEM/{name}") for name in ("IY", "IX")]
    if any(not hasattr(place, "shape") or not place.shape for place in places):
        return None
    y, x = (np.asarray(place[()]) for place in places)
    y, x = y - y.min(), x - x.min()
    shape = (int(y.max()) + 1, int(x.max()) + 1)
    filled = y.size == shape[0] * shape[1] and np.array_equal(y * shape[1] + x, np.arange(y.size))
    return shape if filled else None


def read_ebsd(found: Contents, access: Access) -> list[Signal]:
    """Every array with one entry for each position: patterns, spectra, and maps of one number."""
    signals = []
    for place, group, shape, steps in _grids(found):
        scan = [Axis(name, n, step, units="um") for name, n, step in zip("yx", shape, steps, strict=True)]
        for name, array in found.below(f"{place}/Data").items():
            if array.shape[0] != shape[0] * shape[1]:
                continue
            inner = array.shape[1:]
            names = ("pattern_y", "pattern_x") if len(inner) == 2 else ("",) * len(inner)
            inside = [Axis(each, n) for each, n in zip(names, inner, strict=True)]
            if len(inner) == 1:
                inside = [_energies(group["Header"], inner[0])]
            axes = [replace(axis, navigation=bool(inner)) for axis in scan] + inside
            data = access.movable(array, max(len(inner), 1)).reshape((*shape, *inner))
            metadata = about(_described(group, len(inner)))
            signals.append(made(axes, data, f"{place}/Data/{name}", flagged=True, metadata=metadata))
    return signals


def _described(group: Any, inside: int) -> dict[str, Any]:
    """What the headers of a map, and of the microscope beside it, say of both, of measurements of so many axes."""
    headers = [group["Header"], *(group.parent.get(f"{name}/Header", {}) for name in ("SEM", "SEM-PRIAS Images"))]
    microscope = {name: _first(headers, keys) for name, keys in _MICROSCOPE.items()}
    if inside == 1:
        microscope["Detector"] = {"EDS": {name: _first(headers, keys) for name, keys in _EDS.items()}}
    kind = {1: "EDS_SEM", 2: "EBSD"}.get(inside, "")
    return {"Signal": {"signal_type": kind}, "Acquisition_instrument": {"SEM": microscope}}


def _first(headers: list[Any], keys: tuple[str, ...]) -> Any:
    """What the first header that has one of these says, angles in degrees."""
    for header in headers:
        for item in (header[key] for key in keys if key in header):
            value = one_value(item)
            if isinstance(value, float) and units_of(item).startswith("rad"):
                return float(np.rad2deg(value))
            return value
    return None


def _energies(header: Any, size: int) -> Axis:
    """The energy axis of Oxford's spectra, in eV."""
    if "Channel Width" not in header:
        return Axis("", size)
    start = number(header["Start Channel"][()], 0.0) if "Start Channel" in header else 0.0
    return Axis("Energy", size, number(header["Channel Width"][()], 1.0), float(np.nan_to_num(start)), "eV")
