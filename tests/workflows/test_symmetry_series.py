"""Regions followed through the frames of a series."""

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis, Signal
from emcore.datasets import adjusted_rand_index, far_from_borders, moving_boundary
from emcore.scans.frames import frames_of

# As small as the patches allow.
SETTINGS = {"window": 10, "patch": 9, "stride": 4}


@pytest.fixture(scope="module")
def sample():
    return moving_boundary(6, (110, 170), period=8.0, seed=11)


@pytest.fixture(scope="module")
def result(sample):
    return emcore.local_symmetry_series(sample.frames, **SETTINGS)


def test_every_frame_of_a_series_is_labelled_as_the_first_is():
    sample = moving_boundary(40, (110, 170), period=8.0, seed=12)
    result = emcore.local_symmetry_series(sample.frames, **SETTINGS)
    assert result.n_regions == 2
    first = int(np.bincount(result.regions(0)[sample.labels[0] == 0]).argmax())
    for i in range(40):
        far = far_from_borders(sample.labels[i], 8)
        regions = result.regions(i)
        assert adjusted_rand_index(sample.labels[i][far], regions[far]) >= 0.9, i
        assert np.mean((regions == first)[far] == (sample.labels[i] == 0)[far]) > 0.97, i
    assert np.allclose(result.share[:, first], (sample.labels == 0).mean(axis=(1, 2)), atol=0.12)


def test_every_field_has_the_shape_and_type_that_is_promised(sample, result):
    (t, ny, nx), k = (6, len(result.y), len(result.x)), 2
    expected = {
        "labels": ((t, ny, nx), np.int16),
        "confidence": ((t, ny, nx), np.float32),
        "frame": ((t,), np.float64),
        "share": ((t, k), np.float64),
        "scores": ((k, 80), np.float64),
        "centers": ((t, k, 5), np.float64),
        "shown_frames": ((6,), np.int64),
    }
    for name, (shape, dtype) in expected.items():
        array = getattr(result, name)
        assert (array.shape, array.dtype) == (shape, dtype), name
        assert np.isfinite(array).all(), name
    assert np.allclose(result.share.sum(axis=1), 1)
    assert result.regions(3).shape == sample.frames[0].shape
    assert np.array_equal(result.shown.data, sample.frames)
    with pytest.raises(ValueError, match="frame=6"):
        result.regions(6)


def test_the_reference_may_be_any_frame_and_labels_are_followed_both_ways(sample, result):
    other = emcore.local_symmetry_series(sample.frames, reference=3, **SETTINGS)
    agree = np.mean(other.labels == result.labels)
    assert max(agree, 1 - agree) > 0.97
    assert other.reference == 3
    assert np.array_equal(other.image.data, sample.frames[3])


def test_a_stack_out_of_core_and_pictures_in_a_folder_give_the_same(sample, result, tmp_path, same):
    da = pytest.importorskip("dask.array")
    lazy = emcore.local_symmetry_series(da.from_array(sample.frames, chunks=(1, 60, 60)), **SETTINGS)
    assert same(lazy, result, but=("provenance", "image", "shown"))
    np.save(tmp_path / "stack.npy", sample.frames)
    from_file = emcore.local_symmetry_series(tmp_path / "stack.npy", **SETTINGS)
    assert same(from_file, result, but=("provenance", "image", "shown"))
    (tmp_path / "frames").mkdir()
    for i, image in enumerate(sample.frames):
        np.save(tmp_path / "frames" / f"frame_{3 * i + 5}.npy", image)  # 5, 8, 11, ...: by number, not by letter
    (tmp_path / "frames" / "notes.txt").write_text("no picture")
    folder = emcore.local_symmetry_series(tmp_path / "frames", **SETTINGS)
    assert same(folder, result, but=("provenance", "image", "shown"))
    listed = emcore.local_symmetry_series(list(sample.frames), **SETTINGS)
    assert same(listed, result, but=("provenance", "image", "shown"))
    assert lazy.provenance.input_sha256 == folder.provenance.input_sha256


def test_of_a_stack_out_of_core_one_frame_at_a_time_is_read(sample):
    da, dask = pytest.importorskip("dask.array"), pytest.importorskip("dask")
    read = []

    def load(i):
        read.append(i)
        return sample.frames[i]

    stack = da.stack([da.from_delayed(dask.delayed(load)(i), (110, 170), np.float32) for i in range(4)])
    series = frames_of(stack)
    assert read == []
    assert np.array_equal(series.picture(2, False, 16).pixels, sample.frames[2])
    assert read == [2]
    read.clear()
    emcore.local_symmetry_series(stack, n_regions=2, **SETTINGS)
    assert read == [0, 0, 1, 2, 3]  # the first for the regions, then all


def test_a_frame_without_a_measurement_has_no_labels_and_is_counted(sample, result):
    frames = np.insert(sample.frames, 3, 0, axis=0)
    other = emcore.local_symmetry_series(frames, **SETTINGS)
    assert (other.labels[3] == -1).all()
    assert np.isnan(other.share[3]).all()
    assert other.n_empty == 1
    assert any("1 frame without a measurement, their labels are -1: 3" in note for note in other.provenance.notes)
    assert np.array_equal(np.delete(other.labels, 3, axis=0), result.labels)


def test_lines_that_a_frame_lacks_have_no_label_there(sample, result):
    frames = sample.frames.copy()
    frames[2, :20] = np.nan
    other = emcore.local_symmetry_series(frames, **SETTINGS)
    blank = result.y < 20
    assert (other.labels[2, blank] == -1).all()
    assert (other.labels[2, ~blank] >= 0).all()
    assert np.mean(other.labels[2, ~blank] == result.labels[2, ~blank]) > 0.97


def test_time_comes_from_the_stack_and_a_table_has_all_areas(sample, tmp_path):
    axes = (Axis("time", 3, 0.5, 1.0, "s", navigation=True), Axis("y", 110, 0.1, units="nm"))
    signal = Signal(sample.frames[:3], (*axes, Axis("x", 170, 0.1, units="nm")))
    result = emcore.local_symmetry_series(signal, **SETTINGS)
    assert (result.frame.tolist(), result.frame_units) == ([1.0, 1.5, 2.0], "s")
    assert np.allclose(np.diff(result.y), 0.4)
    head, *lines = result.write_table(tmp_path / "a.csv").read_text().splitlines()
    assert head == "frame,time (s),region 1,region 2"
    table = np.array([line.split(",") for line in lines], dtype=float)
    assert np.allclose(table, np.c_[np.arange(3), result.frame, result.share], atol=1e-6)
    with pytest.raises(FileExistsError):
        result.write_table(tmp_path / "a.csv")


def test_progress_counts_frames_and_an_error_in_it_ends_the_work(sample):
    told = []
    with emcore.progress(lambda *each: told.append(each)):
        emcore.local_symmetry_series(sample.frames[:3], n_regions=2, **SETTINGS)
    assert told[-3:] == [(1, 3), (2, 3), (3, 3)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), emcore.progress(stop):
        emcore.local_symmetry_series(sample.frames[:3], n_regions=2, **SETTINGS)


def test_results_are_the_same_on_one_and_two_threads(sample, same):
    one, two = [], []
    for threads, into in ((1, one), (2, two)):
        with emcore.num_threads(threads):
            into.append(emcore.local_symmetry_series(sample.frames[:2], n_regions=2, **SETTINGS))
    assert same(one[0], two[0])


FRAME = np.random.default_rng(0).random((80, 90))


@pytest.mark.parametrize(
    ("frames", "options", "error", "message"),
    [
        (FRAME, {}, ValueError, "one picture"),
        ([], {}, ValueError, "empty list"),
        ([FRAME, FRAME[:-1]], {}, ValueError, r"frame 1 is 79 x 90 px, frame 0 80 x 90 px"),
        ([FRAME, FRAME + 1j], {}, TypeError, "frame 1 .*complex"),
        ([FRAME, np.where(FRAME[40, 40] == FRAME, np.nan, FRAME)], {}, ValueError, r"frame 1 .*40, 40"),
        ([FRAME, FRAME], {"reference": 2}, ValueError, "reference=2 .*2 frames"),
        ([FRAME, FRAME], {"patch": 60}, ValueError, "frame 0: patch"),
        ([0 * FRAME, FRAME], {}, ValueError, "frame 0: image is constant"),
        ([FRAME, FRAME], {"score": "shift"}, ValueError, "score"),
        (np.zeros((2, 3, 30, 40)), {}, ValueError, "2 axis of frames|2 axes of frames"),
    ],
)
def test_bad_series_are_refused_with_a_reason(frames, options, error, message):
    with pytest.raises(error, match=message):
        emcore.local_symmetry_series(frames, **{"window": 5, "patch": 6, "n_regions": 2, **options})


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no pictures"):
        emcore.local_symmetry_series(tmp_path)
