"""Spectra of phases that have positions of their own."""

import numpy as np
import pytest

from emcore.methods.unmixing.joining import spectral_angle
from emcore.methods.unmixing.pure_positions import at_pure_positions

# Three phases with much in common, and factors of them in which the background is lacking.
TRUE = np.array([[0.7, 0.3, 0.0, 0.0], [0.7, 0.0, 0.3, 0.0], [0.7, 0.0, 0.0, 0.3]])
FACTORS = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.4, 0.0, 0.0, 0.6]])


def factored(shares, counts=1000.0, seed=0):
    """Noisy maps of the factors, for the shares (y, x, phases) of phases of which the factors make the last three."""
    mixing = np.array([[1.0, 0.0, 0.0], [0.7, 0.3, 0.0], [0.5, 0.0, 0.5]])
    amounts = counts * shares.reshape(-1, 3) @ mixing
    return np.maximum(np.random.default_rng(seed).normal(amounts, np.sqrt(amounts + 1)), 0), mixing @ FACTORS


def areas(height=18, width=20):
    shares = np.zeros((height, width, 3))
    shares[:, :8, 0] = shares[:10, 8:, 1] = shares[10:, 8:, 2] = 1
    return shares


def test_phases_with_areas_of_their_own_have_the_spectra_they_have_there():
    maps, expected = factored(areas())
    spectra, own = at_pure_positions(maps, FACTORS, (18, 20))
    assert own.all()
    assert np.diag(spectral_angle(expected, spectra)).max() < 1 < np.diag(spectral_angle(expected, FACTORS)).max()
    np.testing.assert_allclose(spectra.sum(axis=1), 1)


def test_what_is_mixed_everywhere_stays_as_it_is():
    x = np.linspace(0, 1, 20)
    shares = np.stack(np.broadcast_arrays(x, (1 - x) * x[:, None], (1 - x) * (1 - x[:, None])), axis=-1)
    maps, _ = factored(shares)
    spectra, own = at_pure_positions(maps, FACTORS, (20, 20))
    assert not own.any()
    np.testing.assert_array_equal(spectra, FACTORS)


def test_a_particle_under_which_its_matrix_goes_on_stays_as_it_is_and_the_matrix_does_not():
    y, x = np.indices((24, 24))
    thickness = 0.8 * np.sqrt(np.maximum(1 - ((y - 12) ** 2 + (x - 12) ** 2) / 49, 0))
    shares = np.stack([1 - thickness, thickness, np.zeros((24, 24))], axis=-1)
    maps, _ = factored(shares, 1e5)
    spectra, own = at_pure_positions(maps[:, :2], FACTORS[:2], (24, 24))
    assert own.tolist() == [True, False]
    np.testing.assert_array_equal(spectra[1], FACTORS[1])


def test_positions_that_take_no_part_and_those_that_are_nearly_empty_have_no_say():
    maps, expected = factored(areas())
    dark = np.random.default_rng(1).poisson(0.5, (18, 20, 3)).astype(float)
    dark[:4] = 0
    wider = np.concatenate([maps.reshape(18, 20, 3), dark], axis=1).reshape(-1, 3)
    spectra, own = at_pure_positions(wider, FACTORS, (18, 40))
    assert own.all()
    assert np.diag(spectral_angle(expected, spectra)).max() < 1
    none = np.concatenate([maps.reshape(18, 20, 3), np.zeros((18, 20, 3))], axis=1).reshape(-1, 3)
    alone, cut = (at_pure_positions(each, FACTORS, grid)[0] for each, grid in ((none, (18, 40)), (maps, (18, 20))))
    np.testing.assert_allclose(alone, cut, atol=1e-12)


def test_corners_are_found_where_no_factor_is_largest_in_its_phase():
    # The first factor is background alone, of which the third phase has most.
    mixing = np.array([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.55, 0.25, 0.2]])
    amounts = 1e5 * areas().reshape(-1, 3) @ mixing
    maps = np.random.default_rng(0).normal(amounts, np.sqrt(amounts))
    spectra, own = at_pure_positions(np.maximum(maps, 0), np.eye(3), (18, 20))
    assert own.all()
    assert spectral_angle(mixing, spectra).min(axis=1).max() < 1


@pytest.mark.parametrize("grid", [(360,), (18, 20)])
@pytest.mark.parametrize("k", [1, 3])
def test_one_factor_or_too_few_positions_are_left_alone(grid, k):
    maps = np.zeros((360, k))
    maps[:8] = 1
    spectra, own = at_pure_positions(maps, FACTORS[:k], grid)
    assert spectra is FACTORS[:k] or np.array_equal(spectra, FACTORS[:k])
    assert not own.any()
