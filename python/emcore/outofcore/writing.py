"""Rows that a pass makes of the rows of a source, written as they come: read, made and written at the same time."""

from concurrent.futures import Future, ThreadPoolExecutor
from math import prod
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from emcore.core.memory import check_memory
from emcore.outofcore.blocks import Block
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored

# Blocks of what is made that are held: one that is made while another is written, and what the making takes besides.
_HELD = 2.5


class Rows(Protocol):
    """Takes rows from `start` on."""

    def write(self, start: int, rows: NDArray[Any]) -> None: ...


class Written:
    """
    Stands in a pass where an array with a row for every row of the source does, and writes these from a thread.

    Examples
    --------
    >>> class Shown:
    ...     def write(self, start, rows):
    ...         print(start, rows.tolist())
    >>> with Written(Shown()) as written:
    ...     written.put(Block(0, (slice(4, 6),), 2), np.array([[1], [2]]))
    4 [[1], [2]]
    """

    def __init__(self, file: Rows) -> None:
        self._file, self._pool = file, ThreadPoolExecutor(1, "emcore-write")
        self._behind: Future[None] | None = None

    def put(self, block: Block, values: NDArray[Any]) -> None:
        """The rows of a slab, when those before it are written."""
        self._wait()
        self._behind = self._pool.submit(self._file.write, block.where[0].start, values)

    def _wait(self) -> None:
        behind, self._behind = self._behind, None
        if behind is not None:
            behind.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._pool.shutdown()


class _Computed:
    """A Dask array as something stored: whatever is asked of it is computed."""

    def __init__(self, array: Any) -> None:
        self._array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim
        self.chunks = tuple(max(sizes) for sizes in array.chunks)

    def __getitem__(self, where: Any) -> NDArray[Any]:
        return np.asarray(self._array[where])


def in_order(rows: Any, name: str = "data") -> Source:
    """
    The same rows as a source of slabs that come one after another, of arrays and of chunks too; as they are stored.

    Examples
    --------
    >>> in_order(np.eye(3)).shape
    (3, 3)
    """
    if not isinstance(rows, Source):
        return Source([Stored(rows)], name=name)
    parts = [Stored(_Computed(part)) if rows.lazy else part for part in rows.parts]
    source = Source(parts, name=rows.name)
    for attribute in ("budget", "beside", "job", "view"):
        setattr(source, attribute, getattr(rows, attribute))
    return source


def reserved(source: Source, width: int, memory: Any) -> int:
    """What to keep of the memory for rows that are made, of so many bytes each, beside those that they are made of.

    Examples
    --------
    >>> reserved(in_order(np.ones((8, 10), np.uint8)), 40, 1000)
    833
    """
    row = sum(prod((part.d,)) * part.stored_dtype.itemsize for part in source.parts)
    room = max(check_memory(source.budget if memory is None else memory) - source.beside, 0)
    return int(room * (_HELD * width / (_HELD * width + 2 * row)))
