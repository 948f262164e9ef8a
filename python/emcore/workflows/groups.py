"""Which groups do signals at positions fall into, when their number is not known and some belong to none?

Spectra, or profiles of a series of images over tilt, rotation or energy, are normalised, reduced to what stands out of
noise, and grouped by density, by a mixture or by more clusters than there are groups. What lies between the groups is
noise: in deformed metal what is not recrystallised, whose share is the result (Sahoo et al., EMC 2024 no. 569;
Costa-Ledesma et al., no. 934).
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
from emcore.core.memory import check_memory, in_words
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal
from emcore.core.units import ENERGY, kind_of
from emcore.core.validation import Floats, as_numbers, as_pixels, check_count, check_option
from emcore.methods.grouping.density import AUTO_SAMPLE, DensityClusters, density_clusters
from emcore.methods.grouping.mixture import mixture_clusters
from emcore.methods.grouping.overclustering import merged_clusters
from emcore.methods.grouping.peaks import strongest_peak
from emcore.methods.groups import group_statistics
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.superpixels.pieces import connected_pieces
from emcore.outofcore.moments import products_with, sums_by_label
from emcore.outofcore.sources import Source
from emcore.results.clustering import Clustering
from emcore.results.segmentation import equivalent_diameter
from emcore.scans.gaps import Gaps, find_gaps
from emcore.scans.profiles import reduce_profiles
from emcore.scans.spectra import as_spectrum_image
from emcore.scans.spectrum_rows import is_out_of_core, loaded, rows_out_of_core

METHODS = ("hdbscan", "mixture", "kmeans")
PERCENTILES = (0.05, 0.95)
_STARTS = 10
# Labels of neighbouring settings that agree less are said not to be relied on.
_RELIABLE = 0.8
# Positions of the smallest grain.
_GRAIN = 5
# Values of which spreads are computed, which takes a sort of each channel.
_SPREAD = 30_000_000


@with_progress_bar
@documented()
def group_signals(
    signals: Any,
    method: str = "hdbscan",
    n_clusters: int | str = "auto",
    *,
    normalize: str = "l2",
    reduce: int | str | None = "auto",
    min_cluster_size: int | str = "auto",
    min_samples: int | str = "auto",
    sample: int = AUTO_SAMPLE,
    signal_axis: int | str | None = None,
    scan_shape: tuple[int, int] | None = None,
    dataset: str | int | None = None,
    memory: int | str | None = None,
    random_state: int = 0,
) -> Clustering:
    """Group the positions of a scan by their spectra or profiles, without a number of groups.

    Parameters
    ----------
    signals : array_like, Signal, HyperSpy signal or path
        Of shape (y, x, channels), or (n, channels) for positions without a grid; a memory map,
        an HDF5 or Zarr array, a lazy signal or a Dask array is visited in blocks. A series of
        images is made into one by `emcore.image_series`.
    method : {"hdbscan", "mixture", "kmeans"}, default "hdbscan"
        Groups that regions of low density part [1]_, and noise between them; a Gaussian
        mixture; k-means with many clusters, of which those that one normal distribution
        describes as well are merged. The latter two know no noise.
    n_clusters : int or "auto", default "auto"
        Of a mixture by the Bayesian information criterion, up to 20; of k-means by merging. A
        number is what a mixture or k-means is fitted with. HDBSCAN finds it.
    normalize : {"l2", "l1", "max", "none"}, default "l2"
        What each signal is divided by: its norm, its sum, its largest modulus. Where the
        intensity of whole signals tells groups apart, as it may of a series of few images,
        "none".
    reduce : {"auto", "nmf", "umap"}, int or None, default "auto"
        What is compared. "auto": the principal components that vary by at least 1.3 times what
        neighbouring positions do, each in units of that noise. "nmf": as many non-negative
        components. "umap": a map of them in three dimensions, with the extra of that name. A
        number: so many principal components. None: all channels.
    min_cluster_size, min_samples : int or "auto", default "auto"
        Of HDBSCAN: positions of the smallest group, and neighbours that make a density. "auto":
        those of 5 x 3 tried on 2000 positions with which the labels change least; `tried` has
        them all.
    sample : int, default 20,000
        HDBSCAN looks at every pair of positions. Of more than this it is fitted on so many,
        drawn evenly along the scan; every other position joins the group of its nearest
        neighbour among them if it lies as densely as that group does at least. The notes say
        so. A smaller sample takes its square less time.
    %(signal_axis)s
    %(scan_shape)s
    %(dataset)s
    %(memory)s
    random_state : int, default 0
        Of the samples and starts.

    Returns
    -------
    Clustering
        Groups in the order of falling area, their mean signals as they were measured, `noise`
        and `measured`; `tried` of HDBSCAN; of a scan with two axes `grains`, connected
        positions of one group, with their sizes; of spectra over an energy `peaks` and
        `peak_map`. Positions of zeros, of one value throughout, and with NaN or infinity are no
        measurement: they take no part, and their label is -1.

    Raises
    ------
    ValueError
        Data that hold no signals, signals that are all the same, negative values where a sum or
        non-negative components are asked for, a number with HDBSCAN, settings of HDBSCAN with
        another method.
    TypeError
        Data that are not real numbers.
    ImportError
        ``reduce="umap"`` without the extra `umap`.

    References
    ----------
    .. [1] Campello, Moulavi & Sander, PAKDD 2013, 160-172.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import deformed_series
    >>> sample = deformed_series(shape=(48, 64), n_grains=10)
    >>> result = emcore.group_signals(emcore.image_series(sample.stack))
    >>> abs(result.noise - (sample.labels < 0).mean()) < 0.03  # not recrystallised
    np.True_
    """
    started = time.perf_counter()
    method = check_option(method, METHODS, "method")
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    _check_settings(method, n_clusters, min_cluster_size, min_samples)
    check_count(sample, "sample", 100)
    signal = as_spectrum_image(
        signals, "signals", memory, signal_axis=signal_axis, scan_shape=scan_shape, dataset=dataset
    )
    rows, notes = _rows(signal, memory)
    grid = signal.shape[:-1]
    if rows.shape[1] < 2:
        raise ValueError(f"signals have shape {signal.shape}: several channels are needed, along the last axis")
    gaps = find_gaps(rows)
    gaps.check("signals", signal.shape, 4)
    reduced = reduce_profiles(rows, gaps, grid, normalize, reduce, seed)
    if reduced.standing:
        groups = _grouped(reduced.places, method, n_clusters, min_cluster_size, min_samples, sample, seed)
    else:
        groups = _one_group(reduced.places)
    k, found = _in_order(groups)
    labels = gaps.spread(found, -1)
    sums, counts = sums_by_label(rows, labels, k)
    means = sums / np.maximum(counts, 1)[:, None]
    measured = len(gaps.measured)
    mean = sums_by_label(rows, np.where(gaps.empty, -1, 0).astype(np.int32), 1)[0][0] / measured
    *axes, along = (replace(axis, navigation=False) for axis in signal.axes)
    scan = tuple(axes)
    picture, peaks = _pictures(rows, gaps, scan, along, means, mean)
    spreads: dict[str, Any] = {}
    if not isinstance(rows, Source) and rows.size <= _SPREAD:
        there = np.flatnonzero(labels >= 0)
        _, spread, (low, high) = group_statistics(rows[there], labels[there], k, PERCENTILES)
        spreads = {"spread": spread, "low": low, "high": high}
    image = Signal(picture, scan, signal.source, "mean over the channels")
    shifts = signal.metadata.get("shifts")
    parameters: dict[str, Any] = {"method": method, "n_clusters": n_clusters, "normalize": normalize, "reduce": reduce}
    parameters |= {"min_cluster_size": min_cluster_size, "min_samples": min_samples, "sample": sample}
    parameters |= {"scan_shape": None if scan_shape is None else grid, "random_state": seed}
    notes = (*gaps.notes, reduced.note, *groups.notes, *notes)
    return Clustering(
        labels=labels.reshape(grid),
        signals=means,
        area=counts / measured,
        inertia=groups.inertia,
        n_clusters=k,
        rule=groups.rule,
        reason=groups.reason,
        image=image,
        mean=Signal(mean, (along,), signal.source, signal.title),
        x=along.values,
        n_empty=gaps.n_empty,
        noise=1 - int(counts.sum()) / measured,
        measured=~gaps.empty.reshape(grid),
        **spreads,
        **groups.settings,
        **_grains(labels.reshape(grid), image),
        **peaks,
        shifts=None if shifts is None else as_numbers(shifts, "shifts"),
        provenance=Provenance.record(
            "group_signals",
            parameters,
            signal,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=notes,
        ),
    )


def _check_settings(method: str, n_clusters: int | str, size: int | str, samples: int | str) -> None:
    for value, name, least in (
        (n_clusters, "n_clusters", 2),
        (size, "min_cluster_size", 2),
        (samples, "min_samples", 1),
    ):
        if isinstance(value, str):
            check_option(value, ("auto",), name)
        else:
            check_count(value, name, least)
    if method == "hdbscan" and not isinstance(n_clusters, str):
        raise ValueError(
            f"n_clusters={n_clusters} goes with method='mixture' or 'kmeans': HDBSCAN finds the number; "
            "min_cluster_size says how small a group may be"
        )
    if method != "hdbscan" and not (isinstance(size, str) and isinstance(samples, str)):
        raise ValueError(f"min_cluster_size and min_samples are settings of method='hdbscan', not of {method!r}")


def _rows(signal: Signal, memory: Any) -> tuple[Any, tuple[str, ...]]:
    """One row for each position, in memory or out of core, and what is to be said of the latter."""
    if is_out_of_core(signal, memory):
        note = f"data out of core, visited in blocks with a budget of {in_words(check_memory(memory))}"
        return rows_out_of_core(signal, slice(None), "signals", memory), (note,)
    data = as_pixels(loaded(signal).data, "signals", len(signal.shape))
    return data.reshape(-1, data.shape[-1]), ()


@dataclass(frozen=True, eq=False)
class _Groups:
    labels: NDArray[np.int32]
    k: int
    inertia: float
    rule: str
    reason: str
    notes: tuple[str, ...] = ()
    settings: Any = None


def _grouped(
    places: NDArray[np.float32], method: str, n_clusters: Any, size: Any, samples: Any, sample: int, seed: int
) -> _Groups:
    m = len(places)
    asked = None if isinstance(n_clusters, str) else check_count(n_clusters, "n_clusters", 2, m, f"{m} positions")
    if method == "hdbscan":
        return _by_density(places, density_clusters(places, size, samples, sample, seed))
    if method == "mixture":
        found = mixture_clusters(places, asked, seed=seed)
        k, labels, reason = found.n_groups, found.labels, found.reason
        rule = "given" if asked else "bic"
    elif asked:
        labels, k = kmeans(places, asked, n_init=_STARTS, random_state=seed).labels, asked
        rule, reason = "given", f"n_clusters={asked} was asked for"
    else:
        merged = merged_clusters(places, seed)
        labels, k, rule = merged.labels, merged.n_groups, "merging"
        reason = f"of {merged.before} clusters those were merged that one normal distribution describes as well"
    return _Groups(labels, k, _inertia(places, labels, k), rule, reason, (), {})


def _one_group(places: NDArray[np.float32]) -> _Groups:
    labels = np.zeros(len(places), dtype=np.int32)
    note = "nothing stands out of noise: all positions are one group"
    return _Groups(labels, 1, _inertia(places, labels, 1), "noise", note, (note,), {})


def _by_density(places: NDArray[np.float32], found: DensityClusters) -> _Groups:
    settings: dict[str, Any] = {"min_cluster_size": found.min_cluster_size, "min_samples": found.min_samples}
    settings["tried"] = found.tried if len(found.tried) else None
    notes: tuple[str, ...] = ()
    if found.fitted < len(places):
        notes = (
            f"HDBSCAN was fitted on {found.fitted} of {len(places)} positions; the others joined the groups of the "
            "nearest of these where they lie as densely",
        )
    if found.agreement is not None and found.agreement < _RELIABLE:
        notes += (
            f"labels change with the settings (adjusted Rand index {found.agreement:.2f}): groups and noise are not "
            "to be relied on",
        )
    labels, k = found.labels, found.n_groups
    if k < 2:
        labels, k = np.zeros_like(labels), 1
        notes += ("no regions of low density part the positions: all are one group, and none is noise",)
    return _Groups(labels, k, _inertia(places, labels, k), "density", found.reason, notes, settings)


def _inertia(places: NDArray[np.float32], labels: NDArray[np.int32], k: int) -> float:
    inside = labels >= 0
    return float(_emcore.kmeans_spread(places[inside], labels[inside], k, metric="euclidean")[1].sum())


def _in_order(groups: _Groups) -> tuple[int, NDArray[np.int32]]:
    """The number of groups, and labels in the order of falling area."""
    inside = groups.labels >= 0
    counts = np.bincount(groups.labels[inside], minlength=groups.k)
    rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable").astype(np.int32)
    return groups.k, np.where(inside, rank[groups.labels], -1).astype(np.int32)


def _pictures(
    rows: Any, gaps: Gaps, scan: tuple[Axis, ...], along: Axis, means: Floats, mean: Floats
) -> tuple[Floats, dict[str, Any]]:
    """The mean over the channels of every position; of spectra over an energy where their peaks are, and the map."""
    columns = [np.full(len(mean), 1 / len(mean))]
    energies = kind_of(along.units) == ENERGY
    strongest = strongest_peak(mean, along.values) if energies else None
    if strongest is not None:
        column = np.zeros(len(mean))
        column[strongest[1]] = 1
        columns.append(column)
    values = products_with(rows, np.stack(columns, axis=1))
    values[gaps.empty] = 0
    pictures = [np.ascontiguousarray(each).reshape([axis.size for axis in scan]) for each in values.T]
    if not energies:
        return pictures[0], {}
    found = [strongest_peak(each, along.values) for each in means]
    peaks: dict[str, Any] = {"peaks": np.array([math.nan if each is None else each[0] for each in found])}
    if strongest is not None:
        place, band = strongest
        first, last = along.values[band][[0, -1]]
        title = f"{first:.4g} to {last:.4g} {along.units}, the peak at {place:.4g} {along.units}"
        peaks["peak_map"] = Signal(pictures[1], scan, title=title)
    return pictures[0], peaks


def _grains(labels: NDArray[np.int32], image: Signal) -> dict[str, Any]:
    """Connected positions of one group, and how large they are; nothing where the scan has not two axes."""
    if labels.ndim != 2 or min(labels.shape) < 2:
        return {}
    pieces = connected_pieces(labels)
    there = pieces >= 0
    sizes = np.bincount(pieces[there])
    order = [i for i in np.argsort(-sizes, kind="stable") if sizes[i] >= _GRAIN]
    rank = np.full(len(sizes) + 1, -1, dtype=np.int32)
    rank[order] = np.arange(len(order))
    grains = rank[pieces]
    grains[~there] = -1
    cut = np.zeros(len(order), dtype=bool)
    for edge in (grains[0], grains[-1], grains[:, 0], grains[:, -1]):
        cut[edge[edge >= 0]] = True
    _, first = np.unique(grains[grains >= 0], return_index=True)
    size = sizes[order].astype(np.int64)
    return {
        "grains": grains,
        "grain_cluster": labels[grains >= 0][first].astype(np.int32),
        "grain_size": size,
        "grain_diameter": equivalent_diameter(size, image),
        "grain_cut": cut,
    }
