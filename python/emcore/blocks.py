"""Which rows outside memory are visited together."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

INDEX_BYTES = 40
"""Of each chosen row, for where it is stored and where it is among the chosen ones."""


@dataclass(frozen=True, eq=False)
class Block:
    """
    Some rows: `where` they are stored in the navigation axes, in the order in which they are visited.

    Of a source of chosen rows, `chosen` are those among the stored ones, and `places` where they are in the source.
    """

    index: int
    where: tuple[slice, ...]
    rows: int
    chosen: NDArray[np.intp] | None = None
    places: NDArray[np.intp] | None = None


def finer(chunks: Sequence[Sequence[int]], rows: int) -> tuple[tuple[int, ...], ...]:
    """
    Chunks of some navigation axes, each cut into equal parts of at most so many rows: along the first axis, along the
    next one only where single lines are too long.

    Examples
    --------
    >>> finer([(7, 3), (10,)], 40), finer([(2,), (10,)], 6)
    (((4, 3, 3), (10,)), ((1, 1), (5, 5)))
    """
    found = []
    for axis, sizes in enumerate(chunks):
        most = max(rows // prod(max(others) for others in chunks[axis + 1 :]), 1)
        counts = [(size, -(-size // most)) for size in sizes]
        found.append(tuple(size // n + (i < size % n) for size, n in counts for i in range(n)))
        rows //= max(found[-1])
    return tuple(found)


def with_chosen(blocks: Sequence[Block], chosen: NDArray[np.intp], grid: tuple[int, ...]) -> list[tuple[Block, Block]]:
    """The blocks that hold chosen rows, each as it was and as it is of these rows only."""
    kept = np.zeros(prod(grid), dtype=bool)
    kept[chosen] = True
    places = (np.cumsum(kept) - 1).reshape(grid)
    kept = kept.reshape(grid)
    found: list[tuple[Block, Block]] = []
    for block in blocks:
        inside = np.flatnonzero(kept[block.where])
        if inside.size:
            at = places[block.where].reshape(-1)[inside]
            found.append((block, Block(len(found), block.where, len(inside), inside, at)))
    return found
