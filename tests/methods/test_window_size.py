"""Windows hold eight of the strongest period."""

import numpy as np
import pytest

from emcore.datasets import lattice_micrograph
from emcore.methods.power_spectra.window_size import window_for


@pytest.mark.parametrize(("spacing", "expected"), [(3.0, 32), (6.1, 48), (12.0, 96), (31.0, 192), (45.0, 192)])
def test_a_window_holds_eight_periods_within_limits_and_half_of_the_image(spacing, expected):
    window, period = window_for(lattice_micrograph((384, 400), [spacing], [20], noise=0.5).image)
    assert window == expected
    assert period == pytest.approx(spacing, rel=0.02)


def test_a_lattice_in_a_small_part_of_the_image_is_enough():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:512, :512]
    wave = np.cos(2 * np.pi * (x + 0.3 * y) / 8) * (np.hypot(y - 130, x - 130) < 80)
    window, period = window_for(3 * wave + rng.normal(size=(512, 512)))
    assert (window, round(period, 1)) == (64, 7.7)


@pytest.mark.parametrize(("side", "expected"), [(300, 128), (90, 90), (8, 8)])
def test_without_a_period_the_window_is_the_usual_one_or_the_image(side, expected):
    window, period = window_for(np.random.default_rng(0).normal(size=(side, side + 10)))
    assert window == expected
    assert np.isnan(period)
