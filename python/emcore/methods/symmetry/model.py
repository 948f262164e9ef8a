"""Principal components of scores and centres of their groups: fitted to one image, followed through those after it.

Frames of a series start from the centres of the frame before and take a few steps of k-means, in which every centre
also counts as so many points: labels keep their meaning, a group that has hardly any point left stays where it was, and
what changes steadily is followed.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.kmeans.fit import distances, kmeans
from emcore.methods.pca.fit import pca
from emcore.methods.pca.projection import project
from emcore.methods.symmetry.grouping import groups

_STARTS = 10
# Steps of k-means in every frame; what a centre counts for, as a part of the points that a group has on average.
_STEPS, _ANCHOR = 5, 0.5


@dataclass(frozen=True, eq=False)
class Model:
    """
    What tells the regions of an image apart.

    Attributes
    ----------
    mean : ndarray, shape (d,)
        Of the scores.
    components : ndarray, shape (p, d)
    evr : ndarray, shape (p,)
        Explained-variance ratios.
    centers : ndarray, shape (k, p)
        Means of the groups, by their components; the group of fewest points first.
    """

    mean: Floats
    components: Floats
    evr: Floats
    centers: Floats

    def places(self, scores: NDArray[np.float32]) -> Floats:
        """Components of scores, shape (ny, nx, p)."""
        rows = scores.reshape(-1, scores.shape[2])
        return project(rows, self.components, self.mean, True).reshape(*scores.shape[:2], -1)


def fitted(
    scores: NDArray[np.float32], n_regions: int, n_components: int, apart: int, seed: int
) -> tuple[Model, NDArray[np.int32], str]:
    """
    The groups of the points of an image.

    Parameters
    ----------
    scores : ndarray, shape (ny, nx, d)
    n_regions : int
        How many groups; 0 leaves it to `emcore.methods.symmetry.grouping.groups`.
    n_components : int
    apart : int
        So many points apart, patches are neighbours.
    seed : int

    Returns
    -------
    model : Model
    labels : ndarray, shape (ny, nx), int32
    reason : str
        Why so many.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.symmetry.model import fitted
    >>> scores = np.random.default_rng(0).normal(0, 0.05, (30, 40, 8)).astype(np.float32)
    >>> scores[:, 30:, ::2] += 0.8
    >>> model, labels, reason = fitted(scores, 0, 5, 2, 0)
    >>> labels[0, [0, 39]].tolist(), model.components.shape
    ([1, 0], (5, 8))
    """
    rows = scores.reshape(-1, scores.shape[2])
    principal = pca(rows, min(n_components, *rows.shape), random_state=seed)
    model = Model(principal.mean, principal.components, principal.explained_variance_ratio, np.empty((0, 0)))
    places = model.places(scores)
    points = places.reshape(len(rows), -1)
    start: Any = "k-means++"
    reason = f"n_regions={n_regions} was asked for"
    if not n_regions:
        parts, reason = groups(places, apart)
        n_regions = int(parts.max()) + 1
        start = np.stack([points[parts.ravel() == i].mean(axis=0) for i in range(n_regions)])
    fit = kmeans(points, n_regions, init=start, n_init=_STARTS, random_state=seed)
    order = np.argsort(np.bincount(fit.labels, minlength=n_regions), kind="stable")
    labels = np.argsort(order)[fit.labels].astype(np.int32)
    return replace(model, centers=fit.centers[order]), labels.reshape(scores.shape[:2]), reason


def followed(scores: NDArray[np.float32], model: Model) -> tuple[Model, NDArray[np.int32]]:
    """
    The groups of another image, from the centres of the one before.

    Parameters
    ----------
    scores : ndarray, shape (ny, nx, d)
    model : Model

    Returns
    -------
    model : Model
        With the centres of this image.
    labels : ndarray, shape (ny, nx), int32

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.symmetry.model import fitted, followed
    >>> scores = np.random.default_rng(0).normal(0, 0.05, (30, 40, 8)).astype(np.float32)
    >>> scores[:, 30:, ::2] += 0.8
    >>> model, labels, _ = fitted(scores, 2, 5, 2, 0)
    >>> scores[:, :30, ::2] += 0.8  # the larger one has gone
    >>> bool((followed(scores, model)[1] == 0).all())
    True
    """
    points = model.places(scores).reshape(-1, len(model.components))
    k = len(model.centers)
    weights = np.append(np.ones(len(points)), np.full(k, max(_ANCHOR * len(points) / k, 1.0)))
    rows = np.concatenate([points, model.centers])
    fit = kmeans(rows, k, init=model.centers, max_iter=_STEPS, sample_weight=weights)
    return replace(model, centers=fit.centers), fit.labels[: len(points)].reshape(scores.shape[:2])


def confidence(scores: NDArray[np.float32], model: Model) -> NDArray[np.float32]:
    """
    How clearly every point belongs to its group.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        1 - (distance to the nearest centre) / (distance to the second): 1 at a centre, 0 half-way between two; 1 where
        there is but one.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.symmetry.model import Model, confidence
    >>> model = Model(np.zeros(1), np.ones((1, 1)), np.ones(1), np.array([[0.0], [1.0]]))
    >>> confidence(np.array([[[0.0], [0.25], [0.5]]], np.float32), model).round(2).tolist()[0][:2]
    [1.0, 0.6700000166893005]
    """
    shape = scores.shape[:2]
    if len(model.centers) == 1:
        return np.ones(shape, dtype=np.float32)
    away = np.sort(distances(model.places(scores).reshape(-1, len(model.components)), model.centers), axis=1)
    clear = 1 - away[:, 0] / np.maximum(away[:, 1], np.finfo(np.float64).tiny)
    return clear.reshape(shape).astype(np.float32)
