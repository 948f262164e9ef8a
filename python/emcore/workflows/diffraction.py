"""Which positions of a scan give the same diffraction pattern, and what is the pattern of each group?

The direct beam varies with thickness and says nothing of orientation or phase: it is masked. Patterns are compared by
the roots of their counts, which have the same noise everywhere, on a binned detector, reduced to the directions in
which they differ by more than noise (`emcore.scans.reduction`). How many groups there are is said by the regions of low
density between them, where these part some; else by the votes of several criteria on k-means. Or k-means groups them by
all their kept pixels or by principal components of these, normalised as asked (Bach Siches 2022): clustering then
starts from the best of many runs in the few directions in which patterns differ most, which finds better minima than as
many runs on all pixels would, at the cost of one. The mean pattern of each group is that of the data as they were
measured.
"""

import copy
import os
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore._emcore import PreparedRows
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.core.validation import check_count, check_option
from emcore.core.wording import count_of
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.pca.fit import pca, scores
from emcore.methods.pca.projection import rough_scores
from emcore.methods.preprocessing import NORMALIZATIONS, POSITIVE, Recipe, count_distinct, prepare, recipe_rows
from emcore.methods.selection.components import n_components
from emcore.methods.selection.places import groups_of_places, number_of_places
from emcore.methods.selection.rules import RankChoice
from emcore.outofcore.checkpoint import step
from emcore.outofcore.moments import label_passes, sums_by_label
from emcore.outofcore.sources import Source
from emcore.results.clustering import Clustering
from emcore.scans.axes import SignalAxis
from emcore.scans.binning import bin_factor, bin_numbers
from emcore.scans.broken import broken_pixels, mended
from emcore.scans.detectors import disc, masked_beam
from emcore.scans.gaps import Gaps
from emcore.scans.pattern_passes import check_positive, group_sums, sample_size, survey
from emcore.scans.pattern_places import reduced_places
from emcore.scans.patterns import axes_of_scan, join_job, line_said, pattern_source, scan_of_patterns
from emcore.scans.reduction import SAMPLE, SIDE, said_reduced, sampled
from emcore.scans.spectrum_rows import hash_of_scan, is_out_of_core, passes_said

REDUCTIONS = ("auto", "pca")

# Directions in which clustering starts, at least; runs from different starts in them.
_START_DIRECTIONS = 16
_STARTS = 20
# Of reduce="pca", the rule of `emcore.n_components` looks at so many.
_LOOKED_AT = 21
# What is kept of every position beside a pass, in bytes; patterns that are taken at a time.
_PER_POSITION, _TOGETHER = 320, 256


@with_progress_bar
@documented()
def cluster_diffraction(
    patterns: Any,
    n_clusters: int | str = "auto",
    *,
    mask_beam: bool = True,
    beam_radius: float | None = None,
    normalize: str = "sqrt",
    reduce: int | str | None = "auto",
    scan_shape: tuple[int, int] | None = None,
    signal_axis: SignalAxis = None,
    dataset: str | int | None = None,
    random_state: int = 0,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Clustering:
    """Group the positions of a scan by their diffraction patterns.

    Parameters
    ----------
    patterns : array_like, Signal, HyperSpy signal or path
        Shape (y, x, ky, kx), any pixel type, never copied as floats. A memory map, an HDF5 or
        Zarr array, a lazy signal or a Dask array is visited in blocks, four times by default.
        Patterns in one series become one line, unless `scan_shape` says otherwise.
    n_clusters : int or "auto", default "auto"
        How many groups, at least 2. "auto": as many as regions of low density part, if halves
        of the scan agree on them, and then these groups, of whatever shape; else by the votes
        of `emcore.choose_n_clusters`, up to 200.
    %(mask_beam)s
    normalize : {"sqrt", "none", "sum", "max", "l2", "log1p", "root-sum"}, default "sqrt"
        What is done to the kept pixels of each pattern, see `emcore.preprocessing.Recipe`. One
        of zeros there cannot be divided by its sum: its label is -1. Where the intensity of
        whole patterns varies and says nothing, "sum", "l2" or "root-sum" take it out.
    reduce : {"auto", "pca"}, int or None, default "auto"
        What is compared. "auto": the detector binned to at most 32 pixels a side, of it the
        bins, and of these the principal components, that vary by more than noise. A number: so
        many principal components of all kept pixels; "pca": as many as stand apart (rule
        "elbow"). None: all kept pixels.
    %(scan_shape)s
    %(pattern_axes)s
    %(dataset)s
    random_state : int, default 0
    %(memory)s
    %(checkpoint)s

    Returns
    -------
    Clustering
        Clusters in the order of falling area.
        %(empty_patterns)s

    Raises
    ------
    ValueError
        Data of another dimension; NaN or infinity in every pattern, and negative values where a
        sum, root or logarithm is taken (first position named); a mask that keeps nothing; fewer
        different patterns than clusters; one cluster; too little memory (the least is named); a
        checkpoint of other data or settings.
    TypeError
        Complex numbers, objects or strings.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import adjusted_rand_index, polycrystal_scan
    >>> sample = polycrystal_scan(scan_shape=(16, 20), n_grains=3)
    >>> result = emcore.cluster_diffraction(sample.patterns)
    >>> result.signals.shape, adjusted_rand_index(sample.labels, result.labels) > 0.9
    ((3, 64, 64), True)
    """
    started = time.perf_counter()
    normalize = check_option(normalize, NORMALIZATIONS, "normalize")
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    if isinstance(reduce, str):
        check_option(reduce, REDUCTIONS, "reduce")
    scan = scan_of_patterns(patterns, scan_shape, signal_axis=signal_axis, dataset=dataset, memory=memory)
    along = axes_of_scan(scan)
    grid, shape = (along[0].size, along[1].size), (scan.axes[-2].size, scan.axes[-1].size)
    source = pattern_source(scan, memory, _PER_POSITION)
    count = len(source)
    asked = _checked_number(n_clusters, count)
    parameters = {
        "n_clusters": n_clusters,
        "mask_beam": mask_beam,
        "beam_radius": beam_radius,
        "normalize": normalize,
        "reduce": reduce,
        "random_state": seed,
    }
    join_job(source, checkpoint, "cluster_diffraction", memory, {"scan": grid, **parameters})

    seen = survey(source, shape, np.zeros(count, dtype=np.int32), 1)
    gaps, notes = seen.gaps, list(line_said(scan))
    gaps.check("patterns", scan.shape, max(asked, 2))
    if normalize in POSITIVE:
        check_positive(source, gaps, scan.shape)
    mean = seen.sums[0] / seen.counts[0]
    broken, of_broken = broken_pixels(mean)
    center, radius, said = masked_beam(mended(mean, broken), mask_beam, beam_radius)
    notes += [*of_broken, *said, *gaps.notes]
    keep = ~broken
    if center is not None and radius is not None:
        keep &= ~disc(shape, center, radius)
        if not keep.any():
            change = "choose a smaller one" if beam_radius else "mask_beam=False keeps the beam"
            raise ValueError(f"a mask of radius {radius:g} px leaves none of the {keep.size} pixels: {change}")
    # The beam, and what is compared.
    areas = np.where(keep, 1, np.where(broken, -1, 0)).astype(np.int32)
    factor = bin_factor(shape, SIDE)
    numbers, bins = bin_numbers(keep, factor)
    taken, pairs = np.zeros(0, dtype=np.intp), np.zeros((0, 2), dtype=np.intp)
    if reduce == "auto":
        most = min(SAMPLE, sample_size(source, bins))
        taken, pairs = sampled(grid, gaps.measured, np.random.default_rng(seed), most)
    sums, binned = group_sums(source, areas, 2, numbers, bins, taken)
    empty = np.zeros(count, dtype=bool)
    if normalize not in ("none", "log1p", "sqrt"):
        empty = _empty(source, keep, sums[:, 1]) & ~gaps.empty
    if empty.any():
        where = "" if radius is None else " outside the mask"
        said_empty = f"{int(empty.sum())} of {count} patterns have nothing but zeros{where}"
        if count - int(empty.sum()) - gaps.n_empty < max(asked, 2):
            raise ValueError(f"{said_empty}: too few are left for n_clusters={n_clusters}")
        notes.append(f"{said_empty}: their label is -1")
    there = np.flatnonzero(~(empty | gaps.empty))
    out_of_core = is_out_of_core(scan, memory)
    compared = _Compared(source, gaps, keep, normalize, there, out_of_core)
    if reduce == "auto":
        lasting = ~empty[taken]
        pairs = (np.cumsum(lasting) - 1)[pairs[lasting[pairs].all(axis=1)]]
        sample = binned if lasting.all() else binned[lasting]
        compared.check_distinct(asked, prepare(Recipe(sample, normalize=normalize)))
        places, directions = reduced_places(source, numbers, normalize, sample, pairs, there, seed)
        passes = 2 if len(sample) == len(there) else 3
        groups = _of_places(places, asked, seed, (said_reduced(factor, directions),))
    else:
        compared.check_distinct(asked)
        groups = _cluster(compared.prepared(), asked, reduce, seed)
        passes = 0
    counts = np.bincount(groups.labels, minlength=groups.k)
    order = np.argsort(-counts, kind="stable")
    labels, counts = np.full(count, -1, dtype=np.int32), counts[order]
    labels[there] = np.argsort(order)[groups.labels]
    total, _ = step(source, "mean patterns", lambda: sums_by_label(source, labels, groups.k))
    signals = (total / np.maximum(counts, 1)[:, None]).reshape(-1, *shape)
    if passes:
        notes += passes_said(scan, memory, passes + label_passes(source, groups.k))
    shown = np.where(gaps.empty, 0.0, sums[:, 0 if radius is not None else 1]).astype(np.float64).reshape(grid)
    title = "virtual bright field" if radius is not None else "sum of every pattern"
    return Clustering(
        labels=labels.reshape(grid),
        signals=signals,
        area=counts / max(int(counts.sum()), 1),
        inertia=groups.inertia,
        n_clusters=groups.k,
        rule=groups.rule,
        reason=groups.reason,
        image=Signal(shown, along, title=title),
        mean=Signal(mean, tuple(replace(axis, navigation=False) for axis in scan.axes[-2:]), title="PACBED"),
        beam_center=center,
        beam_radius=radius,
        n_empty=gaps.n_empty,
        provenance=Provenance.record(
            "cluster_diffraction",
            {**parameters, "scan_shape": None if scan_shape is None else grid},
            scan,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=(*notes, *groups.notes),
            sha256=hash_of_scan(scan, shown, memory),
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


def _empty(source: Source, keep: NDArray[np.bool_], sums: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Patterns with nothing but zeros where they are kept."""
    empty: NDArray[np.bool_] = sums == 0
    if source.dtype.kind != "u":  # positive and negative values may cancel
        candidates = np.flatnonzero(empty)
        for start in range(0, len(candidates), _TOGETHER):
            some = candidates[start : start + _TOGETHER]
            empty[some] = ~source.take(some.tolist())[:, keep.ravel()].any(axis=1)
    return empty


@dataclass(frozen=True, eq=False)
class _Compared:
    """The patterns that are compared, by the pixels that are kept."""

    source: Source
    gaps: Gaps
    keep: NDArray[np.bool_]
    normalize: str
    there: NDArray[np.intp]
    out_of_core: bool

    def prepared(self) -> Any:
        """One row for each, in memory or out of core."""
        recipe: dict[str, Any] = {"keep": self.keep.ravel(), "normalize": self.normalize}
        if not self.out_of_core:
            return prepare(self.gaps.recipe(self.source.in_memory(), self.there, **recipe))
        rows: Any = copy.copy(self.source)
        rows.mend = "finite" if self.gaps.invalid else ""
        rows.observed = {"range": (self.gaps.low, self.gaps.high)}
        return prepare(Recipe(rows, rows=recipe_rows(rows, self.there), **recipe))

    def check_distinct(self, asked: int, sample: PreparedRows | None = None) -> None:
        """Refuse to find groups of fewer different patterns; of a sample that has enough, the others do not count."""
        enough = max(asked, 2)
        if sample is not None and count_distinct(sample, np.arange(sample.shape[0]), enough) == enough:
            return
        prepared = self.prepared()
        distinct = count_distinct(prepared, np.arange(prepared.shape[0]), enough)
        if distinct < 2:
            raise ValueError("all patterns are the same where they are compared: there is nothing to group")
        if distinct < asked:
            raise ValueError(f"n_clusters={asked} is more than there are different patterns, {distinct}")


@dataclass(frozen=True)
class _Found:
    labels: NDArray[np.int32]
    inertia: float
    k: int
    rule: str
    reason: str
    notes: tuple[str, ...]


def _of_places(places: NDArray[Any], asked: int, seed: int, notes: tuple[str, ...]) -> _Found:
    """Groups of rows of few features: those that regions of low density part, or of k-means."""
    found = groups_of_places(places, asked, seed)
    return _Found(found.labels, found.inertia, found.k, found.rule, found.reason, notes)


def _cluster(prepared: Any, asked: int, reduce: int | str | None, seed: int) -> _Found:
    """Clusters of all kept pixels, or of principal components of them."""
    if reduce is not None:
        places, notes = _scores(prepared, reduce, seed)
        return _of_places(places, asked, seed, notes)
    directions = max(_START_DIRECTIONS, 2 * asked)
    (rough,) = step(prepared, "rough scores", lambda: (rough_scores(prepared, directions, seed),))
    k, rule, reason = (asked, "given", f"n_clusters={asked} was asked for") if asked else number_of_places(rough, seed)
    start = kmeans(rough, k, n_init=_STARTS, random_state=seed)
    totals, sizes = step(prepared, "starting centres", lambda: sums_by_label(prepared, start.labels, k))
    centers = totals / np.maximum(sizes, 1)[:, None]
    found = kmeans(prepared, k, init=centers)
    return _Found(found.labels, found.inertia, k, rule, reason, ())


def _scores(prepared: Any, reduce: int | str, seed: int) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Principal components of all rows, and how many they are."""
    n, d = prepared.shape
    most = min(n - 1, d)
    if not isinstance(reduce, str):
        size = check_count(reduce, "reduce", 1, most, f"{n} patterns of {d} kept pixels")
        return scores(prepared, pca(prepared, size, random_state=seed)), ()
    result = pca(prepared, min(_LOOKED_AT, most), random_state=seed)
    ratios = result.explained_variance_ratio
    choice = n_components(ratios, "elbow") if len(ratios) > 2 else RankChoice(len(ratios), "all", "there are no more")
    note = f"{count_of(choice.n, 'principal component')} clustered: {choice.reason}"
    return np.ascontiguousarray(scores(prepared, result)[:, : choice.n]), (note,)
