"""Tasks of one pass on the scheduler of Dask that is active: of a cluster, or of this machine."""

import warnings
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

from emcore.outofcore.blocks import Block
from emcore.outofcore.reduction import TICK, Partial

# Bytes from which what belongs to rows is sent straight to workers; how often a pass is tried that loses some of it.
_STRAIGHT, _ATTEMPTS = 1 << 20, 3


class Here:
    """Runs tasks with the threads or processes of this machine, all of one go together."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report, self._done = report, 0

    def end(self) -> None:
        """Nothing is left behind."""

    def start(self, task: Any, near: Any = None) -> Any:
        """What other tasks take of this one, which runs where `near` is kept."""
        return task

    want = start

    def send(self, values: list[Any], near: Any) -> Any:
        """What a task takes in place of values of the caller's."""
        from dask import delayed

        return delayed(values, traverse=False)

    def results(self, total: Any, of_batches: list[tuple[list[Block], Any]], take: Callable[..., None]) -> Any:
        """The value of one task; those of others, of a batch each, are given to `take`."""
        import dask
        from dask.callbacks import Callback

        counts, visited = [sum(block.rows for block in batch) for batch, _ in of_batches], 0

        def count(key: Any, *_: Any) -> None:
            nonlocal visited
            visited += str(key).startswith("_others")
            self._report(self._done + sum(counts) * visited // max(len(counts), 1))

        with Callback(posttask=count):
            value, *values = dask.compute(total, *(each for _, each in of_batches))
        self._done += sum(counts)
        for (batch, _), of_batch in zip(of_batches, values, strict=True):
            take(batch, of_batch)
        return value


class Cluster:
    """Runs tasks on the workers of a cluster as they are started, those of a batch where its data are kept."""

    def __init__(self, client: Any, report: Callable[[int], None]) -> None:
        self._client, self._report, self._done = client, report, 0
        self._where, self._wanted = dict(client.who_has() or {}), list[Any]()

    def start(self, task: Any, near: Any = None) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")  # what belongs to rows goes with them
            return self._client.compute(task, optimize_graph=False, **self._at(near))

    def want(self, task: Any) -> Any:
        """Start what no other task takes."""
        self._wanted.append(self.start(task))
        return self._wanted[-1]

    def send(self, values: list[Any], near: Any) -> Any:
        """If it is much, straight to the worker, not by way of the scheduler."""
        from dask import delayed

        if sum(each.nbytes for of_block in values for each in of_block if each is not None) < _STRAIGHT:
            return delayed(values, traverse=False)
        at = self._at(near).get("workers")
        try:
            (sent,) = self._client.scatter([values], direct=True, hash=False, workers=at)
        except (OSError, ValueError) as error:
            raise CancelledError("a worker was lost") from error
        return sent

    def _at(self, near: Any) -> dict[str, Any]:
        workers = list(self._where.get(getattr(near, "key", None), ()))
        return {"workers": workers, "allow_other_workers": True} if workers else {}

    def results(self, total: Any, of_batches: list[tuple[list[Block], Any]], take: Callable[..., None]) -> Any:
        from distributed import wait

        whole, waiting = self.want(total), {future: batch for batch, future in of_batches}
        while waiting:
            with suppress(TimeoutError):
                wait(list(waiting), timeout=TICK, return_when="FIRST_COMPLETED")
            done = [future for future in waiting if future.done()]
            for future, value in zip(done, self._client.gather(done, direct=True), strict=True):
                batch = waiting.pop(future)
                take(batch, value)
                self._done += sum(block.rows for block in batch)
            self._report(self._done)
        return self._client.gather(whole, direct=True)

    def end(self) -> None:
        """What is not done yet is not wanted any more, nor what only that was for."""
        self._client.cancel(self._wanted)


def again_if_lost(attempt: Callable[[], Partial]) -> Partial:
    """What an attempt gives; made anew when a worker was lost with what had been sent to it, which nobody else has."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except CancelledError:
            continue
    return attempt()


def active_client() -> Any:
    """The client of the cluster that is active; None of other schedulers."""
    from dask.base import get_scheduler

    client = getattr(get_scheduler(), "__self__", None)
    return client if hasattr(client, "scatter") else None
