"""Rows at low rank: each projected on components that are weighted for noise, and put together again.

Of weighted rows ``Y = A^-1/2 X S`` with components V, of which the parts f are kept, the rows at low rank are
``A^1/2 (Y V^T f V) S^-1 = X (S V^T) (f V S^-1)``: the weights of the rows cancel, so that every row is made by itself,
by two thin products. Of the first component, which holds the sums of rows, as much is taken towards its mean as those
differ by noise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.methods.denoising.components import Components
from emcore.methods.denoising.weighting import Weighting
from emcore.outofcore.rows import blocks_of_rows, mended


@dataclass(frozen=True, eq=False)
class LowRank:
    """
    What makes rows of low rank of rows.

    Attributes
    ----------
    into, back : ndarray, shapes (d, k) and (k, d)
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
    """

    into: Floats
    back: Floats
    toward: float
    varying: float
    features: NDArray[np.bool_] | None
    clip: bool
    dtype: np.dtype[Any]
    channel: int


def low_rank(
    components: Components,
    weighting: Weighting,
    mean: Floats,
    features: NDArray[np.bool_] | None,
    clip: bool,
    dtype: Any,
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
    >>> found = find_components(rows, (rows.sum(axis=1), rows.sum(axis=0)), weights, np.arange(4), 1)
    >>> made = low_rank(found, weights, rows.mean(axis=0), None, False, "f4")
    >>> row_at_low_rank(rows[2], made).round(3).tolist()
    [12.0, 4.0, 8.0]
    """
    d, dtype = len(weighting.scale), np.dtype(dtype)
    scale = weighting.scale if features is None else np.where(features, weighting.scale, 0)
    k = len(components.vectors)
    undone = np.divide(1.0, scale, out=np.zeros(d), where=scale > 0)
    into = np.ascontiguousarray((components.vectors * scale).T)
    back = components.kept[:, None] * components.vectors * undone
    # Where all but the mean vary most above noise.
    strength = (components.kept * components.singular_values[:k])[min(1, k - 1) :, None]
    told = ((strength * components.vectors[min(1, k - 1) :]) ** 2).sum(axis=0)
    toward = float(mean @ into[:, 0])
    return LowRank(into, back, toward, weighting.varying, features, clip, dtype, int(np.argmax(told)))


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
        Squares of the residual over every feature, sums of every feature, squares of the measured; the number of
        negative values, their sum, and how many values rounding made zero.
    values : ndarray, shape (r, d)
    squares, sums, energy : ndarray, shape (r,)
        Squares of the residual, sums, and squares of the measured, in every row.
    before, after : ndarray, shape (r,)
        Of the chosen channel.
    """
    stored, x = x, mended(x, counts=False) if x.dtype.kind == "f" else x
    values = np.empty(x.shape, made.dtype)
    # Single precision does not hold the largest numbers of 32 bits.
    double = made.dtype.kind in "iu" and made.dtype.itemsize > 2
    parts: list[Any] = [
        _emcore.at_low_rank(
            x[part].astype(np.float64) if double else x[part],
            values[part],
            into=made.into,
            back=made.back,
            toward=made.toward,
            varying=made.varying,
            features=made.features,
            measured=np.ascontiguousarray(measured[part]),
            clip=made.clip,
        )
        for part in (blocks_of_rows(x) if double else [slice(None)])
    ]
    residuals, sums, energy = ([part[i] for part in parts] for i in range(3))
    if x is not stored and not measured.all():
        values[~measured] = stored[~measured].astype(made.dtype)
    before, after = (each[:, made.channel].astype(np.float32) for each in (stored, values))
    partial = tuple(sum(part[0] for part in each) for each in (residuals, sums, energy))
    of_rows = [np.concatenate([part[1] for part in each]) for each in (residuals, sums, energy)]
    counts = tuple(sum(part[i] for part in parts) for i in (3, 4, 5))
    return (*partial, *counts), values, *of_rows, before, after
