"""Kinds of curve on a scan: against labelled synthetic ones and a measured grid."""

import re

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.datasets import adjusted_rand_index, iv_curves
from emcore.results.result import load_result
from emcore.workflows.curves import cluster_curves


@pytest.fixture(scope="module")
def sample():
    return iv_curves()


@pytest.fixture(scope="module")
def result(sample):
    return cluster_curves(sample.curves, 3, x=sample.bias)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_three_kinds_of_curve_are_told_apart_though_each_scatters_by_a_fifth(seed):
    sample = iv_curves(seed=seed)
    assert sample.curves.shape == (70, 100, 200)
    observed = cluster_curves(sample.curves, 3, x=sample.bias)
    assert adjusted_rand_index(sample.labels, observed.labels) >= 0.99


def test_left_to_itself_it_finds_three_kinds(sample):
    observed = cluster_curves(sample.curves, x=sample.bias)
    assert (observed.n_clusters, observed.rule) == (3, "votes")
    assert adjusted_rand_index(sample.labels, observed.labels) >= 0.99


def test_every_field_has_the_shape_and_type_that_is_promised(result):
    expected = {
        "labels": ((70, 100), np.int32),
        "signals": ((3, 200), np.float64),
        "spread": ((3, 200), np.float64),
        "low": ((3, 200), np.float64),
        "high": ((3, 200), np.float64),
        "area": ((3,), np.float64),
        "x": ((200,), np.float64),
        "conductance": ((3,), np.float64),
        "conductance_spread": ((3,), np.float64),
        "r_squared": ((3,), np.float64),
    }
    for name, (shape, dtype) in expected.items():
        assert (getattr(result, name).shape, getattr(result, name).dtype) == (shape, dtype), name
    assert set(np.unique(result.labels)) == {0, 1, 2}
    assert result.area.sum() == pytest.approx(1)
    assert np.all(np.diff(result.area) <= 0)
    assert (result.n_clusters, result.rule) == (3, "given")
    assert result.image.shape == (70, 100)
    assert result.mean.shape == (200,)


def test_mean_spread_and_percentiles_are_those_of_the_curves_in_each_group(sample, result):
    rows, labels = sample.curves.reshape(-1, 200).astype(float), result.labels.ravel()
    for i in range(3):
        group = rows[labels == i]
        assert np.allclose(result.signals[i], group.mean(axis=0))
        assert np.allclose(result.spread[i], group.std(axis=0))
        assert np.allclose(result.low[i], np.quantile(group, 0.05, axis=0))
        assert np.allclose(result.high[i], np.quantile(group, 0.95, axis=0))
        assert result.area[i] == pytest.approx(len(group) / len(rows))
    assert np.allclose(result.mean.data, rows.mean(axis=0))
    assert np.allclose(result.image.data, np.abs(sample.curves).mean(axis=-1), rtol=1e-5)


def test_the_conductance_of_the_ohmic_group_is_the_mean_of_its_slopes_with_their_spread(sample, result):
    rows, ohmic = sample.curves.reshape(-1, 200).astype(float), result.labels.ravel() == 0
    slopes = np.polyfit(sample.bias, rows[ohmic].T, 1)[0]
    assert result.conductance[0] == pytest.approx(slopes.mean(), rel=1e-5)
    assert result.conductance_spread[0] == pytest.approx(slopes.std(), rel=1e-3)
    assert result.conductance[0] == pytest.approx(sample.conductance[sample.labels == 0].mean(), rel=0.01)
    assert result.conductance_spread[0] == pytest.approx(0.2, rel=0.1)


def test_groups_that_are_not_straight_are_said_not_to_be_and_have_no_conductance(sample, result):
    for i in range(3):
        line = np.polyval(np.polyfit(sample.bias, result.signals[i], 1), sample.bias)
        residual = np.sum((result.signals[i] - line) ** 2)
        total = np.sum((result.signals[i] - result.signals[i].mean()) ** 2)
        assert result.r_squared[i] == pytest.approx(1 - residual / total, abs=1e-6)
    assert result.r_squared[0] > 0.999
    assert np.all(result.r_squared[1:] < 0.99)
    assert np.isnan(result.conductance[1:]).all()
    assert np.isnan(result.conductance_spread[1:]).all()
    assert not any("straight" in note for note in result.provenance.notes)
    axes = (Axis("y", 70), Axis("x", 100), Axis("bias", 200, 2 / 199, -1.0, "V"))
    for title, what in (("Current (nA)", "conductance"), ("Force (nN)", "slope")):
        notes = cluster_curves(Signal(sample.curves, axes, title=title), 3).provenance.notes
        assert any(f"not straight, so without {what}: cluster 2 (0.97), 3 (0.68)" in note for note in notes)


@pytest.mark.parametrize(
    ("title", "units", "said", "label"),
    [
        ("Current (nA)", "V", "conductance: in nS", "Current (nA)"),
        ("current", "px", "conductance", "current"),
        ("Force (nN)", "nm", "slope: in nN/nm", "Force (nN)"),
        ("", "V", "", "signal"),
    ],
)
def test_a_page_has_the_quantity_at_its_axis_and_a_slope_only_where_it_means_something(
    sample, title, units, said, label
):
    pytest.importorskip("matplotlib")
    axes = (Axis("y", 70), Axis("x", 100), Axis("bias", 200, 2 / 199, -1.0, units))
    figure = cluster_curves(Signal(sample.curves, axes, title=title), 3).plot()
    (mean,) = (each for each in figure.axes if each.get_title("left") == "Mean curves")
    assert mean.get_ylabel() == label
    assert mean.get_xlabel() == ("bias" if units == "px" else f"bias ({units})")
    words = [text.get_text() for each in figure.axes for text in each.texts]
    name, _, unit = said.partition(":")
    assert [word for word in words if word in ("conductance", "slope")] == ([name] if name else [])
    assert any("±" in word for word in words) == bool(name)
    assert (": in n" in figure.texts[0].get_text()) == bool(unit)
    assert said in figure.texts[0].get_text() or not unit


def test_units_as_small_as_amperes_change_nothing_but_the_numbers(sample, result):
    small = cluster_curves(sample.curves * np.float32(1e-21), 3, x=sample.bias)
    assert np.array_equal(small.labels, result.labels)
    assert small.conductance[0] == pytest.approx(1e-21 * result.conductance[0], rel=1e-4)
    assert small.inertia == pytest.approx(1e-42 * result.inertia, rel=1e-3)


def test_a_large_offset_hides_nothing(sample, result):
    lifted = cluster_curves(sample.curves.astype(np.float64) + 1e9, 3, x=sample.bias)
    assert np.array_equal(lifted.labels, result.labels)


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_values_beyond_any_unit_are_refused(sample, factor):
    with pytest.raises(ValueError, match="give them in a unit in which they are near 1"):
        cluster_curves(sample.curves[:5, :5].astype(np.float64) * factor, 2)
    with pytest.raises(ValueError, match="give them in a unit in which they are near 1"):
        cluster_curves(sample.curves[:5, :5] * np.float32(factor**0.1), 2, normalize="l2")


def test_normalised_curves_are_grouped_by_shape_alone(sample):
    shape = cluster_curves(sample.curves[:, :, :], 3, x=sample.bias, normalize="l2")
    scaled = sample.curves * np.exp(np.random.default_rng(0).normal(size=(70, 100, 1))).astype(np.float32)
    again = cluster_curves(scaled, 3, x=sample.bias, normalize="l2")
    assert adjusted_rand_index(shape.labels, again.labels) > 0.999
    assert np.allclose(again.signals[0], scaled.reshape(-1, 200)[again.labels.ravel() == 0].mean(axis=0), rtol=1e-4)


def test_positions_without_a_grid_give_a_row_of_labels(sample, result):
    flat = cluster_curves(sample.curves.reshape(-1, 200), 3, x=sample.bias)
    assert np.array_equal(flat.labels, result.labels.ravel())
    assert flat.image.shape == (7000,)


def test_integers_and_other_strides_give_the_same_as_floats(sample, same):
    counts = np.rint(sample.curves[:30, :40] * 1000).astype(np.int16)
    ours = cluster_curves(counts, 3)
    floats = cluster_curves(counts.astype(np.float64), 3)
    assert np.array_equal(floats.labels, ours.labels)
    assert np.allclose(floats.signals, ours.signals)
    assert np.allclose(floats.conductance, ours.conductance, equal_nan=True)
    turned = np.asfortranarray(counts)
    assert same(cluster_curves(turned, 3), ours)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_result_is_the_same_to_the_bit_on_any_number_of_threads(sample, result, threads, same):
    with emcore.num_threads(threads):
        assert same(cluster_curves(sample.curves, 3, x=sample.bias), result)


def test_a_signal_brings_its_calibration(sample):
    axes = (
        Axis("y", 70, 2.0, 0.0, "nm", True),
        Axis("x", 100, 2.0, 0.0, "nm", True),
        Axis("bias", 200, 2 / 199, -1.0, "V"),
    )
    observed = cluster_curves(Signal(sample.curves, axes, title="current"), 3)
    assert [axis.units for axis in observed.image.axes] == ["nm", "nm"]
    assert observed.mean.axes[0].units == "V"
    assert np.allclose(observed.x, sample.bias)
    assert observed.conductance[0] == pytest.approx(1.02, abs=0.01)


def test_a_hyperspy_signal_brings_its_calibration_too(sample):
    hyperspy = pytest.importorskip("hyperspy.api")
    signal = hyperspy.signals.Signal1D(sample.curves)
    signal.axes_manager[2].name, signal.axes_manager[2].units = "bias", "V"
    signal.axes_manager[2].scale, signal.axes_manager[2].offset = 2 / 199, -1.0
    assert cluster_curves(signal, 3).conductance[0] == pytest.approx(1.02, abs=0.01)


def test_unevenly_measured_curves_keep_their_x(sample):
    x = np.sign(sample.bias) * sample.bias**2
    observed = cluster_curves(sample.curves, 3, x=x)
    assert np.array_equal(observed.x, x)
    assert np.array_equal(observed.mean.axes[0].values, x)


def test_an_archive_of_named_arrays_gives_curves_and_x(sample, tmp_path):
    np.savez(tmp_path / "grid.npz", current=sample.curves, bias=sample.bias)
    observed = cluster_curves(tmp_path / "grid.npz", 3)
    assert np.allclose(observed.x, sample.bias, rtol=1e-9, atol=1e-12)
    assert observed.mean.axes[0].name == "bias"
    np.save(tmp_path / "grid.npy", sample.curves)
    assert np.array_equal(cluster_curves(tmp_path / "grid.npy", 3).labels, observed.labels)


def test_a_result_is_saved_and_read_back_the_same(result, tmp_path):
    pytest.importorskip("h5py")
    assert load_result(result.save(tmp_path / "curves.h5")) == result


def test_the_measured_grid_has_groups_that_hold_together(data_folder):
    observed = cluster_curves(data_folder / "iv_grid.npz")
    assert observed.n_clusters == 3
    assert observed.labels.shape == (20, 20)
    assert observed.x[0] == pytest.approx(0.2)
    labels = observed.labels
    neighbours = np.mean(labels[1:] == labels[:-1]), np.mean(labels[:, 1:] == labels[:, :-1])
    by_chance = np.sum(observed.area**2)
    assert min(neighbours) > by_chance + 0.3
    assert np.all(observed.area > 0.1)


def test_bad_curves_are_told(sample):
    curves = sample.curves[:6, :7].copy()
    with pytest.raises(ValueError, match="one group tells nothing apart"):
        cluster_curves(curves, 1)
    with pytest.raises(ValueError, match="at most, of 42"):
        cluster_curves(curves, 43)
    with pytest.raises(ValueError, match="there are 2 distinct curves"):
        cluster_curves(np.repeat(curves[:1, :2], 5, axis=0), 3)
    with pytest.raises(ValueError, match="curves are all the same, 42 of them"):
        cluster_curves(np.broadcast_to(curves[0, 0], curves.shape), 2)
    with pytest.raises(ValueError, match="x has 7 values; one for each of the 200 points"):
        cluster_curves(curves, 2, x=np.arange(7))
    with pytest.raises(ValueError, match="x is constant"):
        cluster_curves(curves, 2, x=np.ones(200))
    with pytest.raises(ValueError, match="did you mean 'max'"):
        cluster_curves(curves, 2, normalize="maximum")
    with pytest.raises(ValueError, match="did you mean 'auto'"):
        cluster_curves(curves, "automatic")
    with pytest.raises(ValueError, match=r"curves has shape \(200,\): a spectrum or curve at every position is needed"):
        cluster_curves(curves[0, 0], 2)
    with pytest.raises(TypeError, match="complex"):
        cluster_curves(curves * 1j, 2)
    curves[..., 50] = np.inf
    with pytest.raises(ValueError, match=r"curves contains NaN or infinity at every position, first at \[0, 0, 50\]"):
        cluster_curves(curves, 2)
    with pytest.raises(ValueError, match="did you mean 'common'"):
        cluster_curves(sample.curves, 2, crop="comon")


def test_a_grid_that_was_stopped_is_grouped_by_what_was_measured(data_folder, same):
    file = np.load(data_folder / "cases" / "sts_stopped.npz")
    curves = file["current"].reshape(900, 200)
    result = cluster_curves(data_folder / "cases" / "sts_stopped.npz", 3)
    there = curves.any(axis=1)
    assert result.n_empty == 378 == np.count_nonzero(result.labels == -1)
    assert np.array_equal(result.labels.ravel() >= 0, there)
    assert "378 of 900 positions are empty (378 zero throughout): they take no part" in result.provenance.notes
    alone = cluster_curves(curves[there], 3, x=result.x)
    assert np.array_equal(result.labels.ravel()[there], alone.labels)
    assert same(result, alone, but=("provenance", "labels", "image", "n_empty", "mean"))
    assert np.allclose(result.x, file["bias"], rtol=1e-5)


def test_curves_that_end_early_are_told_and_cropped_to_what_is_common(data_folder):
    path = data_folder / "cases" / "z_curves_nan_tails.npz"
    file = np.load(path)
    with pytest.raises(ValueError, match=r"88 of 88 curves end early.*the 134 points that all .* crop='common'"):
        cluster_curves(path, 2)
    result = cluster_curves(path, 2, crop="common")
    alone = cluster_curves(file["df"][:, :134], 2, x=file["z"][:134])
    assert np.array_equal(result.labels, alone.labels)
    assert np.array_equal(result.signals, alone.signals)
    assert np.allclose(result.x, file["z"][:134], rtol=1e-5, atol=1e-15)
    assert result.n_empty == 0
    assert any("134 of 256 points were taken" in note for note in result.provenance.notes)


def test_a_few_curves_that_end_early_are_empty_and_many_are_not(sample):
    curves = sample.curves[:6, :7].copy()
    curves[0, :3, :9] = np.nan
    curves[1, 1, 20] = np.nan  # no end
    result = cluster_curves(curves, 2)
    assert np.array_equal(result.labels == -1, np.isnan(curves).any(axis=-1))
    cropped = cluster_curves(curves, 2, crop="common", x=sample.bias)
    assert (cropped.n_empty, cropped.signals.shape) == (1, (2, 191))
    assert np.array_equal(cropped.x, sample.bias[9:])
    curves[:4, :, :9] = np.nan
    with pytest.raises(ValueError, match=r"27 of 42 curves end early.*the 191 points"):
        cluster_curves(curves, 2)
    curves[:2, :, :150], curves[2:4, :, 100:] = np.nan, np.nan
    with pytest.raises(ValueError, match="no two points are common"):
        cluster_curves(curves, 2)
    with pytest.raises(ValueError, match="crop='common' leaves 0 of 200 points"):
        cluster_curves(curves, 2, crop="common")


def test_a_constant_curve_is_measured_and_one_of_zeros_is_not(sample):
    curves = sample.curves[:6, :7].copy()
    curves[0, 0], curves[0, 1] = 2.0, 0.0
    result = cluster_curves(curves, 2)
    assert result.labels[0, 0] >= 0
    assert np.argwhere(result.labels < 0).tolist() == [[0, 1]]


def test_the_generator_is_seeded_and_refuses_nonsense():
    a, b, c = (iv_curves(shape=(5, 6), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(a.curves, b.curves)
    assert not np.array_equal(a.curves, c.curves)
    with pytest.raises(ValueError, match=r"shape\[0\]=0 is out of range"):
        iv_curves(shape=(0, 5))
    with pytest.raises(ValueError, match="spread=-1 is out of range"):
        iv_curves(spread=-1)


def test_the_command_writes_a_report_and_a_results_file_and_says_what_it_found(sample, tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    np.savez("film.npz", current=sample.curves[:30, :40], bias=sample.bias)
    assert main(["curves", "film.npz", "--clusters", "3"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"cluster \d +\d+\.\d %  conductance 1.0\d? ± 0.\d+, R² 0.999", said)
    assert "not straight, R² 0." in said
    assert "200 points, bias from -1 to 1" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.curves.h5", "film.curves.pdf", "film.npz"]
    assert main(["curves", "film.npz", "--clusters", "3"]) == 1
    assert "--force" in capsys.readouterr().err


def test_the_command_tells_empty_positions_and_crops_curves_that_end_early(sample, tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    curves = sample.curves[:6, :7].copy()
    curves[4:] = 0
    curves[:4, :, -5:] = np.nan
    np.savez("film.npz", current=curves, bias=sample.bias)
    assert main(["curves", "film.npz", "--clusters", "2"]) == 1
    assert "the 195 points that all curves have in common can be asked for with" in capsys.readouterr().err
    assert main(["curves", "film.npz", "--clusters", "2", "--crop", "common"]) == 0
    said = capsys.readouterr().out
    assert "scan      7 × 6 positions, 14 of them empty" in said
    assert "note      14 of 42 positions are empty (14 zero throughout)" in said
    assert load_result("film.curves.h5").n_empty == 14
    with pytest.raises(SystemExit):
        main(["curves", "film.npz", "--crop", "commn"])


def test_a_file_without_curves_is_told_and_leaves_nothing(sample, tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    np.save("line.npy", np.arange(5.0))
    np.save("one.npy", np.ones((4, 5, 6)))
    assert main(["curves", "line.npy", "one.npy", "--clusters", "2"]) == 1
    said = capsys.readouterr().err
    assert "line.npy: curves has shape (5,): a spectrum or curve at every position is needed" in said
    assert "one.npy: curves are all the same" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["line.npy", "one.npy"]
    for words in (["--clusters", "1"], ["--normalize", "maxx"], ["--clusters", "few"]):
        with pytest.raises(SystemExit):
            main(["curves", "one.npy", *words])


@pytest.mark.parametrize("grid", [(30, 40), (1200,)])
def test_the_pages_show_every_group_with_its_spread(sample, grid):
    pytest.importorskip("matplotlib")
    from emcore.reporting.pages import pages
    from emcore.reporting.plotting import style

    result = cluster_curves(sample.curves[:30, :40].reshape(*grid, 200), 3, x=sample.bias)
    with style():
        figures = list(pages(result))
    titles = [axes.get_title("left") for figure in figures for axes in figure.axes]
    assert titles[:3] == ["Mean modulus", "3 clusters", "Mean curves"]
    assert [title[:9] for title in titles if title.startswith("Cluster ")] == ["Cluster 1", "Cluster 2", "Cluster 3"]
    assert "3 clusters" in [axes.get_title("left") for axes in result.plot().axes]


def test_the_pages_hatch_positions_without_a_measurement(sample):
    pytest.importorskip("matplotlib")
    curves = sample.curves[:6, :7].copy()
    curves[3:] = 0
    picture, groups, *_ = cluster_curves(curves, 2).plot().axes
    for axes in (picture, groups):
        assert axes.patch.get_hatch()
    assert np.array_equal(np.isnan(np.ma.filled(picture.images[0].get_array(), np.nan)), ~curves.any(axis=-1))
    assert np.array_equal(groups.images[0].get_array()[..., 3] == 0, ~curves.any(axis=-1))
    legends = [
        text.get_text() for child in groups.get_children() if hasattr(child, "get_texts") for text in child.get_texts()
    ]
    assert "not measured" in legends
    assert not cluster_curves(sample.curves[:6, :7], 2).plot().axes[0].patch.get_hatch()


def test_tiny_units_are_written_as_a_power_of_ten(sample):
    pytest.importorskip("matplotlib")
    figure = cluster_curves(sample.curves[:30, :40] * np.float32(1e-11), 3, x=sample.bias).plot()
    curves = [axes for axes in figure.axes if axes.get_ylabel() == "signal (10⁻¹²)"]
    assert len(curves) == 4
    assert all(1 < abs(axes.get_ylim()[1]) < 1000 for axes in curves)
