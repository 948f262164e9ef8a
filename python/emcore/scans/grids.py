"""Signals that were taken on one scan: checked to be so, their scan axes first, as one row for each position."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal, default_axes
from emcore.core.validation import as_pixels, check_count, check_magnitude
from emcore.io.registry import read_all
from emcore.scans.axes import SignalAxis, arranged, said, scan_and_signal, scan_first, without_single_axes
from emcore.scans.choosing import measurement
from emcore.scans.images import plane_axes


def on_one_grid(
    signals: Sequence[Any],
    signal_axis: Sequence[SignalAxis] | None = None,
    dataset: Sequence[str | int | None] | None = None,
    read: Callable[[Path], list[Signal]] | None = None,
) -> list[Signal]:
    """Signals with navigation axes before the others, on one scan grid.

    Parameters
    ----------
    signals : sequence of array-like, Signal, HyperSpy signal or path
        Of a file with several data sets the largest that has something at every position.
    signal_axis, dataset : sequence, optional
        Of each signal, which axis is the signal's (two of patterns), and which data set of a file; None for what is
        found by itself.
    read : callable, optional
        Reads a file; then data are left where they are stored. By default all are loaded.

    Raises
    ------
    ValueError
        If there are none, one has no signal axis, or grids differ.
    """
    if isinstance(signals, Signal) or not isinstance(signals, list | tuple):
        raise TypeError("signals must be a list of signals, one for each detector, for example [diffraction, eds]")
    if not signals:
        raise ValueError("signals is empty: give one signal for each detector")
    axes = list(signal_axis or [None] * len(signals))
    numbers = list(dataset or [None] * len(signals))
    for text, count in (("signal_axis", len(axes)), ("dataset", len(numbers))):
        if count != len(signals):
            raise ValueError(f"{text} has {count} entries for {len(signals)} signals: give one for each, or None")
    measured = [
        measurement(signal, suits_scan, number, read or read_all)
        for signal, number in zip(signals, numbers, strict=True)
    ]
    on_grid = [
        with_scan(signal, _name(signal, i), axis) for i, (signal, axis) in enumerate(zip(measured, axes, strict=True))
    ]
    if read is None:
        on_grid = [replace(signal, data=np.asarray(signal.data)) for signal in on_grid]
    grids = [tuple(axis.size for axis in signal.axes if axis.navigation) for signal in on_grid]
    if len(set(grids)) > 1:
        sizes = [" x ".join(map(str, grid)) for grid in grids]
        listed = ", ".join(f"{_name(signal, i)} has {sizes[i]}" for i, signal in enumerate(on_grid))
        raise ValueError(f"the signals were not taken on one scan grid: {listed} positions; crop or bin them first")
    return on_grid


def suits_scan(signal: Signal) -> int:
    """How well a data set has something at every position of a scan: 0 is a picture or a spectrum.

    Examples
    --------
    >>> from emcore.io.read import as_signal
    >>> suits_scan(as_signal(np.zeros((3, 4, 9)))), suits_scan(as_signal(np.zeros(9)))
    (2, 0)
    """
    arrangement = arranged(signal, lambda each: scan_and_signal(each, each.name))
    if arrangement is None:
        return 0
    return 2 if arrangement.certain or len(signal.axes) > 2 else 1


def as_matrices(signals: Sequence[Signal]) -> tuple[tuple[int, ...], list[NDArray[Any]], list[str]]:
    """The scan's shape, and of each signal its rows, one for each scan position, and its name."""
    grid = tuple(axis.size for axis in signals[0].axes if axis.navigation)
    names = names_of(signals)
    matrices = []
    for signal, name in zip(signals, names, strict=True):
        pixels = as_pixels(signal.data, name, signal.data.ndim)
        check_magnitude(pixels, name)
        matrices.append(pixels.reshape(math.prod(grid), -1))
    return grid, matrices, names


def names_of(signals: Sequence[Signal]) -> list[str]:
    """What signals are called, each in its own way."""
    names = [_name(signal, i) for i, signal in enumerate(signals)]
    return names if len(set(names)) == len(names) else [f"{name} ({i})" for i, name in enumerate(names)]


def _name(signal: Signal, index: int) -> str:
    return signal.title or (signal.name if signal.source else f"signal {index}")


def with_scan(signal: Signal, name: str, signal_axis: SignalAxis = None) -> Signal:
    """The same with its scan axes first and named; its data are a view, or left where they are stored.

    Examples
    --------
    >>> from emcore.io.read import as_signal
    >>> [(axis.name, axis.navigation) for axis in with_scan(as_signal(np.zeros((3, 4, 9))), "data").axes]
    [('y', True), ('x', True), ('channel', False)]
    """
    arrangement = scan_and_signal(signal, name, signal_axis)
    notes = tuple(f"{name}: {note}" for note in said(signal, arrangement))
    ordered = scan_first(replace(signal, notes=(*signal.notes, *notes)), arrangement, name)
    ordered = without_single_axes(ordered, 2 + len(arrangement.inside))
    count = len(ordered.axes) - len(arrangement.inside)
    inside = ordered.axes[count:]
    if inside and signal.axes == default_axes(signal.shape):  # whose names say nothing
        inside = plane_axes(inside, ("ky", "kx")) if len(inside) == 2 else (replace(inside[0], name="channel"),)
    return replace(ordered, axes=(*scan_axes(ordered.axes[:count]), *inside))


def scan_axes(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """The axes of a scan as they are called: position, or y and x in one unit.

    Examples
    --------
    >>> [axis.name for axis in scan_axes([Axis("height", 4), Axis("width", 5)])]
    ['y', 'x']
    """
    if len(axes) == 2:
        return tuple(replace(axis, navigation=True) for axis in plane_axes(axes))
    names = ["position"] if len(axes) == 1 else [axis.name or f"axis_{i}" for i, axis in enumerate(axes)]
    return tuple(replace(axis, name=text, navigation=True) for axis, text in zip(axes, names, strict=True))


def in_scan_shape(signal: Signal, scan_shape: tuple[int, int] | None, name: str, what: str = "positions") -> Signal:
    """The signal with its positions, scan axes first, in lines and positions in each.

    Of some more lines, or positions in each, the first are taken, and of a series with less than a line more: its
    notes say so.

    Raises
    ------
    ValueError
        If there are fewer positions, far more, or others in lines that do not fit.

    Examples
    --------
    >>> series = Signal(np.zeros((6, 9)), (Axis("position", 6, navigation=True), Axis("energy", 9, units="eV")))
    >>> in_scan_shape(series, (2, 3), "spectra").shape
    (2, 3, 9)
    """
    if scan_shape is None:
        return signal
    sides = scan_shape if isinstance(scan_shape, tuple | list | np.ndarray) else ()
    if len(sides) != 2:
        raise ValueError(f"scan_shape={scan_shape!r}: give lines and positions in each, for example (32, 64)")
    shape = check_count(sides[0], "scan_shape[0]", 1), check_count(sides[1], "scan_shape[1]", 1)
    scan = [axis for axis in signal.axes if axis.navigation]
    inside = signal.axes[len(scan) :]
    sizes = tuple(axis.size for axis in scan)
    count = math.prod(sizes)
    if sizes == shape:
        return signal
    some_more = len(sizes) == 2 and all(n <= size < 2 * n for n, size in zip(shape, sizes, strict=True))
    if some_more or (len(sizes) == 1 and 0 < count - math.prod(shape) < shape[1]):
        signal = _cropped(signal, shape if some_more else (math.prod(shape),), what)
        scan = list(signal.axes[: len(sizes)])
    if math.prod(shape) != math.prod(axis.size for axis in scan):
        raise ValueError(f"scan_shape={shape} does not fit: {name} holds {count} {what}" + _in_lines(sizes))
    if tuple(axis.size for axis in scan) == shape:
        return signal
    if not hasattr(signal.data, "reshape"):
        raise ValueError(f"scan_shape={shape} reshapes {name}, which is left in the file: allow more memory")
    axes = (Axis("y", shape[0], navigation=True), Axis("x", shape[1], navigation=True), *inside)
    return replace(signal, data=signal.data.reshape(*shape, *(axis.size for axis in inside)), axes=axes)


def _in_lines(sizes: tuple[int, ...]) -> str:
    return f" in {sizes[0]} lines of {sizes[1]}" if len(sizes) == 2 else ""


def _cropped(signal: Signal, shape: tuple[int, ...], what: str) -> Signal:
    """The first lines, and the first positions in each."""
    sizes = tuple(axis.size for axis in signal.axes[: len(shape)])
    names = ("lines", "positions in each line") if len(shape) == 2 else (what,)
    left = [(size - n, size, name) for n, size, name in zip(shape, sizes, names, strict=True) if n < size]
    note = "scan_shape: " + " and ".join(f"the last {n} of {size} {name}" for n, size, name in left) + " were left out"
    axes = tuple(axis.crop(0, n) for axis, n in zip(signal.axes, shape, strict=False)) + signal.axes[len(shape) :]
    data = signal.data[tuple(slice(n) for n in shape)]
    return replace(signal, data=data, axes=axes, notes=(*signal.notes, note))
