"""How large segments are and what is merged: what must hold on scans and mergings whose answer is known."""

import math

import numpy as np
import pytest

from emcore.methods.superpixels.choices import Extent, extent, segment_side, stops, why_stop


def squares(lines, width, side, channels=64):
    """Squares of that side, each of values of its own."""
    values = np.random.default_rng(0).standard_normal((lines, width, channels)).astype(np.float32)
    return values.repeat(side, axis=0).repeat(side, axis=1)


def found_in(values):
    return extent(values.reshape(-1, values.shape[-1]), values.shape[:2])


def test_squares_are_alike_to_half_over_half_their_side():
    # At a distance d along a line of 280, 14 (20 - d) of the 280 - d pairs lie in one square.
    half = 0.5 * 14 * 19 / 279
    observed = found_in(squares(14, 14, 20))
    assert observed.certain
    assert observed.half == pytest.approx((280 - 280 * half) / (14 - half), abs=0.1)


def test_it_is_half_that_counts_where_likeness_falls_fast_at_first_and_slowly_then():
    values = squares(5, 5, 60) * np.float32(0.4**0.5) + squares(50, 50, 6) * np.float32(0.6**0.5)
    assert found_in(values).half == pytest.approx(5.3, abs=0.7)


def test_both_axes_of_a_scan_count():
    stripes = np.broadcast_to(squares(1, 12, 10)[:1], (120, 120, 64))
    along, across = found_in(np.ascontiguousarray(stripes)), found_in(np.ascontiguousarray(stripes.swapaxes(0, 1)))
    assert along.half == pytest.approx(across.half, rel=1e-6)


def test_noise_on_squares_does_not_change_how_far_they_reach():
    values = squares(14, 14, 20)
    noise = np.random.default_rng(1).standard_normal(values.shape).astype(np.float32)
    assert found_in(values + 2 * noise).half == pytest.approx(found_in(values).half, abs=0.5)


def test_noise_alone_is_never_certain():
    rng = np.random.default_rng(2)
    assert not any(found_in(rng.standard_normal((30, 30, 20)).astype(np.float32)).certain for _ in range(30))


def test_a_scan_that_does_not_vary_or_has_one_position_is_not_certain():
    assert found_in(np.ones((5, 6, 3), dtype=np.float32)) == Extent(math.inf, False)
    assert found_in(np.ones((1, 1, 3), dtype=np.float32)) == Extent(math.inf, False)


@pytest.mark.parametrize(
    ("half", "scan", "side"), [(20.0, (256, 256), 10.0), (2.0, (256, 256), 3.0), (math.inf, (30, 120), 15.0)]
)
def test_a_segment_is_small_beside_what_is_alike_but_neither_tiny_nor_the_scan(half, scan, side):
    assert segment_side(Extent(half, True), scan) == pytest.approx(side)


def history(*angles):
    return np.column_stack([np.zeros((len(angles), 2)), np.cos(np.radians(angles))])


def test_merging_ends_in_the_widest_gap_from_10_to_60_degrees():
    first, second, *_ = stops(history(2, 4, 12, 25, 29, 70, 85), 8)
    assert (round(first.below), round(first.above), first.n_regions) == (29, 70, 3)
    assert first.width == pytest.approx(31)
    assert np.degrees(np.arccos(first.min_correlation)) == pytest.approx(44.5)
    assert (round(second.below), round(second.above), second.n_regions) == (12, 25, 5)
    assert first.clear
    assert second.clear


def test_pieces_of_one_grain_merge_and_grains_do_not_where_no_angle_lies_between():
    one = stops(history(1, 2, 3), 4)
    assert [stop.n_regions for stop in one] == [1]
    none = stops(history(65, 80), 3)
    assert [stop.n_regions for stop in none] == [3]
    assert "a clear gap" in why_stop(one[0], [])


def test_where_no_gap_is_wide_it_is_said():
    found = stops(history(*np.arange(8, 66, 3)), 21)
    assert not found[0].clear
    assert "where grains end is not clear" in why_stop(found[0], found[1:])
