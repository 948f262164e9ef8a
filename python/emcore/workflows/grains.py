"""Which grains are there in a scan of diffraction patterns, and what is the pattern of each?

Detector pixels tell grains apart that vary over the scan by more than their noise. They alone are compared, binned, the
direct beam masked and what is broken left out, each scaled by the root of its mean, as counting noise asks. SLIC cuts
the scan into segments far smaller than grains, which follow their borders (Selby et al. 2024); segments that touch and
are alike along their border are merged, and positions at the borders of grains settled. The data are read four times or
five: for the mean, some lines for the noise of every pixel, for the values that are compared, of few positions for
their places in a few directions, for the mean patterns.
"""

import os
import time
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Signal, hashed
from emcore.core.validation import check_count, check_number, check_option
from emcore.core.wording import count_of
from emcore.methods.superpixels.slic import label_means
from emcore.outofcore.checkpoint import step
from emcore.outofcore.moments import label_passes, sums_by_label
from emcore.results.segmentation import Segmentation, equivalent_diameter, finest, means_of_pieces
from emcore.scans.axes import SignalAxis
from emcore.scans.broken import broken_pixels, mended
from emcore.scans.channels import Channels, choose_channels, noise_energy
from emcore.scans.detectors import disc, masked_beam
from emcore.scans.pattern_passes import group_sums, survey
from emcore.scans.patterns import axes_of_scan, join_job, line_said, pattern_source, scan_of_patterns
from emcore.scans.reflections import kinds_of
from emcore.scans.spectrum_rows import hash_of_scan, is_out_of_core, passes_said
from emcore.workflows.grains_steps import Sample, dense_groups, grains_of, segments_of

METHODS = ("auto", "slic", "graph", "hdbscan")
"""How a scan is cut into segments."""

PIXELS = ("significant", "all")
"""How the detector pixels to compare are chosen."""

# Positions up to which dense groups are looked for: of more, those that are seen have many times the size of a grain.
_DENSE = 40_000
# What is kept of every position beside the values that are compared, in bytes.
_PER_POSITION = 128


@with_progress_bar
@documented()
def segment_grains(
    patterns: Any,
    n_segments: int | str = "auto",
    *,
    method: str = "auto",
    detector_pixels: str = "significant",
    bin_to: int = 64,
    mask_beam: bool = True,
    beam_radius: float | None = None,
    min_correlation: float | str = "auto",
    n_grains: int | None = None,
    compactness: float = 0.3,
    scan_shape: tuple[int, int] | None = None,
    signal_axis: SignalAxis = None,
    dataset: str | int | None = None,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Segmentation:
    """Find the grains of a scan of diffraction patterns, and the mean pattern of each.

    Parameters
    ----------
    patterns : array_like, Signal, HyperSpy signal or path
        Shape (y, x, ky, kx), any pixel type, never copied as floats: what is compared is held
        in memory, at most a quarter of GiB. A memory map, an HDF5 or Zarr array, a lazy signal
        or a Dask array is visited in blocks, five times or so. Patterns in one series become
        one line.
    n_segments : int or "auto", default "auto"
        Segments before merging. "auto": of a side of half the distance over which patterns stay
        alike. Of method "hdbscan" there are as many as there are pieces.
    method : {"auto", "slic", "graph", "hdbscan"}, default "auto"
        What the segments are: "slic", superpixels, see `emcore.slic`; "graph", regions grown
        from the most alike neighbours (Lee et al., arXiv 2601.17262); "hdbscan", connected
        pieces of groups of patterns that regions of low density part. What follows is the same.
        "auto": superpixels, of up to 40,000 positions merged down to where they agree with such
        groups, if these are clear; these pieces where merging has no clear end.
    detector_pixels : {"significant", "all"}, default "significant"
        Compare the detector pixels that vary over the scan by more than their noise, or all
        that vary.
    bin_to : int, default 64
        The detector is binned to at most so many pixels a side before patterns are compared,
        and to fewer where they would take too much memory or most of them would have no count.
    %(mask_beam)s
    min_correlation : float or "auto", default "auto"
        Least correlation, along their common border, of segments that are merged. "auto": in
        the widest gap, from 10 to 60 degrees, between the angles at which segments merge; but
        never across a border along which patterns change at once and not little by little. See
        `emcore.results.segmentation.Segmentation.recut`.
    n_grains : int, optional
        Merge until so many grains are left, instead.
    compactness : float, default 0.3
        Of superpixels, see `emcore.slic`.
    %(scan_shape)s
    %(pattern_axes)s
    %(dataset)s
    %(memory)s
    %(checkpoint)s

    Returns
    -------
    Segmentation
        Grains in the order of falling size.
        %(empty_patterns)s

    Raises
    ------
    ValueError
        Data of another dimension; NaN or infinity in every pattern (first position named); too
        few measured patterns; patterns that are all the same; a mask that keeps nothing; more
        segments or grains than positions; both `min_correlation` and `n_grains`.
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
    check_option(method, METHODS, "method")
    check_option(detector_pixels, PIXELS, "detector_pixels")
    bin_to = check_count(bin_to, "bin_to", 1)
    if isinstance(min_correlation, str):
        check_option(min_correlation, ("auto",), "min_correlation")
    else:
        check_number(min_correlation, "min_correlation", -1, 1)
        if n_grains is not None:
            raise ValueError("min_correlation and n_grains say both where merging ends: give one of them")
    scan = scan_of_patterns(patterns, scan_shape, signal_axis=signal_axis, dataset=dataset, memory=memory)
    along = axes_of_scan(scan)
    plane, shape = (along[0].size, along[1].size), (scan.axes[-2].size, scan.axes[-1].size)
    source = pattern_source(scan, memory, _PER_POSITION)
    n = len(source)
    if n < 2:
        raise ValueError("one pattern is no scan: at least two positions are needed")
    parameters = {
        "n_segments": n_segments,
        "method": method,
        "detector_pixels": detector_pixels,
        "bin_to": bin_to,
        "mask_beam": mask_beam,
        "beam_radius": beam_radius,
        "min_correlation": min_correlation,
        "n_grains": n_grains,
        "compactness": compactness,
    }
    join_job(source, checkpoint, "segment_grains", memory, {"scan": plane, **parameters})

    out_of_core = is_out_of_core(scan, memory)
    with nullcontext() if out_of_core else hashed(scan) as digest:
        seen = survey(source, shape, np.zeros(n, dtype=np.int32), 1)
        gaps = seen.gaps
        gaps.check("patterns", scan.shape)
        positions = n - gaps.n_empty
        for name, value in (("n_segments", n_segments), ("n_grains", n_grains)):
            if isinstance(value, str):
                check_option(value, ("auto",), name)
            elif value is not None:
                check_count(value, name, 1, positions, f"there are {positions} positions")
        mean = seen.sums[0] / positions
        broken, of_broken = broken_pixels(mean)
        center, radius, said = masked_beam(mended(mean, broken), mask_beam, beam_radius)
        used = ~broken
        if center is not None and radius is not None:
            used &= ~disc(shape, center, radius)
        if not used.any():
            raise ValueError("the mask over the beam leaves no pixel: choose a smaller one, or mask_beam=False")
        channels = choose_channels(source, plane, mean, gaps.empty, used, bin_to, detector_pixels == "all")
        chosen = method == "auto" and min_correlation == "auto" and n_grains is None
        sample = Sample.of(source, plane, gaps, used, method == "hdbscan" or (chosen and positions <= _DENSE))
        numbers, count = channels.numbers
        bins = sample.numbers, sample.count, sample.taken
        compared, binned = group_sums(source, numbers, count, *bins, channels.scale, gaps.empty)
        source.beside += 4 * n * count
        values = gaps.of_measured(compared)
        image = _emcore.x_q(values, np.ascontiguousarray(channels.scale)[:, None]).ravel()
        there = ~gaps.empty.reshape(plane)
        # What lies beyond all that was measured decides nothing.
        box = _box(there)
        grid, mask = compared.reshape(*plane, -1)[box], there[box]
        energy = noise_energy(grid, mask)
        dense = dense_groups(source, sample, binned, gaps, plane, box) if len(sample.taken) else None
        if method == "hdbscan" and dense is not None:
            cut, reason, known = dense.pieces, dense.reason, None
        else:
            cut, reason = segments_of(grid, mask, n_segments, method, compactness, energy)
            known = dense.pieces if dense is not None and dense.clear and cut.max() > 0 else None
        found = grains_of(cut, grid, energy, min_correlation, n_grains, known)
        if known is not None and dense is not None and not found.clear:
            cut, reason = known, f"{reason}, of which none are clearly of one grain; {dense.reason}"
            found = grains_of(cut, grid, energy, min_correlation, n_grains, None)
        segments, labels = (np.full(plane, -1, dtype=np.int32) for _ in range(2))
        segments[box], labels[box] = found.segments, found.labels
        order = np.argsort(-np.bincount(labels[there]), kind="stable")
        labels[there] = np.argsort(order).astype(np.int32)[labels[there]]

        pieces = finest(segments, labels, found.history, shape)
        flat_pieces, n_pieces = pieces.ravel(), int(pieces.max()) + 1
        sums, sizes = step(source, "mean patterns", lambda: sums_by_label(source, flat_pieces, n_pieces))
        of_pieces = sums / np.maximum(sizes, 1)[:, None]
        grain_of = np.zeros(len(sizes), dtype=np.intp)
        grain_of[pieces[there]] = labels[there]
        size = np.bincount(labels[there], minlength=len(order))
        signals = means_of_pieces(of_pieces, sizes, grain_of, len(order))
        flat = labels[there]
        means, _ = label_means(values, flat, len(order))
        sure = _emcore.confidence(values, flat, means, np.average(means, axis=0, weights=size))
        best, second = (gaps.spread(np.ascontiguousarray(each), 0).reshape(plane) for each in sure.T[:2])
        picture = Signal(gaps.spread(image, 0).reshape(plane), along, title="virtual image of the kept pixels")
        elapsed = time.perf_counter() - started
        sha256 = hash_of_scan(scan, picture.data, memory) if digest is None else digest()
    more = dense is not None and len(sample.taken) < positions
    passes = 2 + channels.passes + more + label_passes(source, n_pieces)
    counts = source.dtype.kind in "ui"
    patterns_of_grains = signals.reshape(-1, *shape)
    return Segmentation(
        labels=labels,
        signals=patterns_of_grains,
        size=size,
        diameter=equivalent_diameter(size, picture),
        correlation=best,
        confidence=best - second,
        segments=segments,
        history=found.history,
        kept=channels.keep,
        n_segments=int(cut.max()) + 1,
        n_grains=len(order),
        min_correlation=found.min_correlation,
        reason=f"{reason}; {found.reason}",
        image=picture,
        mean=Signal(mean, tuple(replace(axis, navigation=False) for axis in scan.axes[-2:]), title="PACBED"),
        beam_center=center,
        beam_radius=radius,
        n_empty=gaps.n_empty,
        pieces=pieces,
        piece_signals=of_pieces.reshape(-1, *shape),
        kinds=kinds_of(patterns_of_grains, size, used, center, radius, counts),
        provenance=Provenance.record(
            "segment_grains",
            {**parameters, "scan_shape": None if scan_shape is None else plane},
            scan,
            elapsed=elapsed,
            threads=get_num_threads(),
            notes=(
                *line_said(scan),
                *gaps.notes,
                *of_broken,
                *said,
                *_binned(channels),
                *passes_said(scan, memory, passes),
            ),
            sha256=sha256,
        ),
    )


def _binned(channels: Channels) -> tuple[str, ...]:
    """What is to be said of the bins that were compared."""
    count = count_of(len(channels.known.mean), "bin")
    said = (
        [] if channels.certain else ["no detector pixel varies over the scan by more than its noise: all were compared"]
    )
    if channels.factor > 1:
        said.append(f"detector binned {channels.factor} × {channels.factor} before patterns were compared, in {count}")
    return tuple(said)


def _box(there: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The lines and columns of the scan between the first and the last that hold a measured position."""
    lines, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    return slice(int(lines[0]), int(lines[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
