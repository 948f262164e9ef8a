"""The strongest right singular vectors of weighted rows, in as few passes over them as can be.

With Y the weighted rows, each pass multiplies ``Y^T Y`` with a block of vectors. All of them stay: the pairs that their
span has are those of the answer, and what a pair lacks, ``Y^T Y v - s^2 v``, goes into the next block (Davidson,
J. Comput. Phys. 17 (1975) 87), together with as much as a pass multiplies with no later than it reads. So a subspace
that was searched for few vectors goes on to be searched for more, where one is computed anew for each number of them
otherwise. It begins with the vectors of a few rows spread over the scan, near to which the strongest are, or at random.

Of few features the first block is all of them: then one pass is enough.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import check_memory
from emcore.core.validation import Floats
from emcore.outofcore.engine import Passes, begin
from emcore.outofcore.reduction import PerRow
from emcore.outofcore.sources import Source

WIDTH, WIDEST = 8, 32
"""Vectors of a block: whole multiples of the first number, which a kernel holds in registers, up to the second."""
FEW = 96
"""Features of which all are multiplied with at once."""
# Of the memory, for vectors and what they were multiplied to.
_PART = 0.25
_SMALL, _REAL = 1e-8, 50.0
ROUNDED, NO_GAIN = 2e-8, 1e-7
"""Of the largest value, what products are rounded by; and by how much values rise with rounding alone."""


@dataclass(eq=False)
class WeightedRows:
    """Rows ``sqrt(w) (x - o) s``, which are never made.

    Attributes
    ----------
    rows : ndarray or Source, shape (n, d)
    scale : ndarray, shape (d,)
        s, 0 of features that take no part.
    weights : ndarray, shape (n,)
        w, 0 of rows that take no part.
    features : ndarray of bool, shape (d,), or None
        Those by whose sums rows are weighted, if not all: w of a row that takes part is then one over their sum.
    mean : ndarray, shape (d,), or None
        Of the rows, all of which weigh 1: products are taken of what they differ by from it, which rounds less.
    squares : float
        The sum of the squares of all weighted values, once they were multiplied.
    of_rows, of_features : ndarray, shapes (n, 3) and (d, 2)
        Then, too, if there is no `mean`: of rows w, ``w sum x s^2`` and ``w^2 sum x s^4``, of features ``sum w x`` and
        ``sum w^2 x``.
    """

    rows: Any
    scale: Floats
    weights: Floats
    features: NDArray[np.bool_] | None = None
    mean: Floats | None = None
    squares: float = np.nan
    of_rows: Floats = field(default_factory=lambda: np.empty((0, 3)))
    of_features: Floats = field(default_factory=lambda: np.empty((0, 2)))
    made: int = 0
    _passes: Passes | None = field(default=None, repr=False)

    @property
    def capacity(self) -> int:
        """Vectors that there is memory for."""
        budget = check_memory(self.rows.budget) - self.rows.beside if isinstance(self.rows, Source) else 1 << 31
        return max(int(_PART * max(budget, 0) / (16 * len(self.scale))), 4 * WIDEST)

    def times(self, vectors: Floats) -> Floats:
        """``Y^T Y`` times vectors, shape (k, d), of which they are the rows; one pass."""
        largest = float(np.abs(self.scale).max())
        unit = np.exp2(np.round(np.log2(largest))) if largest > 0 else 1.0  # rounds nothing
        scale, offset = self.scale / unit, self.mean
        q = np.ascontiguousarray((vectors * scale).T)
        if self.made:
            (product,) = self._visit(_product, (q, offset, self.features))
        else:
            self.of_rows = np.empty((len(self.weights), 3))
            product, squares, self.of_features = self._visit(
                _first, (q, offset, self.features, self.scale), self.of_rows
            )
            self.squares = float(squares)
        self.made += 1
        if offset is not None:  # what the products of differences lack; single precision rounds the offset too
            exact = offset.astype(np.float32 if self.rows.dtype != np.float64 else np.float64).astype(np.float64)
            n = float(self.weights.sum())
            product = product + n * np.outer(offset, offset @ q) - n * np.outer(offset - exact, (offset - exact) @ q)
        return np.ascontiguousarray((product * scale[:, None]).T) * unit**2

    def _visit(self, function: Any, state: tuple[Any, ...], into: Floats | None = None) -> tuple[Any, ...]:
        """One pass."""
        if not isinstance(self.rows, Source):
            partial, *of_rows = function(self.rows, state, 0, self.weights)
            for values in of_rows:
                into[...] = values  # type: ignore[index]
            return tuple(partial)
        passes = self._begun()
        weights = PerRow(passes.source, self.weights)
        of_rows = [] if into is None else [PerRow(passes.source, into)]
        return passes.once(f"product {self.made}", function, state, rows=[weights], into=of_rows)

    def _begun(self) -> Passes:
        if self._passes is None:
            d = len(self.scale)
            fixed = 16 * d * self.capacity + 8 * d * WIDEST * (4 + _levels(self.rows))
            self._passes = begin(self.rows, "components", None, None, {}, 32, fixed, quiet=True)
        return self._passes


def _levels(rows: Source) -> int:
    return (rows.nbytes >> 24).bit_length()


def _product(x: Any, state: Any, index: int, weights: Floats) -> tuple[Any, ...]:
    q, offset, features = state
    return ((_emcore.xt_x_q(x, q, offset, _of_features(x, features, weights)),),)


def _first(x: Any, state: Any, index: int, weights: Floats) -> tuple[Any, ...]:
    q, offset, features, scale = state
    weights = _of_features(x, features, weights)
    squares = float(weights @ _emcore.weighted_squares(x, scale**2))
    if offset is not None:
        return (_emcore.xt_x_q(x, q, offset, weights), squares, np.zeros((len(scale), 2))), np.zeros((len(weights), 3))
    both, powers = np.stack([weights, weights**2], axis=1), np.stack([scale**2, scale**4], axis=1)
    partial = _emcore.xt_x_q(x, q, offset, weights), squares, _emcore.xt_y(x, both)
    return partial, np.column_stack([weights, both * _emcore.x_q(x, powers)])


def _of_features(x: Any, features: NDArray[np.bool_] | None, weights: Floats) -> Floats:
    if features is None:
        return np.ascontiguousarray(weights)
    sums = _emcore.x_q(x, features[:, None].astype(np.float64))[:, 0]
    return np.divide(1.0, sums, out=np.zeros(len(sums)), where=(weights > 0) & (sums > 0))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Singular values squared, strongest first, their vectors, and how far these are from exact.

    Attributes
    ----------
    values : ndarray, shape (m,)
        Of all that the subspace has; those of the weighted rows are no smaller.
    vectors : ndarray, shape (k, d)
        Of the first k, orthonormal.
    residuals : ndarray, shape (k,)
        Norms of ``Y^T Y v - s^2 v``.
    before : ndarray
        The values before the last pass; none after the first.
    """

    values: Floats
    vectors: Floats
    residuals: Floats
    before: Floats


Open = Callable[[Pairs], NDArray[np.intp]]
"""Which of the pairs are not good enough: none ends the search."""


def search(rows: WeightedRows, start: Floats, count: Callable[[Floats], int], unfinished: Open) -> Pairs:
    """
    The strongest pairs of weighted rows.

    Parameters
    ----------
    rows : WeightedRows
    start : ndarray, shape (m, d)
        Vectors of the first block.
    count : callable
        For values, of how many pairs vectors are wanted.
    unfinished : callable

    Returns
    -------
    Pairs
    """
    d, capacity = start.shape[1], min(rows.capacity, start.shape[1])
    basis, image = np.empty((0, d)), np.empty((0, d))
    before, lacked = np.empty(0), np.empty(0)
    block = _orthonormal(basis, start)
    while True:
        image = np.concatenate([image, rows.times(block)])
        basis = np.concatenate([basis, block])
        small = basis @ image.T
        values, turned = np.linalg.eigh((small + small.T) / 2)
        values, turned = np.maximum(values[::-1], 0), np.ascontiguousarray(turned[:, ::-1].T)
        k = min(count(values), len(values))
        more = min(max(k, 1) + WIDEST, len(values))
        lacking = turned[:more] @ image - values[:more, None] * (turned[:more] @ basis)
        norms = np.linalg.norm(lacking, axis=1)
        pairs = Pairs(values, turned[:k] @ basis, norms[:k], before)
        left = unfinished(pairs)
        left = left[left < more]
        if not len(left) or len(basis) == d:
            return pairs
        compared = left[left < min(len(before), len(lacked))]
        stays = (values[compared] <= (1 + NO_GAIN) * before[compared]) & (norms[compared] > lacked[compared] / 2)
        if len(compared) == len(left) and stays.all():
            return pairs  # as good as rounding lets them become
        lacked = norms
        # As many as a pass multiplies with in no more time.
        width = min(-(-len(left) // WIDTH) * WIDTH, WIDEST, d - len(basis))
        others = np.setdiff1d(np.arange(more), left)
        # What is rounding and no more would be another one wherever the rows lie.
        chosen = np.concatenate([left, others])
        chosen = chosen[norms[chosen] > _REAL * ROUNDED * np.sqrt(values[0] * values[chosen])][:width]
        block = _orthonormal(basis, lacking[chosen])
        if not len(block):
            return pairs
        before = values
        if len(basis) + len(block) > capacity:
            # The span of the leading pairs stays (Wu & Simon, SIAM J. Matrix Anal. Appl. 22 (2000) 602).
            kept = max(capacity - len(block), k) // 2
            basis, image = turned[:kept] @ basis, turned[:kept] @ image


def first_block(rows: WeightedRows, mean: Floats, columns: int) -> Floats:
    """All features where they are few; else vectors at random, the first of them near the mean, as the strongest is."""
    there = np.flatnonzero(rows.scale)
    if len(there) <= max(FEW, columns):
        return np.eye(len(rows.scale))[there]
    start = np.random.default_rng(0).uniform(-1, 1, (columns, len(rows.scale)))
    start[0] *= _SMALL
    start[0] += mean / max(float(np.linalg.norm(mean)), 1e-300)
    return np.where(rows.scale != 0, start, 0)


def _orthonormal(basis: Floats, block: Floats) -> Floats:
    """Orthonormal rows that span what those of `block` add to the span of `basis`; fewer where they add less."""
    norms = np.linalg.norm(block, axis=1)
    block = block[norms > 0] / norms[norms > 0, None]
    for _ in range(2):
        block = block - (block @ basis.T) @ basis
        q, r = np.linalg.qr(block.T)
        block = np.ascontiguousarray(q.T[np.abs(np.diag(r)) > _SMALL])
    return block
