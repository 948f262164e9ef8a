"""
One pass over rows out of core: slabs one after another or, in `emcore.outofcore.on_dask`, the blocks of a Dask array.

`function(rows, state, index, *of_rows)` visits the rows of one block and returns its partial, a tuple, and then what is
kept of every row. It is a pure function of `emcore.methods` that can be sent to another process. Partials are merged in
pairs, always the same ones, so that the result has the same bits wherever the blocks were visited.
"""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import in_words
from emcore.outofcore.blocks import Block
from emcore.outofcore.checkpoint import Checkpoint, Store
from emcore.outofcore.reduction import TICK, Partial, PerRow, Tree, add
from emcore.outofcore.sources import Source


def begin(
    source: Source,
    memory: Any,
    checkpoint: Any,
    parameters: dict[str, Any],
    per_row: int,
    fixed: int,
    quiet: bool = False,
) -> "Passes":
    """
    Passes over a source cut into blocks, so that `per_row` bytes kept for each row and `fixed` bytes fit into `memory`.

    What is known after each pass is kept in `checkpoint`, or as the next fit of the job that the source is of. The
    memory that this is going to take is logged or, where a budget was given, printed to stderr, unless `quiet`.
    """
    source = source.cut(memory, per_row, fixed)
    n, d = source.shape
    told = (
        f"emcore: {source.name} of {n} x {d} {source.dtype} in {len(source.blocks)} blocks; "
        f"predicted peak memory {in_words(source.peak)}"
    )
    if memory is not None and not quiet:
        print(told, file=sys.stderr)
    else:
        logging.getLogger("emcore").info(told)
    if checkpoint is None and source.job is not None:
        return Passes(source, source.job.fit())
    return Passes(source, Checkpoint(Store(checkpoint, source, parameters)))


class Passes:
    """
    Visits a source as often as asked.

    Parameters
    ----------
    source : Source
        Cut into blocks.
    checkpoint : Checkpoint
    """

    def __init__(self, source: Source, checkpoint: Checkpoint) -> None:
        self.source = source
        self.checkpoint = checkpoint
        self.mean: float | None = None
        self._done = self._total = 0

    def once(
        self,
        function: Callable[..., tuple[Any, ...]],
        state: Any = None,
        merge: Callable[[Partial, Partial], Partial] = add,
    ) -> Partial:
        """The merged partial of a pass that keeps nothing of the rows; not repeated after a job was killed."""
        return self.checkpoint.once(function.__name__, lambda: self(function, state, merge=merge))

    def __call__(
        self,
        function: Callable[..., tuple[Any, ...]],
        state: Any = None,
        rows: Sequence[PerRow | None] = (),
        into: Sequence[PerRow] = (),
        merge: Callable[[Partial, Partial], Partial] = add,
    ) -> Partial:
        """One pass: `rows` are given to the function, and what it returns beside the partial is put `into` these."""
        self._total += len(self.source)
        callback = _emcore.set_progress(None)
        try:
            run: Any = _in_slabs
            if self.source.lazy:
                from emcore.outofcore.on_dask import on_dask as run
            found: Partial = run(self.source, function, state, rows, into, merge, self._report(callback))
            return found
        finally:
            _emcore.set_progress(callback)
            self._done = self._total

    def _report(self, callback: Callable[[int, int], object] | None) -> Callable[[int], None]:
        """Tells the caller's callback, if there is one, how many rows of this pass are done."""
        last = time.monotonic()

        def report(rows: int) -> None:
            nonlocal last
            now = time.monotonic()
            if callback is not None and now - last >= TICK:
                last = now
                callback(self._done + rows, self._total)

        return report


def _in_slabs(
    source: Source,
    function: Callable[..., tuple[Any, ...]],
    state: Any,
    rows: Sequence[PerRow | None],
    into: Sequence[PerRow],
    merge: Callable[[Partial, Partial], Partial],
    report: Callable[[int], None],
) -> Partial:
    for part in source.parts:
        part.check()
    tree, done = Tree(merge), 0
    with ThreadPoolExecutor(1, "emcore-read") as reader:
        ahead: Future[Any] = reader.submit(_read, source, source.blocks[0])
        for block in source.blocks:
            stored = ahead.result()
            if block.index + 1 < len(source.blocks):
                ahead = reader.submit(_read, source, source.blocks[block.index + 1])
            _emcore.set_progress(_share(report, done, block.rows))
            x = source.checked_rows(stored, block.chosen)
            found = _visit(function, x, state, block.index, [of and of.get(block) for of in rows], source)
            _emcore.set_progress(None)
            del x
            for part, values in zip(source.parts, stored, strict=True):
                part.release(values)
            for of, values in zip(into, found[1:], strict=True):
                of.put(block, values)
            tree.add(found[0])
            done += block.rows
            report(done)
    total: Partial = tree.result()
    return total


def _share(report: Callable[[int], None], done: int, rows: int) -> Callable[[int, int], object]:
    """What a kernel tells of some rows, as rows of the pass."""
    return lambda n, of: report(done + rows * n // max(of, 1))


def _read(source: Source, block: Block) -> list[NDArray[Any]]:
    stored = source.load(block)
    for part, values in zip(source.parts, stored, strict=True):
        part.ahead(values)
    return stored


def _visit(
    function: Callable[..., tuple[Any, ...]], x: Any, state: Any, index: int, rows: Sequence[Any], source: Source
) -> tuple[Any, ...]:
    try:
        return function(x, state, index, *rows)
    except ValueError as error:
        first = source.row_of(index, 0)
        raise ValueError(
            f"{error} (rows counted from row {first} of {source.name})" if first else str(error)
        ) from error
