"""Which few spectra are the rows of a matrix mixed from, and how many are they?

Counts are weighted as Keenan & Kotula (Surf. Interface Anal. 36 (2004) 203) have it: with a the counts of every row and
b those of every channel, ``Y = X / sqrt(a b^T)`` has the same noise everywhere, 1 / sqrt(all counts), see
`emcore.methods.unmixing.weights`. How many singular values of Y stand above that noise is the number of components
(Gavish & Donoho, IEEE Trans. Inf. Theory 60 (2014) 5040), and the non-negative factors of Y, weights undone, are the
spectra. Y is never stored: its rows are computed from X block by block.

Nor is the noise quite the same everywhere: where a rare phase is, its own channels have few counts in all and much
noise in Y. So a component counts only if it is above what the noise of the phases found before it can reach, see
`rare_edge`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.nmf.fit import SWEEPS, Factors, nmf, nmf_maps
from emcore.methods.nmf.starts import nndsvd, orthogonal
from emcore.methods.pca.fit import PCAResult, pca, scores
from emcore.methods.preprocessing import Recipe, prepare, recipe_rows, selected, sums_of
from emcore.methods.selection.components import n_components as rank_by_rule
from emcore.methods.selection.rules import RankChoice, optimal_threshold, without_noise
from emcore.methods.unmixing.known import count_absent
from emcore.methods.unmixing.lines import without_lines_of_others
from emcore.methods.unmixing.pure_positions import at_pure_positions
from emcore.methods.unmixing.weights import channel_weights, floors, rare_edge
from emcore.outofcore.checkpoint import step

WEIGHTINGS = ("poisson", "none")
MOST = 20
"""Components of which the singular value is computed, to choose among them."""
# The median rule needs all singular values; beyond so many that takes long.
_ALL = 1024
ITERATIONS = 300
SETTLED = 3e-4
# Positions for each component: with fewer, what differs from one to the next passes for a phase.
_POSITIONS = 15
# Enough to know where phases are.
_ROUGH = 30


@dataclass(frozen=True, eq=False)
class Endmembers:
    """Spectra that rows are mixed from.

    Attributes
    ----------
    spectra : ndarray, shape (k, d), float64
        Each of sum 1.
    choice : RankChoice
        How many, by which rule, why.
    evr : ndarray, shape (m,), float64
        Explained-variance ratios of the weighted rows, not centred.
    above_edge : int
        How many singular values are above the largest that noise alone is expected to have; 0 where that is not known.
    settled : bool
        Whether the factorisation converged.
    own : ndarray of bool, shape (k,)
        Which spectra are those of positions of their own, see `at_pure_positions`.
    """

    spectra: Floats
    choice: RankChoice
    evr: Floats
    above_edge: int
    settled: bool
    own: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Deeper:
    """What bins show beyond single positions: how many components, why if more, and spectra where these are better."""

    n: int
    reason: str
    spectra: Floats | None
    own: NDArray[np.bool_] | None


def find_endmembers(
    rows: Any,
    n_components: int | str,
    weighting: str,
    loss: str,
    counting: bool,
    positions: NDArray[np.intp] | None = None,
    sums_of_rows: tuple[Floats, Floats] | None = None,
    deeper: Callable[[int, Floats, Floats, bool], Deeper | None] | None = None,
    measured: tuple[RankChoice | None, float, float] | None = None,
    grid: tuple[int, ...] | None = None,
    above: int = 0,
    references: Floats | None = None,
) -> Endmembers:
    """
    The spectra that the rows are mixed from.

    Parameters
    ----------
    rows : ndarray, PreparedRows or Source, shape (n, d)
        Not negative, with a sum above 0.
    n_components : int or "auto"
    weighting : {"poisson", "none"}
    loss : {"frobenius", "kullback-leibler"}
        The second is for counts as they are: the weighting then serves the number of components and the start.
    counting : bool
        Whether the values are numbers of events, the noise of which is known.
    positions : ndarray of int, optional
        The rows that take part; default all.
    sums_of_rows : (ndarray, ndarray), optional
        What `sums_of` gives of them.
    deeper : callable, optional
        Looks at bins of counts: of how many components singular values show, these values in units of the first, what
        is left of them `without_noise`, and whether more are looked for, it makes a `Deeper`, or None.
    measured : (RankChoice, float, float), optional
        Of values that are no counts, but have a gain that was measured: how many components by other means (None where
        the number is given), the gain, and the `constant` of `channel_weights`.
    grid : tuple of int, optional
        Shape of the scan, of which these are all rows; by default a line.
    above : int, optional
        Of no more components than this, no spectra are sought.
    references : ndarray, shape (m, d), optional
        Spectra that are known, each of sum 1: the first ones of those that are returned, and of their number.

    Returns
    -------
    Endmembers

    Raises
    ------
    ValueError
        More components than the rows or channels allow.

    Examples
    --------
    >>> from emcore.datasets import eds_phases
    >>> from emcore.methods.unmixing.endmembers import find_endmembers
    >>> rows = eds_phases(shape=(30, 30)).signal.data.reshape(900, -1)
    >>> result = find_endmembers(rows, "auto", "poisson", "frobenius", True)
    >>> result.choice.n, result.spectra.shape, result.spectra.sum(axis=1).round(6).tolist()
    (3, (3, 1000), [1.0, 1.0, 1.0])
    """
    counts, sums = sums_of_rows or sums_of(rows, positions)
    taken = np.flatnonzero(counts > 0) if positions is None else positions[counts[positions] > 0]
    if weighting == "poisson":
        if counting:
            least = floors(len(taken), max(int(np.count_nonzero(sums)), 1), float(sums.sum()))[0]
            enough = taken[counts[taken] >= least]
            if len(enough) < len(taken):
                taken = enough
                sums = step(rows, "sums of rows with enough counts", lambda: sums_of(rows, enough))[1]
        constant = measured[2] if measured else 0.0
        scale = np.sqrt(channel_weights(sums, counts[taken], counting, constant)) * (sums > 0)
        weighted: Any = prepare(Recipe(rows, normalize="root-sum", scale=scale, rows=recipe_rows(rows, taken)))
    else:
        scale = np.ones_like(sums)
        weighted = selected(rows, taken)
    n, d = len(taken), int(np.count_nonzero(sums))
    most = min(n, d)
    if isinstance(n_components, int) and n_components > most:
        raise ValueError(f"n_components={n_components} is too many for {n} positions and {d} channels with counts")
    chosen = measured[0] if measured else None
    full = n_components == "auto" and weighting == "poisson" and not counting and most <= _ALL and chosen is None
    looked_at = min(weighted.shape) if full else min(max(MOST, chosen.n if chosen else 0), most)
    decomposition = pca(weighted, max(looked_at, n_components if isinstance(n_components, int) else 1), center=False)
    total = float(sums.sum()) if weighting == "poisson" and counting else 0.0
    choice = chosen or _choice(decomposition, n_components, weighting, (n, d), total, full)
    if n_components == "auto":
        choice = _borne(choice, n)
    if total and n_components == "auto":
        choice = _above_rare(choice, decomposition, weighted, counts[taken], scale)
    effective = float(sums.sum()) / measured[1] if measured and weighting == "poisson" else total
    edge = (math.sqrt(n) + math.sqrt(d)) / math.sqrt(effective) if effective else math.inf
    singular = decomposition.singular_values / max(float(decomposition.singular_values[0]), 1e-300)
    above_edge = int(np.count_nonzero(singular > edge))
    m = 0 if references is None else len(references)
    more = None
    if deeper and total and choice.n > (m if n_components != "auto" else 0):
        more = deeper(choice.n, singular, without_noise(singular, (n, d), total**-0.5), n_components == "auto")
    at_positions = choice.n
    if more is not None and more.n > choice.n:
        choice = RankChoice(more.n, "bins", more.reason)
    fixed = None
    if references is not None:
        # They may be there where no count is.
        fixed = references * np.where(scale > 0, scale, scale.max())
    if fixed is not None and n_components == "auto":
        missing = 0
        if effective:
            noise = optimal_threshold((n, d)) * math.sqrt(max(n, d) / effective)
            missing = count_absent(singular, decomposition.components, fixed, noise)
            # What only bins show may be one of them.
            missing = min(max(missing - (choice.n - at_positions), 0), len(singular) - choice.n)
        choice = _with_known(choice, m, missing)
    evr = decomposition.explained_variance_ratio[:MOST]
    if choice.n <= above:
        return Endmembers(np.empty((0, len(sums))), choice, evr, above_edge, True, np.empty(0, dtype=bool))
    grid = grid or counts.shape
    # What rows were divided by.
    roots = np.sqrt(counts) if weighting == "poisson" else np.ones_like(counts)
    if references is not None and choice.n == m:
        return Endmembers(references, choice, evr, above_edge, True, np.zeros(m, dtype=bool))
    if references is not None or more is None or more.spectra is None or more.own is None:
        # Of one component the start, a singular vector, is the solution.
        most = ITERATIONS if choice.n > 1 else 1
        factors = partial(_factors, weighted, decomposition, choice.n, most, scale, roots, taken, grid, fixed)
        spectra, own, n_iter = step(weighted, "factors", factors)
        if references is not None:
            spectra[:m] = references
        settled = choice.n == 1 or n_iter < most
    else:
        spectra, own, settled = more.spectra, more.own, True
    if loss == "kullback-leibler":
        spectra, own, settled = _likeliest(selected(rows, taken), spectra, taken, grid, references)
    return Endmembers(spectra, choice, evr, above_edge, settled, own)


def _factors(
    weighted: Any,
    decomposition: PCAResult,
    k: int,
    most: int,
    scale: Floats,
    roots: Floats,
    taken: NDArray[np.intp],
    grid: tuple[int, ...],
    fixed: Floats | None,
) -> tuple[Floats, NDArray[np.bool_], int]:
    """Spectra of weighted rows, weights undone, which are of their own positions, and iterations made."""
    fit = factored(weighted, decomposition, k, most, SETTLED, fixed)
    # What a channel was multiplied by, undone.
    spectra = np.divide(fit.H, scale, out=np.zeros(fit.H.shape), where=scale > 0)
    known = 0 if fixed is None else len(fixed)
    return (*_where_pure(fit.W * roots[taken, None], spectra, taken, grid, known), fit.n_iter)


def _with_known(choice: RankChoice, m: int, missing: int) -> RankChoice:
    """As many components as were chosen, with m references among them or, where they are not, beside them."""
    n = max(choice.n + missing, m)
    if n == choice.n:
        return RankChoice(n, choice.rule, f"{choice.reason}, {m} of them given as references")
    return RankChoice(n, choice.rule, f"{choice.reason}; with {count_of(m, 'reference')} {n} in all")


def _where_pure(
    maps: Any,
    spectra: Floats,
    taken: NDArray[np.intp],
    grid: tuple[int, ...],
    known: int = 0,
) -> tuple[Floats, NDArray[np.bool_]]:
    """
    Spectra of sum 1, of those that are not zero, at positions of their own where they have some.

    The first, known ones stay as they are, and whatever is theirs is no part of where another is alone: a film lies
    under all.
    """
    if known:
        others, own = _where_pure(maps[:, known:], spectra[known:], taken, grid)
        whole = spectra[:known].sum(axis=1, keepdims=True)
        fixed = np.arange(known + len(others)) < known
        cleaned = without_lines_of_others(np.vstack([spectra[:known] / whole, others]), fixed)
        return cleaned, np.concatenate([np.zeros(known, dtype=bool), own])
    whole = spectra.sum(axis=1)
    present = whole > 0
    placed = np.zeros((math.prod(grid), int(present.sum())))
    placed[taken] = maps[:, present] * whole[present]
    return at_pure_positions(placed, spectra[present] / whole[present, None], grid)


def _choice(
    decomposition: PCAResult, n_components: int | str, weighting: str, shape: tuple[int, int], total: float, full: bool
) -> RankChoice:
    if isinstance(n_components, int):
        return RankChoice(n_components, "given", f"n_components={n_components} was asked for")
    evr = decomposition.explained_variance_ratio
    if total:
        return rank_by_rule(evr, "gavish-donoho", shape=shape, total_counts=total)
    if full:
        return rank_by_rule(evr[: min(shape)], "gavish-donoho", shape=shape)
    return rank_by_rule(evr, "gap")


def _borne(choice: RankChoice, n: int) -> RankChoice:
    """As many components as so many positions bear."""
    most = max(n // _POSITIONS, 1)
    if choice.n <= most:
        return choice
    said = f"{choice.reason}; {count_of(n, 'position')} bear {most}, {_POSITIONS} for each"
    return RankChoice(most, choice.rule, said)


def _above_rare(
    choice: RankChoice, decomposition: PCAResult, weighted: Any, counts: Floats, scale: Floats
) -> RankChoice:
    """The components that are above the noise of those before them."""
    k = choice.n
    while k > 2:
        reached = partial(_reached, weighted, decomposition, k - 1, counts, scale)
        (edge,) = step(weighted, f"reach of {k - 1} phases", reached)
        if float(decomposition.singular_values[k - 1]) > edge * float(decomposition.singular_values[0]):
            break
        k -= 1
    if k == choice.n:
        return choice
    rest = f"{choice.n - k} of them may be noise of a rare phase"
    return RankChoice(k, choice.rule, f"{choice.reason}, {rest}")


def _reached(*of: Any) -> tuple[float]:
    return (reach(*of),)


def factored(
    weighted: Any, decomposition: PCAResult, k: int, max_iter: int, tol: float, fixed: Floats | None = None
) -> Factors:
    """Non-negative factors of rows that were decomposed, not centred, into k or more components, from these; the first
    ones with the spectra that are fixed.
    """
    leading = replace(decomposition, components=decomposition.components[:k])
    (maps,) = step(weighted, "scores", lambda: (scores(weighted, leading),))
    maps = np.array(maps)
    # As of all values, but for what the components do not hold.
    mean = abs(float(maps.sum(axis=0) @ leading.components.sum(axis=1))) / (maps.shape[0] * weighted.shape[1])
    options: dict[str, Any] = {"init": "custom", "max_iter": max_iter, "tol": tol, "inner_sweeps": SWEEPS}
    if fixed is None:
        spectra = nndsvd(maps, leading.components, 1e-6 * math.sqrt(mean), math.sqrt(mean), len(maps))
        return nmf(weighted, k, W0=maps, H0=spectra, **options)
    others = orthogonal(maps, leading.components, fixed, k - len(fixed), len(maps))
    others[others < 1e-6 * math.sqrt(mean)] = math.sqrt(mean)
    return nmf(weighted, k, H0=np.vstack([fixed, others]), fixed_components=fixed, **options)


def reach(weighted: Any, decomposition: PCAResult, k: int, counts: Floats, scale: Floats) -> float:
    """`rare_edge` of k phases, roughly known, of rows with these counts and channels with this scale."""
    fit, filled = factored(weighted, decomposition, k, _ROUGH, 1e-3), scale > 0
    spectra = fit.H[:, filled] / scale[filled]
    whole = spectra.sum(axis=1)
    present = whole > 0
    maps = fit.W[:, present] * np.sqrt(counts)[:, None] * whole[present]
    return rare_edge(maps, spectra[present] / whole[present, None], counts, 1 / scale[filled] ** 2)


def _likeliest(
    rows: Any, spectra: Floats, taken: NDArray[np.intp], grid: tuple[int, ...], references: Floats | None
) -> tuple[Floats, NDArray[np.bool_], bool]:
    """Spectra of the largest Poisson likelihood, from a start near it, which are pure, and whether that was reached."""
    start = spectra / np.maximum(spectra.sum(axis=1, keepdims=True), 1e-300)
    (maps,) = step(rows, "maps to start from", lambda: (nmf_maps(rows, start),))
    # A multiplicative update cannot leave zero.
    start, maps = start + 1e-3 / start.shape[1], maps + 1e-3 * maps.mean()
    if references is not None:
        start[: len(references)] = references
    factors = nmf(
        rows,
        len(start),
        solver="mu",
        loss="kullback-leibler",
        init="custom",
        W0=maps,
        H0=start,
        fixed_components=references,
        max_iter=2 * ITERATIONS,
        tol=1e-5,
    )
    likely = np.asarray(factors.H, dtype=np.float64)
    if references is None:
        return (*_where_pure(factors.W, likely, taken, grid), factors.n_iter < 2 * ITERATIONS)
    likely[: len(references)] = references
    return (*_where_pure(factors.W, likely, taken, grid, len(references)), factors.n_iter < 2 * ITERATIONS)
