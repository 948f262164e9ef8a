"""To which phase does each position belong by its correlations, and how reliable is that?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Assignment(NamedTuple):
    """
    Phases of positions.

    Attributes
    ----------
    labels : ndarray of int32, shape (n,)
        The phase of each position; -1: none.
    correlation : ndarray of float32, shape (n,)
        r1, with the phase that fits best, also where that is too little.
    difference : ndarray of float32, shape (n,)
        r1 - r2, r2 being the largest correlation with another phase, 0 where that is negative; 0 without a phase.
    reliability : ndarray of float32, shape (n,)
        100 (1 - r2 / r1), from 0 to 100; 0 without a phase.
    """

    labels: NDArray[np.int32]
    correlation: NDArray[np.float32]
    difference: NDArray[np.float32]
    reliability: NDArray[np.float32]


def assign(r: NDArray[np.float32], phases: Sequence[int] | NDArray[np.intp], least: float = 0.0) -> Assignment:
    """
    The phase of the largest correlation at each position.

    Parameters
    ----------
    r : ndarray, shape (n, k)
        Correlation with each of k references; 0 throughout where there is none.
    phases : sequence of int, length k
        The phase of each reference, from 0 on: of a phase the reference counts that fits best.
    least : float
        A position whose largest correlation is not above 0, or below this, has no phase.

    Returns
    -------
    Assignment

    References
    ----------
    W. Adrar et al., EMC 2024 no. 145; the reliability is that of orientation maps, E. F. Rauch, L. Dupuy, Arch. Metall.
    Mater. 50 (2005) 87.

    Examples
    --------
    Two references of one phase do not make each other unreliable:

    >>> import numpy as np
    >>> r = np.array([[0.9, 0.88, 0.45], [-0.2, -0.1, 0.8], [0.0, 0.0, 0.0]], dtype=np.float32)
    >>> found = assign(r, [0, 0, 1])
    >>> found.labels.tolist(), found.reliability.round().tolist()
    ([0, 1, -1], [50.0, 100.0, 0.0])
    """
    of, n = np.asarray(phases), len(r)
    best = np.stack([r[:, of == phase].max(axis=1) for phase in range(int(of.max()) + 1)], axis=1)
    labels = best.argmax(axis=1).astype(np.int32)
    first = best[np.arange(n), labels]
    best[np.arange(n), labels] = 0.0
    second = np.maximum(best.max(axis=1), 0.0)
    assigned = (first > 0) & (first >= least)
    labels[~assigned] = -1
    difference = np.where(assigned, first - second, np.float32(0))
    reliability = np.divide(100 * difference, first, out=np.zeros_like(first), where=assigned)
    return Assignment(labels, first, difference, reliability)
