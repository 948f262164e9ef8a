"""What are the spacing and the direction of the strongest periodicity in a power spectrum?

The strongest peak is the local maximum that stands highest above the radial median of the power, so that neither an
uneven illumination nor a background that falls with frequency is taken for a lattice; its place is refined within the
bin by a parabola through the logarithm of the power (for the main lobe of a Hann taper: to 0.02 bins).
"""

import math

import numpy as np
from numpy.typing import NDArray

# The main lobe of the zero frequency under a Hann taper ends two bins away from it.
NEAREST_BIN = 2.0
# A lattice stands at least so many times above the ring around its peak; textures, edges and noise stay below.
LEAST_CONTRAST = 10.0


def strongest_peak(power: NDArray[np.float64], scale: tuple[float, float] = (1.0, 1.0)) -> tuple[float, float, float]:
    """Spacing, direction and contrast of the strongest peak.

    Parameters
    ----------
    power : ndarray, shape (N, N)
        Power spectrum of a real image, |F|^2, full plane with the zero frequency at [N // 2, N // 2].
    scale : (float, float), default (1, 1)
        Size of a pixel of the image along y and x.

    Returns
    -------
    spacing : float
        Period in the units of `scale`; NaN where no peak stands out from its surroundings (`LEAST_CONTRAST`).
    direction : float
        Degrees in [0, 180), counter-clockwise from +x with y up, of the peak as seen from the zero frequency: across
        the fringes. NaN with `spacing`.
    contrast : float
        Power of the peak over the median of a ring 3 to 5 bins around it; of the best candidate where none is chosen.

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
    n = power.shape[0]
    centre = n // 2
    y, x = np.mgrid[:n, :n] - centre
    radius = np.hypot(y, x)
    excess = power - _radial_median(power, radius)
    allowed = (radius >= NEAREST_BIN) & (radius < (n + 1) // 2) & _is_local_maximum(power)
    # Half of the plane: every peak has a twin on the other side.
    allowed &= (x > 0) | ((x == 0) & (y < 0))
    rows, columns = np.nonzero(allowed)
    best = 0.0
    for i in np.argsort(-excess[rows, columns], kind="stable"):
        row, column = int(rows[i]), int(columns[i])
        contrast = _contrast(power, row, column)
        best = max(best, contrast)
        if excess[row, column] > 0 and contrast >= LEAST_CONTRAST:
            fy = (row - centre + _vertex(power[(row + _NEAR) % n, column])) / (n * scale[0])
            fx = (column - centre + _vertex(power[row, (column + _NEAR) % n])) / (n * scale[1])
            # Rows count downwards, directions upwards.
            return 1 / math.hypot(fy, fx), math.degrees(math.atan2(-fy, fx)) % 180.0, contrast
    return math.nan, math.nan, best


_NEAR = np.array([-1, 0, 1])
_RING = np.array([(y, x) for y in range(-5, 6) for x in range(-5, 6) if 9 <= y * y + x * x < 25]).T


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
    n = power.shape[0]
    surroundings = float(np.median(power[(row + _RING[0]) % n, (column + _RING[1]) % n]))
    return float(power[row, column]) / max(surroundings, 1e-12 * float(power.max()), np.finfo(np.float64).tiny)


def _vertex(three: NDArray[np.float64]) -> float:
    """Where, within half a bin, the parabola through three logarithms has its top."""
    low, top, high = np.log(np.maximum(three, 1e-12 * three[1]))
    curvature = low - 2 * top + high
    return float(np.clip(0.5 * (low - high) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0
