"""How well every annulus separates two groups, from what the rings of a detector count at each of their positions.

The sum over an annulus is that of its rings. Its mean in a group is the sum of their means, its variance that of all
entries of their covariance, so that all pairs of radii cost O(r^2) once the covariance of r rings is known: from one
outer radius to the next comes the variance of a ring and twice its covariance with those within (Stroppa & dos Reis,
EMC 2024 no. 242, ask for the pair of radii with the most contrast).

Contrast is |a - b| / (|a| + |b|) of the means of the groups, contrast-to-noise |a - b| / sqrt(var_a + var_b) of single
positions, whose square is Fisher's criterion. Contrast alone is largest where there is nothing: far out, where few
electrons come, one group has by chance, or by the last of its scattering, a count in a hundred positions and the other
none, a contrast of 1 in an image of noise. So contrast-to-noise chooses; or contrast, among annuli that have at least
half of the largest contrast-to-noise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.detectors.covariance import products_of

SCORES = ("fisher", "contrast")
# Of the largest contrast-to-noise an annulus must have this part, for its contrast to count.
FLOOR = 0.5
# Deviations below this part of what is counted are rounding.
_ROUNDING = 1e-6
# Bytes of profiles that are taken in double precision at a time.
_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class RingCounts:
    """What the rings count at the positions of one group.

    Attributes
    ----------
    mean : ndarray, shape (r,), float64
    covariance : ndarray, shape (r, r), float64
        Unbiased.
    positions : int
    """

    mean: Floats
    covariance: Floats
    positions: int


@dataclass(frozen=True, eq=False)
class AnnulusScores:
    """How well annuli separate two groups: entry [i, j] is of the rings i to j, both included; 0 where j < i.

    Attributes
    ----------
    contrast, cnr : ndarray, shape (r, r), float64
        See the module's first lines.
    """

    contrast: Floats
    cnr: Floats

    def best(self, score: str = "fisher") -> tuple[int, int]:
        """The first and the last ring of the best annulus; of equals the one nearest to the beam.

        Examples
        --------
        >>> AnnulusScores(np.array([[0.2, 0.1], [0, 1.0]]), np.array([[3.0, 2.0], [0, 0.1]])).best("contrast")
        (0, 0)
        """
        values = self.cnr
        if score == "contrast":
            values = np.where(self.cnr >= FLOOR * self.cnr.max(), self.contrast, -1.0)
        first, last = np.unravel_index(int(np.argmax(values)), values.shape)
        return int(first), int(last)


def ring_counts(profiles: NDArray[np.float32], positions: NDArray[np.intp]) -> RingCounts:
    """
    Mean and covariance of the rings over some positions, at least 2.

    Parameters
    ----------
    profiles : ndarray, shape (n, r), float32
        What every ring counts at every position.
    positions : ndarray of int

    Examples
    --------
    >>> counts = ring_counts(np.array([[1, 2], [3, 6], [9, 9]], np.float32), np.array([0, 1]))
    >>> counts.mean.tolist(), counts.covariance.tolist()
    ([2.0, 4.0], [[2.0, 4.0], [4.0, 8.0]])
    """
    r = profiles.shape[1]
    step = max(_BYTES // (8 * r), 1)
    blocks = [positions[start : start + step] for start in range(0, len(positions), step)]
    mean = sum(profiles[block].sum(axis=0, dtype=np.float64) for block in blocks) / len(positions)
    products = np.zeros((r, r))
    for block in blocks:
        products += products_of(profiles[block].astype(np.float64), mean)
    return RingCounts(mean, products / (len(positions) - 1), len(positions))


def annulus_scores(a: RingCounts, b: RingCounts) -> AnnulusScores:
    """
    Contrast and contrast-to-noise of all annuli.

    Examples
    --------
    >>> profiles = np.array([[9, 1], [3, 3], [3, 7], [9, 9]], np.float32)
    >>> scores = annulus_scores(*(ring_counts(profiles, np.array(each)) for each in ((0, 1), (2, 3))))
    >>> scores.best(), float(scores.contrast[1, 1]), round(float(scores.cnr[1, 1]) ** 2, 3)
    ((1, 1), 0.6, 9.0)
    """
    means = [np.cumsum(np.triu(np.broadcast_to(each.mean, each.covariance.shape)), axis=1) for each in (a, b)]
    noise = np.sqrt(np.maximum(_variances(a.covariance) + _variances(b.covariance), 0.0))
    contrast, cnr = separation(means[0], means[1], noise)
    return AnnulusScores(np.triu(contrast), np.triu(cnr))


def separation(a: Floats, b: Floats, noise: Floats, total: Floats | None = None) -> tuple[Floats, Floats]:
    """
    Contrast and contrast-to-noise of two means and the root of the sum of their variances.

    Parameters
    ----------
    a, b, noise : ndarray or float
    total : ndarray or float, optional
        What both count together, where weights have different signs; default |a| + |b|.

    Examples
    --------
    >>> contrast, cnr = separation(np.float64(6), np.float64(2), np.float64(8))
    >>> float(contrast), float(cnr)
    (0.5, 0.5)
    """
    total = np.abs(a) + np.abs(b) if total is None else np.asarray(total)
    difference = np.abs(a - b)
    noise = np.maximum(noise, _ROUNDING * total)
    contrast, cnr = (
        np.divide(difference, by, out=np.zeros(np.shape(difference)), where=by > 0) for by in (total, noise)
    )
    return contrast, cnr


def _variances(covariance: Floats) -> Floats:
    """Of the sums of the rings i to j; not by differences, in which a bright beam would drown the rings outside."""
    within = np.cumsum(np.triu(covariance, 1)[::-1], axis=0)[::-1]
    return np.cumsum(np.triu(np.diagonal(covariance) + 2 * within), axis=1)
