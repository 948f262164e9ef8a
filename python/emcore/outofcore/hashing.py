"""Are the data the same? A hash of all of them, which is the same however they are read: in slabs of any cut."""

import zlib
from collections import deque
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.outofcore.blocks import joined
from emcore.outofcore.reading import read_ahead
from emcore.outofcore.sources import Source

_PIECE = 1 << 20
"""Bytes that are copied at a time to be hashed, where they do not lie one after another."""


class Digest:
    """
    A hash of rows that come in their order, of every part of a source by itself: however they are cut, it is the same.

    It is CRC-32, as data change by accident: SHA-1 takes twice as long, as long as a whole pass.

    Attributes
    ----------
    of_parts : list of int
        What it has come to, from which it can go on.

    Examples
    --------
    >>> rows, whole, slabs = np.arange(12).reshape(6, 2), Digest(1), Digest(1)
    >>> whole.add([rows])
    >>> for slab in (rows[:1], rows[1:4], rows[4:]):
    ...     slabs.add([slab])
    >>> whole.hex() == slabs.hex()
    True
    """

    def __init__(self, parts: int) -> None:
        self.of_parts = [0] * parts

    def add(self, rows: Sequence[NDArray[Any]]) -> None:
        """The next rows, of every part as they are stored."""
        for i, part in enumerate(rows):
            step = len(part) if part.flags.c_contiguous else max(1, _PIECE * len(part) // part.nbytes)
            for start in range(0, len(part), step):
                piece = np.ascontiguousarray(part[start : start + step])
                self.of_parts[i] = zlib.crc32(piece.view(np.uint8).data, self.of_parts[i])

    def hex(self) -> str:
        """Of all parts together."""
        return combined([f"{digest:08x}" for digest in self.of_parts])


def combined(digests: Sequence[str]) -> str:
    """One hash of several, which depends on their order."""
    return sha256(" ".join(digests).encode()).hexdigest()[:16]


def hash_of_block(*stored: Any) -> str:
    """Of the chunks of every part, see `joined`."""
    digest = Digest(len(stored))
    digest.add([joined(part) for part in stored])
    return digest.hex()


def view_of(source: Source) -> str:
    """What the hash is of: slabs in any cut have the same, blocks of chunks have not."""
    return f"{source.view} {combined([str(block.where) for block in source.blocks])}" if source.lazy else source.view


def hash_of(source: Source) -> str:
    """
    The hash of all data of a source that is cut, which are read for it.

    Examples
    --------
    >>> from emcore.outofcore.open import open_rows
    >>> rows = np.arange(12).reshape(6, 2)
    >>> digest = Digest(1)
    >>> digest.add([rows])
    >>> hash_of(open_rows(rows, checkpoint="job.npz").cut()) == digest.hex()
    True
    """
    blocks = sorted([*source.blocks, *source.unvisited], key=lambda block: tuple(each.start for each in block.where))
    if source.lazy:
        import dask

        return combined(dask.compute(*(dask.delayed(hash_of_block, pure=False)(*block.chunks) for block in blocks)))
    digest = Digest(len(source.parts))
    deque(read_ahead(source, blocks, digest.add), maxlen=0)
    return digest.hex()
