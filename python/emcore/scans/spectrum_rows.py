"""Spectrum images that memory should not hold: which they are, and how they become rows that are visited in blocks."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.memory import check_memory, in_words, is_loaded
from emcore.core.signals import Signal, array_sha256
from emcore.io.convert import computed
from emcore.io.registry import is_mapped, read_all
from emcore.outofcore.blocks import CHUNKS_AT_ONCE, in_finer_chunks
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.open import one_chunk
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored

# Packed files are seldom smaller than this part of what they hold.
_PACKED = 100
# What is kept of every position beside a pass: its counts, what is left of them, whether it takes part; and, whether or
# not there is a job, so that the cut into blocks is the same, what one goes on from.
_PER_POSITION = 40 + 24


def read_within(path: Path, memory: Any) -> list[Signal]:
    """The numbers in a file; left there if they are larger than the budget, or in a file that is mapped anyway."""
    budget, mapped = check_memory(memory), is_mapped(path)
    if not mapped and _size(path) > budget // _PACKED:
        datasets = _left(path, budget)
        if any(bytes_of(signal) > budget for signal in datasets):
            return datasets
    return _numbers(read_all(path, mapped))


def _left(path: Path, budget: int) -> list[Signal]:
    """The numbers in a file, left there."""
    try:
        with importlib.import_module("dask").config.set({"array.chunk-size": _chunk_bytes(budget)}):
            return _numbers(read_all(path, True, stored=True))
    except ImportError:  # memory must do
        return []


def _chunk_bytes(budget: int) -> int:
    """Of chunks of which the budget holds one for each core, and three times as much besides."""
    return budget // (4 * CHUNKS_AT_ONCE)


def _numbers(datasets: list[Signal]) -> list[Signal]:
    return [signal for signal in datasets if signal.dtype.kind in "biuf"]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def bytes_of(signal: Signal) -> int:
    """Of its data, wherever they are stored."""
    return int(np.prod(signal.shape, dtype=np.int64)) * signal.dtype.itemsize


def is_out_of_core(signal: Signal, memory: Any) -> bool:
    """Whether the data are left where they are: as `open_rows` has it, but arrays in memory stay there."""
    return not is_loaded(bytes_of(signal), memory) and not is_held(signal)


def is_held(signal: Signal) -> bool:
    """Whether the data are in memory, and no memory map."""
    return isinstance(signal.data, np.ndarray) and Stored(signal.data).map is None


def loaded(signal: Signal) -> Signal:
    """With its data in memory, or mapped."""
    data = signal.data
    return signal if isinstance(data, np.ndarray) else replace(signal, data=computed(signal, data))


def rows_out_of_core(signal: Signal, channels: slice, name: str, memory: Any, job: Job | None = None) -> Source:
    """
    One row of these channels for each position; passes over them are part of a job, if there is one.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.io.read import as_signal
    >>> from emcore.scans.spectrum_rows import rows_out_of_core
    >>> rows_out_of_core(as_signal(np.zeros((4, 5, 8), np.uint16)), slice(2, 8), "spectrum_image", "1 MB").shape
    (20, 6)
    """
    data: Any = signal.data
    if hasattr(data, "dask"):
        data = one_chunk(data, 1, name)
        if memory is not None:  # before channels are picked: after that, chunks would be made whole
            rows = _chunk_bytes(check_memory(memory)) // (data.shape[-1] * data.dtype.itemsize)
            data = in_finer_chunks(data, max(rows, 1), name, f"memory={in_words(check_memory(memory))}")
        source = Source([data[..., channels]], name=name)
    else:
        source = Source([Stored(data, 1, channels)], name=name)
    source.budget, source.beside = memory, _PER_POSITION * source.shape[0]
    source.job, source.view = job, f"features {channels}"
    return source


def predicted(source: Source, per_row: int, fixed: int) -> str:
    """What is told of the memory that is going to be used; passes that would take more are refused."""
    least = source.cut()
    peak = min(least.peak + per_row * len(source) + fixed, check_memory(source.budget))
    return (
        f"emcore: {source.name} of {source.shape[0]} x {source.shape[1]} {source.dtype} is visited in "
        f"{len(least.blocks)} or more blocks; predicted peak memory {in_words(peak)}"
    )


def passes_said(signal: Signal, memory: Any, passes: int) -> tuple[str, ...]:
    """
    What is to be said of passes over data that were left where they are stored: nothing of others.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.io.read import as_signal
    >>> passes_said(as_signal(np.zeros((3, 4, 5))), None, 3)
    ()
    """
    if not is_out_of_core(signal, memory):
        return ()
    return (reads_said(bytes_of(signal), memory, passes),)


def reads_said(size: int, memory: Any, passes: int) -> str:
    """
    How often data of so many bytes were read.

    Examples
    --------
    >>> reads_said(1 << 31, "256 MiB", 3)
    'data out of core, read 3 times, 2 GiB each, in blocks within 256 MiB'
    """
    budget = in_words(check_memory(memory))
    return f"data out of core, read {passes} times, {in_words(size)} each, in blocks within {budget}"


def hash_of_scan(signal: Signal, picture: NDArray[Any], memory: Any) -> str:
    """
    The hash by which a result knows its data: of what is left where it is stored that of a picture of all of it, as
    nothing is read once more for this; "" of others, whose provenance finds that of the file or the values.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.io.read import as_signal
    >>> hash_of_scan(as_signal(np.zeros((3, 4, 5))), np.zeros((3, 4)), None)
    ''
    """
    here = isinstance(signal.data, np.ndarray) and not is_out_of_core(signal, memory)
    return "" if here else array_sha256(picture)
