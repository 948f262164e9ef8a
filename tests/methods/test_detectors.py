"""Rings, annuli and free masks: against brute force, scikit-learn, and what is known of planted data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emcore.methods.detectors.annuli import FLOOR, annulus_scores, ring_counts
from emcore.methods.detectors.discriminant import discriminants, ledoit_wolf
from emcore.methods.detectors.free_mask import free_weights
from emcore.methods.detectors.rings import rings_around
from emcore.methods.detectors.standards import standard_detectors
from emcore.scans.detectors import annulus, disc


@pytest.mark.parametrize("center", [(8.0, 8.0), (3.3, 9.6), (-4.0, 20.0)])
def test_rings_are_the_masks_of_virtual_detectors(center):
    rings = rings_around((17, 19), center, radii=[2.5, 6.1])
    assert {2.5, 6.1} <= set(rings.edges) or center[0] < 0
    assert np.array_equal(np.unique(rings.numbers), np.arange(rings.count))
    for i in range(rings.count):
        for j in range(i, rings.count):
            inner, outer = rings.edges[i], rings.edges[j + 1]
            expected = annulus((17, 19), center, inner, outer) if i else disc((17, 19), center, outer)
            assert np.array_equal(rings.mask(i, j), expected)
            assert rings.between(inner, outer) == (i, j)


def test_broken_pixels_are_in_no_ring():
    broken = np.zeros((9, 9), dtype=bool)
    broken[4] = True
    rings = rings_around((9, 9), (4, 4), broken=broken)
    assert (rings.numbers[4] == -1).all()
    assert not rings.mask(0, rings.count - 1)[4].any()


def brute_force(a, b):
    """Contrast and contrast-to-noise of every annulus, by adding up its rings at every position."""
    r = a.shape[1]
    contrast, cnr = np.zeros((r, r)), np.zeros((r, r))
    for i in range(r):
        for j in range(i, r):
            x, y = (each[:, i : j + 1].astype(np.float64).sum(axis=1) for each in (a, b))
            total, difference = abs(x.mean()) + abs(y.mean()), abs(x.mean() - y.mean())
            noise = max(np.sqrt(x.var(ddof=1) + y.var(ddof=1)), 1e-6 * total)
            contrast[i, j], cnr[i, j] = difference / (total or 1), difference / (noise or 1)
    return contrast, cnr


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rings=st.integers(1, 9),
    sizes=st.tuples(st.integers(2, 12), st.integers(2, 12)),
    level=st.sampled_from([0.05, 3.0, 4000.0]),
    score=st.sampled_from(["fisher", "contrast"]),
)
def test_the_best_annulus_is_that_of_brute_force_over_all(seed, rings, sizes, level, score):
    rng = np.random.default_rng(seed)
    rates = level * rng.exponential(size=(2, rings))
    profiles = rng.poisson(np.repeat(rates, sizes, axis=0)).astype(np.float32)
    a, b = np.arange(sizes[0]), sizes[0] + np.arange(sizes[1])
    scores = annulus_scores(ring_counts(profiles, a), ring_counts(profiles, b))
    contrast, cnr = brute_force(profiles[a], profiles[b])
    np.testing.assert_allclose(scores.contrast, contrast, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scores.cnr, cnr, rtol=1e-5, atol=1e-9)
    wanted = cnr if score == "fisher" else np.where(cnr >= FLOOR * cnr.max() * (1 - 1e-6), contrast, -1)
    assert wanted[scores.best(score)] >= wanted.max() * (1 - 1e-5)


def test_a_hundred_rings_are_no_different():
    profiles = np.random.default_rng(4).poisson(9, (60, 100)).cumsum(axis=1).astype(np.float32)
    a, b = np.arange(30), np.arange(30, 60)
    scores = annulus_scores(ring_counts(profiles, a), ring_counts(profiles, b))
    np.testing.assert_allclose(scores.cnr, brute_force(profiles[a], profiles[b])[1], rtol=1e-6)


def test_a_bright_beam_does_not_drown_the_rings_outside():
    rng = np.random.default_rng(0)
    profiles = np.column_stack([rng.normal(1e7, 1e6, 400), rng.poisson(2, 400), rng.poisson(3, 400)]).astype(np.float32)
    profiles[200:, 1] += 5
    a, b = np.arange(200), np.arange(200, 400)
    scores = annulus_scores(ring_counts(profiles, a), ring_counts(profiles, b))
    assert scores.best() == (1, 1)
    np.testing.assert_allclose(scores.cnr, brute_force(profiles[a], profiles[b])[1], rtol=1e-6)


def test_a_ring_without_electrons_has_the_most_contrast_and_is_not_chosen():
    rng = np.random.default_rng(1)
    profiles = rng.poisson(np.repeat([[40, 60, 0.01], [40, 30, 0.0]], 300, axis=0)).astype(np.float32)
    scores = annulus_scores(ring_counts(profiles, np.arange(300)), ring_counts(profiles, np.arange(300, 600)))
    assert np.unravel_index(scores.contrast.argmax(), (3, 3)) == (2, 2)
    assert scores.contrast[2, 2] == 1
    assert scores.best("fisher")[0] == scores.best("contrast")[0] == 1


def test_the_covariance_is_shrunk_as_scikit_learn_shrinks_it():
    from sklearn.covariance import ledoit_wolf as peer

    scales = np.diag(np.linspace(0.5, 3, 150))
    rows = (np.random.default_rng(2).normal(size=(200, 150)) @ scales).astype(np.float32)
    expected, shrinkage = peer(rows.astype(np.float64), assume_centered=True)
    found = ledoit_wolf(rows)
    assert found.shrinkage == pytest.approx(shrinkage, rel=1e-4)
    np.testing.assert_allclose(found.covariance, expected, atol=1e-5)


def test_a_discriminant_weighs_against_noise_that_features_share():
    rng = np.random.default_rng(3)
    shared = rng.normal(size=4000)
    first = np.arange(4000) % 2 == 0
    rows = np.column_stack([first + shared + 0.1 * rng.normal(size=4000), shared + 0.1 * rng.normal(size=4000)])
    (least, most, noise), shrinkage = discriminants(rows.astype(np.float32), first)
    assert least[0] > 0
    assert least[1] / least[0] == pytest.approx(-1, abs=0.05)
    assert abs(most[1] / most[0]) < 0.1
    assert -1 < noise[1] / noise[0] < most[1] / most[0]
    assert shrinkage < 0.1


def planted(seed, counts, n=600):
    """Bins 2 x 2 pixels of rings of a small detector: a spot of the first group, on a ring that both have."""
    rng = np.random.default_rng(seed)
    rings = rings_around((16, 16), (7.5, 7.5))
    mean = np.ones((2, 16, 16))
    mean[:, rings.numbers == 4] = 2
    mean[0, 2:4, 6:8] = 9
    mean[1, 12:14, 8:10] = 9
    first = np.arange(n) % 2 == 0
    patterns = rng.poisson(counts * mean[np.where(first, 0, 1)])
    bins = patterns.reshape(n, 8, 2, 8, 2).sum(axis=(2, 4)).reshape(n, 64)
    profile = np.stack([patterns[:, rings.numbers == i].sum(axis=1) for i in range(rings.count)], axis=1)
    return bins.astype(np.float32), profile.astype(np.float32), first


def cnr_of(values, first):
    return (values[first].mean() - values[~first].mean()) / np.sqrt(values[first].var() + values[~first].var())


@pytest.mark.parametrize("counts", [1.0, 0.05])
def test_a_free_mask_finds_spots_that_no_annulus_parts(counts):
    bins, rings, first = planted(0, counts)
    found = free_weights(bins, rings, first, (3, 4))
    others = planted(1, counts)
    assert cnr_of(others[0] @ found.bins + others[1] @ found.rings, others[2]) > 10 * abs(
        cnr_of(others[1][:, 3:5].sum(axis=1), others[2])
    )


def test_a_free_mask_of_few_positions_is_the_annulus():
    bins, rings, first = planted(0, 1.0, n=12)
    found = free_weights(bins, rings, first, (3, 4))
    assert not found.bins.any()
    assert np.flatnonzero(found.rings).tolist() == [3, 4]
    assert found.shares == (0, 0, 1)
    assert (free_weights(bins, rings, ~first, (3, 4)).rings >= 0).all()


def test_standards_that_have_no_room_are_left_out():
    assert [each.name for each in standard_detectors(2.0, 4.0, 20.0)] == [
        "bright field",
        "annular dark field",
        "high-angle annular dark field",
    ]
    assert [each.name for each in standard_detectors(15.0, 17.0, 20.0)] == [
        "bright field",
        "annular bright field",
        "annular dark field",
    ]
