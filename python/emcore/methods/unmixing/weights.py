"""How much does a count weigh, and how far does weighted noise reach?

A single count where few are expected, a b / N << 1, of a counts in its row and b in its channel, weighs so much in
``Y = X / sqrt(a b^T)`` that it would pass for a component by itself. So no channel is given a weight above that of
`floors`, and rows with fewer counts than that do not take part in the search for spectra; they have maps like all
others.
"""

import math

import numpy as np

from emcore.core.validation import Floats
from emcore.methods.selection.rules import optimal_threshold

# A count alone has at most this part of the square of the threshold of singular values.
_ALONE = 0.25


def floors(rows: int, channels: int, total: float) -> tuple[float, float]:
    """
    The counts below which a row takes no part, and a channel weighs no more.

    Both are the same part f, at most a half, of the mean, so that a single count in such a row and channel has in Y the
    square ``1 / (a b)``, a quarter of the squared threshold of singular values, ``lambda^2 max(rows, channels) /
    total``.

    Examples
    --------
    >>> from emcore.methods.unmixing.weights import floors
    >>> a, b = floors(6400, 1980, 1e6)
    >>> round(a, 1), round(b, 1)
    (7.7, 24.7)
    """
    factor = optimal_threshold((rows, channels)) ** 2
    part = min(math.sqrt(min(rows, channels) / (_ALONE * factor * total)), 0.5)
    return total / rows * part, total / channels * part


def channel_weights(sums: Floats, counts: Floats, counting: bool, constant: float = 0.0) -> Floats:
    """
    What the square of a channel's residual counts for: one over its counts, but none more than at the floor.

    Parameters
    ----------
    sums : ndarray, shape (d,)
        Counts of every channel.
    counts : ndarray, shape (n,)
        Counts of every row.
    counting : bool
        Whether these are counts; other values have no floor.
    constant : float
        Of noise that does not depend on the signal: its variance at one position over the gain.

    Returns
    -------
    ndarray, shape (d,), float64
        1 for a channel without counts, which has nothing to weigh.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.weights import channel_weights
    >>> (1 / channel_weights(np.array([500.0, 0.0, 1.0]), np.full(50, 10.0), True)).round(1).tolist()
    [500.0, 1.0, 21.2]
    """
    filled = int(np.count_nonzero(sums)), int(np.count_nonzero(counts))
    if not all(filled):
        return np.ones_like(sums)
    floor = floors(filled[1], filled[0], float(sums.sum()))[1] if counting else 0.0
    noise = np.maximum(sums, floor) + constant * filled[1]
    weights: Floats = np.divide(1, noise, out=np.ones_like(sums), where=sums > 0)
    return weights


def rare_edge(maps: Floats, spectra: Floats, counts: Floats, sums: Floats) -> float:
    """
    The largest singular value that the noise of mixed phases is expected to have in Y.

    Entries of Y have the variance ``s = m / (a b)``, with m expected counts; the norm of such a matrix is about
    ``sqrt(max_i sum_j s) + sqrt(max_j sum_i s)`` (Bandeira & van Handel, Ann. Probab. 44 (2016) 2479). That is taken
    for rows in which a phase is alone and channels which it has for itself. For one phase it is ``(sqrt(n) + sqrt(d)) /
    sqrt(total)``.

    Parameters
    ----------
    maps, spectra : ndarray, shapes (n, k) and (k, d)
        In counts; each spectrum of sum 1.
    counts, sums : ndarray, shapes (n,) and (d,)
        a and b, of rows and channels, positive.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.weights import rare_edge
    >>> round(rare_edge(np.full((100, 1), 16.0), np.full((1, 400), 1 / 400), np.full(100, 16.0), np.full(400, 4.0)), 6)
    0.75
    """
    along = (spectra / sums).sum(axis=1)
    whole = maps.sum(axis=0)
    across = np.divide((maps / counts[:, None]).sum(axis=0), whole, out=np.zeros_like(whole), where=whole > 0)
    return float((np.sqrt(along) + np.sqrt(across)).max())
