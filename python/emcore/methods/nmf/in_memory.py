"""What a factorisation asks of rows in memory, as `emcore.methods.nmf.out_of_core` answers for others."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import check_room
from emcore.core.sparse import rows_at
from emcore.core.validation import Floats
from emcore.methods.nmf.checks import real_of
from emcore.methods.nmf.settings import Parameters
from emcore.methods.pca.projection import project

# Rows of a start that are changed at a time, so that Ctrl-C is heard in between.
_CHUNK = 1 << 16


class InMemory:
    """Checked rows. W is computed in `real`; `chunk` rows of its start are changed at a time."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self.rows, self.shape, self.real, self.chunk = rows, rows.shape, real_of(rows), _CHUNK

    def check_room(self, k: int) -> None:
        """Refuse more components than the system has memory for: maps and their scores, spectra and their sums."""
        n, d = self.shape
        check_room(8 * k * (2 * n + 8 * d), f"{k} components of {n} rows of {d} features")

    def mean(self) -> float:
        """Of all values."""
        return _emcore.mean(self.rows)

    def singular(self, k: int, factors: Floats | None) -> tuple[NDArray[Any], Floats]:
        """Uncentred scores (n, k) and directions (k, d) of the leading singular vectors."""
        if len(self.rows) == 1:
            row = rows_at(self.rows, [0]).astype(np.float64) * (1.0 if factors is None else factors)
            norm = np.linalg.norm(row)
            return np.full((1, 1), norm), row / norm if norm > 0 else row
        options: dict[str, Any] = {"center": False, "weights": factors, "solver": "auto", "seed": 0}
        directions, _, mean, _, _ = _emcore.pca(self.rows, components=k, **options)
        return project(self.rows, directions, mean, False, factors), directions

    def purest(self, k: int, weights: Floats | None) -> NDArray[Any]:
        """Up to k rows of which the others are nearly mixtures."""
        chosen = _emcore.pure_rows(self.rows, k, weights)
        return rows_at(self.rows, chosen)

    def maps(self, h: Floats, **options: Any) -> NDArray[Any]:
        """Of known spectra; `options` are those of the kernel."""
        w = np.zeros((len(self.rows), len(h)), self.real)
        _emcore.nmf_maps(self.rows, w, h, **options)
        return w

    def loss(self, w: NDArray[Any], h: Floats, loss: str, weights: Floats | None) -> float:
        """Of given factors."""
        return _emcore.nmf_loss(self.rows, w, h, loss=loss, weights=weights)

    def factor(
        self, start: Callable[[], tuple[NDArray[Any], Floats]], parameters: Parameters, weights: Floats | None
    ) -> tuple[NDArray[Any], Floats, int, float]:
        """``W, H, n_iter, loss`` from the factors that `start` gives, which may be changed."""
        w, h = start()
        w = np.asarray(w, self.real, order="C")
        n_iter, _, loss = _emcore.nmf(self.rows, w, h, parameters, weights)
        return w, h, n_iter, loss
