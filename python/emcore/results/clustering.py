"""What a clustering of a scan gives back, whether of diffraction patterns, of curves or of any other signals."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.results.result import Result


def _signal_axes(result: Any) -> tuple[str, ...]:
    return ("cluster", *(f"mean.{axis.name}" for axis in result.mean.axes))


def _scan_axes(result: Any) -> tuple[str, ...]:
    return tuple(f"image.{axis.name}" for axis in result.image.axes)


def _length(result: Any) -> str:
    axes = result.image.axes
    return str(axes[-1].units) if len({axis.units for axis in axes}) == 1 else "px"


def _inside(result: Any) -> int:
    return len(result.mean.axes)


@dataclass(frozen=True, eq=False)
class Clustering(Result):
    """Groups of scan positions whose signals are alike, and the mean signal of each.

    Attributes
    ----------
    labels : ndarray, shape (y, x), or (n,) for positions without a grid, int32
        Cluster of every scan position, 0 to k - 1; -1 where nothing was measured, or there was
        nothing to go by, which notes tell, and for noise, see `noise`.
    signals : ndarray, shape (k, ...), float64
        Mean signal of each cluster, of the data as they were measured: neither masked nor
        normalised.
    area : ndarray, shape (k,), float64
        Fraction of the labelled positions; clusters in the order of falling area. Where there
        is noise, of the measured ones: with `noise` they add up to 1.
    inertia : float
        Sum of squared distances, of the prepared data, to the centre of the own cluster.
    n_clusters : int
    rule : str
        The rule that chose the number of clusters, or "given".
    reason : str
        Why it chose that.
    image : Signal, shape (y, x)
        A picture of the scan: of diffraction patterns the virtual bright field, or their sums;
        of curves the mean of their moduli.
    mean : Signal, shape (...)
        Mean over all that was measured, of diffraction patterns the PACBED, with the axes of
        one signal.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    spread : ndarray, shape (k, ...), float64, optional
        Standard deviation of the signals in each cluster; None where it was not computed.
    low, high : ndarray, shape (k, ...), float64, optional
        5th and 95th percentile of the signals in each cluster.
    x : ndarray, shape (points,), float64, optional
        Where curves were measured, for example the bias; None for other signals.
    conductance, conductance_spread : ndarray, shape (k,), float64, optional
        Least-squares slope of the curves in each cluster, mean and standard deviation, a
        conductance where they are currents against a voltage; NaN where the mean curve is not
        straight; None for other signals.
    r_squared : ndarray, shape (k,), float64, optional
        Part of the variation of each mean curve that a straight line explains.
    beam_center : (float, float), optional
        Centre of the direct beam of diffraction patterns along ky and kx, in detector pixels.
    beam_radius : float, optional
        Radius of the mask over the direct beam in detector pixels; None where nothing was
        masked.
    n_empty : int
        How many positions have no measurement, see `emcore.scans.gaps`; they took no part.
    noise : float, optional
        Of `emcore.group_signals`: fraction of the measured positions that belong to no group,
        as what of a metal is not recrystallised.
    measured : ndarray, shape (y, x), bool, optional
        Where something was measured: there, -1 is noise.
    tried : ndarray, shape (m, 5), float64, optional
        By what the settings of a clustering by density were chosen: for each pair that was
        tried `min_cluster_size`, `min_samples`, the number of groups, the fraction that is
        noise, and the mean adjusted Rand index with neighbouring pairs.
    min_cluster_size, min_samples : int, optional
        The settings, in positions.
    grains : ndarray, shape (y, x), int32, optional
        Connected positions of one group, at least 5, in the order of falling size; -1
        elsewhere.
    grain_cluster, grain_size : ndarray, shape (g,), int32 and int64, optional
        The group of each grain, and its positions.
    grain_diameter : ndarray, shape (g,), float64, optional
        Of the disc of the same area, in the units of the scan; in positions where it has none.
    grain_cut : ndarray, shape (g,), bool, optional
        Whether the border of the scan cuts it.
    peaks : ndarray, shape (k,), float64, optional
        Of spectra over an energy: where the strongest peak of each mean spectrum is, NaN where
        there is none.
    peak_map : Signal, shape (y, x), optional
        Sum of the channels of the strongest peak of the mean of all.
    shifts : ndarray, shape (images, 2), float64, optional
        Of a registered series: by how many pixels along y and x each image lies off the first.
    """

    page: ClassVar[str] = "clustering"

    labels: NDArray[np.int32] = field(metadata={"axes": _scan_axes, "default": True, "counts": "cluster"})
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
    low: NDArray[np.float64] | None = field(default=None, metadata={"axes": _signal_axes, "signal_axes": _inside})
    high: NDArray[np.float64] | None = field(default=None, metadata={"axes": _signal_axes, "signal_axes": _inside})
    x: NDArray[np.float64] | None = None
    conductance: NDArray[np.float64] | None = field(default=None, metadata={"axes": ("cluster",)})
    conductance_spread: NDArray[np.float64] | None = field(default=None, metadata={"axes": ("cluster",)})
    r_squared: NDArray[np.float64] | None = field(default=None, metadata={"axes": ("cluster",)})
    beam_center: tuple[float, float] | None = None
    beam_radius: float | None = None
    n_empty: int = 0
    noise: float | None = None
    measured: NDArray[np.bool_] | None = field(default=None, metadata={"axes": _scan_axes})
    tried: NDArray[np.float64] | None = None
    min_cluster_size: int | None = None
    min_samples: int | None = None
    grains: NDArray[np.int32] | None = field(default=None, metadata={"axes": _scan_axes, "counts": "grain"})
    grain_cluster: NDArray[np.int32] | None = field(default=None, metadata={"axes": ("grain",)})
    grain_size: NDArray[np.int64] | None = field(default=None, metadata={"axes": ("grain",), "long_name": "positions"})
    grain_diameter: NDArray[np.float64] | None = field(
        default=None, metadata={"axes": ("grain",), "units": _length, "long_name": "equivalent diameter"}
    )
    grain_cut: NDArray[np.bool_] | None = field(default=None, metadata={"axes": ("grain",)})
    peaks: NDArray[np.float64] | None = field(
        default=None, metadata={"axes": ("cluster",), "units": lambda result: result.mean.axes[0].units}
    )
    peak_map: Signal | None = None
    shifts: NDArray[np.float64] | None = field(default=None, metadata={"units": "px"})

    @property
    def length_units(self) -> str:
        """Units of the diameters of grains."""
        return _length(self)
