"""Blocks of a source one after another, each read while the one before is computed with."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from numpy.typing import NDArray

from emcore.outofcore.blocks import Block
from emcore.outofcore.sources import Source

Seen = TypeVar("Seen")
Stored = list[NDArray[Any]]
"""The rows of a block as they are stored, of every part of the source."""


def read_ahead(
    source: Source, blocks: Sequence[Block], seen: Callable[[Stored], Seen]
) -> Iterator[tuple[Block, Stored, Seen]]:
    """
    Every block, its rows and what `seen` gave for them in the thread that reads.

    What is yielded is released when the next is asked for: nothing of it may be held by then, or a third block is.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.outofcore.open import open_rows
    >>> source = open_rows(np.arange(12).reshape(6, 2), checkpoint="job.npz").cut()
    >>> [int(total) for _, _, total in read_ahead(source, source.blocks, lambda stored: stored[0].sum())]
    [66]
    """
    for part in source.parts:
        part.check()
    if not blocks:
        return

    def read(block: Block) -> tuple[Stored, Seen]:
        stored = source.load(block)
        for part, values in zip(source.parts, stored, strict=True):
            part.ahead(values)
        return stored, seen(stored)

    with ThreadPoolExecutor(1, "emcore-read") as reader:
        ahead: Future[tuple[Stored, Seen]] = reader.submit(read, blocks[0])
        for i, block in enumerate(blocks):
            stored, saw = ahead.result()
            if i + 1 < len(blocks):
                ahead = reader.submit(read, blocks[i + 1])
            yield block, stored, saw
            for part, values in zip(source.parts, stored, strict=True):
                part.release(values)
