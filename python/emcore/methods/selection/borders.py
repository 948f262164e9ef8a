"""Where clusters of a scan's positions touch, does the scan itself change? And how far apart are they?

A phase that is bent, or one of few counts, may be cut in two. Along the border of two phases the scan steps from the
mean of one to that of the other; along a cut through a phase it hardly changes. Noise hides this, and the mean of a
window across a border is of no phase, so each position has the mean of the flattest of the windows that it lies in
(Kuwahara et al., in Digital Processing of Biomedical Images, Plenum 1976, 187).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.selection.within import in_units_of, scatter_within

Labels = NDArray[np.integer]

# Windows are so many positions wide, and hold so many that were measured.
_WIDE, _MEASURED = 3, 4
# The median of the squares of a normal deviate, in units of its variance.
_MEDIAN = 0.4549
# Of the squared deviations of all places, what is added to those of a cluster of few.
_RIDGE = 1e-9


def flattest_means(places: Floats) -> Floats:
    """
    At every position the mean of that of the windows of 3 x 3 around it in which the scan scatters least.

    Parameters
    ----------
    places : ndarray, shape (y, x, p)
        NaN where nothing was measured.

    Returns
    -------
    ndarray, shape (y, x, p)

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.borders import flattest_means
    >>> noise = np.random.default_rng(0).normal(size=(20, 20, 1))
    >>> step = 20.0 * (np.arange(20) > 9)[None, :, None]
    >>> means = flattest_means(noise + step)
    >>> bool(means[:, :10].max() < 2), bool(means[:, 10:].min() > 18), bool(means[:, :10].std() < 0.6)
    (True, True, True)
    """
    there: NDArray[np.bool_] = np.asarray(np.isfinite(places).all(axis=2), dtype=bool)
    values = np.where(there[..., None], places, 0.0)
    scaled = values / np.sqrt(_noise(values, there))
    count = np.maximum(_windows(there[..., None].astype(np.float64)), 1)
    means = _windows(values) / count
    scatter = (_windows(scaled**2) / count - (_windows(scaled) / count) ** 2).sum(axis=2)
    scatter *= count[..., 0] / np.maximum(count[..., 0] - 1, 1)
    scatter[count[..., 0] < _MEASURED] = np.inf
    best, flattest = np.full(there.shape, np.inf), places.copy()
    height, width = there.shape
    for dy, dx in np.ndindex(_WIDE, _WIDE):
        y, x = np.clip(np.arange(height) + dy - 1, 0, height - 1), np.clip(np.arange(width) + dx - 1, 0, width - 1)
        of_window = scatter[np.ix_(y, x)]
        better = (of_window < best) & there
        best[better] = of_window[better]
        flattest[better] = means[np.ix_(y, x)][better]
    return flattest


def least_step(scan: Floats, flattest: Floats, labels: Labels) -> float:
    """
    By how much the scan changes along the border of two clusters, in units of the distance of their means.

    Parameters
    ----------
    scan, flattest : ndarray, shape (y, x, p)
        Of which the clusters are, and `flattest_means` of it, in which a cut through noise leaves no distance.
    labels : ndarray of int, shape (y, x)
        Negative where nothing was measured.

    Returns
    -------
    float
        The least of all clusters that touch, from two positions before the border to two after it; infinite where none
        touch.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.borders import least_step
    >>> slope = np.tile(np.arange(16.0), (16, 1))[..., None]
    >>> halves = np.tile(np.arange(16) // 8, (16, 1))
    >>> round(least_step(slope, slope, halves), 2)
    0.37
    >>> step = halves[..., None] + 0.001 * slope
    >>> least_step(step, step, halves) > 0.9
    True
    """
    k, measured = int(labels.max()) + 1, labels >= 0
    rows, own = flattest[measured], labels[measured]
    both = in_units_of(np.concatenate([rows, scan[measured]]), scatter_within(rows, own))
    units = np.zeros(flattest.shape)
    units[measured] = both[: len(rows)]
    sizes = np.maximum(np.bincount(own, minlength=k), 1)
    means = np.stack([np.bincount(own, column, k) for column in both[len(rows) :].T], axis=1) / sizes[:, None]
    steps, borders = np.zeros((k, k)), np.zeros((k, k))
    for axis in (0, 1):
        along, of = np.moveaxis(units, axis, 0), np.moveaxis(labels, axis, 0)
        first, before, after, last = (of[i : len(of) - 3 + i] for i in range(4))
        at = (before != after) & (first == before) & (last == after) & (first >= 0) & (last >= 0)
        low, high = first[at], last[at]
        apart = means[high] - means[low]
        change = ((along[3:][at] - along[:-3][at]) * apart).sum(axis=1) / np.square(apart).sum(axis=1)
        pair = np.minimum(low, high), np.maximum(low, high)
        np.add.at(steps, pair, change)
        np.add.at(borders, pair, 1)
    touching = borders > 0
    return float((steps[touching] / borders[touching]).min()) if touching.any() else np.inf


@dataclass(frozen=True)
class Separation:
    """
    How far apart the two nearest of some clusters are.

    Attributes
    ----------
    own : float
        Squared, in units of their own scatter in the direction that tells them apart best (Fisher, Ann. Eugenics 7
        (1936) 179). A cut through normal noise gives up to 4.
    of_noise : float
        The part that this is of what it would be if they scattered by noise alone, as neighbours in a cluster do.
    """

    own: float
    of_noise: float


def least_separation(scan: Floats, labels: Labels) -> Separation:
    """
    How far apart the two nearest clusters are.

    Parameters
    ----------
    scan : ndarray, shape (y, x, p)
    labels : ndarray of int, shape (y, x)
        Of at least two clusters; negative where nothing was measured.

    Returns
    -------
    Separation

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.borders import least_separation
    >>> scan = np.random.default_rng(0).normal(size=(40, 40, 1))
    >>> halves = np.tile(np.arange(40) // 20, (40, 1))
    >>> far = least_separation(scan + 10 * halves[..., None], halves)
    >>> 45 < far.own < 55, 0.9 < far.of_noise < 1.1
    (True, True)
    >>> least_separation(scan, (scan[..., 0] > 0).astype(int)).own < 4
    True
    """
    measured = labels >= 0
    rows, own = scan[measured], labels[measured]
    ridge = _RIDGE * np.eye(rows.shape[1]) * float(rows.var(axis=0).sum())
    clusters = [rows[own == label] for label in range(int(own.max()) + 1)]
    clusters = [cluster for cluster in clusters if len(cluster)]
    means = [cluster.mean(axis=0) for cluster in clusters]
    scatter = [scatter_within(cluster, np.zeros(len(cluster), dtype=np.intp)) for cluster in clusters]
    least = np.inf
    for i, j in np.argwhere(np.tri(len(clusters), k=-1, dtype=bool)):
        between = means[i] - means[j]
        squared = float(between @ np.linalg.solve(scatter[i] + scatter[j] + ridge, between))
        if squared < least:
            least, apart = squared, between
    steps = [
        (along[1:] - along[:-1])[(of[1:] == of[:-1]) & (of[1:] >= 0)]
        for along, of in ((np.moveaxis(scan, axis, 0), np.moveaxis(labels, axis, 0)) for axis in (0, 1))
    ]
    both = np.concatenate(steps)
    # Twice the noise, as the scatter of two clusters is.
    noise = np.einsum("ni,nj->ij", both, both) / max(len(both), 1) + ridge
    return Separation(least, least / float(apart @ np.linalg.solve(noise, apart)))


def _windows(values: Floats) -> Floats:
    """Sums over the windows around every position."""
    height, width = values.shape[:2]
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    sums = np.zeros(values.shape)
    for dy, dx in np.ndindex(_WIDE, _WIDE):
        sums += padded[dy : dy + height, dx : dx + width]
    return sums


def _noise(values: Floats, there: NDArray[np.bool_]) -> Floats:
    """Variance of the noise of every feature, from the median of what neighbours differ by: borders do not count."""
    squares = []
    for axis in (0, 1):
        along, of = np.moveaxis(values, axis, 0), np.moveaxis(there, axis, 0)
        squares.append(np.square(along[1:] - along[:-1])[of[1:] & of[:-1]])
    both = np.concatenate(squares)
    variance = values[there].var(axis=0)
    noise = 0.5 * np.median(both, axis=0) / _MEDIAN if len(both) else variance
    least: Floats = np.maximum(noise, 1e-9 * np.maximum(variance, 1e-300))
    return least
