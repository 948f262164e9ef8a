"""Which grains are there in a scan of diffraction patterns, and what is the pattern of each?

Few detector pixels tell grains apart: those that the reflections sweep. They alone are compared, the direct beam
masked, each scaled by the root of its mean, as counting noise asks. SLIC cuts the scan into segments far smaller than
grains, which follow their borders; segments that touch and have like mean patterns are merged (Selby et al. 2024). The
data are read three times: for the statistics of every pixel, for the kept pixels, for the mean patterns.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.provenance import Provenance
from emcore.core.signals import Signal, hashed
from emcore.core.validation import check_count, check_number, check_option
from emcore.core.wording import count_of
from emcore.methods.preprocessing import prepare
from emcore.methods.superpixels.choices import choose_correlation, extent, segment_side
from emcore.methods.superpixels.slic import label_means, merge_similar, merged_to, slic
from emcore.results.segmentation import Segmentation, equivalent_diameter
from emcore.scans.axes import SignalAxis
from emcore.scans.detectors import disc, masked_beam
from emcore.scans.gaps import Gaps
from emcore.scans.patterns import PatternRows, measured_patterns, select_patterns

PIXELS = ("range", "variance", "all")
"""How the detector pixels to compare are chosen."""
# However small the part that is kept, so many pixels are, if as many vary.
_LEAST = 16


@documented()
def segment_grains(
    patterns: Any,
    n_segments: int | str = "auto",
    *,
    detector_pixels: str = "range",
    keep: float = 0.02,
    mask_beam: bool = True,
    beam_radius: float | None = None,
    min_correlation: float | str = "auto",
    compactness: float = 0.3,
    scan_shape: tuple[int, int] | None = None,
    signal_axis: SignalAxis = None,
    dataset: str | int | None = None,
) -> Segmentation:
    """Find the grains of a scan of diffraction patterns, and the mean pattern of each.

    Parameters
    ----------
    patterns : array_like, Signal, HyperSpy signal or path
        Shape (y, x, ky, kx), any pixel type, memory-mapped too: only the kept pixels are held in memory. Patterns in
        one series become one line.
    n_segments : int or "auto", default "auto"
        Segments before merging. "auto": of a side of 0.4 of the distance over which patterns stay alike.
    detector_pixels : {"range", "variance", "all"}, default "range"
        Compare the detector pixels of the largest range of values, of the largest variance over mean, or all that vary.
    keep : float, default 0.02
        What part of the pixels outside the mask "range" and "variance" keep.
    %(mask_beam)s
    min_correlation : float or "auto", default "auto"
        Least correlation of the mean patterns of segments that are merged. "auto": in the widest gap between the angles
        at which segments merge.
    compactness : float, default 0.3
        Of segments, see `emcore.slic`.
    %(scan_shape)s
    %(pattern_axes)s
    %(dataset)s

    Returns
    -------
    Segmentation
        Grains in the order of falling size. The same to the last bit on any number of threads. Patterns that are one
        value throughout, zero or another, and those with NaN or infinity, are no measurement: they take no part, and
        their label is -1.

    Raises
    ------
    ValueError
        Data of another dimension; NaN or infinity in every pattern (first position named); too few measured patterns;
        patterns that are all the same; a mask that keeps nothing; more segments than positions.
    TypeError
        Complex numbers, objects or strings.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import adjusted_rand_index, bent_polycrystal
    >>> sample = bent_polycrystal(scan_shape=(32, 40), pattern_shape=(64, 64), n_grains=6)
    >>> result = emcore.segment_grains(sample.patterns)
    >>> result.signals.shape, adjusted_rand_index(sample.labels, result.labels) > 0.9
    ((6, 64, 64), True)
    """
    started = time.perf_counter()
    scan, notes = select_patterns(patterns, scan_shape, signal_axis=signal_axis, dataset=dataset)
    matrix, gaps = measured_patterns(scan)
    check_option(detector_pixels, PIXELS, "detector_pixels")
    keep = check_number(keep, "keep", 0, 1)
    positions = len(matrix.rows) - gaps.n_empty
    if isinstance(n_segments, str):
        check_option(n_segments, ("auto",), "n_segments")
    else:
        check_count(n_segments, "n_segments", 1, positions, f"there are {positions} positions")
    if isinstance(min_correlation, str):
        check_option(min_correlation, ("auto",), "min_correlation")
    else:
        check_number(min_correlation, "min_correlation", -1, 1)

    with hashed(scan) as digest:
        pixels = _statistics(matrix, gaps)
        center, radius, said = masked_beam(pixels.mean, mask_beam, beam_radius)
        unmasked = np.ones(matrix.shape, dtype=bool)
        if center is not None and radius is not None:
            unmasked = ~disc(matrix.shape, center, radius)
        chosen = _kept(pixels, unmasked, detector_pixels, keep)
        values, image = _compared(matrix, gaps, chosen, pixels)
        there = ~gaps.empty.reshape(matrix.scan)
        segments = np.full(matrix.scan, -1, dtype=np.int32)
        labels = segments.copy()
        # What lies beyond all that was measured decides nothing.
        box = _box(there)
        grid, mask = gaps.spread(values, 0).reshape(*matrix.scan, -1)[box], there[box]
        segments[box], reason = _segments(grid, mask, n_segments, compactness)
        labels[box], history, least, why = _grains(segments[box], grid, min_correlation)
        order = np.argsort(-np.bincount(labels[there]), kind="stable")
        labels[there] = np.argsort(order).astype(np.int32)[labels[there]]

        flat = labels[there]
        signals, size = label_means(matrix.rows, labels.ravel(), len(order))
        means, _ = label_means(values, flat, len(order))
        sure = _emcore.confidence(values, flat, means, np.average(means, axis=0, weights=size))
        best, second = (gaps.spread(np.ascontiguousarray(each), 0).reshape(matrix.scan) for each in sure.T[:2])
        elapsed, sha256 = time.perf_counter() - started, digest()
    y, x, ky, kx = (replace(axis, navigation=False) for axis in scan.axes)
    parameters = {
        "n_segments": n_segments,
        "detector_pixels": detector_pixels,
        "keep": keep,
        "mask_beam": mask_beam,
        "beam_radius": beam_radius,
        "min_correlation": min_correlation,
        "compactness": compactness,
        "scan_shape": None if scan_shape is None else matrix.scan,
    }
    picture = Signal(gaps.spread(image, 0).reshape(matrix.scan), (y, x), title="virtual image of the kept pixels")
    return Segmentation(
        labels=labels,
        signals=matrix.pictures(signals),
        size=size,
        diameter=equivalent_diameter(size, picture),
        correlation=best,
        confidence=best - second,
        segments=segments,
        history=history,
        kept=chosen,
        n_segments=int(segments.max()) + 1,
        n_grains=len(order),
        min_correlation=least,
        reason=f"{reason}; {why}",
        image=picture,
        mean=Signal(pixels.mean, (ky, kx), title="PACBED"),
        beam_center=center,
        beam_radius=radius,
        n_empty=gaps.n_empty,
        provenance=Provenance.record(
            "segment_grains",
            parameters,
            scan,
            elapsed=elapsed,
            threads=get_num_threads(),
            notes=(*notes, *gaps.notes, *said),
            sha256=sha256,
        ),
    )


@dataclass(frozen=True)
class _Pixels:
    """What is known of every detector pixel, each of shape (ky, kx)."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    range: NDArray[np.float64]


def _statistics(matrix: PatternRows, gaps: Gaps) -> _Pixels:
    rows = prepare(gaps.recipe(matrix.rows, gaps.measured)) if gaps.n_empty else matrix.rows
    mean, squares, low, high = _emcore.moments_and_range(rows)
    return _Pixels(*(matrix.pictures(values) for values in (mean, squares / len(rows), high - low)))


def _kept(pixels: _Pixels, unmasked: NDArray[np.bool_], by: str, part: float) -> NDArray[np.bool_]:
    """The detector pixels to compare: outside the mask, and among those that vary the first by what is asked for."""
    if not unmasked.any():
        raise ValueError("the mask over the beam leaves no pixel: choose a smaller one, or mask_beam=False")
    varying = unmasked & (pixels.range > 0)
    if not varying.any():
        raise ValueError("all patterns are the same where they are compared: there are no grains to find")
    if by == "all":
        return varying
    over_mean = np.divide(pixels.variance, pixels.mean, out=pixels.variance.copy(), where=pixels.mean > 0)
    ranks = (pixels.range, over_mean) if by == "range" else (over_mean, pixels.range)
    count = min(max(math.ceil(part * int(unmasked.sum())), _LEAST), int(varying.sum()))
    places = np.flatnonzero(varying)
    first, second = (rank.ravel()[places] for rank in ranks)
    chosen = np.zeros(varying.size, dtype=bool)
    chosen[places[np.lexsort((-second, -first))[:count]]] = True
    return chosen.reshape(varying.shape)


def _compared(
    matrix: PatternRows, gaps: Gaps, compared: NDArray[np.bool_], pixels: _Pixels
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Kept pixels of all measured patterns, scaled, and their plain sums."""
    columns = matrix.features(compared)
    mean, variance = (matrix.features(picture)[columns] for picture in (pixels.mean, pixels.variance))
    # Counting noise is the root of the mean; where values are no counts, their own deviation.
    scale = 1 / np.sqrt(mean if (mean > 0).all() else variance)
    values = np.asarray(prepare(gaps.recipe(matrix.rows, gaps.measured, keep=columns, scale=scale)))
    return values, _emcore.x_q(values, np.ascontiguousarray(1 / scale)[:, None]).ravel()


def _box(there: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The lines and columns of the scan between the first and the last that hold a measured position."""
    lines, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    return slice(int(lines[0]), int(lines[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _segments(
    grid: NDArray[np.float32], there: NDArray[np.bool_], asked: int | str, compactness: float
) -> tuple[NDArray[np.int32], str]:
    """Segments of the measured positions, and why so many."""
    scan = (grid.shape[0], grid.shape[1])
    mask = None if there.all() else there
    if not isinstance(asked, str):
        segments = slic(grid, asked, compactness=compactness, mask=mask)
        return segments, f"{asked} segments were asked for"
    alike = extent(grid.reshape(scan[0] * scan[1], -1), scan, there.ravel())
    if not alike.certain:
        one = np.where(there, np.int32(0), np.int32(-1))
        return one, "neighbouring patterns are no more alike than noise: one segment"
    side = segment_side(alike, scan)
    count = max(round(int(there.sum()) / side**2), 1)
    far = "over the whole scan" if math.isinf(alike.half) else f"to half over {alike.half:.1f} positions"
    segments = slic(grid, count, compactness=compactness, mask=mask)
    return (
        segments,
        f"patterns stay alike {far}: {count_of(int(segments.max()) + 1, 'segment')} of a side of {side:.1f}",
    )


def _grains(
    segments: NDArray[np.int32], grid: NDArray[np.float32], asked: float | str
) -> tuple[NDArray[np.int32], NDArray[np.float64], float, str]:
    """Grains, all mergings down to one, the least correlation of those that made the grains, and why that."""
    _, history = merge_similar(segments, grid, -1.0, return_history=True)
    if not len(history):
        return segments, history, 1.0, "there is nothing to merge"
    if isinstance(asked, str):
        least, why = choose_correlation(history)
    else:
        least, why = float(asked), f"a correlation of {float(asked):g} was asked for"
    return merged_to(segments, history, least), history, least, why
