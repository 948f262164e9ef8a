"""What a map of the peaks of a hyperspectral stack gives back."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.results.result import Result


def _scan(*before: str) -> Any:
    return lambda result: (*before, *(f"image.{axis.name}" for axis in result.image.axes))


def _along(*before: str) -> Any:
    return lambda result: (*before, f"mean.{result.mean.axes[0].name}")


def _energy_units(result: Any) -> str:
    return str(result.mean.axes[0].units)


def _blocks(result: Any) -> tuple[str, ...]:
    return ("block_y", "block_x")[: len(result.image.axes)]


@dataclass(frozen=True, eq=False)
class PeakMap(Result):
    """At which energies the spectra of a scan have peaks, and to which of these spectra every
    position is nearest.

    Attributes
    ----------
    labels : ndarray, shape (y, x), or (n,) for positions along one axis, int32
        Reference of every position, 0 to g - 1; -1 where none is near enough, or nothing was
        measured.
    angle : ndarray, shape (y, x), float32
        Spectral angle with the nearest reference in degrees, 90 where nothing was measured.
    second : ndarray, shape (y, x), float32
        The same with the second nearest.
    reliability : ndarray, shape (y, x), float32
        100 (1 - angle / second), in per cent; 0 where there is no label.
    measured : ndarray, shape (y, x), bool
        False where nothing was measured.
    energies : ndarray, shape (k,), float64
        Of the peaks, rising, in the unit of the energies.
    errors : ndarray, shape (k,), float64
        Standard errors of these: by how much they would differ if as many blocks were measured
        again.
    spreads : ndarray, shape (k,), float64
        Standard deviations of the positions of single blocks about them.
    weights : ndarray, shape (k,), float64
        Part of the pooled positions that is of each peak; the rest is spread over all energies,
        as noise makes them.
    reference_of : ndarray, shape (k,), int64
        The reference of each peak: peaks share one where no position's noise would tell their
        spectra apart.
    references : ndarray, shape (g, energies), float64
        Mean spectrum of the blocks that have the peaks of each.
    blocks_of : ndarray, shape (g,), int64
        How many blocks these are.
    area : ndarray, shape (g,), float64
        Fraction of the measured positions.
    positions : ndarray, shape (p,), float64
        Energies of the peaks of all blocks.
    peak_of : ndarray, shape (p,), int32
        The peak that each is; -1: none.
    density : ndarray, shape (k + 1, bins), float64
        The mixture: of each peak, and of what is spread over all energies, per unit of energy.
    density_energies : ndarray, shape (bins,), float64
    bic : ndarray, shape (m, 2), float64
        Numbers of components that were tried, and the Bayesian information criterion of each.
    found : ndarray, shape (block y, block x), int32
        How many peaks each block has; -1 where nothing was measured.
    n_peaks, n_references : int
    rule, reason : str
        How the number of peaks came about.
    block : int
        Positions along a side of a block.
    differentiated : bool
        Whether spectra are derivatives of what was measured.
    width : float
        Standard deviation of the weights of the fits that smooth the spectra of blocks, in
        channels.
    prominence : float
        Deviations of the noise that a peak stands out at least.
    image : Signal, shape (y, x)
        Mean value at every position.
    mean : Signal, shape (energies,)
        Mean spectrum of all that was measured.
    provenance : Provenance
    shifts : ndarray, shape (energies, 2), float64, or None
        By how much along y and x each image lies off the first, in pixels, if they were
        registered.
    max_angle : float or None
        In degrees, beyond which a position has no reference; None where noise decided.
    n_empty : int
        How many positions have no measurement: one value throughout, NaN or infinity.
    """

    page: ClassVar[str] = "peaks"

    labels: NDArray[np.int32] = field(
        metadata={"axes": _scan(), "default": True, "long_name": "reference", "counts": "reference"}
    )
    angle: NDArray[np.float32] = field(metadata={"axes": _scan(), "units": "degree", "long_name": "spectral angle"})
    second: NDArray[np.float32] = field(
        metadata={"axes": _scan(), "units": "degree", "long_name": "spectral angle with the second nearest"}
    )
    reliability: NDArray[np.float32] = field(metadata={"axes": _scan(), "units": "%"})
    measured: NDArray[np.bool_] = field(metadata={"axes": _scan()})
    energies: NDArray[np.float64] = field(metadata={"axes": ("peak",), "units": _energy_units})
    errors: NDArray[np.float64] = field(
        metadata={"axes": ("peak",), "units": _energy_units, "long_name": "standard error of the energy"}
    )
    spreads: NDArray[np.float64] = field(
        metadata={"axes": ("peak",), "units": _energy_units, "long_name": "standard deviation over blocks"}
    )
    weights: NDArray[np.float64] = field(metadata={"axes": ("peak",), "long_name": "part of the positions of peaks"})
    reference_of: NDArray[np.int64] = field(metadata={"axes": ("peak",)})
    references: NDArray[np.float64] = field(metadata={"axes": _along("reference"), "signal_axes": 1})
    blocks_of: NDArray[np.int64] = field(metadata={"axes": ("reference",), "long_name": "blocks of the reference"})
    area: NDArray[np.float64] = field(metadata={"axes": ("reference",), "long_name": "fraction of the area"})
    positions: NDArray[np.float64] = field(
        metadata={"axes": ("position of a peak",), "units": _energy_units, "long_name": "energy of a peak of a block"}
    )
    peak_of: NDArray[np.int32] = field(metadata={"axes": ("position of a peak",)})
    density: NDArray[np.float64] = field(metadata={"axes": ("component", "density_energies"), "signal_axes": 1})
    density_energies: NDArray[np.float64] = field(metadata={"units": _energy_units})
    bic: NDArray[np.float64] = field(metadata={"axes": ("number tried", "number and criterion")})
    found: NDArray[np.int32] = field(metadata={"axes": _blocks, "long_name": "peaks found"})
    n_peaks: int
    n_references: int
    rule: str
    reason: str
    block: int
    differentiated: bool
    width: float
    prominence: float
    image: Signal
    mean: Signal
    provenance: Provenance
    shifts: NDArray[np.float64] | None = field(
        default=None, metadata={"axes": ("image", "y and x"), "units": "px", "long_name": "drift"}
    )
    max_angle: float | None = None
    n_empty: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Of each reference the energies of its peaks, as "0.83 + 3.57 eV"."""
        units = self.mean.axes[0].units if self.mean.axes[0].calibrated else ""
        digits = decimals(self.errors, self.energies)
        names = []
        for group in range(self.n_references):
            energies = " + ".join(f"{energy:.{digits}f}" for energy in self.energies[self.reference_of == group])
            names.append(f"{energies} {units}".rstrip())
        return tuple(names)


def decimals(errors: NDArray[np.float64], energies: NDArray[np.float64]) -> int:
    """How many decimals of some energies their standard errors leave: one digit of the smallest of them.

    Examples
    --------
    >>> decimals(np.array([0.02, 0.004]), np.array([1.0, 2.0])), decimals(np.array([3.0]), np.array([1200.0]))
    (3, 0)
    """
    least = float(np.min(errors, initial=np.inf))
    if not 0 < least < np.inf:
        least = 1e-4 * max(float(np.abs(energies).max(initial=0.0)), 1e-300)
    return int(np.clip(-np.floor(np.log10(least)), 0, 6))
