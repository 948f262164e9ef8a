"""Maps of patterns and spectra as EDAX (OIM, .oh5), Bruker (h5) and Oxford Instruments (.h5oina) write them.

A group has a `Header`, with rows, columns and steps in micrometres, and `Data`, in which everything of which there is
one for each position lies flat.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.formats.hdf5.arrays import Access, Contents, made, number, text

# By maker: rows, columns, step along rows, step along columns.
_GRIDS = (
    ("nRows", "nColumns", "Step Y", "Step X"),
    ("NROWS", "NCOLS", "YSTEP", "XSTEP"),
    ("Y Cells", "X Cells", "Y Step", "X Step"),
)


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
            signals.append(made(axes, data, f"{place}/Data/{name}", flagged=True))
    return signals


def _energies(header: Any, size: int) -> Axis:
    """The energy axis of Oxford's spectra, in eV."""
    if "Channel Width" not in header:
        return Axis("", size)
    start = number(header["Start Channel"][()], 0.0) if "Start Channel" in header else 0.0
    return Axis("Energy", size, number(header["Channel Width"][()], 1.0), float(np.nan_to_num(start)), "eV")
