"""Packages that are extras: imported when they are used, with an error that names the extra."""

import importlib
from typing import Any


def dask_array() -> Any:
    """Dask's arrays, where they are installed."""
    try:
        return importlib.import_module("dask.array")
    except ImportError as error:
        raise ImportError("lazy=True needs Dask for this format: pip install emcore[dask]") from error


def h5py_module() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ImportError("EMD files need h5py: pip install emcore[hdf5]") from error


def skimage_module(name: str) -> Any:
    """A module of scikit-image, as "measure"."""
    try:
        return importlib.import_module(f"skimage.{name}")
    except ImportError as error:
        raise ImportError("this needs scikit-image: pip install emcore[image]") from error


def umap_module() -> Any:
    try:
        return importlib.import_module("umap")
    except ImportError as error:
        raise ImportError("a map by UMAP needs umap-learn: pip install emcore[umap]") from error


def zarr_module() -> Any:
    try:
        return importlib.import_module("zarr")
    except ImportError as error:
        raise ImportError("reading Zarr stores needs Zarr: pip install emcore[zarr]") from error
