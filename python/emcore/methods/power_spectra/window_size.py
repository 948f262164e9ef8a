"""How large should the windows be for the lattices of an image?

Eight of the strongest period: enough that neighbouring lattices are told apart, few enough that borders stay sharp.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.methods.power_spectra.periodicity import strongest_peaks
from emcore.methods.power_spectra.regions import mean_powers
from emcore.methods.power_spectra.windows import full_plane, windowed_power_spectra

_PERIODS = 8
_MULTIPLE = 16
SMALLEST, LARGEST, USUAL = 32, 256, 128
# The strongest period is looked for in windows of these sides, as long as nothing is found.
_SIDES = (128, 256)


def window_for(image: NDArray[Any]) -> tuple[int, float]:
    """The side of windows that suits the strongest period of an image.

    Parameters
    ----------
    image : ndarray, shape (H, W)
        At least 8 pixels on either side.

    Returns
    -------
    window : int
        Eight of the period, rounded to a multiple of 16, from 32 to 256 pixels; 128 where there is none. At most half
        of the smaller side of the image, or that side where half is below 32.
    period : float
        In pixels; NaN where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.window_size import window_for
    >>> image = np.cos(0.9 * np.arange(300)) + np.random.default_rng(0).normal(size=(300, 300))
    >>> window, period = window_for(image)
    >>> window, round(period, 1)
    (48, 7.0)
    """
    smaller = min(image.shape)
    largest = min(max(smaller // 2, SMALLEST), smaller)
    period = math.nan
    for side in _SIDES:
        if math.isnan(period) and smaller >= min(side, _SIDES[0]):
            period = strongest_spacing(image, min(side, smaller))
    if math.isnan(period):
        return min(USUAL, smaller), period
    rounded = _MULTIPLE * round(_PERIODS * period / _MULTIPLE)
    return min(max(rounded, SMALLEST), LARGEST, largest), period


def strongest_spacing(image: NDArray[Any], side: int) -> float:
    """The strongest spacing in the mean power of windows; where that has none, of the one whose peak stands out most.

    Parameters
    ----------
    image : ndarray, shape (H, W)
    side : int
        Of the windows; at most that of the image.

    Returns
    -------
    float
        In pixels; NaN where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.window_size import strongest_spacing
    >>> round(strongest_spacing(np.tile(np.cos(0.9 * np.arange(64)), (64, 1)) + 1e-3 * np.eye(64), 64))
    7
    """
    spectra = windowed_power_spectra(image, side, side // 2)
    rows = spectra.reshape(-1, side * (side // 2 + 1))
    mean = mean_powers(rows, np.zeros(len(rows), dtype=np.intp), 1).reshape(side, -1)
    period = strongest_peaks(full_plane(mean), windows=max(len(rows) / 4, 1))[0][0]
    if math.isnan(period):
        single = [strongest_peaks(full_plane(np.expm1(row.astype(np.float64)).reshape(side, -1)))[0] for row in rows]
        period = max(single, key=lambda peak: peak[2] if np.isfinite(peak[0]) else 0.0)[0]
    return period
