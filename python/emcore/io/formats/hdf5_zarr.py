"""HDF5 files and Zarr stores: which program wrote one, by what is in it, and every data set in it."""

from pathlib import Path
from typing import Any

from emcore.core.signals import Signal, default_axes
from emcore.io.errors import BadFile
from emcore.io.formats.hdf5 import dectris, delmic, ebsd, emd, hyperspy, nexus, plain, usid, velox
from emcore.io.formats.hdf5.arrays import Access, contents, is_numeric
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
        raise ImportError(f"reading {path.name} needs h5py: pip install emcore[hdf5]") from error
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
        return velox.read_velox(path, access.lazy)
    if dectris.is_dectris(file):
        return dectris.read_dectris(file, path, access)
    if delmic.acquisitions(file):
        return delmic.read_delmic(file, path, access)
    found = contents(file, path)
    for read in (usid.read_usid, emd.read_emd, ebsd.read_ebsd, nexus.read_nexus):
        signals = read(found, access)
        if signals:
            return signals
    return plain.read_plain(found, access)


def read_zarr(path: Path, lazy: bool, stored: bool = False) -> list[Signal]:
    """A Zarr array, every array of a group, or HyperSpy's signals in one; lazily as of `read_hdf5`."""
    zarr = zarr_module()
    store = zarr.open(zarr.storage.ZipStore(path, mode="r") if path.is_file() else str(path), mode="r")
    access = Access(lazy, stored)
    if not hasattr(store, "dtype") and hyperspy.is_hyperspy(store):
        return hyperspy.read_hyperspy(store, path, access)
    arrays = {path.stem: store} if hasattr(store, "dtype") else contents(store, path).arrays
    return [_plain(array, name, access) for name, array in arrays.items() if is_numeric(array)]


def _plain(array: Any, title: str, access: Access) -> Signal:
    data = access.take(array)
    return Signal(data, default_axes(tuple(data.shape)), title=title)
