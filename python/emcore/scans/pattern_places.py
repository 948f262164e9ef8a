"""Patterns as places: binned, reduced to the directions in which they differ by more than noise, and labelled there."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.methods.preprocessing import Recipe, prepare
from emcore.outofcore.checkpoint import step
from emcore.outofcore.engine import begin
from emcore.outofcore.reduction import PerRow
from emcore.outofcore.sources import Source
from emcore.scans.binning import binned_pieces, piece_bytes
from emcore.scans.pattern_passes import COPIES
from emcore.scans.reduction import Directions, find_directions


@dataclass(frozen=True, eq=False)
class Reducing:
    """How a pattern gets its place: binned, normalised, in some directions.

    Attributes
    ----------
    bins : ndarray of int32, shape (ky, kx)
        The bin of every pixel; negative: none.
    count : int
        How many there are.
    normalize : str
        See `emcore.preprocessing.Recipe`.
    directions : Directions
    """

    bins: NDArray[np.int32]
    count: int
    normalize: str
    directions: Directions

    def of(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """The place of each row, shape (n, p)."""
        places = np.empty((len(x), self.directions.basis.shape[1]), dtype=np.float32)
        groups, width = np.ascontiguousarray(self.bins.ravel()), self.bins.shape[1]
        for some, bins in binned_pieces(x, np.arange(len(x)), groups, width, self.count):
            places[some] = self.of_bins(bins)
        return places

    def of_bins(self, binned: NDArray[np.float32]) -> NDArray[np.float32]:
        """The place of each binned row."""
        prepared = prepare(Recipe(binned, normalize=self.normalize))
        return _emcore.x_q(prepared, self.directions.basis, self.directions.mean).astype(np.float32)


def reduced_places(
    source: Source,
    bins: NDArray[np.int32],
    normalize: str,
    sample: NDArray[np.float32],
    pairs: NDArray[np.intp],
    there: NDArray[np.intp],
    seed: int,
) -> tuple[NDArray[np.float32], Directions]:
    """
    The patterns at some positions reduced to the directions in which a sample of them differs by more than noise.

    Parameters
    ----------
    source : Source, shape (n, ky * kx)
        Visited once, but where the sample is of all positions.
    bins : ndarray of int32, shape (ky, kx)
        The bin of every pixel; negative: none.
    normalize : str
        What is done to the bins of each pattern, see `emcore.preprocessing.Recipe`.
    sample : ndarray, shape (s, bins), float32
    pairs : ndarray of int, shape (pairs, 2)
        Which of the sample are neighbours, see `emcore.scans.reduction.sampled`.
    there : ndarray of int, shape (m,)
        The positions, rising.
    seed : int

    Returns
    -------
    places : ndarray, shape (m, p), float32
        The same to the last bit on any number of threads.
    directions : Directions

    Examples
    --------
    >>> from emcore.datasets import polycrystal_scan
    >>> from emcore.scans.pattern_passes import group_sums
    >>> from emcore.scans.pattern_places import reduced_places
    >>> from emcore.scans.patterns import pattern_source, scan_of_patterns
    >>> from emcore.scans.reduction import sampled
    >>> scan = scan_of_patterns(polycrystal_scan(scan_shape=(16, 20), n_grains=3).patterns)
    >>> source, bins = pattern_source(scan, None, 8), np.arange(4096, dtype=np.int32).reshape(64, 64) // 4
    >>> taken, pairs = sampled((16, 20), np.arange(320), np.random.default_rng(0))
    >>> sample = group_sums(source, np.zeros_like(bins), 1, bins, 1024, taken)[1]
    >>> reduced_places(source, bins, "sqrt", sample, pairs, np.arange(320), 0)[0].shape
    (320, 3)
    """
    directions = find_directions(np.asarray(prepare(Recipe(sample, normalize=normalize))), pairs, seed=seed)
    reducing = Reducing(bins, sample.shape[1], normalize, directions)
    if len(sample) == len(there):
        return reducing.of_bins(sample), directions
    size = directions.basis.shape[1]
    taken = np.zeros(len(source), dtype=bool)
    taken[there] = True

    def visit() -> tuple[Any, ...]:
        places = np.empty((len(source), size), dtype=np.float32)
        passes = begin(source, "places", None, None, {}, 4 * size + 1, piece_bytes(), quiet=True)
        rows, into = [PerRow(passes.source, taken)], [PerRow(passes.source, places)]
        passes.once("places", _place_all, reducing, rows=rows, into=into)
        return (places if taken.all() else places[there],)

    (found,) = step(source, "places", visit)
    return np.asarray(found), directions


def _place_all(x: NDArray[Any], reducing: Reducing, index: int, taken: NDArray[np.bool_]) -> tuple[Any, ...]:
    places = np.zeros((len(x), reducing.directions.basis.shape[1]), dtype=np.float32)
    if taken.any():
        places[taken] = reducing.of(x if taken.all() else x[taken])
    return (), places


@dataclass(frozen=True, eq=False)
class Nearest:
    """How a pattern gets a label: the nearest of centres to its place."""

    reducing: Reducing
    centers: Floats

    def of(self, x: NDArray[Any]) -> NDArray[np.int32]:
        """The label of each row."""
        places = self.reducing.of(x)
        return _emcore.kmeans_nearest(places, self.centers, metric="euclidean", weights=None)[0]


def label_all(
    source: Source, nearest: Nearest, empty: NDArray[np.bool_], shape: tuple[int, int]
) -> tuple[NDArray[np.int32], Floats]:
    """
    The nearest centre of every pattern, -1 of those that are empty; and the sums of the patterns of each.

    Returns
    -------
    labels : ndarray, shape (n,), int32
    sums : ndarray, shape (k, ky, kx), float64
    """
    k = len(nearest.centers)

    def visit() -> tuple[Any, ...]:
        labels = np.empty(len(source), dtype=np.int32)
        passes = begin(source, "labels", None, None, {}, 8, 8 * k * source.shape[1] * COPIES, quiet=True)
        rows, into = [PerRow(passes.source, empty)], [PerRow(passes.source, labels)]
        (sums,) = passes(_label_all, nearest, rows=rows, into=into)
        return labels, sums

    labels, sums = step(source, "labels", visit)
    return labels, sums.reshape(k, *shape)


def _label_all(x: NDArray[Any], nearest: Nearest, index: int, empty: NDArray[np.bool_]) -> tuple[Any, ...]:
    labels = np.full(len(x), -1, dtype=np.int32)
    there = np.flatnonzero(~empty)
    if len(there):
        labels[there] = nearest.of(x if len(there) == len(x) else x[there])
    return (_emcore.sum_by_label(x, labels, len(nearest.centers))[0],), labels
