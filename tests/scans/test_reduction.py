"""Patterns binned and reduced to what varies by more than noise."""

import numpy as np
import pytest

import emcore
from emcore.datasets import polycrystal_scan
from emcore.scans import binning
from emcore.scans.binning import bin_factor, bin_numbers
from emcore.scans.pattern_passes import group_sums
from emcore.scans.pattern_places import reduced_places
from emcore.scans.patterns import pattern_source, scan_of_patterns
from emcore.scans.reduction import SIDE, said_reduced, sampled


@pytest.fixture(scope="module")
def sample():
    return polycrystal_scan((16, 20), n_grains=3)


def as_source(patterns):
    return pattern_source(scan_of_patterns(patterns), None, 8)


def reduced(patterns, most=None):
    """The patterns at all positions in a few directions."""
    source, scan = as_source(patterns), patterns.shape[:2]
    bins, count = bin_numbers(np.ones(patterns.shape[2:], dtype=bool), bin_factor(patterns.shape[2:], SIDE))
    every = np.arange(scan[0] * scan[1])
    taken, pairs = sampled(scan, every, np.random.default_rng(0), most)
    sample = group_sums(source, np.zeros_like(bins), 1, bins, count, taken)[1]
    return reduced_places(source, bins, "sqrt", sample, pairs, every, 0)


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4"])
def test_bins_are_sums_of_their_pixels(dtype, factor):
    patterns = np.random.default_rng(0).integers(0, 200, (5, 9, 12)).astype(dtype)
    numbers, count = bin_numbers(np.ones((9, 12), dtype=bool), factor)
    observed, sample = group_sums(as_source(patterns), numbers, count, numbers, count, np.array([1, 4]))
    wide = np.pad(patterns.astype(float), [(0, 0), (0, -9 % factor), (0, -12 % factor)])
    expected = wide.reshape(5, wide.shape[1] // factor, factor, -1, factor).sum(axis=(2, 4))
    assert np.array_equal(observed, expected.reshape(5, -1))
    assert np.array_equal(sample, observed[[1, 4]])


def test_blocks_masks_and_turned_detectors_change_no_bin(monkeypatch, sample):
    keep = np.random.default_rng(0).random((64, 64)) > 0.3
    positions = np.r_[np.arange(5, 60), np.arange(100, 300, 3)]
    masked = np.where(keep, sample.patterns, 0).reshape(-1, 64, 64)
    expected = masked.reshape(-1, 16, 4, 16, 4).sum(axis=(2, 4)).reshape(-1, 256)
    turned = np.ascontiguousarray(sample.patterns[:, :, ::-1])[:, :, ::-1]
    monkeypatch.setattr(binning, "_BYTES", 7 * 8192)
    numbers, count = bin_numbers(keep, 4)
    empty, scale = np.arange(320) % 7 == 0, np.arange(1.0, 257.0)
    for patterns in (sample.patterns, turned):
        source = as_source(patterns)
        observed, some = group_sums(source, numbers, count, numbers, count, positions)
        assert np.array_equal(observed, expected)
        assert np.array_equal(some, expected[positions])
        divided, _ = group_sums(source, numbers, count, scale=scale, empty=empty)
        np.testing.assert_allclose(divided, np.where(empty[:, None], 0, expected / scale), rtol=1e-6)


def test_a_pixel_that_is_only_noise_is_left_out_however_strong(sample):
    patterns = sample.patterns.copy()
    patterns[..., 8, 8] = np.random.default_rng(0).integers(0, 60_000, (16, 20))
    (noisy, of_noisy), (clean, of_clean) = reduced(patterns), reduced(sample.patterns)
    assert of_noisy.kept == of_clean.kept
    assert np.allclose(noisy, clean, atol=1e-3)


def test_places_are_the_same_bits_on_any_number_of_threads_and_nearly_so_from_a_sample(monkeypatch, sample):
    monkeypatch.setattr(binning, "_BYTES", 20 * 8192)
    observed = []
    for threads in (1, 3):
        with emcore.num_threads(threads):
            observed.append(reduced(sample.patterns)[0])
    assert np.array_equal(*observed)
    part = reduced(sample.patterns, 150)[0]
    apart = [np.linalg.norm(each[:, None] - each, axis=2) for each in (observed[0], part)]
    assert np.corrcoef(apart[0].ravel(), apart[1].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("shape", [(1, 2), (1, 9), (9, 1), (2, 2)])
def test_lines_and_a_few_positions_are_reduced_too(sample, shape):
    places, directions = reduced(sample.patterns[: shape[0], : shape[1]])
    assert len(places) == shape[0] * shape[1]
    assert np.isfinite(places).all()
    assert said_reduced(2, directions).endswith("compared")
