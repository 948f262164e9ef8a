"""What the values of a signal are, in which unit, and what the slope of a curve of them is."""

import math
import re
from typing import NamedTuple

from emcore.core.signals import Axis, Signal
from emcore.core.units import VOLTAGE, factor, kind_of, tidy_units
from emcore.core.validation import check_count
from emcore.core.wording import power_of_ten

# Powers of ten by the letter before a unit.
_PREFIXES = {"k": 3, "": 0, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
# Units that take such a letter, where nothing else is written.
_TAKING = ("A", "V", "S", "N", "Hz", "W", "J", "C", "F")
_CURRENT = re.compile(r"\bcurrents?\b|^i$", re.IGNORECASE)
_BIAS = re.compile(r"\b(bias|voltage|potential)\b|^v$", re.IGNORECASE)


class Quantity(NamedTuple):
    """A name and a unit, each empty where it is not known."""

    name: str
    units: str


def measured(signal: Signal) -> Quantity:
    """What the values of a signal are: by what its file says of them, else by its title.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.core.quantities import measured
    >>> axes = (Axis("bias", 2, units="V"),)
    >>> measured(Signal(np.zeros(2), axes, title="Current (nA)"))
    Quantity(name='Current', units='nA')
    >>> measured(Signal(np.zeros(2), axes, "film.npy", "film"))
    Quantity(name='', units='')
    """
    said, units = (str(signal.metadata.get(key) or "") for key in ("quantity", "units"))
    named = _split(said or signal.title)
    name = named.name.rstrip("/").rpartition("/")[2]
    # A file's own name is no quantity.
    if not said and (not name or re.split(r"[/\\]", signal.source)[-1].startswith(name)):
        name = ""
    return Quantity(name, _ascii(units) or named.units)


def _split(text: str) -> Quantity:
    """A name with its unit in brackets behind it."""
    observed = re.fullmatch(r"\s*(.*?)\s*[(\[]\s*([^()\[\]]*?)\s*[)\]]\s*", text)
    return Quantity(observed[1], _ascii(observed[2])) if observed else Quantity(text.strip(), "")


def _ascii(units: str) -> str:
    return units.strip().strip("$").replace("µ", "u").replace("μ", "u")


def slope(values: Quantity, axis: Axis) -> Quantity | None:
    """What the slope of curves against an axis is: a conductance of currents against a voltage; None if not known.

    Examples
    --------
    >>> from emcore.core.quantities import Quantity, slope
    >>> slope(Quantity("Current", "nA"), Axis("Bias", 100, units="mV"))
    Quantity(name='conductance', units='uS')
    >>> slope(Quantity("force", "nN"), Axis("z", 100, units="nm"))
    Quantity(name='slope', units='nN/nm')
    >>> slope(Quantity("df", ""), Axis("z", 100, units="nm")) is None
    True
    """
    over = axis.units if axis.calibrated else ""
    ampere, volt = _power(values.units, "A"), _power(over, "V")
    current = ampere is not None if values.units else bool(_CURRENT.search(values.name))
    voltage = kind_of(over) == VOLTAGE if over else bool(_BIAS.search(axis.name))
    if current and voltage:
        power = None if ampere is None or volt is None else ampere - volt
        prefix = next((letter for letter, each in _PREFIXES.items() if each == power), None)
        return Quantity("conductance", "" if power is None else f"{prefix}S" if prefix is not None else "A/V")
    if not values.units or not over:
        return None
    return Quantity("slope", f"{values.units}/{over if over.isalpha() else f'({over})'}")


def _power(units: str, base: str) -> int | None:
    """The power of ten of a unit that is a letter and a base; None of any other."""
    return _PREFIXES.get(units.removesuffix(base)) if units.endswith(base) else None


def in_pixels(length: int | str, axis: Axis, name: str) -> int:
    """A length as pixels of a picture.

    Parameters
    ----------
    length : int or str
        In pixels, or with its unit, as "1.2 nm".
    axis : Axis
        Along which pixels lie.
    name : str
        The argument's name, for the message.

    Raises
    ------
    ValueError
        What is no length, or one in a unit into which that of the axis cannot be converted.
    TypeError
        What is neither a whole number nor a text.

    Examples
    --------
    >>> from emcore.core.quantities import in_pixels
    >>> in_pixels("1.2 nm", Axis("x", 100, 0.5, units="A"), "patch"), in_pixels(7, Axis("x", 100), "patch")
    (24, 7)
    """
    if not isinstance(length, str):
        return check_count(length, name, 1)
    number = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(\D*)", length)
    if number is None:
        raise ValueError(f"{name}={length!r} is no length: give whole pixels, or a number with its unit as in '1.2 nm'")
    units = tidy_units(number[2])
    times = factor(units, axis.units) if axis.calibrated or units == "px" else None
    if units == "px":
        times = abs(axis.scale)
    if times is None:
        has = f"a pixel of {axis.units}" if axis.calibrated else "no calibration"
        raise ValueError(f"{name}={length!r} is in {number[2].strip()}, the image has {has}: give it in pixels")
    return max(round(float(number[1]) * times / abs(axis.scale)), 1)


def in_prefix(largest: float, units: str) -> tuple[float, str]:
    """By what values up to `largest` are divided to read well, and the unit that they have then.

    Examples
    --------
    >>> from emcore.core.quantities import in_prefix
    >>> in_prefix(3.5e-10, "A"), in_prefix(0.02, "nN/nm"), in_prefix(3e-9, "")
    ((1e-12, 'pA'), (1.0, 'nN/nm'), (1e-09, '10⁻⁹'))
    """
    base = next((each for each in _TAKING if _power(units, each) is not None), None)
    if not 0 < largest < math.inf or 0.1 <= largest < 1000:
        return 1.0, units
    step = 3 * math.floor(math.log10(largest) / 3)
    if base is not None:
        wanted = (_power(units, base) or 0) + step
        for letter, power in _PREFIXES.items():
            if power == wanted:
                return 10.0**step, f"{letter}{base}"
    if -3 <= step <= 3:
        return 1.0, units
    return 10.0**step, f"{power_of_ten(step)} {units}".strip()
