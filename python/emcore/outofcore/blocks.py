"""Which rows out of core are visited together."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise, product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.warning import warn

INDEX_BYTES = 40
"""Of each chosen row, for where it is stored and where it is among the chosen ones."""
CHUNKS_AT_ONCE = 1 + (os.cpu_count() or 1)
"""Chunks of a Dask array that are held together: one on each core, and one that comes or goes."""


@dataclass(frozen=True, eq=False)
class Block:
    """
    Some rows: `where` they are stored in the navigation axes, in the order in which they are visited.

    Of Dask arrays these are `chunks`: of each part one, or several in nested lists, see `joined`. Of a source of chosen
    rows, `chosen` are those among the stored ones, and `places` where they are in the source.
    """

    index: int
    where: tuple[slice, ...]
    rows: int
    chunks: tuple[Any, ...] = ()
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
    cut: list[tuple[int, ...]] = []
    for axis, sizes in enumerate(chunks):
        most = max(rows // prod(max(others) for others in chunks[axis + 1 :]), 1)
        counts = [(size, -(-size // most)) for size in sizes]
        cut.append(tuple(size // n + (i < size % n) for size, n in counts for i in range(n)))
        rows //= max(cut[-1])
    return tuple(cut)


def coarser(chunks: Sequence[Sequence[int]], rows: int) -> list[list[int]]:
    """
    How many neighbouring chunks of each navigation axis are visited together, such that none of these blocks has more
    than so many rows: along the last axis, and along those before it as far as there is room.

    Examples
    --------
    >>> coarser([(4, 4, 4), (4, 4, 4, 4, 4)], 100), coarser([(9,), (4, 4)], 20)
    ([[1, 1, 1], [5]], [[1], [1, 1]])
    """
    together: list[list[int]] = []
    room = rows // prod(max(sizes) for sizes in chunks)
    for sizes in reversed(chunks):
        pieces = -(-len(sizes) // max(room, 1))
        together.insert(0, [len(sizes) // pieces + (i < len(sizes) % pieces) for i in range(pieces)])
        room //= max(together[0])
    return together


def joined(chunks: Any) -> NDArray[Any]:
    """
    The array that a chunk is, or chunks in nested lists, one inside another for every axis, are together.

    Examples
    --------
    >>> joined([[np.zeros((2, 1))], [np.ones((1, 1))]]).tolist(), joined([[np.ones((1, 1))]]).tolist()
    ([[0.0], [0.0], [1.0]], [[1.0]])
    """
    first = chunks
    while isinstance(first, list) and len(first) == 1:
        first = first[0]
    return np.block(chunks) if isinstance(first, list) else first


def in_finer_chunks(array: Any, rows: int, name: str, budget: str) -> Any:
    """
    A Dask array with one signal axis, in chunks of at most so many rows, the caller warned; as it is if they are so.

    What is read from where it is stored, and no more is done to it, is read piece by piece. Other chunks are made whole
    and then cut, since a piece would take as long as all.
    """
    navigation, depth = array.chunks[:-1], array.shape[-1]
    if prod(max(sizes) for sizes in navigation) <= rows:
        return array
    chunks = finer(navigation, rows)
    if set(array.dask.layers) <= {array.name, f"original-{array.name}"}:
        finer_chunks = _read_in_pieces(array, chunks)
        whole = ""
    else:
        finer_chunks = array.rechunk((*chunks, depth))
        whole = ", each made whole and then cut"
    warn(
        f"{name} has chunks of {array.chunksize}, more than {budget} allows on {CHUNKS_AT_ONCE - 1} cores: it was "
        f"rechunked to {finer_chunks.chunksize}{whole}; store it so, or rechunk it before",
    )
    return finer_chunks


def _read_in_pieces(array: Any, chunks: tuple[tuple[int, ...], ...]) -> Any:
    import dask.array as da

    edges = [list(pairwise(accumulate(sizes, initial=0))) for sizes in chunks]
    pieces = np.empty([len(sizes) for sizes in chunks], dtype=object)
    for at, where in zip(np.ndindex(pieces.shape), product(*edges), strict=True):
        piece = array[tuple(slice(*ends) for ends in where)]
        # Of one piece at a time Dask finds that less needs to be read.
        (delayed,) = piece.to_delayed().ravel()
        pieces[at] = da.from_delayed(delayed, piece.shape, piece.dtype)
    # The innermost lists are joined along the last axis, that of the signal, on which there is one piece.
    return da.block(np.expand_dims(pieces, -1).tolist())


def with_chosen(
    blocks: Sequence[Block], chosen: NDArray[np.intp], grid: tuple[int, ...]
) -> tuple[list[Block], list[Block]]:
    """The blocks that hold chosen rows, of these rows only; and the others, of no rows."""
    taken = np.zeros(prod(grid), dtype=bool)
    taken[chosen] = True
    places = (np.cumsum(taken) - 1).reshape(grid)
    taken = taken.reshape(grid)
    visited: list[Block] = []
    unvisited: list[Block] = []
    for block in blocks:
        inside = np.flatnonzero(taken[block.where])
        if inside.size:
            at = places[block.where].reshape(-1)[inside]
            visited.append(Block(len(visited), block.where, len(inside), block.chunks, inside, at))
        else:
            unvisited.append(replace(block, rows=0))
    return visited, unvisited
