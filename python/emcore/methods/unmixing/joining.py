"""Which spectra, found in several parts of a scan, are those of one phase?

Spectra are joined by their angle, which does not depend on their scale: average linkage, cut at 10 degrees or at a
known number (Cozma et al., EMC 2024 no. 367).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.validation import Floats
from emcore.methods.nmf.fit import nmf_maps

ANGLE = 10.0
"""Degrees: spectra that are nearer to each other are one phase."""


def spectral_angle(a: ArrayLike, b: ArrayLike) -> Floats:
    """
    Angle between every two spectra, in degrees.

    Parameters
    ----------
    a, b : array-like, shapes (k, d) and (l, d)

    Returns
    -------
    ndarray, shape (k, l), float64
        ``arccos(a . b / |a| |b|)``; 90 for a spectrum that is zero throughout.

    Examples
    --------
    >>> from emcore.methods.unmixing.joining import spectral_angle
    >>> spectral_angle([[1.0, 0.0]], [[2.0, 0.0], [1.0, 1.0]]).round(6).tolist()
    [[0.0, 45.0]]
    """
    left, right = (np.asarray(each, dtype=np.float64) for each in (a, b))
    norms = np.outer(np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1))
    cosine = np.divide(left @ right.T, norms, out=np.zeros(norms.shape), where=norms > 0)
    angles: Floats = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return angles


@dataclass(frozen=True, eq=False)
class Joint:
    """Spectra of phases, joined from parts.

    Attributes
    ----------
    spectra : ndarray, shape (k, d), float64
        Mean of each group, weighted by counts; sum 1.
    groups : ndarray, shape (m,), int64
        Of every spectrum that was given its phase; -1 where its group was dropped.
    few, mixed : int
        Groups dropped for having too few counts, and for being sums of others within their noise.
    """

    spectra: Floats
    groups: NDArray[np.int64]
    few: int
    mixed: int


def join_spectra(spectra: Floats, counts: Floats, floor: float, number: int | None = None) -> Joint:
    """
    Join spectra of one phase.

    Parameters
    ----------
    spectra : ndarray, shape (m, d)
    counts : ndarray, shape (m,)
        What each of them stands for.
    floor : float
        A group with fewer counts is dropped.
    number : int, optional
        How many phases there are; default as many as the angle tells apart.

    Returns
    -------
    Joint

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.joining import join_spectra
    >>> spectra = np.array([[1.0, 0, 0], [0.95, 0.05, 0], [0, 0.1, 0.9], [0, 1.0, 0], [0.5, 0, 0.5]])
    >>> joint = join_spectra(spectra, np.array([90.0, 10, 50, 1, 20]), floor=5)
    >>> joint.spectra.round(3).tolist(), joint.groups.tolist(), joint.few, joint.mixed
    ([[0.995, 0.005, 0.0], [0.0, 0.1, 0.9]], [0, 0, 1, -1, -1], 1, 1)

    With the number chosen in every part by itself, a border between two phases may pass for a third. So a group whose
    spectrum is within the angle, and its noise, of a sum of others is dropped, as the last one here, unless the number
    is known.
    """
    from scipy.cluster.hierarchy import cut_tree, fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(spectra) == 1:
        groups = np.zeros(1, dtype=np.int64)
    else:
        angles = spectral_angle(spectra, spectra)
        angles = (angles + angles.T) / 2
        np.fill_diagonal(angles, 0)
        tree = linkage(squareform(angles, checks=False), method="average")
        if number is None:
            groups = fcluster(tree, ANGLE, criterion="distance") - 1
        else:
            groups = cut_tree(tree, min(number, len(spectra)))[:, 0]
    size = int(groups.max()) + 1
    sums = np.bincount(groups, weights=counts, minlength=size).astype(np.float64)
    means = np.zeros((size, spectra.shape[1]))
    np.add.at(means, groups, spectra * counts[:, None])
    means /= np.where(sums > 0, sums, 1)[:, None]
    order = [int(i) for i in np.argsort(-sums, kind="stable")]
    enough = [i for i in order if sums[i] >= floor] or order[:1]
    pure = enough if number is not None else [enough[i] for i in pure_spectra(means[enough], sums[enough])]
    place = np.full(size, -1, dtype=np.int64)
    place[pure] = np.arange(len(pure))
    joined = means[pure]
    joined /= joined.sum(axis=1, keepdims=True)
    return Joint(joined, place[groups], size - len(enough), len(enough) - len(pure))


def pure_spectra(spectra: Floats, counts: Floats, angle: float = ANGLE) -> list[int]:
    """
    Which spectra are no sums of others that are kept, tried from the one with the fewest counts on.

    A sum is one within an angle in degrees. The noise of N counts turns a spectrum s of sum 1 by about ``1 / (sqrt(N)
    |s|)``; so much more is allowed, twice.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.joining import pure_spectra
    >>> pure_spectra(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]), np.array([1e4, 1e4, 1e3]))
    [0, 1]
    """
    order = [int(i) for i in np.argsort(-counts, kind="stable")]
    remaining = list(order)
    for index in reversed(order):
        others = spectra[[i for i in remaining if i != index]]
        if not len(others):
            break
        own = spectra[index : index + 1]
        nearest = nmf_maps(own, others) @ others
        size = math.sqrt(max(float(counts[index]), 1.0)) * float(np.linalg.norm(own)) / max(float(own.sum()), 1e-300)
        noise = math.degrees(math.atan2(1, size))
        if float(spectral_angle(own, nearest)[0, 0]) < angle + 2 * noise:
            remaining.remove(index)
    return remaining
