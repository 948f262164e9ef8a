"""Do two labellings say the same?"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def adjusted_rand_index(a: ArrayLike, b: ArrayLike) -> float:
    """
    Agreement of two labellings (Hubert & Arabie 1985): 1 if they are the same but for names,
    about 0 by chance.

    Examples
    --------
    >>> crossed = adjusted_rand_index([0, 0, 1, 1], [0, 1, 0, 1])
    >>> adjusted_rand_index([0, 0, 1, 1], [1, 1, 0, 0]), round(crossed, 9)
    (1.0, -0.5)
    """
    _, first = np.unique(np.ravel(a), return_inverse=True)
    _, second = np.unique(np.ravel(b), return_inverse=True)
    k = int(second.max()) + 1
    table = np.bincount(first * k + second, minlength=(int(first.max()) + 1) * k).reshape(-1, k).astype(np.float64)

    def pairs(counts: NDArray[np.float64]) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, rows, columns = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = rows * columns / max(pairs(table.sum(keepdims=True)), 1.0)
    most = (rows + columns) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)
