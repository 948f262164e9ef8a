"""Where does a labelling have no borders near by?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import check_count


def far_from_borders(labels: NDArray[np.integer[Any]], margin: int) -> NDArray[np.bool_]:
    """Where no pixel or voxel that touches another label is within `margin` along every axis.

    Parameters
    ----------
    labels : ndarray of int, shape (y, x) or (z, y, x)
    margin : int

    Returns
    -------
    ndarray of bool, as `labels`

    Raises
    ------
    TypeError, ValueError
        Labels that are no whole numbers, a margin that is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.datasets import far_from_borders
    >>> far_from_borders(np.array([[0, 0, 0, 1, 1, 1]]), 1)
    array([[ True, False, False, False, False,  True]])
    """
    labels, margin = np.asarray(labels), check_count(margin, "margin", 0, 2**31 - 1)
    if labels.dtype.kind not in "biu" or not labels.ndim:
        raise TypeError(f"labels are {labels.dtype} of {labels.ndim} axes; an array of whole numbers is needed")
    border = np.zeros(labels.shape, dtype=np.int32)
    side, axes = 2 * margin + 1, range(labels.ndim)
    for axis in axes:
        here, there = (tuple(cut if a == axis else np.s_[:] for a in axes) for cut in (np.s_[1:], np.s_[:-1]))
        differ = labels[here] != labels[there]
        border[here] |= differ
        border[there] |= differ
    # Of one axis after another: whether there is a border in reach.
    for axis in axes:
        pad = [(margin + 1, margin) if a == axis else (0, 0) for a in axes]
        sums = np.moveaxis(np.pad(border, pad).cumsum(axis=axis), axis, 0)
        border = np.moveaxis((sums[side:] - sums[:-side] > 0).astype(np.int32), 0, axis)
    inside: NDArray[np.bool_] = border == 0
    return inside
