"""Which regions of a micrograph differ in their local periodicity, and what is the lattice of each?

Power spectra of moving windows are decomposed into a few that explain all (Jany, Janas & Krok, Micron 130 (2020)
102800): a PCA tells how many, a non-negative factorisation X ~ W H gives their spectra H and maps W. Every pixel
belongs to the component that is strongest there. Components that are one lattice are merged, borders left out; where
none has a lattice, regions are those of textures. Spacings and directions are those of the two strongest independent
peaks in the mean power spectrum of the windows of a region, of those within it where there are any.
"""

import math
import os
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore._emcore import __version__
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.memory import check_memory, in_words, physical_memory
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.validation import check_count, check_option
from emcore.core.wording import count_of
from emcore.methods.nmf.starts import from_pure_scores
from emcore.methods.pca.fit import PCAResult, pca
from emcore.methods.power_spectra.floor import LEAST_PART, raise_floor
from emcore.methods.power_spectra.merging import last_gap, merged
from emcore.methods.power_spectra.periodicity import LEAST_PERIODS, angle_between
from emcore.methods.power_spectra.separation import ITERATIONS, Parts, Picture, separate
from emcore.methods.power_spectra.textures import parted_by_texture
from emcore.methods.power_spectra.window_size import USUAL, window_for
from emcore.methods.power_spectra.windows import (
    frequencies,
    full_plane,
    half_plane_weights,
    spectra_and_offset,
    window_centers,
)
from emcore.methods.selection.components import RULES
from emcore.methods.selection.components import n_components as rank_by_rule
from emcore.methods.selection.rules import RankChoice
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.checkpoint import step as step_of
from emcore.outofcore.scratch import scratch_array
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored
from emcore.results.image_analysis import ImageAnalysis
from emcore.scans.choosing import measurement
from emcore.scans.images import suits_image
from emcore.scans.pictures import picture_of
from emcore.scans.spectrum_rows import read_within

SMALLEST_WINDOW = 8
# So many lines of one value at an edge, as a part of a window, are no picture.
_EDGE = 8
# The rules look at the first 20 components and the one after.
_LOOKED_AT = 21
# Rules that need nothing but the ratios that this workflow computes.
IMAGE_RULES = ("gap", "elbow", "jany", "threshold", "broken-stick")
_MERGED = "those of one lattice are one, and borders none"
_BY_TEXTURE = "as many as there are groups of radial and angular profiles well apart"
_TEXTURES = (
    "no component has a lattice: regions are those of textures, by radial and angular profiles of the power spectra"
)
# Kept of every pixel beside the image: its region, and what is counted of regions.
_PER_PIXEL = 8
# Copies of components, of maps and of spectra, that the solvers hold.
_COPIES = 4
# A component holds so much of all variance at least.
_LEAST_EVR = 1e-3


@with_progress_bar
@documented()
def analyze_image(
    image: Any,
    window: int | str = 128,
    step: int | None = None,
    n_components: int | str = "auto",
    *,
    rule: str | None = None,
    dataset: str | int | None = None,
    frame: int | tuple[int, ...] | None = None,
    include_info_bar: bool = False,
    random_state: int = 0,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> ImageAnalysis:
    """Find the regions of an image that differ in local periodicity.

    Parameters
    ----------
    image : array_like, Signal, HyperSpy signal or path
        A real image, shape (H, W), at least one window large. A colour image becomes its
        luminance, of a stack one frame is taken; the result says so. One that is lazy, or in a
        larger file, is loaded if it takes half of `memory` or less, as the result holds it.
    window : int or "auto", default 128
        Side of the moving window in pixels, at least 8: several periods of the lattices sought.
        "auto" takes eight of the strongest period, from 32 to 256 pixels, and says so.
    step : int, optional
        Step between windows in pixels, default a quarter of the window.
    n_components : int or "auto", default "auto"
        How many components; "auto" leaves it to `rule`.
    rule : {"gap", "elbow", "jany", "threshold", "broken-stick"}, optional
        Rule of `emcore.n_components` for "auto", default "gap", after which components of one
        lattice become one.
    dataset : str or int, optional
        Which data set of a file that holds several, by its name or number; see
        `emcore.describe`. Default: the largest single picture, else the largest stack.
    frame : int or tuple of int, optional
        Which image of a stack, counted from 0; also which channel of a spectrum image.
    include_info_bar : bool, default False
        Analyse an information bar below the picture, too, as electron microscopes write it. By
        default it is left out, which the result says.
    random_state : int, default 0
        Seed of the PCA's random numbers.
    memory : int or str, optional
        How much may be used, in bytes or as "2 GiB". Power spectra take some thirty times as
        much as 8-bit pixels: if there is no room for them, they are kept in a scratch file in
        the folder for temporary files (``TMPDIR``), which changes no result. Default: half of
        the machine's memory.
    %(checkpoint)s

    Returns
    -------
    ImageAnalysis
        The same to the last bit on any number of threads. Lines and columns at the edges that
        hold NaN, or one value in at least an eighth of a window, are no picture and left out,
        as where a scan was stopped: their region is -1.

    Raises
    ------
    ValueError
        An image that is not 2-D, empty, constant, smaller than a window, or holds NaN or
        infinity but in whole lines or columns at its edges; more components than there are
        windows; an unknown rule; a checkpoint of another image or other settings.
    TypeError
        Complex numbers, objects or strings.
    MemoryError
        A lazy image of more than half of `memory`; power spectra for which neither memory nor
        disk has room. Both say how much is needed.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import lattice_micrograph
    >>> sample = lattice_micrograph(shape=(512, 640), spacings=(7, 12), directions=(20, 110))
    >>> result = emcore.analyze_image(sample.image)
    >>> result.n_components, sorted(result.spacing.round(1))
    (2, [np.float64(7.0), np.float64(12.0)])
    """
    started = time.perf_counter()
    observed = measurement(image, suits_image, dataset, lambda path: read_within(path, memory))
    if isinstance(window, str):
        check_option(window, ("auto",), "window")
    else:
        window = check_count(window, "window", SMALLEST_WINDOW)
    side = USUAL if isinstance(window, str) else window
    budget = physical_memory() // 2 if memory is None else check_memory(memory)
    seen = picture_of(observed, frame, include_info_bar, max(side // _EDGE, 2), memory=budget)
    picture, part, axes, notes = seen.pixels, seen.part, seen.image.axes, seen.notes
    window, window_notes = _chosen_window(picture, window)
    step = _checked_step(picture, window, step)
    rule = _checked_rule(n_components, rule)
    notes += window_notes
    parameters = {
        "window": window,
        "step": step,
        "n_components": n_components,
        "rule": rule,
        "dataset": dataset,
        "frame": frame,
        "include_info_bar": include_info_bar,
        "random_state": random_state,
    }
    source = Source([Stored(picture)], name="image")
    if checkpoint is not None:
        identity = {"method": "analyze_image", "version of emcore": __version__}
        source.job = Job(checkpoint, source.cut(), identity | parameters, at_once=True)
    y, x = window_centers(picture.shape, window, step)
    shape = len(y), len(x), window, window // 2 + 1
    room = _room(picture, shape, budget)
    what = f"power spectra of {shape[0]} x {shape[1]} windows"
    if memory is not None:
        print(_predicted(what, 4 * math.prod(shape), budget, room), file=sys.stderr)
    cut = Picture(picture.shape, step, (abs(axes[0].scale), abs(axes[1].scale)))
    with scratch_array(shape, np.float32, room, what) as (spectra, on_disk):
        spectra_and_offset(picture, window, step, into=spectra)
        if raise_floor(spectra) > 1:
            notes += (
                f"there is little noise: power below {LEAST_PART:g} of the lattice's strongest peak counts as none",
            )
        asked = _checked_number(n_components, (len(y) * len(x), math.prod(shape[2:])), window, step)
        parts, choice, evr, said = _separated(spectra, cut, asked, rule, random_state, source)
        notes += said
    if on_disk:
        notes += (f"{what}, {in_words(4 * math.prod(shape))}, were kept in a scratch file",)
    regions = np.full(seen.image.shape, -1, dtype=np.int32)
    regions[part] = parts.regions
    y, x = y + part[0].start, x + part[1].start
    peaks, counts = parts.peaks, parts.counts
    notes += seen.axes_notes + _remarks(counts, peaks[:, 0, 0], window)
    if choice.n > 1 and parts.n_iter == ITERATIONS:
        notes += (f"the factorisation was still improving after {ITERATIONS} iterations: maps may be a little off",)
    elapsed = time.perf_counter() - started
    return ImageAnalysis(
        maps=parts.maps,
        spectra=full_plane(parts.spectra),
        y=axes[0].offset + axes[0].scale * y,
        x=axes[1].offset + axes[1].scale * x,
        frequency_y=frequencies(window, cut.scale[0]),
        frequency_x=frequencies(window, cut.scale[1]),
        regions=regions,
        area=counts / max(int(counts.sum()), 1),
        spacing=peaks[:, 0, 0],
        direction=peaks[:, 0, 1],
        evr=evr,
        n_components=choice.n,
        rule=choice.rule,
        reason=choice.reason,
        image=seen.image,
        measured=seen.measured,
        n_empty=seen.n_empty,
        provenance=Provenance.record(
            "analyze_image", parameters, observed, elapsed=elapsed, threads=get_num_threads(), notes=notes
        ),
        second_spacing=peaks[:, 1, 0],
        second_direction=peaks[:, 1, 1],
        angle=np.array([angle_between(*directions) for directions in peaks[:, :, 1]]),
    )


def _room(picture: NDArray[Any], shape: tuple[int, ...], budget: int) -> int:
    """What of the budget is left for power spectra, beside the image, its regions, and components."""
    beside = picture.nbytes + _PER_PIXEL * picture.size
    beside += 8 * _COPIES * _LOOKED_AT * (math.prod(shape[:2]) + math.prod(shape[2:]))
    if beside > budget:
        raise MemoryError(
            f"an image of {picture.shape[0]} x {picture.shape[1]} px, its regions and components take "
            f'{in_words(beside)}, more than memory={in_words(budget)}: give memory="{in_words(beside)}" or more'
        )
    return budget - beside


def _predicted(what: str, size: int, budget: int, room: int) -> str:
    """What is told of the memory that is going to be used."""
    inside = size <= room
    peak = budget - room + (size if inside else 0)
    return (
        f"emcore: {what}, {in_words(size)}, in {'memory' if inside else 'a scratch file'}; predicted peak memory "
        + (in_words(peak))
    )


def _separated(
    spectra: NDArray[np.float32], cut: Picture, asked: int, rule: str, seed: int, source: Source
) -> tuple[Parts, RankChoice, NDArray[np.float64], tuple[str, ...]]:
    """Components, why so many, the ratios that say so, and notes; in steps of the job that the image is of."""
    (ny, nx, window, _), (height, width) = spectra.shape, cut.shape
    rows = spectra.reshape(ny * nx, -1)
    weights = np.broadcast_to(half_plane_weights(window), spectra.shape[2:]).ravel()
    size = min(max(asked, _LOOKED_AT), *rows.shape)

    def decompose() -> tuple[Any, ...]:
        return tuple(vars(pca(rows, size, center=False, weights=np.sqrt(weights), random_state=seed)).values())

    def separated(name: str, n: int) -> Parts:
        start = from_pure_scores(rows, principal, n)
        return Parts(*step_of(source, name, lambda: separate(spectra, weights, start, cut)))

    principal = PCAResult(*step_of(source, "components", decompose))
    evr = principal.explained_variance_ratio
    apart = min((height // window) * (width // window), ny * nx)
    choice = _choose(evr, asked, rule, min(rows.shape), apart)
    parts = separated("parts", choice.n)
    notes: tuple[str, ...] = ()
    if choice.rule != "gap" or choice.n == 1:
        return parts, choice, evr, notes
    if parts.lattices.any() and (more := last_gap(evr[evr >= _LEAST_EVR], apart // 2)) > choice.n:
        choice = replace(choice, n=more, reason=f"{choice.reason}, the last large one that of {more} and {more + 1}")
        parts = separated("more parts", choice.n)

    def merge() -> tuple[Any, ...]:
        fewer, said = merged(spectra, weights, parts, cut, lambda: from_pure_scores(rows, principal, 1))
        return *fewer, *said

    values = step_of(source, "merged", merge)
    parts, notes = Parts(*values[: len(Parts._fields)]), values[len(Parts._fields) :]
    if notes:
        choice = replace(choice, n=len(parts.maps), reason=f"{choice.reason}; {_MERGED}")
    if not parts.lattices.any():
        textured = step_of(source, "textures", lambda: parted_by_texture(spectra, weights, cut) or ("none",))
        if len(textured) > 1:
            parts = Parts(*textured)
            choice = replace(choice, n=len(parts.maps), reason=f"{choice.reason}; no lattice: {_BY_TEXTURE}")
            notes += (_TEXTURES,)
    return parts, choice, evr, notes


def _checked_rule(n_components: int | str, rule: str | None) -> str:
    if isinstance(n_components, str):
        check_option(n_components, ("auto",), "n_components")
        if rule not in IMAGE_RULES and rule in tuple(RULES):
            raise ValueError(
                f"rule={rule!r} needs more than an image gives; choose from {', '.join(map(repr, IMAGE_RULES))}, "
                "or give n_components as a number"
            )
        return check_option("gap" if rule is None else rule, IMAGE_RULES, "rule")
    if rule is not None:
        raise ValueError(f"rule={rule!r} goes with n_components='auto', not {n_components!r}: leave one out")
    return "given"


def _chosen_window(picture: NDArray[Any], window: int | str) -> tuple[int, tuple[str, ...]]:
    """A window of given size, or of one that suits the picture, which is said."""
    if not isinstance(window, str):
        return window, ()
    if min(picture.shape) < SMALLEST_WINDOW or picture.min() == picture.max():
        return SMALLEST_WINDOW, ()  # refused with the step
    chosen, period = window_for(picture)
    if math.isnan(period):
        return chosen, (f"window='auto' is {chosen} px, the usual one: no period stands out",)
    return chosen, (f"window='auto' is {chosen} px, by the strongest period of {period:.3g} px",)


def _checked_step(picture: NDArray[Any], window: int, step: int | None) -> int:
    height, width = picture.shape
    largest = min(height, width)
    if largest < window:
        if largest < SMALLEST_WINDOW:
            raise ValueError(f"image is {height} x {width} px; both must be at least {SMALLEST_WINDOW}")
        raise ValueError(
            f"image is {height} x {width} px, smaller than window={window}; the largest possible is window={largest}"
        )
    if picture.min() == picture.max():
        raise ValueError(f"image is constant, every pixel is {picture.flat[0]}: there is nothing to tell apart")
    return max(window // 4, 1) if step is None else check_count(step, "step", 1)


def _checked_number(n_components: int | str, shape: tuple[int, int], window: int, step: int) -> int:
    """The number asked for, 0 for "auto"."""
    if isinstance(n_components, str):
        return 0
    why = f"window={window} and step={step} give {count_of(shape[0], 'window')}; a smaller step gives more"
    return check_count(n_components, "n_components", 1, min(shape), why)


def _choose(evr: NDArray[np.float64], asked: int, rule: str, full: int, apart: int) -> RankChoice:
    """The number of components; `full` EVR exist, `apart` windows fit side by side without overlap."""
    if asked:
        return RankChoice(asked, "given", f"n_components={asked} was asked for")
    if rule == "gap":
        # Overlapping windows repeat each other: beyond the number of windows that do not, EVR fall by themselves.
        most = min(apart // 2, _LOOKED_AT - 1)
        if most < 2:
            return RankChoice(1, "gap", f"only {count_of(apart, 'window')} side by side; smaller ones give more")
        most = min(most, int(np.count_nonzero(evr >= _LEAST_EVR)))
        if most < 2:
            return RankChoice(1, "gap", f"the second EVR, {evr[1]:.2g}, is below {_LEAST_EVR:g}")
        return rank_by_rule(evr, rule, max_components=most)
    return rank_by_rule(evr, rule, **({"n_total": full} if rule == "broken-stick" else {}))


def _remarks(counts: NDArray[np.intp], spacings: NDArray[np.float64], window: int) -> tuple[str, ...]:
    """What the table cannot say about components: those without a region, those without a lattice."""
    empty = [str(i + 1) for i, count in enumerate(counts) if count == 0]
    plain = [str(i + 1) for i, count in enumerate(counts) if count and np.isnan(spacings[i])]
    notes = []
    if empty:
        notes.append(f"component {', '.join(empty)}: nowhere the strongest, so without a region")
    if plain:
        reach = f"at periods below {window / LEAST_PERIODS:.3g} px, a quarter of the window"
        notes.append(f"component {', '.join(plain)}: no peak stands out {reach}, so without spacing and direction")
    return tuple(notes)
