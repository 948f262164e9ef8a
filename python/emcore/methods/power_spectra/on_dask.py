"""
Power spectra of an image that is a Dask array: strips of windows, each from the rows of the image that it needs.

The median by which the logarithm scales is that of all values, found exactly by counting them twice: how many there are
of each upper half of their bits, and of each lower half beside that of the median; floats that are not negative order
as their bits.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.control import num_threads
from emcore.core.validation import as_pixels
from emcore.methods.power_spectra.settings import Settings

BYTES = 1 << 26
"""About how much a strip of spectra takes."""


def range_of_lazy(image: Any) -> tuple[float, float]:
    """The smallest and largest value of a 2-D Dask array of finite real numbers."""
    import dask

    if image.dtype.kind not in "biuf":
        raise TypeError(f"image holds the type {image.dtype}; an array of real numbers is needed")
    if image.ndim != 2:
        raise ValueError(f"image has shape {image.shape} ({image.ndim}-D); a 2-D array is needed")
    if 0 in image.shape:
        raise ValueError(f"image is empty, shape {image.shape}; at least one value is needed")
    low, high = (float(value) for value in dask.compute(image.min(), image.max()))
    if not np.isfinite([low, high]).all():
        raise ValueError("Input image contains NaN or infinity; replace or crop such values first")
    return low, high


def spectra_of_lazy(image: Any, settings: Settings) -> tuple[Any, float]:
    """Spectra of all windows as a Dask array, and the offset of the logarithm."""
    scale = settings.scale
    if scale == "log":
        offset = _median(_spectra(image, settings._replace(scale="power")))
        # Where the offset is zero, all powers are.
        return _spectra(image, settings._replace(scale=("log-over", offset) if offset > 0 else "power")), offset
    return _spectra(image, settings), 1.0 if isinstance(scale, str) else scale[1]


def _spectra(image: Any, settings: Settings) -> Any:
    """Of all windows, in strips of so many rows of windows that each takes about `BYTES`."""
    import dask.array as da
    from dask import delayed

    ny, *values = _shape(image.shape, settings)
    rows = max(1, BYTES // (4 * prod(values)))
    strips = []
    for first in range(0, ny, rows):
        n = min(rows, ny - first)
        lines = image[first * settings.step : (first + n - 1) * settings.step + settings.window]
        spectra = delayed(_of_strip, pure=True)(lines, settings)
        strips.append(da.from_delayed(spectra, (n, *values), np.float32))
    return da.concatenate(strips)


def _shape(shape: tuple[int, int], settings: Settings) -> list[int]:
    ny, nx, nky, nkx = _emcore.spectra_shape(shape, settings)
    return [ny, nx, nkx] if settings.reduce == "radial" else [ny, nx, nky, nkx]


def _of_strip(lines: NDArray[Any], settings: Settings) -> NDArray[np.float32]:
    """With one thread."""
    pixels = as_pixels(lines, "image", 2)
    spectra = np.empty(_shape(pixels.shape, settings), np.float32)
    with num_threads(1):
        _emcore.power_spectra(pixels, settings, spectra.reshape(-1))
    return spectra


def _median(powers: Any) -> float:
    """Of all powers; of those above zero, if more than half are zero; 0 if all are."""
    import dask.array as da

    bits = powers.reshape(-1).view(np.uint32)
    upper = da.bincount(bits >> 16, minlength=1 << 15).compute()
    total, zeros = int(upper.sum()), int(upper[0]) if 2 * upper[0] > upper.sum() else 0
    if zeros == total:
        return 0.0
    ranks = [zeros + (total - zeros - 1) // 2, zeros + (total - zeros) // 2]
    highs = np.searchsorted(np.cumsum(upper), ranks, side="right").tolist()
    lower = {high: da.bincount(bits[bits >> 16 == high] & 0xFFFF, minlength=1 << 16).compute() for high in set(highs)}
    middle = np.empty(2, np.uint32)
    for i, (rank, high) in enumerate(zip(ranks, highs, strict=True)):
        low = np.searchsorted(np.cumsum(lower[high]), rank - upper[:high].sum(), side="right")
        middle[i] = high << 16 | int(low)
    return float(middle.view(np.float32).mean(dtype=np.float64))
