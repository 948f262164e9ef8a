"""Quantum Detectors' Merlin .mib: frames with a header before each, and what the .hdr beside them says of the scan.

A microscope that triggers every frame of a scan often has some more frames in each line than the scan has positions,
recorded while the beam flies back, or some at the end. How many frames make a line is told by the .hdr, by how many
frames a trigger starts, or by the times in the headers, which are farther apart from line to line; what is more than
the scan is read, too, and said with the option that leaves it out.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal, name_axes
from emcore.io.errors import BadFile
from emcore.io.instrument import about

_TYPES = {"U08": ">u1", "U16": ">u2", "U32": ">u4", "U64": ">u8"}
_TIME = re.compile(rb"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?)")
# Seconds, which follow the time.
_EXPOSURE = re.compile(_TIME.pattern + rb",(?P<exposure>\d+\.?\d*(?:[eE][-+]?\d+)?),")
# The gap before a line is so many times as far from the usual one as those inside lines are.
_LATER = 5


def read_merlin(path: Path, lazy: bool) -> list[Signal]:
    """Merlin .mib, with the scan that its .hdr says; lazily a memory map, a header before every frame.

    Raises
    ------
    ValueError
        RAW, a damaged header, a file that ends inside a frame.
    """
    frames = _frames(path)
    header = _beside(path)
    shape, notes = _arrangement(frames["header"], header)
    used = int(np.prod(shape))
    data = frames["data"][:used].reshape(*shape, *frames["data"].shape[1:])
    data = np.flip(data, axis=-2)  # the detector's first row is the lowest
    if not lazy:
        data = np.array(data, data.dtype.newbyteorder("="))
    axes = tuple(Axis("", size, navigation=i < len(shape)) for i, size in enumerate(data.shape))
    time = _TIME.search(frames["header"][0])
    exposure = _EXPOSURE.search(frames["header"][0])
    said = {
        "General": {} if time is None else {"date": time[1].decode(), "time": time[2].decode()},
        "Signal": {"signal_type": "electron_diffraction"},
        "Acquisition_instrument": {"dwell_time": float(exposure["exposure"]) if exposure else None},
    }
    return [Signal(data, name_axes(axes), metadata=about(said), notes=notes, flagged=True)]


def _frames(path: Path) -> NDArray[np.void]:
    """A memory map of all frames, with fields "header" and "data"."""
    with path.open("rb") as file:
        head = file.read(64).decode("ascii", "replace").split(",")
    if len(head) < 7 or not all(head[i].strip().isdigit() for i in (2, 4, 5)):
        raise BadFile(f"{path} cannot be read as Merlin .mib: its first header is damaged")
    start, width, height = (int(head[i]) for i in (2, 4, 5))
    if head[6] not in _TYPES:
        raise BadFile(
            f"{path} was recorded as {head[6]}: RAW is not supported, only counts ({', '.join(_TYPES)}); "
            "switch raw mode off in Merlin's program"
        )
    frame = np.dtype([("header", f"S{start}"), ("data", _TYPES[head[6]], (height, width))])
    count, rest = divmod(path.stat().st_size, frame.itemsize)
    if rest or not count:
        raise BadFile(f"{path} cannot be read as Merlin .mib: truncated inside frame {count}")
    frames = np.memmap(path, frame, "r", shape=(count,))
    if not bytes(frames["header"][-1]).startswith(b"MQ1"):
        raise BadFile(f"{path} cannot be read as Merlin .mib: damaged, its last frame has no header")
    return frames


def _beside(path: Path) -> dict[str, int]:
    """The numbers in the .hdr beside a file, by name; empty where there is none."""
    observed = next((p for p in (path.with_suffix(ending) for ending in (".hdr", ".HDR")) if p.is_file()), None)
    if observed is None:
        return {}
    lines = (line.partition(":\t") for line in observed.read_text("latin-1").splitlines())
    return {name.strip(): int(value) for name, _, value in lines if value.strip().isdigit()}


def _arrangement(headers: NDArray[np.bytes_], header: dict[str, int]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Lines and frames in each, or frames alone where nothing tells; and what is to be said of more or fewer."""
    count = len(headers)
    wanted = header.get("ScanY", 0), header.get("ScanX", 0)
    if all(wanted):
        return _of_scan(headers, wanted, header)
    line = _line(headers, header)
    if not line:
        return (count,), ()
    lines, left = divmod(count, line)
    of_file = header.get("Frames in Acquisition (Number)", 0)
    notes = [f"{count} of {of_file} frames were recorded"] if count < of_file else []
    if left:
        notes.append(f"the last {left} of {count} frames are less than a line of {line}: left out")
    return (lines, line), tuple(notes)


def _of_scan(
    headers: NDArray[np.bytes_], wanted: tuple[int, int], header: dict[str, int]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    count, (rows, columns) = len(headers), wanted
    scan = f"a scan of {rows} x {columns}"
    if count == rows * columns:
        return wanted, ()
    if count < rows * columns:
        lines, left = divmod(count, columns)
        stopped = f"{count} of {rows * columns} frames of {scan} were recorded"
        if not lines:
            return (count,), (stopped,)
        return (lines, columns), (stopped + (f", the last {left} are less than a line: left out" if left else ""),)
    line = _line(headers, header)
    if columns < line and line * rows <= count:
        shape, left = (count // line, line), count % line
    elif count % columns == 0:
        shape, left = (count // columns, columns), 0
    elif count % rows == 0:
        shape, left = (rows, count // rows), 0
    else:
        shape, left = wanted, count - rows * columns
    notes = []
    if left:
        notes.append(f"there are {count} frames for {scan}: the last {left} were left out")
    if shape != wanted:
        notes.append(
            f"there are {count} frames for {scan}: read as {shape[0]} lines of {shape[1]}; "
            f"scan_shape=({rows}, {columns}), --scan {rows},{columns}, leaves out those beyond the scan"
        )
    return shape, tuple(notes)


def _line(headers: NDArray[np.bytes_], header: dict[str, int]) -> int:
    """Frames in a line of the scan, by what a trigger starts or by their times; 0 where nothing tells."""
    triggered = header.get("Frames per Trigger (Number)", 0)
    if 1 < triggered < len(headers):
        return triggered
    observed = [_TIME.search(each) for each in headers]
    if len(observed) < 3 or not all(observed):
        return 0
    times = np.array([f"{time[1].decode()}T{time[2].decode()}" for time in observed if time], dtype="datetime64[ns]")
    gaps = np.diff(times).astype(np.float64)
    usual = float(np.median(gaps))
    later = gaps - usual > _LATER * max(float(np.median(np.abs(gaps - usual))), 1.0)
    starts = np.flatnonzero(later) + 1
    if not starts.size:
        return 0
    line = int(np.median(np.diff(np.r_[0, starts])))
    expected = np.arange(line, len(headers), line)
    hits = np.count_nonzero(np.isin(starts, expected))
    return line if line > 1 and hits >= 0.9 * max(starts.size, expected.size) else 0
