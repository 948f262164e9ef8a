"""What a measurement is here: an array, its calibrated axes, and where it came from.

Calibration is kept and never invented: an axis about which nothing is known is in pixels ("px").
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.hyperspy_signals import of_patterns, to_hyperspy
from emcore.core.units import LENGTHS, RECIPROCAL, factor, kind_of, tidy_units
from emcore.core.validation import as_numbers


@dataclass(frozen=True)
class Axis:
    """One axis of a measurement: point i lies at offset + i * scale, or where `points` says.

    Attributes
    ----------
    name : str
        What is measured along it ("y", "x", "frame", "energy").
    size : int
        Number of points.
    scale, offset : float
        Step between points and position of the first one, in `units`; on average where steps
        are not even.
    units : str
        "m", "um", "nm", "A", "1/nm", "eV", ...; "px" where nothing is known, "" where only the
        unit is not.
    navigation : bool
        True for an axis along which measurements are repeated (scan, frame), False inside one
        measurement.
    points : tuple of float, optional
        The position of every point, in `units`, where steps are not even; see `from_values`.

    Raises
    ------
    ValueError
        If there is another number of points than `size` says.

    Examples
    --------
    >>> Axis("x", 3, scale=0.5, units="nm").values
    array([0. , 0.5, 1. ])
    """

    name: str
    size: int
    scale: float = 1.0
    offset: float = 0.0
    units: str = "px"
    navigation: bool = False
    points: tuple[float, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.points is not None and len(self.points) != self.size:
            raise ValueError(f"axis {self.name!r} has {self.size} points, but values for {len(self.points)}")

    @classmethod
    def from_values(cls, name: str, values: ArrayLike, units: str = "px", navigation: bool = False) -> Self:
        """An axis whose points lie at these values: a scale and an offset where they are even,
        else point by point.

        Raises
        ------
        ValueError
            If they are not all finite, or there are none.

        Examples
        --------
        >>> Axis.from_values("energy", [2.0, 2.5, 3.0], "eV")
        Axis(name='energy', size=3, scale=0.5, offset=2.0, units='eV', navigation=False)
        >>> Axis.from_values("delay", [0.0, 1.0, 10.0], "ps").values
        array([ 0.,  1., 10.])
        """
        places = as_numbers(values, f"the points of axis {name!r}").ravel()
        if not places.size or not np.isfinite(places).all():
            raise ValueError(f"axis {name!r} needs finite values, one for each point")
        step = float(places[-1] - places[0]) / max(places.size - 1, 1)
        even = places + 0.0 if places.size < 2 else places[0] + step * np.arange(places.size)
        # Single precision, and decimals in a text, leave steps that differ a little.
        regular = bool(step) and np.abs(places - even).max() <= 1e-3 * abs(step)
        points = None if regular or places.size == 1 else tuple(places.tolist())
        scale = float(f"{step:.12g}") or 1.0
        return cls(name, places.size, scale, float(places[0]), units, navigation, points)

    @property
    def even(self) -> bool:
        """Whether the steps between points are all the same."""
        return self.points is None

    def crop(self, first: int, last: int) -> Self:
        """The axis of the points `first` to `last` - 1.

        Examples
        --------
        >>> Axis("energy", 100, 0.5, 10.0, "eV").crop(20, 30).offset
        20.0
        """
        start = float(f"{self.values[first]:.12g}") if last > first else self.offset
        points = None if self.points is None else self.points[first:last]
        return replace(self, size=last - first, offset=start, points=points)

    def to(self, units: str) -> Self | None:
        """The axis in other units; None where they measure something else.

        Examples
        --------
        >>> Axis("x", 3, 2.0, units="A").to("nm").scale
        0.2
        """
        times = factor(self.units, units)
        if times is None:
            return None
        if times == 1.0:
            return replace(self, units=units)
        # 15 digits: 1.82505e-06 m is 1.82505 um, not 1.8250499999999998 um.
        scale, offset = (float(f"{value * times:.15g}") for value in (self.scale, self.offset))
        points = None if self.points is None else tuple(value * times for value in self.points)
        return replace(self, scale=scale, offset=offset, units=units, points=points)

    @property
    def values(self) -> NDArray[np.float64]:
        """Position of every point, in `units`."""
        if self.points is not None:
            return np.array(self.points)
        return self.offset + self.scale * np.arange(self.size, dtype=np.float64)

    @property
    def calibrated(self) -> bool:
        """Whether the axis has a physical unit."""
        return self.units not in ("px", "")


@dataclass(frozen=True, eq=False)
class Signal:
    """A measurement: an array, one `Axis` per dimension, and where it came from.

    Attributes
    ----------
    data : ndarray
        The values as the detector wrote them; a memory map or a Dask array when read lazily.
    axes : tuple of Axis
        In the order of `data.shape`.
    source : str
        Path of the file it was read from; "" for data that came from memory.
    title : str
        Name of the data set in its file.
    metadata : dict
        What else is known and was asked for, as plain Python values.
    notes : tuple of str
        What was left out or put right when it was read, to be said with every result.
    flagged : bool
        Whether its maker says which axes are navigation; otherwise that was only assumed, from
        their order.

    Raises
    ------
    ValueError
        If the axes do not have the sizes of the data.
    TypeError
        If the data are no array, or the axes no `Axis`.

    Examples
    --------
    >>> signal = Signal(np.zeros((2, 3)), (Axis("y", 2), Axis("x", 3, 0.1, units="nm")))
    >>> signal.axis("x").units
    'nm'
    """

    data: Any
    axes: tuple[Axis, ...]
    source: str = ""
    title: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    flagged: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.axes, tuple | list) or not all(isinstance(axis, Axis) for axis in self.axes):
            raise TypeError(f"axes={self.axes!r}: an emcore.Axis for each dimension of the data is needed")
        if not hasattr(self.data, "shape") or not hasattr(self.data, "dtype"):
            raise TypeError(f"data is a {type(self.data).__name__}; an array is needed")
        sizes = tuple(axis.size for axis in self.axes)
        if sizes != tuple(self.data.shape):
            raise ValueError(f"axes have sizes {sizes}, the data have shape {tuple(self.data.shape)}: they must agree")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Signal):
            return NotImplemented
        same = (self.axes, self.source, self.title, self.metadata) == (
            other.axes,
            other.source,
            other.title,
            other.metadata,
        )
        return same and self.data.dtype == other.data.dtype and same_array(self.data, other.data)

    __hash__ = None  # type: ignore[assignment]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return tuple(self.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one value."""
        dtype: np.dtype[Any] = self.data.dtype
        return dtype

    @property
    def name(self) -> str:
        """Name to print: the file's, else the title, else "array"."""
        return Path(self.source).name if self.source else (self.title or "array")

    def axis(self, name: str) -> Axis:
        """The axis called `name`."""
        for axis in self.axes:
            if axis.name == name:
                return axis
        raise ValueError(f"there is no axis {name!r}; the axes are {[axis.name for axis in self.axes]}")

    def to_hyperspy(self) -> Any:
        """The measurement as a HyperSpy signal, with what its file says of microscope, detector
        and sample.

        Returns
        -------
        hyperspy BaseSignal
            With navigation axes first, lazy where the data are a Dask array, and of the class
            of its kind where the package is installed that has it: exSpy for spectra, pyxem for
            patterns, LumiSpy, kikuchipy. Patterns over reciprocal lengths are of electrons
            where their file says nothing.

        Raises
        ------
        ImportError
            If the extra `hyperspy` is not installed.

        Examples
        --------
        >>> x = Axis("x", 2, 3.0, units="nm", navigation=True)
        >>> signal = Signal(np.zeros((2, 5)), (x, Axis("Energy", 5)))
        >>> signal.to_hyperspy()
        <Signal1D, title: , dimensions: (2|5)>
        """
        order = sorted(range(len(self.axes)), key=lambda i: not self.axes[i].navigation)
        axes = [self.axes[i] for i in order]
        inside = sum(not axis.navigation for axis in axes)
        known = dict(self.metadata.get("instrument", {}))
        scanned = inside == 2 < len(axes) and all(kind_of(axis.units) == RECIPROCAL for axis in axes[-2:])
        known = of_patterns(known) if scanned else known
        data = self.data if hasattr(self.data, "transpose") else np.asarray(self.data[...])  # in a file that is open
        signal = to_hyperspy(data.transpose(order), axes, self.title, inside, known)
        general = {key: self.metadata[key] for key in ("date", "time") if self.metadata.get(key)}
        signal.metadata.add_dictionary({"General": general} if general else {})
        return signal

    def sha256(self, stop: Event | None = None) -> str:
        """SHA-256 of the source file's bytes; of type, shape and values for data from memory or
        a file that is gone.

        It is cut short, and means nothing, once `stop` is set.
        """
        digest, buffer = hashlib.sha256(), bytearray(1 << 20)
        try:
            with open(self.source, "rb", buffering=0) as file:
                while (size := file.readinto(buffer)) and not (stop and stop.is_set()):
                    digest.update(memoryview(buffer)[:size])
        except OSError:
            return array_sha256(np.asarray(self.data))
        return digest.hexdigest()


@contextmanager
def hashed(signal: Signal) -> Iterator[Callable[[], str]]:
    """Form the hash of a signal in a thread while the block works; what the block gets waits for it and gives it.

    Examples
    --------
    >>> signal = Signal(np.zeros(3), (Axis("x", 3),))
    >>> with hashed(signal) as digest:
    ...     digest() == signal.sha256()
    True
    """
    stop = Event()
    with ThreadPoolExecutor(1) as thread:
        try:
            yield thread.submit(signal.sha256, stop).result
        finally:
            stop.set()  # an error or Ctrl-C does not wait for the rest of a long file


def same_array(a: ArrayLike, b: ArrayLike) -> bool:
    """Whether two arrays have the same shape and values, NaN equal to NaN."""
    a, b = np.asarray(a), np.asarray(b)
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc"))


def array_sha256(array: NDArray[Any]) -> str:
    """SHA-256 of an array's type, shape and values in C order, without a copy of it.

    Examples
    --------
    >>> a = np.arange(6, dtype=np.uint8).reshape(2, 3)
    >>> array_sha256(a) == array_sha256(np.asfortranarray(a)) != array_sha256(a.T)
    True
    """
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    if array.flags.c_contiguous:
        flat = array.reshape(-1).view(np.uint8)
        for start in range(0, flat.size, 1 << 26):  # Ctrl-C is heard in between
            digest.update(flat[start : start + (1 << 26)].data)
    else:
        for part in array:
            digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def tidy_axes(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Axes in units that read well: metres become mm, um or nm; what is no calibration is dropped.

    No calibration is a scale that is not a number, or of a length that no microscope steps (below 10 fm, or half a
    metre and more: what programs write where they know nothing). A scale whose unit is not given is kept, with the
    unit "".
    """
    axes = tuple(_tidy_axis(axis) for axis in axes)
    metres = [abs(axis.scale) for axis in axes if axis.units == "m"]
    if not metres:
        return axes
    units = next((u for u, largest in (("nm", 1e-7), ("um", 1e-4), ("mm", 1e-1)) if min(metres) < largest), "m")
    return tuple(axis.to(units) or axis if axis.units == "m" else axis for axis in axes)


def _tidy_axis(axis: Axis) -> Axis:
    units = tidy_units(axis.units)
    number = math.isfinite(axis.scale) and axis.scale != 0 and math.isfinite(axis.offset)
    if not number or (units in LENGTHS and not _SHORTEST < abs(axis.scale) * LENGTHS[units] < _LONGEST):
        return Axis(axis.name, axis.size, navigation=axis.navigation)
    known = units != "px" or (axis.scale, axis.offset, axis.points) == (1.0, 0.0, None)
    return replace(axis, units=units if known else "")


# Steps in metres between which a calibrated length lies.
_SHORTEST, _LONGEST = 1e-14, 0.5


def in_common_units(axes: Sequence[Axis]) -> tuple[Axis, ...] | None:
    """The axes in the unit of the last one; None where they measure different things.

    Examples
    --------
    >>> y, x = in_common_units((Axis("y", 4, 2.0, units="A"), Axis("x", 4, 0.5, units="nm")))
    >>> y.scale, y.units
    (0.2, 'nm')
    """
    same = tuple(axis.to(axes[-1].units) for axis in axes)
    return None if None in same else tuple(axis for axis in same if axis is not None)


def default_axes(shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """Axes in pixels for an array about which nothing is known.

    The last two are y and x of one measurement, those before are navigation. A last axis of 3 or 4 after two longer
    ones is colour.
    """
    if len(shape) >= 3 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4:
        return (*default_axes(shape[:-1]), Axis("colour", shape[-1]))
    return name_axes(tuple(Axis("", size, navigation=i < len(shape) - 2) for i, size in enumerate(shape)))


def name_axes(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Give unnamed axes a name and equal names a number; "height" and "width" are y and x."""
    inside = sum(not axis.navigation for axis in axes)
    scan = ["y", "x"] if inside < 2 else ["scan_y", "scan_x"]
    outer = ["frame"] if len(axes) - inside == 1 else [*(f"axis_{i}" for i in range(len(axes) - inside - 2)), *scan]
    inner = ["channel"] if inside == 1 else [*(f"axis_{i}" for i in range(inside - 2)), "y", "x"]
    named: list[Axis] = []
    for axis in axes:
        default = (outer if axis.navigation else inner).pop(0)
        name = {"height": "y", "width": "x"}.get(axis.name, axis.name) or default
        if name in {other.name for other in named}:
            name = f"{name}_{len(named)}"
        named.append(replace(axis, name=name))
    return tuple(named)


def plain_colour(data: Any) -> Any:
    """Turn a structured RGB(A) array, as HyperSpy keeps colour, into one with a last axis of 3 or 4."""
    fields = data.dtype.names
    if not fields or not set(fields) <= set("RGBA"):
        return data
    data = np.asarray(data)
    return np.stack([data[name] for name in fields], axis=-1)
