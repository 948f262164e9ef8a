"""Velox (Thermo Fisher): images, maps, spectra and spectrum images, decoded by RosettaSciIO."""

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from emcore.core.extras import install
from emcore.core.signals import Signal
from emcore.io.errors import BadFile
from emcore.io.formats.rosetta import from_rosetta, quiet, rosetta


def is_velox(file: Any) -> bool:
    """Whether Velox wrote a file, which it says in JSON."""
    if "Version" not in file or not hasattr(file["Version"], "dtype"):
        return False
    try:
        said = json.loads(file["Version"][0])
    except (ValueError, TypeError):
        return False
    return isinstance(said, dict) and said.get("format") in ("Velox", "DevelopersKit")


def read_velox(file: Any, path: Path, lazy: bool) -> list[Signal]:
    """Everything in a Velox file; where the package that decodes streams of EDS is missing, all else, which is said."""
    notes: tuple[str, ...] = ()
    try:
        items = rosetta("emd", path, lazy)
    except ImportError as error:
        if "sparse" not in str(error):
            raise
        items = _without_streams(path, lazy)
        notes = (f"the EDS spectrum image was left out: to read it, {install('io')}",)
    if not notes and "Data/SpectrumImage" in file and not any(map(_is_spectrum_image, items)):
        notes = ("the spectrum image was left out: it is kept in a form that only Velox reads",)
        if not items:
            raise BadFile(f"{path} holds nothing that can be read; {notes[0]}")
    signals = [replace(_signal(item), notes=notes) for item in items]
    # What was counted comes before what was computed of it: maps of elements, differential phase contrast.
    return sorted(signals, key=lambda signal: signal.dtype.kind not in "iu")


def _is_spectrum_image(item: dict[str, Any]) -> bool:
    flags = [bool(axis.get("navigate")) for axis in item["axes"]]
    return any(flags) and flags.count(False) == 1


def _signal(item: dict[str, Any]) -> Signal:
    # EELS spectrum images have their axes in order, and indices that say otherwise.
    listed = tuple(axis["size"] for axis in item["axes"])
    if listed == tuple(item["data"].shape):
        axes = [{key: value for key, value in axis.items() if key != "index_in_array"} for axis in item["axes"]]
        item = item | {"axes": axes}
    return replace(from_rosetta(item), flagged=True)


def _without_streams(path: Path, lazy: bool) -> list[dict[str, Any]]:
    """The images, maps and single spectra of a file with a spectrum image."""
    import h5py

    reader = importlib.import_module("rsciio.emd._emd_velox").FeiEMDReader(lazy=lazy)

    def read_data(select_type: str | None) -> None:
        reader.load_images, reader.load_SI, reader.load_single_spectrum = True, False, True
        reader._read_single_spectrum()
        reader._read_images()

    reader._read_data = read_data
    file = h5py.File(path, "r")
    try:
        with quiet("rsciio"):
            reader.read_file(file)
    finally:
        if not lazy:
            file.close()
    items: list[dict[str, Any]] = reader.dictionaries
    return items
