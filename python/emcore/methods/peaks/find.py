"""Where do many spectra have peaks, and by how much does each stand out of the noise?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats


class Peaks(NamedTuple):
    """
    Peaks of some spectra.

    Attributes
    ----------
    rows : ndarray of int64, shape (p,)
        The spectrum of each, rising.
    energies : ndarray, shape (p,)
        The top of the parabola through the highest channel and its neighbours.
    prominences : ndarray, shape (p,)
        In the unit of the spectra.
    deviations : ndarray, shape (p,)
        The same in standard deviations of the noise there.
    """

    rows: NDArray[np.int64]
    energies: Floats
    prominences: Floats
    deviations: Floats


def prominent_peaks(spectra: Floats, deviations: Floats, energies: Floats, least: float) -> Peaks:
    """
    The peaks of every spectrum whose prominence is at least so many deviations: SciPy's, of all spectra in one call.

    Parameters
    ----------
    spectra : ndarray, shape (n, d)
        Finite.
    deviations : ndarray, shape (n, d)
        Standard deviation of the noise of every value.
    energies : ndarray, shape (d,)
        Rising or falling, at any distances.
    least : float

    Returns
    -------
    Peaks
        None is at an end of the axis.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.peaks.find import prominent_peaks
    >>> energies = np.arange(9.0)
    >>> spectra = np.maximum([[4 - np.square(energies - 3.2)], [energies]], 0)[:, 0]
    >>> found = prominent_peaks(spectra, np.full((2, 9), 0.1), energies, 5)
    >>> found.rows.tolist(), found.energies.round(2).tolist(), found.deviations.round(1).tolist()
    ([0], [3.2], [39.6])
    """
    from scipy.signal import find_peaks

    n, d = spectra.shape
    if not n:
        return Peaks(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0))
    # A wall at the end of each spectrum, higher than any peak and no peak itself, ends every search for a base.
    wall = 2 * float(np.abs(spectra).max()) + 1.0
    flat = np.full((n, d + 1), wall)
    flat[:, :d] = spectra
    limits = np.ones((n, d + 1))
    limits[:, :d] = np.maximum(least * deviations, 1e-300)
    at, about = find_peaks(flat.ravel(), height=(None, wall / 2), prominence=(limits.ravel(), None))
    rows, channels = np.divmod(at, d + 1)
    # The first spectrum has no wall before it, which its ends need no more than the last one's.
    tops = _tops(flat, energies, rows, channels)
    prominences = about["prominences"]
    return Peaks(rows.astype(np.int64), tops, prominences, prominences / deviations[rows, channels])


def _tops(flat: Floats, energies: Floats, rows: NDArray[np.intp], channels: NDArray[np.intp]) -> Floats:
    """The tops of the parabolas through three points each; the middle one where a plateau has none."""
    left, middle, right = (flat[rows, channels + i] for i in (-1, 0, 1))
    at = energies[channels]
    before, after = energies[channels - 1] - at, energies[channels + 1] - at
    one, other = (left - middle) / before, (right - middle) / after
    curvature = (other - one) / (after - before)
    slope = one - curvature * before
    there = curvature < 0
    top = np.divide(-slope, 2 * curvature, out=np.zeros_like(at), where=there)
    low, high = np.minimum(before, after) / 2, np.maximum(before, after) / 2
    refined: Floats = at + np.clip(top, low, high)
    return refined
