"""Synthetic crystal grains hold what their labels say."""

import numpy as np
import pytest

from emcore.datasets import crystal_grains, moving_boundary


@pytest.mark.parametrize("kind", ["hexagonal", "square"])
@pytest.mark.parametrize("turn", [0.0, 17.0])
def test_a_grain_has_the_spacing_and_direction_that_are_claimed(kind, turn):
    sample = crystal_grains((300, 340), [kind], [turn], period=11.0, noise=0.0)
    power = np.abs(np.fft.fft2(sample.image - sample.image.mean(), s=(2048, 2048))) ** 2
    iy, ix = np.unravel_index(np.argmax(power), power.shape)
    ky, kx = np.fft.fftfreq(2048)[iy], np.fft.fftfreq(2048)[ix]
    assert 1 / np.hypot(ky, kx) == pytest.approx(sample.spacing[0], rel=0.01)
    fold = 60 if kind == "hexagonal" else 90
    off = (np.degrees(np.arctan2(-ky, kx)) - sample.direction[0] + fold / 2) % fold - fold / 2
    assert abs(off) < 1


def test_columns_are_one_high_and_noise_has_the_size_asked_for():
    clean, noisy = (crystal_grains((200, 200), ["square"], [9.0], 14.0, noise, 3).image for noise in (0.0, 0.5))
    assert clean.max() == pytest.approx(1, abs=0.1)
    assert clean.min() >= 0
    assert np.std(noisy - clean) == pytest.approx(0.5, rel=0.02)


def test_a_grain_without_a_lattice_is_noise_alone():
    sample = crystal_grains((300, 300), ("hexagonal", "none"), (0.0, 0.0), noise=0.0)
    assert np.isnan(sample.spacing).tolist() == [False, True]
    assert sample.image[sample.labels == 1].mean() < 0.02 < sample.image[sample.labels == 0].mean()


def test_the_border_of_a_series_moves_from_start_to_stop_and_grains_stay_where_they_are():
    series = moving_boundary(5, (120, 200), noise=0.0, start=0.2, stop=0.8)
    shares = (series.labels == 0).mean(axis=(1, 2))
    assert np.allclose(shares, np.linspace(0.2, 0.8, 5), atol=0.02)
    both = (series.labels == series.labels[0]).all(axis=0) & (np.abs(np.arange(200) - 100) > 90)
    assert np.allclose(series.frames[:, both], series.frames[0, both], atol=1e-6)


def test_the_same_seed_gives_the_same_images_and_noise_is_new_in_every_frame():
    first, again, other = (crystal_grains((50, 60), seed=seed).image for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    frames = moving_boundary(2, (50, 60), start=0.5, stop=0.5).frames
    assert 0.5 < np.std(frames[1] - frames[0]) < 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (0, 5)}, "shape"),
        ({"turns": (1.0,)}, "one length"),
        ({"kinds": (), "turns": ()}, "one length"),
        ({"kinds": ("cubic", "square")}, "'cubic'"),
        ({"turns": (0.0, np.inf)}, "turns"),
        ({"period": 3.0}, "period"),
        ({"noise": -1.0}, "noise"),
    ],
)
def test_bad_requests_are_refused_with_a_reason(options, message):
    with pytest.raises(ValueError, match=message):
        crystal_grains(**{"shape": (50, 60), **options})
    if "shape" not in options:
        with pytest.raises(ValueError, match=message):
            moving_boundary(2, (50, 60), **options)


@pytest.mark.parametrize("options", [{"n_frames": 0}, {"kinds": ("square",), "turns": (0.0,)}, {"start": np.nan}])
def test_a_series_needs_frames_two_grains_and_a_place(options):
    with pytest.raises(ValueError, match="found"):
        moving_boundary(**{"shape": (50, 60), **options})
