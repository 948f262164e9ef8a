"""What was found over a scan is drawn as a picture where the scan has two sides, and as profiles along a line."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from emcore.core.signals import Axis
from emcore.reporting.pages.layout import new_page, place
from emcore.reporting.pages.scan import as_picture, draw_groups, draw_shares, draw_values, line_of, size_of
from emcore.reporting.plotting import component_color

LINE = Axis("position", 40, 0.0032, units="um")
LINES = [(LINE,), (Axis("y", 1, 7.0, units="nm"), LINE), (LINE, Axis("x", 1))]


def axes_on_page():
    return place(new_page(), 1.0, 1.0, 3.3, 3.2)


@pytest.mark.parametrize("scan", LINES)
def test_a_line_of_positions_is_drawn_as_a_profile_with_its_length(scan):
    values = np.arange(40.0).reshape([axis.size for axis in scan])
    axes = axes_on_page()
    draw_values(axes, values, scan, label="counts")
    (line,) = axes.lines
    assert line.get_xdata() == pytest.approx(3.2 * np.arange(40))
    assert line.get_ydata() == pytest.approx(np.arange(40))
    assert axes.get_xlabel() == "position (nm)"
    assert axes.get_ylabel() == "counts"
    assert not axes.images
    assert size_of(scan) == "40 positions along a line, 128 nm"


@pytest.mark.parametrize("scan", LINES)
def test_labels_along_a_line_are_runs_in_the_colour_of_their_group(scan):
    labels = np.repeat([0, 2, -1, 0], 10)
    axes = axes_on_page()
    draw_groups(axes, labels.reshape([axis.size for axis in scan]), scan, 3)
    runs = {
        i: [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in bars.get_paths()]
        for i, bars in enumerate(axes.collections)
    }
    ends = -1.6, 30.4, 62.4, 94.4, 126.4
    assert runs[0] == [pytest.approx(ends[:2]), pytest.approx(ends[3:])]
    assert runs[1] == []
    assert runs[2] == [pytest.approx(ends[1:3])]
    for i, bars in enumerate(axes.collections):
        assert all(tuple(color[:3]) == pytest.approx(component_color(i)) for color in bars.get_facecolor())
    assert axes.get_ylabel() == "cluster"


def test_shares_along_a_line_are_one_profile_for_each_group_and_the_legend_has_all():
    shares = np.random.default_rng(0).dirichlet(np.ones(9), 40).T
    axes = axes_on_page()
    draw_shares(axes, shares, (LINE,))
    assert np.array([line.get_ydata() for line in axes.lines]) == pytest.approx(shares)
    assert [text.get_text() for text in axes.get_legend().texts] == [str(i + 1) for i in range(9)]


def test_large_and_small_values_have_their_power_in_the_label_and_none_over_the_title():
    for power, said in ((1e8, "counts (10⁶)"), (3e-6, "counts (10⁻⁶)"), (50.0, "counts")):
        axes = axes_on_page()
        draw_values(axes, power * np.linspace(0.2, 1, 40), (LINE,), label="counts")
        FigureCanvasAgg(axes.figure).draw()
        assert axes.get_ylabel() == said
        assert axes.yaxis.get_offset_text().get_text() == ""


def test_what_stands_at_a_profile_lies_within_the_box_of_the_picture_that_it_replaces():
    axes = axes_on_page()
    draw_values(axes, 1e7 * np.linspace(0.2, 1, 40), (LINE,), label="counts")
    FigureCanvasAgg(axes.figure).draw()
    box = axes.get_tightbbox().transformed(axes.figure.dpi_scale_trans.inverted())
    assert box.x0 >= 0.95
    assert box.x1 <= 4.35
    assert box.y1 <= 8.27 - 1.0 + 0.1
    assert box.y0 >= 8.27 - 1.0 - 3.2


def test_two_sides_of_a_scan_in_different_units_of_length_are_drawn_in_one():
    scan = (Axis("y", 3, 0.002, 0.1, "um"), Axis("x", 4, 1.0, 5.0, "nm"))
    _, y, x = as_picture(np.zeros((3, 4)), scan)
    assert (y.units, y.scale, y.offset) == ("nm", pytest.approx(2.0), pytest.approx(100.0))
    assert x == scan[1]
    assert size_of(scan) == "4 × 3 positions, 4 nm × 6 nm (steps of 1 nm × 2 nm)"
    axes = axes_on_page()
    draw_values(axes, np.zeros((3, 4)), scan)
    FigureCanvasAgg(axes.figure).draw()
    corner, right, down = axes.transData.transform([(5, 100), (6, 100), (5, 102)])
    assert 2 * (right[0] - corner[0]) == pytest.approx(corner[1] - down[1])


def test_two_sides_that_measure_different_things_are_drawn_in_positions():
    _, y, x = as_picture(np.zeros((3, 4)), (Axis("y", 3, 2.0, units="s"), Axis("x", 4, 1.0, units="nm")))
    assert (y, x) == (Axis("y", 3), Axis("x", 4))


@pytest.mark.parametrize(
    ("sizes", "line"),
    [((5,), True), ((1, 5), True), ((5, 1), True), ((1, 1), True), ((2, 5), False), ((1, 2, 5), False)],
)
def test_a_scan_is_a_line_where_it_goes_along_one_axis(sizes, line):
    assert (line_of([Axis(f"axis_{i}", size) for i, size in enumerate(sizes)]) is not None) == line


def test_one_position_is_not_said_in_the_plural():
    assert size_of((Axis("y", 1), Axis("x", 1))) == "1 position"
    assert size_of((Axis("position", 1, 2.0, units="nm"),)) == "1 position"
    assert size_of((Axis("y", 2), Axis("x", 3))) == "3 × 2 positions"
