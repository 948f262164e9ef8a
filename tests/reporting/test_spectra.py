"""A spectrum is drawn with labelled axes, and its peaks with places and lines that do not touch each other."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from emcore.core.signals import Axis
from emcore.methods.xray.lines import Line
from emcore.reporting.pages.layout import new_page, place
from emcore.reporting.pages.spectra import NamedPeak, draw_spectrum, label_of, peaks_said, shown_axis, spread

EDS = Axis("energy", 2000, 10.0, 0.0, "eV")


def drawn(spectrum, axis, peaks, **options):
    axes = place(new_page(), 4.0, 1.0, 7.2, 1.55)
    draw_spectrum(axes, spectrum, axis, "black", peaks=peaks, **options)
    FigureCanvasAgg(axes.figure).draw()
    return axes


def peak(channel, strength=1.0, *names):
    lines = tuple(Line(*name.split()[:1], 1, name.split()[1], 1.0) for name in names)
    return NamedPeak(channel, f"{channel / 100:.2f}", lines, strength)


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        (Axis("energy", 2000, 10.0, 0.0, "eV"), "energy (keV)"),
        (Axis("energy", 500, 0.5, 428.5, "eV"), "energy (eV)"),
        (Axis("wavelength", 500, 0.2, 470.0, "nm"), "wavelength (nm)"),
        (Axis("time", 500, 0.004, 2.4, "ns"), "time (ns)"),
        (Axis("channel", 500), "channel"),
        (Axis("Energy", 500, 0.01, 0.2, ""), "Energy"),
    ],
)
def test_the_axis_of_a_spectrum_has_its_name_and_unit_and_the_other_says_what_was_counted(axis, said):
    axes = drawn(np.linspace(1, 2, axis.size), axis, [])
    assert axes.get_xlabel() == said == label_of(shown_axis(axis))
    assert axes.get_ylabel() == "counts"


@pytest.mark.parametrize("channels", [range(100, 130, 3), range(20, 260, 20), [50, 52, 1990, 1995], [3, 5, 7]])
def test_labels_of_peaks_do_not_touch_each_other_and_lie_within_the_axes(channels):
    spectrum = np.ones(2000)
    spectrum[list(channels)] = np.linspace(30000, 300, len(channels))
    axes = drawn(spectrum, EDS, [peak(c, 1.0, "Fe Kα") for c in channels])
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == [f"Fe Kα {c / 100:.2f}" for c in channels]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert max(box.y1 for box in boxes) <= axes.get_window_extent().y1


def test_a_label_stands_above_the_peak_that_it_belongs_to():
    spectrum = np.ones(2000)
    spectrum[[640, 1200]] = 900, 100
    axes = drawn(spectrum, EDS, [peak(640), peak(1200)])
    for text, (at, value) in zip(axes.texts, [(6.4, 900), (12.0, 100)], strict=True):
        box = text.get_window_extent()
        x, y = axes.transData.transform((at, value))
        assert box.x0 <= x <= box.x1
        assert y <= box.y0 <= y + 8


def test_an_ambiguous_peak_names_all_its_lines_and_one_without_a_name_its_place_alone():
    assert str(peak(231, 1.0, "S Kα", "Mo Lα")) == "S Kα/Mo Lα 2.31"
    assert str(peak(231)) == "2.31"


def test_a_table_has_as_many_peaks_as_asked_and_their_unit_once():
    peaks = [peak(174, 3.0, "Si Kα"), peak(52, 2.0, "O Kα"), peak(100)]
    assert peaks_said(peaks, EDS, 2) == "Si Kα 1.74, O Kα 0.52 keV"
    assert peaks_said([], EDS, 2) == ""
    assert peaks_said(peaks[2:], Axis("Energy", 2000, 0.01, 0.2, ""), 2) == "1.00"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12).map(sorted), st.floats(0.01, 20))
def test_places_are_spread_as_far_as_they_must_be_and_no_farther(places, gap):
    spaced = spread(places, gap)
    assert all(b - a >= gap * (1 - 1e-9) - 1e-9 for a, b in pairwise(spaced))
    if all(b - a >= gap for a, b in pairwise(places)):
        assert spaced == pytest.approx(places)
    assert np.mean(spaced) == pytest.approx(np.mean(places))
    within = spread(places, gap, (10.0, 10.0 + 12 * gap))
    assert min(within) >= 10.0
    assert max(within) <= 10.0 + 12 * gap + 1e-9
