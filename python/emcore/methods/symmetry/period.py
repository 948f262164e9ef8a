"""Over which distance does an image repeat itself?

The strongest peak of the power spectra of an image's windows tells whether there is a lattice, and the spacing of its
rows, also where parts have lattices of their own. The autocorrelation of the windows, the transform of the mean of
their power spectra, has a peak at every vector of a lattice: the highest one about as long as that spacing is the
period; two lattices repeat together at longer ones. The window function's own autocorrelation, by which that of a
tapered window falls, is divided out.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.methods.power_spectra.window_size import USUAL, strongest_spacing, window_for
from emcore.methods.power_spectra.windows import full_plane, windowed_power_spectra

# Windows of at most so many pixels; a period is below a quarter of one.
_WINDOW, _SMALLEST = 256, 16
# A lattice vector is at least as long as the strongest spacing of its rows is wide, and no longer than so many of it:
# of a hexagonal lattice 1.15, of a square one 1 or, where every second column is weaker, 1.41.
_SHORTEST, _LONGEST = 0.9, 1.5


@dataclass(frozen=True)
class Period:
    """Length of a shortest lattice vector in pixels, and the correlation at it; NaN where there is no lattice."""

    length: float
    correlation: float


def period(image: NDArray[Any]) -> Period:
    """
    The distance over which the windows of an image repeat themselves.

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
    >>> lattice = np.cos(2 * np.pi * x / 9) + np.cos(2 * np.pi * y / 9)
    >>> round(period(lattice).length)
    9
    >>> bool(np.isnan(period(np.random.default_rng(0).normal(size=(128, 128))).length))
    True
    """
    side = min(_WINDOW, *image.shape)
    nothing = Period(float("nan"), 0.0)
    largest = max(abs(float(image.max())), abs(float(image.min())))
    if side < _SMALLEST or image.min() == image.max():
        return nothing
    if image.dtype.kind == "f":  # whose squares may be too large or too small for float32
        image = image / largest
    spacing = window_for(image)[1] if side >= USUAL else strongest_spacing(image, side)
    if math.isnan(spacing):
        return nothing
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
    radius = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    ring = (radius >= _SHORTEST * spacing) & (radius <= min(_LONGEST * spacing, reach))
    if not ring.any():
        return nothing
    at = int(np.argmax(np.where(ring, values, -np.inf)))
    return Period(float(radius.flat[at]), float(values.flat[at]))
