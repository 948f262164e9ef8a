"""What describes the classes of a volume: mean spectra, profiles, spacings, and the rotations between equal ones."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.volume.grouping import WindowGroups
from emcore.methods.volume.harmonics import best_rotation, degree_power, without_noise
from emcore.methods.volume.settings import VolumeSettings
from emcore.methods.volume.spacings import full_spectrum, radial_profile, strongest_spacings
from emcore.methods.volume.windows import Grid, mean_spectra
from emcore.outofcore.planes import Planes

# Windows of which the mean spectrum of a class is formed, and pairs of classes that are turned onto each other.
_WINDOWS, _PAIRS = 32, 300


class Classes(NamedTuple):
    """
    Of k oriented classes and t textures; see `emcore.VolumeAnalysis`, lengths in voxels.
    """

    spectra: NDArray[np.float32]
    profiles: Floats
    texture_profiles: Floats
    degree_power: Floats
    spacing: Floats
    direction: Floats
    texture_spacing: Floats
    pairs: NDArray[np.int64]
    pair_angle: Floats
    pair_axis: Floats
    pair_correlation: Floats


def describe_classes(planes: Planes, grid: Grid, settings: VolumeSettings, groups: WindowGroups) -> Classes:
    """
    Describe the classes of windows of a volume.

    Parameters
    ----------
    planes : Planes
    grid : Grid
    settings : VolumeSettings
        That do not reduce.
    groups : WindowGroups

    Returns
    -------
    Classes
    """
    texture_of = groups.texture_of
    halves = mean_spectra(planes, grid, settings, [_clearest(part) for part in groups.parts.T])
    spectra = np.stack([full_spectrum(half) for half in halves])
    profiles = np.stack([radial_profile(half) for half in halves])
    peaks = [strongest_spacings(spectrum) for spectrum in spectra]
    weights = np.maximum(groups.counts, 1).astype(np.float64)
    power = degree_power(without_noise(groups.means))
    first = [int(np.argmax(texture_of == t)) for t in range(int(texture_of.max()) + 1)]
    pairs = [(a, b) for a, b in combinations(range(len(texture_of)), 2) if texture_of[a] == texture_of[b]][:_PAIRS]
    fits = [best_rotation(groups.means[a], groups.means[b]) for a, b in pairs]
    return Classes(
        spectra.astype(np.float32),
        profiles,
        _of_textures(profiles, texture_of, weights),
        _of_textures(power, texture_of, weights),
        np.stack([each.spacing for each in peaks]),
        np.stack([each.direction for each in peaks]),
        np.stack([peaks[i].spacing for i in first]),
        np.array(pairs, dtype=np.int64).reshape(-1, 2),
        np.array([fit.angle for fit in fits]),
        np.array([fit.axis for fit in fits]).reshape(-1, 3),
        np.array([fit.correlation for fit in fits]),
    )


def _clearest(part: NDArray[np.float32]) -> NDArray[np.intp]:
    """Some of the windows that a class fills most, rising."""
    best = float(part.max())
    clear = np.flatnonzero(part >= min(best, max(0.98, best - 0.02)))
    return clear[:: -(-len(clear) // _WINDOWS)]


def _of_textures(values: Floats, texture_of: NDArray[np.int16], weights: Floats) -> Floats:
    """Means over the classes of each texture."""
    count = int(texture_of.max()) + 1
    means = [np.average(values[texture_of == t], axis=0, weights=weights[texture_of == t]) for t in range(count)]
    return np.stack(means)
