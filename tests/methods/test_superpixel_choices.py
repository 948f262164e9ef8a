"""How large segments are and what is merged: what must hold on scans and mergings whose answer is known."""

import math

import numpy as np
import pytest

from emcore.methods.superpixels.choices import Extent, choose_correlation, extent, segment_side


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
    ("half", "scan", "side"), [(20.0, (256, 256), 8.0), (2.0, (256, 256), 3.0), (math.inf, (30, 120), 15.0)]
)
def test_a_segment_is_small_beside_what_is_alike_but_neither_tiny_nor_the_scan(half, scan, side):
    assert segment_side(Extent(half, True), scan) == pytest.approx(side)


def choice(*correlations):
    return choose_correlation(np.column_stack([np.zeros((len(correlations), 2)), correlations]))


def test_what_hardly_correlates_is_never_merged_and_what_does_may_be():
    least, reason = choice(0.1, 0.05, -0.3)
    assert least == pytest.approx(0.15)
    assert "nothing was merged" in reason
    assert 0.0 < choice(0.4, 0.38, 0.0)[0] < 0.38


def test_grains_that_all_correlate_are_told_from_what_does_not():
    # Nothing merges below 0.9: the widest gap is the one down to 0.
    assert 0.0 < choice(0.99, 0.95, 0.9)[0] < 0.9
