"""How measurements come in: `read` a file, or make a `Signal` of an array or a HyperSpy signal with `as_signal`.

`select_image` takes out of it the one grey image that an image analysis needs, and says what it did; `describe` tells a
person what is in a file. The file formats are decoded in `emcore.formats`.

Nothing read from a file is executed or unpickled.
"""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.signals import Axis, Signal, default_axes, name_axes, plain_colour, tidy_axes, tidy_units

# Rec. 709 luminance of red, green and blue.
LUMINANCE = (0.2126, 0.7152, 0.0722)


class BadFile(ValueError):
    """A finding about a file, said in our words already."""


def as_signal(obj: Any, *, title: str = "") -> Signal:
    """Make a `Signal` of whatever holds a measurement.

    Parameters
    ----------
    obj : array_like, Signal, hyperspy BaseSignal, str or Path
        An array or memory map (axes in pixels: the last two are y and x, those before are navigation, a last axis of 3
        or 4 is colour); a Signal, returned as it is; a HyperSpy signal, whose axes and units are kept and whose data,
        when lazy, are not computed; a path, which is read.
    title : str, default ""
        Name for data that have none.

    Returns
    -------
    Signal
        Its `data` are not copied.

    Raises
    ------
    TypeError
        If `obj` is no array of numbers.
    ValueError
        If it has no dimension, or masked values.

    Examples
    --------
    >>> as_signal(np.zeros((5, 8, 8))).axes[0]
    Axis(name='frame', size=5, scale=1.0, offset=0.0, units='px', navigation=True)
    """
    if isinstance(obj, Signal):
        return obj
    if isinstance(obj, str | os.PathLike):
        return read(obj)
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
    for found in obj.axes_manager._axes:
        scale, offset, units = getattr(found, "scale", None), getattr(found, "offset", None), found.units
        if scale is None or offset is None:  # a non-uniform axis: its points are listed, in no fixed step
            scale, offset, units = 1.0, 0.0, "px"
        name = found.name if isinstance(found.name, str) and found.name else ""
        axes.append(Axis(name, int(found.size), float(scale), float(offset), tidy_units(units), bool(found.navigate)))
    data = plain_colour(obj.data)
    if data.ndim == len(axes) + 1:
        axes.append(Axis("colour", data.shape[-1]))
    general = obj.metadata.get_item("General.title", default="") if hasattr(obj, "metadata") else ""
    return Signal(data, tidy_axes(name_axes(tuple(axes))), title=str(general or title))


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
    >>> stack = as_signal(np.arange(50.0).reshape(2, 5, 5))
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
        kept = [i for i in range(len(axes)) if i not in stack]
        colour = None if colour is None else kept.index(colour)
        axes = [axes[i] for i in kept]
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


def read(path: str | os.PathLike[str], lazy: bool = False, dataset: str | int | None = None) -> Signal:
    """Read a measurement from a file, with its calibration.

    Parameters
    ----------
    path : str or Path
        .tif, .npy, .npz, .ser, .emi, .emd, .dm3, .dm4, .hspy, .h5, .blo, .mib, .bcf, .zspy; the folders .zarr, .zspy.
    lazy : bool, default False
        Leave the data in the file: a memory map for .npy, uncompressed .tif and what .h5 holds in one piece, a Dask
        array for the others. Estimators take either, block by block.
    dataset : str or int, optional
        Which data set of a file that holds several, by its title or its number as `describe` lists them. Default: the
        largest image, and where there is none the largest stack or scan; in .npz and .h5, which hold arrays of any
        kind, the largest array.

    Returns
    -------
    Signal

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, truncated, not what its name says, or of a kind that is not read; if there is no such data
        set. The message names the file and what to do.
    ImportError
        If the extra `io` is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(folder + "/a.npy", np.zeros((4, 6), dtype=np.uint16))
    ...     read(folder + "/a.npy").shape
    (4, 6)
    """
    from emcore.formats import read_all

    found = read_all(Path(path), lazy)
    return found[_choose(str(path), found, dataset)]


def _choose(path: str, found: list[Signal], dataset: str | int | None) -> int:
    listing = ", ".join(f"{i}: {s.title or 'untitled'} {s.shape}" for i, s in enumerate(found))
    if dataset is None:
        mixed = Path(path).suffix.lower() in (".npz", ".h5", ".hdf5")
        return max(range(len(found)), key=lambda i: (_is_image(found[i]) and not mixed, math.prod(found[i].shape), -i))
    if not isinstance(dataset, str | int | np.integer):
        raise TypeError(f"dataset must be the name or the number of a data set, found {dataset!r}")
    if not isinstance(dataset, str) or dataset.isdigit():
        if not 0 <= int(dataset) < len(found):
            raise ValueError(f"{path} has no data set {dataset}; it holds {listing}")
        return int(dataset)
    matches = [i for i, s in enumerate(found) if s.title.lower() == dataset.lower()]
    if not matches:
        raise ValueError(f"{path} has no data set {dataset!r}; it holds {listing}")
    return matches[0]


def _is_image(signal: Signal) -> bool:
    return len(signal.axes) == 2 and not any(axis.navigation for axis in signal.axes)


def describe(signal: Any) -> str:
    """What is in a file or a signal, for a person to read.

    Parameters
    ----------
    signal : str, Path, Signal or anything `as_signal` takes

    Returns
    -------
    str
        Several lines: data sets, shape, type, calibrated axes, range of values, and the function that suits.

    Examples
    --------
    >>> print(describe(Signal(np.arange(6, dtype=np.uint8).reshape(2, 3), (Axis("y", 2), Axis("x", 3)), title="ramp")))
    ramp: (2, 3) uint8, image
      y     2 points, uncalibrated
      x     3 points, uncalibrated
      values 0 to 5
      use emcore.analyze_image, or `emcore image`
    """
    if isinstance(signal, str | os.PathLike):
        from emcore.formats import read_all

        found = read_all(Path(signal), lazy=True)
        default = _choose(str(signal), found, None)
        head = f"{signal}: {len(found)} data set{'s' if len(found) > 1 else ''}"
        marks = [" (read by default)" if len(found) > 1 and i == default else "" for i in range(len(found))]
        return "\n".join(
            [head, *(f"{i}{mark} {describe(s)}" for i, (s, mark) in enumerate(zip(found, marks, strict=True)))]
        )
    signal = as_signal(signal)
    kind, use = _suits(signal)
    lines = [f"{signal.title or signal.name}: {signal.shape} {signal.dtype}, {kind}"]
    for axis in signal.axes:
        lines.append(f"  {axis.name:<5} {axis.size} points, {_step(axis)}{' (navigation)' if axis.navigation else ''}")
    if signal.data.size and signal.dtype.kind in "biuf":
        low, high = (computed(signal, value).item() for value in (signal.data.min(), signal.data.max()))
        lines.append(f"  values {low:.6g} to {high:.6g}")
    return "\n".join([*lines, f"  {use}"])


def _step(axis: Axis) -> str:
    if axis.calibrated:
        return f"{axis.scale:.6g} {axis.units} per point, {abs(axis.scale) * axis.size:.4g} {axis.units} in all"
    if axis.units == "px":
        return "uncalibrated"
    return f"{axis.scale:.6g} per point from {axis.offset:.6g}, unit not given"


def _suits(signal: Signal) -> tuple[str, str]:
    image = "use emcore.analyze_image, or `emcore image`"
    navigation = sum(axis.navigation for axis in signal.axes)
    inside = len(signal.axes) - navigation
    if any(axis.name == "colour" for axis in signal.axes):
        return "colour image", f"{image}: its luminance is analysed"
    if navigation == 0 and inside == 2:
        return "image", image
    if navigation == 1 and inside == 2:
        return "stack of images", f"{image} with frame="
    if navigation and inside == 1:
        use = "use emcore.unmix, or `emcore unmix`, on spectra; emcore.cluster_curves, or `emcore curves`, on curves"
        return "spectrum or curve at every position", use
    if navigation and inside == 2:
        use = "use emcore.segment_grains or cluster_diffraction, `emcore grains` or `emcore diffraction`, on patterns"
        return "image or pattern at every position", use
    return f"{len(signal.axes)}-dimensional data", "use emcore.PCA or emcore.NMF on the rows"
