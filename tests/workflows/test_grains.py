"""From a scan of patterns to its grains: what must hold on planted and on real scans."""

import dataclasses
import json
import tracemalloc

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.datasets import adjusted_rand_index, bent_polycrystal
from emcore.io.export import write_stack
from emcore.reporting.pages import pages
from emcore.reporting.pages.segmentation import key_numbers
from emcore.scans import binning, channels
from emcore.scans.detectors import disc
from emcore.workflows import grains_steps


@pytest.fixture(scope="module")
def sample():
    return bent_polycrystal((48, 56), (64, 64), n_grains=9, seed=2)


@pytest.fixture(scope="module")
def result(sample):
    return emcore.segment_grains(sample.patterns)


def test_the_grains_are_found_and_each_is_one_piece(sample, result):
    from scipy import ndimage

    assert result.n_grains == 9
    assert adjusted_rand_index(sample.labels, result.labels) > 0.97
    assert all(ndimage.label(result.labels == grain)[1] == 1 for grain in range(9))
    assert result.n_segments > 5 * result.n_grains
    assert (np.diff(result.size) <= 0).all()
    assert np.array_equal(np.bincount(result.labels.ravel()), result.size)


def test_bending_splits_grains_less_than_k_means_does(sample, result):
    groups = emcore.cluster_diffraction(sample.patterns, 9)

    def pieces(labels):
        """How many labels a grain falls into, weighed by how evenly: exp of the entropy, averaged over positions."""
        observed = 0.0
        for grain in np.unique(sample.labels):
            inside = labels[sample.labels == grain]
            part = np.unique(inside, return_counts=True)[1] / len(inside)
            observed += len(inside) / labels.size * np.exp(-(part * np.log(part)).sum())
        return observed

    assert pieces(result.labels) < 1.1
    assert pieces(result.labels) <= pieces(groups.labels) + 0.01


def test_mean_patterns_are_of_the_data_as_measured(sample, result):
    data = np.asarray(sample.patterns.data)
    for grain in (0, 8):
        np.testing.assert_allclose(result.signals[grain], data[result.labels == grain].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(np.tensordot(result.size, result.signals, 1), data.sum(axis=(0, 1)), rtol=1e-12)


def test_kept_pixels_are_outside_the_beam_and_unbroken_and_the_image_is_their_sum(sample, result):
    beam = disc((64, 64), result.beam_center, result.beam_radius)
    assert not (result.kept & beam).any()
    assert not (result.kept & sample.gap).any()
    assert 100 < result.kept.sum() < 0.7 * result.kept.size
    np.testing.assert_allclose(
        result.image.data, np.asarray(sample.patterns.data)[..., result.kept].sum(axis=2), rtol=1e-5
    )


def test_binning_the_detector_changes_the_grains_little(sample, result):
    observed = emcore.segment_grains(sample.patterns, bin_to=32)
    assert adjusted_rand_index(result.labels, observed.labels) > 0.97
    assert any("binned 2 × 2" in note for note in observed.provenance.notes)
    # A bin is kept whole, but for pixels of the beam and broken ones.
    pairs = observed.kept.reshape(32, 2, 32, 2).any(axis=(1, 3))
    assert observed.kept.sum() > 3 * pairs.sum()


def test_no_more_than_half_a_gib_is_compared_whatever_is_asked_for(monkeypatch, sample, result):
    monkeypatch.setattr(channels, "_BYTES", 48 * 56 * 4 * 300)
    observed = emcore.segment_grains(sample.patterns)
    assert any("binned" in note for note in observed.provenance.notes)
    assert adjusted_rand_index(result.labels, observed.labels) > 0.95


@pytest.mark.parametrize("method", ["graph", "hdbscan"])
def test_other_segments_give_nearly_the_same_grains(sample, result, method):
    observed = emcore.segment_grains(sample.patterns, method=method)
    assert adjusted_rand_index(result.labels, observed.labels) > 0.95


def test_another_cut_needs_no_data_and_is_what_the_whole_call_gives(sample, result, tmp_path):
    fewer = result.recut(n_grains=5)
    assert fewer.n_grains == len(fewer.size) == len(fewer.kinds) == 5
    data = np.asarray(sample.patterns.data)
    np.testing.assert_allclose(fewer.signals[1], data[fewer.labels == 1].mean(axis=0), rtol=1e-12)
    assert fewer.confidence is None
    assert "5 grains were asked for" in fewer.reason
    assert (np.diff(fewer.size) <= 0).all()
    assert np.array_equal(result.recut(result.min_correlation).labels, result.labels)
    for stop in result.stops[:3]:
        assert result.recut(stop.min_correlation).n_grains <= stop.n_regions
    assert emcore.load_result(fewer.save(tmp_path / "a.h5")) == fewer
    fewer.report(tmp_path / "a.pdf")
    asked = emcore.segment_grains(sample.patterns, n_grains=5)
    assert asked.n_grains == 5
    assert adjusted_rand_index(asked.labels, fewer.labels) > 0.97


def test_a_cut_finer_than_is_kept_or_none_at_all_is_refused(result):
    with pytest.raises(ValueError, match="pieces are kept"):
        result.recut(n_grains=result.n_segments)
    with pytest.raises(ValueError, match="give one of them"):
        result.recut()
    with pytest.raises(ValueError, match="give one of them"):
        result.recut(0.5, n_grains=3)


def test_vacuum_and_amorphous_material_are_named():
    rng = np.random.default_rng(0)
    ky, kx = np.indices((48, 48))
    radius = np.hypot(ky - 24, kx - 24)
    beam = 60 * (radius < 3) + 0.02

    def spots(turn):
        angles = np.radians(turn + np.arange(0, 360, 60))
        return sum(4.0 * (np.hypot(ky - 24 - 13 * np.sin(a), kx - 24 - 13 * np.cos(a)) < 2) for a in angles)

    halo = 1.2 * np.exp(-0.5 * ((radius - 11) / 2) ** 2)
    means = np.stack([beam, beam + 0.2 + halo, beam + 0.2 + spots(0), beam + 0.2 + spots(30)])
    truth = np.repeat(np.repeat([[0, 1], [2, 3]], 12, axis=0), 12, axis=1)
    observed = emcore.segment_grains(rng.poisson(means[truth]).astype(np.uint16))
    assert adjusted_rand_index(truth, observed.labels) > 0.97
    named = {int(truth[observed.labels == grain][0]): kind for grain, kind in enumerate(observed.kinds)}
    assert named == {0: "vacuum", 1: "amorphous", 2: "crystal", 3: "crystal"}
    assert "1 amorphous, 1 vacuum" in key_numbers(observed)["grains"]


def test_confidence_is_own_less_next_best(sample, result):
    data = np.asarray(sample.patterns.data, dtype=float)[..., result.kept]
    mean = data.mean(axis=(0, 1))
    about = (data - mean) / np.sqrt(mean)
    means = np.array([about[result.labels == grain].mean(axis=0) for grain in range(9)])
    r = about @ means.T / np.linalg.norm(about, axis=2)[..., None] / np.linalg.norm(means, axis=1)
    own = np.take_along_axis(r, result.labels[..., None], 2)[..., 0]
    np.put_along_axis(r, result.labels[..., None], -np.inf, 2)
    np.testing.assert_allclose(result.correlation, own, atol=1e-4)
    np.testing.assert_allclose(result.confidence, own - r.max(axis=2), atol=1e-4)


def test_sizes_are_in_the_units_of_the_scan(result):
    np.testing.assert_allclose(np.pi / 4 * result.diameter**2, result.size * 16.0)
    assert result.length_units == "nm"
    assert [axis.units for axis in (*result.image.axes, *result.mean.axes)] == ["nm", "nm", "1/nm", "1/nm"]


def test_all_detector_pixels_find_the_same_grains(sample):
    observed = emcore.segment_grains(sample.patterns, detector_pixels="all")
    assert adjusted_rand_index(sample.labels, observed.labels) > 0.95


def test_what_is_asked_for_is_done(sample, result):
    observed = emcore.segment_grains(sample.patterns, 100, min_correlation=1.0)
    assert 0.9 * observed.n_segments < observed.n_grains <= observed.n_segments
    assert 80 <= observed.n_segments <= 120
    one = emcore.segment_grains(sample.patterns, 100, min_correlation=-1.0)
    assert one.n_grains == 1
    assert (one.confidence == one.correlation + 1).all()
    again = emcore.segment_grains(sample.patterns, min_correlation=result.min_correlation)
    assert np.array_equal(again.labels, result.labels)
    assert "was asked for" in again.reason


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4"])
def test_every_pixel_type_gives_the_same_grains(sample, result, dtype):
    observed = emcore.segment_grains(np.asarray(sample.patterns.data).astype(dtype))
    assert np.array_equal(observed.labels, result.labels)


def test_dead_and_saturated_pixels_are_not_compared(sample, result):
    data = np.asarray(sample.patterns.data).copy()
    data[..., 5, 7], data[..., 40, 9] = 0, 255
    observed = emcore.segment_grains(data)
    assert not observed.kept[5, 7]
    assert not observed.kept[40, 9]
    assert adjusted_rand_index(result.labels, observed.labels) > 0.97


def test_values_below_zero_are_scaled_by_their_deviation(sample):
    data = np.asarray(sample.patterns.data).astype(np.float32) - 3
    assert adjusted_rand_index(sample.labels, emcore.segment_grains(data).labels) > 0.95


def test_patterns_that_differ_by_noise_alone_are_one_grain():
    data = np.random.default_rng(0).poisson(5.0, (12, 14, 32, 32)).astype(np.uint8)
    observed = emcore.segment_grains(data, mask_beam=False)
    assert observed.n_grains == 1
    assert "no more alike than noise" in observed.reason


def test_results_are_the_same_bits_on_one_two_and_three_threads(sample, same):
    observed = []
    for threads in (1, 2, 3):
        with emcore.num_threads(threads):
            observed.append(emcore.segment_grains(sample.patterns))
    assert same(observed[0], observed[1], ("provenance", "image", "mean"))
    assert same(observed[0], observed[2], ("provenance", "image", "mean"))


def test_a_file_and_a_memory_map_give_what_the_array_gives_and_hold_no_copy(sample, result, tmp_path, monkeypatch):
    data = np.asarray(sample.patterns.data)
    np.save(tmp_path / "scan.npy", data)
    assert np.array_equal(emcore.segment_grains(tmp_path / "scan.npy").labels, result.labels)
    monkeypatch.setattr(binning, "_BYTES", 1 << 18)
    tracemalloc.start()
    emcore.segment_grains(tmp_path / "scan.npy", method="slic", bin_to=16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.8 * data.nbytes  # 5 MB of it are bins
    assert np.array_equal(data, np.asarray(sample.patterns.data))
    mapped = np.load(tmp_path / "scan.npy", mmap_mode="r")[:, :, ::-1]
    assert np.array_equal(emcore.segment_grains(mapped).signals[:, ::-1], result.signals)


@pytest.mark.filterwarnings("ignore:patterns (has|is stored in) chunks")
@pytest.mark.parametrize("kind", ["map", "hdf5", "zarr", "dask"])
def test_what_is_left_where_it_is_stored_gives_the_same(sample, monkeypatch, passes, stored_as, kind):
    monkeypatch.setattr(grains_steps, "SAMPLE", 500)
    patterns = np.asarray(sample.patterns.data).astype(np.float32)
    patterns[3, 5:9], patterns[20, 2, 7, 7] = 0, np.nan
    options = {"bin_to": 16}
    here = emcore.segment_grains(patterns, **options)
    del passes[:]
    memory = patterns.nbytes // 2
    observed = emcore.segment_grains(stored_as(kind, patterns), memory=memory, **options)
    assert passes == ["_survey", "_statistics", "_group_sums", "_place_all", "_labelled"]
    assert any("out of core, read 5 times" in note for note in observed.provenance.notes)
    assert observed.n_empty == 5
    assert np.array_equal(observed.labels, here.labels)
    assert observed.reason == here.reason
    np.testing.assert_allclose(observed.signals, here.signals, rtol=1e-6)
    np.testing.assert_allclose(observed.confidence, here.confidence, atol=1e-5)


@pytest.mark.parametrize("killed_in", [1, 2, 3, 4, 5])
def test_a_job_that_was_killed_goes_on_to_the_same_bits(
    sample, tmp_path, monkeypatch, stored_as, killing, same, killed_in
):
    monkeypatch.setattr(grains_steps, "SAMPLE", 500)
    mapped = stored_as("map", np.asarray(sample.patterns.data))
    options = {"bin_to": 16, "memory": mapped.nbytes}
    whole = emcore.segment_grains(mapped, **options)

    made = killing(killed_in)
    with pytest.raises(KeyboardInterrupt):
        emcore.segment_grains(mapped, checkpoint=tmp_path / "job.npz", **options)
    again = emcore.segment_grains(mapped, checkpoint=tmp_path / "job.npz", **options)
    assert len(made) == 6  # the pass that was killed, twice
    assert same(again, whole)
    with pytest.raises(ValueError, match="another job: n_grains"):
        emcore.segment_grains(mapped, n_grains=3, checkpoint=tmp_path / "job.npz", **options)


def test_one_line_of_patterns_is_cut_too(sample):
    observed = emcore.segment_grains(np.asarray(sample.patterns.data)[10])
    assert observed.labels.shape == (1, 56)
    assert any("one line" in note for note in observed.provenance.notes)


@pytest.mark.parametrize(
    ("patterns", "options", "error", "message"),
    [
        (lambda d: d, {"n_segments": 0}, ValueError, "n_segments=0 is out of range"),
        (lambda d: d[:2, :2], {"n_segments": 5}, ValueError, "between 1 and 4 .there are 4 positions"),
        (lambda d: d, {"n_segments": "many"}, ValueError, "n_segments='many' is not known"),
        (lambda d: d, {"detector_pixels": "al"}, ValueError, "did you mean 'all'"),
        (lambda d: d, {"method": "slick"}, ValueError, "did you mean 'slic'"),
        (lambda d: d, {"bin_to": 0}, ValueError, "bin_to=0 is out of range"),
        (lambda d: d, {"n_grains": 0}, ValueError, "n_grains=0 is out of range"),
        (lambda d: d, {"n_grains": 2, "min_correlation": 0.5}, ValueError, "give one of them"),
        (lambda d: d, {"min_correlation": "otto"}, ValueError, "min_correlation='otto' is not known"),
        (lambda d: d, {"min_correlation": 2}, ValueError, "min_correlation=2 is out of range"),
        (lambda d: d, {"beam_radius": 100.0}, ValueError, "leaves no pixel"),
        (lambda d: d, {"beam_radius": 3, "mask_beam": False}, ValueError, "leave one out"),
        (lambda d: d, {"mask_beam": np.ones((64, 64), bool)}, TypeError, "mask_beam is a ndarray; True or False"),
        (lambda d: d[:1, :1], {}, ValueError, "one pattern is no scan"),
        (lambda d: d[0, 0], {}, ValueError, "one picture is no scan"),
        (lambda d: np.full((4, 4, 8, 8), 3, "u1"), {}, ValueError, "16 constant.*too few are left"),
        (lambda d: np.tile(d[0, 0], (4, 4, 1, 1)), {}, ValueError, "all patterns are the same"),
        (lambda d: d.astype(complex), {}, TypeError, "complex"),
        (lambda d: d * 1e160, {}, ValueError, "unit in which they are near 1"),
        (lambda d: d[0], {"scan_shape": 56}, ValueError, "scan_shape=56: give lines and positions"),
        (lambda d: d[0], {"scan_shape": (2, 4, 7)}, ValueError, "give lines and positions"),
        (lambda d: d[0], {"scan_shape": (7.5, 8)}, TypeError, r"scan_shape\[0\]=7.5 is a float"),
        (lambda d: d[0], {"scan_shape": (7, 7)}, ValueError, "holds 56 patterns"),
        (lambda d: np.where(np.arange(64) == 5, np.nan, d[:2]), {}, ValueError, r"first at \[0, 0, 0, 5\]"),
    ],
)
def test_bad_input_is_refused_with_a_reason(sample, patterns, options, error, message):
    with pytest.raises(error, match=message):
        emcore.segment_grains(patterns(np.asarray(sample.patterns.data)), **options)


# What becomes of a result


def test_a_result_is_read_back_as_it_was_and_goes_to_hyperspy(result, tmp_path):
    assert emcore.load_result(result.save(tmp_path / "a.h5")) == result
    pytest.importorskip("hyperspy.api")
    signals = result.to_hyperspy()
    assert signals["signals"].axes_manager.navigation_shape == (9,)
    assert signals["signals"].axes_manager[-1].units == "1/nm"


def test_the_report_shows_segments_grains_confidence_mergings_sizes_and_patterns(result, tmp_path):
    titles = [axes.get_title("left") for figure in pages(result) for axes in figure.axes]
    for title in (
        "Virtual image",
        "kept pixels",
        "before merging",
        "9 grains",
        "Confidence",
        "Mergings",
        "Grain sizes",
    ):
        assert any(title in shown for shown in titles), title
    assert sum(shown.startswith("Grain ") and "positions" in shown for shown in titles) == 9
    assert result.report(tmp_path / "a.pdf").stat().st_size > 10000
    assert len(result.plot().axes) > 12


@pytest.mark.parametrize("ending", ["hspy", "npy"])
def test_mean_patterns_are_exported_with_their_calibration(result, tmp_path, ending):
    path = result.export_patterns(tmp_path / f"a.{ending}")
    if ending == "npy":
        assert np.array_equal(np.load(path), result.signals.astype(np.float32))
        axes = json.loads((tmp_path / "a.json").read_text())["axes"]
        assert [axis["units"] for axis in axes] == ["", "1/nm", "1/nm"]
    else:
        hs = pytest.importorskip("hyperspy.api")
        stack = hs.load(path)
        assert np.array_equal(stack.data, result.signals.astype(np.float32))
        assert [axis.units for axis in stack.axes_manager.signal_axes] == ["1/nm", "1/nm"]
        assert stack.axes_manager[-1].scale == pytest.approx(result.mean.axes[1].scale)
    with pytest.raises(FileExistsError):
        result.export_patterns(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(
        {path.name} | ({"a.json"} if ending == "npy" else set())
    )
    with pytest.raises(ValueError, match=r"hspy or \.npy"):
        result.export_patterns(tmp_path / "a.tif")


def test_the_command_says_what_was_decided_and_writes_three_files(sample, tmp_path, capsys):
    np.save(tmp_path / "scan.npy", np.asarray(sample.patterns.data))
    words = [
        "grains",
        str(tmp_path / "scan.npy"),
        "--output",
        str(tmp_path / "out"),
        "--export",
        "npy",
        "--threads",
        "2",
    ]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "scan.npy: 9 grains" in said
    assert "a clear gap" in said
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"scan.grains.h5", "scan.grains.pdf", "scan_grains.npy", "scan_grains.json"}
    assert main(words) == 1
    assert "--force" in capsys.readouterr().err


def test_files_of_one_name_are_exported_under_names_of_their_own_and_inputs_stay(tmp_path, capsys):
    patterns = np.asarray(bent_polycrystal((8, 9), (32, 32), n_grains=2).patterns.data)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "scan.npy", patterns)
    made = ["grains", "--export", "npy", "--quiet", "--force", "--output", str(tmp_path)]
    assert main([*made, str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert {path.name for path in tmp_path.glob("*.npy")} == {"a_scan.npy_grains.npy", "b_scan.npy_grains.npy"}
    np.save(tmp_path / "scan.npy", patterns)
    np.save(tmp_path / "scan_grains.npy", patterns)
    assert main([*made, str(tmp_path / "scan.npy"), str(tmp_path / "scan_grains.npy")]) == 1
    assert "would replace the input" in capsys.readouterr().err
    assert np.load(tmp_path / "scan_grains.npy").shape == patterns.shape


def test_a_folder_with_results_in_it_is_analysed_again_with_the_same_names(tmp_path):
    np.save(tmp_path / "scan.npy", np.asarray(bent_polycrystal((8, 9), (32, 32), n_grains=2).patterns.data))
    words = ["grains", str(tmp_path), "--output", str(tmp_path), "--export", "npy", "--quiet", "--force"]
    assert main(words) == 0
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["scan.grains.h5", "scan.grains.pdf", "scan.npy", "scan_grains.json", "scan_grains.npy"]
    assert main(words) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == made


@pytest.mark.parametrize(
    "words",
    [
        ["--min-correlation", "3"],
        ["--bin-to", "0"],
        ["--grains", "3", "--min-correlation", "0.5"],
        ["--detector-pixels", "some"],
        ["--segments", "0"],
    ],
)
def test_a_wrong_command_is_refused(words, capsys):
    with pytest.raises(SystemExit) as error:
        main(["grains", "scan.npy", *words])
    assert error.value.code == 2


def test_kept_pixels_are_drawn_where_they_are_whichever_way_the_axes_run(sample):
    axes = (*sample.patterns.axes[:2], Axis("ky", 64, -0.1, 3.0, "1/nm"), Axis("kx", 64, -0.2, 1.0, "1/nm"))
    observed = emcore.segment_grains(Signal(sample.patterns.data, axes))
    drawn = next(a for figure in pages(observed) for a in figure.axes if "kept pixels over" in a.get_title("left"))
    mean, tint = drawn.images
    np.testing.assert_allclose(mean.get_extent(), tint.get_extent())
    assert np.array_equal(np.asarray(tint.get_array())[..., 3] > 0, observed.kept)


def test_a_scan_without_a_beam_says_that_nothing_was_masked():
    ramp = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8), (16, 16))
    data = np.stack([np.broadcast_to(each, (8, 16, 16)) for each in (ramp, ramp, ramp.T, ramp.T)], axis=1)
    observed = emcore.segment_grains(data)
    assert observed.beam_radius is None
    assert any("nothing was masked" in note for note in observed.provenance.notes)


def test_key_numbers_are_quantiles_of_the_diameters_and_the_part_that_is_sure(result):
    said = key_numbers(result)
    low, middle, high = (f"{q:.3g} nm" for q in np.quantile(result.diameter, (0.1, 0.5, 0.9)))
    assert said["grains"] == f"9, equivalent diameter {middle} (median; 10 % below {low}, 10 % above {high})"
    assert said["sure"].startswith(f"{100 * np.mean(result.confidence > 0):.1f} %")


def test_mean_patterns_are_drawn_alike_and_next_to_none_of_their_pixels_white(result):
    drawn = [a.images[0] for figure in pages(result) for a in figure.axes if "positions" in a.get_title("left")]
    (limits,) = {image.get_clim()[1] for image in drawn}
    outside = ~disc((64, 64), result.beam_center, result.beam_radius)
    assert np.mean(np.sqrt(result.signals[:, outside]) > limits) == pytest.approx(0.001, rel=0.1)


def test_diameters_are_in_positions_where_the_axes_of_the_scan_have_different_units(sample):
    axes = (Axis("y", 48, 2.0, 0.0, "nm"), Axis("x", 56, 3.0, 0.0, "s"), *sample.patterns.axes[2:])
    observed = emcore.segment_grains(Signal(sample.patterns.data, axes))
    assert observed.length_units == "px"
    np.testing.assert_allclose(np.pi / 4 * observed.diameter**2, observed.size)


def test_scans_run_backwards_have_areas_too(sample, result):
    axes = (Axis("y", 48, -4.0, 0.0, "nm"), Axis("x", 56, 4.0, 0.0, "nm"), *sample.patterns.axes[2:])
    np.testing.assert_allclose(emcore.segment_grains(Signal(sample.patterns.data, axes)).diameter, result.diameter)


def test_of_many_grains_the_twenty_largest_are_shown_and_all_listed(sample):
    observed = emcore.segment_grains(sample.patterns, 40, min_correlation=1.0)
    assert observed.n_grains > 20
    drawn = [axes for figure in pages(observed) for axes in figure.axes]
    assert (
        sum(axes.get_title("left").startswith("Grain ") and "sizes" not in axes.get_title("left") for axes in drawn)
        == 20
    )
    listed = [text.get_text() for axes in drawn for text in axes.texts]
    assert all(str(number) in listed for number in range(1, observed.n_grains + 1))


def test_notes_that_have_no_room_are_said_to_be_elsewhere(result):
    notes = tuple(f"note {number}" for number in range(30))
    observed = dataclasses.replace(result, provenance=dataclasses.replace(result.provenance, notes=notes))
    written = [text.get_text() for figure in pages(observed) for text in figure.texts]
    assert any("all notes stand on the last page" in text and text.count("\n") < 14 for text in written)


def test_axes_of_a_stack_start_where_those_of_a_pattern_do(tmp_path):
    axes = Axis("ky", 4, 0.1, -0.2, "1/nm"), Axis("kx", 5, 0.1, 3.0, "1/nm")
    write_stack(tmp_path / "a.npy", np.ones((3, 4, 5)), "grain", axes, "means")
    written = json.loads((tmp_path / "a.json").read_text())["axes"]
    assert [axis["offset"] for axis in written] == [0.0, -0.2, 3.0]


def test_nothing_is_exported_where_a_description_would_be_replaced(result, tmp_path):
    (tmp_path / "a.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"a\.json"):
        result.export_patterns(tmp_path / "a.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_one_grain_is_compared_with_none():
    data = np.random.default_rng(0).poisson(5.0, (6, 7, 16, 16)).astype(np.uint8)
    observed = emcore.segment_grains(data, mask_beam=False)
    titles = [axes.get_title("left") for figure in pages(observed) for axes in figure.axes]
    assert "Confidence: there is no other grain" in titles
    assert not any("Mergings" in title for title in titles)
    numbers = key_numbers(observed)
    assert "sure" not in numbers
    assert numbers["grains"] == "1, equivalent diameter 7.31 px"


# How it chooses, and real files


def test_grains_of_a_scan_simulated_by_others_are_recovered(data_folder):
    path = data_folder / "orientation_scan_32.npz"
    observed = emcore.segment_grains(path)
    assert adjusted_rand_index(np.load(path)["grain_id"], observed.labels) >= 0.97


@pytest.mark.parametrize("name", ["test1.blo", "merlin/001_4x2_6bit.mib", "ni_ebsd.h5"])
def test_small_real_scans_run(data_folder, tmp_path, name):
    observed = emcore.segment_grains(data_folder / name)
    observed.report(tmp_path / "a.pdf")
    assert emcore.load_result(observed.save(tmp_path / "a.h5")) == observed


def test_axes_without_units_are_pixels(sample):
    observed = emcore.segment_grains(
        Signal(sample.patterns.data, tuple(Axis(n, s) for n, s in zip("abcd", (48, 56, 64, 64), strict=True)))
    )
    assert observed.length_units == "px"
