"""A scan written to a file some positions at a time, with its axes, so that it never lies in memory as a whole.

HyperSpy's formats, HDF5 (.hspy, .h5) and Zarr (.zspy), and EMD 1.0 (.emd), which is py4DSTEM's, keep axes and what is
known of the instrument; .npy keeps the values alone. Nothing is packed: noise that is left in floats does not shrink,
and an HDF5 file in one piece is mapped.
"""

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emcore.core.extras import install
from emcore.core.files import check_output, new_file
from emcore.core.hyperspy_signals import of_patterns
from emcore.core.memory import in_words
from emcore.core.signals import Axis
from emcore.io.emd_files import check_emd, describe_emd
from emcore.io.optional import h5py_module, zarr_module
from emcore.io.recognise import store_of

ENDINGS = (".hspy", ".h5", ".zspy", ".emd", ".npy")
# Bytes of a chunk in a Zarr store, of whole positions; bytes that are to remain on the disk.
_CHUNK, _SPARE = 1 << 23, 1 << 24
# Bytes of what an HDF5 file says of a scan, at most.
_HEAD = 1 << 20


class Rows(Protocol):
    """Takes rows from position `start` on, in the order of the scan."""

    def write(self, start: int, rows: NDArray[Any]) -> None: ...


@dataclass(frozen=True)
class ScanFile:
    """What a file of a scan holds beside its values: axes, and what is said and known of them.

    Patterns of which nobody says what they are of are electron diffraction.
    """

    dtype: np.dtype[Any]
    axes: tuple[Axis, ...]
    title: str = ""
    notes: str = ""
    instrument: dict[str, Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values."""
        return tuple(axis.size for axis in self.axes)

    @property
    def nbytes(self) -> int:
        """Of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def check_scan_file(path: Path, overwrite: bool, needed: int = 0, axes: Sequence[Axis] = ()) -> None:
    """Refuse, before any work, a place where no scan can be written, or none with these axes, or that has no room.

    Raises
    ------
    ValueError
        If the name ends in none of .hspy, .h5, .zspy, .emd, .npy; if the scan is not of patterns, for .emd.
    OSError
        As `check_output`, or for want of space.
    ImportError
        If what writes the format is not installed.

    Examples
    --------
    >>> check_scan_file(Path("scan.tif"), False)
    Traceback (most recent call last):
    ...
    ValueError: out='scan.tif' ends in '.tif': a scan is written to .hspy, .h5, .zspy, .emd or .npy
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(
            f"out={str(path)!r} ends in {path.suffix!r}: a scan is written to .hspy, .h5, .zspy, .emd or .npy"
        )
    _check_place(path, overwrite)
    _check_installed(ending)
    if axes and ending == ".emd":
        check_emd(axes)
    free = shutil.disk_usage(path.parent).free
    if needed + _SPARE > free:
        raise OSError(
            f"{path} takes {in_words(needed)}, its disk has {in_words(free)} left: name another place, or make room"
        )


def _check_place(path: Path, overwrite: bool) -> None:
    if not (path.is_dir() and store_of(path)):
        check_output(path, overwrite)
    elif not overwrite:
        raise FileExistsError(f"{path} exists: choose another name, or overwrite=True (--force) to replace it")


@contextmanager
def new_scan(path: Path, about: ScanFile, overwrite: bool = False) -> Iterator[Rows]:
    """What takes the rows of a scan, which appears at `path` when the block ends, and not at all when it fails.

    Parameters
    ----------
    path : Path
        Ends in .hspy, .h5, .zspy, .emd or .npy.
    about : ScanFile
    overwrite : bool, default False

    Raises
    ------
    OSError
        If it cannot be written, naming `path` and the reason.

    Examples
    --------
    >>> import tempfile
    >>> from emcore.io.read import read
    >>> about = ScanFile(np.dtype("f4"), (Axis("y", 2, navigation=True), Axis("energy", 3, 5.0, units="eV")), "map")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with new_scan(Path(folder, "a.hspy"), about) as file:
    ...         file.write(1, np.array([[4, 5, 6]], dtype="f4"))
    ...         file.write(0, np.array([[1, 2, 3]], dtype="f4"))
    ...     signal = read(Path(folder, "a.hspy"))
    >>> signal.data.tolist(), signal.axes[1].scale, signal.axes[0].navigation
    ([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], 5.0, True)
    """
    check_scan_file(path, overwrite, about.nbytes, about.axes)
    opened = {".npy": _npy, ".zspy": _zspy, ".emd": _emd}.get(path.suffix.lower(), _hspy)
    with new_file(path, overwrite, check=_check_place) as temporary, opened(temporary, about) as file:
        yield file


class _Array:
    """Rows of an array with navigation axes: the rest of a line, whole lines, the beginning of one."""

    def __init__(self, array: Any, about: ScanFile) -> None:
        self._array = array
        self._grid = tuple(axis.size for axis in about.axes if axis.navigation)
        self._inside = about.shape[len(self._grid) :]

    def write(self, start: int, rows: NDArray[Any]) -> None:
        self._write((), self._grid, start, rows.reshape(-1, *self._inside))

    def _write(self, at: tuple[int, ...], grid: tuple[int, ...], start: int, rows: NDArray[Any]) -> None:
        """Rows from `start` on of the positions `at` these leading indices."""
        if len(grid) == 1:
            self._array[(*at, slice(start, start + len(rows)))] = rows
            return
        line = math.prod(grid[1:])
        done = 0
        while done < len(rows):
            first, inside = divmod(start + done, line)
            whole = (len(rows) - done) // line
            if inside == 0 and whole:
                part = rows[done : done + whole * line]
                self._array[(*at, slice(first, first + whole))] = part.reshape(whole, *grid[1:], *self._inside)
                done += whole * line
            else:
                part = rows[done : done + line - inside]
                self._write((*at, first), grid[1:], inside, part)
                done += len(part)


class _Plain:
    """Rows one after another in a file behind its head; a full disk is an error here, in a memory map a crash."""

    def __init__(self, file: Any, about: ScanFile) -> None:
        self._file, self._head = file, file.tell()
        inside = [axis.size for axis in about.axes if not axis.navigation]
        self._row = math.prod(inside) * about.dtype.itemsize

    def write(self, start: int, rows: NDArray[Any]) -> None:
        self._file.seek(self._head + start * self._row)
        values = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
        while values.nbytes:  # the system takes a part where the disk ends, and refuses the next
            values = values[self._file.write(values) :]


@contextmanager
def _npy(path: Path, about: ScanFile) -> Iterator[Rows]:
    with open(path, "xb", buffering=0) as file:
        descr = np.lib.format.dtype_to_descr(about.dtype)
        head: dict[str, Any] = {"descr": descr, "fortran_order": False, "shape": about.shape}
        np.lib.format.write_array_header_2_0(file, head)
        yield _Plain(file, about)


def _try_room(path: Path, needed: int) -> None:
    """Ask the system for so much, and give it back: HDF5 that cannot write ends the process at its exit."""
    with open(path, "xb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, needed)
    path.unlink()


@contextmanager
def _hspy(path: Path, about: ScanFile) -> Iterator[Rows]:
    import h5py

    _try_room(path, about.nbytes + _HEAD)
    _writer()(str(path), _described(about), show_progressbar=False)
    with h5py.File(path, "r+") as file:
        (group,) = file["Experiments"].values()
        del group["data"]
        offset = _room(group, about)
    with _values(path, offset, about) as values:
        yield values


def _room(group: Any, about: ScanFile) -> int:
    """Make the array "data" of a group, in one piece and without values, and say where it lies in the file."""
    import h5py

    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    made.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind, space = h5py.h5t.py_create(about.dtype, logical=True), h5py.h5s.create_simple(about.shape)
    offset: int = h5py.h5d.create(group.id, b"data", kind, space, made).get_offset()
    return offset


@contextmanager
def _values(path: Path, offset: int, about: ScanFile) -> Iterator[Rows]:
    """Rows without HDF5, so that a disk that is full is an error."""
    with open(path, "r+b", buffering=0) as file:
        file.seek(offset)
        yield _Plain(file, about)


@contextmanager
def _emd(path: Path, about: ScanFile) -> Iterator[Rows]:
    import h5py

    _try_room(path, about.nbytes + _HEAD)
    with h5py.File(path, "w") as file:
        group = describe_emd(file, about.axes, about.title, about.instrument)
        offset = _room(group, about)
        group["data"].attrs["units"] = "pixel intensity"
    with _values(path, offset, about) as values:
        yield values


@contextmanager
def _zspy(path: Path, about: ScanFile) -> Iterator[Rows]:
    # As the second version of Zarr has it, which every HyperSpy reads; RosettaSciIO writes it with an old Zarr only.
    root = zarr_module().open_group(str(path), mode="w-", zarr_format=2)
    root.attrs.update({"file_format": "ZSpy", "file_format_version": "3.3"})
    described = _described(about)
    group = root.create_group("Experiments").create_group(about.title.replace("/", "-") or "__unnamed__")
    group.attrs.update(described["package_info"])
    for index, axis in enumerate(described["axes"]):
        _fill(group.create_group(f"axis-{index}"), axis)
    for name in ("metadata", "original_metadata", "learning_results", "attributes"):
        _fill(group.create_group(name), described[name])
    options: dict[str, Any] = {"compressors": None, "fill_value": 0}
    options["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    array = group.create_array("data", shape=about.shape, dtype=about.dtype, chunks=_chunks(about), **options)
    yield _Array(array, about)


def _fill(group: Any, values: dict[str, Any]) -> None:
    """Numbers and texts as attributes, dictionaries as groups, arrays and lists of one type as arrays."""
    for key, value in values.items():
        if isinstance(value, dict):
            _fill(group.create_group(key), value)
        elif isinstance(value, np.ndarray):
            group.create_array(key, data=value)
        elif not isinstance(value, list):
            group.attrs[key] = "_None_" if value is None else value
        elif not value:
            group.attrs[f"_list_empty_{key}"] = "_None_"
        elif len({type(each) for each in value}) == 1 and isinstance(value[0], bool | int | float | str):
            group.create_array(f"_list_{key}", data=np.array(value))


def _chunks(about: ScanFile) -> tuple[int, ...]:
    """Whole signals of as many positions of a line, and lines, as a chunk has room for."""
    inside = [axis.size for axis in about.axes if not axis.navigation]
    room = max(_CHUNK // (math.prod(inside) * about.dtype.itemsize), 1)
    sides: list[int] = []
    for axis in reversed([axis for axis in about.axes if axis.navigation]):
        parts = -(-axis.size // room)
        sides.insert(0, -(-axis.size // parts))
        room = max(room // axis.size, 1)
    return (*sides, *inside)


def _check_installed(ending: str) -> None:
    if ending == ".zspy":
        zarr_module()
    elif ending == ".emd":
        h5py_module()
    elif ending != ".npy":
        _writer()


def _writer() -> Any:
    try:
        from rsciio.hspy import file_writer
    except ImportError as error:
        raise ImportError(f"HyperSpy's files need RosettaSciIO: {install('io')}") from error
    return file_writer


def _described(about: ScanFile) -> dict[str, Any]:
    """A signal of HyperSpy with a value in place of all."""
    known = dict(about.instrument or {})
    patterns = sum(not axis.navigation for axis in about.axes) == 2
    kind = (of_patterns(known) if patterns else known).get("signal_type", "")
    known.pop("signal_type", None)
    metadata = {"General": {"title": about.title, "notes": about.notes}, "Signal": {"signal_type": kind}, **known}
    return {
        "data": np.zeros((1,) * len(about.axes), about.dtype),
        "axes": [described_axis(axis) for axis in about.axes],
        "metadata": metadata | {"_HyperSpy": {}},
        "original_metadata": {},
        "package_info": {"package": "", "package_version": ""},  # a plain signal of HyperSpy's
        "tmp_parameters": {},
        "attributes": {"_lazy": False, "ragged": False},
        "models": {},
        "learning_results": {},
    }


def described_axis(axis: Axis) -> dict[str, Any]:
    """An axis as HyperSpy's files have it.

    Examples
    --------
    >>> described_axis(Axis("x", 3, 0.5, units="nm", navigation=True))["scale"]
    0.5
    """
    units = "" if axis.units == "px" else axis.units
    common = {"name": axis.name, "units": units, "navigate": axis.navigation, "is_binned": False}
    if not axis.even:
        return {"_type": "DataAxis", **common, "size": axis.size, "axis": axis.values}
    return {"_type": "UniformDataAxis", **common, "size": axis.size, "scale": axis.scale, "offset": axis.offset}


def size_of_scan(axes: Sequence[Axis], dtype: Any) -> int:
    """Bytes of a scan with these axes."""
    return ScanFile(np.dtype(dtype), tuple(axes)).nbytes
