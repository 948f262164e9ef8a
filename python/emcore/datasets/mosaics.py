"""Overlapping scans of one polycrystal, each turned and shifted, and a map of another modality over all of it."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, check_number, check_shape, is_finite
from emcore.datasets.grains import Crystal, arrivals, cubic_crystal, scan_axes, turned

# Radius of a hole in positions; step of the map of the other modality in positions.
_HOLE, _STEP = 3.5, 1.6
# Noise of that map, as a part of the differences between grains.
_NOISE = 0.1


@dataclass(frozen=True)
class OverlappingScans:
    """Scans of one sample with their truth.

    Attributes
    ----------
    scans : tuple of Signal, each of shape (y, x, ky, kx), uint8
        Counts, with axes in nm and 1/nm.
    transforms : ndarray, shape (n, 3, 3), float64
        From positions (y, x, 1) of each scan to those of the whole.
    labels : tuple of ndarray, each of shape (y, x), int32
        Grain of every position of each scan; the last grain is the holes, if there are any.
    whole : Signal, shape (Y, X, ky, kx), uint8
        One scan over all of the sample, counted by itself.
    whole_labels : ndarray, shape (Y, X), int32
    luminescence : Signal, shape (h, w), float64
        Another modality: one brightness for each grain, none in holes, on a coarser grid of its
        own.
    fiducial : ndarray, shape (h, w), bool
        Where that modality shows the holes.
    map_transform : ndarray, shape (3, 3), float64
        From pixels (y, x, 1) of the luminescence to positions of the whole.
    brightness : ndarray, shape (k,), float64
        Of each grain in the luminescence.
    """

    scans: tuple[Signal, ...]
    transforms: Floats
    labels: tuple[NDArray[np.int32], ...]
    whole: Signal
    whole_labels: NDArray[np.int32]
    luminescence: Signal
    fiducial: NDArray[np.bool_]
    map_transform: Floats
    brightness: Floats


def overlapping_scans(
    scan_shape: tuple[int, int] = (56, 64),
    grid: tuple[int, int] = (1, 2),
    *,
    overlap: float = 0.35,
    turn: float = 8.0,
    pattern_shape: tuple[int, int] = (48, 48),
    grain_size: float = 16.0,
    counts: float = 3000.0,
    bend: float = 0.03,
    n_holes: int = 0,
    patterns_turn: bool = False,
    seed: int = 0,
) -> OverlappingScans:
    """Scans side by side over Voronoi cells of one cubic crystal in orientations drawn at
    random.

    Each scan visits places of its own, between those of the others, and counts electrons of its
    own (Poisson), half to twice as many as the mean: nothing is cut out of the whole, which is
    a scan by itself.

    Parameters
    ----------
    scan_shape : (int, int), default (56, 64)
        Positions of each scan along y and x, 4 nm apart.
    grid : (int, int), default (1, 2)
        Scans below one another and side by side.
    overlap : float, default 0.35
        Part of a scan that its neighbour visits too, before they are turned.
    turn : float, default 8
        Scans are turned by up to so many degrees to either side, and shifted by up to two
        positions.
    pattern_shape : (int, int), default (48, 48)
        Pixels along ky and kx, both at least 32.
    grain_size : float, default 16
        Positions across a grain.
    counts : float, default 3000
        Mean electrons in a pattern.
    bend : float, default 0.03
        How far grains are bent to either side, in radians.
    n_holes : int, default 0
        Holes in the sample, the markers of the other modality.
    patterns_turn : bool, default False
        Whether the sample was turned and not the scan, so that patterns turn with it.
    seed : int, default 0

    Returns
    -------
    OverlappingScans

    Raises
    ------
    ValueError
        If a size or number is out of range.

    Examples
    --------
    >>> from emcore.datasets import overlapping_scans
    >>> sample = overlapping_scans((16, 20), pattern_shape=(32, 32), grain_size=8.0)
    >>> len(sample.scans), sample.scans[1].shape, sample.whole.shape[:2]
    (2, (16, 20, 32, 32), (16, 33))
    """
    scan_shape, pattern_shape = (
        check_shape(scan_shape, "scan_shape", 8),
        check_shape(pattern_shape, "pattern_shape", 32),
    )
    grid, turn = check_shape(grid, "grid"), check_number(turn, "turn", 0, 180)
    if not (
        0 <= overlap < 1 and grain_size >= 2 and counts > 0 and is_finite(counts) and 0 <= bend < 1 and n_holes >= 0
    ):
        raise ValueError(
            f"overlap must be in [0, 1), grain_size at least 2, counts above 0, bend in [0, 1), n_holes at least 0, "
            f"found {overlap}, {grain_size}, {counts}, {bend} and {n_holes}"
        )
    rng = np.random.default_rng(seed)
    steps = [size * (1 - overlap) for size in scan_shape]
    extent = [round(size + (n - 1) * step) for size, n, step in zip(scan_shape, grid, steps, strict=True)]
    sample = _polycrystal(extent, grain_size, pattern_shape, bend, n_holes, rng)
    transforms: list[Floats] = []
    scans: list[Signal] = []
    labels: list[NDArray[np.int32]] = []
    middle = (np.array(scan_shape) - 1) / 2
    for row in range(grid[0]):
        for column in range(grid[1]):
            place = middle + np.array([row, column]) * steps + rng.uniform(-2, 2, 2)
            angle = math.radians(rng.uniform(-turn, turn))
            transforms.append(_rigid(angle, middle, place))
            many = counts * 2 ** rng.uniform(-1, 1)
            crystals = sample.crystals
            if patterns_turn:
                crystals = [turned(crystal, angle, pattern_shape) for crystal in crystals]
            scan, found = _scan(sample, crystals, transforms[-1], scan_shape, pattern_shape, many, rng)
            scans.append(replace(scan, title=f"scan {len(scans) + 1}"))
            labels.append(found)
    whole, whole_labels = _scan(sample, sample.crystals, np.eye(3), (extent[0], extent[1]), pattern_shape, counts, rng)
    shape = tuple(int(size / _STEP) for size in extent)
    map_transform = _rigid(math.radians(rng.uniform(-2, 2)), (np.array(shape) - 1) / 2, np.zeros(2))
    map_transform[:2] *= _STEP
    map_transform[:2, 2] += (np.array(extent) - 1) / 2 + rng.uniform(-4, 4, 2)
    cells = sample.labels(_places(map_transform, shape)).reshape(shape)
    brightness = np.append(rng.uniform(0.4, 1.0, len(sample.crystals)), 0.0)[: len(sample.crystals) + (n_holes > 0)]
    glow = brightness[cells] + _NOISE * 0.6 * rng.standard_normal(shape)
    step = scans[0].axes[0].scale * _STEP
    axes = tuple(Axis(name, size, step, 0.0, "nm") for name, size in zip("yx", shape, strict=True))
    return OverlappingScans(
        tuple(scans),
        np.stack(transforms),
        tuple(labels),
        whole,
        whole_labels,
        Signal(glow, axes, title="photoluminescence"),
        cells == len(sample.crystals),
        map_transform,
        brightness,
    )


@dataclass(frozen=True)
class _Sample:
    """Grains anywhere in the plane: their seeds, crystals, and the waves that bend them."""

    seeds: Floats
    crystals: list[Crystal]
    waves: Floats
    holes: Floats
    bend: float

    def labels(self, places: Floats) -> NDArray[np.int32]:
        """Grain at each place, shape (n, 2); one more than the last in a hole."""
        nearest = np.full(len(places), np.inf)
        found = np.zeros(len(places), dtype=np.int32)
        for label, seed in enumerate(self.seeds):
            square = ((places - seed) ** 2).sum(axis=1)
            found[square < nearest] = label
            nearest = np.minimum(square, nearest)
        for hole in self.holes:
            found[((places - hole) ** 2).sum(axis=1) < _HOLE**2] = len(self.seeds)
        return found

    def tilt(self, places: Floats, grain: int) -> Floats:
        """By how much the crystal is bent there, shape (2, n)."""
        wave = self.waves[grain]
        return np.asarray(self.bend * np.sin(places @ wave[:, :2].T + wave[:, 2]).T)


def _polycrystal(
    extent: list[int], size: float, shape: tuple[int, int], bend: float, n_holes: int, rng: np.random.Generator
) -> _Sample:
    margin = 12.0
    low, high = -margin, np.array(extent) + margin
    count = max(round(float(np.prod(high - low)) / size**2), 1)
    seeds = rng.uniform(low, high, (count, 2))
    crystals = [cubic_crystal(shape, rng) for _ in range(count)]
    along, phase = rng.uniform(0, 2 * math.pi, (2, count, 2))
    waves = np.stack([math.pi / size * np.sin(along), math.pi / size * np.cos(along), phase], axis=-1)
    holes = rng.uniform(0.1, 0.9, (n_holes, 2)) * np.array(extent)
    return _Sample(seeds, crystals, waves, holes, bend)


def _rigid(angle: float, middle: Floats, place: Floats) -> Floats:
    """Turns about `middle`, which goes to `place`."""
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.eye(3)
    matrix[:2, :2] = [[cos, -sin], [sin, cos]]
    matrix[:2, 2] = place - matrix[:2, :2] @ middle
    return matrix


def _places(transform: Floats, shape: tuple[int, ...]) -> Floats:
    grid = np.stack([*np.mgrid[: shape[0], : shape[1]], np.ones(shape)], axis=-1).reshape(-1, 3)
    return np.asarray(grid @ transform.T)[:, :2]


def _scan(
    sample: _Sample,
    crystals: list[Crystal],
    transform: Floats,
    scan_shape: tuple[int, int],
    pattern_shape: tuple[int, int],
    counts: float,
    rng: np.random.Generator,
) -> tuple[Signal, NDArray[np.int32]]:
    places = _places(transform, scan_shape)
    labels = sample.labels(places)
    pixels = math.prod(pattern_shape)
    patterns = np.empty((len(places), pixels), dtype=np.uint8)
    for grain in np.unique(labels):
        there = np.flatnonzero(labels == grain)
        hole = grain == len(crystals)
        crystal = crystals[0] if hole else crystals[grain]
        tilt = np.zeros((2, len(there))) if hole else sample.tilt(places[there], int(grain))
        if hole:  # nothing scatters: the direct beam alone, and a little of what is around it
            crystal = Crystal(crystal.vectors[:0], crystal.strengths[:0], crystal.tables[:2])
        position, pixel = arrivals(crystal, tilt, counts, rng)
        hits = np.bincount(position * pixels + pixel, minlength=len(there) * pixels)
        patterns[there] = np.minimum(hits, 255).reshape(len(there), pixels)
    data = patterns.reshape(*scan_shape, *pattern_shape)
    return Signal(data, scan_axes(scan_shape, pattern_shape), flagged=True), labels.reshape(scan_shape)
