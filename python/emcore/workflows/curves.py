"""Which kinds of curve does a scan hold, and where: current over voltage, force over distance, one at every position?

k-means on the curves as they were measured, or normalised; for each group the mean curve, its spread, and, where it is
straight, the slope by least squares: of current against voltage, the conductance.
"""

import copy
import os
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore._emcore import PreparedRows
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.memory import DEFAULT
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.quantities import measured, slope
from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, as_pixels, check_count, check_finite, check_option, check_range
from emcore.core.wording import count_of
from emcore.methods.groups import group_slopes
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.preprocessing import Recipe, count_distinct, prepare, recipe_rows
from emcore.methods.selection.clusters import choose_n_clusters
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.engine import begin
from emcore.outofcore.sample import sample_bytes, sample_of, sample_size, take_sample
from emcore.outofcore.sources import Source
from emcore.results.clustering import Clustering
from emcore.scans.curve_passes import Ends, ends_of, group_statistics, percentile_limits, survey, survey_bytes
from emcore.scans.gaps import Gaps
from emcore.scans.patterns import join_job
from emcore.scans.spectra import as_spectrum_image
from emcore.scans.spectrum_rows import (
    bytes_of,
    hash_of_scan,
    is_out_of_core,
    loaded,
    passes_said,
    predicted,
    rows_out_of_core,
)

NORMALIZATIONS = ("max", "l2")
CROPS = ("common",)
# A mean curve of which a line explains so much is called straight.
STRAIGHT = 0.99
PERCENTILES = (0.05, 0.95)
_STARTS = 10
# What is kept of every position beside a pass, in bytes.
_PER_POSITION = 40
# Curves of a sample, for each group that is asked for, at least.
_PER_GROUP = 20
# As many groups are tried at most.
_MOST = 10
# Where more than this part of all curves end early, these are not left out as if they were faults.
_SHORT = 0.5


@with_progress_bar
@documented()
def cluster_curves(
    curves: Any,
    n_clusters: int | str = "auto",
    *,
    x: ArrayLike | None = None,
    normalize: str | None = None,
    crop: str | None = None,
    signal_axis: int | str | None = None,
    scan_shape: tuple[int, int] | None = None,
    dataset: str | int | None = None,
    random_state: int = 0,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Clustering:
    """Group the positions of a scan by their curves.

    Parameters
    ----------
    curves : array_like, Signal, HyperSpy signal or path
        Of shape (y, x, points), or (n, points) for positions without a grid. Of a file with
        several arrays, as .npz and .h5 are, the largest; a vector in it as long as a curve is
        `x`. A memory map, an HDF5 or Zarr array, a lazy signal or a Dask array is visited in
        blocks: about as often as k-means has iterations.
    n_clusters : int or "auto", default "auto"
        How many groups, at least 2; "auto" leaves it to the votes of
        `emcore.choose_n_clusters`, from 2 to 10. Of more than 32 MiB of curves, and of more
        than 2,000, a sample decides that, and where clustering starts.
    x : array_like, shape (points,), optional
        Where the curves were measured, for example the bias in volts; by default what the data
        say, else 0, 1, 2, ...
    normalize : {"max", "l2"}, optional
        What each curve is divided by before clustering, its largest modulus or its Euclidean
        norm, so that shapes alone count. By default curves are clustered as they are. The mean
        curves are always of the measured ones.
    %(signal_axis)s
    %(scan_shape)s
    %(dataset)s
    crop : {"common"}, optional
        Take the points that all curves have, where curves end early, as NaN at their ends
        tells.
    random_state : int, default 0
        Seed of the sample and the starts.
    %(memory)s
    %(checkpoint)s

    Returns
    -------
    Clustering
        The same to the last bit on any number of threads. Groups in the order of falling area.
        Curves of zeros, and those with NaN or infinity, are no measurement: they take no part,
        and their label is -1. A constant curve that is not zero is one.

    Raises
    ------
    ValueError
        Data that hold no curves, NaN or infinity in all (first position named) or at the ends
        of most (the points that are common to all are named), curves that are all the same, one
        group or more than there are distinct curves, an `x` of another length or constant; too
        little memory (the least is named); a checkpoint of other data or settings.
    TypeError
        Data that are not real numbers.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import iv_curves
    >>> sample = iv_curves()
    >>> result = emcore.cluster_curves(sample.curves, 3, x=sample.bias)
    >>> emcore.datasets.adjusted_rand_index(sample.labels, result.labels) > 0.99
    True
    >>> # of the ohmic, the insulating, the diodes:
    >>> result.conductance.round(2), result.r_squared.round(2)
    (array([1.02,  nan,  nan]), array([1.  , 0.97, 0.68]))
    """
    started = time.perf_counter()
    signal = _read(curves, signal_axis, scan_shape, dataset, memory)
    option = None if normalize is None else check_option(normalize, NORMALIZATIONS, "normalize")
    crop = None if crop is None else check_option(crop, CROPS, "crop")
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    *grid, points = signal.shape
    if points < 2:
        raise ValueError(f"curves have shape {signal.shape}: a curve needs at least 2 points, along the last axis")
    axis, places = _curve_axis(signal.axes[-1], x)
    out_of_core = is_out_of_core(signal, memory)
    budget = memory if out_of_core or memory is not None else max(DEFAULT, bytes_of(signal))
    source = _rows(signal, slice(None), budget)
    parameters: dict[str, Any] = {"n_clusters": n_clusters, "normalize": normalize, "crop": crop, "random_state": seed}
    size = sample_size(points, source.dtype.itemsize, _PER_GROUP * n_clusters if isinstance(n_clusters, int) else 0)
    if out_of_core and memory is not None:
        print(predicted(source, 0, survey_bytes(source, min(size, len(source)))), file=sys.stderr)
    join_job(source, checkpoint, "cluster_curves", memory, {"scan": grid, **parameters, "x": places})
    cropped: tuple[str, ...] = ()
    made = 0
    if crop is not None and source.dtype.kind == "f":
        made, (span, cropped) = 1, _span(ends_of(source), points)
        if cropped:
            source = _rows(signal, span, budget, source.job)
            axis, places = axis.crop(span.start, span.stop), places[span]
    n, d = source.shape
    taken = sample_of(np.arange(n), size, seed)
    seen = survey(source, taken if out_of_core else taken[:0])
    made, gaps = made + 1, seen.gaps
    if crop is None:
        _check_ends(seen.ends, n, points)
    gaps.check("curves", (*grid, d))
    if source.dtype.kind == "f":
        # Normalising takes squares in the precision of the data.
        check_range(gaps.low, gaps.high, "curves", 1e15 if option and source.dtype == np.float32 else 1e100)
    there, mean, variance = gaps.measured, seen.mean, seen.variance
    if not (variance > (1e-12 * mean) ** 2).any():
        raise ValueError(f"curves are all the same, {len(there)} of them: there is nothing to tell apart")
    # Amperes are so small that their squares leave single precision, and an offset would cost digits.
    unit = float(np.sqrt(np.mean(variance)))
    recipe: dict[str, Any] = {"normalize": option} if option else {"offset": mean, "scale": np.full(d, 1 / unit)}
    lasting = ~gaps.empty[taken]
    taken, sample = taken[lasting], seen.sample[lasting] if out_of_core else seen.sample
    if 2 * len(taken) < min(len(there), size):  # of a scan that was stopped early
        taken = sample_of(there, size, seed)
        if out_of_core:
            passes = begin(source, "sample", None, None, {}, 8, sample_bytes(source, len(taken)), quiet=True)
            sample, made = take_sample(passes, taken, check=False), made + 1
    source.beside += sample.nbytes
    matrix = None if out_of_core else source.in_memory()
    some = prepare(Recipe(sample, **recipe) if matrix is None else gaps.recipe(matrix, taken, **recipe))
    k, rule, reason = _number(some, n_clusters, len(there), seed)
    groups = kmeans(some, k, n_init=_STARTS, random_state=seed)
    if len(taken) < len(there):
        rows = _prepared(source, gaps, recipe) if matrix is None else prepare(gaps.recipe(matrix, there, **recipe))
        groups = kmeans(rows, k, init=groups.centers)
        made += groups.n_iter if out_of_core else 0
    counts = np.bincount(groups.labels, minlength=k)
    if not counts.all():
        distinct = count_distinct(some, np.arange(len(taken)), k)
        raise ValueError(f"n_clusters={k} is too many: there are {distinct} distinct curves")
    order = np.argsort(-counts, kind="stable")
    labels = np.argsort(order)[groups.labels].astype(np.int32)
    everywhere = gaps.spread(labels, -1)
    limits = percentile_limits(sample if matrix is None else matrix[taken], everywhere[taken], k, PERCENTILES)
    source.beside -= sample.nbytes
    del sample, some
    found = group_statistics(source, everywhere, k, PERCENTILES, places, limits)
    means, (low, high) = found.means, found.percentiles
    slopes, slope_spread, straight = group_slopes(found.slopes[there], labels, means, places)
    linear = straight >= STRAIGHT
    scan = tuple(replace(each, navigation=False) for each in signal.axes[:-1])
    moduli = seen.moduli.reshape(grid)
    mean_curve = Signal(mean, (axis,), signal.source, signal.title, _about_values(signal))
    what = slope(measured(mean_curve), axis)
    curved = () if linear.all() or what is None else (_said_curved(linear, straight, what.name),)
    notes = (*cropped, *gaps.notes, *curved, *passes_said(signal, memory, made + found.passes))
    elapsed = time.perf_counter() - started
    parameters |= {"x": "given" if x is not None else axis.name}
    return Clustering(
        labels=everywhere.reshape(grid),
        signals=means,
        area=counts[order] / len(there),
        inertia=groups.inertia * (1.0 if option else unit**2),
        n_clusters=k,
        rule=rule,
        reason=reason,
        image=Signal(moduli, scan, signal.source, "mean modulus"),
        mean=mean_curve,
        provenance=Provenance.record(
            "cluster_curves",
            parameters,
            signal,
            elapsed=elapsed,
            threads=get_num_threads(),
            notes=notes,
            sha256=hash_of_scan(signal, moduli, memory),
        ),
        spread=found.deviations,
        low=low,
        high=high,
        x=places,
        conductance=np.where(linear, slopes, np.nan),
        conductance_spread=np.where(linear, slope_spread, np.nan),
        r_squared=straight,
        n_empty=gaps.n_empty,
    )


def _rows(signal: Signal, points: slice, budget: int | str | None, job: Job | None = None) -> Source:
    source = rows_out_of_core(signal, points, "curves", budget, job)
    source.beside = _PER_POSITION * len(source)
    return source


def _prepared(source: Source, gaps: Gaps, recipe: dict[str, Any]) -> Any:
    """All measured curves, left where they are stored."""
    rows: Any = copy.copy(source)
    rows.mend = "finite" if gaps.invalid else ""
    rows.observed = {"range": (gaps.low, gaps.high)}  # or another pass would look for them
    prepared: Any = prepare(Recipe(rows, rows=recipe_rows(rows, gaps.measured), **recipe))
    prepared.observed = rows.observed
    return prepared


def _check_ends(ends: Ends, n: int, points: int) -> None:
    """Refuse curves most of which end early, where nothing was said of it."""
    if ends.short <= _SHORT * n:
        return
    count = ends.common.stop - ends.common.start
    raise ValueError(
        f"{ends.short} of {n} curves end early, with NaN or infinity at up to {ends.fewest} of their {points} points: "
        + (
            f"the {count} points that all curves have in common can be asked for with crop='common' (--crop common)"
            if count > 1
            else "no two points are common to all; leave out the shortest curves"
        )
    )


def _span(ends: Ends, points: int) -> tuple[slice, tuple[str, ...]]:
    """The points that all curves have, and what is to be said of it where they are not all."""
    common = ends.common
    if not ends.short:
        return slice(None), ()
    if (count := common.stop - common.start) < 2:
        raise ValueError(f"crop='common' leaves {count} of {points} points: leave out the shortest curves")
    return common, (
        f"{count} of {points} points were taken, {common.start} to {common.stop - 1}: all curves have them",
    )


def _read(
    curves: Any,
    signal_axis: int | str | None,
    scan_shape: tuple[int, int] | None,
    dataset: str | int | None,
    memory: int | str | None,
) -> Signal:
    """The curves, along the last axis, with the points of that axis where the file says them."""
    options: dict[str, Any] = {"signal_axis": signal_axis, "scan_shape": scan_shape, "dataset": dataset}
    signal = as_spectrum_image(curves, "curves", memory, **options)
    if is_out_of_core(signal, memory):
        return signal
    signal = loaded(signal)
    return replace(signal, data=as_pixels(signal.data, "curves", (2, 3)))


def _curve_axis(axis: Axis, x: ArrayLike | None) -> tuple[Axis, Floats]:
    """The axis of a curve, and its values, which need not be evenly spaced."""
    if x is None:
        return (axis if axis.calibrated or axis.name != "channel" else replace(axis, name="point")), axis.values
    values = as_pixels(x, "x", 1)
    check_finite(values, "x")
    places = values.astype(np.float64)
    if places.shape != (axis.size,):
        raise ValueError(f"x has {places.size} values; one for each of the {axis.size} points of a curve is needed")
    if places.min() == places.max():
        raise ValueError(f"x is constant, every value is {places[0]:g}")
    return Axis.from_values("x", places, ""), places


def _number(some: PreparedRows, n_clusters: int | str, n: int, seed: int) -> tuple[int, str, str]:
    """The number of groups of n curves, the rule that chose it, and why: by some of them."""
    if not isinstance(n_clusters, str):
        why = f"one curve each at most, of {n}; one group tells nothing apart"
        return check_count(n_clusters, "n_clusters", 2, n, why), "given", f"n_clusters={n_clusters} was asked for"
    check_option(n_clusters, ("auto",), "n_clusters")
    if n < 4:
        return 2, "all", f"only {count_of(n, 'curve')} to group"
    choice = choose_n_clusters(some, range(2, min(_MOST, n - 1) + 1), random_state=seed)
    return choice.n_clusters, "votes", choice.reason


def _about_values(signal: Signal) -> dict[str, Any]:
    """What is known of what was measured."""
    return {key: signal.metadata[key] for key in ("quantity", "units") if signal.metadata.get(key)}


def _said_curved(linear: NDArray[np.bool_], straight: Floats, what: str) -> str:
    curved = ", ".join(f"{i + 1} ({straight[i]:.2f})" for i in np.flatnonzero(~linear))
    return f"not straight, so without {what}: cluster {curved}; a line must explain {STRAIGHT:g} of the mean curve"
