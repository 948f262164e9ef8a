"""Gatan DigitalMicrograph .dm3 and .dm4, and which of their axes is a spectrum.

RosettaSciIO decodes them. It takes the last two axes for the signal whatever they are; DigitalMicrograph says only of
spectra that they are some, and of these it writes the channels as its third axis, the first of the array, or as the
first of a line. So an axis is flagged as spectrum there only; a series of pictures where units tell that the last two
axes are one, and the first something else than lengths or energies; and all else is assumed.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from emcore.core.signals import Signal
from emcore.core.units import ANGLE, ENERGY, LENGTH, NONE, RECIPROCAL, TIME, kind_of
from emcore.io.formats.dm_tags import check_tags
from emcore.io.formats.rosetta import from_rosetta, rosetta

_SPECTRA = ("Spectrum image", "Spectrum")
_CHANNELS = ("Energy loss", "Energy", "Wavelength")


def read_dm(path: Path, lazy: bool) -> list[Signal]:
    """Every image of a DigitalMicrograph file but its thumbnails, with the axes as they lie in it.

    Raises
    ------
    ValueError
        If sizes in its tags do not fit into it.
    """
    check_tags(path)
    try:
        items = rosetta("digitalmicrograph", path, lazy)
    except ValueError as error:
        if not lazy or "RGBA" not in str(error):  # colour is read at once
            raise
        items = rosetta("digitalmicrograph", path, False)
    return [_flagged(from_rosetta(item), item) for item in items]


def _flagged(signal: Signal, item: dict[str, Any]) -> Signal:
    images = item.get("original_metadata", {}).get("ImageList", {})
    tags = images.get("TagGroup0", {}).get("ImageTags", {})
    about = tags.get("Meta Data", {}) if isinstance(tags, dict) else {}
    spectra = isinstance(about, dict) and about.get("Format") in _SPECTRA
    if not (spectra or "spim" in tags) or len(signal.axes) not in (1, 2, 3):
        return replace(signal, flagged=_is_series(signal))
    observed = [i for i, axis in enumerate(signal.axes) if axis.name in _CHANNELS or kind_of(axis.units) == ENERGY]
    if len(observed) > 1:
        return replace(signal, flagged=False)
    channels = observed[0] if observed else (0 if len(signal.axes) == 3 else len(signal.axes) - 1)
    axes = tuple(replace(axis, navigation=i != channels) for i, axis in enumerate(signal.axes))
    return replace(signal, axes=axes, flagged=True)


def _is_series(signal: Signal) -> bool:
    """Whether units tell that three axes are pictures one after another, of a tilt or in time."""
    kinds = [kind_of(axis.units) for axis in signal.axes]
    if len(kinds) != 3 or kinds[1] != kinds[2] or kinds[1] not in (LENGTH, RECIPROCAL):
        return False
    return kinds[0] in (ANGLE, TIME, NONE)
