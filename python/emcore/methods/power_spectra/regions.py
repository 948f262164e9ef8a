"""Which component does a pixel belong to? From maps on a coarse grid of windows to a region for every pixel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Rows of pixels, and windows, at a time: what is computed on the way stays in cache.
_ROWS = 32
_WINDOWS = 64
# More windows do not make a geometric mean of their spectra better.
_ENOUGH = 200


def comparable(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps divided by the level that each has where it is present, so that the largest says which is strongest.

    The level is sum W^3 / sum W^2: the mean over windows weighted by energy, blind to where a component is absent and
    to how large its region is.

    Parameters
    ----------
    maps : ndarray, shape (k, ny, nx)
        Not negative; of any scale each.

    Returns
    -------
    ndarray, shape (k, ny, nx), float32
        About 1 where a component is alone.

    Examples
    --------
    >>> import numpy as np
    >>> comparable(np.array([[[8, 8, 0, 0]], [[0, 0, 3, 3]]], dtype=np.float32)).tolist()
    [[[1.0, 1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0, 1.0]]]
    """
    squared = np.square(maps, dtype=np.float64)
    energy = squared.sum(axis=(1, 2))
    level = (squared * maps).sum(axis=(1, 2)) / np.where(energy > 0, energy, 1)
    return (maps / np.where(level > 0, level, 1)[:, None, None]).astype(np.float32)


def balanced(
    strength: NDArray[np.float32],
    maps: NDArray[np.float32],
    components: NDArray[np.floating[Any]],
    typical: NDArray[np.float64],
    weights: NDArray[Any],
) -> NDArray[np.float32]:
    """Strengths divided so that two components are equal in a window that lies half on the region of each.

    The power of a lattice falls with the square of its share of the amplitude, noise that both sides have does not, and
    logarithms are halves of neither. Without this a strong lattice reaches into what has none.

    Parameters
    ----------
    strength, maps : ndarray, shape (k, ny, nx)
        `comparable` maps, and the maps.
    components : ndarray, shape (k, d)
        Spectra of the components.
    typical : ndarray, shape (k, d)
        Power of the windows that lie in the region of each, in units of the level of the logarithms.
    weights : ndarray, shape (d,)
        How often each frequency stands in the full plane.

    Returns
    -------
    ndarray, shape (k, ny, nx), float32

    Examples
    --------
    >>> import numpy as np
    >>> ground, lattice = np.array([1.0, 1.0]), np.array([1.0, 1000.0])
    >>> powers = np.stack([ground, lattice])
    >>> maps = np.array([[[1.0, 0.0]], [[0.0, 1.0]]], dtype=np.float32)
    >>> balanced(maps, maps, np.log1p(powers), powers, np.ones(2)).max(axis=(1, 2)).round(1)
    array([1.9, 0.5], dtype=float32)
    """
    k = len(maps)
    levels = maps.max(axis=(1, 2)) / np.maximum(strength.max(axis=(1, 2)), np.finfo(np.float32).tiny)
    differences, logarithms = [], []
    for i in range(k):
        for j in range(i):
            pair = [i, j]
            half = np.log1p(0.25 * typical[pair].sum(axis=0) + 0.5 * typical[pair].min(axis=0))
            spectra = components[pair].astype(np.float64)
            products = np.einsum("id,jd,d->ij", spectra, spectra, weights)
            parts = np.linalg.lstsq(products, np.einsum("id,d,d->i", spectra, weights, half), rcond=1e-6)[0]
            if min(parts) <= 0 or min(levels[pair]) <= 0:
                continue
            differences.append(np.eye(k)[i] - np.eye(k)[j])
            logarithms.append(np.log(parts[0] / levels[i]) - np.log(parts[1] / levels[j]))
    if not differences:
        return strength
    factors = np.exp(np.linalg.lstsq(np.array(differences), np.array(logarithms), rcond=1e-9)[0])
    divided: NDArray[np.float32] = (strength / factors[:, None, None]).astype(np.float32)
    return divided


def strongest_in_windows(strength: NDArray[np.float32]) -> NDArray[np.intp]:
    """Index of the strongest component in every window.

    Parameters
    ----------
    strength : ndarray, shape (k, ny, nx)

    Returns
    -------
    ndarray, shape (ny, nx)
        The first of equals; -1 where all are zero.

    Examples
    --------
    >>> import numpy as np
    >>> strongest_in_windows(np.array([[[1.0, 0.2, 0.0]], [[0.0, 0.9, 0.0]]], dtype=np.float32)).tolist()
    [[0, 1, -1]]
    """
    return np.where(strength.max(axis=0) > 0, strength.argmax(axis=0), -1)


def strongest_in_pixels(
    strength: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Index of the strongest component at every pixel, strengths interpolated linearly between windows.

    Parameters
    ----------
    strength : ndarray, shape (k, ny, nx), float32
    y, x : ndarray, shape (ny,) and (nx,)
        Centres of the windows in pixels, rising; beyond the outermost their values hold up to the edge.
    shape : (int, int)
        Height and width of the image.

    Returns
    -------
    ndarray, shape (H, W), int32
        The first of equals; -1 where all are zero.

    Examples
    --------
    >>> import numpy as np
    >>> strength = np.array([[[1.0, 0.0]], [[0.0, 1.0]]], dtype=np.float32)
    >>> strongest_in_pixels(strength, np.array([0.0]), np.array([1.0, 4.0]), (1, 6)).tolist()
    [[0, 0, 0, 1, 1, 1]]
    """
    labels = np.full(shape, -1, dtype=np.int32)
    above, below, to_below = _between(y, shape[0])
    left, right, to_right = _between(x, shape[1])
    for start in range(0, shape[0], _ROWS):
        part = slice(start, start + _ROWS)
        highest = np.zeros(labels[part].shape, dtype=np.float32)
        for i, values in enumerate(strength):
            lines = values[above[part]] + (values[below[part]] - values[above[part]]) * to_below[part, None]
            before = lines.take(left, axis=1)
            here = before + (lines.take(right, axis=1) - before) * to_right
            labels[part][here > highest] = i
            np.maximum(highest, here, out=highest)
    return labels


def _between(centres: NDArray[np.float64], size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For every pixel the windows before and after it, and how far it is from the first to the second."""
    place = np.interp(np.arange(size), centres, np.arange(len(centres), dtype=np.float64))
    before = place.astype(np.intp)
    return before, np.minimum(before + 1, len(centres) - 1), (place - before).astype(np.float32)


def well_inside(labels: NDArray[np.intp], reach: tuple[int, int]) -> NDArray[np.intp]:
    """The labels of windows that have only their like around them, by which a neighbour's lattice is kept out.

    Parameters
    ----------
    labels : ndarray, shape (ny, nx)
    reach : (int, int)
        How many windows to all sides must be alike, along y and x.

    Returns
    -------
    ndarray, shape (ny, nx)
        -1 elsewhere; a label that is nowhere well inside is left as it is.

    Examples
    --------
    >>> import numpy as np
    >>> well_inside(np.array([[0, 0, 0, 1, 2, 2]]), (1, 1)).tolist()
    [[0, 0, -1, 1, -1, 2]]
    """
    differ = np.zeros((2, *labels.shape), dtype=np.int64)
    differ[0, 1:] = labels[1:] != labels[:-1]
    differ[1, :, 1:] = labels[:, 1:] != labels[:, :-1]
    sums = np.pad(differ, ((0, 0), (1, 0), (1, 0))).cumsum(axis=1).cumsum(axis=2)
    (top, bottom), (left, right) = (
        (np.maximum(np.arange(size) - far, 0), np.minimum(np.arange(size) + far + 1, size))
        for size, far in zip(labels.shape, reach, strict=True)
    )
    # A border between two windows belongs to the second of them.
    inner = np.minimum(top + 1, bottom), np.minimum(left + 1, right)
    alone = np.ones(labels.shape, dtype=bool)
    for each, first, before in ((sums[0], inner[0], left), (sums[1], top, inner[1])):
        changes = each[np.ix_(bottom, right)] - each[np.ix_(first, right)] - each[np.ix_(bottom, before)]
        alone &= changes + each[np.ix_(first, before)] == 0
    inside = np.where(alone, labels, -1)
    missing = np.setdiff1d(labels, inside)
    return np.where(np.isin(labels, missing), labels, inside)


def mean_powers(rows: NDArray[np.float32], labels: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    """Mean power spectrum of the windows with each of k labels.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        Logarithms ln(1 + power / level) of every window, as `emcore.windowed_power_spectra` has them.
    labels : ndarray, shape (n,)
        Below k; windows with negative ones are left out.
    k : int

    Returns
    -------
    ndarray, shape (k, d), float64
        In units of the level; zeros where there is no window.

    Examples
    --------
    >>> import numpy as np
    >>> mean_powers(np.log1p(np.array([[1, 2], [3, 2], [9, 9]], np.float32)), np.array([0, 0, -1]), 2).round(3).tolist()
    [[2.0, 2.0], [0.0, 0.0]]
    """
    sums = np.zeros((k, rows.shape[1]))
    chosen = np.flatnonzero(labels >= 0)
    for start in range(0, len(chosen), _WINDOWS):
        some = chosen[start : start + _WINDOWS]
        power = np.exp(rows[some])
        here = labels[some]
        for label in np.unique(here):
            sums[label] += power[here == label].sum(axis=0, dtype=np.float64)
    counts = np.bincount(labels[chosen], minlength=k)[:, None]
    means: NDArray[np.float64] = (sums - counts) / np.maximum(counts, 1)
    return means


def typical_powers(rows: NDArray[np.float32], labels: NDArray[np.intp], k: int) -> NDArray[np.float64]:
    """Typical power spectrum of the windows with each of k labels, which a few bright windows do not change.

    Parameters
    ----------
    rows, labels, k
        As for `mean_powers`.

    Returns
    -------
    ndarray, shape (k, d), float64
        The geometric mean of 1 + power / level, minus 1, of some hundred windows where there are more; zeros where
        there is none.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.log1p(np.array([[1, 2], [7, 2], [9, 9]], np.float32))
    >>> typical_powers(rows, np.array([0, 0, -1]), 2).round(3).tolist()
    [[3.0, 2.0], [0.0, 0.0]]
    """
    means = np.zeros((k, rows.shape[1]))
    for label in range(k):
        chosen = np.flatnonzero(labels == label)
        chosen = chosen[:: max(len(chosen) // _ENOUGH, 1)]
        for start in range(0, len(chosen), _WINDOWS):
            means[label] += rows[chosen[start : start + _WINDOWS]].sum(axis=0, dtype=np.float64) / len(chosen)
    typical: NDArray[np.float64] = np.expm1(means)
    return typical


def shares(
    regions: NDArray[np.int32], k: int, y: NDArray[np.float64], x: NDArray[np.float64], window: int
) -> NDArray[np.float64]:
    """How much of the amplitude of every window comes from the pixels of each of k regions.

    Parameters
    ----------
    regions : ndarray, shape (H, W)
        Below k; negative where there is none.
    k : int
    y, x : ndarray, shape (ny,) and (nx,)
        Centres of the windows in pixels.
    window : int
        Side of the windows, under a Hann taper.

    Returns
    -------
    ndarray, shape (k, ny, nx)
        From 0 to 1, to a sixteenth of a window in a border's place.

    Examples
    --------
    >>> import numpy as np
    >>> regions = np.repeat([0, 1], 64)[None].repeat(64, axis=0).astype(np.int32)
    >>> shares(regions, 2, np.array([31.5]), np.array([31.5, 63.5]), 64).round(2).tolist()
    [[[1.0, 0.5]], [[0.0, 0.5]]]
    """
    every = max(window // 16, 1)
    few = regions[every // 2 :: every, every // 2 :: every]
    tapers = []
    for centres, size in zip((y, x), few.shape, strict=True):
        away = np.minimum(np.abs(np.arange(size) * every + (every - 1) / 2 - centres[:, None]) / window, 0.5)
        taper = 1 + np.cos(2 * np.pi * away)
        tapers.append(taper / taper.sum(axis=1, keepdims=True))
    # Too small for several threads, which a matrix product would wake.
    across = [np.einsum("yh,hw->yw", tapers[0], (few == label).astype(np.float64)) for label in range(k)]
    result: NDArray[np.float64] = np.einsum("kyw,xw->kyx", np.stack(across), tapers[1])
    return result


def leaked_powers(
    powers: NDArray[np.float64], labels: NDArray[np.intp], of_regions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What the windows of each region hold of the lattices of other regions, which they reach.

    Parameters
    ----------
    powers : ndarray, shape (k, N, N)
        Mean power spectrum of the windows of each region.
    labels : ndarray, shape (ny, nx)
        Of which region a window is; negative for none.
    of_regions : ndarray, shape (k, ny, nx)
        `shares` of the regions in every window.

    Returns
    -------
    ndarray, shape (k, N, N), float64
        Amplitudes are in proportion to the shares; peaks that are cut off are broader by a bin.

    Examples
    --------
    >>> import numpy as np
    >>> powers = np.array([np.full((8, 8), 100.0), np.ones((8, 8))])
    >>> leaked_powers(powers, np.array([[0, 1]]), np.array([[[1.0, 0.2]], [[0.0, 0.8]]]))[:, 0, 0].round(3).tolist()
    [0.0, 4.0]
    """
    leaked = np.zeros_like(powers)
    if len(powers) == 1:
        return leaked
    wide = np.max([np.roll(powers, (dy, dx), (1, 2)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], axis=0)
    for label in range(len(powers)):
        here = labels == label
        for other in range(len(powers)):
            if other != label and here.any():
                leaked[label] += np.mean(of_regions[other][here] ** 2) * wide[other]
    return leaked
