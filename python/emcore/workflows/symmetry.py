"""Which regions of an atomic-resolution image differ in their local symmetry: their lattice, its orientation, its axes?

Around every one of many points the image is compared with its own copies, shifted, turned or reflected. The scores, a
few principal components of them, fall into groups (Wang et al., Microsc. Microanal. 27 (2021) 1454): translations tell
grains by lattice and orientation, the largest of them and rotations by lattice alone, so that what does not fit, as a
boundary, stands out. Spacings and directions are those of the windowed power spectra of each region.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.quantities import in_pixels
from emcore.core.signals import Axis
from emcore.core.validation import check_count, check_option
from emcore.methods.power_spectra.periodicity import angle_between
from emcore.methods.power_spectra.regions import shares
from emcore.methods.power_spectra.separation import Picture as Cut
from emcore.methods.power_spectra.separation import lattices
from emcore.methods.power_spectra.window_size import window_for
from emcore.methods.power_spectra.windows import window_centers, windowed_power_spectra
from emcore.methods.symmetry.descriptors import Descriptors, at_pixels, described, descriptors_for
from emcore.methods.symmetry.model import confidence, fitted
from emcore.methods.symmetry.scores import SCORES
from emcore.results.symmetry_map import SymmetryMap
from emcore.scans.choosing import measurement
from emcore.scans.images import suits_image
from emcore.scans.pictures import Picture, picture_of

# So many lines of one value at an edge are no picture.
LINES = 16
# Principal components, as published.
COMPONENTS = 5
_MOST_REGIONS = 100


@with_progress_bar
@documented()
def local_symmetry(
    image: Any,
    score: str = "translation",
    n_regions: int | str = "auto",
    *,
    window: int | str | None = None,
    patch: int | str | None = None,
    stride: int | None = None,
    pool: str | None = None,
    n_components: int = COMPONENTS,
    dataset: str | int | None = None,
    frame: int | tuple[int, ...] | None = None,
    include_info_bar: bool = False,
    random_state: int = 0,
) -> SymmetryMap:
    """Find the regions of an image that differ in their local symmetry.

    Parameters
    ----------
    image : array_like, Signal, HyperSpy signal or path
        A real image, shape (H, W), of some lattice cells a side. A colour image becomes its
        luminance, of a stack one frame is taken; the result says so.
        `emcore.local_symmetry_series` follows regions through all frames.
    score : {"translation", "rotation", "reflection"}, default "translation"
        What is compared: see `emcore.local_symmetry_scores`. Of rotations and reflections the
        largest score within a cell counts. What is slower than the lattice is subtracted
        before.
    n_regions : int or "auto", default "auto"
        How many regions; "auto" takes as many groups as are well apart, and one where none are.
    window, patch : int or str, optional
        Half sizes of the window of shifts and of the patch in pixels, or as "1.2 nm". By
        default by the image's own period, which the result says.
    stride : int, optional
        Pixels between neighbouring points, default a quarter of the patch, of rotations and
        reflections a twelfth; more in large images.
    pool : {"max"}, optional
        Of translations only the 10 largest scores: they do not change when the crystal turns.
    n_components : int, default 5
        Principal components of the scores that are grouped.
    %(dataset)s
    frame : int or tuple of int, optional
        Which image of a stack, counted from 0; also which channel of a spectrum image.
    include_info_bar : bool, default False
        Analyse an information bar below the picture, too.
    random_state : int, default 0
        Seed of the starts.

    Returns
    -------
    SymmetryMap
        The same to the last bit on any number of threads. Lines and columns at the edges that
        hold NaN, or one value in at least 16 of them, are no picture: their label is -1, and no
        patch reaches into them. Pixels too near to an edge for a patch of their own have the
        label of the nearest point, which the result says.

    Raises
    ------
    ValueError
        An image that is not 2-D, empty, constant, too small for window and patch, or holds NaN
        or infinity but in whole lines or columns at its edges; an unknown score; more regions
        than points.
    TypeError
        Complex numbers, objects or strings.

    References
    ----------
    N. Wang, C. Freysoldt, S. Zhang, C. H. Liebscher, J. Neugebauer, "Segmentation of static and
    dynamic atomic-resolution microscopy data sets with unsupervised machine learning using
    local symmetry descriptors", Microsc. Microanal. 27 (2021) 1454-1464.
    https://doi.org/10.1017/S1431927621012770

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import crystal_grains
    >>> sample = crystal_grains((240, 280))
    >>> result = emcore.local_symmetry(sample.image)
    >>> result.n_regions, result.spacing.round(1)
    (2, array([10.4, 10.4]))
    >>> emcore.local_symmetry(sample.image, "rotation").n_regions  # the crystal, and its boundary
    2
    """
    started = time.perf_counter()
    asked = checked(score, pool, n_regions, n_components, stride, random_state)
    observed = measurement(image, suits_image, dataset)
    seen = picture_of(observed, frame, include_info_bar, LINES)
    how = descriptors_of(seen, score, pool, window, patch, stride)
    found = described(seen.pixels, how)
    points = found.scores.shape[0] * found.scores.shape[1]
    if asked > points:
        raise ValueError(f"n_regions={n_regions} is too many: stride={how.stride} gives {points} points")
    model, groups, reason = fitted(found.scores, asked, n_components, max(how.patch // how.stride, 1), random_state)
    k = len(model.centers)
    shape = seen.pixels.shape
    regions = at_pixels(groups, found.y, found.x, (shape[0], shape[1]))
    counts = np.bincount(regions.ravel(), minlength=k)
    axes = seen.image.axes
    peaks = _lattices(seen.pixels, regions, k, (axes[0], axes[1]))
    labels = np.full(seen.image.shape, -1, dtype=np.int32)
    clear = np.zeros(seen.image.shape, dtype=np.float32)
    labels[seen.part] = regions
    clear[seen.part] = at_pixels(confidence(found.scores, model), found.y, found.x, (shape[0], shape[1]))
    rows = found.scores.reshape(points, -1)
    y, x = found.y + seen.part[0].start, found.x + seen.part[1].start
    plain = () if np.isfinite(peaks[:, 0, 0]).any() else ("no lattice stands out in the power spectra of any region",)
    parameters = {
        "score": score,
        "n_regions": n_regions,
        "window": window,
        "patch": patch,
        "stride": stride,
        "pool": pool,
        "n_components": n_components,
        "dataset": dataset,
        "frame": frame,
        "include_info_bar": include_info_bar,
        "random_state": random_state,
    }
    return SymmetryMap(
        labels=labels,
        confidence=clear,
        maps=np.ascontiguousarray(np.moveaxis(model.places(found.scores), 2, 0), dtype=np.float32),
        y=axes[0].offset + axes[0].scale * y,
        x=axes[1].offset + axes[1].scale * x,
        share=counts / counts.sum(),
        spacing=peaks[:, 0, 0],
        direction=peaks[:, 0, 1],
        second_spacing=peaks[:, 1, 0],
        second_direction=peaks[:, 1, 1],
        angle=np.array([angle_between(*directions) for directions in peaks[:, :, 1]]),
        scores=np.stack([rows[groups.ravel() == i].mean(axis=0, dtype=np.float64) for i in range(k)]),
        features=found.features,
        centers=model.centers,
        components=model.components,
        evr=model.evr,
        n_regions=k,
        rule="given" if asked else "silhouette",
        reason=reason,
        score=score,
        pool=pool,
        window=found.window,
        patch=how.patch,
        stride=how.stride,
        sizes=how.reason,
        image=seen.image,
        provenance=Provenance.record(
            "local_symmetry",
            parameters,
            observed,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=(*seen.notes, *seen.axes_notes, *plain, said_of_edges(how)),
        ),
        measured=seen.measured,
        n_empty=seen.n_empty,
    )


def checked(
    score: str, pool: str | None, n_regions: int | str, n_components: int, stride: int | None, random_state: int
) -> int:
    """How many regions are asked for, 0 for "auto"; what is not known is refused."""
    check_option(score, SCORES, "score")
    if pool is not None and score != "translation":
        raise ValueError(f"pool={pool!r} goes with score='translation', not {score!r}: leave it out")
    if stride is not None:
        check_count(stride, "stride", 1)
    check_count(n_components, "n_components", 1)
    check_count(random_state, "random_state", 0, 2**63 - 1)
    if isinstance(n_regions, str):
        check_option(n_regions, ("auto",), "n_regions")
        return 0
    return check_count(n_regions, "n_regions", 1, _MOST_REGIONS)


def descriptors_of(
    seen: Picture, score: str, pool: str | None, window: int | str | None, patch: int | str | None, stride: int | None
) -> Descriptors:
    """How a picture is described, sizes in pixels or in its units; refused where there is nothing to compare."""
    picture = seen.pixels
    if picture.min() == picture.max():
        raise ValueError(f"image is constant, every pixel is {picture.flat[0]}: there is nothing to compare")
    if window is not None and score != "translation":
        raise ValueError(f"window={window!r} goes with score='translation', not {score!r}: leave it out")
    wide, half = (
        None if size is None else in_pixels(size, seen.image.axes[1], name)
        for name, size in (("window", window), ("patch", patch))
    )
    how = descriptors_for(picture, score, pool, wide, half, stride)
    reach = reach_of(how)
    if min(picture.shape) < 2 * reach + 1:
        height, width = picture.shape
        both = f"window {how.window} and patch {how.patch}" if score == "translation" else f"patch {how.patch}"
        raise ValueError(
            f"image is {height} x {width} px, too small for {both} ({how.reason}), which need {2 * reach + 1} px a "
            "side: give smaller ones"
        )
    return how


def reach_of(how: Descriptors) -> int:
    """So many pixels to all sides of a point are compared."""
    return how.patch + (how.window if how.score == "translation" else 0)


def said_of_edges(how: Descriptors) -> str:
    """How far from the edges labels are those of the nearest point."""
    reach = reach_of(how)
    return f"patches fit from {reach} px off the edges on: nearer to them pixels have the label of the nearest point"


def _lattices(
    picture: NDArray[Any], regions: NDArray[np.int32], k: int, axes: tuple[Axis, Axis]
) -> NDArray[np.float64]:
    """The two strongest independent peaks of every region, shape (k, 2, 3)."""
    window = window_for(picture)[0]
    step = max(window // 4, 1)
    cut = Cut((picture.shape[0], picture.shape[1]), step, (abs(axes[0].scale), abs(axes[1].scale)))
    y, x = window_centers(cut.shape, window, step)
    of_regions = shares(regions, k, y, x, window)
    # A window that lies half on a region tells of its lattice.
    labels = np.where(of_regions.max(axis=0) > 0.5, of_regions.argmax(axis=0), -1)
    return lattices(windowed_power_spectra(picture, window, step), regions, labels, k, cut)[2]
