"""Scans of patterns of NanoMegas, .blo, frame by frame with headers between.

RosettaSciIO decodes them. That they are whole is checked first, since it fills what is missing; lazily they become
memory maps in the shape of the scan.
"""

import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from emcore.core.signals import Signal
from emcore.io.errors import BadFile
from emcore.io.formats.rosetta import from_rosetta, rosetta


def read_blockfile(path: Path, lazy: bool) -> list[Signal]:
    """NanoMegas .blo; lazily a memory map, in which six bytes stand before every pattern."""
    _check_blockfile(path)
    (signal,) = (from_rosetta(item) for item in rosetta("blockfile", path, lazy))
    if not lazy:
        return [signal]
    with path.open("rb") as file:
        head = file.read(28)
    start, side = struct.unpack_from("<I", head, 12)[0], struct.unpack_from("<H", head, 20)[0]
    frame = np.dtype([("head", "u1", 6), ("data", "u1", (side, side))])
    count = math.prod(signal.shape) // side**2
    mapped = np.memmap(path, frame, "r", offset=start, shape=(count,))["data"]
    return [replace(signal, data=mapped.reshape(signal.shape))]


def _check_blockfile(path: Path) -> None:
    # RosettaSciIO fills what is missing with zeros.
    with path.open("rb") as file:
        head = file.read(28)
    if len(head) == 28:
        start, side, nx, ny = (
            struct.unpack_from(form, head, at)[0] for form, at in (("<I", 12), ("<H", 20), ("<H", 24), ("<H", 26))
        )
        if path.stat().st_size >= start + nx * ny * (6 + side * side):
            return
    raise BadFile(f"{path} cannot be read as blockfile: truncated")
