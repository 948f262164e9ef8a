import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import emcore
from emcore.core.signals import Axis, Signal
from emcore.core.wording import column, direction, quantity
from emcore.reporting import pages, pictures, plotting
from emcore.results import RESULT_CLASSES

METRES = {"m": 1.0, "mm": 1e-3, "µm": 1e-6, "nm": 1e-9, "pm": 1e-12, "Å": 1e-10}


def drawn(values, y, x, size=(4, 3), **options):
    figure = Figure(figsize=size, dpi=100)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    plotting.draw_map(axes, values, y, x, **options)
    FigureCanvasAgg(figure).draw()
    return axes


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


@pytest.mark.parametrize(
    ("scale", "units", "size"),
    [
        (0.01, "nm", (1024, 1024)),
        (1.82505, "um", (1103, 1536)),
        (0.0053, "um", (512, 512)),
        (0.2, "A", (4000, 130)),
        (3e-9, "m", (300, 400)),
        (1e-4, "nm", (128, 128)),
        (-0.5, "nm", (64, 128)),
    ],
)
def test_a_scale_bar_is_as_long_as_its_label_says(scale, units, size):
    y, x = (scale * np.arange(n) for n in size)
    axes = drawn(np.zeros(size, np.float32), y, x, units=units, ticks=False, scale_bar=True)
    (bar,) = (line for line in axes.lines if line.get_gid() == "scale-bar")
    (label,) = (text.get_text() for text in axes.texts)
    number, unit = label.split()
    said = float(number) * METRES[unit] / METRES[{"um": "µm", "A": "Å"}.get(units, units)]
    ends = bar.get_transform().transform(np.column_stack(bar.get_data()))
    box = axes.get_window_extent()
    shown = (ends[1, 0] - ends[0, 0]) / box.width * abs(scale) * size[1]
    assert shown == pytest.approx(said, rel=1e-6)
    assert 0.09 < said / (abs(scale) * size[1]) <= 0.2501
    assert box.x0 == pytest.approx(ends[0, 0])
    assert float(number) / 10 ** np.floor(np.log10(float(number))) == pytest.approx(1, abs=4.01)
    assert float(f"{float(number):.0e}") == float(number)


@pytest.mark.parametrize("units", ["px", ""])
def test_where_no_length_is_known_there_is_no_scale_bar(units):
    axes = drawn(np.zeros((30, 40)), np.arange(30), np.arange(40), units=units, ticks=False, scale_bar=True)
    assert not axes.lines
    assert not axes.texts


@pytest.mark.parametrize("size", [(50, 50), (30, 300), (300, 30), (1500, 700)])
def test_pixels_are_square_on_paper_and_none_is_cut_off(size):
    y, x = (0.3 * np.arange(n) + 7 for n in size)
    axes = drawn(np.zeros(size, np.float32), y, x)
    corner, right, down = axes.transData.transform([(x[0], y[0]), (x[0] + 0.3, y[0]), (x[0], y[0] + 0.3)])
    assert right[0] - corner[0] == pytest.approx(corner[1] - down[1], rel=1e-6)
    assert sorted(axes.get_xlim()) == pytest.approx([x[0] - 0.15, x[-1] + 0.15])
    assert sorted(axes.get_ylim()) == pytest.approx([y[0] - 0.15, y[-1] + 0.15])


@pytest.mark.parametrize("size", [(30, 40), (2401, 3700)])
def test_the_first_pixel_is_drawn_at_the_top_left(size):
    values = np.zeros(size, np.float32)
    values[: size[0] // 2, : size[1] // 2] = 1
    figure = Figure(figsize=(4, 3), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    plotting.draw_map(axes, values, np.arange(size[0]), np.arange(size[1]), ticks=False)
    picture = pixels(figure)[..., 0]
    assert picture[100, 120] == 255
    assert max(picture[200, 120], picture[100, 280], picture[200, 280]) == 0


def test_a_large_picture_is_averaged_not_sampled():
    values = np.indices((2500, 3000)).sum(axis=0) % 2 * 200.0
    axes = drawn(values, np.arange(2500), np.arange(3000))
    shown = axes.images[0].get_array()
    assert shown.shape == (834, 1000)
    np.testing.assert_allclose(shown[:-1], 100, atol=200 / 9)
    assert shown.mean() == pytest.approx(100, abs=0.1)


def test_a_constant_picture_is_drawn():
    assert drawn(np.full((9, 9), 7, np.uint8), np.arange(9), np.arange(9)).images[0].get_clim() == (6.5, 7.5)


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_values_of_any_size_are_drawn(scale):
    values = scale * np.linspace(-1, 1, 81).reshape(9, 9)
    axes = drawn(values, np.arange(9), np.arange(9))
    shown = pixels(axes.figure)
    assert shown.min() == 0
    assert len(np.unique(shown[100:200, 100:300])) > 40


def test_components_have_different_colours():
    colors = {plotting.component_color(i) for i in range(21)}
    assert len(colors) == 21


def test_the_first_colours_stay_apart_for_the_red_blind_and_the_green_blind():
    # Vienot, Brettel & Mollon (1999), in linear light.
    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    linear = np.array([plotting.component_color(i) for i in range(7)]) ** 2.2
    for seen in (linear, linear @ protan.T, linear @ deutan.T):
        brightness = np.clip(seen, 0, 1) ** (1 / 2.2)
        distance = np.linalg.norm(brightness[:, None] - brightness, axis=-1)
        assert distance[np.triu_indices(7, 1)].min() > 0.12


def test_every_region_has_its_colour_and_its_number_inside_it(make_analysis):
    result = make_analysis(k=5, shape=(150, 400))
    figure = Figure(figsize=(8, 3), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    y, x = (axis.values for axis in result.image.axes)
    plotting.draw_map(axes, np.full(result.regions.shape, 0.5), y, x, ticks=False, limits=(0, 1))
    plotting.draw_regions(axes, result.regions, y, x)
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4", "5"]
    picture = pixels(figure)
    for text in axes.texts:
        column_, row = (round(v / 0.1) for v in text.xy)
        index = int(text.get_text()) - 1
        assert result.regions[row, column_] == index
        away = axes.transData.transform((x[column_], y[20]))
        tint = 0.4 * np.array(plotting.component_color(index)) + 0.6 * 0.5
        np.testing.assert_allclose(picture[300 - round(away[1]), round(away[0])] / 255, tint, atol=0.02)


def test_what_belongs_to_no_region_is_left_clear(make_analysis):
    regions = make_analysis(k=2).regions.copy()
    regions[100:] = -1
    figure = Figure(figsize=(3, 2), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    plotting.draw_map(axes, np.full(regions.shape, 0.5), np.arange(200), np.arange(300), ticks=False, limits=(0, 1))
    plotting.draw_regions(axes, regions, np.arange(200), np.arange(300))
    grey = pixels(figure)[150]
    assert np.ptp(grey, axis=1).max() == 0
    assert len(axes.texts) == 2


def test_the_scree_fills_the_chosen_components_and_marks_where_they_end(make_analysis):
    axes = Figure().add_subplot()
    plotting.draw_scree(axes, make_analysis(k=4).evr, 4)
    filled, hollow = axes.collections
    assert len(filled.get_offsets()) == 4
    assert len(hollow.get_offsets()) == 17
    assert axes.get_yscale() == "log"
    assert any(np.allclose(line.get_xdata(), 4.5) for line in axes.lines)


def test_a_scree_with_zeros_is_drawn():
    axes = Figure().add_subplot()
    plotting.draw_scree(axes, np.array([1.0, 0.0, 0.0]), 1)
    assert axes.collections[1].get_offsets()[:, 1].min() > 0


def test_peaks_are_circled_where_spacing_and_direction_say(make_analysis):
    result = make_analysis(k=3)
    figure = pictures.plot(result)
    spectra = [axes for axes in figure.axes if axes.get_title("left").startswith("Spectrum")]
    for index, axes in enumerate(spectra):
        (circles,) = axes.lines
        rows, columns = np.nonzero(result.spectra[index] > 0.5 * result.spectra[index].max())
        bright = np.column_stack([result.frequency_x[columns], result.frequency_y[rows]])
        step = result.frequency_x[1] - result.frequency_x[0]
        for circle in circles.get_xydata():
            assert np.abs(bright - circle).max(axis=1).min() <= 0.51 * step


def test_a_spectrum_is_enlarged_only_where_nothing_bright_is_left_out(make_analysis):
    result = make_analysis(k=1, window=64)
    near, far = np.zeros((2, 1, 64, 64), np.float32)
    near[0, 30:35, 30:35] = far[0, 30:35, 30:35] = 1
    far[0, 4:8, 30:35] = 1
    half_width = {}
    for name, spectra in (("near", near), ("far", far)):
        object.__setattr__(result, "spectra", spectra)
        (axes,) = (a for a in pictures.plot(result).axes if a.get_title("left").startswith("Spectrum"))
        half_width[name] = -axes.get_xlim()[0]
    assert half_width["near"] < 0.3 * 5 < 4.9 < half_width["far"]


@pytest.mark.parametrize("k", [1, 2, 7, 13])
def test_the_overview_shows_every_component_once(make_analysis, k):
    titles = [axes.get_title("left") for axes in pictures.plot(make_analysis(k)).axes]
    assert sum(title.startswith("Spectrum ") for title in titles) == k
    assert sum(title.startswith("Map ") for title in titles) == k


def test_an_axis_says_its_unit_and_runs_over_the_window_centres(make_analysis):
    result = make_analysis(units="um")
    (axes,) = (a for a in pictures.plot(result).axes if a.get_title("left") == "Map 2")
    assert axes.get_xlabel() == "x (µm)"
    assert axes.get_xlim() == pytest.approx((result.x[0] - 0.4, result.x[-1] + 0.4))
    (axes,) = (a for a in pictures.plot(result).axes if a.get_title("left").startswith("Spectrum 2"))
    assert axes.get_xlabel() == "kx (1/µm)"


@pytest.mark.parametrize("name", RESULT_CLASSES)
def test_every_result_class_is_public_and_has_a_page(name):
    assert name in emcore.__all__
    page = import_module(f"{pages.__name__}.{getattr(emcore, name).page}")
    assert callable(page.overview)
    assert callable(page.pages)


def test_something_else_has_no_picture():
    with pytest.raises(TypeError, match="no picture: found dict, expected ImageAnalysis"):
        pictures.plot({})


def test_drawing_leaves_matplotlib_as_it_was(make_analysis):
    import matplotlib

    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"axes.grid": True, "font.size": 30}):
        figure = pictures.plot(make_analysis())
        assert matplotlib.rcParams["font.size"] == 30
    assert dict(matplotlib.rcParams) == before
    assert figure.axes[0].title.get_fontsize() < 12


def test_drawing_does_not_import_pyplot():
    code = "import sys, emcore.reporting.plotting as p; p.style().__enter__(); "
    code += "import emcore.reporting.pages.layout as q; q.new_page(); "
    code += "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("value", "units", "said"),
    [
        (0.3905, "nm", "0.391 nm"),
        (0.05, "nm", "50 pm"),
        (1234.0, "nm", "1.23 µm"),
        (999.6, "um", "1 mm"),
        (2.0, "A", "2 Å"),
        (12345.0, "px", "12300 px"),
        (0.0, "nm", "0 nm"),
        (-2500.0, "um", "-2.5 mm"),
        (float("nan"), "nm", "–"),
        (float("inf"), "nm", "–"),
    ],
)
def test_a_quantity_is_said_as_a_person_would(value, units, said):
    assert quantity(value, units) == said


def test_numbers_to_be_compared_share_a_unit():
    assert column([0.107, 0.0941, float("nan"), 12.0], "um") == ["107 nm", "94.1 nm", "–", "12000 nm"]


def test_directions_stay_below_180_degrees():
    assert [direction(v) for v in (0.0, 44.96, 179.97, float("nan"))] == ["0.0°", "45.0°", "0.0°", "–"]


def test_a_dollar_in_the_name_of_an_axis_is_no_mathematics(tmp_path):
    axes = (Axis("y", 4, navigation=True), Axis("x", 5, navigation=True), Axis(r"$\sqrt E$", 30, 0.5, 0.0, "V"))
    curves = Signal(np.random.default_rng(0).normal(size=(4, 5, 30)), axes, title="cost $ per $", flagged=True)
    result = emcore.cluster_curves(curves, 2)
    figure = result.plot()
    pixels(figure)
    assert any(r"$\sqrt E$" in axes.get_xlabel() for axes in figure.axes)
    result.report(tmp_path / "a.pdf")


@pytest.mark.parametrize("scale", [0.1, -0.1])
def test_a_scale_bar_over_a_picture_ends_at_its_right_and_is_as_long_as_its_label_says(scale):
    from emcore.reporting.plotting import draw_scale_bar

    axes = drawn(np.zeros((40, 80)), scale * np.arange(40), scale * np.arange(80), units="nm")
    draw_scale_bar(axes, "nm", above=True)
    (bar,) = (line for line in axes.lines if line.get_gid() == "scale-bar")
    ends = bar.get_transform().transform(np.column_stack(bar.get_data()))
    box = axes.get_window_extent()
    assert ends[1, 0] == pytest.approx(box.x1)
    assert ends[0, 1] > box.y1
    assert axes.texts[0].get_text() == "2 nm"
    assert (ends[1, 0] - ends[0, 0]) / box.width * 8 == pytest.approx(2)
