"""Grains that are nearly alike, grains that bend as much, patterns of few counts: what is one grain, what are two."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emcore
from emcore.datasets import adjusted_rand_index
from emcore.datasets.grains import voronoi_cells
from emcore.methods.superpixels.borders import merge_along_borders
from emcore.methods.superpixels.cuts import cut_at_steps
from emcore.methods.superpixels.pieces_of_noise import without_noise
from emcore.methods.superpixels.slic import merged_after, renumbered
from emcore.scans import channels
from emcore.scans.channels import choose_channels, statistics
from emcore.scans.patterns import pattern_source, scan_of_patterns
from emcore.workflows.grains_steps import grains_of

SPOTS = np.stack(np.meshgrid(np.arange(3, 32, 5), np.arange(3, 32, 5), indexing="ij"), axis=-1).reshape(-1, 2)


def patterns_of(strengths, counts, rng):
    """Counts in spots of given strengths, shape (..., 36), on a weak background, shape (..., 32, 32)."""
    y, x = np.indices((32, 32))
    spots = np.stack([np.hypot(y - place[0], x - place[1]) < 1.6 for place in SPOTS]).astype(float)
    mean = np.tensordot(strengths, spots, 1) + 0.05
    return rng.poisson(counts * mean / mean.sum(axis=(-2, -1), keepdims=True)).astype(np.uint16)


def alike(change, counts=1500, shape=(30, 40)):
    """Four grains, two of them of nearly the same pattern: `change` says how far from one to the other at a column."""
    rng = np.random.default_rng(4)
    strengths = rng.exponential(size=(4, len(SPOTS))) ** 2
    other = strengths[0] * np.where(np.arange(len(SPOTS)) % 3 == 0, 0.3, 1.1)
    height, width = shape
    y, x = np.indices(shape)
    labels = np.where(y < height // 2, 0, 1 + 3 * x // width)
    part = change(x / width)[..., None]
    of = np.where((labels == 0)[..., None], (1 - part) * strengths[0] + part * other, strengths[labels])
    return patterns_of(of, counts, rng), np.where(labels == 0, np.where(x < width // 2, 0, 4), labels)


def test_two_grains_that_are_nearly_alike_are_parted_where_patterns_change_at_once():
    patterns, labels = alike(lambda x: (x >= 0.5).astype(float))
    result = emcore.segment_grains(patterns, method="slic", mask_beam=False)
    assert result.n_grains == 5
    assert adjusted_rand_index(labels, result.labels) > 0.99
    assert "patterns change at once along 1 border" in result.reason
    # Another cut is of the same mergings.
    assert np.array_equal(result.recut(result.min_correlation).labels, result.labels)


def test_a_grain_that_bends_as_much_is_one():
    patterns, labels = alike(lambda x: x)
    result = emcore.segment_grains(patterns, method="slic", mask_beam=False)
    assert result.n_grains == 4
    assert adjusted_rand_index(np.where(labels == 4, 0, labels), result.labels) > 0.99
    assert "at once" not in result.reason


def halves(line, seed=0):
    """Two grains, 48 positions wide, of values along a line, in segments one column of which lies across the border."""
    values = np.float32(line + np.random.default_rng(seed).normal(size=(24, 48, line.shape[-1])))
    segments = (np.arange(24)[:, None] // 4 * 6 + (np.arange(48) + 7) // 9).astype(np.int32)
    return renumbered(segments), values


@pytest.mark.parametrize("seed", range(3))
def test_grains_do_not_merge_by_way_of_segments_that_lie_in_both(seed):
    truth = (np.arange(48) >= 24).astype(np.int32)[None].repeat(24, axis=0)
    truth[12:] = 2
    angles = np.radians([0, 50, 205])
    line = np.zeros((3, 40))
    line[:, 0], line[:, 1] = 20 * np.cos(angles), 20 * np.sin(angles)
    segments, values = halves(line[truth], seed)
    segments[truth == 2] += int(segments.max()) + 1
    segments = renumbered(segments)
    found = grains_of(segments, values, 40.0, "auto", None, None)
    assert adjusted_rand_index(truth, found.labels) == 1
    assert adjusted_rand_index(truth, grains_of(segments, values, 40.0, "auto", None, None, cuts=0).labels) < 0.9


@pytest.mark.parametrize("far", [4.0, 9.0])
def test_segments_of_a_bent_grain_and_of_noise_are_not_cut(far):
    bent = np.zeros((48, 9))
    bent[:, 0], bent[:, 1] = np.linspace(0, far, 48), np.linspace(far, 0, 48)
    for line in (bent, np.zeros((48, 9))):
        segments, values = halves(line)
        history = np.array([[0, other, 0.7] for other in range(1, segments.max() + 1)])
        assert cut_at_steps(segments, np.zeros_like(segments), values, history) is None


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.integers(2, 5), st.integers(6, 20), st.integers(6, 30))
def test_pieces_of_cut_segments_lie_in_one_segment_of_a_region_or_are_small(seed, kinds, height, width):
    rng = np.random.default_rng(seed)
    truth = voronoi_cells((height, width), kinds, rng)
    values = np.float32(9 * rng.normal(size=(kinds, 12))[truth] + rng.normal(size=(height, width, 12)))
    y, x = np.indices(truth.shape)
    segments = renumbered((y // 5 * 40 + x // 5).astype(np.int32))
    segments[(y < 2) & (x < 2)] = -1
    segments = renumbered(segments)
    history = merge_along_borders(segments, values)
    regions = merged_after(segments, history, len(history) // 2)
    cut = cut_at_steps(segments, regions, values, history[: len(history) // 2])
    if cut is not None:
        assert np.array_equal(cut < 0, segments < 0)
        assert np.array_equal(np.unique(cut[cut >= 0]), np.arange(cut.max() + 1))
        for piece in range(cut.max() + 1):
            assert len(np.unique(regions[cut == piece])) == 1


def test_what_is_asked_for_is_not_parted():
    patterns, _ = alike(lambda x: (x >= 0.5).astype(float))
    assert emcore.segment_grains(patterns, n_grains=4, mask_beam=False).n_grains == 4


@pytest.mark.parametrize(("counts", "factor"), [(2000, 1), (20, 2)])
def test_bins_are_coarser_where_hardly_a_pattern_has_a_count_in_one(counts, factor):
    rng = np.random.default_rng(0)
    strengths = rng.exponential(size=(4, len(SPOTS)))[np.repeat(np.arange(4), 200).reshape(20, 40)]
    patterns = patterns_of(strengths, counts, rng)
    source = pattern_source(scan_of_patterns(patterns), None, 8)
    empty, used = np.zeros(800, dtype=bool), np.ones((32, 32), dtype=bool)
    found = choose_channels(source, (20, 40), patterns.mean(axis=(0, 1)), empty, used, 32)
    assert found.factor == factor
    assert (found.known.counts > 0.09) == (counts > 100 or factor > 1)


def test_how_coarse_bins_of_a_large_scan_must_be_is_found_on_a_part_of_it(monkeypatch):
    rng = np.random.default_rng(1)
    strengths = rng.exponential(size=(4, len(SPOTS)))[np.repeat(np.arange(4), 400).reshape(40, 40)]
    patterns = patterns_of(strengths, 2000, rng)
    source = pattern_source(scan_of_patterns(patterns), None, 8)
    given = (40, 40), patterns.mean(axis=(0, 1)), np.zeros(1600, dtype=bool), np.ones((32, 32), dtype=bool)
    asked = []

    def spy(*arguments):
        asked.append(arguments[-2:])
        return statistics(*arguments)

    monkeypatch.setattr(channels, "statistics", spy)
    monkeypatch.setattr(channels, "_POSITIONS", 1600)
    monkeypatch.setattr(channels, "_BYTES", 4 * 1600 * 100)
    found = choose_channels(source, *given, 32)
    assert len(found.known.mean) <= 100
    assert [most for _, most in asked[:-1]] == [400] * (len(asked) - 1)
    assert (list(asked[-1][0]), asked[-1][1]) == ([found.factor], 1600)
    assert len(asked) > 2
    (whole,) = statistics(source, *given, [found.factor])
    np.testing.assert_array_equal(found.known.noise, whole.of(whole.varying).noise)


def few_counts():
    """Six grains at 30 counts a pattern."""
    rng = np.random.default_rng(2)
    labels = voronoi_cells((40, 48), 6, rng)
    return patterns_of((rng.exponential(size=(6, len(SPOTS))) ** 2)[labels], 30, rng), labels


def test_pieces_of_noise_are_no_grains():
    patterns, labels = few_counts()
    result = emcore.segment_grains(patterns, method="slic", mask_beam=False)
    assert result.n_grains == 6
    assert adjusted_rand_index(labels, result.labels) > 0.99
    assert np.array_equal(result.recut(result.min_correlation).labels, result.labels)


def test_a_small_grain_that_differs_by_more_than_noise_stays():
    values = np.random.default_rng(0).normal(size=(12, 12, 50)).astype(np.float32)
    segments = (np.arange(12) // 4 + 3 * (np.arange(12)[:, None] // 4)).astype(np.int32)
    labels = np.where(segments == 4, 1, 0).astype(np.int32)
    joined = without_noise(segments, labels, values, 50.0)
    assert joined is not None
    assert joined.max() == 7
    assert len(np.unique(joined[4:8, 4:8])) == 1
    values[4:8, 4:8] += 1
    assert without_noise(segments, labels, values, 50.0) is None
