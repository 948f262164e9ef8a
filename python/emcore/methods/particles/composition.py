"""Which particles are of one composition? Groups of their summed spectra.

Spectra are divided by their sums and their channels by the root of the mean, so that counting noise is alike in all of
them (Keenan & Kotula 2004); principal components above that noise and a Gaussian mixture give the groups.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.grouping.mixture import mixture_clusters
from emcore.methods.grouping.overclustering import merged
from emcore.methods.pca.fit import pca, scores

# Particles that a group takes on average at least, groups that are tried, components that are kept.
_EACH, _GROUPS, _MOST = 4, 6, 3


class Compositions(NamedTuple):
    """
    Groups of composition.

    Attributes
    ----------
    labels : ndarray, shape (n,), int32
        In the order of falling number; -1 of spectra without counts.
    n_groups : int
    reason : str
    """

    labels: NDArray[np.int32]
    n_groups: int
    reason: str


def composition_groups(spectra: Floats, seed: int = 0) -> Compositions:
    """
    Group spectra by what they show, not by how many counts they have.

    Parameters
    ----------
    spectra : ndarray, shape (n, channels)
        Sums of counts.
    seed : int

    Returns
    -------
    Compositions
        One group of fewer than 8 spectra, and where nothing stands out of noise.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.particles.composition import composition_groups
    >>> two = np.repeat([[900.0, 100, 500], [100, 900, 500]], 10, axis=0) * np.arange(1, 21)[:, None]
    >>> composition_groups(np.random.default_rng(0).poisson(two).astype(float)).n_groups
    2
    """
    labels = np.full(len(spectra), -1, dtype=np.int32)
    counts = spectra.sum(axis=1)
    there = np.flatnonzero((counts > 0) & (spectra.min(axis=1) >= 0))
    labels[there] = 0
    n = len(there)
    if n < 2 * _EACH:
        return Compositions(labels, 1, f"{count_of(n, 'particle')}, too few to tell compositions apart")
    shares = spectra[there] / counts[there, None]
    mean = (shares * counts[there, None]).sum(axis=0) / counts[there].sum()
    seen = mean > 0
    weighted = (shares[:, seen] - mean[seen]) / np.sqrt(mean[seen])
    found = pca(weighted, min(_MOST, n - 1, int(seen.sum())), random_state=seed)
    # Counting noise of a spectrum has the variance 1 / counts in each direction; of n the largest is so much above it.
    noise = float(np.mean(1 / counts[there])) * (1 + np.sqrt(seen.sum() / n)) ** 2
    kept = int(np.count_nonzero(found.explained_variance > 1.2 * noise))
    if not kept:
        return Compositions(labels, 1, "spectra differ by no more than counting noise")
    places = scores(weighted, found)[:, :kept]
    mixture = mixture_clusters(places, most=min(_GROUPS, n // _EACH), seed=seed)
    joined, left = merged(places, mixture.labels)
    order = np.argsort(-np.bincount(joined), kind="stable")
    labels[there] = np.argsort(order)[joined]
    components = f"{count_of(kept, 'principal component')} above counting noise"
    reason = f"{mixture.reason}, of {components}"
    if left < mixture.n_groups:
        reason += f"; {left} left where those were merged that one normal distribution describes as well"
    return Compositions(labels, left, reason)
