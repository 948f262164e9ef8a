"""Which result classes there are, and what the fields of a result declare."""

import dataclasses
from importlib import import_module
from typing import Any

import numpy as np

from emcore.core.signals import Axis
from emcore.results import RESULT_CLASSES

_CLASSES: dict[str, type[Any]] = {}


def register(cls: type[Any]) -> None:
    """Make a result class known by its name, by which `load_result` finds it."""
    _CLASSES[cls.__name__] = cls


def result_class(name: str) -> type[Any] | None:
    """The result class of that name, imported if need be; None for a name that is not known.

    What is imported is listed in `emcore.results`; a file decides nothing but which of these.
    """
    if name not in _CLASSES and name in RESULT_CLASSES:
        import_module(f"emcore.results.{RESULT_CLASSES[name]}")
    return _CLASSES.get(name)


def array_fields(result: Any) -> list[tuple[str, tuple[Axis, ...], int]]:
    """Name, axes and number of signal axes of every array field that is not itself a coordinate."""
    fields = {f.name: f for f in dataclasses.fields(result)}
    arrays = {n: getattr(result, n) for n in fields if isinstance(getattr(result, n), np.ndarray)}
    arrays_with_axes = []
    for name, array in arrays.items():
        declared, inside = (
            value(result) if callable(value) else value
            for value in (fields[name].metadata.get(key) for key in ("axes", "signal_axes"))
        )
        if declared is None:
            continue
        if len(declared) != array.ndim:
            raise ValueError(f"field {name} declares axes {declared} but has shape {array.shape}")
        inside = min(2, array.ndim) if inside is None else int(inside)
        axes = tuple(
            _declared_axis(result, axis, size, i < array.ndim - inside)
            for i, (axis, size) in enumerate(zip(declared, array.shape, strict=True))
        )
        arrays_with_axes.append((name, axes, inside))
    return arrays_with_axes


def field_text(result: Any, name: str, key: str) -> str:
    """`units` or `long_name` of a field: its declared string, or what the declared function makes of the result."""
    declared = next(f for f in dataclasses.fields(result) if f.name == name).metadata.get(key, "")
    return str(declared(result) if callable(declared) else declared)


def _declared_axis(result: Any, declared: str, size: int, navigation: bool) -> Axis:
    owner, _, name = declared.rpartition(".")
    if owner:
        axis: Axis = getattr(result, owner).axis(name)
        return dataclasses.replace(axis, navigation=navigation)
    values = getattr(result, declared, None)
    if isinstance(values, np.ndarray) and values.shape == (size,) and values.dtype.kind in "iuf":
        # An axis of a few computed coordinates: first value, mean step.
        scale = float(values[-1] - values[0]) / (size - 1) if size > 1 else 1.0
        offset = float(values[0]) if size else 0.0
        return Axis(declared, size, scale or 1.0, offset, field_text(result, declared, "units") or "px", navigation)
    return Axis(declared, size, units="", navigation=navigation)
