"""What is in a file or a signal, for people and programs: meaning of axes, calibration, values, gaps, what takes it."""

import math
import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.core.units import ENERGY, LENGTH, kind_of
from emcore.core.wording import count_of, number
from emcore.io.convert import computed
from emcore.io.read import as_signal
from emcore.io.registry import read_all
from emcore.scans.axes import COLOUR, DETECTOR, FRAME, PICTURE, SCAN, SPECTRAL, roles
from emcore.scans.axis_kinds import is_bare
from emcore.scans.choosing import Suits
from emcore.scans.gaps import FEW
from emcore.scans.images import suits_image
from emcore.scans.patterns import suits_patterns
from emcore.scans.spectra import placed, suits_spectra
from emcore.scans.volumes import suits_volume

# The window of an image analysis by default, and the smallest.
_WINDOW, _SMALLEST = 128, 8
# The window of a volume by default, and the least side of one that is no series of pictures.
_CUBE, _THINNEST = 50, 16
# Bytes that are looked at together.
_TOGETHER = 1 << 23
# Bytes of which all values are looked at; of more a sample of so many pieces, of at most so many bytes.
_WHOLE, _PIECES, _PIECE = 1 << 28, 16, 1 << 22
# So much of the largest value a negative one may be for unmixing, which takes it for 0.
_ROUND_OFF = 1e-6


def inspect(obj: Any) -> list[dict[str, Any]]:
    """What is in a file or a signal, as plain values that JSON holds.

    Parameters
    ----------
    obj : str, Path, Signal or anything `emcore.as_signal` takes

    Returns
    -------
    list of dict
        One for each data set: "number", "title", "shape", "dtype", "kind"; "axes" with "name",
        "size", "role" (scan, spectral, detector, picture, frame or colour), "units", "scale",
        "offset", "first", "last", "even" and "calibrated"; "minimum", "maximum", "nan" and
        "infinite" of the values; "positions" and "empty_positions" (see `emcore.scans.gaps`)
        where there is a scan; of more than 256 MiB in their place "sampled", the part of the
        values that was looked at; "notes" of the reader; "use", the commands that take it.

    Examples
    --------
    >>> (found,) = inspect(np.zeros((2, 3, 40), dtype=np.uint8))
    >>> found["shape"], found["kind"], [axis["role"] for axis in found["axes"]], found["maximum"]
    ([2, 3, 40], 'three axes whose meaning is not said', ['frame', 'picture', 'picture'], 0)
    """
    path = isinstance(obj, str | os.PathLike)
    datasets = read_all(Path(obj), lazy=True, stored=True) if path else [as_signal(obj)]
    vectors = [each for each in datasets if len(each.shape) == 1]
    datasets = [placed(each, vectors) if len(each.shape) > 1 else each for each in datasets]
    found = [_inspected(signal, i) for i, signal in enumerate(datasets)]
    name = shlex.quote(str(obj)) if path else "FILE"
    for command, suits, kinds in _VERBS:
        ranks = [(suits(signal), math.prod(signal.shape), -i) for i, signal in enumerate(datasets)]
        default = max(range(len(datasets)), key=ranks.__getitem__)
        for i, each in enumerate(found):
            if each["kind"] in kinds and ranks[i][0] and _bears(command, each):
                other = "" if i == default else f" --dataset {i}"
                each["use"].append(f"emcore {command} {name}{other}{_options(command, each)}")
    return found


def describe(obj: Any) -> str:
    """What is in a file or a signal, for a person to read.

    Parameters
    ----------
    obj : str, Path, Signal or anything `emcore.as_signal` takes

    Returns
    -------
    str
        Several lines: data sets, shape, type, axes and what they mean, calibration, values,
        empty positions, and the command that suits.

    Examples
    --------
    >>> ramp = np.arange(6, dtype=np.uint8).reshape(2, 3)
    >>> print(describe(Signal(ramp, (Axis("y", 2), Axis("x", 3)), title="ramp")))
    ramp: (2, 3) uint8, image
      y     2 points, uncalibrated, picture
      x     3 points, uncalibrated, picture
      values 0 to 5
      too small for a command: the smallest window of an image is 8 pixels
    """
    found = inspect(obj)
    if not isinstance(obj, str | os.PathLike):
        return _text(found[0], "")
    head = f"{obj}: {count_of(len(found), 'data set')}"
    return "\n".join([head, *(_text(each, f"{each['number']} ") for each in found)])


_SPECTRUM_IMAGE, _CURVES, _ONE = "spectrum image", "curve at every position", "one spectrum or curve"
_PATTERNS, _IMAGE, _STACK, _COLOURS = "pattern at every position", "image", "stack of images", "colour image"
_ANY = "three axes whose meaning is not said"
_VERBS: tuple[tuple[str, Suits, tuple[str, ...]], ...] = (
    ("image", suits_image, (_IMAGE, _STACK, _COLOURS, _ANY)),
    ("volume", suits_volume, (_STACK, _ANY)),
    ("unmix", suits_spectra, (_SPECTRUM_IMAGE, _ANY)),
    ("curves", suits_spectra, (_CURVES, _SPECTRUM_IMAGE, _ANY)),
    ("grains", suits_patterns, (_PATTERNS,)),
    ("diffraction", suits_patterns, (_PATTERNS, _ANY)),
)


def _inspected(signal: Signal, index: int) -> dict[str, Any]:
    meaning = roles(signal)
    kind = _kind(signal, meaning)
    found: dict[str, Any] = {
        "number": index,
        "title": signal.title or signal.name,
        "shape": list(signal.shape),
        "dtype": str(signal.dtype),
        "kind": kind,
        "axes": [_axis(axis, role) for axis, role in zip(signal.axes, meaning, strict=True)],
    }
    if signal.dtype.kind in "biuf":
        large = math.prod(signal.shape) * signal.dtype.itemsize > _WHOLE
        found |= _sampled(signal) if large else _values(signal, meaning, kind)
    return found | {"notes": list(signal.notes), "use": []}


def _kind(signal: Signal, meaning: tuple[str, ...]) -> str:
    long = [role for role, axis in zip(meaning, signal.axes, strict=True) if axis.size > 1 or role == COLOUR]
    if signal.dtype.kind not in "biuf":
        return f"data of {signal.dtype}, which no command takes"
    if COLOUR in meaning:
        return _COLOURS
    if SPECTRAL in meaning:
        axis = signal.axes[meaning.index(SPECTRAL)]
        if SCAN not in long:
            return _ONE
        counted = kind_of(axis.units) in (ENERGY, LENGTH) or axis.name.lower().startswith(("energy", "wavelength"))
        return _SPECTRUM_IMAGE if counted else _CURVES
    if DETECTOR in meaning:
        return _PATTERNS if SCAN in long else _IMAGE
    if long.count(PICTURE) < 2:
        return _ONE
    if len(long) == 3 and is_bare(signal):
        return _ANY
    return _STACK if FRAME in long else _IMAGE


def _axis(axis: Axis, role: str) -> dict[str, Any]:
    values = axis.values
    return {
        "name": axis.name,
        "size": axis.size,
        "role": role,
        "units": axis.units if axis.calibrated else "",
        "calibrated": axis.calibrated,
        "scale": axis.scale,
        "offset": axis.offset,
        "first": float(values[0]) if axis.size else None,
        "last": float(values[-1]) if axis.size else None,
        "even": axis.even,
    }


def _values(signal: Signal, meaning: tuple[str, ...], kind: str) -> dict[str, Any]:
    """Smallest and largest finite value, NaN and infinite ones counted, and positions without a measurement."""
    scan = [i for i, role in enumerate(meaning) if role == SCAN]
    inside = tuple(i for i in range(len(meaning)) if i not in scan)
    grid = [signal.shape[i] for i in scan]
    least, most = np.full(grid, np.inf), np.full(grid, -np.inf)
    nan = infinite = 0
    rows = max(_TOGETHER // max(signal.dtype.itemsize * math.prod(signal.shape[1:]), 1), 1)
    chunks = getattr(signal.data, "chunks", None)
    if chunks and isinstance(chunks[0], int):  # each of which is unpacked once
        rows = -(-rows // chunks[0]) * chunks[0]
    for start in range(0, signal.shape[0], rows):
        block = computed(signal, signal.data[start : start + rows])
        low, high = (reduce(block, axis=inside) for reduce in (np.minimum.reduce, np.maximum.reduce))
        if block.dtype.kind == "f":
            nan += int(np.isnan(block).sum())
            infinite += int(np.isinf(block).sum())
        part = slice(start, start + rows) if scan and scan[0] == 0 else ...
        least[part], most[part] = np.minimum(least[part], low), np.maximum(most[part], high)
    bad = ~(np.isfinite(least) & np.isfinite(most))
    found: dict[str, Any] = {"nan": nan, "infinite": infinite}
    if nan + infinite and (not scan or bad.all()):  # of single pictures, or where every position has some
        found |= _finite_range(signal, rows)
    else:
        found |= {"minimum": _plain(least[~bad].min(), signal), "maximum": _plain(most[~bad].max(), signal)}
    if scan:
        constant = math.prod(signal.shape[i] for i in inside) >= FEW and kind != _CURVES
        empty = bad | ((least == most) & ((least == 0) | constant))
        found |= {"positions": empty.size, "empty_positions": int(empty.sum())}
    return found


def _sampled(signal: Signal) -> dict[str, Any]:
    """Of pieces that are spread over the data: smallest and largest finite value, NaN and infinite ones counted."""
    shape, item = signal.shape, signal.dtype.itemsize
    data: Any = signal.data
    chunks = getattr(data, "chunksize", getattr(data, "chunks", None))
    if chunks and item * math.prod(chunks) > _WHOLE:
        return {"sampled": 0, "nan": 0, "infinite": 0, "minimum": None, "maximum": None}
    outer = next(i for i in range(len(shape)) if item * math.prod(shape[i + 1 :]) <= _PIECE)
    thick = max(_PIECE // (item * math.prod(shape[outer + 1 :])), 1)
    counts = (*shape[:outer], -(-shape[outer] // thick))
    places = np.unique(np.linspace(0, math.prod(counts) - 1, min(_PIECES, math.prod(counts))).astype(np.int64))
    seen = nan = infinite = 0
    low, high = math.inf, -math.inf
    for place in places:
        *at, part = (int(i) for i in np.unravel_index(place, counts))
        block = computed(signal, data[(*at, slice(part * thick, (part + 1) * thick))])
        seen += block.nbytes
        if block.dtype.kind == "f":
            nan += int(np.isnan(block).sum())
            infinite += int(np.isinf(block).sum())
            block = block[np.isfinite(block)]
        if block.size:
            low, high = min(low, block.min().item()), max(high, block.max().item())
    limits = {"minimum": low, "maximum": high} if low <= high else {"minimum": None, "maximum": None}
    return {"sampled": seen / (item * math.prod(shape)), "nan": nan, "infinite": infinite, **limits}


def _finite_range(signal: Signal, rows: int) -> dict[str, Any]:
    low, high = math.inf, -math.inf
    for start in range(0, signal.shape[0], rows):
        block = computed(signal, signal.data[start : start + rows])
        kept = block[np.isfinite(block)]
        if kept.size:
            low, high = min(low, kept.min().item()), max(high, kept.max().item())
    return {"minimum": low, "maximum": high} if low <= high else {"minimum": None, "maximum": None}


def _plain(value: float, signal: Signal) -> float | int:
    return float(value) if signal.dtype.kind == "f" else int(value)


def _bears(command: str, found: dict[str, Any]) -> bool:
    """Whether a command takes data of these sizes and values."""
    sampled = "sampled" in found  # which does not tell what the rest holds
    if not sampled and (found["minimum"] is None or found["minimum"] == found["maximum"]):
        return False
    if command == "image":
        return bool(min(axis["size"] for axis in found["axes"] if axis["role"] == PICTURE) >= _SMALLEST)
    if command == "volume":
        return len(found["axes"]) == 3 and min(axis["size"] for axis in found["axes"]) >= _THINNEST
    low, high = (0 if found[key] is None else found[key] for key in ("minimum", "maximum"))
    if found.get("positions", 2) - found.get("empty_positions", 0) < 2:
        return False
    return command != "unmix" or bool(low >= -_ROUND_OFF * max(abs(high), abs(low)))


def _options(command: str, found: dict[str, Any]) -> str:
    if command == "volume":
        side = min(axis["size"] for axis in found["axes"])
        return "" if side >= _CUBE else f" --window {max(side // 2, _SMALLEST)}"
    if command != "image":
        return ""
    side = min(axis["size"] for axis in found["axes"] if axis["role"] == PICTURE)
    window = "" if side >= _WINDOW else f" --window {max(side // 4, _SMALLEST) if side >= 2 * _SMALLEST else side}"
    stacks = sum(axis["role"] == FRAME and axis["size"] > 1 for axis in found["axes"])
    return window + (f" --frame {','.join('0' * stacks)}" if stacks else "")


def _text(found: dict[str, Any], mark: str) -> str:
    shape = tuple(found["shape"])
    lines = [f"{mark}{found['title']}: {shape} {found['dtype']}, {found['kind']}"]
    width = max([5, *(len(axis["name"]) for axis in found["axes"])])
    for axis in found["axes"]:
        points = count_of(axis["size"], "point")
        lines.append(f"  {axis['name']:<{width}} {points}, {_step(axis)}, {axis['role']}")
    part = f", of {number(100 * found['sampled'])} % of them" if found.get("sampled") else ""
    if found.get("minimum") is not None:
        lines.append(f"  values {found['minimum']:.6g} to {found['maximum']:.6g}{part}")
    elif "sampled" in found and not part:
        lines.append("  values not looked at: they are packed in one large piece")
    elif "minimum" in found:
        lines.append("  no finite values")
    if found.get("nan") or found.get("infinite"):
        lines.append(f"  {count_of(found['nan'], 'value')} NaN, {found['infinite']} infinite")
    if found.get("empty_positions"):
        part = number(100 * found["empty_positions"] / found["positions"])
        lines.append(f"  {found['empty_positions']} of {found['positions']} positions are empty ({part} %)")
    lines += [f"  note: {note}" for note in found["notes"]]
    lines += [f"  use `{command}`" for command in found["use"]]
    if not found["use"]:
        lines.append(f"  {_why_nothing(found)}")
    return "\n".join(lines)


def _step(axis: dict[str, Any]) -> str:
    first, last, units = axis["first"], axis["last"], axis["units"]
    if not axis["even"]:
        return f"{first:.6g} to {last:.6g} {units or '(unit not given)'}, steps not even"
    if axis["calibrated"] and kind_of(units) == LENGTH and axis["role"] != SPECTRAL:
        return f"{axis['scale']:.6g} {units} per point, {abs(axis['scale']) * axis['size']:.4g} {units} in all"
    if axis["calibrated"]:
        return f"{axis['scale']:.6g} {units} per point, {first:.6g} to {last:.6g} {units}"
    if (axis["scale"], axis["offset"]) == (1.0, 0.0):
        return "uncalibrated"
    return f"{axis['scale']:.6g} per point from {axis['offset']:.6g}, unit not given"


def _why_nothing(found: dict[str, Any]) -> str:
    if found.get("minimum") is not None and found["minimum"] == found["maximum"]:
        return "no command takes it: all values are the same"
    if found["kind"] in (_IMAGE, _STACK, _COLOURS):
        return f"too small for a command: the smallest window of an image is {_SMALLEST} pixels"
    if found["kind"] == _ONE:
        return "no command takes a single spectrum or curve"
    if found.get("positions"):
        return "no command takes it: too few positions are measured"
    return "no command takes it: emcore.PCA, emcore.NMF and emcore.KMeans take rows of any meaning"
