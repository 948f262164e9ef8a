"""Scores of local symmetry against NumPy, on lattices whose symmetry is known, and on real images."""

import numpy as np
import pytest

import emcore
from emcore.methods.symmetry.period import period
from emcore.methods.symmetry.scores import spread_shifts


def lattice(kind, period, shape=(96, 110), turn=0.0):
    """Round columns on a square or hexagonal lattice, about the middle of the image."""
    y, x = np.mgrid[: shape[0], : shape[1]] - np.array([shape[0] // 2, shape[1] // 2])[:, None, None]
    angles = turn + np.pi * np.arange(2 if kind == "square" else 3) / (2 if kind == "square" else 3)
    length = period if kind == "square" else period * np.sqrt(3) / 2
    return sum(np.cos(2 * np.pi * (x * np.cos(a) + y * np.sin(a)) / length) for a in angles)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "f4", "f8"])
def test_shifted_patches_correlate_as_numpy_says(dtype):
    image = np.random.default_rng(3).integers(0, 200, (40, 44)).astype(dtype)
    observed = emcore.local_symmetry_scores(image, window=4, patch=5, stride=7)
    assert observed.scores.shape == (len(observed.y), len(observed.x), len(observed.features))
    for i, y in enumerate(observed.y.astype(int)):
        for j, x in enumerate(observed.x.astype(int)):
            here = image[y - 5 : y + 6, x - 5 : x + 6].ravel()
            for k, (m, n) in enumerate(observed.features):
                there = image[y + m - 5 : y + m + 6, x + n - 5 : x + n + 6].ravel()
                assert observed.scores[i, j, k] == pytest.approx(np.corrcoef(here, there)[0, 1], abs=1e-5)


def test_square_and_hexagonal_lattices_have_their_axes():
    for kind, high, low in (("square", [0, 2], [1, 3]), ("hexagonal", [0, 1, 3], [2])):
        # The score of the point in the middle, on an axis.
        observed = emcore.local_symmetry_scores(lattice(kind, 12.0), "rotation", patch=16, stride=1)
        middle = observed.scores[np.flatnonzero(observed.y == 48)[0], np.flatnonzero(observed.x == 55)[0]]
        assert middle[high].min() > 0.95
        assert middle[low].max() < 0.6


def test_pooled_scores_do_not_tell_two_orientations_apart_which_scores_do():
    one, other = (lattice("square", 10.0, (120, 120), turn) for turn in (0.0, np.pi / 5))
    options = {"window": 12, "patch": 10}
    plain = [emcore.local_symmetry_scores(image, **options).scores.mean(axis=(0, 1)) for image in (one, other)]
    pooled = [
        emcore.local_symmetry_scores(image, pool="max", **options).scores.mean(axis=(0, 1)) for image in (one, other)
    ]
    assert np.abs(plain[0] - plain[1]).max() > 0.8
    assert np.abs(pooled[0] - pooled[1]).max() < 0.25
    assert (np.diff(pooled[0]) <= 0).all()


def test_the_period_of_an_image_sets_window_and_patch_and_what_is_asked_for_stands():
    image = lattice("square", 9.0, (200, 200))
    observed = emcore.local_symmetry_scores(image)
    assert (observed.window, observed.patch) == (11, 9)
    assert "repeats itself after 9 px" in observed.reason
    asked = emcore.local_symmetry_scores(image, patch=14)
    assert (asked.window, asked.patch) == (11, 14)
    noise = np.random.default_rng(0).normal(size=(200, 200))
    assert emcore.local_symmetry_scores(noise).reason.startswith("the image does not repeat itself")


@pytest.mark.parametrize("seed", range(8))
def test_noise_has_no_period(seed):
    assert np.isnan(period(np.random.default_rng(seed).poisson(5, (150, 220))).length)


@pytest.mark.parametrize("length", [5.0, 8.5, 17.0, 31.0])
def test_a_period_under_noise_as_strong_as_the_lattice_is_found(length):
    clean = lattice("hexagonal", length, (300, 300), 0.2)
    noisy = clean + clean.std() * np.random.default_rng(1).normal(size=clean.shape)
    assert period(noisy).length == pytest.approx(length, abs=1.0)


@pytest.mark.parametrize("length", [7.0, 12.0, 20.0])
def test_two_grains_have_the_period_of_each_and_not_that_of_both_together(length):
    left, right = (lattice("hexagonal", length, (384, 384), turn) for turn in (0.0, 0.4))
    image = np.where(np.arange(384) < 200, left, right) + np.random.default_rng(0).normal(size=(384, 384))
    assert period(image).length == pytest.approx(length, abs=1.5)


def test_shifts_are_spread_and_none_shifts_nothing():
    for window in (1, 2, 4, 5, 21, 60):
        shifts = spread_shifts(window)
        assert len(shifts) == len(set(shifts)) <= 100
        assert (0, 0) not in shifts
        assert np.abs(shifts).max() == window
        assert {(-m, -n) for m, n in shifts} == set(shifts)


def test_a_real_alloy_repeats_itself_where_it_is_a_lattice(data_folder):
    image = np.load(data_folder / "high_entropy_alloy.npy")
    # Rows of atoms lie 4.4 to 5.3 pixels apart.
    assert 4.4 < period(image).length < 6.2
    observed = emcore.local_symmetry_scores(image, pool="max", stride=32)
    assert observed.scores[..., 0].mean() > 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "turn"}, "score"),
        ({"pool": "mean"}, "pool"),
        ({"pool": "max", "score": "rotation"}, "leave it out"),
        ({"window": 3, "score": "reflection"}, "leave it out"),
        ({"window": 0}, "window"),
        ({"patch": 1}, "patch"),
        ({"stride": 0}, "stride"),
        ({"patch": 20, "window": 10}, "does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        emcore.local_symmetry_scores(np.eye(50), **options)


def test_values_that_are_no_numbers_are_named():
    image = np.ones((60, 60))
    image[3, 4] = np.nan
    with pytest.raises(ValueError, match="image"):
        emcore.local_symmetry_scores(image)
    with pytest.raises(TypeError, match="complex"):
        emcore.local_symmetry_scores(image * 1j)


@pytest.mark.parametrize("score", ["translation", "rotation", "reflection"])
@pytest.mark.parametrize("gain", [1e300, 1e-300, 1e30, 1e-30])
def test_values_of_any_size_have_the_same_scores(score, gain):
    image = np.random.default_rng(0).random((60, 60))
    plain, scaled = (emcore.local_symmetry_scores(each, score, patch=8).scores for each in (image, gain * image))
    np.testing.assert_allclose(scaled, plain, atol=1e-5)
