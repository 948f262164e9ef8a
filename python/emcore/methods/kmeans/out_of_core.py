"""k-means of rows outside memory: each step of Lloyd's iteration is one pass that reads all rows."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.outofcore.engine import Passes
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.sources import Source

Floats = NDArray[np.float64]
Run = tuple[Floats, NDArray[np.int32], float, int, bool]


def sums_bytes(d: int, k: int) -> int:
    """About how much memory the sums of a fit take."""
    return 8 * d * k * 24


def row_bytes(k: int, init: Any, weighted: bool) -> int:
    """What is kept of each row: labels of this and of the best run, distances while k-means++ draws, its weight."""
    drawn = 16 + 8 * trials(k) if isinstance(init, str) and init == "k-means++" else 0
    return 12 + drawn + (8 if weighted else 0)


def trials(k: int) -> int:
    """Candidates for each further row of k-means++."""
    return 2 + int(np.log(k))


class KMeansPasses:
    """The passes of k-means over a source, with a metric and weights of the rows."""

    def __init__(self, passes: Passes, metric: str, weights: Floats | None) -> None:
        self.passes, self.metric, self.weights = passes, metric, weights
        self.source = passes.source
        self.of_rows = None if weights is None else PerRow(passes.source, weights)

    def runs(self, starts: list[Any], k: int, max_iter: int, tol: float) -> Run:
        """The best of some runs; a start is centres, or the draws of k-means++."""
        keep = self.passes.checkpoint
        resumed = keep.load("lloyd") or keep.load("seeds")
        best: dict[str, Any] = {key[5:]: value for key, value in (resumed or {}).items() if key.startswith("best_")}
        state = {key: value for key, value in (resumed or {}).items() if not key.startswith("best_")}
        for run in range(int(state.get("run", 0)), len(starts)):
            kept = {"run": run, **{f"best_{key}": value for key, value in best.items()}}
            if "centers" not in state:
                given = starts[run]
                state = {"centers": self.seeds(given, k, kept, state) if given.ndim == 1 else given}
            found = self._lloyd(state, max_iter, tol, kept)
            if not best or found["inertia"] < best["inertia"]:
                best = found
            state = {}
        return best["centers"], best["labels"], float(best["inertia"]), int(best["n_iter"]), bool(best["converged"])

    def _lloyd(self, state: dict[str, Any], max_iter: int, tol: float, kept: dict[str, Any]) -> dict[str, Any]:
        n = len(self.source)
        new = {"labels": np.full(n, -1, np.int32), "n_iter": 0, "tol": 0.0, "converged": False}
        state = {**new, **{key: value for key, value in state.items() if key != "run"}}
        labels = PerRow(self.source, state["labels"])
        while state["n_iter"] < max_iter and not state["converged"]:
            state["n_iter"] += 1
            centers = state["centers"]
            sums, mass, squares, moved = self.passes(_visit, (centers, self.metric), [labels, self.of_rows], [labels])
            far = self._far(labels, centers, int((mass == 0).sum()))
            double = self.source.dtype == np.float64
            state["centers"], shift, variance = _emcore.kmeans_update(
                centers, sums, mass, squares, moved=far, metric=self.metric, double=double
            )
            state["tol"] = tol * variance if state["n_iter"] == 1 else state["tol"]
            state["converged"] = bool(moved == 0 or shift <= state["tol"])
            self.passes.checkpoint.save("lloyd", **kept, **state)
        state["labels"], state["inertia"] = self.nearest(state["centers"])
        return state

    def _far(self, labels: PerRow, centers: Floats, empty: int) -> tuple[Floats, NDArray[np.int32], Floats]:
        """Rows that empty clusters take, their labels and weights."""
        if not empty:
            return np.empty((0, centers.shape[1])), np.empty(0, np.int32), np.empty(0)
        _, blocks, rows = self.passes(_farthest, (centers, empty, self.metric), [labels], merge=_farther)
        at = [self.source.row_of(int(block), int(row)) for block, row in zip(blocks[:empty], rows[:empty], strict=True)]
        copies = self.source.take(at).astype(np.float64) if at else np.empty((0, centers.shape[1]))
        return copies, labels.array[at], np.ones(len(at)) if self.weights is None else self.weights[at]

    def nearest(self, centers: Floats) -> tuple[NDArray[np.int32], float]:
        """Labels of all rows, and the inertia."""
        labels = np.empty(len(self.source), np.int32)
        (inertia,) = self.passes(_nearest, (centers, self.metric), [self.of_rows], [PerRow(self.source, labels)])
        return labels, float(inertia)

    def distances(self, centers: Floats) -> Floats:
        """Distances of all rows to all centres."""
        found = np.empty((len(self.source), len(centers)))
        self.passes(_distances, (centers, self.metric), into=[PerRow(self.source, found)])
        return found

    def seeds(self, draws: Floats, k: int, kept: dict[str, Any], state: dict[str, Any]) -> Floats:
        """Greedy k-means++ as in the kernel: rows far from each other."""
        n, m = len(self.source), trials(k)
        if "chosen" in state:
            chosen, squares, nearest = state["chosen"].tolist(), state["squares"], state["nearest"]
        else:
            weights = self.weights
            first = (
                min(int(draws[0] * n), n - 1)
                if weights is None
                else _emcore.kmeans_draw(weights, draws[:1].tolist(), weights=None)[0]
            )
            chosen, squares = [first], np.empty(n)
            self.passes(
                _distances_from, (self._rows(chosen)[0], self.metric), [self.of_rows], [PerRow(self.source, squares)]
            )
            nearest = squares.copy()
            self.passes.checkpoint.save("seeds", **kept, chosen=chosen, squares=squares, nearest=nearest)
        origin, closer = self._rows(chosen[:1])[0], np.empty((n, m))
        of_rows = [PerRow(self.source, squares), PerRow(self.source, nearest), self.of_rows]
        while len(chosen) < k:
            at = 1 + (len(chosen) - 1) * m
            candidates = _emcore.kmeans_draw(nearest, draws[at : at + m].tolist(), weights=self.weights)
            told = (origin, self._rows(candidates), self.metric)
            (sums,) = self.passes(_attempts, told, of_rows, [PerRow(self.source, closer)])
            best = int(np.argmin(sums))
            nearest[:] = closer[:, best]
            chosen.append(candidates[best])
            self.passes.checkpoint.save("seeds", **kept, chosen=chosen, squares=squares, nearest=nearest)
        return self._rows(chosen)

    def _rows(self, indices: list[int]) -> Floats:
        return self.source.take(indices).astype(np.float64)


def seed_centers(
    passes: Passes,
    draws: Floats,
    k: int,
    metric: str = "euclidean",
    weights: Floats | None = None,
    keep: Mapping[str, Any] = MappingProxyType({}),
) -> Floats:
    """
    The centres that greedy k-means++ chooses, shape (k, d), one pass for each.

    `draws` are the random numbers of `start_outside`. After each pass the checkpoint holds the phase "seeds", `keep`
    beside it; a run that was killed, told apart by the entry "run" of `keep`, goes on from there.
    """
    state = passes.checkpoint.load("seeds") or {}
    state = state if state.get("run") == keep.get("run") else {}
    return KMeansPasses(passes, metric, weights).seeds(draws, k, dict(keep), state)


def _visit(x: Any, state: Any, index: int, labels: NDArray[np.int32], weights: Floats | None) -> tuple[Any, ...]:
    centers, metric = state
    found, sums, mass, squares = _emcore.kmeans_visit(x, centers, metric=metric, weights=weights)
    return (sums, mass, squares, int(np.count_nonzero(found != labels))), found


def _farthest(x: Any, state: Any, index: int, labels: NDArray[np.int32]) -> tuple[Any, ...]:
    centers, count, metric = state
    found = _emcore.kmeans_farthest(x, labels, centers, count, metric=metric)
    squares, rows = np.array([s for _, s in found]), np.array([i for i, _ in found], np.int64)
    return ((squares, np.full(len(rows), index), rows),)


def _farther(a: Partial, b: Partial) -> Partial:
    """The farthest of both first, of equally far ones those of `a`; more than are needed."""
    order = np.argsort(-np.concatenate([a[0], b[0]]), kind="stable")
    most = max(len(a[0]), len(b[0]))
    return tuple(np.concatenate([x, y])[order[: 2 * most]] for x, y in zip(a, b, strict=True))


def _nearest(x: Any, state: Any, index: int, weights: Floats | None) -> tuple[Any, ...]:
    labels, inertia = _emcore.kmeans_nearest(x, state[0], metric=state[1], weights=weights)
    return (inertia,), labels


def _distances(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return (), _emcore.kmeans_distances(x, state[0], metric=state[1])


def _distances_from(x: Any, state: Any, index: int, weights: Floats | None) -> tuple[Any, ...]:
    squares, total = _emcore.kmeans_squares(x, state[0], metric=state[1], weights=weights)
    return (total,), squares


def _attempts(
    x: Any, state: Any, index: int, squares: Floats, nearest: Floats, weights: Floats | None
) -> tuple[Any, ...]:
    origin, candidates, metric = state
    closer, sums = _emcore.kmeans_attempts(x, origin, squares, nearest, candidates, metric=metric, weights=weights)
    return (sums,), closer


def start_outside(
    source: Source, k: int, init: str, weights: NDArray[np.float64] | None, stream: np.random.Generator
) -> NDArray[np.float64]:
    """Centres to begin with, or the draws by which k-means++ finds them, of rows outside memory."""
    if init == "k-means++":
        return stream.random(1 + (k - 1) * trials(k))
    return source.take(_any_rows(len(source), k, weights, stream)).astype(np.float64)


def _any_rows(n: int, k: int, weights: NDArray[np.float64] | None, stream: np.random.Generator) -> list[int]:
    chances = None if weights is None else weights / weights.sum()
    enough = weights is None or np.count_nonzero(weights) >= k
    return [int(i) for i in stream.choice(n, k, replace=not enough, p=chances)]
