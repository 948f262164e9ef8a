"""What is merged along borders, and where borders run: what must hold on segments whose grains are known."""

import numpy as np
import pytest

from emcore.methods.superpixels.borders import merge_along_borders, settle_borders, touching
from emcore.methods.superpixels.graph import grow
from emcore.methods.superpixels.pieces import connected_pieces
from emcore.methods.superpixels.slic import merged_after, merged_to, mergings_to


def turning(angles, channels=400, seed=0):
    """Signals that turn with an angle, under noise of deviation 1 in every channel."""
    rng = np.random.default_rng(seed)
    first, second = np.linalg.qr(rng.normal(size=(channels, 2)))[0].T
    angles = np.radians(np.asarray(angles, dtype=float))[..., None]
    noiseless = 12 * (np.cos(angles) * first + np.sin(angles) * second)
    return (noiseless + rng.normal(size=noiseless.shape)).astype(np.float32)


def squares(height, width, side):
    y, x = np.indices((height, width)) // side
    return (y * (width // side) + x).astype(np.int32)


def test_a_grain_that_bends_altogether_merges_before_two_grains_do():
    # Along x the angle goes from 0 to 80 degrees; the other half of the scan is half a turn away.
    angles = np.linspace(0, 80, 48)[None] + np.where(np.arange(16) < 8, 0, 180)[:, None]
    segments = squares(16, 48, 4)
    history = merge_along_borders(segments, turning(angles))
    left = np.degrees(np.arccos(np.clip(history[:, 2], -1, 1)))
    assert left[:-1].max() < 20
    assert left[-1] > 100
    halves = merged_to(segments, history, 0.5)
    assert np.array_equal(halves, np.repeat([[0], [1]], 8, axis=0) + np.zeros((1, 48), dtype=int))


def test_noise_does_not_make_small_segments_unlike():
    angles = np.where(np.arange(32) < 16, 0, 90)[None] + np.zeros((32, 1))
    history = merge_along_borders(squares(32, 32, 4), turning(angles))
    # With noise in their lengths means of 16 positions were 32 degrees apart: arccos(144 / 169).
    assert np.degrees(np.arccos(history[:-1, 2])).max() < 24


def test_mergings_go_from_the_best_to_the_worst_and_never_up():
    values = np.random.default_rng(1).normal(size=(24, 24, 30)).astype(np.float32)
    history = merge_along_borders(squares(24, 24, 4), values)
    assert (np.diff(history[:, 2]) <= 1e-12).all()
    assert len(history) == 35


def test_segments_touch_along_sides_and_positions_without_a_label_are_none():
    pairs, lengths = touching(np.array([[0, 1, -1], [2, 1, 3]], dtype=np.int32))
    assert pairs.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3]]
    assert lengths.tolist() == [1, 1, 1, 1]


def test_borders_that_are_off_by_some_positions_are_settled_and_nothing_falls_apart():
    truth = (np.add.outer(np.arange(40), np.arange(40)) > 40).astype(np.int32)
    values = turning(np.where(truth == 1, 90, 0), seed=3)
    rng = np.random.default_rng(0)
    rough = (np.add.outer(np.arange(40), np.arange(40)) + rng.integers(-3, 4, (40, 40)) > 40).astype(np.int32)
    rough = connected_pieces(rough, 30)
    before = np.count_nonzero(rough != truth)
    settled = settle_borders(rough, rough, values, 400.0)
    assert before > 20
    assert np.count_nonzero(settled != truth) < 0.2 * before
    assert connected_pieces(settled).max() == 1


def test_a_small_grain_stays():
    values = turning(np.zeros((20, 20)), seed=1)
    values[3:6, 3:6] = turning(np.full((20, 20), 90))[3:6, 3:6]
    labels = np.zeros((20, 20), dtype=np.int32)
    labels[3:6, 3:6] = 1
    assert np.array_equal(settle_borders(labels, labels, values, 400.0), labels)


def test_regions_are_counted_without_segments_that_have_no_position():
    segments = np.array([[0, 0, 3, 4]], dtype=np.int32)
    history = np.array([[0, 1, 0.99], [2, 3, 0.9], [0, 2, 0.8], [0, 4, 0.1]])
    assert mergings_to(segments, history, 2) == 3
    assert merged_after(segments, history, 3).tolist() == [[0, 0, 0, 1]]
    assert mergings_to(segments, history, 1) == 4


@pytest.mark.parametrize("count", [2, 4])
def test_regions_grown_from_the_most_alike_neighbours_are_those_that_are_alike(count):
    truth = squares(12, 12, 6)
    grown = grow(turning(90 * truth), np.ones((12, 12), dtype=bool), count, 400.0)
    assert grown.max() + 1 == count
    if count == 4:
        assert np.array_equal(grown, truth)
