"""One spelling for a unit, whoever wrote it; conversion, against pint."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emcore.core.signals import Axis, in_common_units, tidy_axes
from emcore.core.units import ENERGY, LENGTH, OTHER, RECIPROCAL, TIME, VOLTAGE, factor, kind_of, tidy_units

SPELLINGS = {
    "um": ("µm", "μm", "um", "micron", "Micrometer", " µm ", "um.", "$\\mu$m", "mum"),
    "nm": ("nm", "n_m", "$nm$", "$\\mathrm{nm}$", "nanometers", "NM", "nm.", "nanometre", b"nm"),
    "A": ("Å", "A", "Angstrom", "\u212b", "$\\AA$", "Ångström", "ang"),
    "1/nm": ("1/nm", "nm^-1", "1 / nm", "nm⁻¹", "nm**-1", "$nm^{-1}$", "1/(nm)", "nm-1", "/nm"),
    "1/A": ("1/Å", "1/A", "A^-1", "Å⁻¹", "$\\AA^{-1}$", "1/Angstrom", "Å^{-1}"),
    "1/cm": ("cm-1", "1/cm", "cm^-1", "cm⁻¹"),
    "px": (None, "", "pixel", "px", "pix", "<undefined>", 7, "_None_", "None", "undefined", "Pixels", "t.b.d."[:0]),
    "eV": ("eV", "ev", "EV", "electron_volt", "electronvolt"),
    "keV": ("keV", "KeV", "kev", "kiloelectronvolt"),
    "s": ("s", "sec", "Seconds"),
    "ns": ("ns", "nanosecond"),
    "V": ("V", "Volt", "volts"),
    "mV": ("mV", "millivolt"),
    "mrad": ("mrad", "milliradian"),
    "deg": ("deg", "°", "degrees"),
    "Hz": ("Hz", "hertz"),
    "nA": ("nA", "nanoampere"),
}


@pytest.mark.parametrize("unit", SPELLINGS)
def test_a_unit_has_one_spelling(unit):
    assert {tidy_units(spelling) for spelling in SPELLINGS[unit]} == {unit}
    assert tidy_units(unit) == unit


@given(st.text(max_size=12))
def test_any_text_becomes_a_unit_once_and_for_all(text):
    unit = tidy_units(text)
    assert unit
    assert tidy_units(unit) == unit
    kind_of(unit)
    assert factor(unit, unit) == 1.0


@pytest.mark.parametrize("text", ["1/0", "m/0", "9^9^9^9", "m^9^9^9", "9**9**9", "1e9", "0/0", "m^-0/1", "()", "^"])
def test_arithmetic_in_a_unit_is_not_done(text):
    assert tidy_units(tidy_units(text)) == tidy_units(text)
    kind_of(tidy_units(text))


def test_kinds_are_told_apart():
    kinds = {"nm": LENGTH, "1/A": RECIPROCAL, "keV": ENERGY, "ns": TIME, "mV": VOLTAGE, "nA": OTHER, "J": ENERGY}
    assert {unit: kind_of(unit) for unit in kinds} == kinds
    assert kind_of("1/cm") != RECIPROCAL
    assert kind_of("px") == kind_of("") == ""


@given(st.sampled_from(["m", "cm", "mm", "um", "nm", "A", "pm", "inch", "1/nm", "1/A", "1/um", "eV", "keV", "s", "ms",
                        "ns", "min", "V", "mV", "rad", "mrad", "deg", "Hz", "kHz"]), st.data())  # fmt: skip
def test_factors_are_those_of_pint(units, data):
    pint = pytest.importorskip("pint")
    wanted = data.draw(st.sampled_from(["m", "um", "nm", "A", "1/nm", "1/A", "eV", "s", "ns", "V", "mrad", "Hz"]))
    known = {"A": "angstrom", "1/A": "1/angstrom"}
    ours, theirs = (pint.Unit(known.get(unit, unit)) for unit in (units, wanted))
    times = factor(units, wanted)
    if ours.dimensionality != theirs.dimensionality or (kind_of(units) != kind_of(wanted)):
        assert times is None
    else:
        assert times == pytest.approx((1 * ours).to(theirs).magnitude, rel=1e-14)


def test_common_units_keep_positions_and_refuse_what_differs():
    y, x = in_common_units((Axis("y", 3, 2.0, 10.0, "A"), Axis("x", 4, 1.0, units="nm")))
    assert y.units == x.units == "nm"
    assert np.allclose(y.values, [1.0, 1.2, 1.4])
    assert in_common_units((Axis("y", 3, 2.0, units="eV"), Axis("x", 4, 1.0, units="nm"))) is None
    assert in_common_units((Axis("y", 3), Axis("x", 4, 1.0, units="nm"))) is None


def test_what_is_no_calibration_is_none():
    for scale in (1.0, 1e-20, 30.0):
        assert tidy_axes((Axis("x", 4, scale, units="m"),))[0] == Axis("x", 4)
    assert tidy_axes((Axis("x", 4, 0.5, units="pix"),))[0].units == ""
    assert tidy_axes((Axis("x", 4, 1.0, units="pix"),))[0] == Axis("x", 4)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.sampled_from(["nm", "V", "px"]))
def test_an_axis_of_values_has_these_values(values, units):
    axis = Axis.from_values("x", values, units)
    assert axis.size == len(values)
    assert axis.values.shape == (len(values),)
    step = abs(values[-1] - values[0]) / max(len(values) - 1, 1)
    assert np.abs(axis.values - values).max() <= 1e-2 * step * axis.even + 1e-9 * max(map(abs, values))
    part = axis.crop(0, max(axis.size // 2, 1))
    assert np.allclose(part.values, axis.values[: part.size], rtol=1e-9, atol=1e-9)


def test_uneven_axes_convert_and_crop_point_by_point():
    axis = Axis.from_values("delay", [0.0, 1.0, 4.0], "ps")
    assert not axis.even
    assert axis.to("ns").values.tolist() == [0.0, 0.001, 0.004]
    assert axis.crop(1, 3).values.tolist() == [1.0, 4.0]
    with pytest.raises(ValueError, match="3 points, but values for 2"):
        Axis("delay", 3, points=(0.0, 1.0))
    with pytest.raises(ValueError, match="finite"):
        Axis.from_values("delay", [0.0, np.nan])


def test_everyday_units_do_without_pint():
    code = (
        "import sys; from emcore.core.units import factor, tidy_units;"
        "[tidy_units(u) for u in ('µm', 'nm^-1', 'Angstrom', '', 'keV', 's', '<undefined>')]; factor('A', 'nm');"
        "assert 'pint' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
