"""Current-voltage curves on a scan, as conductive atomic force microscopy takes them, of which the kind is known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from emcore.core.validation import check_count, check_number, check_result, check_shape
from emcore.datasets.micrograph import curved_regions


@dataclass(frozen=True)
class LabelledCurves:
    """Synthetic curves on a scan with their truth.

    Attributes
    ----------
    curves : ndarray, shape (y, x, points)
        Current in nA.
    bias : ndarray, shape (points,), float64
        In V.
    labels : ndarray, shape (y, x), int32
        Kind of every curve: 0 ohmic, 1 diode-like, 2 insulating.
    conductance : ndarray, shape (y, x), float64
        Scale of every curve: the slope of an ohmic one in nS.
    """

    curves: NDArray[Any]
    bias: NDArray[np.float64]
    labels: NDArray[np.int32]
    conductance: NDArray[np.float64]


def iv_curves(
    shape: tuple[int, int] = (70, 100),
    points: int = 200,
    spread: float = 0.2,
    noise: float = 0.02,
    dtype: DTypeLike = np.float32,
    seed: int = 0,
) -> LabelledCurves:
    """Ohmic, diode-like and insulating places of a film, each curve with a conductance of its
    own.

    The ohmic ones follow ``I = G V``. The diode-like ones are a diode behind a resistance,
    ``I = 2 G s ln(1 + exp((V - V_on) / s))`` less its value at 0, with a threshold near 0.25 V
    and s = 0.06 V. The insulating ones leak ``I = 0.01 G (V + V^3)``. G scatters about 1 nS,
    and the threshold about its mean.

    Parameters
    ----------
    shape : (int, int), default (70, 100)
        Scan positions along y and x.
    points : int, default 200
        Points of a curve, from -1 V to 1 V.
    spread : float, default 0.2
        Standard deviation of ln G, and of the threshold relative to its mean.
    noise : float, default 0.02
        Standard deviation of the amplifier's noise in nA.
    dtype : dtype, default float32
    seed : int, default 0

    Returns
    -------
    LabelledCurves

    Raises
    ------
    ValueError
        If a size is below 1, or spread or noise are negative, not finite or enormous.

    Examples
    --------
    >>> from emcore.datasets import iv_curves
    >>> sample = iv_curves(shape=(7, 10))
    >>> sample.curves.shape, sample.bias[[0, -1]].tolist()
    ((7, 10, 200), [-1.0, 1.0])
    """
    height, width = check_shape(shape, "shape")
    check_count(points, "points", 2, 2**31 - 1)
    spread, noise = check_number(spread, "spread", 0, 10), check_number(noise, "noise", 0, 1e30)
    rng = np.random.default_rng(seed)
    # Nine patches of three kinds, so that every kind has borders with the others.
    labels = (curved_regions(height, width, 9) % 3).astype(np.int32)
    scale = np.exp(spread * rng.standard_normal(labels.shape))
    threshold = 0.25 * (1 + spread * rng.standard_normal(labels.shape))[..., None]
    bias = np.linspace(-1, 1, points)
    ohmic = np.broadcast_to(bias, (*labels.shape, points))
    diode = 0.12 * (np.logaddexp(0, (bias - threshold) / 0.06) - np.logaddexp(0, -threshold / 0.06))
    leak = np.broadcast_to(0.01 * (bias + bias**3), ohmic.shape)
    current = scale[..., None] * np.choose(labels[..., None], (ohmic, diode, leak))
    current += noise * rng.standard_normal(current.shape)
    with np.errstate(over="ignore"):
        current = current.astype(dtype)
    check_result(current, "spread and noise")
    return LabelledCurves(current, bias, labels, scale)
