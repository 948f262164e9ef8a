"""Images made ready to be laid over one another: one scale of values, gaps filled, smoothed, sampled anywhere.

How many independent samples an overlap has follows from how far each image is like itself: the variance of a
correlation r of two unrelated images is the sum over all lags of the product of their autocorrelations, divided by the
number of positions (Bartlett, J. R. Stat. Soc. B 8 (1946) 27).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.registration.transforms import apply, grid_of

# Quantiles beyond which values are cut off.
_TAILS = (0.002, 0.998)


@dataclass(frozen=True)
class Picture:
    """
    An image to be registered, of one channel or several.

    Attributes
    ----------
    values : ndarray, shape (c, y, x), float64
        Of mean 0, and deviation 1 over all channels, where measured, 0 elsewhere.
    mask : ndarray, shape (y, x), bool
        Where was measured.
    """

    values: Floats
    mask: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int]:
        """Positions along y and x."""
        return self.mask.shape[0], self.mask.shape[1]


def picture_of(image: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> Picture:
    """
    An image, shape (y, x) or (c, y, x), as a `Picture`: extreme values cut off, mean and deviation taken out.

    Examples
    --------
    >>> import numpy as np
    >>> picture = picture_of(np.array([[1.0, 3.0], [np.nan, 1.0], [3.0, 3.0]]))
    >>> picture.values[0].round(2).tolist(), int(picture.mask.sum())
    ([[-1.22, 0.82], [0.0, -1.22], [0.82, 0.82]], 5)
    """
    values = image.astype(np.float64).reshape(-1, *image.shape[-2:])
    there: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=0))
    if mask is not None:
        there = there & mask
    inside = values[:, there]
    result = np.zeros(values.shape)
    if not inside.size:
        return Picture(result, there)
    if inside.shape[1] > 1000:
        low, high = np.quantile(inside, _TAILS, axis=1)
        inside = np.clip(inside, low[:, None], high[:, None])
    largest = float(np.abs(inside).max())
    inside -= inside.mean(axis=1, keepdims=True)
    deviation = float(np.sqrt((inside**2).sum(axis=0).mean()))
    if deviation > 1e-9 * largest:
        result[:, there] = inside / deviation
    return Picture(result, there)


def smoothed(picture: Picture, sigma: float) -> Picture:
    """The picture smoothed over what was measured."""
    from scipy import ndimage

    if sigma <= 0:
        return picture
    weight = ndimage.gaussian_filter(picture.mask.astype(np.float64), sigma, mode="constant")
    sums = ndimage.gaussian_filter(picture.values, (0, sigma, sigma), mode="constant")
    return picture_of(sums / np.maximum(weight, 0.05), picture.mask)


def reduced(picture: Picture, factor: int) -> Picture:
    """Means of blocks of `factor` x `factor` positions; measured where half of a block is."""
    if factor == 1:
        return picture
    high, wide = (size // factor for size in picture.shape)
    blocks = (high, factor, wide, factor)
    crop = np.s_[..., : high * factor, : wide * factor]
    parts = picture.mask[crop].reshape(blocks).sum(axis=(1, 3))
    sums = picture.values[crop].reshape(-1, *blocks).sum(axis=(2, 4))
    return picture_of(sums / np.maximum(parts, 1), 2 * parts >= factor**2)


def sampled(image: Floats, places: Floats, order: int = 3, prefilter: bool = True) -> Floats:
    """Values of every channel, shape (c, n), at places, shape (n, 2), between positions by splines."""
    from scipy import ndimage

    return np.stack(
        [ndimage.map_coordinates(each, places.T, order=order, mode="nearest", prefilter=prefilter) for each in image]
    )


def inside(places: Floats, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which places, shape (n, 2), are within the image and have a measured position nearest."""
    nearest = np.rint(places)
    within = ((nearest >= 0) & (nearest <= np.array(mask.shape) - 1)).all(axis=1)
    index = np.clip(nearest, 0, np.array(mask.shape) - 1).astype(np.intp)
    return within & mask[index[:, 0], index[:, 1]]


def overlapping(fixed: Picture, moving: Picture, transform: Floats, every: int = 1) -> tuple[Floats, Floats]:
    """The positions of `fixed`, each `every` one, that both have, and where `transform` puts them in `moving`."""
    shape = tuple(-(-size // every) for size in fixed.shape)
    places = every * grid_of(shape)[fixed.mask[::every, ::every].ravel()]
    there = apply(transform, places)
    both = inside(there, moving.mask)
    return places[both], there[both]


def correlation(a: Floats, b: Floats) -> float:
    """Of two sets of values, shape (c, n), the mean of each channel taken out; 0 where one has no differences."""
    a, b = (each - each.mean(axis=1, keepdims=True) for each in (a, b))
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0


def area_alike(a: Picture, b: Picture) -> float:
    """
    Positions for one independent sample, from the autocorrelations of two pictures; channels that differ are samples.

    Examples
    --------
    >>> import numpy as np
    >>> noise = picture_of(np.random.default_rng(0).standard_normal((64, 64)))
    >>> area_alike(noise, noise) < 2 < 10 < area_alike(*[smoothed(noise, 2.0)] * 2)
    True
    """
    lags = min(*a.shape, *b.shape) // 2
    both = float((_autocorrelation(a, lags) * _autocorrelation(b, lags)).sum())
    # As many channels as would have, of equal strength, the same sum of squared strengths.
    strengths = [(each.values**2).sum(axis=(1, 2)) / max(float((each.values**2).sum()), 1e-300) for each in (a, b)]
    return max(both, 1.0) * max(float(strengths[0] @ strengths[1]), 1e-6)


def _autocorrelation(picture: Picture, lags: int) -> Floats:
    """For lags from -`lags` to `lags` along both axes."""
    from scipy import fft

    shape = [fft.next_fast_len(size + lags + 1, real=True) for size in picture.shape]
    power = (np.abs(fft.rfft2(picture.values, shape)) ** 2).sum(axis=0)
    full = fft.irfft2(power, shape)
    near = np.r_[-lags : lags + 1]
    return np.asarray(full[np.ix_(near, near)] / max(full[0, 0], 1e-300))
