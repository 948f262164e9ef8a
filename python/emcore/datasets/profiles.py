"""Profiles at positions whose groups are known, and positions among them that belong to none.

Images of a partly recrystallised metal while it is turned, as channelling contrast shows it, and low-loss spectra of
phases with plasmons of their own.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, check_count, check_shape
from emcore.datasets.grains import voronoi_cells

# Bands of a crystal that become bright or dark as it turns, their width in degrees, and how dark they make it.
_BANDS, _WIDTH, _DEPTH = 8, 9.0, 0.35
# Plasmon energies and widths of the phases in eV, the width of the peak at zero, and its share of thin places.
_PLASMONS, _WIDTHS = (15.0, 16.2, 17.6, 19.6, 22.5), (3.0, 3.4, 3.8, 4.4, 5.0)
_ZERO_WIDTH, _ZERO = 0.5, 0.25


@dataclass(frozen=True, eq=False)
class LabelledSeries:
    """A synthetic series of images with its truth.

    Attributes
    ----------
    stack : Signal, shape (images, y, x), float32
        Intensity, 1 where no band is excited.
    labels : ndarray, shape (y, x), int32
        Grain of every position; -1 where the metal is deformed.
    shifts : ndarray, shape (images, 2), float64
        By how many pixels along y and x each image lies off the first.
    """

    stack: Signal
    labels: NDArray[np.int32]
    shifts: Floats


@dataclass(frozen=True, eq=False)
class LabelledLosses:
    """Synthetic low-loss spectra with their truth.

    Attributes
    ----------
    signal : Signal, shape (y, x, channels), uint16
        Counts, the energy loss in eV.
    labels : ndarray, shape (y, x), int32
        Phase of every position; -1 where the composition changes from one position to the next.
    plasmon : ndarray, shape (y, x), float64
        Energy of the plasmon of the phase in eV, NaN where there is none.
    """

    signal: Signal
    labels: NDArray[np.int32]
    plasmon: Floats


def deformed_series(
    shape: tuple[int, int] = (96, 128),
    n_angles: int = 45,
    n_grains: int = 24,
    deformed: float = 0.3,
    noise: float = 0.04,
    drift: float = 0.0,
    seed: int = 0,
) -> LabelledSeries:
    """Images of a metal that is turned by 180 degrees in steps, partly recrystallised, the rest
    deformed.

    A crystal is darker at the angles at which one of its bands is excited. Every grain has
    bands of its own; where the metal is deformed they move from position to position,
    correlated over a few.

    Parameters
    ----------
    shape : (int, int), default (96, 128)
        Positions along y and x, 50 nm apart.
    n_angles : int, default 45
    n_grains : int, default 24
        Cells of which the grains are what is not deformed.
    deformed : float, default 0.3
        Share of the positions, up to 0.9.
    noise : float, default 0.04
        Standard deviation of the detector's noise.
    drift : float, default 0
        Standard deviation, in pixels, by which an image moves against the one before it.
    seed : int, default 0

    Returns
    -------
    LabelledSeries

    Raises
    ------
    ValueError
        If a size, share or number is out of range.

    Examples
    --------
    >>> from emcore.datasets import deformed_series
    >>> sample = deformed_series(shape=(24, 32), n_grains=5)
    >>> sample.stack.shape, round(float((sample.labels < 0).mean()), 2)
    ((45, 24, 32), 0.3)
    """
    shape = height, width = check_shape(shape, "shape", 4)
    n_angles = check_count(n_angles, "n_angles", 3)
    n_grains = check_count(n_grains, "n_grains", 1, height * width, "the positions")
    if not (0 <= deformed <= 0.9 and 0 <= noise < 1e30 and 0 <= drift < 1e3):
        found = f"found {deformed}, {noise} and {drift}"
        raise ValueError(f"deformed must be between 0 and 0.9, noise and drift not negative or enormous, {found}")
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    steps = np.cumsum(np.concatenate([[[0.0, 0.0]], drift * rng.standard_normal((n_angles - 1, 2))]), axis=0)
    margin = math.ceil(np.abs(steps).max()) + 1 if drift else 0
    whole = height + 2 * margin, width + 2 * margin
    labels = voronoi_cells(whole, n_grains, rng)
    labels[_patch(whole, deformed, rng)] = -1
    angles: Floats = 180.0 / n_angles * np.arange(n_angles, dtype=np.float64)
    at, depth = rng.uniform(0, 180, (n_grains, _BANDS)), rng.uniform(0.2, 1, (n_grains, _BANDS))
    grains = _channelling(angles, at, depth)
    bent = labels < 0
    fields = np.stack([_smooth(whole, 2.5, rng)[bent] for _ in range(2 * _BANDS)], axis=1)
    bands, depths = fields[:, :_BANDS], fields[:, _BANDS:]
    lost = _channelling(angles, (90 + 90 * bands) % 180, np.clip(0.6 + 0.25 * depths, 0.1, 1.1))
    values = np.empty((*whole, n_angles), dtype=np.float32)
    values[~bent], values[bent] = grains[labels[~bent]], lost
    inside = slice(margin, margin + height), slice(margin, margin + width)
    stack = np.empty((n_angles, height, width), dtype=np.float32)
    for i, step in enumerate(steps):
        image = values[..., i]
        stack[i] = (ndimage.shift(image, step, order=1, mode="nearest") if drift else image)[inside]
    stack += (noise * rng.standard_normal(stack.shape)).astype(np.float32)
    axes = (
        Axis("angle", n_angles, 180.0 / n_angles, 0.0, "°", True),
        Axis("y", height, 50.0, 0.0, "nm"),
        Axis("x", width, 50.0, 0.0, "nm"),
    )
    return LabelledSeries(Signal(stack, axes, title="intensity", flagged=True), labels[inside].copy(), steps)


def plasmon_spectra(
    shape: tuple[int, int] = (64, 80),
    channels: int = 300,
    graded: float = 0.15,
    counts: float = 20_000,
    seed: int = 0,
) -> LabelledLosses:
    """Low-loss spectra of five phases of varying thickness, and of a region that is graded in
    composition.

    Every spectrum is the peak at zero loss and one plasmon, a Drude peak with the energy and
    the width of its phase, more of it where the specimen is thicker. The phases have plasmons
    of 15.0, 16.2, 17.6, 19.6 and 22.5 eV. The graded region has two, whose energies and shares
    change from position to position.

    Parameters
    ----------
    shape : (int, int), default (64, 80)
        Positions along y and x, 2 nm apart.
    channels : int, default 300
        0.2 eV apart, from -5 eV on.
    graded : float, default 0.15
        Share of the positions that are of no phase, up to 0.9.
    counts : float, default 20,000
        Mean electrons in a spectrum.
    seed : int, default 0

    Returns
    -------
    LabelledLosses

    Raises
    ------
    ValueError
        If a size, share or number is out of range.

    Examples
    --------
    >>> from emcore.datasets import plasmon_spectra
    >>> sample = plasmon_spectra(shape=(12, 16))
    >>> sample.signal.shape, sample.signal.axis("energy").units
    ((12, 16, 300), 'eV')
    """
    shape, channels = check_shape(shape, "shape", 4), check_count(channels, "channels", 200)
    if not (0 <= graded <= 0.9 and 0 < counts < 1e9):
        raise ValueError(f"graded must be between 0 and 0.9, counts above 0 and below 1e9, found {graded} and {counts}")
    rng = np.random.default_rng(seed)
    labels = voronoi_cells(shape, 3 * len(_PLASMONS), rng) % len(_PLASMONS)
    mixed = _patch(shape, graded, rng)
    labels[mixed] = -1
    plasmon, width = np.array(_PLASMONS)[labels], np.array(_WIDTHS)[labels]
    thickness = 0.6 * np.exp(0.25 * _smooth(shape, 6, rng))
    loss: Floats = 0.2 * np.arange(channels, dtype=np.float64) - 5
    zero = _ZERO * np.exp(-0.5 * (loss / _ZERO_WIDTH) ** 2) * 0.2 / (_ZERO_WIDTH * math.sqrt(2 * math.pi))
    peak = _drude(loss, plasmon, width)
    below, above, share = (_smooth(shape, 1.2, rng)[mixed] for _ in range(3))
    part = np.clip(0.5 + 0.2 * share, 0.1, 0.9)[:, None]
    peak[mixed] = part * _drude(loss, 15 + 3 * below, np.full(len(below), 4.0))
    peak[mixed] += (1 - part) * _drude(loss, 24 + 3 * above, np.full(len(above), 4.0))
    expected = zero + thickness[..., None] * peak
    expected *= counts / expected.sum(axis=-1).mean()
    observed = np.minimum(rng.poisson(expected), np.iinfo(np.uint16).max).astype(np.uint16)
    axes = (
        Axis("y", shape[0], 2.0, 0.0, "nm", True),
        Axis("x", shape[1], 2.0, 0.0, "nm", True),
        Axis("energy", channels, 0.2, -5.0, "eV"),
    )
    return LabelledLosses(
        Signal(observed, axes, title="counts", flagged=True), labels, np.where(mixed, np.nan, plasmon)
    )


def _drude(loss: Floats, plasmon: Floats, width: Floats) -> Floats:
    """Plasmon peaks of unit sum over the energy losses, shape (..., channels)."""
    above, top, wide = np.maximum(loss, 0), plasmon[..., None], width[..., None]
    peak: Floats = above * wide * top**2 / ((above**2 - top**2) ** 2 + (above * wide) ** 2)
    peak /= peak.sum(axis=-1, keepdims=True)
    return peak


def _channelling(angles: Floats, at: Floats, depth: Floats) -> Floats:
    """Intensity over the angles, of crystals with bands at some angles, each so deep."""
    intensity: Floats = np.ones((len(at), len(angles)))
    for band in range(at.shape[1]):
        away = (angles - at[:, band, None] + 90) % 180 - 90
        intensity -= _DEPTH * depth[:, band, None] * np.exp(-0.5 * (away / _WIDTH) ** 2)
    return intensity


def _smooth(shape: tuple[int, int], reach: float, rng: np.random.Generator) -> Floats:
    """A random field of deviation 1, correlated over so many positions."""
    from scipy import ndimage

    field: Floats = ndimage.gaussian_filter(rng.standard_normal(shape), reach, mode="wrap")
    field /= field.std()
    return field


def _patch(shape: tuple[int, int], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Patches that take a share of the positions."""
    field = _smooth(shape, shape[0] / 10, rng)
    return field > np.quantile(field, 1 - share) if share else np.zeros(shape, dtype=bool)
