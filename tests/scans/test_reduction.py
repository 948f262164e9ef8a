"""Patterns binned and reduced to what varies by more than noise."""

import numpy as np
import pytest

import emcore
from emcore.datasets import polycrystal_scan
from emcore.scans import binning, reduction
from emcore.scans.binning import visit_binned
from emcore.scans.patterns import as_pattern_rows
from emcore.scans.reduction import reduce_patterns


@pytest.fixture(scope="module")
def sample():
    return polycrystal_scan((16, 20), n_grains=3)


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4"])
def test_bins_are_sums_of_their_pixels(dtype, factor):
    patterns = np.random.default_rng(0).integers(0, 200, (5, 9, 12)).astype(dtype)
    matrix = as_pattern_rows(patterns[None])
    observed = visit_binned(matrix, np.arange(5), np.ones((9, 12), dtype=bool), factor, lambda bins: bins)
    wide = np.pad(patterns.astype(float), [(0, 0), (0, -9 % factor), (0, -12 % factor)])
    expected = wide.reshape(5, wide.shape[1] // factor, factor, -1, factor).sum(axis=(2, 4))
    assert np.array_equal(observed, expected.reshape(5, -1))


def test_blocks_masks_and_turned_detectors_change_no_bin(monkeypatch, sample):
    keep = np.random.default_rng(0).random((64, 64)) > 0.3
    positions = np.r_[np.arange(5, 60), np.arange(100, 300, 3)]
    masked = np.where(keep, sample.patterns, 0).reshape(-1, 64, 64)[positions]
    expected = masked.reshape(-1, 16, 4, 16, 4).sum(axis=(2, 4)).reshape(-1, 256)
    turned = np.ascontiguousarray(sample.patterns[:, :, ::-1])[:, :, ::-1]
    monkeypatch.setattr(binning, "_BYTES", 7 * 8192)
    for patterns in (sample.patterns, turned):
        matrix = as_pattern_rows(patterns)
        observed = visit_binned(matrix, positions, keep, 4, lambda bins: bins)
        assert np.array_equal(observed, expected)


def test_a_pixel_that_is_only_noise_is_left_out_however_strong(sample):
    patterns = sample.patterns.copy()
    patterns[..., 8, 8] = np.random.default_rng(0).integers(0, 60_000, (16, 20))
    matrix = as_pattern_rows(patterns)
    keep = np.ones((64, 64), dtype=bool)
    noisy = reduce_patterns(matrix, np.arange(320), keep)
    clean = reduce_patterns(as_pattern_rows(sample.patterns), np.arange(320), keep)
    assert noisy.kept == clean.kept
    assert np.allclose(noisy.places, clean.places, atol=1e-3)


def test_places_are_the_same_bits_on_any_number_of_threads_and_nearly_so_from_a_sample(monkeypatch, sample):
    matrix, keep = as_pattern_rows(sample.patterns), np.ones((64, 64), dtype=bool)
    monkeypatch.setattr(binning, "_BYTES", 20 * 8192)
    observed = []
    for threads in (1, 3):
        with emcore.num_threads(threads):
            observed.append(reduce_patterns(matrix, np.arange(320), keep).places)
    assert np.array_equal(*observed)
    monkeypatch.setattr(reduction, "SAMPLE", 150)
    part = reduce_patterns(matrix, np.arange(320), keep).places
    apart = [np.linalg.norm(each[:, None] - each, axis=2) for each in (observed[0], part)]
    assert np.corrcoef(apart[0].ravel(), apart[1].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("shape", [(1, 2), (1, 9), (9, 1), (2, 2)])
def test_lines_and_a_few_positions_are_reduced_too(sample, shape):
    patterns = sample.patterns[: shape[0], : shape[1]]
    found = reduce_patterns(as_pattern_rows(patterns), np.arange(shape[0] * shape[1]), np.ones((64, 64), dtype=bool))
    assert len(found.places) == shape[0] * shape[1]
    assert np.isfinite(found.places).all()
    assert found.note.endswith("compared")
