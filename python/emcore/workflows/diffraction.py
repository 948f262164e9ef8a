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

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore._emcore import PreparedRows
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.core.validation import as_pixels, check_count, check_finite, check_option
from emcore.core.wording import count_of
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.pca.fit import pca, scores
from emcore.methods.pca.projection import rough_scores
from emcore.methods.preprocessing import NORMALIZATIONS, POSITIVE, count_distinct, prepare
from emcore.methods.selection.components import n_components
from emcore.methods.selection.places import groups_of_places, number_of_places
from emcore.methods.selection.rules import RankChoice
from emcore.methods.superpixels.slic import label_means
from emcore.results.clustering import Clustering
from emcore.scans.axes import SignalAxis
from emcore.scans.broken import broken_pixels, mended
from emcore.scans.detectors import disc, masked_beam, sum_by_label, virtual_images
from emcore.scans.patterns import PatternRows, measured_patterns, select_patterns
from emcore.scans.reduction import reduce_patterns

REDUCTIONS = ("auto", "pca")

# Directions in which clustering starts, at least; runs from different starts in them.
_START_DIRECTIONS = 16
_STARTS = 20
# Of reduce="pca", the rule of `emcore.n_components` looks at so many.
_LOOKED_AT = 21


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
) -> Clustering:
    """Group the positions of a scan by their diffraction patterns.

    Parameters
    ----------
    patterns : array_like, Signal, HyperSpy signal or path
        Shape (y, x, ky, kx), any pixel type, memory-mapped too; never copied as floats. Patterns in one series become
        one line, unless `scan_shape` says otherwise.
    n_clusters : int or "auto", default "auto"
        How many groups, at least 2. "auto": as many as regions of low density part, if halves of the scan agree on
        them, and then these groups, of whatever shape; else by the votes of `emcore.choose_n_clusters`, up to 200.
    %(mask_beam)s
    normalize : {"sqrt", "none", "sum", "max", "l2", "log1p", "root-sum"}, default "sqrt"
        What is done to the kept pixels of each pattern, see `emcore.preprocessing.Recipe`. One of zeros there cannot be
        divided by its sum: its label is -1. Where the intensity of whole patterns varies and says nothing, "sum",
        "l2" or "root-sum" take it out.
    reduce : {"auto", "pca"}, int or None, default "auto"
        What is compared. "auto": the detector binned to at most 32 pixels a side, of it the bins, and of these the
        principal components, that vary by more than noise. A number: so many principal components of all kept
        pixels; "pca": as many as stand apart (rule "elbow"). None: all kept pixels.
    %(scan_shape)s
    %(pattern_axes)s
    %(dataset)s
    random_state : int, default 0

    Returns
    -------
    Clustering
        Clusters in the order of falling area.
        %(empty_patterns)s

    Raises
    ------
    ValueError
        Data of another dimension; NaN or infinity in every pattern, and negative values where a sum, root or logarithm
        is taken (first position named); a mask that keeps nothing; fewer different patterns than clusters; one cluster.
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
    scan, notes = select_patterns(patterns, scan_shape, signal_axis=signal_axis, dataset=dataset)
    normalize = check_option(normalize, NORMALIZATIONS, "normalize")
    count = math.prod(scan.shape[:2])
    asked = _checked_number(n_clusters, count)
    matrix, gaps = measured_patterns(scan, max(asked, 2))
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    if normalize in POSITIVE and matrix.rows.dtype.kind in "if":
        checked = gaps.of_measured(matrix.rows) if gaps.n_empty else as_pixels(scan.data, "patterns", 4)
        check_finite(checked, "the measured patterns" if gaps.n_empty else "patterns", nonnegative=True)

    mean = sum_by_label(matrix, np.where(gaps.empty, -1, 0), 1)[0] / (count - gaps.n_empty)
    broken, of_broken = broken_pixels(mean)
    center, radius, said = masked_beam(mended(mean, broken), mask_beam, beam_radius)
    notes += (*of_broken, *said)
    keep = ~broken
    if center is not None and radius is not None:
        keep &= ~disc(matrix.shape, center, radius)
        if not keep.any():
            change = "choose a smaller one" if beam_radius else "mask_beam=False keeps the beam"
            raise ValueError(f"a mask of radius {radius:g} px leaves none of the {keep.size} pixels: {change}")
    shown, compared = virtual_images(matrix, [keep if radius is None else ~(keep | broken), keep])
    shown[gaps.empty.reshape(matrix.scan)] = 0
    notes += gaps.notes
    empty = np.zeros(count, dtype=bool)
    if normalize not in ("none", "log1p", "sqrt"):
        empty = _empty(matrix, keep, compared) & ~gaps.empty
    if empty.any():
        where = "" if radius is None else " outside the mask"
        said_empty = f"{int(empty.sum())} of {count} patterns have nothing but zeros{where}"
        if count - int(empty.sum()) - gaps.n_empty < max(asked, 2):
            raise ValueError(f"{said_empty}: too few are left for n_clusters={n_clusters}")
        notes += (f"{said_empty}: their label is -1",)
    there = np.flatnonzero(~(empty | gaps.empty))
    prepared = prepare(gaps.recipe(matrix.rows, there, keep=matrix.features(keep), normalize=normalize))
    _check_distinct(prepared, asked)
    if isinstance(reduce, str) and check_option(reduce, REDUCTIONS, "reduce") == "auto":
        reduced = reduce_patterns(matrix, there, keep, normalize, seed=seed)
        groups = _of_places(reduced.places, asked, seed, (reduced.note,))
    else:
        groups = _cluster(prepared, asked, reduce, seed)
    counts = np.bincount(groups.labels, minlength=groups.k)
    order = np.argsort(-counts, kind="stable")
    labels, counts = np.full(count, -1, dtype=np.int32), counts[order]
    labels[there] = np.argsort(order)[groups.labels]
    signals = sum_by_label(matrix, labels, groups.k) / np.maximum(counts, 1)[:, None, None]

    y, x, ky, kx = (replace(axis, navigation=False) for axis in scan.axes)
    parameters = {
        "n_clusters": n_clusters,
        "mask_beam": mask_beam,
        "beam_radius": beam_radius,
        "normalize": normalize,
        "reduce": reduce,
        "scan_shape": None if scan_shape is None else matrix.scan,
        "random_state": random_state,
    }
    return Clustering(
        labels=labels.reshape(matrix.scan),
        signals=signals,
        area=counts / max(int(counts.sum()), 1),
        inertia=groups.inertia,
        n_clusters=groups.k,
        rule=groups.rule,
        reason=groups.reason,
        image=Signal(shown, (y, x), title="virtual bright field" if radius is not None else "sum of every pattern"),
        mean=Signal(mean, (ky, kx), title="PACBED"),
        beam_center=center,
        beam_radius=radius,
        n_empty=gaps.n_empty,
        provenance=Provenance.record(
            "cluster_diffraction",
            parameters,
            scan,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=notes + groups.notes,
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


def _empty(matrix: PatternRows, keep: NDArray[np.bool_], sums: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Patterns with nothing but zeros where they are kept."""
    empty: NDArray[np.bool_] = sums.ravel() == 0
    if matrix.rows.dtype.kind != "u":  # positive and negative values may cancel
        columns = matrix.features(keep)
        for index in np.flatnonzero(empty):
            empty[index] = not matrix.rows[index][columns].any()
    return empty


@dataclass(frozen=True)
class _Found:
    labels: NDArray[np.int32]
    inertia: float
    k: int
    rule: str
    reason: str
    notes: tuple[str, ...]


def _check_distinct(prepared: PreparedRows, asked: int) -> None:
    distinct = count_distinct(prepared, np.arange(prepared.shape[0]), max(asked, 2))
    if distinct < 2:
        raise ValueError("all patterns are the same where they are compared: there is nothing to group")
    if distinct < asked:
        raise ValueError(f"n_clusters={asked} is more than there are different patterns, {distinct}")


def _of_places(places: NDArray[Any], asked: int, seed: int, notes: tuple[str, ...]) -> _Found:
    """Groups of rows of few features: those that regions of low density part, or of k-means."""
    found = groups_of_places(places, asked, seed)
    return _Found(found.labels, found.inertia, found.k, found.rule, found.reason, notes)


def _cluster(prepared: PreparedRows, asked: int, reduce: int | str | None, seed: int) -> _Found:
    """Clusters of all kept pixels, or of principal components of them."""
    if reduce is not None:
        places, notes = _scores(prepared, reduce, seed)
        return _of_places(places, asked, seed, notes)
    rough = rough_scores(prepared, max(_START_DIRECTIONS, 2 * asked), seed)
    k, rule, reason = (asked, "given", f"n_clusters={asked} was asked for") if asked else number_of_places(rough, seed)
    start = kmeans(rough, k, n_init=_STARTS, random_state=seed)
    centers, _ = label_means(prepared, start.labels, k)
    found = kmeans(prepared, k, init=centers)
    return _Found(found.labels, found.inertia, k, rule, reason, ())


def _scores(prepared: PreparedRows, reduce: int | str, seed: int) -> tuple[NDArray[np.float64], tuple[str, ...]]:
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
