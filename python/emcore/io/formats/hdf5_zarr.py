"""HDF5 files and Zarr stores: which program wrote one, by what is in it, and every data set in it."""

from pathlib import Path
from typing import Any

import numpy as np

from emcore.core.extras import install
from emcore.core.signals import Axis, Signal, default_axes
from emcore.io.errors import BadFile
from emcore.io.formats.hdf5 import apex, dectris, delmic, ebsd, emd, hyperspy, nexus, nion, plain, usid, velox
from emcore.io.formats.hdf5.arrays import Access, axis_of_values, contents, is_numeric, texts
from emcore.io.formats.hdf5.plain import units_of
from emcore.io.formats.hdf5.reach import check_reach
from emcore.io.optional import zarr_module


def read_hdf5(path: Path, lazy: bool, stored: bool = False) -> list[Signal]:
    """
    Every data set of an HDF5 file, with the axes that the program that wrote it gave them; whatever its ending.

    Lazily those in one piece are memory maps and the others Dask arrays or, if `stored`, left as they are.

    Parameters
    ----------
    path : Path
    lazy, stored : bool

    Returns
    -------
    list of Signal
        In the file's order of axes.

    Raises
    ------
    ValueError
        If the file is a result of emcore, links to a file that is missing, or is of a newer format.
    ImportError
        If h5py, or a package that decodes its data, is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"reading {path.name} needs h5py: {install('hdf5')}") from error
    check_reach(path)
    file = h5py.File(path, "r")
    try:
        signals = _read(file, path, Access(lazy, stored))
    except BaseException:
        file.close()
        raise
    if not lazy:  # it stays open for what was left in it
        file.close()
    return signals


def _read(file: Any, path: Path, access: Access) -> list[Signal]:
    if "emcore_result" in getattr(file.get("entry"), "attrs", {}):
        raise BadFile(f"{path} is a result of emcore: read it with emcore.load_result")
    if hyperspy.is_hyperspy(file):
        return hyperspy.read_hyperspy(file, path, access)
    if velox.is_velox(file):
        return velox.read_velox(file, path, access.lazy)
    if dectris.is_dectris(file):
        return dectris.read_dectris(file, path, access)
    if delmic.acquisitions(file):
        return delmic.read_delmic(file, path, access)
    observed = contents(file, path)
    for read in (usid.read_usid, emd.read_emd, ebsd.read_ebsd, apex.read_apex, nion.read_nion, nexus.read_nexus):
        signals = read(observed, access)
        if signals:
            return signals
    return plain.read_plain(observed, access)


def read_zarr(path: Path, lazy: bool, stored: bool = False) -> list[Signal]:
    """A Zarr array, every array of a group, or HyperSpy's signals in one; lazily as of `read_hdf5`."""
    zarr = zarr_module()
    place = zarr.storage.ZipStore(path, mode="r") if path.is_file() else str(path)
    access = Access(lazy, stored)
    try:
        # Metadata of all its arrays at once would have to be understood, also of those that nobody wants.
        store = zarr.open_group(place, mode="r", use_consolidated=False)
    except (zarr.errors.ContainsArrayError, FileNotFoundError):
        array = zarr.open_array(place, mode="r")
        return [access.signal(array, _axes(array, {}, ""), path.stem)]
    if hyperspy.is_hyperspy(store):
        return hyperspy.read_hyperspy(store, path, access)
    observed = contents(store, path)
    arrays = {
        name: array for name, array in observed.arrays.items() if is_numeric(array) and not _is_scale(array, name)
    }
    if observed.broken and not arrays:
        raise BadFile(f"{path} holds no data that can be read: {observed.broken[0]}")
    return [access.signal(array, _axes(array, observed.arrays, name), name) for name, array in arrays.items()]


def _names(array: Any) -> list[str]:
    """The names of the dimensions of a Zarr array: of Zarr 3, or as xarray notes them in Zarr 2."""
    return texts(getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ())


def _is_scale(array: Any, name: str) -> bool:
    return _names(array) == [name.rpartition("/")[2]]


def _axes(array: Any, arrays: dict[str, Any], name: str) -> list[Axis]:
    """The axes of a Zarr array; their positions are in arrays of their names beside it."""
    names, shape = _names(array), tuple(array.shape)
    if len(names) != len(shape) or not any(names):
        return list(default_axes(shape))
    axes = []
    for i, (each, size) in enumerate(zip(names, shape, strict=True)):
        scale: Any = arrays.get(f"{name[: name.rfind('/') + 1]}{each}")
        fits = scale is not None and tuple(scale.shape) == (size,) and scale.dtype.kind in "iuf"
        values = np.asarray(scale[...]) if fits else None
        axes.append(axis_of_values(each, size, values, units_of(scale) if fits else "", i < len(shape) - 2))
    return axes
