"""NumPy's files: one array, or an archive of them."""

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.memory import check_fits
from emcore.core.signals import Signal
from emcore.io.convert import signal_of
from emcore.io.errors import BadFile
from emcore.io.optional import dask_array


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


# Bytes of an array of an archive that is unpacked where it was to be left: a larger one only when it is asked for.
_UNPACKED = 1 << 28


def _member(path: Path, archive: Any, name: str, lazy: bool) -> Any:
    """An array of an archive."""
    shape, dtype = _head(archive, name)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or not (lazy and size > _UNPACKED):
        check_fits(size, f"{path}: {name}")
        return archive[name]
    da = dask_array()
    return da.from_delayed(import_module("dask").delayed(_unpacked, pure=True)(path, name), shape, dtype)


def _head(archive: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array, of which only the head is read."""
    names = archive.zip.namelist()
    with archive.zip.open(f"{name}.npy" if f"{name}.npy" in names else name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype


def _unpacked(path: Path, name: str) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as archive:
        shape, dtype = _head(archive, name)
        check_fits(math.prod(shape) * dtype.itemsize, f"{path}: {name}")
        values: NDArray[Any] = archive[name]
    return values


def read_npz(path: Path, lazy: bool) -> list[Signal]:
    signals = []
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        for name in archive.files:
            try:
                data = _member(path, archive, name, lazy)
            except ValueError as error:
                if "allow_pickle" in str(error):
                    continue
                raise
            if data.dtype.kind in "biufc" and data.ndim:
                signals.append(signal_of(data, title=name))
    return signals
