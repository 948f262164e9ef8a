"""A folder of slices: pictures of one size, one file each, numbered in their names, which are a stack."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.io.errors import BadFile, explained
from emcore.io.optional import dask_array

# So many that are missing, or of another size, are named.
_NAMED = 5


def read_slices(path: Path, lazy: bool) -> list[Signal]:
    """The stack of pictures that a folder holds, in the order of their numbers; lazily as a Dask array.

    Parameters
    ----------
    path : Path
    lazy : bool

    Returns
    -------
    list of Signal
        One, of axes frame, y and x.

    Raises
    ------
    ValueError
        If a number is missing, or slices differ in size or type; they are named.
    """
    from emcore.io.registry import slices_in

    files = _ordered(path, slices_in(path))
    first = _slice(files[0])
    if len(first.shape) != 2:
        raise BadFile(f"{files[0]} is no grey picture, its shape is {first.shape}: slices have two axes")
    _check_alike(files, first)
    axes = (Axis("frame", len(files), navigation=True), *(replace(axis, navigation=False) for axis in first.axes))
    if lazy:
        import dask

        da = dask_array()
        load = dask.delayed(_values)
        data: Any = da.stack(
            [da.from_delayed(load(file, first.shape, first.dtype), first.shape, first.dtype) for file in files]
        )
    else:
        data = np.empty((len(files), *first.shape), dtype=first.dtype)
        for i, file in enumerate(files):
            data[i] = _values(file, first.shape, first.dtype)
    return [replace(first, data=data, axes=axes, title=path.name, metadata={})]


def _slice(file: Path) -> Signal:
    from emcore.io.registry import read_all

    return read_all(file)[0]


def _values(file: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    signal = _slice(file)
    if signal.shape != shape or signal.dtype != dtype:
        raise BadFile(f"{file} is {signal.shape} {signal.dtype}, other slices are {shape} {dtype}")
    return np.asarray(signal.data)


def _ordered(path: Path, files: Sequence[Path]) -> list[Path]:
    """By the number in the name that counts them, and none of them missing."""
    numbers = [[int(digits) for digits in re.findall(r"\d+", file.stem)] for file in files]
    if len({len(each) for each in numbers}) > 1 or not numbers[0]:
        return sorted(files, key=lambda file: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", file.stem)])
    table = np.array(numbers)
    counting = [i for i in range(table.shape[1]) if len(set(table[:, i].tolist())) == len(files)]
    at = counting[-1] if counting else table.shape[1] - 1
    order = np.argsort(table[:, at], kind="stable")
    here = table[order, at]
    steps = np.diff(here)
    step = int(np.median(steps)) if counting else 0
    if step > 0 and (steps % step == 0).all() and (steps > step).any():
        missing = [int(n) for n in range(int(here[0]), int(here[-1]), step) if n not in set(here.tolist())]
        named = ", ".join(map(str, missing[:_NAMED])) + (" …" if len(missing) > _NAMED else "")
        before = files[order[int(np.argmax(steps > step))]].name
        raise BadFile(
            f"{path} lacks {'slice' if len(missing) == 1 else f'{len(missing)} slices, numbers'} {named}, after "
            f"{before}: add what is missing, or number the others without a gap"
        )
    return [files[i] for i in order]


def _check_alike(files: Sequence[Path], first: Signal) -> None:
    """Refuse slices of another size or type, of TIFF files by what their headers say."""
    try:
        import tifffile
    except ImportError:
        return
    odd: list[str] = []
    for file in files:
        if file.suffix.lower() not in (".tif", ".tiff"):
            return  # what cannot be seen at once is found when it is read
        try:
            with tifffile.TiffFile(file) as tiff:
                page = tiff.pages.first
                if page.shape != first.shape or page.dtype != first.dtype:
                    odd.append(f"{file.name} {page.shape} {page.dtype}")
        except Exception as error:
            raise explained(error, str(file), "TIFF") from error
    if odd:
        raise BadFile(
            f"{files[0].parent} holds slices of different size: {files[0].name} is {first.shape} {first.dtype}, "
            f"{', '.join(odd[:_NAMED])}{' …' if len(odd) > _NAMED else ''}"
        )
