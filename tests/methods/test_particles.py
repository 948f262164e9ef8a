"""Particles: where they are, against planted ones; what they measure, against scikit-image; their shapes."""

import numpy as np
import pytest

from emcore.datasets import adjusted_rand_index, shaped_particles
from emcore.methods.particles.composition import composition_groups
from emcore.methods.particles.segment import parted, segment_particles
from emcore.methods.particles.shapes import fingerprint, fingerprints_of, shape_classes
from emcore.methods.particles.table import measure_particles


@pytest.fixture(scope="module")
def sample():
    return shaped_particles((320, 400), n_particles=48, seed=11)


@pytest.fixture(scope="module")
def labels(sample):
    return segment_particles(sample.image.data).labels


def matched(sample, labels):
    """Of each planted particle the found one that overlaps it by more than half of both together, or -1."""
    there = (sample.labels >= 0) & (labels >= 0)
    table = np.zeros((len(sample.area), labels.max() + 1))
    np.add.at(table, (sample.labels[there], labels[there]), 1)
    planted = np.bincount(sample.labels[sample.labels >= 0], minlength=len(table))
    found = np.bincount(labels[labels >= 0])
    overlap = table / (planted[:, None] + found - table)
    return np.where(overlap.max(axis=1) > 0.5, overlap.argmax(axis=1), -1)


def test_particles_are_found_with_their_areas(sample, labels):
    match = matched(sample, labels)
    assert np.mean(match >= 0) >= 0.95
    assert labels.max() + 1 <= 1.05 * len(match)
    area = measure_particles(labels, (2.0, 2.0)).area
    error = area[match[match >= 0]] / sample.area[match >= 0] - 1
    assert abs(np.median(error)) < 0.05
    assert np.mean(abs(error) < 0.05) >= 0.9


def test_neither_gain_nor_offset_nor_turns_of_the_image_change_what_is_found(sample, labels):
    image = sample.image.data.astype(np.float64)
    assert adjusted_rand_index(segment_particles(300 * image - 77).labels, labels) > 0.999
    assert adjusted_rand_index(np.rot90(segment_particles(np.rot90(image)).labels, -1), labels) > 0.999


def test_a_few_bright_ones_do_not_hide_the_dim():
    y, x = np.mgrid[:100, :140]
    image = np.random.default_rng(0).normal(0, 0.02, (100, 140))
    for middle, bright in ((25, 1.0), (60, 1.0), (95, 1.0), (125, 25.0)):
        image += bright * (np.hypot(y - 50, x - middle) < 9)
    assert segment_particles(image).labels.max() + 1 == 4


def test_touching_discs_are_parted_and_rods_are_not():
    y, x = np.mgrid[:60, :90]
    discs = (np.hypot(y - 30, x - 25) < 14) | (np.hypot(y - 30, x - 51) < 14)
    assert parted(discs).max() + 1 == 2
    rod = (abs(y - 30) < 6) & (abs(x - 45) < 35)
    assert parted(rod).max() + 1 == 1
    assert parted(np.zeros((5, 5), dtype=bool)).max() == -1


def test_what_is_measured_is_what_scikit_image_measures(labels):
    from skimage.measure import regionprops

    found = measure_particles(labels, (0.5, 0.5))
    for region in regionprops(labels + 1):
        index = region.label - 1
        assert found.area[index] == region.area * 0.25
        assert found.perimeter[index] == pytest.approx(region.perimeter * 0.5)
        assert found.aspect[index] == pytest.approx(region.axis_major_length / region.axis_minor_length, rel=1e-6)
        assert (found.y[index], found.x[index]) == pytest.approx(region.centroid)
        top, left, bottom, right = region.bbox
        assert found.cut[index] == (top == 0 or left == 0 or bottom == 320 or right == 400)


def test_pixels_that_are_not_square_count_by_their_size():
    y, x = np.mgrid[:80, :160]
    disc = np.where(np.hypot(y - 40, (x - 80) / 2) < 30, 0, -1).astype(np.int32)
    found = measure_particles(disc, (1.0, 0.5))
    assert found.aspect[0] == pytest.approx(1, abs=0.01)
    assert found.area[0] == pytest.approx(np.pi * 900, rel=0.01)
    assert found.perimeter[0] == pytest.approx(2 * np.pi * 30, rel=0.03)
    assert abs(fingerprint(disc == 0, (1.0, 0.5)) - 1).max() < 0.03


def triangle(size, turned, mirrored=False):
    y, x = np.mgrid[-60:61, -60:61].astype(float)
    x = -x if mirrored else x
    u, v = np.cos(turned) * x + np.sin(turned) * y, -np.sin(turned) * x + np.cos(turned) * y
    return (v > -size / 2) & (u + v < size) & (v - 2 * u < size)  # of three unequal sides


@pytest.mark.parametrize(("size", "turned", "mirrored"), [(18, 0.0, False), (30, 1.1, False), (30, 2.9, True)])
def test_fingerprints_do_not_change_with_size_rotation_and_mirroring(size, turned, mirrored):
    reference, other = fingerprint(triangle(30, 0.0)), fingerprint(triangle(size, turned, mirrored))
    assert np.sqrt(np.mean((reference - other) ** 2)) < 0.05
    assert other.argmax() == 180


def test_lengths_inside_of_a_concave_particle_are_added_up():
    y, x = np.mgrid[-40:41, -40:41]
    away = np.hypot(y, x)
    ring = (away < 35) & ~((away > 15) & (away < 25))
    expected = (35 - 10) / np.sqrt(ring.sum() / np.pi)
    assert np.median(fingerprint(ring)) == pytest.approx(expected, rel=0.03)


def test_classes_of_shape_are_the_planted_ones(sample, labels):
    match = matched(sample, labels)
    cut = measure_particles(labels).cut
    kind = np.full(labels.max() + 1, -1)
    kind[match[match >= 0]] = sample.kind[match >= 0]
    whole = np.flatnonzero(~cut & (kind >= 0))
    observed = shape_classes(fingerprints_of(labels)[whole])
    assert adjusted_rand_index(kind[whole], observed.labels) >= 0.9
    assert np.all(np.diff(np.bincount(observed.labels)) <= 0)


def test_compositions_are_told_apart_by_what_spectra_show_and_not_by_their_counts():
    rng = np.random.default_rng(12)
    kinds = rng.integers(0, 2, 40)
    shape = np.array([[3.0, 1, 1, 5, 0.2], [3.0, 5, 1, 1, 0.2]])[kinds]
    spectra = rng.poisson(shape * rng.uniform(20, 400, (40, 1))).astype(float)
    observed = composition_groups(spectra)
    assert observed.n_groups == 2
    assert adjusted_rand_index(kinds, observed.labels) > 0.9
    alike = composition_groups(rng.poisson(np.tile(shape[:1] * 50, (40, 1))).astype(float))
    assert alike.n_groups == 1
    spectra[3] = 0
    assert composition_groups(spectra).labels[3] == -1
