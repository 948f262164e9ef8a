"""What a segmentation of a scan gives back."""

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.results.result import Result

_SCAN = ("image.y", "image.x")
_PATTERN = ("mean.ky", "mean.kx")


def _length(result: Any) -> str:
    """The unit of diameters: that of the scan, pixels where its axes have different ones."""
    y, x = result.image.axes
    return str(x.units) if x.units == y.units else "px"


@dataclass(frozen=True, eq=False)
class Segmentation(Result):
    """Grains of a scan, each one connected piece of positions whose patterns are alike, and the mean pattern of each.

    Attributes
    ----------
    labels : ndarray, shape (y, x), int32
        Grain of every scan position, 0 to k - 1; -1 where nothing was measured.
    signals : ndarray, shape (k, ky, kx), float64
        Mean pattern of each grain, of the data as they were measured.
    size : ndarray, shape (k,), int64
        Positions in each grain; grains in the order of falling size.
    diameter : ndarray, shape (k,), float64
        Of the disc of the same area, in the units of the scan; in positions where it has none.
    correlation : ndarray, shape (y, x), float64
        Correlation of the pattern with the mean of its own grain, of kept pixels less their means over the scan.
    confidence : ndarray, shape (y, x), float64
        By how much that exceeds the largest correlation with the mean of another grain. Both are 0 where nothing was
        measured.
    segments : ndarray, shape (y, x), int32
        Segments before merging; -1 where nothing was measured.
    history : ndarray, shape (mergings, 3), float64
        Down to one segment, in their order: the segment that went on, the one that is gone, the correlation of their
        means. The first that falls short of `min_correlation`, and what follows, was looked at and not done.
    kept : ndarray, shape (ky, kx), bool
        Detector pixels that were compared.
    n_segments, n_grains : int
        Segments before merging, grains after it.
    min_correlation : float
        Least correlation of what was merged.
    reason : str
        Why so many segments and that correlation.
    image : Signal, shape (y, x)
        Virtual image of the kept detector pixels.
    mean : Signal, shape (ky, kx)
        Mean of the measured patterns, PACBED.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    beam_center : (float, float), optional
        Centre of the direct beam along ky and kx, in detector pixels.
    beam_radius : float, optional
        Radius of the mask over it in detector pixels; None where nothing was masked.
    n_empty : int
        How many positions have no measurement, see `emcore.scans.gaps`; they took no part.
    """

    page: ClassVar[str] = "segmentation"

    labels: NDArray[np.int32] = field(metadata={"axes": _SCAN, "default": True, "long_name": "grains"})
    signals: NDArray[np.float64] = field(metadata={"axes": ("grain", *_PATTERN), "signal_axes": 2})
    size: NDArray[np.int64] = field(metadata={"axes": ("grain",), "long_name": "positions"})
    diameter: NDArray[np.float64] = field(
        metadata={"axes": ("grain",), "units": _length, "long_name": "equivalent diameter"}
    )
    correlation: NDArray[np.float64] = field(metadata={"axes": _SCAN, "long_name": "correlation with the own grain"})
    confidence: NDArray[np.float64] = field(metadata={"axes": _SCAN})
    segments: NDArray[np.int32] = field(metadata={"axes": _SCAN, "long_name": "segments before merging"})
    history: NDArray[np.float64]
    kept: NDArray[np.bool_] = field(metadata={"axes": _PATTERN, "long_name": "detector pixels compared"})
    n_segments: int
    n_grains: int
    min_correlation: float
    reason: str
    image: Signal
    mean: Signal
    provenance: Provenance
    beam_center: tuple[float, float] | None = None
    beam_radius: float | None = None
    n_empty: int = 0

    @property
    def length_units(self) -> str:
        """Units of the diameters."""
        return _length(self)

    def export_patterns(self, path: "str | os.PathLike[str]", overwrite: bool = False) -> Path:
        """Write the mean patterns as a stack, one grain after another, for programs that index them.

        Parameters
        ----------
        path : str or Path
            Ends in .hspy, which HyperSpy, pyxem and py4DSTEM read with its calibration; or in .npy, beside which a file
            of the same name in .json says what the axes are.
        overwrite : bool, default False
            Replace existing files.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        ValueError
            Another ending.
        FileExistsError
            If a file exists and `overwrite` is not set.
        ImportError
            If .hspy is asked for without the extra `io`.
        """
        from emcore.io.export import write_stack

        ky, kx = self.mean.axes
        return write_stack(Path(path), self.signals, "grain", (ky, kx), self.provenance.input_name, overwrite)


def equivalent_diameter(size: NDArray[np.int64], image: Signal) -> NDArray[np.float64]:
    """Diameter of the disc of the same area, in the units of the image's axes, or in positions."""
    y, x = image.axes
    area = abs(y.scale * x.scale) if y.units == x.units else 1.0
    diameter: NDArray[np.float64] = 2 * np.sqrt(size * area / math.pi)
    return diameter
