"""Tables of numbers: spectra as columns beside the energies, as `Result.export` and spreadsheets write them."""

import csv
import re
from pathlib import Path

import numpy as np

from emcore.core.memory import check_fits
from emcore.core.signals import Axis, Signal
from emcore.core.units import tidy_units
from emcore.core.validation import Floats
from emcore.io.errors import BadFile

# "energy (eV)", "counts [1]".
_WITH_UNITS = re.compile(r"^(.*?)\s*[(\[]([^()\[\]]*)[)\]]\s*$")


def read_csv(path: Path, lazy: bool) -> list[Signal]:
    """The columns behind the first one, which says where the points lie; a single column is a spectrum without that."""
    # Numbers take about as much as their digits.
    check_fits(2 * path.stat().st_size, str(path))
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip() and line[0] != "#"]
    if not lines:
        raise BadFile(f"{path} has no lines of numbers")
    table = list(csv.reader(lines, delimiter=max(",;\t", key=lines[0].count)))
    heads = [] if all(map(_is_number, table[0])) else table.pop(0)
    width = len(heads or table[0]) if table else 0
    values = np.empty((len(table), width))
    for number, row in enumerate(table):
        if len(row) != width or not all(map(_is_number, row)):
            raise BadFile(f"{path}: line {number + 1} of the numbers, {','.join(row)[:40]!r}, is not {width} numbers")
        values[number] = [float(cell) for cell in row]
    if not values.size:
        raise BadFile(f"{path} has no lines of numbers")
    names = [head.strip() for head in heads]
    if width == 1:
        return [Signal(values[:, 0].copy(), (Axis("channel", len(values)),), title=names[0] if names else "")]
    along, spectra = _axis(names[0] if names else "", values[:, 0], path), np.ascontiguousarray(values[:, 1:].T)
    if width == 2:
        return [Signal(spectra[0], (along,), title=names[1] if names else "")]
    axes = (Axis("spectrum", width - 1, navigation=True), along)
    return [Signal(spectra, axes, metadata={"names": names[1:]} if names else {}, flagged=True)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _axis(head: str, points: Floats, path: Path) -> Axis:
    named = _WITH_UNITS.match(head)
    name, units = (named[1], tidy_units(named[2])) if named else (head, "")
    if not np.isfinite(points).all():
        raise BadFile(f"{path}: the first column says where the points lie, and holds NaN or infinity")
    return Axis.from_values(name or "point", points, units)
