"""Nanonis' scans (.sxm) and grids of sweeps (.3ds): a text header, then 32-bit numbers, big-endian."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal, tidy_axes
from emcore.io.errors import BadFile

_LONGEST_HEADER = 1 << 20


def read_sxm(path: Path, lazy: bool) -> list[Signal]:
    """Every channel of a scan, forward and backward, as pictures that are seen from above, y upwards."""
    raw = path.read_bytes()
    head, _, rest = raw[:_LONGEST_HEADER].partition(b":SCANIT_END:")
    start = rest.find(b"\x1a\x04")
    if start < 0:
        raise BadFile(f"{path} cannot be read as Nanonis .sxm: truncated inside its header")
    header = _sections(head.decode("latin-1"))
    if "FLOAT" not in header.get("SCANIT_TYPE", "FLOAT"):
        raise BadFile(f"{path} is a Nanonis .sxm of type {header['SCANIT_TYPE']}, which is not supported: FLOAT is")
    order = "<" if "LSBFIRST" in header.get("SCANIT_TYPE", "") else ">"
    nx, ny = (int(size) for size in header["SCAN_PIXELS"].split()[:2])
    width, height = (float(length) for length in header["SCAN_RANGE"].split()[:2])
    pictures = _pictures(header["DATA_INFO"])
    begin = len(head) + len(b":SCANIT_END:") + start + 2
    needed, there = 4 * nx * ny * len(pictures), len(raw) - begin
    if there < needed:
        raise BadFile(f"{path} cannot be read as Nanonis .sxm: truncated ({there} bytes of {needed} are there)")
    values = np.frombuffer(raw, f"{order}f4", nx * ny * len(pictures), begin).reshape(len(pictures), ny, nx)
    up = header.get("SCAN_DIR", "").strip() == "up"
    signals = []
    for (name, unit, direction), stored in zip(pictures, values, strict=True):
        picture = stored[::-1] if up else stored
        picture = picture[:, ::-1] if direction == "backward" else picture
        data, notes = _scanned(np.ascontiguousarray(picture, dtype=np.float32))
        axes = Axis("y", len(data), height / ny, units="m"), Axis("x", nx, width / nx, units="m")
        title = f"{name} ({unit}), {direction}"
        signals.append(Signal(data, tidy_axes(axes), "", title, {"quantity": name, "units": unit}, notes))
    return signals


class _Header(dict[str, str]):
    """What a header says by its names, of which one that is missing is damage."""

    def __missing__(self, name: str) -> str:
        raise ValueError(f"its header has no {name}")


def _sections(text: str) -> dict[str, str]:
    """The parts of a header in which every name stands between colons and its value on the lines below."""
    parts = re.split(r"^:([^:\n\r]+(?:>[^:\n\r]+)*):\s*$", text, flags=re.MULTILINE)
    return _Header((name.strip(), value.strip("\r\n")) for name, value in zip(parts[1::2], parts[2::2], strict=True))


def _pictures(table: str) -> list[tuple[str, str, str]]:
    """Name, unit and direction of every picture, in the order in which they are stored."""
    observed = []
    for line in table.splitlines()[1:]:
        cells = line.split("\t") if "\t" in line else line.split()
        cells = [cell.strip() for cell in cells if cell.strip()]
        if len(cells) < 4:
            continue
        directions = ("forward", "backward") if cells[3] == "both" else (cells[3],)
        observed += [(cells[1].replace("_", " "), cells[2], direction) for direction in directions]
    return observed


def _scanned(data: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """A picture without the lines above or below that a scan which was stopped did not reach, and what was left out."""
    lines = np.flatnonzero(~np.isnan(data).all(axis=1))
    if not lines.size or len(lines) == len(data):
        return data, ()
    inside = data[lines[0] : lines[-1] + 1]
    return inside, (f"{len(data) - len(inside)} of {len(data)} lines were not scanned and are left out",)


def read_3ds(path: Path, lazy: bool) -> list[Signal]:
    """Every channel of a grid against the quantity that was swept, and the height of its positions as a map."""
    raw = path.read_bytes()
    head, end, _ = raw[:_LONGEST_HEADER].partition(b":HEADER_END:")
    if not end:
        raise BadFile(f"{path} cannot be read as Nanonis .3ds: truncated inside its header")
    begin = raw.find(b"\n", len(head)) + 1
    pairs = (line.split("=", 1) for line in head.decode("latin-1").splitlines() if "=" in line)
    header = _Header((key.strip(), value.strip().strip('"')) for key, value in pairs)
    nx, ny = (int(size) for size in re.findall(r"\d+", header["Grid dim"])[:2])
    channels, points = [name for name in header["Channels"].split(";") if name], int(header["Points"])
    names = [name for key in ("Fixed parameters", "Experiment parameters") for name in header.get(key, "").split(";")]
    parameters = int(header["# Parameters (4 byte)"])
    length = parameters + len(channels) * points
    count, over = divmod(len(raw) - begin, 4 * length)
    if over or not count:
        raise BadFile(f"{path} cannot be read as Nanonis .3ds: truncated inside position {count} of {nx * ny}")
    values = np.full((ny * nx, length), np.nan, dtype=np.float32)
    count = min(count, nx * ny)
    values[:count] = np.frombuffer(raw, ">f4", count * length, begin).reshape(count, length)
    notes = () if count == nx * ny else (f"the grid was stopped: {count} of {nx * ny} positions are in the file",)
    grid = values.reshape(ny, nx, length)
    fixed = {name: grid[..., i] for i, name in enumerate(names[:parameters]) if name}
    scan, (sweep, said) = _grid_axes(header, nx, ny), _sweep(header, fixed, points)
    (sweep,) = tidy_axes((sweep,))
    curves = grid[..., parameters:].reshape(ny, nx, len(channels), points)
    signals = []
    for i, channel in enumerate(channels):
        data = np.ascontiguousarray(curves[:, :, i])
        signals.append(Signal(data, (*scan, sweep), "", channel, _quantity(channel), (*notes, *said)))
    for name in ("Z (m)", "Final Z (m)"):
        if name in fixed:
            plane = tuple(Axis(axis.name, axis.size, axis.scale, axis.offset, axis.units) for axis in scan)
            signals.append(Signal(np.ascontiguousarray(fixed[name]), plane, "", name, _quantity(name), notes))
    return signals


def _quantity(name: str) -> dict[str, Any]:
    quantity, units = _named(name)
    return {"quantity": quantity, "units": units}


def _named(name: str) -> tuple[str, str]:
    """A name and the unit in brackets behind it."""
    match = re.fullmatch(r"(.*?)\s*\(([^()]*)\)\s*", name)
    return (match[1], match[2]) if match else (name.strip(), "")


def _grid_axes(header: dict[str, str], nx: int, ny: int) -> tuple[Axis, ...]:
    # The field of view reaches from the first position to the last.
    settings = [float(number) for number in header.get("Grid settings", "").split(";") if number.strip()]
    width, height = settings[2:4] if len(settings) >= 4 else (0.0, 0.0)
    steps = (height / max(ny - 1, 1), width / max(nx - 1, 1))
    axes = (Axis(n, s, d or 1.0, units="m" if d else "px") for n, s, d in zip("yx", (ny, nx), steps, strict=True))
    return tidy_axes(tuple(Axis(a.name, a.size, a.scale, 0.0, a.units, navigation=True) for a in axes))


def _sweep(header: dict[str, str], fixed: dict[str, NDArray[np.float32]], points: int) -> tuple[Axis, tuple[str, ...]]:
    """The axis that was swept: of several segments where the header has them, else from start to end."""
    name, units = _named(header.get("Sweep Signal", "") or "Bias (V)")
    segments = next((value for key, value in header.items() if key.startswith("Segment Start")), "")
    if header.get("Filetype", "") == "MLS" and segments:
        rows = [[float(cell) for cell in row.split(",")] for row in segments.split(";") if row.strip()]
        values = np.concatenate([np.linspace(row[0], row[1], int(row[4])) for row in rows if len(row) > 4])
        if len(values) == points:
            return Axis.from_values(name, values, units), ()
    first, last = (fixed.get(key) for key in ("Sweep Start", "Sweep End"))
    if first is None or last is None or not math.isfinite(first[0, 0]) or first[0, 0] == last[0, 0]:
        return Axis("channel", points), ("the header does not say from where to where was swept",)
    ends = float(f"{first[0, 0]:.7g}"), float(f"{last[0, 0]:.7g}")
    same = all(len(np.unique(each[np.isfinite(each)])) == 1 for each in (first, last))
    said = () if same else ("positions were swept over different ranges: the axis is that of the first",)
    return Axis.from_values(name, np.linspace(*ends, points), units), said
