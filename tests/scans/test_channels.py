"""Which detector pixels are compared, which are broken, and what a pattern without reflections is."""

import numpy as np
import pytest
from scipy import ndimage

import emcore
from emcore.datasets import polycrystal_scan
from emcore.scans import binning, channels
from emcore.scans.broken import broken_pixels, mended
from emcore.scans.channels import choose_channels, statistics
from emcore.scans.detectors import masked_beam
from emcore.scans.patterns import pattern_source, scan_of_patterns


def test_pixels_that_vary_by_noise_alone_are_left_out_whatever_their_dose():
    rng = np.random.default_rng(0)
    mean = np.exp(rng.uniform(np.log(0.05), np.log(50), (20, 20)))
    patterns = rng.poisson(np.broadcast_to(mean, (32, 32, 20, 20)))
    patterns[:, 16:, 4:7, 5] = rng.poisson(mean[4:7, 5] + 3 * np.sqrt(mean[4:7, 5]) + 3, (32, 16, 3))
    patterns[..., 12, 12] = 1000 * rng.exponential(size=(32, 32))
    used = np.ones((20, 20), bool)
    found = choose_channels(as_source(patterns), (32, 32), patterns.mean(axis=(0, 1)), np.zeros(1024, bool), used, 64)
    assert np.argwhere(found.keep).tolist() == [[4, 5], [5, 5], [6, 5]]
    assert found.certain


@pytest.mark.parametrize("together", [1, 5, 1000])
@pytest.mark.parametrize("in_blocks", [False, True])
def test_variance_and_noise_are_those_of_the_measured_positions(monkeypatch, together, in_blocks):
    rng = np.random.default_rng(1)
    patterns = rng.normal(7, 2, (6, 9, 4, 4)).astype(np.float32)
    empty = np.zeros(54, dtype=bool)
    empty[[3, 20, 21]] = True
    patterns.reshape(54, 4, 4)[empty] = np.nan
    monkeypatch.setattr(binning, "_BYTES", 64 * together)
    mean = np.nanmean(patterns, axis=(0, 1))
    source = as_source(patterns, 6 * 64 * together + 2000 if in_blocks else None)
    assert (len(source.cut(None, 16, 6 * 64 * together).blocks) > 1) == in_blocks
    (known,) = statistics(source, (6, 9), mean, empty, np.ones((4, 4), bool), [1])
    rows = patterns.reshape(54, 16).astype(float)
    pairs = [i for i in range(53) if i % 9 < 8 and not empty[[i, i + 1]].any()]
    np.testing.assert_allclose(known.mean, rows[~empty].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(known.variance, rows[~empty].var(axis=0), rtol=1e-4)
    steps = np.array([rows[i + 1] - rows[i] for i in pairs])
    np.testing.assert_allclose(known.noise, 0.5 * (steps**2).mean(axis=0), rtol=1e-4)


def test_of_many_positions_some_lines_are_taken_evenly_apart(monkeypatch):
    monkeypatch.setattr(channels, "_POSITIONS", 100)
    patterns = np.random.default_rng(2).poisson(9, (30, 20, 4, 4))
    everywhere = np.ones((4, 4), bool), [1]
    mean, empty = patterns.mean(axis=(0, 1)), np.zeros(600, bool)
    (known,) = statistics(as_source(patterns), (30, 20), mean, empty, *everywhere)
    some = patterns[::6]
    np.testing.assert_allclose(known.mean, some.reshape(-1, 16).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(known.noise, 0.5 * (np.diff(some, axis=1) ** 2).mean(axis=(0, 1)).ravel(), rtol=1e-5)
    assert known.pairs == 5 * 19


def test_bins_of_several_sides_are_looked_at_in_one_pass(passes):
    patterns = np.random.default_rng(3).poisson(0.007, (12, 14, 64, 64)).astype(np.uint8)
    mean, empty, used = patterns.mean(axis=(0, 1)), np.zeros(168, bool), np.ones((64, 64), bool)
    several = statistics(as_source(patterns), (12, 14), mean, empty, used, [1, 2, 4])
    for side, known in zip((1, 2, 4), several, strict=True):
        (alone,) = statistics(as_source(patterns), (12, 14), mean, empty, used, [side])
        assert all(np.array_equal(getattr(known, name), getattr(alone, name)) for name in ("mean", "variance", "noise"))
    del passes[:]
    found = choose_channels(as_source(patterns), (12, 14), mean, empty, used, 64)
    assert found.factor == 4
    assert len(passes) == found.passes == 2


def as_source(patterns, memory=None):
    return pattern_source(scan_of_patterns(patterns), memory, 0)


def detector(rng):
    """A mean pattern of sharp spots over a falling background, counted."""
    ky, kx = np.indices((64, 64))
    pattern = 40 / (1 + (np.hypot(ky - 31, kx - 33) / 6) ** 2) + 1
    for _ in range(20):
        y, x = rng.uniform(3, 60, 2)
        pattern += 300 * np.exp(-0.5 * ((ky - y) ** 2 + (kx - x) ** 2) / 0.8**2)
    return rng.poisson(200 * pattern) / 200


def test_dead_lines_and_hot_pixels_are_found_and_sharp_spots_are_none():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        mean = detector(rng)
        assert not broken_pixels(mean)[0].any()
        truth = np.zeros((64, 64), dtype=bool)
        truth[20:22] = truth[:, 45] = True
        mean[truth] = 0
        mean[50] *= 3
        truth[50] = True
        for place in ((3, 7), (40, 5), (58, 60)):
            mean[place], truth[place] = 900, True
        found, (said,) = broken_pixels(mean)
        assert np.array_equal(found, truth)
        assert said.startswith("3 rows, 1 column and 3 pixels of the detector are far")


def test_lines_of_a_few_frames_of_few_counts_are_not_called_broken():
    rng = np.random.default_rng(0)
    for dose in (0.001, 0.05, 1.0):
        assert not broken_pixels(rng.poisson(dose, (8, 64, 64)).mean(axis=0))[0].any()


def test_what_is_broken_is_mended_by_what_lies_next_to_it():
    broken = np.zeros((5, 5), dtype=bool)
    broken[2] = True
    values = np.arange(25.0).reshape(5, 5)
    assert set(mended(values, broken)[2].tolist()) <= set(values[[1, 3]].ravel().tolist())
    assert mended(values, np.ones((5, 5), dtype=bool)) is values


@pytest.mark.parametrize("verb", ["segment_grains", "cluster_diffraction"])
def test_every_verb_with_patterns_leaves_out_what_is_broken_and_says_so(verb):
    patterns = polycrystal_scan((16, 20), n_grains=3).patterns.copy()
    patterns[..., 30, :] = 0
    patterns[..., 50, 8] = 4000
    result = getattr(emcore, verb)(patterns)
    assert any("1 row and" in note and "left out" in note for note in result.provenance.notes)


@pytest.mark.parametrize("smooth", [0, 1, 3])
def test_noise_has_no_beam_however_smooth(smooth):
    rng = np.random.default_rng(0)
    for side in (32, 64, 128):
        for _ in range(3):
            noise = rng.normal(size=(side, side))
            picture = ndimage.gaussian_filter(noise, smooth) if smooth else noise
            assert masked_beam(picture, True, None)[:2] == (None, None)


def test_a_line_of_a_scan_or_an_edge_is_no_beam():
    picture = np.random.default_rng(0).normal(0, 0.1, (64, 64))
    picture[30:33] += 5
    assert masked_beam(picture, True, None)[1] is None


def test_the_mask_of_a_gaussian_beam_leaves_next_to_nothing_of_it():
    ky, kx = np.indices((64, 64))
    for sigma in (1.5, 2.5, 4.0):
        beam = np.exp(-0.5 * (np.hypot(ky - 30.4, kx - 33.1) / sigma) ** 2)
        background = 0.05 / (1 + (np.hypot(ky - 30.4, kx - 33.1) / 12) ** 2)
        _, radius, _ = masked_beam(np.random.default_rng(0).poisson(3000 * (beam + background)) / 1.0, True, None)
        assert 2.5 * sigma < radius < 4.5 * sigma + 2
