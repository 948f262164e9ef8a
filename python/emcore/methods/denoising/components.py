"""Which components of weighted rows are signal, how many, and how much of each is?

A matrix of n rows and d features that holds nothing but noise of the deviation s has no singular value beyond ``s
(sqrt(n) + sqrt(d))``; where it is larger in some rows or channels, that edge lies higher, see `heteroscedasticity`.
Components beyond are signal, with s as what all weaker ones leave shows it, or as it is known at least. What noise
added to them is taken off their singular values (Gavish & Donoho, IEEE Trans. Inf. Theory 63 (2017) 2137): noise turns
the vectors of a weak component away from those of its signal, and as much less of it is kept, nothing at that edge. So
one too many does no harm, where it would if it were kept whole. Of counts the first component holds but the sums of
rows and channels: it is kept, and rows are brought nearer to their mean sum as far as their sums differ by noise.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.denoising.heteroscedasticity import heteroscedasticity
from emcore.methods.denoising.subspace import (
    NO_GAIN,
    ROUNDED,
    WIDEST,
    WIDTH,
    Pairs,
    WeightedRows,
    first_block,
    search,
)
from emcore.methods.denoising.weighting import Weighting
from emcore.methods.selection.rules import RankChoice, without_noise
from emcore.outofcore.checkpoint import step

FIRST, MOST = 12, 160
"""Singular values that are looked at at least, and components that are looked for at most."""
# Rows or features, that a component needs to be told from noise.
_FEW = 3
# Rows of a sample that is of use.
_SAMPLE = 64
_MARGIN = 1.02
# What vectors that are not exact lose of a component, of the noise that is left in it anyway; and residuals that are
# good in any case, of their own value.
_LOST, _EXACT = 0.003, 1e-5
# Noise that a subspace has not reached yet rises by less and less with every pass: a value that so many times its last
# rise does not bring above noise is taken for noise.
_FOLLOWING = 0.5
# What is left of all squares is rounding and no more.
_LEFT = 3e-8


@dataclass(frozen=True, eq=False)
class Components:
    """Components of weighted rows that are kept.

    Attributes
    ----------
    vectors : ndarray, shape (k, d)
        Orthonormal, strongest first; 0 for features that took no part.
    kept : ndarray, shape (k,)
        The part of each that is signal, 0 to 1.
    singular_values : ndarray, shape (m,)
        Of all that were computed, in units of the first.
    evr : ndarray, shape (m,)
        Explained-variance ratios of the weighted rows, not centred.
    ratios : ndarray, shape (m,)
        Each singular value over the largest that noise has, as what the others after those before it show it.
    choice : RankChoice
    noise : float
        Standard deviation of the weighted noise, in units of the first singular value.
    """

    vectors: Floats
    kept: Floats
    singular_values: Floats
    evr: Floats
    ratios: Floats
    choice: RankChoice
    noise: float


def find_components(
    rows: Any,
    sums: tuple[Floats, Floats],
    weighting: Weighting,
    taken: NDArray[np.intp],
    n_components: int | str,
    features: NDArray[np.bool_] | None = None,
    sample: tuple[NDArray[np.intp], NDArray[Any]] | None = None,
) -> Components:
    """
    The components of weighted rows that are kept.

    Parameters
    ----------
    rows : ndarray or Source, shape (n, d)
        Without NaN and infinity in those that take part.
    sums : (ndarray, ndarray), shapes (n,) and (d,)
        Of every row, and of every channel over the rows that were measured.
    weighting : Weighting
        Of all d features.
    taken : ndarray of int
        The rows that take part.
    n_components : int or "auto"
    features : ndarray of bool, shape (d,), optional
        Those that take part; default all.
    sample : (ndarray of int, ndarray), shapes (m,) and (m, d), optional
        Some rows and which these are: the search begins with their vectors, at random without.

    Returns
    -------
    Components

    Raises
    ------
    ValueError
        More components than rows or features that take part.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.denoising.components import find_components
    >>> from emcore.methods.denoising.weighting import of_sums
    >>> from emcore.methods.preprocessing import sums_of
    >>> rng = np.random.default_rng(0)
    >>> spectra = np.repeat(np.eye(2), 20, axis=1) + 0.1
    >>> counts = rng.poisson(9 * rng.dirichlet([0.4, 0.4], 600) @ spectra).astype(np.uint16)
    >>> sums = sums_of(counts)
    >>> found = find_components(counts, sums, of_sums(sums[1], sums[0], True), np.arange(600), "auto")
    >>> found.choice.n, found.kept.round(2).tolist()
    (2, [1.0, 0.99])
    """
    scale = weighting.scale if features is None else np.where(features, weighting.scale, 0)
    n, d = len(taken), int(np.count_nonzero(scale))
    most = min(n, d)
    if isinstance(n_components, int) and n_components > most:
        raise ValueError(
            f"n_components={n_components} is too many for {n} positions and {d} channels that hold anything"
        )
    asked = n_components if isinstance(n_components, int) else None
    weights, mean = np.zeros(rows.shape[0]), None
    if weighting.normalize == "root-sum":
        weights[taken] = np.divide(1.0, sums[0][taken], out=np.zeros(n), where=sums[0][taken] > 0)
    else:
        weights[taken], mean = 1, sums[1] / max(n, 1)
        features = None
    weighted = WeightedRows(rows, scale, weights, features, mean)
    some = None
    if sample is not None and (there := np.flatnonzero(weights[sample[0]])).size >= _SAMPLE:
        values = sample[1] if len(there) == len(sample[1]) else sample[1][there]
        some = WeightedRows(values, scale, weights[sample[0][there]], features)
    found = step(rows, "components", lambda: _found(weighted, some, scale * sums[1], n, d, weighting, asked))
    vectors, values, whole = (*(np.asarray(each) for each in found[:2]), float(found[2]))
    shape = _Shape(n, d, float(found[3]), float(found[4]))
    ratios = _ratios(values, whole, shape, weighting.noise)
    if asked is not None:
        choice = RankChoice(asked, "given", f"n_components={asked} was asked for")
    else:
        count = _above(ratios, n)
        choice = RankChoice(max(count, 1), "noise", _reason(ratios, count, _margin(n)))
    k = choice.n
    noise = float(_noise(values, whole, shape, weighting.noise)[k])
    first = max(float(values[0]), 1e-300)
    kept = _kept(values[:k], noise, shape)
    if weighting.normalize == "root-sum":
        kept[0] = 1  # the sums of rows and channels, of which none is to be lost
    return Components(vectors[:k], kept, values / first, values**2 / max(whole, 1e-300), ratios, choice, noise / first)


@dataclass(frozen=True)
class _Shape:
    """Of weighted rows, and by how much more noise the noisiest of them and of their features have than usual."""

    n: int
    d: int
    rows: float = 1.0
    features: float = 1.0

    @property
    def edge(self) -> float:
        """The largest singular value of noise of deviation 1."""
        return math.sqrt(self.n * self.features) + math.sqrt(self.d * self.rows)


def _found(
    weighted: WeightedRows,
    some: WeightedRows | None,
    mean: Floats,
    n: int,
    d: int,
    weighting: Weighting,
    asked: int | None,
) -> tuple[Floats, Floats, float, float, float]:
    """Components with the largest entry positive, singular values, sum of all squares, and `heteroscedasticity`."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # the same bits on any number of threads
        columns = -(-(FIRST if asked is None else asked + _FEW) // WIDTH) * WIDTH
        start = first_block(weighted, mean, min(columns, d))
        if len(start) < d and some is not None:
            rule = _Rule(some, weighting, len(some.weights), d, None if asked is None else columns, WIDTH)
            start = search(some, start, rule.count, rule.unfinished).vectors
        rule = _Rule(weighted, weighting, n, d, asked)
        pairs = search(weighted, start, rule.count, rule.unfinished)
    signs = np.take_along_axis(pairs.vectors, np.abs(pairs.vectors).argmax(axis=1)[:, None], 1)
    vectors = np.where(weighted.scale != 0, pairs.vectors * np.where(signs < 0, -1, 1), 0)
    return vectors, np.sqrt(pairs.values[: len(signs)]), weighted.squares, rule.shape.rows, rule.shape.features


@dataclass(frozen=True, eq=False)
class _Rule:
    """Which pairs are wanted, and when they are good enough: all that are signal, or as many as were asked for.

    Where `multiple` is given, as many as a block has that holds them, which need not be good.
    """

    rows: WeightedRows
    weighting: Weighting
    n: int
    d: int
    asked: int | None
    multiple: int = 0

    @cached_property
    def shape(self) -> _Shape:
        """Once the rows were multiplied."""
        return _Shape(self.n, self.d, *heteroscedasticity(self.rows, self.weighting))

    @property
    def _most(self) -> int:
        return min(self.n, self.d)

    def count(self, values: Floats) -> int:
        """How many are wanted, with a few that are noise."""
        if self.multiple:
            above = self._above(values) if self.asked is None else self.asked
            return min(-(-(above + _FEW) // self.multiple) * self.multiple, max(WIDEST, self.asked or 0))
        above = self._above(values) if self.asked is None else self.asked
        return min(max(above + _FEW, FIRST if self.asked is None else 1), self._most)

    def unfinished(self, pairs: Pairs) -> NDArray[np.intp]:
        """Those that have still to become better."""
        values, m = pairs.values, len(pairs.values)
        limit = min(MOST if self.asked is None else self.asked, self._most)
        k = min(self._above(values), limit)
        noise = float(_noise(np.sqrt(values), self.rows.squares, self.shape, self.weighting.noise)[k])
        edge = (noise * self.shape.edge) ** 2
        known = min(k, len(pairs.residuals))
        norms, own = pairs.residuals[:known], values[:known]
        kept = _kept(np.sqrt(own), noise, self.shape)
        sines = np.divide(norms, own - edge, out=np.full(known, np.inf), where=own > edge)
        lost = np.where(kept > 0, kept**2 * own * np.minimum(sines, 1) ** 2, 0)
        exact = norms <= np.maximum(_EXACT * own, ROUNDED * np.sqrt(own * values[0]))
        left = np.flatnonzero((lost > _LOST * noise**2 * (self.shape.n + self.shape.d)) & ~exact)
        if m < min(limit + _FEW, self._most) and k == m:
            return np.union1d(left, np.arange(max(m - WIDTH, 0), m))  # all that there is is signal
        if k >= limit:
            return left
        if m < min(limit + _FEW, self._most) and self.asked is not None:
            return np.arange(m)
        # The next one is noise, if it is not about to rise above that.
        old = pairs.before[k] if k < len(pairs.before) else 0.0
        gain = values[k] / old - 1 if old > 0 else np.inf
        rising = values[k] * (1 + _FOLLOWING * gain) > _margin(self.shape.n) ** 2 * edge and gain > NO_GAIN
        negligible = values[k] <= (ROUNDED * values[0]) ** 2 / max(values[0], 1e-300)
        return left if negligible or not rising else np.union1d(left, np.arange(k, min(k + _FEW, m)))

    def _above(self, values: Floats) -> int:
        ratios = _ratios(np.sqrt(values), self.rows.squares, self.shape, self.weighting.noise)
        return min(_above(ratios, self.shape.n), MOST)


def _above(ratios: Floats, n: int) -> int:
    """How many of the first are above noise."""
    above = ratios > _margin(n)
    return len(above) if above.all() else int(np.argmin(above))


def _kept(values: Floats, noise: float, shape: _Shape) -> Floats:
    """The part of each that is signal."""
    # Far below rounding, squares would overflow.
    signal = (
        without_noise(values, (shape.n, shape.d), max(noise, 1e-9 * float(values[0]), 1e-300))
        if len(values)
        else values
    )
    return np.divide(signal, values, out=np.zeros(len(values)), where=values > 0)


def _noise(values: Floats, whole: float, shape: _Shape, least: float) -> Floats:
    """The deviation of noise that is left by no component, by one, by two, ..."""
    left = whole - np.concatenate([[0.0], np.cumsum(values**2)])
    left = np.where(left > _LEFT * whole, left, 0)
    k = np.arange(len(left))
    deviations: Floats = np.maximum(np.sqrt(left / np.maximum((shape.n - k) * (shape.d - k), 1)), least)
    return deviations


def _ratios(values: Floats, whole: float, shape: _Shape, least: float) -> Floats:
    """Of every singular value to the largest that noise has; 0 of one that is rounding, infinity without noise."""
    edges = _noise(values, whole, shape, least)[:-1] * shape.edge
    real = values > 1e-6 * values[0]
    ratios: Floats = np.divide(values, edges, out=np.full(len(values), np.inf), where=edges > 1e-6 * values[0])
    return np.where(real, ratios, 0.0)


def _margin(n: int) -> float:
    """By how much more, since noise is not quite the same in all rows; the largest of n fluctuates by n^(-2/3)."""
    return math.sqrt(_MARGIN + 2 / math.pow(n, 2 / 3))


def _reason(ratios: Floats, count: int, margin: float) -> str:
    """How many are above noise, and how clearly."""
    if not count:
        return "none is above the largest singular value that noise has; 1 is kept"
    last = "without noise" if not np.isfinite(ratios[count - 1]) else f"{ratios[count - 1]:.3g} times that"
    said = f"{count} above the largest singular value that noise has, the weakest {last}"
    if count == len(ratios):
        return f"{said}; no more were looked for"
    return f"{said}, the next {ratios[count]:.3g}, where {margin:.3g} are needed"
