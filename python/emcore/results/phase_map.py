"""What a map of phases by correlation with references gives back."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.results.result import Result


def _scan(*before: str) -> Any:
    return lambda result: (*before, *(f"image.{axis.name}" for axis in result.image.axes))


def _signal(*before: str) -> Any:
    return lambda result: (*before, *(f"mean.{axis.name}" for axis in result.mean.axes))


def _inside(result: Any) -> int:
    return len(result.mean.axes)


@dataclass(frozen=True, eq=False)
class PhaseMap(Result):
    """Which phase every position of a scan is, by correlation with references, and how reliable
    that is.

    Attributes
    ----------
    labels : ndarray, shape (y, x), or (n,) for positions without a grid, int32
        Phase of every position, 0 to p - 1; -1 where none correlates enough, or nothing was
        measured.
    correlation : ndarray, shape (y, x), float32
        r1, Pearson's r with the reference that fits best; 0 where nothing was measured.
    difference : ndarray, shape (y, x), float32
        r1 - r2, by which that exceeds the best correlation with another phase, which counts as
        0 where it is negative; 0 where there is no phase.
    reliability : ndarray, shape (y, x), float32
        100 (1 - r2 / r1), in per cent; 0 where there is no phase.
    r : ndarray, shape (k, y, x), float32
        Pearson's r with every reference.
    measured : ndarray, shape (y, x), bool
        False where nothing was measured.
    signals : ndarray, shape (p, ...), float64
        Mean signal of each phase, of the data as they were measured; zeros where it has no
        position.
    references : ndarray, shape (k, ...), float64
    phase_of : ndarray, shape (k,), int64
        The phase of each reference.
    names : tuple of str
        Of the phases.
    area : ndarray, shape (p,), float64
        Fraction of the measured positions.
    n_phases : int
    min_correlation : float
        Below which a position has no phase.
    image : Signal, shape (y, x)
        Mean value of the signal at every position.
    mean : Signal, shape (...)
        Mean over all that was measured, with the axes of one signal.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    n_empty : int
        How many positions have no measurement: one value throughout, NaN or infinity.
    """

    page: ClassVar[str] = "phases"

    labels: NDArray[np.int32] = field(
        metadata={"axes": _scan(), "default": True, "long_name": "phases", "counts": "phase"}
    )
    correlation: NDArray[np.float32] = field(metadata={"axes": _scan(), "long_name": "correlation with the own phase"})
    difference: NDArray[np.float32] = field(metadata={"axes": _scan(), "long_name": "correlation less the next best"})
    reliability: NDArray[np.float32] = field(metadata={"axes": _scan(), "units": "%"})
    r: NDArray[np.float32] = field(metadata={"axes": _scan("reference"), "long_name": "correlation"})
    measured: NDArray[np.bool_] = field(metadata={"axes": _scan()})
    signals: NDArray[np.float64] = field(metadata={"axes": _signal("phase"), "signal_axes": _inside})
    references: NDArray[np.float64] = field(metadata={"axes": _signal("reference"), "signal_axes": _inside})
    phase_of: NDArray[np.int64] = field(metadata={"axes": ("reference",), "long_name": "phase of the reference"})
    names: tuple[str, ...] = field(metadata={"names": "phase"})
    area: NDArray[np.float64] = field(metadata={"axes": ("phase",), "long_name": "fraction of the area"})
    n_phases: int
    min_correlation: float
    image: Signal
    mean: Signal
    provenance: Provenance
    n_empty: int = 0
