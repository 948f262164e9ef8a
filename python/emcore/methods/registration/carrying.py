"""Which grain is there, between the positions of a scan? The one that has most of the neighbourhood.

Labels of the nearest position put a border off by up to half a position to either side. Those around vote, each
weighted by a Gaussian of its distance, so that a border runs evenly between the positions that it parts; one that was
measured right there counts alone. Where several scans do not agree they vote together.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.registration.canvas import Canvas

# Of the Gaussian, in positions; a position that is nearer than that counts alone.
_SIGMA, _THERE = 0.7, 0.1
# Neighbours along each axis, from one before the position below.
_NEAR = np.stack(np.meshgrid(*[np.arange(-1, 3)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
# Places at a time.
_BLOCK = 1 << 16


def votes(labels: NDArray[np.int32], places: Floats) -> tuple[NDArray[np.int32], Floats]:
    """
    The labels around places, and their weights, which sum to 1 for each place.

    Parameters
    ----------
    labels : ndarray, shape (y, x), int32
        -1 where nothing was measured, which has no vote.
    places : ndarray, shape (n, 2)
        Their nearest positions must have been measured.

    Returns
    -------
    tuple of ndarray, each of shape (16, n)

    Examples
    --------
    >>> import numpy as np
    >>> found, weights = votes(np.array([[0, 0, 1, 1]], np.int32), np.array([[0.0, 1.4], [0.0, 2.0]]))
    >>> [round(float(weights[found[:, i] == 0, i].sum()), 2) for i in (0, 1)]
    [0.56, 0.0]
    """
    below = np.floor(places).astype(np.intp)
    index = below + _NEAR[:, None]
    within = ((index >= 0) & (index < np.array(labels.shape))).all(axis=-1)
    index = np.clip(index, 0, np.array(labels.shape) - 1)
    found = labels[index[..., 0], index[..., 1]]
    square = ((places - below - _NEAR[:, None]) ** 2).sum(axis=-1)
    weights = np.where(within & (found >= 0), np.exp(-square / (2 * _SIGMA**2)), 0.0)
    alone = square.min(axis=0) < _THERE**2
    weights[:, alone] = square[:, alone] == square[:, alone].min(axis=0)
    return found, weights / weights.sum(axis=0)


def elected(found: NDArray[np.int32], weights: Floats) -> NDArray[np.int32]:
    """The label with the most votes of each place, shape (n,); of labels and weights of shape (votes, n).

    Examples
    --------
    >>> import numpy as np
    >>> elected(np.array([[4], [2], [2]], np.int32), np.array([[0.5], [0.3], [0.3]])).tolist()
    [2]
    """
    best = np.zeros(found.shape[1])
    winner: NDArray[np.int32] = found[weights.argmax(axis=0), np.arange(found.shape[1])]
    for label in found:
        own = np.where(found == label, weights, 0.0).sum(axis=0)
        more = own > best + 1e-9
        best[more], winner[more] = own[more], label[more]
    return winner


def carried(canvas: Canvas, labels: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Labels of each scan on the canvas, shape (n, Y * X); -1 outside."""
    seen = np.full(canvas.covered.shape, -1, dtype=np.int32)
    for k, each in enumerate(labels):
        on = np.flatnonzero(canvas.covered[k])
        for start in range(0, len(on), _BLOCK):
            block = on[start : start + _BLOCK]
            seen[k, block] = elected(*votes(each, canvas.places[k][block]))
    return seen


def elected_together(canvas: Canvas, labels: Sequence[NDArray[np.int32]], where: NDArray[np.intp]) -> NDArray[np.int32]:
    """
    Labels of some positions of the canvas by the votes of all scans, each the more the farther it is inside.

    Parameters
    ----------
    canvas : Canvas
    labels : sequence of ndarray, each of shape (y, x), int32
        In which what is one has one label in all scans; -1 where nothing was measured.
    where : ndarray, shape (n,)
        Which positions; one scan at least must have measured there.
    """
    result = np.empty(len(where), dtype=np.int32)
    for start in range(0, len(where), _BLOCK):
        block = where[start : start + _BLOCK]
        found = np.full((len(labels) * len(_NEAR), len(block)), -1, dtype=np.int32)
        weights = np.zeros(found.shape)
        for k, each in enumerate(labels):
            on = np.flatnonzero(canvas.covered[k, block])
            rows = slice(k * len(_NEAR), (k + 1) * len(_NEAR))
            found[rows, on], own = votes(each, canvas.places[k][block[on]])
            weights[rows, on] = own * canvas.depth[k, block[on]]
        result[start : start + len(block)] = elected(found, weights)
    return result
