"""Of which phase is every row, by its correlations with references, and what is the sum of each phase?"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.validation import Floats, as_pixels, as_rows
from emcore.methods.correlation.assignment import Assignment, assign
from emcore.methods.correlation.coefficients import Correlations
from emcore.outofcore.engine import begin
from emcore.outofcore.open import open_rows
from emcore.outofcore.reduction import PerRow
from emcore.outofcore.sources import Source


class Phases(NamedTuple):
    """
    Rows as phases.

    Attributes
    ----------
    correlations : Correlations
    assignment : Assignment
    sums : ndarray, shape (p + 1, d), float64
        Of the rows of each phase; last, of those that are of none though neither constant nor without a finite value.
    counts : ndarray, shape (p + 1,), int64
        Of how many rows.
    """

    correlations: Correlations
    assignment: Assignment
    sums: Floats
    counts: NDArray[np.int64]


def classify(
    X: Any,
    references: ArrayLike,
    phases: Sequence[int] | NDArray[np.intp],
    least: float = 0.0,
    *,
    memory: int | str | None = None,
    checkpoint: Any = None,
) -> Phases:
    """
    The phase of every row of X, and the sum of the rows of each, in one read of X.

    Parameters
    ----------
    X : array-like, shape (n, d)
        Any pixel type; neither converted nor copied. What is out of core is visited in blocks.
    references : array-like, shape (k, d)
        None of them constant.
    phases, least
        As of `assign`.
    memory : int or str, optional
        What is out of core takes at most so much, as "1 GiB".
    checkpoint : path, optional
        Where the pass is saved on its way.

    Returns
    -------
    Phases

    Raises
    ------
    ValueError
        References of another length, of one value or not finite; a checkpoint of another job.

    Examples
    --------
    >>> from emcore.methods.correlation.phases import classify
    >>> found = classify([[1, 2, 3], [9, 8, 7], [5, 5, 5]], [[-1.0, 0.0, 1.0], [1.0, 0.0, -1.0]], [0, 1])
    >>> found.assignment.labels.tolist(), found.sums.tolist()
    ([0, 1, -1], [[1.0, 2.0, 3.0], [9.0, 8.0, 7.0], [0.0, 0.0, 0.0]])
    """
    rows: Any = open_rows(X, memory=memory, checkpoint=checkpoint)
    units = as_rows(references, "references").astype(np.float64)
    state = units, np.asarray(phases), least
    if not isinstance(rows, Source):
        (sums, counts), *values = _classify(as_pixels(rows, "X", 2), state, 0)
    else:
        n, k = rows.shape[0], len(units)
        values = [np.empty((n, k), np.float32), np.empty(n), np.empty(n)]
        settings = {"references": units, "phases": state[1], "least correlation": least}
        fixed = 16 * units.size + 32 * (k + 1) * rows.shape[1]
        passes = begin(rows, "phases", memory, checkpoint, settings, 4 * k + 24, fixed, quiet=True)
        into = [PerRow(passes.source, of_rows) for of_rows in values]
        sums, counts = passes.once("phases", _classify, state, into=into)
    found = Correlations(*values)
    return Phases(found, assign(found.r, state[1], least), sums, counts)


def _classify(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    """Sums and counts of phases; of every row its correlations, mean and norm."""
    units, of, least = state
    found = Correlations(*_emcore.correlations(x, units))
    none = int(of.max()) + 1
    labels = assign(found.r, of, least).labels
    labels[labels < 0] = none
    labels[~(found.norms > 0)] = -1
    return _emcore.sum_by_label(x, labels, none + 1), *found
