"""Lines of one phase in the spectrum of another."""

import numpy as np

from emcore.methods.unmixing.joining import spectral_angle
from emcore.methods.unmixing.lines import without_lines_of_others

CHANNELS = np.arange(400)


def spectrum(lines, background):
    peaks = sum(np.exp(-0.5 * ((CHANNELS - at) / 3) ** 2) for at in lines)
    values = peaks + background * np.exp(-CHANNELS / 150)
    return values / values.sum()


def test_a_particle_loses_what_is_left_of_the_lines_of_its_matrix_and_keeps_those_they_share():
    matrix, particle = spectrum((60, 120, 200), 0.02), spectrum((120, 300), 0.02)
    counts = np.random.default_rng(0).poisson(2e5 * np.stack([matrix, 0.8 * particle + 0.2 * matrix]))
    mixed = counts / counts.sum(axis=1, keepdims=True)
    spectra = without_lines_of_others(mixed, np.array([True, False]))
    np.testing.assert_array_equal(spectra[0], mixed[0])
    before, after = (spectral_angle(each[1:], particle[None])[0, 0] for each in (mixed, spectra))
    assert after < 3 < 10 < before


def test_of_a_smooth_background_nothing_is_taken_away():
    smooth = np.stack([spectrum((), 1.0), spectrum((200,), 1.0)])
    np.testing.assert_allclose(without_lines_of_others(smooth, np.array([True, False])), smooth)


def test_a_spectrum_of_which_nothing_would_be_left_stays():
    same = np.stack([spectrum((60,), 0.0)] * 2)
    np.testing.assert_allclose(without_lines_of_others(same, np.array([True, False])), same)
