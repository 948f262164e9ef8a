"""Clustering of diffraction patterns: what must hold for every result, on planted and on real scans."""

import re
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.datasets import adjusted_rand_index, polycrystal_scan
from emcore.reporting.pages import pages
from emcore.scans import binning, neighbours
from emcore.scans.detectors import disc
from emcore.scans.patterns import scan_of_patterns
from emcore.workflows import diffraction


@pytest.fixture(scope="module")
def sample():
    return polycrystal_scan((24, 32), n_grains=4)


@pytest.fixture(scope="module")
def result(sample):
    axes = (Axis("y", 24, 2.0, 0, "nm"), Axis("x", 32, 2.0, 0, "nm"), *(Axis(k, 64, 0.02, 0, "1/nm") for k in "ab"))
    return emcore.cluster_diffraction(Signal(sample.patterns, axes, title="grains"), 4)


def test_the_mask_is_what_makes_grains_of_varying_thickness_found():
    sample = polycrystal_scan()
    whole = {"normalize": "sum", "reduce": None}
    unmasked = emcore.cluster_diffraction(sample.patterns, 5, mask_beam=False, **whole)
    masked = emcore.cluster_diffraction(sample.patterns, 5, **whole)
    assert adjusted_rand_index(sample.labels, unmasked.labels) < 0.6
    assert adjusted_rand_index(sample.labels, masked.labels) > 0.9
    # Not the grains but the thickness is what was found without the mask.
    means = [sample.thickness[unmasked.labels == label].mean() for label in range(5)]
    between = np.average((np.array(means) - sample.thickness.mean()) ** 2, weights=unmasked.area)
    assert between > 0.5 * sample.thickness.var()


def test_the_beam_is_found_and_said(sample, result):
    assert np.hypot(*np.subtract(result.beam_center, sample.beam_center)) < 0.1
    assert sample.beam_radius < result.beam_radius < sample.beam_radius + 3


def test_mean_patterns_weighted_by_their_counts_add_up_to_the_pacbed(sample, result):
    counts = np.bincount(result.labels.ravel(), minlength=4)
    total = sample.patterns.sum(axis=(0, 1), dtype=np.int64)
    np.testing.assert_allclose(np.tensordot(counts, result.signals, 1), total, rtol=1e-13)
    np.testing.assert_allclose(np.asarray(result.mean.data) * counts.sum(), total, rtol=1e-13)
    assert result.area == pytest.approx(counts / counts.sum())


def test_signals_are_means_of_the_data_as_measured(sample, result):
    for label in range(4):
        np.testing.assert_allclose(
            result.signals[label], sample.patterns[result.labels == label].mean(axis=0), rtol=1e-12
        )


def test_clusters_come_in_the_order_of_falling_area(result):
    assert (np.diff(result.area) <= 0).all()
    assert result.area.sum() == pytest.approx(1)


def test_the_picture_is_the_virtual_bright_field(sample, result):
    mask = disc((64, 64), result.beam_center, result.beam_radius)
    assert np.array_equal(result.image.data, sample.patterns[:, :, mask].sum(axis=2))
    whole = emcore.cluster_diffraction(sample.patterns, 2, mask_beam=False)
    assert np.array_equal(whole.image.data, sample.patterns.sum(axis=(2, 3)))
    assert whole.beam_radius is None


def test_axes_keep_their_calibration(result):
    assert [(axis.name, axis.scale, axis.units) for axis in (*result.image.axes, *result.mean.axes)] == [
        ("y", 2.0, "nm"),
        ("x", 2.0, "nm"),
        ("ky", 0.02, "1/nm"),
        ("kx", 0.02, "1/nm"),
    ]


@pytest.mark.parametrize("normalize", ["sum", "l2", "none", "sqrt", "log1p", "max"])
def test_labels_do_not_depend_on_what_is_masked(sample, normalize):
    first = emcore.cluster_diffraction(sample.patterns, 4, beam_radius=5.0, normalize=normalize)
    other = sample.patterns.copy()
    inside = disc((64, 64), sample.beam_center, 4.0)
    # What is inside changes places, so that the mean pattern, where the beam is sought, stays.
    flat = other.reshape(-1, 64, 64)
    flat[:, inside] = flat[np.random.default_rng(0).permutation(len(flat))][:, inside]
    second = emcore.cluster_diffraction(other, 4, beam_radius=5.0, normalize=normalize)
    assert not np.array_equal(other, sample.patterns)
    assert np.array_equal(first.labels, second.labels)


@pytest.mark.parametrize("normalize", ["sum", "l2"])
def test_labels_do_not_depend_on_a_gain_per_pattern(sample, normalize):
    gain = np.random.default_rng(0).integers(1, 9, (24, 32, 1, 1), dtype=np.uint16)
    first = emcore.cluster_diffraction(sample.patterns, 4, beam_radius=5.0, normalize=normalize)
    second = emcore.cluster_diffraction(sample.patterns * gain, 4, beam_radius=5.0, normalize=normalize)
    assert np.array_equal(first.labels, second.labels)


def test_it_agrees_with_the_same_steps_in_numpy_and_scikit_learn(sample):
    from sklearn.cluster import KMeans

    result = emcore.cluster_diffraction(sample.patterns, 4, normalize="sum", reduce=None)
    keep = ~disc((64, 64), result.beam_center, result.beam_radius)
    rows = sample.patterns[:, :, keep].reshape(24 * 32, -1).astype(np.float64)
    rows /= rows.sum(axis=1, keepdims=True)
    start = np.array([rows[result.labels.ravel() == label].mean(axis=0) for label in range(4)])
    peer = KMeans(4, init=start, n_init=1).fit(rows)
    assert np.array_equal(peer.labels_, result.labels.ravel())
    assert result.inertia == pytest.approx(peer.inertia_, rel=1e-5)


@pytest.mark.parametrize("reduce", [3, "pca"])
def test_principal_components_give_the_same_grains(sample, reduce):
    observed = emcore.cluster_diffraction(sample.patterns, 4, reduce=reduce)
    assert adjusted_rand_index(sample.labels, observed.labels) > 0.95
    assert observed.signals.shape == (4, 64, 64)
    if reduce == "pca":
        assert any("principal components clustered" in note for note in observed.provenance.notes)


@pytest.mark.parametrize("dtype", ["u1", "u4", "i2", "i4", "f4", "f8"])
def test_every_pixel_type_gives_the_same_labels(sample, result, dtype):
    patterns = np.minimum(sample.patterns, 255).astype(dtype)
    observed = emcore.cluster_diffraction(patterns, 4)
    assert adjusted_rand_index(result.labels, observed.labels) > 0.99


def test_the_number_of_grains_is_found(sample):
    observed = emcore.cluster_diffraction(sample.patterns, "auto")
    assert observed.n_clusters == 4
    assert observed.rule != "given"
    assert adjusted_rand_index(sample.labels, observed.labels) > 0.95


def test_results_are_the_same_bits_on_one_two_and_three_threads(sample):
    observed = []
    for threads in (1, 2, 3):
        with emcore.num_threads(threads):
            observed.append(emcore.cluster_diffraction(sample.patterns, 4))
    for other in observed[1:]:
        assert np.array_equal(observed[0].labels, other.labels)
        assert np.array_equal(observed[0].signals, other.signals)
        assert observed[0].inertia == other.inertia


def test_the_input_is_not_changed(sample):
    before = sample.patterns.copy()
    emcore.cluster_diffraction(sample.patterns, 2)
    assert np.array_equal(before, sample.patterns)


@pytest.mark.parametrize("reduce", [None, "auto"])
def test_nothing_of_the_size_of_the_data_is_allocated(monkeypatch, reduce):
    monkeypatch.setattr(diffraction, "SAMPLE", 300)
    monkeypatch.setattr(binning, "_BYTES", 1 << 18)
    monkeypatch.setattr(neighbours, "_BYTES", 1 << 18)
    patterns = polycrystal_scan().patterns
    emcore.cluster_diffraction(patterns[:6, :6], 5, reduce=reduce)  # what is imported then is none of the data
    tracemalloc.start()
    emcore.cluster_diffraction(patterns, 5, reduce=reduce)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * patterns.nbytes


def test_a_file_and_a_view_and_a_memory_map_give_what_the_array_gives(sample, result, tmp_path):
    np.save(tmp_path / "scan.npy", sample.patterns)
    reversed_twice = np.ascontiguousarray(sample.patterns[:, :, ::-1, ::-1])[:, :, ::-1, ::-1]
    mapped = np.load(tmp_path / "scan.npy", mmap_mode="r")
    for given in (tmp_path / "scan.npy", str(tmp_path / "scan.npy"), mapped, reversed_twice):
        observed = emcore.cluster_diffraction(given, 4)
        assert np.array_equal(observed.labels, result.labels)
        assert np.array_equal(observed.signals, result.signals)
    assert emcore.cluster_diffraction(tmp_path / "scan.npy", 2).provenance.input_name == "scan.npy"


# Data out of core


@pytest.mark.filterwarnings("ignore:patterns (has|is stored in) chunks")
@pytest.mark.parametrize("kind", ["map", "hdf5", "zarr", "dask"])
def test_what_is_left_where_it_is_stored_gives_the_same(sample, monkeypatch, passes, stored_as, kind):
    monkeypatch.setattr(diffraction, "SAMPLE", 256)  # which little memory has room for
    patterns = sample.patterns.astype(np.float32)
    patterns[3, 5:9], patterns[20, 2, 7, 7] = 0, np.nan
    here = emcore.cluster_diffraction(patterns)
    del passes[:]
    observed = emcore.cluster_diffraction(stored_as(kind, patterns), memory="9 MiB")
    assert len(passes) == 4
    assert any("out of core, read 4 times, 12 MiB each" in note for note in observed.provenance.notes)
    assert observed.n_empty == 5
    assert np.array_equal(observed.labels, here.labels)
    assert observed.reason == here.reason
    np.testing.assert_allclose(observed.signals, here.signals, rtol=1e-12)
    np.testing.assert_allclose(observed.image.data, here.image.data, rtol=1e-6)


@pytest.mark.parametrize("kind", ["map", "dask"])
@pytest.mark.parametrize("options", [{"reduce": None}, {"reduce": "pca"}, {"reduce": 3, "normalize": "sum"}])
def test_principal_components_and_all_pixels_of_data_out_of_core_are_those_in_memory(sample, stored_as, kind, options):
    patterns = sample.patterns.astype(np.float32)
    patterns[3, 5:9], patterns[20, 2, 7, 7] = 0, np.nan
    here = emcore.cluster_diffraction(patterns, 4, **options)
    observed = emcore.cluster_diffraction(stored_as(kind, patterns), 4, memory="40 MiB", **options)
    assert np.array_equal(observed.labels, here.labels)
    np.testing.assert_allclose(observed.signals, here.signals, rtol=1e-12)
    assert observed.inertia == pytest.approx(here.inertia, rel=1e-5)


@pytest.mark.parametrize("killed_in", [1, 2, 3, 4])
def test_a_job_that_was_killed_goes_on_to_the_same_bits(
    sample, tmp_path, monkeypatch, stored_as, killing, same, killed_in
):
    monkeypatch.setattr(diffraction, "SAMPLE", 300)
    mapped = stored_as("map", sample.patterns)
    whole = emcore.cluster_diffraction(mapped, memory="8 MiB")

    made = killing(killed_in)
    with pytest.raises(KeyboardInterrupt):
        emcore.cluster_diffraction(mapped, memory="8 MiB", checkpoint=tmp_path / "job.npz")
    again = emcore.cluster_diffraction(mapped, memory="8 MiB", checkpoint=tmp_path / "job.npz")
    assert len(made) == 5  # the pass that was killed, twice
    assert same(again, whole)
    with pytest.raises(ValueError, match="another job: n_clusters"):
        emcore.cluster_diffraction(mapped, 3, memory="8 MiB", checkpoint=tmp_path / "job.npz")


def test_negative_values_in_a_file_are_named_by_their_position(sample, stored_as):
    patterns = sample.patterns.astype(np.int16)
    patterns[20, 3, 5, 6] = -2
    with pytest.raises(ValueError, match=r"Negative values .* first at \[20, 3, 5, 6\]"):
        emcore.cluster_diffraction(stored_as("map", patterns), 4, memory="8 MiB")


def test_too_little_memory_is_refused_with_the_least(sample, stored_as):
    with pytest.raises(ValueError, match="smallest possible"):
        emcore.cluster_diffraction(stored_as("map", sample.patterns), 4, memory="80 kB")


def test_a_hyperspy_signal_keeps_its_axes(sample, result):
    hs = pytest.importorskip("hyperspy.api")
    signal = hs.signals.Signal2D(sample.patterns)
    for axis, scale, units in zip(
        signal.axes_manager._axes, (2, 2, 0.02, 0.02), ("nm", "nm", "1/nm", "1/nm"), strict=True
    ):
        axis.scale, axis.units = scale, units
    observed = emcore.cluster_diffraction(signal, 4)
    assert np.array_equal(observed.labels, result.labels)
    assert observed.mean.axis("kx").units == "1/nm"
    again = result.to_hyperspy()["signals"]
    assert again.axes_manager.navigation_shape == (4,)
    assert again.axes_manager[-1].units == "1/nm"


def test_a_result_is_read_back_as_it_was(result, tmp_path):
    assert emcore.load_result(result.save(tmp_path / "a.h5")) == result


# What cannot be clustered as it is


def test_empty_patterns_have_the_label_minus_one_and_a_note(sample, tmp_path):
    patterns = sample.patterns.copy()
    patterns[3, 4:9] = 0
    patterns[5, 6, ~disc((64, 64), sample.beam_center, 2)] = 0  # but for the beam
    observed = emcore.cluster_diffraction(patterns, 4, normalize="sum")
    assert (observed.labels == -1).sum() == 6
    assert (observed.labels[3, 4:9] == -1).all()
    assert observed.labels[5, 6] == -1
    assert observed.n_empty == 5
    for said in ("5 of 768 positions are empty (5 zero", "1 of 768 patterns have nothing but zeros outside the mask"):
        assert any(note.startswith(said) for note in observed.provenance.notes)
    assert observed.area.sum() == pytest.approx(1)
    there = observed.labels >= 0
    assert adjusted_rand_index(sample.labels[there], observed.labels[there]) > 0.95
    counts = np.bincount(observed.labels[there], minlength=4)
    np.testing.assert_allclose(np.tensordot(counts, observed.signals, 1), patterns[there].sum(axis=0), rtol=1e-12)
    observed.report(tmp_path / "a.pdf")


def test_patterns_of_zeros_are_no_group_where_nothing_is_divided_either(sample):
    patterns = sample.patterns.copy()
    patterns[:, :8] = 0
    observed = emcore.cluster_diffraction(patterns, 4, normalize="sqrt")
    assert np.array_equal(observed.labels == -1, ~patterns.any(axis=(2, 3)))
    assert observed.n_empty == 8 * len(patterns)


def test_patterns_whose_values_cancel_are_not_empty(sample):
    patterns = sample.patterns[:4, :4].astype(np.int16)
    patterns[1, 1] = 0
    patterns[2, 2] = 0
    patterns[2, 2, 10, 10], patterns[2, 2, 50, 50] = 7, -7
    observed = emcore.cluster_diffraction(patterns, 2, normalize="l2")
    assert np.argwhere(observed.labels == -1).tolist() == [[1, 1]]


def all_beam(_):
    """Patterns of which the beam takes all but the corners, and its edge these."""
    inside = disc((5, 5), (2, 2), 2.5)
    return (inside * np.arange(1, 10).reshape(3, 3, 1, 1)).astype(np.uint8)


def planted_nan(sample):
    patterns = sample.patterns[:4, :4].astype(np.float32)
    patterns[..., 3, 4] = np.nan
    return patterns


@pytest.mark.parametrize(
    ("patterns", "options", "error", "message"),
    [
        (lambda s: s.patterns, {"n_clusters": 1}, ValueError, "n_clusters=1 groups nothing"),
        (lambda s: s.patterns, {"n_clusters": 0}, ValueError, "n_clusters=0 is out of range"),
        (lambda s: s.patterns, {"n_clusters": 2.0}, TypeError, "n_clusters=2.0 is a float"),
        (lambda s: s.patterns, {"n_clusters": "many"}, ValueError, "n_clusters='many' is not known"),
        (lambda s: s.patterns[:2, :2], {"n_clusters": 5}, ValueError, "between 2 and 4 .there are 4 patterns"),
        (
            lambda s: np.repeat(s.patterns[:1, :3], 9, axis=0),
            {"n_clusters": 4},
            ValueError,
            "more than there are different patterns, 3",
        ),
        (
            lambda s: np.repeat(s.patterns[:1, :1], 9, axis=0),
            {"n_clusters": 2},
            ValueError,
            "all patterns are the same",
        ),
        (lambda s: s.patterns, {"beam_radius": 100.0}, ValueError, "radius 100 px leaves none of the 4096 pixels"),
        (lambda s: s.patterns, {"beam_radius": -1}, ValueError, "beam_radius"),
        (lambda s: s.patterns, {"beam_radius": 3, "mask_beam": False}, ValueError, "leave one out"),
        (lambda s: s.patterns, {"normalize": "summ"}, ValueError, "did you mean 'sum'"),
        (lambda s: s.patterns, {"reduce": "ica"}, ValueError, "reduce='ica' is not known"),
        (lambda s: s.patterns, {"reduce": 0}, ValueError, "reduce=0 is out of range"),
        (lambda s: s.patterns[0], {"scan_shape": (3, 5)}, ValueError, "holds 32 patterns"),
        (lambda s: s.patterns[0], {"scan_shape": "4,8"}, ValueError, "give lines and positions in each"),
        (lambda s: s.patterns * 1e30, {"normalize": "none"}, ValueError, "unit in which they are near 1"),
        (lambda s: s.patterns * np.float32(1e-30), {"normalize": "l2"}, ValueError, "unit in which they are near 1"),
        (lambda s: s.patterns[0, 0], {}, ValueError, "one picture is no scan"),
        (lambda s: s.patterns[None], {}, None, ""),
        (lambda s: s.patterns[:1, :1], {}, ValueError, "one pattern is no scan"),
        (all_beam, {}, ValueError, "mask_beam=False keeps the beam"),
        (lambda s: s.patterns[:2, None], {}, None, ""),
        (lambda s: s.patterns.astype(complex), {}, TypeError, "complex"),
        (planted_nan, {}, ValueError, r"NaN or infinity at every position, first at \[0, 0, 3, 4\]"),
        (lambda s: s.patterns.astype(np.int16) - 1, {}, ValueError, r"Negative values .* first at \[0, 0, \d+, \d+\]"),
        (lambda s: s.patterns.astype(np.int16) - 1, {"normalize": "l2"}, None, ""),
        (lambda s: np.zeros((4, 4, 8, 8), np.uint8), {}, ValueError, "16 zero throughout.*too few"),
        (lambda s: np.full((4, 4, 8, 8), 3, np.uint8), {}, ValueError, "16 constant.*too few are left"),
        (lambda s: np.tile(s.patterns[0, 0], (4, 4, 1, 1)), {}, ValueError, "all patterns are the same"),
    ],
)
def test_bad_input_is_refused_with_a_reason(sample, patterns, options, error, message):
    options = {"n_clusters": 2} | options
    if error is None:
        assert emcore.cluster_diffraction(patterns(sample), **options).n_clusters == 2
        return
    with pytest.raises(error, match=message):
        emcore.cluster_diffraction(patterns(sample), **options)


def test_as_many_clusters_as_patterns_is_possible(sample):
    observed = emcore.cluster_diffraction(sample.patterns[:1, :3], 3)
    assert sorted(observed.labels.ravel()) == [0, 1, 2]
    assert observed.inertia == pytest.approx(0, abs=1e-9)


# Real files


@pytest.mark.parametrize("n_clusters", [6, "auto"])
def test_grains_of_a_scan_simulated_by_others_are_recovered(data_folder, n_clusters):
    path = data_folder / "orientation_scan_32.npz"
    observed = emcore.cluster_diffraction(path, n_clusters)
    assert observed.n_clusters == 6
    assert adjusted_rand_index(np.load(path)["grain_id"], observed.labels) >= 0.95


@pytest.mark.parametrize(
    ("name", "scan", "center", "masked"),
    [
        ("test1.blo", (3, 2), (72.2, 73.3), (6, 11)),
        ("merlin/001_4x2_6bit.mib", (2, 4), (110, 24), (25, 45)),
        ("ni_ebsd.h5", (3, 3), None, None),
    ],
)
def test_real_scans_run_and_their_beam_is_where_it_is_seen(data_folder, tmp_path, name, scan, center, masked):
    observed = emcore.cluster_diffraction(data_folder / name, 2)
    assert observed.labels.shape == scan
    if center is None:
        assert observed.beam_radius is None
        assert any("no bright disc" in note for note in observed.provenance.notes)
    else:
        assert observed.beam_center == pytest.approx(center, abs=2)
        assert masked[0] < observed.beam_radius < masked[1]
    observed.report(tmp_path / "a.pdf")
    assert emcore.load_result(observed.save(tmp_path / "a.h5")) == observed


# Pages


def text_of(figure):
    return "\n".join(text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text")))


def test_the_report_shows_the_scan_the_mask_the_labels_and_every_cluster(result):
    first, second = pages(result)
    titles = [axes.get_title("left") for axes in first.axes]
    assert titles[:3] == ["Virtual bright field", "4 clusters", "PACBED, mask dashed"]
    (mask,) = (line for line in first.axes[2].lines if line.get_gid() == "beam-mask")
    along, across = mask.get_data()
    assert (along.max() - along.min()) / 2 == pytest.approx(0.02 * result.beam_radius, rel=0.01)
    assert np.mean([along.max(), along.min()]) == pytest.approx(0, abs=0.01)
    assert np.mean([across.max(), across.min()]) == pytest.approx(0, abs=0.01)
    said = text_of(first)
    assert "scan: 32 × 24 positions, 64 nm × 48 nm" in said
    assert f"masked to a radius of {result.beam_radius:.2f} px" in said
    legend = first.axes[1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2", "3", "4"]
    assert [axes.get_title("left").split(",")[0] for axes in second.axes] == [f"Cluster {i}" for i in range(1, 5)]
    assert {axes.get_xlabel() for axes in second.axes} == {"kx (1/nm)"}
    for label in range(4):
        assert f"{100 * result.area[label]:.1f} %" in said


def test_every_pixel_of_the_label_map_has_the_colour_of_its_cluster(result):
    from emcore.reporting.plotting import component_color

    (picture,) = next(pages(result)).axes[1].images
    colors = np.array([component_color(i) for i in range(4)])
    np.testing.assert_allclose(np.asarray(picture.get_array()) / 255, colors[result.labels], atol=1 / 255)


@pytest.mark.parametrize("k", [2, 13, 40])
def test_any_number_of_clusters_has_a_report(result, tmp_path, k):
    labels = (np.arange(24 * 32) % k).reshape(24, 32).astype(np.int32)
    area = np.bincount(labels.ravel()) / labels.size
    many = replace(result, labels=labels, signals=result.signals[np.arange(k) % 4], area=area, n_clusters=k)
    shown = [axes.get_title("left") for figure in pages(many) for axes in figure.axes]
    assert sum(bool(re.match(r"Cluster \d+, ", title)) for title in shown) == k
    many.report(tmp_path / "a.pdf")
    many.plot()


def test_the_overview_shows_everything_once(result):
    titles = [axes.get_title("left") for axes in result.plot().axes]
    assert sum(title.startswith("Cluster ") for title in titles) == 4
    assert "PACBED, mask dashed" in titles


# The command line


def test_the_command_says_what_was_decided_and_writes_results(sample, tmp_path, capsys):
    np.save(tmp_path / "grains.npy", sample.patterns)
    words = ["diffraction", str(tmp_path / "grains.npy"), "--clusters", "4", "--output", str(tmp_path)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith("grains.npy: 4 clusters\n")
    assert re.search(r"beam +at kx 32\.\d+, ky 31\.\d+ px, masked to a radius of \d\.\d+ px", said)
    assert len(re.findall(r"cluster \d +\d+\.\d %", said)) == 4
    observed = emcore.load_result(tmp_path / "grains.diffraction.h5")
    assert adjusted_rand_index(sample.labels, observed.labels) > 0.9
    assert (tmp_path / "grains.diffraction.pdf").read_bytes().startswith(b"%PDF")
    assert main(words) == 1
    assert "--force" in capsys.readouterr().err


def test_options_reach_the_analysis(sample, tmp_path):
    np.savez(tmp_path / "a.npz", scan=sample.patterns[0], other=sample.patterns[:1, :3])
    options = "--clusters 2 --beam-radius 5.5 --normalize l2 --reduce 3 --scan 4,8 --dataset scan --quiet"
    assert main(["diffraction", str(tmp_path / "a.npz"), "--output", str(tmp_path), *options.split()]) == 0
    observed = emcore.load_result(tmp_path / "a.diffraction.h5")
    assert observed.labels.shape == (4, 8)
    assert observed.beam_radius == 5.5
    assert observed.provenance.parameters == {
        "n_clusters": 2,
        "mask_beam": True,
        "beam_radius": 5.5,
        "normalize": "l2",
        "reduce": 3,
        "scan_shape": (4, 8),
        "random_state": 0,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--clusters 1", "--clusters 1 groups nothing"),
        ("--clusters few", "'few' is neither auto nor a whole number"),
        ("--normalize summ", "did you mean 'sum'"),
        ("--beam-radius 0", "'0' is not a number above 0"),
        ("--beam-radius 3 --no-mask-beam", "leave one out"),
        ("--reduce ica", "'ica' is neither auto, pca, none nor a whole number"),
        ("--scan 12", "give its lines and the positions in each"),
        ("--cluster 3", "did you mean --clusters?"),
    ],
)
def test_a_wrong_command_ends_with_2_and_says_what_is_meant(capsys, words, said):
    with pytest.raises(SystemExit) as stop:
        main(["diffraction", "a.npy", *words.split()])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_what_is_no_scan_does_not_stop_the_others(sample, tmp_path, capsys):
    np.save(tmp_path / "image.npy", np.zeros((64, 64)))
    np.save(tmp_path / "scan.npy", sample.patterns[:4, :4])
    assert main(["diffraction", str(tmp_path), "--clusters", "2", "--output", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "image.npy has shape (64, 64): one picture is no scan" in said.err
    assert "1 of 2 files done" in said.out


def test_reading_a_scan_of_a_file_leaves_it_there(tmp_path, sample):
    np.save(tmp_path / "scan.npy", sample.patterns)
    assert isinstance(scan_of_patterns(tmp_path / "scan.npy").data, np.memmap)
