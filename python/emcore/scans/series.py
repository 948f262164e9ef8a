"""A series of images of one region, over tilt, rotation, energy or time, as a profile at every position.

The images may have drifted: each is registered to the one before it by phase correlation, and moved by whole pixels,
so that values stay as the detector wrote them; what all images have in common is kept.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.documentation import documented
from emcore.core.signals import Signal
from emcore.core.validation import Floats, as_pixels
from emcore.core.wording import count_of
from emcore.io.convert import computed
from emcore.io.optional import skimage_module
from emcore.scans.axes import Arrangement, SignalAxis, arranged, one_signal_axis, picture_axes, scan_first
from emcore.scans.choosing import measurement
from emcore.scans.grids import scan_axes

# Parts of a pixel to which shifts are found.
_PARTS = 10


@documented()
def image_series(
    stack: Any, *, register: bool = False, signal_axis: int | str | None = None, dataset: str | int | None = None
) -> Signal:
    """Make a profile at every position of a stack of images of one region.

    Parameters
    ----------
    stack : array_like, Signal, HyperSpy signal or path
        Of shape (images, y, x), or with the axis of the series elsewhere as its axes tell. Held
        in memory in its own type.
    register : bool, default False
        Take drift out: the shift of each image against the one before it, by phase correlation
        (scikit-image) to a tenth of a pixel, added up; images are moved by whole pixels, and
        what not all of them show is left out.
    %(signal_axis)s
    %(dataset)s

    Returns
    -------
    Signal, shape (y, x, images)
        For `emcore.group_signals`. Its `metadata["shifts"]` are by how much along y and x each
        image lies off the first, in pixels, if it was registered.

    Raises
    ------
    ValueError
        No stack of at least three images; colour; images that have nothing in common once they
        are moved.
    ImportError
        `register` without the extra `image`.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import deformed_series
    >>> sample = deformed_series(shape=(48, 64), drift=0.5)
    >>> profiles = emcore.image_series(sample.stack, register=True)
    >>> profiles.axes[-1].name, profiles.axes[-1].size
    ('angle', 45)
    """
    signal = measurement(stack, _suits_series, dataset)
    arrangement = _arrangement(signal, signal_axis)
    index = arrangement.inside[0]
    if signal.axes[index].size < 3:
        raise ValueError(f"stack has {count_of(signal.axes[index].size, 'image')}: a profile needs at least 3")
    signal = replace(signal, data=as_pixels(computed(signal, signal.data), "stack", 3))
    spoken = signal.axes[index]
    note = f"axes: series of {count_of(spoken.size, 'image')} along axis {index} ({spoken.name!r})"
    signal = scan_first(replace(signal, notes=(*signal.notes, note)), arrangement, "stack")
    *scan, along = signal.axes
    signal = replace(signal, axes=(*scan_axes(scan), along))
    return _registered(signal) if register else replace(signal, data=np.ascontiguousarray(signal.data))


def _suits_series(signal: Signal) -> int:
    """How well a data set is a series of images."""
    found = arranged(signal, _arrangement)
    return 0 if found is None or signal.axes[found.inside[0]].size < 3 else 1 + found.certain


def _arrangement(signal: Signal, signal_axis: SignalAxis = None) -> Arrangement:
    """Scan axes y and x, and the axis of the series."""
    if len(signal.axes) != 3:
        raise ValueError(f"stack has shape {signal.shape}; a series of images is needed, (images, y, x)")
    if signal_axis is not None:
        return one_signal_axis(signal, signal_axis, "stack")
    pictures, colour = picture_axes(signal, framed=True)
    if colour is not None:
        raise ValueError("stack is a picture in colour; a series of grey images is needed, (images, y, x)")
    return Arrangement(pictures.inside, pictures.scan, pictures.why, pictures.certain)


def _registered(signal: Signal) -> Signal:
    images = np.moveaxis(np.asarray(signal.data), -1, 0)
    off = drift_of(images)
    sizes = (images.shape[1], images.shape[2])
    starts, (height, width) = common_part(off, sizes)
    beyond = starts[0]
    moved: NDArray[Any] = np.empty((height, width, len(images)), dtype=images.dtype)
    for i, (down, right) in enumerate(starts):
        moved[..., i] = images[i, down : down + height, right : right + width]
    *scan, along = signal.axes
    cuts = zip(scan, beyond, (height, width), strict=True)
    axes = (*(axis.crop(int(start), int(start + size)) for axis, start, size in cuts), along)
    note = said_of_drift(off, (height, width), sizes)
    metadata = signal.metadata | {"shifts": off.tolist()}
    return replace(signal, data=moved, axes=axes, notes=(*signal.notes, note), metadata=metadata)


def drift_of(images: Sequence[NDArray[Any]] | NDArray[Any]) -> Floats:
    """By how much along y and x each image lies off the first, in pixels, shape (images, 2); read one after another.

    Raises
    ------
    ImportError
        Without the extra `image`.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.series import drift_of
    >>> image = np.add.outer(np.square(np.arange(32.0) - 12), np.square(np.arange(32.0) - 15)) < 30
    >>> drift_of(np.stack([image, np.roll(image, 2, axis=0)])).tolist()
    [[0.0, 0.0], [2.0, 0.0]]
    """
    phase_cross_correlation = skimage_module("registration").phase_cross_correlation
    off: Floats = np.zeros((len(images), 2))
    last = _centred(images[0])
    for i in range(1, len(images)):
        this = _centred(images[i])
        step = np.zeros(2)
        if last.any() and this.any():
            step = phase_cross_correlation(last, this, upsample_factor=_PARTS, normalization=None)[0]
        off[i], last = off[i - 1] - step, this
    return off


def common_part(off: Floats, sizes: tuple[int, int]) -> tuple[NDArray[np.intp], tuple[int, int]]:
    """Where in each image what all have in common begins, shape (images, 2), and how large it is, in whole pixels.

    Raises
    ------
    ValueError
        They have nothing in common.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.series import common_part
    >>> starts, size = common_part(np.array([[0.0, 0.0], [1.9, -3.0]]), (20, 30))
    >>> starts.tolist(), size
    ([[0, 3], [2, 0]], (18, 27))
    """
    whole = np.rint(off).astype(np.intp)
    lost = whole.max(axis=0) - whole.min(axis=0)
    if (lost >= np.array(sizes) - 2).any():
        raise ValueError(
            f"images lie up to {np.abs(off).max():.0f} px apart, more than leaves them anything in common of "
            f"{sizes[0]} x {sizes[1]} px: leave register out, or crop the series"
        )
    height, width = (int(size) for size in np.array(sizes) - lost)
    return whole - whole.min(axis=0), (height, width)


def said_of_drift(off: Floats, size: tuple[int, int], sizes: tuple[int, int]) -> str:
    """What is to be told of images that were moved onto one another."""
    largest = np.hypot(*(off.max(axis=0) - off.min(axis=0)))
    return (
        f"registered: images lie up to {largest:.1f} px apart; {size[0]} x {size[1]} of {sizes[0]} x {sizes[1]} "
        "px are in all of them"
    )


def _centred(image: NDArray[Any]) -> NDArray[np.float32]:
    """Less its mean, and falling to zero at its edges, which are not the same in two images."""
    values = image.astype(np.float32)
    taper = [np.sin(np.pi * (np.arange(size) + 0.5) / size, dtype=np.float32) for size in image.shape]
    centred: NDArray[np.float32] = (values - values.mean(dtype=np.float64)) * taper[0][:, None] * taper[1]
    return centred.astype(np.float32)
