"""
The same passes on Dask: blocks on the workers of whatever scheduler is active, partials merged there in a tree.

The state goes out once a pass. All that belongs to single rows stays with the caller and is sent with its block: a
worker that is lost costs its blocks, not the job. Every task costs the scheduler some milliseconds, so small blocks are
visited several together, merged in the same pairs as one by one; and what is read is kept on the workers of a cluster
as long as passes are made, where their memory has room for it.
"""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.control import num_threads
from emcore.core.memory import check_memory
from emcore.outofcore.blocks import CHUNKS_AT_ONCE, Block, joined
from emcore.outofcore.hashing import combined, hash_of_block
from emcore.outofcore.reduction import TICK, Partial, PerRow, Tree
from emcore.outofcore.sources import Source, as_rows

# Bytes that are visited in one task, if several blocks together are no more: on a cluster, and here, where a task costs
# less and memory is one; tasks for each thread at least.
_TOGETHER, _HERE, _TASKS = 256 << 20, 32 << 20, 2
# Tasks of one go on this machine, a power of two: no more partials wait to be merged than `COPIES` of passes allow for.
_WAVE = 16
# Bytes from which what belongs to rows is sent straight to workers; how often a pass is tried that loses some of it.
_STRAIGHT, _ATTEMPTS = 1 << 20, 3
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

    client = _client()
    batches = _batches(source, client)
    kept = _kept(source, batches, client)
    same = delayed(
        (function, state, source.recipes, str(source.dtype), source.name, source.mend, hashed, merge), traverse=False
    )
    work, join, put = (delayed(each, pure=False) for each in (_on_worker, _joined, _others))
    wave = len(batches) if client is not None else _WAVE
    whole, digests, done = Tree(merge), {}, 0

    def attempt(some: Sequence[Sequence[Block]], chunks: Sequence[Any]) -> Sequence[Any]:
        of_rows = [[[of and np.ascontiguousarray(of.get(block)) for of in rows] for block in batch] for batch in some]
        tree, visited = Tree(lambda a, b: join(merge, a, b)), []
        for batch, sent, stored in zip(some, _sent(of_rows, client), chunks, strict=True):
            which = [(block.index, _start(block), block.chosen) for block in batch]
            visited.append(work(same, which, sent, stored))
            tree.add(visited[-1])
        before = done
        return _computed([tree.result(), *map(put, visited)], some, lambda rows: report(before + rows), client)

    for first in range(0, len(batches), wave):
        some = batches[first : first + wave]
        total, *values = _again_if_lost(partial(attempt, some, kept[first : first + wave]))
        whole.add(_aligned(_partial(total)))
        for batch, of_batch in zip(some, values, strict=True):
            for block, (digest, *of_block) in zip(batch, of_batch, strict=True):
                digests[_start(block)] = digest
                done += block.rows
                for of, value in zip(into, of_block, strict=True):
                    of.put(block, value)
    if hashed and source.unvisited:
        hashes = [delayed(hash_of_block, pure=False)(*block.chunks) for block in source.unvisited]
        rest = _computed(hashes, [], lambda rows: report(done), client)
        digests |= dict(zip(map(_start, source.unvisited), rest, strict=True))
    result: Partial = whole.result()
    return result, combined([digests[at] for at in sorted(digests)]) if hashed else ""


def _again_if_lost(attempt: Callable[[], Sequence[Any]]) -> Sequence[Any]:
    """What an attempt gives; made anew when a worker was lost with what had been sent to it, which nobody else has."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except CancelledError:
            continue
    return attempt()


def _sent(of_batches: list[Any], client: Any) -> list[Any]:
    """What belongs to the rows of each batch: if it is much, straight to the workers, not by way of the scheduler."""
    from dask import delayed

    size = sum(each.nbytes for batch in of_batches for block in batch for each in block if each is not None)
    if client is None or size < _STRAIGHT:
        return [delayed(each, traverse=False) for each in of_batches]
    return list(client.scatter(of_batches, direct=True, hash=False))


def _client() -> Any:
    """The client of the cluster that is active; None of other schedulers."""
    from dask.base import get_scheduler

    client = getattr(get_scheduler(), "__self__", None)
    return client if hasattr(client, "scatter") else None


def _batches(source: Source, client: Any) -> list[list[Block]]:
    """Blocks that are visited in one task: 1, 2, 4 or more, the next ones each, so that pairs remain the same."""
    row = sum(part.shape[-1] * part.dtype.itemsize for part in source.parts)
    block = max(row * max(each.rows for each in source.blocks), 1)
    room = (check_memory(source.budget) - source.beside) // CHUNKS_AT_ONCE
    threads = sum(client.nthreads().values()) if client is not None else CHUNKS_AT_ONCE - 1
    many, count = 1, len(source.blocks)
    most = min(_HERE if client is None else _TOGETHER, room)
    while 2 * many * block <= most and count >= 2 * many * _TASKS * max(threads, 1):
        many *= 2
    return [source.blocks[start : start + many] for start in range(0, count, many)]


def _kept(source: Source, batches: Sequence[Sequence[Block]], client: Any) -> list[Any]:
    """What is stored of every batch: of each of its blocks a list of what is of each part."""
    from dask import delayed

    chunks: list[list[Any]] = [[list(block.chunks) for block in batch] for batch in batches]
    if client is None or source.nbytes > _KEPT * _free(client):
        return chunks
    key = tuple(part.name for part in source.parts), tuple(tuple(map(_start, batch)) for batch in batches)
    if key not in source.on_workers:
        whole = delayed(_arrays, pure=False)
        source.on_workers[key] = list(client.persist([whole(each) for each in chunks]))
    held: list[Any] = source.on_workers[key]
    return held


def _free(client: Any) -> float:
    """Bytes that all workers together have free; none where they do not say."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return float(sum(max(w["memory_limit"] - w["metrics"].get("memory", 0), 0) for w in workers))


def _start(block: Block) -> tuple[int, ...]:
    """Where a block begins, by which it is recognised."""
    return tuple(edge.start for edge in block.where)


def _on_worker(
    same: tuple[Any, ...],
    which: list[tuple[int, tuple[int, ...], Any]],
    rows: list[list[Any]],
    chunks: list[list[NDArray[Any]]],
) -> tuple[Any, ...]:
    """Visit blocks with one thread: their partial, and of each its hash, if it is wanted, and what is of its rows."""
    function, state, recipes, dtype, name, mend, hashed, merge = _aligned(same)
    former = _emcore.set_progress(None)
    tree, others = Tree(merge), []
    try:
        with num_threads(1):
            for (index, start, chosen), of_rows, stored in zip(which, rows, chunks, strict=True):
                try:
                    stored = [joined(part) for part in stored]
                    x = as_rows(_aligned(tuple(stored)), recipes, np.dtype(dtype), name, _aligned(chosen), mend)
                    of_task, *of_block = function(x, state, index, *_aligned(of_rows))
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


def _computed(
    wanted: list[Any], batches: Sequence[Sequence[Block]], report: Callable[[int], None], client: Any
) -> Sequence[Any]:
    """What is wanted, from the scheduler that is active: the total, then what belongs to each batch, then others."""
    import dask
    from dask.callbacks import Callback

    counts = [sum(block.rows for block in batch) for batch in batches]
    if client is None:
        done, each = 0, sum(counts) / max(len(counts), 1)

        def count(key: Any, *_: Any) -> None:
            nonlocal done
            done += str(key).startswith("_others")
            report(int(done * each))

        with Callback(posttask=count):
            return dask.compute(*wanted)  # type: ignore[no-any-return]
    from distributed import wait

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")  # what belongs to rows goes with them
        futures = client.compute(wanted)
    try:
        while not all(future.done() for future in futures):
            with suppress(TimeoutError):
                wait(futures, timeout=TICK)
            report(sum(rows for rows, future in zip(counts, futures[1:], strict=False) if future.done()))
        return client.gather(futures, direct=True)  # type: ignore[no-any-return]
    finally:
        client.cancel(futures)
