"""Scans of patterns as their detectors write them, frame by frame with headers between: NanoMegas .blo, Merlin .mib.

RosettaSciIO decodes them. That they are whole is checked first, since it fills or drops what is missing; lazily they
become memory maps in the shape of the scan.
"""

import importlib
import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from emcore.core.signals import Signal
from emcore.io.errors import BadFile
from emcore.io.formats.rosetta import from_rosetta, quiet, rosetta


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


def read_merlin(path: Path, lazy: bool) -> list[Signal]:
    """Quantum Detectors .mib, with what its .hdr says; lazily a memory map, a header before every frame."""
    _check_merlin(path)
    (signal,) = (from_rosetta(item) for item in rosetta("quantumdetector", path, lazy))
    if not lazy:
        return [signal]
    load = importlib.import_module("rsciio.quantumdetector").load_mib_data
    with quiet("rsciio"):
        mapped = load(str(path), lazy=True, return_mmap=True)
    # The detector's first row is the lowest.
    return [replace(signal, data=np.flip(mapped.reshape(signal.shape), axis=-2))]


def _check_merlin(path: Path) -> None:
    # RosettaSciIO drops a last frame that was cut.
    with path.open("rb") as file:
        head = file.read(64).decode("ascii", "replace").split(",")
    if len(head) < 7 or not all(head[i].isdigit() for i in (2, 4, 5)):
        raise BadFile(f"{path} cannot be read as Merlin .mib: its first header is damaged")
    if head[6] in ("U08", "U16", "U32"):
        frame = int(head[2]) + int(head[4]) * int(head[5]) * int(head[6][1:]) // 8
        if path.stat().st_size % frame:
            raise BadFile(
                f"{path} cannot be read as Merlin .mib: truncated inside frame {path.stat().st_size // frame}"
            )
