"""Profiles and spectra at positions, as places in a few directions in which they differ by more than noise.

Each is normalised, then reduced to principal components, or non-negative ones, each in units of its noise, which is
what neighbouring positions differ by: what stands out of noise in one direction is then as far as in another.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.memory import check_memory, in_words
from emcore.core.validation import Floats, check_count, check_option
from emcore.core.wording import count_of
from emcore.io.optional import umap_module
from emcore.methods.nmf.fit import nmf
from emcore.methods.pca.fit import pca, scores
from emcore.methods.preprocessing import Recipe, prepare
from emcore.methods.selection.noise import components_above_noise
from emcore.outofcore.moments import products_with
from emcore.outofcore.sources import Source
from emcore.scans.gaps import Gaps
from emcore.scans.neighbours import above_noise, neighbours, noise_between

NORMALIZATIONS = {"none": "none", "l1": "sum", "l2": "l2", "max": "max"}
"""What each profile may be divided by, and how a recipe calls it."""
REDUCTIONS = ("auto", "nmf", "umap")
# Components that are tried.
_TRIED = 32
# Of UMAP: dimensions, and neighbours, as many as make a dense map.
_DIMENSIONS, _UMAP_NEIGHBOURS = 3, 30


@dataclass(frozen=True, eq=False)
class ReducedProfiles:
    """
    Profiles as places.

    Attributes
    ----------
    places : ndarray, shape (m, p), float32
    note : str
        What was done, for a person to read.
    standing : bool
        Whether any component stands out of noise, where that was asked.
    """

    places: NDArray[np.float32]
    note: str
    standing: bool = True


def reduce_profiles(
    rows: Any,
    gaps: Gaps,
    grid: tuple[int, ...],
    normalize: str = "l2",
    reduce: int | str | None = "auto",
    seed: int = 0,
) -> ReducedProfiles:
    """
    The measured rows, normalised and reduced.

    Parameters
    ----------
    rows : ndarray or Source, shape (n, d)
    gaps : Gaps
        Which positions were measured, at least two.
    grid : tuple of int
        Shape of the scan, of n positions.
    normalize : {"none", "l1", "l2", "max"}
    reduce : {"auto", "nmf", "umap"}, int or None
        Principal components that vary by more than neighbouring positions do; as many non-negative components; a map
        of three dimensions made of the former; so many principal components; all channels as they are.
    seed : int

    Returns
    -------
    ReducedProfiles

    Raises
    ------
    ValueError
        Negative values where a sum is taken or non-negative components are asked for; profiles that are all the same;
        more components than channels or positions; all channels of more than memory should hold.
    ImportError
        "umap" without the extra of that name.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.gaps import find_gaps
    >>> from emcore.scans.profiles import reduce_profiles
    >>> rows = np.repeat([[9, 1, 1, 1], [1, 1, 9, 1]], 30, axis=0) + np.random.default_rng(0).random((60, 4))
    >>> reduce_profiles(rows, find_gaps(rows), (60,), reduce=1).places.shape
    (60, 1)
    """
    there = gaps.measured
    how = NORMALIZATIONS[check_option(normalize, NORMALIZATIONS, "normalize")]
    divided = {"none": "as measured", "l1": "divided by their sum", "l2": "divided by their norm"}
    said = divided.get(normalize, "divided by their largest value")
    prepared = _prepared(rows, gaps, there, how)
    m, d = len(there), rows.shape[1]
    if reduce is None:
        return ReducedProfiles(_whole(prepared, m, d), f"{said}; all {d} channels compared")
    asked = 0
    if isinstance(reduce, str):
        check_option(reduce, REDUCTIONS, "reduce")
    else:
        asked = check_count(reduce, "reduce", 1, min(m - 1, d), f"{m} positions of {d} channels")
    found = pca(prepared, max(min(_TRIED, m - 1, d), asked), random_state=seed)
    if not found.total_variance > 1e-12 * float(np.square(found.mean).sum()):
        raise ValueError(f"all {m} profiles are the same, {said}: there is nothing to group")
    whole = scores(prepared, found).astype(np.float32)
    pairs = neighbours(grid, there)
    noise = noise_between(whole, pairs) if len(pairs) else None
    standing, why = True, "asked for"
    if asked:
        kept = np.arange(whole.shape[1]) < asked
    else:
        kept, why, standing = _standing(whole.var(axis=0, dtype=np.float64), noise, len(pairs))
    count = int(kept.sum())
    places = _in_noise(whole[:, kept], None if noise is None else noise[kept])
    note = f"{said}; {count_of(count, 'principal component')} compared: {why}"
    if reduce == "nmf":
        factors = nmf(prepared, max(count, 2), random_state=seed).W.astype(np.float32)
        places = _in_noise(factors, noise_between(factors, pairs) if len(pairs) else None)
        note = f"{said}; {max(count, 2)} non-negative components compared, as many as principal ones: {why}"
    elif reduce == "umap":
        places = _umap(places, seed)
        note = f"{said}; a map of {_DIMENSIONS} dimensions (UMAP) of {count_of(count, 'principal component')}: {why}"
    return ReducedProfiles(np.ascontiguousarray(places, dtype=np.float32), note, standing)


def _standing(variance: Floats, noise: Floats | None, pairs: int) -> tuple[NDArray[np.bool_], str, bool]:
    """The components that stand out of noise by more than chance allows, why, and whether there are any."""
    choice, kept = components_above_noise(variance, noise)
    if noise is None:
        return kept, choice.reason, True
    sure = kept & above_noise(variance, noise, pairs)
    if not sure.any():
        return np.arange(len(kept)) < 1, "nothing stands out of noise; at least 1 is kept", False
    count = int(sure.sum())
    if count == choice.n:
        return kept, choice.reason, True
    vary = "varies" if count == 1 else "vary"
    return sure, f"{count} {vary} by more than neighbouring positions do, beyond what chance allows", True


def _prepared(rows: Any, gaps: Gaps, there: NDArray[np.intp], how: str) -> Any:
    if not isinstance(rows, Source):
        return prepare(gaps.recipe(rows, there, normalize=how))
    rows.mend = "finite" if gaps.invalid else ""
    stored: Any = rows
    return prepare(Recipe(stored, normalize=how, rows=there if gaps.n_empty else None))


def _whole(prepared: Any, m: int, d: int) -> NDArray[np.float32]:
    if isinstance(prepared, Source):
        budget = check_memory(prepared.budget)
        if 4 * m * d > budget:
            raise ValueError(
                f"reduce=None holds all channels, {in_words(4 * m * d)}, more than memory={in_words(budget)}: give a "
                "number of components, or reduce='auto'"
            )
        return products_with(prepared, np.eye(d)).astype(np.float32)
    return np.asarray(prepared, dtype=np.float32)


def _in_noise(values: NDArray[np.float32], noise: Floats | None) -> NDArray[np.float32]:
    """Each column in units of the deviation of its noise; of its own, where noise is not known or none."""
    if noise is None:
        return values
    variance = values.var(axis=0, dtype=np.float64)
    unit = np.sqrt(np.where(noise > 1e-12 * variance, noise, np.maximum(variance, 1e-300)))
    return (values / unit).astype(np.float32)


def _umap(places: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    neighbours_ = min(_UMAP_NEIGHBOURS, len(places) - 1)
    dimensions = min(_DIMENSIONS, max(places.shape[1], 2))
    settings = {"n_components": dimensions, "n_neighbors": neighbours_, "min_dist": 0.0}
    mapped = umap_module().UMAP(**settings, random_state=seed, n_jobs=1).fit_transform(places)
    return np.asarray(mapped, dtype=np.float32)
