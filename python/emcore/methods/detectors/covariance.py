"""Products of rows less their mean with themselves, whole."""

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats


def products_of(rows: NDArray[np.floating], mean: Floats) -> Floats:
    """
    (X - mean)^T (X - mean).

    Parameters
    ----------
    rows : ndarray, shape (n, d)
    mean : ndarray, shape (d,), float64

    Examples
    --------
    >>> products_of(np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([2.0, 4.0])).tolist()
    [[2.0, 4.0], [4.0, 8.0]]
    """
    lower = np.tril(_emcore.gram(rows, mean, np.ones(len(mean))))  # what is above is not formed
    return lower + np.tril(lower, -1).T
