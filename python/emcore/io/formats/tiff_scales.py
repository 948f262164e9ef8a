"""The pixel sizes that stand in a TIFF file, whoever wrote them: makers of microscopes, OME, ImageJ, TIFF itself.

TIFF's own resolution is asked last: it mostly says how large to print (72 or 300 dots per inch), so it is believed only
below 10 um per pixel, which no printer reaches.
"""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from emcore.core.units import tidy_units
from emcore.io.formats.tiff_makers import BESIDE, MAKERS, Steps, described, metres_per_pixel, per_pixel
from emcore.io.instrument import NOT_UNDERSTOOD

_FINEST_PRINT = 10e-6  # metres


def steps(tiff: Any, number: int, path: Path) -> tuple[Steps, tuple[str, ...]]:
    """The steps along the axes of a series of images, and what could not be understood.

    Parameters
    ----------
    tiff : tifffile.TiffFile
    number : int
        Of the series.
    path : Path

    Returns
    -------
    steps : dict
        Axis letter of TIFF -> (step, units); "*" is any axis that is neither x nor y. Only what is known.
    notes : tuple of str
    """
    page, notes = tiff.series[number].keyframe, []
    sources: list[tuple[str, Callable[[], Steps]]] = [
        *((name, partial(ask, page, path)) for name, ask in MAKERS.items()),
        ("OME", partial(_ome, tiff, number)),
        ("ImageJ", partial(_imagej, tiff, page)),
        *((name, partial(ask, page, path)) for name, ask in BESIDE.items()),
        ("the description", partial(_described, page)),
        ("TIFF", partial(_resolution, page)),
    ]
    for name, ask in sources:
        try:
            found = _known(ask())
        except NOT_UNDERSTOOD as error:
            notes.append(f"the pixel size of {name} was not understood ({error}): left out")
            continue
        if found:
            return found, tuple(notes)
    return {}, tuple(notes)


def _known(found: Steps) -> Steps:
    return {letter: (s, u) for letter, (s, u) in found.items() if math.isfinite(s) and s > 0 and tidy_units(u) != "px"}


def _ome(tiff: Any, number: int) -> Steps:
    if not tiff.is_ome:
        return {}
    import tifffile

    images = tifffile.xml2dict(tiff.ome_metadata).get("OME", {}).get("Image", {})
    images = images if isinstance(images, list) else [images]
    if len(images) != len(tiff.series):  # some have no planes in this file
        name = tiff.series[number].name
        images = [image for image in images if image.get("Name") == name] or images[:1]
        number = 0
    pixels = images[number].get("Pixels", {})
    found = {
        letter: (float(pixels[f"PhysicalSize{letter}"]), str(pixels.get(f"PhysicalSize{letter}Unit", "um")))
        for letter in "XYZ"
        if f"PhysicalSize{letter}" in pixels
    }
    if "TimeIncrement" in pixels:
        found["T"] = (float(pixels["TimeIncrement"]), str(pixels.get("TimeIncrementUnit", "s")))
    return found


def _imagej(tiff: Any, page: Any) -> Steps:
    if not tiff.is_imagej:
        return {}
    metadata = tiff.imagej_metadata or {}
    units = str(metadata.get("unit", ""))
    if tidy_units(units) == "inch":  # ImageJ's word for a picture that was only ever meant for print
        return _resolution(page)
    found = {
        letter: (per_pixel(page, f"{letter}Resolution"), str(metadata.get(f"{letter.lower()}unit", units)))
        for letter in "XY"
    }
    if metadata.get("spacing"):
        found["Z"] = (abs(float(metadata["spacing"])), str(metadata.get("zunit", units)))
    if metadata.get("finterval"):
        found["T"] = (float(metadata["finterval"]), str(metadata.get("tunit", "s")))
    return found


def _described(page: Any) -> Steps:
    """A unit in the JSON that tifffile writes of what it is given goes with a resolution that has none."""
    metadata = described(page)
    units = metadata.get("unit")
    if not isinstance(units, str) or int(getattr(page.tags.get("ResolutionUnit"), "value", 2)) != 1:
        return {}
    found = {letter: (per_pixel(page, f"{letter}Resolution"), units) for letter in "XY"}
    if metadata.get("spacing"):
        found["Z"] = (float(metadata["spacing"]), units)
    return found


def _resolution(page: Any) -> Steps:
    return {letter: (step, unit) for letter, (step, unit) in metres_per_pixel(page).items() if step < _FINEST_PRINT}
