"""How measurements come in: `read` a file, or make a `Signal` of an array or a HyperSpy signal with `as_signal`.

The file formats are decoded in `emcore.io.registry`.

Nothing read from a file is executed or unpickled.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from emcore.core.documentation import documented
from emcore.core.files import as_path
from emcore.core.signals import Signal
from emcore.io.convert import signal_of
from emcore.io.registry import FOLDERS, FORMATS, holds_arrays, read_all


def as_signal(obj: Any, *, title: str = "") -> Signal:
    """Make a `Signal` of whatever holds a measurement.

    Parameters
    ----------
    obj : array_like, Signal, hyperspy BaseSignal, xarray DataArray, str or Path
        An array or memory map (axes in pixels: the last two are y and x, those before are
        navigation, a last axis of 3 or 4 is colour); a Signal, returned as it is; a HyperSpy
        signal, whose axes and units are kept and whose data, when lazy, are not computed; a
        DataArray, with its coordinates and units; a path, which is read.
    title : str, default ""
        Name for data that have none.

    Returns
    -------
    Signal
        Its `data` are not copied.

    Raises
    ------
    TypeError
        If `obj` is no array of numbers.
    ValueError
        If it has no dimension, or masked values.

    Examples
    --------
    >>> as_signal(np.zeros((5, 8, 8))).axes[0]
    Axis(name='frame', size=5, scale=1.0, offset=0.0, units='px', navigation=True)
    """
    if isinstance(obj, Signal):
        return obj
    if isinstance(obj, str | os.PathLike):
        return read(obj)
    return signal_of(obj, title)


@documented(files="\n".join(wrap(", ".join(FORMATS), 80)), folders=" or ".join(FOLDERS))
def read(path: str | os.PathLike[str], lazy: bool = False, dataset: str | int | None = None) -> Signal:
    """Read a measurement from a file, with its calibration.

    Parameters
    ----------
    path : str or Path
        A file that ends in one of
        %(files)s;
        or a folder that ends in %(folders)s, or holds pictures of one size, numbered in their
        names, which are a stack.
    lazy : bool, default False
        Leave the data in the file: a memory map for .npy, uncompressed .tif and what .h5 holds
        in one piece, a Dask array for the others. Estimators take either, block by block.
    dataset : str or int, optional
        Which data set of a file that holds several, by its title or its number as `describe`
        lists them. Default: the largest image, and where there is none the largest stack or
        scan; in .npz and .h5, which hold arrays of any kind, the largest array.

    Returns
    -------
    Signal

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, truncated, not what its name says, or of a kind that is not read;
        if there is no such data set. The message names the file and what to do.
    ImportError
        If the extra `io` is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(folder + "/a.npy", np.zeros((4, 6), dtype=np.uint16))
    ...     read(folder + "/a.npy").shape
    (4, 6)
    """
    datasets = read_all(as_path(path), lazy)
    return datasets[find_dataset(str(path), datasets, dataset)]


def find_dataset(path: str, datasets: Sequence[Signal], dataset: str | int | None) -> int:
    """The number of the data set of that name or number; None is the largest image, else the largest of all.

    Examples
    --------
    >>> find_dataset("a.h5", [as_signal(np.eye(3), title="left"), as_signal(np.eye(4), title="right")], "left")
    0
    """
    listing = ", ".join(f"{i}: {s.title or 'untitled'} {s.shape}" for i, s in enumerate(datasets))
    if dataset is None:
        mixed = holds_arrays(Path(path))
        sizes = [(_is_image(each) and not mixed, math.prod(each.shape), -i) for i, each in enumerate(datasets)]
        return max(range(len(datasets)), key=sizes.__getitem__)
    if not isinstance(dataset, str | int | np.integer) or isinstance(dataset, bool):
        raise TypeError(f"dataset must be the name or the number of a data set, found {dataset!r}")
    named = [i for i, s in enumerate(datasets) if isinstance(dataset, str) and s.title.lower() == dataset.lower()]
    if named:
        return named[0]
    if not isinstance(dataset, str) or dataset.isdigit():
        if not 0 <= int(dataset) < len(datasets):
            raise ValueError(f"{path} has no data set {dataset}; it holds {listing}")
        return int(dataset)
    ends = [i for i, s in enumerate(datasets) if s.title.lower().endswith("/" + dataset.lower())]
    if len(ends) != 1:
        raise ValueError(f"{path} has no data set {dataset!r}; it holds {listing}")
    return ends[0]


def _is_image(signal: Signal) -> bool:
    return len(signal.axes) == 2 and not any(axis.navigation for axis in signal.axes)
