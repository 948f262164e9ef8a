"""What the unmixing of a spectrum image gives back."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.results.result import Result

NOISE = "times the counting noise"
MEASURED = "times the measured noise"
ENERGY = "part of the signal's square"


def _scan(*before: str) -> Any:
    return lambda result: (*before, *(f"image.{axis.name}" for axis in result.image.axes))


def _spectrum(*before: str) -> Any:
    return lambda result: (*before, f"mean.{result.mean.axes[0].name}")


def _residual(result: Any) -> str:
    return f"residual, {result.residual_unit}"


@dataclass(frozen=True, eq=False)
class Unmixing(Result):
    """Phases of a spectrum image: where they are and what their spectra are.

    Attributes
    ----------
    maps : ndarray, shape (k, y, x), float32
        Counts of every component at every position; 0 where a position is masked or empty.
    spectra : ndarray, shape (k, channels), float64
        Spectrum of every component, of sum 1: ``maps[i] * spectra[i, j]`` is what it adds to
        channel j. Components in the order of falling counts; before them those that were given.
    fraction : ndarray, shape (k,), float64
        Part of all counts that is the component's in the mean spectrum. Sums of maps are larger
        for a weak component: a map has noise, but no negative counts that would make up for it.
    residual_map : ndarray, shape (y, x), float32
        Of counts, sum of ``(measured - model)^2`` over the channels, divided by the counts:
        about 1 is counting noise, more is something that the model lacks. Of a camera's values,
        divided by their measured variance. Of other data, divided by the sum of squares of the
        measured.
    residual_spectrum : ndarray, shape (channels,), float64
        The same over the positions, for every channel: where it rises above 1, lines were
        missed.
    residual_unit : str
        Which of the three it is.
    evr : ndarray, shape (up to 20,), float64
        Explained-variance ratios of the weighted counts; of blocks, their mean by counts.
    n_components : int
    rule : str
        The rule that chose it, "given", "bins" for what only bins of positions and channels
        show, "split-halves" for what every other position shares, or "joined" for spectra of
        blocks that were joined by their angle.
    reason : str
        Why it chose that.
    above_edge : int
        How many singular values are above the bare edge of counting noise, (sqrt(n) + sqrt(d))
        / sqrt(counts), which real detectors exceed easily; 0 where the noise is not known. Of
        blocks, the largest.
    image : Signal, shape (y, x)
        All counts at every position, 0 where it is empty.
    mean : Signal, shape (channels,)
        Mean spectrum of the positions that are neither masked nor empty, the energy in eV where
        it is calibrated.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    blocks : ndarray, shape (b, 4), int32, optional
        First line, line behind the last, first column and column behind the last of every
        block.
    block_ranks : ndarray, shape (b,), int32, optional
        How many components each block has by itself.
    contributions : ndarray, shape (b, k), float64, optional
        Counts of the spectra with which each block contributed to a component.
    measured : ndarray, shape (y, x), bool, optional
        False where a position is masked or empty; None in files of earlier versions.
    n_empty : int
        How many positions are empty, have no measurement, see `emcore.scans.gaps`.
    references : tuple of str
        Names of the components, the first ones, whose spectra were given and not changed; where
        they come from, ``provenance.parameters["references"]`` says.
    """

    page: ClassVar[str] = "unmixing"

    maps: NDArray[np.float32] = field(metadata={"axes": _scan("component"), "units": "counts", "default": True})
    spectra: NDArray[np.float64] = field(metadata={"axes": _spectrum("component"), "signal_axes": 1})
    fraction: NDArray[np.float64] = field(metadata={"axes": ("component",), "long_name": "fraction of the counts"})
    residual_map: NDArray[np.float32] = field(metadata={"axes": _scan(), "long_name": _residual})
    residual_spectrum: NDArray[np.float64] = field(metadata={"axes": _spectrum(), "long_name": _residual})
    residual_unit: str
    evr: NDArray[np.float64] = field(metadata={"axes": ("rank",), "long_name": "explained variance ratio"})
    n_components: int
    rule: str
    reason: str
    above_edge: int
    image: Signal
    mean: Signal
    provenance: Provenance
    blocks: NDArray[np.int32] | None = None
    block_ranks: NDArray[np.int32] | None = field(default=None, metadata={"axes": ("block",)})
    contributions: NDArray[np.float64] | None = field(default=None, metadata={"axes": ("block", "component")})
    measured: NDArray[np.bool_] | None = field(default=None, metadata={"axes": _scan()})
    n_empty: int = 0
    references: tuple[str, ...] = ()

    def to_hyperspy(self) -> dict[str, Any]:
        """The arrays as HyperSpy signals with calibrated axes, on which exSpy quantifies.

        Returns
        -------
        dict of str to hyperspy BaseSignal
            See `Result.to_hyperspy`. "spectra" holds counts here, one spectrum for each
            component with all that the scan has of it: exSpy takes spectra with less than a
            count in every channel for vacuum.

        Raises
        ------
        ImportError
            If the extra `hyperspy` is not installed.

        Examples
        --------
        Atomic percent of iron and platinum in every phase, by exSpy with k-factors, of a file
        that names the microscope and the lines::

            spectra = result.to_hyperspy()["spectra"]
            windows = spectra.estimate_background_windows()
            lines = spectra.get_lines_intensity(background_windows=windows)
            spectra.quantification(lines, method="CL", factors=[1.45, 5.08])
        """
        signals = super().to_hyperspy()
        counted = self.maps.any(axis=0)
        counts = self.fraction * float(np.sum(np.asarray(self.image.data)[counted], dtype=np.float64))
        signals["spectra"].data = self.spectra * counts[:, None]
        return signals
