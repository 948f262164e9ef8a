"""Packages that are extras: imported when they are used, with an error that names the extra."""

import importlib
from typing import Any


def dask_array() -> Any:
    """Dask's arrays, where they are installed."""
    try:
        return importlib.import_module("dask.array")
    except ImportError as error:
        raise ImportError("lazy=True needs Dask for this format: pip install emcore[dask]") from error


def zarr_module() -> Any:
    try:
        return importlib.import_module("zarr")
    except ImportError as error:
        raise ImportError("reading Zarr stores needs Zarr: pip install emcore[zarr]") from error
