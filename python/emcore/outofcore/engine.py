"""
One pass over rows out of core: slabs one after another or, in `emcore.outofcore.on_dask`, the blocks of a Dask array.

`function(rows, state, index, *of_rows)` visits the rows of one block and returns its partial, a tuple, and then one
array for each of `into`, with an entry for every row. It is a pure function of `emcore.methods` that can be sent to
another process. Partials are merged in pairs, always the same ones, so that the result has the same bits wherever the
blocks were visited.

The first pass with a new checkpoint takes a hash of the data: in the thread that reads ahead, or on the workers.
A pass over slabs that is made once saves every so often how far it has come.
"""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from emcore import _emcore
from emcore.core.memory import in_words
from emcore.core.wording import count_of
from emcore.outofcore.checkpoint import Checkpoint, Store
from emcore.outofcore.hashing import Digest, view_of
from emcore.outofcore.reading import Stored, read_ahead
from emcore.outofcore.reduction import TICK, Partial, PerRow, Tree, add
from emcore.outofcore.sources import Source

SAVED = 30.0
"""Seconds after which a pass that is made once saves how far it has come."""


def begin(
    source: Source,
    name: str,
    memory: Any,
    checkpoint: Any,
    settings: dict[str, Any],
    per_row: int,
    fixed: int,
    quiet: bool = False,
) -> "Passes":
    """
    Passes over a source in blocks, cut so that `per_row` bytes for each row and `fixed` bytes beside fit into `memory`.

    The state after each pass is saved in `checkpoint`, which is that of the method `name` with these settings; without
    one, as the fit of this name of the job that the source is of. The memory that this is going to take is logged or,
    where there is a budget, printed to stderr, unless `quiet`.
    """
    source = source.cut(memory, per_row, fixed)
    n, d = source.shape
    prediction = (
        f"emcore: {source.name} of {n} x {d} {source.dtype} in {count_of(len(source.blocks), 'block')}; "
        f"predicted peak memory {in_words(source.peak)}"
    )
    if memory is not None and not quiet:
        print(prediction, file=sys.stderr)
    else:
        logging.getLogger("emcore").info(prediction)
    if checkpoint is None and source.job is not None:
        return Passes(source, source.job.fit(name))
    store = Store(checkpoint, source, {"method": name, **settings})
    store.compare_all(source)
    return Passes(source, Checkpoint(store))


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
        name: str,
        function: Callable[..., tuple[Any, ...]],
        state: Any = None,
        rows: Sequence[PerRow | None] = (),
        into: Sequence[PerRow] = (),
        merge: Callable[[Partial, Partial], Partial] = add,
    ) -> Partial:
        """
        As a call, the pass of this name, which is made once, though the job be killed after it.

        Of slabs it is also saved on the way; what had been visited by then is not read again.
        """

        def compute() -> Partial:
            kept = not self.source.lazy and self.checkpoint.path is not None
            resumption = _Resumption(self.checkpoint, name, into) if kept else None
            return *self(function, state, rows, into, merge, resumption), *(of.array for of in into)

        values = self.checkpoint.once(name, compute)
        count = len(values) - len(into)
        for of, saved in zip(into, values[count:], strict=True):
            of.array[...] = saved
        return values[:count]

    def __call__(
        self,
        function: Callable[..., tuple[Any, ...]],
        state: Any = None,
        rows: Sequence[PerRow | None] = (),
        into: Sequence[PerRow] = (),
        merge: Callable[[Partial, Partial], Partial] = add,
        resumption: "_Resumption | None" = None,
    ) -> Partial:
        """One pass: `rows` are passed to the function, and what it returns beside the partial is put `into` these."""
        self._total += len(self.source)
        store, view = self.checkpoint.store, view_of(self.source)
        hashed = store.hashes(view) and (resumption is None or resumption.goes_on_with_hash)
        callback = _emcore.set_progress(None)
        try:
            arguments = self.source, function, state, rows, into, merge, self._report(callback), hashed
            if self.source.lazy:
                from emcore.outofcore.on_dask import on_dask

                total, digest = on_dask(*arguments)
            else:
                total, digest = _in_slabs(*arguments, resumption)
            if hashed:
                store.compare(view, digest)
            merged: Partial = total
            return merged
        finally:
            _emcore.set_progress(callback)
            self._done = self._total

    def _report(self, callback: Callable[[int, int], object] | None) -> Callable[[int], None]:
        """A function that reports to the caller's callback, if there is one, how many rows of this pass are done."""
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
    hashed: bool,
    resumption: "_Resumption | None",
) -> tuple[Partial, str]:
    """The merged partial, and the hash of the data if that is wanted."""
    tree, done = Tree(merge), 0
    digest = Digest(len(source.parts)) if hashed else None
    slabs = source.blocks
    if hashed:
        slabs = sorted([*slabs, *source.unvisited], key=lambda block: block.where[0].start)
    if resumption is not None:
        visited = resumption.resume(tree, digest)
        done = sum(block.rows for block in slabs if block.where[0].start < visited)
        slabs = [block for block in slabs if block.where[0].start >= visited]

    def hashed_with(stored: Stored) -> list[int] | None:
        if digest is None:
            return None
        digest.add(stored)
        return list(digest.of_parts)

    for block, stored, hashed_so_far in read_ahead(source, slabs, hashed_with):
        if block.rows:
            _emcore.set_progress(_share(report, done, block.rows))
            x = source.checked_rows(stored, block.chosen)
            own = [of and of.get(block) for of in rows]
            partial, *of_rows = _visit(function, x, state, block.index, own, source)
            _emcore.set_progress(None)
            del x
            for of, values in zip(into, of_rows, strict=True):
                of.put(block, values)
            tree.add(partial)
        del stored
        done += block.rows
        report(done)
        if resumption is not None and tree.waiting and block is not slabs[-1]:
            resumption.save(block.where[0].stop, tree, hashed_so_far)
    return tree.result(), "" if digest is None else digest.hex()


class _Resumption:
    """How far a pass has come: from the row behind the last block that was visited, another run goes on."""

    def __init__(self, checkpoint: Checkpoint, name: str, into: Sequence[PerRow]) -> None:
        self._checkpoint, self._name, self._into = checkpoint, name, into
        self._last = time.monotonic()
        self._saved = checkpoint.load_part(name)

    @property
    def goes_on_with_hash(self) -> bool:
        """Whether a hash of all data can be had: not if this goes on from a pass that took none."""
        return not self._saved or "digest" in self._saved

    def resume(self, tree: Tree, digest: Digest | None) -> int:
        """The first row that is to be visited."""
        if not self._saved:
            return 0
        try:
            for i, level in enumerate(self._saved["levels"].tolist()):
                values = [self._saved[f"{i}.{j}"] for j in range(int(self._saved["length"]))]
                tree.waiting.append((level, tuple(value.item() if value.ndim == 0 else value for value in values)))
            for i, of in enumerate(self._into):
                of.array[...] = self._saved[f"rows.{i}"]
            if digest is not None:
                digest.of_parts = self._saved["digest"].tolist()
            return int(self._saved["row"])
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(
                f"checkpoint={str(self._checkpoint.path)!r} holds a state of the pass {self._name!r} that does not fit "
                "this job: name another file, or remove it to start anew"
            ) from error

    def save(self, row: int, tree: Tree, digest: list[int] | None) -> None:
        """How far it has come, if it is time."""
        if time.monotonic() - self._last < SAVED:
            return
        levels = [level for level, _ in tree.waiting]
        state = {f"{i}.{j}": value for i, (_, values) in enumerate(tree.waiting) for j, value in enumerate(values)}
        state |= {f"rows.{i}": of.array for i, of in enumerate(self._into)}
        state |= {} if digest is None else {"digest": digest}
        self._checkpoint.save_part(self._name, row=row, levels=levels, length=len(tree.waiting[-1][1]), **state)
        self._last = time.monotonic()


def _share(report: Callable[[int], None], done: int, rows: int) -> Callable[[int, int], object]:
    """The progress of a kernel over some rows, as rows of the pass."""
    return lambda n, of: report(done + rows * n // max(of, 1))


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
