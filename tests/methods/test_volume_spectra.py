"""Spectra of a volume's windows: the periodic part by Moisan's own definition, harmonics, phases, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import emcore


def periodic_part(window):
    """The window less its smooth part, by the equation that defines it (Moisan 2011, in three dimensions)."""
    jumps = np.zeros(window.shape)
    for axis in range(3):
        first, last = (
            tuple(i if other == axis else slice(None) for other in range(3)) for i in (0, window.shape[axis] - 1)
        )
        jump = window[last] - window[first]
        jumps[first] += jump
        jumps[last] -= jump
    waves = [2 * np.cos(2 * np.pi * np.arange(length) / length) for length in window.shape]
    laplacian = waves[0][:, None, None] + waves[1][:, None] + waves[2] - 6
    laplacian[0, 0, 0] = 1
    smooth = np.fft.fftn(jumps) / laplacian
    smooth[0, 0, 0] = 0
    return window - np.fft.ifftn(smooth).real


def expected(volume, window, step, periodic):
    starts = [range(0, length - window + 1, step) for length in volume.shape]
    out = np.empty((*map(len, starts), window, window, window // 2 + 1))
    for at in np.ndindex(out.shape[:3]):
        z, y, x = (start[i] for start, i in zip(starts, at, strict=True))
        part = volume[z : z + window, y : y + window, x : x + window].astype(float)
        part = periodic_part(part) if periodic else part
        out[at] = abs(np.fft.rfftn(part - part.mean()))
    return out


@given(
    st.integers(8, 14),
    st.integers(1, 16),
    st.sampled_from(["u1", "u2", "u4", "i2", "i4", "f4", "f8", "i8", ">u2"]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=25, deadline=None)
def test_windows_have_the_transform_of_their_periodic_part(window, step, dtype, periodic, seed):
    generator = np.random.default_rng(seed)
    volume = generator.integers(0, 250, window + generator.integers(0, 9, 3)).astype(dtype)
    before = volume.copy()
    found = emcore.windowed_power_spectra_3d(volume, window, step, periodic=periodic)
    truth = expected(volume, window, step, periodic)
    assert np.array_equal(volume, before)
    assert found.spectra.shape == truth.shape
    np.testing.assert_allclose(found.spectra, truth, atol=1e-5 * truth.max())
    power = emcore.windowed_power_spectra_3d(volume, window, step, periodic=periodic, quantity="power")
    np.testing.assert_allclose(power.spectra, truth**2, atol=1e-5 * truth.max() ** 2)


def blobs(axes, size=40):
    """A cubic and a hexagonal arrangement of waves, in a coordinate system whose axes are given."""
    at = np.moveaxis(np.mgrid[:size, :size, :size] - (size - 1) / 2, 0, -1) @ axes
    cubic = sum(np.cos(2 * np.pi * at[..., i] / 6) for i in range(3))
    angles = np.pi * np.arange(3) / 3
    rods = sum(np.cos(2 * np.pi * (at[..., 1] * np.sin(a) + at[..., 2] * np.cos(a)) / 6) for a in angles)
    return cubic, rods


def test_degrees_tell_arrangements_apart_however_they_are_turned_and_radial_profiles_do_not():
    def profiles(volume):
        degrees = emcore.windowed_power_spectra_3d(volume, 40, reduce=("degrees", 6)).spectra[0, 0, 0, 3:11].sum(0)
        radial = emcore.windowed_power_spectra_3d(volume, 40, reduce="radial").spectra[0, 0, 0, 4:12]
        return degrees / np.linalg.norm(degrees), radial / np.linalg.norm(radial)

    turns = [np.eye(3), *Rotation.random(3, np.random.default_rng(3)).as_matrix()]
    cubic, rods = zip(*([profiles(volume) for volume in blobs(turn)] for turn in turns), strict=True)

    def distances(which):
        a, b = (np.array([profile[which] for profile in kind]) for kind in (cubic, rods))
        within = max(np.linalg.norm(each - each[:, None], axis=-1).max() for each in (a, b))
        return within, np.linalg.norm(a - b[:, None], axis=-1).min()

    within, between = distances(0)
    assert 2 * within < between
    within, between = distances(1)
    assert between < within


def test_harmonics_turn_into_degrees_and_fractions_count_the_phase():
    volume = np.random.default_rng(1).integers(0, 2, (20, 17, 16), np.uint8)
    volume[12:] = 0
    harmonics = emcore.windowed_power_spectra_3d(volume, 10, 5, reduce=("harmonics", 4), phase=(1, 1), least=0.3)
    degrees = emcore.windowed_power_spectra_3d(volume, 10, 5, reduce=("degrees", 4), phase=(1, 1), least=0.3)
    squares = harmonics.spectra.astype(float) ** 2
    sums = np.stack([squares[..., a:b].sum(-1) for a, b in ((0, 1), (1, 6), (6, 15))], -1)
    np.testing.assert_allclose(degrees.spectra, sums, rtol=1e-4, atol=1e-3)
    for (iz, iy, ix), fraction in np.ndenumerate(harmonics.fractions):
        part = volume[5 * iz : 5 * iz + 10, 5 * iy : 5 * iy + 10, 5 * ix : 5 * ix + 10]
        assert np.isclose(fraction, part.mean())
        assert harmonics.spectra[iz, iy, ix].any() == (fraction >= 0.3)
    assert (harmonics.z.tolist(), harmonics.x.tolist()) == ([4.5, 9.5, 14.5], [4.5, 9.5])
    assert harmonics.fractions.min() < 0.3 <= harmonics.fractions.max()


@pytest.mark.parametrize(
    ("volume", "arguments", "error", "words"),
    [
        (np.zeros((9, 9)), {}, ValueError, "volume"),
        (np.zeros((9, 20, 20)), {"window": 10}, ValueError, "largest possible is 9"),
        (np.zeros((7, 20, 20)), {"window": 8}, ValueError, "at least 8"),
        (np.full((9, 9, 9), np.nan), {"window": 8}, ValueError, "0, 0, 0"),
        (np.zeros((9, 9, 9), complex), {"window": 8}, TypeError, "complex"),
        (np.zeros((9, 9, 9)), {"window": 8.5}, TypeError, "window"),
        (np.zeros((9, 9, 9)), {"window": 8, "step": 0}, ValueError, "step"),
        (np.zeros((9, 9, 9)), {"window": 8, "reduce": "radail"}, ValueError, "radial"),
        (np.zeros((9, 9, 9)), {"window": 8, "reduce": ("bin", 3)}, ValueError, "1, 2, 4, 8"),
        (np.zeros((9, 9, 9)), {"window": 8, "reduce": ("degrees", 3)}, ValueError, "even"),
        (np.zeros((9, 9, 9)), {"window": 8, "quantity": "phase"}, ValueError, "modulus"),
        (np.zeros((9, 9, 9)), {"window": 8, "phase": (2, 1)}, ValueError, "phase"),
        (np.zeros((9, 9, 9)), {"window": 8, "least": 2}, ValueError, "least"),
        (np.zeros((9, 9, 9)), {"window": 8, "periodic": 1}, TypeError, "periodic"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(volume, arguments, error, words):
    with pytest.raises(error, match=words):
        emcore.windowed_power_spectra_3d(volume, **arguments)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_values_of_any_size_give_what_float32_can_hold_or_say_so(scale):
    volume = np.random.default_rng(0).normal(size=(8, 8, 8))
    plain = emcore.windowed_power_spectra_3d(volume, 8).spectra
    if scale < 1e-200:
        assert np.isfinite(emcore.windowed_power_spectra_3d(volume * scale, 8).spectra).all()
    elif scale > 1e200:
        with pytest.raises(ValueError, match="scale it"):
            emcore.windowed_power_spectra_3d(volume * scale, 8)
    else:
        spectra = emcore.windowed_power_spectra_3d(volume * scale, 8).spectra
        np.testing.assert_allclose(spectra / scale, plain, rtol=1e-4)


def test_a_constant_volume_has_no_spectrum():
    assert not emcore.windowed_power_spectra_3d(np.full((10, 10, 10), 7, np.uint16), 8).spectra.any()
