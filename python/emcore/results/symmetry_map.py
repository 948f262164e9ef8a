"""What the local symmetry of an image, and of a series of images, gives back."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.core.validation import check_count
from emcore.methods.symmetry.descriptors import at_pixels
from emcore.results.result import Result
from emcore.results.table import Tabled


def _length(axis: int) -> Any:
    return lambda result: result.image.axes[axis].units


def _features(result: Any) -> tuple[str, ...]:
    return ("feature", "along") if result.features.ndim == 2 else ("feature",)


@dataclass(frozen=True, eq=False)
class SymmetryMap(Result):
    """Regions of an image whose local symmetry differs, and how they were found.

    Attributes
    ----------
    labels : ndarray, shape (H, W), int32
        Region of every pixel, 0 to k - 1, the smallest region first; -1 where the image was not
        analysed or is blank.
    confidence : ndarray, shape (H, W), float32
        1 - (distance to the own centre) / (distance to the next one), of the principal
        components: 1 in the middle of a group, 0 half-way between two. 1 where there is one
        region only, 0 where there is no label.
    maps : ndarray, shape (p, ny, nx), float32
        Principal components of the scores at every point.
    y, x : ndarray, shape (ny,) and (nx,), float64
        Places of the points, in the units of the image.
    share : ndarray, shape (k,), float64
        Fraction of the labelled pixels.
    spacing, direction : ndarray, shape (k,), float64
        Of the strongest peak in the power spectra of the windows of a region, as in
        `emcore.ImageAnalysis`; NaN where none stands out.
    second_spacing, second_direction, angle : ndarray, shape (k,), float64
        Of the strongest peak that is independent of it, and between the two directions; NaN
        where there is none.
    scores : ndarray, shape (k, d), float64
        Mean scores of each region.
    features : ndarray, shape (d, 2) or (d,)
        What each score is of, see `emcore.local_symmetry_scores`.
    centers : ndarray, shape (k, p), float64
        Mean components of each region.
    components : ndarray, shape (p, d), float64
        Principal components of the scores.
    evr : ndarray, shape (p,), float64
        Explained-variance ratios of these.
    n_regions : int
    rule : str
        The rule that chose the number of regions, or "given".
    reason : str
        Why it chose that.
    score : str
    pool : str or None
        What was compared, see `emcore.local_symmetry_scores`.
    window, patch, stride : int
        Half sizes of the window of shifts (0 for other scores) and of the patch, and the
        distance of points, in pixels.
    sizes : str
        Why these.
    image : Signal
        The image that was analysed, with its calibration.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    measured : ndarray, shape (H, W), bool, optional
        False where lines or columns at the edges hold no picture; None where all was measured.
    n_empty : int
        How many pixels that are; they took no part.
    """

    page: ClassVar[str] = "symmetry"

    labels: NDArray[np.int32] = field(metadata={"axes": ("image.y", "image.x"), "default": True, "counts": "region"})
    confidence: NDArray[np.float32] = field(metadata={"axes": ("image.y", "image.x")})
    maps: NDArray[np.float32] = field(metadata={"axes": ("component", "y", "x")})
    y: NDArray[np.float64] = field(metadata={"units": _length(0), "long_name": "place of a point, y"})
    x: NDArray[np.float64] = field(metadata={"units": _length(1), "long_name": "place of a point, x"})
    share: NDArray[np.float64] = field(metadata={"axes": ("region",), "long_name": "fraction of the area"})
    spacing: NDArray[np.float64] = field(metadata={"axes": ("region",), "units": _length(1)})
    direction: NDArray[np.float64] = field(metadata={"axes": ("region",), "units": "deg"})
    second_spacing: NDArray[np.float64] = field(
        metadata={"axes": ("region",), "units": _length(1), "long_name": "spacing, second peak"}
    )
    second_direction: NDArray[np.float64] = field(
        metadata={"axes": ("region",), "units": "deg", "long_name": "direction, second peak"}
    )
    angle: NDArray[np.float64] = field(
        metadata={"axes": ("region",), "units": "deg", "long_name": "angle between the two peaks"}
    )
    scores: NDArray[np.float64] = field(metadata={"axes": ("region", "feature"), "long_name": "mean score"})
    features: NDArray[Any] = field(metadata={"axes": _features})
    centers: NDArray[np.float64] = field(metadata={"axes": ("region", "component")})
    components: NDArray[np.float64] = field(metadata={"axes": ("component", "feature")})
    evr: NDArray[np.float64] = field(metadata={"axes": ("component",), "long_name": "explained variance ratio"})
    n_regions: int
    rule: str
    reason: str
    score: str
    pool: str | None
    window: int
    patch: int
    stride: int
    sizes: str
    image: Signal
    provenance: Provenance
    measured: NDArray[np.bool_] | None = field(default=None, metadata={"axes": ("image.y", "image.x")})
    n_empty: int = 0


@dataclass(frozen=True, eq=False)
class SymmetrySeries(Tabled, Result):
    """Regions of the images of a series, labels meaning the same in all of them.

    Attributes
    ----------
    labels : ndarray, shape (T, ny, nx), int16
        Region of every point of every frame, 0 to k - 1, the smallest region of the reference
        first; -1 where nothing was measured. `regions` gives those of all pixels of a frame.
    confidence : ndarray, shape (T, ny, nx), float32
        As in `SymmetryMap`; 0 where there is no label.
    y, x : ndarray, shape (ny,) and (nx,), float64
        Places of the points, in the units of the images.
    frame : ndarray, shape (T,), float64
        When each frame was taken, or its number.
    share : ndarray, shape (T, k), float64
        Fraction of the labelled points of a frame; NaN in one without any.
    scores : ndarray, shape (k, d), float64
        Mean scores of each region of the reference.
    features : ndarray, shape (d, 2) or (d,)
        What each score is of, see `emcore.local_symmetry_scores`.
    centers : ndarray, shape (T, k, p), float64
        Mean components of each region in every frame.
    evr : ndarray, shape (p,), float64
        Explained-variance ratios of the reference.
    reference : int
        The frame by which regions were found, from 0 on.
    n_regions : int
    rule, reason, score, pool, window, patch, stride, sizes
        As in `SymmetryMap`.
    image : Signal
        The reference, with its calibration.
    shown : Signal, shape (m, H, W)
        A few frames, for the report.
    shown_frames : ndarray, shape (m,), int64
        Their numbers, from 0 on.
    frame_units : str
        Of `frame`; "" for numbers.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    n_empty : int
        How many frames hold no measurement; their labels are -1.
    """

    page: ClassVar[str] = "symmetry_series"

    labels: NDArray[np.int16] = field(metadata={"axes": ("frame", "y", "x"), "default": True, "counts": "region"})
    confidence: NDArray[np.float32] = field(metadata={"axes": ("frame", "y", "x")})
    y: NDArray[np.float64] = field(metadata={"units": _length(0), "long_name": "place of a point, y"})
    x: NDArray[np.float64] = field(metadata={"units": _length(1), "long_name": "place of a point, x"})
    frame: NDArray[np.float64] = field(metadata={"units": lambda result: result.frame_units})
    share: NDArray[np.float64] = field(metadata={"axes": ("frame", "region"), "long_name": "fraction of the area"})
    scores: NDArray[np.float64] = field(metadata={"axes": ("region", "feature"), "long_name": "mean score"})
    features: NDArray[Any] = field(metadata={"axes": _features})
    centers: NDArray[np.float64] = field(metadata={"axes": ("frame", "region", "component")})
    evr: NDArray[np.float64] = field(metadata={"axes": ("component",), "long_name": "explained variance ratio"})
    reference: int
    n_regions: int
    rule: str
    reason: str
    score: str
    pool: str | None
    window: int
    patch: int
    stride: int
    sizes: str
    image: Signal
    shown: Signal
    shown_frames: NDArray[np.int64]
    frame_units: str
    provenance: Provenance
    n_empty: int = 0

    def regions(self, frame: int) -> NDArray[np.int16]:
        """The region of every pixel of a frame, that of the nearest point.

        Parameters
        ----------
        frame : int
            From 0 on.

        Returns
        -------
        ndarray, shape (H, W), int16
        """
        i = check_count(frame, "frame", 0, len(self.labels) - 1)
        (vertical, horizontal), (height, width) = self.image.axes, self.image.shape
        y = (self.y - vertical.offset) / vertical.scale
        x = (self.x - horizontal.offset) / horizontal.scale
        spread: NDArray[np.int16] = at_pixels(self.labels[i], y, x, (height, width))
        return spread

    def table(self) -> dict[str, list[Any]]:
        """Which part of every frame each region covers."""
        columns: dict[str, list[Any]] = {"frame": list(range(len(self.frame)))}
        if self.frame_units:
            columns[f"time ({self.frame_units})"] = self.frame.tolist()
        return columns | {f"region {i + 1}": share.tolist() for i, share in enumerate(self.share.T)}
