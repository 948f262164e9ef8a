"""Groups of rows of few features, as many as asked for or as many as there seem to be.

Those that regions of low density part, if halves of the rows agree on them; else of k-means, their number by the votes
of several criteria.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.selection.clusters import choose_n_clusters
from emcore.methods.selection.density import density_groups

# Runs of k-means; the number is chosen on so many rows at most.
_STARTS, _CHOSEN_ON = 20, 20_000


@dataclass(frozen=True, eq=False)
class PlaceGroups:
    """Groups, and why so many.

    Attributes
    ----------
    labels : ndarray, shape (n,), int32
    inertia : float
        Sum of squared distances to the means.
    k : int
    rule, reason : str
    """

    labels: NDArray[np.int32]
    inertia: float
    k: int
    rule: str
    reason: str


def groups_of_places(places: NDArray[Any], asked: int, seed: int) -> PlaceGroups:
    """
    The groups of rows.

    Parameters
    ----------
    places : ndarray, shape (n, p)
    asked : int
        How many groups; 0 for as many as there are.
    seed : int

    Returns
    -------
    PlaceGroups

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = groups_of_places(rng.normal(size=(300, 2)) + 9 * rng.integers(0, 3, (300, 1)), 0, 0)
    >>> found.k, found.rule
    (3, 'density')
    """
    k, rule, reason = asked, "given", f"n_clusters={asked} was asked for"
    if not asked:
        groups = density_groups(places, seed)
        if groups.clear:
            squares = _emcore.kmeans_spread(places, groups.labels, groups.n_groups, metric="euclidean")[1]
            return PlaceGroups(groups.labels, float(squares.sum()), groups.n_groups, "density", groups.reason)
        k, rule, reason = number_of_places(places, seed)
    found = kmeans(places, k, n_init=_STARTS, random_state=seed)
    return PlaceGroups(found.labels, found.inertia, k, rule, reason)


def number_of_places(places: NDArray[Any], seed: int) -> tuple[int, str, str]:
    """The number of clusters by votes, the rule, and why.

    Examples
    --------
    >>> number_of_places(np.arange(3.0)[:, None], 0)
    (2, 'all', 'there are no more different patterns')
    """
    if len(places) < 4:
        return 2, "all", "there are no more different patterns"
    taken = np.random.default_rng(seed).permutation(len(places))[:_CHOSEN_ON]
    choice = choose_n_clusters(places[np.sort(taken)], random_state=seed)
    return choice.n_clusters, "density" if choice.n_clusters == choice.density else "votes", choice.reason
