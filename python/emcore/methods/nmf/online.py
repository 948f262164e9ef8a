"""Non-negative factors of rows that come in batches.

The maps of a batch are the exact ones of the spectra so far. What spectra need of the rows are two sums over all of
them, ``W^T W`` and ``W^T X``, and they follow from these by alternating least squares, component after component
(Mairal, Bach, Ponce & Sapiro, J. Mach. Learn. Res. 11 (2010) 19). Maps of batches that are gone are those of the
spectra at their time.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.methods.nmf.settings import Penalty

# Rounds over all components after a batch, at most; they end where nothing moves by more than this part.
_ROUNDS, _SETTLED = 100, 1e-6


@dataclass(frozen=True, eq=False)
class Sums:
    """
    What is kept of the rows so far.

    Attributes
    ----------
    n : int
    squares : ndarray, shape (k, k), float64
        ``W^T W``.
    products : ndarray, shape (k, d), float64
        ``W^T X``.
    """

    n: int
    squares: Floats
    products: Floats

    @classmethod
    def nothing(cls, k: int, d: int) -> "Sums":
        return cls(0, np.zeros((k, k)), np.zeros((k, d)))

    def with_batch(self, rows: Any, maps: NDArray[Any]) -> "Sums":
        """The same with rows, shape (n, d), and their maps, shape (n, k)."""
        w = np.ascontiguousarray(maps, dtype=np.float64)
        squares, products = np.einsum("ij,ik->jk", w, w), _emcore.xt_y(rows, w).T
        return Sums(self.n + len(w), self.squares + squares, self.products + products)


def spectra_of(sums: Sums, spectra: Floats, penalty: Penalty, scaled: bool, fixed: int = 0) -> tuple[Floats, Sums]:
    """
    The spectra that explain what was summed best, and the sums for these.

    Parameters
    ----------
    sums : Sums
    spectra : ndarray, shape (k, d), float64
        Where they start.
    penalty : Penalty
        On the spectra.
    scaled : bool
        Whether each is scaled to a sum of 1.
    fixed : int
        So many, the first ones, stay as they are.

    Examples
    --------
    >>> sums = Sums.nothing(1, 2).with_batch(np.array([[2.0, 6.0], [1.0, 3.0]]), np.array([[2.0], [1.0]]))
    >>> spectra, scaled = spectra_of(sums, np.ones((1, 2)), Penalty(), True)
    >>> spectra.tolist(), scaled.squares.tolist()
    ([[0.25, 0.75]], [[80.0]])
    """
    h = spectra.copy()
    for _ in range(_ROUNDS):
        moved = 0.0
        for j, (own, diagonal) in enumerate(zip(sums.squares, np.diag(sums.squares), strict=True)):
            curvature = float(diagonal) + penalty.l2
            if j < fixed or not curvature > 0:
                continue
            step = (sums.products[j] - np.einsum("i,ij->j", own, h) - penalty.l2 * h[j] - penalty.l1) / curvature
            new = np.maximum(h[j] + step, 0)
            # One that would explain nothing has no scale.
            if scaled and not new.any():
                continue
            moved, h[j] = max(moved, float(np.abs(new - h[j]).max())), new
        if moved <= _SETTLED * float(h.max()):
            break
    if not scaled:
        return h, sums
    totals = h.sum(axis=1)
    totals[totals == 0] = 1
    totals[:fixed] = 1
    return h / totals[:, None], Sums(sums.n, sums.squares * totals[:, None] * totals, sums.products * totals[:, None])
