"""How well does a labelling agree with the truth?"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def adjusted_rand_index(truth: ArrayLike, found: ArrayLike) -> float:
    """Agreement of two labellings of the same pixels: 1 where they are the same up to names, about 0 by chance.

    Hubert & Arabie, Journal of Classification 2 (1985) 193.

    Examples
    --------
    >>> from emcore.datasets import adjusted_rand_index
    >>> adjusted_rand_index([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
    """
    (_, rows), (_, columns) = (np.unique(np.ravel(labels), return_inverse=True) for labels in (truth, found))
    width = int(columns.max()) + 1
    table = np.bincount(rows * width + columns, minlength=(int(rows.max()) + 1) * width).reshape(-1, width)

    def pairs(counts: NDArray[np.intp]) -> float:
        return float((counts * (counts - 1.0) / 2).sum())

    both, of_truth, of_found = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    chance = of_truth * of_found / pairs(np.array([rows.size]))
    most = (of_truth + of_found) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


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
