"""A scan of whatever signals, spectra, curves or patterns, and the same as one row for each position."""

import math
from pathlib import Path
from typing import Any

from emcore.core.signals import Signal
from emcore.core.validation import as_pixels
from emcore.outofcore.open import as_source
from emcore.scans.axes import SignalAxis, scan_and_signal
from emcore.scans.choosing import measurement
from emcore.scans.grids import in_scan_shape, suits_scan, with_scan
from emcore.scans.spectra import as_spectrum_image, placed
from emcore.scans.spectrum_rows import is_out_of_core, loaded, read_within, rows_out_of_core


def as_scan(
    data: Any,
    name: str = "data",
    memory: int | str | None = None,
    *,
    signal_axis: SignalAxis = None,
    scan_shape: tuple[int, int] | None = None,
    dataset: str | int | None = None,
) -> Signal:
    """The scan axes first, then one of a spectrum or curve or two of a pattern; data are left where they are stored.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.signal_rows import as_scan
    >>> [axis.name for axis in as_scan(np.zeros((3, 4, 8, 9))).axes]
    ['y', 'x', 'ky', 'kx']
    """

    vectors: list[Signal] = []

    def read(path: Path) -> list[Signal]:
        datasets = read_within(path, memory)
        vectors.extend(each for each in datasets if len(each.shape) == 1)
        return datasets

    signal = placed(measurement(data, suits_scan, dataset, read), vectors)
    if len(scan_and_signal(signal, name, signal_axis).inside) == 1:
        axis: Any = signal_axis
        return as_spectrum_image(signal, name, memory, signal_axis=axis, scan_shape=scan_shape)
    return in_scan_shape(with_scan(signal, name, signal_axis), scan_shape, name, "patterns")


def rows_of(signal: Signal, channels: slice = slice(None), name: str = "data", memory: int | str | None = None) -> Any:
    """One row for each position, of these channels of spectra: a view of what is in memory, else a source.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.signal_rows import as_scan, rows_of
    >>> rows_of(as_scan(np.zeros((3, 4, 8, 9)))).shape
    (12, 72)
    """
    inside = sum(not axis.navigation for axis in signal.axes)
    if is_out_of_core(signal, memory):
        return rows_out_of_core(signal, channels, name, memory) if inside == 1 else as_source(signal, name)
    pixels = as_pixels(loaded(signal).data, name, len(signal.shape))
    rows = pixels.reshape(math.prod(pixels.shape[:-inside]), -1)
    return rows[:, channels] if inside == 1 else rows
