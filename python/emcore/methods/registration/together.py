"""All overlaps of some scans, found with as little searching as they allow, and all scans in the frame of the first.

Small turns are tried for all pairs, any turn for those that do not hang together yet; the pairs that then must overlap
are refined from where they must lie.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from emcore.core.control import steps
from emcore.core.validation import Floats
from emcore.methods.registration.joint import Joint, along_tree, joined, parts, predicted_overlaps
from emcore.methods.registration.pairs import Match, Material, overlap_of
from emcore.methods.registration.search import LEAST
from emcore.methods.registration.transforms import inverse

# A similarity is only taken for more than a rigid transform if scales differ from 1 by so much, and so many deviations.
_SCALE, _DEVIATIONS = 0.01, 4.0
# And if that makes the score of the overlap so many times as high.
_BETTER = 1.05


class Apart(ValueError):
    """Scans that do not hang together; `parts` has those that do, as numbers."""

    def __init__(self, parts: list[list[int]]) -> None:
        super().__init__("scans that match nothing")
        self.parts = parts


def all_matches(
    materials: Sequence[Material],
    model: str,
    turning: bool,
    near: Mapping[tuple[int, int], Floats],
    everywhere: bool,
) -> list[Match]:
    """
    Pairs of scans that overlap.

    Parameters
    ----------
    materials : sequence of Material
    model : str
        See `emcore.methods.registration.transforms.MODELS`.
    turning : bool
        Whether patterns turn with the scans.
    near : mapping from (int, int) to ndarray, shape (3, 3)
        Of pairs, the smaller number first, a transform from the first to the second that may be about right.
    everywhere : bool
        Look for any turn, not only for small ones, where scans do not hang together with those.
    """
    count = len(materials)
    shapes = [each.image.shape for each in materials]
    matches: dict[tuple[int, int], Match] = {}
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    with steps(len(pairs)) as done:
        for number, (i, j) in enumerate(pairs):
            _keep(matches, overlap_of(materials, i, j, model, turning=turning, near=_near(near, i, j)))
            done(number + 1)
    for i, j in pairs if everywhere and model != "translation" else []:
        group = next(each for each in parts(count, list(matches.values())) if i in each)
        if j not in group:
            _keep(matches, overlap_of(materials, i, j, model, turning=turning, everywhere=True))
    for group in parts(count, list(matches.values())):
        known = along_tree(count, list(matches.values()), group[0])
        for i, j in predicted_overlaps(shapes, known, LEAST):
            if (i, j) not in matches:
                there = inverse(known[j]) @ known[i]
                _keep(matches, overlap_of(materials, i, j, model, turning=turning, near=[there], only_near=True))
    return list(matches.values())


def _keep(matches: dict[tuple[int, int], Match], match: Match | None) -> None:
    if match is not None:
        matches[min(match.fixed, match.moving), max(match.fixed, match.moving)] = match


def _near(near: Mapping[tuple[int, int], Floats], i: int, j: int) -> list[Floats]:
    return [near[i, j]] if (i, j) in near else []


def all_together(
    materials: Sequence[Material],
    model: str,
    turning: bool,
    near: Mapping[tuple[int, int], Floats],
    everywhere: bool,
) -> tuple[Joint, str]:
    """
    Every scan in the frame of the first, and which kind of transform that took.

    Parameters
    ----------
    materials, turning, near, everywhere : see `all_matches`
    model : str
        "auto" for rigid ones, or similarities where the scales differ for certain.

    Raises
    ------
    Apart
        If some scans overlap with no other.
    """
    # Overlaps are looked for without stretching: what may stretch fits more by chance.
    matches = all_matches(materials, "translation" if model == "translation" else "rigid", turning, near, everywhere)
    groups = parts(len(materials), matches)
    if len(groups) > 1:
        raise Apart(groups)
    shapes = [each.image.shape for each in materials]
    if model == "auto":
        stretched = _again(materials, matches, "similarity", turning)
        before = {(match.fixed, match.moving): match.score for match in matches}
        certain = any(_scaled(each) and each.score > _BETTER * before[each.fixed, each.moving] for each in stretched)
        if certain and len(parts(len(materials), stretched)) == 1:
            return joined(shapes, stretched, "similarity"), "similarity"
        return joined(shapes, matches, "rigid"), "rigid"
    if model in ("similarity", "affine"):
        matches = _again(materials, matches, model, turning)
        if len(groups := parts(len(materials), matches)) > 1:
            raise Apart(groups)
    return joined(shapes, matches, model), model


def _scaled(match: Match) -> bool:
    """Whether one of the two has another scale for certain."""
    refined = match.refined
    growth = float(np.log(np.sqrt(np.linalg.det(refined.transform[:2, :2]))))
    deviation = float(np.sqrt(refined.covariance[3, 3])) / refined.length
    return abs(growth) > max(_SCALE, _DEVIATIONS * deviation)


def _again(materials: Sequence[Material], matches: Sequence[Match], model: str, turning: bool) -> list[Match]:
    """The same pairs with transforms of a stricter kind; those that it does not fit as they were without them."""
    found: dict[tuple[int, int], Match] = {}
    for match in matches:
        _keep(
            found,
            overlap_of(
                materials,
                match.fixed,
                match.moving,
                model,
                turning=turning,
                near=[match.refined.transform],
                only_near=True,
            ),
        )
    return list(found.values())
