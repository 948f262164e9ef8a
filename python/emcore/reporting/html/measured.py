"""What was measured at every position of a scan, binned until a page has room for it; sums and mean beside."""

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal

# Channels of one signal: more are binned. Bytes of base64 for one byte; bytes of a value.
_CHANNELS, _SPELLED, _BYTES = 4096, 4 / 3, 2


@dataclass(frozen=True, eq=False)
class Measured:
    """A scan as a page has it.

    Attributes
    ----------
    values : ndarray, shape (lines, positions, channels), float32
        Means of bins.
    inside : tuple of Axis
        Of the channels as binned.
    sums : ndarray, shape (y, x), float32
        Over the channels of every position.
    mean : ndarray, float32
        Of all positions, as finely as measured.
    scan, whole : tuple of Axis
        Of `sums` and of `mean`.
    notes : list of str
    """

    values: NDArray[np.float32]
    inside: tuple[Axis, ...]
    sums: NDArray[np.float32]
    mean: NDArray[np.float32]
    scan: tuple[Axis, ...]
    whole: tuple[Axis, ...]
    notes: list[str] = field(default_factory=list)

    def in_page(self) -> dict[str, Any]:
        """In whole numbers of 16 bits between the least and the largest value."""
        low, high = float(self.values.min()), float(self.values.max())
        step = (high - low) / 65535 or 1.0
        numbers = np.round((self.values - low) / step).astype(np.uint16)
        inside = [axis_in_page(axis) for axis in self.inside]
        return {"shape": self.values.shape[:2], "inside": inside, "low": low, "step": step, **encoded(numbers)}


def measured_of(
    signal: Signal, budget: int, units: Mapping[str, str], shape_of_scan: tuple[int, ...] | None = None
) -> Measured:
    """A scan in about so many bytes, visited line by line; axes in these units, where they are of the same kind.

    Raises
    ------
    ValueError
        If it is not along one or two axes, which come first; if it has not the shape that it is to have: of other
        positions other signals would be shown.

    Examples
    --------
    >>> from emcore.datasets import eds_phases
    >>> from emcore.reporting.html.measured import measured_of
    >>> found = measured_of(eds_phases(shape=(40, 60)).signal, 200_000, {"energy": "eV"})
    >>> found.values.shape, found.inside[0].units, found.sums.shape, found.notes
    ((7, 10, 1000), 'eV', (40, 60), ['measured signals: means of 6 × 6 positions, for this page only'])
    """
    scan = tuple(axis for axis in signal.axes if axis.navigation)
    inside = tuple(axis for axis in signal.axes if not axis.navigation)
    if len(scan) not in (1, 2) or not inside or signal.axes[: len(scan)] != scan:
        names = [axis.name for axis in signal.axes]
        raise ValueError(f"{signal.name} has axes {names}: those of a scan must come first, one or two of them")
    if shape_of_scan is not None and tuple(axis.size for axis in scan) != shape_of_scan:
        raise ValueError(
            f"{signal.name} is a scan of {tuple(axis.size for axis in scan)}, the result of {shape_of_scan}: give what "
            "was analysed, as a Signal whose navigation axes are those of the scan"
        )
    shape = tuple(axis.size for axis in inside)
    within = max(math.ceil((math.prod(shape) / _CHANNELS) ** (1 / len(shape))), 1)
    d = math.prod(-(-size // within) for size in shape)
    line = len(scan) == 1
    if line:
        scan = Axis("", 1, navigation=True), scan[0]
    lines, width = scan[0].size, scan[1].size
    most, factor = max(int(budget / _SPELLED / _BYTES) // d, 1), 1
    while -(-lines // factor) * -(-width // factor) > most:
        factor += 1
    sums = np.empty((lines, width), dtype=np.float32)
    total = np.zeros(shape)
    bins = []
    for start in range(0, lines, factor):
        read = np.asarray(signal.data[:] if line else signal.data[start : start + factor])
        part = np.nan_to_num(read.reshape(-1, width, *shape).astype(np.float32), posinf=0.0, neginf=0.0)
        sums[start : start + factor] = part.reshape(len(part), width, -1).sum(axis=2)
        mean = part.mean(axis=0)
        total += len(part) * mean.sum(axis=0, dtype=np.float64)
        bins.append(binned(binned(mean, within).reshape(width, -1).T, factor).T)
    small = tuple(coarse(axis, within, -(-axis.size // within)) for axis in inside)
    notes = []
    if factor > 1 or within > 1:
        of = f"{factor} × {factor} positions" if factor > 1 else "single positions"
        channels = f", {' × '.join([str(within)] * len(shape))} channels" if within > 1 else ""
        notes.append(f"measured signals: means of {of}{channels}, for this page only")
    axes = tuple(axis.to(units.get(axis.name, axis.units)) or axis for axis in small)
    return Measured(np.stack(bins), axes, sums, (total / (lines * width)).astype(np.float32), scan, inside, notes)


def binned(values: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Means of bins along all axes but the first; the last bins may be smaller.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.reporting.html.measured import binned
    >>> binned(np.arange(5.0)[None], 2).tolist()
    [[0.5, 2.5, 4.0]]
    """
    means = values.astype(np.float32)
    if factor == 1:
        return means
    for axis in range(1, values.ndim):
        starts = np.arange(0, means.shape[axis], factor)
        lengths = np.diff(np.append(starts, means.shape[axis]))
        means = np.add.reduceat(means, starts, axis=axis)
        means /= lengths.reshape([-1 if i == axis else 1 for i in range(means.ndim)]).astype(np.float32)
    return means


def coarse(axis: Axis, factor: int, size: int) -> Axis:
    """The axis of so many bins."""
    if factor == 1:
        return axis
    if not axis.even:
        return Axis.from_values(axis.name, axis.values[::factor], axis.units)
    return Axis(axis.name, size, axis.scale * factor, axis.offset + axis.scale * (factor - 1) / 2, axis.units)


def axis_in_page(axis: Axis) -> dict[str, Any]:
    """An axis as the script of a page has it."""
    places = {"offset": axis.offset, "scale": axis.scale} if axis.even else {"points": axis.points}
    return {"name": axis.name, "size": axis.size, "units": axis.units, **places}


def encoded(values: NDArray[Any]) -> dict[str, str]:
    """An array as the script of a page has it: base64 of little-endian values."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return {"type": values.dtype.name, "data": base64.b64encode(little.data).decode()}
