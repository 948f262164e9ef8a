"""Heteroscedastic noise: how much more than others do the noisiest rows and channels of weighted counts have?

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

HOMOSCEDASTIC = (1.0, 1.0)


def heteroscedasticity(rows: WeightedRows, weighting: Weighting) -> tuple[float, float]:
    """
    The largest variance of the noise of a row, and of a channel, over that of a usual one.

    Parameters
    ----------
    rows : WeightedRows
        That were multiplied.
    weighting : Weighting
        Of these rows. Noise that is not that of sums is taken for homoscedastic.

    Returns
    -------
    (float, float)
        At least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.denoising.heteroscedasticity import heteroscedasticity
    >>> from emcore.methods.denoising.weighting import of_sums
    >>> counts = np.random.default_rng(0).poisson(np.repeat([[90.0, 0.0], [90.0, 90.0]], [380, 20], axis=0) + 10)
    >>> weights = of_sums(counts.sum(axis=0).astype(float), counts.sum(axis=1).astype(float), True)
    >>> rows = WeightedRows(counts.astype(np.uint16), weights.scale, 1.0 / counts.sum(axis=1))
    >>> product = rows.times(np.eye(2))
    >>> [round(each, 1) for each in heteroscedasticity(rows, weights)]
    [2.0, 1.1]
    """
    if weighting.normalize != "root-sum":
        return HOMOSCEDASTIC
    of_rows, of_channels = rows.of_rows, rows.of_features
    weights, squares = of_rows[:, 0], rows.scale**2
    there, seen = weights > 0, squares > 0
    constant, n, d = weighting.constant, int(there.sum()), int(seen.sum())
    if min(n, d) < 2:
        return HOMOSCEDASTIC
    # Both powers of the weights, and of the squares of the scale: sums and the variances of these.
    w, s = (np.stack([each, each**2], axis=1) for each in (weights[there], squares[seen]))
    own = of_rows[there, 1:] + constant * w * s.sum(axis=0)
    each = s * (of_channels[seen] + constant * w.sum(axis=0))
    return _largest(own[:, 0], weighting.gain * own[:, 1]), _largest(each[:, 0], weighting.gain * each[:, 1])


def _largest(values: Floats, variances: Floats) -> float:
    """Of values with errors of these variances the largest that is likely, over the mean."""
    mean = float(values.mean())
    spread = max(float(values.var() - variances.mean()), 0.0)
    if not (mean > 0 and spread > 0):
        return 1.0
    likely = mean + (values - mean) * spread / (spread + variances)
    return max(float(likely.max()) / mean, 1.0)
