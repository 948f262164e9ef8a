"""To which of some spectra is each position's at the smallest angle, and is that angle more than its noise makes?

The angle between two spectra as vectors does not change with the gain of either (Kruse et al., Remote Sens. Environ. 44
(1993) 145). The cosines of all angles come of one read of the data: of spectra as they were measured from the kernel of
correlations, whose means and norms take back what it subtracts; of derivatives from products with the few directions
that the smoothed derivative has.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats

# Of the directions of a derivative, those beyond this part of the strongest are none.
_FLAT = 1e-6
# Part of the positions that noise alone puts beyond the limit; deviations of the variation within a group that it adds.
_BEYOND, _SIGMAS = 1e-3, 3.0
# References that noise confuses so often are one: those as far apart as one deviation of a position's noise.
_APART = 1.0


class Directions:
    """
    Of references, and of what makes spectra of what was measured.

    Parameters
    ----------
    references : ndarray, shape (k, d)
    matrix : ndarray, shape (d, d), optional
        What was measured, times this, is a spectrum as the references are; by default it is one.
    """

    def __init__(self, references: Floats, matrix: Floats | None = None) -> None:
        self.references, norms = references, np.linalg.norm(references, axis=1, keepdims=True)
        self.units: Floats = references / np.maximum(norms, 1e-300)
        self._columns: Floats | None = None
        if matrix is not None:
            left, sizes, right = np.linalg.svd(matrix)
            used = sizes > _FLAT * sizes[0]
            self._columns = np.hstack([(sizes[used, None] * right[used]).T, np.full((len(matrix), 1), 1 / len(matrix))])
            self._turned: Floats = self.units @ left[:, used]

    def of(self, rows: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
        """
        Of every row the cosine of its angle with each reference, shape (n, k), its norm, and the mean of its values.

        Zeros where a row has NaN or infinity, or a norm of zero.
        """
        if self._columns is None:
            r, means, norms = _emcore.correlations(rows, self.references)
            centred = self.units.mean(axis=1)
            products = norms[:, None] * r * np.linalg.norm(self.units - centred[:, None], axis=1)
            products += (rows.shape[1] * means)[:, None] * centred
            whole = np.sqrt(np.square(norms) + rows.shape[1] * np.square(means))
        else:
            turned = _emcore.x_q(rows, self._columns)
            turned, means = turned[:, :-1], turned[:, -1]
            products, whole = turned @ self._turned.T, np.linalg.norm(turned, axis=1)
        there = np.isfinite(whole) & (whole > 0)
        cosines = np.where(there[:, None], products / np.where(there, whole, 1.0)[:, None], 0.0)
        return np.clip(cosines, -1.0, 1.0), np.where(there, whole, 0.0), np.where(there, means, 0.0)


class Assigned(NamedTuple):
    """
    References of positions.

    Attributes
    ----------
    labels : ndarray of int32, shape (n,)
        That of the smallest angle; -1: none.
    angle, second : ndarray of float32, shape (n,)
        In degrees, with the nearest and the second nearest; of one reference the second is 90.
    """

    labels: NDArray[np.int32]
    angle: NDArray[np.float32]
    second: NDArray[np.float32]


def nearest(cosines: Floats) -> Assigned:
    """
    The reference of the largest cosine of each row; at 90 degrees and more there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.peaks.angles import nearest
    >>> found = nearest(np.array([[0.5, 1.0], [-0.1, -0.2]]))
    >>> found.labels.tolist(), found.angle.round().tolist(), found.second.round().tolist()
    ([1, -1], [0.0, 96.0], [60.0, 102.0])
    """
    labels = cosines.argmax(axis=1).astype(np.int32)
    two = cosines if cosines.shape[1] > 1 else np.hstack([cosines, np.zeros((len(cosines), 1))])
    two = np.sort(two, axis=1)
    first, second = (np.degrees(np.arccos(two[:, -i])).astype(np.float32) for i in (1, 2))
    labels[first >= 90] = -1
    return Assigned(labels, first, second)


def within_noise(
    labels: NDArray[np.int32],
    angle: NDArray[np.float32],
    expected: Floats,
    independent: tuple[float, float],
    k: int,
) -> NDArray[np.bool_]:
    """
    Which positions are no farther from their reference than noise and the variation within a group explain.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    angle : ndarray, shape (n,)
        In degrees, below 90 where there is a label.
    expected : ndarray, shape (n,)
        Square of the tangent that noise is expected to make.
    independent : (float, float)
        How many independent values the noise has, and how many it was measured on.
    k : int
        How many references.

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.peaks.angles import within_noise
    >>> angle = np.array([10, 10.5, 9.5, 10, 40], dtype=np.float32)
    >>> within_noise(np.zeros(5, np.int32), angle, np.full(5, 0.03), (50, 50), 1).tolist()
    [True, True, True, True, False]
    """
    from scipy.stats import f

    tangents = np.square(np.tan(np.radians(np.minimum(angle.astype(np.float64), 89.9))))
    # The ratio of two estimates of one variance.
    limit = expected * float(f.isf(_BEYOND, *independent))
    for group in range(k):
        own = labels == group
        if own.any():
            beyond = max(float(np.median(tangents[own] - expected[own])), 0.0)
            limit[own] += np.square(_SIGMAS) * beyond
    inside: NDArray[np.bool_] = (labels >= 0) & (tangents <= limit + 1e-9)
    return inside


def indistinct(references: Floats, matrix: Any, profile: Floats, level: float) -> list[list[int]]:
    """
    Which references the noise of a position cannot tell apart, as lists of their numbers.

    Parameters
    ----------
    references : ndarray, shape (k, d)
    matrix : sparse matrix, shape (d, d), or None
        That makes spectra of what was measured, if anything does.
    profile : ndarray, shape (d,)
        Standard deviation of the noise of what was measured, in units of `level`.
    level : float

    Returns
    -------
    list of list of int

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.peaks.angles import indistinct
    >>> references = np.array([[1, 0, 9], [9, 0, 1], [1, 0.1, 9]])
    >>> indistinct(references, None, np.ones(3), 1.0)
    [[0, 2], [1]]
    """
    norms = np.maximum(np.linalg.norm(references, axis=1), 1e-300)
    of = np.arange(len(references))
    for a in range(len(references)):
        for b in range(a + 1, len(references)):
            apart = references[a] / norms[a] - references[b] / norms[b]
            length = float(np.linalg.norm(apart))
            along = apart / max(length, 1e-300)
            measured = along if matrix is None else matrix.T @ along
            noise = level * float(np.linalg.norm(measured * profile))
            if min(norms[a], norms[b]) * length <= _APART * noise:
                of[of == of[b]] = of[a]
    return [np.flatnonzero(of == group).tolist() for group in dict.fromkeys(of.tolist())]
