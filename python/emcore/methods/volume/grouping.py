"""Which windows of a volume have the same spectrum, how much of each group is in every window, which groups are turned?

Windows are grouped by the power in spherical harmonics on every shell (`emcore.methods.volume.harmonics`), by few
principal components of it. Power adds up: the spectrum of a window that lies in two grains is that of the one times its
part of the window and that of the other times the rest. So a group whose mean is a mixture of those of other groups is
none of its own but one of windows along a border, and what part of a window each group fills follows from
non-negative least squares (Lawson & Hanson 1974), solved here by coordinate descent. Groups that differ by a rotation
only are one texture: their invariants are alike.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.pca.fit import pca
from emcore.methods.selection.density import density_groups
from emcore.methods.selection.number import choose_number
from emcore.methods.volume.harmonics import invariants

METHODS = ("hdbscan", "mixture", "kmeans")
# A group is a mixture of others where these leave no more of its mean than this part.
_LEFT = 0.5
# A window is of one group where that fills so much of what is explained, and explains so much.
_PURE, EXPLAINED = 0.9, 0.5
# Groups have windows of their own that are pure, so many at least.
_FEWEST = 4
# Means are found anew so often of the windows that are pure.
_ROUNDS = 2
# Textures differ by so much, as the distance of their invariants, whose length is 1; windows of one lie within it.
_ALIKE = 0.2
# Sweeps of coordinate descent, and the change at which it ends.
_SWEEPS, _STILL = 300, 1e-6
# Rows of which components and a mixture model are fitted.
_FITTED = 10_000


@dataclass(frozen=True, eq=False)
class WindowGroups:
    """
    Groups of windows, and how much of each is in every window.

    Attributes
    ----------
    parts : ndarray, shape (n, k), float32
        What part of a window each oriented class fills; they add up to 1, or are all 0 where nothing is known.
    texture_parts : ndarray, shape (n, t), float32
        The same of textures.
    explained : ndarray, shape (n,), float32
        Part of the window's spectrum that the classes explain.
    texture_of : ndarray, shape (k,), int16
        The texture of each oriented class.
    means : ndarray, shape (k, shells, orders), float64
        Mean coefficients of the windows that are of one class.
    counts : ndarray, shape (k,), int
        How many these are.
    reason : str
        How the number of classes was found, in words.
    texture_reason : str
        The same of textures.
    """

    parts: NDArray[np.float32]
    texture_parts: NDArray[np.float32]
    explained: NDArray[np.float32]
    texture_of: NDArray[np.int16]
    means: Floats
    counts: NDArray[np.int64]
    reason: str
    texture_reason: str

    def pure(self) -> NDArray[np.bool_]:
        """Which windows are of one class, shape (n,)."""
        return _is_pure(self.parts, self.explained)


def group_windows(
    coefficients: NDArray[np.float32],
    method: str = "hdbscan",
    n_clusters: int | None = None,
    n_components: int = 10,
    random_state: int = 0,
) -> WindowGroups:
    """
    Group windows by their spectra, and groups that a rotation makes equal.

    Parameters
    ----------
    coefficients : ndarray, shape (n, shells, orders), float32
        Of power in real spherical harmonics, averaged over neighbouring shells (`over_shells`); windows without power
        are in no class.
    method : {"hdbscan", "mixture", "kmeans"}
    n_clusters : int, optional
        Of a mixture or k-means; by default the number is found.
    n_components : int
        Principal components by which windows are grouped.
    random_state : int

    Returns
    -------
    WindowGroups
        Classes in the order of falling share, those of one texture together; textures in that order, too.

    Raises
    ------
    ValueError
        Fewer windows with power than clusters, or none.
    """
    n, shells, orders = coefficients.shape
    power = coefficients[:, :, 0].sum(axis=1, dtype=np.float64)
    there = np.flatnonzero(power > 0)
    if not len(there):
        raise ValueError("no window has any structure: its voxels are of one value; a larger window= may have some")
    coefficients = coefficients if len(there) == n else coefficients[there]
    rows = np.ascontiguousarray(coefficients.reshape(len(there), -1))
    places = _scores(rows, power[there], n_components, random_state)
    if method == "hdbscan":
        labels, reason = _by_density(places, random_state)
    else:
        labels, reason = _by_centres(places, method, n_clusters, random_state)
    means = _means(rows, labels)
    if n_clusters is None:
        means, reason = _without_mixtures(means, np.bincount(labels[labels >= 0]), reason)
    for _ in range(_ROUNDS):
        parts, explained = fractions(rows, means)
        pure = _is_pure(parts, explained)
        own = np.where(pure, parts.argmax(axis=1), -1)
        enough = np.bincount(own[own >= 0], minlength=len(means)) >= _FEWEST
        fresh = _means(rows, own, len(means))
        means = np.where(enough[:, None], fresh, means)
    parts, explained = fractions(rows, means)
    pure = _is_pure(parts, explained)
    counts = np.bincount(parts.argmax(axis=1)[pure], minlength=len(means))
    shaped = means.reshape(len(means), shells, orders)
    texture_of, texture_reason = textures_of(shaped)
    order, texture_of = _ordered(parts.sum(axis=0), texture_of)
    parts, counts, shaped = parts[:, order], counts[order], shaped[order]
    texture_parts = np.zeros((len(there), int(texture_of.max()) + 1))
    for k, t in enumerate(texture_of):
        texture_parts[:, t] += parts[:, k]
    _by_invariants(texture_parts, rows.reshape(-1, shells, orders), explained, shaped, texture_of)
    return WindowGroups(
        _placed(parts, there, n),
        _placed(texture_parts, there, n),
        _placed(explained, there, n),
        texture_of,
        shaped,
        counts,
        reason,
        texture_reason,
    )


def _placed(values: Floats, there: NDArray[np.intp], n: int) -> NDArray[np.float32]:
    placed = np.zeros((n, *values.shape[1:]), dtype=np.float32)
    placed[there] = values
    return placed


def _scores(rows: NDArray[np.float32], power: Floats, n_components: int, seed: int) -> NDArray[np.float32]:
    """Principal components of rows divided by their power, fitted on a sample."""
    if len(rows) < 2:
        return np.zeros((len(rows), 1), dtype=np.float32)
    size = min(n_components, *rows.shape)
    taken = np.sort(np.random.default_rng(seed).permutation(len(rows))[:_FITTED])
    sample = (rows[taken] / power[taken, None]).astype(np.float32)
    fitted = pca(sample, size, random_state=seed)
    centre = np.einsum("d,kd->k", fitted.mean, fitted.components)
    scores = _emcore.x_q(rows, np.ascontiguousarray(fitted.components.T)) / power[:, None] - centre
    return np.ascontiguousarray(scores, dtype=np.float32)


def _by_density(places: NDArray[np.float32], seed: int) -> tuple[NDArray[np.int32], str]:
    """Labels, -1 between groups; all 0 where there are no groups."""
    if len(places) < 2:
        return np.zeros(len(places), dtype=np.int32), "there is one window"
    groups = density_groups(places, seed)
    if groups.n_groups < 2:
        return np.zeros(len(places), dtype=np.int32), groups.reason
    return np.where(groups.inside, groups.labels, -1).astype(np.int32), groups.reason


def _by_centres(
    places: NDArray[np.float32], method: str, n_clusters: int | None, seed: int
) -> tuple[NDArray[np.int32], str]:
    k, reason = n_clusters, f"n_clusters={n_clusters} was asked for"
    if k is not None and k > len(places):
        raise ValueError(
            f"n_clusters={k}, but there are {count_of(len(places), 'window')} with power; a smaller step gives more"
        )
    if k is None:
        if len(places) < 4:
            return np.zeros(len(places), dtype=np.int32), f"{count_of(len(places), 'window')} only"
        choice = choose_number(places.astype(np.float64), density_groups(places, seed), seed)
        k, reason = choice.n_clusters, choice.reason
    if method == "kmeans" or k == 1:
        return kmeans(places, k, n_init=10, random_state=seed).labels, reason
    from sklearn.mixture import GaussianMixture

    taken = np.sort(np.random.default_rng(seed).permutation(len(places))[:_FITTED])
    model = GaussianMixture(k, n_init=3, random_state=seed, reg_covar=1e-9 + 1e-3 * float(places.var()))
    return model.fit(places[taken]).predict(places).astype(np.int32), reason


def _means(rows: NDArray[np.float32], labels: NDArray[Any], k: int | None = None) -> Floats:
    count = int(labels.max()) + 1 if k is None else k
    means = np.zeros((count, rows.shape[1]))
    for i in range(count):
        own = np.flatnonzero(labels == i)
        if len(own):
            means[i] = rows[own].mean(axis=0, dtype=np.float64)
    return means


def _without_mixtures(means: Floats, sizes: NDArray[Any], reason: str) -> tuple[Floats, str]:
    """The groups whose mean is no mixture of those of others: one after another the one that is most so goes."""
    from scipy.optimize import nnls

    kept = list(range(len(means)))
    unit = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-300)
    # As many coordinates as groups have the same lengths and angles.
    values, vectors = np.linalg.eigh(np.einsum("id,jd->ij", unit, unit))
    places = vectors * np.sqrt(np.maximum(values, 0.0))
    while len(kept) > 1:
        left = [nnls(places[[j for j in kept if j != i]].T, places[i])[1] for i in kept]
        least = min(range(len(kept)), key=lambda at: (left[at], sizes[kept[at]]))
        if left[least] > _LEFT:
            break
        kept.pop(least)
    gone = len(means) - len(kept)
    if gone:
        reason += f"; {gone} of them {'is a mixture' if gone == 1 else 'are mixtures'} of others, along borders"
    return means[kept], reason


def fractions(rows: NDArray[np.float32], means: Floats) -> tuple[Floats, Floats]:
    """
    What part of each row the means of groups fill, and how much of it they explain.

    Parameters
    ----------
    rows : ndarray, shape (n, d), float32
    means : ndarray, shape (k, d)

    Returns
    -------
    parts : ndarray, shape (n, k)
        Not negative; they add up to 1, or are 0.
    explained : ndarray, shape (n,)
        1 less the length of what is left over that of the row, from 0 to 1.

    Examples
    --------
    >>> rows = np.array([[3.0, 0.0, 1.0], [0.0, 0.0, 2.0]], dtype=np.float32)
    >>> parts, explained = fractions(rows, np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 2.0]]))
    >>> parts.tolist(), explained.tolist()
    ([[0.75, 0.25], [0.0, 1.0]], [1.0, 1.0])
    """
    gram = np.einsum("id,jd->ij", means, means)
    products = np.asarray(_emcore.x_q(rows, np.ascontiguousarray(means.T)))
    parts = _nonnegative(products, gram)
    square = np.concatenate(
        [np.square(rows[i : i + 4096], dtype=np.float64).sum(axis=1) for i in range(0, len(rows), 4096)]
    )
    left = square - 2 * (parts * products).sum(axis=1) + (np.einsum("nj,jk->nk", parts, gram) * parts).sum(axis=1)
    explained = 1 - np.sqrt(np.clip(left / np.maximum(square, 1e-300), 0, 1))
    total = parts.sum(axis=1, keepdims=True)
    return np.divide(parts, total, out=np.zeros_like(parts), where=total > 0), explained


def _nonnegative(products: Floats, gram: Floats) -> Floats:
    """Coefficients of non-negative least squares, shape (n, k), of products with k vectors and products of these."""
    diagonal = np.maximum(np.diag(gram), 1e-300)
    parts = np.zeros_like(products)
    scale = max(float((np.abs(products) / diagonal).max(initial=0.0)), 1e-300)
    for _ in range(_SWEEPS):
        most = 0.0
        for k in range(len(gram)):
            change = (products[:, k] - np.einsum("nj,j->n", parts, gram[:, k])) / diagonal[k]
            new = np.maximum(parts[:, k] + change, 0.0)
            most = max(most, float(np.abs(new - parts[:, k]).max(initial=0.0)))
            parts[:, k] = new
        if most <= _STILL * scale:
            break
    return parts


def _is_pure(parts: NDArray[Any], explained: NDArray[Any]) -> NDArray[np.bool_]:
    pure: NDArray[np.bool_] = (parts.max(axis=1, initial=0.0) >= _PURE) & (explained >= EXPLAINED)
    return pure


def textures_of(means: Floats) -> tuple[NDArray[np.int16], str]:
    """
    Which classes are one texture: those whose invariants are nearer to each other than textures are, on average.

    Parameters
    ----------
    means : ndarray, shape (k, shells, orders)

    Returns
    -------
    texture_of : ndarray, shape (k,), int16
    reason : str
    """
    k = len(means)
    if k == 1:
        return np.zeros(1, dtype=np.int16), "there is one class"
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist

    joined = linkage(pdist(invariants(means)), "average")
    labels = fcluster(joined, _ALIKE, "distance").astype(np.int16) - 1
    heights = joined[:, 2]
    inside, across = heights[heights <= _ALIKE], heights[heights > _ALIKE]
    said = [f"invariants of one texture differ by at most {inside.max():.2f}"] if len(inside) else []
    said += [f"those of different ones by at least {across.min():.2f}"] if len(across) else []
    return labels, f"{', '.join(said)} (limit {_ALIKE:g} of a length of 1)"


def _ordered(share: Floats, texture_of: NDArray[np.int16]) -> tuple[NDArray[np.intp], NDArray[np.int16]]:
    """The order of classes, and the texture of each in it: the largest texture first, in it the largest class."""
    of_textures = np.bincount(texture_of, share)
    rank = np.argsort(np.argsort(-of_textures, kind="stable"), kind="stable")
    renamed = rank[texture_of].astype(np.int16)
    order = np.lexsort((-share, renamed))
    return order, renamed[order]


def _by_invariants(
    texture_parts: Floats,
    rows: NDArray[np.float32],
    explained: Floats,
    means: Floats,
    texture_of: NDArray[np.int16],
) -> None:
    """Give windows that no class explains, as those of rare orientations, the texture whose invariants they have."""
    unknown = np.flatnonzero(explained < EXPLAINED)
    references = invariants(means)
    for start in range(0, len(unknown), 4096):
        some = unknown[start : start + 4096]
        own = invariants(rows[some])
        nearness = np.einsum("nd,kd->nk", own, references)
        nearest = nearness.argmax(axis=1)
        alike = 2 - 2 * nearness[np.arange(len(some)), nearest] <= _ALIKE**2
        texture_parts[some[alike]] = 0
        texture_parts[some[alike], texture_of[nearest[alike]]] = 1
