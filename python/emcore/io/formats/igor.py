"""Waves of Igor Pro (.ibw): numbers in up to four dimensions, which have scales, units, and names for their points."""

import math
import struct
from pathlib import Path

import numpy as np

from emcore.core.signals import Axis, Signal, name_axes, tidy_axes
from emcore.io.errors import BadFile

_HEADERS = {1: (8, 110), 2: (16, 110), 3: (20, 110), 5: (64, 320)}  # bytes of the file's header, of the wave's
_TYPES = {2: "f4", 4: "f8", 8: "i1", 16: "i2", 32: "i4", 72: "u1", 80: "u2", 96: "u4", 3: "c8", 5: "c16"}


def read_ibw(path: Path, lazy: bool) -> list[Signal]:
    """The wave in a file; where the points of its third dimension have names, each of them, as a picture."""
    raw = path.read_bytes()
    order = next(o for o in "<>" if struct.unpack_from(f"{o}h", raw)[0] in _HEADERS)
    (version,) = struct.unpack_from(f"{order}h", raw)
    start, length = _HEADERS[version]
    wave = raw[start : start + length]
    (kind,) = struct.unpack_from(f"{order}h", wave, 16 if version == 5 else 0)
    if kind not in _TYPES:
        raise BadFile(f"{path} is an Igor wave of {'text' if kind == 0 else f'type {kind}'}: only numbers are read")
    if version == 5:
        shape = [size for size in struct.unpack_from(f"{order}4i", wave, 68) if size > 0]
        scales, offsets = struct.unpack_from(f"{order}4d", wave, 84), struct.unpack_from(f"{order}4d", wave, 116)
        units = [_text(wave[at : at + 4]) for at in range(152, 168, 4)]
        name, quantity = _text(wave[28:60]), _text(wave[148:152])
    else:
        shape = [struct.unpack_from(f"{order}i", wave, 42)[0]]
        scales, offsets = struct.unpack_from(f"{order}d", wave, 48), struct.unpack_from(f"{order}d", wave, 56)
        units, name, quantity = [_text(wave[38:42])], _text(wave[6:26]), _text(wave[34:38])
    dtype = np.dtype(f"{order}{_TYPES[kind]}")
    count, begin = math.prod(shape), start + length
    if min(shape, default=0) < 1 or len(raw) < begin + count * dtype.itemsize:
        raise BadFile(f"{path} cannot be read as Igor .ibw: truncated ({len(raw)} bytes for a wave of {shape} values)")
    # The first dimension varies fastest.
    data = np.frombuffer(raw, dtype, count, begin).reshape(shape[::-1]).astype(dtype.newbyteorder("="))
    labels: list[tuple[str, ...]] = [()] * 4
    if version == 5:
        long_quantity, long_units, labels = _after_data(raw, order, begin + count * dtype.itemsize)
        quantity, units = long_quantity or quantity, [a or b for a, b in zip(long_units, units, strict=True)]
    names = [each[0] if each else "" for each in labels]
    axes = [
        Axis(n, size, scale, offset, unit or "px", navigation=i > 1)
        for i, (n, size, scale, offset, unit) in enumerate(zip(names, shape, scales, offsets, units, strict=False))
    ]
    about = {"units": quantity} if quantity else {}
    layers = labels[2][1:]
    if len(shape) == 3 and len(layers) == shape[2] and all(layers):  # channels of one scan, y upwards
        plane = tidy_axes(name_axes((axes[1], axes[0])))
        return [Signal(data[i, ::-1], plane, "", label, about) for i, label in enumerate(layers)]
    return [Signal(data, tidy_axes(name_axes(tuple(axes[::-1]))), "", name, about)]


def _after_data(raw: bytes, order: str, start: int) -> tuple[str, list[str], list[tuple[str, ...]]]:
    """What stands behind the values: long units of them and of each dimension; its label, then those of its points."""
    formula, note, data_units = struct.unpack_from(f"{order}3i", raw, 8)
    sizes = struct.unpack_from(f"{order}8i", raw, 20)
    at, parts = start + formula + note, []
    for size in (data_units, *sizes):
        parts.append(raw[at : at + size])
        at += size
    labels = [tuple(_text(part[j : j + 32]) for j in range(0, len(part), 32)) for part in parts[5:]]
    return _text(parts[0]), [_text(part) for part in parts[1:5]], labels


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("latin-1").strip()
