"""What signals of references are, that arrays, a file or a result give, and which channels of a scan they have."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
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
    """

    signals: Floats
    phases: tuple[str, ...]
    channels: slice


def as_references(obj: Any, inside: Sequence[Axis], phases: Sequence[str] | None = None) -> References:
    """The references in what a user gives.

    Parameters
    ----------
    obj : array-like, Signal, HyperSpy signal, result, path or mapping
        Shape (k, ...) or that of one signal; of a result its mean signals or components; a file of either; or for the
        name of each phase one of these.
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
    parts = {str(name): _signals(each, inside) for name, each in obj.items()} if isinstance(obj, dict) else {}
    if not isinstance(obj, dict):
        parts[""] = _signals(obj, inside)
    if not parts:
        raise ValueError("references is empty: give one at least")
    spans = {_channels(signal, inside) for signal in parts.values()}
    if len(spans) > 1:
        raise ValueError("references have different channels: give them on one axis")
    (span,) = spans
    arrays = [np.asarray(signal.data, dtype=np.float64) for signal in parts.values()]
    stacked = np.concatenate(arrays)
    names = [name for name, each in zip(parts, arrays, strict=True) for _ in each]
    if not isinstance(obj, dict):
        names = [f"phase {i + 1}" for i in range(len(stacked))]
    if phases is not None:
        if isinstance(phases, str) or len(phases) != len(stacked):
            raise ValueError(f"phases={phases!r}: give a name for each of the {len(stacked)} references")
        names = [str(name) for name in phases]
    return References(stacked, tuple(names), slice(*span))


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
    return _stack(data.reshape(-1, *(axis.size for axis in axes)), axes)


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


def _channels(references: Signal, inside: Sequence[Axis]) -> tuple[int, int]:
    """The first channel that the references have, and that behind the last."""
    own = references.axes[1:]
    sizes, needed = tuple(axis.size for axis in own), tuple(axis.size for axis in inside)
    if len(inside) == 1:
        (axis,), (other,) = inside, own
        known = axis.calibrated and other.calibrated and axis.even and other.even
        other = other.to(axis.units) or other if known else other
        if known and other.units == axis.units:
            steps = (other.offset - axis.offset) / axis.scale
            first = round(steps)
            last = (other.values[-1] - axis.offset) / axis.scale
            fits = math.isclose(steps, first, abs_tol=_TOLERANCE)
            fits = fits and math.isclose(last, first + other.size - 1, abs_tol=_TOLERANCE)
            if fits and first >= 0 and first + other.size <= axis.size:
                return first, first + other.size
            raise ValueError(
                f"references have {other.size} channels from {other.values[0]:.6g} to {other.values[-1]:.6g} "
                f"{other.units}, which are not among those of the scan, {axis.size} from {axis.values[0]:.6g} to "
                f"{axis.values[-1]:.6g}: interpolate them"
            )
    if sizes != needed:
        raise ValueError(f"references have shape {sizes} each; {_said(inside)} are needed")
    return 0, needed[0]


def _said(inside: Sequence[Axis]) -> str:
    return " x ".join(f"{axis.size} along {axis.name}" for axis in inside)
