"""What is measured in a scan, what its noise is, and how it is weighted for that."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.memory import check_memory
from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats
from emcore.methods.denoising.weighting import Weighting, of_neighbours, of_sums, unweighted
from emcore.outofcore.checkpoint import step
from emcore.outofcore.rows import mended
from emcore.outofcore.sources import Source
from emcore.outofcore.values import values_of
from emcore.results.denoised import ENERGY, MEASURED, NOISE
from emcore.scans.gaps import Gaps, counts_of, find_gaps
from emcore.scans.spectrum_images import SpectrumImage
from emcore.workflows.unmix_blocks import is_counting
from emcore.workflows.unmix_noise import neighbours, noise_of, rows_at, said_of

WEIGHTINGS = ("auto", "poisson", "none")
# Pairs of neighbouring positions that show the noise of each channel.
_PAIRS = 1024
# Rows by whose vectors the search of more than so many times more rows begins; and the part of memory for them.
_SAMPLE, _SAMPLED, _ROOM = 1024, 8, 1 / 16


@dataclass(frozen=True, eq=False)
class Observed:
    """A scan as rows, and what they hold.

    Attributes
    ----------
    rows : ndarray or Source, shape (n, d)
        With zeros for positions with NaN or infinity.
    image : SpectrumImage
        The same for what looks at positions, each signal as one line of channels.
    gaps : Gaps
    counts, sums : ndarray, shapes (n,) and (d,)
        Of all positions, 0 where nothing was measured, and of all channels.
    low : float
        The smallest value of what was measured; 0 of counts.
    sample : (ndarray of int, ndarray), shapes (m,) and (m, d)
        Some rows, evenly spread, and which these are; none of few rows.
    """

    rows: Any
    image: SpectrumImage
    gaps: Gaps
    counts: Floats
    sums: Floats
    low: float
    sample: tuple[NDArray[np.intp], NDArray[Any]]


def observed_of(rows: Any, signal: Signal, memory: Any) -> Observed:
    """Look at the rows of a signal."""
    invalid, low = 0, 0.0
    some = _spread(rows)
    if rows.dtype.kind == "u":
        counts, sums, constant, sampled = step(rows, "sums", lambda: counts_of(rows, None, some))
        empty, single = counts == 0, int(constant.sum())
        gaps = Gaps(empty, int(empty.sum()) - single, single, 0)
    else:
        empty, zero, single, lost, *first = step(rows, "gaps", lambda: _fields(find_gaps(rows)))
        at = (int(first[0][0]), int(first[0][1])) if first else None
        gaps = Gaps(empty, zero, single, lost, first=at)
        invalid = gaps.invalid
    gaps.check("data", signal.shape)
    if rows.dtype.kind != "u":
        found = step(rows, "values", lambda: (*values_of(rows)[:2],))
        low = float(found[0])
        if invalid:
            if isinstance(rows, Source):
                rows.mend, rows.observed["range"] = "finite", (low, float(found[1]))
            else:
                rows = mended(rows, counts=False)
        there = None if not gaps.n_empty else gaps.measured
        counts, sums, _, sampled = step(rows, "sums", lambda: counts_of(rows, there, some))
        counts = np.where(gaps.empty, 0.0, counts)
    sample = some, np.asarray(sampled)
    if isinstance(rows, Source):
        rows.beside += sample[1].nbytes
    return Observed(rows, _lines(rows, signal), gaps, np.asarray(counts), np.asarray(sums), low, sample)


def _spread(rows: Any) -> NDArray[np.intp]:
    """Which rows show what all are like, of so many that this is worth it: as many as memory has room for."""
    n, row = rows.shape[0], int(rows.shape[1]) * int(rows.dtype.itemsize)
    room = check_memory(rows.budget) - rows.beside if isinstance(rows, Source) else 1 << 31
    count = min(_SAMPLE, int(_ROOM * max(room, 0)) // row)
    if n <= _SAMPLED * _SAMPLE:
        return np.empty(0, np.intp)
    return np.linspace(0, n - 1, count).astype(np.intp)


def _fields(gaps: Gaps) -> tuple[Any, ...]:
    fields = gaps.empty, gaps.zero, gaps.constant, gaps.invalid
    return fields if gaps.first is None else (*fields, np.array(gaps.first))


def _lines(rows: Any, signal: Signal) -> SpectrumImage:
    """Each signal as one line of channels, of which only some positions are ever asked for."""
    scan = [axis for axis in signal.axes if axis.navigation]
    grid, d = tuple(axis.size for axis in scan), rows.shape[1]
    out_of_core = isinstance(rows, Source)
    data = np.broadcast_to(np.zeros((), rows.dtype), (*grid, d)) if out_of_core else rows.reshape(*grid, d)
    energy = Axis("channel", d)
    source, job = (rows, rows.job) if out_of_core else (None, None)
    return SpectrumImage(Signal(data, (*scan, energy)), energy, slice(0, d), None, (), source, job)


def weighting_of(observed: Observed, weighting: str) -> tuple[Weighting, str, list[str]]:
    """How values are weighted, the unit of the residual, and what is to be said of the noise.

    Raises
    ------
    ValueError
        Negative values that are to be weighted as counts.
    """
    counts, sums = observed.counts[observed.gaps.measured], observed.sums
    if weighting == "none":
        return unweighted(len(sums)), ENERGY, ["all values were weighted alike, as weighting='none' asks"]
    if weighting == "poisson" and observed.low < 0:
        raise ValueError(
            f"weighting='poisson' is for counts, data has negative values, the smallest {observed.low:.3g}: give the "
            "data as measured, or leave weighting out"
        )
    counting, noise = False, None
    if observed.low >= 0:
        counting, noise = noise_of(observed.image, is_counting(observed.image))
    if counting or weighting == "poisson":
        return of_sums(sums, counts, True, differing=_differing(observed)), NOISE, []
    if noise is not None:
        said = [
            said_of(noise),
            "cosmic rays were not looked for: those of single positions are taken off with the noise",
        ]
        return of_sums(sums, counts, False, noise.gain, noise.read, _differing(observed)), MEASURED, said
    weights = of_neighbours(*_pairs(observed))
    if weights.variances is None or not weights.variances.any():
        return unweighted(len(sums)), ENERGY, ["neighbouring positions show no noise: all values were weighted alike"]
    said = ["the noise is not that of counts: each channel was weighted by what neighbouring positions differ in"]
    return weights, MEASURED, said


def _pairs(observed: Observed) -> tuple[Any, Any]:
    """Neighbouring positions, both of which were measured."""
    image, empty = observed.image, observed.gaps.empty
    pairs = neighbours(image, _PAIRS if math.prod(image.grid) > 1 else 1)
    pairs = pairs[:, ~empty[pairs].any(axis=0)]
    places = np.unique(pairs)
    if not places.size:
        return np.zeros((1, len(observed.sums))), np.zeros((1, len(observed.sums)))
    rows = rows_at(image, places)
    return rows[np.searchsorted(places, pairs[0])], rows[np.searchsorted(places, pairs[1])]


def _differing(observed: Observed) -> float:
    """The variance of the sums of neighbouring positions of a line."""
    grid = observed.image.grid
    axis = max(i for i, size in enumerate(grid) if size == max(grid))
    there = ~observed.gaps.empty.reshape(grid)
    counts = observed.counts.reshape(grid)
    both = np.take(there, np.arange(1, grid[axis]), axis) & np.take(there, np.arange(grid[axis] - 1), axis)
    steps = np.diff(counts, axis=axis)[both]
    return float((steps**2).mean()) / 2 if steps.size else math.inf
