"""Measurements that are in memory already, as a `Signal`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal, default_axes, name_axes, plain_colour, tidy_axes
from emcore.core.sparse import is_sparse
from emcore.core.units import tidy_units
from emcore.io.errors import explained
from emcore.io.instrument import about


def signal_of(obj: Any, title: str = "") -> Signal:
    """An array or a HyperSpy signal as `emcore.as_signal` makes it a `Signal`."""
    if hasattr(obj, "axes_manager") and hasattr(obj, "data"):
        return _from_hyperspy(obj, title)
    if type(obj).__module__.partition(".")[0] == "xarray":
        return _from_xarray(obj, title)
    if is_sparse(obj):
        raise TypeError("data is a sparse matrix; give a dense array, for example data.toarray()")
    if np.ma.isMaskedArray(obj) and np.ma.is_masked(obj):
        raise ValueError("the array has masked values: fill them first, for example with array.filled(array.mean())")
    stored = hasattr(obj, "dtype") and type(obj).__module__.partition(".")[0] in ("h5py", "zarr")
    lazy = stored or (hasattr(obj, "dask") and hasattr(obj, "compute"))
    data = obj if lazy else (obj.view(np.ndarray) if np.ma.isMaskedArray(obj) else np.asanyarray(obj))
    data = plain_colour(data)
    if data.dtype.kind not in "biufc":
        raise TypeError(f"data must be numbers, found dtype {data.dtype}: convert them first")
    if data.ndim == 0:
        raise ValueError("data have no dimension: a single number is no measurement")
    return Signal(data, default_axes(tuple(data.shape)), title=title)


def _from_hyperspy(obj: Any, title: str) -> Signal:
    axes = []
    for axis in obj.axes_manager._axes:
        name = axis.name if isinstance(axis.name, str) and axis.name else ""
        units, navigation = tidy_units(axis.units), bool(axis.navigate)
        scale, offset = getattr(axis, "scale", None), getattr(axis, "offset", None)
        if scale is None or offset is None:  # its points are listed, in no fixed step
            axes.append(Axis.from_values(name, axis.axis, units, navigation))
        else:
            axes.append(Axis(name, int(axis.size), float(scale), float(offset), units, navigation))
    data, named = plain_colour(obj.data), name_axes(tuple(axes))
    if data.ndim == len(named) + 1:
        named = (*named, Axis("colour", data.shape[-1]))
    said = obj.metadata.as_dictionary() if hasattr(obj, "metadata") else {}
    own = said.get("General", {}).get("title")
    return Signal(data, tidy_axes(named), title=str(own or title), metadata=about(said), flagged=True)


def _from_xarray(obj: Any, title: str) -> Signal:
    """A DataArray with its coordinates and units; which axes are navigation it does not say."""
    if not hasattr(obj, "dims") or not hasattr(obj, "data"):
        raise TypeError(f"{type(obj).__name__} of xarray holds several arrays: give one, {list(obj)}")
    plain = signal_of(obj.data, str(obj.name or title))
    axes = []
    for axis, name in zip(plain.axes, obj.dims, strict=True):
        if name in obj.coords and obj.coords[name].dtype.kind in "iuf":
            along = obj.coords[name]
            units = tidy_units(along.attrs.get("units"))
            axes.append(Axis.from_values(str(name), along.values, units, axis.navigation))
        else:
            axes.append(Axis(str(name), axis.size, navigation=axis.navigation))
    said = {"quantity": obj.attrs.get("long_name"), "units": obj.attrs.get("units")}
    metadata = {key: str(value) for key, value in said.items() if value}
    return Signal(plain.data, tidy_axes(name_axes(tuple(axes))), title=plain.title, metadata=metadata)


def computed(signal: Signal, values: Any) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except Exception as error:  # values that were left in the file are decoded only now
        raise explained(error, signal.source or signal.name) from error
