"""k-means of rows out of core: the passes that the kernel's iteration, and its k-means++, ask for."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.methods.kmeans.starts import copies_of
from emcore.outofcore.engine import Passes
from emcore.outofcore.reduction import Partial, PerRow

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]


def seeds_bytes(k: int) -> int:
    """What k-means++ keeps of each row: its distance from the first and the nearest row chosen, and from candidates."""
    return 16 + 8 * ((_emcore.kmeans_draws(k) - 1) // max(k - 1, 1))


def seed_centers(
    passes: Passes,
    draws: Floats,
    k: int,
    metric: str = "euclidean",
    weights: Floats | None = None,
    keep: Mapping[str, Any] = MappingProxyType({}),
) -> Floats:
    """
    The centres that greedy k-means++ chooses by the random numbers of `start_out_of_core`, a pass for each.

    The checkpoint holds `keep` and the phase "seeds", from which a run goes on that has the same "run" in `keep`.
    """
    return _Rows(passes, metric, weights, keep).seeds(draws, k)


def lloyd(
    passes: Passes, start: Floats, k: int, metric: str, weights: Floats | None, keep: dict[str, Any], **parameters: Any
) -> dict[str, Any]:
    """
    One run from centres, or from the random numbers of `start_out_of_core`, as the attributes of a `KMeansResult`.

    The checkpoint holds `keep` and the phase "lloyd", from which a run goes on that has the same "run" in `keep`.
    """
    state = passes.checkpoint.load("lloyd") or {}
    if state.get("run") != keep["run"]:
        centers = seed_centers(passes, start, k, metric, weights, keep) if start.ndim == 1 else start
        state = {"centers": centers, "n_iter": 0, "tol": 0.0, "converged": False, "inertia": np.nan}
    return _Rows(passes, metric, weights, keep).lloyd(state, parameters)


def nearest(passes: Passes, centers: Floats, metric: str, weights: Floats | None) -> tuple[Labels, float]:
    """Labels of all rows, and the inertia."""
    rows = _Rows(passes, metric, weights, {})
    return rows.labels, rows.finish(centers)


def distances(passes: Passes, centers: Floats, metric: str) -> Floats:
    """Distances of all rows to all centres."""
    values = np.empty((len(passes.source), len(centers)))
    passes(_distances, (centers, metric), into=[PerRow(passes.source, values)])
    return values


class _Rows:
    """What the kernel calls, and what it leaves here between passes: an entry for each row of several arrays."""

    def __init__(self, passes: Passes, metric: str, weights: Floats | None, keep: Mapping[str, Any]) -> None:
        self.passes, self.metric, self.weights, self.keep = passes, metric, weights, keep
        self.source, self.checkpoint = passes.source, passes.checkpoint
        self.labels = np.full(len(self.source), -1, np.int32)

    def _of(self, *arrays: Any) -> list[Any]:
        return [None if array is None else PerRow(self.source, array) for array in arrays]

    def seeds(self, draws: Floats, k: int) -> Floats:
        state = self.checkpoint.load("seeds") or {}
        state = state if state.get("run") == self.keep.get("run") else {}
        self.chosen: list[int] = [int(row) for row in state.get("chosen", ())]
        self.first, self.nearest = state.get("first"), state.get("nearest", np.ones(len(self.source)))
        chosen = _emcore.kmeans_seeds_out_of_core(self, self.chosen, k, rows=len(self.source), draws=draws)
        return copies_of(self.source, chosen)

    def attempt(self, rows: list[int]) -> Floats:
        self.closer = np.empty((len(self.source), len(rows)))
        state = copies_of(self.source, rows), copies_of(self.source, self.chosen[:1]), self.metric
        of_rows = self._of(self.first, self.nearest, self.weights)
        sums: Floats = self.passes(_attempt, state, of_rows, self._of(self.closer))[0]
        return sums

    def choose(self, chosen: list[int], which: int) -> None:
        self.chosen, self.nearest[:] = chosen, self.closer[:, which]
        if len(chosen) == 1:
            self.first = self.nearest.copy()
        self.checkpoint.save("seeds", **self.keep, chosen=chosen, first=self.first, nearest=self.nearest)

    def lloyd(self, state: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
        self.labels = state.get("labels", self.labels)
        data = {"features": self.source.shape[1], "double": self.source.dtype == np.float64}
        fit: Any = _emcore.kmeans_out_of_core(self, state, metric=self.metric, **data, **parameters)
        return {"labels": self.labels, **{name: fit[name] for name in ("centers", "inertia", "n_iter", "converged")}}

    def assign(self, centers: Floats) -> Partial:
        rows = self._of(self.labels, self.weights)
        return self.passes(_assign, (centers, self.metric), rows, rows[:1])

    def farthest(self, centers: Floats, count: int) -> tuple[float, Floats, Labels, Floats]:
        rows, merge = self._of(self.labels, self.weights), partial(_farther, count)
        inertia, _, *at = self.passes(_farthest, (centers, count, self.metric), rows, merge=merge)
        far = [self.source.row_of(int(block), int(row)) for block, row in zip(*at, strict=True)]
        weights = np.ones(len(far)) if self.weights is None else self.weights[far]
        return float(inertia), copies_of(self.source, far), self.labels[far], weights

    def finish(self, centers: Floats) -> float:
        into = self._of(self.labels)
        return float(self.passes(_nearest, (centers, self.metric), self._of(self.weights), into)[0])

    def save(self, state: dict[str, Any]) -> None:
        self.checkpoint.save("lloyd", **self.keep, **state, labels=self.labels)


def _assign(x: Any, state: Any, index: int, labels: Labels, weights: Floats | None) -> tuple[Any, ...]:
    visit = _emcore.kmeans_visit(x, state[0], labels, metric=state[1], weights=weights)
    return (visit["sums"], visit["weights"], visit["squares"], visit["moved"], visit["inertia"]), visit["labels"]


def _farthest(x: Any, state: Any, index: int, labels: Labels, weights: Floats | None) -> tuple[Any, ...]:
    centers, count, metric = state
    inertia, rows, squares = _emcore.kmeans_farthest(x, centers, labels, count, metric=metric, weights=weights)
    return ((inertia, squares, np.full(len(rows), index), rows),)


def _farther(count: int, a: Partial, b: Partial) -> Partial:
    """The farthest of both first, of equally far ones those of `a`."""
    order = np.argsort(-np.concatenate([a[1], b[1]]), kind="stable")[:count]
    return a[0] + b[0], *(np.concatenate(both)[order] for both in zip(a[1:], b[1:], strict=True))


def _nearest(x: Any, state: Any, index: int, weights: Floats | None) -> tuple[Any, ...]:
    labels, inertia = _emcore.kmeans_nearest(x, state[0], metric=state[1], weights=weights)
    return (inertia,), labels


def _distances(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return (), _emcore.kmeans_distances(x, state[0], metric=state[1])


def _attempt(x: Any, state: Any, index: int, first: Any, nearest: Floats, weights: Floats | None) -> tuple[Any, ...]:
    candidates, origin, metric = state
    chosen = None if first is None else (origin, first, nearest)
    closer, sums = _emcore.kmeans_attempts(x, candidates, chosen, metric=metric, weights=weights)
    return (sums,), closer
