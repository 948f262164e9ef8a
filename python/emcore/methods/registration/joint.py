"""All scans in the frame of the first: the transforms that agree best with all pairs at once.

A tree of the surest pairs gives a start, least squares over all pairs, each weighted with its own uncertainty, the
answer and how sure it is. A pair that the others contradict is left out, if the others hold without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emcore.core.validation import Floats
from emcore.methods.registration.pairs import Match
from emcore.methods.registration.transforms import (
    apply,
    corners,
    inverse,
    motions,
    moved_by,
    n_parameters,
    small_motion,
)

# A pair is contradicted that misses by so many positions and so many of its deviations.
_MISSES, _DEVIATIONS = 1.5, 6.0


@dataclass(frozen=True)
class Joint:
    """
    Transforms of all scans.

    Attributes
    ----------
    transforms : ndarray, shape (n, 3, 3)
        From positions of each scan to those of the first.
    uncertainty : ndarray, shape (n,)
        Of the corner of each that is known least, one deviation, in positions.
    matches : tuple of Match
        Those that were used.
    misses : ndarray, shape (m,)
        By how far the transforms differ from those of each pair alone, at the corners of their overlap, in positions.
    left_out : tuple of Match
        Those that the others contradict.
    """

    transforms: Floats
    uncertainty: Floats
    matches: tuple[Match, ...]
    misses: Floats
    left_out: tuple[Match, ...]


def parts(count: int, matches: Sequence[Match]) -> list[list[int]]:
    """Scans that hang together, the first scan's first.

    Examples
    --------
    >>> parts(3, [])
    [[0], [1], [2]]
    """
    group = list(range(count))
    for match in matches:
        a, b = group[match.fixed], group[match.moving]
        group = [min(a, b) if each in (a, b) else each for each in group]
    return [[i for i in range(count) if group[i] == name] for name in sorted(set(group))]


def weakest(count: int, matches: Sequence[Match]) -> float:
    """The least score of the pairs that hold all scans together, the surest that do; 0 where none do.

    Examples
    --------
    >>> weakest(2, [])
    0.0
    """
    order = sorted(matches, key=lambda m: -m.score)
    for used, match in enumerate(order, start=1):
        if len(parts(count, order[:used])) == 1:
            return match.score
    return 0.0


def along_tree(count: int, matches: Sequence[Match], first: int = 0) -> dict[int, Floats]:
    """Transforms to scan `first` along the surest pairs, of the scans that hang together with it."""
    found = {first: np.eye(3)}
    for _ in range(count):
        open_ = [m for m in matches if (m.fixed in found) != (m.moving in found)]
        if not open_:
            break
        match = max(open_, key=lambda m: m.score)
        if match.fixed in found:
            found[match.moving] = found[match.fixed] @ inverse(match.refined.transform)
        else:
            found[match.fixed] = found[match.moving] @ match.refined.transform
    return found


def joined(shapes: Sequence[tuple[int, int]], matches: Sequence[Match], model: str) -> Joint:
    """
    Transforms of all scans to the first one; the pairs must hold all of them together.

    Parameters
    ----------
    shapes : sequence of (int, int)
        Positions of each scan along y and x.
    matches : sequence of Match
    model : str
        See `emcore.methods.registration.transforms.MODELS`.
    """
    used, left_out = list(matches), []
    while True:
        transforms, covariance = _least_squares(shapes, used, model)
        misses = np.array([_miss(m, transforms, shapes) for m in used])
        deviations = np.array([np.sqrt(_cost(m, transforms, model) / n_parameters(model)) for m in used])
        doubtful = np.flatnonzero((misses > _MISSES) & (deviations > _DEVIATIONS))
        # The least sure of those that are contradicted, if the scans hang together without it.
        for index in sorted(doubtful, key=lambda i: used[i].score):
            rest = used[:index] + used[index + 1 :]
            if len(parts(len(shapes), rest)) == 1:
                left_out.append(used[index])
                used = rest
                break
        else:
            break
    count = n_parameters(model)
    uncertainty = np.zeros(len(shapes))
    for k in range(1, len(shapes)):
        own = covariance[(k - 1) * count : k * count, (k - 1) * count : k * count]
        moved = motions(model, corners(shapes[k]), *_middle(shapes[k]))
        uncertainty[k] = np.sqrt(np.einsum("nkp,pq,nkq->n", moved, own, moved).max())
    return Joint(transforms, uncertainty, tuple(used), misses, tuple(left_out))


def _middle(shape: tuple[int, int]) -> tuple[Floats, float]:
    return (np.array(shape) - 1) / 2, float(np.hypot(*shape)) / 4


def _least_squares(shapes: Sequence[tuple[int, int]], matches: Sequence[Match], model: str) -> tuple[Floats, Floats]:
    from scipy.optimize import least_squares

    tree = along_tree(len(shapes), matches)
    start = np.stack([tree[k] for k in range(len(shapes))])
    count = n_parameters(model)
    if len(shapes) == 1:
        return start, np.zeros((0, 0))
    whitening = [np.linalg.cholesky(np.linalg.inv(m.refined.covariance)).T for m in matches]

    def moved(parameters: Floats) -> Floats:
        now = start.copy()
        for k, own in enumerate(parameters.reshape(-1, count), start=1):
            now[k] = start[k] @ moved_by(model, own, *_middle(shapes[k]))
        return now

    def residuals(parameters: Floats) -> Floats:
        now = moved(parameters)
        return np.concatenate([w @ _difference(m, now, model) for w, m in zip(whitening, matches, strict=True)])

    solved = least_squares(residuals, np.zeros((len(shapes) - 1) * count), x_scale="jac", xtol=1e-10, max_nfev=50)
    spread = np.linalg.inv(solved.jac.T @ solved.jac + 1e-12 * np.eye(len(solved.x)))
    free = len(solved.fun) - len(solved.x)
    # Pairs that contradict one another say that all are less sure than they believe.
    worse = max(1.0, 2 * solved.cost / free) if free else 1.0
    return moved(solved.x), spread * worse


def _difference(match: Match, transforms: Floats, model: str) -> Floats:
    """The motion from where a pair by itself puts what overlaps to where all together do."""
    refined = match.refined
    together = inverse(transforms[match.moving]) @ transforms[match.fixed]
    return small_motion(model, together @ inverse(refined.transform), refined.middle, refined.length)


def _cost(match: Match, transforms: Floats, model: str) -> float:
    difference = _difference(match, transforms, model)
    return float(difference @ np.linalg.solve(match.refined.covariance, difference))


def _miss(match: Match, transforms: Floats, shapes: Sequence[tuple[int, int]]) -> float:
    """In positions, where the overlap's corners are about."""
    refined = match.refined
    together = inverse(transforms[match.moving]) @ transforms[match.fixed]
    rest = together @ inverse(refined.transform)
    ends = refined.middle + refined.length * np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    return float(np.linalg.norm(apply(rest, ends) - ends, axis=1).max())


def predicted_overlaps(
    shapes: Sequence[tuple[int, int]], transforms: dict[int, Floats], least: float
) -> list[tuple[int, int]]:
    """Pairs of scans of which one lies on at least a part `least` of the other."""
    found = []
    for i in sorted(transforms):
        for j in sorted(transforms):
            if i < j:
                there = inverse(transforms[j]) @ transforms[i]
                if _share(there, shapes[i], shapes[j]) >= least:
                    found.append((i, j))
    return found


def _share(transform: Floats, fixed: tuple[int, int], moving: tuple[int, int]) -> float:
    """Part of the smaller scan that lies on the other, from a grid of places."""
    places = np.stack(np.meshgrid(*[np.linspace(0, size - 1, 24) for size in fixed], indexing="ij"), -1).reshape(-1, 2)
    there = apply(transform, places)
    on = ((there >= 0) & (there <= np.array(moving) - 1)).all(axis=1).mean()
    return float(on * np.prod(fixed) / min(np.prod(fixed), np.prod(moving)))
