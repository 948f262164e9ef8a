"""Where k-means begins: rows far from each other, or any rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.sparse import is_sparse, rows_at
from emcore.core.validation import as_rows
from emcore.outofcore.sources import Source

Floats = NDArray[np.float64]


def starting_centers(
    rows: Any, k: int, init: Any, metric: str, weights: Floats | None, stream: np.random.Generator
) -> Floats:
    """Centres to begin with: far from each other, any rows, or what a callable gives; `stream` decides."""
    if callable(init):
        given = rows.tocsr() if is_sparse(rows) else rows
        return check_centers(init(given, k, random_state=int(stream.integers(2**32))), k, rows.shape[1])
    if init == "random":
        chosen = _any_rows(len(rows), k, weights, stream)
    else:
        draws = stream.random(_emcore.kmeans_draws(k))
        chosen = _emcore.kmeans_seeds(rows, k, metric=metric, weights=weights, draws=draws)
    return np.ascontiguousarray(rows_at(rows, chosen), dtype=np.float64)


def start_out_of_core(source: Source, k: int, init: str, weights: Floats | None, stream: np.random.Generator) -> Floats:
    """Of rows out of core: any rows as centres, or the random numbers from which k-means++ finds centres."""
    if init == "random":
        return copies_of(source, _any_rows(len(source), k, weights, stream))
    return stream.random(_emcore.kmeans_draws(k))


def _any_rows(n: int, k: int, weights: Floats | None, stream: np.random.Generator) -> list[int]:
    chances = None if weights is None else weights / weights.sum()
    enough = weights is None or np.count_nonzero(weights) >= k
    return [int(i) for i in stream.choice(n, k, replace=not enough, p=chances)]


def copies_of(source: Source, rows: list[int]) -> Floats:
    """Copies of rows out of core, perhaps of none."""
    return source.take(rows).astype(np.float64) if rows else np.empty((0, source.shape[1]))


def check_centers(init: Any, k: int, d: int) -> Floats:
    """`init` as a copy of k centres of d features."""
    centers = np.array(as_rows(init, "init"), dtype=np.float64, order="C")
    if centers.shape[0] != k:
        raise ValueError(f"The shape of the initial centers {centers.shape} does not match the number of clusters {k}.")
    if centers.shape[1] != d:
        raise ValueError(
            f"The shape of the initial centers {centers.shape} does not match the number of features of the data {d}."
        )
    return centers
