"""
Principal components of several matrices with the same rows out of core, in the passes that one of them takes.

Where there is room for it, they come from the Gram matrix of all features, which holds those of parts: one pass. Else
each solver runs until it asks for a pass that has not been made; what all of them ask for is then computed in one pass,
and they run again from the start, with what has been made. They take a moment, a pass minutes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore._emcore import PreparedRows
from emcore.core.memory import check_memory
from emcore.core.validation import Floats
from emcore.methods.pca.fit import PCAResult, as_result
from emcore.methods.pca.out_of_core import stacked, sums_bytes, triangle_of
from emcore.methods.pca.projection import project
from emcore.outofcore.engine import begin
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.sources import Preparation, Source

# Products that a solver asks for, about.
_PASSES = 12
# Features of which the Gram matrix is taken at most, where there is room: of more it takes longer than passes do.
_GRAM = 2048


class Merged(NamedTuple):
    """
    One of the matrices: some parts of a source, prepared and side by side.

    Attributes
    ----------
    parts : tuple of int
    mean, squares : ndarray, shape (d,), float64
        Mean and sum of squared deviations of its features.
    components : int
        How many are wanted.
    """

    parts: tuple[int, ...]
    mean: Floats
    squares: Floats
    components: int


class _Wanted(Exception):
    """A solver asks for a pass that has not been made."""


@dataclass(eq=False)
class _Passes:
    """The passes that a solver calls: those that were made, and the one it asks for."""

    mean: Floats
    squares: Floats
    made: list[Any]
    asked: int = 0
    wanted: tuple[str, tuple[Floats, ...]] | None = None

    def moments(self) -> Partial:
        return self.mean, self.squares

    def gram(self, *state: Floats) -> Any:
        return self._made("gram", state)

    def xt_x_q(self, *state: Floats) -> Any:
        return self._made("xt_x_q", state)

    def triangle(self, *state: Floats) -> Any:
        return self._made("triangle", state)

    def _made(self, kind: str, state: tuple[Floats, ...]) -> Any:
        self.asked += 1
        if self.asked <= len(self.made):
            return self.made[self.asked - 1]
        self.wanted = kind, state
        raise _Wanted


def together_bytes(shape: tuple[int, ...], k: int) -> int:
    """About how much memory the sums take, of a matrix of this shape and of its parts alone."""
    # What was made for each solver is kept.
    return sums_bytes(shape, k, "auto") + 2 * 8 * shape[1] * k * _PASSES


def pca_together(
    source: Source,
    recipes: Sequence[Preparation],
    taken: NDArray[np.bool_],
    merged: Sequence[Merged],
    seed: int,
) -> tuple[list[PCAResult], list[NDArray[np.float32]], int]:
    """
    What `pca` and `scores` give of every matrix, scores in single precision, and how many passes that took.

    Parameters
    ----------
    source : Source
        Of several parts without recipes; their values are checked.
    recipes : sequence of Preparation
        One for each part.
    taken : ndarray of bool, shape (n,)
        The rows.
    merged : sequence of Merged
        First that of all parts, then those of each alone.
    seed : int
        Of the random starts.

    Examples
    --------
    >>> from emcore.outofcore.stored import Stored
    >>> x = np.random.default_rng(0).normal(size=(50, 6))
    >>> mean, squares = x.mean(axis=0), np.square(x - x.mean(axis=0)).sum(axis=0)
    >>> plain, parts = Preparation(None, "none", None, None), (slice(0, 4), slice(4, 6))
    >>> both = [Merged((0, 1), mean, squares, 2)]
    >>> both += [Merged((i,), mean[part], squares[part], 1) for i, part in enumerate(parts)]
    >>> source = Source([Stored(x[:, part].copy()) for part in parts])
    >>> found, scores, passes = pca_together(source, [plain, plain], np.ones(50, bool), both, 0)
    >>> [each.components.shape for each in found], [each.shape for each in scores], passes
    ([(2, 6), (1, 4), (1, 2)], [(50, 2), (50, 1), (50, 1)], 2)
    """
    shapes = [(int(np.count_nonzero(taken)), len(each.mean)) for each in merged]
    sizes = [each.components for each in merged]
    solvers = [_Passes(each.mean, each.squares, []) for each in merged]
    solver_name, fixed = "auto", together_bytes(shapes[0], sizes[0])
    exact = sums_bytes(shapes[0], sizes[0], "exact")
    if shapes[0][1] <= min(_GRAM, shapes[0][0]) and exact <= (check_memory(source.budget) - source.beside) // 2:
        solver_name, fixed = "exact", exact
    passes = begin(source, "components", None, None, {}, 1, fixed, quiet=True)
    results: list[Any] = [None] * len(merged)
    made = 0
    while True:
        asking = []
        for i, solver in enumerate(solvers):
            if results[i] is None:
                solver.asked = 0
                try:
                    results[i] = _emcore.pca_out_of_core(
                        solver, shapes[i], double=False, components=sizes[i], center=True, weights=None,
                        solver=solver_name, seed=seed,
                    )  # fmt: skip
                except _Wanted:
                    asking.append(i)
                else:
                    solver.made.clear()
        if not asking:
            break
        made += 1
        wanted = [solvers[i].wanted or ("", ()) for i in asking]
        own = asking
        if all(kind == "gram" for kind, _ in wanted) and len(asking) == len(merged):
            own, wanted = asking[:1], wanted[:1]
        requests = [(merged[i].parts, *each) for i, each in zip(own, wanted, strict=True)]
        merge = partial(_added, kinds=tuple(kind for kind, _ in wanted))
        rows = [PerRow(passes.source, taken)]
        found = passes.once(f"products {made}", _products, (list(recipes), requests), rows=rows, merge=merge)
        if len(own) < len(asking):
            found = (found[0], *_of_parts(found[0], merged))
        for i, value in zip(asking, found, strict=True):
            solvers[i].made.append(value)
    fitted = [as_result(found, shape, True, None) for found, shape in zip(results, shapes, strict=True)]
    passes = begin(source, "scores", None, None, {}, 4 * sum(sizes) + 1, 0, quiet=True)
    scores = [np.zeros((len(source), k), dtype=np.float32) for k in sizes]
    bases = [(each.parts, result.components, result.mean) for each, result in zip(merged, fitted, strict=True)]
    into = [PerRow(passes.source, each) for each in scores]
    passes.once("scores", _scores, (list(recipes), bases), rows=[PerRow(passes.source, taken)], into=into)
    return fitted, [each if taken.all() else each[taken] for each in scores], made + 1


def _of_parts(gram: Floats, merged: Sequence[Merged]) -> list[Floats]:
    """Of the Gram matrix of all parts those of each alone."""
    ends = np.cumsum([len(each.mean) for each in merged[1:]])
    blocks = [slice(end - len(each.mean), end) for end, each in zip(ends, merged[1:], strict=True)]
    return [np.ascontiguousarray(gram[block, block]) for block in blocks]


def _prepared(x: tuple[NDArray[Any], ...], parts: Sequence[int], recipes: Any, index: NDArray[np.intp]) -> Any:
    some = None if len(index) == len(x[0]) else index.tolist()
    return PreparedRows([(x[i], some, recipes[i]) for i in parts])


def _products(x: tuple[NDArray[Any], ...], state: Any, index: int, taken: NDArray[np.bool_]) -> tuple[Any, ...]:
    recipes, requests = state
    there = np.flatnonzero(taken)
    found = []
    for parts, kind, arguments in requests:
        if not len(there):
            first = arguments[0]
            side = len(first) if kind == "gram" else first.shape[1]
            found.append(np.zeros(first.shape if kind == "xt_x_q" else (side, side)))
            continue
        rows = _prepared(x, parts, recipes, there)
        if kind == "triangle":
            q, offset, shift = arguments
            found.append(triangle_of(_emcore.x_q(rows, q, offset) + shift))
        else:
            found.append((_emcore.gram if kind == "gram" else _emcore.xt_x_q)(rows, *arguments))
    return (tuple(found),)


def _added(a: Partial, b: Partial, kinds: Sequence[str]) -> Partial:
    return tuple(
        stacked((x,), (y,))[0] if kind == "triangle" else x + y for x, y, kind in zip(a, b, kinds, strict=True)
    )


def _scores(x: tuple[NDArray[Any], ...], state: Any, index: int, taken: NDArray[np.bool_]) -> tuple[Any, ...]:
    recipes, bases = state
    there, found = np.flatnonzero(taken), []
    for parts, components, mean in bases:
        scores = np.zeros((len(taken), len(components)))
        if len(there):
            scores[there] = project(_prepared(x, parts, recipes, there), components, mean, True)
        found.append(scores)
    return (), *found
