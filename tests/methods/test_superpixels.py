"""SLIC, merging and mean signals: what must hold of them, against plain definitions and scikit-image."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import emcore
from emcore.datasets import adjusted_rand_index
from emcore.methods.superpixels.seeds import grid_seeds


def scene(shape=(90, 110), channels=3, noise=0.15, seed=0):
    """Discs and bands of different signals under noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = (np.hypot(y - 30, x - 40) < 22).astype(int) + 2 * (y + 0.5 * x > 90) + (np.hypot(y - 60, x - 80) < 15)
    signals = rng.random((labels.max() + 1, channels))
    return signals[labels] + noise * rng.standard_normal((*shape, channels)), labels


def components(labels):
    from scipy import ndimage

    return [ndimage.label(labels == label)[1] for label in np.unique(labels[labels >= 0])]


# The iteration


@pytest.mark.parametrize(
    ("shape", "channels", "n_segments"),
    [((90, 110), 1, 60), ((90, 110), 3, 100), ((64, 192), 5, 48), ((1, 300), 2, 12)],
)
@pytest.mark.parametrize("compactness", [0.05, 0.3, 2.0])
def test_labels_are_those_of_scikit_image_when_set_to_its_definitions(shape, channels, n_segments, compactness):
    peer = pytest.importorskip("skimage.segmentation")
    image, _ = scene(shape, channels)
    options = {"enforce_connectivity": False, "convert2lab": False, "start_label": 0, "channel_axis": -1}
    theirs = peer.slic(image, n_segments, compactness=compactness, max_num_iter=10, **options)
    # It scales values to 0..1 and adds up the channels; what is theirs beside one standard deviation of each?
    spread = np.sqrt(image.var(axis=(0, 1)).sum()) / np.ptp(image)
    ours = emcore.slic(image, n_segments, compactness=compactness / spread, n_iter=10, connectivity=False)
    assert (ours == theirs).mean() >= 0.99


def test_a_boundless_compactness_gives_the_voronoi_cells_of_the_seeds():
    image, _ = scene()
    seeds = np.array([[10, 10], [15, 90], [70, 20], [80.5, 99], [45, 50]])
    labels = emcore.slic(image, seeds=seeds, compactness=1e6, n_iter=1, connectivity=False)
    square = ((np.mgrid[:90, :110][..., None] - seeds.T[:, None, None]) ** 2).sum(axis=0)
    assert np.array_equal(np.take_along_axis(square, labels[..., None], 2)[..., 0], square.min(axis=2))


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "f4", "f8"])
def test_a_piecewise_constant_image_is_recovered_from_every_pixel_type(dtype):
    quarters = np.kron(np.array([[0, 40], [90, 120]]), np.ones((20, 20)))[..., None].astype(dtype)
    labels = emcore.slic(quarters, 4)
    assert adjusted_rand_index(labels, quarters) == 1
    finer = emcore.slic(quarters, 25)
    assert all(len(np.unique(quarters[finer == label])) == 1 for label in range(finer.max() + 1))


def test_exact_quadrants_are_found_in_colour_and_in_grey():
    rng = np.random.default_rng(0)
    image = np.zeros((20, 21, 3))
    image[:10, :10, 0] = image[10:, :10, 1] = image[10:, 10:, 2] = 1
    labels = emcore.slic(np.clip(image + 0.01 * rng.normal(size=image.shape), 0, 1), 4, compactness=0.3)
    true = 2 * (np.arange(20) >= 10)[:, None] + (np.arange(21) >= 10)
    assert adjusted_rand_index(labels, true) == 1
    assert adjusted_rand_index(emcore.slic(true.astype(np.uint8), 4), true) == 1


def test_labels_do_not_depend_on_unit_offset_or_repeated_channels():
    image = np.round(scene()[0] * 1000).astype(np.int32)
    labels = emcore.slic(image, 50)
    assert np.array_equal(emcore.slic(4 * image + 7000, 50), labels)
    assert np.array_equal(emcore.slic(np.repeat(image, 4, axis=2), 50), labels)


def test_more_axes_of_channels_and_other_strides_change_nothing():
    image, _ = scene(channels=12)
    labels = emcore.slic(image, 50)
    assert np.array_equal(emcore.slic(image.reshape(90, 110, 3, 4), 50), labels)
    stack = np.ascontiguousarray(np.moveaxis(image, -1, 0))
    assert np.array_equal(emcore.slic(np.moveaxis(stack, 0, -1), 50), labels)
    assert np.array_equal(emcore.slic(np.asfortranarray(image), 50), labels)


def test_the_adaptive_compactness_evens_out_segments_of_unequal_contrast():
    rng = np.random.default_rng(1)
    image = rng.standard_normal((80, 80)) * np.where(np.arange(80) < 40, 0.1, 3.0)

    def roughness(labels, half):
        part = labels[:, half]
        return (part[:, 1:] != part[:, :-1]).sum() + (part[1:] != part[:-1]).sum()

    left, right = np.s_[:38], np.s_[42:]
    plain = emcore.slic(image, 100, compactness=0.5, connectivity=False)
    even = emcore.slic(image, 100, compactness=0.5, connectivity=False, adaptive=True)
    assert roughness(even, right) < 0.8 * roughness(plain, right)
    assert roughness(even, right) / roughness(even, left) < roughness(plain, right) / roughness(plain, left)


@pytest.mark.parametrize("threads", [2, 3])
def test_everything_is_the_same_on_any_number_of_threads(threads):
    image = scene((120, 150), 40)[0].astype(np.float32)

    def call(number):
        with emcore.num_threads(number):
            labels = emcore.slic(image, 80)
            merged, history = emcore.merge_similar(labels, image, 0.5, return_history=True)
            return labels, merged, history, emcore.mean_signals(merged, image)

    assert all(np.array_equal(a, b) for a, b in zip(call(1), call(threads), strict=True))


def test_nothing_of_the_size_of_the_data_is_allocated_and_the_input_is_not_changed():
    data = np.random.default_rng(0).integers(0, 255, (64, 64, 2000), dtype=np.uint8)
    before = data.copy()
    tracemalloc.start()
    labels = emcore.slic(data, 20)
    emcore.mean_signals(labels, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * data.nbytes
    assert np.array_equal(data, before)


# Connectivity and masks


def test_every_label_is_one_connected_piece_and_labels_have_no_gaps():
    image, _ = scene(noise=0.6)
    loose = emcore.slic(image, 80, compactness=0.05, connectivity=False)
    assert max(components(loose)) > 1
    labels = emcore.slic(image, 80, compactness=0.05)
    assert set(components(labels)) == {1}
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))
    assert np.bincount(labels.ravel()).min() >= 90 * 110 / 80 / 4
    _, first = np.unique(labels, return_index=True)
    assert (np.diff(first) > 0).all()


def test_a_least_size_is_kept():
    image, _ = scene(noise=0.6)
    assert np.bincount(emcore.slic(image, 80, compactness=0.1, min_size=60).ravel()).min() >= 60


def test_a_mask_in_several_pieces_has_labels_of_their_own():
    image, _ = scene()
    mask = np.zeros((90, 110), dtype=bool)
    mask[5:40, 5:40] = mask[50:85, 60:105] = mask[2:4, 100:103] = True
    mask[60:65, 5] = True
    image[~mask] = np.nan
    labels = emcore.slic(image, 20, mask=mask)
    assert np.array_equal(labels >= 0, mask)
    assert set(components(labels)) == {1}
    pieces = [set(labels[part][mask[part]]) for part in (np.s_[5:40, 5:40], np.s_[50:85, 60:105], np.s_[2:4, 100:103])]
    assert not pieces[0] & pieces[1]
    assert not pieces[1] & pieces[2]


def test_what_the_mask_leaves_out_has_no_influence():
    image, _ = scene()
    mask = np.random.default_rng(0).random((90, 110)) > 0.1
    other = np.where(mask[..., None], image, 1e6)
    assert np.array_equal(emcore.slic(image, 40, mask=mask), emcore.slic(other, 40, mask=mask))


@pytest.mark.parametrize(
    ("shape", "n_segments"), [((1, 50, 4), 5), ((50, 1, 4), 5), ((3, 200, 2), 10), ((2, 2, 1), 4), ((1, 1, 1), 1)]
)
def test_one_row_and_few_positions_are_segmented(shape, n_segments):
    data = np.random.default_rng(0).random(shape)
    labels = emcore.slic(data, n_segments, compactness=5.0)
    assert labels.shape == shape[:2]
    assert 1 <= labels.max() + 1 <= n_segments + 1


def test_dead_saturated_and_constant_channels_leave_segments_as_they_are():
    image = np.round(scene()[0] * 1000).astype(np.uint16)
    labels = emcore.slic(image[..., :2], 40, compactness=0.3)
    more = np.concatenate([image[..., :2], np.zeros((90, 110, 1), "u2"), np.full((90, 110, 1), 65535, "u2")], axis=2)
    # One standard deviation of every channel: those that have none do not count.
    assert np.array_equal(emcore.slic(more, 40, compactness=0.3), labels)
    constant = emcore.slic(np.full((40, 40, 3), 7, "u1"), 16)
    assert len(np.unique(constant)) == 16
    assert np.abs(np.bincount(constant.ravel()) - 100).max() < 22


# Merging and means


def plain_merge(labels, data, least):
    """The definition, with all pairs looked at again after every merging."""
    labels, data = labels.copy(), data.reshape(*labels.shape, -1).astype(float)
    mean = data.reshape(-1, data.shape[2]).mean(axis=0)
    while True:
        touching = set()
        for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
            touching |= {(min(p, q), max(p, q)) for p, q in zip(a.ravel(), b.ravel(), strict=True) if p != q}
        means = {label: data[labels == label].mean(axis=0) - mean for label in np.unique(labels)}
        observed = [
            (means[a] @ means[b] / np.linalg.norm(means[a]) / np.linalg.norm(means[b]), -a, -b) for a, b in touching
        ]
        if not observed or max(observed)[0] < least:
            return labels
        _, a, b = max(observed)
        labels[labels == -b] = -a


@pytest.mark.parametrize("least", [-0.5, 0.3, 0.8])
def test_merging_is_that_of_plain_loops(least):
    image, _ = scene((40, 50), 6, 0.4)
    labels = emcore.slic(image, 30)
    merged = emcore.merge_similar(labels, image, least)
    assert adjusted_rand_index(merged, plain_merge(labels, image, least)) == 1


def test_merging_finds_what_is_alike_and_tells_its_steps():
    image, true = scene((90, 110), 20, 0.3)
    labels = emcore.slic(image, 150)
    merged, history = emcore.merge_similar(labels, image, 0.6, return_history=True)
    assert adjusted_rand_index(true, merged) > 0.9
    assert (history[:, 2] >= 0.6).all()
    assert len(history) == labels.max() - merged.max()
    again = labels.copy()
    for kept, gone, _ in history:
        again[again == gone] = kept
    assert adjusted_rand_index(again, merged) == 1


def test_a_background_that_all_share_does_not_make_everything_alike():
    image, true = scene((90, 110), 20, 0.1)
    labels = emcore.slic(image + 50.0, 150)
    assert adjusted_rand_index(true, emcore.merge_similar(labels, image + 50.0, 0.6)) > 0.9


def test_constant_data_merge_into_one():
    data = np.full((20, 20, 3), 0.1, np.float32)
    assert emcore.merge_similar(emcore.slic(data, 9), data, 0.9).max() == 0


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i4", "f4"])
def test_mean_signals_are_means_in_every_type(dtype):
    rng = np.random.default_rng(0)
    data = (rng.random((30, 40, 7, 9)) * (255 if dtype == "u1" else 60000)).astype(dtype)
    labels = rng.integers(0, 5, (30, 40)) - 1
    means = emcore.mean_signals(labels, data)
    assert means.shape == (4, 7, 9)
    for label in range(4):
        np.testing.assert_allclose(means[label], data[labels == label].mean(axis=0, dtype=np.float64), rtol=1e-13)


@pytest.mark.filterwarnings("ignore:data has chunks")
@pytest.mark.parametrize("kind", ["map", "hdf5", "zarr", "dask"])
def test_mean_signals_of_what_is_left_where_it_is_stored_are_the_same(stored_as, kind):
    rng = np.random.default_rng(1)
    data = rng.random((30, 40, 7, 9)).astype(np.float32)
    labels = rng.integers(0, 5, (30, 40)) - 1
    data[labels < 0] = np.nan
    expected = emcore.mean_signals(labels, data)
    stored = stored_as(kind, data)
    np.testing.assert_allclose(emcore.mean_signals(labels, stored, memory="200 kB"), expected, rtol=1e-6)
    np.testing.assert_allclose(emcore.mean_signals(labels, stored), expected, rtol=1e-6)
    labels[3, 4] = 0
    data[3, 4, 1, 2] = np.inf
    with pytest.raises(ValueError, match=r"NaN or infinity, first at \[3, 4, 11\]"):
        emcore.mean_signals(
            labels, stored_as(kind, data) if kind == "dask" else data.reshape(30, 40, 63), memory="200 kB"
        )


@pytest.mark.parametrize("kind", ["map", "hdf5", "zarr", "dask"])
def test_segments_of_stored_scores_are_those_in_memory_and_what_is_too_large_is_refused(stored_as, kind):
    data, _ = scene()
    expected = emcore.slic(data, 40)
    merged = emcore.merge_similar(expected, data, 0.9)
    stored = stored_as(kind, data)
    assert np.array_equal(emcore.slic(stored, 40), expected)
    assert np.array_equal(emcore.merge_similar(expected, stored, 0.9), merged)
    if kind == "map":  # which stays where it is, if its channels lie last
        assert np.array_equal(emcore.slic(stored, 40, memory="1 kB"), expected)
        stored = np.moveaxis(stored_as(kind, np.ascontiguousarray(np.moveaxis(data, -1, 0)), "stack"), 0, -1)
        assert np.array_equal(emcore.slic(stored, 40), expected)
    for call, result in (
        (lambda **memory: emcore.slic(stored, 40, **memory), expected),
        (lambda **memory: emcore.merge_similar(expected, stored, 0.9, **memory), merged),
    ):
        with pytest.raises(MemoryError, match=r"needs all of data in memory, 233 KiB, more than half of memory=20 KiB"):
            call(memory="20 KiB")
        with pytest.raises(MemoryError) as refused:
            call(memory=1)
        assert np.array_equal(call(memory=str(refused.value).split('"')[1]), result)


# What cannot be done


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_segments": 0}, ValueError, "n_segments=0 is out of range"),
        ({"n_segments": 9901}, ValueError, "between 1 and 9900 .there are 9900 positions"),
        ({"n_segments": 2.5}, TypeError, "n_segments=2.5 is a float"),
        ({"compactness": -1.0}, ValueError, "compactness=-1.0 is out of range"),
        ({"compactness": np.nan}, ValueError, "compactness=nan"),
        ({"n_iter": 0}, ValueError, "n_iter=0 is out of range"),
        ({"min_size": 0}, ValueError, "min_size=0 is out of range"),
        ({"seeds": "hexagon"}, ValueError, "seeds='hexagon' is not known"),
        ({"seeds": [[5.0, 200.0]]}, ValueError, r"seeds\[0\] at \(5.0, 200.0\) lies outside"),
        ({"seeds": [[5.0, 2.0, 1.0]]}, ValueError, r"\(k, 2\)"),
        ({"seeds": [[5.0, np.nan]]}, ValueError, "NaN"),
        ({"mask": np.zeros((90, 110), bool)}, ValueError, "mask leaves none of the 9900 positions"),
        ({"mask": np.ones((90, 111), bool)}, ValueError, "bool of the scan's shape"),
        ({"mask": np.ones((90, 110))}, ValueError, "mask is float64"),
    ],
)
def test_bad_options_are_refused_with_a_reason(options, error, message):
    with pytest.raises(error, match=message):
        emcore.slic(scene()[0], **options)


def test_bad_data_are_refused_with_a_reason():
    image, _ = scene()
    image[3, 4, 1] = np.inf
    with pytest.raises(ValueError, match=r"first at \[3, 4, 1\]"):
        emcore.slic(image)
    with pytest.raises(TypeError, match="complex"):
        emcore.slic(image.astype(complex))
    with pytest.raises(ValueError, match="1-D"):
        emcore.slic(np.zeros(5))
    with pytest.raises(ValueError, match="unit in which they are near 1"):
        emcore.slic(scene()[0] * 1e200)
    labels = np.zeros((90, 110), dtype=int)
    with pytest.raises(ValueError, match="must agree"):
        emcore.merge_similar(labels[1:], scene()[0], 0.5)
    with pytest.raises(TypeError, match="whole numbers"):
        emcore.mean_signals(labels * 1.0, scene()[0])
    with pytest.raises(ValueError, match="min_correlation=2"):
        emcore.merge_similar(labels, scene()[0], 2.0)
    with pytest.raises(ValueError, match="labels misses 1 below its largest 2"):
        emcore.mean_signals(labels + 2 * (np.arange(110) > 50), scene()[0])
    with pytest.raises(ValueError, match="none of the 9900"):
        emcore.mean_signals(labels - 1, scene()[0])


@pytest.mark.posix
def test_progress_is_told_and_ctrl_c_ends_it_and_the_next_call_works():
    code = """
import os, signal, threading, time
import numpy as np, emcore
data = np.broadcast_to(np.random.default_rng(0).integers(0, 255, 4096, dtype=np.uint8), (3000, 3000, 4096))
told = []
def interrupt():
    while not told:
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    with emcore.progress(lambda done, total: told.append(done)):
        emcore.slic(data, 100)
except KeyboardInterrupt:
    print("interrupted", emcore.slic(np.eye(8), 2).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("interrupted"), done.stderr
    assert "(8, 8)" in done.stdout


def test_the_first_bad_value_named_is_one_that_counts():
    data = np.random.default_rng(0).random((9, 10, 3))
    data[0, 0, 1] = data[4, 5, 2] = np.nan
    mask = np.ones((9, 10), dtype=bool)
    mask[0, 0] = False
    with pytest.raises(ValueError, match=r"first at \[4, 5, 2\]"):
        emcore.slic(data, 4, mask=mask)


@pytest.mark.parametrize("values", [np.float32(1e30), np.float32(1e-30), 1e150, 1e-150])
def test_values_whose_squares_are_no_numbers_are_refused_unless_masked(values):
    data = np.random.default_rng(0).random((9, 10, 3)).astype(np.asarray(values).dtype)
    with pytest.raises(ValueError, match="unit in which they are near 1"):
        emcore.slic(data * values, 4)
    mask = np.ones((9, 10), dtype=bool)
    mask[0, 0] = False
    labels = emcore.slic(data, 4, mask=mask)
    data[0, 0] *= values
    assert np.array_equal(emcore.slic(data, 4, mask=mask), labels)


def test_numbers_of_labels_far_apart_are_refused_at_once():
    with pytest.raises(ValueError, match="misses 1 below its largest 1000000000000"):
        emcore.mean_signals([[0, 10**12]], [[1, 2]])


def test_labels_of_another_shape_are_called_labels():
    with pytest.raises(ValueError, match=r"labels has shape \(1, 3\), the scan \(1, 2\)"):
        emcore.mean_signals([[0, -1, 1]], [[1, 2]])


@pytest.mark.parametrize("options", [{"n_iter": 2**70}, {"min_size": 2**70}])
def test_numbers_beyond_all_bounds_are_out_of_range(options):
    with pytest.raises(ValueError, match="out of range"):
        emcore.slic(np.eye(8), 4, **options)


# Defaults and numbers


def test_defaults_are_those_that_are_documented():
    image, _ = scene()
    seeds = np.argwhere(np.ones((5, 6))) * 18 + 5
    labels = emcore.slic(image, seeds=seeds)
    assert np.array_equal(labels, emcore.slic(image, seeds=seeds, compactness=0.3, n_iter=10))
    assert not np.array_equal(labels, emcore.slic(image, seeds=seeds, compactness=0.6))
    assert np.array_equal(labels, emcore.slic(image, seeds=seeds, min_size=9900 // (4 * 30) + 1))
    assert not np.array_equal(labels, emcore.slic(image, seeds=seeds, min_size=9900 // (8 * 30)))


def test_seeds_on_the_grid_do_what_the_grid_does():
    image, _ = scene((90, 90), noise=0.6)
    seeds = np.argwhere(np.ones((9, 9))) * 10 + 5
    assert np.array_equal(emcore.slic(image, 81), emcore.slic(image, seeds=seeds))


def test_mergings_are_told_in_the_numbers_given_and_what_was_left_out_stays_out():
    data = np.array([[[9.0, 1], [8, 1], [1, 9], [2, 8], [5, 5]]])
    merged, history = emcore.merge_similar([[40, 7, 30, 20, -3]], data, 0.5, return_history=True)
    assert merged.tolist() == [[0, 0, 1, 1, -1]]
    assert sorted(sorted(pair) for pair in history[:, :2].tolist()) == [[7, 40], [20, 30]]


def test_a_part_of_a_mask_without_a_seed_gets_one_amid_it():
    mask = np.zeros((20, 40), dtype=bool)
    mask[:3, 17:22] = mask[10:, :] = True
    places, _ = grid_seeds((20, 40), 4, mask.ravel())
    assert [1.0, 19.0] in places.tolist()
    assert all(mask[tuple(place)] for place in places.astype(int))


@pytest.mark.parametrize("seed", [(9, 3), (3, 10), (-0.5, 3)])
def test_seeds_on_the_rim_or_beyond_are_refused(seed):
    with pytest.raises(ValueError, match="lies outside the scan"):
        emcore.slic(np.ones((9, 10)), seeds=[(1, 1), seed])
