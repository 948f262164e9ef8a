"""Images at a series of energies, as secondary-electron hyperspectral imaging takes them, with their truth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, as_numbers, check_number, check_shape
from emcore.datasets.micrograph import curved_regions

PUBLISHED = (0.83, 1.98, 3.57, 4.75, 5.60)
"""Peaks in eV of palladium-silver and carbon (Zhang et al., IEEE Access 13 (2025) 173976)."""
# Of the electrons that a position emits, how many make up its peak. The others are a cascade, whose maximum is the
# first of the published peaks: a third of the work function W in eV.
_SHARE, _WORK = 0.35, 3 * PUBLISHED[0]
# Domains for each peak; over how many positions gain and domains change.
_DOMAINS, _SMOOTH = 3, 6.0


@dataclass(frozen=True, eq=False)
class LabelledEnergies:
    """A synthetic series of images at a series of energies with its truth.

    Attributes
    ----------
    stack : Signal, shape (energy, y, x), uint16
        Electrons up to each energy that were counted at every position.
    labels : ndarray, shape (y, x), int32
        The peak of every position, 0 to k - 1.
    peaks : ndarray, shape (k,), float64
        Their energies in eV.
    gain : ndarray, shape (y, x), float64
        What the expected counts of a position are multiplied by.
    shifts : ndarray, shape (energy, 2), float64
        By how many pixels along y and x each image lies off the first.
    """

    stack: Signal
    labels: NDArray[np.int32]
    peaks: Floats
    gain: Floats
    shifts: Floats


def energy_series(
    shape: tuple[int, int] = (96, 120),
    *,
    peaks: Sequence[float] = PUBLISHED,
    width: float = 0.3,
    last: float = 7.0,
    step: float = 0.1,
    counts: float = 400.0,
    spread: float = 0.3,
    drift: float = 0.0,
    seed: int = 0,
) -> LabelledEnergies:
    """Images of domains that emit secondary electrons at energies of their own, on the cascade
    that all emit.

    The detector counts all electrons up to an energy, so that the spectrum of a position is the
    derivative of its counts. Counts are Poisson distributed; the gain varies over the scan, as
    topography makes it.

    Parameters
    ----------
    shape : (int, int), default (96, 120)
        Positions along y and x, 10 nm apart.
    peaks : sequence of k floats
        Energy of each domain's peak in eV, by default those published of palladium-silver on
        carbon [1]_.
    width : float, default 0.3
        Standard deviation of a peak, in eV.
    last, step : float, default 7 and 0.1
        Energies from 0 to `last` in steps, in eV.
    counts : float, default 400
        Electrons at a position up to the last energy, where the gain is 1.
    spread : float, default 0.3
        Standard deviation of the logarithm of the gain.
    drift : float, default 0
        Standard deviation, in pixels, by which an image moves against the one before it.
    seed : int, default 0

    Returns
    -------
    LabelledEnergies

    Raises
    ------
    ValueError
        A size or number out of range, a peak outside of the energies.

    References
    ----------
    .. [1] Zhang et al., IEEE Access 13 (2025) 173976.

    Examples
    --------
    >>> from emcore.datasets import energy_series
    >>> sample = energy_series(shape=(24, 32), peaks=[1.0, 3.0])
    >>> sample.stack.shape, int(sample.labels.max())
    ((71, 24, 32), 1)
    """
    from scipy import ndimage

    height, size = check_shape(shape, "shape", 4)
    for value, name in ((width, "width"), (step, "step"), (last, "last"), (counts, "counts")):
        check_number(value, name, 1e-6)
    check_number(spread, "spread", 0)
    check_number(drift, "drift", 0, min(height, size))
    check_number(last / step, "last / step", 7, 1e5)
    axis = Axis("energy", round(last / step) + 1, step, 0.0, "eV", True)
    at = as_numbers(peaks, "peaks")
    if at.ndim != 1 or not at.size or not ((at > 0) & (at < last)).all():
        raise ValueError(f"peaks must lie between 0 and last={last:g} eV; found {list(peaks)}")
    rng = np.random.default_rng(seed)
    moves = np.vstack([np.zeros(2), drift * rng.standard_normal((axis.size - 1, 2))]).cumsum(axis=0)
    margin = math.ceil(np.abs(moves).max())
    whole = height + 2 * margin, size + 2 * margin
    cells = curved_regions(*whole, _DOMAINS * len(at))
    labels = (rng.permutation(_DOMAINS * len(at)) % len(at))[cells]
    gain = np.exp(spread * _rough(ndimage.gaussian_filter(rng.standard_normal(whole), _SMOOTH)))
    emitted = _emitted(axis.values, at, width)
    stack = np.empty((axis.size, height, size), dtype=np.uint16)
    rows, columns = np.arange(height) + margin, np.arange(size) + margin
    for image, (moved, expected) in enumerate(zip(moves, emitted.T, strict=True)):
        places = np.meshgrid(rows - moved[0], columns - moved[1], indexing="ij")
        picture = ndimage.map_coordinates(gain * expected[labels], places, order=1)
        stack[image] = np.minimum(rng.poisson(counts * picture), 65535)
    inside = slice(margin, margin + height), slice(margin, margin + size)
    scan = (Axis("y", height, 10.0, 0.0, "nm"), Axis("x", size, 10.0, 0.0, "nm"))
    return LabelledEnergies(
        Signal(stack, (axis, *scan), title="electrons up to an energy", flagged=True),
        labels[inside].astype(np.int32),
        at,
        gain[inside],
        moves,
    )


def _rough(values: Floats) -> Floats:
    return values / max(float(values.std()), 1e-300)


def _emitted(energy: Floats, peaks: Floats, width: float) -> Floats:
    """Part of its electrons that each domain emits up to an energy: a peak, and the cascade E / (E + W)^4."""
    from scipy.special import erf

    # The integral of 6 W^2 E / (E + W)^4 from 0 to E (Chung & Everhart, J. Appl. Phys. 45 (1974) 707).
    part = energy / (energy + _WORK)
    cascade = part**2 * (3 - 2 * part)
    edge = peaks[:, None]
    peak = (erf((energy - edge) / (math.sqrt(2) * width)) - erf(-edge / (math.sqrt(2) * width))) / 2
    total: Floats = _SHARE * peak + (1 - _SHARE) * cascade / cascade[-1]
    return total
