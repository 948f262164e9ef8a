"""What is the noise of a spectrum image: that of counts, of a camera, or not known?"""

import math
from dataclasses import astuple, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import count_of, number
from emcore.methods.selection.measured_noise import MeasuredNoise, measure_noise
from emcore.methods.unmixing.cosmic_rays import without_cosmic_rays
from emcore.methods.unmixing.endmembers import MOST
from emcore.outofcore.checkpoint import step
from emcore.results.unmixing import ENERGY
from emcore.scans.spectrum_images import SpectrumImage

# Pairs of neighbouring positions by which noise is measured; more, where fewer than enough of them are filled.
_PAIRS, _FILLED = (64, 1024), 8
# Values that are not whole are a camera's only where so many counts stand behind them.
_CAMERA = 10.0
# A residual so many times the noise is not explained.
_FAR = 2.0


def noise_of(image: SpectrumImage, whole: bool) -> tuple[bool, MeasuredNoise | None]:
    """
    Whether values, of which it is known whether they are whole numbers, are counts; and their noise as measured, where
    it is known and another than that of counts.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.spectrum_images import select
    >>> from emcore.workflows.unmix_noise import noise_of
    >>> counts = np.random.default_rng(0).poisson(np.linspace(5, 300, 400), (9, 9, 400))
    >>> noise_of(select(counts), True)
    (True, None)
    >>> counting, noise = noise_of(select(3 * counts), True)
    >>> counting, round(noise.gain)
    (False, 3)
    """
    values = step(image, "noise", lambda: _measured(image))
    noise = MeasuredNoise(*values) if values else None
    if noise is None:
        return whole, None
    if not noise.steady or (noise.counts if whole else noise.effective < _CAMERA):
        return whole and not noise.no_counts, None
    return False, noise


def _measured(image: SpectrumImage) -> tuple[Any, ...]:
    """The fields of `MeasuredNoise`, or none."""
    for count in _PAIRS:
        pairs = neighbours(image, count)
        places = np.unique(pairs)
        rows = rows_at(image, places)
        # One value throughout is no measurement, zero or another.
        measured = (rows != rows[:, :1]).any(axis=1)
        first, second = (np.searchsorted(places, each) for each in pairs)
        both = measured[first] & measured[second]
        if np.count_nonzero(both) >= _FILLED:
            break
    noise = measure_noise(rows[first[both]], rows[second[both]]) if both.any() else None
    return () if noise is None else astuple(noise)


def rows_at(image: SpectrumImage, places: NDArray[np.intp]) -> NDArray[Any]:
    """Spectra at some positions, wherever the data lie."""
    if image.source is not None:
        return image.source.take(places.tolist())
    data: Any = image.signal.data
    grid = np.transpose(np.unravel_index(places, image.grid))
    rows = [data[tuple(int(i) for i in place)] for place in grid]
    if hasattr(data, "dask"):
        import dask

        rows = list(dask.compute(*rows))
    return np.stack([np.asarray(row)[image.channels] for row in rows])


def neighbours(image: SpectrumImage, count: int) -> NDArray[np.intp]:
    """Positions and their neighbours in a line, of those that are not masked, shape (2, pairs)."""
    places = np.arange(math.prod(image.grid)).reshape(image.grid)
    axis = max(i for i, size in enumerate(image.grid) if size > 1)
    first = np.take(places, np.arange(image.grid[axis] - 1), axis).ravel()
    second = np.take(places, np.arange(1, image.grid[axis]), axis).ravel()
    if image.masked is not None:
        masked = image.masked.ravel()
        both = ~(masked[first] | masked[second])
        first, second = (first[both], second[both]) if both.any() else (first, second)
    some = np.unique(np.linspace(0, len(first) - 1, count).astype(int))
    return np.stack([first[some], second[some]])


def taken_out(image: SpectrumImage, noise: MeasuredNoise | None) -> tuple[SpectrumImage, list[str]]:
    """A spectrum image without cosmic rays, where its noise is that of a camera, and what is to be said of them."""
    if noise is None:
        return image, []
    if image.source is not None or not isinstance(image.signal.data, np.ndarray):
        return image, ["cosmic rays were not looked for: the data are out of core"]
    lines = image.signal.data.reshape(-1, *image.signal.shape[-2:])
    data, count = without_cosmic_rays(lines[..., image.channels], noise.gain, noise.read)
    if not count:
        return image, []
    axes = (*image.signal.axes[:-1], image.energy)
    signal = replace(image.signal, data=data.reshape(*image.grid, -1), axes=axes)
    note = f"{count_of(count, 'cosmic ray')} taken out"
    return replace(image, signal=signal, channels=slice(0, image.energy.size)), [note]


def doubts(n: int, asked: int | str, unit: str, residual: float) -> list[str]:
    """
    Why the number of components is not to be relied on, where it is not.

    Examples
    --------
    >>> from emcore.results.unmixing import NOISE
    >>> doubts(3, "auto", NOISE, 1.02), doubts(3, "auto", NOISE, 9.0)
    ([], ['the residual is 9 times the noise: the components do not explain the data, do not rely on their number'])
    """
    notes = []
    if asked == "auto" and n >= MOST:
        notes.append(f"{n} components are the most that are looked for: do not rely on their number")
    if unit != ENERGY and residual > _FAR:
        said = "the components do not explain the data" + (", do not rely on their number" if asked == "auto" else "")
        notes.append(f"the residual is {number(residual)} times the noise: {said}")
    return notes


def said_of(noise: MeasuredNoise) -> str:
    """The measured noise in words."""
    read = f" and a read noise of {number(noise.read)}" if noise.read else ""
    spread = f"; it spreads over neighbouring channels, of which {noise.bin} were summed" if noise.bin > 1 else ""
    return f"noise as measured: a gain of {number(noise.gain)}{read}, not that of counts{spread}"
