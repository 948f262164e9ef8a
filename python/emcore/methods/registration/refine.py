"""From about right to a part of a position: the transform at which two images differ least where they overlap.

Gauss-Newton on the values (Lucas & Kanade, IJCAI 1981; gain and offset between the images solved for with each step, as
Evangelidis & Psarakis, IEEE Trans. Pattern Anal. 30 (2008) 1858, maximise the correlation), from coarse to fine. At the
finest both are compared at the positions of each, so that none is the smoother one. Its uncertainty comes of blocks of
the overlap, each of which pulls by itself, so that differences that reach far (a grain brighter in one) are not taken
for many.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.registration.images import (
    Picture,
    area_alike,
    correlation,
    overlapping,
    picture_of,
    sampled,
    smoothed,
)
from emcore.methods.registration.transforms import corners, inverse, motions, moved_by, n_parameters

# Steps at most, and the motion in positions at which they end.
_STEPS, _STILL = 25, 0.004
# Positions of an overlap that are used at most: of more every second, third, ... along both axes.
_MOST = 6000
# Positions over which details are not smooth.
_WIDE = 4.0
# Positions of an overlap of which nothing is refined.
_FEWEST = 24
# Blocks that pull by themselves: at least so many for each parameter, of a side of so many positions at most.
_BLOCKS, _LONGEST_SIDE = 4, 10
# Least uncertainty of a parameter in positions: interpolation is no better.
_FLOOR = 0.03


@dataclass(frozen=True)
class Refined:
    """
    A transform from `fixed` to `moving`, and how sure it is.

    Attributes
    ----------
    transform : ndarray, shape (3, 3)
    middle, length : ndarray, shape (2,), and float
        Of the overlap in `moving`, about which motions are counted, see `emcore.methods.registration.transforms`.
    covariance : ndarray, shape (p, p)
        Of the motion's parameters, in positions squared.
    overlap : int
        Positions of `fixed`.
    correlation, score : float
        Of the images in the overlap, of all they show or of their details, whichever is the less likely by chance; and
        how unlikely, see `score_of`.
    samples : float
        Independent samples in it.
    """

    transform: Floats
    middle: Floats
    length: float
    covariance: Floats
    overlap: int
    correlation: float
    score: float
    samples: float


@dataclass(frozen=True)
class Smooth:
    """A picture that can be looked at between its positions: splines of it and of its slopes, shape (c, 2, y, x)."""

    picture: Picture
    coefficients: Floats
    slopes: Floats

    def at(self, places: Floats) -> Floats:
        """Values of every channel, shape (c, n), at places, shape (n, 2)."""
        return sampled(self.coefficients, places, prefilter=False)

    def slopes_at(self, places: Floats) -> Floats:
        """Slopes of every channel along y and x, shape (c, 2, n)."""
        return np.stack([sampled(each, places, order=1) for each in self.slopes])


def _smooth(picture: Picture) -> Smooth:
    from scipy import ndimage

    slopes = np.stack([np.stack(np.gradient(each)) for each in picture.values])
    return Smooth(picture, np.stack([ndimage.spline_filter(each, 3) for each in picture.values]), slopes)


@dataclass(frozen=True)
class Level:
    """Two pictures smoothed alike; both whole and their details, to be judged; whether both ways are compared."""

    fixed: Smooth
    moving: Smooth
    bands: tuple[tuple[Picture, Picture, float], ...]
    both_ways: bool


def level(fixed: Picture, moving: Picture, sigma: float, both_ways: bool = False) -> Level:
    """The pictures at one smoothing."""
    a, b = (smoothed(each, sigma) for each in (fixed, moving))
    details = [_details(each) for each in (a, b)]
    bands = tuple((c, d, area_alike(c, d)) for c, d in ((a, b), (details[0], details[1])))
    return Level(_smooth(a), _smooth(b), bands, both_ways)


def _details(picture: Picture) -> Picture:
    """What is not smooth over some positions: of it an overlap has far more independent samples."""
    wide = smoothed(picture, _WIDE)
    return picture_of(picture.values - wide.values * _ratio(picture, wide), picture.mask)


def _ratio(picture: Picture, wide: Picture) -> float:
    """By how much the smoothed picture, which has been brought to deviation 1, is to be weighted."""
    return float((picture.values * wide.values).sum() / max(float((wide.values**2).sum()), 1e-300))


def score_of(r: float, samples: float) -> float:
    """Deviations from what unrelated images give: Fisher's transform of a correlation.

    Examples
    --------
    >>> round(score_of(0.5, 103.0), 2)
    5.49
    """
    return float(np.arctanh(np.clip(r, -0.9999, 0.9999)) * np.sqrt(max(samples - 3, 0.0)))


def refine(levels: list[Level], transform: Floats, model: str) -> Refined | None:
    """
    The best transform near `transform`; None where the overlap is lost on the way.

    Parameters
    ----------
    levels : list of Level
        From the coarsest on.
    transform : ndarray, shape (3, 3)
        From positions of the fixed image to those of the moving one.
    model : str
        Which motions are made, see `emcore.methods.registration.transforms.MODELS`.
    """
    for each in levels:
        found = _refined_at(each, transform, model)
        if found is None:
            return None
        transform = found.transform
    return found


def _refined_at(images: Level, transform: Floats, model: str) -> Refined | None:
    still, gain = False, 1.0
    fixed, moving = images.fixed, images.moving
    every = max(int(np.sqrt(fixed.picture.mask.sum() / (2 * _MOST))), 1)
    for _ in range(_STEPS):
        places, there = overlapping(fixed.picture, moving.picture, transform, every)
        if len(places) < max(_FEWEST, 3 * n_parameters(model)):
            return None
        middle = there.mean(axis=0)
        length = max(float(np.sqrt(((there - middle) ** 2).sum(axis=1).mean())), 1.0)
        index = places.astype(np.intp)
        target = fixed.picture.values[:, index[:, 0], index[:, 1]]
        pull = _pull(moving, there, motions(model, there, middle, length))
        terms = np.concatenate([moving.at(there)[..., None], pull], axis=-1)
        if images.both_ways:
            # What moves forth in one moves back in the other.
            back = inverse(transform)
            own, seen = overlapping(moving.picture, fixed.picture, back, every)
            moved = -np.einsum("kl,nlp->nkp", back[:2, :2], motions(model, own, middle, length))
            pull = _pull(fixed, seen, moved) / -gain
            at = own.astype(np.intp)
            values = moving.picture.values[:, at[:, 0], at[:, 1]]
            terms = np.concatenate([terms, np.concatenate([values[..., None], pull], axis=-1)], axis=1)
            target = np.concatenate([target, fixed.at(seen)], axis=1)
            index = np.concatenate([index, np.rint(seen).astype(np.intp)])
        shape = terms.shape
        # Each channel has an offset of its own.
        terms = (terms - terms.mean(axis=1, keepdims=True)).reshape(-1, shape[-1])
        rest = (target - target.mean(axis=1, keepdims=True)).ravel()
        normal = terms.T @ terms
        normal[1:, 1:] += 1e-6 * np.trace(normal[1:, 1:]) * np.eye(shape[-1] - 1)
        solved = np.linalg.solve(normal + 1e-9 * np.eye(len(normal)), terms.T @ rest)
        rest = rest - terms @ solved
        if still or float(solved[0]) <= 0.02:
            break
        gain = float(solved[0])
        motion = solved[1:] / gain
        size = float(np.abs(motion).max())
        # Not beyond where the slopes hold.
        motion = motion * min(1.0, 2.0 / max(size, 1e-12))
        transform = moved_by(model, motion, middle, length) @ transform
        still = size < _STILL
    terms = terms[:, 1:].reshape(*shape[:2], shape[2] - 1)
    covariance = _covariance(terms * gain, rest.reshape(target.shape), index)
    places, there = overlapping(fixed.picture, moving.picture, transform)
    judged = []
    for a, b, area in images.bands:
        index = places.astype(np.intp)
        r = correlation(a.values[:, index[:, 0], index[:, 1]], sampled(b.values, there, order=1))
        samples = len(places) / area
        judged.append((score_of(r, samples), r, samples))
    score, r, samples = max(judged)
    return Refined(transform, middle, length, covariance, len(places), r, score, samples)


def _pull(image: Smooth, places: Floats, moved: Floats) -> Floats:
    """By how much each value changes, shape (c, n, p), where places move."""
    return np.asarray(np.einsum("ckn,nkp->cnp", image.slopes_at(places), moved))


def _covariance(pull: Floats, rest: Floats, index: NDArray[np.intp]) -> Floats:
    """Of the motion, from how differently the blocks of the overlap pull."""
    count = pull.shape[-1]
    inner = np.einsum("cnp,cnq->pq", pull, pull)
    inverse = np.linalg.inv(inner + 1e-6 * np.trace(inner) * np.eye(count) + 1e-12 * np.eye(count))
    side = int(np.clip(np.sqrt(len(index) / (_BLOCKS * count)), 1, _LONGEST_SIDE))
    cells = (index - index.min(axis=0)) // side
    _, block = np.unique(cells[:, 0] * (cells[:, 1].max() + 1) + cells[:, 1], return_inverse=True)
    blocks = int(block.max()) + 1
    of_block = np.zeros((blocks, count))
    np.add.at(of_block, block.ravel(), np.einsum("cnp,cn->np", pull, rest))
    more = blocks / max(blocks - count, 1)
    spread: Floats = inverse @ (of_block.T @ of_block) @ inverse * more
    return spread + _FLOOR**2 * np.eye(count)


def farthest(refined: Refined, shape: tuple[int, int], model: str) -> float:
    """The uncertainty, in positions, of the corner of the moving image that is known least."""
    moved = motions(model, corners(shape), refined.middle, refined.length)
    variance = np.einsum("nkp,pq,nkq->n", moved, refined.covariance, moved)
    return float(np.sqrt(variance.max()))
