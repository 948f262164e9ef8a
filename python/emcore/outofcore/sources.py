"""
What is out of core, as rows: memory maps, HDF5 and Zarr arrays, lazy signals, Dask arrays.

A source has n rows (positions) of d features, cut into blocks that never depend on the number of threads: slabs read
one after another, aligned to what the storage keeps together, or the chunks of a Dask array. Leading axes are
navigation.
"""

import copy
from collections.abc import Sequence
from itertools import accumulate, pairwise, product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore._emcore import PreparedRows
from emcore.core.memory import SLAB_BYTES, check_memory, in_words
from emcore.core.validation import as_pixels
from emcore.core.warning import warn
from emcore.outofcore.blocks import CHUNKS_AT_ONCE, INDEX_BYTES, Block, coarser, in_finer_chunks, with_chosen
from emcore.outofcore.rows import mended
from emcore.outofcore.stored import Stored


class Preparation(NamedTuple):
    """
    What is done to the rows of a signal, as the kernels take it.

    Parameters
    ----------
    features : list of (int, int), or None
        Runs of features that are taken, in rising order; None for all.
    normalize : str
        The normalisation.
    offset, scale : ndarray of float64, or None
        What is subtracted from each kept feature, and what it is multiplied by.
    """

    features: list[tuple[int, int]] | None
    normalize: str
    offset: NDArray[np.float64] | None
    scale: NDArray[np.float64] | None


# Bytes up to which small chunks of a Dask array are joined to a block, and so many blocks there are at least.
_CHUNK_BYTES, _CHUNK_BLOCKS = 1 << 25, 64
_SLABS = 16
"""Slabs that the memory has room for, where what was read is held."""


class Source:
    """
    Rows out of core: of one matrix as it is stored, or of several, prepared side by side or each for itself.

    Attributes
    ----------
    parts : list of Stored or of Dask arrays
    recipes : list, or None
        What is done to the rows of each part, see `emcore.methods.preprocessing.prepare`. None: nothing; of several
        parts a block is then a tuple of the rows of each.
    chosen : ndarray of int, or None
        Which of the stored rows are the rows, in rising order; None for all.
    shape : (n, d)
    dtype : dtype
        Of the rows as kernels see them.
    grid : tuple of int
        The navigation axes of what is stored, as blocks see them.
    observed : dict
        What passes have observed of the values, shared by copies.
    budget : int, str or None
        How much memory passes may use that have no budget of their own.
    beside : int
        Bytes of it that are taken by what a workflow keeps beside its passes.
    job : emcore.outofcore.checkpoint.Job, or None
        Of which passes are part that have no checkpoint of their own.
    view : str
        Which features of the data these rows are, where a job has rows of several.
    mend : {"", "finite", "counts"}
        What is taken out of blocks as they are visited, see `mended`: nothing, NaN and infinity, negative values too.
    blocks : list of Block
        None yet before `cut`.
    unvisited : list of Block
        Those without a chosen row.
    on_workers : dict
        What is kept of a Dask array on the workers of a cluster, in all cuts.
    hold : int
        Of how many blocks, the first ones, the rows are held when they have been read: as many as memory has room for.
    """

    def __init__(
        self,
        parts: Sequence[Any],
        recipes: Sequence[Preparation] | None = None,
        name: str = "X",
        chosen: NDArray[np.intp] | None = None,
    ) -> None:
        self.parts, self.recipes, self.name, self.chosen = list(parts), recipes, name, chosen
        self.lazy = not isinstance(parts[0], Stored)
        sizes = [part.shape[-1] if self.lazy else part.d for part in parts]
        if recipes is not None:
            sizes = [
                sum(b - a for a, b in r.features) if r.features else d for r, d in zip(recipes, sizes, strict=True)
            ]
        self.navigation = parts[0].shape[:-1] if self.lazy else parts[0].navigation
        counts = [prod(part.shape[:-1]) if self.lazy else part.n for part in parts]
        if len(set(counts)) > 1:
            raise ValueError(f"signals have {counts} rows; all must have as many")
        self.shape = counts[0] if chosen is None else len(chosen), sum(sizes)
        if 0 in self.shape:
            raise ValueError(f"{name} is empty, shape {(*self.navigation, sizes[0])}; at least one value is needed")
        stored = [part.dtype if self.lazy else part.stored_dtype for part in parts]
        kinds = [as_pixels(np.zeros((1, 1), dtype), name, 2).dtype for dtype in stored]
        self.dtype = kinds[0] if recipes is None else np.dtype(np.float32)
        self.nbytes = sum(prod(part.shape) * part.dtype.itemsize if self.lazy else _bytes(part) for part in parts)
        self.copied = any(kind != dtype for kind, dtype in zip(kinds, stored, strict=True))
        self.grid = self.navigation if self.lazy else (counts[0],)
        self.observed: dict[str, Any] = {}
        self.budget: Any = None
        self.beside = 0
        self.job: Any = None
        self.view = "all"
        self.mend = ""
        self.blocks: list[Block] = []
        self.unvisited: list[Block] = []
        self.peak = self.hold = 0
        self.on_workers: dict[Any, Any] = {}
        self._held: dict[int, list[NDArray[Any]]] = {}
        self._plan = 0, 0

    def __len__(self) -> int:
        return int(self.shape[0])

    def astype(self, dtype: Any) -> "Source":
        """The same rows, converted block by block."""
        other = copy.copy(self)
        other.dtype, other.copied = np.dtype(dtype), True
        return other

    def at(self, rows: NDArray[np.intp]) -> "Source":
        """
        Some of the stored rows, in rising order, not prepared: blocks without one of them are not read.

        Examples
        --------
        >>> source = Source([Stored(np.arange(12.0).reshape(6, 2))]).at(np.array([1, 4])).cut()
        >>> source.shape, source.load(source.blocks[0])[0][source.blocks[0].chosen].tolist()
        ((2, 2), [[2.0, 3.0], [8.0, 9.0]])
        """
        other = copy.copy(self)
        other.chosen, other.shape = rows, (len(rows), self.shape[1])
        return other

    def checked_rows(self, stored: Sequence[NDArray[Any]], chosen: NDArray[np.intp] | None = None) -> Any:
        """What kernels take, of some rows of every part as they are stored."""
        return as_rows(stored, self.recipes, self.dtype, self.name, chosen, self.mend)

    def cut(self, memory: Any = None, per_row: int = 0, fixed: int = 0) -> "Source":
        """
        The same rows in blocks, such that all fits into `memory`: `per_row` bytes for each, `fixed` bytes beside.

        Raises
        ------
        ValueError
            There is no room for the smallest block; the least memory is named.
        """
        other = copy.copy(self)
        other._held = {}
        memory = self.budget if memory is None else memory
        per_row += 0 if self.chosen is None else INDEX_BYTES
        other._plan = check_memory(memory), per_row * self.shape[0] + fixed + self.beside
        other._cut_chunks(memory is not None) if self.lazy else other._cut_slabs()
        if self.chosen is not None:
            other.blocks, other.unvisited = with_chosen(other.blocks, self.chosen, self.grid)
        return other

    def _cut_slabs(self) -> None:
        (memory, reserved), n = self._plan, self.grid[0]
        row = sum(part.d * part.stored_dtype.itemsize for part in self.parts) * (2 if self.copied or self.mend else 1)
        unit, together = (max(getattr(part, key) for part in self.parts) for key in ("unit", "together"))
        room = max(memory - reserved, 0)
        if 2 * row * unit > room:
            raise ValueError(
                f"memory={in_words(memory)} is too little for {self.name}: the smallest possible is "
                f"{in_words(reserved + 2 * row * min(unit, n))} ({in_words(reserved)} for results and sums, twice "
                f"{in_words(row * unit)} for the least that can be read at a time)"
            )
        # Two slabs, and half a one while it is unpacked. What is mapped, the system keeps; others are cut into small
        # slabs, most of which are held.
        halves = 5 if any(part.packed for part in self.parts) else 4
        holding = all(part.flat is None and part.map is None for part in self.parts)
        whole = together <= 2 * room // halves // row or together == unit
        most = min(room // (_SLABS if holding and whole else 2), SLAB_BYTES) // row
        rows = max(most // unit, 1) * unit
        if whole:
            rows = max(rows // together, 1) * together
        else:
            warn(
                f"{self.name} is stored in chunks of {together} rows, {in_words(row * together)}, more than "
                f"memory={in_words(memory)} holds: each is read several times in every pass; give more memory, or "
                "store it anew",
            )
        rows = min(rows, n)
        starts = range(0, n, rows)
        self.blocks = [Block(i, (slice(a, min(a + rows, n)),), min(rows, n - a)) for i, a in enumerate(starts)]
        visited = halves * rows * row // 2
        self.hold = min(max(room - visited, 0) // (rows * row), len(self.blocks)) if holding else 0
        self.peak = min(reserved + visited, memory) + self.hold * rows * row

    def _cut_chunks(self, strict: bool) -> None:
        memory, reserved = self._plan
        row = CHUNKS_AT_ONCE * sum(part.shape[-1] * part.dtype.itemsize for part in self.parts)
        if strict and reserved + row > memory:
            raise ValueError(
                f"memory={in_words(memory)} is too little for {self.name}: the smallest possible is "
                f"{in_words(reserved + row)} ({in_words(reserved)} for results and sums, {in_words(row)} for a row on "
                f"each of {CHUNKS_AT_ONCE - 1} cores and one more)"
            )
        if strict:
            budget, rows = f"memory={in_words(memory)}", (memory - reserved) // row
            self.parts = [in_finer_chunks(part, rows, self.name, budget) for part in self.parts]
        # Small chunks are joined, so that what is of a block, not of a row, is no more than its rows.
        most = min(
            max(self.nbytes // _CHUNK_BLOCKS, 1), _CHUNK_BYTES, max(memory - reserved, 0) // (2 * CHUNKS_AT_ONCE)
        )
        navigation = self.parts[0].chunks[:-1]
        together = coarser(navigation, most * CHUNKS_AT_ONCE // row)
        bounds = [list(accumulate(sizes, initial=0)) for sizes in navigation]
        edges = [list(pairwise(accumulate(counts, initial=0))) for counts in together]
        chunks = [part.to_delayed()[..., 0] for part in self.parts]
        self.blocks = []
        for ends in product(*edges):
            where = tuple(slice(bound[a], bound[b]) for bound, (a, b) in zip(bounds, ends, strict=True))
            # What is picked from an array by its values has chunks without rows.
            if rows := prod(edge.stop - edge.start for edge in where):
                some = tuple(slice(*end) for end in ends)
                parts = tuple(np.expand_dims(part[some], -1).tolist() for part in chunks)
                self.blocks.append(Block(len(self.blocks), where, rows, parts))
        held = 2 if any(max(counts) > 1 for counts in together) else 1
        self.peak = reserved + held * row * max(block.rows for block in self.blocks)

    def load(self, block: Block) -> list[NDArray[Any]]:
        """The rows of a slab, of every part as they are stored."""
        if block.rows and block.index in self._held:
            return self._held[block.index]
        stored = [part.read(block.where[0].start, block.where[0].stop) for part in self.parts]
        if block.rows and block.index < self.hold:
            self._held[block.index] = stored
        return stored

    def row_of(self, index: int, row: int) -> int:
        """Where row `row` of block `index` stands among all rows, in row-major order of the navigation axes."""
        where, places = self.blocks[index].where, self.blocks[index].places
        if places is not None:
            return int(places[row])
        inside = np.unravel_index(row, tuple(s.stop - s.start for s in where))
        return int(np.ravel_multi_index([int(i) + s.start for i, s in zip(inside, where, strict=True)], self.grid))

    def position(self, row: int) -> tuple[Any, ...]:
        """Where a row stands in the navigation axes."""
        return np.unravel_index(row if self.chosen is None else self.chosen[row], self.navigation)

    def take(self, indices: Sequence[int]) -> NDArray[Any]:
        """A few rows, in memory."""
        indices = indices if self.chosen is None else self.chosen[np.asarray(indices, dtype=np.intp)]  # type: ignore[assignment]
        if not self.lazy:
            stored = [np.stack([part.one(int(i)) for i in indices]) for part in self.parts]
        else:
            import dask

            at = [np.unravel_index(int(i), self.navigation) for i in indices]
            taken = dask.compute(*(part[place] for part in self.parts for place in at))
            stored = [np.stack(taken[i * len(at) : (i + 1) * len(at)]) for i in range(len(self.parts))]
        rows = self.checked_rows(stored)
        return np.hstack(rows) if isinstance(rows, tuple) else np.asarray(rows)

    def in_memory(self) -> Any:
        """All rows in memory, mapped, or computed."""
        if not self.lazy:
            return self.checked_rows([part.whole() for part in self.parts], self.chosen)
        import dask

        return self.checked_rows(dask.compute(*self.parts), self.chosen)


def _bytes(part: Stored) -> int:
    return int(part.n * part.d * part.stored_dtype.itemsize)


def as_rows(
    stored: Sequence[NDArray[Any]],
    recipes: Sequence[Preparation] | None,
    dtype: Any,
    name: str,
    chosen: NDArray[np.intp] | None = None,
    mend: str = "",
) -> Any:
    """Rows of every part as kernels take them: of a pixel type, mended or not, or prepared, all or chosen ones."""
    flat = [as_pixels(part.reshape(-1, part.shape[-1]) if part.ndim != 2 else part, name, 2) for part in stored]
    if mend:
        flat = [mended(part, counts=mend == "counts") for part in flat]
    if recipes is None:
        every = chosen is None or len(chosen) == len(flat[0])
        taken = flat if every else [part[chosen] for part in flat]
        return taken[0].astype(dtype, copy=False) if len(taken) == 1 else tuple(taken)
    index = None if chosen is None else chosen.tolist()
    return PreparedRows([(part, index, recipe) for part, recipe in zip(flat, recipes, strict=True)])
