"""Which virtual detector shows two groups of positions best?

One pass adds up the rings around the beam at every position; all annuli then follow from the covariance of the rings
(`methods.detectors.annuli`). A free mask, weights of either sign for every pixel, is a linear discriminant of bins of
the detector and of the rings (`methods.detectors.free_mask`), so that no annulus is out of its reach. Both are chosen
on every other position of each group, and judged on the rest.

Chosen is what has the largest contrast-to-noise: contrast alone is largest where there is next to nothing, one electron
in a hundred patterns of one group and none of the other.
"""

import os
import time
from dataclasses import replace
from typing import Any

import numpy as np

from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.core.validation import check_count, check_number, check_option
from emcore.methods.detectors.annuli import SCORES, annulus_scores, ring_counts
from emcore.methods.detectors.rings import rings_around
from emcore.methods.detectors.standards import Annulus
from emcore.outofcore.checkpoint import step
from emcore.outofcore.moments import products_with
from emcore.results.detector import Detector
from emcore.results.groups import as_two_groups
from emcore.scans.axes import SignalAxis
from emcore.scans.broken import broken_pixels, mended
from emcore.scans.halves import alternate, checkerboard, labels_of_neighbours
from emcore.scans.pattern_passes import group_sums, sample_size, survey
from emcore.scans.patterns import axes_of_scan, join_job, pattern_source, scan_of_patterns
from emcore.scans.reduction import sampled
from emcore.scans.spectrum_rows import hash_of_scan, passes_said
from emcore.workflows.detector_steps import (
    Bins,
    Halves,
    Table,
    Task,
    beam_of,
    check_groups,
    found_groups,
    free_mask,
    free_said,
    image_of_rings,
    sample_of,
)

KINDS = ("annulus", "free")
# What is kept of every position beside a pass, in bytes.
_PER_POSITION = 32


@with_progress_bar
@documented()
def best_detector(
    patterns: Any,
    groups: Any = None,
    kind: str = "annulus",
    *,
    pair: Any = None,
    score: str = "fisher",
    center: tuple[float, float] | None = None,
    beam_radius: float | None = None,
    scan_shape: tuple[int, int] | None = None,
    signal_axis: SignalAxis = None,
    dataset: str | int | None = None,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    random_state: int = 0,
) -> Detector:
    """Find the virtual detector that separates two groups of scan positions best.

    Parameters
    ----------
    patterns : array_like, Signal, HyperSpy signal or path
        Shape (y, x, ky, kx), any pixel type. A memory map, an HDF5 or Zarr array, a lazy signal
        or a Dask array is visited in blocks. Patterns in one series become one line, unless
        `scan_shape` says otherwise.
    groups : array_like, result, path, or two masks, optional
        Labels of shape (y, x), negative for no group; a mask, or one for each group; a result
        with labels, as of `emcore.cluster_diffraction` or `emcore.segment_grains`; a file of
        either. Default: two clusters of the patterns without their direct beam.
    kind : {"annulus", "free"}, default "annulus"
        "free": besides the best annulus a weight of either sign for every pixel.
    pair : int or str, or two of these, optional
        Of more than two labels, counted from 0, the two that are meant, or one against the
        rest; names of a result's clusters or phases will do.
    score : {"fisher", "contrast"}, default "fisher"
        What an annulus is chosen by. "fisher": contrast-to-noise, (a - b)^2 / (var_a + var_b)
        of the groups' means and variances. "contrast": |a - b| / (|a| + |b|), among annuli with
        at least half of the largest contrast-to-noise, since contrast alone is largest where
        there is next to nothing.
    center : (float, float), optional
        Of the direct beam along ky and kx, in pixels; default as found in the mean pattern, or
        else the middle.
    beam_radius : float, optional
        Of the direct beam in pixels, by which the usual detectors are sized; default as found.
    %(scan_shape)s
    %(pattern_axes)s
    %(dataset)s
    %(memory)s
    %(checkpoint)s
    random_state : int, default 0

    Returns
    -------
    Detector
        The same to the last bit on any number of threads. Positions without a measurement take
        no part.

    Raises
    ------
    ValueError
        Groups that do not fit the scan, are more than two without a `pair`, or have fewer than
        two measured positions; NaN or infinity in every pattern; a centre or radius that is
        none; too little memory (the least is named).
    TypeError
        Data or labels of another kind.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import ring_phases
    >>> sample = ring_phases(scan_shape=(24, 32))
    >>> result = emcore.best_detector(sample.patterns, sample.labels, center=sample.beam_center)
    >>> result.inner[result.best], result.outer[result.best], sample.ring
    (np.float64(14.0), np.float64(18.0), (14.0, 18.0))
    """
    started = time.perf_counter()
    check_option(kind, KINDS, "kind")
    check_option(score, SCORES, "score")
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    if center is not None:
        if np.shape(center) != (2,):
            raise ValueError(f"center={center!r}: give two numbers, along ky and kx")
        center = check_number(center[0], "center[0]", -np.inf), check_number(center[1], "center[1]", -np.inf)
    if beam_radius is not None:
        beam_radius = check_number(beam_radius, "beam_radius", 0.5)
    if groups is None and pair is not None:
        raise ValueError(f"pair={pair!r} chooses among groups: give these, or leave it out")
    parameters = {
        "groups": "found" if groups is None else os.fspath(groups) if isinstance(groups, str) else _kind_of(groups),
        "kind": kind,
        "pair": _plain(pair),
        "score": score,
        "center": center,
        "beam_radius": beam_radius,
        "random_state": seed,
    }
    scan = scan_of_patterns(patterns, scan_shape, signal_axis=signal_axis, dataset=dataset, memory=memory)
    ky, kx = (replace(axis, navigation=False) for axis in scan.axes[-2:])
    along = axes_of_scan(scan)
    grid, shape = (along[0].size, along[1].size), (ky.size, kx.size)
    notes: tuple[str, ...] = ()
    two = None if groups is None else as_two_groups(groups, grid, pair)
    source = pattern_source(scan, memory, _PER_POSITION)
    given = {} if two is None else {"labels": two.labels}
    join_job(source, checkpoint, "best_detector", memory, {"scan": grid, **parameters, **given})
    labels = np.zeros(len(source), np.int32) if two is None else np.where(two.labels < 0, 2, two.labels).ravel()
    seen = survey(source, shape, labels.astype(np.int32), 1 if two is None else 3)
    seen.gaps.check("patterns", scan.shape, 4)
    empty = seen.gaps.empty.reshape(grid)
    mean = seen.sums.sum(axis=0) / seen.counts.sum()
    broken, of_broken = broken_pixels(mean)
    beam = beam_of(mended(mean, broken), center, beam_radius)
    rings = rings_around(shape, beam.center, [r for each in beam.standards for r in each[1:]], broken)

    binned = Bins.of(shape, broken)
    task = Task(source, grid, shape, rings, beam, empty, seed)
    if two is None:
        chosen = checkerboard(grid) & ~empty
        sample, pairs = sampled(
            grid, seen.gaps.measured, np.random.default_rng(seed), sample_size(source, binned.count + rings.count)
        )
        profiles, some = group_sums(source, rings.numbers, rings.count, binned.numbers, binned.count, sample)
        two, signals, said = found_groups(task, binned, some, pairs, seen.gaps.low)
        judged = labels_of_neighbours(two.labels, chosen)
    else:
        two = replace(two, labels=np.where(empty, -1, two.labels).astype(np.int32))
        check_groups(two)
        chosen = alternate(two.labels)
        most = sample_size(source, binned.count + rings.count) if kind == "free" else 0
        sample = sample_of(two.labels, chosen, most, seed)
        profiles, some = group_sums(source, rings.numbers, rings.count, binned.numbers, binned.count, sample)
        signals = seen.sums[:2] / np.maximum(seen.counts[:2], 1)[:, None, None]
        said = ("groups are those of a clustering: of clusters of noise any contrast is too high",) * two.clustered
        judged = np.where(chosen, -1, two.labels).astype(np.int32)
    halves = Halves.of(two.labels, chosen, judged)

    scores = annulus_scores(*(ring_counts(profiles, each) for each in halves.choosing))
    first, last = scores.best(score)
    detectors = [*beam.standards, Annulus("best annulus", float(rings.edges[first]), float(rings.edges[last + 1]))]
    masks = [rings.mask(*rings.between(each.inner, each.outer)).astype(np.float64) for each in detectors]
    images = [image_of_rings(profiles, rings, each) for each in detectors]
    shrinkage = float("nan")
    # Held while the scan is visited once more.
    source.beside += profiles.nbytes + some.nbytes + sum(each.nbytes for each in images)
    if kind == "free":
        free, shrinkage, count, shares = free_mask(
            task, binned, some, profiles, sample, two.labels, chosen, (first, last)
        )
        detectors.append(Annulus("free mask", float("nan"), float("nan")))
        masks.append(free)
        images.append(step(source, "weighted sums", lambda: (products_with(source, free.reshape(-1, 1))[:, 0],))[0])
        said += (free_said(binned, count, shares),)
    table = Table.of(np.stack(images), np.stack(masks), signals, halves)
    total = np.where(empty.ravel(), 0, profiles.sum(axis=1)).reshape(grid)
    image = Signal(total, along, scan.source, "all counts")
    notes += (*seen.gaps.notes, *of_broken, *beam.notes, *said, *halves.notes)
    if score == "contrast":
        notes += ("the annulus has the most contrast of those with at least half of the largest contrast-to-noise",)
    notes += passes_said(scan, memory, 2 + (groups is None) + (kind == "free"))
    a, b = halves.choosing
    return Detector(
        mask=masks[-1],
        best=len(masks) - 1,
        names=tuple(each.name for each in detectors),
        masks=np.stack(masks),
        images=np.where(empty, 0.0, np.stack(images).reshape(-1, *grid)),
        inner=np.array([each.inner for each in detectors]),
        outer=np.array([each.outer for each in detectors]),
        contrast=table.contrast,
        cnr=table.cnr,
        chosen_contrast=table.chosen_contrast,
        chosen_cnr=table.chosen_cnr,
        means=table.means,
        labels=two.labels,
        held_out=halves.held_out.reshape(grid),
        group_names=two.names,
        edges=rings.edges,
        cnr_map=scores.cnr,
        contrast_map=scores.contrast,
        profiles=np.stack([profiles[each].mean(axis=0, dtype=np.float64) for each in (a, b)]),
        spreads=np.stack([profiles[each].std(axis=0, dtype=np.float64, ddof=1) for each in (a, b)]),
        pixels=np.bincount(rings.numbers[rings.numbers >= 0], minlength=rings.count),
        signals=signals,
        score=score,
        shrinkage=shrinkage,
        beam_center=beam.center,
        beam_radius=beam.radius,
        measured=~empty,
        image=image,
        mean=Signal(mean, (ky, kx), scan.source, "PACBED"),
        n_empty=seen.gaps.n_empty,
        provenance=Provenance.record(
            "best_detector",
            parameters,
            scan,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=notes,
            sha256=hash_of_scan(scan, image.data, memory),
        ),
    )


def _kind_of(groups: Any) -> str:
    return "two masks" if isinstance(groups, tuple | list) and len(groups) == 2 else type(groups).__name__


def _plain(pair: Any) -> Any:
    return [_plain(each) for each in pair] if isinstance(pair, tuple | list | np.ndarray) else pair
