"""
The same passes on Dask: blocks on the workers of whatever scheduler is active, partials merged there in a tree.

The state goes out once a pass. All that is known of single rows stays with the caller and is sent with its block: a
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
) -> Partial:
    """One pass over a source of Dask arrays; as `emcore.outofcore.engine.Passes` makes it."""
    from dask import delayed

    told = delayed((function, state, source.recipes, str(source.dtype), source.name), traverse=False)
    work, first, put = delayed(_on_worker, pure=False), delayed(_first, pure=False), delayed(_others, pure=False)
    join = delayed(merge, pure=False)
    tree, kept = Tree(join), []
    for block in source.blocks:
        given = delayed([of and np.ascontiguousarray(of.get(block)) for of in rows], traverse=False)
        found = work(told, block.index, block.chosen, given, *(chunks[block.index] for chunks in source.chunks))
        tree.add(first(found))
        kept.append(put(found))
    total, *values = _computed([tree.result(), *kept], source, report)
    for block, of_block in zip(source.blocks, values, strict=True):
        for of, value in zip(into, of_block, strict=True):
            of.put(block, value)
    return total  # type: ignore[no-any-return]


def _on_worker(
    told: tuple[Any, ...], index: int, chosen: Any, rows: list[Any], *stored: NDArray[Any]
) -> tuple[Any, ...]:
    """Visit a chunk with one thread."""
    function, state, recipes, dtype, name = _aligned(told)
    former = _emcore.set_progress(None)
    try:
        with num_threads(1):
            x = as_rows(_aligned(stored), recipes, np.dtype(dtype), name, _aligned(chosen))
            return function(x, state, index, *_aligned(rows))  # type: ignore[no-any-return]
    finally:
        _emcore.set_progress(former)


def _aligned(value: Any) -> Any:
    """With arrays that kernels can take: what came in a message lies anywhere in it."""
    if isinstance(value, np.ndarray):
        return np.require(value, requirements="A")
    if isinstance(value, tuple | list):
        return type(value)(map(_aligned, value))
    return {key: _aligned(each) for key, each in value.items()} if isinstance(value, dict) else value


def _first(found: tuple[Any, ...]) -> Any:
    return found[0]


def _others(found: tuple[Any, ...]) -> tuple[Any, ...]:
    return found[1:]


def _computed(wanted: list[Any], source: Source, report: Callable[[int], None]) -> Sequence[Any]:
    """What is wanted, from the scheduler that is active; the first is the result, the others belong to the blocks."""
    import dask
    from dask.base import get_scheduler
    from dask.callbacks import Callback

    client = getattr(get_scheduler(collections=wanted), "__self__", None)
    if client is None or not hasattr(client, "scatter"):
        done, each = 0, len(source) / len(source.blocks)

        def told(key: Any, *_: Any) -> None:
            nonlocal done
            done += str(key).startswith("_others")
            report(int(done * each))

        with Callback(posttask=told):
            return dask.compute(*wanted)  # type: ignore[no-any-return]
    from distributed import wait

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")  # what is known of rows goes with them
        futures = client.compute(wanted)
    try:
        while not all(future.done() for future in futures):
            with suppress(TimeoutError):
                wait(futures, timeout=TICK)
            report(sum(b.rows for b, future in zip(source.blocks, futures[1:], strict=True) if future.done()))
        return client.gather(futures)  # type: ignore[no-any-return]
    finally:
        client.cancel(futures)
