"""Phases of a scan from diffraction and X-rays together: against a labelled scan on which neither suffices."""

from dataclasses import replace

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.signals import Signal
from emcore.datasets import adjusted_rand_index, co_fe_ratio, correlated_scan
from emcore.results.result import load_result
from emcore.workflows.correlate import correlate


@pytest.fixture(scope="module")
def sample():
    return correlated_scan()


@pytest.fixture(scope="module")
def result(sample):
    return correlate([sample.diffraction, sample.eds], 4)


@pytest.fixture(scope="module")
def small():
    """Two phases without overlap on a small scan, and their signals as arrays."""
    rng = np.random.default_rng(0)
    truth = np.arange(12 * 10).reshape(12, 10) // 60
    patterns = rng.poisson(20 + 20 * truth[..., None, None] * np.eye(6)).astype(np.uint16)
    spectra = rng.poisson(2 + 8 * truth[..., None] * (np.arange(15) > 9)).astype(np.uint8)
    return truth, patterns, spectra


@pytest.mark.parametrize("seed", [0, 3])
def test_both_signals_find_the_phases_and_neither_does_alone(seed, sample, result):
    if seed:
        sample = correlated_scan(seed=seed)
        result = correlate([sample.diffraction, sample.eds], 4)
    together = adjusted_rand_index(sample.labels, result.labels)
    alone = [adjusted_rand_index(sample.labels, each.argmax(axis=0)) for each in result.alone]
    assert together >= 0.9
    assert max(alone) <= 0.6
    # Purer positions bring the composition of the second phase nearer to the truth.
    energy = sample.eds.axis("energy").values
    cluster = int(np.bincount(result.labels[sample.labels == 1]).argmax())
    ratios = [co_fe_ratio(result.cluster_signals(threshold)[1][cluster], energy) for threshold in (0.5, 0.75)]
    truth = sample.co_fe[1]
    print(f"seed {seed}: adjusted Rand index {together:.3f}, diffraction alone {alone[0]:.3f}, EDS {alone[1]:.3f}")
    print(f"Co/Fe of the second phase: {ratios[0]:.4f} above 0.5, {ratios[1]:.4f} above 0.75, truth {truth:.4f}")
    assert abs(ratios[1] - truth) < abs(ratios[0] - truth)


def test_every_field_has_the_shape_and_type_that_is_promised(result):
    expected = {
        "memberships": ((4, 80, 80), np.float32),
        "labels": ((80, 80), np.int32),
        "area": ((4,), np.float64),
        "positions": ((4,), np.int64),
        "scores": ((result.n_components, 80, 80), np.float32),
        "evr": ((30,), np.float64),
        "alone": ((2, 4, 80, 80), np.float32),
    }
    for name, (shape, dtype) in expected.items():
        assert (getattr(result, name).shape, getattr(result, name).dtype) == (shape, dtype), name
        assert np.isfinite(getattr(result, name)).all(), name
    assert [s.shape for s in result.signals] == [(4, 40, 40), (4, 200)]
    assert [s.shape for s in result.components] == [(result.n_components, 40, 40), (result.n_components, 200)]
    assert [s.shape for s in result.means] == [(40, 40), (200,)]
    assert [axis.units for axis in result.signals[0].axes] == ["px", "1/nm", "1/nm"]
    assert [axis.units for axis in result.image.axes] == ["nm", "nm"]
    assert set(result.validity) >= {"partition_coefficient", "xie_beni", "fukuyama_sugeno"}


def test_memberships_sum_to_one_and_labels_are_the_largest(result):
    assert np.allclose(result.memberships.sum(axis=0), 1, atol=1e-6)
    assert np.array_equal(result.labels, result.memberships.argmax(axis=0))
    assert np.all(np.diff(result.area) <= 0)
    assert np.array_equal(result.positions, (result.memberships > 0.5).sum(axis=(1, 2)))


@pytest.mark.parametrize("threshold", [0, 0.5, 0.75])
def test_cluster_signals_are_weighted_means_of_the_measured_data(sample, result, threshold):
    observed = result.cluster_signals(threshold)
    u = result.memberships.reshape(4, -1).astype(float)
    weights = np.where(u > threshold, u, 0)
    for signal, means in zip((sample.diffraction, sample.eds), observed, strict=True):
        rows = signal.data.reshape(6400, -1)
        expected = weights @ rows / weights.sum(axis=1, keepdims=True)
        assert np.allclose(means.reshape(4, -1), expected, rtol=1e-5)
    assert np.array_equal(observed.positions, (u > threshold).sum(axis=1))


def test_the_kept_signals_are_those_at_the_threshold_asked_for(sample, result):
    again = result.cluster_signals()
    assert all(np.array_equal(kept.data, observed) for kept, observed in zip(result.signals, again, strict=True))
    purer = correlate([sample.diffraction, sample.eds], 4, threshold=0.75)
    assert np.array_equal(purer.memberships, result.memberships)
    assert np.array_equal(purer.positions, result.cluster_signals(0.75).positions)


def test_a_threshold_that_no_position_reaches_gives_zeros_and_says_so(result):
    observed = result.cluster_signals(1)
    assert np.array_equal(observed.positions, (result.memberships > 1).sum(axis=(1, 2)))
    assert all(np.isfinite(signal).all() for signal in observed)


def test_multiplying_a_signal_by_a_constant_changes_no_label(sample, result):
    louder = Signal(sample.eds.data * 3, sample.eds.axes)
    assert np.array_equal(correlate([sample.diffraction, louder], 4).labels, result.labels)


def test_the_order_of_the_signals_changes_the_groups_hardly(sample, result):
    turned = correlate([sample.eds, sample.diffraction], 4)
    assert adjusted_rand_index(turned.labels, result.labels) > 0.99


@pytest.mark.parametrize("threads", [3])
def test_the_result_is_the_same_to_the_bit_on_any_number_of_threads(sample, result, threads, same):
    with emcore.num_threads(threads):
        assert same(correlate([sample.diffraction, sample.eds], 4), result)


@pytest.mark.parametrize("method", ["common-shape", "gustafson-kessel", "fuzzy-c-means", "k-means"])
@pytest.mark.parametrize("scaling", ["robust", "standard", "poisson"])
def test_two_clear_phases_are_found_by_every_method_with_every_scaling(small, method, scaling):
    truth, patterns, spectra = small
    observed = correlate([patterns, spectra], 2, method=method, scaling=scaling)
    assert adjusted_rand_index(truth, observed.labels) == 1


@pytest.mark.parametrize("phases", [2, 3])
def test_the_number_of_phases_is_found_and_said(phases):
    rng = np.random.default_rng(phases)
    truth = np.arange(600).reshape(20, 30) * phases // 600
    patterns = rng.poisson(20 + 20 * (truth[..., None, None] == 1) * np.eye(6)).astype(np.uint16)
    spectra = rng.poisson(3 + 9 * (truth[..., None] == 2) * (np.arange(15) > 9)).astype(np.uint8)
    observed = correlate([patterns, spectra])
    assert observed.n_clusters == phases
    assert observed.number.startswith((f"{phases} have the largest silhouette of ", f"{phases} are apart"))
    assert adjusted_rand_index(truth, observed.labels) > 0.98


def test_an_image_of_noise_is_said_to_have_no_clear_clusters():
    rng = np.random.default_rng(0)
    observed = correlate([rng.poisson(5, (20, 20, 6, 6)), rng.poisson(5, (20, 20, 9))])
    assert "not to be relied on" in observed.number


def test_a_strong_variation_that_is_no_phase_does_not_decide_where_clusters_begin():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (20, 30))
    slope = rng.uniform(-50, 50, (20, 30, 1)) * np.ones(60) + rng.normal(size=(20, 30, 60))
    steps = 6.0 * truth[..., None] * np.ones(8) + rng.normal(size=(20, 30, 8))
    both = np.concatenate([slope, steps], axis=2)
    observed = correlate([both, both[..., ::-1] + rng.normal(size=both.shape)], 2, method="k-means", components=2)
    assert adjusted_rand_index(truth, observed.labels) > 0.9


def test_the_clusters_of_each_signal_alone_stand_where_they_overlap_most(result):
    from scipy.optimize import linear_sum_assignment

    for alone in result.alone:
        overlap = np.einsum("iyx,jyx->ij", result.memberships, alone)
        assert np.array_equal(linear_sum_assignment(-overlap)[1], np.arange(4))


@pytest.mark.parametrize("components", [1, 3, "parallel", "gap", "elbow", "broken-stick"])
def test_components_are_chosen_as_asked(small, components):
    truth, patterns, spectra = small
    observed = correlate([patterns, spectra], 2, components=components, method="k-means")
    assert observed.n_components == components or observed.rule == components or isinstance(components, str)
    assert adjusted_rand_index(truth, observed.labels) > 0.9
    assert [part.shape[0] for part in observed.components] == [observed.n_components] * 2


def test_three_signals_and_positions_without_a_grid_are_taken(small):
    truth, patterns, spectra = small
    flat = [signal.reshape(120, *signal.shape[2:]) for signal in (patterns, spectra, spectra[..., 10:])]
    matrices = [flat[0].reshape(120, -1), *flat[1:]]
    observed = correlate(matrices, 2)
    assert observed.labels.shape == (120,)
    assert observed.alone.shape == (3, 2, 120)
    assert adjusted_rand_index(truth, observed.labels) > 0.9
    assert len(observed.cluster_signals(0.75)) == 3


def test_of_a_file_with_pictures_the_scan_is_taken_and_a_picture_may_be_a_signal(data_folder):
    pytest.importorskip("rsciio")
    picture = emcore.read(data_folder / "rock.bcf").data[..., None]
    observed = correlate([data_folder / "rock.bcf", picture], 3)
    assert [mean.shape for mean in observed.means] == [(2048,), (1,)]
    assert observed.means[0].axes[0].units == "keV"
    bright = [picture[observed.labels == i].mean() for i in range(3)]
    assert np.ptp(bright) > picture.std()
    figure = pytest.importorskip("matplotlib") and observed.plot()
    assert any(line.get_marker() == "o" for axes in figure.axes for line in axes.lines)


def test_the_input_is_not_changed_and_not_kept_in_the_file(small, tmp_path):
    pytest.importorskip("h5py")
    _, patterns, spectra = small
    before = patterns.copy(), spectra.copy()
    observed = correlate([patterns, spectra], 2)
    assert np.array_equal(patterns, before[0])
    assert np.array_equal(spectra, before[1])
    again = load_result(observed.save(tmp_path / "both.h5"))
    assert again == observed
    with pytest.raises(ValueError, match=r"give them as signals=\[...\]"):
        again.cluster_signals(0.75)
    ours, theirs = observed.cluster_signals(0.75), again.cluster_signals(0.75, signals=[patterns, spectra])
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    with pytest.raises(ValueError, match="those that were clustered had"):
        again.cluster_signals(0.75, signals=[spectra, patterns])


def test_a_hyperspy_signal_for_each_array_is_given(result):
    pytest.importorskip("hyperspy")
    observed = result.to_hyperspy()
    assert observed["signals_0"].data.shape == (4, 40, 40)
    assert observed["signals_1"].axes_manager[-1].units == "keV"


def test_bad_input_is_told(small):
    _, patterns, spectra = small
    both = [patterns, spectra]
    with pytest.raises(ValueError, match=r"not taken on one scan grid: signal 0 has 12 x 10, signal 1 has 10 x 12"):
        correlate([patterns, spectra.swapaxes(0, 1)], 2)
    with pytest.raises(ValueError, match="holds one signal"):
        correlate([patterns], 2)
    with pytest.raises(ValueError, match="n_clusters=1 is out of range"):
        correlate(both, 1)
    with pytest.raises(ValueError, match="n_clusters=121 is out of range"):
        correlate(both, 121)
    for threshold in (-0.1, 1.01, np.nan):
        with pytest.raises(ValueError, match="threshold="):
            correlate(both, 2, threshold=threshold)
    with pytest.raises(ValueError, match="did you mean 'fuzzy-c-means'"):
        correlate(both, 2, method="fuzzy-cmeans")
    with pytest.raises(ValueError, match="did you mean 'threshold'"):
        correlate(both, 2, components="treshold")
    with pytest.raises(ValueError, match="components=500 is too many"):
        correlate(both, 2, components=500)
    with pytest.raises(ValueError, match="m=1"):
        correlate(both, 2, m=1.0)
    with pytest.raises(ValueError, match="signal 1 has nothing to tell positions apart: every feature is constant"):
        correlate([patterns, np.ones_like(spectra)], 2)
    bad = spectra.astype(np.float32)
    bad[..., 5] = np.inf
    with pytest.raises(ValueError, match=r"signal 1 contains NaN or infinity at every position, first at \[0, 0, 5\]"):
        correlate([patterns, bad], 2)
    with pytest.raises(TypeError, match="list of signals"):
        correlate(patterns, 2)
    two = np.tile(np.eye(6, dtype=np.uint8), (12, 10, 1, 1))
    two[6:] = two[6:, :, ::-1]
    with pytest.raises(ValueError, match="n_clusters=3 is too many: there are 2 distinct scan positions"):
        correlate([two, two[..., 0]], 3)


def test_the_command_takes_two_files_as_one_job(small, tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    np.save("patterns.npy", small[1])
    np.save("spectra.npy", small[2])
    assert main(["correlate", "patterns.npy", "spectra.npy", "--clusters", "2", "--threshold", "0.75"]) == 0
    said = capsys.readouterr().out
    assert "patterns.npy + spectra.npy: 2 clusters" in said
    assert "60 positions above 0.75" in said
    assert "  clusters  n_clusters=2 was asked for" in said
    assert "alone     spectra: adjusted Rand index " in said
    made = ["patterns.npy", "patterns_spectra.h5", "patterns_spectra.pdf", "spectra.npy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == made
    assert load_result("patterns_spectra.h5").threshold == 0.75


def test_a_command_that_cannot_be_done_says_why_and_leaves_nothing(small, tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    np.save("patterns.npy", small[1])
    np.save("other.npy", small[2][:5])
    assert main(["correlate", "patterns.npy", "other.npy", "--clusters", "2"]) == 1
    assert "not taken on one scan grid: patterns has 12 x 10, other has 5 x 10" in capsys.readouterr().err
    assert main(["correlate", "patterns.npy", "nowhere.npy", "--clusters", "2"]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.npy", "patterns.npy"]
    for words in (
        ["--clusters", "1"],
        ["--clusters", "2", "--threshold", "2"],
        ["--clusters", "2", "--method", "x"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(["correlate", "patterns.npy", "other.npy", *words])
        assert ended.value.code == 2


def test_the_pages_show_map_signals_components_and_each_signal_alone(result):
    pytest.importorskip("matplotlib")
    from emcore.reporting.pages import pages
    from emcore.reporting.plotting import style

    with style():
        figures = list(pages(result))
    titles = [axes.get_title("left") for figure in figures for axes in figure.axes]
    assert titles[:3] == ["Mean of diffraction", "4 clusters", f"Scree: {result.n_components} components"]
    assert sum(title.startswith("Component ") for title in titles) == result.n_components
    assert titles[-3] == "All together"
    assert titles[-2].startswith("diffraction alone, adjusted Rand index 0.")
    assert titles[-1].startswith("EDS alone, adjusted Rand index 0.")
    assert "4 clusters" in [axes.get_title("left") for axes in result.plot().axes]


def test_bright_is_certain_and_black_is_undecided():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    from emcore.reporting.plotting import component_color, draw_memberships

    axes = figure.add_axes((0, 0, 1, 1))
    memberships = np.array([[[1.0, 0.5, 0.25]], [[0.0, 0.5, 0.75]]])
    draw_memberships(axes, memberships, np.arange(1.0), np.arange(3.0))
    certain, undecided, half = np.asarray(axes.images[0].get_array())[0]
    assert np.allclose(certain, 255 * np.array(component_color(0)), atol=1)
    assert undecided.tolist() == [0, 0, 0]
    assert np.allclose(half, 127.5 * np.array(component_color(1)), atol=1)


def test_the_sum_of_what_is_known_of_a_signal_is_kept(sample, result):
    named = replace(sample.eds, source="")
    assert result.means[1].title == named.title
    parameters = result.provenance.parameters
    assert parameters["m"] == pytest.approx(1 + 2 / result.n_components)
    assert result.provenance.input_name == "diffraction + EDS"
    assert len(result.provenance.input_sha256) == 64 * 2 + 3
