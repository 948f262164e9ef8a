"""Which rows, columns and pixels of a detector say nothing of the sample?

Gaps between chips, dead lines and lines of another gain lie across the whole detector, whatever falls on them; hot
pixels stand alone, where even the sharpest spot lights its neighbours too. Both are seen in the mean pattern of a scan.
"""

import warnings

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import count_of

# A line is broken if it is less than this part of the lines around it, or that much more, in so large a part of its
# pixels, of which at least so many must say something. Lines on both sides that are looked at.
_GAIN, _MOST, _LEAST, _LINES = 0.5, 0.9, 12, 4
# A hot pixel exceeds its surroundings, and nine of ten pixels, so many times, and so many deviations of noise; its
# third brightest neighbour by less than this part of that.
_TIMES, _DEVIATIONS, _ALONE = 2.0, 12.0, 0.03
# So many of its eight neighbours must be known.
_NEIGHBOURS = 5


def broken_pixels(mean: NDArray[np.float64]) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Rows, columns and pixels of a detector to be left out, and what is to be said of them.

    Parameters
    ----------
    mean : ndarray, shape (ky, kx)
        Mean pattern of a scan.

    Returns
    -------
    broken : ndarray of bool, shape (ky, kx)
    said : tuple of str
        Nothing where nothing is broken.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.broken import broken_pixels
    >>> mean = np.random.default_rng(0).poisson(100, (32, 32)).astype(float)
    >>> mean[7], mean[20, 5] = 0, 9000
    >>> broken, said = broken_pixels(mean)
    >>> int(broken.sum()), said
    (33, ('1 row and 1 pixel of the detector are far from those around them: left out',))
    """
    rows, columns = _lines(mean), _lines(mean.T)
    lines = rows[:, None] | columns[None, :]
    hot = _hot(np.where(lines, np.nan, mean))
    counts = {"row": int(rows.sum()), "column": int(columns.sum()), "pixel": int(hot.sum())}
    texts = [count_of(count, name) for name, count in counts.items() if count]
    if not texts:
        return np.zeros(mean.shape, dtype=bool), ()
    listed = " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
    one = sum(counts.values()) == 1
    said = (
        f"{listed} of the detector {'is' if one else 'are'} far from those around {'it' if one else 'them'}: left out"
    )
    return lines | hot, (said,)


def mended(mean: NDArray[np.float64], broken: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A mean pattern whose broken pixels hold what the nearest of the others holds.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.broken import mended
    >>> mended(np.array([[1.0, 0.0, 3.0]]), np.array([[False, True, False]])).tolist()
    [[1.0, 1.0, 3.0]]
    """
    from scipy import ndimage

    if not broken.any() or broken.all():
        return mean
    nearest = ndimage.distance_transform_edt(broken, return_distances=False, return_indices=True)
    filled: NDArray[np.float64] = mean[tuple(nearest)]
    return filled


def _lines(mean: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows that differ from the rows around them in nearly all of their pixels."""
    height = len(mean)
    broken = np.zeros(height, dtype=bool)
    if height <= 2 * _LINES:
        return broken
    floor = min(float(mean.min()), 0.0)
    values = mean - floor
    padded = np.pad(values, ((_LINES, _LINES), (0, 0)), mode="reflect")
    for row in range(height):
        around = np.median(np.delete(padded[row : row + 2 * _LINES + 1], _LINES, axis=0), axis=0)
        telling = around > 0
        if np.count_nonzero(telling) < max(_LEAST, 0.5 * values.shape[1]):
            continue
        ratio = values[row, telling] / around[telling]
        broken[row] = np.mean(ratio < _GAIN) > _MOST or np.mean(ratio > 1 / _GAIN) > _MOST
    return broken


def _hot(mean: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixels far brighter than all around them, whose neighbours are no brighter than theirs; NaN is left out."""
    hot = np.zeros(mean.shape, dtype=bool)
    if min(mean.shape) < 5:
        return hot
    height, width = mean.shape
    padded = np.pad(mean, 2, constant_values=np.nan)
    places = [(i, j) for i in range(5) for j in range(5) if (i, j) != (2, 2)]
    around = np.stack([padded[i : i + height, j : j + width] for i, j in places])
    beside = np.stack([padded[i : i + height, j : j + width] for i, j in places if abs(i - 2) < 2 and abs(j - 2) < 2])
    known = (np.isfinite(around).sum(axis=0) >= len(places) // 2) & (np.isfinite(beside).sum(axis=0) >= _NEIGHBOURS)
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # a place among broken lines has no neighbour that says anything
        middle = np.nanmedian(around, axis=0)
        floor, bright = (float(np.nanquantile(mean, part)) for part in (0.01, 0.9))
        # Counting noise goes with the root of what is there; what that is to be multiplied by is measured.
        root = np.sqrt(np.maximum(middle, 0.1 * bright) - min(floor, 0.0))
        steps = np.abs(mean - middle) / np.where(root > 0, root, np.nan)
        if not np.isfinite(steps).any():
            return hot
        unit = max(1.4826 * float(np.nanmedian(steps)), float(np.nanquantile(steps, 0.98)) / 3)
        above = mean - middle
        hot = known & (above > _DEVIATIONS * unit * root) & (above > _TIMES * (np.maximum(middle, bright) - floor))
        beside = np.sort(np.where(np.isfinite(beside), beside, -np.inf), axis=0)
        hot &= np.maximum(beside[-3] - middle, 0) < _ALONE * above
    return np.asarray(hot & np.isfinite(mean), dtype=bool)
