"""What is left of a scan of spectra or patterns once its noise is taken off?

A scan holds few different signals, mixed, so that few components describe it; noise has as many as there are channels.
Signals are weighted for their noise (Keenan & Kotula, Surf. Interface Anal. 36 (2004) 203), the components that stand
above it are kept, each as far as it is signal (Gavish & Donoho, IEEE Trans. Inf. Theory 63 (2017) 2137), the sums of
positions are brought as far to their mean as they differ by noise (James & Stein, Proc. 4th Berkeley Symp. 1 (1961)
361), and the scan is put together from these, block by block, into a file of its kind.
"""

import math
import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore._emcore import __version__
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.memory import check_memory, in_words
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, check_count, check_option, check_result
from emcore.core.wording import count_of, number
from emcore.io.scan_files import ScanFile, check_scan_file, new_scan, size_of_scan
from emcore.methods.denoising.components import MOST, Components, find_components
from emcore.methods.denoising.low_rank import LowRank, approximated, low_rank, row_at_low_rank
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.engine import begin
from emcore.outofcore.reduction import PerRow
from emcore.outofcore.sources import Source
from emcore.outofcore.writing import Written, in_order, reserved
from emcore.results.denoised import ENERGY, Denoised
from emcore.scans.axes import SignalAxis
from emcore.scans.broken import broken_pixels
from emcore.scans.gaps import Gaps
from emcore.scans.signal_rows import as_scan, rows_of
from emcore.scans.spectrum_rows import hash_of_scan
from emcore.workflows.denoise_noise import WEIGHTINGS, observed_of, weighting_of

DTYPES, NEGATIVES = ("float32", "native"), ("clip", "keep")
# What is kept of every position beside a pass.
_PER_POSITION = 96
# A residual so many times the noise is more than that.
_FAR = 2.0


@with_progress_bar
@documented()
def denoise(
    data: Any,
    n_components: int | str = "auto",
    *,
    out: str | os.PathLike[str] | None = None,
    dtype: str = "float32",
    weighting: str = "auto",
    negative: str = "clip",
    signal_axis: SignalAxis = None,
    scan_shape: tuple[int, int] | None = None,
    dataset: str | int | None = None,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Denoised:
    """Take the noise off a scan of spectra or diffraction patterns: the scan at low rank,
    weighted for counts.

    Parameters
    ----------
    data : array_like, Signal, HyperSpy signal or path
        Of shape (y, x, channels) or (y, x, ky, kx), or positions without a grid, in the
        detector's own type: EDS, EELS, 4D-STEM, curves. It is neither written to nor copied as
        a float. A memory map, an HDF5 or Zarr array, a lazy signal or a Dask array is visited
        in blocks, with the same result.
    n_components : int or "auto", default "auto"
        How many components are kept. "auto": those whose singular values are above the largest
        that noise has, as what is left shows it, of counts in the noisiest positions and
        channels [3]_; up to 160, the weakest of them in part [1]_.
    out : path, optional
        The file that is written, block by block: .hspy, .h5 (both HDF5) and .zspy (Zarr), which
        HyperSpy and `emcore.read` open with axes and units; .emd (HDF5) of patterns, which
        py4DSTEM opens; or .npy, which has no axes. Without, the scan is returned in memory.
    dtype : {"float32", "native"}, default "float32"
        "native" is the type of the data: whole numbers are rounded, by which low counts are
        lost, which is said.
    weighting : {"auto", "poisson", "none"}, default "auto"
        "auto": of counts, as "poisson", every value weighs by the roots of the sums of its
        position and channel [2]_; of a camera the gain and the read noise are measured and go
        into these; of values of other noise, each channel by its noise as neighbouring
        positions show it. "none": all alike.
    negative : {"clip", "keep"}, default "clip"
        Noise that is left makes values negative where next to nothing was measured. Set to zero
        they are nearer the truth, but add to sums; as they are, as HyperSpy leaves them, sums
        over many positions are those measured. Data that have negative values keep theirs in
        any case.
    signal_axis : int, str or two of these, optional
        Number or name of the axis of the signal, of patterns of both, in place of what the axes
        say.
    %(scan_shape)s
    %(dataset)s
    %(memory)s
    %(checkpoint)s
        What was not yet written then is written anew.
    overwrite : bool, default False
        Replace the file `out`.

    Returns
    -------
    Denoised
        Its `signal` is the scan, with axes; beside it what was taken off, by position and by
        channel, and why so many components were kept. The same to the last bit on any number of
        threads. Positions without a measurement, and broken pixels of a detector, are left as
        they are and counted; so are cosmic rays.

    Raises
    ------
    ValueError
        NaN or infinity at every position (the first is named), too few positions, more
        components than channels or positions, negative values where counts are asked for, a
        result that needs more memory than it may use, a checkpoint of other data or options, an
        unknown option.
    TypeError
        Data that are not real numbers.
    OSError
        `out` exists, or cannot be written; its disk has too little room.

    References
    ----------
    .. [1] Gavish & Donoho, IEEE Trans. Inf. Theory 63 (2017) 2137.
    .. [2] Keenan & Kotula, Surf. Interface Anal. 36 (2004) 203.
    .. [3] Bandeira & van Handel, Ann. Probab. 44 (2016) 2479.

    Examples
    --------
    >>> import numpy as np
    >>> import emcore
    >>> from emcore.datasets import eds_phases
    >>> sample = eds_phases(shape=(32, 32), counts=50)
    >>> result = emcore.denoise(sample.signal)
    >>> truth = np.einsum("kyx,ke->yxe", sample.maps, sample.spectra)
    >>> before = np.linalg.norm(sample.signal.data - truth)
    >>> after = np.linalg.norm(result.signal.data - truth)
    >>> result.rule, bool(after < before / 3)
    ('noise', True)
    """
    started = time.perf_counter()
    check_option(dtype, DTYPES, "dtype")
    check_option(weighting, WEIGHTINGS, "weighting")
    check_option(negative, NEGATIVES, "negative")
    if isinstance(n_components, str):
        check_option(n_components, ("auto",), "n_components")
    else:
        check_count(n_components, "n_components", 1)
    path = None if out is None else Path(out)
    if path is not None:
        check_scan_file(path, overwrite)
    signal = as_scan(data, memory=memory, signal_axis=signal_axis, scan_shape=scan_shape, dataset=dataset)
    if path is not None and signal.source and path.resolve() == Path(signal.source).resolve():
        raise FileExistsError(f"out={str(path)!r} is the file that is read: name another one")
    parameters: dict[str, Any] = {"n_components": n_components, "dtype": dtype, "weighting": weighting}
    parameters |= {"negative": negative}
    rows = _rows(signal, memory, checkpoint, parameters)
    made_type = np.dtype(np.float32) if dtype == "float32" else rows.dtype
    size = size_of_scan(signal.axes, made_type)
    if path is not None:
        check_scan_file(path, overwrite, size, signal.axes)
    elif size > check_memory(memory) and (memory is not None or isinstance(rows, Source)):
        raise ValueError(
            f"the denoised scan takes {in_words(size)}, more than memory={in_words(check_memory(memory))}: give out=, "
            "a file that it is written to"
        )
    observed = observed_of(rows, signal, memory)
    stored_rows, rows, gaps = rows, observed.rows, observed.gaps
    scan = tuple(replace(axis, navigation=False) for axis in signal.axes if axis.navigation)
    inside = signal.axes[len(scan) :]
    shape = tuple(axis.size for axis in inside)
    there = len(gaps.measured)
    mean = observed.sums / there
    broken, said = broken_pixels(mean.reshape(shape)) if len(shape) == 2 else (np.zeros(shape, dtype=bool), ())
    features = ~broken.ravel() if broken.any() else None
    weights, unit, notes = weighting_of(observed, weighting)
    notes = [*_of_gaps(gaps), *(f"{text}, and as they are" for text in said), *notes]
    taken = gaps.measured
    if weights.normalize == "root-sum":
        taken = taken[observed.counts[taken] >= max(weights.least, 1e-300)]
    totals = observed.counts, observed.sums
    components = find_components(rows, totals, weights, taken, n_components, features, observed.sample)
    notes += _of_components(components, n_components, there - len(taken))
    if weights.varying < 0.99:
        part = f"{100 * weights.varying:.2g} % of what the sums of positions vary by is no noise"
        notes.append(f"{part}: they were brought nearer to their mean")
    made = low_rank(components, weights, mean, features, negative == "clip" and observed.low >= 0, made_type)
    stored = None if path is not None else np.empty((len(gaps.empty), math.prod(shape)), made_type)
    about = ScanFile(
        made_type, _marked(scan, True) + inside, signal.title, _described(components), signal.metadata.get("instrument")
    )
    passed = _written(stored_rows, made, ~gaps.empty, memory, stored, path, about, overwrite)
    notes += _of_values(passed, made, there, negative, float(observed.sums.sum()))
    grid = tuple(axis.size for axis in scan)
    by_row, by_feature = weights.expected(observed.counts, observed.sums)
    if unit == ENERGY:
        by_row, by_feature = passed["energy"], passed["energies"]
    residual_map = _divided(passed["squares"], np.where(gaps.empty, 0, by_row))
    with np.errstate(over="ignore"):
        check_result(residual_map.astype(np.float32), "data")
    left = float(residual_map[gaps.measured].mean())
    if unit != ENERGY and left > _FAR:
        notes.append(f"the residual is {number(left)} times the noise: signal was taken off, or the noise is larger")
    index = _usual(observed.counts, gaps)
    row = np.asarray(rows.take([index]) if isinstance(rows, Source) else rows[index : index + 1])[0]
    total = Signal(observed.counts.reshape(grid).astype(np.float32), scan, signal.source, "sum of the signal")
    if isinstance(rows, Source):
        notes.append(f"data out of core, visited in blocks with a budget of {in_words(check_memory(memory))}")
    return Denoised(
        image=total,
        mean=Signal(mean.reshape(shape), _marked(inside, False), signal.source, signal.title),
        mean_denoised=(passed["sums"] / there).reshape(shape),
        position=tuple(int(i) for i in np.unravel_index(index, grid)),
        at_position=row.astype(np.float32).reshape(shape),
        at_position_denoised=row_at_low_rank(row, made).astype(np.float32).reshape(shape),
        channel=tuple(int(i) for i in np.unravel_index(made.channel, shape)),
        of_channel=passed["before"].reshape(grid),
        of_channel_denoised=passed["after"].reshape(grid),
        residual_map=residual_map.reshape(grid).astype(np.float32),
        residual_signal=_divided(passed["of_features"], by_feature * _there(features, by_feature)).reshape(shape),
        residual_unit=unit,
        evr=components.evr,
        ratios=components.ratios,
        kept=components.kept,
        n_components=components.choice.n,
        rule=components.choice.rule,
        reason=components.choice.reason,
        measured=~gaps.empty.reshape(grid),
        broken=broken,
        path="" if path is None else str(path.resolve()),
        stored=None
        if stored is None
        else replace(signal, data=stored.reshape(*grid, *shape), axes=about.axes, source="", flagged=True),
        n_empty=gaps.n_empty,
        provenance=Provenance.record(
            "denoise",
            parameters | {"scan_shape": None if scan_shape is None else grid},
            signal,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=notes,
            sha256=hash_of_scan(signal, total.data, memory),
        ),
    )


def _rows(signal: Signal, memory: Any, checkpoint: Any, parameters: dict[str, Any]) -> Any:
    """One row for each position; with a checkpoint as those of a job."""
    rows = rows_of(signal, memory=memory)
    if checkpoint is not None and not isinstance(rows, Source):
        rows = in_order(rows)
    if isinstance(rows, Source):
        rows.budget, rows.beside = memory, _PER_POSITION * rows.shape[0]
        if checkpoint is not None:
            identity = {"method": "denoise", "version of emcore": __version__, "memory": check_memory(memory)}
            kept = {key: parameters[key] for key in ("n_components", "weighting")}
            rows.job = Job(checkpoint, rows.cut(), identity | kept)
    return rows


def _written(
    rows: Any,
    made: LowRank,
    measured: NDArray[np.bool_],
    memory: Any,
    stored: NDArray[Any] | None,
    path: Path | None,
    about: ScanFile,
    overwrite: bool,
) -> dict[str, Any]:
    """Make all rows, into the array or the file, and what was seen of them."""
    source = in_order(rows)
    n, d = source.shape
    width = d * made.dtype.itemsize if path is not None else 0
    fixed = reserved(source, width, memory) + 8 * (made.into.size + made.back.size) + 32 * d
    passes = begin(source, "writing", memory, None, {}, 40, fixed, quiet=True)
    doubles, singles = [np.empty(n) for _ in range(3)], [np.empty(n, np.float32) for _ in range(2)]
    with ExitStack() as stack:
        if path is None:
            into: Any = PerRow(passes.source, stored)  # type: ignore[arg-type]  # there is one without a path
        else:
            into = stack.enter_context(Written(stack.enter_context(new_scan(path, about, overwrite))))
        of_rows = [PerRow(passes.source, each) for each in (*doubles, *singles)]
        there = PerRow(passes.source, measured)
        of_features, sums, energies, count, lacking, lost = passes(approximated, made, [there], [into, *of_rows])
    squares, of_rows_sums, energy = doubles
    return {
        "squares": squares,
        "whole": float(of_rows_sums.sum()),
        "energy": energy,
        "before": singles[0],
        "after": singles[1],
        "of_features": of_features,
        "sums": sums,
        "negative": int(count),
        "lacking": float(lacking),
        "lost": int(lost),
        "energies": energies,
    }


def _marked(axes: tuple[Axis, ...], navigation: bool) -> tuple[Axis, ...]:
    return tuple(replace(axis, navigation=navigation) for axis in axes)


def _usual(counts: Floats, gaps: Gaps) -> int:
    """A measured position of a usual sum."""
    own = counts[gaps.measured]
    return int(gaps.measured[np.argsort(own, kind="stable")[len(own) // 2]])


def _there(features: NDArray[np.bool_] | None, values: Floats) -> NDArray[np.bool_]:
    return np.ones(len(values), dtype=bool) if features is None else features


def _divided(squares: Floats, by: Floats) -> Floats:
    return np.divide(squares, by, out=np.zeros_like(squares), where=by > 0)


def _described(components: Components) -> str:
    count = count_of(components.choice.n, "component")
    return f"denoised by emcore {__version__}: {count}, weighted for noise, {components.choice.reason}"


def _of_gaps(gaps: Gaps) -> list[str]:
    return [f"{gaps.said}: left as {'it is' if gaps.n_empty == 1 else 'they are'}"] if gaps.n_empty else []


def _of_components(found: Components, asked: int | str, few: int) -> list[str]:
    notes = []
    if few:
        notes.append(f"{count_of(few, 'position')} with next to no counts took no part in the search for components")
    if asked == "auto" and found.choice.n >= MOST:
        notes.append(f"{MOST} components are the most that are looked for: weaker ones were taken off with the noise")
    if none := int(np.count_nonzero(found.kept == 0)):
        said = "one is" if none == 1 else f"{none} are"
        notes.append(f"of {count_of(found.choice.n, 'component')} {said} noise, of which nothing was kept")
    return notes


def _of_values(passed: dict[str, Any], made: LowRank, there: int, negative: str, whole: float) -> list[str]:
    """What became of values that came out negative, or were rounded."""
    notes = []
    total = there * len(made.into)
    if passed["negative"]:
        part = f"{100 * passed['negative'] / total:.2g} % of the values came out negative"
        if made.clip:
            more = number(100 * -passed["lacking"] / whole, 2) if whole > 0 else "0"
            notes.append(f"{part} and were set to zero, which adds {more} % to the sum; negative='keep' leaves them")
        else:
            notes.append(f"{part} and were left so")
    if made.dtype.kind in "iu":
        part = f"{100 * passed['lost'] / total:.2g} %"
        notes.append(f"values were rounded to {made.dtype}: {part} of them, below a half, became zero")
    return notes
