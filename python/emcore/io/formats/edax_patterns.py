"""EDAX' patterns of backscattered electrons (.up1, .up2): a short header, then one pattern after another."""

import struct
from pathlib import Path

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.errors import BadFile
from emcore.io.instrument import about


def read_up(path: Path, lazy: bool) -> list[Signal]:
    """Patterns of 8 bits (.up1) or 16 (.up2), in the grid of the header where it has one; lazily a memory map."""
    dtype = np.dtype("u1" if path.suffix.lower() == ".up1" else "<u2")
    with path.open("rb") as file:
        head = file.read(42)
    if len(head) < 16:
        raise BadFile(f"{path} cannot be read as EDAX {path.suffix}: truncated inside its header")
    version, nx, ny, start = struct.unpack_from("<4I", head)
    if version not in (1, 2, 3, 4, 5):
        raise BadFile(f"{path} is not EDAX {path.suffix}: damaged or mislabelled (version {version})")
    size, frame = path.stat().st_size - start, nx * ny * dtype.itemsize
    if not frame or size < frame or size % frame:
        raise BadFile(f"{path} cannot be read as EDAX {path.suffix}: truncated or damaged (patterns of {nx} x {ny})")
    scan: tuple[Axis, ...] = (Axis("frame", size // frame, navigation=True),)
    notes: tuple[str, ...] = ()
    if version >= 3 and len(head) == 42:
        columns, rows, hexagonal = struct.unpack_from("<IIB", head, 17)
        steps = struct.unpack_from("<dd", head, 26)
        if not hexagonal and columns * rows == size // frame:
            sizes = zip("yx", (rows, columns), steps[::-1], strict=True)
            scan = tuple(Axis(n, s, d if d > 0 else 1.0, 0.0, "um" if d > 0 else "px", True) for n, s, d in sizes)
        else:
            what = "hexagonal" if hexagonal else f"{rows} x {columns}, which were not all measured"
            notes = (f"the grid is {what}: the patterns are one after another",)
    data = np.memmap(path, dtype, "r", start, (*(axis.size for axis in scan), ny, nx))
    metadata = about({"Signal": {"signal_type": "EBSD"}})
    axes = (*scan, Axis("y", ny), Axis("x", nx))
    return [Signal(data if lazy else np.array(data), axes, metadata=metadata, notes=notes)]
