"""How much does every row look like each of some references, whatever its gain and offset?"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.validation import Floats, as_pixels, as_rows
from emcore.outofcore.engine import begin
from emcore.outofcore.open import open_rows
from emcore.outofcore.reduction import PerRow
from emcore.outofcore.sources import Source


class Correlations(NamedTuple):
    """
    Correlations of rows with references.

    Attributes
    ----------
    r : ndarray, shape (n, k), float32
        Pearson's r of every row with every reference, from -1 to 1; 0 where the row is constant or not finite.
    means : ndarray, shape (n,), float64
        Mean of every row.
    norms : ndarray, shape (n,), float64
        Norm of every row less its mean: 0 where it is constant, NaN where it holds NaN or infinity.
    """

    r: NDArray[np.float32]
    means: Floats
    norms: Floats


def correlations(X: Any, references: ArrayLike, *, memory: int | str | None = None) -> Correlations:
    """
    Pearson's r of every row of X with every reference, in one read of X.

    Parameters
    ----------
    X : array-like, shape (n, d), or PreparedRows
        Any pixel type; neither converted nor copied. What is out of core is visited in blocks.
    references : array-like, shape (k, d)
        None of them constant.
    memory : int or str, optional
        What is out of core takes at most so much, as "1 GiB".

    Returns
    -------
    Correlations

    Raises
    ------
    ValueError
        References of another length, of one value or not finite.

    Examples
    --------
    >>> from emcore.methods.correlation.coefficients import correlations
    >>> correlations([[30001, 30002, 30003], [7, 7, 7]], [[-1.0, 0.0, 1.0]]).r.tolist()
    [[1.0], [0.0]]
    """
    rows: Any = open_rows(X, memory=memory)
    units = as_rows(references, "references").astype(np.float64)
    if not isinstance(rows, Source):
        rows = rows if isinstance(rows, _emcore.PreparedRows) else as_pixels(rows, "X", 2)
        return Correlations(*_emcore.correlations(rows, units))
    n, k = rows.shape[0], len(units)
    result = Correlations(np.empty((n, k), np.float32), np.empty(n), np.empty(n))
    passes = begin(rows, "correlations", memory, None, {}, 4 * k + 16, 16 * units.size, quiet=True)
    passes(_correlations, units, into=[PerRow(passes.source, of_rows) for of_rows in result])
    return result


def _correlations(x: Any, references: Floats, index: int) -> tuple[Any, ...]:
    return (0,), *_emcore.correlations(x, references)
