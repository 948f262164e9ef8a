"""A mixture of normal distributions, as many as the Bayesian information criterion (BIC) has it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.grouping.density import stratified

# Rows that a mixture is fitted on; starts; numbers above the best so far that are tried before the search ends.
_FITTED, _STARTS, _PATIENCE = 10_000, 1, 3


class Mixture(NamedTuple):
    """
    Groups of a mixture.

    Attributes
    ----------
    labels : ndarray, shape (n,), int32
        The likeliest component of every row.
    n_groups : int
        Components that have a row; labels are of these.
    bic : ndarray, shape (m, 2)
        The numbers that were tried, and the criterion of each.
    reason : str
    """

    labels: NDArray[np.int32]
    n_groups: int
    bic: Floats
    reason: str


def mixture_clusters(
    places: NDArray[np.floating[Any]], n_clusters: int | None = None, most: int = 20, seed: int = 0
) -> Mixture:
    """
    Group rows by a Gaussian mixture with full covariances (scikit-learn's).

    Parameters
    ----------
    places : ndarray, shape (n, d)
        Finite; of more than 10,000 rows the mixture is fitted on a sample.
    n_clusters : int, optional
        Default: the number from 1 to `most` with the lowest BIC; the search ends 3 beyond the lowest.
    most : int, default 20
    seed : int

    Returns
    -------
    Mixture

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.grouping.mixture import mixture_clusters
    >>> rng = np.random.default_rng(0)
    >>> mixture_clusters(rng.normal(size=(600, 2)) * (1, 5) + 40 * rng.integers(0, 3, (600, 1))).n_groups
    3
    """
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    rows = np.asarray(places, dtype=np.float64)
    some = rows[stratified(len(rows), _FITTED, seed)]
    numbers = [n_clusters] if n_clusters else range(1, min(most, len(some)) + 1)
    best, tried = None, []
    for count in numbers:
        with threadpool_limits(1):  # of matrices this small, threads cost many times what they bring
            model = GaussianMixture(count, n_init=_STARTS, random_state=seed).fit(some)
        tried.append((count, model.bic(some)))
        if best is None or tried[-1][1] < best[1]:
            best = model, tried[-1][1], count
        if count - best[2] >= _PATIENCE:
            break
    assert best is not None
    used, labels = np.unique(best[0].predict(rows), return_inverse=True)
    reason = f"n_clusters={n_clusters} was asked for"
    if not n_clusters:
        reason = (
            f"the Bayesian information criterion is lowest for {count_of(best[2], 'component')} of 1 to {tried[-1][0]}"
        )
    return Mixture(labels.astype(np.int32), len(used), np.array(tried), reason)
