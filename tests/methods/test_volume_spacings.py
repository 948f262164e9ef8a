"""Spacings of peaks in three dimensions, and radial profiles."""

import numpy as np
import pytest

from emcore.methods.volume.spacings import full_spectrum, radial_profile, strongest_spacings


def spectrum_of(values):
    power = np.abs(np.fft.fftn(values - values.mean())) ** 2
    return power[:, :, : values.shape[2] // 2 + 1]


@pytest.mark.parametrize("n", [15, 16])
def test_a_half_spectrum_becomes_the_whole_one(n):
    values = np.random.default_rng(n).normal(size=(n, n, n))
    whole = np.fft.fftshift(np.abs(np.fft.fftn(values - values.mean())) ** 2)
    np.testing.assert_allclose(full_spectrum(spectrum_of(values)), whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [15, 16])
def test_a_profile_is_the_mean_of_the_whole_spectrum_over_shells(n):
    values = np.random.default_rng(n).normal(size=(n, n, n))
    half = spectrum_of(values)
    k = np.fft.fftshift(np.fft.fftfreq(n) * n)
    shell = np.rint(np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k**2))
    expected = [full_spectrum(half)[shell == q].mean() for q in range(1, n // 2 + 1)]
    np.testing.assert_allclose(radial_profile(half), expected)


def test_spacings_of_waves_between_the_points_of_the_spectrum_are_found_the_strongest_first():
    rng = np.random.default_rng(0)
    place = np.stack(np.meshgrid(*[np.arange(32.0)] * 3, indexing="ij"), axis=-1)
    values = 0.2 * rng.normal(size=(32, 32, 32))
    waves = ((6.3, (1, 2, 2), 1.0), (4.4, (2, -1, 2), 0.6))
    for spacing, direction, strength in waves:
        u = np.array(direction) / 3
        values += strength * np.cos(2 * np.pi / spacing * place @ u)
    found = strongest_spacings(full_spectrum(spectrum_of(values)))
    for i, (spacing, direction, _) in enumerate(waves):
        assert found.spacing[i] == pytest.approx(spacing, rel=0.03)
        assert abs(found.direction[i] @ np.array(direction) / 3) > 0.995
    assert np.isnan(found.spacing[2])


def test_noise_has_no_spacing():
    values = np.random.default_rng(1).normal(size=(24, 24, 24, 20))
    spectrum = np.mean([full_spectrum(spectrum_of(values[..., i])) for i in range(20)], axis=0)
    assert np.isnan(strongest_spacings(spectrum).spacing).all()
