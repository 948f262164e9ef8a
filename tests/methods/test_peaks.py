"""Peaks of many spectra: noise, smoothing, positions, mixture and spectral angles, each against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emcore.methods.peaks.angles import Directions, indistinct, nearest, within_noise
from emcore.methods.peaks.find import prominent_peaks
from emcore.methods.peaks.mixture import peak_mixture
from emcore.methods.peaks.noise import differences, levels_of, profile_of
from emcore.methods.peaks.smoothing import best_smoothing, local_fits

UNEVEN = np.cumsum(np.random.default_rng(0).uniform(0.5, 1.5, 60))


@pytest.mark.parametrize("order", [2, 3, 4])
def test_differences_leave_nothing_of_a_polynomial_and_of_noise_its_variance(order):
    weights = differences(UNEVEN, order)
    places = np.lib.stride_tricks.sliding_window_view(UNEVEN, order + 1)
    for power in range(order):
        values = (weights * (places - 30) ** power).sum(axis=1)
        np.testing.assert_allclose(values, 0, atol=1e-9 * np.abs(places).max() ** power)
    np.testing.assert_allclose(np.square(weights).sum(axis=1), 1)


def test_noise_is_measured_where_it_is_whatever_the_peak_and_the_gain():
    rng = np.random.default_rng(0)
    profile = np.where(np.arange(60) < 30, 0.5, 1.5)
    gain = rng.uniform(1, 4, (2000, 1))
    peak = 200 * np.exp(-np.square(np.arange(60) - 30) / 50)
    spectra = gain * (peak + profile * rng.standard_normal((2000, 60)))
    found = profile_of(spectra, np.arange(60.0))
    np.testing.assert_allclose(found[[5, 55]], np.array([0.5, 1.5]) / np.sqrt(np.square(profile).mean()), rtol=0.05)
    levels = levels_of(spectra, np.arange(60.0), found)
    assert abs(np.median(levels / gain[:, 0]) / np.sqrt(np.square(profile).mean()) - 1) < 0.05


@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("energies", [UNEVEN, UNEVEN[::-1].copy(), np.arange(60.0)])
def test_fits_give_a_parabola_and_its_slope_as_they_are(width, energies):
    values = 3 - 2 * energies + 0.5 * energies**2
    np.testing.assert_allclose(local_fits(energies, width, False) @ values, values, rtol=1e-7)
    np.testing.assert_allclose(local_fits(energies, width, True) @ values, energies - 2, rtol=1e-7, atol=1e-7)


def test_more_noise_is_smoothed_over_more_channels_to_the_smallest_error():
    rng = np.random.default_rng(0)
    energies = np.arange(80.0)
    truth = np.exp(-np.square(energies - 40) / 50)
    widths = []
    for level in (0.01, 0.1, 0.5):
        spectra = truth + level * rng.standard_normal((400, 80))
        best = best_smoothing(spectra, energies, False)
        errors = {
            w: np.square(local_fits(energies, w, False) @ spectra.T - truth[:, None]).mean() for w in (1, 2, 4, 8)
        }
        assert np.square(best.of(spectra) - truth).mean() < 1.05 * min(errors)
        widths.append(best.width)
    assert widths[0] < widths[1] < widths[2]


def test_noise_alone_has_a_peak_in_about_one_of_a_hundred_spectra():
    rng = np.random.default_rng(1)
    energies = np.arange(70.0)
    for derivative in (False, True):
        noise = rng.standard_normal((3000, 70)) * np.linspace(1, 4, 70)
        best = best_smoothing(noise[:1000], energies, derivative)
        deviations = best.deviations(best.noise_of(noise), np.zeros(3000))
        found = prominent_peaks(best.of(noise), deviations, energies, best.least)
        assert len(np.unique(found.rows)) / 3000 < 0.03


def test_a_few_counts_in_an_empty_part_of_a_spectrum_are_no_peak():
    rng = np.random.default_rng(0)
    rate = np.append(np.full(100, 3.0), np.full(500, 0.01))
    counts = rng.poisson(rate, (2000, 600)).astype("f8")
    best = best_smoothing(counts, np.arange(600.0), False)
    spectra, levels = best.of(counts), best.noise_of(counts)
    few = []
    for quantum in (0.0, 1.0):
        deviations = best.deviations(levels, np.full(2000, quantum))
        few.append(len(prominent_peaks(spectra, deviations, np.arange(600.0), best.least).rows))
    assert few[1] < 0.02 * 2000 < few[0]


def test_peaks_of_all_spectra_at_once_are_those_of_scipy_one_by_one():
    from scipy.signal import find_peaks

    rng = np.random.default_rng(0)
    spectra = rng.standard_normal((40, 50)) - 5 * rng.random((40, 1))
    deviations = rng.uniform(0.3, 1.0, (40, 50))
    found = prominent_peaks(spectra, deviations, np.arange(50.0), 2.0)
    expected = []
    for row in range(40):
        at, about = find_peaks(spectra[row], prominence=1e-9)
        expected += [(row, i, p / deviations[row, i]) for i, p in zip(at, about["prominences"], strict=True)]
    expected = [each for each in expected if each[2] >= 2.0]
    assert found.rows.tolist() == [row for row, _, _ in expected]
    assert np.abs(found.energies - [i for _, i, _ in expected]).max() <= 0.5
    np.testing.assert_allclose(found.deviations, [p for _, _, p in expected])


@pytest.mark.parametrize("energies", [UNEVEN, UNEVEN[::-1].copy()])
def test_the_top_of_a_parabola_is_found_between_channels_of_any_width(energies):
    top = 30.3
    found = prominent_peaks(100 - np.square(energies - top)[None], np.ones((1, 60)), energies, 1)
    np.testing.assert_allclose(found.energies, [top])


@pytest.mark.parametrize("seed", range(11, 21))
def test_the_number_of_peaks_is_found_among_positions_spread_everywhere(seed):
    rng = np.random.default_rng(seed)
    means, spreads = np.array([0.8, 2.0, 3.6, 4.8, 5.6]), np.array([0.1, 0.05, 0.1, 0.05, 0.15])
    which = rng.choice(5, 1500, p=[0.4, 0.1, 0.2, 0.05, 0.25])
    positions = np.append(rng.normal(means[which], spreads[which]), rng.uniform(0, 7, 60)).clip(0, 7)
    found = peak_mixture(positions, np.linspace(0, 7, 71))
    np.testing.assert_allclose(found.energies, means, atol=0.03)
    assert (np.abs(found.energies - means) < 4 * found.errors + 1e-3).all()
    assert abs(1 - found.weights.sum() - 60 / 1560) < 0.02
    assert (found.labels[:1500] == which).mean() > 0.97
    integral = found.density.sum(axis=0).sum() * (found.places[1] - found.places[0])
    assert integral == pytest.approx(1, abs=0.02)


def test_a_mixture_is_as_likely_as_that_of_scikit_learn():
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(0)
    positions = np.concatenate([rng.normal(2, 0.2, 400), rng.normal(4, 0.3, 600)])
    found = peak_mixture(positions, np.linspace(0, 7, 71), 2)
    model = GaussianMixture(2, random_state=0).fit(positions[:, None])
    np.testing.assert_allclose(found.energies, np.sort(model.means_[:, 0]), atol=2e-3)
    np.testing.assert_allclose(
        found.spreads, np.sqrt(model.covariances_[:, 0, 0])[np.argsort(model.means_[:, 0])], rtol=0.02
    )


def test_no_peak_is_narrower_than_a_channel_allows():
    found = peak_mixture(np.full(50, 3.0), np.linspace(0, 7, 71))
    np.testing.assert_allclose(found.spreads, 0.1 / np.sqrt(12))


def test_positions_that_are_not_normally_distributed_are_one_peak():
    rng = np.random.default_rng(0)
    heavy = 3 + 0.1 * rng.standard_t(2, 3000).clip(-15, 15)
    found = peak_mixture(heavy, np.linspace(0, 7, 71))
    assert len(found.energies) == 1
    assert "without a dip" in found.reason
    assert abs(found.energies[0] - 3) < 0.01


@settings(max_examples=40, deadline=None)
@given(gain=st.floats(1e-6, 1e6), seed=st.integers(0, 2**16), derivative=st.booleans())
def test_the_gain_of_a_position_changes_no_angle(gain, seed, derivative):
    rng = np.random.default_rng(seed)
    rows, references = rng.uniform(1, 9, (5, 20)), rng.uniform(1, 9, (3, 20))
    matrix = local_fits(np.arange(20.0), 1.0, True).toarray() if derivative else None
    directions = Directions(references, matrix)
    np.testing.assert_allclose(directions.of(gain * rows)[0], directions.of(rows)[0], atol=1e-6)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4", "f8"])
@pytest.mark.parametrize("derivative", [False, True])
def test_cosines_and_norms_are_the_definition(dtype, derivative):
    rng = np.random.default_rng(0)
    rows, references = rng.integers(1, 100, (40, 30)).astype(dtype), rng.normal(size=(3, 30))
    matrix = local_fits(np.arange(30.0), 1.5, True).toarray() if derivative else np.eye(30)
    spectra = rows.astype("f8") @ matrix.T
    cosines, norms, means = Directions(references, matrix if derivative else None).of(rows)
    expected = spectra @ references.T / np.linalg.norm(references, axis=1)
    np.testing.assert_allclose(norms, np.linalg.norm(spectra, axis=1), rtol=1e-5)
    np.testing.assert_allclose(cosines, expected / np.linalg.norm(spectra, axis=1)[:, None], atol=2e-6)
    np.testing.assert_allclose(means, rows.mean(axis=1, dtype="f8"), rtol=1e-6)


def test_rows_without_a_spectrum_are_at_right_angles_to_all():
    rows = np.array([[0.0] * 8, [np.nan] * 8, [1.0, 2, 3, 4, 5, 6, 7, 8]])
    cosines, norms, _ = Directions(np.eye(2, 8)).of(rows)
    assert not cosines[:2].any()
    assert (norms[:2] == 0).all()
    assert cosines[2].all()
    assert nearest(cosines).labels.tolist() == [-1, -1, 1]


def test_noise_alone_puts_few_positions_beyond_the_limit_and_another_spectrum_all():
    rng = np.random.default_rng(0)
    reference, other = rng.uniform(1, 9, (2, 50))
    own = reference + rng.standard_normal((2000, 50))
    rows = np.vstack([own, other + rng.standard_normal((100, 50))])
    cosines, norms, _ = Directions(reference[None]).of(rows)
    found = nearest(cosines)
    expected = 50 / np.square(cosines[:, 0] * norms)
    inside = within_noise(found.labels, found.angle, expected, (50, 1e6), 1)
    assert inside[:2000].mean() > 0.99
    assert not inside[2000:].any()


def test_references_are_one_where_noise_hides_what_they_differ_by():
    references = np.array([[5.0, 5, 5, 5], [5.2, 4.8, 5, 5], [9, 1, 5, 5]])
    assert indistinct(references, None, np.ones(4), 1.0) == [[0, 1], [2]]
    assert indistinct(references, None, np.ones(4), 0.01) == [[0], [1], [2]]
    assert indistinct(references, None, np.ones(4), 100.0) == [[0, 1, 2]]
    assert indistinct(references, None, np.array([0.01, 0.01, 1, 1]), 1.0) == [[0], [1], [2]]
