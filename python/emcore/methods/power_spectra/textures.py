"""Which parts of an image differ in texture, where there is no lattice that could tell?

Of every window the power spectrum is averaged over bins in polar coordinates: how coarse a texture is, and which
directions it has. Differences are measured in units of those between windows half a window apart, most of which lie in
one texture: so what fluctuates everywhere counts little. A region is divided in two while its windows fall into two
groups (k-means) that are well apart (silhouettes), and differ far more than neighbours do.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.methods.kmeans.fit import kmeans
from emcore.methods.pca.fit import pca
from emcore.methods.power_spectra.regions import well_inside
from emcore.methods.power_spectra.separation import Parts, Picture, described
from emcore.methods.selection.clusters import silhouette

RINGS, SECTORS = 8, 8
_NEAREST_BIN = 1.5
# Neighbours that differ most lie on both sides of a border; so much of the mean variance is added to every direction.
_ALIKE, _SHRINKAGE = 0.7, 0.2
# Two groups have this mean silhouette at least, and this variance, as a multiple of that of neighbours.
LEAST_SILHOUETTE, LEAST_VARIANCE = 0.58, 9.0
# A mixture of two textures lies so far from either, and so near their line, as parts of their distance.
_END, _OFF = 0.15, 0.5
# Fewer windows are no group; more do not make a silhouette better.
_FEWEST, _ENOUGH = 10, 1500
_PLANE = 2
_BLOCK = 64


def polar_means(spectra: NDArray[np.float32]) -> NDArray[np.float64]:
    """Means of spectra over bins of a polar grid, rings in steps of a constant factor.

    Parameters
    ----------
    spectra : ndarray, shape (ny, nx, N, N / 2 + 1)
        Logarithms of power.

    Returns
    -------
    ndarray, shape (ny, nx, bins)
        Times the root of the number of frequencies in each bin, so that noise is alike in all; bins of fewer than two
        are left out.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.textures import polar_means
    >>> polar_means(np.ones((3, 4, 64, 33), np.float32)).shape
    (3, 4, 51)
    """
    ny, nx, n, half = spectra.shape
    ky, kx = np.fft.fftfreq(n, 1 / n)[:, None], np.arange(half)
    radius, angle = np.hypot(ky, kx), np.arctan2(ky, kx) % np.pi
    ring = np.log(np.maximum(radius, 1) / _NEAREST_BIN) / np.log(n / 2 / _NEAREST_BIN) * RINGS
    sector = (angle / np.pi * SECTORS).astype(np.intp) % SECTORS
    used = (radius >= _NEAREST_BIN) & (radius < n / 2)
    bins = np.where(used, np.minimum(ring.astype(np.intp), RINGS - 1) * SECTORS + sector, RINGS * SECTORS).ravel()
    order, counts = np.argsort(bins, kind="stable"), np.bincount(bins, minlength=RINGS * SECTORS + 1)
    starts, large = np.cumsum(counts) - counts, np.flatnonzero(counts[:-1] >= 2)
    rows = spectra.reshape(ny * nx, -1)
    means = np.empty((len(rows), len(large)))
    for first in range(0, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK, order].astype(np.float64)
        sums = np.add.reduceat(block, starts[counts > 0], axis=1)
        means[first : first + _BLOCK] = sums[:, np.isin(np.flatnonzero(counts), large)]
    scaled: NDArray[np.float64] = (means / np.sqrt(counts[large])).reshape(ny, nx, -1)
    return scaled


def in_units_of_neighbours(features: NDArray[np.float64], apart: int) -> NDArray[np.float64]:
    """Features turned and scaled so that windows that are so many steps apart differ alike in all directions.

    Parameters
    ----------
    features : ndarray, shape (ny, nx, d)
    apart : int

    Returns
    -------
    ndarray, shape (ny, nx, d)
        Of mean 0; the variance in any direction is in units of what two neighbours differ by, about.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.textures import in_units_of_neighbours
    >>> noise = np.random.default_rng(0).normal(size=(40, 40, 3)) * [1, 10, 100]
    >>> bool(in_units_of_neighbours(noise, 2).std(axis=(0, 1)).max() < 2)
    True
    """
    d = features.shape[2]
    pairs = (features[apart:] - features[:-apart], features[:, apart:] - features[:, :-apart])
    differences = np.concatenate([pair.reshape(-1, d) for pair in pairs])
    centred = features - features.mean(axis=(0, 1))
    squares = np.square(differences).sum(axis=1)
    if not squares.any():
        return np.zeros_like(features)
    alike = differences[squares <= np.quantile(squares, _ALIKE)]
    principal = pca(alike, min(alike.shape), center=False)
    variances = np.square(principal.singular_values) / (2 * len(alike))
    scales = np.sqrt((1 - _SHRINKAGE) * variances + _SHRINKAGE * variances.sum() / d)
    scaled: NDArray[np.float64] = np.einsum("yxi,ji->yxj", centred, principal.components) / scales
    return scaled


def parted_by_texture(spectra: NDArray[np.float32], weights: NDArray[Any], picture: Picture) -> Parts | None:
    """Components that are the textures which can be told apart.

    Parameters
    ----------
    spectra : ndarray, shape (ny, nx, N, N / 2 + 1)
        Logarithms of power.
    weights : ndarray, shape (N * (N / 2 + 1),)
        How often each frequency stands in the full plane.
    picture : Picture

    Returns
    -------
    Parts or None
        Maps are how much of a window's spectrum, by its sum, belongs to each texture, components the mean spectra of
        sum 1; in the order of falling energy. None where all is one texture.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.separation import Picture
    >>> from emcore.methods.power_spectra.textures import parted_by_texture
    >>> from emcore.methods.power_spectra.windows import half_plane_weights, windowed_power_spectra
    >>> noise = np.random.default_rng(0).normal(size=(256, 512))
    >>> coarse = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3**0.5
    >>> spectra = windowed_power_spectra(np.where(np.arange(512) < 256, noise, coarse), 64, 16)
    >>> parts = parted_by_texture(spectra, np.tile(half_plane_weights(64), 64), Picture((256, 512), 16, (1.0, 1.0)))
    >>> len(parts.maps), parts.regions[:, [128, 384]].std(axis=0).tolist()
    (2, [0.0, 0.0])
    """
    memberships = textures(spectra, picture.step)
    if len(memberships) == 1:
        return None
    rows = spectra.reshape(-1, len(weights))
    totals = np.einsum("ni,i->n", rows, weights, dtype=np.float64).reshape(memberships.shape[1:])
    maps = (memberships * totals).astype(np.float32)
    order = np.argsort(-np.square(maps, dtype=np.float64).sum(axis=(1, 2)), kind="stable")
    maps, memberships = maps[order], memberships[order]
    belongs = memberships.argmax(axis=0).ravel()
    means = np.stack([rows[belongs == i].mean(axis=0, dtype=np.float64) for i in range(len(maps))])
    means /= (means * weights).sum(axis=1, keepdims=True)
    components = means.astype(np.float32).reshape(-1, *spectra.shape[2:])
    return described(spectra, maps, components, memberships, picture)


def textures(spectra: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """How much every window belongs to each of the textures that can be told apart.

    Parameters
    ----------
    spectra : ndarray, shape (ny, nx, N, N / 2 + 1)
        Logarithms of power.
    step : int
        Of the windows, in pixels.

    Returns
    -------
    ndarray, shape (k, ny, nx), float32
        Of sum 1; k = 1 where all is one texture.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.textures import textures
    >>> from emcore.methods.power_spectra.windows import windowed_power_spectra
    >>> noise = np.random.default_rng(0).normal(size=(256, 512))
    >>> coarse = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3**0.5
    >>> both = np.where(np.arange(512) < 256, noise, coarse)
    >>> [len(textures(windowed_power_spectra(image, 64, 16), 16)) for image in (noise, both)]
    [1, 2]
    """
    window = spectra.shape[2]
    half = max(window // (2 * step), 1)
    features = in_units_of_neighbours(polar_means(spectra), half)
    labels = np.zeros(features.shape[:2], dtype=np.intp)
    waiting, k = [0], 1
    while waiting:
        label = waiting.pop(0)
        parted = _parted(features, labels == label, half)
        if parted is not None:
            labels[parted] = k
            waiting += [label, k]
            k += 1
    labels = without_borders(features, labels, half)
    k = int(labels.max()) + 1
    if k == 1:
        return np.ones((1, *labels.shape), dtype=np.float32)
    return _memberships(features, labels, k)


def _parted(features: NDArray[np.float64], here: NDArray[np.bool_], half: int) -> NDArray[np.bool_] | None:
    """The windows of a region that are a texture of their own; None where all are alike."""
    # Windows on the border of a region hold some of its neighbours; a narrow one has hardly any others.
    inside = (well_inside(here.astype(np.intp), (half // 2, half // 2)) == 1) & here
    rows = features[inside if 2 * np.count_nonzero(inside) >= np.count_nonzero(here) else here]
    if len(rows) < 2 * _FEWEST:
        return None
    principal = pca(rows, _PLANE)
    if principal.explained_variance[0] < LEAST_VARIANCE:
        return None
    plane = np.einsum("ni,ji->nj", rows - principal.mean, principal.components)
    labels = kmeans(plane, 2, n_init=10, random_state=0).labels
    if min(np.bincount(labels, minlength=2)) < _FEWEST or _silhouette(plane, labels) < LEAST_SILHOUETTE:
        return None
    centres = np.stack([rows[labels == i].mean(axis=0) for i in (0, 1)])
    away = np.square(features[here][:, None] - centres).sum(axis=2)
    result = np.zeros(here.shape, dtype=bool)
    result[here] = away[:, 1] < away[:, 0]
    return result


def without_borders(features: NDArray[np.float64], labels: NDArray[np.intp], half: int) -> NDArray[np.intp]:
    """Labels without groups narrower than a window whose windows are mixtures of two others; numbered anew."""
    k = int(labels.max()) + 1
    centres = np.stack([features[labels == i].mean(axis=0) for i in range(k)])
    left = list(range(k))
    for i in sorted(range(k), key=lambda i: np.count_nonzero(labels == i)):
        here = labels == i
        inside = well_inside(here.astype(np.intp), (half, half)) == 1
        narrow = not inside.any() or np.array_equal(inside, here)
        others = [j for j in left if j != i]
        pairs = [(a, b) for a in others for b in others if a < b]
        if narrow and any(_lies_between(centres[i], centres[a], centres[b]) for a, b in pairs):
            left = others
            away = np.square(features[here][:, None] - centres[left]).sum(axis=2)
            labels = labels.copy()
            labels[here] = np.asarray(left)[away.argmin(axis=1)]
    return np.searchsorted(left, labels)


def _lies_between(point: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Whether a point lies near the line from one to another, and not near its ends."""
    line = second - first
    length = float(line @ line)
    along = float((point - first) @ line) / length
    off = point - first - along * line
    return _END < along < 1 - _END and float(off @ off) < _OFF**2 * length


def _silhouette(points: NDArray[np.float64], labels: NDArray[np.int32]) -> float:
    """Of two groups, always of the same points."""
    return silhouette(points, labels, 2, _ENOUGH, np.random.default_rng(0))


def _memberships(features: NDArray[np.float64], labels: NDArray[np.intp], k: int) -> NDArray[np.float32]:
    """By how near windows are to the centres of textures, in the space that these span."""
    rows, flat = features.reshape(-1, features.shape[2]), labels.ravel()
    centres = np.stack([rows[flat == i].mean(axis=0) for i in range(k)])
    _, _, axes = np.linalg.svd(centres - centres.mean(axis=0), full_matrices=False)
    span = axes[: k - 1].T
    points, start = np.einsum("ni,ij->nj", rows, span), np.einsum("ni,ij->nj", centres, span)
    centres = kmeans(points, k, init=start, n_init=1).centers
    nearness = 1 / np.maximum(np.square(points[:, None] - centres).sum(axis=2), 1e-9)
    parts: NDArray[np.float64] = (nearness / nearness.sum(axis=1, keepdims=True)).T
    return parts.reshape(k, *labels.shape).astype(np.float32)
