"""How does a result get into other programs? Maps as calibrated TIFF, tables and spectra as CSV, figures."""

import math
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.extras import install
from emcore.core.files import as_path, new_file, together, write_columns
from emcore.core.signals import Axis
from emcore.reporting.html.notebook import coloured, png
from emcore.reporting.pictures import draw
from emcore.reporting.plotting import style
from emcore.results.contents import FORMATS, Shown, contents


def export(
    result: Any,
    folder: str | os.PathLike[str],
    wanted: dict[str, Iterable[str]],
    stem: str = "",
    overwrite: bool = False,
) -> list[Path]:
    """Write what is in a result. See `emcore.results.result.Result.export`."""
    chosen = {name: _checked(name, formats) for name, formats in wanted.items()}
    folder, inside = as_path(folder, "folder"), contents(result)
    folder.mkdir(parents=True, exist_ok=True)
    stem = stem or Path(result.provenance.input_name).stem or "result"
    written: list[Path] = []

    def to(name: str, ending: str) -> Path:
        written.append(folder / f"{stem}.{name}.{ending}")
        return written[-1]

    with together():
        for shown in inside.maps:
            if "tif" in chosen["maps"]:
                _tiff(to(shown.name, "tif"), shown, overwrite)
            if "png" in chosen["maps"]:
                _pictures(shown, to, overwrite)
        if "ome-zarr" in chosen["maps"]:
            result.to_ome_zarr(to("maps", "ome.zarr"), overwrite=overwrite)
        for of, columns in inside.tables.items():
            if "csv" in chosen["tables"]:
                rows = len(next(iter(columns.values())))
                numbered = {of: list(range(1, rows + 1))} | {name: values.tolist() for name, values in columns.items()}
                write_columns(to(of.replace(" ", "_"), "csv"), numbered, overwrite)
        for shown in inside.signals:
            _spectra(shown, chosen["spectra"], to, overwrite, result.provenance.instrument)
        for ending in chosen["figures"]:
            with style(), new_file(to("figure", ending), overwrite, ending=f".{ending}") as part:
                draw(result).savefig(part, format=ending, dpi=200)
    return written


def _checked(name: str, formats: Iterable[str]) -> tuple[str, ...]:
    formats = (formats,) if isinstance(formats, str) else tuple(formats)
    for each in formats:
        if each not in FORMATS[name]:
            raise ValueError(f"{name}={each!r} is no format for {name}: choose among {', '.join(FORMATS[name])}")
    return formats


def _tiff(path: Path, shown: Shown, overwrite: bool) -> None:
    """With what ImageJ knows of calibration; labels count from 1 on, 0 is no label."""
    try:
        import tifffile
    except ImportError as error:
        raise ImportError(f"TIFF files need tifffile: {install('io')}") from error
    values = shown.values
    if shown.labels:
        values = values + 1
        values = values.astype(np.uint8 if values.max() < 256 else np.uint16 if values.max() < 65536 else np.float32)
    elif values.dtype not in (np.uint8, np.uint16):
        values = values.astype(np.float32)
    y, x = shown.axes
    described: dict[str, Any] = {"axes": "CYX"}
    if len(values) > 1:
        described["Labels"] = [f"{shown.of} {i + 1}" for i in range(len(values))]
    resolution = None
    if y.even and x.even and y.calibrated and y.units == x.units:
        resolution = 1 / abs(x.scale), 1 / abs(y.scale)
        described["unit"] = "micron" if x.units == "um" else x.units
    with new_file(path, overwrite, ending=".tif") as part:
        tifffile.imwrite(part, np.ascontiguousarray(values), imagej=True, resolution=resolution, metadata=described)


def _pictures(shown: Shown, to: Callable[[str, str], Path], overwrite: bool) -> None:
    for i, values in enumerate(shown.values):
        name = f"{shown.name}_{i + 1}" if len(shown.values) > 1 else shown.name
        with new_file(to(name, "png"), overwrite) as part:
            part.write_bytes(png(coloured(values, shown.labels)))


def _spectra(
    shown: Shown, formats: Collection[str], to: Callable[[str, str], Path], overwrite: bool, known: dict[str, Any]
) -> None:
    if len(shown.axes) == 2:
        if formats:
            _tiff(to(shown.name, "tif"), shown, overwrite)
        return
    (axis,) = shown.axes
    units = f" ({shown.units})" if shown.units else ""
    names = [f"{shown.of} {i + 1}{units}" for i in range(len(shown.values))] if shown.of else [shown.title + units]
    if "csv" in formats:
        along = f"{axis.name} ({axis.units})" if axis.units else axis.name
        values = (each.astype(float).tolist() for each in shown.values)
        write_columns(
            to(shown.name, "csv"), {along: axis.values.tolist(), **dict(zip(names, values, strict=True))}, overwrite
        )
    if "msa" in formats:
        for i, each in enumerate(shown.values):
            name = f"{shown.name}_{i + 1}" if shown.of else shown.name
            _msa(to(name, "msa"), each, axis, names[i], overwrite, known if axis.calibrated else {})


def _msa(path: Path, values: NDArray[Any], axis: Axis, title: str, overwrite: bool, known: dict[str, Any]) -> None:
    try:
        from rsciio.msa import file_writer
    except ImportError as error:
        raise ImportError(f"EMSA files need RosettaSciIO: {install('io')}") from error
    if not axis.even:
        raise ValueError(f"the points of axis {axis.name!r} are not even, which EMSA files cannot say: choose csv")
    # Such files are written with six decimals, in which small values would be lost.
    largest = float(np.abs(values).max(initial=0.0))
    power = max(math.ceil(6 - math.log10(largest)), 0) if largest > 0 else 0
    title = f"{title}, times 1e{power}" if power else title
    described = {"name": axis.name, "size": axis.size, "scale": axis.scale, "offset": axis.offset, "units": axis.units}
    microscopes = known.get("Acquisition_instrument", {})
    column = microscopes.get("TEM") or microscopes.get("SEM") or {}
    signal = {
        "data": values.astype(float) * 10.0**power,
        "axes": [described | {"navigate": False, "index_in_array": 0}],
        "metadata": {
            "General": {"title": title},
            "Signal": {"signal_type": known.get("signal_type", "")},
            "Acquisition_instrument": {"TEM": column, "SEM": column},  # the writer looks under either
        },
        "original_metadata": {},
    }
    with new_file(path, overwrite, ending=".msa") as part:
        file_writer(str(part), signal)
