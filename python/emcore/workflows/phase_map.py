"""Which of some known phases is every position of a scan, and how reliable is that?

Pearson's correlation of the signal of a position with references changes with neither gain nor offset: thickness, dose
and a constant background are no phase. The phase is that of the reference which correlates best; how reliable it is,
by how much that exceeds the best correlation with another phase (Adrar et al., EMC 2024 no. 145). The data are read
once.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.memory import check_memory, in_words
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, check_number
from emcore.core.wording import number
from emcore.methods.correlation.phases import classify
from emcore.results.phase_map import PhaseMap
from emcore.results.references import as_references
from emcore.scans.axes import SignalAxis
from emcore.scans.gaps import Gaps
from emcore.scans.signal_rows import as_scan, rows_of
from emcore.scans.spectrum_images import channels_of, check_range
from emcore.scans.spectrum_rows import hash_of_scan, is_out_of_core

# Channels decide correlations that have so much of the variance, and are so few.
_DECIDES, _FEW = 0.8, 0.1


@with_progress_bar
@documented()
def phase_map(
    data: Any,
    references: Any,
    *,
    phases: Sequence[str] | None = None,
    min_correlation: float = 0.0,
    signal_range: tuple[float, float] | None = None,
    signal_axis: SignalAxis = None,
    scan_shape: tuple[int, int] | None = None,
    dataset: str | int | None = None,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> PhaseMap:
    """Map phases whose signals are known: spectra, curves or diffraction patterns.

    Parameters
    ----------
    data : array_like, Signal, HyperSpy signal or path
        Of shape (y, x, ...), in the detector's own type: spectra of EDS or EELS, images at a
        series of energies, diffraction patterns. A memory map, an HDF5 or Zarr array, a lazy
        signal or a Dask array is visited in blocks.
    references : array_like, Signal, result, path, or several of these in a list or dict
        The signal of each phase: of shape (k, ...); of a result, such as an unmixing or a
        clustering, its spectra or mean signals; a file of either. Of a dict the keys are names,
        of a list the files' names or the titles, and a phase may have several references.
        Spectra may have a part of the scan's channels, if their axes say which: then these are
        compared.
    phases : sequence of str, optional
        The name of the phase of each reference; of several that share one, the best counts.
    min_correlation : float, default 0
        Below it, or where no reference correlates positively, a position has no phase.
    signal_range : (float, float), optional
        Of spectra the first and last energy that are compared, in eV, in channels where the
        energy is not calibrated. By default all that the references have, but of EDS without
        the detector's strobe peak at 0. A line that all phases have, and is stronger than those
        in which they differ, makes them alike: leave it out.
    signal_axis : int, str or two of these, optional
        Number or name of the axis of the signal, of patterns of both, in place of what the axes
        say.
    %(scan_shape)s
    %(dataset)s
    %(memory)s
    %(checkpoint)s
        Here that is one pass, which is saved every half minute.

    Returns
    -------
    PhaseMap
        The same to the last bit on any number of threads. Positions of one value throughout,
        and those with NaN or infinity, have no phase, label -1, and are counted.

    Raises
    ------
    ValueError
        References that do not fit the data, or of one value; NaN or infinity in them, or at
        every position; names that do not fit; a correlation outside -1 to 1.
    TypeError
        Data that are not real numbers.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import absorption_phases, adjusted_rand_index
    >>> sample = absorption_phases(n_phases=3)
    >>> phases = ["FeO", "Fe3O4", "Fe2O3"]
    >>> result = emcore.phase_map(sample.signal, sample.references, phases=phases)
    >>> result.names, adjusted_rand_index(sample.labels, result.labels) > 0.95
    (('FeO', 'Fe3O4', 'Fe2O3'), True)
    """
    started = time.perf_counter()
    least = check_number(min_correlation, "min_correlation", -1, 1)
    signal = as_scan(data, memory=memory, signal_axis=signal_axis, scan_shape=scan_shape, dataset=dataset)
    scan = tuple(replace(axis, navigation=False) for axis in signal.axes if axis.navigation)
    inside = signal.axes[len(scan) :]
    given = as_references(references, inside, phases)
    compared, said = given.channels, tuple[str, ...]()
    if len(inside) == 1:
        compared, said = _compared(signal, given.channels, signal_range, memory)
        inside = (inside[0].crop(compared.start, compared.stop),)
    elif signal_range is not None:
        raise ValueError("signal_range is of spectra; these are patterns, whose pixels have no range: leave it out")
    signals = given.signals[..., slice(compared.start - given.channels.start, compared.stop - given.channels.start)]
    grid, shape = tuple(axis.size for axis in scan), tuple(axis.size for axis in inside)
    rows = rows_of(signal, compared, memory=memory)
    names = tuple(dict.fromkeys(given.phases))
    of = np.array([names.index(name) for name in given.phases])
    found, assigned, sums, counts = classify(
        rows, signals.reshape(len(of), -1), of, least, memory=memory, checkpoint=checkpoint
    )
    constant, invalid = found.norms == 0, ~np.isfinite(found.norms)
    gaps = Gaps(constant | invalid, 0, int(constant.sum()), int(invalid.sum()))
    if gaps.n_empty == len(constant):
        raise ValueError(f"data: {gaps.said}, too few are left")
    measured = int(counts.sum())
    means = np.where(gaps.empty, 0.0, found.means)
    notes = [*said, *gaps.notes]
    if counts[-1]:
        notes.append(f"{int(counts[-1])} of {measured} measured positions correlate with no phase: their label is -1")
    whole = (sums.sum(axis=0) / measured).reshape(shape)
    notes += _nowhere([name for name, count in zip(names, counts[:-1], strict=True) if not count], whole, inside)
    if is_out_of_core(signal, memory):
        notes.append(f"data out of core, visited in blocks with a budget of {in_words(check_memory(memory))}")
    image = Signal(means.reshape(grid).astype(np.float32), scan, signal.source, "mean value")
    return PhaseMap(
        labels=assigned.labels.reshape(grid),
        correlation=assigned.correlation.reshape(grid),
        difference=assigned.difference.reshape(grid),
        reliability=assigned.reliability.reshape(grid),
        r=np.ascontiguousarray(found.r.T).reshape(-1, *grid),
        measured=~gaps.empty.reshape(grid),
        signals=(sums[:-1] / np.maximum(counts[:-1], 1)[:, None]).reshape(-1, *shape),
        references=signals,
        phase_of=of.astype(np.int64),
        names=names,
        area=counts[:-1] / measured,
        n_phases=len(names),
        min_correlation=least,
        image=image,
        mean=Signal(whole, inside, signal.source, signal.title),
        n_empty=gaps.n_empty,
        provenance=Provenance.record(
            "phase_map",
            {
                "references": os.fspath(references)
                if isinstance(references, str | os.PathLike)
                else type(references).__name__,
                "phases": list(given.phases),
                "min_correlation": least,
                "signal_range": check_range(signal_range),
                "scan_shape": None if scan_shape is None else grid,
            },
            signal,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=notes,
            sha256=hash_of_scan(signal, image.data, memory),
        ),
    )


def _nowhere(names: list[str], mean: Floats, inside: tuple[Axis, ...]) -> tuple[str, ...]:
    """That no position is most like some phases, and which few channels decide that, if few do."""
    if not names:
        return ()
    said = f"no position is most like {', '.join(names)}"
    shares = np.square(mean - mean.mean()).ravel()
    order = np.argsort(-shares)
    few = order[: 1 + int(np.searchsorted(np.cumsum(shares[order]), _DECIDES * shares.sum()))]
    if len(inside) > 1 or len(few) > _FEW * len(shares):
        return (said,)
    axis = inside[0]
    at = [number(axis.values[i]) for i in (few.min(), few.max())]
    part = f"{len(few)} of {len(shares)} channels, at {at[0]} to {at[1]} {axis.units}"
    return (f"{said}: {part}, decide correlations, with {_DECIDES:.0%} of the variance; signal_range= leaves them out",)


def _compared(signal: Signal, given: slice, signal_range: Any, memory: Any) -> tuple[slice, tuple[str, ...]]:
    """The channels that are compared: of those that the references have, the ones in range."""
    wanted, said = channels_of(signal, signal_range, is_out_of_core(signal, memory), memory)
    channels = slice(max(wanted.start, given.start), min(wanted.stop, given.stop))
    count, of = max(channels.stop - channels.start, 0), signal.axes[-1].size
    if count < 2:
        raise ValueError(f"signal_range={signal_range} and the references have {count} channels in common; give others")
    if given != slice(0, of):
        said = (*said, f"the {count} of {of} channels that the references have were compared")
    return channels, said
