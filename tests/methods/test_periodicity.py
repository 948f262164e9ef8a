"""The strongest periodicity of a power spectrum is found where it is, and nowhere where there is none."""

import math

import numpy as np
import pytest

from emcore.methods.power_spectra.periodicity import strongest_peak

N = 128


def power(image):
    n = image.shape[0]
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    return np.fft.fftshift(np.abs(np.fft.fft2((image - image.mean()) * taper[:, None] * taper)) ** 2)


def fringes(spacing, direction, n=N, phase=0.3):
    y, x = np.mgrid[:n, :n]
    turn = np.radians(direction)
    return np.cos(2 * np.pi * (np.cos(turn) * x - np.sin(turn) * y) / spacing + phase)


def off(found, true):
    return abs((found - true + 90) % 180 - 90)


@pytest.mark.parametrize("seed", range(20))
def test_fringes_of_any_spacing_and_direction_are_measured_to_one_percent_and_half_a_degree(seed):
    rng = np.random.default_rng(seed)
    spacing, direction = rng.uniform(3, 40), rng.uniform(0, 180)
    image = fringes(spacing, direction, phase=rng.uniform(0, 6)) + 0.1 * rng.normal(size=(N, N))
    found, turn, contrast = strongest_peak(power(image))
    assert found == pytest.approx(spacing, rel=0.01)
    assert off(turn, direction) < 0.5
    assert contrast > 10


@pytest.mark.parametrize("n", [16, 33, 64, 65])
def test_windows_may_be_small_and_odd(n):
    found, turn, _ = strongest_peak(power(fringes(4.3, 37.0, n) + 0.01 * np.random.default_rng(0).normal(size=(n, n))))
    assert found == pytest.approx(4.3, rel=0.02)
    assert off(turn, 37.0) < 2


def test_the_stronger_of_two_sets_of_fringes_is_taken():
    image = fringes(6.0, 20.0) + 0.6 * fringes(9.0, 100.0)
    assert strongest_peak(power(image))[0] == pytest.approx(6.0, rel=0.01)
    image = 0.6 * fringes(6.0, 20.0) + fringes(9.0, 100.0)
    assert strongest_peak(power(image))[0] == pytest.approx(9.0, rel=0.01)


def test_a_gradient_and_a_background_that_falls_with_frequency_are_not_taken_for_a_lattice():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:N, :N]
    noise = np.fft.fft2(rng.normal(size=(N, N)))
    k = np.hypot(np.fft.fftfreq(N)[:, None], np.fft.fftfreq(N))
    falling = np.fft.ifft2(noise / np.maximum(k, 1 / N)).real
    image = fringes(8.0, 60.0) + 0.3 * falling + 0.2 * x - 0.1 * y
    found, turn, _ = strongest_peak(power(image))
    assert found == pytest.approx(8.0, rel=0.02)
    assert off(turn, 60.0) < 2


def test_noise_has_no_spacing():
    mean = np.mean([power(np.random.default_rng(seed).normal(size=(N, N))) for seed in range(20)], axis=0)
    spacing, direction, contrast = strongest_peak(mean)
    assert math.isnan(spacing)
    assert math.isnan(direction)
    assert 1 < contrast < 10
    assert math.isnan(strongest_peak(np.zeros((N, N)))[0])


def test_pixels_that_are_not_square_are_taken_into_account():
    spacing, direction, _ = strongest_peak(power(fringes(8.0, 90.0)), scale=(0.5, 0.25))
    assert spacing == pytest.approx(4.0, rel=0.01)
    assert off(direction, 90.0) < 0.5
    spacing, direction, _ = strongest_peak(power(fringes(8.0, 0.0)), scale=(0.5, 0.25))
    assert spacing == pytest.approx(2.0, rel=0.01)
    # Equal frequencies in bins are twice as large along x in 1/unit.
    _, direction, _ = strongest_peak(power(fringes(8.0, 45.0)), scale=(0.5, 0.25))
    assert off(direction, math.degrees(math.atan2(1, 2))) < 0.5


def test_a_bright_ring_is_not_a_lattice():
    y, x = np.mgrid[:N, :N] - N // 2
    spectrum = 1.0 + 100.0 * (np.rint(np.hypot(y, x)) == 12)
    for sign in (1, -1):
        spectrum[N // 2 + sign * 10, N // 2 + sign * 24] = 60.0
    spacing, direction, _ = strongest_peak(spectrum)
    assert spacing == pytest.approx(N / 26, rel=1e-6)
    assert off(direction, math.degrees(math.atan2(-10, 24))) < 0.01


def test_the_flank_of_a_streak_through_zero_is_not_a_peak():
    y, x = np.mgrid[:N, :N] - N // 2
    spectrum = 1.0 + 1e6 * np.exp(-np.abs(x)) * (y == 0)
    for sign in (1, -1):
        spectrum[N // 2 + sign * 10, N // 2 + sign * 24] = 60.0
    assert strongest_peak(spectrum)[0] == pytest.approx(N / 26, rel=1e-6)
