"""In what do positions of a scan differ, by the strength of their reflections, more than by noise?

Reflections count that vary over the scan by more than neighbours differ. Many say the same, as those of one grain do:
positions are compared in the principal components of their strengths that stand above noise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.pca.fit import pca, scores
from emcore.methods.preprocessing import mean_and_variance, prepare
from emcore.outofcore.rows import blocks_of_rows
from emcore.scans.gaps import Gaps
from emcore.scans.neighbours import above_noise, neighbours, noise_between

SCALINGS = ("noise", "mean")
"""What strengths are divided by."""

# Directions in which positions are compared at most.
_DIRECTIONS = 64


@dataclass(frozen=True, eq=False)
class ComparedStrengths:
    """What of strengths is compared.

    Attributes
    ----------
    places : ndarray, shape (measured, p), float64, optional
        The measured positions in the directions in which they differ by more than noise; None if there are none.
    kept : ndarray of bool, shape (m,)
        Reflections that vary by more than noise.
    note : str
        What was done, for a person to read.
    """

    places: Floats | None
    kept: NDArray[np.bool_]
    note: str


def compare_strengths(
    strengths: NDArray[np.float32], gaps: Gaps, grid: tuple[int, int], scaling: str
) -> ComparedStrengths:
    """
    What of the strengths of reflections tells positions apart.

    Parameters
    ----------
    strengths : ndarray, shape (n, m), float32
    gaps : Gaps
        Positions without a measurement, whose strengths may be anything.
    grid : (int, int)
        Shape of the scan.
    scaling : {"noise", "mean"}
        Divide by the deviation of the noise of each reflection, or by the mean of its moduli.

    Returns
    -------
    ComparedStrengths

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> strengths = rng.normal(size=(200, 5)).astype(np.float32)
    >>> strengths[100:, :3] += [9, 5, 7]
    >>> observed = compare_strengths(strengths, Gaps(np.zeros(200, dtype=bool), 0, 0, 0), (10, 20), "noise")
    >>> observed.places.shape, observed.note
    ((200, 1), '3 of 5 reflections vary over the scan by more than noise, compared in 1 principal component')
    """
    found = strengths.shape[1]
    if not found:
        return ComparedStrengths(None, np.zeros(0, bool), "no reflection stands out of the deviation over the scan")
    there = gaps.measured
    pairs = neighbours(grid, there)
    variance = mean_and_variance(prepare(gaps.recipe(strengths, there)))[1]
    noise = noise_between(strengths, there[pairs])
    kept = variance > 0
    if len(pairs):
        kept &= above_noise(variance, noise, len(pairs))
    used = int(kept.sum())
    if not used:
        note = f"none of {count_of(found, 'reflection')} varies over the scan by more than noise"
        return ComparedStrengths(None, kept, note)
    by = np.sqrt(np.where(noise > 0, noise, variance)) if scaling == "noise" else _mean_moduli(strengths, there)
    scaled = prepare(gaps.recipe(strengths, there, keep=kept, scale=1 / by[kept]))
    result = pca(scaled, min(_DIRECTIONS, used, len(there) - 1))
    places = scores(scaled, result)
    spread: Floats = places.var(axis=0)
    standing = spread > 1e-12 * spread[0]
    if len(pairs):
        above = above_noise(spread, noise_between(places, pairs), len(pairs))
        standing = above if above.any() else standing
    places = np.ascontiguousarray(places[:, standing])
    directions = f"compared in {count_of(places.shape[1], 'principal component')}"
    note = f"{used} of {count_of(found, 'reflection')} vary over the scan by more than noise, {directions}"
    return ComparedStrengths(places, kept, note)


def _mean_moduli(strengths: NDArray[np.float32], positions: NDArray[np.intp]) -> Floats:
    total: Floats = np.zeros(strengths.shape[1])
    for block in blocks_of_rows(strengths):
        some = positions[(positions >= block.start) & (positions < block.stop)]
        total += np.abs(strengths[some]).sum(axis=0, dtype=np.float64)
    return total / len(positions)
