"""Bruker .bcf: pictures and a spectrum image in a container of small files (AidAim's Single File System).

RosettaSciIO reads them, but for the counts of the spectra: its decoder of these writes beyond its memory where a file
is damaged, and takes the process with it. Every chunk that a file in the container uses is looked for first. Chunks
that none uses may be missing: Bruker's programs leave them out.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from math import ceil, prod
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import check_fits
from emcore.core.signals import Signal
from emcore.io.errors import BadFile
from emcore.io.formats.rosetta import from_rosetta, rosetta

_MAGIC = b"AAMVHFSS"
# Where chunks are counted from, bytes before what a chunk holds, and the size of an entry in the table of files.
_FIRST, _HEAD, _ENTRY = 0x118, 0x20, 0x200


def read_bcf(path: Path, lazy: bool) -> list[Signal]:
    """Every picture and the spectrum image of a Bruker .bcf.

    Raises
    ------
    ValueError
        If chunks that are used are missing.
    """
    there = path.stat().st_size
    with path.open("rb") as file:
        try:
            needed = max(_ends(file, there), default=0)
        except struct.error as error:
            raise _cut(path, "its table of files is incomplete") from error
    if needed > there:
        raise _cut(path, f"its files need {needed} bytes, it has {there}")
    with _LOCK, _own_decoder():
        items = rosetta("bruker", path, lazy)
    return [_across(from_rosetta(item), item) for item in items]


_LOCK = Lock()


@contextmanager
def _own_decoder() -> Iterator[None]:
    """Counts are decoded by `counts_of` while the block runs."""
    try:
        api: Any = import_module("rsciio.bruker._api")
    except ImportError:  # which the reader says
        yield
        return
    before = api.fast_unbcf, api.py_parse_hypermap
    api.fast_unbcf, api.py_parse_hypermap = False, counts_of
    try:
        yield
    finally:
        api.fast_unbcf, api.py_parse_hypermap = before


def counts_of(file: Any, shape: tuple[int, int, int], dtype: Any, downsample: int = 1) -> NDArray[Any]:
    """
    The counts of a map, shape (height, width, channels), from a file in the container.

    Parameters
    ----------
    file : object of RosettaSciIO
    shape : (int, int, int)
    dtype : dtype
        That the sum spectrum lets expect; of counts that are larger a wider one is taken.
    downsample : 1

    Raises
    ------
    ValueError
        The data are damaged; the first place is said.
    """
    data = b"".join(file.get_iter_and_properties()[0])
    kinds = [kind for kind in ("u1", "u2", "u4") if np.dtype(kind).itemsize >= np.dtype(dtype).itemsize]
    check_fits(prod(shape) * np.dtype(kinds[0]).itemsize, "a spectrum image")
    for kind in kinds:
        counts = np.empty(shape, kind)
        try:
            _emcore.bruker_spectra(data, counts)
            return counts
        except ValueError as error:  # or counts are too large for this type
            damage = error
    raise BadFile(f"the spectra are damaged: {str(damage).removeprefix('data: ')}") from damage


def _across(signal: Signal, item: dict[str, Any]) -> Signal:
    """With the width of a pixel along x: RosettaSciIO gives x of a spectrum image the step of y."""
    width = item.get("original_metadata", {}).get("Microscope", {}).get("DX")
    if not isinstance(width, int | float) or not width > 0:
        return signal
    axes = (replace(a, scale=float(width)) if a.name == "x" and a.units == "um" else a for a in signal.axes)
    return replace(signal, axes=tuple(axes))


def _cut(path: Path, why: str) -> BadFile:
    return BadFile(f"{path} cannot be read as Bruker .bcf: truncated ({why})")


def _ends(file: BinaryIO, there: int) -> Iterator[int]:
    """Where each chunk ends that a file in the container uses, in bytes from the beginning; it has `there` bytes."""
    (chunk,) = _unpacked(file, 0x128, "<I")
    tree, entries = _unpacked(file, 0x140, "<II")
    usable = chunk - _HEAD
    if usable < _ENTRY or entries * _ENTRY > there:
        raise struct.error("no chunk holds an entry, or none all of them")
    places = _chain(file, chunk, tree, ceil(entries / (usable // _ENTRY)))
    for i in range(entries):
        at = places[i // (usable // _ENTRY)] + i % (usable // _ENTRY) * _ENTRY
        (table, size), (folder,) = _unpacked(file, at, "<iQ"), _unpacked(file, at + 220, "<?")
        if folder or not size:
            continue
        if size > there:
            yield size
            return
        count = ceil(size / usable)
        for k, start in enumerate(_chain(file, chunk, table, ceil(count / (usable // 4)))):
            numbers = min(count - k * (usable // 4), usable // 4)
            for j, number in enumerate(_unpacked(file, start, f"<{numbers}I")):
                used = min(usable, size - (k * (usable // 4) + j) * usable)
                yield _FIRST + number * chunk + _HEAD + used


def _chain(file: BinaryIO, chunk: int, number: int, count: int) -> list[int]:
    """Where the contents of chunks begin of which each names the next."""
    places = []
    for _ in range(count):
        places.append(_FIRST + number * chunk + _HEAD)
        if len(places) < count:
            (number,) = _unpacked(file, _FIRST + number * chunk, "<I")
    return places


def _unpacked(file: BinaryIO, at: int, form: str) -> tuple[Any, ...]:
    file.seek(min(max(at, 0), 1 << 62))
    return struct.unpack(form, file.read(struct.calcsize(form)))
