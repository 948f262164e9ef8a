"""How far does a local maximum of a power spectrum stand out from all that is around it, as the peak of a lattice does?

A lattice is a point: its peak has no more than noise on every side. What is no lattice leaves more. Edges, scan lines
that differ in brightness, curtains and the text of an information bar leave streaks, which go on along a line, most
often the one through the zero frequency; where a sharp edge is folded back by the sampling streaks cross. Textures and
the lens' rings go on around the zero frequency. Illumination and single bright things lie towards it.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# A lattice stands at least so many times above its surroundings.
LEAST_CONTRAST = 10.0
# Limits of its own towards the zero frequency, where power falls steeply, away from it, and along other lines.
_INWARD, _OUTWARD, _THROUGH = 2.0, 4.0, 4.0
# The main lobe of a Hann taper ends two bins from its peak.
_RING = np.array([(y, x) for y in range(-5, 6) for x in range(-5, 6) if 9 <= y * y + x * x < 25]).T
_STEPS = np.array([3, 4, 5, 6])
_TURNS = np.radians(np.arange(0, 180, 11.25))
_LINES = np.rint(np.stack([np.sin(_TURNS), np.cos(_TURNS)])[:, :, None] * _STEPS).astype(np.intp)


def contrasts(
    power: NDArray[np.float64], rows: NDArray[np.intp], columns: NDArray[np.intp], along: float = LEAST_CONTRAST
) -> NDArray[np.float64]:
    """How many times peaks stand above the highest of what is around them.

    Parameters
    ----------
    power : ndarray, shape (N, N)
        Power spectrum, zero frequency at [N // 2, N // 2].
    rows, columns : ndarray, shape (p,)
        Where the peaks are, not at the zero frequency.
    along : float, default `LEAST_CONTRAST`
        How many times above the line through it and the zero frequency a peak must be: streaks fluctuate.

    Returns
    -------
    ndarray, shape (p,)
        Power over the highest of: the median of a ring 3 to 5 bins around the peak; the lower quartile of all as far
        from the zero frequency; and, in parts that make `LEAST_CONTRAST` the limit for all, the medians of the bins
        towards the zero frequency, away from it, of both, and on both sides of the peak along any line.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.prominence import contrasts
    >>> power = np.ones((64, 64))
    >>> power[40, 44] = 50
    >>> power[:, 20] = 50
    >>> contrasts(power, np.array([40, 50]), np.array([44, 20])).tolist()
    [50.0, 2.5]
    """
    n = power.shape[0]
    top = power[rows, columns]
    floor = max(1e-12 * float(power.max()), np.finfo(np.float64).tiny)
    distance = np.rint(np.hypot(rows - n // 2, columns - n // 2)).astype(np.intp)
    result: NDArray[np.float64] = top / np.maximum(of_rings(power, 0.25)[distance], floor)
    # What is below the limit already is not looked at from more sides.
    left = np.flatnonzero(result >= LEAST_CONTRAST)
    if not left.size:
        return result
    rows, columns = rows[left], columns[left]
    around = np.median(power[(rows[:, None] + _RING[0]) % n, (columns[:, None] + _RING[1]) % n], axis=1)
    highest = np.max([around, _towards_zero(power, rows, columns, along), _through(power, rows, columns)], axis=0)
    result[left] = np.minimum(result[left], top[left] / np.maximum(highest, floor))
    return result


def of_rings(power: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The power that a share of all places as far from the zero frequency does not reach.

    Parameters
    ----------
    power : ndarray, shape (N, N)
        Power spectrum, zero frequency at [N // 2, N // 2], equal on its two sides.
    share : float
        0.5 for the median.

    Returns
    -------
    ndarray, shape (N // 2 + 1,)
        For distances of 0, 1, ... bins.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.prominence import of_rings
    >>> of_rings(np.hypot(*(np.mgrid[:9, :9] - 4)), 0.5).round().tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    values = power.ravel()
    result = np.empty(power.shape[0] // 2 + 1)
    for i, places in enumerate(_rings(power.shape[0])):
        rank = int(share * len(places))
        result[i] = np.partition(values[places], rank)[rank]
    return result


def above_rings(power: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Power less the median of all places as far from the zero frequency.

    Parameters
    ----------
    power : ndarray, shape (N, N)
        As for `of_rings`.

    Returns
    -------
    above, radius : ndarray, shape (N, N)
        The difference, and how far each place is from the zero frequency, in bins.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.prominence import above_rings
    >>> power = np.ones((9, 9))
    >>> power[4, 7] = 6.0
    >>> above, radius = above_rings(power)
    >>> float(above[4, 7]), float(radius[4, 7]), float(above.sum())
    (5.0, 3.0, 5.0)
    """
    n = power.shape[0]
    y, x = np.ogrid[-(n // 2) : n - n // 2, -(n // 2) : n - n // 2]
    radius = np.hypot(y, x)
    medians = of_rings(power, 0.5)
    return power - np.interp(radius, np.arange(len(medians)), medians), radius


@lru_cache(maxsize=4)
def _rings(n: int) -> tuple[NDArray[np.intp], ...]:
    """Where, in one half of the raveled plane, distances of 0, 1, ... bins are."""
    y, x = np.ogrid[-(n // 2) : n - n // 2, -(n // 2) : n - n // 2]
    ring = np.where(x >= 0, np.rint(np.hypot(y, x)), n).ravel().astype(np.intp)
    order = np.argsort(ring, kind="stable")
    return tuple(np.split(order, np.cumsum(np.bincount(ring))[: n // 2 + 1])[: n // 2 + 1])


def _towards_zero(
    power: NDArray[np.float64], rows: NDArray[np.intp], columns: NDArray[np.intp], along: float
) -> NDArray[np.float64]:
    """The highest of the medians inward, outward and of both, weighted."""
    n = power.shape[0]
    y, x = rows - n // 2, columns - n // 2
    radius = np.hypot(y, x)
    # Not beyond the zero frequency, whose own power went with the windows' means.
    inward = -np.minimum(_STEPS, np.maximum(radius - 1, 0)[:, None])
    steps = np.concatenate([inward, np.tile(_STEPS, (len(radius), 1))], axis=1)
    line = power[
        np.rint(rows[:, None] + steps * (y / radius)[:, None]).astype(np.intp) % n,
        np.rint(columns[:, None] + steps * (x / radius)[:, None]).astype(np.intp) % n,
    ]
    medians = np.median(line[:, :4], axis=1), np.median(line[:, 4:], axis=1), np.median(line, axis=1)
    limits = _INWARD, _OUTWARD, along
    result: NDArray[np.float64] = np.max([m * w for m, w in zip(medians, limits, strict=True)], axis=0)
    return result / LEAST_CONTRAST


def _through(power: NDArray[np.float64], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """The median along a line through the peak, on its lower side, of the line where that is highest; weighted."""
    n = power.shape[0]
    sides = [
        np.median(
            power[
                (rows[:, None, None] + sign * _LINES[0]) % n,
                (columns[:, None, None] + sign * _LINES[1]) % n,
            ],
            axis=2,
        )
        for sign in (1, -1)
    ]
    result: NDArray[np.float64] = _THROUGH / LEAST_CONTRAST * np.minimum(*sides).max(axis=1)
    return result
