"""What is far below a lattice's peaks is as good as nothing, and noise stays the floor where there is some."""

import numpy as np
import pytest

from emcore.methods.power_spectra.floor import LEAST_PART, raise_floor
from emcore.methods.power_spectra.windows import windowed_power_spectra

Y, X = np.mgrid[:160, :192].astype(float)
WAVES = np.cos(0.8 * X + 0.3 * Y) + np.cos(0.3 * X - 0.8 * Y)


def test_without_noise_the_floor_is_a_known_part_of_the_strongest_peak_and_powers_stay_in_proportion():
    before = windowed_power_spectra(WAVES, 64)
    after = before.copy()
    raised = raise_floor(after)
    assert np.allclose(
        np.expm1(after.astype(float)) * raised, np.expm1(before.astype(float)), rtol=1e-3, atol=1e-4 * raised
    )
    assert np.expm1(after).max() == pytest.approx(1 / LEAST_PART, rel=0.3)


@pytest.mark.parametrize("image", [0 * X, 3 * (X > 90), 0.1 * X, 10 * np.exp(-((X - 90) ** 2 + (Y - 80) ** 2) / 200)])
def test_noise_and_what_is_no_lattice_leave_the_floor(image):
    spectra = windowed_power_spectra(image + 0.01 * np.random.default_rng(0).normal(size=X.shape), 64)
    before = spectra.copy()
    assert raise_floor(spectra) == 1
    assert np.array_equal(spectra, before)


def test_noise_as_strong_as_the_lattice_is_its_own_floor():
    assert raise_floor(windowed_power_spectra(WAVES + np.random.default_rng(0).normal(size=X.shape), 64)) == 1
