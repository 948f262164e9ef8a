"""The one grey image of a measurement: which axes are the picture, which frame of a stack, luminance of colour."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.memory import check_loaded
from emcore.core.signals import Axis, Signal, in_common_units
from emcore.io.convert import computed
from emcore.scans.axes import arranged, picture_axes, without_single_axes

# Rec. 709 luminance of red, green and blue.
LUMINANCE = (0.2126, 0.7152, 0.0722)

_ALL = 1 << 62


def suits_image(signal: Signal) -> int:
    """How well a data set is an image: 3 a calibrated picture, 2 another one, 1 a stack of them, 0 no picture.

    Examples
    --------
    >>> from emcore.io.read import as_signal
    >>> suits_image(as_signal(np.eye(8))), suits_image(as_signal(np.ones(8)))
    (2, 0)
    """
    arrangement = arranged(signal, lambda each: picture_axes(each)[0])
    if arrangement is None or any(signal.axes[i].size < 2 for i in arrangement.inside):
        return 0
    if any(signal.axes[i].size > 1 for i in arrangement.scan):
        return 1
    return 3 if all(signal.axes[i].calibrated for i in arrangement.inside) else 2


def select_image(
    signal: Signal, frame: int | tuple[int, ...] | None = None, memory: int | str | None = _ALL
) -> tuple[Signal, tuple[str, ...]]:
    """The one grey image an image analysis works on, and what was done to get it.

    Parameters
    ----------
    signal : Signal
        An image, a colour image (becomes luminance, Rec. 709; equal channels are one) or a stack of images.
    frame : int or tuple of int, optional
        Which image of a stack, counted from 0; one number per stack axis where there are several. Default: the
        first of a simple stack, which is said.
    memory : int or str, optional
        An image that is lazy or stored is loaded if it takes half of it or less. Default: whatever it takes.

    Returns
    -------
    image : Signal
        Two-dimensional with axes y and x, calibration kept, in one unit where both are lengths; an axis without a unit
        is in pixels.
    notes : tuple of str
        What was chosen or converted, for the result and the report.

    Raises
    ------
    ValueError
        If the data hold no image, or there is no such frame.
    MemoryError
        If the image takes more than half of `memory`.

    Examples
    --------
    >>> from emcore.io.read import as_signal
    >>> stack = as_signal(np.arange(50.0).reshape(2, 5, 5))
    >>> image, notes = select_image(stack, frame=1)
    >>> image.shape, notes
    ((5, 5), ('frame 1 of 2 (counted from 0) was analysed',))
    """
    notes: list[str] = []
    signal = without_single_axes(signal, 2)
    data, axes = signal.data, list(signal.axes)
    arrangement, colour = picture_axes(signal, framed=frame is not None)
    stack = arrangement.scan
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
    if not isinstance(data, np.ndarray):
        check_loaded(math.prod(data.shape) * data.dtype.itemsize, memory, "the image", "its analysis")
    data = computed(signal, data)
    if colour is not None:
        data, said = _luminance(np.moveaxis(data, colour, -1))
        notes.append(said)
        axes.pop(colour)
    if arrangement.inside[0] > arrangement.inside[1]:  # x is stored first
        data, axes = data.T, axes[::-1]
    return replace(signal, data=data, axes=plane_axes(axes)), tuple(notes)


def plane_axes(axes: Sequence[Axis], names: Sequence[str] = "yx") -> tuple[Axis, ...]:
    """Two axes of a picture, a pattern or a scan: so named, in one unit where they measure the same, else as they are.

    Examples
    --------
    >>> y, x = plane_axes((Axis("rows", 8, 2.0, units="A"), Axis("columns", 8, 1.0, units="nm")))
    >>> (y.name, y.scale, y.units), (x.name, x.scale, x.units)
    (('y', 0.2, 'nm'), ('x', 1.0, 'nm'))
    """
    named = tuple(
        replace(axis, name=name, navigation=False) if axis.calibrated else Axis(name, axis.size)
        for axis, name in zip(axes, names, strict=True)
    )
    return in_common_units(named) or named


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


def _luminance(data: NDArray[Any]) -> tuple[NDArray[Any], str]:
    red, green, blue = (data[..., i] for i in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red), "colour image with three equal channels: one was analysed"
    grey = sum(np.float32(weight) * channel for weight, channel in zip(LUMINANCE, (red, green, blue), strict=True))
    return np.asarray(grey, dtype=np.float32), "colour image: its luminance (Rec. 709) was analysed"
