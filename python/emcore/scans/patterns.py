"""A scan of diffraction patterns: what of a signal is scan and what is pattern, and the same as rows of a matrix."""

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore._emcore import __version__
from emcore.core.memory import DEFAULT, check_memory
from emcore.core.signals import Axis, Signal
from emcore.core.validation import as_pixels, check_magnitude
from emcore.core.wording import count_of
from emcore.io.read import as_signal
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.open import one_chunk
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored
from emcore.scans.axes import Arrangement, SignalAxis, arranged, said, scan_first, two_signal_axes, without_single_axes
from emcore.scans.choosing import measurement
from emcore.scans.grids import in_scan_shape, scan_axes
from emcore.scans.images import plane_axes
from emcore.scans.spectrum_rows import is_out_of_core, loaded, read_within

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
    return _as_matrix(array)


def _as_matrix(array: NDArray[Any]) -> PatternRows:
    flipped = tuple(axis for axis in (0, 1) if array.strides[axis + 2] < 0)
    rows = np.flip(array, tuple(axis + 2 for axis in flipped)).reshape(array.shape[0] * array.shape[1], -1)
    return PatternRows(rows, array.shape[:2], array.shape[2:], flipped)


def suits_patterns(signal: Signal) -> int:
    """How well a data set is a scan of patterns: 2 with two axes of scan, 1 a series of pictures, 0 not at all.

    Examples
    --------
    >>> import numpy as np
    >>> suits_patterns(as_signal(np.zeros((2, 2, 8, 8)))), suits_patterns(as_signal(np.zeros((8, 8))))
    (2, 0)
    """
    arrangement = arranged(signal, two_signal_axes)
    return 0 if arrangement is None else min(len(arrangement.scan), 2)


def _of_one_scan(signal: Signal, signal_axis: SignalAxis) -> Arrangement:
    """Which axes are those of a pattern, where the others are at most two."""
    arrangement = two_signal_axes(signal, signal_axis, signal.name)
    if len(arrangement.scan) > 2:
        raise ValueError(
            f"{signal.name} has shape {signal.shape}, {len(arrangement.scan)} axes of positions. A scan has two: "
            "give one of them, for example data[0]"
        )
    return arrangement


def scan_of_patterns(
    patterns: Any,
    scan_shape: tuple[int, int] | None = None,
    *,
    signal_axis: SignalAxis = None,
    dataset: str | int | None = None,
    memory: int | str | None = None,
) -> Signal:
    """The scan of patterns in a signal or file, left where it is stored if it is larger than half of the memory.

    Parameters
    ----------
    patterns : array_like, Signal, HyperSpy signal or path
        Two axes of scan and two of a pattern; or patterns one after another, which stay a series.
    scan_shape : (int, int), optional
        Lines, and positions in each, of patterns in a series.
    signal_axis : (int or str, int or str), optional
        The two axes of a pattern, by number or name; default: see `emcore.scans.axes`.
    dataset : str or int, optional
        Which data set of a file. Default: the largest of those that suit best, see `suits_patterns`.
    memory : int or str, optional

    Returns
    -------
    Signal, shape (y, x, ky, kx) or (position, ky, kx)
        Axes of these names, calibration kept; what was done is in the notes.

    Raises
    ------
    ValueError
        If the data hold no scan of patterns, or another number of patterns than `scan_shape` says.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.patterns import scan_of_patterns
    >>> [(axis.name, axis.size) for axis in scan_of_patterns(np.zeros((6, 16, 20))).axes]
    [('position', 6), ('ky', 16), ('kx', 20)]
    """
    signal = measurement(patterns, suits_patterns, dataset, lambda path: read_within(path, memory))
    signal = signal if is_out_of_core(signal, memory) else loaded(signal)
    if hasattr(signal.data, "reshape"):
        signal = without_single_axes(signal, 4)
    arrangement = _of_one_scan(signal, signal_axis)
    ordered = scan_first(replace(signal, notes=(*signal.notes, *said(signal, arrangement))), arrangement, signal.name)
    ordered = in_scan_shape(ordered, scan_shape, signal.name, "patterns")
    axes = ordered.axes
    return replace(ordered, axes=(*scan_axes(axes[:-2]), *plane_axes(axes[-2:], ("ky", "kx"))), flagged=True)


def axes_of_scan(scan: Signal) -> tuple[Axis, Axis]:
    """The axes of the positions, of a line with one position along y.

    Parameters
    ----------
    scan : Signal
        As `scan_of_patterns` gives it.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.patterns import axes_of_scan, scan_of_patterns
    >>> [(axis.name, axis.size) for axis in axes_of_scan(scan_of_patterns(np.zeros((6, 16, 20))))]
    [('y', 1), ('x', 6)]
    """
    axes = [replace(axis, navigation=False) for axis in scan.axes[:-2]]
    if len(axes) == 1:
        axes = [replace(axes[0], name="y", size=1, offset=0.0), replace(axes[0], name="x")]
    return axes[0], axes[1]


def line_said(scan: Signal) -> tuple[str, ...]:
    """What is to be said of patterns in one series, which `axes_of_scan` makes a line."""
    if len(scan.axes) > 3:
        return ()
    series = f"{count_of(scan.axes[0].size, 'pattern')} in one series became one line"
    return (f"{series}: scan_shape=(y, x) makes more of them",)


def join_job(
    source: Source,
    checkpoint: str | os.PathLike[str] | None,
    method: str,
    memory: int | str | None,
    settings: dict[str, Any],
) -> None:
    """Make the passes over patterns those of a job that goes on from a checkpoint, if there is one.

    Parameters
    ----------
    source : Source
        As `pattern_source` gives it.
    checkpoint : path, optional
    method : str
        Name of the workflow.
    memory : int or str, optional
        By which blocks and samples are cut.
    settings : dict
        What else the job must have in common with that of the checkpoint.
    """
    if checkpoint is not None:
        identity = {"method": method, "version of emcore": __version__, "memory": check_memory(memory)}
        source.job = Job(checkpoint, source.cut(), identity | settings)


def pattern_source(scan: Signal, memory: int | str | None, per_position: int) -> Source:
    """Patterns as rows that are visited in blocks, whether in memory or out of core.

    Parameters
    ----------
    scan : Signal
        As `scan_of_patterns` gives it.
    memory : int or str, optional
        What passes may use; of data in memory by default as much as these take.
    per_position : int
        Bytes of it that are kept of every position beside a pass.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.patterns import pattern_source, scan_of_patterns
    >>> pattern_source(scan_of_patterns(np.zeros((6, 16, 20))), None, 8).shape
    (6, 320)
    """
    data: Any = scan.data
    parts = [one_chunk(data, 2, "patterns") if hasattr(data, "dask") else Stored(data, 2)]
    source = Source(parts, name="patterns")
    held = isinstance(data, np.ndarray) and Stored(data).map is None
    source.budget = max(DEFAULT, source.nbytes) if memory is None and held else memory
    source.beside = per_position * source.shape[0]
    return source
