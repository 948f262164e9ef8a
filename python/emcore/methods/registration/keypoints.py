"""Points of two images that are described alike, and the similarity by which most of them fall on one another.

SIFT (Lowe, Int. J. Comput. Vision 60 (2004) 91) and RANSAC, both of scikit-image.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.io.optional import skimage_module
from emcore.methods.registration.images import Picture, reduced, smoothed
from emcore.methods.registration.transforms import apply

# Longer side up to which points are looked for; a match has no second that is nearly as near.
_SIDE, _RATIO = 512, 0.8
# Positions within which two points are the same.
NEAR = 1.5
# Trials of pairs of points, and so many points on one another at least.
_TRIALS, FEWEST = 2000, 6


@dataclass(frozen=True)
class Keypoints:
    """Places, shape (n, 2), of points of an image, and how each is described."""

    places: Floats
    descriptors: NDArray[np.uint8]


def keypoints_of(picture: Picture) -> Keypoints:
    """The points of a picture of one channel; none where it has no features."""
    factor = max(-(-max(picture.shape) // _SIDE), 1)
    small = smoothed(reduced(picture, factor), 0.7)
    values = small.values[0]
    low, high = float(values.min()), float(values.max())
    if high <= low or min(values.shape) < 12:
        return Keypoints(np.zeros((0, 2)), np.zeros((0, 128), np.uint8))
    sift = skimage_module("feature").SIFT()
    try:
        sift.detect_and_extract((values - low) / (high - low))
    except RuntimeError:  # it found none
        return Keypoints(np.zeros((0, 2)), np.zeros((0, 128), np.uint8))
    places = np.asarray(sift.keypoints, dtype=np.float64) * factor + (factor - 1) / 2
    return Keypoints(places, np.asarray(sift.descriptors))


def matched(a: Keypoints, b: Keypoints) -> tuple[Floats, Floats]:
    """The places of points of `a` and of those of `b` that are like no other."""
    if min(len(a.places), len(b.places)) < 2:
        return np.zeros((0, 2)), np.zeros((0, 2))
    feature = skimage_module("feature")
    pairs = feature.match_descriptors(a.descriptors, b.descriptors, cross_check=True, max_ratio=_RATIO)
    return a.places[pairs[:, 0]], b.places[pairs[:, 1]]


def most_agreed(from_: Floats, to: Floats, seed: int = 0) -> Floats | None:
    """The similarity, shape (3, 3), that takes most points to their like; None where too few agree."""
    if len(from_) < FEWEST:
        return None
    model: Any = skimage_module("transform").SimilarityTransform
    found, agree = skimage_module("measure").ransac(
        (from_, to), model, min_samples=2, residual_threshold=2 * NEAR, max_trials=_TRIALS, rng=seed
    )
    if found is None or agree is None or int(agree.sum()) < FEWEST or not np.isfinite(found.params).all():
        return None
    return np.asarray(found.params, dtype=np.float64)


def agreeing(transform: Floats, from_: Floats, to: Floats) -> tuple[int, float]:
    """How many points a transform takes to their like, and the root of the mean square of how far they miss."""
    if not len(from_):
        return 0, float("nan")
    miss = np.linalg.norm(apply(transform, from_) - to, axis=1)
    near = miss < NEAR
    return int(near.sum()), float(np.sqrt((miss[near] ** 2).mean())) if near.any() else float("nan")
