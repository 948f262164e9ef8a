"""The noise of spectra as it is measured, against noise that was made."""

import numpy as np
import pytest

from emcore.methods.selection.measured_noise import measure_noise


def pairs(signal, gain, read=0.0, count=40, seed=0):
    """Neighbouring spectra of a camera, of another brightness each."""
    rng = np.random.default_rng(seed)
    bright = rng.uniform(0.8, 1.2, (2, count, 1))
    return gain * rng.poisson(bright * signal / gain) + rng.normal(0, read or 1e-9, (2, count, len(signal)))


SIGNAL = 4000 * np.exp(-np.arange(800) / 200) + 300


@pytest.mark.parametrize("gain", [0.25, 1.0, 4.0, 17.0])
def test_the_gain_is_that_of_the_noise(gain):
    noise = measure_noise(*np.maximum(pairs(SIGNAL, gain), 0))
    assert noise.gain == pytest.approx(gain, rel=0.05)
    assert noise.steady
    assert noise.bin == 1
    assert noise.counts == (gain == 1)


def test_read_noise_is_told_from_the_gain():
    signal = 3000 * np.exp(-np.arange(800) / 100) + 60
    noise = measure_noise(*np.maximum(pairs(signal, 4.0, read=20.0, count=60), 0))
    assert noise.gain == pytest.approx(4, rel=0.3)
    assert noise.read == pytest.approx(20, rel=0.2)


def test_noise_that_spreads_over_channels_is_white_when_they_are_summed():
    spread = np.array([0.25, 0.5, 0.25])
    values = np.apply_along_axis(np.convolve, -1, pairs(SIGNAL, 10.0), spread, "same")
    noise = measure_noise(*values)
    assert noise.bin > 1
    assert noise.gain == pytest.approx(10 * (spread**2).sum(), rel=0.1)
    # A sum of many channels has the noise of what was there before the spread, of four most of it.
    assert 7 < noise.gain_of_bin < 10.5


@pytest.mark.parametrize("counts", [20, 200, 3000])
def test_counts_of_spectra_that_differ_in_some_lines_have_the_gain_one(counts):
    rng = np.random.default_rng(0)
    background = np.exp(-np.arange(1000) / 150) + 0.02
    spectra = np.stack([background, background])
    spectra[0, 200:212] += 4
    spectra[1, 600:612] += 4
    spectra *= counts / spectra.sum(axis=1, keepdims=True)
    first, second = rng.poisson(spectra[rng.integers(0, 2, (2, 60))])
    assert measure_noise(first, second).gain == pytest.approx(1, abs=0.1)


def test_where_next_to_nothing_was_measured_nothing_is_said():
    few = np.random.default_rng(0).poisson(0.002, (2, 60, 1000))
    assert measure_noise(*few) is None
    assert measure_noise(np.zeros((5, 300)), np.zeros((5, 300))) is None


def test_groups_of_the_same_brightness_do_not_say_how_noise_follows_the_signal():
    rng = np.random.default_rng(11)
    images = np.full((40, 800), 520.0)
    images[:, 500:] = np.cumsum(rng.normal(size=(40, 300)), axis=1).cumsum(axis=1) ** 2 + 1000
    values = np.rint(images + rng.normal(size=images.shape))
    noise = measure_noise(values[:-1], values[1:])
    assert noise.no_counts
    assert not noise.steady
    counts = rng.poisson(520, (2, 40, 800))
    assert measure_noise(*counts).counts
    assert not measure_noise(*counts).no_counts
