"""How many principal components are the most probable, by the evidence of Bayesian model selection."""

import math

import numpy as np
from scipy.special import gammaln

from emcore.core.validation import Floats

# Variances below are none.
_NONE = 1e-15


def most_probable(variances: Floats, n: int) -> int:
    """
    The most probable number of components of n rows whose covariance has these eigenvalues [1]_.

    Parameters
    ----------
    variances : ndarray, shape (d,)
        Falling, all of them.
    n : int
        Rows.

    Returns
    -------
    int
        From 1 to d - 1; 1 of one feature.

    References
    ----------
    .. [1] Minka, Adv. Neural Inf. Process. Syst. 13 (2001) 598, equation 77 of the report.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.pca.number import most_probable
    >>> most_probable(np.array([9.0, 5.0, 1.1, 1.0, 0.9]), 200)
    2
    """
    d = len(variances)
    evidence = [_evidence(variances, k, n) for k in range(1, d)]
    return int(np.argmax(evidence)) + 1 if evidence else 1


def _evidence(variances: Floats, k: int, n: int) -> float:
    """The logarithm of the evidence for k components, Laplace's approximation."""
    d = len(variances)
    if variances[k - 1] < _NONE:
        return -math.inf
    free = (d - np.arange(k)) / 2
    prior = -k * math.log(2) + float((gammaln(free) - math.log(math.pi) * free).sum())
    rest = max(float(variances[k:].sum()) / (d - k), _NONE)
    fit = -n / 2 * float(np.log(variances[:k]).sum()) - n * (d - k) / 2 * math.log(rest)
    m = d * k - k * (k + 1) / 2
    smoothed = np.where(np.arange(d) < k, variances, rest)
    curvature = 0.0
    for i in range(k):
        apart = (variances[i] - variances[i + 1 :]) * (1 / smoothed[i + 1 :] - 1 / smoothed[i])
        if (apart <= 0).any():
            return -math.inf
        curvature += float(np.log(apart).sum()) + math.log(n) * len(apart)
    return prior + fit + math.log(2 * math.pi) * (m + k) / 2 - curvature / 2 - k * math.log(n) / 2
