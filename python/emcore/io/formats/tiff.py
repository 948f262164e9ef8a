"""TIFF images: every series of pages in a file as a signal, with the pixel sizes that microscopes and programs leave.

What they say about these is understood in `emcore.io.formats.tiff_makers` and `emcore.io.formats.tiff_scales`.
"""

from pathlib import Path
from typing import Any

from emcore.core.extras import install
from emcore.core.signals import Axis, Signal, tidy_axes
from emcore.io.errors import BadFile
from emcore.io.formats.rosetta import quiet
from emcore.io.formats.tiff_instrument import metadata_of
from emcore.io.formats.tiff_makers import Steps, bar_height
from emcore.io.formats.tiff_scales import steps
from emcore.io.instrument import NOT_UNDERSTOOD, about
from emcore.io.optional import dask_array

_NAMES = {"Y": "y", "X": "x", "S": "colour", "Z": "z", "T": "time", "C": "channel", "E": "wavelength", "R": "tile"}


def read_tiff(path: Path, lazy: bool) -> list[Signal]:
    """Every image series of a TIFF file.

    Parameters
    ----------
    path : Path
    lazy : bool
        Map the file into memory where it is neither compressed nor tiled; a stack of pages is a Dask array then, and
        anything else is read.

    Returns
    -------
    list of Signal
        Pages of equal shape are one stack; colour is a last axis "colour".

    Raises
    ------
    ValueError
        If the file has no image directory, or image data are missing or damaged.
    ImportError
        If the extra `io` is not installed.
    """
    try:
        import tifffile
    except ImportError as error:
        raise ImportError(f"reading {path.suffix} files needs tifffile: {install('io')}") from error
    signals = []
    with quiet("tifffile"), tifffile.TiffFile(path) as tiff:
        if not tiff.series:
            raise ValueError("there is no directory of images, which is written last")
        titles = _titles(tiff, path)
        for number, series in enumerate(tiff.series):
            data = _memory_map(tifffile, path, number) if lazy else None
            if data is None and lazy and _in_pages(series):
                data = _page_by_page(path, number, series)
            data = _decode(path, series) if data is None else data
            if data.ndim != len(series.axes):
                raise BadFile(f"{path} cannot be read as TIFF: damaged, its pages do not have the shape that it says")
            scales, notes = steps(tiff, number, path)
            axes = [_axis(letter, size, scales) for letter, size in zip(series.axes, data.shape, strict=True)]
            metadata = _described(series.keyframe, path) | _information_bar(series.keyframe, path)
            signals.append(
                Signal(data, tidy_axes(_distinct(axes)), title=titles[number], metadata=metadata, notes=notes)
            )
    return signals


def _memory_map(tifffile: Any, path: Path, number: int) -> Any:
    try:
        return tifffile.memmap(path, series=number, mode="r")
    except ValueError:  # compressed or tiled: there is nothing to map
        return None


def _in_pages(series: Any) -> bool:
    """Whether every plane of a stack is a page of its own."""
    return len(series.shape) == 3 and series.axes.endswith("YX") and len(series.pages) == series.shape[0] > 1


def _page_by_page(path: Path, number: int, series: Any) -> Any:
    """A stack whose pages are unpacked when they are asked for, as a Dask array."""
    try:
        import dask
    except ImportError:
        return None
    da, load = dask_array(), dask.delayed(_page)
    planes = [da.from_delayed(load(path, number, i), series.shape[1:], series.dtype) for i in range(series.shape[0])]
    return da.stack(planes)


def _page(path: Path, number: int, index: int) -> Any:
    import tifffile

    with quiet("tifffile"), tifffile.TiffFile(path) as tiff:
        page: Any = tiff.series[number].pages[index]
        return page.asarray()


def _decode(path: Path, series: Any) -> Any:
    try:
        return series.asarray()
    except ValueError as error:
        if "imagecodecs" in str(error):
            raise ImportError(f"the compression of {path} needs imagecodecs: {install('io')}") from error
        raise


def _titles(tiff: Any, path: Path) -> list[str]:
    """The names that programs give the series; else of one series that of the file, of several where they begin."""
    names = [series.name for series in tiff.series]
    named = [name.lower() not in ("", "generic", "uniform", "imagej", "shaped", "series 0") for name in names]
    if len(names) == 1 or (all(named) and len(set(names)) == len(names)):
        return [name if own else path.stem for name, own in zip(names, named, strict=True)]
    titles = []
    for number, series in enumerate(tiff.series):
        page = series.keyframe
        kind = ", coloured" if "S" in series.axes else ""
        kind += ", reduced" if page.is_reduced else ""
        titles.append(f"{names[number] + ', ' if named[number] else ''}page {page.index}{kind}")
    return titles


def _axis(letter: str, size: int, scales: Steps) -> Axis:
    scale, units = scales.get(letter) or (letter not in "YXS" and scales.get("*")) or (1.0, "px")
    if letter == "S" and size not in (3, 4):
        return Axis("sample", size, navigation=True)
    return Axis(_NAMES.get(letter, "frame"), size, scale, 0.0, units, navigation=letter not in "YXS")


def _distinct(axes: list[Axis]) -> tuple[Axis, ...]:
    names = [axis.name for axis in axes]
    return tuple(
        Axis(f"{a.name}_{i}", a.size, a.scale, a.offset, a.units, a.navigation) if a.name in names[:i] else a
        for i, a in enumerate(axes)
    )


def _described(page: Any, path: Path) -> dict[str, Any]:
    try:
        return about(metadata_of(page, path))
    except NOT_UNDERSTOOD:  # nothing depends on it
        return {}


def _information_bar(page: Any, path: Path) -> dict[str, Any]:
    try:
        rows = bar_height(page, path)
    except NOT_UNDERSTOOD:  # it is found in the picture, too
        rows = 0
    return {"information_bar": rows} if rows else {}
