"""Spectra of several parts of a scan joined to those of phases."""

import numpy as np
import pytest

from emcore.methods.unmixing.joining import join_spectra, spectral_angle

E = np.eye(6)


def tilted(a: int, b: int, degrees: float) -> np.ndarray:
    turn = np.radians(degrees)
    return np.cos(turn) * E[a] + np.sin(turn) * E[b]


def test_the_angle_is_that_of_geometry_and_does_not_depend_on_scale():
    angles = spectral_angle([E[0], 1e-6 * tilted(0, 1, 30)], [7e9 * E[0], E[2], np.zeros(6)])
    np.testing.assert_allclose(angles, [[0, 90, 90], [30, 90, 90]], atol=1e-9)


def test_spectra_within_ten_degrees_are_one_and_others_are_not():
    spectra = np.array([E[0], tilted(0, 1, 8), E[2], tilted(2, 3, 14)])
    joint = join_spectra(spectra, 1e5 * np.array([40.0, 30, 20, 10]), 0)
    assert joint.groups.tolist() == [0, 0, 1, 2]
    assert (joint.few, joint.mixed) == (0, 0)


def test_the_joint_spectrum_is_the_mean_by_counts_of_sum_one():
    spectra = np.array([E[0], tilted(0, 1, 8)])
    joint = join_spectra(spectra, np.array([30.0, 10]), 0)
    mean = 30 * spectra[0] + 10 * spectra[1]
    np.testing.assert_allclose(joint.spectra, [mean / mean.sum()])


def test_linkage_is_by_the_average():
    # Spectra of many counts, so that their noise is no matter. Single linkage would join the first three, complete
    # linkage would not join the second three.
    for degrees, groups in (((0, 8, 17), [0, 0, 1]), ((0, 6, 11), [0, 0, 0])):
        joint = join_spectra(np.array([tilted(0, 1, each) for each in degrees]), np.full(3, 1e6), 0)
        assert joint.groups.tolist() == groups


def test_groups_with_few_counts_are_dropped_and_counted():
    joint = join_spectra(np.array([E[0], E[1], E[2]]), np.array([100.0, 3, 50]), 5)
    assert joint.groups.tolist() == [0, -1, 1]
    assert (len(joint.spectra), joint.few) == (2, 1)


def test_a_sum_of_other_groups_is_dropped_unless_the_number_is_known():
    spectra = np.array([E[0], E[1], (E[0] + E[1]) / 2])
    counts = np.array([50.0, 40, 90])
    joint = join_spectra(spectra, counts, 0)
    assert joint.groups.tolist() == [0, 1, -1]
    assert joint.mixed == 1
    assert len(join_spectra(spectra, counts, 0, number=3).spectra) == 3


def test_a_spectrum_that_noise_of_its_few_counts_turned_away_is_dropped_and_one_of_many_counts_is_not():
    spectra = np.array([E[0], E[1], tilted(0, 2, 14)])
    assert join_spectra(spectra, np.array([5e4, 4e4, 300]), 0).mixed == 1
    assert join_spectra(spectra, np.array([5e4, 4e4, 30000]), 0).mixed == 0


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_known_number_is_kept_whatever_the_angles(number):
    spectra = np.array([E[0], tilted(0, 1, 5), E[2], E[3]])
    assert len(join_spectra(spectra, np.arange(4.0, 0, -1), 0, number).spectra) == number


def test_one_spectrum_is_joined_with_nothing_even_below_the_floor():
    joint = join_spectra(2 * E[:1], np.array([1.0]), 5)
    np.testing.assert_array_equal(joint.spectra, E[:1])
