"""Over which distance does an image repeat itself?

The autocorrelation of an image's windows, the transform of the mean of their power spectra, has a peak at every vector
of a lattice. Windows instead of the whole, since parts may have lattices of their own. The window function's own
autocorrelation, by which that of a tapered window falls, is divided out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.methods.power_spectra.windows import full_plane, windowed_power_spectra

# Windows of at most so many pixels; a period is below a quarter of one.
_WINDOW, _SMALLEST = 256, 16
# A peak of the autocorrelation has this correlation at least, and so many times what it scatters by where nothing is
# repeated: as one over the root of how many patches as large as the central peak the image holds.
_LEAST, _ABOVE = 0.1, 5.0


@dataclass(frozen=True)
class Period:
    """The shortest distance of strong repetition, in pixels, and the correlation at it; NaN where there is none."""

    length: float
    correlation: float


def period(image: NDArray[Any]) -> Period:
    """
    The distance over which the windows of an image repeat themselves most clearly.

    Parameters
    ----------
    image : ndarray, shape (height, width)
        At least 16 pixels a side, finite.

    Returns
    -------
    Period

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.symmetry.period import period
    >>> y, x = np.mgrid[:128, :128]
    >>> lattice = np.cos(2 * np.pi * x / 9) + np.cos(2 * np.pi * y / 14)
    >>> round(period(lattice).length)
    9
    >>> bool(np.isnan(period(np.random.default_rng(0).normal(size=(128, 128))).length))
    True
    """
    side = min(_WINDOW, *image.shape)
    nothing = Period(float("nan"), 0.0)
    largest = max(abs(float(image.max())), abs(float(image.min())))
    if side < _SMALLEST or largest == 0:
        return nothing
    if image.dtype.kind == "f":  # whose squares may be too large or too small for float32
        image = image / largest
    power = windowed_power_spectra(image, side, max(side // 2, 1), scale="power").mean(axis=(0, 1), dtype=np.float64)
    if not power.any():
        return nothing
    taper = np.outer(*2 * [0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side)])
    own = np.abs(np.fft.fft2(taper)) ** 2
    correlation, fall = (
        np.fft.fftshift(np.fft.ifft2(each).real) for each in (np.fft.ifftshift(full_plane(power)), own)
    )
    middle, reach = side // 2, side // 4
    near = slice(middle - reach, middle + reach + 1)
    values = correlation[near, near] / fall[near, near]
    values /= values[reach, reach]
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    radius = np.hypot(y, x)
    rings = np.rint(radius).astype(np.intp)
    count = np.bincount(rings.ravel())
    mean = np.bincount(rings.ravel(), values.ravel()) / count
    # Beyond the point where the mean over all directions has first stopped falling: nearer, everything is alike.
    rising = np.flatnonzero(np.diff(mean[: reach + 1]) > 0)
    if not len(rising):
        return nothing
    outside = (radius > rising[0]) & (radius <= reach)
    scatter = (rising[0] + 1) / float(np.sqrt(image.size))
    inner = values[1:-1, 1:-1]
    around = np.max([np.roll(values, shift, (0, 1))[1:-1, 1:-1] for shift in _NEIGHBOURS], axis=0)
    peaks = np.zeros_like(outside)
    peaks[1:-1, 1:-1] = (inner >= around) & outside[1:-1, 1:-1]
    if not peaks.any():
        return nothing
    best = float(values[peaks].max())
    if best < max(_LEAST, _ABOVE * scatter):
        return nothing
    # Of peaks nearly as high the nearest: the others are its multiples.
    high = peaks & (values >= 0.7 * best)
    at = int(np.argmin(np.where(high, radius, np.inf)))
    return Period(float(radius.ravel()[at]), float(values.ravel()[at]))


_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
