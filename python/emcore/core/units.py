"""Units as files write them, in one spelling; what kind of quantity they measure; conversion.

What microscopes write every day stands in tables, so that reading a picture does not wait for a library; all else is
pint's (https://pint.readthedocs.io), loaded when it is met.
"""

import re
import unicodedata
from functools import cache
from typing import Any

LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "A": 1e-10, "pm": 1e-12}
"""How each length is spelled here, and what it is in metres."""
ENERGIES = {"eV": 1.0, "keV": 1e3, "meV": 1e-3, "MeV": 1e6}
"""The same of energies, in electronvolts."""
_TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15, "min": 60.0}
_VOLTAGES = {"V": 1.0, "mV": 1e-3, "kV": 1e3, "uV": 1e-6}
_ANGLES = {"rad": 1.0, "mrad": 1e-3, "deg": 0.017453292519943295}
_FREQUENCIES = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}
_RECIPROCALS = {f"1/{name}": 1 / metres for name, metres in LENGTHS.items() if name != "cm"}

LENGTH, RECIPROCAL, ENERGY, TIME = "length", "reciprocal length", "energy", "time"
VOLTAGE, ANGLE, FREQUENCY, WAVENUMBER, OTHER, NONE = "voltage", "angle", "frequency", "wavenumber", "other", ""
"""The kinds of quantity that are told apart; NONE where there is no unit."""

_TABLES: dict[str, dict[str, float]] = {
    LENGTH: LENGTHS,
    RECIPROCAL: _RECIPROCALS,
    ENERGY: ENERGIES,
    TIME: _TIMES,
    VOLTAGE: _VOLTAGES,
    ANGLE: _ANGLES,
    FREQUENCY: _FREQUENCIES,
    WAVENUMBER: {"1/cm": 1.0},
}
_KNOWN = {unit: (kind, factor) for kind, table in _TABLES.items() for unit, factor in table.items()}
# A unit of each kind, in pint's words.
_EXAMPLES = {
    LENGTH: "meter",
    RECIPROCAL: "1/meter",
    ENERGY: "joule",
    TIME: "second",
    VOLTAGE: "volt",
    FREQUENCY: "hertz",
}
# No unit, in the words of makers and programs.
_PLACEHOLDERS = frozenset(
    [
        "",
        "none",
        "undefined",
        "undef",
        "unknown",
        "null",
        "nan",
        "n/a",
        "pix",
        "pixel",
        "pixels",
        "px",
        "index",
        "point",
        "points",
        "channel",
        "channels",
        "frame",
        "frames",
        "a.u.",
        "a.u",
        "arb.u.",
        "arb. units",
        "arbitrary",
        "dimensionless",
        "unitless",
        "count",
        "counts",
        "-",
        "?",
        "1",
    ]
)
_SPELLINGS = {
    **dict.fromkeys(("meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("centimeter", "centimeters", "centimetre"), "cm"),
    **dict.fromkeys(("millimeter", "millimeters", "millimetre"), "mm"),
    **dict.fromkeys(
        ("μm", "µm", "mum", "micron", "microns", "micrometer", "micrometre", "\\u00b5m", "um.", "um"),
        "um",
    ),
    **dict.fromkeys(("nanometer", "nanometre", "nanometers", "nanometres", "nm.", "nm"), "nm"),
    **dict.fromkeys(("å", "angstrom", "angstroms", "ang", "ångström", "ångstrom", "ångstroms"), "A"),
    **dict.fromkeys(("picometer", "picometre", "picometers"), "pm"),
    **dict.fromkeys(("inches", "in"), "inch"),
    **dict.fromkeys(("degree", "degrees", "°"), "deg"),
    **dict.fromkeys(("radian", "radians"), "rad"),
    **dict.fromkeys(("milliradian", "milliradians"), "mrad"),
    **dict.fromkeys(("ev", "electronvolt", "electronvolts", "electron_volt"), "eV"),
    **dict.fromkeys(("kev", "kiloelectronvolt", "kiloelectronvolts"), "keV"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("msec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("μs", "µs", "usec", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("nanosecond", "nanoseconds", "nsec"), "ns"),
    **dict.fromkeys(("picosecond", "picoseconds"), "ps"),
    **dict.fromkeys(("volt", "volts"), "V"),
    **dict.fromkeys(("hertz",), "Hz"),
}
# What pint writes that is written in another way here.
_OF_PINT = {"Å": "A", "å": "A", "µm": "um", "μm": "um", "µs": "us", "μs": "us", "°": "deg", "µV": "uV", "in": "inch"}
_TO_PINT = {"A": "angstrom", "1/A": "1/angstrom"}


def tidy_units(units: Any) -> str:
    """One spelling for a unit as files write it; "px" where there is none. A is the angstrom.

    Examples
    --------
    >>> [tidy_units(u) for u in ("µm", "Angstrom", "1 / nm", "nm^-1", "$nm$", "n_m", None, "_None_")]
    ['um', 'A', '1/nm', '1/nm', 'nm', 'nm', 'px', 'px']
    """
    if isinstance(units, bytes):
        units = units.decode("utf-8", "replace")
    text = unicodedata.normalize("NFKC", units).replace("\0", "").strip() if isinstance(units, str) else ""
    if text in _KNOWN:
        return text
    bare = text.lower().strip("_<>()[]{}$ ")
    if bare in _PLACEHOLDERS:
        return "px"
    return _tidy(text)


@cache
def _tidy(text: str) -> str:
    compact = text.replace(" ", "").replace("−", "-").replace("**", "^").strip("()[]")
    compact = re.sub(r"\\(mathrm|text|rm)|[${}]", "", compact).replace(r"\AA", "A").replace(r"\mu", "u")
    below = re.fullmatch(r"1?/(.+)|(.+?)\^?-1", compact)
    if below:
        unit = tidy_units((below[1] or below[2]).strip("()"))
        return "px" if unit == "px" else f"1/{unit}"
    for spelling in (compact, compact.replace("_", "")):
        if spelling in _KNOWN:
            return spelling
        if spelling.lower() in _SPELLINGS:
            return _SPELLINGS[spelling.lower()]
    return _of_pint(compact) or text


def _of_pint(text: str) -> str | None:
    """The unit as pint abbreviates it; None of what pint does not know, or where there is no pint."""
    unit = _pint_unit(text)
    if unit is None:
        return None
    short = f"{unit:~C}" or "px"
    above, slash, below = short.partition("1/")
    return f"1/{_OF_PINT.get(below, below)}" if slash and not above else _OF_PINT.get(short, short)


# Units, multiplied, divided and raised to small powers: no arithmetic of a file's is evaluated.
_UNIT = r"[^\W\d]\w*(\^-?\d(\.\d)?)?"
_PRODUCT = re.compile(rf"(1/)?{_UNIT}([*/]{_UNIT})*")


@cache
def _pint_unit(text: str) -> Any:
    text = _TO_PINT.get(text, text)
    if not _PRODUCT.fullmatch(text.replace("**", "^").replace(" ", "")):
        return None
    try:
        import pint
    except ImportError:
        return None
    try:
        return pint.application_registry.Unit(text)
    except (pint.errors.PintError, ValueError, TypeError, AttributeError, AssertionError, SyntaxError, ArithmeticError):
        # Its parser reads expressions: what is no unit fails in one of these ways.
        return None
    except Exception as error:  # of its tokenizer, which has its own classes
        if type(error).__module__.startswith(("pint", "tokenize", "flexparser")):
            return None
        raise


@cache
def kind_of(units: str) -> str:
    """What kind of quantity a unit measures: LENGTH, ENERGY, ...; NONE without a unit, OTHER of all else.

    Examples
    --------
    >>> kind_of("nm"), kind_of("1/A"), kind_of("1/cm"), kind_of("px")
    ('length', 'reciprocal length', 'wavenumber', '')
    """
    if units in ("px", ""):
        return NONE
    if units in _KNOWN:
        return _KNOWN[units][0]
    unit = _pint_unit(units)
    if unit is None:
        return OTHER
    return next((kind for kind, example in _EXAMPLES.items() if unit.is_compatible_with(example)), OTHER)


@cache
def factor(units: str, wanted: str) -> float | None:
    """By what a number in `units` is multiplied to be in `wanted`; None where that means nothing.

    Examples
    --------
    >>> factor("A", "nm"), factor("nm", "eV")
    (0.1, None)
    """
    if units == wanted:
        return 1.0
    if "px" in (units, wanted) or "" in (units, wanted):
        return None
    if units in _KNOWN and wanted in _KNOWN:
        (kind, size), (other, unit) = _KNOWN[units], _KNOWN[wanted]
        if kind == other:
            return float(f"{size / unit:.15g}")
        if {kind, other} != {RECIPROCAL, WAVENUMBER}:
            return None
    ours, theirs = _pint_unit(units), _pint_unit(wanted)
    if ours is None or theirs is None or ours.dimensionality != theirs.dimensionality:
        return None
    return float(f"{(1 * ours).to(theirs).magnitude:.15g}")
