"""Nion Swift: a data set whose attribute says in JSON how its axes are calibrated and which are of one measurement."""

import json
from functools import partial
from operator import mul
from typing import Any

from emcore.core.signals import Axis, Signal
from emcore.io.formats.hdf5.arrays import Access, Contents, is_numeric, number, text
from emcore.io.instrument import Target, about, with_mapped

_CALIBRATIONS = "dimensional_calibrations"


def read_nion(found: Contents, access: Access) -> list[Signal]:
    """Every data item of Nion Swift in a file."""
    signals = []
    for path, array in found.arrays.items():
        if not is_numeric(array) or "properties" not in array.attrs:
            continue
        said, shape = _said(array), array.shape
        listed = said.get(_CALIBRATIONS)
        inside = said.get("datum_dimension_count", min(len(shape), 2))
        if isinstance(listed, list) and len(listed) == len(shape) and isinstance(inside, int):
            outer = len(shape) - inside
            axes = [_axis(each, size, i < outer) for i, (each, size) in enumerate(zip(listed, shape, strict=True))]
            flagged = "datum_dimension_count" in said
            metadata = about(_described(said))
            signals.append(access.signal(array, axes, text(said.get("title")) or path, flagged, metadata))
    return signals


def _said(array: Any) -> dict[str, Any]:
    """What the attribute says, also where what is of the array stands one level below."""
    try:
        said = json.loads(text(array.attrs["properties"]))
    except ValueError:
        return {}
    if not isinstance(said, dict):
        return {}
    sources = said.get("data_sources")
    below = sources[0] if isinstance(sources, list) and sources and isinstance(sources[0], dict) else {}
    return said | below


# Where Nion Swift keeps what HyperSpy has a name for, in volts, radians and seconds.
_MAPPED: dict[str, Target] = {
    f"metadata.{place}": (f"Acquisition_instrument.TEM.{name}", partial(mul, factor))
    for name, factor, places in (
        ("beam_energy", 1e-3, ("hardware_source.autostem.high_tension_v", "instrument.high_tension")),
        ("convergence_angle", 1e3, ("hardware_source.convergence_angle_rad", "instrument.convergence_angle")),
        (
            "Detector.EELS.collection_angle",
            1e3,
            ("hardware_source.collection_angle_rad", "instrument.collection_angle"),
        ),
        ("Detector.Camera.exposure", 1.0, ("hardware_source.exposure",)),
    )
    for place in places
}


def _described(said: dict[str, Any]) -> dict[str, Any]:
    known = with_mapped({}, said, _MAPPED | {"metadata.hardware_source.signal_type": ("Signal.signal_type", text)})
    if text(known.get("Signal", {}).get("signal_type")).upper() not in ("EELS", "ELS"):  # others have other names
        return known | {"Signal": {}}
    return known | {"Signal": {"signal_type": "EELS"}}


def _axis(said: Any, size: int, navigation: bool) -> Axis:
    known = said if isinstance(said, dict) else {}
    scale, offset = number(known.get("scale"), 1.0), number(known.get("offset"), 0.0)
    return Axis("", size, scale, offset, text(known.get("units")) or "px", navigation)
