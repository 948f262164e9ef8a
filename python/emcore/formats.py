"""The file formats: what a file is, by its name and by its bytes, and every data set in it as a `Signal`.

A file is decoded only when both agree, so that a mislabelled file is named as such instead of confusing a decoder;
whatever a decoder then says about a damaged file becomes one ValueError that names the file. TIFF is decoded in
`emcore.tiff`, NumPy and plain HDF5 here, the microscopes' own formats by RosettaSciIO, some by way of `emcore.scans`.
"""

import difflib
import importlib
import logging
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from emcore.io import as_signal
from emcore.signals import Axis, Signal, name_axes, plain_colour, tidy_axes


class BadFile(ValueError):
    """A finding about a file, said in our words already."""


def _magic(head: bytes) -> str:
    """What the first bytes of a file say it is; "" where they say nothing."""
    starts = {
        "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        "NumPy .npy": (b"\x93NUMPY",),
        "zip": (b"PK\3\4", b"PK\5\6"),
        "HDF5": (b"\x89HDF\r\n\x1a\n",),
        "TIA .ser": (b"II\x97\x01",),
        "TIA .emi": (b"JK\0\2",),
        "DigitalMicrograph": (b"\0\0\0\3", b"\0\0\0\4"),
        "blockfile": (b"IMGBLO",),
        "Merlin .mib": (b"MQ1,",),
        "Bruker .bcf": (b"AAMVHFSS",),
        "PNG": (b"\x89PNG",),
        "JPEG": (b"\xff\xd8\xff",),
        "GIF": (b"GIF8",),
        "BMP": (b"BM",),
        "PDF": (b"%PDF",),
    }
    return next((name for name, magics in starts.items() if head.startswith(magics)), "")


@dataclass(frozen=True)
class _Format:
    name: str  # for people
    magic: str  # what `_magic` must find
    load: Callable[[Path, bool], list[Signal]]
    stored: Callable[[Path], list[Signal]] | None = None  # with arrays as they are stored


def read_all(path: Path, lazy: bool = False, stored: bool = False) -> list[Signal]:
    """Every data set in a file, in the file's order.

    Parameters
    ----------
    path : Path
    lazy : bool, default False
        Leave the data in the file.
    stored : bool, default False
        The chunks of HDF5 files and Zarr stores then as arrays of h5py and Zarr, not of Dask.

    Returns
    -------
    list of Signal
        At least one, none of them empty.

    Raises
    ------
    FileNotFoundError, PermissionError, ValueError, ImportError
        See `emcore.read`.
    """
    try:
        known = _identify(path)
    except PermissionError as error:
        raise PermissionError(f"{path} cannot be opened: no permission to read it") from error
    try:
        found = known.stored(path) if stored and lazy and known.stored else known.load(path, lazy)
    except (BadFile, ImportError):
        raise
    except Exception as error:  # a decoder met bytes it did not expect; which exception it is says nothing
        said = str(error).strip() or type(error).__name__
        raise ValueError(f"{path} cannot be read as {known.name}: truncated or damaged ({said[:200]})") from error
    found = [replace(signal, source=str(path), title=signal.title or path.stem) for signal in found if signal.data.size]
    if not found:
        raise ValueError(f"{path} ({known.name}) holds no image, scan or spectrum")
    return found


def _identify(path: Path) -> _Format:
    if not path.exists():
        beside = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, beside)
        raise FileNotFoundError(f"{path} does not exist" + (f"; did you mean {near[0]}?" if near else ""))
    if path.is_dir() and path.suffix.lower() in FOLDERS:
        if any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup")):
            return FOLDERS[path.suffix.lower()]
        raise ValueError(f"{path} is not {FOLDERS[path.suffix.lower()].name}: damaged or mislabelled")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a file in it")
    if not path.is_file():
        raise ValueError(f"{path} is not a regular file")
    with path.open("rb") as file:
        head = file.read(16)
    suffix, magic = path.suffix.lower(), _magic(head)
    if not head:
        raise ValueError(f"{path} is empty (0 bytes)")
    known = FORMATS.get(suffix)
    better = next((ending for ending, form in FORMATS.items() if form.magic == magic), None)
    if known is None:
        kind = f"files ending in {suffix!r}" if suffix else "files without an ending"
        advice = f"it looks like {magic}: rename it to {path.stem}{better}" if better else f"{_endings()} are"
        raise ValueError(f"{path}: {kind} are not read; {advice}")
    if not magic:
        raise ValueError(f"{path} is not {known.name}: damaged or mislabelled")
    if magic != known.magic:
        advice = f"rename it to {path.stem}{better}" if better else f"emcore reads {_endings()}"
        raise ValueError(f"{path} holds {magic} data, not {known.name}: {advice}")
    return known


def _endings() -> str:
    return " ".join(FORMATS)


def _numpy(path: Path, lazy: bool) -> list[Signal]:
    try:
        data = np.load(path, mmap_mode="r" if lazy else None, allow_pickle=False)
    except ValueError as error:
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise BadFile(f"{path} holds Python objects, which are never unpickled: save it as numbers") from error
        raise
    if data.dtype.kind not in "biufc":
        raise BadFile(f"{path} holds dtype {data.dtype}: only numbers are read")
    if data.ndim == 0:
        raise BadFile(f"{path} holds a single number: no measurement")
    return [as_signal(data)]


def _numpy_archive(path: Path, lazy: bool) -> list[Signal]:
    found = []
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        for name in archive.files:
            try:
                data = archive[name]
            except ValueError as error:
                if "allow_pickle" in str(error):
                    continue
                raise
            if data.dtype.kind in "biufc" and data.ndim:
                found.append(as_signal(data, title=name))
    return found


def _hdf5(path: Path, lazy: bool) -> list[Signal]:
    from emcore.stores import read_hdf5

    return read_hdf5(path, lazy)


def _zarr(path: Path, lazy: bool) -> list[Signal]:
    from emcore.stores import read_zarr

    return read_zarr(path, lazy)


def _stored_hdf5(path: Path) -> list[Signal]:
    from emcore.stores import read_hdf5

    return read_hdf5(path, True, stored=True)


def _stored_zarr(path: Path) -> list[Signal]:
    from emcore.stores import read_zarr

    return read_zarr(path, True, stored=True)


def _zspy(path: Path, lazy: bool) -> list[Signal]:
    from emcore.stores import read_zspy

    return read_zspy(path, lazy)


def _rosetta(plugin: str) -> Callable[[Path, bool], list[Signal]]:
    def load(path: Path, lazy: bool) -> list[Signal]:
        check = _CHECKS.get(plugin)
        if check:
            check(path)
        return [from_rosetta(found) for found in rosetta(plugin, path, lazy)]

    return load


def rosetta(plugin: str, path: Path, lazy: bool) -> list[dict[str, Any]]:
    """What RosettaSciIO's reader `plugin` finds in a file, without its log messages and warnings."""
    try:
        reader = importlib.import_module(f"rsciio.{plugin}").file_reader
    except ImportError as error:
        raise ImportError(f"reading {path.suffix} files needs RosettaSciIO: pip install emcore[io]") from error
    if lazy:
        from emcore.stores import dask_array

        dask_array()
    with quiet("rsciio"):
        found: list[dict[str, Any]] = reader(str(path), lazy=lazy)
    return found


@contextmanager
def quiet(logger: str) -> Iterator[None]:
    """Neither warnings nor messages of the named logger while a decoder works."""
    log = logging.getLogger(logger)
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def from_rosetta(found: dict[str, Any]) -> Signal:
    """One of RosettaSciIO's dictionaries as a Signal."""
    data = plain_colour(found["data"])
    axes = rosetta_axes(found)
    if data.ndim == len(axes) + 1:
        axes = [*axes, Axis("colour", data.shape[-1])]
    general = found.get("metadata", {}).get("General", {})
    kept = {key: str(general[key]) for key in ("date", "time") if general.get(key)}
    return Signal(data, tidy_axes(name_axes(tuple(axes))), title=str(general.get("title") or ""), metadata=kept)


def rosetta_axes(found: dict[str, Any]) -> list[Axis]:
    """The axes of one of RosettaSciIO's dictionaries, in the order of its array."""
    listed = list(found["axes"])
    if all("index_in_array" in axis for axis in listed):
        listed.sort(key=lambda axis: axis["index_in_array"])
    axes = []
    for axis, size in zip(listed, found["data"].shape, strict=False):
        regular = "scale" in axis  # not so for an axis given point by point
        scale, offset = (
            float(axis.get(key, 1.0 - i)) if regular else 1.0 - i for i, key in enumerate(("scale", "offset"))
        )
        name = axis.get("name") if isinstance(axis.get("name"), str) else ""
        units = axis.get("units") if regular else None
        axes.append(Axis(name or "", size, scale, offset, units or "px", bool(axis.get("navigate", False))))
    return axes


def _emd(path: Path, lazy: bool) -> list[Signal]:
    return [_upright(from_rosetta(found)) for found in rosetta("emd", path, lazy)]


_ACROSS = ("x", "kx", "qx", "dx")


def _upright(signal: Signal) -> Signal:
    # RosettaSciIO reverses the axes of Berkeley EMD files; where their names tell that x was last, it is so again.
    data, axes = signal.data, signal.axes
    if len(axes) > 1 and axes[0].name.lower() in _ACROSS and axes[-1].name.lower() not in _ACROSS:
        data, axes = data.T, tuple(replace(axis, navigation=False) for axis in axes[::-1])
    if not any(axis.navigation for axis in axes):
        axes = tuple(replace(axis, navigation=i < len(axes) - 2) for i, axis in enumerate(axes))
    return replace(signal, data=data, axes=axes)


def _ser(path: Path, lazy: bool) -> list[Signal]:
    """TIA .ser, and .emi, whose data are in .ser files beside it."""
    found = rosetta("tia", path, lazy)
    if not found and path.suffix.lower() == ".emi":
        beside = [p for p in path.parent.glob("*") if p.suffix.lower() == ".ser" and p.stem == path.stem]
        if not beside:
            raise BadFile(f"{path} names no data: they are in {path.stem}_1.ser, which must lie beside it")
        found = rosetta("tia", beside[0], lazy)
    signals = []
    for item, signal in zip(found, map(from_rosetta, found), strict=True):
        header = item.get("original_metadata", {}).get("ser_header_parameters", {})
        axes = [_ser_axis(axis, header) for axis in signal.axes]
        signals.append(replace(signal, axes=tuple(axes)))
    return signals


def _ser_axis(axis: Axis, header: dict[str, Any]) -> Axis:
    letter = axis.name.upper()
    step = header.get(f"CalibrationDelta{letter}")
    if axis.navigation or letter not in ("X", "Y") or not step:
        return axis
    # RosettaSciIO leaves the offset in metres when it turns the scale into nm, and takes diffraction patterns for
    # images; the header is in SI units without a name, and no image has a pixel of more than a metre.
    start = header[f"CalibrationOffset{letter}"] - header[f"CalibrationElement{letter}"] * step
    units, factor = ("nm", 1e9) if abs(step) < 1 else ("1/nm", 1e-9)
    return replace(axis, scale=float(step * factor), offset=float(start * factor), units=units)


def _whole_bcf(path: Path) -> None:
    # RosettaSciIO's parser reads beyond the end of a cut file and takes the process with it: count the chunks first.
    with path.open("rb") as file:
        head = file.read(0x14C)
    if len(head) == 0x14C:
        (chunk,), (chunks,) = struct.unpack_from("<I", head, 0x128), struct.unpack_from("<I", head, 0x148)
        if path.stat().st_size >= 0x118 + chunk * chunks:
            return
    raise BadFile(f"{path} cannot be read as Bruker .bcf: truncated")


def _blockfile(path: Path, lazy: bool) -> list[Signal]:
    from emcore.scans import read_blockfile

    return read_blockfile(path, lazy)


def _merlin(path: Path, lazy: bool) -> list[Signal]:
    from emcore.scans import read_merlin

    return read_merlin(path, lazy)


def _tiff(path: Path, lazy: bool) -> list[Signal]:
    from emcore.tiff import read_tiff

    return read_tiff(path, lazy)


_CHECKS: dict[str, Callable[[Path], None]] = {
    "bruker": _whole_bcf,
}

MAPPED = (".npy", ".blo", ".mib")
"""Endings of files with whole scans that `lazy=True` maps into memory instead of reading them."""

FORMATS: dict[str, _Format] = {
    ".tif": _Format("TIFF", "TIFF", _tiff),
    ".tiff": _Format("TIFF", "TIFF", _tiff),
    ".npy": _Format("NumPy .npy", "NumPy .npy", _numpy),
    ".npz": _Format("NumPy .npz", "zip", _numpy_archive),
    ".ser": _Format("TIA .ser", "TIA .ser", _ser),
    ".emi": _Format("TIA .emi", "TIA .emi", _ser),
    ".dm3": _Format("DigitalMicrograph", "DigitalMicrograph", _rosetta("digitalmicrograph")),
    ".dm4": _Format("DigitalMicrograph", "DigitalMicrograph", _rosetta("digitalmicrograph")),
    ".emd": _Format("EMD (HDF5)", "HDF5", _emd),
    ".hspy": _Format("HyperSpy (HDF5)", "HDF5", _rosetta("hspy")),
    ".h5": _Format("HDF5", "HDF5", _hdf5, _stored_hdf5),
    ".hdf5": _Format("HDF5", "HDF5", _hdf5, _stored_hdf5),
    ".blo": _Format("blockfile", "blockfile", _blockfile),
    ".mib": _Format("Merlin .mib", "Merlin .mib", _merlin),
    ".bcf": _Format("Bruker .bcf", "Bruker .bcf", _rosetta("bruker")),
    ".zspy": _Format("HyperSpy (Zarr)", "zip", _zspy),
}

FOLDERS: dict[str, _Format] = {
    ".zarr": _Format("Zarr", "", _zarr, _stored_zarr),
    ".zspy": _Format("HyperSpy (Zarr)", "", _zspy),
}
"""Stores that are folders."""
