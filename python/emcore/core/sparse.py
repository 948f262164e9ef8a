"""Sparse matrices, and some rows of whatever has rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore


def is_sparse(data: Any) -> bool:
    """
    Whether only some of the values of a matrix are stored, as SciPy does, or the rows that are read from it.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> is_sparse(csr_array(np.eye(3))), is_sparse(np.eye(3))
    (True, False)
    """
    return hasattr(data, "tocsr")


def sparse_rows(csr: Any, convert: Callable[[NDArray[Any]], NDArray[Any]]) -> _emcore.SparseRows:
    """
    Rows of a CSR matrix of SciPy's in its own memory; of a copy, where features are not ascending or twice in a row.

    Parameters
    ----------
    csr : scipy.sparse.csr_array or csr_matrix
    convert : callable
        Makes a pixel type of the values.

    Raises
    ------
    ValueError
        Features that the matrix does not have.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> sparse_rows(csr_array(([2.0, 3.0], [1, 1], [0, 2]), shape=(1, 3)), np.asarray).take([0]).tolist()
    [[0.0, 5.0, 0.0]]
    """
    try:
        return _rows(csr, convert)
    except ValueError:
        csr = csr.copy()  # the caller's stays as it is
        csr.check_format(full_check=True)
        csr.sum_duplicates()
        return _rows(csr, convert)


def _rows(csr: Any, convert: Callable[[NDArray[Any]], NDArray[Any]]) -> _emcore.SparseRows:
    stored = int(csr.indptr[-1])
    features, values = csr.indices[:stored], np.ascontiguousarray(convert(csr.data[:stored]))
    if features.dtype != np.int32:
        if stored and not 0 <= int(features.min()) <= int(features.max()) < 2**31:
            raise ValueError(f"features from {features.min()} to {features.max()} of {csr.shape[1]}")
        features = features.astype(np.int32)
    features = np.ascontiguousarray(features).view(np.uint32)
    return _emcore.SparseRows(csr.shape[1], csr.indptr.astype(np.int64, copy=False), features, values)


def rows_at(rows: Any, indices: Any) -> NDArray[Any]:
    """
    Some of the rows, whatever they are, as an array: of a range perhaps the rows themselves.

    Examples
    --------
    >>> rows_at(np.eye(3), [2, 0]).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    if not isinstance(rows, np.ndarray):
        return np.asarray(rows.take([int(i) for i in indices]))
    return rows[indices.start : indices.stop] if isinstance(indices, range) else rows[np.asarray(indices, np.intp)]
