"""What a factorisation asks of rows out of core: one function a pass, and the object that asks for passes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.methods.nmf.checks import real_of
from emcore.methods.nmf.settings import Parameters
from emcore.methods.pca.out_of_core import principal, scores
from emcore.outofcore.engine import Passes
from emcore.outofcore.moments import mean
from emcore.outofcore.reduction import Partial, PerRow


def sums_bytes(d: int, k: int) -> int:
    """About how much memory the sums of a fit take."""
    return 8 * d * k * 24 + 8 * d * 8 * 24


def row_bytes(k: int, dtype: Any, init: str) -> int:
    """What is held of each row: W, and while it is changed or written a part of it; with "spa" two numbers more."""
    return (8 if dtype == np.float64 else 4) * k + (16 if init == "spa" else 0)


class OutOfCore:
    """As `emcore.methods.nmf.in_memory.InMemory`, of rows that `passes` visit."""

    chunk = 1 << 16

    def __init__(self, passes: Passes) -> None:
        self.passes, self.shape, self.real = passes, passes.source.shape, real_of(passes.source)

    def mean(self) -> float:
        return mean(self.passes)

    def singular(self, k: int, factors: Floats | None) -> tuple[NDArray[Any], Floats]:
        directions, _, center, _, _ = principal(self.passes, k, False, factors, "auto", 0)
        return scores(self.passes, directions, center, False, factors, self.real), directions

    def purest(self, k: int, weights: Floats | None) -> NDArray[Any]:
        state = self.passes.checkpoint.load("pure") or {"distances": np.zeros((self.shape[0], 2)), "farthest": []}
        self._distances, self._asked = PerRow(self.passes.source, state["distances"]), 0
        self._farthest, self._weights = [tuple(row) for row in state["farthest"]], weights
        chosen = _emcore.pure_rows_out_of_core(self, self.shape[1], k, weights)
        return self.passes.source.take(chosen) if chosen else np.empty((0, self.shape[1]))

    def farthest(self, newest: Floats | None) -> tuple[float, int | None]:
        self._asked += 1
        if self._asked > len(self._farthest):
            of_rows = [self._distances]
            self._farthest.append(self.passes(_pure, (newest, self._weights), of_rows, of_rows, _larger))
            self.passes.checkpoint.save("pure", distances=self._distances.array, farthest=self._farthest)
        distance, index, row = self._farthest[self._asked - 1]
        return float(distance), None if row < 0 else self.passes.source.row_of(int(index), int(row))

    def row(self, index: int) -> Floats:
        return self.passes.source.take([index])[0].astype(np.float64)  # type: ignore[no-any-return]

    def maps(self, h: Floats, **options: Any) -> NDArray[Any]:
        w = np.empty((self.shape[0], len(h)), self.real)
        self.passes(_maps, (h, w.dtype.str, options), into=[PerRow(self.passes.source, w)])
        return w

    def loss(self, w: NDArray[Any], h: Floats, loss: str, weights: Floats | None) -> float:
        return _loss(self.passes, w, h, loss, weights, self.mean() if loss == "kullback-leibler" else 0.0)

    def factor(
        self, start: Callable[[], tuple[NDArray[Any], Floats]], parameters: Parameters, weights: Floats | None
    ) -> tuple[NDArray[Any], Floats, int, float]:
        state = self.passes.checkpoint.load("factors")
        w, h = start() if state is None else (state.pop("w"), state.pop("h").copy())
        w = np.asarray(w, self.real, order="C")
        iteration = _Iteration(self.passes, w, parameters, weights)
        n_iter, _, loss = _emcore.nmf_out_of_core(iteration, self.shape, w, h, parameters, weights, state)
        return w, h, n_iter, loss


class _Iteration:
    """What Rust calls: each method but `save` is one pass."""

    def __init__(self, passes: Passes, w: NDArray[Any], parameters: Parameters, weights: Floats | None) -> None:
        self.passes, self.w, self.parameters, self.weights = passes, w, parameters, weights

    def mean(self) -> float:
        return mean(self.passes)

    def visit(self, h: Floats, first: bool, of_all: float) -> Partial:
        of_rows = [PerRow(self.passes.source, self.w)]
        return self.passes(_visit, (h, self.parameters, self.weights, first, of_all), of_rows, of_rows)

    def loss(self, h: Floats, of_all: float) -> float:
        return _loss(self.passes, self.w, h, self.parameters.loss, self.weights, of_all)

    def save(self, h: Floats, state: dict[str, Any]) -> None:
        self.passes.checkpoint.save("factors", w=self.w, h=h, **state)


def _loss(passes: Passes, w: NDArray[Any], h: Floats, loss: str, weights: Floats | None, of_all: float) -> float:
    options = {"loss": loss, "weights": weights, "mean": of_all}
    return float(passes(_loss_of_block, (h, options), [PerRow(passes.source, w)])[0])


def _visit(x: Any, state: Any, index: int, w: NDArray[Any]) -> tuple[Any, ...]:
    w = w.copy()
    return tuple(_emcore.nmf_visit(x, w, *state)), w


def _loss_of_block(x: Any, state: Any, index: int, w: NDArray[Any]) -> tuple[Any, ...]:
    return ((_emcore.nmf_loss(x, w.copy(), state[0], **state[1]),),)


def _maps(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    h, dtype, options = state
    w = np.zeros((x.shape[0], len(h)), dtype)
    _emcore.nmf_maps(x, w, h, **options)
    return (), w


def _pure(x: Any, state: Any, index: int, distances: Floats) -> tuple[Any, ...]:
    values = distances.reshape(-1).copy()
    distance, row = _emcore.pure_rows_visit(x, values, *state)
    return (distance, index, -1 if row is None else row), values.reshape(-1, 2)


def _larger(a: Partial, b: Partial) -> Partial:
    return b if b[0] > a[0] else a
