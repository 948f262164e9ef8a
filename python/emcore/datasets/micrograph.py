"""Micrographs of crystalline regions: a lattice in each, curved borders, noise.

Directions here and in every result: that of a set of fringes is the direction of its reciprocal-space peak (across the
fringes, not along them), in degrees counter-clockwise from +x with y pointing up as the picture is seen, in [0, 180).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from emcore.core.validation import as_numbers, check_result, check_shape, is_finite


@dataclass(frozen=True)
class LabelledImage:
    """A synthetic micrograph with its truth.

    Attributes
    ----------
    image : ndarray, shape (H, W)
    labels : ndarray, shape (H, W), int32
        Region of every pixel, 0 to k - 1.
    spacing : ndarray, shape (k,), float64
        Period of each region's strongest fringes, in pixels.
    direction : ndarray, shape (k,), float64
        Direction of each region's strongest reciprocal peak, in degrees in [0, 180),
        counter-clockwise from +x, y up.
    """

    image: NDArray[Any]
    labels: NDArray[np.int32]
    spacing: NDArray[np.float64]
    direction: NDArray[np.float64]


def lattice_micrograph(
    shape: tuple[int, int] = (1370, 1662),
    spacings: Sequence[float] = (7.0, 9.0, 12.0),
    directions: Sequence[float] = (15.0, 70.0, 130.0),
    noise: float = 1.0,
    gradient: float = 0.0,
    dtype: DTypeLike = np.float32,
    seed: int = 0,
) -> LabelledImage:
    """A micrograph of crystalline regions with curved borders, one lattice in each, under white
    noise.

    A lattice is a dominant set of fringes of amplitude 1 and, turned by 75 degrees, a second
    one of half the amplitude and 0.9 times the spacing, so that its strongest reciprocal peak
    is unambiguous.

    Parameters
    ----------
    shape : (int, int), default (1370, 1662)
        Height and width in pixels.
    spacings : sequence of k floats, default (7, 9, 12)
        Period of each region's dominant fringes in pixels, above 2.
    directions : sequence of k floats, default (15, 70, 130)
        Direction of each region's dominant reciprocal peak, degrees counter-clockwise from +x
        with y up.
    noise : float, default 1.0
        Standard deviation of the noise, in units of the fringe amplitude.
    gradient : float, default 0.0
        Rise of a linear background from the lower left corner to the upper right one, in units
        of the amplitude.
    dtype : dtype, default float32
        Floating types hold the values as they are; integer types hold them stretched over nine
        tenths of their range.
    seed : int, default 0

    Returns
    -------
    LabelledImage

    Raises
    ------
    ValueError
        If a size, spacing or amplitude is out of range, or spacings and directions differ in
        number.
    TypeError
        If `dtype` is neither a real floating nor an integer type.

    Examples
    --------
    >>> from emcore.datasets import lattice_micrograph
    >>> sample = lattice_micrograph(shape=(256, 320), dtype="uint8")
    >>> sample.image.shape, sample.image.dtype, sample.spacing
    ((256, 320), dtype('uint8'), array([ 7.,  9., 12.]))
    """
    height, width = check_shape(shape, "shape")
    period = as_numbers(spacings, "spacings")
    angle = as_numbers(directions, "directions") % 180.0
    kind = np.dtype(dtype)
    if period.ndim != 1 or len(period) == 0 or period.shape != angle.shape:
        raise ValueError(f"spacings and directions must be of one length, found {period.shape} and {angle.shape}")
    if not (np.isfinite(period).all() and (period > 2).all()):
        raise ValueError(f"spacings must be above 2 px, or the fringes are aliased; found {list(spacings)}")
    if not np.isfinite(angle).all():
        raise ValueError(f"directions must be finite, found {list(directions)}")
    if not (is_finite(noise) and noise >= 0 and is_finite(gradient)):
        raise ValueError(f"noise must be finite and not negative, gradient finite; found {noise} and {gradient}")
    if kind.kind not in "fiu":
        raise TypeError(f"dtype must be a real floating or integer type, found {kind}")

    labels = curved_regions(height, width, len(period))
    y, x = np.ogrid[:height, :width]
    values = np.random.default_rng(seed).standard_normal((height, width), dtype=np.float32)
    values *= noise
    for rotation, shrink, amplitude in ((0.0, 1.0, 1.0), (75.0, 0.9, 0.5)):
        frequency = 2 * math.pi / (shrink * period)
        theta = np.radians(angle + rotation)
        # Rows count downwards, directions upwards: hence the sign of y.
        along_x = (frequency * np.cos(theta))[labels]
        along_x *= x
        along_y = (-frequency * np.sin(theta))[labels]
        along_y *= y
        values += (amplitude * np.cos(along_x + along_y)).astype(np.float32)
    if gradient:
        rise = (x / max(width - 1, 1) + (1 - y / max(height - 1, 1))) / 2
        values += (gradient * rise).astype(np.float32)
    return LabelledImage(_stretched(values, kind), labels, period, angle)


def curved_regions(height: int, width: int, k: int) -> NDArray[np.int32]:
    """Nearest of k evenly scattered sites, in coordinates that are bent so that no border is straight."""
    side = math.sqrt(height * width)
    y, x = np.mgrid[:height, :width] / side
    bent_y = y + 0.05 * np.sin(2 * math.pi * 1.3 * x + 0.4) + 0.02 * np.sin(2 * math.pi * 3.1 * x)
    bent_x = x + 0.05 * np.sin(2 * math.pi * 1.1 * y + 1.1) + 0.02 * np.sin(2 * math.pi * 2.7 * y)
    # Roberts' R2 sequence: additive recurrence with the plastic number.
    index = np.arange(1, k + 1)
    sites = (0.5 + index[:, None] * np.array([0.7548776662466927, 0.5698402909980532])) % 1.0
    distance = np.stack([(bent_y - sy * height / side) ** 2 + (bent_x - sx * width / side) ** 2 for sx, sy in sites])
    labels: NDArray[np.int32] = np.argmin(distance, axis=0).astype(np.int32)
    return labels


def _stretched(values: NDArray[np.float32], kind: np.dtype[Any]) -> NDArray[Any]:
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            stretched = values.astype(kind)
        check_result(stretched, "noise and gradient")
        return stretched
    info = np.iinfo(kind)
    low, high = float(values.min()), float(values.max())
    span = float(info.max) - float(info.min)
    unit = (values.astype(np.float64) - low) / max(high - low, np.finfo(np.float64).tiny)
    return np.rint(info.min + span * (0.05 + 0.9 * unit)).astype(kind)
