"""Below which power is a spectrum of windows as good as none?

On the scale ln(1 + power / median) the median is the noise of the image, and of an image that has none, nothing: there
the flanks of peaks and what the taper leaves of them fill orders of magnitude, which are no structure. So a lattice's
peaks are taken to stand in noise that is a known part of them at least.
"""

import numpy as np
from numpy.typing import NDArray

from emcore.methods.power_spectra.periodicity import strongest_peaks
from emcore.methods.power_spectra.prominence import above_rings
from emcore.methods.power_spectra.regions import mean_powers
from emcore.methods.power_spectra.windows import full_plane

# Of the strongest peak: that of noise of half the amplitude of its wave, in windows of 128 pixels.
LEAST_PART = 1e-4
# A level that is lower by less than this factor serves as well.
_LEAST_RISE = 5.0
# So many windows tell the mean power.
_ENOUGH = 200
_BLOCK = 64


def raise_floor(spectra: NDArray[np.float32]) -> float:
    """Raise the level by which the logarithms scale, where the strongest peak of a lattice asks for it.

    Parameters
    ----------
    spectra : ndarray, shape (ny, nx, N, N / 2 + 1)
        ln(1 + power / level); changed in place.

    Returns
    -------
    float
        By how much the level was raised; 1 where it was left.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.windows import windowed_power_spectra
    >>> y, x = np.mgrid[:128, :128]
    >>> noise = np.random.default_rng(0).normal(size=(128, 128))
    >>> lattice = np.cos(2 * np.pi * x / 8) + np.cos(2 * np.pi * y / 5.3)
    >>> [raise_floor(windowed_power_spectra(lattice + much * noise, 64)) > 1.0 for much in (1.0, 0.0)]
    [False, True]
    """
    rows = spectra.reshape(-1, spectra.shape[2] * spectra.shape[3])
    some = rows[:: -(-len(rows) // _ENOUGH)]
    n = spectra.shape[2]
    power = full_plane(mean_powers(some, np.zeros(len(some), dtype=np.intp), 1).reshape(n, -1))
    if not np.isfinite(strongest_peaks(power, windows=len(some))[0][0]):
        return 1.0
    above, radius = above_rings(power)
    raised = LEAST_PART * float(above[(radius >= 4) & (radius <= n / 2)].max())
    if raised <= _LEAST_RISE:
        return 1.0
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        np.exp(block, out=block)
        block -= 1
        block /= raised
        block += 1
        np.log(block, out=block)
    return raised
