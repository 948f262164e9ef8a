"""TIFF images, and the pixel sizes that microscopes and programs leave in them.

Looked for in this order: FEI/Thermo Fisher and Zeiss metadata, OME-XML, ImageJ's unit, what RosettaSciIO knows of other
makers (TVIPS, Olympus, JEOL, DigitalMicrograph), and last TIFF's own resolution. That one mostly says how large to
print (72 or 300 dots per inch), so it is believed only below 10 um per pixel, which no printer reaches.
"""

import math
from pathlib import Path
from typing import Any

from emcore.core.signals import Axis, Signal, tidy_axes
from emcore.core.units import tidy_units
from emcore.io.formats.rosetta import quiet, rosetta, rosetta_axes

_NAMES = {"Y": "y", "X": "x", "S": "colour", "Z": "z", "T": "time", "C": "channel", "R": "tile"}
_FINEST_PRINT = 10e-6  # metres
# One calibration: axis letter -> (scale, units).
_Scales = dict[str, tuple[float, str]]


def read_tiff(path: Path, lazy: bool) -> list[Signal]:
    """Every image series of a TIFF file.

    Parameters
    ----------
    path : Path
    lazy : bool
        Map the file into memory where it is neither compressed nor tiled; otherwise it is read.

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
        raise ImportError(f"reading {path.suffix} files needs tifffile: pip install emcore[io]") from error
    signals = []
    with quiet("tifffile"), tifffile.TiffFile(path) as tiff:
        if not tiff.series:
            raise ValueError("there is no directory of images, which is written last")
        for number, series in enumerate(tiff.series):
            data = _memory_map(tifffile, path, number) if lazy else None
            data = _decode(path, series) if data is None else data
            scales = _calibration(tiff, series, path)
            axes = [_axis(letter, size, scales) for letter, size in zip(series.axes, data.shape, strict=True)]
            signals.append(Signal(data, tidy_axes(_distinct(axes)), title=_title(series.name, path)))
    return signals


def _memory_map(tifffile: Any, path: Path, number: int) -> Any:
    try:
        return tifffile.memmap(path, series=number, mode="r")
    except ValueError:  # compressed or tiled: there is nothing to map
        return None


def _decode(path: Path, series: Any) -> Any:
    try:
        return series.asarray()
    except ValueError as error:
        if "imagecodecs" in str(error):
            raise ImportError(f"the compression of {path} needs imagecodecs: pip install emcore[io]") from error
        raise


def _title(name: str, path: Path) -> str:
    return path.stem if name.lower() in ("", "generic", "uniform", "imagej", "shaped", "series 0") else name


def _axis(letter: str, size: int, scales: _Scales) -> Axis:
    scale, units = scales.get(letter, (1.0, "px"))
    if letter == "S" and size not in (3, 4):
        return Axis("sample", size, navigation=True)
    return Axis(_NAMES.get(letter, "frame"), size, scale, 0.0, units, navigation=letter not in "YXS")


def _distinct(axes: list[Axis]) -> tuple[Axis, ...]:
    names = [axis.name for axis in axes]
    return tuple(
        Axis(f"{a.name}_{i}", a.size, a.scale, a.offset, a.units, a.navigation) if a.name in names[:i] else a
        for i, a in enumerate(axes)
    )


def _calibration(tiff: Any, series: Any, path: Path) -> _Scales:
    page = series.pages[0]
    if tiff.is_fei:
        scales = _fei(tiff.fei_metadata or {})
    elif tiff.is_sem:
        scales = _zeiss(tiff.sem_metadata or {}, page.imagewidth)
    elif tiff.is_ome:
        scales = _ome(tiff.ome_metadata)
    elif tiff.is_imagej:
        scales = _imagej(tiff.imagej_metadata or {}, page)
    else:
        scales = _other_makers(tiff, page, path) or _resolution(page)
    return {letter: (s, u) for letter, (s, u) in scales.items() if math.isfinite(s) and s > 0 and tidy_units(u) != "px"}


def _fei(metadata: dict[str, Any]) -> _Scales:
    used = metadata.get("Beam", {})  # the names of the parts that belong to the beam that made the picture
    for part in (used.get("Scan"), "Scan"):
        scan = metadata.get(part, {})
        if scan.get("PixelWidth") and scan.get("PixelHeight"):
            return {"X": (float(scan["PixelWidth"]), "m"), "Y": (float(scan["PixelHeight"]), "m")}
    image = metadata.get("Image", {})
    for part in (used.get("Beam"), "IRBeam"):
        beam = metadata.get(part, {})
        if beam.get("HFW") and beam.get("VFW") and image.get("ResolutionX") and image.get("ResolutionY"):
            width, height = float(beam["HFW"]) / image["ResolutionX"], float(beam["VFW"]) / image["ResolutionY"]
            return {"X": (width, "m"), "Y": (height, "m")}
    return {}


def _zeiss(metadata: dict[Any, Any], width: int) -> _Scales:
    # The fourth unnamed number is the exact pixel size of a picture 1024 pixels wide; the named one is rounded. The
    # named one decides when they differ.
    named = metadata.get("ap_image_pixel_size") or metadata.get("ap_pixel_size")
    exact = metadata.get("", ())
    size = float(exact[3]) * 1024 / width if len(exact) > 3 else 0.0
    if named and len(named) > 2:
        metres = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "pm": 1e-12, "fm": 1e-15}.get(tidy_units(named[2]), 0.0)
        said = float(named[1]) * metres
        size = said if said and abs(size / said - 1) > 0.02 else size
    return {"X": (size, "m"), "Y": (size, "m")}


def _ome(text: str) -> _Scales:
    import tifffile

    image = tifffile.xml2dict(text).get("OME", {}).get("Image", {})
    pixels = (image[0] if isinstance(image, list) else image).get("Pixels", {})
    return {
        letter: (float(pixels[f"PhysicalSize{letter}"]), str(pixels.get(f"PhysicalSize{letter}Unit", "um")))
        for letter in "XYZ"
        if f"PhysicalSize{letter}" in pixels
    }


def _imagej(metadata: dict[str, Any], page: Any) -> _Scales:
    units = str(metadata.get("unit", ""))
    sizes = {letter: _per_pixel(page, f"{letter}Resolution") for letter in "XY"}
    if tidy_units(units) == "inch":  # ImageJ's word for a picture that was only ever meant for print
        return _resolution(page)
    scales = {letter: (size, units) for letter, size in sizes.items() if size}
    if metadata.get("spacing"):
        scales["Z"] = (float(metadata["spacing"]), units)
    return scales


def _resolution(page: Any) -> _Scales:
    unit = getattr(page.tags.get("ResolutionUnit"), "value", 2)
    metres = {2: 0.0254, 3: 0.01}.get(int(unit), 0.0)
    sizes = {letter: _per_pixel(page, f"{letter}Resolution") * metres for letter in "XY"}
    return {letter: (size, "m") for letter, size in sizes.items() if 0 < size < _FINEST_PRINT}


def _per_pixel(page: Any, tag: str) -> float:
    value = getattr(page.tags.get(tag), "value", None)
    above, below = value if isinstance(value, tuple) else (0, 0)
    return float(below / above) if above else 0.0


def _other_makers(tiff: Any, page: Any, path: Path) -> _Scales:
    maker = getattr(page.tags.get("Make"), "value", "")
    if not (tiff.is_tvips or tiff.is_sis or 65009 in page.tags or maker == "JEOL Ltd."):
        return {}
    letters = {"x": "X", "width": "X", "y": "Y", "height": "Y"}
    axes = rosetta_axes(rosetta("tiff", path, False)[0])
    return {letters[axis.name]: (axis.scale, axis.units) for axis in axes if axis.name in letters}
