"""The virtual detector that separates two groups best: what was planted, held out, refused; real files."""

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.datasets import adjusted_rand_index, polycrystal_scan, ring_phases
from emcore.detectors import virtual_images
from emcore.workflows.detector import best_detector


@pytest.fixture(scope="module")
def sample():
    return ring_phases((24, 32), seed=11)


@pytest.fixture(scope="module")
def result(sample):
    return best_detector(sample.patterns, sample.labels, "free", center=sample.beam_center)


def index(result, name="best annulus"):
    return result.names.index(name)


def test_the_best_annulus_is_the_planted_ring_and_beats_bright_and_dark_field(sample, result):
    best = index(result)
    assert (result.inner[best], result.outer[best]) == sample.ring
    for standard in ("bright field", "annular bright field", "annular dark field", "high-angle annular dark field"):
        assert result.contrast[best] > 2 * result.contrast[index(result, standard)]
        assert result.cnr[best] > result.cnr[index(result, standard)]
    assert result.beam_radius == pytest.approx(sample.beam_radius, abs=0.3)


def test_the_measured_centre_gives_the_ring_to_a_pixel(sample):
    found = best_detector(sample.patterns, sample.labels)
    best = index(found)
    assert found.best == best
    assert found.beam_center == pytest.approx(sample.beam_center, abs=0.2)
    assert (found.inner[best], found.outer[best]) == pytest.approx(sample.ring, abs=1)


def test_the_images_are_those_of_virtual_images_with_the_masks(sample, result):
    expected = virtual_images(sample.patterns, result.masks)
    annuli = [i for i, name in enumerate(result.names) if name != "free mask"]
    assert np.array_equal(result.images[annuli], expected[annuli])
    np.testing.assert_allclose(result.images, expected, rtol=1e-5, atol=1e-3)
    assert np.array_equal(result.mask, result.masks[result.best])


def test_contrasts_are_of_positions_on_which_nothing_was_chosen(result):
    assert 0.4 < result.held_out.mean() < 0.6
    for i in range(len(result.names)):
        a, b = (result.images[i][result.held_out & (result.labels == group)] for group in (0, 1))
        assert result.cnr[i] == pytest.approx(abs(a.mean() - b.mean()) / np.sqrt(a.var(ddof=1) + b.var(ddof=1)))
        assert result.means[i] == pytest.approx([a.mean(), b.mean()])
        if result.names[i] != "free mask":
            assert result.contrast[i] == pytest.approx(abs(a.mean() - b.mean()) / (a.mean() + b.mean()))


def test_labels_of_noise_show_no_contrast_where_it_is_held_out(sample):
    labels = np.random.default_rng(0).integers(0, 2, sample.labels.shape)
    found = best_detector(sample.patterns, labels, "free")
    assert found.chosen_cnr[found.best] > 2 * found.cnr[found.best]
    assert found.cnr.max() < 0.3


def test_at_low_dose_contrast_alone_would_choose_a_ring_without_electrons():
    sample = ring_phases((24, 32), counts=4000.0, seed=12)
    for score in ("fisher", "contrast"):
        found = best_detector(sample.patterns, sample.labels, score=score, center=sample.beam_center)
        inner, outer = np.unravel_index(found.contrast_map.argmax(), found.contrast_map.shape)
        assert found.contrast_map[inner, outer] == 1
        assert found.edges[inner] > 28
        assert sample.ring[0] - 1 <= found.inner[found.best] < found.outer[found.best] <= sample.ring[1] + 1


def test_a_free_mask_is_no_worse_than_the_annulus_and_far_better_of_spots(result):
    assert result.cnr[index(result, "free mask")] > 0.98 * result.cnr[index(result)]
    scan = polycrystal_scan((24, 32), n_grains=2, counts=800, seed=11)
    found = best_detector(scan.patterns, scan.labels, "free")
    assert found.cnr[found.best] > 2 * found.cnr[index(found)]


def test_groups_are_found_where_none_are_given(sample):
    found = best_detector(sample.patterns)
    assert adjusted_rand_index(found.labels, sample.labels) > 0.95
    assert (found.inner[found.best], found.outer[found.best]) == pytest.approx(sample.ring, abs=1)
    assert any("groups were found" in note for note in found.provenance.notes)


def test_two_clusters_of_noise_have_no_contrast():
    patterns = np.random.default_rng(3).poisson(2.0, (24, 32, 16, 16)).astype(np.uint8)
    found = best_detector(patterns, kind="free")
    assert found.chosen_cnr[found.best] > 1
    assert found.cnr[found.best] < 0.3


def test_masks_results_and_files_say_the_same_groups(sample, result, tmp_path):
    pytest.importorskip("h5py")
    first, second = sample.labels == 0, sample.labels == 1
    np.save(tmp_path / "labels.npy", sample.labels)
    clusters = emcore.cluster_diffraction(sample.patterns, 2)
    saved = clusters.save(tmp_path / "clusters.h5")
    for groups in ((first, second), first, tmp_path / "labels.npy", sample.labels.astype(float)):
        found = best_detector(sample.patterns, groups, center=sample.beam_center)
        assert np.array_equal(found.labels, sample.labels)
        assert found.cnr[found.best] == result.cnr[index(result)]
    of_result, of_file = (best_detector(sample.patterns, each) for each in (clusters, str(saved)))
    assert of_result.group_names == ("cluster 1", "cluster 2")
    assert np.array_equal(of_result.images, of_file.images)
    assert any("those of a clustering" in note for note in of_file.provenance.notes)


def test_of_more_groups_a_pair_or_one_against_the_rest_is_compared(sample):
    labels = sample.labels.copy()
    labels[:, :4] = 2
    labels[0, 0] = -1
    two = best_detector(sample.patterns, labels, pair=(1, 2))
    assert np.array_equal(two.labels == 0, labels == 1)
    assert np.array_equal(two.labels == 1, labels == 2)
    rest = best_detector(sample.patterns, labels, pair=2)
    assert np.array_equal(rest.labels == 1, (labels == 0) | (labels == 1))
    assert rest.group_names == ("label 2", "the rest")
    with pytest.raises(ValueError, match=r"3 groups, 0: \d+ positions.*pair= says which two"):
        best_detector(sample.patterns, labels)
    with pytest.raises(ValueError, match="7 is not among the groups"):
        best_detector(sample.patterns, labels, pair=(0, 7))


def test_positions_without_a_measurement_take_no_part(sample, result):
    data = np.array(sample.patterns.data).astype(np.float32)
    data[0, :3], data[1, 0], data[2, 0, 5, 5] = 0, 4.0, np.nan
    found = best_detector(data, sample.labels, "free", center=sample.beam_center)
    assert found.n_empty == 5
    assert (found.labels[~found.measured] == -1).all()
    assert not found.images[:, ~found.measured].any()
    assert all(np.isfinite(each).all() for each in (found.images, found.cnr, found.mask, found.mean.data))
    assert found.cnr[index(found)] == pytest.approx(result.cnr[index(result)], rel=0.15)


def test_dead_lines_and_hot_pixels_are_in_no_detector(sample):
    data = np.array(sample.patterns.data)
    data[..., 20, :] = 0
    data[..., 40, 45] = 5000
    found = best_detector(data, sample.labels, "free", center=sample.beam_center)
    assert not found.masks[:, 20].any()
    assert not found.masks[:, 40, 45].any()
    assert (found.inner[index(found)], found.outer[index(found)]) == pytest.approx(sample.ring, abs=1)


@pytest.mark.parametrize("kind", ["annulus", "free"])
def test_what_is_left_in_a_file_gives_the_same(sample, result, tmp_path, kind):
    np.save(tmp_path / "scan.npy", np.tile(np.asarray(sample.patterns.data), (4, 1, 1, 1)))
    labels = np.tile(sample.labels, (4, 1))
    mapped = np.load(tmp_path / "scan.npy", mmap_mode="r")
    options = {"kind": kind, "center": sample.beam_center}
    here = best_detector(np.asarray(mapped), labels, **options)
    observed = best_detector(mapped, labels, memory="20 MB", **options)
    passes = 3 if kind == "free" else 2
    assert any(f"out of core, read {passes} times" in note for note in observed.provenance.notes)
    assert np.array_equal(observed.images[index(here)], here.images[index(here)])
    assert np.array_equal(observed.cnr_map, here.cnr_map)
    np.testing.assert_allclose(observed.images, virtual_images(mapped, observed.masks), rtol=1e-4, atol=1e-3)
    again = best_detector(mapped, labels, memory="20 MB", checkpoint=tmp_path / "job.npz", **options)
    resumed = best_detector(mapped, labels, memory="20 MB", checkpoint=tmp_path / "job.npz", **options)
    assert np.array_equal(again.images, observed.images)
    assert np.array_equal(resumed.images, observed.images)


@pytest.mark.usefixtures("nothing_is_loaded")
def test_hdf5_and_dask_give_the_same(sample, tmp_path):
    h5py, da = pytest.importorskip("h5py"), pytest.importorskip("dask.array")
    data = np.asarray(sample.patterns.data)
    here = best_detector(data)
    observed = best_detector(da.from_array(data, chunks=(7, 32, 64, 64)))
    assert np.array_equal(observed.images, here.images)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=(4, 8, 64, 64), compression="gzip")
        stored = best_detector(file["data"], memory="10 MB")
    assert np.array_equal(stored.labels, here.labels)


def test_a_result_is_read_back_drawn_and_the_same_on_any_number_of_threads(sample, result, tmp_path, same):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    assert emcore.load_result(result.save(tmp_path / "a.h5")) == result
    titles = [axes.get_title("left") for axes in result.plot().axes]
    assert "Mean pattern, best annulus" in titles
    assert "Free mask, weights" in titles
    assert result.report(tmp_path / "a.pdf").stat().st_size > 10_000
    for threads in (1, 3):
        with emcore.num_threads(threads):
            assert same(best_detector(sample.patterns, sample.labels, "free", center=sample.beam_center), result)


@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        (np.zeros((24, 32), int), {}, "has 1 group of positions"),
        (np.zeros((5, 5), int), {}, r"groups has shape \(5, 5\)"),
        ((np.ones((24, 32), bool), np.ones((24, 32), bool)), {}, "768 positions in common"),
        ((np.ones((24, 32), bool), np.zeros((24, 32), bool)), {}, "empty mask"),
        (
            np.eye(24, 32, dtype=int) * 0 + (np.arange(768).reshape(24, 32) == 5),
            {},
            "'label 1' has 1 measured position",
        ),
        (None, {"pair": 1}, "pair=1 chooses among groups"),
        (None, {"kind": "disk"}, "kind='disk' is not known"),
        (None, {"score": "snr"}, "score='snr' is not known"),
        (None, {"center": 3.0}, "center=3.0"),
        (None, {"center": (np.nan, 3.0)}, "center"),
        (None, {"beam_radius": 0.0}, "beam_radius"),
    ],
)
def test_what_makes_no_sense_is_refused(sample, groups, options, message):
    with pytest.raises(ValueError, match=message):
        best_detector(sample.patterns, groups, **options)


def test_labels_that_are_not_whole_are_refused(sample):
    with pytest.raises(TypeError, match="no whole numbers"):
        best_detector(sample.patterns, np.full((24, 32), 0.5))


def test_patterns_that_are_all_the_same_have_no_groups():
    with pytest.raises(ValueError, match="all patterns are the same"):
        best_detector(np.broadcast_to(np.arange(256).reshape(16, 16), (4, 5, 16, 16)))


def test_the_verb_writes_report_and_results(sample, tmp_path, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    np.save(tmp_path / "scan.npy", np.asarray(sample.patterns.data))
    np.save(tmp_path / "labels.npy", sample.labels)
    words = ["detector", str(tmp_path / "scan.npy"), "--groups", str(tmp_path / "labels.npy"), "--kind", "free"]
    assert main([*words, "--output", str(tmp_path / "out"), "--center", "31.8,32.3"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"scan.detector.pdf", "scan.detector.h5"}
    assert "best annulus" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["detector", str(tmp_path / "scan.npy"), "--pair", "0,1"])


def test_real_scans_run_through(data_folder):
    with np.load(data_folder / "orientation_scan_32.npz") as file:
        names = list(file)
    found = best_detector(data_folder / "orientation_scan_32.npz", kind="free")
    assert found.cnr[found.best] > 1, names
    assert best_detector(data_folder / "merlin" / "001_4x2_6bit.mib").images.shape[1:] == (2, 4)
    few = best_detector(data_folder / "test1.blo", np.array([[0, 0], [0, 1], [1, 1]]))
    assert any("too few positions to hold any out" in note for note in few.provenance.notes)
