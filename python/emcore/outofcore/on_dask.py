"""
The same passes on Dask: blocks on the workers of whatever scheduler is active, partials merged there in a tree.

The state goes out once a pass. All that belongs to single rows stays with the caller and is sent with its block: a
worker that is lost costs its blocks, not the job. Every task costs the scheduler some milliseconds, so small blocks are
visited several together, merged in the same pairs as one by one; and what is read is kept on the workers of a cluster
as long as passes are made, where their memory has room for it. What belongs to the rows of one batch goes to the worker
that keeps its data, and comes back, while others are visited.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.control import num_threads
from emcore.core.memory import check_memory
from emcore.outofcore.blocks import CHUNKS_AT_ONCE, Block, joined
from emcore.outofcore.dask_tasks import Cluster, Here, active_client, again_if_lost
from emcore.outofcore.hashing import combined, hash_of_block
from emcore.outofcore.reduction import Partial, PerRow, Tree
from emcore.outofcore.sources import Source, as_rows

# Bytes that are visited in one task, if several blocks together are no more: on a cluster, and here, where a task costs
# less and memory is one; tasks for each thread at least.
_TOGETHER, _HERE, _TASKS = 256 << 20, 32 << 20, 2
# Tasks of one go on this machine, a power of two: no more partials wait to be merged than `COPIES` of passes allow for.
_WAVE = 16
# The part of the memory of all workers that is free in which data are kept.
_KEPT = 0.5


def on_dask(
    source: Source,
    function: Callable[..., tuple[Any, ...]],
    state: Any,
    rows: Sequence[PerRow | None],
    into: Sequence[PerRow],
    merge: Callable[[Partial, Partial], Partial],
    report: Callable[[int], None],
    hashed: bool,
) -> tuple[Partial, str]:
    """One pass over a source of Dask arrays; as `emcore.outofcore.engine.Passes` makes it."""
    from dask import delayed

    client = active_client()
    keeps = client is not None and _keeps(source, client)
    batches = _batches(source, client, keeps)
    kept = _kept(source, batches, client if keeps else None)
    work, join, put, last = (delayed(each, pure=False) for each in (_on_worker, _joined, _others, _partial))

    # What workers may be sent again, when one is lost, is overwritten last.
    last_of_all = client is not None and not {id(of.array) for of in into}.isdisjoint(id(of.array) for of in rows if of)
    digests: dict[tuple[int, ...], str] = {}
    held: list[tuple[PerRow, Block, Any]] = []

    def take(batch: Sequence[Block], of_batch: Any) -> None:
        for block, (digest, *of_block) in zip(batch, of_batch, strict=True):
            digests[_start(block)] = digest
            for of, value in zip(into if block.rows else (), of_block, strict=True):
                if last_of_all:
                    held.append((of, block, value))
                else:
                    of.put(block, value)

    def attempt() -> Partial:
        held.clear()
        whole = Tree(_either(merge))
        run: Here | Cluster = Here(report) if client is None else Cluster(client, report)
        common = function, state, source.recipes, str(source.dtype), source.name, source.mend, hashed, merge
        wave = len(batches) if client is not None else _WAVE
        try:
            same = run.start(delayed(common, traverse=False))
            for first in range(0, len(batches), wave):
                tree, others = Tree(_either(lambda a, b: join(merge, a, b))), []
                for batch, stored in zip(batches[first : first + wave], kept[first : first + wave], strict=True):
                    chosen = [block for block in batch if block.rows]
                    visited = None
                    if chosen or hashed:
                        which = [(block.index, _start(block), block.rows, block.chosen) for block in batch]
                        own = [[of and np.ascontiguousarray(of.get(block)) for of in rows] for block in chosen]
                        visited = run.start(work(same, which, run.send(own, stored), stored), stored)
                        others.append((batch, run.want(put(visited))))
                    tree.add(visited if chosen else None)
                whole.add(_aligned(run.results(last(tree.result()), others, take)))
        finally:
            run.end()
        partial: Partial = whole.result()
        return partial

    total = again_if_lost(attempt)
    for of, block, value in held:
        of.put(block, value)
    return total, combined([digests[at] for at in sorted(digests)]) if hashed else ""


def _batches(source: Source, client: Any, keeps: bool) -> list[list[Block]]:
    """
    Blocks that are visited in one task: 1, 2, 4 or more, the next ones each, so that pairs remain the same.

    Those without a chosen row are among them, so that they are the same whichever rows are chosen. Where workers keep
    the data, no more than these is held while they are visited.
    """
    blocks = sorted([*source.blocks, *source.unvisited], key=_start)
    row = sum(part.shape[-1] * part.dtype.itemsize for part in source.parts)
    largest = max(row * max(prod(edge.stop - edge.start for edge in block.where) for block in blocks), 1)
    room = _TOGETHER if keeps else (check_memory(source.budget) - source.beside) // CHUNKS_AT_ONCE
    threads = sum(client.nthreads().values()) if client is not None else CHUNKS_AT_ONCE - 1
    many = 1
    most = min(_HERE if client is None else _TOGETHER, room)
    while 2 * many * largest <= most and len(blocks) >= 2 * many * _TASKS * max(threads, 1):
        many *= 2
    return [blocks[start : start + many] for start in range(0, len(blocks), many)]


def _kept(source: Source, batches: Sequence[Sequence[Block]], client: Any) -> list[Any]:
    """What is stored of every batch: of each of its blocks a list of what is of each part; kept by workers."""
    from dask import delayed

    chunks: list[list[Any]] = [[list(block.chunks) for block in batch] for batch in batches]
    if client is None:
        return chunks
    key = _names(source), tuple(tuple(map(_start, batch)) for batch in batches)
    if key not in source.on_workers:
        whole = delayed(_arrays, pure=False)
        # To every thread the same number of neighbours: the scheduler may leave half of the workers without any.
        threads = [worker for worker, count in sorted(client.nthreads().items()) for _ in range(count)]
        near = (
            [threads[i * len(threads) // len(chunks)] for i in range(len(chunks))] if threads else [None] * len(chunks)
        )
        source.on_workers[key] = [
            client.compute(whole(each), workers=worker, allow_other_workers=worker is not None)
            for each, worker in zip(chunks, near, strict=True)
        ]
    held: list[Any] = source.on_workers[key]
    return held


def _keeps(source: Source, client: Any) -> bool:
    """Whether workers keep these data, or have room for them."""
    names = _names(source)
    return any(of == names for of, _ in source.on_workers) or source.nbytes <= _KEPT * _free(client)


def _names(source: Source) -> tuple[str, ...]:
    return tuple(part.name for part in source.parts)


def _free(client: Any) -> float:
    """Bytes that all workers together have free; none where they do not say."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return float(sum(max(w["memory_limit"] - w["metrics"].get("memory", 0), 0) for w in workers))


def _start(block: Block) -> tuple[int, ...]:
    """Where a block begins, by which it is recognised."""
    return tuple(edge.start for edge in block.where)


def _on_worker(
    same: tuple[Any, ...],
    which: list[tuple[int, tuple[int, ...], int, Any]],
    rows: list[list[Any]],
    chunks: list[list[NDArray[Any]]],
) -> tuple[Any, ...]:
    """Visit blocks with one thread: their partial, and of each its hash, if it is wanted, and what is of its rows."""
    function, state, recipes, dtype, name, mend, hashed, merge = _aligned(same)
    former = _emcore.set_progress(None)
    tree, others, of_rows = Tree(_either(merge)), [], iter(rows)
    try:
        with num_threads(1):
            for (index, start, count, chosen), parts in zip(which, chunks, strict=True):
                stored = _aligned(tuple(joined(part) for part in parts)) if count or hashed else ()
                of_task, of_block = None, ()
                try:
                    if count:
                        x = as_rows(stored, recipes, np.dtype(dtype), name, _aligned(chosen), mend)
                        of_task, *of_block = function(x, state, index, *_aligned(next(of_rows)))
                except ValueError as error:
                    where = f"rows counted in the chunk of {name} that begins at {list(start)}"
                    raise ValueError(f"{error} ({where})") from error
                tree.add(of_task)
                others.append((hash_of_block(*stored) if hashed else "", *of_block))
        return _Visited((tree.result(), others))
    finally:
        _emcore.set_progress(former)


def _arrays(chunks: list[list[Any]]) -> list[list[NDArray[Any]]]:
    """Of every block of a batch the array of every part."""
    return [[joined(part) for part in of_block] for of_block in chunks]


class _Visited(tuple[Any, ...]):
    """What a task gives: a partial, and what is of each of its blocks."""

    __slots__ = ()


def _partial(value: Any) -> Any:
    return value[0] if isinstance(value, _Visited) else value


def _joined(merge: Callable[[Partial, Partial], Partial], a: Any, b: Any) -> Partial:
    """Of two tasks, or what was joined of several."""
    return merge(_partial(a), _partial(b))


def _either(merge: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The same, where None is of blocks that are not visited."""

    def merged(a: Any, b: Any) -> Any:
        return b if a is None else a if b is None else merge(a, b)

    return merged


def _aligned(value: Any) -> Any:
    """With arrays that kernels can take: what came in a message lies anywhere in it."""
    if isinstance(value, np.ndarray):
        return np.require(value, requirements="A")
    if isinstance(value, tuple | list):
        values = map(_aligned, value)
        return type(value)(*values) if hasattr(value, "_fields") else type(value)(values)  # of a NamedTuple, or a list
    return {key: _aligned(each) for key, each in value.items()} if isinstance(value, dict) else value


def _others(visited: _Visited) -> Any:
    return visited[1]
