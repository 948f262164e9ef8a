"""The strongest periodicities of a power spectrum are found where they are, and nowhere where there are none."""

import math

import numpy as np
import pytest

from emcore.methods.power_spectra.periodicity import angle_between, strongest_peak, strongest_peaks

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
    spacing, direction = rng.uniform(3, 31), rng.uniform(0, 180)
    image = fringes(spacing, direction, phase=rng.uniform(0, 6)) + 0.1 * rng.normal(size=(N, N))
    found, turn, contrast = strongest_peak(power(image))
    assert found == pytest.approx(spacing, rel=0.01)
    assert off(turn, direction) < 0.5
    assert contrast > 10


@pytest.mark.parametrize("n", [16, 33, 64, 65])
def test_windows_may_be_small_and_odd(n):
    found, turn, _ = strongest_peak(power(fringes(3.5, 37.0, n) + 0.01 * np.random.default_rng(0).normal(size=(n, n))))
    assert found == pytest.approx(3.5, rel=0.02)
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


@pytest.mark.parametrize("spacing", [5.0, 12.0, 24.0, 29.0])
@pytest.mark.parametrize("between", [60, 90])
def test_a_lattice_of_any_period_below_a_quarter_of_the_window_stands_out_of_its_own_other_peaks(spacing, between):
    waves = [fringes(spacing, 13.0 + turn, phase=turn) for turn in range(0, 180, between)]
    assert strongest_peak(power(noisy(sum(waves))))[0] == pytest.approx(spacing, rel=0.01)


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


def noisy(image, seed=0, much=0.3):
    return image + much * np.random.default_rng(seed).normal(size=image.shape)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("between", "ratio"), [(60.0, 1.0), (90.0, 1.0), (71.0, 1.25)])
def test_a_lattice_has_two_peaks_and_the_angle_between_them(between, ratio, seed):
    rng = np.random.default_rng(seed)
    spacing, direction = rng.uniform(5, 14), rng.uniform(0, 180)
    true = [(spacing, direction), (ratio * spacing, (direction + between) % 180)]
    waves = [fringes(*true[0]), 0.8 * fringes(*true[1])]
    if between == 60.0:
        waves.append(0.6 * fringes(spacing, direction + 120.0))
    first, second = strongest_peaks(power(noisy(sum(waves), seed)))
    for found, (period, turn) in zip((first, second), true, strict=True):
        assert found[0] == pytest.approx(period, rel=0.01)
        assert off(found[1], turn) < 0.7
        assert found[2] > 10
    assert angle_between(first[1], second[1]) == pytest.approx(between, abs=1)


@pytest.mark.parametrize("direction", [0.0, 17.0, 45.0, 90.0, 133.0])
@pytest.mark.parametrize("spacing", [2.7, 5.3, 11.0])
def test_fringes_have_no_second_peak_whatever_their_profile(spacing, direction):
    for image in (fringes(spacing, direction), np.sign(fringes(spacing, direction))):
        first, second = strongest_peaks(power(noisy(image)))
        assert first[0] == pytest.approx(spacing, rel=0.01)
        assert math.isnan(second[0])
        assert math.isnan(second[1])
        assert math.isnan(angle_between(first[1], second[1]))


def test_a_second_peak_is_not_a_harmonic_however_strong_that_is():
    image = fringes(12.0, 30.0) + 0.9 * fringes(6.0, 30.0) + 0.8 * fringes(4.0, 30.0) + 0.4 * fringes(9.0, 110.0)
    _, second = strongest_peaks(power(noisy(image)))
    assert second[0] == pytest.approx(9.0, rel=0.01)


def test_the_second_peak_too_takes_pixels_that_are_not_square_into_account():
    first, second = strongest_peaks(power(fringes(8.0, 0.0) + 0.8 * fringes(8.0, 45.0)), scale=(0.5, 0.25))
    assert (first[0], off(first[1], 0.0) < 0.5) == (pytest.approx(2.0, rel=0.01), True)
    assert angle_between(first[1], second[1]) == pytest.approx(math.degrees(math.atan2(1, 2)), abs=0.5)


@pytest.mark.parametrize("along", [0, 1])
def test_noise_that_differs_from_scan_line_to_scan_line_is_no_lattice(along):
    def lines(seed):
        rng = np.random.default_rng(seed)
        return noisy(np.repeat(np.cumsum(rng.normal(size=N)) + 2 * rng.normal(size=N), N).reshape(N, N), seed)

    images = [image if along == 0 else image.T for image in map(lines, range(20))]
    assert math.isnan(strongest_peak(np.mean([power(image) for image in images], axis=0))[0])
    lattice = 3 * fringes(7.0, 25.0) + 3 * fringes(7.0, 85.0)
    first, second = strongest_peaks(np.mean([power(image + lattice) for image in images], axis=0))
    assert [first[0], second[0]] == pytest.approx([7.0, 7.0], rel=0.01)


def test_an_edge_is_no_lattice():
    y, x = np.mgrid[:N, :N]
    images = [noisy(10 / (1 + np.exp(60 + 4 * seed - y - 0.5 * x)), seed, 0.05) for seed in range(20)]
    assert math.isnan(strongest_peak(np.mean([power(image) for image in images], axis=0))[0])


@pytest.mark.parametrize(
    ("first", "second", "between"), [(0, 60, 60), (0, 120, 60), (179, 1, 2), (10, 100, 90), (30, 30, 0)]
)
def test_the_angle_between_directions_is_at_most_a_right_one(first, second, between):
    assert angle_between(first, second) == angle_between(second, first) == between


def mean_power(images):
    return np.mean([power(image) for image in images], axis=0)


@pytest.mark.parametrize("spacing", [33.0, 40.0, 55.0])
def test_what_repeats_fewer_than_four_times_in_a_window_is_not_claimed_nor_its_harmonics(spacing):
    profile = fringes(spacing, 20.0) + 0.6 * fringes(spacing / 2, 20.0) + 0.4 * fringes(spacing / 3, 20.0)
    images = [noisy(profile, seed) for seed in range(20)]
    assert math.isnan(strongest_peaks(mean_power(images), windows=20)[0][0])
    images = [image + fringes(6.1, 75.0) for image in images]
    assert strongest_peaks(mean_power(images), windows=20)[0][0] == pytest.approx(6.1, rel=0.01)


def test_a_lattice_in_few_bright_windows_is_not_typical_of_all():
    images = [np.random.default_rng(seed).normal(size=(N, N)) for seed in range(20)]
    images[3] += fringes(9.0, 40.0)
    spectra = [power(image) for image in images]
    mean, typical = np.mean(spectra, axis=0), np.exp(np.mean(np.log(spectra), axis=0))
    assert strongest_peaks(mean, windows=20)[0][0] == pytest.approx(9.0, rel=0.01)
    assert math.isnan(strongest_peaks(mean, typical=typical, windows=20)[0][0])


@pytest.mark.parametrize("part", [0.1, 0.5])
def test_a_peak_that_a_neighbour_explains_is_not_claimed(part):
    image = noisy(fringes(9.0, 40.0) + 0.9 * fringes(7.0, 120.0))
    leaked = part * power(noisy(fringes(9.0, 40.0), 1))
    first, second = strongest_peaks(power(image), leaked=leaked)
    assert first[0] == pytest.approx(9.0 if part == 0.1 else 7.0, rel=0.01)
    assert math.isnan(second[0]) == (part == 0.5)


def test_single_windows_of_noise_have_no_lattice_though_their_peaks_are_high():
    spectra = [power(np.random.default_rng(seed).normal(size=(N, N))) for seed in range(50)]
    assert all(math.isnan(strongest_peaks(spectrum)[0][0]) for spectrum in spectra)
    # They would be taken for one if they were the mean of many.
    assert sum(math.isfinite(strongest_peaks(spectrum, windows=50)[0][0]) for spectrum in spectra) > 10


@pytest.mark.parametrize("along", [0, 1])
def test_a_peak_on_the_axis_of_noisy_lines_alone_is_no_lattice(along):
    def windows(lines, lattice):
        for seed in range(20):
            rng = np.random.default_rng(seed)
            rows = lines * rng.normal(size=(N, 1)) + 0.5 * np.cos(2 * np.pi * np.arange(N) / 7 + seed)[:, None]
            image = rows + rng.normal(size=(N, N)) + lattice * (fringes(9.0, 30.0) + fringes(9.0, 120.0))
            yield image if along == 0 else image.T

    found = {
        (lines, lattice): strongest_peaks(mean_power(windows(lines, lattice)), windows=20)[0][0]
        for lines in (0.0, 1.0)
        for lattice in (0.0, 1.0)
    }
    assert found[0.0, 0.0] == pytest.approx(7.0, rel=0.01)
    assert math.isnan(found[1.0, 0.0])
    assert found[0.0, 1.0] == pytest.approx(9.0, rel=0.01)
    assert found[1.0, 1.0] == pytest.approx(9.0, rel=0.01)


def test_sharp_edges_that_the_sampling_folds_back_are_no_lattice():
    y, x = np.mgrid[:N, :N]
    for angle in np.radians([5, 10, 14, 31, 44, 77]):
        shifts = np.linspace(-30, 30, 12)
        images = [10.0 * ((x - 64) * np.cos(angle) + (y - 64) * np.sin(angle) > shift) for shift in shifts]
        images = [noisy(image, seed, 0.02) for seed, image in enumerate(images)]
        assert math.isnan(strongest_peaks(mean_power(images), windows=4)[0][0])
