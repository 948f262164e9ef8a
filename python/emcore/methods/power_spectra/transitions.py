"""Which components are no region of their own: borders between two lattices, and places in one that changes smoothly?

A window over a border shows both lattices, each weaker and broader, which the logarithm makes a spectrum of its own. A
lattice that is strained or bent has different peaks at its ends; where its components meet the peaks move on steadily,
while those of two lattices jump.
"""

import math

import numpy as np
from numpy.typing import NDArray

from emcore.methods.power_spectra.likeness import numbered
from emcore.methods.power_spectra.periodicity import LEAST_PERIODS
from emcore.methods.power_spectra.prominence import above_rings
from emcore.methods.power_spectra.regions import shares, well_inside
from emcore.methods.power_spectra.separation import Parts, Picture
from emcore.methods.power_spectra.windows import window_centers

# Windows over a border hold, of two lattices, this part of the mean power of both at least and at most: half of it in
# the middle, more where one of them prevails; two that lie on each other, twice as much.
_LEAST_SUM, _MOST_SUM = 0.15, 1.2
# What counts of a lattice's power above the median of its ring.
_PEAK = 0.1
# Peaks of one lattice at two places differ by so much of their frequency at most, or so many bins.
_NEAR, _NEAR_BINS = 0.15, 2.0
# A step smaller than this part of the difference is none; a difference of so many bins is too small to tell.
_STEP, _LEAST_DIFFERENCE = 0.5, 0.1
# A peak in a window stands above its surroundings by so many units of the logarithm.
_STANDS = 1.5
# Components meet in windows of which each has this share of the amplitude.
_MEETS = 0.2
_FEWEST = 8


def borders(parts: Parts, picture: Picture, window: int) -> NDArray[np.bool_]:
    """Which components are borders between others.

    Parameters
    ----------
    parts : Parts
    picture : Picture
    window : int
        Side of the windows in pixels.

    Returns
    -------
    ndarray of bool, shape (k,)
        True of a component narrower than a window throughout, with no peak that its neighbours do not have, and with
        the power that windows half on either side have.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.separation import described
    >>> from emcore.methods.power_spectra.windows import windowed_power_spectra
    >>> y, x = np.mgrid[:128, :320]
    >>> image = np.where(x < 160, np.cos(x + 0.3 * y), np.cos(0.7 * x + 0.2 * y))
    >>> image = image + 0.1 * np.random.default_rng(0).normal(size=x.shape)
    >>> spectra = windowed_power_spectra(image, 64, 16)
    >>> maps = np.zeros((3, *spectra.shape[:2]), np.float32)
    >>> maps[0, :, :7] = maps[1, :, 7:10] = maps[2, :, 10:] = 1
    >>> picture = Picture((128, 320), 16, (1.0, 1.0))
    >>> borders(described(spectra, maps, spectra[0, :3], maps, picture), picture, 64).tolist()
    [False, True, False]
    """
    k = len(parts.maps)
    result = np.zeros(k, dtype=bool)
    if k < 3:
        return result
    above = np.stack([_above_rings(power) for power in parts.powers])
    wide = np.max([np.roll(parts.powers, (dy, dx), (1, 2)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], axis=0)
    beside = _beside(parts.labels, k)
    half = -(-window // (2 * picture.step))
    thin = [not _has_middle(parts.labels == i, (half, half)) for i in range(k)]
    for i in sorted(np.flatnonzero(thin), key=lambda i: np.count_nonzero(parts.labels == i)):
        sides = np.flatnonzero(beside[i] & parts.lattices & ~result)
        if len(sides) < 2:
            continue
        own = (above[i] >= _PEAK * above[i].max()) & (parts.powers[i] > wide[sides].max(axis=0))
        peaks = np.any(above[sides] >= _PEAK * above[sides].max(axis=(1, 2), keepdims=True), axis=0)
        total = 2 * above[i][peaks].sum() / np.sort(above[sides][:, peaks].sum(axis=1))[-2:].sum()
        result[i] = not own.any() and _LEAST_SUM < total < _MOST_SUM
    return result


def one_that_changes(spectra: NDArray[np.float32], parts: Parts, picture: Picture) -> NDArray[np.intp]:
    """Number components so that those have one number whose peaks move on steadily from one to the next.

    Parameters
    ----------
    spectra : ndarray, shape (ny, nx, N, N / 2 + 1)
        ln(1 + power / level) of every window.
    parts : Parts
    picture : Picture

    Returns
    -------
    ndarray, shape (k,)
        As `one_lattice` numbers them.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.separation import described
    >>> from emcore.methods.power_spectra.windows import windowed_power_spectra
    >>> y, x = np.mgrid[:128, :320]
    >>> phases = {"changes": 0.8 * x + 0.0002 * x**2, "jumps": np.where(x < 160, 0.83 * x, 0.89 * x)}
    >>> noise = 0.1 * np.random.default_rng(0).normal(size=x.shape)
    >>> picture = Picture((128, 320), 16, (1.0, 1.0))
    >>> for name, phase in phases.items():
    ...     spectra = windowed_power_spectra(np.cos(phase) + noise, 64, 16)
    ...     maps = np.zeros((2, *spectra.shape[:2]), np.float32)
    ...     maps[0, :, :8] = maps[1, :, 8:] = 1
    ...     parts = described(spectra, maps, spectra[0, :2], maps, picture)
    ...     print(name, one_that_changes(spectra, parts, picture).tolist())
    changes [0, 0]
    jumps [0, 1]
    """
    k, n = len(parts.maps), spectra.shape[2]
    y, x = window_centers(picture.shape, n, picture.step)
    of_regions = shares(parts.regions, k, y, x, n)
    alike = np.eye(k, dtype=bool)
    for i in np.flatnonzero(parts.lattices):
        for j in np.flatnonzero(parts.lattices[:i]):
            alike[i, j] = alike[j, i] = _changes(spectra, parts, picture, of_regions, (int(i), int(j)))
    return numbered(alike)


def _changes(
    spectra: NDArray[np.float32],
    parts: Parts,
    picture: Picture,
    of_regions: NDArray[np.float64],
    pair: tuple[int, int],
) -> bool:
    """Whether the peaks of two components are near each other, and move from one to the other without a step."""
    n, (i, j) = spectra.shape[2], pair
    meets = np.all(of_regions[[i, j]] >= _MEETS, axis=0)
    if np.count_nonzero(meets) < 2:
        return False
    places = np.stack(np.nonzero(meets), axis=1), np.stack(np.nonzero(np.isin(parts.labels, pair)), axis=1)
    far = np.min([np.abs(places[1] - place).max(axis=1) for place in places[0]], axis=0) * picture.step > 1.5 * n
    windows = places[1][~far]
    known = parts.peaks[i][np.isfinite(parts.peaks[i][:, 0])]
    steps, differences = [], []
    for first in _bins(known, n, picture.scale):
        second = _near(_above_rings(parts.powers[j]), first)
        found = None if second is None else _step(spectra, windows, of_regions[j], parts.labels == j, (first, second))
        if found is None:
            return False
        steps.append(found[0])
        differences.append(found[1])
    step, difference = np.linalg.norm(np.concatenate(steps)), np.linalg.norm(np.concatenate(differences))
    return bool(difference > _LEAST_DIFFERENCE and step < _STEP * difference)


def _near(above: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The highest bin near a place, along y and x; None where it is low."""
    n = above.shape[0]
    y, x = np.ogrid[-(n // 2) : n - n // 2, -(n // 2) : n - n // 2]
    reach = max(_NEAR * math.hypot(*place), _NEAR_BINS)
    highest = np.where(np.hypot(y - place[0], x - place[1]) <= reach, above, 0)
    row, column = np.unravel_index(highest.argmax(), highest.shape)
    if highest[row, column] < _PEAK * above.max():
        return None
    return np.array([row - n // 2, column - n // 2], dtype=np.float64)


def _step(
    spectra: NDArray[np.float32],
    windows: NDArray[np.intp],
    share: NDArray[np.float64],
    second: NDArray[np.bool_],
    peaks: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """How far a peak jumps where components meet beside a steady change, and how far it moves in all, in bins."""
    middle = np.rint((peaks[0] + peaks[1]) / 2).astype(np.intp)
    radius = int(np.ceil(np.abs(peaks[0] - peaks[1]).max() / 2)) + 2
    places, stands = _local_peaks(spectra, windows, middle, radius)
    windows, places = windows[stands], places[stands]
    in_second = second[tuple(windows.T)]
    if min(np.count_nonzero(in_second), np.count_nonzero(~in_second)) < _FEWEST:
        return None
    design = np.column_stack([np.ones(len(windows)), windows - windows.mean(axis=0), share[tuple(windows.T)]])
    # Of what does not vary, as y in a single row of windows, the least norm leaves nothing.
    fitted = np.linalg.lstsq(design, places, rcond=1e-9)[0]
    return fitted[-1], places[in_second].mean(axis=0) - places[~in_second].mean(axis=0)


def _local_peaks(
    spectra: NDArray[np.float32], windows: NDArray[np.intp], middle: NDArray[np.intp], radius: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where in each window the peak near a place is, in bins along y and x, and whether it stands out at all."""
    n = spectra.shape[2]
    around = np.arange(-radius, radius + 1)
    rows, columns = np.broadcast_arrays(middle[0] + around[:, None], middle[1] + around)
    # The other half of the plane is this one's mirror image.
    turned = columns < 0
    rows, columns = np.where(turned, -rows, rows) % n, np.where(turned, -columns, columns)
    folded = columns > n // 2
    rows, columns = np.where(folded, -rows % n, rows), np.where(folded, n - columns, columns)
    patches = spectra[windows[:, 0, None, None], windows[:, 1, None, None], rows, columns].astype(np.float64)
    inner = patches[:, 1:-1, 1:-1].reshape(len(patches), -1)
    iy, ix = np.unravel_index(inner.argmax(axis=1), (2 * radius - 1, 2 * radius - 1))
    every, iy, ix = np.arange(len(patches)), iy + 1, ix + 1
    along = [patches[every, iy + d, ix] for d in (-1, 0, 1)], [patches[every, iy, ix + d] for d in (-1, 0, 1)]
    places = np.stack([middle[0] + around[iy] + _vertices(*along[0]), middle[1] + around[ix] + _vertices(*along[1])])
    return places.T, along[0][1] - np.median(patches, axis=(1, 2)) > _STANDS


def _vertices(low: NDArray[np.float64], top: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where, within half a bin, parabolas through three values have their tops."""
    curvature = low - 2 * top + high
    return np.clip(0.5 * (low - high) / np.where(curvature < 0, curvature, -1.0), -0.5, 0.5)


def _bins(peaks: NDArray[np.float64], n: int, scale: tuple[float, float]) -> NDArray[np.float64]:
    """Peaks as bins along y and x, x not negative."""
    turn = np.radians(peaks[:, 1])
    frequency = np.stack([-np.sin(turn), np.cos(turn)], axis=1) / peaks[:, :1]
    bins: NDArray[np.float64] = frequency * n * np.asarray(scale)
    return np.where(bins[:, 1:] < 0, -bins, bins)


def _above_rings(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power above the median of its ring, beyond the lowest frequencies."""
    n = power.shape[0]
    above, radius = above_rings(power)
    above = np.maximum(above, 0)
    above[(radius < LEAST_PERIODS - 0.5) | (radius > n // 2)] = 0
    return above


def _beside(labels: NDArray[np.intp], k: int) -> NDArray[np.bool_]:
    """Which labels lie side by side, or a window apart."""
    result = np.zeros((k, k), dtype=bool)
    for far in (1, 2):
        for a, b in ((labels[far:], labels[:-far]), (labels[:, far:], labels[:, :-far])):
            both = (a >= 0) & (b >= 0)
            result[a[both], b[both]] = result[b[both], a[both]] = True
    np.fill_diagonal(result, val=False)
    return result


def _has_middle(here: NDArray[np.bool_], reach: tuple[int, int]) -> bool:
    """Whether some window has only its like around it."""
    alone = well_inside(here.astype(np.intp), reach)
    # What is nowhere well inside is left as it was.
    return bool(np.any(alone == 1)) and not np.array_equal(alone == 1, here)
