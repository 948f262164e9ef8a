"""How many components a spectrum image or a block of it has, beyond what single positions show."""

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.pca.fit import pca
from emcore.methods.preprocessing import sums_of
from emcore.methods.selection.components import n_components as rank_by_rule
from emcore.methods.selection.measured_noise import MeasuredNoise
from emcore.methods.selection.rules import RankChoice
from emcore.methods.selection.split_halves import count_shared_by_positions, weighted_rows
from emcore.methods.unmixing.endmembers import MOST, Deeper, channel_weights
from emcore.methods.unmixing.pyramid import Level, search_level, spectra_of_maps
from emcore.outofcore.checkpoint import step
from emcore.outofcore.moments import products_of_rows
from emcore.outofcore.sources import Source
from emcore.scans.spectrum_bins import Bins, in_bins
from emcore.scans.spectrum_images import Block, SpectrumImage

# Levels of bins: positions along a side, channels.
_LEVELS = ((8, 8), (4, 4), (2, 4))
# With so many counts in a bin on average it is no longer noise that hides phases.
_ENOUGH = 2000.0
# Bins at the finest level, and the least number of bins of positions.
_MOST_BINS = 1 << 24
_LEAST_ROWS = 16


def search_bins(
    image: SpectrumImage, block: Block | None, rows: Any, hidden: NDArray[np.bool_] | None, dose: float
) -> Any:
    """What `find_endmembers` asks for as `deeper`, of a spectrum image or a block of it with so many counts a position.

    It is a step of its own: bins are not saved, what they show is.
    """

    def deeper(known: int, above_edge: int) -> Deeper | None:
        observed = step(rows, "bins", partial(_searched, image, block, rows, hidden, dose, known, above_edge))
        n, reason = int(observed[0]), str(observed[1])
        return Deeper(n, reason, np.asarray(observed[2]) if len(observed) > 2 else None) if n > known else None

    return deeper


def _searched(
    image: SpectrumImage,
    block: Block | None,
    rows: Any,
    hidden: NDArray[np.bool_] | None,
    dose: float,
    known: int,
    above_edge: int,
) -> tuple[Any, ...]:
    """How many, why, and the spectra if they are from bins; or only what is known."""
    grid = image.grid if block is None else tuple(s.stop - s.start for s in block)
    levels = [
        (side, channels) for side, channels in _LEVELS if _fits(grid, side) and dose * side ** len(grid) <= _ENOUGH
    ]
    if not levels or len(grid) > 2:
        return known, ""
    first, of_channels = levels[-1]
    if math.prod(grid) // first ** len(grid) * image.energy.size // of_channels > _MOST_BINS:
        return known, ""
    finest = in_bins(image, first, of_channels, rows, grid, hidden)
    best, observed = known, list[tuple[Bins, Level]]()
    for side, channels in levels:
        bins = finest if (side, channels) == levels[-1] else finest.coarser(side // first, channels // of_channels)
        # Of as many as a coarser level shows the spectra are better, unless single positions have them.
        least = best if best > max(known, above_edge) else best + 1
        level = search_level(bins.rows, known, least)
        if level is not None:
            best, observed = level.n, [*observed, (bins, level)]
    if best == known:
        return known, ""
    bins, level = observed[-1]
    where = f"{bins.side} x {bins.side}" if len(grid) == 2 else f"{bins.side}"
    reason = (
        f"{best} in bins of {where} positions and {bins.channels} channels, above the noise and in both halves of the "
        f"counts; {known} at single positions"
    )
    return (best, reason) if best <= above_edge else (best, reason, _spectra(rows, bins, level, hidden))


def _fits(grid: tuple[int, ...], side: int) -> bool:
    return math.prod(-(-size // side) for size in grid) >= _LEAST_ROWS


def _spectra(rows: Any, bins: Bins, level: Level, hidden: NDArray[np.bool_] | None) -> Floats:
    """At all channels, of the maps that bins have."""
    filled = level.counts[:, None] > 0
    weights = np.divide(level.maps, level.counts[:, None], out=np.zeros_like(level.maps), where=filled)[bins.places]
    if hidden is not None:
        weights[hidden] = 0
    products = products_of_rows(rows, weights) if isinstance(rows, Source) else _emcore.xt_y(rows, weights)
    return spectra_of_maps(products, level.maps, level.counts)


def choose_by_positions(
    image: SpectrumImage, block: Block | None, rows: Any, hidden: NDArray[np.bool_] | None, noise: MeasuredNoise
) -> RankChoice:
    """How many components values with a measured gain have: those above their noise that halves of the scan share."""
    grid = image.grid if block is None else tuple(s.stop - s.start for s in block)
    side = 1
    while math.prod(-(-size // side) for size in grid) * image.energy.size // noise.bin > _MOST_BINS:
        side *= 2
    bins = in_bins(image, side, noise.bin, rows, grid, hidden)
    counts, sums = sums_of(bins.rows)
    taken = np.flatnonzero(counts > 0)
    constant = noise.bin * noise.read**2 / noise.gain * side ** len(grid)
    scale = np.sqrt(channel_weights(sums, counts[taken], False, constant)) * (sums > 0)
    weighted = weighted_rows(bins.rows, scale, taken)
    shape = len(taken), int(np.count_nonzero(sums))
    evr = pca(weighted, min(MOST, *shape), center=False).explained_variance_ratio
    choice = rank_by_rule(evr, "gavish-donoho", shape=shape, total_counts=max(float(sums.sum()) / noise.gain_of_bin, 1))
    reason = f"{choice.reason}, at the measured gain of {noise.gain:.3g}"
    if choice.n < 2:
        return RankChoice(choice.n, choice.rule, reason)
    y, x = np.indices(bins.sums.shape[:2])
    odd = ((y + x) % 2 == 1).ravel()[taken]
    halves = taken[~odd], taken[odd]
    if min(map(len, halves)) < 2:
        return RankChoice(1, "split-halves", f"{count_of(len(taken), 'position')} cannot be split in halves")
    shared = count_shared_by_positions(bins.rows, scale, *halves, choice.n)
    if shared == choice.n:
        return RankChoice(shared, choice.rule, f"{reason}, shared by both halves of the positions")
    return RankChoice(shared, "split-halves", f"{reason}; both halves of the positions share {shared}")
