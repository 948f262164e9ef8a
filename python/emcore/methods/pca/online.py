"""Principal components of rows that come in batches.

What was seen so far is kept as its mean and its strongest directions, more than are asked for, each as long as its
singular value; a batch, and how its mean differs, are further rows (Ross, Lim, Lin & Yang, Int. J. Comput. Vis. 77
(2008) 125). What is weaker than all that is kept is lost with each batch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.sparse import rows_at
from emcore.core.validation import Floats
from emcore.methods.pca.fit import PCAResult

# Directions that are kept beside those asked for; bytes of rows that are decomposed together.
_BESIDE, _BYTES = 16, 1 << 25


@dataclass(frozen=True, eq=False)
class Seen:
    """
    What is kept of the rows so far.

    Attributes
    ----------
    n : int
    mean : ndarray, shape (d,), float64
    squares : ndarray, shape (d,), float64
        Sums of squared deviations from the mean.
    directions : ndarray, shape (r, d), float64
        Orthonormal, strongest first.
    lengths : ndarray, shape (r,), float64
        Singular values.
    """

    n: int
    mean: Floats
    squares: Floats
    directions: Floats
    lengths: Floats

    @classmethod
    def nothing(cls, d: int) -> "Seen":
        return cls(0, np.zeros(d), np.zeros(d), np.zeros((0, d)), np.zeros(0))


def with_batch(seen: Seen, rows: Any, k: int, center: bool) -> Seen:
    """
    The same with a batch of rows.

    Parameters
    ----------
    seen : Seen
    rows : ndarray or PreparedRows, shape (n, d)
        Checked.
    k : int
        Components that are asked for.
    center : bool
        Whether directions are of deviations from the mean.

    Returns
    -------
    Seen
        The same to the last bit on any number of threads.

    Examples
    --------
    >>> rows = np.outer([1.0, 2.0, 4.0, 5.0], [3.0, 4.0])
    >>> seen = Seen.nothing(2)
    >>> for batch in (rows[:2], rows[2:]):
    ...     seen = with_batch(seen, batch, 1, True)
    >>> seen.directions.round(6).tolist(), seen.lengths.round(6).tolist()
    ([[0.6, 0.8]], [15.811388])
    """
    n, d = rows.shape
    kept = k + max(_BESIDE, k)
    together = max(_BYTES // (8 * d), kept)
    for start in range(0, n, together):
        seen = _with_some(seen, _some(rows, start, min(start + together, n)), kept, center)
    return seen


def found(seen: Seen, k: int, center: bool) -> PCAResult:
    """
    The k strongest components of all rows so far, of which there are two at least.

    Examples
    --------
    >>> rows = np.outer([1.0, 2.0, 4.0, 5.0], [3.0, 4.0])
    >>> found(with_batch(Seen.nothing(2), rows, 1, True), 1, True).explained_variance_ratio.round(6).tolist()
    [1.0]
    """
    some = min(k, len(seen.lengths))
    largest = np.abs(seen.directions).argmax(axis=1)[:, None]
    signs = np.where(np.take_along_axis(seen.directions, largest, axis=1) < 0, -1.0, 1.0)
    components, lengths = np.zeros((k, len(seen.mean))), np.zeros(k)
    components[:some], lengths[:some] = (signs * seen.directions)[:some], seen.lengths[:some]
    squares = seen.squares if center else seen.squares + seen.n * seen.mean**2
    variance, total = lengths**2 / (seen.n - 1), float(squares.sum()) / (seen.n - 1)
    ratios = variance / total if total > 0 else np.zeros(k)
    return PCAResult(components, lengths, variance, ratios, seen.mean, center, None, total, "batches")


def _some(rows: Any, start: int, stop: int) -> NDArray[np.float64]:
    return np.array(rows_at(rows, range(start, stop)), dtype=np.float64, order="C")


def _with_some(seen: Seen, x: Floats, kept: int, center: bool) -> Seen:
    n = seen.n + len(x)
    mean, squares = _emcore.moments(x)
    step = mean - seen.mean
    both = len(x) / n
    parts = [seen.lengths[:, None] * seen.directions, x]
    if center:
        x -= mean
        parts.append((np.sqrt(seen.n * both) * step)[None])
    stacked = np.concatenate(parts)
    # By way of a small matrix, without threaded libraries, whose results depend on their number.
    values, vectors = np.linalg.eigh(_emcore.x_q(stacked, np.ascontiguousarray(stacked.T)))
    order = np.argsort(-values)[:kept]
    order = order[values[order] > 1e-12 * max(float(values.max()), np.finfo(np.float64).tiny)]
    lengths = np.sqrt(values[order])
    directions = _emcore.xt_y(stacked, np.ascontiguousarray(vectors[:, order] / lengths)).T
    return Seen(
        n,
        seen.mean + step * both,
        seen.squares + squares + np.square(step) * seen.n * both,
        np.ascontiguousarray(directions),
        lengths,
    )
