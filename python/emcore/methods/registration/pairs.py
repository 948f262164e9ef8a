"""Do two scans overlap, and how does one lie on the other?

Of scans whose grains are known pictures of the grains' mean patterns are compared, which say far more than one image;
of images the images, and their keypoints first. Whatever was proposed is refined; it is believed if so high a
correlation in so small an overlap does not come by chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from emcore.core.validation import Floats
from emcore.methods.registration.images import Picture, overlapping
from emcore.methods.registration.keypoints import FEWEST, Keypoints, agreeing, keypoints_of, matched, most_agreed
from emcore.methods.registration.patterns import Grains, channels
from emcore.methods.registration.refine import Level, Refined, level, refine
from emcore.methods.registration.search import LEAST, LEAST_SAMPLES, starts
from emcore.methods.registration.transforms import about, angle_of, apart, apply, inverse, rotation, scale_of

# Smoothings, from coarse to fine, of grains and of images.
_OF_GRAINS, _OF_IMAGES = (2.0, 1.0, 0.7), (3.0, 1.5, 0.7)
# Least score of what is believed.
BELIEVED = 8.0
# Of two places of one scan on the other the second is as good as the first, and none is believed, if it has such a part
# of its score and is so many positions away.
_RIVAL, _AWAY = 0.85, 4.0
# Scans are turned by less, mostly, in degrees.
_USUAL = 20.0
# A similarity of keypoints that scales by more does so for certain.
_SCALED = 0.06
# Starts that are refined.
_TRIED = 3
# Similarities beyond are no overlap of two scans.
_SCALES = (0.5, 2.0)


@dataclass(frozen=True, eq=False)
class Material:
    """
    What is known of a scan.

    Attributes
    ----------
    image : Picture
        Of one channel.
    key : str
        By which two scans are put in an order that is not that in which they were given.
    grains : Grains, optional
    """

    image: Picture
    key: str
    grains: Grains | None = None
    _levels: dict[object, list[Level]] = field(default_factory=dict)

    @cached_property
    def keypoints(self) -> Keypoints:
        """Of the image."""
        return keypoints_of(self.image)


@dataclass(frozen=True)
class Match:
    """
    Two scans that overlap.

    Attributes
    ----------
    fixed, moving : int
        Which.
    refined : Refined
        The transform from `fixed` to `moving`.
    inliers : int
        Keypoints of both that it takes to one another; 0 where grains were compared.
    residual : float
        By how far they miss, in positions; NaN without.
    how : str
        What was compared.
    """

    fixed: int
    moving: int
    refined: Refined
    inliers: int
    residual: float
    how: str

    @property
    def score(self) -> float:
        """See `emcore.methods.registration.refine.score_of`."""
        return self.refined.score


def overlap_of(
    materials: Sequence[Material],
    fixed: int,
    moving: int,
    model: str,
    *,
    turning: bool = False,
    near: Sequence[Floats] = (),
    everywhere: bool = False,
    only_near: bool = False,
) -> Match | None:
    """
    How scan `fixed` lies on scan `moving`; None where it is not believed that they overlap.

    Parameters
    ----------
    materials : sequence of Material
    fixed, moving : int
        Which two.
    model : str
        See `emcore.methods.registration.transforms.MODELS`.
    turning : bool
        Whether patterns turn with the scan.
    near : sequence of ndarray, shape (3, 3)
        Transforms from `fixed` to `moving` that may be about right: if one is, nothing else is tried.
    everywhere : bool
        Look for any turn, not only for small ones.
    only_near : bool
        Try nothing but `near`.
    """
    if materials[fixed].key > materials[moving].key:
        near, fixed, moving = [inverse(each) for each in near], moving, fixed
    a, b = materials[fixed], materials[moving]
    near = [_of_model(each, model, overlapping(a.image, b.image, each)[0]) for each in near]
    grains = a.grains is not None and b.grains is not None
    from_, to = (np.zeros((0, 2)),) * 2 if grains else matched(a.keypoints, b.keypoints)
    proposed = [list(near)] if only_near else _proposals(a, b, model, turning, near, everywhere, (from_, to))
    for proposals in proposed:
        best = _best(a, b, proposals, model, turning)
        if best is None or best.score < BELIEVED:
            continue
        inliers, residual = agreeing(best.transform, from_, to)
        how = "grains" if grains else "keypoints" if inliers >= FEWEST else "correlation"
        return Match(fixed, moving, best, inliers, residual, how)
    return None


def _best(a: Material, b: Material, proposals: Sequence[Floats], model: str, turning: bool) -> Refined | None:
    """The best of some starts, refined; None where another place is as good."""
    tried = (_refined(a, b, transform, model, turning, coarse=len(proposals) > 1) for transform in proposals)
    possible = [each for each in tried if each is not None and _possible(each, a, b)]
    if not possible:
        return None
    best = max(possible, key=lambda each: each.score)
    for each in possible:
        away = apart(each.transform, best.transform, a.image.shape) > _AWAY
        if away and each.score > _RIVAL * best.score:
            return None
    if len(proposals) == 1:
        return best
    found = _refined(a, b, best.transform, model, turning)
    return found if found is not None and _possible(found, a, b) else None


def _proposals(
    a: Material,
    b: Material,
    model: str,
    turning: bool,
    near: Sequence[Floats],
    everywhere: bool,
    points: tuple[Floats, Floats],
) -> Iterator[list[Floats]]:
    """Lists of transforms, tried in turn until something of one is believed."""
    if near:
        yield list(near)
    turns = np.arange(-180, 180, 5.0) if everywhere else np.arange(-_USUAL, _USUAL + 1, 5.0)
    if model == "translation":
        turns = np.zeros(1)
    if a.grains is not None and b.grains is not None and turning:
        # Each turn has pictures of its own.
        found = []
        for turn in turns:
            found += starts(*channels(a.grains, b.grains, -float(turn)), turns=np.array([turn]), kept=2)
        found.sort(key=lambda each: -each.score)
    elif a.grains is not None and b.grains is not None:
        found = starts(*channels(a.grains, b.grains, None), turns=turns)
    else:
        found = starts(a.image, b.image, turns=turns)
    transforms = [each.transform for each in found[:_TRIED]]
    # Together with the others: keypoints say nothing of another place that is as good.
    agreed = most_agreed(*points)
    if agreed is not None:
        transforms.insert(0, agreed if _scales(agreed) else _of_model(agreed, model, points[0]))
    yield transforms


def _scales(transform: Floats) -> bool:
    """Whether it is no rigid transform for certain."""
    return abs(scale_of(transform) - 1) > _SCALED


def _of_model(transform: Floats, model: str, places: Floats) -> Floats:
    """What a similarity is of a stricter kind, the middle of the places going where it went."""
    if model in ("similarity", "affine") or not len(places):
        return transform
    middle = places.mean(axis=0)
    linear = np.eye(2) if model == "translation" else rotation(angle_of(transform))
    return about(linear, middle, apply(transform, middle[None])[0])


def _refined(
    a: Material, b: Material, transform: Floats, model: str, turning: bool, coarse: bool = False
) -> Refined | None:
    steps = 1 if coarse else None
    if a.grains is None or b.grains is None:
        return refine(_levels(a, b, a.image, b.image, _OF_IMAGES, None)[:steps], transform, model)
    if not turning:
        return refine(_levels(a, b, None, None, _OF_GRAINS, None)[:steps], transform, model)
    refined = None
    for _ in range(1 if coarse else 2):  # with the turn that the first time gave
        refined = refine(_levels(a, b, None, None, _OF_GRAINS, angle_of(transform))[:steps], transform, model)
        if refined is None:
            return None
        transform = refined.transform
    return refined


def _levels(
    a: Material, b: Material, fixed: Picture | None, moving: Picture | None, sigmas: Sequence[float], turn: float | None
) -> list[Level]:
    """The two at every smoothing, kept for the next start."""
    key = (id(b), turn)
    if key not in a._levels:
        a._levels.clear()
        if fixed is None or moving is None:
            assert a.grains is not None
            assert b.grains is not None
            fixed, moving = channels(a.grains, b.grains, turn)
        a._levels[key] = [level(fixed, moving, sigma, sigma == sigmas[-1]) for sigma in sigmas]
    return a._levels[key]


def _possible(refined: Refined, a: Material, b: Material) -> bool:
    """Whether enough overlaps, and nothing is stretched beyond reason or mirrored."""
    area = refined.transform[:2, :2]
    if not (np.linalg.det(area) > 0 and _SCALES[0] < scale_of(refined.transform) < _SCALES[1]):
        return False
    singular = np.linalg.svd(area, compute_uv=False)
    least = LEAST * min(int(a.image.mask.sum()), int(b.image.mask.sum()))
    return bool(singular[0] < 1.5 * singular[1] and refined.overlap > least and refined.samples > LEAST_SAMPLES)
