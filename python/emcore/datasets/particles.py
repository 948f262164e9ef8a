"""An image of particles of known shapes, and a spectrum image of the same region, with their truth."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, check_count, check_number, check_shape
from emcore.datasets.eds import eds_spectrum

SHAPES = ("disc", "square", "triangle", "rod")
"""Kinds of particle, by their number."""
_ROD = 2.6
# Points across a pixel that are looked at; blur of the image in pixels; room around a particle in pixels.
_FINE, _BLUR, _ROOM = 5, 1.0, 4.0
_STEP = 2.0
_SUPPORT, _MATERIALS = {"C": 1.0}, ({"Cu": 1.0, "O": 1.0}, {"Pt": 1.0, "C": 1.0})


@dataclass(frozen=True, eq=False)
class LabelledParticles:
    """Synthetic particles with their truth.

    Attributes
    ----------
    image : Signal, shape (y, x), float32
    spectrum_image : Signal, shape (y, x, channels), uint8, or None
    labels : ndarray, shape (y, x), int32
        Particle of every pixel that is at least half in one; -1 elsewhere.
    kind : ndarray, shape (n,), int32
        Shape of each particle, see `SHAPES`.
    area : ndarray, shape (n,), float64
        In nm^2, as they were drawn.
    material : ndarray, shape (n,), int32
        0: CuO, 1: Pt on carbon.
    """

    image: Signal
    spectrum_image: Signal | None
    labels: NDArray[np.int32]
    kind: NDArray[np.int32]
    area: Floats
    material: NDArray[np.int32]


class _Particle(NamedTuple):
    y: float
    x: float
    reach: float
    turned: float
    kind: int
    size: float


def shaped_particles(
    shape: tuple[int, int] = (512, 640),
    n_particles: int = 120,
    noise: float = 0.06,
    channels: int = 0,
    counts: float = 20.0,
    seed: int = 0,
) -> LabelledParticles:
    """Discs, squares, triangles and rods of random size, place and rotation, some touching the
    border of the image.

    Parameters
    ----------
    shape : (int, int), default (512, 640)
        Pixels along y and x, of 2 nm.
    n_particles : int, default 120
        Fewer, where there is no more room.
    noise : float, default 0.06
        Standard deviation of the detector's noise; particles are 0.6 to 1.4 above the
        background.
    channels : int, default 0
        Of the spectrum image, from 0 to 12 keV; none with 0.
    counts : float, default 20
        Mean X-rays in a pixel of a particle; a fifth of it beside them.
    seed : int, default 0

    Returns
    -------
    LabelledParticles

    Raises
    ------
    ValueError
        If a size or number is out of range.

    Examples
    --------
    >>> from emcore.datasets import shaped_particles
    >>> sample = shaped_particles((128, 160), n_particles=8, channels=100)
    >>> sample.image.axis("x").units, sample.spectrum_image.shape, len(sample.area)
    ('nm', (128, 160, 100), 8)
    """
    shape = height, width = check_shape(shape, "shape", 64)
    n_particles = check_count(n_particles, "n_particles", 1, height * width, "the pixels")
    channels = check_count(channels, "channels", 20) if channels else 0
    check_number(noise, "noise", 0, 1e30)
    if not 0 < counts < 100:
        raise ValueError(f"counts must be above 0 and below 100, found {counts}")
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    placed = _placed(shape, n_particles, rng)
    labels = np.full(shape, -1, dtype=np.int32)
    image = np.zeros(shape)
    bright = rng.uniform(0.6, 1.4, len(placed))
    area = np.zeros(len(placed))
    for index, particle in enumerate(placed):
        window, covered = _covered(particle, shape)
        image[window] += bright[index] * covered
        labels[window][covered >= 0.5] = index
        area[index] = covered.sum() * _STEP**2
    slope = 0.1 * np.linspace(0, 1, width)
    image = ndimage.gaussian_filter(image, _BLUR) + slope + noise * rng.standard_normal(shape)
    material = rng.integers(0, len(_MATERIALS), len(placed)).astype(np.int32)
    axes = (Axis("y", height, _STEP, 0.0, "nm"), Axis("x", width, _STEP, 0.0, "nm"))
    spectra = _spectra(labels, material, channels, counts, axes, rng) if channels else None
    kind = np.array([particle.kind for particle in placed], dtype=np.int32)
    return LabelledParticles(Signal(image.astype(np.float32), axes), spectra, labels, kind, area, material)


def _placed(shape: tuple[int, int], count: int, rng: np.random.Generator) -> list[_Particle]:
    """Particles whose surrounding circles leave room between them; what lies beyond the border is cut."""
    placed: list[_Particle] = []
    for _ in range(200 * count):
        if len(placed) == count:
            break
        kind, size = int(rng.integers(len(SHAPES))), float(rng.uniform(9, 15))
        reach = size * (1.0, math.sqrt(math.pi / 2), 2 * math.sqrt(math.pi / math.sqrt(27)), 0.0)[kind]
        if kind == 3:
            reach = 0.5 * math.sqrt(math.pi * size**2 / _ROD) * math.hypot(1, _ROD)
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        near = (y, x, shape[0] - y, shape[1] - x)
        if min(near) < 0.6 * reach:  # most of a particle is in the image
            continue
        if all(math.hypot(y - p.y, x - p.x) > reach + p.reach + _ROOM for p in placed):
            placed.append(_Particle(y, x, reach, float(rng.uniform(0, 2 * math.pi)), kind, size))
    return placed


def _covered(particle: _Particle, shape: tuple[int, int]) -> tuple[tuple[slice, slice], Floats]:
    """Which part of every pixel around a particle it covers, and which pixels these are."""
    starts = [max(math.floor(at - particle.reach) - 1, 0) for at in (particle.y, particle.x)]
    stops = [
        min(math.ceil(at + particle.reach) + 2, size) for at, size in zip((particle.y, particle.x), shape, strict=True)
    ]
    fine = (np.arange(_FINE) + 0.5) / _FINE - 0.5
    y, x = (
        (np.arange(start, stop)[:, None] + fine).ravel() - at
        for start, stop, at in zip(starts, stops, (particle.y, particle.x), strict=True)
    )
    cosine, sine = math.cos(particle.turned), math.sin(particle.turned)
    u = cosine * x + sine * y[:, None]
    v = -sine * x + cosine * y[:, None]
    size = particle.size  # radius of the disc of the same area
    if particle.kind == 0:
        inside = np.hypot(u, v) < size
    elif particle.kind == 1:
        inside = np.maximum(abs(u), abs(v)) < size * math.sqrt(math.pi) / 2
    elif particle.kind == 2:
        apothem = size * math.sqrt(math.pi / math.sqrt(27))
        inside = (v > -apothem) & (0.5 * math.sqrt(3) * abs(u) + 0.5 * v < apothem)
    else:
        half = 0.5 * math.sqrt(math.pi * size**2 / _ROD)
        inside = (abs(v) < half) & (abs(u) < half * _ROD)
    rows, columns = (stop - start for start, stop in zip(starts, stops, strict=True))
    covered: Floats = inside.reshape(rows, _FINE, columns, _FINE).mean(axis=(1, 3))
    return (slice(starts[0], stops[0]), slice(starts[1], stops[1])), covered


def _spectra(
    labels: NDArray[np.int32],
    material: NDArray[np.int32],
    channels: int,
    counts: float,
    axes: tuple[Axis, Axis],
    rng: np.random.Generator,
) -> Signal:
    energy = 12.0 / channels * (np.arange(channels) + 0.5)
    expected = [eds_spectrum(each, energy) for each in (_SUPPORT, *_MATERIALS)]
    support, *materials = (each / each.sum() for each in expected)
    data = np.empty((*labels.shape, channels), dtype=np.uint8)
    for y, line in enumerate(labels):
        means = np.tile(0.2 * counts * support, (len(line), 1))
        inside = line >= 0
        means[inside] += counts * np.stack(materials)[material[line[inside]]]
        data[y] = np.minimum(rng.poisson(means), 255)
    y_axis, x_axis = (Axis(axis.name, axis.size, axis.scale, axis.offset, axis.units, True) for axis in axes)
    along = Axis("energy", channels, 12.0 / channels, 6.0 / channels, "keV")
    return Signal(data, (y_axis, x_axis, along), title="EDS", flagged=True)
