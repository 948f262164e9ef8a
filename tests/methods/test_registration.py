"""Transforms fitted together, values brought to one scale, grains that are one: on cases known beforehand."""

import numpy as np
import pytest

from emcore.methods.registration.canvas import Canvas, blended, canvas_of
from emcore.methods.registration.carrying import carried, elected, elected_together, votes
from emcore.methods.registration.joining import joined_grains, seam_of, seams
from emcore.methods.registration.joint import joined, parts, weakest
from emcore.methods.registration.pairs import Match
from emcore.methods.registration.patterns import likeness, turned
from emcore.methods.registration.refine import Refined
from emcore.methods.registration.transforms import (
    MODELS,
    about,
    apart,
    apply,
    grid_of,
    inverse,
    motions,
    moved_by,
    n_parameters,
    rotation,
    small_motion,
)

SHAPE = (40, 50)


def match(fixed, moving, transform, score=20.0, sure=0.05):
    refined = Refined(transform, np.array([20.0, 10.0]), 8.0, sure**2 * np.eye(3), 300, 0.9, score, 40.0)
    return Match(fixed, moving, refined, 0, float("nan"), "grains")


def placed(angle, y, x):
    return about(rotation(angle), (np.array(SHAPE) - 1) / 2, np.array([y, x]))


@pytest.mark.parametrize("model", MODELS)
def test_small_motions_are_what_the_transform_does(model):
    rng = np.random.default_rng(0)
    parameters = 1e-3 * rng.standard_normal(n_parameters(model))
    places, middle = rng.uniform(0, 40, (30, 2)), np.array([12.0, 25.0])
    matrix = moved_by(model, parameters, middle, 10.0)
    moved = places @ matrix[:2, :2].T + matrix[:2, 2] - places
    assert np.allclose(moved, motions(model, places, middle, 10.0) @ parameters, atol=1e-4)
    assert np.allclose(small_motion(model, matrix, middle, 10.0), parameters, atol=1e-5)


def test_transforms_that_agree_are_found_and_one_that_does_not_is_left_out():
    true = np.stack([np.eye(3), placed(5, 22, 60), placed(-7, 50, 30), placed(12, 55, 65)])
    true[0] = np.eye(3)
    between = {(i, j): inverse(true[j]) @ true[i] for i in range(4) for j in range(i + 1, 4)}
    good = [match(i, j, each) for (i, j), each in between.items() if (i, j) != (1, 2)]
    wrong = match(1, 2, placed(0, 3, 0) @ between[1, 2], score=9.0)
    found = joined([SHAPE] * 4, [*good, wrong], "rigid")
    assert [(m.fixed, m.moving) for m in found.left_out] == [(1, 2)]
    assert max(apart(a, b, SHAPE) for a, b in zip(found.transforms, true, strict=True)) < 1e-6
    assert found.misses.max() < 1e-6
    assert found.uncertainty[0] == 0
    assert (found.uncertainty[1:] > 0.03).all()


def test_two_pairs_are_weighted_by_how_sure_they_are():
    one, other = placed(0, 20, 50), placed(0, 20, 51)
    found = joined([SHAPE] * 2, [match(1, 0, one, sure=0.1), match(1, 0, other, sure=0.2)], "rigid")
    shift = found.transforms[1][1, 2] - one[1, 2]
    assert shift == pytest.approx(0.2, abs=1e-3)


def test_scans_that_do_not_hang_together_are_told_apart():
    assert parts(4, [match(2, 3, np.eye(3)), match(0, 2, np.eye(3))]) == [[0, 2, 3], [1]]


def test_scans_hang_together_as_surely_as_the_weakest_pair_that_is_needed():
    pairs = [match(0, 1, np.eye(3), 30.0), match(1, 2, np.eye(3), 12.0), match(0, 2, np.eye(3), 25.0)]
    assert weakest(3, pairs) == 25
    assert weakest(3, pairs[:2]) == 12
    assert weakest(3, pairs[:1]) == 0


def test_a_seam_is_blended_without_a_step():
    rng = np.random.default_rng(0)
    scene = rng.random((30, 70))
    right = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 30.0], [0.0, 0.0, 1.0]])
    canvas = canvas_of(np.stack([np.eye(3), right]), [np.ones((30, 40), bool)] * 2)
    image, gain, offset = blended(canvas, [scene[:, :40], 3 * scene[:, 30:] - 7])
    assert np.allclose(image, scene)
    assert (gain[1], offset[1]) == (pytest.approx(1 / 3), pytest.approx(7 / 3))


def test_grains_are_joined_if_they_lie_on_one_another_and_are_alike():
    first = np.repeat([[0, 0, 1, 1, 1, 1, 2, 2, -1, -1, -1, -1]], 4, axis=0).astype(np.int32)
    second = np.repeat([[-1, -1, -1, -1, 1, 1, 0, 0, 0, 0, 2, 2]], 4, axis=0).astype(np.int32)
    labels = np.stack([first.ravel(), second.ravel()])
    canvas = canvas_of(np.stack([np.eye(3)] * 2), [first >= 0, second >= 0])
    alike = np.array([[0.1, 0.2, 0.0], [0.0, 0.9, 0.1], [0.3, 0.0, 0.2]])
    pairs = seams(labels, lambda i, j: alike)
    found = joined_grains(canvas, [first, second], labels, pairs, 0.5, 0.5)
    # 1 of the first and 1 of the second are one; 2 and 0 lie on one another, but are not alike.
    assert sorted(map(len, found.parts)) == [1, 1, 1, 1, 2]
    several = next(i for i, each in enumerate(found.parts) if len(each) == 2)
    assert found.likeness[several] == 0.9
    assert found.agreement[several] == 1
    few = seams(labels[:, :12], lambda i, j: alike)
    part = canvas_of(np.stack([np.eye(3)] * 2), [first[:1] >= 0, second[:1] >= 0])
    # Two positions of a seam say nothing of how far scans agree.
    assert np.isnan(joined_grains(part, [first[:1], second[:1]], labels[:, :12], few, 0.5, 0.5).agreement).all()
    seam = seam_of(labels, pairs, 0.5, 0.5).reshape(4, 12)[0]
    assert seam[4:8].tolist() == [1, 1, 0, 0]
    assert np.isnan(seam[[0, 11]]).all()


def in_two(places, angle=17.0):
    """On which side of a straight border places are."""
    y, x = np.moveaxis(places - 20.3, -1, 0)
    return (y * np.sin(np.radians(angle)) + x * np.cos(np.radians(angle)) > 0).astype(np.int32)


def side_by_side(angle=17.0):
    """Labels of two scans of one border, the second between the positions of the first, and where both lie."""
    transforms = np.stack([np.eye(3), about(rotation(5), np.zeros(2), np.array([3.47, 1.52]))])
    labels = [in_two(apply(each, grid_of(SHAPE)), angle).reshape(SHAPE) for each in transforms]
    return canvas_of(transforms, [np.ones(SHAPE, bool)] * 2), labels


def test_a_border_runs_between_the_positions_that_it_parts():
    wrong = np.zeros(2)
    for angle in range(2, 90, 8):
        canvas, labels = side_by_side(angle)
        true = in_two(grid_of(canvas.shape) + canvas.origin, angle)
        seen = carried(canvas, labels)
        assert (seen[~canvas.covered] == -1).all()
        # Where a position was measured it counts alone.
        assert np.array_equal(seen[0, canvas.covered[0]], true[canvas.covered[0]])
        on = canvas.covered[1]
        index = np.rint(canvas.places[1][on]).astype(int)
        wrong += [(seen[1, on] != true[on]).sum(), (labels[1][index[:, 0], index[:, 1]] != true[on]).sum()]
    assert 0 < wrong[0] < 0.75 * wrong[1]


def test_scans_vote_together_the_more_the_farther_inside():
    canvas, labels = side_by_side()
    both = np.flatnonzero(canvas.covered.all(axis=0))
    true = in_two(grid_of(canvas.shape) + canvas.origin)[both]
    assert np.array_equal(elected_together(canvas, labels, both), true)
    away = Canvas(canvas.origin, canvas.shape, canvas.places, canvas.covered, canvas.depth * [[1e-6], [1.0]])
    assert np.array_equal(elected_together(away, labels, both), carried(canvas, labels)[1, both])


def test_what_was_not_measured_has_no_vote():
    labels = np.full((6, 6), -1, dtype=np.int32)
    labels[2, 2] = 7
    places = np.array([[2.3, 2.3], [1.6, 2.4]])
    assert elected(*votes(labels, places)).tolist() == [7, 7]


def test_patterns_turn_as_positions_do():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((3, 4, 120))
    back = turned(turned(vectors, 33.0), -33.0)
    assert np.allclose(likeness(vectors, back).diagonal(), 1)
    assert likeness(vectors, turned(vectors, 33.0)).max() < 0.5
