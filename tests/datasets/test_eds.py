"""Synthetic EDS: what its truth says must be in the counts."""

import numpy as np
import pytest

from emcore.datasets import eds_phases, eds_spectrum, eds_spheres
from emcore.datasets.eds import SPHERES

FINE = np.arange(0.001, 21, 0.001)


@pytest.mark.parametrize(("element", "line"), [("Al", 1.4865), ("Fe", 6.4039), ("Cu", 8.0478), ("O", 0.5249)])
def test_a_line_lies_at_its_energy_and_is_as_wide_as_the_detector_makes_it(element, line):
    spectrum = eds_spectrum({element: 1}, FINE, background=0)
    near = np.abs(FINE - line) < 0.2
    above = FINE[near][spectrum[near] >= spectrum[near].max() / 2]
    assert FINE[near][spectrum[near].argmax()] == pytest.approx(line, abs=0.002)
    assert above[-1] - above[0] == pytest.approx(np.sqrt(0.13**2 + 2.5e-3 * (line - 5.8987)), rel=0.05)


def test_weights_within_a_family_are_areas_of_peaks():
    spectrum = eds_spectrum({"Cu": 1}, FINE, background=0)
    alpha, beta = (spectrum[np.abs(FINE - line) < 0.4].sum() for line in (8.0478, 8.9053))
    assert beta / alpha == pytest.approx(0.118 / 0.9, rel=1e-3)


def test_bremsstrahlung_follows_kramers_and_is_absorbed_at_low_energy():
    alone = eds_spectrum({"Si": 1}, FINE, beam_energy=20, background=1) - eds_spectrum(
        {"Si": 1}, FINE, beam_energy=20, background=0
    )
    at = [np.abs(FINE - e).argmin() for e in (5.0, 10.0)]
    assert alone[at[0]] / alone[at[1]] == pytest.approx((15 / 5) / (10 / 10), rel=1e-2)
    assert np.all(alone[FINE >= 20] <= 1e-12)
    assert alone[FINE < 0.1].max() < 1e-6 * alone.max()
    heavier = eds_spectrum({"W": 1}, FINE, background=2) - eds_spectrum({"W": 1}, FINE, background=0)
    assert heavier[at[0]] / alone[at[0]] == pytest.approx(2 * 74 / 14 * (195 / 200) / (15 / 20), rel=1e-6)


def test_a_composition_counts_by_its_ratios():
    energy = np.arange(0, 10, 0.02)
    np.testing.assert_allclose(eds_spectrum({"Sc": 2, "O": 8}, energy), eds_spectrum({"Sc": 1, "O": 4}, energy))


@pytest.mark.parametrize("make", [lambda: eds_phases(shape=(40, 50)), lambda: eds_spheres(shape=(50, 60), counts=60)])
def test_counts_scatter_about_maps_times_spectra_as_poisson_has_it(make):
    sample = make()
    expected = np.tensordot(sample.maps, sample.spectra, axes=(0, 0))
    rest = np.asarray(sample.signal.data, dtype=float) - expected
    assert abs(rest.sum()) < 4 * np.sqrt(expected.sum())
    assert np.sum(rest**2) / expected.sum() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(sample.spectra.sum(axis=1), 1)
    assert sample.signal.axes[-1].units == "keV"


def test_the_strobe_is_around_zero_only():
    with_it, without = (eds_phases(shape=(30, 30), zero_peak=peak).signal for peak in (200, 0))
    energy = with_it.axes[-1].values
    more = (with_it.data.astype(float) - without.data).sum(axis=(0, 1))
    assert more[np.abs(energy) < 0.1].sum() == pytest.approx(200 * 900, rel=0.02)
    assert abs(more[energy > 0.12].sum()) < 5 * np.sqrt(2 * without.data.sum())


def test_the_minority_phase_fills_what_was_asked_for():
    sample = eds_phases(shape=(50, 60), minority=0.02)
    assert np.count_nonzero(sample.maps[2]) == 60
    assert np.all(np.count_nonzero(sample.maps, axis=0) == 1)


def test_spheres_have_their_diameters_and_parts_that_sum_to_one():
    sample = eds_spheres(shape=(200, 200), pixel=0.5, channels=100, counts=10)
    np.testing.assert_allclose(sample.maps.sum(axis=0), 10)
    for name, (_, diameter, _) in SPHERES.items():
        area = 0.25 * np.count_nonzero(sample.maps[sample.names.index(name)])
        assert 2 * np.sqrt(area / np.pi) == pytest.approx(diameter, rel=0.03), name
    assert np.all(np.count_nonzero(sample.maps[1:], axis=0) <= 1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: eds_spectrum({"Xx": 1}, FINE), "'Xx'; known are C"),
        (lambda: eds_spectrum({"Fe": 0}, FINE), "0.0 atoms of Fe"),
        (lambda: eds_spectrum({"Fe": 1}, [1.0, 2.0, 4.0]), "evenly spaced"),
        (lambda: eds_spectrum({"Fe": 1}, FINE, background=-1), "background=-1"),
        (lambda: eds_phases(shape=(4, 40)), r"shape\[0\]=4 is out of range"),
        (lambda: eds_phases(minority=0.9), "at most 0.5"),
        (lambda: eds_spheres(shape=(20, 20)), "no room"),
        (lambda: eds_spheres(counts=0), "above 0"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
