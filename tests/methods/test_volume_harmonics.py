"""Spherical harmonics of shells: what no rotation changes, and which rotation is found."""

import numpy as np
import pytest

from emcore.methods.volume.harmonics import (
    best_rotation,
    degree_power,
    invariants,
    over_shells,
    real_harmonics,
    rotation_about,
    rotation_angle,
    rotation_axis,
    without_noise,
)

PEAKS = {
    "primitive": np.eye(3),
    "diamond": np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]]) / 3**0.5,
    "gyroid": np.array([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]]) / 2**0.5,
}


def coefficients(peaks, degree=8):
    """Of equal peaks in these directions, on one shell."""
    return real_harmonics(np.asarray(peaks, dtype=float), degree).mean(axis=0)[None]


def random_rotation(seed):
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    return rotation_about(axis / np.linalg.norm(axis), rng.uniform(5, 175))


def test_harmonics_are_orthonormal_over_the_sphere():
    nodes, weights = np.polynomial.legendre.leggauss(12)
    phi = np.arange(24) * 2 * np.pi / 24
    z, angle = (each.ravel() for each in np.meshgrid(nodes, phi, indexing="ij"))
    r = np.sqrt(1 - z**2)
    values = real_harmonics(np.stack([z, r * np.sin(angle), r * np.cos(angle)], axis=1), 8)
    gram = np.einsum("ua,ub,u->ab", values, values, np.repeat(weights, 24) * 2 * np.pi / 24)
    np.testing.assert_allclose(gram, np.eye(45), atol=1e-12)


def test_harmonics_are_those_of_scipy():
    scipy_special = pytest.importorskip("scipy.special")
    if not hasattr(scipy_special, "sph_harm_y"):
        pytest.skip("this SciPy has another name for them")
    directions = np.random.default_rng(0).normal(size=(20, 3))
    z, y, x = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T
    ours, column = real_harmonics(np.stack([z, y, x], axis=1), 6), 0
    for n in range(0, 7, 2):
        for m in range(-n, n + 1):
            value = scipy_special.sph_harm_y(n, abs(m), np.arccos(z), np.arctan2(y, x)) * (-1) ** m
            expected = value.real if m == 0 else 2**0.5 * (value.imag if m < 0 else value.real)
            np.testing.assert_allclose(ours[:, column], expected, atol=1e-12)
            column += 1


@pytest.mark.parametrize("name", PEAKS)
def test_no_rotation_changes_the_power_of_a_degree(name):
    turned = PEAKS[name] @ random_rotation(3).T
    np.testing.assert_allclose(degree_power(coefficients(turned)), degree_power(coefficients(PEAKS[name])), atol=1e-12)


def test_degrees_tell_textures_apart_whose_power_is_the_same_on_every_shell():
    power = {name: degree_power(coefficients(peaks))[0] for name, peaks in PEAKS.items()}
    for name, other in (("gyroid", "diamond"), ("diamond", "primitive"), ("gyroid", "primitive")):
        assert power[name][0] == pytest.approx(power[other][0])
        assert np.abs(power[name] - power[other]).max() > 0.1 * power[name][0]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", PEAKS)
def test_the_smallest_of_the_rotations_that_fit_is_found(name, seed):
    group = [np.eye(3)]
    for each in group:
        for step in (rotation_about(np.array([1.0, 0, 0]), 90), np.eye(3)[[1, 2, 0]]):
            if not any(np.abs(each @ step - old).max() < 1e-6 for old in group):
                group.append(each @ step)
    rotation = random_rotation(seed)
    smallest = min(rotation_angle(rotation @ each) for each in group)
    fit = best_rotation(coefficients(PEAKS[name]), coefficients(PEAKS[name] @ rotation.T))
    assert fit.angle == pytest.approx(smallest, abs=0.5)
    assert fit.correlation == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(fit.rotation, rotation_about(fit.axis, fit.angle), atol=1e-6)
    turned = coefficients(PEAKS[name] @ fit.rotation.T)
    np.testing.assert_allclose(turned, coefficients(PEAKS[name] @ rotation.T), atol=0.02)


def test_textures_that_no_rotation_makes_equal_fit_badly():
    assert best_rotation(coefficients(PEAKS["gyroid"]), coefficients(PEAKS["primitive"])).correlation < 0.8


def test_nothing_is_turned_by_nothing():
    fit = best_rotation(np.zeros((3, 45)), np.ones((3, 45)))
    assert (fit.correlation, fit.angle) == (0.0, 0.0)


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 180.0])
def test_angle_and_axis_of_a_rotation_are_those_it_was_made_of(angle):
    axis = np.array([2.0, -1.0, 2.0]) / 3
    rotation = rotation_about(axis, angle)
    assert rotation_angle(rotation) == pytest.approx(angle, abs=1e-5)
    if 0 < angle < 180:
        np.testing.assert_allclose(rotation_axis(rotation), axis, atol=1e-9)
    elif angle:
        assert abs(rotation_axis(rotation) @ axis) == pytest.approx(1)


def test_white_noise_is_taken_off_the_mean_of_every_shell_only():
    values = np.random.default_rng(1).normal(size=(2, 12, 6))
    values[:, :, 0] = 5.0
    values[:, 3, 0] = 9.0
    rest = without_noise(values)
    assert rest[0, 3, 0] == 4.0
    assert rest[0, 8, 0] == 0.0
    assert np.array_equal(rest[..., 1:], values[..., 1:])


def test_shells_are_averaged_and_invariants_have_the_length_one():
    values = np.random.default_rng(2).normal(size=(3, 12, 45)).astype(np.float32)
    padded = np.pad(values, ((0, 0), (2, 2), (0, 0)))
    expected = sum(w / 9 * padded[:, i : i + 12] for i, w in enumerate((1, 2, 3, 2, 1)))
    np.testing.assert_allclose(over_shells(values), expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(invariants(values), axis=1), 1)
    assert not invariants(np.zeros((1, 12, 45))).any()
