"""A spectrum image in bins: few positions and channels, in each of which many counts are."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.methods.unmixing.bins import Bins
from emcore.scans.spectrum_images import SpectrumImage

# Bytes of the data that are read at a time.
_READ = 1 << 23


def in_bins(
    image: SpectrumImage,
    side: int,
    channels: int,
    rows: Any = None,
    grid: tuple[int, ...] | None = None,
    masked: NDArray[np.bool_] | None = None,
) -> Bins:
    """
    A spectrum image, or a block of it, in bins; what is masked is in none. It is read once, some lines at a time.

    Parameters
    ----------
    image : SpectrumImage
        Of one or two scan axes.
    side, channels : int
        Positions along each axis of the scan, and channels, of a bin; the last ones hold what is left.
    rows : ndarray, shape (positions, channels), optional
        Those of a block that was read, or of the whole scan.
    grid : tuple of int, optional
        The shape of this block.
    masked : ndarray of bool, shape (positions,), optional

    Returns
    -------
    Bins

    Examples
    --------
    >>> from emcore.datasets import eds_phases
    >>> from emcore.scans.spectrum_bins import in_bins
    >>> from emcore.scans.spectrum_images import select
    >>> image = select(eds_phases(shape=(9, 12)).signal)
    >>> bins = in_bins(image, 2, 4)
    >>> bins.sums.shape, float(bins.sums.sum()) == float(image.signal.data.sum())
    ((5, 6, 250), True)
    """
    grid = grid or image.grid
    width, d = grid[-1], image.energy.size
    across = -(-width // side)
    lines = 1 if len(grid) == 1 else grid[0]
    sums = np.zeros((-(-lines // side), across, -(-d // channels)), dtype=np.float32)
    hidden = None if masked is None else masked.reshape(lines, width)
    of_lines: Any = np.zeros((across, d), dtype=np.float32)
    for where in _slabs(image, grid, side):
        start, each = where[0].start, math.prod(grid[1:])
        in_memory = isinstance(rows, np.ndarray)
        slab = rows[start * each : where[0].stop * each] if in_memory else image.rows(where)  # type: ignore[arg-type]
        first, slab = (0, slab[None]) if len(grid) == 1 else (start, slab.reshape(-1, width, d))
        left = start if len(grid) == 1 else 0
        for line, values in enumerate(slab, first):
            if hidden is not None:
                hide = hidden[line, left : left + len(values)]
                values = np.where(hide[:, None], 0, values) if hide.any() else values
            into = of_lines[left // side :]
            for offset in range(min(side, len(values))):
                part = values[offset::side]
                into[: len(part)] += part
            if ((line + 1) % side == 0 or line + 1 == lines) and left + len(values) == width:
                sums[line // side] = np.add.reduceat(of_lines, np.arange(0, d, channels), axis=1)
                of_lines[:] = 0
    y, x = np.indices((lines, width)) // side
    return Bins(sums, side, channels, (y * across + x).ravel())


def _slabs(image: SpectrumImage, grid: tuple[int, ...], side: int) -> Iterator[tuple[slice, ...]]:
    """Some lines, or of a single line some positions: whole bins, and what the storage keeps together."""
    data: Any = image.signal.data
    chunks = getattr(data, "chunks", None) or (1,)
    together = max(np.atleast_1d(chunks[0]).tolist())
    line = math.prod(grid[1:]) * image.energy.size * image.signal.dtype.itemsize
    unit = math.lcm(together, side) if len(grid) == 1 else together
    step = max(_READ // (line * unit), 1) * unit
    for start in range(0, grid[0], step):
        yield (slice(start, min(start + step, grid[0])), *(slice(0, size) for size in grid[1:]))
