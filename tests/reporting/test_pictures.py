"""`plot`: whose the figure is, and what stands in which axes."""

import gc
import threading
import warnings
from io import BytesIO

import numpy as np
import pytest

pytest.importorskip("matplotlib")
import matplotlib
from matplotlib import pyplot as plt

import emcore
from emcore.core.signals import Axis, Signal
from emcore.datasets import eds_phases, iv_curves
from emcore.reporting.plotting import figures


@pytest.fixture(autouse=True)
def no_figures_left():
    with matplotlib.rc_context():
        plt.switch_backend("agg")
        plt.close("all")
        yield
        plt.close("all")


@pytest.fixture(scope="module")
def unmixed():
    return emcore.unmix(eds_phases(shape=(24, 30)).signal)


@pytest.fixture(scope="module")
def clustered():
    sample = iv_curves((12, 20))
    return emcore.cluster_curves(sample.curves, 3, x=sample.bias)


def test_a_plot_is_the_current_figure_so_that_pyplot_saves_it(make_analysis, tmp_path):
    figure = make_analysis().plot()
    assert plt.gcf() is figure
    plt.savefig(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_a_loop_of_plots_leaves_no_figures_behind_and_warns_of_none(make_analysis):
    result = make_analysis(k=1, shape=(64, 64))
    own = plt.figure()
    figures_made = []
    with warnings.catch_warnings(), matplotlib.rc_context({"figure.max_open_warning": 3}):
        warnings.simplefilter("error")
        for _ in range(5):
            figures_made.append(result.plot(0))
    assert plt.get_fignums() == [own.number, figures_made[-1].number]
    figures_made[0].savefig(BytesIO())  # an earlier one can still be written
    plt.close("all")
    del figures_made, own
    gc.collect()
    assert all(reference() is None for reference in figures._latest)


def test_a_user_may_close_a_plot_before_the_next(make_analysis):
    for _ in range(2):
        make_analysis(k=1).plot()
        plt.close()
    assert plt.get_fignums() == []


def test_where_figures_are_shown_each_plot_stays(make_analysis, monkeypatch):
    monkeypatch.setattr(figures, "silent", lambda: False)
    made = [make_analysis(k=1).plot() for _ in range(3)]
    assert [plt.figure(number) for number in plt.get_fignums()] == made


def test_in_a_thread_pyplot_is_left_alone(make_analysis):
    made = []
    thread = threading.Thread(target=lambda: made.append(make_analysis(k=1).plot()))
    thread.start()
    thread.join()
    assert made[0].axes
    assert plt.get_fignums() == []


def test_a_backend_that_cannot_be_had_still_gives_a_figure(make_analysis, monkeypatch):
    def headless(*_, **__):
        raise ImportError("Cannot load backend 'TkAgg' which requires the 'tk' interactive framework")

    monkeypatch.setattr(plt, "figure", headless)
    assert make_analysis(k=1).plot().axes


def test_exports_and_reports_leave_pyplot_alone(make_analysis, tmp_path):
    result = make_analysis(k=1)
    result.report(tmp_path / "report.pdf")
    result.export(tmp_path, figures="png")
    assert plt.get_fignums() == []


def test_show_shows_where_something_can(make_analysis, monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "silent", lambda: False)
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf().axes[0].get_title("left")))
    assert make_analysis(k=1).show() is None
    make_analysis(k=2).show(1)
    assert shown == ["Image", "Component 2, 50 %"]


def test_show_without_a_display_says_what_to_do(make_analysis):
    with pytest.warns(UserWarning, match=r"no display here .*savefig"):
        make_analysis(k=1).show()


@pytest.mark.parametrize(("backend", "kept"), [("module://matplotlib_inline.backend_inline", 0), ("qtagg", 1)])
def test_a_notebook_shows_a_figure_once_and_a_window_stays_open(make_analysis, monkeypatch, backend, kept):
    figure = make_analysis(k=1).plot()
    monkeypatch.setattr(matplotlib, "get_backend", lambda: backend)
    # IPython then shows it as any figure: as the last value of a cell, or when the cell ends, of those that pyplot has.
    with pytest.raises(NotImplementedError):
        figure._ipython_display_()
    assert len(plt.get_fignums()) == kept


def test_the_main_map_is_drawn_into_one_axes_and_nothing_else_is_touched(unmixed):
    figure, (left, right) = plt.subplots(1, 2)
    assert unmixed.plot(ax=left) is left
    assert left.get_title("left") == "Strongest component"
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["1", "2", "3"]
    assert not right.images
    assert plt.gcf() is figure


def test_the_strongest_component_has_its_colour(unmixed):
    _, ax = plt.subplots()
    unmixed.plot(ax=ax)
    shown = np.asarray(ax.images[0].get_array())[..., :3].astype(float)
    strongest = unmixed.maps.argmax(axis=0)
    for index in range(3):
        mean = shown[strongest == index].mean(axis=0)
        expected = np.multiply(emcore.reporting.plotting.component_color(index), 255)
        assert np.dot(mean, expected) / np.linalg.norm(mean) / np.linalg.norm(expected) > 0.999


def test_components_have_their_maps_in_as_many_axes_and_signals_in_twice_as_many(unmixed):
    _, axes = plt.subplots(2)
    unmixed.plot([2, 0], ax=axes)
    for each, index in zip(axes, (2, 0), strict=True):
        assert each.get_title("left").startswith(f"Component {index + 1}, ")
        np.testing.assert_array_equal(each.images[0].get_array(), unmixed.maps[index])
    _, axes = plt.subplots(2, 2)
    unmixed.plot([2, 0], ax=axes)
    for (_, spectrum), index in zip(axes, (2, 0), strict=True):
        np.testing.assert_array_equal(spectrum.lines[0].get_ydata(), unmixed.spectra[index])
        assert spectrum.get_xlabel() == "energy (keV)"


@pytest.mark.parametrize("count", [1, 3, 5, 6])
def test_another_number_of_axes_is_refused(unmixed, count):
    _, axes = plt.subplots(count, squeeze=False)
    with pytest.raises(ValueError, match=rf"{count} axes for 2 components: give 2, for the maps, or 4, for maps and"):
        unmixed.plot([0, 1], ax=axes)
    if count > 1:
        with pytest.raises(ValueError, match="give one, for the main map, or choose components"):
            unmixed.plot(ax=axes)


def test_one_component_is_chosen_by_its_number(unmixed):
    assert [axes.get_title("left").partition(",")[0] for axes in unmixed.plot(1).axes[:2]] == ["Component 2", ""]


@pytest.mark.parametrize(
    ("components", "error", "said"),
    [
        (3, ValueError, "components=3 is out of range; it must be between 0 and 2"),
        (-1, ValueError, "components=-1 is out of range"),
        ([0, 7], ValueError, "between 0 and 2"),
        ([], ValueError, "is empty"),
        ("iron", ValueError, "'iron' is none of 'Component 1', 'Component 2'"),
        (1.5, TypeError, "components"),
        (True, TypeError, "components"),
    ],
)
def test_components_that_there_are_not_are_refused(unmixed, components, error, said):
    with pytest.raises(error, match=said):
        unmixed.plot(components)
    assert plt.get_fignums() == []


def test_what_is_no_axes_is_refused(unmixed):
    with pytest.raises(TypeError, match="ax holds a Figure: give matplotlib Axes"):
        unmixed.plot(ax=plt.figure())


def test_a_color_map_is_that_of_values_and_labels_keep_theirs(unmixed, make_analysis):
    pages = [unmixed.plot(cmap="cividis"), make_analysis(k=2).plot(cmap="cividis"), unmixed.plot(0, cmap="cividis")]
    for figure in pages:
        pictures = [image for axes in figure.axes for image in axes.images]
        names = {image.get_cmap().name for image in pictures if image.get_array().ndim == 2}
        assert names == {"cividis"}
    assert any(image.get_array().ndim == 3 for axes in pages[0].axes for image in axes.images)
    with pytest.raises(ValueError, match="nonsense"):
        unmixed.plot(cmap="nonsense")


def test_a_group_of_labels_is_drawn_where_it_is(clustered):
    _, axes = plt.subplots(3)
    clustered.plot([0, 1, 2], ax=axes)
    for index, each in enumerate(axes):
        colors = np.asarray(each.images[0].get_array())
        own = np.multiply(emcore.reporting.plotting.component_color(index), 255).round()
        np.testing.assert_array_equal((colors == own).all(axis=-1), clustered.labels == index)


def test_a_scan_along_a_line_is_drawn_as_profiles():
    spectra = eds_phases(shape=(8, 60)).signal
    energy = spectra.axes[-1]
    line = Signal(np.asarray(spectra.data)[0], (Axis("x", 60, 2.0, units="nm", navigation=True), energy), title="line")
    result = emcore.unmix(line, 2)
    _, ax = plt.subplots()
    result.plot(ax=ax)
    assert (len(ax.lines), ax.get_xlabel()) == (2, "position (nm)")
    _, axes = plt.subplots(2)
    result.plot([0, 1], ax=axes)
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), result.maps[1].ravel())
    before = axes[0].get_position().bounds
    assert before == plt.subplots(2)[1][0].get_position().bounds


def test_a_name_from_a_file_is_no_mathematics_and_the_users_own_title_is(make_analysis):
    from emcore.datasets import absorption_phases

    sample = absorption_phases((16, 20))
    result = emcore.phase_map(sample.signal, sample.references, phases=["a$_x", "b$", "c", "d"])
    figure, ax = plt.subplots()
    ax.set_xlabel("$x^2$")
    result.plot("b$", ax=ax)
    assert ax.get_title("left").startswith("b$")
    assert ax.xaxis.label.get_parse_math()
    figure.savefig(BytesIO())


def test_a_picture_keeps_within_its_box_with_its_legend(clustered):
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    box = left.get_position()
    clustered.plot(ax=left)
    figure.canvas.draw()
    drawn = left.get_tightbbox().transformed(figure.transFigure.inverted())
    assert drawn.x1 <= box.x1 + 0.01
    assert not left.get_tightbbox().overlaps(right.get_tightbbox())
