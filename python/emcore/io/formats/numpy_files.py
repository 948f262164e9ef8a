"""NumPy's files: one array, or an archive of them."""

from pathlib import Path

import numpy as np

from emcore.core.signals import Signal
from emcore.io.convert import signal_of
from emcore.io.errors import BadFile


def read_npy(path: Path, lazy: bool) -> list[Signal]:
    try:
        data = np.load(path, mmap_mode="r" if lazy else None, allow_pickle=False)
    except ValueError as error:
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise BadFile(f"{path} holds Python objects, which are never unpickled: save it as numbers") from error
        raise
    if data.dtype.kind not in "biufc":
        raise BadFile(f"{path} holds dtype {data.dtype}: only numbers are read")
    if data.ndim == 0:
        raise BadFile(f"{path} holds a single number: no measurement")
    return [signal_of(data)]


def read_npz(path: Path, lazy: bool) -> list[Signal]:
    signals = []
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        for name in archive.files:
            try:
                data = archive[name]
            except ValueError as error:
                if "allow_pickle" in str(error):
                    continue
                raise
            if data.dtype.kind in "biufc" and data.ndim:
                signals.append(signal_of(data, title=name))
    return signals
