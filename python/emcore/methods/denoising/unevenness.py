"""How much more noise than others do the noisiest rows and channels of weighted counts have?

Weights of rows and channels make the noise of all values alike only where all rows hold the same in different amounts.
Where patterns differ, a reflection that few of them have is as strong in these few as another is in all: the noise of
these values is larger. The largest singular value of noise with variances V_ij is not above ``sqrt(max_j sum_i V_ij) +
sqrt(max_i sum_j V_ij)``, but for rare fluctuations (Bandeira & van Handel, Ann. Probab. 44 (2016) 2479), which is
``s (sqrt(n) + sqrt(d))`` where all are s^2. Of counts the sums are seen from the data.
"""

import numpy as np

from emcore.core.validation import Floats
from emcore.methods.denoising.subspace import WeightedRows
from emcore.methods.denoising.weighting import Weighting

EVEN = (1.0, 1.0)


def unevenness(rows: WeightedRows, weighting: Weighting) -> tuple[float, float]:
    """
    The largest variance of the noise of a row, and of a channel, over that of a usual one.

    Parameters
    ----------
    rows : WeightedRows
    weighting : Weighting
        Of these rows. Noise that is not that of sums is taken for even.

    Returns
    -------
    (float, float)
        At least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.denoising.unevenness import unevenness
    >>> from emcore.methods.denoising.weighting import of_sums
    >>> counts = np.random.default_rng(0).poisson(np.repeat([[90.0, 0.0], [90.0, 90.0]], [380, 20], axis=0) + 10)
    >>> weights = of_sums(counts.sum(axis=0).astype(float), counts.sum(axis=1).astype(float), True)
    >>> rows = WeightedRows(counts.astype(np.uint16), weights.scale, 1.0 / counts.sum(axis=1))
    >>> [round(each, 1) for each in unevenness(rows, weights)]
    [2.0, 1.1]
    """
    if weighting.normalize != "root-sum":
        return EVEN
    of_rows, of_channels = rows.sums_of_powers()
    squares, weights = rows.scale**2, rows.weights
    there, seen = weights > 0, squares > 0
    constant, n, d = weighting.constant, int(there.sum()), int(seen.sum())
    if min(n, d) < 2:
        return EVEN
    own = of_rows[there] + constant * np.array([squares.sum(), (squares**2).sum()])
    each = of_channels[seen] + constant * np.array([weights.sum(), (weights**2).sum()])
    return (
        _largest(own[:, 0] * weights[there], weighting.gain * own[:, 1] * weights[there] ** 2),
        _largest(each[:, 0] * squares[seen], weighting.gain * each[:, 1] * squares[seen] ** 2),
    )


def _largest(values: Floats, variances: Floats) -> float:
    """Of values with errors of these variances the largest that is likely, over the mean."""
    mean = float(values.mean())
    spread = max(float(values.var() - variances.mean()), 0.0)
    if not (mean > 0 and spread > 0):
        return 1.0
    likely = mean + (values - mean) * spread / (spread + variances)
    return max(float(likely.max()) / mean, 1.0)
