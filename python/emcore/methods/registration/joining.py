"""Which grains of overlapping scans are one? Those that lie on one another and whose mean patterns are alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.registration.canvas import Canvas
from emcore.methods.registration.carrying import elected_together

# Positions that two grains share at least.
_FEWEST = 3


@dataclass(frozen=True)
class Joined:
    """
    Grains of a mosaic, in the order of falling size.

    Attributes
    ----------
    labels : ndarray, shape (positions,), int32
        -1 where no scan measured.
    parts : list of list of (int, int)
        Of each grain the scans it is in, and its grain there.
    agreement : ndarray, shape (k,), float64
        Of the positions that several scans visited and one at least gave to the grain, the part all gave to it; NaN
        where there are hardly any.
    likeness : ndarray, shape (k,), float64
        The least correlation of the mean patterns of two parts that were joined; NaN of a grain of one part.
    """

    labels: NDArray[np.int32]
    parts: list[list[tuple[int, int]]]
    agreement: Floats
    likeness: Floats


@dataclass(frozen=True)
class Seam:
    """Two grains of two scans that share positions."""

    scans: tuple[int, int]
    grains: tuple[int, int]
    shared: int
    share: float
    likeness: float


def seams(carried: NDArray[np.int32], likeness: Callable[[int, int], Floats]) -> list[Seam]:
    """
    All pairs of grains of two scans that share positions.

    Parameters
    ----------
    carried : ndarray, shape (n, positions)
        Grains of each scan, -1 outside.
    likeness : callable
        The correlation of the mean patterns of each grain of one scan with each of another, shape (k, l).
    """
    found = []
    count = len(carried)
    for i in range(count):
        for j in range(i + 1, count):
            both = (carried[i] >= 0) & (carried[j] >= 0)
            if not both.any():
                continue
            shared = np.zeros((int(carried[i].max()) + 1, int(carried[j].max()) + 1), dtype=np.int64)
            np.add.at(shared, (carried[i, both], carried[j, both]), 1)
            alike = likeness(i, j)
            of_i, of_j = shared.sum(axis=1), shared.sum(axis=0)
            for a, b in np.argwhere(shared):
                share = float(shared[a, b] / min(of_i[a], of_j[b]))
                found.append(Seam((i, j), (int(a), int(b)), int(shared[a, b]), share, float(alike[a, b])))
    return found


def joined_grains(
    canvas: Canvas,
    labels: Sequence[NDArray[np.int32]],
    carried: NDArray[np.int32],
    pairs: list[Seam],
    min_share: float,
    min_likeness: float,
) -> Joined:
    """
    One label for what is one grain; where scans disagree they vote, the more the farther a position is inside.

    Parameters
    ----------
    canvas : Canvas
    labels : sequence of ndarray, each of shape (y, x), int32
        Grains of each scan, -1 where nothing was measured.
    carried : ndarray, shape (n, positions)
        The same on the canvas, -1 outside.
    pairs : list of Seam
    min_share, min_likeness : float
        Of the smaller one in the seam, and of mean patterns: what is joined.
    """
    first = np.concatenate([[0], np.cumsum([int(each.max()) + 1 for each in labels])])
    root = np.arange(first[-1])
    links = [
        (first[s.scans[0]] + s.grains[0], first[s.scans[1]] + s.grains[1], s.likeness)
        for s in pairs
        if _is_one(s, min_share, min_likeness)
    ]
    for a, b, _ in links:
        one, other = sorted((int(root[a]), int(root[b])))
        root[root == other] = one
    several = np.where(carried >= 0, root[np.maximum(carried + first[:-1, None], 0)], -1)
    merged = several.max(axis=0)
    differ = np.flatnonzero(((several >= 0) & (several != merged)).any(axis=0))
    of_roots = [
        np.where(each >= 0, root[np.maximum(each, 0) + start], -1).astype(np.int32)
        for each, start in zip(labels, first, strict=False)
    ]
    merged[differ] = elected_together(canvas, of_roots, differ)
    names, index, size = np.unique(merged[merged >= 0], return_inverse=True, return_counts=True)
    order = np.argsort(-size, kind="stable")
    rank = np.full(len(root) + 1, -1, dtype=np.int32)
    rank[names[order]] = np.arange(len(names))
    least = np.full(len(names), np.inf)
    for a, _, alike in links:
        grain = rank[root[a]]
        if grain >= 0:
            least[grain] = min(least[grain], alike)
    parts: list[list[tuple[int, int]]] = [[] for _ in names]
    for scan in range(len(labels)):
        for grain in range(first[scan + 1] - first[scan]):
            mine = rank[root[first[scan] + grain]]
            if mine >= 0:
                parts[mine].append((scan, grain))
    new = np.full(merged.shape, -1, dtype=np.int32)
    new[merged >= 0] = rank[names[index]]
    return Joined(new, parts, _agreement(rank[several], len(names)), np.where(np.isfinite(least), least, np.nan))


def _agreement(several: NDArray[np.int32], count: int) -> Floats:
    """Of the positions of several scans that one gave to a grain, the part that all gave to it."""
    seam = (several >= 0).sum(axis=0) > 1
    seen = several[:, seam]
    most, least = seen.max(axis=0), np.where(seen < 0, np.iinfo(np.int32).max, seen).min(axis=0)
    together = np.bincount(most[most == least], minlength=count)
    sorted_ = np.sort(seen[:, most != least], axis=0)
    once = (sorted_ >= 0) & np.concatenate([np.ones((1, sorted_.shape[1]), dtype=bool), np.diff(sorted_, axis=0) != 0])
    any_ = np.bincount(sorted_[once], minlength=count)
    total = together + any_
    return np.where(total >= _FEWEST, together / np.maximum(total, 1), np.nan)


def seam_of(carried: NDArray[np.int32], pairs: list[Seam], min_share: float, min_likeness: float) -> Floats:
    """Where several scans have a grain, 1 if those are one for each two of them, else 0; NaN elsewhere."""
    one = {(s.scans, s.grains) for s in pairs if _is_one(s, min_share, min_likeness)}
    agree = np.full(carried.shape[1], np.nan)
    for i in range(len(carried)):
        for j in range(i + 1, len(carried)):
            both = (carried[i] >= 0) & (carried[j] >= 0)
            if not both.any():
                continue
            alike = np.zeros((int(carried[i].max()) + 1, int(carried[j].max()) + 1))
            for scans, grains in one:
                if scans == (i, j):
                    alike[grains] = 1
            agree[both] = np.fmin(agree[both], alike[carried[i, both], carried[j, both]])
    return agree


def _is_one(seam: Seam, min_share: float, min_likeness: float) -> bool:
    return seam.shared >= _FEWEST and seam.share >= min_share and seam.likeness >= min_likeness
