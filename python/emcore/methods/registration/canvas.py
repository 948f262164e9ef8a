"""Scans on one grid: where each position lies in each, images blended, values brought to one scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.registration.images import inside
from emcore.methods.registration.transforms import about, apply, corners, grid_of, inverse

# Positions beyond which an overlap says what gain and offset are.
_FEW = 20


@dataclass(frozen=True)
class Canvas:
    """
    Where each position of a mosaic lies in each scan.

    Attributes
    ----------
    origin : (int, int)
        Of the mosaic's first position, in positions of the first scan.
    shape : (int, int)
    places : list of ndarray, each of shape (Y * X, 2)
        Where they lie in each scan.
    covered : ndarray, shape (n, Y * X), bool
        Which of them each scan has measured.
    depth : ndarray, shape (n, Y * X), float64
        How far each is inside the scan, in positions of it; 0 outside.
    """

    origin: tuple[int, int]
    shape: tuple[int, int]
    places: list[Floats]
    covered: NDArray[np.bool_]
    depth: Floats


def canvas_of(transforms: Floats, masks: Sequence[NDArray[np.bool_]]) -> Canvas:
    """
    The smallest grid of the first scan's positions on which all scans lie.

    Parameters
    ----------
    transforms : ndarray, shape (n, 3, 3)
        From positions of each scan to those of the first.
    masks : sequence of ndarray of bool, each of shape (y, x)
        Where each has measured.

    Examples
    --------
    >>> import numpy as np
    >>> right = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 4.0], [0.0, 0.0, 1.0]])
    >>> canvas = canvas_of(np.stack([np.eye(3), right]), [np.ones((3, 6), bool)] * 2)
    >>> canvas.shape, canvas.covered.sum(axis=1).tolist()
    ((3, 10), [18, 18])
    """
    from scipy import ndimage

    ends = np.concatenate([apply(t, corners(m.shape)) for t, m in zip(transforms, masks, strict=True)])
    low, high = np.floor(ends.min(axis=0) + 1e-6).astype(int), np.ceil(ends.max(axis=0) - 1e-6).astype(int)
    shape = tuple(int(size) for size in high - low + 1)
    grid = grid_of(shape) + low
    places, covered, depth = [], [], []
    for transform, mask in zip(transforms, masks, strict=True):
        there = apply(inverse(transform), grid)
        on = inside(there, mask)
        distance = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        deep = np.zeros(len(grid))
        deep[on] = ndimage.map_coordinates(distance, there[on].T, order=1, mode="nearest")
        places.append(there)
        covered.append(on)
        depth.append(np.where(on, np.maximum(deep, 1e-3), 0.0))
    return Canvas((int(low[0]), int(low[1])), (shape[0], shape[1]), places, np.stack(covered), np.stack(depth))


def laid_out(canvas: Canvas, images: Sequence[NDArray[Any]]) -> Floats:
    """Each image on the canvas, shape (n, Y * X), between positions by lines; NaN outside."""
    from scipy import ndimage

    seen = np.full(canvas.covered.shape, np.nan)
    for k, image in enumerate(images):
        on = canvas.covered[k]
        values = np.where(np.isfinite(image), image, 0).astype(np.float64)
        seen[k, on] = ndimage.map_coordinates(values, canvas.places[k][on].T, order=1, mode="nearest")
    return seen


def matched_values(seen: Floats) -> tuple[Floats, Floats]:
    """
    Gain and offset by which images show the same where they overlap; those of the first are 1 and 0.

    Parameters
    ----------
    seen : ndarray, shape (n, Y * X)
        NaN outside.

    Examples
    --------
    >>> import numpy as np
    >>> first = np.random.default_rng(0).random(50)
    >>> gain, offset = matched_values(np.stack([first, 2 * first + 1]))
    >>> gain.round(6).tolist(), offset.round(6).tolist()
    ([1.0, 0.5], [0.0, -0.5])
    """
    count = len(seen)
    spreads, means = [], []
    for i in range(count):
        for j in range(i + 1, count):
            both = np.isfinite(seen[i]) & np.isfinite(seen[j])
            a, b = seen[i, both], seen[j, both]
            if len(a) > _FEW and a.std() > 0 and b.std() > 0:
                weight = np.sqrt(len(a))
                spreads.append((i, j, weight, np.log(b.std() / a.std())))
                means.append((i, j, weight, a.mean(), b.mean()))
    rows = np.zeros((len(spreads) + 1, count))
    known = np.zeros(len(rows))
    for row, (i, j, weight, ratio) in enumerate(spreads):
        rows[row, i], rows[row, j], known[row] = weight, -weight, weight * ratio
    rows[-1, 0] = 1e6
    gain = np.exp(np.linalg.lstsq(rows, known, rcond=None)[0])
    for row, (i, j, weight, a, b) in enumerate(means):
        known[row] = weight * (gain[j] * b - gain[i] * a)
    offset = np.linalg.lstsq(rows, known, rcond=None)[0]
    return np.asarray(gain, dtype=np.float64), np.asarray(offset, dtype=np.float64)


def blended(canvas: Canvas, images: Sequence[NDArray[Any]]) -> tuple[Floats, Floats, Floats]:
    """One image of all, each weighted by how far a position is inside; with the gain and offset of each."""
    seen = laid_out(canvas, images)
    gain, offset = matched_values(seen)
    values = np.where(canvas.covered, gain[:, None] * seen + offset[:, None], 0.0)
    total = canvas.depth.sum(axis=0)
    image = np.where(total > 0, (values * canvas.depth).sum(axis=0) / np.maximum(total, 1e-300), np.nan)
    return image.reshape(canvas.shape), gain, offset


def in_mosaic(canvas: Canvas, transforms: Floats) -> Floats:
    """Transforms to positions of the mosaic from those to positions of the first scan."""
    return np.asarray(about(np.eye(2), np.array(canvas.origin, dtype=np.float64), np.zeros(2)) @ transforms)
