"""Which of the data of a caller are out of core, and how they become rows."""

from math import prod
from typing import Any

import numpy as np

from emcore.core.memory import check_loaded, check_memory, is_loaded
from emcore.core.signals import Signal
from emcore.core.sparse import is_sparse
from emcore.core.warning import warn
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored


def open_rows(X: Any, name: str = "X", *, memory: Any = None, checkpoint: Any = None) -> Any:
    """
    A `Source` for what must be visited block by block; else `X` as it is, or its rows in memory.

    Parameters
    ----------
    X : array-like, memory map, HDF5 or Zarr array, Dask array, Signal or HyperSpy signal
        Shape (n, d), or (navigation axes, d), as a scan has it, of an array in memory or out of core: the last axis is
        the features, and rows are in the order of the others. Of a signal the signal axes are the features.
    name : str
        The argument's name, for messages.
    memory : int, str or None
        Data that take less than half of it are simply loaded (or mapped, or computed by Dask).
    checkpoint : path or None
        The state of a fit is saved there, for which data are visited block by block even if they are in memory.

    Examples
    --------
    >>> import numpy as np
    >>> open_rows(np.eye(3)).shape
    (3, 3)
    >>> open_rows(np.eye(3), checkpoint="fit.npz").shape
    (3, 3)
    >>> open_rows(np.zeros((4, 5, 10))).shape
    (20, 10)
    """
    check_memory(memory)
    source = as_source(X, name)
    if source is None:
        if isinstance(X, np.ndarray) and X.ndim > 2 and X.dtype.kind in "biuf":
            _check_shape(X, 1, name)
            X = X.reshape(-1, X.shape[-1])  # a copy only of strides that need one
        if checkpoint is None:
            return X
        if is_sparse(X):
            raise ValueError(f"{name} is a sparse matrix, of which a fit saves no checkpoint; leave checkpoint out")
        array = np.asarray(X)
        if array.ndim != 2:
            raise ValueError(f"{name} has shape {array.shape} ({array.ndim}-D); a 2-D array is needed")
        return Source([Stored(array)], name=name)
    if source is X or checkpoint is not None or not is_loaded(source.nbytes, memory):
        return source
    return source.in_memory()


def held_in_memory(data: Any, name: str, inner: int, memory: Any, why: str) -> Any:
    """
    Data for what needs all of them at once: what is stored or lazy is loaded if it takes half of the budget or less.

    Parameters
    ----------
    data : array-like, Signal, HyperSpy signal
        What is in memory, or mapped in one piece, is returned as it is.
    name : str
    inner : int
        How many of the last axes are a row.
    memory : int, str or None
    why : str
        What needs them, for the message.

    Raises
    ------
    MemoryError
        More than half of the budget, with what was needed.

    Examples
    --------
    >>> import dask.array as da
    >>> held_in_memory(da.ones((4, 5, 6)), "data", 1, None, "slic").shape
    (4, 5, 6)
    >>> held_in_memory(da.ones((4, 5, 6)), "data", 1, "1 kB", "slic")
    Traceback (most recent call last):
        ...
    MemoryError: slic needs all of data in memory, 960 bytes, more than half of memory=1000 bytes: give memory="1.9 KiB"
    """
    source = as_source(data, name, inner)
    if source is None:
        return data
    part = source.parts[0]
    if isinstance(part, Stored) and part.flat is not None:
        return part.whole().reshape(data.shape)
    check_loaded(source.nbytes, memory, name, why)
    return source.in_memory().reshape(data.shape)


def as_source(X: Any, name: str = "X", inner: int = 1) -> Source | None:
    """
    A `Source` of what is out of core; None for what is in memory.

    Parameters
    ----------
    X : array-like, Signal, HyperSpy signal
    name : str
    inner : int
        How many of the last axes of an array are a row.

    Examples
    --------
    >>> as_source([[1.0, 2.0]]) is None
    True
    """
    if isinstance(X, Source):
        return X
    data = X
    if isinstance(X, dict) and "data" in X and "axes" in X:
        from emcore.io.formats.rosetta import from_rosetta

        X = from_rosetta(X)
    if isinstance(X, Signal) or (hasattr(X, "axes_manager") and hasattr(X, "data")):
        from emcore.io.read import as_signal

        signal = as_signal(X)
        data, inner = signal.data, sum(not axis.navigation for axis in signal.axes)
        if any(axis.navigation for axis in signal.axes[len(signal.axes) - inner :]) or not 0 < inner < len(signal.axes):
            axes = ", ".join(f"{axis.name}{' (navigation)' if axis.navigation else ''}" for axis in signal.axes)
            raise ValueError(f"{name} has the axes {axes}; navigation axes must come first, and signal axes last")
        if isinstance(data, np.ndarray):
            return Source([Stored(data, inner)], name=name)
    if hasattr(data, "dask") and hasattr(data, "to_delayed") and hasattr(data, "chunks"):
        _check_shape(data, inner, name)
        return Source([one_chunk(data, inner, name)], name=name)
    stored = isinstance(data, np.memmap) or type(data).__module__.split(".")[0] in ("h5py", "zarr")
    if not stored or not hasattr(data, "dtype") or data.dtype.kind not in "biuf":
        return None
    _check_shape(data, inner, name)
    return Source([Stored(data, inner)], name=name)


def _check_shape(data: Any, inner: int, name: str) -> None:
    if data.dtype.kind not in "biuf":
        raise TypeError(f"{name} holds the type {data.dtype}; an array of real numbers is needed")
    if data.ndim <= inner:
        raise ValueError(
            f"{name} has shape {tuple(data.shape)}; rows are needed: (n, d), or navigation axes and features"
        )
    if 0 in data.shape:
        raise ValueError(f"{name} is empty, shape {tuple(data.shape)}; at least one value is needed")
    if any(np.isnan(size) for size in data.shape):
        raise ValueError(f"{name} has chunks of unknown size; call compute_chunk_sizes() first")


def one_chunk(data: Any, inner: int, name: str) -> Any:
    """A Dask array with one signal axis that is not split."""
    split = [i for i in range(data.ndim - inner, data.ndim) if len(data.chunks[i]) > 1]
    if split:
        parts = " x ".join(str(len(data.chunks[i])) for i in range(data.ndim - inner, data.ndim))
        data = data.rechunk({i: -1 for i in split})
        warn(
            f"{name} has a signal axis in {parts} chunks, and every row is needed whole: it was rechunked to "
            f"{data.chunksize}; store it so, or rechunk it before",
        )
    if inner > 1:
        data = data.reshape((*data.shape[: data.ndim - inner], prod(data.shape[data.ndim - inner :])))
    return data
