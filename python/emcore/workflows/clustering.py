"""What a clustering of a scan gives back, whether of diffraction patterns or of curves."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.results import Provenance, Result
from emcore.signals import Signal


def _signal_axes(result: Any) -> tuple[str, ...]:
    return ("cluster", *(f"mean.{axis.name}" for axis in result.mean.axes))


def _inside(result: Any) -> int:
    return len(result.mean.axes)


@dataclass(frozen=True, eq=False)
class Clustering(Result):
    """Groups of scan positions whose signals are alike, and the mean signal of each.

    Attributes
    ----------
    labels : ndarray, shape (y, x), int32
        Cluster of every scan position, 0 to k - 1; -1 where there was nothing to go by, which a note tells.
    signals : ndarray, shape (k, ...), float64
        Mean signal of each cluster, of the data as they were measured: neither masked nor normalised.
    area : ndarray, shape (k,), float64
        Fraction of the labelled positions; clusters in the order of falling area.
    inertia : float
        Sum of squared distances, of the prepared data, to the centre of the own cluster.
    n_clusters : int
    rule : str
        The rule that chose the number of clusters, or "given".
    reason : str
        Why it chose that.
    image : Signal, shape (y, x)
        A picture of the scan: of diffraction patterns the virtual bright field, or their sums; of curves their mean.
    mean : Signal, shape (...)
        Mean over the whole scan, of diffraction patterns the PACBED, with the axes of one signal.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    spread : ndarray, shape (k, ...), float64, optional
        Standard deviation of the signals in each cluster; None where it was not computed.
    conductance : ndarray, shape (k,), float64, optional
        Slope of each mean curve; NaN where it is not straight; None for other signals.
    beam_center : (float, float), optional
        Centre of the direct beam of diffraction patterns along ky and kx, in detector pixels.
    beam_radius : float, optional
        Radius of the mask over the direct beam in detector pixels; None where nothing was masked.
    """

    labels: NDArray[np.int32] = field(metadata={"axes": ("image.y", "image.x"), "default": True})
    signals: NDArray[np.float64] = field(metadata={"axes": _signal_axes, "signal_axes": _inside})
    area: NDArray[np.float64] = field(metadata={"axes": ("cluster",), "long_name": "fraction of the area"})
    inertia: float
    n_clusters: int
    rule: str
    reason: str
    image: Signal
    mean: Signal
    provenance: Provenance
    spread: NDArray[np.float64] | None = field(default=None, metadata={"axes": _signal_axes, "signal_axes": _inside})
    conductance: NDArray[np.float64] | None = field(default=None, metadata={"axes": ("cluster",)})
    beam_center: tuple[float, float] | None = None
    beam_radius: float | None = None
