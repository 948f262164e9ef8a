"""Two or more signals of one scan as one matrix: each scaled, all given the same say.

Every feature is scaled: by its standard deviation, by its noise, which is what neighbouring positions differ by, by the
root of its mean, as counting noise asks, or robustly: (x - median) / interquartile range. Then every signal is
multiplied by one number, so that it carries as much variance as the first one (Duran et al. 2023, who scale robustly).
Rows are computed when they are visited: no float copy of any signal is made.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Signal
from emcore.core.validation import Floats, as_rows, check_option
from emcore.methods.preprocessing import Recipe, mean_and_variance, prepare, quantiles
from emcore.scans.grids import as_matrices, on_one_grid
from emcore.scans.neighbours import above_noise, neighbours, noise_between
from emcore.scans.several import Several, quantiles_together
from emcore.scans.survey import Surveyed, check_not_negative, some

SCALINGS = ("standard", "noise", "poisson", "robust")
BALANCES = ("equal", "ratio", "none")
IQR_ZERO = ("std", "poisson", "drop", "one")
_QUARTILES = (0.25, 0.5, 0.75)
# The part of the variance of a feature that is noise, at least.
_LEAST = 1e-3
# A feature with more than this part of a signal's variance is worth a word.
_DOMINANT = 0.5


@dataclass(frozen=True, eq=False)
class MergedSignals:
    """Signals side by side, ready for PCA and clustering.

    Attributes
    ----------
    rows : PreparedRows or Source, shape (n, d)
        One row per scan position: the kept features of all signals, one signal after another.
    kept : tuple of ndarray of bool
        For each signal which of its features are in `rows`; constant ones never are.
    variances : tuple of ndarray, float64
        For each signal the variance of its kept features in `rows`.
    factors : tuple of float
        What balancing multiplied each signal by.
    iqr_zero : tuple of int
        For each signal how many features vary but have an interquartile range of 0.
    constant : tuple of int
        For each signal how many features are constant.
    grid : tuple of int
        Shape of the scan, with n positions.
    notes : tuple of str
        What was decided, for a person to read.
    recipes : tuple of Recipe
        How the rows of each signal are prepared.
    """

    rows: Any
    kept: tuple[NDArray[np.bool_], ...]
    variances: tuple[Floats, ...]
    factors: tuple[float, ...]
    iqr_zero: tuple[int, ...]
    constant: tuple[int, ...]
    grid: tuple[int, ...]
    notes: tuple[str, ...]
    recipes: tuple[Recipe, ...]

    def only(self, index: int) -> "MergedSignals":
        """The same with signal `index` alone, scaled as it is here."""
        one, recipe = slice(index, index + 1), self.recipes[index]
        return replace(
            self,
            rows=prepare(recipe),
            kept=self.kept[one],
            variances=self.variances[one],
            factors=self.factors[one],
            iqr_zero=self.iqr_zero[one],
            constant=self.constant[one],
            notes=(),
            recipes=(recipe,),
        )

    def split(self, vectors: NDArray[Any], fill: float = 0.0) -> tuple[Floats, ...]:
        """Vectors over the columns of `rows`, shape (k, d), as one array (k, features) for each
        signal."""
        ends = np.cumsum([int(keep.sum()) for keep in self.kept])
        parts = []
        for keep, part in zip(self.kept, np.split(vectors, ends[:-1], axis=1), strict=True):
            whole = np.full((len(vectors), len(keep)), fill)
            whole[:, keep] = part
            parts.append(whole)
        return tuple(parts)


def merge_signals(
    signals: Sequence[Any],
    *,
    scaling: str = "standard",
    balance: str = "equal",
    iqr_zero: str = "std",
) -> MergedSignals:
    """Merge signals that were taken on one scan grid.

    Parameters
    ----------
    signals : sequence of array_like, Signal, HyperSpy signal or path
        Each of shape (y, x, ...), or (n, ...) for positions without a grid; all with the same
        scan shape. An array's first two axes are the scan, of a matrix the first one.
    scaling : {"standard", "noise", "poisson", "robust"}, default "standard"
        Of every feature: (x - mean) / (standard deviation); (x - mean) / (standard deviation of
        the noise), which is the root of half the mean square that neighbouring positions differ
        by, without features that vary by no more; x / sqrt(mean), which gives counts unit
        variance, and takes no negative values; (x - median) / (interquartile range).
    balance : {"equal", "ratio", "none"}, default "equal"
        What each signal after the first is then multiplied by: sqrt(V_0 / V_i), V the sum of
        feature variances, so that all carry the same; V_0 / V_i, as the paper's text has it,
        which does not make them equal; 1.
    iqr_zero : {"std", "poisson", "drop", "one"}, default "std"
        What divides features that vary but have an interquartile range of 0, as sparse counts
        have: their standard deviation; sqrt(mean); nothing, they are left out; 1.

    Returns
    -------
    MergedSignals

    Raises
    ------
    ValueError
        If scan grids differ (which is said), a signal is constant, or an option is unknown.
    TypeError
        Data that are not real numbers.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import correlated_scan
    >>> sample = correlated_scan(shape=(20, 24))
    >>> merged = emcore.merge_signals([sample.diffraction, sample.eds])
    >>> first = merged.variances[0].sum()
    >>> merged.rows.shape[0], [round(float(v.sum() / first), 6) for v in merged.variances]
    (480, [1.0, 1.0])
    """
    return merge_on_grid(on_one_grid(signals), scaling, balance, iqr_zero)


def merge_on_grid(signals: Sequence[Signal], scaling: str, balance: str, iqr_zero: str) -> MergedSignals:
    """`merge_signals` of what `on_one_grid` gives."""
    how = _checked(scaling, balance, iqr_zero)
    grid, matrices, names = as_matrices(signals)
    scaled = []
    for rows, name in zip(matrices, names, strict=True):
        mean, variance = mean_and_variance(rows)
        if scaling == "poisson":
            as_rows(rows, name, nonnegative=True)
        quartiles = quantiles(rows, _QUARTILES) if scaling == "robust" else None
        pairs = some(neighbours(grid, np.arange(len(rows))))
        noise = noise_between(rows, pairs) if scaling == "noise" and len(pairs) else None
        scaled.append(_scaled(_Features(name, mean, variance, quartiles, noise, len(pairs)), how))
    return _merged(scaled, [Recipe(rows) for rows in matrices], names, grid, how)


def merge_several(
    several: Several, surveyed: Surveyed, scaling: str, balance: str, iqr_zero: str
) -> tuple[MergedSignals, int]:
    """
    `merge_signals` of the measured positions of what `survey` found, in memory or out of core; and in how many passes.

    Where noise was asked for, only features are kept that vary by more than it; all, where hardly any do.
    """
    how = _checked(scaling, balance, iqr_zero)
    gaps, made = surveyed.gaps, 0
    quartiles: Sequence[Floats | None] = [None] * len(several.names)
    if scaling == "robust":
        quartiles, made = quantiles_together(several, gaps, _QUARTILES)
    elif scaling == "poisson":
        check_not_negative(several, surveyed)
    noise: Sequence[Floats | None] = surveyed.noise or [None] * len(several.names)
    each = zip(several.names, surveyed.mean, surveyed.variance, quartiles, noise, strict=True)
    scaled = [_scaled(_Features(*features, surveyed.pairs), how) for features in each]
    there = gaps.measured
    if several.left:
        sources: list[Any] = [several.alone(i) for i in range(len(several.names))]
        for source, limits in zip(sources, surveyed.limits, strict=True):
            source.observed["range"] = limits  # or another pass would look for them
        recipes = [Recipe(rows, rows=there if gaps.n_empty else None) for rows in sources]
    else:
        recipes = [gaps.recipe(part.whole(), there) for part in several.source.parts]
    return _merged(scaled, recipes, several.names, several.grid, how), made


class _How(NamedTuple):
    scaling: str
    balance: str
    iqr_zero: str


def _checked(scaling: str, balance: str, iqr_zero: str) -> _How:
    return _How(
        check_option(scaling, SCALINGS, "scaling"),
        check_option(balance, BALANCES, "balance"),
        check_option(iqr_zero, IQR_ZERO, "iqr_zero"),
    )


def _merged(
    scaled: Sequence["_Scaled"], rows: Sequence[Recipe], names: Sequence[str], grid: tuple[int, ...], how: _How
) -> MergedSignals:
    totals = [float(part.variance.sum()) for part in scaled]
    ratios = [totals[0] / total for total in totals]
    factors = [{"equal": math.sqrt(ratio), "ratio": ratio, "none": 1.0}[how.balance] for ratio in ratios]
    recipes = [
        replace(recipe, keep=part.keep, offset=part.offset, scale=factor * part.scale)
        for recipe, part, factor in zip(rows, scaled, factors, strict=True)
    ]
    return MergedSignals(
        prepare(recipes),
        tuple(part.keep for part in scaled),
        tuple(factor**2 * part.variance for part, factor in zip(scaled, factors, strict=True)),
        tuple(factors),
        tuple(part.iqr_zero for part in scaled),
        tuple(part.constant for part in scaled),
        grid,
        tuple(note for part, name in zip(scaled, names, strict=True) for note in part.notes(name, how.iqr_zero)),
        tuple(recipes),
    )


class _Features(NamedTuple):
    """What is known of the features of one signal."""

    name: str
    mean: Floats
    variance: Floats
    quartiles: Floats | None
    noise: Floats | None = None
    pairs: int = 0


@dataclass(frozen=True, eq=False)
class _Scaled:
    """How the features of one signal are scaled; offset, scale and the variance it gives are of the kept ones."""

    keep: NDArray[np.bool_]
    offset: Floats
    scale: Floats
    variance: Floats
    iqr_zero: int
    constant: int
    silent: int

    def notes(self, name: str, iqr_zero: str) -> list[str]:
        said = []
        if self.silent:
            said.append(f"{name}: {self.silent} of {len(self.keep)} features vary by no more than noise: left out")
        if self.constant:
            said.append(f"{name}: {self.constant} of {len(self.keep)} features are constant: left out")
        if self.iqr_zero:
            how = {
                "std": "scaled by their standard deviation",
                "poisson": "scaled by the square root of their mean",
                "drop": "left out",
                "one": "not scaled",
            }
            many = f"{self.iqr_zero} of {len(self.keep)} features"
            said.append(f"{name}: {many} have an interquartile range of 0: {how[iqr_zero]}")
        share = float(self.variance.max() / self.variance.sum())
        if share > _DOMINANT and len(self.variance) > 2:
            place = int(np.flatnonzero(self.keep)[self.variance.argmax()])
            said.append(f"{name}: feature {place} alone carries {share:.0%} of the variance, look for a bad pixel")
        return said


def _scaled(known: _Features, how: _How) -> _Scaled:
    mean, variance = known.mean, known.variance
    deviation = np.sqrt(variance)
    # Rounding leaves a little variance in a column of equal numbers.
    varies = deviation > 1e-12 * np.abs(mean)
    offset, divisor, zero = mean, deviation, np.zeros_like(varies)
    if how.scaling == "poisson":
        divisor = np.sqrt(mean)
    elif known.quartiles is not None:
        low, offset, high = known.quartiles
        divisor = high - low
        zero = varies & (divisor <= 0)
        ones = np.ones_like(deviation)
        instead = {"std": deviation, "poisson": np.sqrt(np.maximum(mean, 0)), "drop": deviation, "one": ones}
        divisor = np.where(zero, instead[how.iqr_zero], divisor)
    keep = varies & (divisor > 0)
    if known.quartiles is not None and how.iqr_zero == "drop":
        keep &= ~zero
    if not keep.any():
        why = "every feature is constant" if not varies.any() else "no feature is left after scaling"
        raise ValueError(f"{known.name} has nothing to tell positions apart: {why}")
    silent = 0
    if known.noise is not None:
        audible = keep & above_noise(variance, known.noise, known.pairs)
        if np.count_nonzero(audible) > 1:
            silent, keep = int(np.count_nonzero(keep & ~audible)), audible
        if how.scaling == "noise":
            # What neighbours do not differ by at all is taken to have a little noise.
            divisor = np.sqrt(np.maximum(known.noise, _LEAST * variance))
    scale = 1 / divisor[keep]
    of_kept = variance[keep] * scale**2
    return _Scaled(keep, offset[keep], scale, of_kept, int(zero.sum()), int((~varies).sum()), silent)
