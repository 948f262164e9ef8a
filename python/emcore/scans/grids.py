"""Signals that were taken on one scan: checked to be so, their scan axes first, as one row for each position."""

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Signal, default_axes
from emcore.core.validation import as_pixels, check_magnitude
from emcore.io.read import as_signal
from emcore.io.registry import read_all


def on_one_grid(signals: Sequence[Any]) -> list[Signal]:
    """Signals with navigation axes before the others, on one scan grid.

    Raises
    ------
    ValueError
        If there are none, one has no signal axis, or grids differ.
    """
    if isinstance(signals, Signal) or not isinstance(signals, list | tuple):
        raise TypeError("signals must be a list of signals, one for each detector, for example [diffraction, eds]")
    if not signals:
        raise ValueError("signals is empty: give one signal for each detector")
    on_grid = [_with_scan(_read(signal), i, hasattr(signal, "axes_manager")) for i, signal in enumerate(signals)]
    grids = [tuple(axis.size for axis in signal.axes if axis.navigation) for signal in on_grid]
    if len(set(grids)) > 1:
        sizes = [" x ".join(map(str, grid)) for grid in grids]
        listed = ", ".join(f"{_name(signal, i)} has {sizes[i]}" for i, signal in enumerate(on_grid))
        raise ValueError(f"the signals were not taken on one scan grid: {listed} positions; crop or bin them first")
    return on_grid


def _read(signal: Any) -> Signal:
    """A signal; of a file with several data sets the largest that has something at every position, not a picture."""
    if not isinstance(signal, str | os.PathLike):
        return as_signal(signal)
    datasets = read_all(Path(signal))
    scans = [each for each in datasets if len(each.shape) > 2 or any(axis.navigation for axis in each.axes)]
    return max(scans or datasets, key=lambda each: each.data.size)


def as_matrices(signals: Sequence[Signal]) -> tuple[tuple[int, ...], list[NDArray[Any]], list[str]]:
    """The scan's shape, and of each signal its rows, one for each scan position, and its name."""
    grid = tuple(axis.size for axis in signals[0].axes if axis.navigation)
    names = [_name(signal, i) for i, signal in enumerate(signals)]
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for i, name in enumerate(names)]
    matrices = []
    for signal, name in zip(signals, names, strict=True):
        pixels = as_pixels(signal.data, name, signal.data.ndim)
        check_magnitude(pixels, name)
        matrices.append(pixels.reshape(math.prod(grid), -1))
    return grid, matrices, names


def _name(signal: Signal, index: int) -> str:
    return signal.title or (signal.name if signal.source else f"signal {index}")


def _with_scan(signal: Signal, index: int, trusted: bool) -> Signal:
    """The same with its scan axes named; what a bare array does not say of its axes is taken from their order."""
    axes = list(signal.axes)
    has_axes = trusted or signal.axes != default_axes(signal.shape)
    count = sum(axis.navigation for axis in axes) if has_axes else min(2, len(axes) - 1)
    if not 0 < count < len(axes):
        raise ValueError(
            f"{_name(signal, index)} has shape {signal.shape}: a signal at every scan position is needed, (y, x, ...)"
        )
    if not all(axis.navigation for axis in axes[:count]) and has_axes:
        raise ValueError(f"{_name(signal, index)} has its scan axes not first: transpose it to (y, x, ...)")
    scan = {1: ["position"], 2: ["y", "x"]}.get(count, [axis.name for axis in axes[:count]])
    inside = [axis.name for axis in axes[count:]]
    if not has_axes:
        inside = {1: ["channel"], 2: ["ky", "kx"]}.get(len(inside), inside)
    named = tuple(
        replace(axis, name=name, navigation=i < count)
        for i, (axis, name) in enumerate(zip(axes, [*scan, *inside], strict=True))
    )
    data = signal.data if isinstance(signal.data, np.ndarray) else np.asarray(signal.data)
    return replace(signal, data=data, axes=named)
