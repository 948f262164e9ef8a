"""
The same passes on Dask: blocks on the workers of whatever scheduler is active, partials merged there in a tree.

The state goes out once a pass. All that belongs to single rows stays with the caller and is sent with its block: a
worker that is lost costs its blocks, not the job.
"""

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.control import num_threads
from emcore.outofcore.blocks import Block
from emcore.outofcore.hashing import combined, hash_of_chunk
from emcore.outofcore.reduction import TICK, Partial, PerRow, Tree
from emcore.outofcore.sources import Source, as_rows


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

    same = delayed(
        (function, state, source.recipes, str(source.dtype), source.name, source.mend, hashed), traverse=False
    )
    work, first, put = delayed(_on_worker, pure=False), delayed(_first, pure=False), delayed(_others, pure=False)
    tree, others = Tree(delayed(merge, pure=False)), []
    for block in source.blocks:
        of_rows = delayed([of and np.ascontiguousarray(of.get(block)) for of in rows], traverse=False)
        visited = work(same, block.index, _start(block), block.chosen, of_rows, *block.chunks)
        tree.add(first(visited))
        others.append(put(visited))
    skipped = source.unvisited if hashed else []
    hashes = [delayed(hash_of_chunk, pure=False)(*block.chunks) for block in skipped]
    total, *values = _computed([tree.result(), *others, *hashes], source, report)
    digests = dict(zip(map(_start, skipped), values[len(others) :], strict=True))
    for block, (digest, *of_block) in zip(source.blocks, values, strict=False):
        digests[_start(block)] = digest
        for of, value in zip(into, of_block, strict=True):
            of.put(block, value)
    return _aligned(total), combined([digests[at] for at in sorted(digests)]) if hashed else ""


def _start(block: Block) -> tuple[int, ...]:
    """Where a block begins, by which it is recognised."""
    return tuple(edge.start for edge in block.where)


def _on_worker(
    same: tuple[Any, ...], index: int, start: tuple[int, ...], chosen: Any, rows: list[Any], *stored: NDArray[Any]
) -> tuple[Any, ...]:
    """Visit a chunk with one thread: its partial, its hash if it is wanted, and what belongs to its rows."""
    function, state, recipes, dtype, name, mend, hashed = _aligned(same)
    former = _emcore.set_progress(None)
    try:
        with num_threads(1):
            x = as_rows(_aligned(stored), recipes, np.dtype(dtype), name, _aligned(chosen), mend)
            partial, *of_rows = function(x, state, index, *_aligned(rows))
            return partial, hash_of_chunk(*stored) if hashed else "", *of_rows
    except ValueError as error:
        raise ValueError(f"{error} (rows counted in the chunk of {name} that begins at {list(start)})") from error
    finally:
        _emcore.set_progress(former)


def _aligned(value: Any) -> Any:
    """With arrays that kernels can take: what came in a message lies anywhere in it."""
    if isinstance(value, np.ndarray):
        return np.require(value, requirements="A")
    if isinstance(value, tuple | list):
        values = map(_aligned, value)
        return type(value)(*values) if hasattr(value, "_fields") else type(value)(values)  # of a NamedTuple, or a list
    return {key: _aligned(each) for key, each in value.items()} if isinstance(value, dict) else value


def _first(visited: tuple[Any, ...]) -> Any:
    return visited[0]


def _others(visited: tuple[Any, ...]) -> tuple[Any, ...]:
    return visited[1:]


def _computed(wanted: list[Any], source: Source, report: Callable[[int], None]) -> Sequence[Any]:
    """What is wanted, from the scheduler that is active: the total, then what belongs to each block, then others."""
    import dask
    from dask.base import get_scheduler
    from dask.callbacks import Callback

    client = getattr(get_scheduler(collections=wanted), "__self__", None)
    if client is None or not hasattr(client, "scatter"):
        done, each = 0, len(source) / len(source.blocks)

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
            report(sum(b.rows for b, future in zip(source.blocks, futures[1:], strict=False) if future.done()))
        return client.gather(futures)  # type: ignore[no-any-return]
    finally:
        client.cancel(futures)
