"""Is a small region told from those beside it by more than noise?

Where counts are few, segments follow chance: positions whose noise is alike come together, and merge with nothing. The
product of the differences of two regions in the black and in the white fields of a chessboard is free of noise but for
what the choice of positions has in common. Small regions in which it stays within what noise makes of it join the
region beside them that is nearest.
"""

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.methods.superpixels.borders import touching
from emcore.methods.superpixels.slic import renumbered

Labels = NDArray[np.int32]

# Standard errors within which a difference is noise, chosen as positions are; how large such a region is, in segments.
_ERRORS, _SMALL = 15.0, 2.0


def without_noise(segments: Labels, labels: Labels, values: NDArray[np.float32], energy: float) -> Labels | None:
    """Segments, those of small regions of noise made part of one of the nearest region beside; None if there are none.

    Parameters
    ----------
    segments, labels : ndarray, shape (y, x), int32
        Segments and the regions of which they are parts; negative where nothing was measured.
    values : ndarray, shape (y, x, channels), float32
        Each channel over the deviation that its noise has.
    energy : float
        Sum over channels of the noise variance of a position.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.pieces_of_noise import without_noise
    >>> values = np.random.default_rng(0).normal(size=(8, 8, 50)).astype(np.float32)
    >>> values[:, 4:] += 2
    >>> labels = np.repeat(np.array([0, 1], dtype=np.int32), 4)[None].repeat(8, axis=0)
    >>> labels[:2, :2] = 2
    >>> without_noise(labels, labels, values, 50.0)[0].tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    count = int(labels.max()) + 1
    size = np.bincount(labels[labels >= 0], minlength=count)
    small = size <= _SMALL * np.mean(np.bincount(segments[segments >= 0]))
    pairs = touching(labels)[0].astype(np.intp)
    if not small[pairs].any():
        return None
    y, x = np.indices(labels.shape)
    fields = np.where(labels < 0, -1, 2 * labels + ((y + x) & 1)).astype(np.int32).ravel()
    sums, sizes = _emcore.sum_by_label(values.reshape(-1, values.shape[-1]), fields, 2 * count)
    halves = np.maximum(sizes.reshape(count, 2), 1).astype(np.float64)
    means = sums.reshape(count, 2, -1) / halves[:, :, None]
    joined = segments.copy()
    of_segments, sides = touching(segments)
    region = np.zeros(int(segments.max()) + 1, dtype=np.intp)
    region[segments[labels >= 0]] = labels[labels >= 0]
    for own in np.flatnonzero(small):
        beside = pairs[(pairs == own).any(axis=1)].sum(axis=1) - own
        if not len(beside):
            continue
        apart = means[own] - means[beside]
        squares = np.einsum("ij,ij->i", apart[:, 0], apart[:, 1])
        errors = energy * np.sqrt((1 / halves[own] + 1 / halves[beside]).prod(axis=1) / values.shape[-1])
        nearest = int(squares.argmin())
        if squares[nearest] > _ERRORS * errors[nearest] or size[beside[nearest]] < size[own]:
            continue
        between = np.sort(region[of_segments], axis=1) == np.sort([own, beside[nearest]])
        longest = of_segments[between.all(axis=1)][sides[between.all(axis=1)].argmax()]
        joined[labels == own] = longest[0] if region[longest[0]] != own else longest[1]
    return renumbered(joined) if (joined != segments).any() else None
