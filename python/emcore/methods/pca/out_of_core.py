"""Principal components of rows out of core: the products that the solver asks for, each a pass."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.methods.pca.projection import project
from emcore.outofcore.engine import Passes
from emcore.outofcore.moments import mean_and_squares
from emcore.outofcore.reduction import Partial, PerRow

Floats = NDArray[np.float64]


def sums_bytes(shape: tuple[int, ...], k: int, solver: str) -> int:
    """About how much memory the sums of a fit take: products of few columns, and the Gram matrix if that is taken."""
    (n, d), columns = shape, max(k, 8)
    gram = 40 * d * d if _emcore.pca_is_exact((n, d), k, solver) else 0
    return 8 * d * (128 + 30 * columns) + gram


def principal(
    passes: Passes, k: int, center: bool, weights: Floats | None, solver: str, seed: int
) -> tuple[Floats, Floats, Floats, float, str]:
    """``(components, singular values, mean, sum of squares, solver)``."""
    source = passes.source
    return _emcore.pca_out_of_core(
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
    """The passes that the solver calls."""

    def __init__(self, passes: Passes) -> None:
        self.passes, self.made = passes, 0

    def moments(self) -> Partial:
        return mean_and_squares(self.passes)

    def gram(self, mean: Floats, weights: Floats) -> Any:
        return self.passes.once("gram", _gram, (mean, weights))[0]

    def xt_x_q(self, q: Floats, offset: Floats) -> Any:
        self.made += 1
        return self.passes.once(f"product {self.made}", _xt_x_q, (q, offset))[0]

    def triangle(self, q: Floats, offset: Floats, shift: Floats) -> Any:
        return self.passes.once("triangle", _triangle, (q, offset, shift), merge=stacked)[0]


def _gram(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return ((_emcore.gram(x, *state),),)


def _xt_x_q(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return ((_emcore.xt_x_q(x, *state),),)


def _triangle(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    q, offset, shift = state
    return ((triangle_of(_emcore.x_q(x, q, offset) + shift),),)


def stacked(a: Partial, b: Partial) -> Partial:
    """Two triangles as one."""
    return (triangle_of(np.vstack([a[0], b[0]])),)


def triangle_of(matrix: Floats) -> Floats:
    """R of its QR factors, with rows of zeros where there were fewer than columns."""
    r: Floats = np.linalg.qr(matrix, mode="r")  # type: ignore[assignment]  # of one factor, as NumPy documents
    return np.pad(r, ((0, r.shape[1] - r.shape[0]), (0, 0)))


def scores(
    passes: Passes, components: Floats, mean: Floats, center: bool, weights: Floats | None, dtype: Any = np.float64
) -> NDArray[Any]:
    """`emcore.methods.pca.fit.scores` of all rows, n x k."""
    values = np.empty((len(passes.source), len(components)), dtype)
    passes(_scores, (components, mean, center, weights), into=[PerRow(passes.source, values)])
    return values


def _scores(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return (), project(x, *state)
