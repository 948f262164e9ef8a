"""Spacings and directions of the strongest peaks in a power spectrum of three dimensions, and its radial profile."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats

# Peaks that are given, periods that a window holds at least, and how much a peak stands above its shell.
STRONGEST, LEAST_PERIODS, _ABOVE = 3, 3, 5.0
# Peaks whose spacings differ by less than this part are one spacing; its largest peak against the strongest of all.
_ONE, _WEAKEST = 0.08, 0.02


class Spacings(NamedTuple):
    """
    The strongest spacings of a spectrum.

    Attributes
    ----------
    spacing : ndarray, shape (STRONGEST,)
        In voxels, strongest first; NaN where there are no more.
    direction : ndarray, shape (STRONGEST, 3)
        Of the strongest peak of each, as (z, y, x) of length 1, z not negative.
    """

    spacing: Floats
    direction: Floats


def shells_of(window: int) -> tuple[NDArray[np.intp], Floats]:
    """
    The shell of every point of a half spectrum, radii in whole numbers, and how often the point counts in the whole.

    Examples
    --------
    >>> shell, weight = shells_of(4)
    >>> shell.shape, int(weight.sum())
    ((4, 4, 3), 64)
    """
    k = np.fft.fftfreq(window) * window
    half = np.arange(window // 2 + 1)
    radius = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + half**2)
    twice = (half > 0) & (2 * half < window)
    return np.rint(radius).astype(np.intp), np.broadcast_to(np.where(twice, 2.0, 1.0), radius.shape)


def radial_profile(spectrum: NDArray[np.floating]) -> Floats:
    """
    Mean over shells of 1, 2, ..., N // 2 of a half spectrum of shape (N, N, N // 2 + 1).

    Examples
    --------
    >>> radial_profile(np.ones((4, 4, 3))).tolist()
    [1.0, 1.0]
    """
    shell, weight = shells_of(len(spectrum))
    sums = np.bincount(shell.ravel(), (spectrum * weight).ravel())
    profile: Floats = (sums / np.bincount(shell.ravel(), weight.ravel()))[1 : len(spectrum) // 2 + 1]
    return profile


def full_spectrum(half: NDArray[np.floating]) -> NDArray[np.floating]:
    """
    A half spectrum of shape (N, N, N // 2 + 1) as a whole one, zero frequency at [N // 2, N // 2, N // 2].

    Examples
    --------
    >>> full = full_spectrum(np.arange(48.0).reshape(4, 4, 3))
    >>> full.shape, full[2, 2, 2]
    ((4, 4, 4), np.float64(0.0))
    """
    n = len(half)
    index = -np.arange(n) % n
    mirrored = half[index][:, index][:, :, 1 : n - n // 2][..., ::-1]
    return np.fft.fftshift(np.concatenate([half, mirrored], axis=2))


def strongest_spacings(spectrum: NDArray[np.floating]) -> Spacings:
    """
    The strongest peaks of different spacing in a whole spectrum, zero frequency in the middle.

    A peak is larger than its 26 neighbours and than five times the median of its shell; where it lies between points
    follows from the larger neighbour along each axis, as amplitudes of a wave in a window without a taper fall as
    1 / distance. At least three periods fit into the window.

    Examples
    --------
    >>> z, y, x = np.meshgrid(*[np.arange(16)] * 3, indexing="ij")
    >>> spectrum = np.abs(np.fft.fftshift(np.fft.fftn(np.cos(2 * np.pi * x / 4)))) ** 2
    >>> strongest_spacings(spectrum).spacing.round(9).tolist()
    [4.0, nan, nan]
    """
    n = len(spectrum)
    spacing, direction = np.full(STRONGEST, np.nan), np.full((STRONGEST, 3), np.nan)
    k = np.arange(n) - n // 2
    radius = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k**2)
    shell = np.rint(radius).astype(np.intp)
    order = np.argsort(shell, axis=None, kind="stable")
    ends = np.cumsum(np.bincount(shell.ravel()))
    medians = np.array([np.median(each) for each in np.split(spectrum.ravel()[order], ends[:-1])])
    inside = (shell >= LEAST_PERIODS) & (shell < n // 2)
    peak = inside & (spectrum > _ABOVE * medians[shell])
    core = spectrum[1:-1, 1:-1, 1:-1]
    shifts = [(a, b, c) for a in range(3) for b in range(3) for c in range(3)]
    largest = np.max([spectrum[a : a + n - 2, b : b + n - 2, c : c + n - 2] for a, b, c in shifts], axis=0)
    peak[1:-1, 1:-1, 1:-1] &= core >= largest
    peak[[0, -1]] = peak[:, [0, -1]] = peak[:, :, [0, -1]] = False
    at = np.argwhere(peak)
    heights = spectrum[tuple(at.T)]
    found: list[tuple[float, Floats]] = []
    for i in np.argsort(-heights, kind="stable"):
        if len(found) == STRONGEST or heights[i] < _WEAKEST * heights.max():
            break
        near = tuple(slice(c - 1, c + 2) for c in at[i])
        amplitude = np.sqrt(np.maximum(spectrum[near] - medians[shell[near]], 0.0))
        centre = k[at[i]] + np.array([_beside(np.moveaxis(amplitude, axis, 0)[:, 1, 1]) for axis in range(3)])
        length = float(np.linalg.norm(centre))
        if all(abs(n / length - other) > _ONE * other for other, _ in found):
            down = next((c for c in centre if abs(c) > 1e-9), 1.0) < 0
            found.append((n / length, centre / length * (-1.0 if down else 1.0)))
    for i, (d, u) in enumerate(found):
        spacing[i], direction[i] = d, u
    return Spacings(spacing, direction)


def _beside(amplitude: Floats) -> float:
    """How far a wave lies beside the middle one of three points, by its amplitude in them."""
    low, middle, high = (float(a) for a in amplitude)
    return max(low, high) / (middle + max(low, high)) * (1.0 if high >= low else -1.0)
