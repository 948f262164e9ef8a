"""The file formats: from bytes on disk to `Signal`s, one function a format."""

from pathlib import Path

import numpy as np

from emcore.io import Signal, as_signal


def read_all(path: Path, lazy: bool) -> list[Signal]:
    """Every data set in a file."""
    data = np.load(path, mmap_mode="r" if lazy else None, allow_pickle=False)
    signal = as_signal(data)
    return [Signal(signal.data, signal.axes, str(path), path.stem)]
