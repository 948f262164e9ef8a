"""Which particles does an image show, how large are they, what shapes do they have, and what are they made of?

Particles are found in the image, or given as labels or a mask, and measured; the spectra of the positions of each are
added up, so that a few counts in each become a spectrum that can be quantified (Qahtan et al., EMC 2024 no. 893), and
compared; classes of shape come of fingerprints (Chen, no. 115).
"""

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.control import get_num_threads, hearing
from emcore.core.documentation import documented
from emcore.core.memory import check_memory, in_words
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal
from emcore.core.validation import as_pixels, check_count, check_finite, check_number
from emcore.core.wording import count_of
from emcore.methods.particles.composition import composition_groups
from emcore.methods.particles.segment import numbered, parted, segment_particles
from emcore.methods.particles.shapes import fingerprints_of, shape_classes
from emcore.methods.particles.table import measure_particles
from emcore.outofcore.moments import products_with, sums_by_label
from emcore.results.particles import Particles
from emcore.scans.choosing import measurement
from emcore.scans.gaps import find_gaps
from emcore.scans.images import select_image, suits_image
from emcore.scans.spectra import as_spectrum_image, suits_spectra
from emcore.scans.spectrum_rows import is_out_of_core, loaded, rows_out_of_core

# Pixels of the smallest particle, and of the smallest that has a class of shape.
LEAST, _SHAPED = 16, 60


@with_progress_bar
@documented()
def find_particles(
    image: Any,
    spectrum_image: Any = None,
    *,
    labels: Any = None,
    threshold: float | None = None,
    min_size: int = LEAST,
    frame: int | tuple[int, ...] | None = None,
    dataset: str | int | None = None,
    signal_axis: int | str | None = None,
    memory: int | str | None = None,
    random_state: int = 0,
) -> Particles:
    """Find and measure the particles of an image, add up the spectrum of each, and group them.

    Parameters
    ----------
    image : array_like, Signal, HyperSpy signal or path
        Shape (y, x), particles brighter than what is between them. A spectrum image stands for
        itself: its counts are the image.
    spectrum_image : array_like, Signal, HyperSpy signal or path, optional
        Of the same region, shape (y, x, channels); of another grid each of its positions
        belongs to the particle at its middle. Data out of core are visited in blocks.
    labels : array_like or path, shape (y, x), optional
        Particles that are known, in place of those found: whole numbers, 0 or less for none, or
        a mask, whose islands are parted at their necks.
    threshold : float, optional
        Of the smoothed image; default Otsu's.
    min_size : int, default 16
        Pixels of the smallest particle.
    frame : int or tuple of int, optional
        Which image of a stack.
    %(dataset)s
    signal_axis : int or str, optional
        Number or name of the axis along which the spectra of `spectrum_image` lie.
    %(memory)s
    random_state : int, default 0
        Of the classes and groups.

    Returns
    -------
    Particles
        In the order of falling size. Positions of the spectrum image with NaN or infinity take
        no part.

    Raises
    ------
    ValueError
        No image, no particles, labels of another shape, an image and a spectrum image of other
        proportions, NaN or infinity in the image (first position named).
    TypeError
        Data that are not real numbers, labels that are not whole.
    ImportError
        Without the extra `image` (scikit-image).

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import shaped_particles
    >>> sample = shaped_particles((192, 256), n_particles=20, channels=60)
    >>> result = emcore.find_particles(sample.image, sample.spectrum_image)
    >>> result.n_particles, result.length_units, result.spectra.shape
    (20, 'nm', (20, 60))
    """
    started = time.perf_counter()
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    least = check_count(min_size, "min_size", 1)
    if threshold is not None:
        check_number(threshold, "threshold", -math.inf)
    picture, spectra, notes = _read(image, spectrum_image, dataset, frame, signal_axis, memory)
    values = as_pixels(picture.data, "image", 2)
    check_finite(values, "image")
    level = math.nan
    if labels is None:
        found, level = hearing(lambda: segment_particles(values, threshold, least))
    else:
        found = _given(labels, values.shape, least)
    count = int(found.max()) + 1
    if not count:
        raise ValueError(
            f"no particles of at least {least} pixels "
            + (f"stand above {level:.6g}: give another threshold" if labels is None else "are in labels")
        )
    y, x = picture.axes
    scale = (y.scale, x.scale) if y.units == x.units else (1.0, 1.0)
    measured = measure_particles(found, scale)
    prints = fingerprints_of(found, scale)
    sizes = np.bincount(found[found >= 0], minlength=count)
    whole = np.flatnonzero(~measured.cut & (sizes >= _SHAPED))
    shapes = shape_classes(prints[whole], seed)
    shape_class = np.full(count, -1, dtype=np.int32)
    shape_class[whole] = shapes.labels
    if len(whole) < count:
        notes += (f"{count - len(whole)} of {count_of(count, 'particle')} are cut by the border or under {_SHAPED} px",)
    sums: dict[str, Any] = {}
    if spectra is not None:
        sums, said = _sums(spectra, found, memory, seed)
        notes += said
    parameters = {"labels": "given" if labels is not None else None, "threshold": threshold, "min_size": least}
    parameters |= {"spectrum_image": None if spectra is None else spectra.name, "random_state": seed}
    inside = found >= 0
    return Particles(
        labels=found,
        area=measured.area,
        perimeter=measured.perimeter,
        diameter=2 * np.sqrt(measured.area / math.pi),
        aspect=measured.aspect,
        y=y.offset + measured.y * y.scale,
        x=x.offset + measured.x * x.scale,
        brightness=np.bincount(found[inside], values[inside], count) / sizes,
        cut=measured.cut,
        fingerprints=prints,
        shape_class=shape_class,
        shape_share=np.bincount(shapes.labels, minlength=shapes.n_classes) / max(len(whole), 1),
        shape_reason=shapes.reason,
        threshold=float(level),
        image=replace(picture, metadata={}),
        **sums,
        provenance=Provenance.record(
            "find_particles",
            parameters,
            picture,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=notes,
        ),
    )


def _read(
    image: Any, spectrum_image: Any, dataset: Any, frame: Any, signal_axis: Any, memory: Any
) -> tuple[Signal, Signal | None, tuple[str, ...]]:
    """The image, the spectrum image if there is one, and what was done to get them."""
    notes: tuple[str, ...] = ()
    if spectrum_image is None:
        observed = measurement(image, _suits_either, dataset)
        if suits_image(observed) or not suits_spectra(observed):
            picture, notes = select_image(observed, frame)
            return picture, None, notes
        spectrum_image = image if dataset is None else observed
        image = None
        notes = ("the image is the sum of the spectra",)
    spectra = as_spectrum_image(spectrum_image, "spectrum_image", memory, signal_axis=signal_axis)
    if len(spectra.axes) != 3:
        raise ValueError(f"spectrum_image has shape {spectra.shape}; (y, x, channels) is needed")
    if image is None:
        rows = _rows(spectra, memory)
        ones = products_with(rows, np.ones((rows.shape[1], 1)))[:, 0]
        axes = tuple(replace(axis, navigation=False) for axis in spectra.axes[:2])
        total = np.where(np.isfinite(ones), ones, 0).reshape(spectra.shape[:2])
        return Signal(total, axes, spectra.source, "sum of the spectra"), spectra, (*spectra.notes, *notes)
    picture, notes = select_image(measurement(image, suits_image, dataset), frame)
    ratio = [n / m for n, m in zip(picture.shape, spectra.shape, strict=False)]
    if not math.isclose(ratio[0], ratio[1], rel_tol=0.02):
        raise ValueError(
            f"image has shape {picture.shape} and spectrum_image {spectra.shape}: they are no two grids of one region; "
            "crop one of them"
        )
    return picture, spectra, notes


def _suits_either(signal: Signal) -> int:
    return 2 * suits_image(signal) or suits_spectra(signal)


def _rows(spectra: Signal, memory: Any) -> Any:
    if is_out_of_core(spectra, memory):
        return rows_out_of_core(spectra, slice(None), "spectrum_image", memory)
    data = as_pixels(loaded(spectra).data, "spectrum_image", 3)
    return data.reshape(-1, data.shape[-1])


def _given(labels: Any, shape: tuple[int, ...], least: int) -> NDArray[np.int32]:
    """Particles from labels or a mask."""
    array = np.asarray(measurement(labels, suits_image).data)
    if array.shape != shape:
        raise ValueError(f"labels has shape {array.shape}; the image has {shape}")
    if array.dtype.kind == "f" and np.array_equal(array, np.rint(array)):
        array = array.astype(np.int64)
    if array.dtype.kind not in "biu":
        raise TypeError(
            f"labels is of {array.dtype}; whole numbers, one for each particle, or an array of bool is needed"
        )
    if array.dtype.kind == "b" or array.max() <= 1:
        return parted(array > 0, least)
    names, index = np.unique(np.where(array > 0, array, 0), return_inverse=True)
    return numbered((index.reshape(shape) - (names[0] == 0)).astype(np.int32), least)


def _sums(spectra: Signal, labels: NDArray[np.int32], memory: Any, seed: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The spectrum of each particle and of the rest, and groups of composition."""
    notes: tuple[str, ...] = tuple(note for note in spectra.notes)
    grid = spectra.shape[:2]
    if grid != labels.shape:
        middles = [
            ((np.arange(n) + 0.5) * size / n).astype(np.intp) for n, size in zip(grid, labels.shape, strict=True)
        ]
        labels = labels[np.ix_(*middles)]
        sizes = [" x ".join(map(str, each)) for each in (grid, labels.shape)]
        notes += (f"spectra on a grid of {sizes[0]}: each position belongs to the particle at its middle",)
    rows = _rows(spectra, memory)
    if is_out_of_core(spectra, memory):
        notes += (f"spectra out of core, visited in blocks with a budget of {in_words(check_memory(memory))}",)
    count = int(labels.max()) + 1
    of_rows = np.where(labels.ravel() < 0, count, labels.ravel()).astype(np.int32)
    lost = 0
    if rows.dtype.kind == "f":
        gaps = find_gaps(rows, constant=False)
        gaps.check("spectrum_image", spectra.shape, 1)
        lost = gaps.invalid
        if lost:
            rows_lost = gaps.empty & ~np.isfinite(products_with(rows, np.ones((rows.shape[1], 1)))[:, 0])
            of_rows[rows_lost] = -1
            notes += (f"{count_of(lost, 'position')} of the spectra with NaN or infinity left out",)
    sums, positions = sums_by_label(rows, of_rows, count + 1)
    energy: Axis = spectra.axes[-1]
    groups = composition_groups(sums[:-1], seed)
    mean = Signal(sums.sum(axis=0) / max(int(positions.sum()), 1), (energy,), spectra.source, spectra.title)
    fields = {"spectra": sums[:-1], "rest": sums[-1], "positions": positions[:-1], "mean": mean}
    fields |= {"group": groups.labels, "group_reason": groups.reason}
    return fields | {"instrument": spectra.metadata.get("instrument", {})}, notes
