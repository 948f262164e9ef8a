"""What the analysis of an image gives back."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.results.result import Result


def _inverse(axis: int) -> Any:
    return lambda result: f"1/{result.image.axes[axis].units}"


def _length(axis: int) -> Any:
    return lambda result: result.image.axes[axis].units


@dataclass(frozen=True, eq=False)
class ImageAnalysis(Result):
    """Regions of an image, what distinguishes them, and how they were found.

    Attributes
    ----------
    maps : ndarray, shape (k, ny, nx), float32
        How strong each component is in each window; components in the order of falling energy.
    spectra : ndarray, shape (k, N, N), float32
        Spectrum of each component on the scale ln(1 + power / level), zero frequency at [N //
        2, N // 2], sum 1. The level is the median power; where there is little noise, 1e-4 of
        the strongest peak of the lattice.
    y, x : ndarray, shape (ny,) and (nx,), float64
        Centres of the windows, in the units of the image.
    frequency_y, frequency_x : ndarray, shape (N,), float64
        Axes of the spectra, in 1/unit; y points down, as in the image.
    regions : ndarray, shape (H, W), int32
        The component to which a pixel belongs; -1 where the image was not analysed or is blank.
    area : ndarray, shape (k,), float64
        Fraction of the analysed pixels.
    spacing : ndarray, shape (k,), float64
        Period of the strongest peak of the region's mean power spectrum, in the units of the
        image; NaN where no peak stands out as a lattice's does, at a period below a quarter of
        the window, or the region is empty.
    direction : ndarray, shape (k,), float64
        Direction of that peak, across the fringes: degrees in [0, 180), counter-clockwise from
        +x with y up; NaN where there is none.
    second_spacing, second_direction : ndarray, shape (k,), float64, optional
        The same of the strongest peak that is independent of the first, neither on its line nor
        a harmonic; NaN where there is none, as of fringes. None in results of earlier versions.
    angle : ndarray, shape (k,), float64, optional
        Between the two directions, in degrees, in (0, 90]; NaN where there is no second peak.
    evr : ndarray, shape (up to 21,), float64
        Explained-variance ratios of the uncentred PCA, of all variance.
    n_components : int
    rule : str
        The rule that chose the number of components, or "given".
    reason : str
        Why it chose that.
    image : Signal
        The image that was analysed, with its calibration.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    measured : ndarray, shape (H, W), bool, optional
        False where lines or columns at the edges hold no picture; None where all was measured.
    n_empty : int
        How many pixels that are; they took no part.
    """

    page: ClassVar[str] = "image"

    maps: NDArray[np.float32] = field(metadata={"axes": ("component", "y", "x"), "default": True})
    spectra: NDArray[np.float32] = field(metadata={"axes": ("component", "frequency_y", "frequency_x")})
    y: NDArray[np.float64] = field(metadata={"units": _length(0), "long_name": "window centre, y"})
    x: NDArray[np.float64] = field(metadata={"units": _length(1), "long_name": "window centre, x"})
    frequency_y: NDArray[np.float64] = field(metadata={"units": _inverse(0), "long_name": "spatial frequency, y"})
    frequency_x: NDArray[np.float64] = field(metadata={"units": _inverse(1), "long_name": "spatial frequency, x"})
    regions: NDArray[np.int32] = field(metadata={"axes": ("image.y", "image.x"), "counts": "component"})
    area: NDArray[np.float64] = field(metadata={"axes": ("component",), "long_name": "fraction of the area"})
    spacing: NDArray[np.float64] = field(metadata={"axes": ("component",), "units": _length(1)})
    direction: NDArray[np.float64] = field(metadata={"axes": ("component",), "units": "deg"})
    evr: NDArray[np.float64] = field(metadata={"axes": ("rank",), "long_name": "explained variance ratio"})
    n_components: int
    rule: str
    reason: str
    image: Signal
    provenance: Provenance
    second_spacing: NDArray[np.float64] | None = field(
        default=None, metadata={"axes": ("component",), "units": _length(1), "long_name": "spacing, second peak"}
    )
    second_direction: NDArray[np.float64] | None = field(
        default=None, metadata={"axes": ("component",), "units": "deg", "long_name": "direction, second peak"}
    )
    angle: NDArray[np.float64] | None = field(
        default=None, metadata={"axes": ("component",), "units": "deg", "long_name": "angle between the two peaks"}
    )
    measured: NDArray[np.bool_] | None = field(default=None, metadata={"axes": ("image.y", "image.x")})
    n_empty: int = 0
