"""Patterns reduced to a few numbers each, in which they differ by more than noise.

Bins of the detector, and then principal components of them, are kept whose variance over the scan stands above their
own noise, which is what neighbouring positions differ by. A hot pixel varies as much from one position to the next as
over the scan, and goes; so do bins that no reflection reaches. What is kept is found on a sample; all patterns are then
read once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.pca.fit import pca
from emcore.scans.neighbours import above_noise, neighbours, noise_between

# Pixels of a binned detector along its longer side; patterns of a sample.
SIDE, SAMPLE = 32, 10_000
# Components that are tried.
_TRIED = 64
# Where nothing stands above noise, or no two positions are neighbours.
_FALLBACK = 20


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions in which rows differ by more than noise.

    Attributes
    ----------
    basis : ndarray, shape (d, p), float64
    mean : ndarray, shape (d,), float64
        Where they start.
    kept : int
        Features that vary by more than noise, which the directions lie in.
    """

    basis: Floats
    mean: Floats
    kept: int


def said_reduced(factor: int, directions: Directions) -> str:
    """How patterns were reduced, with bins of `factor` pixels a side."""
    bins, count = directions.basis.shape
    side = f"detector binned {factor} x {factor}: " if factor > 1 else ""
    return (
        f"{side}{directions.kept} of {bins} {'bins' if factor > 1 else 'pixels'} vary by more than noise; "
        f"{count_of(count, 'principal component')} of them {'is' if count == 1 else 'are'} compared"
    )


def find_directions(
    sample: NDArray[np.float32], pairs: NDArray[np.intp], size: int | None = None, seed: int = 0
) -> Directions:
    """
    Principal components, of the features that vary by more than neighbours differ by, that do so too.

    Parameters
    ----------
    sample : ndarray, shape (n, d), float32
    pairs : ndarray of int, shape (pairs, 2)
        Which of these rows are neighbours, see `sampled`.
    size : int, optional
        How many; default as many as stand above noise, up to 64.
    seed : int

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.reduction import find_directions
    >>> rows = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    >>> rows[100:, 2] += 9
    >>> pairs = np.stack([np.arange(199), np.arange(1, 200)], axis=1)
    >>> abs(find_directions(rows, pairs).basis[:, 0]).round(1).tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    """
    mean = sample.mean(axis=0, dtype=np.float64)
    chosen = _standing(sample, pairs)
    some = np.ascontiguousarray(sample[:, chosen])
    most = min(len(some) - 1, some.shape[1], size or _TRIED)
    components = pca(some, most, random_state=seed).components
    if size is None:
        along = (some - mean[chosen].astype(np.float32)) @ components.T.astype(np.float32)
        components = components[_standing(along, pairs, fallback=_FALLBACK)]
    basis = np.zeros((sample.shape[1], len(components)))
    basis[chosen] = components.T
    return Directions(basis, mean, int(chosen.sum()))


def sampled(
    scan: tuple[int, int], positions: NDArray[np.intp], rng: np.random.Generator, most: int | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Some positions, rising, at most so many (10,000), and which two of them, by their order here, lie side by side.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.reduction import sampled
    >>> taken, pairs = sampled((3, 4), np.arange(12), np.random.default_rng(0), 4)
    >>> len(taken), (np.diff(taken[pairs]) == 1).all()
    (4, np.True_)
    """
    most = SAMPLE if most is None else most
    pairs = neighbours(scan, positions)
    if len(positions) <= most:
        return positions, pairs
    if len(pairs) > most // 2:
        pairs = pairs[np.sort(rng.choice(len(pairs), most // 2, replace=False))]
    taken = np.union1d(pairs[:, 0], pairs[:, 1])
    if len(taken) < most:
        taken = np.union1d(taken, rng.choice(len(positions), most - len(taken), replace=False))
    return positions[taken], np.searchsorted(taken, pairs)


def _standing(values: NDArray[np.float32], pairs: NDArray[np.intp], fallback: int | None = None) -> NDArray[np.bool_]:
    """The columns whose variance stands above noise; where none does, the first so many that vary, or all of them."""
    variance: Floats = values.var(axis=0, dtype=np.float64)
    varying: NDArray[np.bool_] = variance > 1e-12 * np.square(values.mean(axis=0, dtype=np.float64))
    if len(pairs):
        above: NDArray[np.bool_] = varying & above_noise(variance, noise_between(values, pairs), len(pairs))
        if np.count_nonzero(above) > 1:
            return above
    first: NDArray[np.bool_] = varying & (np.arange(len(varying)) < (len(varying) if fallback is None else fallback))
    return first
