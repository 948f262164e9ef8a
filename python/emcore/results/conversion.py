"""Arrays of a result as other packages hold them: HyperSpy signals, an xarray Dataset."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.results.fields import array_fields, field_text


def to_hyperspy(
    array: NDArray[Any],
    axes: Sequence[Axis],
    title: str = "",
    signal_axes: int = 2,
    instrument: dict[str, Any] | None = None,
) -> Any:
    """A HyperSpy signal of an array: the last `signal_axes` axes are signal axes, those before navigation.

    With what is known of the instrument, see `emcore.core.provenance.Provenance`, it is of its kind ("EDS_TEM",
    "electron_diffraction"), for which the package is needed that makes such signals.
    """
    try:
        from hyperspy import signals
    except ImportError as error:
        raise ImportError("HyperSpy signals need hyperspy: pip install emcore[hyperspy]") from error
    kind = {1: signals.Signal1D, 2: signals.Signal2D}.get(signal_axes, signals.BaseSignal)
    of_kind = (instrument or {}).get("signal_type", "")
    if of_kind.startswith("EDS"):  # in keV, as all packages for it have it
        axes = [axis.to("keV") or axis for axis in axes]
    described = [_described(axis, navigate=i < len(axes) - signal_axes) for i, axis in enumerate(axes)]
    signal = kind(array, axes=described, metadata={"General": {"title": title}})
    if of_kind:
        signal.metadata.Signal.signal_type = of_kind
        signal = _of_kind(signal, of_kind)
    signal.metadata.add_dictionary({key: each for key, each in (instrument or {}).items() if key != "signal_type"})
    return signal


def _of_kind(signal: Any, kind: str) -> Any:
    """Of the class for such signals, where it is installed."""
    from hyperspy.extensions import ALL_EXTENSIONS

    if any(known["signal_type"] == kind for known in ALL_EXTENSIONS["signals"].values()):
        signal.set_signal_type(kind)
    return signal


def _described(axis: Axis, navigate: bool) -> dict[str, Any]:
    where = {"scale": axis.scale, "offset": axis.offset} if axis.even else {"axis": axis.values}
    units = {"units": axis.units} if axis.units else {}
    return {"name": axis.name, "size": axis.size, "navigate": navigate} | where | units


def to_xarray(result: Any) -> Any:
    """See `emcore.results.result.Result.to_xarray`."""
    try:
        import xarray
    except ImportError as error:
        raise ImportError("a Dataset needs xarray: pip install emcore[xarray]") from error
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
