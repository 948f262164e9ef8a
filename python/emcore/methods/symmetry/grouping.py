"""Which points of an image have the same symmetry? Groups of their scores, how many there are, and how clear each is.

Scores are reduced to a few principal components and grouped by k-means (Wang et al., Microsc. Microanal. 27 (2021)
1454). How many groups there are is decided as for textures (`power_spectra/textures.py`): differences are measured in
units of those between patches that are neighbours, most of which lie in one region, so that what noise does counts
little. A group is divided into those 2 to 8 parts that are best apart (silhouettes), if they are well apart and differ
far more than neighbours do. A narrow group between two others whose scores are mixtures of theirs is their border.
"""

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.kmeans.fit import kmeans, nearest
from emcore.methods.pca.fit import pca
from emcore.methods.power_spectra.textures import (
    LEAST_SILHOUETTE,
    LEAST_VARIANCE,
    in_units_of_neighbours,
    without_borders,
)
from emcore.methods.selection.clusters import silhouette

# Parts that are tried; points that are looked at for it, those of a silhouette, and of the smallest part.
_MOST, _ROWS, _SILHOUETTE, _FEWEST = 8, 1500, 500, 10
_STARTS = 3


def groups(features: Floats, apart: int) -> tuple[NDArray[np.intp], str]:
    """
    The groups into which points fall.

    Parameters
    ----------
    features : ndarray, shape (ny, nx, d)
        Principal components of the scores.
    apart : int
        So many points apart, patches are neighbours.

    Returns
    -------
    labels : ndarray, shape (ny, nx)
        From 0 on; all 0 where nothing is well apart.
    reason : str
        Why so many.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.symmetry.grouping import groups
    >>> features = np.random.default_rng(0).normal(size=(30, 40, 2))
    >>> features[:, 25:] += 9
    >>> labels, reason = groups(features, 2)
    >>> labels[0, [0, 39]].tolist(), reason
    ([0, 1], '2 groups are well apart, of mean silhouette 0.86')
    """
    units = in_units_of_neighbours(features, min(apart, *(np.array(features.shape[:2]) - 1)))
    labels = np.zeros(units.shape[:2], dtype=np.intp)
    waiting, k = [0], 1
    while waiting:
        label = waiting.pop(0)
        here = labels == label
        parts = _parts(units[here])
        if parts is not None:
            more = np.arange(k, k + int(parts.max()))
            labels[here] = np.append(label, more)[parts]
            waiting += [label, *more.tolist()]
            k += len(more)
    labels = without_borders(units, labels, max(apart, 1))
    k = int(labels.max()) + 1
    if k == 1:
        return labels, "no groups are well apart: all is one region"
    rows = units.reshape(-1, units.shape[2])
    clear = silhouette(rows, labels.ravel().astype(np.int32), k, _SILHOUETTE, np.random.default_rng(0))
    return labels, f"{count_of(k, 'group')} are well apart, of mean silhouette {clear:.2f}"


def _parts(rows: Floats) -> NDArray[np.intp] | None:
    """The parts of some points, numbered from 0 on; None where they are one group."""
    rng = np.random.default_rng(0)
    some = rows if len(rows) <= _ROWS else rows[np.sort(rng.choice(len(rows), _ROWS, replace=False))]
    if len(some) < 2 * _FEWEST:
        return None
    principal = pca(some, min(_MOST, some.shape[1]))
    if principal.explained_variance[0] < LEAST_VARIANCE:
        return None
    best, chosen = LEAST_SILHOUETTE, None
    for k in range(2, min(_MOST, len(some) // _FEWEST) + 1):
        # So many groups differ in so many directions; noise in others would blur how far apart they are.
        directions = principal.components[: max(k - 1, 2)]
        places = np.ascontiguousarray((some - principal.mean) @ directions.T)
        fit = kmeans(places, k, n_init=_STARTS)
        if np.bincount(fit.labels, minlength=k).min() < _FEWEST:
            continue
        clear = silhouette(places, fit.labels, k, _SILHOUETTE, np.random.default_rng(0))
        if clear > best:
            best, chosen = clear, (directions, fit.centers)
    if chosen is None:
        return None
    directions, centers = chosen
    return nearest((rows - principal.mean) @ directions.T, centers)[0].astype(np.intp)
