"""How a number is said to a person: in a report, in a table, in a terminal."""

import math
from collections.abc import Iterable

from emcore.core.signals import Axis
from emcore.core.units import LENGTHS


def quantity(value: float, units: str, digits: int = 3) -> str:
    """A number with its unit as one reads it: a length far from 1 changes its prefix, a missing value is a dash.

    Examples
    --------
    >>> from emcore.core.wording import quantity
    >>> quantity(2.5e-7, "m"), quantity(0.39051, "nm"), quantity(9.0, "px"), quantity(float("nan"), "nm")
    ('250 nm', '0.391 nm', '9 px', '–')
    """
    return column([value], units, digits)[0]


def column(values: Iterable[float], units: str, digits: int = 3) -> list[str]:
    """Numbers to be compared, each with its unit: the unit that suits the smallest.

    Examples
    --------
    >>> from emcore.core.wording import column
    >>> column([0.107, 0.0941], "um")
    ['107 nm', '94.1 nm']
    """
    values = [float(f"{value:.{digits}g}") for value in values]
    smallest = min((abs(value) for value in values if math.isfinite(value) and value), default=1.0)
    factor = 1.0
    if units in LENGTHS and not 0.1 <= smallest < 1000:
        metres = smallest * LENGTHS[units] * (1 + 1e-9)
        better = next((name for name in ("m", "mm", "um", "nm") if LENGTHS[name] <= metres), "pm")
        factor, units = LENGTHS[units] / LENGTHS[better], better
    return [f"{number(value * factor, digits)} {symbol(units)}" if math.isfinite(value) else "–" for value in values]


def readable(axis: Axis) -> Axis:
    """An axis of lengths in the unit in which its largest value reads well, any other axis as it is.

    Examples
    --------
    >>> from emcore.core.signals import Axis
    >>> from emcore.core.wording import readable
    >>> readable(Axis("x", 40, 0.0032, units="um"))
    Axis(name='x', size=40, scale=3.2, offset=0.0, units='nm', navigation=False)
    """
    largest = float(max(abs(axis.values[0]), abs(axis.values[-1])))
    if axis.units not in LENGTHS or largest == 0 or 0.5 <= largest < 2000:
        return axis
    metres = largest * LENGTHS[axis.units] * (1 + 1e-9)
    better = next((name for name in ("m", "mm", "um", "nm") if LENGTHS[name] <= metres), "pm")
    return axis.to(better) or axis


def number(value: float, digits: int = 3) -> str:
    """A number to so many digits, without an exponent where it can be read without.

    Examples
    --------
    >>> from emcore.core.wording import number
    >>> number(22934.7), number(0.25), number(2e9)
    ('22900', '0.25', '2e+09')
    """
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:.0f}" if 10**digits <= abs(rounded) < 1e6 else f"{rounded:.{digits}g}"


def power_of_ten(power: int) -> str:
    """10⁻³, without a typesetter."""
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def count_of(count: int, noun: str) -> str:
    """1 component, 3 components."""
    return f"{count} {noun if count == 1 else several(noun)}"


def several(noun: str) -> str:
    """What there is more than one of.

    Examples
    --------
    >>> from emcore.core.wording import several
    >>> several("grain"), several("class"), several("axis of frames"), several("position of a peak")
    ('grains', 'classes', 'axes of frames', 'positions of a peak')
    """
    head, of, what = noun.partition(" of ")
    return f"{head.removesuffix('is')}{'es' if head.endswith('s') else 's'}{of}{what}"


def empty(count: int) -> str:
    """What follows the number of positions where some have no measurement.

    Examples
    --------
    >>> from emcore.core.wording import empty
    >>> f"900 positions{empty(378)}", f"900 positions{empty(0)}"
    ('900 positions, 378 of them empty', '900 positions')
    """
    return f", {count} of them empty" if count else ""


def direction(degrees: float) -> str:
    """A direction in 0..180 degrees, to a tenth; a dash where there is none."""
    return f"{round(degrees, 1) % 180:.1f}°" if math.isfinite(degrees) else "–"


def symbol(units: str) -> str:
    """A unit as it is printed: "um" is µm, "1/A" is 1/Å."""
    return {"um": "µm", "A": "Å", "1/um": "1/µm", "1/A": "1/Å"}.get(units, units)
