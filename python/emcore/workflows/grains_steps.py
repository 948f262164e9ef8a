"""The steps of a search for grains: a sample, segments, groups that regions of low density part, mergings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import count_of
from emcore.methods.selection.density import density_groups
from emcore.methods.superpixels.borders import merge_along_borders, settle_borders
from emcore.methods.superpixels.choices import best_stop, extent, segment_side
from emcore.methods.superpixels.cuts import cut_at_steps
from emcore.methods.superpixels.graph import grow
from emcore.methods.superpixels.pieces import connected_pieces
from emcore.methods.superpixels.pieces_of_noise import without_noise
from emcore.methods.superpixels.slic import merged_after, mergings_to, slic
from emcore.methods.superpixels.steps import parted_at_steps, why_parted
from emcore.outofcore.sources import Source
from emcore.scans.binning import bin_factor, bin_numbers
from emcore.scans.gaps import Gaps
from emcore.scans.pattern_passes import sample_size
from emcore.scans.pattern_places import reduced_places
from emcore.scans.reduction import SAMPLE, SIDE, sampled

# Pieces of a cluster that are smaller go to what is nearest.
_SMALLEST_PIECE = 4
# How often segments are cut and merged anew at most.
_CUTS = 3


def segments_of(
    grid: NDArray[np.float32],
    there: NDArray[np.bool_],
    asked: int | str,
    method: str,
    compactness: float,
    energy: float,
) -> tuple[NDArray[np.int32], str]:
    """Segments of the measured positions, and why so many."""
    scan = (grid.shape[0], grid.shape[1])
    if isinstance(asked, str):
        alike = extent(grid.reshape(scan[0] * scan[1], -1), scan, there.ravel())
        if not alike.certain:
            one = np.where(there, np.int32(0), np.int32(-1))
            return one, "neighbouring patterns are no more alike than noise: one segment"
        side = segment_side(alike, scan)
        count = max(round(int(there.sum()) / side**2), 1)
        far = "over the whole scan" if np.isinf(alike.half) else f"to half over {alike.half:.1f} positions"
        why = f"patterns stay alike {far}: {{}} of a side of {side:.1f}"
    else:
        count, why = asked, f"{asked} segments were asked for"
    if method == "graph":
        segments = grow(grid, there, count, energy)
    else:
        segments = slic(grid, count, compactness=compactness, mask=None if there.all() else there)
    return segments, why.format(count_of(int(segments.max()) + 1, "segment"))


@dataclass(frozen=True, eq=False)
class Sample:
    """Positions by which directions are found in which patterns differ, and bins of the detector; or none."""

    taken: NDArray[np.intp]
    pairs: NDArray[np.intp]
    numbers: NDArray[np.int32]
    count: int

    @classmethod
    def of(cls, source: Source, scan: tuple[int, int], gaps: Gaps, used: NDArray[np.bool_], wanted: bool) -> "Sample":
        numbers, count = bin_numbers(used, bin_factor(used.shape, SIDE))
        taken, pairs = np.zeros(0, dtype=np.intp), np.zeros((0, 2), dtype=np.intp)
        if wanted:
            most = min(SAMPLE, sample_size(source, count))
            taken, pairs = sampled(scan, gaps.measured, np.random.default_rng(0), most)
        return cls(taken, pairs, numbers, count)


@dataclass(frozen=True)
class Dense:
    pieces: NDArray[np.int32]
    clear: bool
    reason: str


def dense_groups(
    source: Source,
    sample: Sample,
    binned: NDArray[np.float32],
    gaps: Gaps,
    scan: tuple[int, int],
    box: tuple[slice, slice],
) -> Dense:
    """Connected pieces of the groups of patterns that regions of low density part."""
    # What is below zero are no counts, and has no roots.
    normalize = "none" if gaps.low < 0 else "sqrt"
    places, _ = reduced_places(source, sample.numbers, normalize, binned, sample.pairs, gaps.measured, 0)
    groups = density_groups(places)
    labels = gaps.spread(groups.labels, -1).reshape(scan)
    return Dense(connected_pieces(labels[box], _SMALLEST_PIECE), groups.clear, groups.reason)


@dataclass(frozen=True)
class Found:
    segments: NDArray[np.int32]
    labels: NDArray[np.int32]
    history: NDArray[np.float64]
    min_correlation: float
    reason: str
    clear: bool = True


def grains_of(
    segments: NDArray[np.int32],
    grid: NDArray[np.float32],
    energy: float,
    asked: float | str,
    count: int | None,
    known: NDArray[np.int32] | None,
    cuts: int = _CUTS,
) -> Found:
    """Grains, their borders settled, and why there are so many; all mergings down to one."""
    clear = True
    history = merge_along_borders(segments, grid)
    if not len(history):
        return Found(segments, segments, history, 1.0, "there is nothing to merge")
    if count is not None:
        done = mergings_to(segments, history, count)
        least, why = float(history[:done, 2].min(initial=1.0)), f"{count_of(count, 'grain')} were asked for"
    else:
        if isinstance(asked, str):
            history, parted = parted_at_steps(segments, grid, history, lambda tree: best_stop(tree, segments, known)[0])
            chosen, why = best_stop(history, segments, known)
            least, clear = chosen.min_correlation, chosen.clear
            why = "; ".join(filter(None, (why, why_parted(parted))))
        else:
            least, why = float(asked), f"a correlation of {float(asked):g} was asked for"
        done = int(np.count_nonzero(history[:, 2] >= least))
    segments = settle_borders(segments, merged_after(segments, history, done), grid, energy)
    # What was left of a segment of noise may be gone: then fewer mergings give as many grains.
    done = done if count is None else mergings_to(segments, history, count)
    labels = merged_after(segments, history, done)
    if asked == "auto" and count is None:
        better = cut_at_steps(segments, labels, grid, history[:done]) if cuts else None
        cuts -= better is not None
        if better is None:
            better = without_noise(segments, labels, grid, energy)
        if better is not None:
            return grains_of(better, grid, energy, asked, count, known, cuts)
    return Found(segments, labels, history, least, why, clear)
