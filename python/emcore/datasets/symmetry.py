"""Atomic-resolution images whose parts differ in symmetry or orientation, and series in which their border moves.

Atomic columns are round (Gaussian) and 1 high, on lattices that are cut off where the next grain begins. Angles count
counter-clockwise from +x with y up, as everywhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import check_number, check_shape, is_finite
from emcore.datasets.micrograph import LabelledImage, curved_regions

KINDS = ("hexagonal", "square", "none")
# Standard deviation of a column, and how far it is drawn, in units of the period and of that.
_WIDTH, _REACH = 0.22, 3.5
# How far the border of a series bends, in units of the width, and how often along the height.
_BEND, _WAVES = 0.03, 1.5


@dataclass(frozen=True)
class LabelledFrames:
    """A synthetic series of images with its truth.

    Attributes
    ----------
    frames : ndarray, shape (T, H, W), float32
    labels : ndarray, shape (T, H, W), int32
        Grain of every pixel of every frame, 0 or 1.
    """

    frames: NDArray[np.float32]
    labels: NDArray[np.int32]


def crystal_grains(
    shape: tuple[int, int] = (384, 384),
    kinds: Sequence[str] = ("hexagonal", "hexagonal"),
    turns: Sequence[float] = (0.0, 22.0),
    period: float = 12.0,
    noise: float = 0.5,
    seed: int = 0,
) -> LabelledImage:
    """An image of crystal grains with curved borders, under white noise.

    Parameters
    ----------
    shape : (int, int), default (384, 384)
        Height and width in pixels.
    kinds : sequence of k of {"hexagonal", "square", "none"}, default two hexagonal
        Lattice of each grain; "none" leaves it to noise.
    turns : sequence of k floats, default (0, 22)
        Direction of a row of neighbouring columns in each grain, in degrees.
    period : float, default 12
        Distance of neighbouring columns in pixels, above 4.
    noise : float, default 0.5
        Standard deviation of the noise, in units of the height of a column.
    seed : int, default 0
        Of the noise and of where the columns lie.

    Returns
    -------
    LabelledImage
        Spacing and direction of one of the equally strong reciprocal peaks of each grain; NaN
        where it has none.

    Raises
    ------
    ValueError
        If a size, the noise or the period is out of range, a kind is not known, or kinds and
        turns differ in number.

    Examples
    --------
    >>> from emcore.datasets import crystal_grains
    >>> sample = crystal_grains((200, 240), ("hexagonal", "square"), (0.0, 10.0))
    >>> sample.image.shape, sample.spacing.round(1), sample.direction
    ((200, 240), array([10.4, 12. ]), array([30., 10.]))
    """
    _check(shape, kinds, turns, period, noise)
    rng = np.random.default_rng(seed)
    labels = curved_regions(*shape, len(kinds))
    sites = [_sites(shape, kind, turn, period, rng) for kind, turn in zip(kinds, turns, strict=True)]
    image = _drawn(sites, labels, period) + noise * rng.standard_normal(shape, dtype=np.float32)
    spacing = {"hexagonal": period * math.sqrt(3) / 2, "square": period, "none": math.nan}
    first = {"hexagonal": 30.0, "square": 0.0, "none": math.nan}
    return LabelledImage(
        image,
        labels,
        np.array([spacing[kind] for kind in kinds]),
        np.array([(turn + first[kind]) % 180.0 for kind, turn in zip(kinds, turns, strict=True)]),
    )


def moving_boundary(
    n_frames: int = 40,
    shape: tuple[int, int] = (256, 320),
    kinds: tuple[str, str] = ("hexagonal", "square"),
    turns: tuple[float, float] = (0.0, 10.0),
    period: float = 12.0,
    noise: float = 0.5,
    start: float = 0.3,
    stop: float = 0.7,
    seed: int = 0,
) -> LabelledFrames:
    """A series of images in which the first of two grains grows into the second, as in an
    experiment in situ.

    Parameters
    ----------
    n_frames : int, default 40
    shape : (int, int), default (256, 320)
        Height and width in pixels.
    kinds, turns, period, noise, seed
        As in `crystal_grains`, of two grains; the noise of every frame is its own.
    start, stop : float, default 0.3 and 0.7
        Where the border is in the first and in the last frame, in units of the width.

    Returns
    -------
    LabelledFrames

    Raises
    ------
    ValueError
        As `crystal_grains`, and where there is no frame or not two grains.

    Examples
    --------
    >>> from emcore.datasets import moving_boundary
    >>> series = moving_boundary(3, shape=(60, 100))
    >>> series.frames.shape, [round(float((labels == 0).mean()), 1) for labels in series.labels]
    ((3, 60, 100), [0.3, 0.5, 0.7])
    """
    _check(shape, kinds, turns, period, noise)
    if n_frames < 1 or len(kinds) != 2:
        raise ValueError(f"a series needs a frame or more and two grains, found {n_frames} and {len(kinds)}")
    if not all(map(is_finite, (start, stop))):
        raise ValueError(f"start and stop must be finite, found {start} and {stop}")
    rng = np.random.default_rng(seed)
    height, width = shape
    sites = [_sites(shape, kind, turn, period, rng) for kind, turn in zip(kinds, turns, strict=True)]
    y, x = np.mgrid[:height, :width]
    bend = _BEND * np.sin(2 * math.pi * _WAVES * y / height)
    frames = np.empty((n_frames, *shape), dtype=np.float32)
    labels = np.empty((n_frames, *shape), dtype=np.int32)
    for i, place in enumerate(np.linspace(start, stop, n_frames)):
        labels[i] = x >= width * (place + bend)
        frames[i] = _drawn(sites, labels[i], period) + noise * rng.standard_normal(shape, dtype=np.float32)
    return LabelledFrames(frames, labels)


def _check(shape: tuple[int, int], kinds: Sequence[str], turns: Sequence[float], period: float, noise: float) -> None:
    check_shape(shape, "shape")
    if len(kinds) == 0 or len(kinds) != len(turns):
        raise ValueError(f"kinds and turns must be of one length, found {len(kinds)} and {len(turns)}")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ValueError(f"kinds must be of {', '.join(KINDS)}, found {unknown[0]!r}")
    if not all(map(is_finite, turns)):
        raise ValueError(f"turns must be finite, found {list(turns)}")
    if not (is_finite(period) and 4 < period < 2**20):
        raise ValueError(
            f"period must be above 4 px, or columns are no larger than a pixel, and below 2^20; found {period}"
        )
    check_number(noise, "noise", 0, 1e30)


def _sites(
    shape: tuple[int, int], kind: str, turn: float, period: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Places (y, x) of the columns of a lattice that covers the image, with a random origin."""
    origin = rng.random(2) * np.asarray(shape)
    if kind == "none":
        return np.empty((0, 2))
    between = math.radians(60.0 if kind == "hexagonal" else 90.0)
    angles = math.radians(turn) + np.array([0.0, between])
    # Rows count downwards, angles upwards.
    vectors = period * np.stack([-np.sin(angles), np.cos(angles)], axis=1)
    most = math.ceil(2 * math.hypot(*shape) / period)
    steps = np.arange(-most, most + 1)
    places = origin + (steps[:, None, None] * vectors[0] + steps[:, None] * vectors[1]).reshape(-1, 2)
    margin = _REACH * _WIDTH * period
    inside = ((places > -margin) & (places < np.asarray(shape) + margin)).all(axis=1)
    sites: NDArray[np.float64] = places[inside]
    return sites


def _drawn(sites: Sequence[NDArray[np.float64]], labels: NDArray[np.int32], period: float) -> NDArray[np.float32]:
    """The columns of every grain that lie in it, or beside it beyond the edge of the image."""
    last = np.asarray(labels.shape) - 1
    own = []
    for grain, places in enumerate(sites):
        nearest = np.clip(np.rint(places).astype(np.intp), 0, last)
        own.append(places[labels[nearest[:, 0], nearest[:, 1]] == grain])
    places = np.concatenate(own)
    reach = math.ceil(_REACH * _WIDTH * period)
    image = np.zeros(np.asarray(labels.shape) + 2 * reach)
    offsets = np.arange(-reach, reach + 1)
    pixels = np.rint(places).astype(np.intp)
    y, x = (pixels[:, i, None] + offsets for i in (0, 1))
    up, across = (np.exp(-0.5 * ((at - places[:, i, None]) / (_WIDTH * period)) ** 2) for i, at in enumerate((y, x)))
    # A column of another row of pixels than the image has is drawn in the margin, or not at all.
    y, x = (np.clip(at + reach, 0, size - 1) for at, size in zip((y, x), image.shape, strict=True))
    np.add.at(image, (y[:, :, None], x[:, None]), up[:, :, None] * across[:, None])
    return image[reach:-reach, reach:-reach].astype(np.float32)
