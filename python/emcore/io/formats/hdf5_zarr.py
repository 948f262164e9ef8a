"""Plain HDF5 files, Zarr stores, HyperSpy's among them: read, mapped, or left where they are as Dask arrays."""

from pathlib import Path
from typing import Any

import numpy as np

from emcore.core.signals import Signal, default_axes
from emcore.io.convert import signal_of
from emcore.io.errors import BadFile
from emcore.io.formats.rosetta import from_rosetta
from emcore.io.optional import dask_array, zarr_module


def read_hdf5(path: Path, lazy: bool, stored: bool = False) -> list[Signal]:
    """
    Every array of an HDF5 file with at least two axes.

    Lazily those in one piece are memory maps and the others Dask arrays or, if `stored`, left as they are.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"reading {path.suffix} files needs h5py: pip install emcore[hdf5]") from error
    file = h5py.File(path, "r")
    if "emcore_result" in getattr(file.get("entry"), "attrs", {}):
        file.close()
        raise BadFile(f"{path} is a result of emcore: read it with emcore.load_result")
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if _plottable(item) else None)
    if lazy and names:
        return [_signal(file[name], stored, name) for name in names]  # the file stays open for them
    with file:
        return [signal_of(file[name][()], title=name) for name in names]


def read_zarr(path: Path, lazy: bool, stored: bool = False) -> list[Signal]:
    """A Zarr array, or every array of a group with at least two axes; lazily as of `read_hdf5`."""
    store = zarr_module().open(str(path), mode="r")
    members = {path.stem: store} if hasattr(store, "dtype") else _arrays(store)
    arrays = {name: array for name, array in members.items() if _plottable(array)}
    if lazy:
        return [_signal(array, stored, name) for name, array in arrays.items()]
    return [signal_of(array[...], title=name) for name, array in arrays.items()]


def read_zspy(path: Path, lazy: bool) -> list[Signal]:
    """The signals in a Zarr store of HyperSpy's, a folder or a zip file, with their axes."""
    zarr = zarr_module()
    store = zarr.open(zarr.storage.ZipStore(path, mode="r") if path.is_file() else str(path), mode="r")
    take = _lazy if lazy else lambda array: array[...]
    signals = []
    for title, experiment in sorted(_members(store["Experiments"]).items()):
        inside = _members(experiment)
        axes = [dict(inside[f"axis-{i}"].attrs) for i in range(len(inside["data"].shape))]
        metadata = {"General": {"title": title}}
        signals.append(from_rosetta({"data": take(inside["data"]), "axes": axes, "metadata": metadata}))
    return signals


def _members(group: Any) -> dict[str, Any]:
    return dict(group.members())


def _arrays(group: Any, prefix: str = "") -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for name, member in sorted(group.members()):
        arrays |= {prefix + name: member} if hasattr(member, "dtype") else _arrays(member, f"{prefix}{name}/")
    return arrays


def _plottable(item: Any) -> bool:
    return hasattr(item, "dtype") and item.dtype.kind in "iuf" and len(item.shape) >= 2 and min(item.shape[-2:]) > 4


def _signal(array: Any, stored: bool, title: str) -> Signal:
    if stored:
        return Signal(mapped(array), default_axes(tuple(array.shape)), title=title)
    return signal_of(_lazy(array), title=title)


def _lazy(stored: Any) -> Any:
    """A memory map, or a Dask array whose last axis is not split."""
    array = mapped(stored)
    if array is not stored:
        return array
    return dask_array().from_array(stored, chunks=(*("auto",) * (len(stored.shape) - 1), -1))


def mapped(data: Any) -> Any:
    """A contiguous, uncompressed HDF5 data set of a file that nobody writes to as a memory map; others as they are."""
    if not type(data).__module__.startswith("h5py") or data.chunks is not None or data.file.mode != "r":
        return data
    offset = data.id.get_offset()
    if offset is None or data.dtype.kind not in "biuf" or data.file.driver not in ("sec2", "stdio"):
        return data
    return np.memmap(data.file.filename, data.dtype, "r", offset, data.shape)
