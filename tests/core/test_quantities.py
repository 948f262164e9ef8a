"""What was measured is known by what the file says of it, and a slope has the unit of one quantity over the other."""

import numpy as np
import pytest

from emcore.core.quantities import Quantity, in_prefix, measured, slope
from emcore.core.signals import Axis, Signal


def signal(title="", source="", **metadata):
    return Signal(np.zeros(3), (Axis("bias", 3),), source, title, metadata)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (signal("Current (nA)"), ("Current", "nA")),
        (signal("Current [A]"), ("Current", "A")),
        (signal("Current", quantity="Current", units="A"), ("Current", "A")),
        (signal("anything", quantity="Current (µA)"), ("Current", "uA")),
        (signal("Measurement_000/Channel_000/IV", quantity="log J", units="$A/m^2$"), ("log J", "A/m^2")),
        (signal("entry/Current", source="x.h5"), ("Current", "")),
        (signal("film", source="/data/film.npy"), ("", "")),
        (signal("film_1.hspy", source="film_1.hspy"), ("", "")),
        (signal("wave0", units="V"), ("wave0", "V")),
        (signal(), ("", "")),
    ],
)
def test_the_quantity_is_what_the_file_says_and_not_the_name_of_the_file(found, expected):
    assert measured(found) == expected


@pytest.mark.parametrize(
    ("values", "name", "units", "expected"),
    [
        (("Current", "A"), "Bias", "V", ("conductance", "S")),
        (("Current", "nA"), "Bias", "V", ("conductance", "nS")),
        (("Current", "pA"), "Bias", "mV", ("conductance", "nS")),
        (("LI Demod 1 X", "A"), "Bias", "V", ("conductance", "S")),
        (("current", ""), "bias", "px", ("conductance", "")),
        (("current", ""), "bias", "V", ("conductance", "")),
        (("Current", ""), "sample voltage", "", ("conductance", "")),
        (("force", "nN"), "z", "nm", ("slope", "nN/nm")),
        (("Current", "nA"), "z", "nm", ("slope", "nA/nm")),
        (("log J", "A/m^2"), "E", "V/m", ("slope", "A/m^2/(V/m)")),
        (("Frequency shift", "Hz"), "Bias", "V", ("slope", "Hz/V")),
        (("df", ""), "z", "nm", None),
        (("", ""), "bias", "V", None),
        (("current", "counts"), "bias", "px", None),
        (("concurrent", ""), "bias", "V", None),
        (("", ""), "x", "px", None),
    ],
)
def test_only_currents_against_a_voltage_have_a_conductance(values, name, units, expected):
    found = slope(Quantity(*values), Axis(name, 10, units=units))
    assert found == expected


@pytest.mark.parametrize("units", ["A", "nA", "mV", "nS", "N/m", "", "counts"])
@pytest.mark.parametrize("largest", [3e-13, 4e-10, 0.02, 5.0, 700.0, 8e4, 2e9])
def test_a_prefix_says_by_what_values_were_divided(units, largest):
    powers = {"p": -12, "n": -9, "m": -3, "u": -6, "f": -15, "k": 3}
    factor, said = in_prefix(largest, units)
    before, _, base = said.rpartition(" ") if " " in said else ("", "", said)
    times = before or (base if base.startswith("10") else "")
    if times:
        power = int(times.removeprefix("10").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
        assert factor == pytest.approx(10.0**power)
        return
    assert factor == pytest.approx(10.0 ** (powers.get(said[:-1], 0) - powers.get(units[:-1], 0)))
    assert 1e-3 < largest / factor < 1e6


def test_values_that_read_well_are_left_as_they_are():
    assert in_prefix(12.0, "nA") == (1.0, "nA")
    assert in_prefix(0.0, "nA") == (1.0, "nA")
