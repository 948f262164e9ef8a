"""Which components of weighted rows are signal, how many, and how much of each is?

A matrix of n rows and d features that holds nothing but noise of the deviation s has no singular value beyond ``s
(sqrt(n) + sqrt(d))``. Components beyond are signal, with s as what all weaker ones leave shows it, or
as it is known at least. What noise added to
them is taken off their singular values (Gavish & Donoho, IEEE Trans. Inf. Theory 63 (2017) 2137): noise turns the
vectors of a weak component away from those of its signal, and as much less of it is kept, nothing at that edge. So one
too many does no harm, where it would if it were kept whole. Of counts the first component holds but the sums of rows
and channels: it is kept, and rows are brought nearer to their mean sum as far as their sums differ by noise.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.denoising.weighting import Weighting
from emcore.methods.pca.fit import pca
from emcore.methods.preprocessing import Recipe, prepare, recipe_rows
from emcore.methods.selection.rules import RankChoice, without_noise
from emcore.outofcore.checkpoint import step
from emcore.outofcore.sources import Source

FIRST, MOST = 12, 160
"""Components that are looked at first; twice as many while all are signal, up to the second number."""
# Rows or features, that a component needs to be told from noise.
_FEW = 3
_MARGIN = 1.02


@dataclass(frozen=True, eq=False)
class Components:
    """Components of weighted rows that are kept.

    Attributes
    ----------
    vectors : ndarray, shape (k, d)
        Orthonormal, of the features that took part, strongest first.
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
    weighting: Weighting,
    taken: NDArray[np.intp],
    n_components: int | str,
    features: NDArray[np.bool_] | None = None,
) -> Components:
    """
    The components of weighted rows that are kept.

    Parameters
    ----------
    rows : ndarray or Source, shape (n, d)
    weighting : Weighting
        Of all d features.
    taken : ndarray of int
        The rows that take part.
    n_components : int or "auto"
    features : ndarray of bool, shape (d,), optional
        Those that take part; default all.

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
    >>> found = find_components(counts, of_sums(sums[1], sums[0], True), np.arange(600), "auto")
    >>> found.choice.n, found.kept.round(2).tolist()
    (2, [1.0, 0.99])
    """
    scale = weighting.scale if features is None else weighting.scale[features]
    weighted = prepare(Recipe(rows, features, weighting.normalize, scale=scale, rows=recipe_rows(rows, taken)))
    if isinstance(weighted, Source):
        weighted.observed["range"] = -np.inf, np.inf  # it was looked at
    n, d = len(taken), int(np.count_nonzero(scale))
    most = min(n, d)
    if isinstance(n_components, int) and n_components > most:
        raise ValueError(
            f"n_components={n_components} is too many for {n} positions and {d} channels that hold anything"
        )
    asked = n_components if isinstance(n_components, int) else FIRST
    asked = min(asked + _FEW, most) if isinstance(n_components, int) else min(asked, most)
    while True:
        found = step(weighted, f"{asked} components", partial(_decomposed, weighted, asked))
        vectors, values, evr, whole = *(np.asarray(each) for each in found[:3]), float(found[3])
        ratios = _ratios(values, whole, n, d, weighting.noise)
        above = ratios > _margin(n)
        count = int(np.argmin(above)) if not above.all() else len(above)
        if isinstance(n_components, int) or count < asked or asked == min(MOST, most):
            break
        asked = min(2 * asked, MOST, most)
    if isinstance(n_components, int):
        choice = RankChoice(n_components, "given", f"n_components={n_components} was asked for")
    else:
        choice = RankChoice(max(count, 1), "noise", _reason(ratios, count, _margin(n)))
    k = choice.n
    noise = float(_noise(values, whole, n, d, weighting.noise)[k])
    first = max(float(values[0]), 1e-300)
    # Far below rounding, squares would overflow.
    signal = without_noise(values[:k], (n, d), max(noise, 1e-9 * first))
    kept = np.divide(signal, values[:k], out=np.zeros(k), where=values[:k] > 0)
    if weighting.normalize == "root-sum":
        kept[0] = 1  # the sums of rows and channels, of which none is to be lost
    return Components(vectors[:k], kept, values / first, evr, ratios, choice, noise / first)


def _decomposed(weighted: Any, k: int) -> tuple[Floats, Floats, Floats, float]:
    """Components, singular values, ratios, and the sum of all squares."""
    found = pca(weighted, k, center=False)
    whole = found.total_variance * max(weighted.shape[0] - 1, 1)
    return found.components, found.singular_values, found.explained_variance_ratio, whole


def _noise(values: Floats, whole: float, n: int, d: int, least: float) -> Floats:
    """The deviation of noise that is left by no component, by one, by two, ..."""
    left = np.maximum(whole - np.concatenate([[0.0], np.cumsum(values**2)]), 0)
    k = np.arange(len(left))
    deviations: Floats = np.maximum(np.sqrt(left / np.maximum((n - k) * (d - k), 1)), least)
    return deviations


def _ratios(values: Floats, whole: float, n: int, d: int, least: float) -> Floats:
    """Of every singular value to the largest that noise has; 0 of one that is rounding, infinity without noise."""
    edges = _noise(values, whole, n, d, least)[:-1] * (n**0.5 + d**0.5)
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
