"""From scores to groups of points: how many, which, followed through a series, and at every pixel."""

import numpy as np
import pytest

from emcore.methods.symmetry.descriptors import at_pixels, largest_nearby, without_background
from emcore.methods.symmetry.grouping import groups
from emcore.methods.symmetry.model import Model, confidence, fitted, followed


def field(centers, labels, noise=0.05, seed=0):
    """Scores of points by their labels, under noise that neighbours share, as overlapping patches do."""
    rng = np.random.default_rng(seed)
    fine = rng.normal(size=(labels.shape[0] + 2, labels.shape[1] + 2, len(centers[0])))
    shared = sum(fine[i : i + labels.shape[0], j : j + labels.shape[1]] for i in range(3) for j in range(3)) / 3
    return (np.asarray(centers)[labels] + noise * shared).astype(np.float32)


def stripes(k, shape=(40, 120)):
    return np.broadcast_to(np.arange(shape[1]) * k // shape[1], shape)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
def test_as_many_groups_are_found_as_there_are(k):
    labels = stripes(k)
    observed, reason = groups(field(np.eye(8)[:k], labels).astype(np.float64), 4)
    assert len(np.unique(observed)) == k
    assert ("no groups" in reason) == (k == 1)
    assert all(len(np.unique(observed[labels == i])) == 1 for i in range(k))


def test_a_narrow_mixture_of_two_groups_is_no_group():
    scores = field(np.eye(4)[:2], stripes(2), 0.02)
    scores[:, 58:62] = (scores[:, :4] + scores[:, -4:]) / 2
    assert groups(scores.astype(np.float64), 4)[0].max() == 1


def test_groups_come_in_the_order_of_rising_size_with_their_means():
    labels = np.where(np.arange(120) < 30, 0, np.where(np.arange(120) < 70, 1, 2)) + np.zeros((40, 1), int)
    scores = field(np.eye(6)[[2, 0, 4]], labels)
    for asked in (0, 3):
        model, observed, reason = fitted(scores, asked, 5, 4, 0)
        assert np.array_equal(observed, labels)
        assert ("asked" in reason) == bool(asked)
        places = model.places(scores)
        means = [places[labels == i].mean(axis=0) for i in range(3)]
        assert np.allclose(model.centers, means, atol=1e-4)
        assert np.allclose(model.components @ model.components.T, np.eye(len(model.components)), atol=1e-6)


def test_labels_keep_their_meaning_while_groups_grow_vanish_and_change():
    centers = np.eye(6)[:2]
    model, _, _ = fitted(field(centers, stripes(2), 0.25), 2, 3, 4, 0)
    first = int(np.argmin(np.square(model.places(centers[None].astype(np.float32))[0, 0] - model.centers).sum(axis=1)))
    for i, edge in enumerate((60, 90, 120, 120, 120, 120, 100, 10, 0, 0, 0, 70)):
        labels = (np.arange(120) >= edge) + np.zeros((40, 1), int)
        drifting = centers * (1 - 0.02 * i)  # as contrast falls
        model, observed = followed(field(drifting, labels, 0.25, i), model)
        assert np.mean((observed == first) == (labels == 0)) > 0.97, i


def test_confidence_is_one_at_a_centre_and_nothing_half_way():
    model = Model(np.zeros(2), np.eye(2), np.ones(2), np.array([[0.0, 0.0], [1.0, 0.0]]))
    observed = confidence(np.array([[[0, 0], [0.5, 0], [1, 0], [0.25, 0]]], np.float32), model)
    assert np.allclose(observed, [[1, 0, 1, 2 / 3]], atol=1e-5)
    alone = Model(np.zeros(2), np.eye(2), np.ones(2), np.zeros((1, 2)))
    assert (confidence(np.ones((2, 3, 2), np.float32), alone) == 1).all()


def test_a_pixel_has_the_value_of_the_nearest_point():
    y, x = np.array([3.0, 8.0, 13.0]), np.array([4.0, 8.0])
    values = np.arange(6).reshape(3, 2)
    observed = at_pixels(values, y, x, (18, 14))
    for i in range(18):
        for j in range(14):
            away = np.abs(y - i)[:, None] + np.abs(x - j)
            assert away.flat[observed[i, j]] == away.min()


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f8"])
def test_a_slope_of_brightness_leaves_nothing_away_from_the_edges(dtype):
    y, x = np.mgrid[:100, :120]
    rest = without_background((y + x).astype(dtype), 9)
    assert rest.dtype == np.float32
    assert np.abs(rest[12:-12, 12:-12]).max() < 1e-5


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_values_near_the_ends_of_their_range_keep_their_picture(scale):
    image = np.random.default_rng(0).random((40, 50))
    assert np.allclose(without_background(image * scale, 7), without_background(image, 7), atol=1e-6)


def test_the_largest_nearby_is_no_smaller_than_its_neighbours_mean_and_no_larger_than_the_largest():
    scores = np.random.default_rng(0).random((20, 25, 3)).astype(np.float32)
    observed = largest_nearby(scores, 2)
    assert observed.shape == scores.shape
    assert (observed.max(axis=(0, 1)) <= scores.max(axis=(0, 1)) + 1e-6).all()
    assert (observed.min(axis=(0, 1)) > np.median(scores, axis=(0, 1))).all()
