"""Groups of a scan by the strength of its reflections: against truth, in memory, out of core, from files."""

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.datasets import adjusted_rand_index, bent_polycrystal, polycrystal_scan
from emcore.results.result import load_result
from emcore.workflows.reflections import cluster_reflections


@pytest.fixture(scope="module")
def sample():
    return polycrystal_scan(scan_shape=(24, 32), n_grains=4, seed=11)


@pytest.fixture(scope="module")
def result(sample):
    return cluster_reflections(sample.patterns)


def test_the_grains_are_found_and_their_patterns_are_the_means(sample, result):
    assert adjusted_rand_index(sample.labels, result.labels) > 0.97
    assert result.n_clusters == 4
    assert "a clear gap" in result.reason
    for cluster, signal in enumerate(result.signals):
        np.testing.assert_allclose(signal, sample.patterns[result.labels == cluster].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(result.deviation.data, sample.patterns.std(axis=(0, 1)), rtol=1e-6)
    assert (np.diff(result.area) <= 0).all()
    assert result.area.sum() == pytest.approx(1)
    assert result.kinds == ("crystal",) * 4


@pytest.mark.parametrize(("bend", "rule"), [(0.04, "gap"), (0.08, "borders")])
def test_bent_grains_are_not_cut_where_they_bend(bend, rule):
    bent = bent_polycrystal(scan_shape=(40, 44), pattern_shape=(64, 64), n_grains=6, bend=bend, seed=12)
    observed = cluster_reflections(bent.patterns)
    assert adjusted_rand_index(bent.labels, observed.labels) > 0.97
    assert observed.rule == rule
    assert ("not to be relied on" in observed.reason) == (rule == "borders")
    assert any("far from those around" in note for note in observed.provenance.notes)


def test_every_reflection_is_where_a_grain_has_a_spot(sample, result):
    places = np.rint(result.reflections).astype(int)
    away = np.hypot(*(result.reflections - sample.beam_center).T)
    assert (away > result.beam_radius).all()
    strongest = result.strength.argmax(axis=0)
    for (y, x), cluster in zip(places, strongest, strict=True):
        around = result.signals[:, y - 1 : y + 2, x - 1 : x + 2].mean(axis=(1, 2))
        assert around[cluster] > 0.8 * around.max()


def test_kmeans_finds_what_is_alike_wherever_it_is(sample):
    halves = np.concatenate([sample.patterns, sample.patterns[:, ::-1]])
    truth = np.concatenate([sample.labels, sample.labels[:, ::-1]])
    observed = cluster_reflections(halves, method="kmeans")
    assert adjusted_rand_index(truth, observed.labels) > 0.97
    assert observed.heights is None


@pytest.mark.parametrize("scaling", ["noise", "mean"])
def test_as_many_clusters_as_are_asked_for_each_of_one_piece(sample, scaling):
    from scipy import ndimage

    observed = cluster_reflections(sample.patterns, 7, scaling=scaling)
    assert (observed.n_clusters, observed.rule) == (7, "given")
    assert [ndimage.label(observed.labels == cluster)[1] for cluster in range(7)] == [1] * 7


def test_vacuum_is_a_cluster_of_its_own_and_named(sample):
    patterns = sample.patterns.copy()
    rng = np.random.default_rng(0)
    beam = np.hypot(*(np.indices((64, 64)) - np.reshape(sample.beam_center, (2, 1, 1)))) < sample.beam_radius
    patterns[:8] = rng.poisson(300.0 * beam + 0.01, (8, 32, 64, 64))
    observed = cluster_reflections(patterns)
    empty = observed.labels[0, 0]
    assert observed.kinds[empty] == "vacuum"
    assert (observed.labels == empty)[:8].all()
    assert not (observed.labels == empty)[8:].any()


def test_positions_without_a_measurement_take_no_part_and_are_counted(sample, result):
    patterns = sample.patterns.astype(np.float32)
    patterns[0, :3], patterns[5, 5, 2, 2], patterns[23, 31] = 0, np.nan, 7
    observed = cluster_reflections(patterns)
    gone = np.zeros((24, 32), dtype=bool)
    gone[0, :3] = gone[5, 5] = gone[23, 31] = True
    np.testing.assert_array_equal(observed.labels == -1, gone)
    assert observed.n_empty == 5
    assert adjusted_rand_index(result.labels[~gone], observed.labels[~gone]) > 0.97
    assert np.isfinite(observed.signals).all()
    assert np.isfinite(observed.image.data).all()


def test_a_scan_of_noise_is_one_cluster_and_says_why():
    noise = np.random.default_rng(0).poisson(50.0, (12, 16, 32, 32)).astype(np.uint16)
    observed = cluster_reflections(noise)
    assert observed.n_clusters == 1
    assert observed.strength.shape == (1, 0)
    assert "reflection" in observed.reason
    with pytest.raises(ValueError, match="nothing tells 3 clusters apart"):
        cluster_reflections(noise, 3)


def test_patterns_in_one_series_are_a_line(sample):
    observed = cluster_reflections(sample.patterns[10])
    assert observed.labels.shape == (32,)
    assert adjusted_rand_index(sample.labels[10], observed.labels) > 0.9
    again = cluster_reflections(sample.patterns.reshape(-1, 64, 64), scan_shape=(24, 32))
    assert adjusted_rand_index(sample.labels, again.labels) > 0.97


def test_what_is_left_in_a_file_gives_the_same_in_three_passes(sample, result, tmp_path, passes):
    np.save(tmp_path / "scan.npy", sample.patterns)
    observed = cluster_reflections(np.load(tmp_path / "scan.npy", mmap_mode="r"), memory="8 MiB")
    assert len(passes) == 3
    assert any("read 3 times" in note for note in observed.provenance.notes)
    np.testing.assert_array_equal(observed.labels, result.labels)
    np.testing.assert_array_equal(observed.reflections, result.reflections)
    np.testing.assert_allclose(observed.signals, result.signals, rtol=1e-9)
    with pytest.raises(ValueError, match="smallest possible"):
        cluster_reflections(np.load(tmp_path / "scan.npy", mmap_mode="r"), memory="8 kB")


def test_little_memory_leaves_less_prominent_reflections_out(sample, result, tmp_path):
    np.save(tmp_path / "scan.npy", np.tile(sample.patterns, (8, 1, 1, 1)))
    observed = cluster_reflections(np.load(tmp_path / "scan.npy", mmap_mode="r"), memory="2.3 MiB")
    assert len(observed.reflections) < len(result.reflections)
    assert any("others, less prominent, were left out" in note for note in observed.provenance.notes)


@pytest.mark.parametrize("kind", ["hdf5", "zarr", "dask"])
def test_stored_and_lazy_arrays_give_the_same(sample, result, tmp_path, kind):
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            file.create_dataset("data", data=sample.patterns, chunks=(4, 8, 64, 64))
        data = h5py.File(tmp_path / "scan.h5")["data"]
    elif kind == "zarr":
        zarr = pytest.importorskip("zarr")
        data = zarr.create_array(tmp_path / "scan.zarr", data=sample.patterns, chunks=(4, 8, 64, 64))
    else:
        data = pytest.importorskip("dask.array").from_array(sample.patterns, chunks=(10, 12, 64, 64))
    observed = cluster_reflections(data, memory="9 MiB")
    np.testing.assert_array_equal(observed.labels, result.labels)
    np.testing.assert_allclose(observed.strength, result.strength, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("killed_in", [1, 2, 3])
def test_a_job_that_was_killed_goes_on_to_the_same_bits(sample, tmp_path, killing, same, killed_in):
    np.save(tmp_path / "scan.npy", sample.patterns)
    mapped = np.load(tmp_path / "scan.npy", mmap_mode="r")
    whole = cluster_reflections(mapped, memory="8 MiB")
    made = killing(killed_in)
    with pytest.raises(KeyboardInterrupt):
        cluster_reflections(mapped, memory="8 MiB", checkpoint=tmp_path / "job.npz")
    again = cluster_reflections(mapped, memory="8 MiB", checkpoint=tmp_path / "job.npz")
    assert len(made) == 4  # the pass that was killed, twice
    assert same(again, whole)
    with pytest.raises(ValueError, match="another job: scaling"):
        cluster_reflections(mapped, memory="8 MiB", scaling="mean", checkpoint=tmp_path / "job.npz")


def test_a_job_goes_on_in_the_middle_of_a_pass(sample, tmp_path, monkeypatch, same):
    from emcore.outofcore import engine

    np.save(tmp_path / "scan.npy", sample.patterns)
    mapped, visit, made = np.load(tmp_path / "scan.npy", mmap_mode="r"), engine._visit, []
    whole = cluster_reflections(mapped, memory="4 MiB")

    def killed(*args):
        made.append(args[3])
        if len(made) == 12:
            raise KeyboardInterrupt
        return visit(*args)

    monkeypatch.setattr(engine, "SAVED", 0.0)
    monkeypatch.setattr(engine, "_visit", killed)
    with pytest.raises(KeyboardInterrupt):
        cluster_reflections(mapped, memory="4 MiB", checkpoint=tmp_path / "job.npz")
    assert same(cluster_reflections(mapped, memory="4 MiB", checkpoint=tmp_path / "job.npz"), whole)
    assert made[12] == made[11] > 0


def test_a_result_is_read_back_and_is_the_same_on_any_number_of_threads(sample, result, tmp_path, same):
    assert load_result(result.save(tmp_path / "reflections.h5")) == result
    for threads in (1, 3):
        with emcore.num_threads(threads):
            assert same(cluster_reflections(sample.patterns), result)


def test_the_page_circles_every_reflection_in_the_colour_of_its_cluster(result):
    from emcore.reporting.plotting import component_color

    figure = result.plot()
    circles = [each for axes in figure.axes for each in axes.collections if each.get_gid() == "reflections"]
    assert len(circles[0].get_offsets()) == len(result.reflections)
    assert sum(len(each.get_offsets()) for each in circles) == 2 * len(result.reflections)
    first = component_color(int(result.strength[:, 0].argmax()))
    np.testing.assert_allclose(circles[0].get_edgecolor()[0][:3], first[:3], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_clusters": 1}, "groups nothing"),
        ({"n_clusters": 5000}, "n_clusters=5000"),
        ({"n_clusters": "many"}, "n_clusters='many'"),
        ({"method": "single"}, "method='single'"),
        ({"scaling": "sd"}, "scaling='sd'"),
        ({"n_reflections": 0}, "n_reflections=0"),
        ({"disc_radius": 0}, "disc_radius=0 must be above 0"),
        ({"max_radius": 2}, "within the mask over the beam"),
        ({"beam_radius": 90}, "leaves none of the 4096 pixels"),
        ({"mask_beam": False, "beam_radius": 3}, "leave one out"),
        ({"scan_shape": (5, 5)}, "does not fit"),
        ({"dataset": 1}, "names a data set"),
        ({"memory": "little"}, "memory='little'"),
    ],
)
def test_what_makes_no_sense_is_refused(sample, options, message):
    with pytest.raises(ValueError, match=message):
        cluster_reflections(sample.patterns, **options)


def test_what_is_no_scan_of_patterns_is_refused(sample):
    with pytest.raises(ValueError, match="contains NaN or infinity at every position"):
        cluster_reflections(np.full((3, 4, 8, 8), np.nan))
    with pytest.raises(ValueError, match="3 axes of positions"):
        cluster_reflections(np.zeros((2, 3, 4, 8, 8)) + np.arange(8))
    with pytest.raises(ValueError, match="12 of 12 positions are empty"):
        cluster_reflections(np.zeros((3, 4, 8, 8)))
    with pytest.raises(TypeError):
        cluster_reflections(np.zeros((3, 4, 8, 8), dtype=complex))


def test_the_verb_groups_a_file(sample, tmp_path, capsys):
    np.save(tmp_path / "scan.npy", sample.patterns)
    assert main(["reflections", str(tmp_path / "scan.npy"), "--output", str(tmp_path), "--max-radius", "30"]) == 0
    assert "4 clusters" in capsys.readouterr().out
    assert adjusted_rand_index(sample.labels, load_result(tmp_path / "scan.reflections.h5").labels) > 0.97
    assert (tmp_path / "scan.reflections.pdf").stat().st_size > 10_000


def test_grains_of_a_scan_simulated_by_others_are_found(data_folder):
    with np.load(data_folder / "orientation_scan_32.npz") as scan:
        observed = cluster_reflections(scan["data"])
        assert adjusted_rand_index(scan["grain_id"], observed.labels) > 0.9


def test_mean_patterns_of_more_clusters_than_memory_holds_take_several_passes(sample, tmp_path):
    np.save(tmp_path / "scan.npy", sample.patterns)
    observed = cluster_reflections(np.load(tmp_path / "scan.npy", mmap_mode="r"), 40, memory="5 MiB")
    assert not any("read 3 times" in note for note in observed.provenance.notes)
    for cluster, signal in enumerate(observed.signals):
        np.testing.assert_allclose(signal, sample.patterns[observed.labels == cluster].mean(axis=0), rtol=1e-6)
