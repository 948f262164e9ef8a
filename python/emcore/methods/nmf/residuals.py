"""What do maps and spectra leave unexplained, at every position and in every channel?"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.validation import Floats, as_rows, check_result
from emcore.outofcore.engine import begin
from emcore.outofcore.open import open_rows
from emcore.outofcore.reduction import PerRow
from emcore.outofcore.sources import Source


def residuals(X: Any, W: ArrayLike, H: ArrayLike) -> tuple[Floats, Floats]:
    """
    Sums of the squares of ``X - W @ H``, over every row and over every feature, in one read of
    X.

    Parameters
    ----------
    X : array-like, shape (n, d), or PreparedRows
        Any pixel type; neither converted nor copied. What is out of core is visited in blocks.
    W, H : array-like, shapes (n, k) and (k, d)

    Returns
    -------
    rows, features : ndarray, shapes (n,) and (d,), float64

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or infinity, values whose squares are no numbers.

    Examples
    --------
    >>> from emcore.methods.nmf.residuals import residuals
    >>> rows, features = residuals([[3, 1], [0, 2]], [[1.0], [1.0]], [[1.0, 1.0]])
    >>> rows.tolist(), features.tolist()
    ([4.0, 2.0], [5.0, 1.0])
    """
    rows: Any = open_rows(X)
    rows = rows if isinstance(rows, Source) else as_rows(rows)
    maps, spectra = as_rows(W, "W"), as_rows(H, "H")
    if maps.shape != (rows.shape[0], spectra.shape[0]) or spectra.shape[1] != rows.shape[1]:
        raise ValueError(f"W {maps.shape} times H {spectra.shape} does not have the shape of X {rows.shape}")
    real = np.float64 if rows.dtype == np.float64 else np.float32
    w = np.require(maps, real, ["C", "W"])
    h = np.ascontiguousarray(spectra, dtype=np.float64)
    if not isinstance(rows, Source):
        return _checked(*_emcore.residuals(rows, w, h))
    of_rows, fixed = np.empty(len(rows)), 8 * rows.shape[1] * (32 + len(h))
    passes = begin(rows, "residuals", None, None, {}, 8, fixed, quiet=True)
    (features,) = passes(_residuals, h, [PerRow(passes.source, w)], [PerRow(passes.source, of_rows)])
    return _checked(of_rows, features)


def _checked(of_rows: Floats, features: Floats) -> tuple[Floats, Floats]:
    check_result(of_rows, "X, W and H")
    check_result(features, "X, W and H")
    return of_rows, features


def _residuals(x: Any, spectra: Floats, index: int, maps: NDArray[Any]) -> tuple[Any, ...]:
    rows, features = _emcore.residuals(x, np.require(maps, requirements=["C", "W"]), spectra)
    return (features,), rows
