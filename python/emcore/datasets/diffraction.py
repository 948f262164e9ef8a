"""A scan of diffraction patterns over a polycrystal whose thickness varies across its grains."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import check_count, check_shape, is_finite
from emcore.datasets.micrograph import curved_regions

# Reflections weaken with the distance from the direct beam like exp(-(k / this)^2), in units of the largest k.
_DECAY = 0.55


@dataclass(frozen=True)
class LabelledPatterns:
    """A synthetic scan with its truth.

    Attributes
    ----------
    patterns : ndarray, shape (y, x, ky, kx), uint16
        Counts.
    labels : ndarray, shape (y, x), int32
        Grain of every position, 0 to k - 1.
    thickness : ndarray, shape (y, x), float64
        In mean free paths: of the electrons, exp(-thickness) are left in the direct beam.
    beam_center : (float, float)
        Centre of the direct beam along ky and kx, in pixels.
    beam_radius : float
        Radius of every disc, in pixels.
    """

    patterns: NDArray[np.uint16]
    labels: NDArray[np.int32]
    thickness: NDArray[np.float64]
    beam_center: tuple[float, float]
    beam_radius: float


def polycrystal_scan(
    scan_shape: tuple[int, int] = (48, 64),
    pattern_shape: tuple[int, int] = (64, 64),
    n_grains: int = 5,
    counts: float = 4000.0,
    thickness: tuple[float, float] = (0.3, 2.0),
    seed: int = 0,
) -> LabelledPatterns:
    """A scan over grains of one square lattice in different orientations, in bands of thickness
    that cross the grains.

    The direct beam loses to thickness what reflections do not gain: most is absorbed outside
    the detector. So patterns of one grain differ by their direct beams more than those of two
    grains by their reflections.

    Parameters
    ----------
    scan_shape : (int, int), default (48, 64)
        Positions along y and x.
    pattern_shape : (int, int), default (64, 64)
        Pixels along ky and kx, both at least 32.
    n_grains : int, default 5
        Orientations are spread evenly over the 90 degrees in which a square lattice repeats.
    counts : float, default 4000
        Electrons in each pattern before any are absorbed; they arrive at random (Poisson).
    thickness : (float, float), default (0.3, 2.0)
        Least and largest thickness, in mean free paths.
    seed : int, default 0

    Returns
    -------
    LabelledPatterns

    Raises
    ------
    ValueError
        If a size, number or thickness is out of range.

    Examples
    --------
    >>> from emcore.datasets import polycrystal_scan
    >>> sample = polycrystal_scan(scan_shape=(12, 16), n_grains=3)
    >>> sample.patterns.shape, sample.patterns.dtype, int(sample.labels.max())
    ((12, 16, 64, 64), dtype('uint16'), 2)
    """
    lines, width = check_shape(scan_shape, "scan_shape")
    height, breadth = check_shape(pattern_shape, "pattern_shape", 32)
    n_grains = check_count(n_grains, "n_grains", 1)
    if not (is_finite(counts) and counts > 0):
        raise ValueError(f"counts must be above 0, found {counts}")
    thin, thick = thickness
    if not (0 <= thin <= thick and is_finite(thick)):
        raise ValueError(f"thickness must rise from a least value, not negative, to a largest one, found {thickness}")

    rng = np.random.default_rng(seed)
    labels = curved_regions(lines, width, n_grains)
    y, x = np.mgrid[:lines, :width] / math.sqrt(lines * width)
    wave = np.sin(2 * math.pi * (2.2 * x + 1.3 * y) + 0.5 * np.sin(2 * math.pi * 1.5 * y))
    layers = thin + (thick - thin) * (wave + 1) / 2
    center = (height / 2 - 0.3, breadth / 2 + 0.4)
    side = min(height, breadth)
    radius = side / 26
    beam = _disc_picture(pattern_shape, center, radius)
    reflections = [
        _reflections(pattern_shape, center, radius, 0.19 * side, math.pi / 2 * grain / n_grains)
        for grain in range(n_grains)
    ]
    patterns = np.empty((lines, width, height, breadth), dtype=np.uint16)
    for line in range(lines):
        mean = 0.3 * np.stack([reflections[grain] for grain in labels[line]])
        mean += np.exp(-layers[line])[:, None, None] * beam
        patterns[line] = np.minimum(rng.poisson(counts * mean), np.iinfo(np.uint16).max)
    return LabelledPatterns(patterns, labels, layers, center, radius)


def _reflections(
    shape: tuple[int, int], center: tuple[float, float], radius: float, step: float, angle: float
) -> NDArray[np.float64]:
    """The discs of a square reciprocal lattice without the direct beam, sum 1."""
    total: NDArray[np.float64] = np.zeros(shape)
    largest = min(shape) / 2
    for h in range(-4, 5):
        for k in range(-4, 5):
            along, across = step * h, step * k
            away = math.hypot(along, across)
            if 0 < away < largest - radius:
                place = (
                    center[0] + along * math.sin(angle) + across * math.cos(angle),
                    center[1] + along * math.cos(angle) - across * math.sin(angle),
                )
                total += math.exp(-((away / largest / _DECAY) ** 2)) * _disc_picture(shape, place, radius)
    total /= total.sum()
    return total


def _disc_picture(shape: tuple[int, int], center: tuple[float, float], radius: float) -> NDArray[np.float64]:
    """A disc with a rim one pixel wide, sum 1."""
    ky, kx = np.ogrid[: shape[0], : shape[1]]
    inside: NDArray[np.float64] = np.clip(radius + 0.5 - np.hypot(ky - center[0], kx - center[1]), 0, 1)
    inside /= inside.sum()
    return inside
