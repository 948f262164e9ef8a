"""Cosmic rays that were planted are taken out, and what the specimen has stays."""

import numpy as np
import pytest

from emcore.methods.unmixing.cosmic_rays import without_cosmic_rays


@pytest.fixture
def scan():
    """Positions of another brightness, half of them with a line of seven channels."""
    rng = np.random.default_rng(0)
    channels = np.arange(400)
    line = 900 * np.exp(-0.5 * ((channels - 150) / 3) ** 2)
    bright = rng.uniform(0.7, 1.4, (12, 14, 1))
    spectra = bright * (200 + 0.2 * channels + line * (np.arange(14) > 6)[:, None])
    return rng.poisson(spectra)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_planted_rays_are_found_and_replaced_and_nothing_else_is(scan, dtype):
    rng = np.random.default_rng(1)
    spoilt = scan.astype(dtype)
    places = set()
    while len(places) < 20:
        places.add((int(rng.integers(12)), int(rng.integers(14)), int(rng.integers(5, 390))))
    for y, x, channel in places:
        spoilt[y, x, channel : channel + 3] += np.array([2000, 9000, 1500], dtype=dtype)
    before = spoilt.copy()
    clean, count = without_cosmic_rays(spoilt, 1.0, 0.0)
    np.testing.assert_array_equal(spoilt, before)
    assert clean.dtype == dtype
    assert count == 20
    left = (clean.astype(float) - scan) / np.sqrt(scan + 1.0)
    assert np.abs(left).max() < 8
    assert np.count_nonzero(clean != scan) < 150


def test_where_there_are_none_the_data_are_not_copied(scan):
    clean, count = without_cosmic_rays(scan, 1.0, 0.0)
    assert clean is scan
    assert count == 0


def test_along_a_line_of_positions_they_are_found_too(scan):
    line = scan[:1].copy()
    line[0, 5, 300] += 5000
    clean, count = without_cosmic_rays(line, 1.0, 0.0)
    assert count == 1
    assert clean[0, 5, 300] < 600
