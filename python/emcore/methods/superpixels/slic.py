"""
Compact patches of a scan or image whose signals are alike, for any number of channels: SLIC, and what follows it.

SLIC (Achanta et al., IEEE TPAMI 34 (2012) 2274) grows segments from seeds on a grid: every position takes the nearest
of the centres around it, every centre becomes the mean of its positions. Segments that touch and have like means are
merged (Selby et al. 2024), which leaves grains. Data are read in the type in which the detector wrote them.
"""

import math
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore._emcore import PreparedRows
from emcore.core.documentation import documented
from emcore.core.memory import is_loaded
from emcore.core.validation import as_pixels, check_count, check_magnitude, check_number, check_option
from emcore.methods.superpixels.seeds import given_seeds, grid_seeds
from emcore.outofcore.engine import begin
from emcore.outofcore.moments import checked_range, sums_by_label
from emcore.outofcore.open import as_source, held_in_memory

Labels = NDArray[np.int32]

# Windows reach so many spacings of the seeds from their centre; a piece below this part of the mean size is an orphan.
_REACH, _SMALL = 2, 0.25
_DIMENSIONS = (2, 3, 4, 5)


def slic(
    data: ArrayLike,
    n_segments: int = 100,
    *,
    compactness: float = 0.3,
    n_iter: int = 10,
    mask: ArrayLike | None = None,
    min_size: int | None = None,
    connectivity: bool = True,
    seeds: str | ArrayLike = "grid",
    adaptive: bool = False,
    memory: int | str | None = None,
) -> Labels:
    """
    Cut a scan or image into compact segments of like signals (SLIC superpixels).

    With C channels of mean variance s^2 and seeds S apart, D^2 = |x - c|^2 / (C s^2) +
    (compactness / S)^2 |r - r_c|^2 is what is near; centres claim positions up to 2 S away
    along y and x. The first assignment is by place alone.

    Parameters
    ----------
    data : array-like, shape (y, x) or (y, x, channels...)
        Any pixel type, memory-mapped too; neither converted nor copied. A stack of images (n,
        y, x) is ``np.moveaxis(stack, 0, -1)``. Segments need all of it at once: an HDF5 or Zarr
        array, a lazy signal, a Dask array, or a memory map that does not lie in this order, is
        loaded.
    n_segments : int, default 100
        About so many; a grid of seeds, connected pieces and a mask make it a few more or less.
    compactness : float, default 0.3
        What a way of S counts beside one standard deviation of every channel. Its meaning
        depends neither on the number of channels nor on their unit. Large values give the
        Voronoi cells of the seeds.
    n_iter : int, default 10
        Assignments at most; it ends sooner when one changes less than 0.1 % of the positions.
    mask : array-like of bool, shape (y, x), optional
        False where a position is left out: its values may be anything.
    min_size : int, optional
        Smaller connected pieces join the neighbour that they resemble most. Default: a quarter
        of the mean size.
    connectivity : bool, default True
        Make every label one connected piece. Without it labels are the numbers of the seeds,
        and some may be missing.
    seeds : "grid" or array-like, shape (k, 2), default "grid"
        Places (y, x) to start from, in positions, instead of `n_segments` on a grid.
    adaptive : bool, default False
        Let every centre adapt its compactness to the largest distance among its positions
        (SLICO).
    memory : int or str, optional
        What is loaded takes half of it at most, in bytes or as "2 GiB"; default 1 GiB.

    Returns
    -------
    ndarray, shape (y, x), int32
        Labels from 0 on, line by line in the order in which they are met; -1 where the mask is
        False.

    Raises
    ------
    ValueError
        NaN or infinity (first position named), values whose squares are no numbers, fewer
        positions than segments, a mask that leaves nothing, another shape.
    TypeError
        Complex numbers, objects or strings.
    MemoryError
        Lazy or stored data that take more than half of `memory`, with what they need.

    Examples
    --------
    >>> import numpy as np
    >>> import emcore
    >>> image = np.zeros((40, 40), dtype=np.uint16)
    >>> image[:, 23:] = 500
    >>> labels = emcore.slic(image, 16)
    >>> some = np.unique(labels[:, :23]).max(initial=0) >= 0
    >>> bool(some and not set(labels[:, 22]) & set(labels[:, 23]))
    True
    """
    rows, shape, used = _checked(_held(data, memory, "slic"), mask, squared=True)
    count = int(used.sum()) if used is not None else rows.shape[0]
    if isinstance(seeds, str):
        check_option(seeds, ("grid",), "seeds")
        n_segments = check_count(n_segments, "n_segments", 1, count, f"there are {count} positions")
        places, steps = grid_seeds(shape, n_segments, used)
    else:
        places = given_seeds(seeds, shape)
        steps = (float(max(round(math.sqrt(count / len(places))), 1)),) * 2
    size = count / len(places)
    least = max(math.ceil(_SMALL * size), 1)
    if min_size is not None:
        least = check_count(min_size, "min_size", 1, count, f"there are {count} positions")
    labels, _ = _emcore.slic(
        rows,
        shape,
        places,
        compactness=check_number(compactness, "compactness", 0),
        adaptive=bool(adaptive),
        n_iter=check_count(n_iter, "n_iter", 1),
        spacing=max(steps),
        reach=(_REACH * steps[0], _REACH * steps[1]),
        mask=used,
        connected=least if connectivity else None,
    )
    return labels.reshape(shape)


@overload
def merge_similar(
    labels: ArrayLike,
    data: ArrayLike,
    min_correlation: float,
    *,
    return_history: Literal[False] = ...,
    memory: int | str | None = ...,
) -> Labels: ...
@overload
def merge_similar(
    labels: ArrayLike,
    data: ArrayLike,
    min_correlation: float,
    *,
    return_history: Literal[True],
    memory: int | str | None = ...,
) -> tuple[Labels, NDArray[np.float64]]: ...
def merge_similar(
    labels: ArrayLike,
    data: ArrayLike,
    min_correlation: float,
    *,
    return_history: bool = False,
    memory: int | str | None = None,
) -> Labels | tuple[Labels, NDArray[np.float64]]:
    """
    Merge segments that touch and whose mean signals correlate, the best pair first.

    Means are formed anew after every merging. The mean of all positions is subtracted before,
    or the background that all share would make everything alike: the correlation of v and w is
    v.w / (|v| |w|) of what is left of two means.

    Parameters
    ----------
    labels : array-like of int, shape (y, x)
        Segments, as from `slic`; negative labels are no segments. Segments touch along sides,
        not corners.
    data : array-like, shape (y, x) or (y, x, channels...)
        Any pixel type, read once. As by `slic`, what is lazy or stored is loaded.
    min_correlation : float
        Least correlation of a pair that is merged, from -1 to 1.
    return_history : bool, default False
        Return the mergings too.
    memory : int or str, optional
        What is loaded takes half of it at most; default 1 GiB.

    Returns
    -------
    labels : ndarray, shape (y, x), int32
        From 0 on in the order in which they are met line by line; negative ones -1.
    history : ndarray, shape (mergings, 3), float64
        In their order: the label that went on, the one that is gone (both as given), their
        correlation.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that differ, no segment at all.
    MemoryError
        Lazy or stored data that take more than half of `memory`, with what they need.

    Examples
    --------
    >>> import numpy as np
    >>> import emcore
    >>> data = np.array([[[9, 1], [8, 1], [1, 9], [2, 8]]], dtype=np.uint8)
    >>> emcore.merge_similar([[0, 1, 2, 3]], data, 0.5)
    array([[0, 0, 1, 1]], dtype=int32)
    """
    least = check_number(min_correlation, "min_correlation", -1, 1)
    rows, shape, index, names = _labelled(labels, _held(data, memory, "merge_similar"))
    joined, steps = _emcore.merge_similar(rows, index, shape, len(names), least)
    merged = renumbered(joined).reshape(shape)
    if not return_history:
        return merged
    history = np.array(steps, dtype=np.float64).reshape(-1, 3)
    history[:, :2] = names[history[:, :2].astype(np.intp)]
    return merged, history


@documented()
def mean_signals(labels: ArrayLike, data: ArrayLike, *, memory: int | str | None = None) -> NDArray[np.float64]:
    """
    The mean signal of every segment, in one read of the data.

    Parameters
    ----------
    labels : array-like of int, shape (y, x)
        0 to k - 1, none missing; positions with negative labels are left out.
    data : array-like, shape (y, x) or (y, x, channels...)
        Any pixel type; neither converted nor copied. A memory map, an HDF5 or Zarr array or a
        Dask array is visited in blocks.
    %(memory)s

    Returns
    -------
    ndarray, shape (k, channels...), float64
        Of integers from their exact sums.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that differ, a number below the largest label that no position
        has.

    Examples
    --------
    >>> import numpy as np
    >>> import emcore
    >>> emcore.mean_signals([[0, 0, 1]], np.array([[[1, 2], [3, 4], [7, 7]]], dtype=np.uint8))
    array([[2., 3.],
           [7., 7.]])
    """
    shape, source = np.shape(data), as_source(data, "data", max(len(np.shape(data)) - 2, 0))
    left = source is not None and not is_loaded(source.nbytes, memory)
    held = np.empty(shape[:2], np.uint8) if left else _held(data, memory, "mean_signals")
    rows, _, index, names = _labelled(labels, held)
    skipped = np.flatnonzero(names != np.arange(len(names)))
    if skipped.size:
        raise ValueError(
            f"labels misses {int(skipped[0])} below its largest {int(names[-1])}: number them without gaps"
        )
    if source is None or not left:
        return label_means(rows, index, len(names))[0].reshape(len(names), *shape[2:])
    source.budget = memory
    checked_range(begin(source.at(np.flatnonzero(index >= 0)), "range", None, None, {}, 0, 0, quiet=True))
    sums, counts = sums_by_label(source, index, len(names))
    return (sums / counts[:, None]).reshape(len(names), *shape[2:])


def label_means(
    rows: NDArray[Any] | PreparedRows, labels: Labels, k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The mean of the rows with each of k labels, zeros where there is none, and how many they are."""
    means, counts = _emcore.sum_by_label(rows, labels, k)
    means /= np.maximum(counts, 1)[:, None]
    return means, counts


def merged_to(segments: Labels, history: NDArray[np.float64], min_correlation: float) -> Labels:
    """
    What merging down to a correlation makes of segments, from the history of merging them down to one.

    Parameters
    ----------
    segments : ndarray, shape (y, x)
        Labels from 0 on; negative ones are no segments.
    history : ndarray, shape (m, 3)
        As `merge_similar` returns it: which stays, which goes, their correlation.
    min_correlation : float

    Returns
    -------
    ndarray, shape (y, x), int32

    Examples
    --------
    >>> merged_to(np.array([[0, 1, 2]]), np.array([[0, 2, 0.9], [0, 1, 0.2]]), 0.5).tolist()
    [[0, 1, 0]]
    """
    # Best first: what goes before the first that falls short is what merging with that limit does.
    short = np.flatnonzero(history[:, 2] < min_correlation)
    return merged_after(segments, history, int(short[0]) if short.size else len(history))


def merged_after(segments: Labels, history: NDArray[np.float64], mergings: int) -> Labels:
    """What the first so many mergings make of segments, see `merged_to`.

    Examples
    --------
    >>> merged_after(np.array([[0, 1, 2]]), np.array([[0, 2, 0.9], [0, 1, 0.2]]), 1).tolist()
    [[0, 1, 0]]
    """
    into = np.arange(max(int(segments.max()), int(history[:, :2].max(initial=0))) + 1)
    for kept, gone in history[:mergings, :2][::-1].astype(np.intp):
        into[gone] = into[kept]
    return renumbered(np.where(segments < 0, -1, into[segments]))


def mergings_to(segments: Labels, history: NDArray[np.float64], n_regions: int) -> int:
    """How many mergings leave so many regions, or as few as there are; segments without a position do not count.

    Examples
    --------
    >>> mergings_to(np.array([[0, 1, 2]]), np.array([[0, 2, 0.9], [0, 1, 0.2]]), 2)
    1
    """
    there = np.zeros(max(int(segments.max()), int(history[:, :2].max(initial=0))) + 1, dtype=bool)
    there[segments[segments >= 0]] = True
    left = int(there.sum())
    for done, (kept, gone) in enumerate(history[:, :2].astype(np.intp)):
        if left <= n_regions:
            return done
        left -= int(there[kept] and there[gone])
        there[kept] |= there[gone]
    return len(history)


def renumbered(labels: NDArray[np.integer[Any]]) -> Labels:
    """Labels from 0 on in the order in which they are met; negative ones -1."""
    flat = np.ravel(labels)
    names, first, index = np.unique(np.where(flat < 0, -1, flat), return_index=True, return_inverse=True)
    order = np.argsort(np.where(names < 0, -1, first))
    numbers = np.empty(len(names), dtype=np.int32)
    numbers[order] = np.arange(len(names)) - int(names[0] < 0)
    return numbers[index].reshape(labels.shape)


def _held(data: Any, memory: int | str | None, what: str) -> Any:
    return held_in_memory(data, "data", max(len(np.shape(data)) - 2, 0), memory, what)


def _checked(
    data: ArrayLike, mask: ArrayLike | None, squared: bool = False
) -> tuple[NDArray[Any], tuple[int, int], NDArray[np.bool_] | None]:
    """Data as rows, whose squares are numbers if need be, the scan's shape, the mask as a row."""
    array = as_pixels(data, "data", _DIMENSIONS)
    shape = (array.shape[0], array.shape[1])
    used = None
    if mask is not None:
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.shape != shape:
            raise ValueError(
                f"mask is {chosen.dtype} of shape {chosen.shape}; bool of the scan's shape {shape} is needed"
            )
        if not chosen.any():
            raise ValueError(f"mask leaves none of the {chosen.size} positions; keep at least one")
        used = np.ascontiguousarray(chosen.ravel())
    rows = array.reshape(shape[0] * shape[1], -1)
    if array.dtype.kind == "f":
        _check_used(array, used, math.inf if not squared else 1e15 if array.dtype == np.float32 else 1e100)
    return rows, shape, used


def _check_used(array: NDArray[Any], used: NDArray[np.bool_] | None, limit: float) -> None:
    """Refuse NaN, infinity and what reaches the limit, or is all below its inverse, at positions that count."""
    try:
        check_magnitude(array, "data", limit)
    except ValueError:
        if used is None:
            raise
        # The first that was found may be masked.
        check_magnitude(np.where(used.reshape(array.shape[:2] + (1,) * (array.ndim - 2)), array, 0), "data", limit)


def _labelled(
    labels: ArrayLike, data: ArrayLike
) -> tuple[NDArray[Any], tuple[int, int], Labels, NDArray[np.integer[Any]]]:
    """Data as rows, the scan's shape, labels from 0 on without gaps, and what these were called."""
    array = np.asarray(labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"labels holds {array.dtype}; whole numbers are needed")
    scan = np.shape(data)[:2]
    if array.shape != scan:
        raise ValueError(f"labels has shape {array.shape}, the scan {scan}: they must agree")
    if array.size and array.max() < 0:
        raise ValueError(f"labels leave none of the {array.size} positions: all are negative")
    rows, shape, used = _checked(data, (array >= 0) if array.min(initial=0) < 0 else None)
    used_labels = array.ravel() if used is None else array.ravel()[used]
    names, index = np.unique(used_labels, return_inverse=True)
    numbered = np.full(array.size, -1, dtype=np.int32)
    numbered[slice(None) if used is None else used] = index
    return rows, shape, numbered, names
