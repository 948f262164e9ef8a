"""One array in a file, a memory map, HDF5 or Zarr, of which some rows are read at a time."""

import ctypes
import mmap
import os
import sys
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.io.errors import explained
from emcore.io.formats.hdf5.arrays import mapped
from emcore.outofcore.packed import is_packed, read_packed


class Stored:
    """
    One matrix in a file or a memory map, of which some rows are read at a time.

    Parameters
    ----------
    data : array-like
        Has `shape`, `dtype`, slices; the last `inner` axes are one measurement.
    inner : int
        Number of signal axes.
    channels : slice
        Which features of one signal axis are the row; default all.
    """

    def __init__(self, data: Any, inner: int = 1, channels: slice = slice(None)) -> None:
        self.data, self.channels = mapped(data), channels
        self.navigation = tuple(data.shape[: data.ndim - inner])
        self.n, stored = prod(self.navigation), prod(data.shape[data.ndim - inner :])
        self.d = len(range(stored)[channels])
        self.stored_dtype = np.dtype(data.dtype)
        self.flat = self.data.reshape(self.n, stored)[:, channels] if _contiguous(self.data) else None
        self.unit = 1 if self.flat is not None else prod(self.navigation[1:])
        chunks = getattr(data, "chunks", None)
        self.together = self.unit * (chunks[0] if chunks and self.flat is None else 1)
        self.map = _root(self.data) if isinstance(self.data, np.ndarray) else None
        self.packed = is_packed(data)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows `start` to `stop`; without a copy where they are mapped."""
        if self.flat is not None:
            mapped: NDArray[Any] = self.flat[start:stop]
            return mapped
        try:
            some = slice(start // self.unit, stop // self.unit)
            where = some if self.channels == slice(None) else (some, ..., self.channels)
            if hasattr(self.data, "read_direct"):
                part = _own_memory((stop - start) * self.d, self.stored_dtype)
                part = part.reshape(some.stop - some.start, *self.data.shape[1:-1], -1)
                if self.packed:
                    read_packed(self.data, some.start, self.channels, part)
                else:
                    self.data.read_direct(part, where)
            else:
                part = self.data[where]
            rows = (np.asarray if self.map is None else np.array)(part).reshape(stop - start, self.d)
        except Exception as error:
            raise explained(error, f"rows {start} to {stop}") from error
        if self.map is not None:  # frames with something between them, of which a copy was made
            self.release(part)
        return rows

    def whole(self) -> NDArray[Any]:
        """All rows."""
        return self.read(0, self.n)

    def one(self, index: int) -> NDArray[Any]:
        """A copy of one row."""
        if self.flat is not None:
            return np.array(self.flat[index])
        try:
            return np.asarray(self.data[np.unravel_index(index, self.navigation)]).reshape(-1)[self.channels]
        except Exception as error:
            raise explained(error, f"row {index}") from error

    def check(self) -> None:
        """Refuse a mapped file that has become too short: reading beyond its end would kill the process."""
        name, size = getattr(self.map, "filename", None), 0 if self.map is None else self.map.offset + self.map.nbytes
        if name is not None and os.path.exists(name) and os.path.getsize(name) < size:
            raise ValueError(f"{name} ends early: {os.path.getsize(name)} bytes where {size} are needed")

    def ahead(self, rows: NDArray[Any]) -> None:
        """Bring mapped pages in before they are used: all of them, while others compute."""
        if (part := self._part(rows)) is None or _populated(part[0] + part[1], part[2]):
            return
        # Of a longer stretch the system brings in no more than this at a time.
        for start in range(part[1], part[1] + part[2], _AHEAD):
            self._advise(start, min(_AHEAD, part[1] + part[2] - start), getattr(mmap, "MADV_WILLNEED", None))

    def release(self, rows: NDArray[Any]) -> None:
        """Let go of mapped pages, which stay in the system's cache while there is room."""
        if self.map is not None and self.map.mode != "c":  # whose changes would be lost
            part = self._part(rows)
            if part is not None:
                self._advise(part[1], part[2], getattr(mmap, "MADV_DONTNEED", None))

    def _part(self, rows: NDArray[Any]) -> tuple[int, int, int] | None:
        """The address of the map, and of which part of it these rows are: the first byte, on a page, and how many."""
        if self.map is None or not rows.size:
            return None
        file = self.map._mmap
        low, high = _bounds(rows)
        first = np.frombuffer(file, np.uint8).__array_interface__["data"][0]
        if not first <= low <= high <= first + len(file):
            return None  # a copy
        start = (low - first) // mmap.PAGESIZE * mmap.PAGESIZE
        return first, start, min(high - first, len(file)) - start

    def _advise(self, start: int, length: int, advice: int | None) -> None:
        if advice is not None:
            file: Any = self.map
            file._mmap.madvise(advice, start, length)


# MADV_POPULATE_READ of Linux from 5.14 on, which Python does not name; and what is brought in at a time otherwise.
_POPULATE, _AHEAD = 22, 1 << 17


def _populated(address: int, length: int) -> bool:
    """Whether the system has read these pages and laid them ready; without Python's lock, which `madvise` holds."""
    if not sys.platform.startswith("linux"):
        return False
    arguments = ctypes.c_void_p(address), ctypes.c_size_t(length), ctypes.c_int(_POPULATE)
    done: int = ctypes.CDLL(None).madvise(*arguments)
    return done == 0


def _own_memory(count: int, dtype: Any) -> NDArray[Any]:
    """An array that goes back to the system when it is let go of; the allocator would keep it for the thread."""
    return np.frombuffer(mmap.mmap(-1, count * dtype.itemsize), dtype)


def _bounds(rows: NDArray[Any]) -> tuple[int, int]:
    """The first address of an array, and the one after its last."""
    low = high = int(rows.__array_interface__["data"][0])
    for size, stride in zip(rows.shape, rows.strides, strict=True):
        low, high = low + min(0, (size - 1) * stride), high + max(0, (size - 1) * stride)
    return low, high + rows.itemsize


def _contiguous(data: Any) -> bool:
    return isinstance(data, np.ndarray) and (data.flags.c_contiguous or data.ndim == 2)


def _root(data: NDArray[Any]) -> Any:
    """The memory map behind a view of it."""
    while data is not None and not (isinstance(data, np.memmap) and isinstance(data.base, mmap.mmap)):
        data = getattr(data, "base", None)  # type: ignore[assignment]
    return data
