"""Which segments are of one grain: how alike are patterns on the two sides of a border, and where exactly does it run?

Where a crystal bends or the beam drifts, the two ends of a grain differ as much as two grains do, but segments that
touch within it are alike; across a border of grains they are not. Regions are merged by the likeness of the segments
along their common border, most alike first, until one is left: what follows is only where to stop.

The likeness of two segments is the correlation of their mean patterns less the mean of all, a.b / (|a| |b|). Noise
makes means of few positions longer, so that they seem unlike. The product of the means of two halves of a segment, the
black and the white fields of a chessboard, has none of it: their noise has nothing in common. That is |a|^2.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats

Labels = NDArray[np.int32]

# Pairs whose products are formed at a time.
_PAIRS = 4096
# How often positions at borders are looked at; what an unlike neighbour costs, in units of the logarithm of likelihood.
_ROUNDS, _UNLIKE = 3, 1.0
_POSITIONS = 2048


Sides = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""Which segments lie on the one and on the other side of a border, each of shape (segments,)."""


def merge_along_borders(segments: Labels, values: NDArray[np.float32], parted: Sequence[Sides] = ()) -> Floats:
    """All mergings of segments down to one, those most alike along their common border first.

    Parameters
    ----------
    segments : ndarray, shape (y, x), int32
        From 0 on without gaps; negative ones are no segments. They touch along sides.
    values : ndarray, shape (y, x, channels), float32
        Each channel over the deviation that its noise has.
    parted : sequence of Sides, optional
        Segments of the one and of the other side count as unlike, however alike they are.

    Returns
    -------
    ndarray, shape (mergings, 3), float64
        In their order: the segment that goes on, the one that is gone, the correlation along their border; falling.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.borders import merge_along_borders
    >>> angles = np.radians([0, 0, 20, 20, 40, 40, 150, 150])
    >>> values = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[None].astype(np.float32)
    >>> merge_along_borders(np.array([[0, 0, 1, 1, 2, 2, 3, 3]], dtype=np.int32), values)[:, :2].astype(int).tolist()
    [[0, 1], [0, 2], [0, 3]]
    """
    count = int(segments.max()) + 1
    pairs, lengths = touching(segments)
    if not len(pairs):
        return np.empty((0, 3))
    means, norms = _means(segments, values, count)
    products = np.empty(len(pairs))
    for start in range(0, len(pairs), _PAIRS):
        part = pairs[start : start + _PAIRS]
        products[start : start + _PAIRS] = np.einsum("ij,ij->i", means[part[:, 0]], means[part[:, 1]])
    both = norms[pairs[:, 0]] * norms[pairs[:, 1]]
    # Two that are the mean of all are alike, if anything is.
    nothing = both == 0
    products[nothing] = (norms[pairs] == 0).all(axis=1)[nothing]
    both[nothing] = 1
    for first, second in parted:
        across = (first[pairs] & second[pairs[:, ::-1]]).any(axis=1)
        products[across] = np.minimum(products[across], 0)
    steps = _emcore.merge_borders(count, pairs, products * lengths, both * lengths)
    return np.array(steps, dtype=np.float64).reshape(-1, 3)


def touching(segments: Labels) -> tuple[NDArray[np.uint32], Floats]:
    """Pairs of segments with a side in common, the lower first, and how many sides.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.borders import touching
    >>> pairs, lengths = touching(np.array([[0, 0, 1], [2, 2, 1]], dtype=np.int32))
    >>> pairs.tolist(), lengths.tolist()
    ([[0, 1], [0, 2], [1, 2]], [1.0, 2.0, 1.0])
    """
    sides = [
        np.stack([first.ravel(), second.ravel()], axis=1)
        for first, second in ((segments[:-1], segments[1:]), (segments[:, :-1], segments[:, 1:]))
    ]
    both = np.concatenate(sides)
    both = np.sort(both[(both[:, 0] != both[:, 1]) & (both >= 0).all(axis=1)], axis=1)
    pairs, lengths = np.unique(both, axis=0, return_counts=True)
    return np.ascontiguousarray(pairs, dtype=np.uint32), lengths.astype(np.float64)


def _means(segments: Labels, values: NDArray[np.float32], count: int) -> tuple[Floats, Floats]:
    """Means of the segments less the mean of all, and their lengths without noise."""
    rows = values.reshape(-1, values.shape[-1])
    y, x = np.indices(segments.shape)
    fields = np.where(segments < 0, -1, 2 * segments + ((y + x) & 1)).astype(np.int32).ravel()
    sums, sizes = _emcore.sum_by_label(rows, fields, 2 * count)
    sums, sizes = sums.reshape(count, 2, -1), sizes.reshape(count, 2).astype(np.float64)
    origin = sums.sum(axis=(0, 1)) / sizes.sum()
    means = sums.sum(axis=1) / np.maximum(sizes.sum(axis=1), 1)[:, None] - origin
    raw = np.einsum("ij,ij->i", means, means)
    sums /= np.maximum(sizes, 1)[:, :, None]
    sums -= origin
    halved = sizes.min(axis=1) > 0
    squares = np.einsum("ij,ij->i", sums[:, 0], sums[:, 1])
    apart = np.square(sums[:, 0] - sums[:, 1]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = apart / (1 / sizes).sum(axis=1)
        # No less than twice what noise alone would make of it.
        least = 2 * noise / np.sqrt(sizes.prod(axis=1) * rows.shape[1])
    squares = np.where(halved, np.maximum(squares, np.where(halved, least, 0)), raw)
    # What is left of the mean of all is rounding.
    return means, np.sqrt(np.where(raw > 1e-24 * float(origin @ origin), squares, 0.0))


def settle_borders(segments: Labels, labels: Labels, values: NDArray[np.float32], energy: float) -> Labels:
    """Move positions at the borders of grains to the grain that they resemble most.

    A position goes over if the mean of a grain beside it is nearer to it than that of its own, which is taken without
    the position itself, and of grains that explain it alike to that of most of its neighbours: the likelihood of
    Gaussian noise, and a cost for unlike neighbours (Besag 1986). No grain and no segment falls apart.

    Parameters
    ----------
    segments, labels : ndarray, shape (y, x), int32
        Segments and the grains of which they are parts, both from 0 on; -1 where nothing was measured.
    values : ndarray, shape (y, x, channels), float32
        Each channel over the deviation that its noise has.
    energy : float
        Sum over channels of the noise variance of a position, see `emcore.scans.channels.noise_energy`.

    Returns
    -------
    ndarray, shape (y, x), int32
        Segments: a position that goes over is of that of the neighbour which it joins. Some may be empty.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.borders import settle_borders
    >>> values = np.zeros((4, 8, 5), dtype=np.float32)
    >>> values[:, 5:] = 9
    >>> rough = (np.arange(8) > 3).astype(np.int32) * np.ones((4, 1), dtype=np.int32)
    >>> settle_borders(rough, rough, values, 5.0)[0].tolist()
    [0, 0, 0, 0, 0, 1, 1, 1]
    """
    rows = values.reshape(-1, values.shape[-1])
    segments, labels = segments.copy(), labels.copy()
    y, x = np.indices(labels.shape)
    for _ in range(_ROUNDS):
        moved = 0
        sums, sizes = _emcore.sum_by_label(rows, labels.ravel(), int(labels.max()) + 1)
        means = _Means((sums / np.maximum(sizes, 1)[:, None]).astype(np.float32), sizes, energy)
        # Positions that move together are no neighbours, not even across a corner.
        for field in np.ndindex(2, 2):
            own = (y % 2 == field[0]) & (x % 2 == field[1]) & (labels >= 0)
            moved += _move(own & _loose(labels) & _loose(segments), segments, labels, rows, means)
        if not moved:
            break
    return segments


class _Means:
    """Mean signals of grains, how many positions each has, and the noise of one."""

    def __init__(self, means: NDArray[np.float32], sizes: NDArray[np.int64], energy: float) -> None:
        self.means, self.sizes, self.energy = means, sizes, energy
        self.squares = np.einsum("ij,ij->i", means, means, dtype=np.float64)

    def costs(self, rows: NDArray[np.float32], own: Labels, candidates: Labels) -> Floats:
        """Minus the logarithm of the likelihood of each row as of each of its candidates."""
        away = _distances(rows, candidates, self.means, self.squares)
        itself = candidates == own[:, None]
        others = np.where(itself, self.sizes[candidates] - 1, self.sizes[candidates]).astype(np.float64)
        least = np.maximum(others, 1)
        # The mean of a grain holds the position itself; and means have a noise of their own.
        away *= np.where(itself, np.square(self.sizes[candidates] / least), 1.0)
        away -= self.energy / least
        unit = max(self.energy / rows.shape[1], float(np.finfo(np.float32).tiny))
        return np.where(others > 0, 0.5 * away / unit, np.inf)


def _move(at: NDArray[np.bool_], segments: Labels, labels: Labels, rows: NDArray[np.float32], means: _Means) -> int:
    """Let the positions of one field that lie at a border join the grain that they resemble most; how many did."""
    around, around_segments = (_neighbours(each)[..., ::2] for each in (labels, segments))
    border = ((around != labels[..., None]) & (around >= 0)).any(axis=-1)
    places = np.flatnonzero((at & border).ravel())
    moved = 0
    for start in range(0, len(places), _POSITIONS):
        some = places[start : start + _POSITIONS]
        own, beside = labels.ravel()[some], around.reshape(-1, 4)[some]
        candidates = np.concatenate([own[:, None], np.where(beside < 0, own[:, None], beside)], axis=1)
        cost = means.costs(rows[some], own, candidates)
        unlike = (beside[:, None, :] != candidates[:, :, None]) & (beside[:, None, :] >= 0)
        best = (cost + _UNLIKE * unlike.sum(axis=-1)).argmin(axis=1)
        goes = np.flatnonzero(candidates[np.arange(len(best)), best] != own)
        toward = best[goes] - 1
        labels.ravel()[some[goes]] = beside[goes, toward]
        segments.ravel()[some[goes]] = around_segments.reshape(-1, 4)[some[goes], toward]
        moved += len(goes)
    return moved


def _neighbours(labels: Labels) -> Labels:
    """Labels of the eight neighbours, from the one above on in a circle, shape (y, x, 8); -1 beyond the scan."""
    padded = np.pad(labels, 1, constant_values=-1)
    height, width = labels.shape
    circle = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    return np.stack([padded[i : i + height, j : j + width] for i, j in circle], axis=-1)


def _loose(labels: Labels) -> NDArray[np.bool_]:
    """Positions without which their label stays one piece: of a connectivity number of at most 1 (Yokoi 1973)."""
    own = _neighbours(labels) == labels[..., None]
    side, corner = own[..., ::2], own[..., 1::2]
    branches = side & ~(corner & np.roll(side, -1, axis=-1))
    return np.asarray(branches.sum(axis=-1) <= 1, dtype=bool)


def _distances(rows: NDArray[np.float32], candidates: Labels, means: NDArray[np.float32], squares: Floats) -> Floats:
    """Squared distances of rows from the means of their candidates, each computed once where candidates repeat."""
    ordered = np.sort(candidates, axis=1)
    first = np.ones(ordered.shape, dtype=bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    row, column = np.nonzero(first)
    label = ordered[row, column]
    own = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    apart = own[row] - 2 * np.einsum("ij,ij->i", rows[row], means[label], dtype=np.float64) + squares[label]
    spread = np.zeros(candidates.shape)
    for slot in range(candidates.shape[1]):
        # Where in its row's sorted candidates this one stands.
        match = candidates[row, slot] == label
        spread[row[match], slot] = apart[match]
    return spread
