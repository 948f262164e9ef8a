"""Several signals of one scan, in memory or out of core, as rows that passes visit together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import DEFAULT, check_memory, is_loaded
from emcore.core.signals import Signal
from emcore.core.validation import Floats, as_pixels
from emcore.methods.preprocessing import quantiles
from emcore.outofcore.engine import begin
from emcore.outofcore.open import one_chunk
from emcore.outofcore.reduction import PerRow
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored
from emcore.scans.gaps import Gaps
from emcore.scans.grids import names_of
from emcore.scans.spectrum_rows import bytes_of, is_held, loaded

# Copies of the sums of a pass that threads and merging hold.
COPIES = 24


@dataclass(frozen=True, eq=False)
class Several:
    """
    Signals of one scan.

    Attributes
    ----------
    signals : tuple of Signal
        As `emcore.scans.grids.on_one_grid` gives them.
    names : tuple of str
    source : Source
        A row of each at every position; a block is a tuple of these.
    left : bool
        Whether some are left where they are stored.
    """

    signals: tuple[Signal, ...]
    names: tuple[str, ...]
    source: Source
    left: bool

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the scan."""
        return tuple(axis.size for axis in self.signals[0].axes if axis.navigation)

    @property
    def nbytes(self) -> int:
        """Of all that a pass reads."""
        return sum(map(bytes_of, self.signals))

    def alone(self, index: int) -> Source:
        """One of them."""
        return _source([self.source.parts[index]], self.names[index], self.source)


def _source(parts: list[Any], name: str, other: Source | None = None) -> Source:
    source = Source(parts, name=name)
    if other is not None:
        source.budget, source.beside, source.mend = other.budget, other.beside, other.mend
    return source


def several(signals: Sequence[Signal], memory: int | str | None, per_position: int = 0) -> Several:
    """
    Signals on one grid as rows: all in memory if they take half of the budget or less together.

    Parameters
    ----------
    signals : sequence of Signal
        As `on_one_grid` gives them.
    memory : int or str, optional
    per_position : int
        Bytes that are kept of every position beside a pass.

    Examples
    --------
    >>> from emcore.scans.grids import on_one_grid
    >>> found = several(on_one_grid([np.zeros((2, 3, 4, 4)), np.zeros((2, 3, 9))]), None)
    >>> found.source.shape, found.left
    ((6, 25), False)
    """
    left = not is_loaded(sum(map(bytes_of, signals)), memory) and not all(map(is_held, signals))
    names = names_of(signals)
    if left:
        on_grid = list(signals)
    else:
        arrays = [as_pixels(loaded(each).data, f, len(each.shape)) for each, f in zip(signals, names, strict=True)]
        on_grid = [replace(each, data=array) for each, array in zip(signals, arrays, strict=True)]
    inner = [sum(not axis.navigation for axis in each.axes) for each in on_grid]
    data = [each.data for each in on_grid]
    if any(hasattr(each, "dask") for each in data):
        parts: list[Any] = _as_chunks(data, inner, names)
    else:
        parts = [Stored(each, count) for each, count in zip(data, inner, strict=True)]
    source = _source(parts, "signals")
    source.budget = max(DEFAULT, source.nbytes) if memory is None and not left else memory
    source.beside = per_position * len(source)
    return Several(tuple(on_grid), tuple(names), source, left)


def _as_chunks(data: Sequence[Any], inner: Sequence[int], names: Sequence[str]) -> list[Any]:
    """Dask arrays with the chunks of the largest one, what is stored otherwise too."""
    import dask.array as da

    lazy = [each for each in data if hasattr(each, "dask")]
    along = max(lazy, key=lambda each: int(each.nbytes)).chunks[: data[0].ndim - inner[0]]
    parts = []
    for each, count, name in zip(data, inner, names, strict=True):
        chunks = (*along, *each.shape[each.ndim - count :])
        same = each.rechunk(chunks) if hasattr(each, "dask") else da.from_array(each, chunks=chunks)
        parts.append(one_chunk(same, count, name))
    return parts


def quantiles_together(several: Several, gaps: Gaps, probabilities: Sequence[float]) -> tuple[list[Floats], int]:
    """
    Quantiles of every feature of each signal over its measured positions; and in how many passes they were had.

    Of data left where they are stored, as many features are taken in a pass as memory has room for.

    Examples
    --------
    >>> from emcore.scans.gaps import find_gaps
    >>> from emcore.scans.grids import on_one_grid
    >>> found = several(on_one_grid([np.arange(12).reshape(2, 3, 2), np.ones((2, 3, 9))]), None)
    >>> [each.tolist() for each in quantiles_together(found, find_gaps(np.arange(1, 7)[:, None]), [0.5])[0]][0]
    [[5.0, 6.0]]
    """
    source = several.source
    if not several.left:
        return [quantiles(gaps.of_measured(part.whole()), probabilities) for part in source.parts], 0
    features = [part.shape[-1] if source.lazy else part.d for part in source.parts]
    types = [as_pixels(np.zeros((1, 1), each.dtype), "", 2).dtype for each in several.signals]
    sizes = [dtype.itemsize for dtype in types]
    # What is taken, what is measured of it, and the same by features.
    room = (check_memory(source.budget) - source.beside) // 2 // (3 * len(source))
    found: list[list[Floats]] = [[] for _ in sizes]
    groups = _groups(features, sizes, max(room, *sizes))
    for number, group in enumerate(groups):
        width = sum(sizes[i] * (b - a) for i, a, b in group)
        passes = begin(source, f"features {number}", None, None, {}, 3 * width, 0, quiet=True)
        taken = [np.empty((len(source), b - a), types[i]) for i, a, b in group]
        into = [PerRow(passes.source, each) for each in taken]
        passes.once("features", _features, group, into=into)
        for (i, *_), columns in zip(group, taken, strict=True):
            found[i].append(quantiles(gaps.of_measured(columns), probabilities))
    return [np.concatenate(each, axis=1) for each in found], len(groups)


def _groups(counts: Sequence[int], sizes: Sequence[int], room: int) -> list[list[tuple[int, int, int]]]:
    """
    Runs of features of signals, such that those of each group take no more bytes at a position than there is room.

    Examples
    --------
    >>> _groups([5, 2], [2, 1], 7)
    [[(0, 0, 3)], [(0, 3, 5), (1, 0, 2)]]
    """
    groups: list[list[tuple[int, int, int]]] = [[]]
    left = room
    for i, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        start = 0
        while start < count:
            if left < size:
                groups.append([])
                left = room
            stop = min(count, start + left // size)
            groups[-1].append((i, start, stop))
            left, start = left - size * (stop - start), stop
    return groups


def _features(x: tuple[NDArray[Any], ...], group: list[tuple[int, int, int]], index: int) -> tuple[Any, ...]:
    return (), *(x[i][:, a:b] for i, a, b in group)


def weighted_sums(several: Several, weights: Floats) -> list[Floats]:
    """
    The rows of each signal, each times its weights, shape (n, k), added up in one pass: of each signal (k, d).

    Examples
    --------
    >>> from emcore.scans.grids import on_one_grid
    >>> found = several(on_one_grid([np.arange(8).reshape(2, 2, 2), np.ones((2, 2, 3))]), None)
    >>> [each.tolist() for each in weighted_sums(found, np.array([[0.0], [1.0], [1.0], [0.0]]))]
    [[[6.0, 8.0]], [[2.0, 2.0, 2.0]]]
    """
    k, d = weights.shape[1], several.source.shape[1]
    passes = begin(several.source, "weighted sums", None, None, {}, 8 * k, 8 * d * k * COPIES, quiet=True)
    found = passes.once("weighted sums", _weighted, rows=[PerRow(passes.source, weights)])
    return [each.T for each in found]


def _weighted(x: tuple[NDArray[Any], ...], state: Any, index: int, weights: Floats) -> tuple[Any, ...]:
    return (tuple(_emcore.xt_y(part, np.ascontiguousarray(weights)) for part in x),)
