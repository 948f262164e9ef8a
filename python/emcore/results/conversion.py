"""The arrays of a result as an xarray Dataset."""

import dataclasses
from typing import Any

import numpy as np

from emcore.core.extras import install
from emcore.core.signals import Axis, Signal
from emcore.results.fields import array_fields, field_text


def to_xarray(result: Any) -> Any:
    """See `emcore.results.result.Result.to_xarray`."""
    try:
        import xarray
    except ImportError as error:
        raise ImportError(f"a Dataset needs xarray: {install('xarray')}") from error
    fields = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    arrays = [(n, axes, fields[n]) for n, axes, _ in array_fields(result)]
    arrays += [(n, v.axes, np.asarray(v.data)) for n, v in fields.items() if isinstance(v, Signal)]
    seen: dict[str, Axis] = {}
    variables = {}
    for name, axes, values in arrays:
        dims = []
        for axis in (dataclasses.replace(axis, navigation=False) for axis in axes):
            own = axis.name if seen.setdefault(axis.name, axis) == axis else f"{name}_{axis.name}"
            seen.setdefault(own, axis)
            dims.append(own)
        known = name if isinstance(fields[name], Signal) else field_text(result, name, "long_name") or name
        units = "" if isinstance(fields[name], Signal) else field_text(result, name, "units")
        variables[name] = (dims, values, {"long_name": known, **({"units": units} if units else {})})
    coordinates = {name: (name, axis.values, {"units": axis.units}) for name, axis in seen.items()}
    record = result.provenance
    about = {"method": record.method, "input": record.input_name, "emcore": record.versions.get("emcore", "")}
    return xarray.Dataset(variables, coordinates, about)
