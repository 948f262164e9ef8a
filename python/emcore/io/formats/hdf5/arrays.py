"""Arrays in HDF5 files and Zarr stores: which there are, and how they are read, mapped, or left where they are."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.extras import install
from emcore.core.memory import check_fits
from emcore.core.signals import Axis, Signal, name_axes, tidy_axes
from emcore.io.errors import BadFile
from emcore.io.optional import dask_array

# Filters that come with neither HDF5 nor h5py, by their registered number.
_FILTERS = {
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32019: "JPEG",
    32026: "Blosc2",
}
_REAL, _IMAGINARY = ("r", "re", "real", "realfloat"), ("i", "im", "imag", "imagfloat", "imaginary")


def text(value: Any) -> str:
    """An attribute or a data set of one text as text; "" for what is none.

    Examples
    --------
    >>> text(np.array([b"nm"])), text("_None_"), text(None)
    ('nm', '', '')
    """
    value = value.ravel()[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return value.strip("\0 ") if isinstance(value, str) and value != "_None_" else ""


def texts(value: Any) -> list[str]:
    """An attribute that is a list of texts."""
    return [text(each) for each in np.atleast_1d(np.asarray(value, dtype=object)).ravel()]


def number(value: Any, otherwise: float = math.nan) -> float:
    """An attribute or a data set that is one number.

    Examples
    --------
    >>> number(np.array([2.5])), number(b"0.5"), number("?", 1.0)
    (2.5, 0.5, 1.0)
    """
    try:
        return float(np.asarray(value[()] if hasattr(value, "dtype") and value.shape == () else value).ravel()[0])
    except (TypeError, ValueError, IndexError):
        return otherwise


def one_value(item: Any) -> float | str | None:
    """What a data set of one number or one text says; None for whatever else, also for none."""
    if not hasattr(item, "dtype") or item.size != 1:
        return None
    return number(np.ravel(item[()])) if item.dtype.kind in "iuf" else text(np.asarray(item[()], dtype=object))


@dataclass(frozen=True)
class Access:
    """How arrays come out of a file: read; lazily, as memory maps and Dask arrays or, if `stored`, as they are."""

    lazy: bool
    stored: bool = False

    def take(self, array: Any, inside: int = 1) -> Any:
        """The values of an array that is laid out as its records; lazily its last `inside` axes are not split."""
        check_readable(array)
        fields = _fields(array.dtype)
        if fields is None:
            raise BadFile(f"{array.name} holds {_in_words(array.dtype)}, not numbers")
        if not self.lazy:
            check_fits(math.prod(array.shape) * array.dtype.itemsize, array.name)
            return _of_records(_in_pieces(array), fields, np.stack)
        found = mapped(array)
        if (self.stored and not fields) or isinstance(found, np.ndarray):
            return found
        split = max(len(array.shape) - inside, 0)
        lazily = dask_array().from_array(array, chunks=("auto",) * split + (-1,) * (len(array.shape) - split))
        return _of_records(lazily, fields, dask_array().stack)

    def movable(self, array: Any, inside: int = 1) -> Any:
        """As `take`, for what is given another shape afterwards."""
        return replace(self, stored=False).take(array, inside)

    def signal(
        self, array: Any, axes: list[Axis], title: str, flagged: bool = False, metadata: dict[str, Any] | None = None
    ) -> Signal:
        """A data set with one axis for each of its dimensions; those of its records come after them."""
        navigation = sum(axis.navigation for axis in axes)
        inside = len(axes) - navigation if flagged or len(axes) > 3 else 1
        data = self.take(array, max(inside, 1))
        return made(axes, data, title, flagged, values_of(array) | (metadata or {}), record_axes(array.dtype))


# Bytes that are read at a time, so that Ctrl-C is heard in between.
_PIECE = 1 << 23


def _in_pieces(array: Any) -> NDArray[Any]:
    """All values of an array, whole chunks at a time: a chunk is read at once, however large it is."""
    if not array.shape or math.prod(array.shape) * array.dtype.itemsize <= _PIECE:
        return np.asarray(array[...])
    values = np.empty(array.shape, array.dtype)
    for place in _pieces(array.shape, getattr(array, "chunks", None) or (1,) * len(array.shape), array.dtype.itemsize):
        values[place] = array[place]
    return values


def _pieces(shape: Sequence[int], chunks: Sequence[int], itemsize: int) -> Iterator[tuple[slice, ...]]:
    """Parts of an array of whole chunks, of about so many bytes: lines of chunks, or a part of each.

    Examples
    --------
    >>> [place[0] for place in _pieces((5, 1 << 21), (2, 1), 1)]
    [slice(0, 4, None), slice(4, 5, None)]
    >>> [place[1] for place in _pieces((2, 1 << 22), (2, 3 << 20), 2)]
    [slice(0, 3145728, None), slice(3145728, 4194304, None)]
    """
    if not shape:
        yield ()
        return
    line = chunks[0] * math.prod(shape[1:]) * itemsize
    step = max(_PIECE // line, 1) * chunks[0]
    for start in range(0, shape[0], step):
        lines = slice(start, min(start + step, shape[0]))
        if line <= _PIECE:
            yield (lines, *(slice(None) for _ in shape[1:]))
        else:
            yield from ((lines, *inner) for inner in _pieces(shape[1:], chunks[1:], itemsize * chunks[0]))


def values_of(array: Any) -> dict[str, Any]:
    """What an array says that its values are, and in which unit."""
    return {key: text(array.attrs[key]) for key in ("quantity", "units") if text(array.attrs.get(key))}


def made(
    axes: list[Axis],
    data: Any,
    title: str,
    flagged: bool = False,
    metadata: dict[str, Any] | None = None,
    last: list[Axis] | None = None,
) -> Signal:
    """A Signal with named axes in units that read well, and those of its records after them."""
    named = (*name_axes(tuple(axes)), *(last or []))
    return Signal(data, tidy_axes(named), title=title, metadata=metadata or {}, flagged=flagged)


def is_numeric(item: Any) -> bool:
    """Whether something in a file is an array of numbers, complex numbers or colours, more than one of them."""
    shape: Any = getattr(item, "shape", None)
    return bool(shape) and math.prod(shape) > 1 and _fields(item.dtype) is not None


def _fields(dtype: np.dtype[Any]) -> tuple[str, ...] | None:
    """The fields that make a record one measurement: none for a plain number, None for other records."""
    names = dtype.names
    if not names:
        return () if dtype.kind in "iufc" and dtype.subdtype is None else None
    kinds = {dtype[name].base.kind for name in names}
    if not kinds <= set("iuf"):
        return None
    lower = tuple(name.lower() for name in names)
    initials = "".join(name[:1] for name in lower)
    whole = {"r": "red", "g": "green", "b": "blue", "a": "alpha"}
    colour = initials in ("rgb", "rgba") and all(name in (name[0], whole[name[0]]) for name in lower)
    complex_pair = len(lower) == 2 and lower[0].startswith(_REAL) and lower[1].startswith(_IMAGINARY)
    return names if colour or complex_pair or len(names) == 1 else None


def record_axes(dtype: np.dtype[Any]) -> list[Axis]:
    """The axes that the records of an array add to its own: colour, or those of the only field."""
    if not dtype.names:
        return []
    if len(dtype.names) == 1:
        return [Axis("", size) for size in dtype[0].shape]
    return [Axis("colour", len(dtype.names))] if len(dtype.names) > 2 else []


def _of_records(array: Any, fields: tuple[str, ...], stack: Any) -> Any:
    if not fields:
        return array
    if len(fields) == 2:
        return array[fields[0]] + 1j * array[fields[1]]
    return array[fields[0]] if len(fields) == 1 else stack([array[name] for name in fields], axis=-1)


def _in_words(dtype: np.dtype[Any]) -> str:
    return f"records of {', '.join(dtype.names)}" if dtype.names else f"values of type {dtype}"


def left_out(item: Any) -> str:
    """What an array that is not read holds, in words; "" for what holds nothing to be measured."""
    shape = getattr(item, "shape", None)
    if not shape or math.prod(shape) < 2 or _fields(item.dtype) is not None or not item.dtype.names:
        return ""
    return f"{item.name} {tuple(shape)} holds {_in_words(item.dtype)}"


def check_readable(array: Any) -> None:
    """Refuse an HDF5 data set whose compression needs a plugin that is missing, or whose parts lie in missing files."""
    if not type(array).__module__.startswith("h5py"):
        return
    import h5py

    if array.is_virtual:
        folder = Path(array.file.filename).parent
        needed = {source.file_name for source in array.virtual_sources()} - {"."}
        missing = sorted(name for name in needed if "%" not in name and not (folder / name).exists())
        if missing:
            raise BadFile(f"{array.file.filename}: {array.name} lies in {missing[0]}, which must lie beside it")
    plist = array.id.get_create_plist()
    for code, _, _, name in map(plist.get_filter, range(plist.get_nfilters())):
        if not (h5py.h5z.filter_avail(code) or (_plugins() and h5py.h5z.filter_avail(code))):
            kind = _FILTERS.get(code) or name.decode("utf-8", "replace").split(";")[0] or f"HDF5 filter {code}"
            raise ImportError(
                f"{array.file.filename}: {array.name} is compressed with {kind}, which h5py reads only with "
                f"hdf5plugin: {install('hdf5plugin')}"
            )


def _plugins() -> bool:
    try:
        import hdf5plugin  # noqa: F401
    except ImportError:
        return False
    return True


@dataclass(frozen=True)
class Contents:
    """What is in an HDF5 file or a Zarr store: its groups and arrays by their paths, each only once."""

    root: Any
    path: Path
    groups: dict[str, Any]
    arrays: dict[str, Any]
    broken: list[str]
    """What could not be opened: links whose files are missing, arrays of a type that is not known."""

    def below(self, place: str) -> dict[str, Any]:
        """The arrays of numbers below a group, by their paths from there."""
        start = f"{place}/"
        found = {name: item for name, item in self.arrays.items() if name.startswith(start) and is_numeric(item)}
        return {name.removeprefix(start): item for name, item in found.items()}


def contents(root: Any, path: Path) -> Contents:
    """Everything in a file, also behind links; a group before what is in it."""
    found = Contents(root, path, {}, {}, [])
    _visit(root, "", found, set())
    return found


def _visit(group: Any, prefix: str, found: Contents, seen: set[Any]) -> None:
    of_hdf5 = type(group).__module__.startswith("h5py")
    for name in sorted(group):
        try:
            item = group[name]
        except (KeyError, OSError, ValueError, TypeError, NotImplementedError) as error:
            link: Any = group.get(name, getlink=True) if of_hdf5 else None
            if hasattr(link, "filename"):
                found.broken.append(f"{prefix}{name} is in {link.filename}, which must lie beside it")
            elif not of_hdf5:
                found.broken.append(f"{prefix}{name} cannot be opened ({error})")
            continue
        if of_hdf5:
            import h5py

            if not isinstance(item, h5py.Group | h5py.Dataset):
                continue
            info = h5py.h5o.get_info(item.id)
            if (info.fileno, info.addr) in seen:
                continue
            seen.add((info.fileno, info.addr))
        if hasattr(item, "shape"):
            found.arrays[prefix + name] = item
        else:
            found.groups[prefix + name] = item
            _visit(item, f"{prefix}{name}/", found, seen)


def each_signal(arrays: dict[str, Any], read: Callable[[str, Any], Signal], broken: Sequence[str] = ()) -> list[Signal]:
    """
    A signal of each array; what is missing, links or the means to read one, is said with all of them.

    It is an error if nothing can be read, or only what is smaller than an array that cannot.
    """
    signals: list[Signal] = []
    refused: dict[int, Exception] = {}
    for name, array in arrays.items():
        try:
            signals.append(read(name, array))
        except (ImportError, BadFile) as error:
            refused[math.prod(array.shape)] = error
    if refused and max(refused) >= max((math.prod(signal.shape) for signal in signals), default=0):
        raise refused[max(refused)]
    said = [f"{each}; it was left out" for each in (*broken, *map(str, refused.values()))]
    more = [f"and {len(said) - _SAID} others are missing"] if len(said) > _SAID else []
    return [replace(signal, notes=(*signal.notes, *said[:_SAID], *more)) for signal in signals]


# So much of what is missing is said one by one.
_SAID = 3


def mapped(data: Any) -> Any:
    """A contiguous, uncompressed HDF5 data set of a file that nobody writes to as a memory map; others as they are."""
    if not type(data).__module__.startswith("h5py") or data.chunks is not None or data.file.mode != "r":
        return data
    offset = data.id.get_offset()
    if offset is None or data.dtype.kind not in "biuf" or data.file.driver not in ("sec2", "stdio"):
        return data
    return np.memmap(data.file.filename, data.dtype, "r", offset, data.shape)


def axis_of_values(name: str, size: int, values: NDArray[Any] | None, units: str, navigation: bool = False) -> Axis:
    """An axis whose positions a file lists: all of them, the first two, or only the step (a single number).

    Examples
    --------
    >>> axis_of_values("x", 5, np.array([1.0, 1.5]), "nm")
    Axis(name='x', size=5, scale=0.5, offset=1.0, units='nm', navigation=False)
    """
    if values is None or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        return Axis(name, size, units=units or "px", navigation=navigation)
    if values.ndim == 0:
        return Axis(name, size, float(values) or 1.0, 0.0, units or "px", navigation)
    if values.shape == (size,) and size > 1:
        return Axis.from_values(name, values, units or "px", navigation)
    if values.size == 2:
        step = float(f"{values[1] - values[0]:.12g}")
        return Axis(name, size, step, float(values[0]), units or "px", navigation)
    offset = float(values.flat[0]) if values.size == 1 else 0.0
    return Axis(name, size, 1.0, offset, units or "px", navigation)
