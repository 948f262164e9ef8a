"""Borders between lattices are no regions, and a lattice that changes steadily is one."""

import numpy as np
import pytest

from emcore.methods.power_spectra.separation import Picture, described
from emcore.methods.power_spectra.transitions import borders, one_that_changes
from emcore.methods.power_spectra.windows import windowed_power_spectra

SHAPE = (192, 384)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
PICTURE = Picture(SHAPE, 16, (1.0, 1.0))


def waves(k, direction):
    turn = np.radians(direction)
    u, v = np.cos(turn) * X + np.sin(turn) * Y, np.cos(turn) * Y - np.sin(turn) * X
    return np.cos(k * u) + np.cos(k * v)


def parted(image, *columns, seed=0):
    """Components that end at given columns of windows."""
    spectra = windowed_power_spectra(image + 0.3 * np.random.default_rng(seed).normal(size=SHAPE), 64, 16)
    edges = [0, *columns, spectra.shape[1]]
    maps = np.zeros((len(edges) - 1, *spectra.shape[:2]), np.float32)
    for part, first, last in zip(maps, edges, edges[1:], strict=False):
        part[:, first:last] = 1
    return spectra, described(spectra, maps, spectra[0, : len(maps)], maps, PICTURE)


@pytest.mark.parametrize(("k", "direction"), [(0.75, 35.0), (0.95, 20.0)], ids=["turned", "narrower"])
def test_a_narrow_component_between_two_lattices_is_a_border(k, direction):
    image = np.where(X < 192, waves(0.75, 20.0), waves(k, direction))
    _, parts = parted(image, 9, 12)
    assert borders(parts, PICTURE, 64).tolist() == [False, True, False]


def test_a_narrow_component_with_a_lattice_of_its_own_is_none():
    image = np.select([X < 170, X < 210], [waves(0.75, 20.0), waves(0.6, 50.0)], waves(0.95, 20.0))
    _, parts = parted(image, 8, 12)
    assert not borders(parts, PICTURE, 64).any()


def test_lattices_that_lie_on_each_other_are_no_border_nor_is_what_is_wide():
    left, right = X < 212, X > 172
    _, parts = parted(left * waves(0.75, 20.0) + right * waves(0.95, 20.0), 8, 12)
    assert not borders(parts, PICTURE, 64).any()
    _, parts = parted(np.where(X < 192, waves(0.75, 20.0), waves(0.75, 35.0)), 7, 14)
    assert not borders(parts, PICTURE, 64).any()


def test_two_components_have_no_border():
    _, parts = parted(np.where(X < 192, waves(0.75, 20.0), waves(0.75, 35.0)), 10)
    assert borders(parts, PICTURE, 64).tolist() == [False, False]


@pytest.mark.parametrize("bent", [False, True])
def test_a_lattice_that_changes_steadily_is_one_and_one_that_jumps_is_two(bent):
    away = (X - 192) / 192
    steadily, at_once = 0.025 * away, 0.0125 * np.sign(away)
    for change, expected in ((steadily, [0, 0]), (at_once, [0, 1])):
        # Places in the crystal of what is seen at y, x.
        moved = np.cumsum(change, axis=1)
        u, v = (X, Y + moved) if bent else (X + moved, Y)
        turn = np.radians(25.0)
        image = np.cos(0.8 * (np.cos(turn) * u + np.sin(turn) * v)) + np.cos(
            0.8 * (np.cos(turn) * v - np.sin(turn) * u)
        )
        spectra, parts = parted(image, 10)
        assert one_that_changes(spectra, parts, PICTURE).tolist() == expected


def test_lattices_far_apart_or_no_lattice_are_never_one():
    spectra, parts = parted(np.where(X < 192, waves(0.75, 20.0), waves(0.75, 40.0)), 10)
    assert one_that_changes(spectra, parts, PICTURE).tolist() == [0, 1]
    spectra, parts = parted(np.zeros(SHAPE), 10)
    assert one_that_changes(spectra, parts, PICTURE).tolist() == [0, 1]
