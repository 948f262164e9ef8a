"""The file formats: what a file is, and every data set in it as a `Signal`.

What a file holds decides how it is read (`emcore.io.recognise`); its ending decides only where a format has no sign of
its own. What a decoder then says becomes one error that names the file (`emcore.io.errors`). The decoders are in
`emcore.io.formats`, one file a family.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from emcore.core.signals import Signal
from emcore.io.errors import BadFile, explained
from emcore.io.recognise import kind_of, store_of

_Decoder = Callable[..., list[Signal]]


@dataclass(frozen=True)
class _Format:
    name: str  # for people
    kind: str  # what `kind_of` says of its files; "" where only the ending tells
    load: _Decoder  # of the path, and whether lazily
    contents: tuple[str, ...] = ()  # for which of IMAGE, SCAN, SPECTRA, CURVES a folder is searched for it
    stored: bool = False  # whether it can also leave arrays as they are stored
    mapped: bool = False  # whether lazily it is a memory map, however large the scan in it
    arrays: bool = False  # whether it holds arrays of any kind
    by_ending: bool = False  # whether its decoder looks at the ending of the file


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
        At least one, none of them empty, no two of one title.

    Raises
    ------
    FileNotFoundError, PermissionError, ValueError, ImportError
        See `emcore.read`.
    """
    try:
        file_format, notes = _identify(path)
    except (BadFile, FileNotFoundError):
        raise
    except Exception as error:
        raise explained(error, str(path)) from error
    try:
        signals = file_format.load(path, lazy, **({"stored": True} if stored and file_format.stored else {}))
    except Exception as error:
        raise explained(error, str(path), file_format.name) from error
    signals = [signal for signal in signals if signal.data.size]
    if not signals:
        raise ValueError(f"{path} ({file_format.name}) holds no image, scan or spectrum")
    titles = _distinct([signal.title or path.stem for signal in signals])
    return [
        replace(signal, source=str(path), title=title, notes=(*notes, *signal.notes))
        for signal, title in zip(signals, titles, strict=True)
    ]


def _distinct(titles: list[str]) -> list[str]:
    observed: list[str] = []
    for title in titles:
        number = 1 + titles[: len(observed)].count(title)
        while title in observed:
            title, number = f"{titles[len(observed)]} {number}", number + 1
        observed.append(title)
    return observed


def _identify(path: Path) -> tuple[_Format, tuple[str, ...]]:
    """The format of a file or a store, and what its name has wrong."""
    if not path.exists():
        beside = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, beside)
        raise FileNotFoundError(f"{path} does not exist" + (f"; did you mean {near[0]}?" if near else ""))
    suffix = path.suffix.lower()
    if path.is_dir():
        kind, named = store_of(path), FOLDERS.get(suffix)
        if not kind and named:
            raise BadFile(f"{path} is not {named.name}: damaged or mislabelled")
        if not kind and slices_in(path):
            return _SLICES, ()
        if not kind:
            raise BadFile(f"{path} is a folder: name a file in it")
        return next(form for form in (*FOLDERS.values(), _OME) if form.kind == kind), ()
    if not path.is_file():
        raise BadFile(f"{path} is not a regular file")
    if path.stat().st_size == 0:
        raise BadFile(f"{path} is empty (0 bytes)")
    kind, named = kind_of(path), FORMATS.get(suffix)
    # Bare values may begin as anything, and what is packed may be a part of another format.
    unsigned = named is not None and named.kind == "" and (kind in ("", "gzip") or suffix == ".raw")
    if named and (unsigned or named.kind == kind or (kind == "zip" and named.kind in _ZIPPED)):
        return named, ()
    held = next((form for form in FORMATS.values() if kind and form.kind == kind), None)
    if held is None and kind:
        which = f"not {named.name}" if named else "which are not read"
        advice = _ADVICE.get(kind, "")
        raise BadFile(f"{path} holds {kind} data, {which}: {advice}emcore reads {_endings()}")
    if held is None and named:
        raise BadFile(f"{path} is not {named.name}: damaged or mislabelled")
    if held is None:
        kinds = f"files ending in {path.suffix!r}" if suffix else "files without an ending"
        partner = next((p.name for p in path.parent.glob("*") if p.stem == path.stem and _told_by(p)), "")
        better = f"{partner} beside it is, and " if partner else ""
        raise BadFile(f"{path}: {kinds} are not read; {better}{_endings()} are")
    if held.by_ending:
        ending = next(ending for ending, form in FORMATS.items() if form is held)
        raise BadFile(f"{path} holds {kind} data, which are read by their ending: rename it to {path.stem}{ending}")
    return held, (f"{path.name} holds {held.name} data, unlike its ending, and was read as that",)


def _endings() -> str:
    most = list(FORMATS)[:16]
    return f"{' '.join(most)} and {len(FORMATS) - len(most)} more, which help(emcore.read) lists"


def _told_by(path: Path) -> bool:
    return path.suffix.lower() in FORMATS


def _decoder(module: str, name: str) -> _Decoder:
    """A function of `emcore.io.formats`, which is imported when a file needs it."""

    def load(path: Path, lazy: bool, **settings: bool) -> list[Signal]:
        signals: list[Signal] = getattr(import_module(f"emcore.io.formats.{module}"), name)(path, lazy, **settings)
        return signals

    return load


def _rosetta(plugin: str, eager: bool = False) -> _Decoder:
    """A reader of RosettaSciIO, whose signals are taken as they are; `eager` where it cannot leave data in a file."""

    def load(path: Path, lazy: bool) -> list[Signal]:
        rosetta = import_module("emcore.io.formats.rosetta")
        return [rosetta.from_rosetta(item) for item in rosetta.rosetta(plugin, path, lazy and not eager)]

    return load


IMAGE, SCAN, SPECTRA, CURVES, VOLUME = "image", "scan", "spectrum image", "curves", "volume"
"""What may be in a file: an image, a scan of diffraction patterns, one of spectra, curves, or a volume."""

_ALL_SCANS = (SCAN, SPECTRA, CURVES)
_ADVICE = {"GIF": "save the picture as TIFF; ", "gzip": "unpack it first; ", "zip": "unpack it first; "}
_ZIPPED = ("NumPy .npz", "HyperSpy (Zarr)", "Panta Rhei .prz", "OME-Zarr")
_WITH_VOLUMES = (*_ALL_SCANS, VOLUME)
_HYPERSPY = _Format("HyperSpy (HDF5)", "HDF5", _decoder("hdf5_zarr", "read_hdf5"), _WITH_VOLUMES, stored=True)
_TIFF = _Format("TIFF", "TIFF", _decoder("tiff", "read_tiff"), (IMAGE, VOLUME))
_DM = _Format(
    "DigitalMicrograph", "DigitalMicrograph", _decoder("digitalmicrograph", "read_dm"), (IMAGE, SCAN, SPECTRA)
)
_HDF5 = _Format("HDF5", "HDF5", _decoder("hdf5_zarr", "read_hdf5"), _WITH_VOLUMES, stored=True, arrays=True)
_MRC = _Format("MRC", "MRC", _decoder("microscopes", "read_mrc"), (IMAGE, SCAN, VOLUME), mapped=True)
_RIPPLE = _Format("Ripple", "", _decoder("microscopes", "read_ripple"), (SCAN, SPECTRA))
_UP = _Format("EDAX .up1 or .up2", "", _decoder("edax_patterns", "read_up"), (SCAN,), mapped=True)
_SPD = _Format("EDAX .spd", "EDAX .spd", _decoder("microscopes", "read_edax"), (SPECTRA,), by_ending=True)
_JEOL = _Format("JEOL .pts or .asw", "", _decoder("microscopes", "read_jeol"), (SPECTRA,))
_SURF = _Format("Digital Surf", "Digital Surf", _rosetta("digitalsurf", eager=True), (IMAGE, SPECTRA))
_MSA = _Format("EMSA/MAS .msa", "EMSA/MAS .msa", _rosetta("msa", eager=True))
_OME = _Format("OME-Zarr", "OME-Zarr", _decoder("ome_zarr", "read_ome_zarr"), (IMAGE, VOLUME))
_SLICES = _Format("a folder of slices", "", _decoder("slices", "read_slices"), (VOLUME,))
_JPEG = _Format("JPEG", "JPEG", _decoder("pictures", "read_picture"), (IMAGE,))
_ZSPY = _Format("HyperSpy (Zarr)", "HyperSpy (Zarr)", _decoder("hdf5_zarr", "read_zarr"), _ALL_SCANS, stored=True)

FORMATS: dict[str, _Format] = {
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".npy": _Format(
        "NumPy .npy", "NumPy .npy", _decoder("numpy_files", "read_npy"), (IMAGE, *_WITH_VOLUMES), mapped=True
    ),
    ".npz": _Format("NumPy .npz", "NumPy .npz", _decoder("numpy_files", "read_npz"), _ALL_SCANS, arrays=True),
    ".ser": _Format("TIA .ser", "TIA .ser", _decoder("tia", "read_tia"), (IMAGE, SCAN, SPECTRA), mapped=True),
    ".emi": _Format("TIA .emi", "TIA .emi", _decoder("tia", "read_tia"), mapped=True),
    ".dm3": _DM,
    ".dm4": _DM,
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".emd": replace(_HDF5, name="EMD (HDF5)", contents=(IMAGE, SCAN, SPECTRA), arrays=False),
    ".hspy": _HYPERSPY,
    ".blo": _Format("blockfile", "blockfile", _decoder("scans", "read_blockfile"), (SCAN,), mapped=True),
    ".mib": _Format("Merlin .mib", "Merlin .mib", _decoder("merlin", "read_merlin"), (SCAN,), mapped=True),
    ".bcf": _Format("Bruker .bcf", "Bruker .bcf", _decoder("bruker", "read_bcf"), (SPECTRA,), by_ending=True),
    ".mrc": _MRC,
    ".hf5": _HDF5,
    ".nxs": _HDF5,
    ".de5": _HDF5,
    ".edaxh5": replace(_HDF5, contents=(SCAN, SPECTRA)),
    ".h5oina": replace(_HDF5, contents=(SCAN, SPECTRA)),
    ".oh5": replace(_HDF5, contents=(SCAN,)),
    ".mrcs": _MRC,
    ".mrcz": _MRC,
    ".map": _MRC,
    ".st": _MRC,
    ".rec": _MRC,
    ".ali": _MRC,
    ".rpl": _RIPPLE,
    ".raw": replace(_RIPPLE, contents=()),
    ".xml": _Format("EMPAD or Jobin Yvon .xml", "", _decoder("microscopes", "read_empad")),
    ".tvips": _Format("TVIPS", "", _decoder("microscopes", "read_tvips"), (SCAN,)),
    ".prz": _Format(
        "Panta Rhei .prz",
        "Panta Rhei .prz",
        _decoder("microscopes", "read_prz"),
        (IMAGE, SCAN, SPECTRA),
        by_ending=True,
    ),
    ".up1": _UP,
    ".up2": _UP,
    ".spd": _SPD,
    ".lsd": _SPD,
    ".pts": _JEOL,
    ".asw": _JEOL,
    ".wdf": _Format("Renishaw .wdf", "Renishaw .wdf", _rosetta("renishaw", eager=True), (SPECTRA,)),
    ".sur": _SURF,
    ".pro": _SURF,
    ".sxm": _Format("Nanonis .sxm", "Nanonis .sxm", _decoder("nanonis", "read_sxm"), (IMAGE,)),
    ".3ds": _Format("Nanonis .3ds", "Nanonis .3ds", _decoder("nanonis", "read_3ds"), (CURVES,)),
    ".ibw": _Format("Igor .ibw", "Igor .ibw", _decoder("igor", "read_ibw"), (IMAGE, CURVES)),
    ".unf": _Format("Semper", "", _rosetta("semper"), (IMAGE,)),
    ".elid": _Format("Phenom .elid", "", _rosetta("phenom", eager=True), (SPECTRA,)),
    ".tvf": _Format("TriVista .tvf", "", _rosetta("trivista", eager=True), (SPECTRA,)),
    ".msa": _MSA,
    ".emsa": _MSA,
    ".csv": _Format("CSV", "", _decoder("tables", "read_csv")),
    ".zspy": _ZSPY,
    ".ozx": _OME,
    ".png": _Format("PNG", "PNG", _decoder("pictures", "read_picture"), (IMAGE,)),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
}

FOLDERS: dict[str, _Format] = {
    ".zarr": _Format("Zarr", "Zarr", _decoder("hdf5_zarr", "read_zarr"), _WITH_VOLUMES, stored=True),
    ".zspy": _ZSPY,
}
"""Stores that are folders."""


SLICES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".mrc")
"""Endings of pictures that may be the slices of a volume."""


def slices_in(path: Path) -> list[Path]:
    """The pictures of one ending in a folder, where there are two of them at least and no others.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a2.tif", "a1.tif", "note.txt"):
    ...         _ = Path(folder, name).write_bytes(b"")
    ...     [file.name for file in slices_in(Path(folder))]
    ['a1.tif', 'a2.tif']
    """
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in SLICES and not p.name.startswith("."))
    return files if len(files) > 1 and len({file.suffix.lower() for file in files}) == 1 else []


def suffixes(content: str) -> tuple[str, ...]:
    """Endings of the files and stores in which a folder is searched for IMAGE, SCAN, SPECTRA or CURVES.

    Examples
    --------
    >>> suffixes(IMAGE)[:3]
    ('.tif', '.tiff', '.npy')
    """
    return tuple(ending for ending, form in (FORMATS | FOLDERS).items() if content in form.contents)


def is_mapped(path: Path) -> bool:
    """Whether the file holds a whole scan that `lazy=True` maps into memory instead of reading it."""
    form = _format_of(path)
    return form is not None and form.mapped


def holds_arrays(path: Path) -> bool:
    """Whether the file holds arrays of any kind, the largest of which is meant, image or not."""
    form = _format_of(path)
    return form is not None and form.arrays


def _format_of(path: Path) -> _Format | None:
    try:
        return _identify(path)[0]
    except (OSError, ValueError):
        return None
