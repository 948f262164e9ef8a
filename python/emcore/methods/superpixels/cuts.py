"""Does a border along which patterns change at once run through segments?

A segment that lies half in one grain and half in another is like both, which merge by way of it, however unlike they
are. Within each region that was merged at wide angles the positions are therefore parted in two by their own patterns,
along the direction in which the means of its segments differ most. Where patterns change at once between the two sides,
see `emcore.methods.superpixels.steps`, segments are cut along that border.
"""

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.methods.superpixels.pieces import connected_pieces
from emcore.methods.superpixels.slic import renumbered
from emcore.methods.superpixels.steps import ANGLE, step_between

Labels = NDArray[np.int32]

# Steps of the power method by which that direction is found; how often the sides are told anew from their own means;
# pieces of a side that are smaller join the other.
_POWERS, _ROUNDS, _SMALLEST = 10, 3, 4


def cut_at_steps(segments: Labels, labels: Labels, values: NDArray[np.float32], history: Floats) -> Labels | None:
    """Segments, cut where patterns change at once within them; None if they do nowhere.

    Parameters
    ----------
    segments, labels : ndarray, shape (y, x), int32
        Segments and the regions of which they are parts; negative where nothing was measured.
    values : ndarray, shape (y, x, channels), float32
        Each channel over the deviation that its noise has.
    history : ndarray, shape (mergings, 3)
        Those of the segments into the regions, see `emcore.methods.superpixels.borders.merge_along_borders`.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.cuts import cut_at_steps
    >>> values = np.random.default_rng(0).normal(size=(12, 24, 9)).astype(np.float32)
    >>> values[:, :12, 0] += 9
    >>> values[:, 12:, 1] += 9
    >>> segments = np.repeat(np.int32([0, 1, 2]), 8)[None].repeat(12, axis=0)
    >>> history = np.array([[0, 1, 0.7], [0, 2, 0.7]])
    >>> cut_at_steps(segments, np.zeros_like(segments), values, history)[0, 6:18].tolist()
    [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    """
    wide = history[history[:, 2] <= np.cos(np.radians(ANGLE)), :2].astype(np.intp)
    region = np.full(int(segments.max()) + 1, -1)
    region[segments[labels >= 0]] = labels[labels >= 0]
    cut, new = segments.copy(), int(segments.max()) + 1
    for label in np.unique(region[wide][region[wide] >= 0]):
        own = labels == label
        lines, columns = (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
        box = slice(lines[0], lines[-1] + 1), slice(columns[0], columns[-1] + 1)
        within = np.where(own[box], segments[box], np.int32(-1))
        sides = _sides(within, values[box])
        if sides is None or not (step := step_between(sides, values[box])) or not step.clear:
            continue
        for side in (0, 1):
            pieces = connected_pieces(np.where(sides == side, within, np.int32(-1)), _SMALLEST)
            cut[box][pieces >= 0] = new + pieces[pieces >= 0]
            new += int(pieces.max()) + 1
    cut = renumbered(cut)
    return cut if cut.max() > segments.max() else None


def _sides(segments: Labels, values: NDArray[np.float32]) -> Labels | None:
    """0 and 1 on the two sides of a region, -1 elsewhere; None if it has but one.

    Positions of each field of a chessboard are told apart by the means of the other.
    """
    there = segments >= 0
    numbers = np.unique(segments[there])
    if len(numbers) < 2:
        return None
    own = np.where(there, np.searchsorted(numbers, segments), -1).astype(np.int32)
    sums, sizes = _emcore.sum_by_label(values.reshape(-1, values.shape[-1]), own.ravel(), len(numbers))
    means = sums / sizes[:, None]
    means -= np.average(means, axis=0, weights=sizes)
    means *= np.sqrt(sizes)[:, None]
    widest = means[np.einsum("ij,ij->i", means, means).argmax()]
    for _ in range(_POWERS):
        widest = means.T @ (means @ widest)
        widest /= max(float(np.linalg.norm(widest)), np.finfo(np.float64).tiny)
    sides = np.where(there, (means @ widest > 0).astype(np.int32)[own], np.int32(-1))
    field = np.indices(segments.shape).sum(axis=0)[there] & 1
    rows = values[there]
    for _ in range(_ROUNDS):
        both = 2 * sides[there] + field
        sums, sizes = _emcore.sum_by_label(rows, both.astype(np.int32), 4)
        if sizes.min() == 0:
            return None
        of_sides = (sums / sizes[:, None]).reshape(2, 2, -1)
        apart, middle = of_sides[1] - of_sides[0], of_sides.mean(axis=0)
        scores = rows @ apart.T.astype(np.float32) - np.einsum("ij,ij->i", apart, middle)
        sides[there] = scores[np.arange(len(rows)), 1 - field] > 0
    # Every piece is of the side of most of its positions.
    pieces = connected_pieces(sides, _SMALLEST)[there]
    sides[there] = (2 * np.bincount(pieces, sides[there]) > np.bincount(pieces))[pieces]
    return sides if len(np.unique(sides[there])) == 2 else None
