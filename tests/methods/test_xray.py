"""Peaks of X-ray spectra are found where lines are and nowhere else, and are named as a microscopist would."""

import numpy as np
import pytest

from emcore.core.signals import Axis
from emcore.methods.xray import lines as xray_lines
from emcore.methods.xray.lines import emission_lines, named_peaks
from emcore.methods.xray.peaks import find_peaks, resolution, xray_energies

pytest.importorskip("xraydb", reason="the table of lines needs the extra xray")
ENERGY = 150 + 10.0 * np.arange(2000)
# Counts of the lines of a shell, relative to its strongest.
PARTS = {"Kα": 1.0, "Kβ": 0.13, "Lα": 1.0, "Lβ": 0.45, "Lβ₂": 0.15, "Lγ": 0.08, "Ll": 0.04, "Mα": 1.0}
LINES = {str(line): line.energy for line in emission_lines()}


def spectrum(amounts, shells="K L M", seed=0, continuum=30.0, energy=ENERGY):
    """Counts of so many of the strongest line of each element's shells, on a continuum, with counting noise."""
    expected = continuum * np.exp(-energy / 4000) * (1 - np.exp(-energy / 500))
    for element, amount in amounts.items():
        for name, part in PARTS.items():
            at = LINES.get(f"{element} {name}")
            if name in ("Lβ", "Ll") and f"{element} Lα" not in LINES:
                continue
            if at is not None and name[0] in shells and energy[0] < at < energy[-1]:
                sigma = float(resolution(at)) / 2.3548
                step = energy[1] - energy[0]
                expected = expected + amount * part * step / sigma / np.sqrt(2 * np.pi) * np.exp(
                    -0.5 * ((energy - at) / sigma) ** 2
                )
    return np.random.default_rng(seed).poisson(expected).astype(float)


def names(counts, energy=ENERGY, **options):
    return [[str(line) for line in observed] for _, observed in named_peaks(counts, energy, **options)]


@pytest.mark.parametrize(
    ("name", "energy"), [("C Kα", 277), ("Si Kα", 1740), ("Fe Kα", 6399), ("Pt Lα", 9433), ("Au Mα", 2123)]
)
def test_the_table_has_the_energies_of_the_textbooks(name, energy):
    assert LINES[name] == pytest.approx(energy, abs=12)


ELEMENTS = (
    "C N O F Na Mg Al Si P S Cl K Ca Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Sr Zr Nb Mo Ag Cd In Sn Sb Ba La Ce Nd"
)
ELEMENTS += " Gd Hf Ta W Pt Au Hg Pb Bi U"


@pytest.mark.parametrize("element", ELEMENTS.split())
def test_every_line_of_an_element_is_named_after_it(element):
    for seed in range(3):
        observed = names(spectrum({element: 20000}, seed=seed))
        assert observed
        assert observed[0][0].split()[0] == element
        for candidates in observed:
            assert element in {name.split()[0] for name in candidates}


def test_the_weaker_line_of_an_element_is_not_taken_for_another_element():
    observed = {each[0] for each in names(spectrum({"Ti": 30000, "Fe": 50000, "Mn": 10000, "K": 20000, "Ca": 20000}))}
    assert observed >= {"Ti Kα", "Fe Kα", "Mn Kα", "K Kα", "Ca Kα", "Ti Kβ", "Fe Kβ"}
    assert not any(name.startswith(("V ", "Co ", "Sb ", "I ")) for name in observed)


def test_what_energies_leave_open_stays_open():
    # Without their K lines, which weak electrons do not excite, sulphur and molybdenum are alike.
    counts = spectrum({"S": 20000, "Si": 20000}, energy=ENERGY[:1000])
    (candidates,) = (each for each in names(counts, ENERGY[:1000]) if "S Kα" in each)
    assert candidates[:2] == ["S Kα", "Mo Lα"]


def test_an_element_whose_other_lines_are_missing_is_no_candidate():
    for element, false in (
        ("Al", "Br"),
        ("Na", "Zn"),
        ("Mg", "As"),
        ("O", "V"),
        ("F", "Fe"),
        ("Pb", "As"),
    ):
        every = {
            name.split()[0] for each in names(spectrum({element: 30000, "Cu": 3000}, continuum=60)) for name in each
        }
        assert element in every
        assert false not in every


def test_an_element_that_is_there_anyway_is_preferred():
    weak = spectrum({"Si": 50000, "Sn": 300}, seed=1)
    assert not any("Sn Lα" in each for each in names(weak))
    assert any(each[:1] == ["Sn Lα"] for each in names(weak, known=frozenset({"Sn"})))


def test_without_the_package_there_are_energies_alone(monkeypatch):
    monkeypatch.setattr(xray_lines, "find_spec", lambda name: None)
    emission_lines.cache_clear()
    try:
        named = named_peaks(spectrum({"Fe": 20000}, "K"), ENERGY)
    finally:
        monkeypatch.undo()
        emission_lines.cache_clear()
    assert [observed for _, observed in named] == [()] * len(named)
    assert named[0][0].energy == pytest.approx(LINES["Fe Kα"], abs=5)


@pytest.mark.parametrize("element", ["O", "Al", "Ca", "Fe", "Cu"])
def test_the_place_of_a_peak_is_its_centroid(element):
    places = [find_peaks(spectrum({element: 20000}, "K", seed), ENERGY)[0].energy for seed in range(10)]
    assert np.mean(places) == pytest.approx(LINES[f"{element} Kα"], abs=4)
    assert np.std(places) < 4


@pytest.mark.parametrize("level", [0.0, 0.05, 1.0, 100.0, 1e5])
def test_noise_and_steps_have_no_peaks(level):
    steps = level * (1 + 3 * (ENERGY > 5000) - 2 * (ENERGY > 9000))
    for seed in range(5):
        assert find_peaks(np.random.default_rng(seed).poisson(steps).astype(float), ENERGY) == []


def test_peaks_come_in_the_order_of_their_counts():
    peaks = find_peaks(spectrum({"Al": 4000, "Si": 9000, "Fe": 2000}, "K"), ENERGY)
    assert [round(peak.energy / 1e3, 1) for peak in peaks[:3]] == [1.7, 1.5, 6.4]
    assert peaks[2].counts == pytest.approx(0.8 * 2000, rel=0.1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rock.bcf", "Si Kα, O Kα, Al Kα, K Kα, Na Kα, Fe Kα, Ca Kα"),
        ("core_shell.hspy", "C Kα, Cu Kα, Fe Kα, O Kα, Pt Lα, Si Kα, Pt Mα"),
        ("eds_two_particles.hspy", "O Kα, Si Kα, Mg Kα, Fe Kα, Ca Kα, Al Kα, Cu Kα"),
    ],
)
def test_the_strongest_peaks_of_real_scans_are_those_of_what_is_in_them(name, expected, data_folder):
    from emcore.scans.spectrum_images import select

    image = select(data_folder / name)
    energy = xray_energies(image.energy)
    counts = np.asarray(image.rows(), dtype=np.float64).sum(axis=0)
    strong = [observed[0] for _, observed in named_peaks(counts, energy)[:11] if observed]
    assert set(expected.split(", ")) <= set(map(str, strong))


@pytest.mark.parametrize(
    ("axis", "first"),
    [
        (Axis("Energy", 2048, 0.01, -0.2, "keV"), -200.0),
        (Axis("energy", 2048, 10.0, 0.0, "eV"), 0.0),
        (Axis("Energy", 1980, 0.01, 0.2, ""), 200.0),
        (Axis("Energy", 1980, 0.01, 0.2, "px"), None),
        (Axis("energy", 2048, 0.5, 0.0, "eV"), None),
        (Axis("energy", 100, 10.0, 0.0, "eV"), None),
        (Axis("wavelength", 2048, 10.0, 0.0, "nm"), None),
        (Axis.from_values("energy", np.arange(1.0, 100.0) ** 2, "eV"), None),
    ],
)
def test_an_axis_is_that_of_x_rays_by_its_unit_and_its_channels(axis, first):
    energy = xray_energies(axis)
    assert (energy is None) == (first is None)
    if energy is not None:
        assert energy[0] == pytest.approx(first)
