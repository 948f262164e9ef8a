"""Where are the peaks of an X-ray spectrum, and which of them are more than counting noise?

The top-hat filter of energy-dispersive spectrometry: counts in a window as wide as the detector's resolution, less what
lies in narrow windows at both sides of it. A peak is a maximum of this difference that is many times its deviation by
counting statistics (Statham, X-Ray Spectrometry 6 (1977) 94).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis
from emcore.core.units import ENERGIES

# Full width at half maximum at the energy of manganese, both in eV, and what it gains in square for each eV: Fano
# factor 0.12 times 3.8 eV for a pair of charges in silicon, times 8 ln 2.
WIDTH_AT_MANGANESE, MANGANESE, _GAIN = 130.0, 5898.7, 2.5
# A narrower line than this has no detector of that kind.
_NARROWEST = 40.0
# So many deviations, and such a part of the strongest peak, a peak has at least.
LEAST_DEVIATIONS, _LEAST_PART = 6.0, 0.004
# Half of the window, the gap to those at its sides, and their width, in units of the resolution.
_HALF, _GAP, _SIDE = 0.6, 0.3, 0.5


# Channels are so wide, in eV, and the last lies beyond so much: those of spectra of electrons' losses are narrower.
_CHANNELS, _LAST = (2.4, 50.0), 2000.0


@dataclass(frozen=True)
class Peak:
    """A peak: its channel, its centroid in eV, its counts above what is around it, how many deviations these are."""

    channel: int
    energy: float
    counts: float
    deviations: float


def xray_energies(axis: Axis) -> NDArray[np.float64] | None:
    """The channels of an energy-dispersive X-ray spectrum in eV; None where the axis is one of anything else.

    Energies without a unit are taken as keV where they can be nothing else.

    Examples
    --------
    >>> from emcore.core.signals import Axis
    >>> from emcore.methods.xray.peaks import xray_energies
    >>> xray_energies(Axis("E", 3, 0.01, 9.99, "keV")).round().tolist()
    [9990.0, 10000.0, 10010.0]
    >>> xray_energies(Axis("energy", 1000, 0.5, 420, "eV")) is None
    True
    """
    factor = ENERGIES.get(axis.units)
    if factor is None and axis.units == "" and axis.name.lower() in ("energy", "e") and axis.values[-1] < 100:
        factor = ENERGIES["keV"]
    if factor is None or not axis.even or axis.size < 3:
        return None
    step, values = axis.scale * factor, axis.values * factor
    return values if _CHANNELS[0] <= step <= _CHANNELS[1] and values[-1] > _LAST else None


def resolution(energy: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Full width at half maximum of a line in a silicon detector, in eV.

    Examples
    --------
    >>> from emcore.methods.xray.peaks import resolution
    >>> resolution([525.0, 5898.7, 8046.0]).round().tolist()
    [59.0, 130.0, 149.0]
    """
    squared = WIDTH_AT_MANGANESE**2 + _GAIN * (np.asarray(energy, dtype=np.float64) - MANGANESE)
    return np.sqrt(np.maximum(squared, _NARROWEST**2))


def net_counts(
    counts: NDArray[np.float64], energy: NDArray[np.float64], at: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts of a line at some energies above the continuum around it, and their deviation by counting statistics.

    Parameters
    ----------
    counts, energy : ndarray, shape (channels,)
        A spectrum, and the middle of its channels in eV, rising in even steps.
    at : ndarray
        Energies in eV.

    Returns
    -------
    net, deviation : ndarray, shape of `at`
    """
    step = float(energy[1] - energy[0])
    edges = np.append(energy - step / 2, energy[-1] + step / 2)
    sums = np.append(0.0, np.cumsum(counts))
    width = np.maximum(resolution(at), 3 * step)

    def within(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        low, high = (np.clip(edge, edges[0], edges[-1]) for edge in (low, high))
        return np.interp(high, edges, sums) - np.interp(low, edges, sums), high - low

    inside, wide = within(at - _HALF * width, at + _HALF * width)
    near, far = (_HALF + _GAP) * width, (_HALF + _GAP + _SIDE) * width
    sides = [within(at - far, at - near), within(at + near, at + far)]
    # The higher side counts, so that the foot of a step or of a stronger line is no peak.
    levels = np.array([part / np.maximum(size, step) for part, size in sides])
    continuum = levels.max(axis=0) * wide
    spread = wide**2 * np.array([part / np.maximum(size, step) ** 2 for part, size in sides]).max(axis=0)
    # A channel without counts may have had one.
    return inside - continuum, np.sqrt(inside + spread + wide / step * 0.1 + 1.0)


def find_peaks(counts: NDArray[np.float64], energy: NDArray[np.float64]) -> list[Peak]:
    """The peaks of an X-ray spectrum, the one with the most counts first.

    Parameters
    ----------
    counts, energy : ndarray, shape (channels,)
        A spectrum, and the middle of its channels in eV, rising in even steps.

    Returns
    -------
    list of Peak

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.xray.peaks import find_peaks
    >>> energy = 200 + 10.0 * np.arange(1000)
    >>> counts = 100 + 1000 * np.exp(-4 * np.log(2) * ((energy - 6404) / 134) ** 2)
    >>> [round(peak.energy) for peak in find_peaks(counts, energy)]
    [6404]
    """
    net, deviation = net_counts(counts, energy, energy)
    ratio = net / deviation
    inner = np.arange(1, len(energy) - 1)
    top = inner[(net[inner] >= net[inner - 1]) & (net[inner] > net[inner + 1])]
    top = top[(ratio[top] >= LEAST_DEVIATIONS) & (net[top] >= _LEAST_PART * max(float(net.max()), 1.0))]
    peaks: list[Peak] = []
    for spot in top[np.argsort(-net[top], kind="stable")]:
        wide = float(resolution(energy[spot]))
        if any(abs(energy[spot] - other.energy) < 0.7 * wide for other in peaks):
            continue
        near = np.abs(energy - energy[spot]) <= 0.5 * wide
        above = np.maximum(counts[near] - (counts[near].min() + counts[near][[0, -1]].mean()) / 2, 0)
        centre = float((above * energy[near]).sum() / above.sum()) if above.any() else float(energy[spot])
        highest = int(np.flatnonzero(near)[np.argmax(counts[near])])
        peaks.append(Peak(highest, centre, float(net[spot]), float(ratio[spot])))
    return peaks
