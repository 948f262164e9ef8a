"""A spectrum image: what of a signal is scan and what is spectrum, which channels and which positions count."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, as_pixels
from emcore.outofcore.checkpoint import Job, step
from emcore.outofcore.moments import row_and_column_sums
from emcore.outofcore.rows import mended
from emcore.outofcore.sources import Source
from emcore.scans.gaps import counts_of
from emcore.scans.spectra import as_spectrum_image
from emcore.scans.spectrum_rows import is_out_of_core, loaded, rows_out_of_core
from emcore.scans.spectrum_values import check_counts

# A scan position with less than this part of the counts of a bright one is vacuum.
_VACUUM = 0.1
# Counts around 0 are no X-rays: as far as this in eV a strobe may lie from 0, and reach.
_STROBE, _REACH = 60.0, 200.0
_EDS = 2000.0

Block = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class SpectrumImage:
    """A scan of spectra, of which some channels and positions count.

    Attributes
    ----------
    signal : Signal, shape (..., channels)
        The axes of the scan, then the energy; in the detector's type, left where they are stored.
    energy : Axis
        Of the channels that count, in eV where the energy is calibrated.
    channels : slice
        Which they are.
    masked : ndarray of bool, shape (...), or None
        Positions left out.
    notes : tuple of str
    source : Source, or None
        The rows, where they were to be visited out of core.
    job : Job, or None
        That what is found out of it is part of.
    original : Signal, or None
        As it was given, where values were put right in `signal`.
    invalid : int
        Positions with NaN or infinity, which are zeros in the rows.
    mend : bool
        Whether values of blocks are put right as they are read.
    """

    signal: Signal
    energy: Axis
    channels: slice
    masked: NDArray[np.bool_] | None
    notes: tuple[str, ...]
    source: Source | None = None
    job: Job | None = None
    original: Signal | None = None
    invalid: int = 0
    mend: bool = False

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the scan."""
        return self.signal.shape[:-1]

    def rows(self, block: Block | None = None) -> Any:
        """One row for each position of the scan or of a block of it, of the channels that count.

        Of an array the whole scan is a view, out of core a source; a block is read or copied, in the type of the
        data.
        """
        if block is None and self.source is not None:
            return self.source
        data = self.signal.data
        if block is not None:
            # What comes from another process may lie at any address.
            rows = np.require(data[(*block, self.channels)], requirements="A").reshape(-1, self.energy.size)
            if self.job is not None:
                self.job.compare(f"block {block}", rows)
            return mended(rows) if self.mend else rows
        rows = data.reshape(-1, data.shape[-1])
        return rows if self.energy.size == data.shape[-1] else rows[:, self.channels]


def select(
    obj: Any,
    navigation_mask: ArrayLike | str | None = None,
    signal_range: tuple[float, float] | None = None,
    name: str = "spectrum_image",
    memory: int | str | None = None,
    whole: bool = True,
    job: Job | None = None,
    negative: str | None = None,
) -> SpectrumImage:
    """A spectrum image checked, with the channels and positions that count.

    Parameters
    ----------
    obj : see `as_spectrum_image`
    navigation_mask : array-like of bool, shape of the scan, or "vacuum", optional
        True for positions to leave out.
    signal_range : (float, float), optional
        First and last energy, in eV; of another quantity as its axis counts it, where nothing is known in channels.
        Default: all, without a strobe at 0.
    name : str
    memory : int or str, optional
        Budget for data out of core, default 1 GiB; what takes less than half of it is held in memory.
    whole : bool
        Whether the scan is going to be visited as a whole: then the values are checked out of core too.
    job : Job, optional
        Of which this is part: then data in memory are visited like others.
    negative : {"clip"}, optional
        Set negative values to zero if they are fewer than 0.1 %. What is negative by rounding is zero in any case.

    Returns
    -------
    SpectrumImage

    Raises
    ------
    ValueError
        Negative values, NaN or infinity at every position, nothing left, a mask of another shape.
    TypeError
        Data that are not real numbers, a mask that is not of bool.

    Examples
    --------
    >>> from emcore.datasets import eds_phases
    >>> from emcore.scans.spectrum_images import select
    >>> image = select(eds_phases(shape=(10, 12), zero_peak=50).signal)
    >>> image.energy.offset, image.rows().shape, image.notes
    (80.0, (120, 991), ('the strobe peak at 0 eV was left out: channels below 80 eV',))
    """
    signal = as_spectrum_image(obj, name, memory)
    out_of_core = is_out_of_core(signal, memory)
    if not out_of_core:
        signal = replace(signal, data=as_pixels(loaded(signal).data, name, len(signal.shape)))
    out_of_core = out_of_core or job is not None
    *scan, energy = signal.axes
    if math.prod(axis.size for axis in scan) < 2 or energy.size < 2:
        raise ValueError(f"{name} has shape {signal.shape}: several positions and several channels are needed")
    channels, notes = channels_of(signal, signal_range, out_of_core, memory, job)
    image = SpectrumImage(signal, energy.crop(channels.start, channels.stop), channels, None, notes, job=job)
    if out_of_core and (whole or isinstance(navigation_mask, str) or signal.dtype.kind != "u"):
        image = replace(image, source=rows_out_of_core(signal, image.channels, name, memory, job))
    image = _of_counts(image, name, negative)
    if navigation_mask is None:
        return image
    masked = _mask(image, navigation_mask)
    if masked.all():
        raise ValueError("navigation_mask leaves out every position; False marks those that count")
    count = int(masked.sum())
    said = f"{count} of {masked.size} positions are masked ({100 * count / masked.size:.3g} %)"
    return replace(image, masked=masked, notes=(*notes, said))


def _of_counts(image: SpectrumImage, name: str, negative: str | None) -> SpectrumImage:
    """The same with zeros where values are none."""
    if image.signal.dtype.kind in "bu":
        return image
    rows = image.rows()
    observed, notes = check_counts(rows, name, image.grid, image.channels.start, negative)
    if not (observed.invalid or observed.negative):
        return image
    changed: dict[str, Any] = {"mend": True}
    if image.source is None:
        data = mended(rows).reshape(*image.grid, -1)
        signal = replace(image.signal, data=data, axes=(*image.signal.axes[:-1], image.energy))
        changed = {"signal": signal, "channels": slice(0, image.energy.size), "original": image.signal}
    return replace(image, **changed, notes=(*image.notes, *notes), invalid=observed.invalid)


def channels_of(
    signal: Signal, signal_range: Any, out_of_core: bool, memory: Any, job: Job | None = None
) -> tuple[slice, tuple[str, ...]]:
    """The channels of a range, or all without a strobe at 0; and what is to be said of them."""
    energy, wanted = signal.axes[-1], check_range(signal_range)
    if wanted is not None:
        return slice(*_range(energy, *wanted)), ()
    first = _without_strobe(signal, out_of_core, memory, job)
    said = f"the strobe peak at 0 eV was left out: channels below {energy.values[first]:.6g} eV"
    return slice(first, energy.size), (said,) if first else ()


def check_range(signal_range: Any) -> tuple[float, float] | None:
    """The first and the last energy, or None."""
    if signal_range is None:
        return None
    try:
        low, high = np.asarray(signal_range, dtype=np.float64).tolist()
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"signal_range={signal_range!r}: give the first and the last energy, for example (200, 10000)"
        ) from None
    return low, high


def _range(energy: Axis, low: float, high: float) -> tuple[int, int]:
    inside = np.flatnonzero((energy.values >= low) & (energy.values <= high))
    if len(inside) < 2:
        ends = f"{energy.values.min():.6g} to {energy.values.max():.6g} {energy.units if energy.calibrated else ''}"
        raise ValueError(
            f"signal_range={low:g}, {high:g} holds {len(inside)} channels; the {energy.name} axis is {ends.rstrip()}"
        )
    return int(inside[0]), int(inside[-1]) + 1


def _without_strobe(signal: Signal, out_of_core: bool, memory: Any, job: Job | None) -> int:
    """The first channel behind a strobe peak at 0 eV, 0 where there is none."""
    energy = signal.axes[-1]
    values = energy.values
    if energy.units != "eV" or energy.scale <= 0 or not values[0] < 0 < _EDS < values[-1]:
        return 0
    near = np.flatnonzero(np.abs(values) <= max(_STROBE, energy.scale))
    behind = np.flatnonzero((values > values[near[-1]]) & (values <= _REACH))
    if not behind.size:
        return 0
    part = slice(0, int(behind[-1]) + 1)
    if out_of_core:
        rows = rows_out_of_core(signal, part, "spectrum_image", memory, job)
        rows.mend = "counts" if signal.dtype.kind == "f" else ""
        sums = step(rows, "sums about a strobe", lambda: row_and_column_sums(rows))[1]
    else:
        data = signal.data[..., part].reshape(-1, part.stop)
        sums = (mended(data) if data.dtype.kind == "f" else data).sum(axis=0, dtype=np.float64)
    lowest = int(behind[np.argmin(sums[behind])])
    return lowest if sums[near].max() > 3 * max(sums[lowest], 1.0) else 0


def _mask(image: SpectrumImage, navigation_mask: ArrayLike | str) -> NDArray[np.bool_]:
    if isinstance(navigation_mask, str):
        if navigation_mask != "vacuum":
            raise ValueError(f"navigation_mask={navigation_mask!r} is not known; give 'vacuum' or an array of bool")
        rows = image.rows()
        counts: Floats = step(rows, "counts for the mask", lambda: counts_of(rows))[0].reshape(image.grid)
        measured = counts[counts > 0]
        return counts < _VACUUM * float(np.quantile(measured, 0.95)) if measured.size else np.zeros(image.grid, bool)
    mask = np.asarray(
        getattr(navigation_mask, "data", navigation_mask)
        if hasattr(navigation_mask, "axes_manager")
        else navigation_mask
    )
    if mask.dtype != bool:
        raise TypeError(f"navigation_mask is of {mask.dtype}; an array of bool is needed, True for what is left out")
    if mask.shape != image.grid:
        raise ValueError(f"navigation_mask has shape {mask.shape}; the scan has {image.grid}")
    return mask
