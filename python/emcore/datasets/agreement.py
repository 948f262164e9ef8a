"""Where does a labelling have no borders near by?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def far_from_borders(labels: NDArray[np.integer[Any]], margin: int) -> NDArray[np.bool_]:
    """Where no pixel that touches another label is within `margin` rows and columns.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.datasets import far_from_borders
    >>> far_from_borders(np.array([[0, 0, 0, 1, 1, 1]]), 1)
    array([[ True, False, False, False, False,  True]])
    """
    border = np.zeros(labels.shape, dtype=np.int32)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = labels[here] != labels[there]
        border[here] |= differ
        border[there] |= differ
    sums = np.pad(border, margin).cumsum(axis=0).cumsum(axis=1)
    sums = np.pad(sums, ((1, 0), (1, 0)))
    side = 2 * margin + 1
    inside: NDArray[np.bool_] = (
        sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side] == 0
    )
    return inside
