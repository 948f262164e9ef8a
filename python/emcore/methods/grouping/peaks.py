"""Where the strongest peak of a spectrum is, as the plasmon of a group of low-loss spectra."""

import math

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats

# Part of the largest value by which a peak stands out.
_PROMINENT = 0.02
# Above this part of its prominence a parabola is fitted to a peak.
_TOP = 0.75


def strongest_peak(spectrum: Floats, axis_values: Floats) -> tuple[float, slice] | None:
    """
    Where the strongest peak of a spectrum is, refined between channels, and the channels above half its prominence.

    A peak at zero, as unscattered electrons make, does not count where the axis runs through zero; nor does one that
    stands out by less than 2 % of the largest value beyond. None where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.grouping.peaks import strongest_peak
    >>> energy = np.arange(-5.0, 40.0, 0.5)
    >>> spectrum = 100 * np.exp(-(energy**2)) + 5 * np.exp(-(((energy - 17.2) / 4) ** 2))
    >>> place, band = strongest_peak(spectrum, energy)
    >>> round(place, 1), energy[band][[0, -1]].tolist()
    (17.2, [14.0, 20.5])
    """
    from scipy.signal import find_peaks, peak_widths

    values = np.asarray(spectrum, dtype=np.float64)
    smooth = np.convolve(np.pad(values, 2, mode="edge"), np.ones(5) / 5, mode="valid") if len(values) > 20 else values
    first = 0
    if axis_values[0] < 0 < axis_values[-1]:
        zero = int(np.argmin(np.abs(axis_values)))
        top = zero + int(np.argmax(smooth[zero : zero + 5]))
        rising = np.flatnonzero(np.diff(smooth[top:]) > 0)
        if not rising.size:
            return None
        first = top + int(rising[0])
    beyond = smooth[first:]
    span = float(beyond.max() - min(beyond.min(), 0.0))
    peaks, about = find_peaks(beyond, prominence=max(_PROMINENT * span, 1e-300))
    if not peaks.size:
        return None
    best = int(np.argmax(about["prominences"]))
    at = int(peaks[best])
    prominence = tuple(about[key][[best]] for key in ("prominences", "left_bases", "right_bases"))
    low, high = (float(edge[0]) for edge in peak_widths(beyond, [at], 0.5, prominence)[2:])
    left, right = (round(float(edge[0])) for edge in peak_widths(beyond, [at], 1 - _TOP, prominence)[2:])
    top_channels = np.arange(max(min(left, at - 1), 0), min(max(right, at + 1), len(beyond) - 1) + 1)
    place = float(np.interp(first + _top(top_channels, beyond[top_channels], at), range(len(axis_values)), axis_values))
    return place, slice(first + math.ceil(low), first + math.floor(high) + 1)


def _top(channels: NDArray[np.intp], values: Floats, at: int) -> float:
    """The top of the parabola through the upper part of a peak, where that is within it."""
    curvature, slope, _ = np.polyfit(channels - at, values, 2)
    top = -slope / (2 * curvature) if curvature < 0 else 0.0
    return at + (float(top) if channels[0] <= at + top <= channels[-1] else 0.0)
