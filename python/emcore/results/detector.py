"""What a search for the virtual detector that separates two groups best gives back."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.results.result import Result

_SCAN = ("image.y", "image.x")
_PATTERN = ("mean.ky", "mean.kx")


@dataclass(frozen=True, eq=False)
class Detector(Result):
    """The virtual detector that separates two groups of positions best, beside those that are
    in use.

    Of each detector there is a mask, the image that it sees, and how well that separates the
    groups at positions on which the detector was not chosen (`held_out` says whether there were
    enough of them).

    Attributes
    ----------
    mask : ndarray, shape (ky, kx), float64
        The best detector: 1 and 0 of an annulus, weights from -1 to 1 of a free mask.
        `emcore.detectors.virtual_images` with it gives its image.
    best : int
        Which of the detectors below this is.
    names : tuple of str, length m
    masks : ndarray, shape (m, ky, kx), float64
    images : ndarray, shape (m, y, x), float64
        What each detector sees; 0 where nothing was measured.
    inner, outer : ndarray, shape (m,), float64
        Radii in detector pixels: more than the inner one, of a disc 0, and at most the outer
        one. NaN of a free mask.
    contrast : ndarray, shape (m,), float64
        |a - b| / (|a| + |b|) of the means of the groups; of a free mask over all that it
        counts, whatever the sign.
    cnr : ndarray, shape (m,), float64
        Contrast-to-noise |a - b| / sqrt(var_a + var_b) of a single position.
    chosen_contrast, chosen_cnr : ndarray, shape (m,), float64
        The same of the positions on which the best detectors were chosen.
    means : ndarray, shape (m, 2), float64
        Mean of each group, in counts, of the same positions as `contrast`.
    labels : ndarray, shape (y, x), int32
        0 and 1, the groups; -1 elsewhere.
    held_out : ndarray, shape (y, x), bool
        Positions on which nothing was chosen and of which `contrast` and `cnr` are; all False
        where there were too few: then these are of the positions on which detectors were
        chosen.
    group_names : (str, str)
    edges : ndarray, shape (r + 1,), float64
        Radii of the rings, in detector pixels.
    cnr_map, contrast_map : ndarray, shape (r, r), float64
        Of the annulus from edge i to edge j + 1, on the positions on which detectors were
        chosen; 0 where j < i.
    profiles, spreads : ndarray, shape (2, r), float64
        Mean and standard deviation of what each ring counts, of each group, of the same
        positions.
    pixels : ndarray, shape (r,), int64
        Of each ring.
    signals : ndarray, shape (2, ky, kx), float64
        Mean pattern of each group, of the data as they were measured.
    score : str
        What the annulus was chosen by, "fisher" or "contrast".
    shrinkage : float
        Of the covariance of which the free mask was made; NaN where there is none.
    beam_center : (float, float)
        Along ky and kx, in detector pixels.
    beam_radius : float, optional
        Of the direct beam, in detector pixels; None where none was found.
    measured : ndarray, shape (y, x), bool
    image : Signal, shape (y, x)
        What all pixels count.
    mean : Signal, shape (ky, kx)
        Mean pattern of all that was measured, the PACBED.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    n_empty : int
        How many positions have no measurement, see `emcore.scans.gaps`.
    """

    page: ClassVar[str] = "detector"

    mask: NDArray[np.float64] = field(metadata={"axes": _PATTERN, "long_name": "best virtual detector"})
    best: int
    names: tuple[str, ...] = field(metadata={"names": "detector"})
    masks: NDArray[np.float64] = field(metadata={"axes": ("detector", *_PATTERN)})
    images: NDArray[np.float64] = field(metadata={"axes": ("detector", *_SCAN), "default": True})
    inner: NDArray[np.float64] = field(metadata={"axes": ("detector",), "units": "px"})
    outer: NDArray[np.float64] = field(metadata={"axes": ("detector",), "units": "px"})
    contrast: NDArray[np.float64] = field(metadata={"axes": ("detector",)})
    cnr: NDArray[np.float64] = field(metadata={"axes": ("detector",), "long_name": "contrast to noise"})
    chosen_contrast: NDArray[np.float64] = field(metadata={"axes": ("detector",)})
    chosen_cnr: NDArray[np.float64] = field(metadata={"axes": ("detector",)})
    means: NDArray[np.float64] = field(metadata={"axes": ("detector", "group")})
    labels: NDArray[np.int32] = field(metadata={"axes": _SCAN, "long_name": "groups"})
    held_out: NDArray[np.bool_] = field(metadata={"axes": _SCAN})
    group_names: tuple[str, str] = field(metadata={"names": "group"})
    edges: NDArray[np.float64]
    cnr_map: NDArray[np.float64] = field(metadata={"axes": ("inner ring", "outer ring")})
    contrast_map: NDArray[np.float64] = field(metadata={"axes": ("inner ring", "outer ring")})
    profiles: NDArray[np.float64] = field(metadata={"axes": ("group", "ring"), "signal_axes": 1})
    spreads: NDArray[np.float64] = field(metadata={"axes": ("group", "ring"), "signal_axes": 1})
    pixels: NDArray[np.int64] = field(metadata={"axes": ("ring",)})
    signals: NDArray[np.float64] = field(metadata={"axes": ("group", *_PATTERN)})
    score: str
    shrinkage: float
    beam_center: tuple[float, float]
    beam_radius: float | None
    measured: NDArray[np.bool_] = field(metadata={"axes": _SCAN})
    image: Signal
    mean: Signal
    provenance: Provenance
    n_empty: int = 0

    @property
    def scale(self) -> float:
        """What a detector pixel is in `units`; 1 where that is not known."""
        axis: Any = self.mean.axes[1]
        return abs(float(axis.scale)) if axis.calibrated else 1.0

    @property
    def units(self) -> str:
        """Of radii times `scale`: 1/nm, mrad, or px."""
        return str(self.mean.axes[1].units) if self.mean.axes[1].calibrated else "px"
