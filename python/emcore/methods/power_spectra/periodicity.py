"""What are the spacings and the directions of the strongest periodicities in a power spectrum?

The strongest peak is the local maximum that stands highest above the radial median of the power, of those that stand
out on all sides as a lattice's do (`prominence.py`), so that neither illumination, a background that falls with
frequency, an edge nor noise is taken for a lattice. Where scan lines are seen to differ in brightness, peaks on their
axis alone are none. A period is below a quarter of the window: fewer repetitions are no evidence. The place is refined
within the bin by a parabola through the logarithm of the power (for the main lobe of a Hann taper: to 0.02 bins). The
second is the next such peak that says something new: not on the line through the first, as its harmonics are, nor where
these come back folded by the sampling.
"""

import math

import numpy as np
from numpy.typing import NDArray

from emcore.methods.power_spectra.prominence import LEAST_CONTRAST, above_rings, contrasts

# The main lobe of the zero frequency under a Hann taper ends two bins away from it.
_NEAREST_BIN = 2.0
# Periods in the window, above; pixels in a period, at least: nearer to 2 the sampling folds sharp edges back.
LEAST_PERIODS, _LEAST_PIXELS = 4.0, 2.2
# Noise in one window stands up to so many times above its surroundings, once in a thousand windows.
_NOISE_OF_ONE = 30.0
# Streaks of many lines reach up to 2.5 times their median, lattices 4.4 times and more; those of few fluctuate.
_ALONG, _OF_ONE_LINE = 4.4, 28.0
# Lines are noisy where their streak is so many times its sides; it explains peaks of up to so many times itself.
_NOISY_LINES, _OF_LINES = 3.0, 100.0
# What windows of a region hold of its neighbours is known to this factor.
_LEAKED = 4.0
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


def strongest_peaks(
    power: NDArray[np.float64],
    scale: tuple[float, float] = (1.0, 1.0),
    typical: NDArray[np.float64] | None = None,
    leaked: NDArray[np.float64] | None = None,
    windows: float = 1.0,
) -> tuple[Peak, Peak]:
    """Spacing, direction and contrast of the two strongest independent peaks.

    Parameters
    ----------
    power : ndarray, shape (N, N)
        Power spectrum of a real image, |F|^2, full plane with the zero frequency at [N // 2, N // 2].
    scale : (float, float), default (1, 1)
        Size of a pixel of the image along y and x.
    typical : ndarray, shape (N, N), optional
        Where `power` is a mean over windows, their geometric mean: a peak must stand out of it, too, which that of a
        few bright windows does not.
    leaked : ndarray, shape (N, N), optional
        What the windows hold of other regions: a peak must be well above it.
    windows : float, default 1
        How many windows side by side `power` is a mean of: noise in few of them fluctuates more.

    Returns
    -------
    first, second : (float, float, float)
        spacing
            Period in the units of `scale`; NaN where no lattice is found, of the second also where none is independent
            of the first, as of fringes.
        direction
            Degrees in [0, 180), counter-clockwise from +x with y up, of the peak as seen from the zero frequency:
            across the fringes. NaN with the spacing.
        contrast
            Power of the peak over its surroundings as `contrasts` has it; of the best candidate where none is chosen.

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
    n = power.shape[0]
    rows, columns, excess = _candidates(power)
    # Windows side by side see the same lines.
    along = min(max(_OF_ONE_LINE / math.sqrt(max(windows, 1.0)), _ALONG), LEAST_CONTRAST)
    contrast = contrasts(power, rows, columns, along)
    if typical is not None:
        contrast = np.minimum(contrast, contrasts(typical, rows, columns, along))
    stands = contrast >= max(LEAST_CONTRAST, _NOISE_OF_ONE / max(windows, 1.0))
    if leaked is not None:
        stands &= power[rows, columns] > _LEAKED * leaked[rows, columns]
    observed = np.flatnonzero(stands)
    if np.all(_of_noisy_lines(power, rows[observed], columns[observed])):
        observed = observed[:0]
    first, strongest, too_long = None, 0.0, list[NDArray[np.float64]]()
    for i in observed:
        if excess[i] < _LEAST_PART * strongest:
            break
        place = _place(power, int(rows[i]), int(columns[i]))
        if math.hypot(*place) <= LEAST_PERIODS:
            too_long.append(place)
        elif too_long and _is_of_lattice(place, too_long, n):
            continue
        elif first is None:
            first, strongest = place, float(excess[i])
            peak = _measured(place, n, scale, float(contrast[i]))
        elif _independent(first, place, n, scale):
            return peak, _measured(place, n, scale, float(contrast[i]))
    nothing = math.nan, math.nan
    return ((*nothing, float(contrast.max(initial=0.0))) if first is None else peak), (*nothing, 0.0)


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


def _candidates(power: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Rows, columns and power above the radial median of local maxima in half of the plane, the highest first."""
    n = power.shape[0]
    y, x = np.ogrid[-(n // 2) : n - n // 2, -(n // 2) : n - n // 2]
    above, radius = above_rings(power)
    # Half of the plane: every peak has a twin on the other side.
    allowed = (radius >= _NEAREST_BIN) & (radius <= n / _LEAST_PIXELS) & ((x > 0) | ((x == 0) & (y < 0)))
    rows, columns = np.nonzero(allowed & _is_local_maximum(power))
    excess = above[rows, columns]
    rows, columns, excess = rows[excess > 0], columns[excess > 0], excess[excess > 0]
    order = np.argsort(-excess, kind="stable")
    return rows[order], columns[order], excess[order]


def _of_noisy_lines(power: NDArray[np.float64], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether peaks lie, not far above it, on the streak that scan lines of differing brightness leave on an axis."""
    n = power.shape[0]
    centre = n // 2
    result = np.zeros(len(rows), dtype=bool)
    sides = (centre + np.array([-5, -4, -3, 3, 4, 5])) % n
    for lines, along, across in ((power, rows, columns), (power.T, columns, rows)):
        for i in np.flatnonzero(np.abs(across - centre) <= 1):
            near = (along[i] + _NEARBY)[np.abs(along[i] + _NEARBY - centre) >= _NEAREST_BIN] % n
            streak = float(np.median(lines[near, centre]))
            noisy = streak > _NOISY_LINES * float(np.median(lines[near][:, sides]))
            result[i] |= noisy and power[rows[i], columns[i]] < _OF_LINES * streak
    return result


def _place(power: NDArray[np.float64], row: int, column: int) -> NDArray[np.float64]:
    """Of a peak along y and x from the zero frequency, in bins, refined."""
    n = power.shape[0]
    within = _vertex(power[(row + _NEAR) % n, column]), _vertex(power[row, (column + _NEAR) % n])
    return np.array([row - n // 2 + within[0], column - n // 2 + within[1]])


def _measured(place: NDArray[np.float64], n: int, scale: tuple[float, float], contrast: float) -> Peak:
    fy, fx = place / (n * np.asarray(scale))
    # Rows count downwards, directions upwards.
    return 1 / math.hypot(fy, fx), math.degrees(math.atan2(-fy, fx)) % 180.0, contrast


def _is_of_lattice(place: NDArray[np.float64], known: list[NDArray[np.float64]], n: int) -> bool:
    """Whether a place is a harmonic of the first of known peaks, or a sum of those of it and of an independent one."""
    first, *others = known
    orders = np.arange(1, math.ceil(2 * n / math.hypot(*first)))[:, None] * first
    away = [(place + sign * orders + n / 2) % n - n / 2 for sign in (1, -1)]
    second = next((other for other in others if _independent(first, other, n, (1.0, 1.0))), None)
    if second is not None:
        vectors = np.array([first, second]).T
        away.append((place - vectors @ np.rint(np.linalg.solve(vectors, place)))[None])
    return bool(np.hypot(*np.concatenate(away).T).min() < _LEAST_DISTANCE)


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
_NEARBY = np.concatenate([np.arange(-10, -2), np.arange(3, 11)])


def _is_local_maximum(power: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Not below any of its 8 neighbours, around the edges too: the spectrum is periodic."""
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    result: NDArray[np.bool_] = np.all([power >= np.roll(power, shift, (0, 1)) for shift in shifts], axis=0)
    return result


def _vertex(three: NDArray[np.float64]) -> float:
    """Where, within half a bin, the parabola through three logarithms has its top."""
    low, top, high = np.log(np.maximum(three, 1e-12 * three[1]))
    curvature = low - 2 * top + high
    return float(np.clip(0.5 * (low - high) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0
