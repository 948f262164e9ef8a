"""The picture of a measurement that an image analysis works on: without information bar, and only what was measured."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import as_image, as_pixels
from emcore.core.wording import count_of
from emcore.methods.power_spectra.infobar import info_bar_height
from emcore.scans.gaps import measured_part
from emcore.scans.images import select_image


@dataclass(frozen=True, eq=False)
class Picture:
    """What is analysed of an image, and what is not.

    Attributes
    ----------
    image : Signal
        All of it, of a pixel type, with axes y and x in one unit.
    pixels : ndarray, shape (H, W)
        The part that is analysed; finite.
    part : (slice, slice)
        Where that is in the image.
    bar : int
        Rows of an information bar that was left out.
    n_empty : int
        Pixels of lines and columns at the edges without a measurement.
    notes, axes_notes : tuple of str
        What was decided; what of the units of the axes.
    """

    image: Signal
    pixels: NDArray[Any]
    part: tuple[slice, slice]
    bar: int
    n_empty: int
    notes: tuple[str, ...]
    axes_notes: tuple[str, ...]

    @property
    def measured(self) -> NDArray[np.bool_] | None:
        """True where something was measured, and in the bar; None where that is everywhere."""
        if not self.n_empty:
            return None
        shape = self.image.shape
        measured = np.zeros(shape, dtype=bool)
        measured[self.part] = measured[shape[0] - self.bar :] = True
        return measured


def picture_of(
    signal: Signal, frame: int | tuple[int, ...] | None, include_info_bar: bool, lines: int, **options: Any
) -> Picture:
    """The picture in a measurement.

    Parameters
    ----------
    signal : Signal
        An image, or a stack of which one is taken; see `emcore.scans.images.select_image`.
    frame : int or tuple of int, optional
    include_info_bar : bool
        Whether an information bar below the picture counts as picture.
    lines : int
        So many lines of one value at an edge are no picture.
    **options
        Of `select_image`.

    Raises
    ------
    ValueError
        NaN or infinity but in whole lines or columns at the edges; not 2-D, or empty.
    TypeError
        Complex numbers, objects or strings.

    Examples
    --------
    >>> from emcore.io.read import as_signal
    >>> from emcore.scans.pictures import picture_of
    >>> values = np.arange(80.0).reshape(8, 10)
    >>> values[6:] = np.nan
    >>> picture = picture_of(as_signal(values), None, False, 4)
    >>> picture.pixels.shape, picture.n_empty
    ((6, 10), 20)
    """
    selected, notes = select_image(signal, frame, **options)
    pixels = as_pixels(selected.data, "image", 2)
    bar = 0 if include_info_bar else info_bar_height(pixels, signal.metadata.get("information_bar", 0))
    whole = pixels[: pixels.shape[0] - bar]
    # What is asked for with its bar has lines of one value.
    part = measured_part(whole, whole.size if include_info_bar else lines)
    picture = _finite(whole, part)
    axes, axes_notes = _common_units(selected.axes)
    if bar:
        notes += (
            f"an information bar below the picture, {count_of(bar, 'row')}, was left out: "
            "include_info_bar=True analyses it",
        )
    n_empty = whole.size - picture.size
    if n_empty:
        notes += (f"{n_empty} of {whole.size} pixels are empty, lines or columns at the edges: they take no part",)
    return Picture(replace(selected, data=pixels, axes=axes), picture, part, bar, n_empty, notes, axes_notes)


def _finite(picture: NDArray[Any], part: tuple[slice, slice]) -> NDArray[Any]:
    """That part of a picture, without NaN and infinity."""
    try:
        return as_image(picture[part])
    except ValueError:
        rest = np.zeros_like(picture)
        rest[part] = picture[part]
        return as_image(rest)[part]  # which names the place in the whole picture


def _common_units(axes: tuple[Axis, ...]) -> tuple[tuple[Axis, Axis], tuple[str, ...]]:
    y, x = (replace(axis, name=name) for axis, name in zip(axes, ("y", "x"), strict=True))
    if y.units == x.units:
        return (y, x), ()
    note = f"y is in {y.units}, x in {x.units}: lengths are given in pixels"
    return (Axis("y", y.size), Axis("x", x.size)), (note,)
