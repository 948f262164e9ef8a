"""What a measurement is here: an array, its calibrated axes, and where it came from.

Calibration is kept and never invented: an axis about which nothing is known is in pixels ("px").
"""

import hashlib
import math
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# How each length unit is spelled here, and what it is in metres.
LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "A": 1e-10, "pm": 1e-12}
_SPELLINGS = {
    **dict.fromkeys(("meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("μm", "micron", "microns", "micrometer", "micrometre", "\\u00b5m", "um."), "um"),
    **dict.fromkeys(("nanometer", "nanometre", "nanometers", "nanometres"), "nm"),
    **dict.fromkeys(("å", "angstrom", "angstroms", "ang"), "A"),
    **dict.fromkeys(("inches", "in"), "inch"),
    **dict.fromkeys(("degree", "degrees", "°"), "deg"),
    **dict.fromkeys(("pixel", "pixels", "", "none", "<undefined>", "undefined"), "px"),
}


@dataclass(frozen=True)
class Axis:
    """One axis of a measurement: point i lies at offset + i * scale.

    Attributes
    ----------
    name : str
        What is measured along it ("y", "x", "frame", "energy").
    size : int
        Number of points.
    scale, offset : float
        Step between points and position of the first one, in `units`.
    units : str
        "m", "um", "nm", "A", "1/nm", "eV", ...; "px" where nothing is known, "" where only the unit is not.
    navigation : bool
        True for an axis along which measurements are repeated (scan, frame), False inside one measurement.

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

    @property
    def values(self) -> NDArray[np.float64]:
        """Position of every point, in `units`."""
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

    Raises
    ------
    ValueError
        If the axes do not have the sizes of the data.

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

    def __post_init__(self) -> None:
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

    def sha256(self, stop: Event | None = None) -> str:
        """SHA-256 of the source file's bytes; of type, shape and values for data from memory or a file that is gone.

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


def tidy_units(units: Any) -> str:
    """One spelling for a unit as files write it; "px" where there is none.

    Examples
    --------
    >>> [tidy_units(u) for u in ("µm", "Angstrom", "1 / nm", "nm^-1", None)]
    ['um', 'A', '1/nm', '1/nm', 'px']
    """
    text = unicodedata.normalize("NFKC", units).replace("\0", "").strip() if isinstance(units, str) else ""
    compact = text.replace(" ", "").replace("−", "-").replace("**", "^")
    if compact.endswith("-1"):
        compact = "1/" + compact[:-2].removesuffix("^")
    if compact.startswith("1/"):
        below = tidy_units(compact[2:])
        return "px" if below == "px" else f"1/{below}"
    return _SPELLINGS.get(compact.lower(), text)


def tidy_axes(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Axes in units that read well: metres become mm, um or nm; a scale that is no number is dropped.

    A scale whose unit is not given is kept, with the unit "".
    """
    axes = tuple(_tidy_axis(axis) for axis in axes)
    metres = [abs(axis.scale) for axis in axes if axis.units == "m"]
    if not metres:
        return axes
    units = next((u for u, largest in (("nm", 1e-7), ("um", 1e-4), ("mm", 1e-1)) if min(metres) < largest), "m")
    return tuple(axis if axis.units != "m" else _in_units(axis, units) for axis in axes)


def _tidy_axis(axis: Axis) -> Axis:
    if not (math.isfinite(axis.scale) and axis.scale != 0 and math.isfinite(axis.offset)):
        return Axis(axis.name, axis.size, navigation=axis.navigation)
    units = tidy_units(axis.units)
    return replace(axis, units="" if units == "px" and (axis.scale, axis.offset) != (1.0, 0.0) else units)


def _in_units(axis: Axis, units: str) -> Axis:
    # 15 digits: 1.82505e-06 m is 1.82505 um, not 1.8250499999999998 um.
    scale, offset = (float(f"{value / LENGTHS[units]:.15g}") for value in (axis.scale, axis.offset))
    return replace(axis, scale=scale, offset=offset, units=units)


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


ENERGIES = {"eV": 1.0, "keV": 1e3}
