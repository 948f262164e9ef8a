"""The file formats: what a file is, by its name and by its bytes, and every data set in it as a `Signal`.

A file is decoded only when both agree, so that a mislabelled file is named as such instead of confusing a decoder;
whatever a decoder then says about a damaged file becomes one ValueError that names the file. TIFF is decoded in
`emcore.io.formats.tiff`, HDF5 and Zarr in `emcore.io.formats.hdf5_zarr`, NumPy here, the microscopes' own formats by
RosettaSciIO, in `emcore.io.formats.rosetta` or by way of `emcore.io.formats.scans`.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emcore.core.signals import Signal
from emcore.io.convert import BadFile, signal_of
from emcore.io.formats.hdf5_zarr import read_hdf5, read_zarr, read_zspy
from emcore.io.formats.rosetta import read_bcf, read_emd, read_tia, reader
from emcore.io.formats.scans import read_blockfile, read_merlin
from emcore.io.formats.tiff import read_tiff


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
    load: Callable[..., list[Signal]]  # of the path, and whether lazily
    contents: tuple[str, ...] = ()  # for which of IMAGE, SCAN, SPECTRA, CURVES a folder is searched for it
    stored: bool = False  # whether it can also leave arrays as they are stored
    mapped: bool = False  # whether lazily it is a memory map, however large the scan in it
    arrays: bool = False  # whether it holds arrays of any kind


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
        file_format = _identify(path)
    except PermissionError as error:
        raise PermissionError(f"{path} cannot be opened: no permission to read it") from error
    try:
        signals = file_format.load(path, lazy, **({"stored": True} if stored and file_format.stored else {}))
    except (BadFile, ImportError):
        raise
    except Exception as error:  # a decoder met bytes it did not expect; which exception it is says nothing
        said = str(error).strip() or type(error).__name__
        raise ValueError(f"{path} cannot be read as {file_format.name}: truncated or damaged ({said[:200]})") from error
    signals = [
        replace(signal, source=str(path), title=signal.title or path.stem) for signal in signals if signal.data.size
    ]
    if not signals:
        raise ValueError(f"{path} ({file_format.name}) holds no image, scan or spectrum")
    return signals


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
    file_format = FORMATS.get(suffix)
    better = next((ending for ending, form in FORMATS.items() if form.magic == magic), None)
    if file_format is None:
        kind = f"files ending in {suffix!r}" if suffix else "files without an ending"
        advice = f"it looks like {magic}: rename it to {path.stem}{better}" if better else f"{_endings()} are"
        raise ValueError(f"{path}: {kind} are not read; {advice}")
    if not magic:
        raise ValueError(f"{path} is not {file_format.name}: damaged or mislabelled")
    if magic != file_format.magic:
        advice = f"rename it to {path.stem}{better}" if better else f"emcore reads {_endings()}"
        raise ValueError(f"{path} holds {magic} data, not {file_format.name}: {advice}")
    return file_format


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
    return [signal_of(data)]


def _numpy_archive(path: Path, lazy: bool) -> list[Signal]:
    signals = []
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        for name in archive.files:
            try:
                data = archive[name]
            except ValueError as error:
                if "allow_pickle" in str(error):
                    continue
                raise
            if data.dtype.kind in "biufc" and data.ndim:
                signals.append(signal_of(data, title=name))
    return signals


IMAGE, SCAN, SPECTRA, CURVES = "image", "scan", "spectrum image", "curves"
"""What may be in a file: an image, a scan of diffraction patterns, one of spectra, or curves."""

_ALL_SCANS = (SCAN, SPECTRA, CURVES)
_HYPERSPY = _Format("HyperSpy (HDF5)", "HDF5", reader("hspy"), _ALL_SCANS)
_TIFF = _Format("TIFF", "TIFF", read_tiff, (IMAGE,))
_DM = _Format("DigitalMicrograph", "DigitalMicrograph", reader("digitalmicrograph"), (IMAGE, SCAN, SPECTRA))
_HDF5 = _Format("HDF5", "HDF5", read_hdf5, _ALL_SCANS, stored=True, arrays=True)

FORMATS: dict[str, _Format] = {
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".npy": _Format("NumPy .npy", "NumPy .npy", _numpy, (IMAGE, *_ALL_SCANS), mapped=True),
    ".npz": _Format("NumPy .npz", "zip", _numpy_archive, _ALL_SCANS, arrays=True),
    ".ser": _Format("TIA .ser", "TIA .ser", read_tia, (IMAGE,)),
    ".emi": _Format("TIA .emi", "TIA .emi", read_tia),
    ".dm3": _DM,
    ".dm4": _DM,
    ".emd": _Format("EMD (HDF5)", "HDF5", read_emd, (IMAGE, SCAN, SPECTRA)),
    ".hspy": _HYPERSPY,
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".blo": _Format("blockfile", "blockfile", read_blockfile, (SCAN,), mapped=True),
    ".mib": _Format("Merlin .mib", "Merlin .mib", read_merlin, (SCAN,), mapped=True),
    ".bcf": _Format("Bruker .bcf", "Bruker .bcf", read_bcf, (SPECTRA,)),
    ".zspy": _Format("HyperSpy (Zarr)", "zip", read_zspy),
}

FOLDERS: dict[str, _Format] = {
    ".zarr": _Format("Zarr", "", read_zarr, (SPECTRA,), stored=True),
    ".zspy": _Format("HyperSpy (Zarr)", "", read_zspy),
}
"""Stores that are folders."""


def suffixes(content: str) -> tuple[str, ...]:
    """Endings of the files and stores in which a folder is searched for IMAGE, SCAN, SPECTRA or CURVES.

    Examples
    --------
    >>> suffixes(CURVES)
    ('.npy', '.npz', '.hspy', '.h5', '.hdf5')
    """
    return tuple(ending for ending, form in (FORMATS | FOLDERS).items() if content in form.contents)


def is_mapped(path: Path) -> bool:
    """Whether the file holds a whole scan that `lazy=True` maps into memory instead of reading it."""
    form = FORMATS.get(path.suffix.lower())
    return form is not None and form.mapped


def holds_arrays(path: Path) -> bool:
    """Whether the file holds arrays of any kind, the largest of which is meant, image or not."""
    form = FORMATS.get(path.suffix.lower())
    return form is not None and form.arrays
