"""A scan of diffraction patterns: what of a signal is scan and what is pattern, and the same as rows of a matrix."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.documentation import documented
from emcore.core.signals import Axis, Signal
from emcore.core.validation import as_pixels, check_count, check_magnitude
from emcore.io.convert import computed
from emcore.io.read import as_signal, read
from emcore.io.registry import is_mapped, read_all

# What is prepared of patterns is in single precision, and so are its squares.
_LARGEST = 1e15


@dataclass(frozen=True, eq=False)
class PatternRows:
    """Patterns as a matrix with one row per scan position, without a copy where that is possible.

    Attributes
    ----------
    rows : ndarray, shape (y * x, ky * kx)
        One of the pixel types.
    scan : (int, int)
        Positions along y and x.
    shape : (int, int)
        Pixels of a pattern along ky and kx.
    flipped : tuple of int
        Axes of a pattern along which the rows run backwards, because the file does.
    """

    rows: NDArray[Any]
    scan: tuple[int, int]
    shape: tuple[int, int]
    flipped: tuple[int, ...]

    def features(self, picture: NDArray[Any]) -> NDArray[Any]:
        """The pixels of a picture of shape (ky, kx) in the order of the rows' features."""
        return np.flip(picture, self.flipped).reshape(-1)

    def pictures(self, features: NDArray[Any]) -> NDArray[Any]:
        """The reverse: shape (..., ky * kx) becomes (..., ky, kx)."""
        patterns = features.reshape(*features.shape[:-1], *self.shape)
        return np.ascontiguousarray(np.flip(patterns, tuple(axis - 2 for axis in self.flipped)))


def as_pattern_rows(patterns: Any, name: str = "patterns") -> PatternRows:
    """Patterns checked, as a matrix.

    Parameters
    ----------
    patterns : array_like, Signal, HyperSpy signal, shape (y, x, ky, kx)
        Any pixel type; memory-mapped too.
    name : str
        The argument's name, for the message.

    Returns
    -------
    PatternRows

    Raises
    ------
    ValueError
        Another number of dimensions; NaN or infinity, with the position of the first; values so large or so small that
        single precision does not hold their squares.
    TypeError
        No real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.patterns import as_pattern_rows
    >>> as_pattern_rows(np.zeros((2, 3, 8, 9), dtype=np.uint8)).rows.shape
    (6, 72)
    """
    if isinstance(patterns, PatternRows):
        return patterns
    array = as_pixels(as_signal(patterns).data, name, 4)
    check_magnitude(array, name, _LARGEST)
    flipped = tuple(axis for axis in (0, 1) if array.strides[axis + 2] < 0)
    rows = np.flip(array, tuple(axis + 2 for axis in flipped)).reshape(array.shape[0] * array.shape[1], -1)
    return PatternRows(rows, array.shape[:2], array.shape[2:], flipped)


def read_patterns(path: "str | os.PathLike[str]", dataset: str | int | None = None) -> Signal:
    """Read a scan of patterns, left in the file as a memory map where its format allows (.npy, .blo, .mib).

    Parameters
    ----------
    path : str or Path
    dataset : str or int, optional
        Which data set, as for `emcore.read`. Default: the largest with four dimensions, then with three, then any.

    Returns
    -------
    Signal

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        See `emcore.read`.
    """
    path = Path(path)
    lazy = is_mapped(path)
    if dataset is not None:
        return read(path, lazy, dataset)
    datasets = read_all(path, lazy)
    return max(datasets, key=lambda signal: (min(len(signal.axes), 4), signal.data.size))


@documented()
def select_patterns(signal: Any, scan_shape: tuple[int, int] | None = None) -> tuple[Signal, tuple[str, ...]]:
    """The scan of patterns in a signal, and what was done to get it.

    Parameters
    ----------
    signal : Signal, whatever `as_signal` takes, or path
        Two axes of scan and two of a pattern; or patterns one after another, which become one line. Of a path what
        `read_patterns` finds there.
    %(scan_shape)s

    Returns
    -------
    scan : Signal, shape (y, x, ky, kx)
        Axes of these names, calibration kept.
    notes : tuple of str

    Raises
    ------
    ValueError
        If the data hold no scan of patterns, or another number of patterns than `scan_shape` says.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.patterns import select_patterns
    >>> scan, notes = select_patterns(np.zeros((6, 16, 16)), scan_shape=(2, 3))
    >>> scan.shape, [axis.name for axis in scan.axes], notes
    ((2, 3, 16, 16), ['y', 'x', 'ky', 'kx'], ())
    """
    signal = read_patterns(signal) if isinstance(signal, str | os.PathLike) else as_signal(signal)
    data, axes = computed(signal, signal.data), list(signal.axes)
    for i in reversed(range(len(axes))):  # axes of one point say nothing
        if axes[i].size == 1 and len(axes) > 4:
            data, _ = data.reshape(data.shape[:i] + data.shape[i + 1 :]), axes.pop(i)
    inside = [i for i, axis in enumerate(axes) if not axis.navigation]
    if len(inside) == 1 and len(axes) > 2:
        raise ValueError(
            f"{signal.name} holds a spectrum or curve of {axes[inside[0]].size} points at every position, no patterns: "
            "a pattern has two axes"
        )
    if len(axes) < 3:
        raise ValueError(f"{signal.name} has shape {signal.shape}: one picture is no scan, (y, x, ky, kx) is needed")
    if len(inside) != 2:  # nothing tells patterns from positions: the last two axes are the pattern
        inside = [len(axes) - 2, len(axes) - 1]
    positions = [i for i in range(len(axes)) if i not in inside]
    if len(positions) > 2:
        raise ValueError(
            f"{signal.name} has shape {signal.shape}, {len(positions)} axes of positions. A scan has two: "
            "give one of them, for example data[0]"
        )
    order = [*positions, *inside]
    data, axes = (data if order == sorted(order) else data.transpose(order)), [axes[i] for i in order]
    notes: tuple[str, ...] = ()
    count = data.size // max(data.shape[-1] * data.shape[-2], 1)
    if scan_shape is not None:
        lines, width = _lines_and_width(scan_shape)
        if lines * width != count:
            raise ValueError(f"scan_shape={lines, width} does not fit: {signal.name} holds {count} patterns")
        data = data.reshape(lines, width, *data.shape[-2:])
        scan = [Axis("y", lines), Axis("x", width)] if len(axes) == 3 or axes[0].size != lines else axes[:2]
        axes = [*scan, *axes[-2:]]
    elif len(axes) == 3:
        notes = (f"{count} patterns in one series were taken as one line: scan_shape=(y, x) makes more of them",)
        data = data.reshape(1, *data.shape)
        axes = [Axis("y", 1, axes[0].scale, 0.0, axes[0].units), *axes]
    named = tuple(
        replace(axis, name=name, navigation=i < 2) if axis.calibrated else Axis(name, axis.size, navigation=i < 2)
        for i, (name, axis) in enumerate(zip(("y", "x", "ky", "kx"), axes, strict=True))
    )
    return replace(signal, data=data, axes=named), notes


def _lines_and_width(scan_shape: Any) -> tuple[int, int]:
    sides = scan_shape if isinstance(scan_shape, tuple | list | np.ndarray) else ()
    if len(sides) != 2:
        raise ValueError(f"scan_shape={scan_shape!r}: give lines and positions in each, for example (32, 64)")
    return check_count(sides[0], "scan_shape[0]", 1), check_count(sides[1], "scan_shape[1]", 1)
