"""What signals of references are, that arrays, a file or a result give, and which channels of a scan they have."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, as_pixels, check_finite
from emcore.io.read import as_signal
from emcore.results.result import Result, result_or_signal

# By so much of a channel may energies differ.
_TOLERANCE = 0.1


@dataclass(frozen=True, eq=False)
class References:
    """Signals with which others are compared.

    Attributes
    ----------
    signals : ndarray, shape (k, ...), float64
    phases : tuple of str, length k
        The name of the phase of each.
    channels : slice
        Of a spectrum those that the references have.
    names : tuple of str, length k
        Of each, no two the same: the name of its phase, or what its file calls it.
    sources : tuple of str, length k
        Where each comes from: a path, the input of a result, or what kind of thing it is.
    compared : bool
        Whether their energies were compared with those of the data, whose channels theirs are taken for otherwise.
    """

    signals: Floats
    phases: tuple[str, ...]
    channels: slice
    names: tuple[str, ...]
    sources: tuple[str, ...]
    compared: bool


def as_references(obj: Any, inside: Sequence[Axis], phases: Sequence[str] | None = None) -> References:
    """The references in what a user gives.

    Parameters
    ----------
    obj : array-like, Signal, HyperSpy signal, result, path, sequence or mapping
        Shape (k, ...) or that of one signal; of a result its mean signals or components; a file of either; several of
        these, each of one phase; or for the name of each phase one of these.
    inside : sequence of Axis
        Those of the signals that are compared with them.
    phases : sequence of str, optional
        The phase of each reference.

    Returns
    -------
    References

    Raises
    ------
    ValueError
        References of another shape or on another axis, NaN or infinity, names that are not as many as references.
    TypeError
        What holds no real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.core.signals import Axis
    >>> from emcore.results.references import as_references
    >>> as_references({"a": np.ones(9), "b": np.eye(2, 9)}, [Axis("channel", 9)]).phases
    ('a', 'b', 'b')
    """
    given = _several(obj)
    if not given:
        raise ValueError("references is empty: give one at least")
    parts = {name: _signals(each, inside) for name, each in given.items()}
    spans = {_channels(signal, inside) for signal in parts.values()}
    if len(spans) > 1:
        raise ValueError("references have different channels: give them on one axis")
    ((first, last, compared),) = spans
    arrays = [np.asarray(signal.data, dtype=np.float64) for signal in parts.values()]
    stacked = np.concatenate(arrays)
    sources = [_source(obj) for obj, each in zip(given.values(), arrays, strict=True) for _ in each]
    names = [name or f"phase {i + 1}" for name, each in zip(parts, arrays, strict=True) for i in range(len(each))]
    own = [own for name, signal in parts.items() for own in _own_names(name or _label(given[name]), signal)]
    if phases is not None:
        if isinstance(phases, str) or len(phases) != len(stacked):
            raise ValueError(f"phases={phases!r}: give a name for each of the {len(stacked)} references")
        names = [str(name) for name in phases]
    return References(stacked, tuple(names), slice(first, last), tuple(_distinct(own)), tuple(sources), compared)


def _several(obj: Any) -> dict[str, Any]:
    """The parts of what a user gives, by name; of a single one without a name."""
    if isinstance(obj, dict):
        return {str(name): each for name, each in obj.items()}
    if isinstance(obj, list | tuple) and (not obj or any(not isinstance(each, _NUMBERS) for each in obj)):
        labels = [_label(each) or f"reference {i + 1}" for i, each in enumerate(obj)]
        return dict(zip(_distinct(labels), obj, strict=True))
    return {"": obj}


# What a list of numbers holds, which is one array.
_NUMBERS = (int, float, np.generic, np.ndarray, list, tuple)


def _label(obj: Any) -> str:
    """What to call a reference by its file or title; "" where it has neither."""
    if isinstance(obj, str | os.PathLike):
        return Path(obj).stem
    if isinstance(obj, Result):
        return str(obj.provenance.method)
    obj = as_signal(obj) if hasattr(obj, "axes_manager") else obj
    return str(getattr(obj, "title", "")) or Path(getattr(obj, "source", "")).stem


def _own_names(name: str, signal: Signal) -> list[str]:
    """Of every reference of a part."""
    count = signal.shape[0]
    listed = signal.metadata.get("names", ())
    if isinstance(listed, list | tuple) and len(listed) == count:
        return [str(each) for each in listed]
    name = name or "reference"
    return [name] if count == 1 else [f"{name} {i + 1}" for i in range(count)]


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of which those that are there already have a number behind them."""
    distinct: list[str] = []
    for name in names:
        number, tried = 2, name
        while tried in distinct:
            tried, number = f"{name} ({number})", number + 1
        distinct.append(tried)
    return distinct


def _source(obj: Any) -> str:
    """Where it comes from, in words."""
    if isinstance(obj, str | os.PathLike):
        return str(obj)
    if isinstance(obj, Result):
        return f"{obj.provenance.method} of {obj.provenance.input_name}"
    return str(getattr(obj, "source", "")) or ("array" if not hasattr(obj, "axes") else "signal")


def _signals(obj: Any, inside: Sequence[Axis]) -> Signal:
    """Of shape (k, ...), with axes."""
    if isinstance(obj, str | os.PathLike):
        obj = result_or_signal(obj)
    if isinstance(obj, Result):
        return _of_result(obj, inside)
    signal = as_signal(obj if hasattr(obj, "shape") or hasattr(obj, "axes") else np.asarray(obj))
    data = as_pixels(signal.data, "references", tuple(range(1, 6)))
    check_finite(data.reshape(-1, data.shape[-1]), "references")
    axes = signal.axes[-len(inside) :]
    if data.ndim < len(inside):
        raise ValueError(f"references have shape {data.shape}; those of {_said(inside)} are needed")
    stacked = _stack(data.reshape(-1, *(axis.size for axis in axes)), axes)
    return replace(stacked, source=signal.source, title=signal.title, metadata=signal.metadata)


def _of_result(result: Any, inside: Sequence[Axis]) -> Signal:
    axes = getattr(getattr(result, "mean", None), "axes", ())
    for name in ("spectra", "signals"):
        values = getattr(result, name, None)
        if isinstance(values, np.ndarray) and axes:
            return _stack(values, axes)
        for signal in values if isinstance(values, tuple) else ():
            if len(signal.axes) == 1 + len(inside):
                return Signal(np.asarray(signal.data), signal.axes)
    raise ValueError(f"references: a result of {type(result).__name__} has no signals to compare with")


def _stack(values: NDArray[Any], axes: Sequence[Axis]) -> Signal:
    return Signal(values, (Axis("reference", len(values), navigation=True), *axes))


def _channels(references: Signal, inside: Sequence[Axis]) -> tuple[int, int, bool]:
    """The first channel that the references have, that behind the last, and whether energies say so."""
    own = references.axes[1:]
    sizes, needed = tuple(axis.size for axis in own), tuple(axis.size for axis in inside)
    if len(inside) == 1:
        (axis,), (other,) = inside, own
        known = axis.calibrated and other.calibrated
        other = other.to(axis.units) or other if known else other
        known = known and other.units == axis.units
        if known and not (axis.even and other.even):
            near = _TOLERANCE * np.abs(np.gradient(axis.values)) if axis.size > 1 else 0.0
            if axis.size == other.size and (np.abs(axis.values - other.values) <= near).all():
                return 0, axis.size, True
            raise ValueError(_elsewhere(axis, other))
        if known:
            steps = (other.offset - axis.offset) / axis.scale
            first = round(steps)
            last = (other.values[-1] - axis.offset) / axis.scale
            fits = math.isclose(steps, first, abs_tol=_TOLERANCE)
            fits = fits and math.isclose(last, first + other.size - 1, abs_tol=_TOLERANCE)
            if fits and first >= 0 and first + other.size <= axis.size:
                return first, first + other.size, True
            raise ValueError(_elsewhere(axis, other))
    if sizes != needed:
        raise ValueError(f"references have shape {sizes} each; {_said(inside)} are needed")
    return 0, needed[0], False


def _elsewhere(axis: Axis, other: Axis) -> str:
    return (
        f"references have {other.size} channels from {other.values[0]:.6g} to {other.values[-1]:.6g} {other.units}, "
        f"which are not among those of the scan, {axis.size} from {axis.values[0]:.6g} to {axis.values[-1]:.6g}: "
        "interpolate them"
    )


def _said(inside: Sequence[Axis]) -> str:
    return " x ".join(f"{axis.size} along {axis.name}" for axis in inside)
