"""
Power spectra of an image that is a Dask array: strips of windows, each from the rows of the image that it needs.

The median by which the logarithm scales is that of all values, found exactly by counting them twice: how many there are
of each upper half of their bits, and of each lower half beside that of the median; floats that are not negative order
as their bits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.control import num_threads
from emcore.methods.power_spectra.settings import Scale, Settings

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
    strips, scale = Strips(image, settings), settings.scale
    if scale == "log":
        offset = strips.median()
        # Where the offset is zero, all powers are.
        return strips.spectra(("log-over", offset) if offset > 0 else "power"), offset
    return strips.spectra(scale), 1.0 if isinstance(scale, str) else scale[1]


class Strips:
    """
    The strips of an image, and what is computed from each.

    Parameters
    ----------
    image : Dask array, shape (height, width)
    settings : Settings
        Their scale is not used.
    """

    def __init__(self, image: Any, settings: Settings) -> None:
        from dask import delayed

        self.settings = settings
        window, step = settings.window, settings.step
        ny, nx, nky, nkx = _emcore.spectra_shape(image.shape, settings)
        self.values = (nx, nkx) if settings.reduce == "radial" else (nx, nky, nkx)
        rows = max(1, BYTES // (4 * int(np.prod(self.values))))
        self.rows = [min(rows, ny - i) for i in range(0, ny, rows)]
        starts = np.cumsum([0, *self.rows[:-1]]) * step
        parts = [image[y : y + (n - 1) * step + window] for y, n in zip(starts, self.rows, strict=True)]
        self.parts = [part.rechunk(part.shape).to_delayed().item() for part in parts]
        self._delayed = delayed

    def spectra(self, scale: Scale) -> Any:
        """A Dask array of the spectra."""
        import dask.array as da

        work = self._delayed(_spectra, pure=True)
        blocks = [
            da.from_delayed(work(part, self.settings._replace(scale=scale)), (n, *self.values), np.float32)
            for part, n in zip(self.parts, self.rows, strict=True)
        ]
        return da.concatenate(blocks)

    def median(self) -> float:
        """Of all powers; of those above zero, if more than half are zero; 0 if all are."""
        upper = self._counts(None)
        total = int(upper.sum())
        zeros = int(upper[0]) if upper[0] > total // 2 else 0
        if zeros == total:
            return 0.0
        ranks = [zeros + (total - zeros - 1) // 2, zeros + (total - zeros) // 2]
        found, lower = [], {}
        for rank in ranks:
            high = int(np.searchsorted(np.cumsum(upper), rank, side="right"))
            if high not in lower:
                lower[high] = self._counts(high)
            rest = rank - int(upper[:high].sum())
            low = int(np.searchsorted(np.cumsum(lower[high]), rest, side="right"))
            found.append(float(np.array([high << 16 | low], np.uint32).view(np.float32)[0]))
        return sum(found) / 2

    def _counts(self, upper: int | None) -> NDArray[np.int64]:
        import dask

        work = self._delayed(_counted, pure=True)
        found = dask.compute(*(work(part, self.settings._replace(scale="power"), upper) for part in self.parts))
        return np.asarray(np.sum(found, axis=0, dtype=np.int64))


def _spectra(part: NDArray[Any], settings: Settings) -> NDArray[np.float32]:
    """Of one strip, with one thread."""
    from emcore.core.validation import as_image

    pixels = as_image(part)
    ny, nx, nky, nkx = _emcore.spectra_shape(pixels.shape, settings)
    spectra = np.empty((ny, nx, nkx) if settings.reduce == "radial" else (ny, nx, nky, nkx), np.float32)
    with num_threads(1):
        _emcore.power_spectra(pixels, settings, spectra.reshape(-1))
    return spectra


def _counted(part: NDArray[Any], settings: Settings, upper: int | None) -> NDArray[np.int64]:
    """How many values there are of each upper half of the bits; or of each lower half beside this upper one."""
    bits = _spectra(part, settings).view(np.uint32).reshape(-1)
    if upper is None:
        return np.bincount(bits >> 16, minlength=1 << 15)
    return np.bincount(bits[bits >> 16 == upper] & 0xFFFF, minlength=1 << 16)
