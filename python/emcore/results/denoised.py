"""What a scan approximated at low rank gives back."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.io.read import read
from emcore.results.result import Result

NOISE = "times the counting noise"
MEASURED = "times the measured noise"
ENERGY = "part of the signal's square"


def _scan(result: Any) -> tuple[str, ...]:
    return tuple(f"image.{axis.name}" for axis in result.image.axes)


def _signal(result: Any) -> tuple[str, ...]:
    return tuple(f"mean.{axis.name}" for axis in result.mean.axes)


def _inside(result: Any) -> int:
    return len(result.mean.axes)


def _residual(result: Any) -> str:
    return f"residual, {result.residual_unit}"


@dataclass(frozen=True, eq=False)
class Denoised(Result):
    """A scan at low rank, weighted for its noise; what was taken off, and how many components
    are left.

    Attributes
    ----------
    image : Signal, shape (y, x)
        Sum of the signal at every position as it was measured; 0 where it is empty.
    mean : Signal, shape (...)
        Mean signal of the positions that were measured, with the axes of one signal.
    mean_denoised : ndarray, shape (...), float64
        The same afterwards.
    position : tuple of int
        One position, of a usual sum.
    at_position, at_position_denoised : ndarray, shape (...), float32
        Its signal as measured, and afterwards.
    channel : tuple of int
        The channel, or pixel of a pattern, in which positions differ most.
    of_channel, of_channel_denoised : ndarray, shape (y, x), float32
        What every position has of it, measured and afterwards.
    residual_map : ndarray, shape (y, x), float32
        Sum of ``(measured - denoised)^2`` over the channels, in units of what noise is expected
        to add: about 1 where just noise was taken off, more where signal was. Of unknown noise,
        divided by the squares of the measured.
    residual_signal : ndarray, shape (...), float64
        The same over the positions, for every channel.
    residual_unit : str
        Which of these it is.
    evr : ndarray, shape (m,), float64
        Explained-variance ratios of the weighted signals.
    ratios : ndarray, shape (m,), float64
        Each singular value over the largest that noise has.
    kept : ndarray, shape (k,), float64
        The part of each component that is signal and was kept, from 0 to 1.
    n_components : int
    rule : str
        "noise" for those that stand above it, "given" for a number that was asked for.
    reason : str
        Why so many, and how clearly.
    measured : ndarray, shape (y, x), bool
        False where nothing was measured: such positions are left as they are.
    broken : ndarray, shape (...), bool
        Pixels of a detector that say nothing of the sample: these too.
    path : str
        The file that the scan was written to; "" if it was not.
    stored : Signal, or None
        The scan, if it was not written to a file.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    n_empty : int
        How many positions have no measurement.
    """

    page: ClassVar[str] = "denoised"

    image: Signal
    mean: Signal
    mean_denoised: NDArray[np.float64] = field(metadata={"axes": _signal, "signal_axes": _inside})
    position: tuple[int, ...]
    at_position: NDArray[np.float32] = field(metadata={"axes": _signal, "signal_axes": _inside})
    at_position_denoised: NDArray[np.float32] = field(metadata={"axes": _signal, "signal_axes": _inside})
    channel: tuple[int, ...]
    of_channel: NDArray[np.float32] = field(metadata={"axes": _scan, "long_name": "one channel, measured"})
    of_channel_denoised: NDArray[np.float32] = field(
        metadata={"axes": _scan, "default": True, "long_name": "one channel, denoised"}
    )
    residual_map: NDArray[np.float32] = field(metadata={"axes": _scan, "long_name": _residual})
    residual_signal: NDArray[np.float64] = field(
        metadata={"axes": _signal, "signal_axes": _inside, "long_name": _residual}
    )
    residual_unit: str
    evr: NDArray[np.float64] = field(metadata={"axes": ("rank",), "long_name": "explained variance ratio"})
    ratios: NDArray[np.float64] = field(metadata={"axes": ("rank",), "long_name": "singular value over that of noise"})
    kept: NDArray[np.float64] = field(metadata={"axes": ("component",), "long_name": "part that is signal"})
    n_components: int
    rule: str
    reason: str
    measured: NDArray[np.bool_] = field(metadata={"axes": _scan})
    broken: NDArray[np.bool_] = field(metadata={"axes": _signal, "signal_axes": _inside})
    provenance: Provenance
    path: str = ""
    stored: Signal | None = None
    n_empty: int = 0

    @property
    def signal(self) -> Signal:
        """The denoised scan, with its axes; left in the file if it was written to one.

        Raises
        ------
        FileNotFoundError
            If that file is no longer there.
        """
        if self.stored is not None:
            return self.stored
        found = read(self.path, lazy=True)
        scan = tuple(replace(axis, navigation=True) for axis in self.image.axes)
        # A file of values alone has no axes.
        return replace(found, axes=(*scan, *self.mean.axes), flagged=True)
