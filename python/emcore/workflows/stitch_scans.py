"""What is stitched: segmentations, scans that are segmented first, or images, each as what registration compares."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal, array_sha256
from emcore.core.validation import Floats
from emcore.core.wording import quantity
from emcore.methods.registration.images import picture_of, sampled
from emcore.methods.registration.pairs import Material
from emcore.methods.registration.patterns import Grains, polar
from emcore.methods.registration.transforms import about, apply, grid_of, inverse
from emcore.results.nexus import is_result
from emcore.results.result import load_result
from emcore.results.segmentation import Segmentation
from emcore.scans.choosing import measurement
from emcore.scans.images import select_image, suits_image
from emcore.scans.patterns import suits_patterns
from emcore.workflows.grains import segment_grains

# Steps of two scans that differ by less are one; a scan of so much finer steps than another is not compared with it.
_SAME_STEP, _FINER = 1e-3, 16.0
# The beam is left out by so much more than its radius, up to that part of the pattern; without one, up to that part.
_BEAM, _MOST, _INNER = 1.3, 0.4, 0.05


@dataclass(frozen=True)
class Scan:
    """
    One of the scans that are stitched.

    Attributes
    ----------
    name : str
    image : Signal, shape (y, x)
        NaN where nothing was measured.
    segmentation : Segmentation, optional
        None of an image.
    sha256 : str
        Hash of what it was made of.
    notes : tuple of str
    """

    name: str
    image: Signal
    segmentation: Segmentation | None
    sha256: str
    notes: tuple[str, ...] = ()

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where was measured."""
        finite: NDArray[np.bool_] = np.isfinite(np.asarray(self.image.data))
        return finite if self.segmentation is None else finite & (self.segmentation.labels >= 0)


def read_scan(given: Any, number: int, settings: Mapping[str, Any], dataset: str | int | None) -> Scan:
    """A scan that was given, as a segmentation, its file, a scan or an image; `number` counts from 1."""
    path = isinstance(given, str | os.PathLike)
    if path and is_result(Path(given)):
        name, given = Path(given).name, load_result(given)
        if not isinstance(given, Segmentation):
            raise ValueError(
                f"{name} holds a result of the kind {type(given).__name__}; a Segmentation, a scan of patterns or an "
                "image is needed"
            )
    if isinstance(given, Segmentation):
        name = given.provenance.input_name
        where = np.where(given.labels >= 0, np.asarray(given.image.data, dtype=np.float64), np.nan)
        image = Signal(where, given.image.axes, given.image.source, given.image.title)
        return Scan(name, image, given, given.provenance.input_sha256, given.provenance.notes)
    signal = measurement(given, _suits, dataset)
    if suits_patterns(signal) == 2:
        result = segment_grains(given, dataset=dataset, **settings)
        return read_scan(result, number, settings, dataset)
    picture, notes = select_image(signal)
    if min(picture.shape) < 8:
        raise ValueError(f"scan {number} has shape {picture.shape}: at least 8 x 8 positions are needed to stitch it")
    values = np.asarray(picture.data, dtype=np.float64)
    if not np.isfinite(values).any():
        raise ValueError(f"scan {number}, {picture.name}, has no finite value")
    image = Signal(values, picture.axes, picture.source, picture.title)
    return Scan(picture.name, image, None, picture.sha256(), (*picture.notes, *notes))


def _suits(signal: Signal) -> int:
    return 4 if suits_patterns(signal) == 2 else suits_image(signal)


def steps_of(scans: Sequence[Scan]) -> tuple[list[tuple[float, float]], str]:
    """Step of each scan along y and x in one unit, and that unit; 1 each, in "px", where one of them has none."""
    units = scans[0].image.axes[1].units
    found = []
    for scan in scans:
        axes = [axis.to(units) for axis in scan.image.axes]
        if any(axis is None or not axis.calibrated or not axis.even for axis in axes):
            return [(1.0, 1.0)] * len(scans), "px"
        found.append((abs(axes[0].scale), abs(axes[1].scale)))  # type: ignore[union-attr]
    finest = min(min(each) for each in found)
    for number, (scan, each) in enumerate(zip(scans, found, strict=True), start=1):
        if max(each) > _FINER * finest:
            raise ValueError(
                f"scan {number}, {scan.name}, has a step of {quantity(max(each), units)}, another one of "
                f"{quantity(finest, units)}: scans whose steps differ by so much are not compared"
            )
    return found, units


@dataclass(frozen=True)
class Prepared:
    """
    Scans on grids of one step, as registration compares them.

    Attributes
    ----------
    materials : list of Material
    to_common : list of ndarray, each of shape (3, 3)
        From positions of each scan to places in its material.
    near : dict from (int, int) to ndarray, shape (3, 3)
        What the offsets of the axes say of where one material lies on another.
    """

    materials: list[Material]
    to_common: list[Floats]
    near: dict[tuple[int, int], Floats]


def prepare(scans: Sequence[Scan]) -> Prepared:
    """The scans as they are compared: on grids of the finest step of all, with the patterns of their grains."""
    steps, units = steps_of(scans)
    finest = min(min(each) for each in steps)
    vectors = _vectors(scans)
    materials, to_common = [], []
    for scan, step, of_grains in zip(scans, steps, vectors, strict=True):
        times = [1.0 if math.isclose(each, finest, rel_tol=_SAME_STEP) else each / finest for each in step]
        common = np.diag([*times, 1.0])
        labels = None if scan.segmentation is None else scan.segmentation.labels
        values, mask = np.asarray(scan.image.data), scan.mask
        if times != [1.0, 1.0]:
            shape = tuple(int((size - 1) * each + 1e-9) + 1 for size, each in zip(values.shape, times, strict=True))
            places = apply(inverse(common), grid_of(shape))
            index = tuple(np.rint(places).astype(np.intp).T)
            mask, labels = mask[index].reshape(shape), None if labels is None else labels[index].reshape(shape)
            filled = np.where(np.isfinite(values), values, np.nanmean(values))
            values = sampled(filled[None], places, order=1)[0].reshape(shape)
        grains = None
        if labels is not None and of_grains is not None:
            size = np.bincount(labels[labels >= 0], minlength=len(of_grains))
            mean = np.average(of_grains, axis=0, weights=size)
            grains = Grains(labels, of_grains - mean, size)
        picture = picture_of(np.where(mask, values, np.nan))
        materials.append(Material(picture, array_sha256(np.asarray(scan.image.data)), grains))
        to_common.append(common)
    return Prepared(materials, to_common, _near(scans, finest, units))


def _near(scans: Sequence[Scan], step: float, units: str) -> dict[tuple[int, int], Floats]:
    """Shifts by the offsets of calibrated axes, if these differ."""
    if units == "px":
        return {}
    axes = [[axis.to(units) for axis in scan.image.axes] for scan in scans]
    offsets = np.array([[axis.offset for axis in each if axis is not None] for each in axes])
    rising = all(axis is not None and axis.scale > 0 for each in axes for axis in each)
    if not rising or np.ptp(offsets, axis=0).max() < step:
        return {}
    count = len(scans)
    return {
        (i, j): about(np.eye(2), np.zeros(2), (offsets[i] - offsets[j]) / step)
        for i in range(count)
        for j in range(i + 1, count)
    }


def _vectors(scans: Sequence[Scan]) -> list[Floats | None]:
    """The mean patterns of the grains of each scan, on one polar grid."""
    results = [scan.segmentation for scan in scans]
    known = [each for each in results if each is not None]
    if len(known) < len(results):
        return [None] * len(scans)
    axes = [each.mean.axes for each in known]
    units = axes[0][1].units
    converted = [axis[1].to(units) for axis in axes]
    calibrated = all(axis is not None and axis.calibrated and axis.even for axis in converted)
    pixel = [abs(axis.scale) if calibrated and axis is not None else 1.0 for axis in converted]
    shapes = {each.mean.shape for each in known}
    if not calibrated and len(shapes) > 1:
        raise ValueError(
            f"the patterns have the shapes {', '.join(map(str, sorted(shapes)))} and no common unit: they cannot be "
            "compared; bin them to one shape, or give their axes units"
        )
    centers = [np.array(each.beam_center or [(size - 1) / 2 for size in each.mean.shape]) for each in known]
    reach = min(
        p * min(*center, *(np.array(each.mean.shape) - 1 - center))
        for p, center, each in zip(pixel, centers, known, strict=True)
    )
    beam = max(_BEAM * p * (each.beam_radius or 0.0) for p, each in zip(pixel, known, strict=True)) or _INNER * reach
    # What was masked was more than the beam, where so little is left.
    beam = min(beam, _MOST * reach)
    return [
        polar(each.signals, center, 1 / p, beam, reach) for each, center, p in zip(known, centers, pixel, strict=True)
    ]


def mosaic_axes(first: Signal, origin: tuple[int, int], shape: tuple[int, int]) -> tuple[Axis, Axis]:
    """Axes of a mosaic: those of the first scan, carried on."""
    y, x = (
        Axis(axis.name, size, axis.scale, float(f"{axis.offset + start * axis.scale:.12g}"), axis.units)
        for axis, start, size in zip(first.axes, origin, shape, strict=True)
    )
    return y, x
