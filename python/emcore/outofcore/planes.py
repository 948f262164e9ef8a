"""A volume in memory or out of core, of which some planes are read at a time, each once in a pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import as_pixels
from emcore.io.errors import explained
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.hashing import Digest
from emcore.outofcore.open import one_chunk
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored

# Read together where nothing else says how much, in bytes.
_TOGETHER = 1 << 25


class Planes:
    """
    The planes of a volume.

    Parameters
    ----------
    data : ndarray, memory map, HDF5 or Zarr array, Dask array, shape (D, H, W)
    name : str
        For messages.

    Attributes
    ----------
    shape : (int, int, int)
    dtype : dtype
        One of the pixel types, of what is read.
    plane_bytes : int
        What a plane takes.
    together : int
        Planes that storage unpacks together.

    Examples
    --------
    >>> planes = Planes(np.arange(24, dtype=np.uint8).reshape(4, 3, 2))
    >>> planes.read(1, 3).shape, planes.dtype
    ((2, 3, 2), dtype('uint8'))
    """

    def __init__(self, data: Any, name: str = "volume") -> None:
        self.name, self.shape = name, tuple(data.shape)
        self.dtype = as_pixels(np.zeros((1, 1, 1), data.dtype), name, 3).dtype
        self.plane_bytes = self.shape[1] * self.shape[2] * max(self.dtype.itemsize, data.dtype.itemsize)
        self._data, self._stored = data, None if hasattr(data, "dask") else Stored(data, 2)
        self._in_one_piece = self._stored is not None and self._stored.flat is not None
        chunks = getattr(data, "chunks", None)
        self.together = 1 if self._in_one_piece or not chunks else int(np.max(chunks[0]))
        self._held: NDArray[Any] = np.empty((0, *self.shape[1:]), data.dtype)
        self._start = 0
        self._digest: Digest | None = None
        self._digested = 0

    @property
    def held_bytes(self) -> int:
        """What is held beside the planes that are asked for: those that were unpacked with them."""
        return 0 if self._in_one_piece else self.together * self.plane_bytes

    def blocks(self) -> Iterator[NDArray[Any]]:
        """All planes, some at a time, each of a pixel type."""
        step = max(_TOGETHER // self.plane_bytes // self.together, 1) * self.together
        for start in range(0, self.shape[0], step):
            block = self.read(start, min(start + step, self.shape[0]))
            yield block
            self.release(block)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Planes `start` to `stop`, of a pixel type; what the last call read, too, is not read again."""
        if self._stored is not None and self._in_one_piece:
            planes = self._stored.read(start, stop).reshape(stop - start, *self.shape[1:])
        else:
            planes = self._unpacked(start, stop)
        if self._digest is not None and start <= self._digested < stop:
            self._digest.add([planes[self._digested - start :]])
            self._digested = stop
        return np.ascontiguousarray(as_pixels(planes, self.name, 3))

    def _unpacked(self, start: int, stop: int) -> NDArray[Any]:
        """Planes of what is read in pieces, of which whole ones are held until they are passed."""
        end = self._start + len(self._held)
        if not self._start <= start <= end:
            self._held, self._start = self._held[:0], start - start % self.together
            end = self._start
        if stop > end:
            upper = min(-(-stop // self.together) * self.together, self.shape[0])
            kept = self._held[start - self._start :] if start < end else self._held[:0]
            self._start = min(start, end)
            self._held = np.concatenate([kept, self._fetched(end, upper)])
        return self._held[start - self._start : stop - self._start]

    def _fetched(self, start: int, stop: int) -> NDArray[Any]:
        try:
            if self._stored is None:
                return np.asarray(self._data[start:stop].compute())
            return self._stored.read(start, stop).reshape(stop - start, *self.shape[1:])
        except Exception as error:
            raise explained(error, f"planes {start} to {stop} of {self.name}") from error

    def release(self, planes: NDArray[Any]) -> None:
        """Let go of mapped pages, which stay in the system's cache while there is room."""
        if self._stored is not None and self._in_one_piece:
            self._stored.release(planes)

    def source(self) -> Source:
        """The planes as rows, by which a job recognises its data."""
        if self._stored is not None:
            return Source([self._stored], name=self.name).cut()
        whole = self._data.rechunk({1: -1, 2: -1})
        return Source([one_chunk(whole, 2, self.name)], name=self.name).cut()

    @contextmanager
    def one_pass(self, job: Job | None) -> Iterator[None]:
        """A pass over all planes, of which the first one of a job with a checkpoint takes a hash, or compares it."""
        if self._stored is not None:
            self._stored.check()
        hashed = job is not None and job.hashes("all")
        self._digest, self._digested = (Digest(1) if hashed else None), 0
        try:
            yield
            if job is not None and self._digest is not None:
                while self._digested < self.shape[0]:
                    self.read(self._digested, min(self._digested + self.together, self.shape[0]))
                job.compare_digest("all", self._digest)
        finally:
            self._digest = None
            self._held = self._held[:0]
