"""Principal components of rows outside memory: the solver of `emcore.methods.pca.fit`, whose products are passes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.outofcore.engine import Passes
from emcore.outofcore.moments import mean_and_squares
from emcore.outofcore.reduction import Partial, PerRow

SMALL = 600
"""Features below which the Gram matrix is taken."""
COLUMNS = 8
"""Columns of a product that share the reading of a row from memory."""


def sums_bytes(d: int, k: int, solver: str) -> int:
    """About how much memory the sums of a fit take."""
    exact = solver == "exact" or (solver == "auto" and (d < SMALL or 3 * k > d))
    return 8 * d * (16 * COLUMNS + 30 * max(k, COLUMNS)) + (40 * d * d if exact else 0)


def principal(
    passes: Passes, k: int, center: bool, weights: Floats | None, solver: str, seed: int
) -> tuple[Floats, Floats, Floats, float, str]:
    """``(components, singular values, mean, sum of squares, solver)``."""
    source = passes.source
    return _emcore.pca_outside(
        _Products(passes),
        source.shape,
        double=source.dtype == np.float64,
        components=k,
        center=center,
        weights=weights,
        solver=solver,
        seed=seed,
    )


class _Products:
    """The passes that the solver asks for."""

    def __init__(self, passes: Passes) -> None:
        self.passes, self.products = passes, 0

    def moments(self) -> Partial:
        return mean_and_squares(self.passes)

    def gram(self, mean: Floats, weights: Floats) -> Any:
        return self.passes.once("gram", _gram, (mean, weights))[0]

    def xt_x_q(self, q: Floats, offset: Floats) -> Any:
        self.products += 1
        return self.passes.once(f"product {self.products}", _xt_x_q, (q, offset))[0]

    def triangle(self, q: Floats, offset: Floats, shift: Floats) -> Any:
        return self.passes.once("triangle", _triangle, (q, offset, shift), merge=_stacked)[0]


def _gram(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return ((_emcore.gram(x, *state),),)


def _xt_x_q(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    q, offset = state
    parts = [np.ascontiguousarray(q[:, i : i + COLUMNS]) for i in range(0, q.shape[1], COLUMNS)]
    return ((np.hstack([_emcore.xt_x_q(x, part, offset) for part in parts]),),)


def _triangle(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    q, offset, shift = state
    scores = _emcore.x_q(x, q, offset) + shift
    return ((_triangle_of(scores),),)


def _stacked(a: Partial, b: Partial) -> Partial:
    return (_triangle_of(np.vstack([a[0], b[0]])),)


def _triangle_of(matrix: Floats) -> Floats:
    """R of its QR factors, with rows of zeros where there were fewer than columns."""
    r: Floats = np.linalg.qr(matrix, mode="r")  # type: ignore[assignment]  # of one factor, as NumPy documents
    return np.vstack([r, np.zeros((r.shape[1] - r.shape[0], r.shape[1]))])


def scores(
    passes: Passes, components: Floats, mean: Floats, center: bool, weights: Floats | None, dtype: Any = np.float64
) -> NDArray[Any]:
    """What `emcore.methods.pca.fit.scores` gives of all rows, n x k."""
    found = np.empty((len(passes.source), len(components)), dtype)
    passes(_scores, (components, mean, center, weights), into=[PerRow(passes.source, found)])
    return found


def _scores(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    from emcore.methods.pca.projection import project

    return (), project(x, *state)
