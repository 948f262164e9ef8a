"""A weight for every pixel that separates two groups best, and no worse than an annulus does.

Three masks are tried: a linear discriminant of bins of the detector and of rings, of which every annulus is a sum; one
of the rings alone; and the best annulus itself. What each is worth is seen at positions on which it was not made: every
other position of each group makes the masks, the others say how they are to be added, and then the other way round. So
where there are few electrons, and a thousand weights would be those of their noise, little more than rings or the
annulus is left.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.detectors.discriminant import discriminants

# Fewer positions of a group than this in a half make no discriminant that could be judged.
_LEAST = 4
# How many are made.
_MASKS = 6


@dataclass(frozen=True, eq=False)
class FreeWeights:
    """Weights of bins and rings.

    Attributes
    ----------
    bins : ndarray, shape (b,), float64
    rings : ndarray, shape (r,), float64
    shares : tuple of float
        Of the separation at positions that made no mask, what the mask of bins and rings, that of rings, and the
        annulus add.
    shrinkage : float
        Of the covariance of bins and rings.
    """

    bins: Floats
    rings: Floats
    shares: tuple[float, float, float]
    shrinkage: float


def free_weights(
    bins: NDArray[np.float32], rings: NDArray[np.float32], first: NDArray[np.bool_], annulus: tuple[int, int]
) -> FreeWeights:
    """
    The weights with the most contrast-to-noise that these positions show.

    Parameters
    ----------
    bins : ndarray, shape (n, b), float32
        What bins of the detector count at each position.
    rings : ndarray, shape (n, r), float32
    first : ndarray of bool, shape (n,)
        Which positions are of the first group; the others are of the second.
    annulus : (int, int)
        First and last ring of the best annulus.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = np.arange(400) < 200
    >>> bins = rng.poisson(20 + 4 * first[:, None] * [1, -1, 0, 0], size=(400, 4)).astype(np.float32)
    >>> found = free_weights(bins, bins.reshape(400, 2, 2).sum(axis=2), first, (0, 0))
    >>> weights = found.bins + found.rings.repeat(2)
    >>> weights[0] > 0 > weights[1], abs(weights[2:]).max() < 0.3 * weights[0]
    (np.True_, np.True_)
    """
    rows = np.concatenate([bins, rings], axis=1)
    (n, d), r = rows.shape, rings.shape[1]
    of_annulus = np.zeros(d)
    of_annulus[d - r + annulus[0] : d - r + annulus[1] + 1] = 1.0
    # The annulus counts positive where the first group has more of it.
    values = rows @ of_annulus.astype(np.float32)
    of_annulus *= 1.0 if values[first].mean() >= values[~first].mean() else -1.0
    halves = [np.zeros(n, dtype=bool) for _ in range(2)]
    for group in (np.flatnonzero(first), np.flatnonzero(~first)):
        halves[0][group[::2]] = halves[1][group[1::2]] = True
    if min(np.count_nonzero(half & each) for half in halves for each in (first, ~first)) < _LEAST:
        return FreeWeights(np.zeros(d - r), np.abs(of_annulus[d - r :]), (0.0, 0.0, 1.0), 1.0)
    scores, ratios = np.empty((n, _MASKS)), np.ones((2, _MASKS))
    for half, (making, judging) in enumerate((halves, halves[::-1])):
        made, _ = _made(rows, r, making, first, of_annulus)
        seen = rows[judging] @ made.T
        deviation = _within(seen, first[judging])
        ratios[half] = deviation / _within(rows[making] @ made.T, first[making])
        middle = (seen[first[judging]].mean(axis=0) + seen[~first[judging]].mean(axis=0)) / 2
        scores[judging] = (seen - middle) / deviation
    parts = _parts(scores, first)
    # Made once more, of all positions; at others they vary by as much more than at these as those of halves do.
    made, shrinkage = _made(rows, r, np.ones(n, dtype=bool), first, of_annulus)
    weights = (parts / (_within(rows @ made.T, first) * ratios.mean(axis=0))) @ made
    separated = parts * (scores[first].mean(axis=0) - scores[~first].mean(axis=0))
    shares = separated / max(float(separated.sum()), 1e-300)
    three = float(shares[:-2].sum()), float(shares[-2]), float(shares[-1])
    return FreeWeights(weights[: d - r], weights[d - r :], three, shrinkage)


def _made(
    rows: NDArray[np.float32], r: int, making: NDArray[np.bool_], first: NDArray[np.bool_], of_annulus: Floats
) -> tuple[Floats, float]:
    """The masks that some positions make: three of bins and rings, one of bins, one of the r rings, the annulus."""
    d = rows.shape[1]
    whole, shrinkage = discriminants(rows[making], first[making])
    of_rings = np.zeros(d)
    of_rings[d - r :] = discriminants(rows[making, d - r :], first[making])[0][0]
    of_bins = np.where(np.arange(d) < d - r, whole[1], 0.0)
    return np.stack([*whole, of_bins, of_rings, of_annulus]), shrinkage


def _within(scores: Floats, first: NDArray[np.bool_]) -> Floats:
    """Deviation of scores within both groups, 1 where there is none."""
    deviation = np.sqrt(scores[first].var(axis=0) + scores[~first].var(axis=0))
    return np.where(deviation > 0, deviation, 1.0)


def _parts(scores: Floats, first: NDArray[np.bool_]) -> Floats:
    """How much of each score makes their sum separate the groups best, none less than nothing."""
    difference = scores[first].mean(axis=0) - scores[~first].mean(axis=0)
    covariance = np.cov(scores[first].T) + np.cov(scores[~first].T)
    parts = np.zeros(len(difference))
    used = difference > 0
    while used.any():
        of_used = covariance[np.ix_(used, used)]
        ridge = 1e-9 * np.trace(of_used) * np.eye(int(used.sum()))
        solved = np.linalg.solve(of_used + ridge, difference[used])
        if (solved >= 0).all():
            parts[used] = solved
            return parts
        used[np.flatnonzero(used)[solved.argmin()]] = False
    parts[-1] = 1.0
    return parts
