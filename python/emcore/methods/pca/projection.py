"""What rows hold of components that are given, and roughly of those that a full PCA would find."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore._emcore import PreparedRows, SparseRows
from emcore.outofcore.moments import products_of_rows, products_with
from emcore.outofcore.sources import Source


def project(
    rows: NDArray[Any],
    components: NDArray[np.float64],
    mean: NDArray[np.float64],
    center: bool,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """`scores` of checked rows."""
    thin = np.ascontiguousarray((components if weights is None else components * weights).T, dtype=np.float64)
    if isinstance(rows, SparseRows):  # which hold next to nothing of the mean
        return _emcore.x_q(rows, thin) - (mean @ thin if center else 0)
    # The kernel subtracts the mean in either case, so that it costs no digits; what that is too much is added here.
    offset = mean.astype(np.float64 if rows.dtype == np.float64 else np.float32).astype(np.float64)
    return _emcore.x_q(rows, thin, offset) + (offset - mean if center else offset) @ thin


def rough_scores(rows: NDArray[Any] | PreparedRows | Source, k: int, seed: int) -> NDArray[np.float32]:
    """
    Places of all rows in about the k directions in which they differ most, good enough to start a clustering from.

    One step of subspace iteration from random directions [1]_: two reads of the rows (three out of core), where a PCA
    takes about ten.

    Parameters
    ----------
    rows : ndarray, PreparedRows or Source, shape (n, d)
        Checked.
    k : int
    seed : int
        Of the random directions.

    Returns
    -------
    ndarray, shape (n, k), float32
        Of fewer columns where the rows differ in fewer directions.

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, SIAM Review 53 (2011) 217-288.

    Examples
    --------
    >>> rows = np.outer(np.arange(5.0), [1.0, 2.0, 2.0])
    >>> np.abs(rough_scores(rows, 2, 0)).round(4).tolist()
    [[0.0], [3.0], [6.0], [9.0], [12.0]]
    """
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((rows.shape[1], min(k, *rows.shape)))
    if isinstance(rows, Source):
        image = products_of_rows(rows, products_with(rows, directions, "directions"))
    else:
        image = _emcore.xt_x_q(rows, directions)
    # Made orthonormal by way of a small matrix, without threaded libraries, whose results depend on their number.
    values, vectors = np.linalg.eigh(np.einsum("ij,ik->jk", image, image))
    nonzero = values >= 1e-12 * values[-1]
    lengths = np.sqrt(np.maximum(values[nonzero], np.finfo(np.float64).tiny))
    basis = np.einsum("ij,jk->ik", image, vectors[:, nonzero] / lengths)
    return products_with(rows, basis).astype(np.float32)
