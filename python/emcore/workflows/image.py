"""Which regions of a micrograph differ in their local periodicity, and what is the lattice of each?

Power spectra of moving windows are decomposed into a few that explain all (Jany, Janas & Krok, Micron 130 (2020)
102800): a PCA tells how many, a non-negative factorisation X ~ W H gives their spectra H and maps W. Every pixel
belongs to the component that is strongest there; spacings and directions are those of the two strongest independent
peaks in the mean power spectrum of the windows of a region, of those within it where there are any.
"""

import time
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.control import get_num_threads
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis
from emcore.core.validation import as_image, as_pixels, check_count, check_option
from emcore.core.wording import count_of
from emcore.methods.nmf.fit import SWEEPS, nmf
from emcore.methods.nmf.starts import from_pure_scores
from emcore.methods.pca.fit import pca
from emcore.methods.power_spectra.infobar import info_bar_height
from emcore.methods.power_spectra.likeness import joined, one_lattice
from emcore.methods.power_spectra.periodicity import LEAST_PERIODS, angle_between, strongest_peaks
from emcore.methods.power_spectra.regions import (
    comparable,
    leaked_powers,
    mean_powers,
    shares,
    strongest_in_pixels,
    strongest_in_windows,
    typical_powers,
    well_inside,
)
from emcore.methods.power_spectra.windows import (
    frequencies,
    full_plane,
    half_plane_weights,
    window_centers,
    windowed_power_spectra,
)
from emcore.methods.selection.components import RULES
from emcore.methods.selection.components import n_components as rank_by_rule
from emcore.methods.selection.rules import RankChoice
from emcore.results.image_analysis import ImageAnalysis
from emcore.scans.choosing import measurement
from emcore.scans.gaps import measured_part
from emcore.scans.images import select_image, suits_image

SMALLEST_WINDOW = 8
# So many lines of one value at an edge, as a part of a window, are no picture.
_EDGE = 8
# The rules look at the first 20 components and the one after.
_LOOKED_AT = 21
# Rules that need nothing but the ratios that this workflow computes.
IMAGE_RULES = ("gap", "elbow", "jany", "threshold", "broken-stick")
_ITERATIONS = 200
_TOLERANCE = 1e-3


def analyze_image(
    image: Any,
    window: int = 128,
    step: int | None = None,
    n_components: int | str = "auto",
    *,
    rule: str | None = None,
    dataset: str | int | None = None,
    frame: int | tuple[int, ...] | None = None,
    include_info_bar: bool = False,
    random_state: int = 0,
) -> ImageAnalysis:
    """Find the regions of an image that differ in local periodicity.

    Parameters
    ----------
    image : array_like, Signal, HyperSpy signal or path
        A real image, shape (H, W), at least one window large. A colour image becomes its luminance, of a stack one
        frame is taken; the result says so.
    window : int, default 128
        Side of the moving window in pixels, at least 8: several periods of the lattices sought.
    step : int, optional
        Step between windows in pixels, default a quarter of the window.
    n_components : int or "auto", default "auto"
        How many components; "auto" leaves it to `rule`.
    rule : {"gap", "elbow", "jany", "threshold", "broken-stick"}, optional
        Rule of `emcore.n_components` for "auto", default "gap", after which components of one lattice become one.
    dataset : str or int, optional
        Which data set of a file that holds several, by its name or number; see `emcore.describe`. Default: the largest
        single picture, else the largest stack.
    frame : int or tuple of int, optional
        Which image of a stack, counted from 0; also which channel of a spectrum image.
    include_info_bar : bool, default False
        Analyse an information bar below the picture, too, as electron microscopes write it. By default it is left out,
        which the result says.
    random_state : int, default 0
        Seed of the PCA's random numbers.

    Returns
    -------
    ImageAnalysis
        The same to the last bit on any number of threads. Lines and columns at the edges that hold NaN, or one value in
        at least an eighth of a window, are no picture and left out, as where a scan was stopped: their region is -1.

    Raises
    ------
    ValueError
        An image that is not 2-D, empty, constant, smaller than a window, or holds NaN or infinity but in whole lines or
        columns at its edges; more components than there are windows; an unknown rule.
    TypeError
        Complex numbers, objects or strings.

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
    observed = measurement(image, suits_image, dataset)
    selected, notes = select_image(observed, frame)
    pixels = as_pixels(selected.data, "image", 2)
    window = check_count(window, "window", SMALLEST_WINDOW)
    stated = observed.metadata.get("information_bar", 0)
    bar = 0 if include_info_bar else info_bar_height(pixels, stated)
    picture = pixels[: pixels.shape[0] - bar]
    # What is asked for with its bar has lines of one value.
    part = measured_part(picture, picture.size if include_info_bar else max(window // _EDGE, 2))
    n_empty, total = picture.size - picture[part].size, picture.size
    picture = _finite(picture, part)
    step = _checked_step(picture, window, step)
    rule = _checked_rule(n_components, rule)
    axes, axes_notes = _common_units(selected.axes)
    if bar:
        notes += (
            f"an information bar below the picture, {count_of(bar, 'row')}, was left out: "
            "include_info_bar=True analyses it",
        )

    if n_empty:
        notes += (f"{n_empty} of {total} pixels are empty, lines or columns at the edges: they take no part",)

    spectra = windowed_power_spectra(picture, window, step)
    ny, nx = spectra.shape[:2]
    rows = spectra.reshape(ny * nx, -1)
    weights = np.broadcast_to(half_plane_weights(window), spectra.shape[2:]).ravel()
    asked = _checked_number(n_components, rows.shape, window, step)
    size = min(max(asked, _LOOKED_AT), *rows.shape)
    principal = pca(rows, size, center=False, weights=np.sqrt(weights), random_state=random_state)
    apart = min((picture.shape[0] // window) * (picture.shape[1] // window), ny * nx)
    choice = _choose(principal.explained_variance_ratio, asked, rule, min(rows.shape), apart)
    y, x = window_centers(picture.shape, window, step)
    scale = (abs(axes[0].scale), abs(axes[1].scale))
    parts = _separate(spectra, weights, from_pure_scores(rows, principal, choice.n), picture.shape, step, scale)
    if choice.rule == "gap" and choice.n > 1:
        numbers = one_lattice(parts.powers, np.isfinite(parts.peaks[:, 0, 0]))
        if (fewer := int(numbers.max()) + 1) < choice.n:
            notes += (f"components whose mean spectra show the same lattice are one: {fewer} of {choice.n} are left",)
            choice = replace(choice, n=fewer, reason=f"{choice.reason}; those of one lattice are one")
            start = from_pure_scores(rows, principal, 1) if fewer == 1 else joined(parts.maps, parts.spectra, numbers)
            parts = _separate(spectra, weights, start, picture.shape, step, scale)
    regions = np.full(pixels.shape, -1, dtype=np.int32)
    regions[part] = parts.regions
    y, x = y + part[0].start, x + part[1].start
    peaks, counts = parts.peaks, parts.counts
    notes += axes_notes + _remarks(counts, peaks[:, 0, 0], window)
    if choice.n > 1 and parts.n_iter == _ITERATIONS:
        notes += (f"the factorisation was still improving after {_ITERATIONS} iterations: maps may be a little off",)

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
    elapsed = time.perf_counter() - started
    return ImageAnalysis(
        maps=parts.maps,
        spectra=full_plane(parts.spectra),
        y=axes[0].offset + axes[0].scale * y,
        x=axes[1].offset + axes[1].scale * x,
        frequency_y=frequencies(window, scale[0]),
        frequency_x=frequencies(window, scale[1]),
        regions=regions,
        area=counts / max(int(counts.sum()), 1),
        spacing=peaks[:, 0, 0],
        direction=peaks[:, 0, 1],
        evr=principal.explained_variance_ratio,
        n_components=choice.n,
        rule=choice.rule,
        reason=choice.reason,
        image=replace(selected, data=pixels, axes=axes),
        measured=_measured(pixels.shape, bar, part) if n_empty else None,
        n_empty=n_empty,
        provenance=Provenance.record(
            "analyze_image", parameters, observed, elapsed=elapsed, threads=get_num_threads(), notes=notes
        ),
        second_spacing=peaks[:, 1, 0],
        second_direction=peaks[:, 1, 1],
        angle=np.array([angle_between(*directions) for directions in peaks[:, :, 1]]),
    )


def _measured(shape: tuple[int, ...], bar: int, part: tuple[slice, slice]) -> NDArray[np.bool_]:
    """True in that part of the picture, and in the bar below."""
    measured = np.zeros(shape, dtype=bool)
    measured[part] = measured[shape[0] - bar :] = True
    return measured


def _finite(picture: NDArray[Any], part: tuple[slice, slice]) -> NDArray[Any]:
    """That part of a picture, without NaN and infinity."""
    try:
        return as_image(picture[part])
    except ValueError:
        rest = np.zeros_like(picture)
        rest[part] = picture[part]
        return as_image(rest)[part]  # which names the place in the whole picture


class _Parts(NamedTuple):
    """A factorisation and what it says about the picture."""

    maps: NDArray[np.float32]
    spectra: NDArray[np.float32]
    n_iter: int
    regions: NDArray[np.int32]
    counts: NDArray[np.intp]
    powers: NDArray[np.float64]
    peaks: NDArray[np.float64]


def _separate(
    spectra: NDArray[np.float32],
    weights: NDArray[Any],
    start: tuple[NDArray[Any], NDArray[Any]],
    shape: tuple[int, int],
    step: int,
    scale: tuple[float, float],
) -> _Parts:
    """Factorise the windows' spectra, and find regions of a picture of this shape and their lattices."""
    (ny, nx, window, _), n = spectra.shape, len(start[1])
    rows = spectra.reshape(ny * nx, -1)
    # Of one component the start, a singular vector, is the solution.
    limits: dict[str, Any] = {"max_iter": _ITERATIONS if n > 1 else 1, "tol": _TOLERANCE}
    factors = nmf(rows, n, init="custom", W0=start[0], H0=start[1], weights=weights, inner_sweeps=SWEEPS, **limits)
    maps = np.ascontiguousarray(factors.W.T, dtype=np.float32).reshape(n, ny, nx)
    strength = comparable(maps)
    y, x = window_centers(shape, window, step)
    regions = strongest_in_pixels(strength, y, x, shape)
    half = (window - 1) // (2 * step)
    labels = well_inside(strongest_in_windows(strength), (half, half))
    powers, typical = (
        full_plane(spectrum(rows, labels.ravel(), n).reshape(n, *spectra.shape[2:]))
        for spectrum in (mean_powers, typical_powers)
    )
    leaked = leaked_powers(powers, labels, shares(regions, n, y, x, window))
    # Windows that overlap by half are as good as apart.
    windows = np.bincount(labels[labels >= 0], minlength=n) * min(2 * step / window, 1) ** 2
    return _Parts(
        maps=maps,
        spectra=factors.H.astype(np.float32).reshape(n, *spectra.shape[2:]),
        n_iter=factors.n_iter,
        regions=regions,
        counts=np.array([np.count_nonzero(regions == i) for i in range(n)]),
        powers=powers,
        peaks=np.array([strongest_peaks(powers[i], scale, typical[i], leaked[i], windows[i]) for i in range(n)]),
    )


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
        return rank_by_rule(evr, rule, max_components=most)
    return rank_by_rule(evr, rule, **({"n_total": full} if rule == "broken-stick" else {}))


def _common_units(axes: tuple[Axis, ...]) -> tuple[tuple[Axis, Axis], tuple[str, ...]]:
    y, x = (replace(axis, name=name) for axis, name in zip(axes, ("y", "x"), strict=True))
    if y.units == x.units:
        return (y, x), ()
    note = f"y is in {y.units}, x in {x.units}: lengths are given in pixels"
    return (Axis("y", y.size), Axis("x", x.size)), (note,)


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
