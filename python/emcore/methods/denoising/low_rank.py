"""Rows at low rank: each projected on components that are weighted for noise, and put together again.

Of weighted rows ``Y = A^-1/2 X S`` with components V, of which the parts f are kept, the rows at low rank are
``A^1/2 (Y V^T f V) S^-1 = X (S V^T) (f V S^-1)``: the weights of the rows cancel, so that every row is made by itself,
by two thin products. Of the first component, which holds the sums of rows, as much is taken towards its mean as those
differ by noise.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.control import get_num_threads
from emcore.core.validation import Floats
from emcore.methods.denoising.components import Components
from emcore.methods.denoising.weighting import Weighting
from emcore.outofcore.rows import mended

# Values that are made at a time by a thread: they stay in its cache.
_VALUES = 1 << 17


@dataclass(frozen=True, eq=False)
class LowRank:
    """
    What makes rows of low rank of rows.

    Attributes
    ----------
    into, back : ndarray, shapes (d, k), float64, and (k, d), float32 or float64
        From a row to what it holds of each component, and back.
    toward, varying : float
        What rows on average hold of the first component, and the part of what they differ by from it that is kept.
    features : ndarray of bool, shape (d,), or None
        Others stay as they were measured.
    clip : bool
        Whether negative values are set to zero.
    dtype : dtype
        Of the rows that are made.
    channel : int
        A feature of which every value is looked at.
    energy : bool
        Whether squares of the measured values are added up.
    """

    into: Floats
    back: NDArray[Any]
    toward: float
    varying: float
    features: NDArray[np.bool_] | None
    clip: bool
    dtype: np.dtype[Any]
    channel: int
    energy: bool = False


def low_rank(
    components: Components,
    weighting: Weighting,
    mean: Floats,
    features: NDArray[np.bool_] | None,
    clip: bool,
    dtype: Any,
    energy: bool = False,
) -> LowRank:
    """The projection on components, with weights undone, of rows with this mean.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.denoising.components import find_components
    >>> from emcore.methods.denoising.low_rank import low_rank, row_at_low_rank
    >>> from emcore.methods.denoising.weighting import unweighted
    >>> rows = np.outer([1.0, 2.0, 4.0, 3.0], [3.0, 1.0, 2.0])
    >>> weights = unweighted(3)
    >>> made = low_rank(find_components(rows, weights, np.arange(4), 1), weights, rows.mean(axis=0), None, False, "f4")
    >>> row_at_low_rank(rows[2], made).round(3).tolist()
    [12.0, 4.0, 8.0]
    """
    d, dtype = len(weighting.scale), np.dtype(dtype)
    # Single precision does not hold the largest numbers of 32 bits.
    double = dtype == np.float64 or (dtype.kind in "iu" and dtype.itemsize > 2)
    chosen = np.ones(d, dtype=bool) if features is None else features
    scale = weighting.scale[chosen]
    k = len(components.vectors)
    into, back = np.zeros((d, k)), np.zeros((k, d))
    into[chosen] = (components.vectors * scale).T
    undone = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    back[:, chosen] = components.kept[:, None] * components.vectors * undone
    # Where all but the mean vary most above noise.
    strength = (components.kept * components.singular_values[:k])[min(1, k - 1) :, None]
    told = np.zeros(d)
    told[chosen] = ((strength * components.vectors[min(1, k - 1) :]) ** 2).sum(axis=0)
    real = np.float64 if double else np.float32
    toward = float(mean @ into[:, 0])
    return LowRank(
        into, back.astype(real), toward, weighting.varying, features, clip, dtype, int(np.argmax(told)), energy
    )


def row_at_low_rank(row: NDArray[Any], made: LowRank) -> NDArray[Any]:
    """One row, as `approximated` makes it."""
    x = np.ascontiguousarray(row).reshape(1, -1)
    values: NDArray[Any] = approximated(x, made, 0, np.ones(1, dtype=bool))[1][0]
    return values


def approximated(x: NDArray[Any], made: LowRank, index: int, measured: NDArray[np.bool_]) -> tuple[Any, ...]:
    """
    The rows of a block at low rank; a pass, see `emcore.outofcore.engine`.

    Parameters
    ----------
    x : ndarray, shape (r, d)
    made : LowRank
    index : int
        Of the block.
    measured : ndarray of bool, shape (r,)
        Other rows stay as they are.

    Returns
    -------
    partial : tuple
        Squares of the residual over every feature, sums of every feature, the number of negative values, their sum,
        how many values rounding made zero, and squares of the measured over every feature, if these are wanted.
    values : ndarray, shape (r, d)
    squares, sums, energy : ndarray, shape (r,)
        Squares of the residual, sums, and squares of the measured, in every row.
    before, after : ndarray, shape (r,)
        Of the chosen channel.
    """
    scores = _emcore.x_q(mended(x, counts=False), made.into)
    scores[:, 0] = made.toward + made.varying * (scores[:, 0] - made.toward)
    rows, d = x.shape
    values = np.empty((rows, d), made.dtype)
    squares, sums, energy = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    length = max(_VALUES // d, 1)
    strips = [slice(start, min(start + length, rows)) for start in range(0, rows, length)]

    def strip(part: slice) -> Any:
        partial, squares[part], sums[part], energy[part] = _strip(
            x[part], scores[part], made, measured[part], values[part]
        )
        return partial

    total: list[Any] = [np.zeros(d), np.zeros(d), 0, 0.0, 0, np.zeros(d)]
    for partial in _in_threads(strip, strips):
        total = [a + b for a, b in zip(total, partial, strict=True)]
    before, after = (each[:, made.channel].astype(np.float32) for each in (x, values))
    return tuple(total), values, squares, sums, energy, before, after


def _in_threads(call: Callable[[slice], Any], strips: Sequence[slice]) -> list[Any]:
    """Of every strip; products by one thread each, so that they have the same bits on any number of these."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        threads = min(get_num_threads(), len(strips))
        if threads < 2:
            return [call(part) for part in strips]
        with ThreadPoolExecutor(threads) as pool:
            try:
                return list(pool.map(call, strips))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _strip(
    x: NDArray[Any], scores: Floats, made: LowRank, measured: NDArray[np.bool_], values: NDArray[Any]
) -> tuple[Any, ...]:
    """Fill the values of a few rows; their part of the partial, and what is of each row."""
    real = made.back.dtype
    model = scores.astype(real) @ made.back
    negative = model < 0
    if not measured.all():
        negative[~measured] = False
    count, lacking = int(np.count_nonzero(negative)), 0.0
    if count:
        lacking = float(model[negative].sum(dtype=np.float64))
        if made.clip:
            model[negative] = 0
    if made.features is not None:
        model[:, ~made.features] = x[:, ~made.features]
    lost = 0
    if made.dtype.kind in "iu":
        limits = np.iinfo(made.dtype)
        rounded = np.rint(model)
        lost = int(np.count_nonzero((rounded == 0) & (model > 0)))
        values[...] = np.clip(rounded, limits.min, limits.max)
    else:
        values[...] = model
    residual = np.subtract(x, model, dtype=real)
    if not measured.all():
        values[~measured] = x[~measured].astype(made.dtype)
        residual[~measured] = 0
        model[~measured] = 0
    sums = model.sum(axis=1, dtype=np.float64)
    of_features = model.sum(axis=0, dtype=np.float64)
    np.square(residual, out=residual)
    of_rows, over_features = residual.sum(axis=1, dtype=np.float64), residual.sum(axis=0, dtype=np.float64)
    energy, energies = np.zeros(len(x)), np.zeros(x.shape[1])
    if made.energy:
        np.square(x.astype(real), out=residual)
        residual[~measured] = 0
        energy, energies = residual.sum(axis=1, dtype=np.float64), residual.sum(axis=0, dtype=np.float64)
    return (over_features, of_features, count, lacking, lost, energies), of_rows, sums, energy
