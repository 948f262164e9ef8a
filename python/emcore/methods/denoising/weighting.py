"""How much does every value of a scan weigh for its noise?

Counts are divided by the roots of the sums of their row and channel (Keenan & Kotula, Surf. Interface Anal. 36 (2004)
203), values of a camera likewise, with the read noise added to the sums. Of values whose noise follows no such law each
channel is divided by its own noise, as positions side by side show it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.unmixing.weights import channel_weights, floors

# No channel is taken to have less than this part of the noise of a usual one.
_LEAST = 0.1
# Of normal values, the median of the modulus of a difference of two.
_MEDIAN = 0.6744897501960817 * 2**0.5


@dataclass(frozen=True, eq=False)
class Weighting:
    """What rows are multiplied by before they are decomposed, and the variance of their noise.

    Attributes
    ----------
    scale : ndarray, shape (d,)
        Of every channel; 0 where it holds nothing.
    normalize : {"root-sum", "none"}
        Whether rows are divided by the roots of their sums.
    least : float
        The sum below which a row takes no part in the decomposition.
    gain, constant : float
        The noise has the variance ``gain * (signal + constant)``.
    variances : ndarray, shape (d,), or None
        Of the noise of every channel, in place of these.
    noise : float
        The least deviation that weighted values have by noise, where that is known.
    varying : float
        Which part of what the sums of rows vary by is no noise.
    """

    scale: Floats
    normalize: str
    least: float = 0.0
    gain: float = 1.0
    constant: float = 0.0
    variances: Floats | None = None
    noise: float = 0.0
    varying: float = 1.0

    def expected(self, counts: Floats, sums: Floats) -> tuple[Floats, Floats]:
        """The squares of noise that rows and channels with these sums are expected to have; zeros of unknown noise.

        Examples
        --------
        >>> import numpy as np
        >>> from emcore.methods.denoising.weighting import Weighting
        >>> weights = Weighting(np.ones(2), "root-sum")
        >>> [each.tolist() for each in weights.expected(np.array([3.0]), np.array([1.0, 2.0]))]
        [[3.0], [1.0, 2.0]]
        """
        n, d = len(counts), len(sums)
        if self.variances is not None:
            return np.full(n, float(self.variances.sum())), n * self.variances
        return self.gain * (counts + self.constant * d), self.gain * (sums + self.constant * n)


def of_sums(
    sums: Floats, counts: Floats, counting: bool, gain: float = 1.0, read: float = 0.0, differing: float = math.inf
) -> Weighting:
    """
    For noise whose variance is ``gain * signal + read^2``.

    Parameters
    ----------
    sums, counts : ndarray, shapes (d,) and (n,)
        Of channels and of the rows that were measured.
    counting : bool
        Whether these are counts: then a channel with next to none has no larger weight than one with a few, and rows
        with next to none take no part in the decomposition, see `emcore.methods.unmixing.weights`.
    gain, read : float
    differing : float, optional
        The variance of the sums of neighbouring rows, where it is known: noise of sums is no more. It is less than that
        of counts where a detector was busy.

    Returns
    -------
    Weighting

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.denoising.weighting import of_sums
    >>> of_sums(np.array([4e4, 1e4, 0.0]), np.full(50, 1e3), True).scale.tolist()
    [0.005, 0.01, 0.0]
    """
    constant = read**2 / gain
    scale = np.sqrt(channel_weights(sums, counts, counting, constant)) * (sums > 0)
    least = floors(len(counts), max(int(np.count_nonzero(sums)), 1), float(sums.sum()))[0] if counting else 0.0
    total = float(sums.sum())
    noise = max(total, 1e-300) ** -0.5 if counting else 0.0
    # As James & Stein have it.
    of_noise = min(gain * (float(counts.mean()) + constant * len(sums)), differing)
    variance = float(counts.var())
    varying = max(1 - of_noise / variance, 0.0) if variance > 0 else 0.0
    return Weighting(scale, "root-sum", least, gain, constant, noise=noise, varying=varying)


def of_neighbours(first: NDArray[np.generic], second: NDArray[np.generic]) -> Weighting:
    """
    For noise of any kind that positions side by side show.

    Parameters
    ----------
    first, second : ndarray, shape (pairs, d)
        Positions and their neighbours, which hold the same but for noise in more than half of the pairs.

    Returns
    -------
    Weighting

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.denoising.weighting import of_neighbours
    >>> pairs = np.random.default_rng(0).normal(5.0, [1.0, 2.0, 4.0], (2, 4000, 3))
    >>> (1 / of_neighbours(*pairs).scale).round(1).tolist()
    [1.0, 2.0, 4.0]
    """
    differences = np.abs(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64))
    deviations = np.median(differences, axis=0) / _MEDIAN
    usual = deviations[deviations > 0]
    if not usual.size:  # none
        return Weighting(np.ones(len(deviations)), "none", variances=np.zeros(len(deviations)))
    deviations = np.maximum(deviations, _LEAST * float(np.median(usual)))
    return Weighting(1 / deviations, "none", variances=deviations**2)


def unweighted(d: int) -> Weighting:
    """All values alike, of a noise that is not known."""
    return Weighting(np.ones(d), "none", variances=np.zeros(d))
