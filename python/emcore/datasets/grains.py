"""A scan of diffraction patterns over many bent grains, as a detector with a gap counts them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, check_shape, is_finite

# Aluminium: side of the cubic cell in nm. Reflections fade with their excitation error over so much, and with their
# length over so much, in 1/nm.
_CELL, _RELROD, _DECAY = 0.405, 0.8, 8.0
# Length in 1/nm that the shorter side of the detector reaches from its middle; step of the scan in nm.
_REACH, _STEP = 12.0, 4.0
# Parts of the electrons: in the direct beam of a crystal that does not scatter, in the diffuse background.
_BEAM, _DIFFUSE = 0.35, 0.15
# Pixels that an electron of one source may go to, drawn with equal chance.
_TABLE = 4096


@dataclass(frozen=True)
class LabelledGrains:
    """A synthetic scan over grains with its truth.

    Attributes
    ----------
    patterns : Signal, shape (y, x, ky, kx), uint8
        Counts, with axes in nm and 1/nm.
    labels : ndarray, shape (y, x), int32
        Grain of every position, 0 to k - 1.
    tilt : ndarray, shape (2, y, x), float64
        By how much the crystal is bent there, about y and about x, in radians.
    gap : ndarray, shape (ky, kx), bool
        Pixels that count nothing.
    """

    patterns: Signal
    labels: NDArray[np.int32]
    tilt: Floats
    gap: NDArray[np.bool_]


def bent_polycrystal(
    scan_shape: tuple[int, int] = (64, 64),
    pattern_shape: tuple[int, int] = (128, 128),
    n_grains: int = 12,
    counts: float = 3000.0,
    bend: float = 0.04,
    seed: int = 0,
    out: NDArray[np.uint8] | None = None,
) -> LabelledGrains:
    """A scan over Voronoi cells of one cubic crystal in orientations drawn at random, each cell
    bent in its own way.

    A reflection shines as far as its excitation error allows, which bending changes: bend
    contours cross the grains. Electrons arrive at random (Poisson); two lines of pixels across
    the middle of the detector count nothing.

    Parameters
    ----------
    scan_shape : (int, int), default (64, 64)
        Positions along y and x, 4 nm apart.
    pattern_shape : (int, int), default (128, 128)
        Pixels along ky and kx, both at least 32; from the middle to the nearest edge are 12/nm.
    n_grains : int, default 12
    counts : float, default 3000
        Mean electrons in a pattern.
    bend : float, default 0.04
        How far grains are bent to either side, in radians.
    seed : int, default 0
    out : ndarray of uint8, shape (y, x, ky, kx), optional
        Where to write the patterns: a memory map, for more of them than memory holds.

    Returns
    -------
    LabelledGrains

    Raises
    ------
    ValueError
        If a size, number or the shape of `out` is out of range.

    Examples
    --------
    >>> from emcore.datasets import bent_polycrystal
    >>> sample = bent_polycrystal(scan_shape=(12, 16), pattern_shape=(32, 32), n_grains=3)
    >>> sample.patterns.shape, sample.patterns.axis("kx").units, int(sample.labels.max())
    ((12, 16, 32, 32), '1/nm', 2)
    """
    lines, width = check_shape(scan_shape, "scan_shape")
    height, breadth = check_shape(pattern_shape, "pattern_shape", 32)
    if not 1 <= n_grains <= lines * width:
        raise ValueError(f"n_grains={n_grains} is out of range: between 1 and the {lines * width} positions")
    if not (counts > 0 and is_finite(counts) and 0 <= bend < 1):
        raise ValueError(f"counts must be above 0 and bend between 0 and 1, found {counts} and {bend}")
    whole = (lines, width, height, breadth)
    if out is not None and (out.shape != whole or out.dtype != np.uint8):
        raise ValueError(f"out is {out.dtype} of shape {out.shape}; uint8 of shape {whole} is needed")

    rng = np.random.default_rng(seed)
    labels = voronoi_cells(scan_shape, n_grains, rng)
    crystals = [cubic_crystal(pattern_shape, rng) for _ in range(n_grains)]
    tilt = bend * _bending(labels, n_grains, rng)
    gap = np.zeros(pattern_shape, dtype=bool)
    gap[height // 2 + 6 : height // 2 + 8] = gap[:, breadth // 2 - 9 : breadth // 2 - 7] = True
    patterns = np.empty(whole, dtype=np.uint8) if out is None else out
    for line in range(lines):
        pixels = []
        for grain in np.unique(labels[line]):
            there = np.flatnonzero(labels[line] == grain)
            position, pixel = arrivals(crystals[grain], tilt[:, line, there], counts, rng)
            pixels.append(there[position] * (height * breadth) + pixel)
        hits = np.bincount(np.concatenate(pixels), minlength=width * height * breadth)
        patterns[line] = np.where(gap, 0, np.minimum(hits, 255).reshape(width, height, breadth))

    axes = scan_axes(scan_shape, pattern_shape)
    return LabelledGrains(Signal(patterns, axes, title="bent grains"), labels, tilt, gap)


def scan_axes(scan_shape: tuple[int, int], pattern_shape: tuple[int, int]) -> tuple[Axis, Axis, Axis, Axis]:
    """Axes of a scan in nm and of its patterns in 1/nm."""
    (lines, width), (height, breadth) = scan_shape, pattern_shape
    unit = 2 * _REACH / min(pattern_shape)
    return (
        Axis("y", lines, _STEP, 0.0, "nm", True),
        Axis("x", width, _STEP, 0.0, "nm", True),
        Axis("ky", height, unit, -unit * (height - 1) / 2, "1/nm"),
        Axis("kx", breadth, unit, -unit * (breadth - 1) / 2, "1/nm"),
    )


def voronoi_cells(shape: tuple[int, int], count: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Cells of points drawn at random, no two at the same position."""
    places = np.stack(np.unravel_index(rng.permutation(shape[0] * shape[1])[:count], shape), axis=1)
    y, x = np.mgrid[: shape[0], : shape[1]]
    nearest = np.full(shape, np.inf)
    labels = np.zeros(shape, dtype=np.int32)
    for label, place in enumerate(places):
        square = (y - place[0]) ** 2 + (x - place[1]) ** 2
        labels[square < nearest] = label
        nearest = np.minimum(square, nearest)
    return labels


@dataclass(frozen=True)
class Crystal:
    """The reflections that any bending may excite: their vectors, strengths, and where their electrons go."""

    vectors: Floats
    strengths: Floats
    tables: NDArray[np.intp]


def cubic_crystal(shape: tuple[int, int], rng: np.random.Generator) -> Crystal:
    """A face-centred cubic crystal turned at random; its first source is the direct beam, its second the background."""
    most = math.ceil(_REACH * _CELL)
    index = np.stack(np.meshgrid(*[np.arange(-most, most + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    allowed = (index % 2 == index[:, :1] % 2).all(axis=1) & index.any(axis=1)
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    vectors = index[allowed] @ rotation / _CELL
    unit = 2 * _REACH / min(shape)
    radius = 0.024 * min(shape)
    inside = (np.hypot(vectors[:, 0], vectors[:, 1]) < _REACH - radius * unit) & (np.abs(vectors[:, 2]) < 3 * _RELROD)
    vectors = vectors[inside]
    strengths = np.exp(-((np.linalg.norm(vectors, axis=1) / _DECAY) ** 2))
    return Crystal(vectors, strengths, _tables(vectors, shape))


def turned(crystal: Crystal, angle: float, shape: tuple[int, int]) -> Crystal:
    """The crystal on a detector that has turned with the scan by an angle in radians, from ky towards kx."""
    cos, sin = math.cos(angle), math.sin(angle)
    gy, gx, gz = crystal.vectors.T
    seen = np.stack([cos * gy + sin * gx, cos * gx - sin * gy, gz], axis=1)
    return Crystal(crystal.vectors, crystal.strengths, _tables(seen, shape))


def _tables(vectors: Floats, shape: tuple[int, int]) -> NDArray[np.intp]:
    """Where the electrons go of the direct beam, of the background and of each reflection."""
    unit = 2 * _REACH / min(shape)
    radius = 0.024 * min(shape)
    middle = (np.array(shape) - 1) / 2
    ky, kx = (np.arange(size, dtype=np.float64) for size in shape)
    away = np.hypot(ky[:, None] - middle[0], kx - middle[1])
    pictures = [np.clip(radius + 0.5 - away, 0, 1), np.exp(-away / (0.15 * min(shape)))]
    for gy, gx, _ in vectors:
        place = middle + np.array([gy, gx]) / unit
        pictures.append(np.clip(radius + 0.5 - np.hypot(ky[:, None] - place[0], kx - place[1]), 0, 1))
    return np.stack([_table(picture) for picture in pictures])


def _table(picture: Floats) -> NDArray[np.intp]:
    """Pixels of a picture, each as often as it is bright."""
    rising = np.cumsum(picture.ravel())
    table: NDArray[np.intp] = np.searchsorted(rising, (np.arange(_TABLE) + 0.5) / _TABLE * rising[-1])
    return table


def _bending(labels: NDArray[np.int32], count: int, rng: np.random.Generator) -> Floats:
    """Tilts about two axes, each a wave across every grain, between -1 and 1."""
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    diameter = math.sqrt(labels.size / count)
    tilt = np.empty((2, *labels.shape))
    for grain in range(count):
        inside = labels == grain
        for axis in (0, 1):
            along, phase = rng.uniform(0, 2 * math.pi, 2)
            distance = y[inside] * math.sin(along) + x[inside] * math.cos(along)
            tilt[axis, inside] = np.sin(2 * math.pi * distance / (2.0 * diameter) + phase)
    return tilt


def arrivals(
    crystal: Crystal, tilt: Floats, counts: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Position and pixel of every electron, at some positions of one grain that are tilted by (2, positions)."""
    gy, gx, gz = crystal.vectors.T
    error = gz + gy * tilt[0][:, None] - gx * tilt[1][:, None]
    bright = crystal.strengths * np.exp(-0.5 * (error / _RELROD) ** 2)
    usual = max(float((crystal.strengths * np.exp(-0.5 * (gz / _RELROD) ** 2)).sum()), 1e-9)
    means = np.empty((len(bright), len(crystal.tables)))
    means[:, 0], means[:, 1] = _BEAM, _DIFFUSE
    means[:, 2:] = (1 - _BEAM - _DIFFUSE) * bright / usual
    drawn = rng.poisson(counts * means)
    position, source = np.divmod(np.repeat(np.arange(drawn.size), drawn.ravel()), drawn.shape[1])
    return position, crystal.tables[source, rng.integers(_TABLE, size=len(source))]
