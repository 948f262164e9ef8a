"""Reflections in a deviation pattern, and how strong they are at every position."""

import numpy as np
import pytest

from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored
from emcore.scans.spots import find_reflections, spot_radius, strengths_of, with_masks


@pytest.fixture(scope="module")
def reflections():
    rng = np.random.default_rng(0)
    usable = np.ones((48, 40), dtype=bool)
    usable[20:22] = usable[:, 7] = False
    places = np.array([[9.0, 14.0], [9.0, 19.0], [13.0, 16.0], [30.0, 30.0], [41.0, 5.0], [2.0, 37.0]])
    return with_masks(places, rng.random(6), usable, 2.2), usable


def strengths(patterns, reflections):
    return strengths_of(Source([Stored(patterns, 2)]), reflections, None)[0].astype(float)


def test_a_strength_is_its_disc_less_its_ring(reflections):
    chosen, usable = reflections
    patterns = np.random.default_rng(1).poisson(30.0, (7, 48, 40)).astype(np.uint16)
    y, x = np.nonzero(usable)
    away = np.hypot(y[:, None] - chosen.places[:, 0], x[:, None] - chosen.places[:, 1])
    near, own = away.min(axis=1), away.argmin(axis=1)
    expected = np.zeros((7, 6))
    for i in range(6):
        disc = (own == i) & (near <= 2.2)
        order = np.argsort(np.hypot(*(chosen.places - chosen.places[i]).T), kind="stable")
        for count in range(1, 7):
            ring = np.isin(own, order[:count]) & (near > 3.2) & (near <= 5.9)
            if ring.sum() >= disc.sum():
                break
        values = patterns[:, y, x].astype(float)
        expected[:, i] = values[:, disc].sum(axis=1) - disc.sum() * values[:, ring].mean(axis=1)
    np.testing.assert_allclose(strengths(patterns, chosen), expected, atol=1e-3)


def test_strengths_go_with_the_gain_of_a_position_and_not_with_its_background(reflections):
    rng = np.random.default_rng(2)
    patterns, gain, background = rng.gamma(2, 5, (20, 48, 40)), rng.uniform(0.1, 10, 20), rng.uniform(0, 100, 20)
    first = strengths(patterns, reflections[0])
    np.testing.assert_allclose(
        strengths(gain[:, None, None] * patterns, reflections[0]), gain[:, None] * first, rtol=1e-3, atol=1e-2
    )
    np.testing.assert_allclose(strengths(patterns + background[:, None, None], reflections[0]), first, atol=0.05)


def test_no_pixel_is_of_two_reflections_and_none_that_is_not_usable(reflections):
    chosen, usable = reflections
    assert (chosen.groups[~usable] == -1).all()
    assert np.unique(chosen.groups).tolist() == list(range(-1, 12))
    np.testing.assert_allclose(np.bincount(chosen.groups[usable] + 1)[1:] @ chosen.weights, 0, atol=1e-12)


def test_maxima_in_noise_are_none_and_broken_pixels_no_reflection():
    rng = np.random.default_rng(3)
    deviation = 5 + 0.4 * rng.standard_normal((64, 64))
    deviation[30, 12], deviation[50:52] = 400, 900
    usable = np.ones((64, 64), dtype=bool)
    usable[30, 12] = usable[50:52] = False
    settings = {"radius": 2.0, "center": (31.5, 31.5), "annulus": (6.0, 40.0), "most": 100, "error": 0.08}
    assert len(find_reflections(deviation, usable, **settings)) == 0
    y, x = np.indices((64, 64))
    deviation += 2 * (np.hypot(y - 20, x - 44) < 2.5)
    observed = find_reflections(deviation, usable, **settings)
    np.testing.assert_allclose(observed.places, [[20, 44]], atol=1)
    assert len(find_reflections(deviation, usable, **{**settings, "annulus": (0.0, 10.0)})) == 0


def test_of_many_maxima_the_most_prominent_are_taken_and_they_keep_apart():
    rng = np.random.default_rng(4)
    y, x = np.indices((96, 96))
    deviation = 1 + sum(
        h * np.exp(-((y - a) ** 2 + (x - b) ** 2)) for h, a, b in rng.uniform((1, 0, 0), (9, 96, 96), (400, 3))
    )
    settings = {"radius": 2.0, "center": (47.5, 47.5), "annulus": (0.0, 60.0)}
    usable = np.ones((96, 96), dtype=bool)
    every, some = (find_reflections(deviation, usable, most=most, **settings) for most in (500, 10))
    assert len(every) > 30
    np.testing.assert_array_equal(some.places, every.places[:10])
    assert (np.diff(every.prominence) <= 0).all()
    apart = np.hypot(*(every.places[:, None] - every.places).T)
    assert apart[~np.eye(len(apart), dtype=bool)].min() >= 3


def test_the_size_of_spots_is_seen_without_a_beam():
    y, x = np.indices((128, 128))
    for radius in (2.0, 4.0, 7.0):
        spots = sum(
            (np.hypot(y - a, x - b) < radius).astype(float) for a, b in ((20, 40), (60, 100), (100, 20), (90, 70))
        )
        assert 0.7 * radius < spot_radius(spots, np.ones((128, 128), dtype=bool)) < 1.3 * radius
