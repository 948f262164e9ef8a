"""Component maps on a coarse grid become regions of pixels."""

import numpy as np
import pytest

from emcore.methods.power_spectra.regions import (
    comparable,
    leaked_powers,
    mean_powers,
    shares,
    strongest_in_pixels,
    strongest_in_windows,
    typical_powers,
    well_inside,
)
from emcore.workflows.image import analyze_image


def test_regions_are_the_argmax_of_maps_interpolated_linearly_and_extended_to_the_edges():
    from scipy.interpolate import RegularGridInterpolator

    rng = np.random.default_rng(0)
    strength = rng.random((4, 5, 7)).astype(np.float32)
    y, x = 3.5 + 4 * np.arange(5), 3.5 + 3 * np.arange(7)
    shape = (27, 31)
    rows, columns = np.clip(np.arange(27), y[0], y[-1]), np.clip(np.arange(31), x[0], x[-1])
    points = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    values = [RegularGridInterpolator((y, x), s)(points) for s in strength]
    assert np.array_equal(strongest_in_pixels(strength, y, x, shape), np.argmax(values, axis=0))


@pytest.mark.parametrize("grid", [(1, 1), (1, 3), (3, 1)])
def test_one_window_across_is_enough(grid):
    strength = np.arange(2 * grid[0] * grid[1], dtype=np.float32).reshape(2, *grid) + 1
    y, x = 3.5 + np.arange(grid[0]), 3.5 + np.arange(grid[1])
    assert np.array_equal(strongest_in_pixels(strength, y, x, (9, 10)), np.ones((9, 10)))


def test_where_every_map_is_zero_there_is_no_region():
    strength = np.zeros((2, 3, 3), dtype=np.float32)
    strength[1, :, 2] = 1
    y = x = np.array([2.0, 4.0, 6.0])
    labels = strongest_in_pixels(strength, y, x, (9, 9))
    assert np.all(labels[:, :5] == -1)
    assert np.all(labels[:, 5:] == 1)
    assert strongest_in_windows(strength).tolist() == [[-1, -1, 1]] * 3


def test_the_scale_of_a_map_does_not_matter():
    rng = np.random.default_rng(1)
    maps = rng.random((3, 8, 9)).astype(np.float32)
    scaled = maps * np.array([1, 30, 0.01], dtype=np.float32)[:, None, None]
    assert np.array_equal(strongest_in_windows(comparable(maps)), strongest_in_windows(comparable(scaled)))


@pytest.mark.parametrize("area", [0.02, 0.3, 0.9])
def test_a_component_has_level_one_in_its_region_however_small_that_is(area):
    maps = np.zeros((1, 20, 50), dtype=np.float32) + 0.02
    maps.reshape(-1)[: int(area * 1000)] = 7.0
    assert comparable(maps).max() == pytest.approx(1, abs=0.02)


def test_an_absent_component_is_nowhere_the_strongest():
    maps = np.stack([np.ones((3, 3)), np.zeros((3, 3))]).astype(np.float32)
    assert np.all(strongest_in_windows(comparable(maps)) == 0)


@pytest.mark.parametrize("reach", [(0, 0), (1, 1), (2, 1), (0, 3), (9, 9)])
def test_windows_are_well_inside_where_all_around_them_are_alike(reach):
    labels = np.kron(np.array([[0, 0, 1], [2, 0, 1], [2, -1, 1]]), np.ones((4, 5), dtype=int))
    labels[7, 8] = 3
    near = [
        labels[max(i - reach[0], 0) : i + reach[0] + 1, max(j - reach[1], 0) : j + reach[1] + 1]
        for i, j in np.ndindex(labels.shape)
    ]
    alone = np.array([np.ptp(each) == 0 for each in near]).reshape(labels.shape)
    inside = np.where(alone, labels, -1)
    expected = np.where(np.isin(labels, inside), inside, labels)
    assert np.array_equal(well_inside(labels, reach), expected)
    assert set(np.unique(expected)) == set(np.unique(labels))


def test_means_and_typical_spectra_are_those_of_the_windows_with_a_label():
    rng = np.random.default_rng(0)
    power = rng.exponential(size=(500, 6))
    rows = np.log1p(power).astype(np.float32)
    labels = rng.choice([-1, 0, 1, 3], size=500)
    mean, typical = mean_powers(rows, labels, 4), typical_powers(rows, labels, 4)
    for label in (0, 1, 3):
        assert np.allclose(mean[label], power[labels == label].mean(axis=0), rtol=1e-5)
        assert np.allclose(typical[label], np.expm1(np.log1p(power[labels == label]).mean(axis=0)), rtol=1e-5)
    assert np.all(mean[2] == 0)
    assert np.all(typical[2] == 0)


@pytest.mark.parametrize("window", [8, 48, 64])
def test_shares_are_the_tapered_areas_of_regions_in_windows(window):
    regions = np.full((200, 170), -1, dtype=np.int32)
    y, x = np.mgrid[:200, :170]
    regions[y + 0.5 * x > 90] = 0
    regions[np.hypot(y - 120, x - 80) < 40] = 1
    starts = np.arange(0, 170 - window + 1, window // 4)
    centres = starts + (window - 1) / 2
    observed = shares(regions, 2, centres, centres, window)
    taper = 0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(window) - (window - 1) / 2) / window)
    weights = taper[:, None] * taper / taper.sum() ** 2
    for label in (0, 1):
        for i, row in enumerate(starts):
            for j, column in enumerate(starts):
                here = regions[row : row + window, column : column + window] == label
                assert observed[label, i, j] == pytest.approx((weights * here).sum(), abs=0.04)


def test_what_leaks_is_what_a_window_over_a_border_shows_of_the_other_side():
    x = np.tile(np.arange(64), (64, 1))
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(64) + 0.5) / 64)
    wave = np.cos(2 * np.pi * x / 8)

    def power(image):
        return np.fft.fftshift(np.abs(np.fft.fft2(image * taper[:, None] * taper)) ** 2)

    border = power(np.where(x < 40, wave, 0.0))
    regions = (x < 40).astype(np.int32)
    of_regions = shares(regions, 2, np.array([31.5]), np.array([31.5]), 64)
    leaked = leaked_powers(np.stack([border, power(wave)]), np.array([[0]]), of_regions)
    assert leaked[0, 32, 40] == pytest.approx(border[32, 40], rel=0.1)
    assert np.all(leaked[1] == 0)


def test_a_lattice_ends_where_windows_lie_half_on_it_though_what_it_lies_on_goes_on():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(192, 384))
    x = np.arange(384)
    image += 2 * np.cos(2 * np.pi * (x + 0.3 * np.arange(192)[:, None]) / 8) * (x >= 200)
    result = analyze_image(image, window=64)
    assert result.n_components == 2
    left, right = result.regions[:, :150], result.regions[:, 250:]
    assert np.ptp(left) == np.ptp(right) == 0
    found = np.count_nonzero(result.regions == left[0, 0], axis=1)
    assert abs(found.mean() - 200) < 6
