"""Packages that are extras: imported when they are used, with an error that names the extra."""

import importlib
from typing import Any

from emcore.core.extras import install


def dask_array() -> Any:
    """Dask's arrays, where they are installed."""
    try:
        return importlib.import_module("dask.array")
    except ImportError as error:
        raise ImportError(f"lazy=True needs Dask for this format: {install('dask')}") from error


def h5py_module() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ImportError(f"EMD files need h5py: {install('hdf5')}") from error


def skimage_module(name: str) -> Any:
    """A module of scikit-image, as "measure"."""
    try:
        return importlib.import_module(f"skimage.{name}")
    except ImportError as error:
        raise ImportError(f"this needs scikit-image: {install('image')}") from error


def umap_module() -> Any:
    try:
        return importlib.import_module("umap")
    except ImportError as error:
        raise ImportError(f"a map by UMAP needs umap-learn: {install('umap')}") from error


def zarr_module() -> Any:
    try:
        return importlib.import_module("zarr")
    except ImportError as error:
        raise ImportError(f"reading Zarr stores needs Zarr: {install('zarr')}") from error
