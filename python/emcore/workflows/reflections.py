"""Which positions of a scan show the same reflections, and where are its grains?

The standard deviation over the scan shows every reflection that some positions have and others have not. Its local
maxima around the direct beam are the reflections; at every position the strength of each is the sum over a disc less
what the ring around it says of the background. Strengths that vary over the scan by more than noise are compared, each
divided by the deviation of its noise or by its mean, in the directions in which they differ by more than noise. Ward's
linkage joins positions that touch (Ruzaeva et al., EMC 2024 no. 672, after LiberTEM's clustering), or k-means groups
them wherever they are. The data are visited three times: for the deviation, for the strengths, for the mean patterns.
"""

import math
import os
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.memory import check_memory, in_words
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.core.validation import Floats, check_count, check_number, check_option
from emcore.core.wording import count_of
from emcore.methods.grouping.ward import choose_cut, touching_pairs, ward
from emcore.methods.selection.places import groups_of_places
from emcore.outofcore.checkpoint import step
from emcore.outofcore.moments import label_passes, sums_by_label
from emcore.outofcore.sources import Source
from emcore.results.reflections import ReflectionClustering
from emcore.scans.axes import SignalAxis
from emcore.scans.broken import broken_pixels, mended
from emcore.scans.detectors import disc, find_beam, masked_beam
from emcore.scans.gaps import Gaps
from emcore.scans.pattern_passes import gaps_and_moments
from emcore.scans.patterns import join_job, pattern_source, scan_of_patterns
from emcore.scans.reflections import kinds_of
from emcore.scans.spectrum_rows import hash_of_scan, passes_said
from emcore.scans.spots import Reflections, find_reflections, spot_radius, strengths_of
from emcore.scans.strengths import SCALINGS, ComparedStrengths, compare_strengths

METHODS = ("ward", "kmeans")
"""How positions are grouped."""

# What is kept of every position beside the strengths, in bytes, and the part of the memory that strengths may take.
_PER_POSITION, _PART = 64, 3
# Heights of joinings that are kept.
_HEIGHTS = 200


@with_progress_bar
@documented()
def cluster_reflections(
    patterns: Any,
    n_clusters: int | str = "auto",
    *,
    method: str = "ward",
    scaling: str = "noise",
    n_reflections: int = 500,
    disc_radius: float | None = None,
    mask_beam: bool = True,
    beam_radius: float | None = None,
    max_radius: float | None = None,
    scan_shape: tuple[int, int] | None = None,
    signal_axis: SignalAxis = None,
    dataset: str | int | None = None,
    random_state: int = 0,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> ReflectionClustering:
    """Group the positions of a scan by how strong their reflections are.

    Parameters
    ----------
    patterns : array_like, Signal, HyperSpy signal or path
        Shape (y, x, ky, kx), any pixel type, never copied as floats. A memory map, an HDF5 or
        Zarr array, a lazy signal or a Dask array is visited in blocks. Patterns in one series
        are a line.
    n_clusters : int or "auto", default "auto"
        How many groups, at least 2. "auto": of Ward's linkage, where joinings of pieces of one
        grain end and joinings of grains begin, by the gap between them or, where crystals are
        bent, by how sharp borders are; of k-means as for `emcore.cluster_diffraction`.
    method : {"ward", "kmeans"}, default "ward"
        "ward": only what touches is joined, so that every group is one connected piece, a
        grain. "kmeans": a group is what is alike, wherever it is.
    scaling : {"noise", "mean"}, default "noise"
        What the strengths of a reflection are divided by: the deviation of its noise, as
        neighbours show it, or the mean of their moduli, which gives all reflections the same
        weight.
    n_reflections : int, default 500
        The most prominent local maxima that are used at most.
    disc_radius : float, optional
        Of the discs over reflections in detector pixels. Default: the radius of the direct
        beam.
    %(mask_beam)s
    max_radius : float, optional
        Reflections farther from the direct beam are not used; in detector pixels.
    %(scan_shape)s
    %(pattern_axes)s
    %(dataset)s
    random_state : int, default 0
        Of k-means, and of samples by which a number is chosen.
    %(memory)s
    %(checkpoint)s

    Returns
    -------
    ReflectionClustering
        Clusters in the order of falling area.
        %(empty_patterns)s

    Raises
    ------
    ValueError
        Data of another dimension; NaN or infinity in every pattern (first position named); no
        reflection that varies over the scan, where a number of clusters is asked for; more
        clusters than positions, or one; radii that leave nothing; too little memory (the least
        is named); a checkpoint of other data or settings.
    TypeError
        Complex numbers, objects or strings.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import adjusted_rand_index, polycrystal_scan
    >>> sample = polycrystal_scan(scan_shape=(16, 20), n_grains=3)
    >>> result = emcore.cluster_reflections(sample.patterns)
    >>> result.signals.shape, adjusted_rand_index(sample.labels, result.labels) > 0.9
    ((3, 64, 64), True)
    """
    started = time.perf_counter()
    check_option(method, METHODS, "method")
    check_option(scaling, SCALINGS, "scaling")
    most = check_count(n_reflections, "n_reflections", 1)
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    for name, value in (("disc_radius", disc_radius), ("max_radius", max_radius)):
        if value is not None and not check_number(value, name, 0) > 0:
            raise ValueError(f"{name}={value} must be above 0 pixels")
    parameters = {
        "n_clusters": n_clusters,
        "method": method,
        "scaling": scaling,
        "n_reflections": most,
        "disc_radius": disc_radius,
        "mask_beam": mask_beam,
        "beam_radius": beam_radius,
        "max_radius": max_radius,
        "random_state": seed,
    }
    scan = scan_of_patterns(patterns, scan_shape, signal_axis=signal_axis, dataset=dataset, memory=memory)
    rows = pattern_source(scan, memory, _PER_POSITION)
    n = rows.shape[0]
    asked = _checked_number(n_clusters, n)
    join_job(rows, checkpoint, "cluster_reflections", memory, parameters)
    shape = (scan.axes[-2].size, scan.axes[-1].size)
    grid = tuple(axis.size for axis in scan.axes[:-2])
    plane = (grid[0], grid[1]) if len(grid) == 2 else (1, n)

    gaps, mean, deviation = _moments(rows, shape)
    gaps.check("patterns", scan.shape, max(asked, 2))
    optics, notes = _optics(mean, deviation, mask_beam, beam_radius, disc_radius, max_radius)
    chosen, left_out = _reflections(rows, gaps, mean, deviation, optics, most)
    rows.beside += 4 * n * len(chosen)
    strengths, sums = step(rows, "strengths", lambda: strengths_of(rows, chosen, optics.beam))
    compared = compare_strengths(strengths, gaps, plane, scaling)
    if compared.places is None and asked:
        raise ValueError(f"{compared.note}: nothing tells {asked} clusters apart")
    groups = _grouped(compared, gaps, plane, method, asked, seed)
    kept = compared.kept
    sizes = np.bincount(groups.labels, minlength=groups.k)
    order = np.argsort(-sizes, kind="stable")
    labels = np.full(n, -1, dtype=np.int32)
    labels[gaps.measured] = np.argsort(order)[groups.labels]
    counts, flat = sizes[order], np.maximum(sizes[order], 1)[:, None]
    strength = np.zeros((groups.k, 0))
    if kept.any():
        strength = (_emcore.sum_by_label(strengths, labels, groups.k)[0] / flat)[:, kept]
    rows.beside -= 4 * n * len(chosen)
    del strengths
    times = 2 + label_passes(rows, groups.k)
    total, _ = step(rows, "mean patterns", lambda: sums_by_label(rows, labels, groups.k))
    signals = (total / flat).reshape(-1, *shape)
    counting = rows.dtype.kind in "ui"
    notes += [*left_out, *([compared.note] if compared.places is not None else [])]
    notes += passes_said(scan, memory, times)
    axes = tuple(replace(axis, navigation=False) for axis in scan.axes)
    title = "sum of every pattern" if optics.beam is None else "virtual bright field"
    image = Signal(np.where(gaps.empty, 0.0, sums).reshape(grid), axes[:-2], title=title)
    return ReflectionClustering(
        labels=labels.reshape(grid),
        signals=signals,
        area=counts / max(int(counts.sum()), 1),
        inertia=groups.inertia,
        n_clusters=groups.k,
        rule=groups.rule,
        reason=groups.reason,
        image=image,
        mean=Signal(mean, axes[-2:], title="PACBED"),
        beam_center=optics.beam_center,
        beam_radius=optics.beam_radius,
        n_empty=gaps.n_empty,
        deviation=Signal(deviation, axes[-2:], title="standard deviation"),
        reflections=chosen.places[kept],
        prominence=chosen.prominence[kept],
        disc_radius=chosen.radius,
        strength=strength,
        kinds=kinds_of(signals, counts, optics.usable, optics.beam_center, optics.beam_radius, counting),
        heights=groups.heights,
        provenance=Provenance.record(
            "cluster_reflections",
            {**parameters, "scan_shape": None if scan_shape is None else grid},
            scan,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=(*gaps.notes, *notes),
            sha256=hash_of_scan(scan, image.data, memory),
        ),
    )


def _checked_number(n_clusters: int | str, count: int) -> int:
    """The number asked for, 0 for "auto"."""
    if count < 2:
        raise ValueError("one pattern is no scan: at least two positions are needed")
    if isinstance(n_clusters, str):
        check_option(n_clusters, ("auto",), "n_clusters")
        return 0
    if n_clusters == 1:
        raise ValueError("n_clusters=1 groups nothing; give 2 or more (emcore.detectors.pacbed gives the mean of all)")
    return check_count(n_clusters, "n_clusters", 2, count, f"there are {count} patterns")


def _moments(rows: Source, shape: tuple[int, int]) -> tuple[Gaps, Floats, Floats]:
    """What was measured, and mean and deviation of it: the first visit of the data."""

    def compute() -> tuple[Any, ...]:
        gaps, mean, squares = gaps_and_moments(rows)
        return gaps.empty, gaps.zero, gaps.constant, gaps.invalid, gaps.first or (-1, -1), mean, squares

    empty, zero, constant, invalid, first, mean, squares = step(rows, "moments", compute)
    at = None if first[0] < 0 else (int(first[0]), int(first[1]))
    gaps = Gaps(empty, int(zero), int(constant), int(invalid), first=at)
    measured = max(len(empty) - gaps.n_empty, 1)
    return gaps, mean.reshape(shape), np.sqrt(np.maximum(squares, 0) / measured).reshape(shape)


@dataclass(frozen=True, eq=False)
class _Optics:
    """What of the detector is used; `beam` are the pixels of the direct beam, if there is one."""

    usable: NDArray[np.bool_]
    center: tuple[float, float]
    annulus: tuple[float, float]
    disc_radius: float
    beam: NDArray[np.bool_] | None
    beam_center: tuple[float, float] | None
    beam_radius: float | None


def _optics(
    mean: Floats,
    deviation: Floats,
    mask_beam: bool,
    beam_radius: float | None,
    disc_radius: float | None,
    max_radius: float | None,
) -> tuple[_Optics, list[str]]:
    broken, said_broken = broken_pixels(mean)
    # What flickers is seen in the deviation.
    broken |= broken_pixels(np.where(broken, 0.0, deviation))[0]
    whole = mended(mean, broken)
    center, radius, said = masked_beam(whole, mask_beam, beam_radius)
    usable, beam = ~broken, None
    if center is not None and radius is not None:
        inside = disc(mean.shape, center, radius)
        beam, usable = inside & ~broken, ~broken & ~inside
    if not usable.any():
        raise ValueError(
            f"a mask of radius {radius:g} px leaves none of the {mean.size} pixels: choose a smaller one, or "
            "mask_beam=False"
        )
    inner = radius or 0.0
    if max_radius is not None and max_radius <= inner:
        raise ValueError(f"max_radius={max_radius:g} px is within the mask over the beam, {inner:.3g} px")
    middle = center or ((mean.shape[0] - 1) / 2, (mean.shape[1] - 1) / 2)
    notes = [*said_broken, *said]
    if disc_radius is None and center is not None:
        disc_radius = max(find_beam(whole).radius, 1.0)
    elif disc_radius is None:
        disc_radius = spot_radius(deviation, usable)
        notes.append(
            f"the discs over reflections have the radius of spots in the deviation pattern, {disc_radius:.3g} px"
        )
    annulus = inner, math.inf if max_radius is None else max_radius
    return _Optics(usable, middle, annulus, disc_radius, beam, center, radius), notes


def _reflections(
    rows: Source, gaps: Gaps, mean: Floats, deviation: Floats, optics: _Optics, most: int
) -> tuple[Reflections, list[str]]:
    """As many of the most prominent maxima as memory has room for the strengths of."""
    n, budget = rows.shape[0], check_memory(rows.budget)
    room = budget // (_PART * 4 * n)
    if room < 1:
        raise ValueError(
            f"memory={in_words(budget)} is too little for {n} positions: the smallest possible is "
            f"{in_words(_PART * 4 * n)}, and more for more reflections"
        )
    measured = n - gaps.n_empty
    # Of the fourth moments of a normal and, of counts, of a Poisson distribution.
    spare = 1 / np.maximum(mean, 1 / measured) if rows.dtype.kind in "ui" else 0.0
    chosen = find_reflections(
        deviation,
        optics.usable,
        radius=optics.disc_radius,
        center=optics.center,
        annulus=optics.annulus,
        most=min(most, room),
        error=0.5 * np.sqrt((2 + spare) / measured),
    )
    if room < most and len(chosen) == room:
        return chosen, [f"memory has room for {count_of(room, 'reflection')}: others, less prominent, were left out"]
    return chosen, []


@dataclass(frozen=True, eq=False)
class _Groups:
    """Of the measured positions."""

    labels: NDArray[np.int32]
    inertia: float
    k: int
    rule: str
    reason: str
    heights: Floats | None = None


def _grouped(
    compared: ComparedStrengths, gaps: Gaps, grid: tuple[int, int], method: str, asked: int, seed: int
) -> _Groups:
    places = compared.places
    if places is None:
        return _Groups(np.zeros(len(gaps.measured), dtype=np.int32), 0.0, 1, "all", compared.note)
    if method == "kmeans":
        found = groups_of_places(places, asked, seed)
        return _Groups(found.labels, found.inertia, found.k, found.rule, found.reason)
    rows = gaps.spread(np.arange(len(places)), -1).reshape(grid)
    tree = ward(places, touching_pairs(rows))
    if asked:
        k, rule, reason = asked, "given", f"n_clusters={asked} was asked for"
    else:
        cut = choose_cut(tree, gaps.spread(places, 0.0).reshape(*grid, -1), rows)
        k, rule, reason = cut.k, "gap" if cut.clear else "borders" if cut.k > 1 else "all", cut.reason
    labels = tree.labels(k)
    inertia = float(_emcore.kmeans_spread(places, labels, k, metric="euclidean")[1].sum())
    return _Groups(labels, inertia, k, rule, reason, tree.heights[::-1][:_HEIGHTS].copy())
