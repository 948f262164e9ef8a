"""What a file says of microscope, detector and sample, by HyperSpy's names, whichever program wrote it."""

import math
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# What may be wrong in metadata that nobody checked when it was written.
NOT_UNDERSTOOD = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, SyntaxError, struct.error)
_SECTIONS = ("Acquisition_instrument", "Sample")

Target = tuple[str, Callable[[Any], Any] | None]
"""Where in HyperSpy's metadata something goes, and how it is converted."""


def about(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Date, time, quantity, and as `instrument` microscope, detector, sample and kind of signal; what is there of them.

    Patterns of a transmission microscope are of electrons, whatever else is diffracted elsewhere.

    Examples
    --------
    >>> known = {"Signal": {"signal_type": "EDS_TEM"}, "Acquisition_instrument": {"TEM": {"beam_energy": 200}}}
    >>> about(known)["instrument"]["signal_type"], about({"General": {"title": "map"}})
    ('EDS_TEM', {})
    """
    general, signal = _section(metadata, "General"), _section(metadata, "Signal")
    known = {key: str(general[key]) for key in ("date", "time") if general.get(key)}
    known |= {"quantity": str(signal["quantity"])} if signal.get("quantity") else {}
    instrument = {key: plain for key in _SECTIONS if (plain := _plain(_section(metadata, key)))}
    kind = str(signal.get("signal_type") or "")
    if kind == "diffraction" and "TEM" in instrument.get("Acquisition_instrument", {}):
        kind = "electron_diffraction"
    return known | ({"instrument": instrument | {"signal_type": kind}} if instrument or kind else {})


def with_mapped(
    metadata: Mapping[str, Any], original: Mapping[str, Any], mapping: Mapping[str, Target | None]
) -> dict[str, Any]:
    """Metadata, and what a file says by its maker's names, where `mapping` has a name of HyperSpy for it.

    What cannot be understood is left out: nothing depends on it.

    Examples
    --------
    >>> with_mapped({}, {"HT": {"kV": "200"}}, {"HT.kV": ("Acquisition_instrument.TEM.beam_energy", float)})
    {'Acquisition_instrument': {'TEM': {'beam_energy': 200.0}}}
    """
    whole: dict[str, Any] = _copied(metadata)
    for place, target in mapping.items():
        value = _at(original, place.split("."))
        if value is None or target is None:
            continue
        name, convert = target
        try:
            value = convert(_Tree(value) if isinstance(value, Mapping) else value) if convert else value
        except NOT_UNDERSTOOD:
            continue
        if value is not None:
            _put(whole, name.split("."), value)
    return whole


class _Tree:
    """A dictionary as RosettaSciIO's conversions expect it, which were written for HyperSpy's own."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def keys(self) -> list[str]:
        return [_identifier(key) for key in self._values]

    def __contains__(self, key: str) -> bool:
        return _key(self._values, key) is not None

    def __getitem__(self, key: str) -> Any:
        value = self._values[_key(self._values, key) or key]
        return _Tree(value) if isinstance(value, Mapping) else value

    def get_item(self, place: str) -> Any:
        return _at(self._values, place.split("."))


def _section(metadata: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = metadata.get(name)
    return section if isinstance(section, Mapping) else {}


def _copied(value: Any) -> Any:
    return {key: _copied(each) for key, each in value.items()} if isinstance(value, Mapping) else value


def _at(within: Any, keys: list[str]) -> Any:
    """What stands below some keys; None where nothing does."""
    for key in keys:
        named = _key(within, key) if isinstance(within, Mapping) else None
        if named is None:
            return None
        within = within[named]
    return within


def _key(within: Mapping[str, Any], key: str) -> str | None:
    """A key of a dictionary, which may be asked for as HyperSpy writes it."""
    wanted = _identifier(key)
    return key if key in within else next((own for own in within if _identifier(own) == wanted), None)


def _identifier(key: str) -> str:
    """A key as HyperSpy makes it a name.

    Examples
    --------
    >>> _identifier("Exposure (s)")
    'Exposure_s'
    """
    return re.sub(r"\W", "", str(key).replace(" ", "_"))


def _put(within: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = within.get(key)
        within[key] = inner if isinstance(inner, dict) else {}
        within = within[key]
    within[keys[-1]] = value


def _plain(value: Any) -> Any:
    """Numbers, texts, and lists and dictionaries of them; None for whatever else, which is left out of dictionaries."""
    if isinstance(value, Mapping):
        kept = {str(key): _plain(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each is not None and each != {}}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return value.strip("\0 ") or None
    return value if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)) else None
