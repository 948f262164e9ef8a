"""A scan of diffraction patterns over two phases that scatter alike but into one ring around the beam."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import check_shape, is_finite
from emcore.datasets.micrograph import curved_regions

# Parts of the electrons: in the direct beam of a thin sample, in the diffuse background, in the ring of either phase.
_BEAM, _DIFFUSE, _RING = 0.45, 0.35, (0.12, 0.06)
# Radii as parts of the shorter side of the detector: of the beam, of the background's fall, of the ring.
_RADIUS, _FALL, _INNER, _OUTER = 0.1, 0.12, 7 / 32, 9 / 32
# Part of the electrons of the first phase that goes to the rim of the detector, where the second sends none.
_RIM = 2e-5
# Step of the scan in nm; mrad that the shorter side of the detector reaches from its middle.
_STEP, _REACH = 2.0, 60.0


@dataclass(frozen=True)
class LabelledRings:
    """A synthetic scan over two phases with its truth.

    Attributes
    ----------
    patterns : Signal, shape (y, x, ky, kx), uint16
        Counts, with axes in nm and mrad.
    labels : ndarray, shape (y, x), int32
        Phase of every position, 0 or 1.
    ring : (float, float)
        Radii in pixels between which the phases differ: the annulus that separates them best.
    beam_center : (float, float)
        Along ky and kx, in pixels.
    beam_radius : float
        In pixels.
    """

    patterns: Signal
    labels: NDArray[np.int32]
    ring: tuple[float, float]
    beam_center: tuple[float, float]
    beam_radius: float


def ring_phases(
    scan_shape: tuple[int, int] = (48, 64),
    pattern_shape: tuple[int, int] = (64, 64),
    counts: float = 3000.0,
    thickness: float = 0.25,
    seed: int = 0,
) -> LabelledRings:
    """Two phases, one of which scatters twice as much as the other into one ring, with a halo
    around the beam.

    The direct beam varies with the thickness of the sample and not from phase to phase. Far
    out, on the rim of the detector, the first phase scatters next to nothing and the second
    nothing: there the contrast is 1, in an image without electrons.

    Parameters
    ----------
    scan_shape : (int, int), default (48, 64)
        Positions along y and x, 2 nm apart.
    pattern_shape : (int, int), default (64, 64)
        Pixels along ky and kx, both at least 32.
    counts : float, default 3000
        Electrons in a pattern; they arrive at random (Poisson).
    thickness : float, default 0.25
        How much the direct beam varies, as a part of itself, in waves across the scan.
    seed : int, default 0

    Returns
    -------
    LabelledRings

    Raises
    ------
    ValueError
        If a size or number is out of range.

    Examples
    --------
    >>> from emcore.datasets import ring_phases
    >>> sample = ring_phases(scan_shape=(12, 16))
    >>> sample.patterns.shape, sample.ring, int(sample.labels.max())
    ((12, 16, 64, 64), (14.0, 18.0), 1)
    """
    lines, width = check_shape(scan_shape, "scan_shape")
    height, breadth = check_shape(pattern_shape, "pattern_shape", 32)
    if not (counts > 0 and is_finite(counts) and 0 <= thickness < 1):
        raise ValueError(f"counts must be above 0 and thickness from 0 to below 1, found {counts} and {thickness}")
    rng = np.random.default_rng(seed)
    labels = (curved_regions(lines, width, 4) % 2).astype(np.int32)
    side = min(height, breadth)
    center, radius = (height / 2 - 0.2, breadth / 2 + 0.3), _RADIUS * side
    ring = float(round(_INNER * side)), float(round(_OUTER * side))
    ky, kx = np.ogrid[:height, :breadth]
    away = np.hypot(ky - center[0], kx - center[1])
    beam = _one(np.clip(radius + 0.5 - away, 0, 1))
    diffuse = _one(np.exp(-away / (_FALL * side)))
    inside = _one((away > ring[0]) & (away <= ring[1]))
    rim = _one(away > 0.45 * side)
    of_phase = [_DIFFUSE * diffuse + part * inside + weak * rim for part, weak in zip(_RING, (_RIM, 0.0), strict=True)]
    of_phase = [np.where(away > 0.45 * side, weak * rim, each) for each, weak in zip(of_phase, (_RIM, 0), strict=True)]
    y, x = np.mgrid[:lines, :width] / math.sqrt(lines * width)
    layers = 1 + thickness * np.sin(2 * math.pi * (2.2 * x + 1.3 * y))
    patterns = np.empty((lines, width, height, breadth), dtype=np.uint16)
    for line in range(lines):
        mean = np.stack(of_phase)[labels[line]] + _BEAM * layers[line][:, None, None] * beam
        patterns[line] = np.minimum(rng.poisson(counts * mean), np.iinfo(np.uint16).max)
    unit = 2 * _REACH / side
    axes = (
        Axis("y", lines, _STEP, 0.0, "nm", True),
        Axis("x", width, _STEP, 0.0, "nm", True),
        Axis("ky", height, unit, -unit * center[0], "mrad"),
        Axis("kx", breadth, unit, -unit * center[1], "mrad"),
    )
    return LabelledRings(Signal(patterns, axes, title="two phases"), labels, ring, center, radius)


def _one(picture: NDArray[np.generic]) -> NDArray[np.float64]:
    """A picture of sum 1."""
    values: NDArray[np.float64] = picture.astype(np.float64)
    values /= values.sum()
    return values
