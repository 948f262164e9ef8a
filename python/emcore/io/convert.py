"""Measurements that are in memory already, as a `Signal`; and the one grey image of a signal."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal, default_axes, name_axes, plain_colour, tidy_axes
from emcore.core.units import tidy_units

# Rec. 709 luminance of red, green and blue.
LUMINANCE = (0.2126, 0.7152, 0.0722)


class BadFile(ValueError):
    """A finding about a file, said in our words already."""


def signal_of(obj: Any, title: str = "") -> Signal:
    """An array or a HyperSpy signal as `emcore.as_signal` makes it a `Signal`."""
    if hasattr(obj, "axes_manager") and hasattr(obj, "data"):
        return _from_hyperspy(obj, title)
    if np.ma.isMaskedArray(obj) and np.ma.is_masked(obj):
        raise ValueError("the array has masked values: fill them first, for example with array.filled(array.mean())")
    lazy = hasattr(obj, "dask") and hasattr(obj, "compute")
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
    data = plain_colour(obj.data)
    if data.ndim == len(axes) + 1:
        axes.append(Axis("colour", data.shape[-1]))
    general = obj.metadata.get_item("General.title", default="") if hasattr(obj, "metadata") else ""
    return Signal(data, tidy_axes(name_axes(tuple(axes))), title=str(general or title), flagged=True)


def select_image(signal: Signal, frame: int | tuple[int, ...] | None = None) -> tuple[Signal, tuple[str, ...]]:
    """The one grey image an image analysis works on, and what was done to get it.

    Parameters
    ----------
    signal : Signal
        An image, a colour image (becomes luminance, Rec. 709; equal channels are one) or a stack of images.
    frame : int or tuple of int, optional
        Which image of a stack, counted from 0; one number per stack axis where there are several. Default: the
        first of a simple stack, which is said.

    Returns
    -------
    image : Signal
        Two-dimensional with axes y and x, calibration kept; an axis without a unit is in pixels.
    notes : tuple of str
        What was chosen or converted, for the result and the report.

    Raises
    ------
    ValueError
        If the data hold no image, or there is no such frame.

    Examples
    --------
    >>> stack = signal_of(np.arange(50.0).reshape(2, 5, 5))
    >>> image, notes = select_image(stack, frame=1)
    >>> image.shape, notes
    ((5, 5), ('frame 1 of 2 (counted from 0) was analysed',))
    """
    notes: list[str] = []
    data, axes = signal.data, list(signal.axes)
    for i in reversed(range(len(axes))):  # axes of one point say nothing
        if axes[i].size == 1 and len(axes) > 2:
            data, _ = data.reshape(data.shape[:i] + data.shape[i + 1 :]), axes.pop(i)
    colour = next((i for i, axis in enumerate(axes) if axis.name == "colour"), None)
    planes = [i for i, axis in enumerate(axes) if not axis.navigation and i != colour]
    if len(planes) == 1 and len(axes) == 3 and colour is None:
        raise ValueError(
            f"{signal.name} holds a spectrum of {axes[planes[0]].size} points at every position, not an image: "
            "choose another data set of the file with dataset=, or sum over the spectrum first"
        )
    if len(axes) - (colour is not None) < 2:
        raise ValueError(f"{signal.name} has shape {signal.shape}: an image needs two dimensions")
    if len(planes) != 2:  # nothing tells pictures from positions: the last two axes are the picture
        planes = [i for i in range(len(axes)) if i != colour][-2:]
    stack = [i for i in range(len(axes)) if i not in planes and i != colour]
    if stack:
        index = _frame_index(signal.name, tuple(axes[i].size for i in stack), frame)
        sizes = " x ".join(str(axes[i].size) for i in stack)
        where = index[0] if len(index) == 1 else index
        first = f"stack of {sizes} images: the first was analysed, choose another with frame="
        notes.append(first if frame is None else f"frame {where} of {sizes} (counted from 0) was analysed")
        picked = dict(zip(stack, index, strict=True))
        data = data[tuple(picked.get(i, slice(None)) for i in range(len(axes)))]
        remaining = [i for i in range(len(axes)) if i not in stack]
        colour = None if colour is None else remaining.index(colour)
        axes = [axes[i] for i in remaining]
    elif frame not in (None, 0, (0,)):
        raise ValueError(f"frame={frame} was asked for, but {signal.name} holds one image: leave frame out")
    data = computed(signal, data)
    if colour is not None:
        data, said = _luminance(np.moveaxis(data, colour, -1))
        notes.append(said)
        axes.pop(colour)
    plane = tuple(
        replace(axis, name=name, navigation=False) if axis.calibrated else Axis(name, axis.size)
        for name, axis in zip("yx", axes, strict=True)
    )
    return replace(signal, data=data, axes=plane), tuple(notes)


def _frame_index(name: str, sizes: tuple[int, ...], frame: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if frame is None:
        if len(sizes) == 1:
            return (0,)
        raise ValueError(f"{name} holds {' x '.join(map(str, sizes))} images: say which with frame=(i, j), from 0")
    index = frame if isinstance(frame, tuple | list) else (frame,)
    if not all(isinstance(i, int | np.integer) and not isinstance(i, bool) for i in index):
        raise TypeError(f"frame must be a whole number or a tuple of them, found {frame!r}")
    if len(index) != len(sizes) or not all(0 <= i < size for i, size in zip(index, sizes, strict=False)):
        allowed = " and ".join(f"0..{size - 1}" for size in sizes)
        raise ValueError(f"frame={frame} is not in {name}: it has {' x '.join(map(str, sizes))} images, use {allowed}")
    return tuple(int(i) for i in index)


def computed(signal: Signal, values: Any) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except Exception as error:  # values that were left in the file are decoded only now
        raise ValueError(f"{signal.source or signal.name} cannot be read: truncated or damaged ({error})") from error


def _luminance(data: NDArray[Any]) -> tuple[NDArray[Any], str]:
    red, green, blue = (data[..., i] for i in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red), "colour image with three equal channels: one was analysed"
    grey = sum(np.float32(weight) * channel for weight, channel in zip(LUMINANCE, (red, green, blue), strict=True))
    return np.asarray(grey, dtype=np.float32), "colour image: its luminance (Rec. 709) was analysed"
