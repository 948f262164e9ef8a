"""Which kinds of curve does a scan hold, and where: current over voltage, force over distance, one at every position?

k-means on the curves as they were measured, or normalised; for each group the mean curve, its spread, and, where it is
straight, the slope by least squares: of current against voltage, the conductance.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore._emcore import PreparedRows
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.provenance import Provenance
from emcore.core.quantities import measured, slope
from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, as_pixels, check_count, check_finite, check_option, check_range
from emcore.core.wording import count_of
from emcore.methods.groups import group_slopes, group_statistics, mean_moduli
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.preprocessing import Recipe, mean_and_variance, prepare
from emcore.methods.selection.clusters import choose_n_clusters
from emcore.results.clustering import Clustering
from emcore.scans.gaps import common_points, find_gaps
from emcore.scans.spectra import as_spectrum_image
from emcore.scans.spectrum_rows import loaded

NORMALIZATIONS = ("max", "l2")
CROPS = ("common",)
# A mean curve of which a line explains so much is called straight.
STRAIGHT = 0.99
PERCENTILES = (0.05, 0.95)
_STARTS = 10
# Curves are held in memory, however many.
_ALL = 1 << 62
# As many groups are tried at most.
_MOST = 10
# Where more than this part of all curves end early, these are not left out as if they were faults.
_SHORT = 0.5


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
) -> Clustering:
    """Group the positions of a scan by their curves.

    Parameters
    ----------
    curves : array_like, Signal, HyperSpy signal or path
        Of shape (y, x, points), or (n, points) for positions without a grid. Of a file with several arrays, as .npz and
        .h5 are, the largest; a vector in it as long as a curve is `x`.
    n_clusters : int or "auto", default "auto"
        How many groups, at least 2; "auto" leaves it to the votes of `emcore.choose_n_clusters`, from 2 to 10.
    x : array_like, shape (points,), optional
        Where the curves were measured, for example the bias in volts; by default what the data say, else 0, 1, 2, ...
    normalize : {"max", "l2"}, optional
        What each curve is divided by before clustering, its largest modulus or its Euclidean norm, so that shapes alone
        count. By default curves are clustered as they are. The mean curves are always of the measured ones.
    %(signal_axis)s
    %(scan_shape)s
    %(dataset)s
    crop : {"common"}, optional
        Take the points that all curves have, where curves end early, as NaN at their ends tells.
    random_state : int, default 0
        Seed of the starts.

    Returns
    -------
    Clustering
        The same to the last bit on any number of threads. Groups in the order of falling area. Curves of zeros, and
        those with NaN or infinity, are no measurement: they take no part, and their label is -1. A constant curve that
        is not zero is one.

    Raises
    ------
    ValueError
        Data that hold no curves, NaN or infinity in all (first position named) or at the ends of most (the points that
        are common to all are named), curves that are all the same, one group or more than there are distinct curves,
        an `x` of another length or constant.
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
    >>> result.conductance.round(2), result.r_squared.round(2)  # of the ohmic, the insulating, the diodes
    (array([1.02,  nan,  nan]), array([1.  , 0.97, 0.68]))
    """
    started = time.perf_counter()
    signal = _read(curves, signal_axis, scan_shape, dataset)
    option = None if normalize is None else check_option(normalize, NORMALIZATIONS, "normalize")
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    data = as_pixels(signal.data, "curves", (2, 3))
    *grid, points = data.shape
    if points < 2:
        raise ValueError(f"curves have shape {data.shape}: a curve needs at least 2 points, along the last axis")
    axis, places = _curve_axis(signal.axes[-1], x)
    span, cropped = _span(data.reshape(-1, points), crop)
    if cropped:
        data, axis, places = data[..., span], axis.crop(span.start, span.stop), places[span]
    every = data.reshape(-1, data.shape[-1])
    gaps = find_gaps(every, constant=False)
    gaps.check("curves", data.shape)
    if data.dtype.kind == "f":
        # Normalising takes squares in the precision of the data.
        check_range(gaps.low, gaps.high, "curves", 1e15 if option and data.dtype == np.float32 else 1e100)
    rows = gaps.of_measured(every)
    mean, variance = mean_and_variance(rows)
    if not (variance > (1e-12 * mean) ** 2).any():
        raise ValueError(f"curves are all the same, {len(rows)} of them: there is nothing to tell apart")
    # Amperes are so small that their squares leave single precision, and an offset would cost digits.
    unit = float(np.sqrt(np.mean(variance)))
    centred = Recipe(rows, offset=mean, scale=np.full(len(places), 1 / unit))
    recipe = Recipe(rows, normalize=option) if option else centred
    prepared = prepare(recipe)
    k, rule, reason = _number(prepared, n_clusters, seed)
    groups = kmeans(prepared, k, n_init=_STARTS, random_state=seed)
    counts = np.bincount(groups.labels, minlength=k)
    if not counts.all():
        distinct = len(np.unique(rows, axis=0))
        raise ValueError(f"n_clusters={k} is too many: there are {distinct} distinct curves")
    order = np.argsort(-counts, kind="stable")
    labels = np.argsort(order)[groups.labels].astype(np.int32)
    means, spread, (low, high) = group_statistics(rows, labels, k, PERCENTILES)
    slopes, slope_spread, straight = group_slopes(rows, labels, means, places)
    linear = straight >= STRAIGHT
    scan = tuple(replace(each, navigation=False) for each in signal.axes[:-1])
    moduli = gaps.spread(mean_moduli(rows), 0).reshape(grid)
    mean_curve = Signal(mean, (axis,), signal.source, signal.title, _about_values(signal))
    what = slope(measured(mean_curve), axis)
    curved = () if linear.all() or what is None else (_said_curved(linear, straight, what.name),)
    notes = (*cropped, *gaps.notes, *curved)
    elapsed = time.perf_counter() - started
    parameters = {"n_clusters": n_clusters, "normalize": normalize, "crop": crop, "random_state": seed}
    parameters |= {"x": "given" if x is not None else axis.name}
    return Clustering(
        labels=gaps.spread(labels, -1).reshape(grid),
        signals=means,
        area=counts[order] / len(rows),
        inertia=groups.inertia * (1.0 if option else unit**2),
        n_clusters=k,
        rule=rule,
        reason=reason,
        image=Signal(moduli, scan, signal.source, "mean modulus"),
        mean=mean_curve,
        provenance=Provenance.record(
            "cluster_curves", parameters, signal, elapsed=elapsed, threads=get_num_threads(), notes=notes
        ),
        spread=spread,
        low=low,
        high=high,
        x=places,
        conductance=np.where(linear, slopes, np.nan),
        conductance_spread=np.where(linear, slope_spread, np.nan),
        r_squared=straight,
        n_empty=gaps.n_empty,
    )


def _span(rows: NDArray[Any], crop: str | None) -> tuple[slice, tuple[str, ...]]:
    """The points that are taken, and what is to be said of it where they are not all."""
    if crop is not None:
        check_option(crop, CROPS, "crop")
    if rows.dtype.kind != "f":
        return slice(None), ()
    common, short = common_points(rows)
    if not short.any():
        return slice(None), ()
    count, points = common.stop - common.start, rows.shape[1]
    if crop is None:
        if short.sum() <= _SHORT * len(rows):
            return slice(None), ()
        fewest = points - int(np.isfinite(rows[short]).sum(axis=1).min())
        raise ValueError(
            f"{int(short.sum())} of {len(rows)} curves end early, with NaN or infinity at up to {fewest} of their "
            f"{points} points: "
            + (
                f"the {count} points that all curves have in common can be asked for with crop='common' (--crop common)"
                if count > 1
                else "no two points are common to all; leave out the shortest curves"
            )
        )
    if count < 2:
        raise ValueError(f"crop='common' leaves {count} of {points} points: leave out the shortest curves")
    return common, (
        f"{count} of {points} points were taken, {common.start} to {common.stop - 1}: all curves have them",
    )


def _read(
    curves: Any, signal_axis: int | str | None, scan_shape: tuple[int, int] | None, dataset: str | int | None
) -> Signal:
    """The curves, along the last axis, with the points of that axis where the file says them."""
    signal = as_spectrum_image(
        curves, "curves", memory=_ALL, signal_axis=signal_axis, scan_shape=scan_shape, dataset=dataset
    )
    return loaded(signal)


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


def _number(prepared: PreparedRows, n_clusters: int | str, seed: int) -> tuple[int, str, str]:
    """The number of groups, the rule that chose it, and why."""
    n = prepared.shape[0]
    if not isinstance(n_clusters, str):
        why = f"one curve each at most, of {n}; one group tells nothing apart"
        return check_count(n_clusters, "n_clusters", 2, n, why), "given", f"n_clusters={n_clusters} was asked for"
    check_option(n_clusters, ("auto",), "n_clusters")
    if n < 4:
        return 2, "all", f"only {count_of(n, 'curve')} to group"
    choice = choose_n_clusters(prepared, range(2, min(_MOST, n - 1) + 1), random_state=seed)
    return choice.n_clusters, "votes", choice.reason


def _about_values(signal: Signal) -> dict[str, Any]:
    """What is known of what was measured."""
    return {key: signal.metadata[key] for key in ("quantity", "units") if signal.metadata.get(key)}


def _said_curved(linear: NDArray[np.bool_], straight: Floats, what: str) -> str:
    curved = ", ".join(f"{i + 1} ({straight[i]:.2f})" for i in np.flatnonzero(~linear))
    return f"not straight, so without {what}: cluster {curved}; a line must explain {STRAIGHT:g} of the mean curve"
