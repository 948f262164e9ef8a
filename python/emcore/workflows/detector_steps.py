"""The steps of a search for a virtual detector: the beam, two groups, halves of the positions, masks, contrasts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.detectors.annuli import separation
from emcore.methods.detectors.free_mask import free_weights
from emcore.methods.detectors.rings import Rings
from emcore.methods.detectors.standards import Annulus, standard_detectors
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.preprocessing import Recipe, prepare
from emcore.outofcore.sources import Source
from emcore.results.groups import TwoGroups
from emcore.scans.binning import bin_factor, bin_numbers
from emcore.scans.detectors import disc, find_beam
from emcore.scans.pattern_places import Nearest, Reducing, label_all
from emcore.scans.reduction import find_directions

# Bins of the detector along its longer side.
_SIDE = 32
_STARTS = 20


@dataclass(frozen=True, eq=False)
class BeamFound:
    center: tuple[float, float]
    radius: float | None
    reach: float
    standards: list[Annulus]
    notes: tuple[str, ...]


def beam_of(mean: Floats, center: tuple[float, float] | None, radius: float | None) -> BeamFound:
    """The direct beam as given, else as found in the mean pattern, and the detectors that go by it."""
    notes: tuple[str, ...] = ()
    reach = 0.0 if radius is None else radius + 1
    try:
        found = find_beam(mean) if mean.min() < mean.max() else None
    except ValueError:
        found = None
    if found is not None and not found.is_disc(mean.shape):
        found = None
    if found is not None:
        center = found.center if center is None else center
        if radius is None:
            radius, reach = found.radius, found.mask_radius
    elif center is None:
        center = (mean.shape[0] - 1) / 2, (mean.shape[1] - 1) / 2
        notes = ("no bright disc stands out of the mean pattern: rings lie around its middle (center= says where)",)
    if radius is None:
        notes += ("the radius of the beam is not known: the best is compared with all pixels (beam_radius= tells it)",)
    # To the farthest side: of a beam in the middle the largest whole circle, of another one what the detector has.
    outermost = max(*(c + 0.5 for c in center), *(n - 0.5 - c for n, c in zip(mean.shape, center, strict=True)))
    standards = [] if radius is None else standard_detectors(radius, reach, outermost)
    corner = float(np.hypot(*(max(c, n - 1 - c) for n, c in zip(mean.shape, center, strict=True)))) + 1
    return BeamFound(center, radius, reach, standards or [Annulus("all pixels", 0.0, corner)], notes)


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of the detector."""

    numbers: NDArray[np.int32]
    count: int
    said: str

    @classmethod
    def of(cls, shape: tuple[int, int], broken: NDArray[np.bool_]) -> "Bins":
        factor = bin_factor(shape, _SIDE)
        numbers, count = bin_numbers(~broken, factor)
        return cls(numbers, count, f"{count} bins of {factor} x {factor} pixels" if factor > 1 else f"{count} pixels")


@dataclass(frozen=True, eq=False)
class Task:
    """What steps share."""

    source: Source
    grid: tuple[int, int]
    shape: tuple[int, int]
    rings: Rings
    beam: BeamFound
    empty: NDArray[np.bool_]
    seed: int


def sample_of(labels: NDArray[np.int32], chosen: NDArray[np.bool_], most: int, seed: int) -> NDArray[np.intp]:
    """Chosen positions of the groups, rising, at most so many."""
    there = np.flatnonzero(chosen & (labels >= 0))
    if len(there) <= most:
        return there
    return np.sort(np.random.default_rng(seed).choice(there, most, replace=False))


def found_groups(
    task: Task, binned: Bins, some: NDArray[np.float32], pairs: NDArray[np.intp], low: float
) -> tuple[TwoGroups, Floats, tuple[str, ...]]:
    """Two clusters of the patterns outside the beam: labels, mean patterns, what is to be said."""
    beam, bins = task.beam, np.arange(binned.count)
    if beam.radius is not None:
        touched = np.unique(binned.numbers[disc(task.shape, beam.center, beam.reach)])
        bins = np.setdiff1d(bins, touched) if len(np.setdiff1d(bins, touched)) > 1 else bins
    renumbered = np.full(binned.count + 1, -1, dtype=np.int32)
    renumbered[bins] = np.arange(len(bins))
    normalize = "sqrt" if low >= 0 else "none"
    rows = np.asarray(prepare(Recipe(np.ascontiguousarray(some[:, bins]), normalize=normalize)))
    if not (rows != rows[0]).any():
        raise ValueError("all patterns are the same outside the beam: there are no two groups, give groups")
    directions = find_directions(rows, pairs, seed=task.seed)
    places = ((rows - directions.mean) @ directions.basis).astype(np.float32)
    centers = kmeans(places, 2, n_init=_STARTS, random_state=task.seed).centers
    nearest = Nearest(Reducing(renumbered[binned.numbers], len(bins), normalize, directions), centers)
    labels, sums = label_all(task.source, nearest, task.empty.ravel(), task.shape)
    counts = np.bincount(labels[labels >= 0], minlength=2)
    order = np.argsort(-counts, kind="stable")
    labels = np.where(labels < 0, -1, np.argsort(order)[labels]).reshape(task.grid).astype(np.int32)
    two = TwoGroups(labels, ("cluster 1", "cluster 2"))
    check_groups(two)
    said = (
        f"groups were found: two clusters in {count_of(directions.basis.shape[1], 'principal component')} of "
        f"{directions.kept} bins outside the beam; the others are judged by the clusters of their neighbours",
    )
    return two, sums[order] / counts[order][:, None, None], said


def check_groups(two: TwoGroups) -> None:
    for label, name in enumerate(two.names):
        count = int((two.labels == label).sum())
        if count < 2:
            raise ValueError(f"group {name!r} has {count_of(count, 'measured position')}; two at least are needed")


@dataclass(frozen=True, eq=False)
class Halves:
    """Positions of both groups on which is chosen, and on which is judged."""

    choosing: tuple[NDArray[np.intp], NDArray[np.intp]]
    judging: tuple[NDArray[np.intp], NDArray[np.intp]]
    held_out: NDArray[np.bool_]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, labels: NDArray[np.int32], chosen: NDArray[np.bool_], judged: NDArray[np.int32]) -> "Halves":
        choosing = [np.flatnonzero(chosen & (labels == group)) for group in (0, 1)]
        judging = [np.flatnonzero(judged == group) for group in (0, 1)]
        held_out = np.zeros(labels.size, dtype=bool)
        if min(len(each) for each in (*choosing, *judging)) < 2:
            both = tuple(np.flatnonzero(labels == group) for group in (0, 1))
            note = "too few positions to hold any out: contrasts are of those on which the detector was chosen"
            return cls(both, both, held_out, (note,))  # type: ignore[arg-type]
        held_out[np.concatenate(judging)] = True
        note = (
            f"chosen on {sum(map(len, choosing))} positions, every other one; contrasts are of "
            f"{sum(map(len, judging))} others"
        )
        return cls(tuple(choosing), tuple(judging), held_out, (note,))  # type: ignore[arg-type]


def image_of_rings(profiles: NDArray[np.float32], rings: Rings, annulus: Annulus) -> Floats:
    first, last = rings.between(annulus.inner, annulus.outer)
    image: Floats = profiles[:, first : last + 1].sum(axis=1, dtype=np.float64)
    return image


def free_mask(
    task: Task,
    binned: Bins,
    some: NDArray[np.float32],
    profiles: NDArray[np.float32],
    sample: NDArray[np.intp],
    labels: NDArray[np.int32],
    chosen: NDArray[np.bool_],
    annulus: tuple[int, int],
) -> tuple[Floats, float, int, tuple[float, float, float]]:
    """Weights of the pixels, the largest 1, how much was shrunk, of how many positions, and what each mask adds."""
    used = (chosen & (labels >= 0)).ravel()[sample]
    found = free_weights(some[used], profiles[sample[used]], labels.ravel()[sample[used]] == 0, annulus)
    of_bins, of_rings = (np.append(part, 0.0) for part in (found.bins, found.rings))
    mask: Floats = of_bins[binned.numbers] + of_rings[task.rings.numbers]
    return mask / max(float(np.abs(mask).max()), 1e-300), found.shrinkage, int(used.sum()), found.shares


def free_said(binned: Bins, count: int, shares: tuple[float, float, float]) -> str:
    """What is to be said of a free mask."""
    if shares[2] == 1:
        return f"at {count} positions no free mask is better than the annulus: it is that"
    each = ", ".join(
        f"{100 * share:.0f} % {name}" for share, name in zip(shares, ("bins", "rings", "annulus"), strict=True)
    )
    return f"the free mask was made of {binned.said} and of rings at {count} positions: {each}"


@dataclass(frozen=True, eq=False)
class Table:
    contrast: Floats
    cnr: Floats
    chosen_contrast: Floats
    chosen_cnr: Floats
    means: Floats

    @classmethod
    def of(cls, images: Floats, masks: Floats, signals: Floats, halves: Halves) -> "Table":
        total = np.einsum("mij,gij->m", np.abs(masks), np.abs(signals))
        signed = (masks < 0).any(axis=(1, 2))

        def of_positions(places: tuple[NDArray[np.intp], NDArray[np.intp]]) -> tuple[Floats, Floats, Floats]:
            a, b = (images[:, each].mean(axis=1) for each in places)
            noise = np.sqrt(sum(images[:, each].var(axis=1, ddof=1) for each in places))
            counted = np.where(signed, total, np.abs(a) + np.abs(b))
            return *separation(a, b, noise, counted), np.stack([a, b], axis=1)

        contrast, cnr, means = of_positions(halves.judging)
        return cls(contrast, cnr, *of_positions(halves.choosing)[:2], means)
