"""What are the spacings and the directions of the strongest periodicities in a power spectrum?

The strongest peak is the local maximum that stands highest above the radial median of the power, so that neither an
uneven illumination nor a background that falls with frequency is taken for a lattice. It must stand out from what is
around it, and along the line through it and the zero frequency, so that neither the streak of an edge is taken for one
nor that of noise which differs from scan line to scan line. Its place is refined within the bin by a parabola through
the logarithm of the power (for the main lobe of a Hann taper: to 0.02 bins). The second is the next such peak that says
something new: not on the line through the first, as its harmonics are, nor where these come back folded by the
sampling.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# The main lobe of the zero frequency under a Hann taper ends two bins away from it.
NEAREST_BIN = 2.0
# A lattice stands at least so many times above the ring around its peak; textures, edges and noise stay below.
LEAST_CONTRAST = 10.0
# A second peak makes so large an angle with the first at least, and stands so far from its line, in bins.
_LEAST_ANGLE, _LEAST_DISTANCE = 20.0, 2.5
# It has this part of the first one's power at least: less may be a neighbouring region's, in windows on the border.
_LEAST_PART = 0.03
# Harmonics up to this one are looked for where they are folded back.
_HARMONICS = 7

Peak = tuple[float, float, float]


def strongest_peak(power: NDArray[np.float64], scale: tuple[float, float] = (1.0, 1.0)) -> Peak:
    """Spacing, direction and contrast of the strongest peak: the first of `strongest_peaks`.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.periodicity import strongest_peak
    >>> y, x = np.mgrid[:64, :64]
    >>> image = np.hanning(64) * np.hanning(64)[:, None] * np.cos(2 * np.pi * x / 8) + 1e-4 * np.sin(x * y)
    >>> spacing, direction, contrast = strongest_peak(np.fft.fftshift(np.abs(np.fft.fft2(image)) ** 2))
    >>> round(spacing, 1), round(direction)
    (8.0, 0)
    """
    return strongest_peaks(power, scale)[0]


def strongest_peaks(power: NDArray[np.float64], scale: tuple[float, float] = (1.0, 1.0)) -> tuple[Peak, Peak]:
    """Spacing, direction and contrast of the two strongest independent peaks.

    Parameters
    ----------
    power : ndarray, shape (N, N)
        Power spectrum of a real image, |F|^2, full plane with the zero frequency at [N // 2, N // 2].
    scale : (float, float), default (1, 1)
        Size of a pixel of the image along y and x.

    Returns
    -------
    first, second : (float, float, float)
        spacing
            Period in the units of `scale`; NaN where no peak stands out from its surroundings (`LEAST_CONTRAST`), of
            the second also where none is independent of the first, as of fringes.
        direction
            Degrees in [0, 180), counter-clockwise from +x with y up, of the peak as seen from the zero frequency:
            across the fringes. NaN with the spacing.
        contrast
            Power of the peak over the median of a ring 3 to 5 bins around it, or over that along the line from zero
            through it, as far away, where this is higher; of the best candidate where none is chosen.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.periodicity import strongest_peaks
    >>> y, x = np.mgrid[:64, :64]
    >>> image = np.cos(2 * np.pi * x / 8) + 0.8 * np.cos(2 * np.pi * y / 5) + 1e-4 * np.sin(x * y)
    >>> image *= np.hanning(64) * np.hanning(64)[:, None]
    >>> first, second = strongest_peaks(np.fft.fftshift(np.abs(np.fft.fft2(image)) ** 2))
    >>> [round(value, 1) for value in (*first[:2], *second[:2])]
    [8.0, 0.0, 5.0, 90.0]
    """
    first, strongest, best = None, 0.0, 0.0
    for row, column, excess in _candidates(power):
        if excess <= 0 or excess < _LEAST_PART * strongest:
            break
        contrast = _contrast(power, row, column)
        best = max(best, contrast)
        if contrast < LEAST_CONTRAST:
            continue
        place = _place(power, row, column)
        if first is None:
            first, strongest = place, excess
            peak = _measured(place, power.shape[0], scale, contrast)
        elif _independent(first, place, power.shape[0], scale):
            return peak, _measured(place, power.shape[0], scale, contrast)
    nothing = math.nan, math.nan
    return ((*nothing, best) if first is None else peak), (*nothing, 0.0)


def angle_between(first: float, second: float) -> float:
    """The angle between two directions in degrees, in [0, 90]; NaN where one is missing.

    Examples
    --------
    >>> from emcore.methods.power_spectra.periodicity import angle_between
    >>> angle_between(10.0, 130.0), angle_between(175.0, 5.0)
    (60.0, 10.0)
    """
    between = abs(first - second) % 180.0
    return min(between, 180.0 - between)


def _candidates(power: NDArray[np.float64]) -> Iterator[tuple[int, int, float]]:
    """Row, column and power above the radial median of local maxima in half of the plane, the highest first."""
    n = power.shape[0]
    y, x = np.mgrid[:n, :n] - n // 2
    radius = np.hypot(y, x)
    excess = power - _radial_median(power, radius)
    allowed = (radius >= NEAREST_BIN) & (radius < (n + 1) // 2) & _is_local_maximum(power)
    # Half of the plane: every peak has a twin on the other side.
    allowed &= (x > 0) | ((x == 0) & (y < 0))
    rows, columns = np.nonzero(allowed)
    for i in np.argsort(-excess[rows, columns], kind="stable"):
        yield int(rows[i]), int(columns[i]), float(excess[rows[i], columns[i]])


def _place(power: NDArray[np.float64], row: int, column: int) -> NDArray[np.float64]:
    """Of a peak along y and x from the zero frequency, in bins, refined."""
    n = power.shape[0]
    within = _vertex(power[(row + _NEAR) % n, column]), _vertex(power[row, (column + _NEAR) % n])
    return np.array([row - n // 2 + within[0], column - n // 2 + within[1]])


def _measured(place: NDArray[np.float64], n: int, scale: tuple[float, float], contrast: float) -> Peak:
    fy, fx = place / (n * np.asarray(scale))
    # Rows count downwards, directions upwards.
    return 1 / math.hypot(fy, fx), math.degrees(math.atan2(-fy, fx)) % 180.0, contrast


def _independent(first: NDArray[np.float64], second: NDArray[np.float64], n: int, scale: tuple[float, float]) -> bool:
    """Whether the second peak is neither on the line through the first nor where a harmonic of it is folded back."""
    across = abs(first[0] * second[1] - first[1] * second[0]) / math.hypot(*first)
    angle = angle_between(_measured(first, n, scale, 0.0)[1], _measured(second, n, scale, 0.0)[1])
    if across < min(_LEAST_DISTANCE, 0.7 * math.hypot(*first)) or angle < _LEAST_ANGLE:
        return False
    harmonics = np.arange(2, _HARMONICS + 1)[:, None] * first
    away = (np.concatenate([second - harmonics, second + harmonics]) + n / 2) % n - n / 2
    return bool(np.hypot(*away.T).min() >= _LEAST_DISTANCE)


_NEAR = np.array([-1, 0, 1])
_RING = np.array([(y, x) for y in range(-5, 6) for x in range(-5, 6) if 9 <= y * y + x * x < 25]).T

# Along a line, as far as the ring reaches: noise of scan lines and edges leave a streak there, a lattice does not.
_ALONG = np.array([-6, -5, -4, -3, 3, 4, 5, 6])


def _radial_median(power: NDArray[np.float64], radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """At every point the median over its ring one bin wide, interpolated between rings."""
    ring = np.rint(radius).astype(np.intp).ravel()
    order = np.argsort(ring, kind="stable")
    rings = np.split(power.ravel()[order], np.cumsum(np.bincount(ring))[:-1])
    medians = np.array([np.median(values) for values in rings])
    interpolated: NDArray[np.float64] = np.interp(radius, np.arange(len(medians)), medians)
    return interpolated


def _is_local_maximum(power: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Not below any of its 8 neighbours, around the edges too: the spectrum is periodic."""
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    result: NDArray[np.bool_] = np.all([power >= np.roll(power, shift, (0, 1)) for shift in shifts], axis=0)
    return result


def _contrast(power: NDArray[np.float64], row: int, column: int) -> float:
    """Power of a peak over the median around it, or over that along the line to zero where a streak is higher."""
    n = power.shape[0]
    around = float(np.median(power[(row + _RING[0]) % n, (column + _RING[1]) % n]))
    y, x = row - n // 2, column - n // 2
    radius = math.hypot(y, x)
    away = radius + _ALONG
    away = away[(away >= NEAREST_BIN) & (away < n // 2)]
    line = power[
        np.rint(away * y / radius).astype(np.intp) + n // 2, np.rint(away * x / radius).astype(np.intp) + n // 2
    ]
    streak = float(np.median(line)) if line.size else 0.0
    return float(power[row, column]) / max(around, streak, 1e-12 * float(power.max()), np.finfo(np.float64).tiny)


def _vertex(three: NDArray[np.float64]) -> float:
    """Where, within half a bin, the parabola through three logarithms has its top."""
    low, top, high = np.log(np.maximum(three, 1e-12 * three[1]))
    curvature = low - 2 * top + high
    return float(np.clip(0.5 * (low - high) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0
