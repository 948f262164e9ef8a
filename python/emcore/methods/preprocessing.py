"""
Data made ready for clustering without a float copy: masked, normalised, scaled, several signals side by side.

What is prepared is a recipe. Rows are computed from the stored data block by block, whenever a kernel visits them, and
are accepted wherever a matrix is: by `emcore.methods.pca.fit.pca`, by the clusterings, by the products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore._emcore import PreparedRows
from emcore.core.validation import Floats, as_rows, check_finite, check_option, check_result
from emcore.outofcore.engine import begin
from emcore.outofcore.moments import check_values, checked_range, mean_and_squares, row_and_column_sums
from emcore.outofcore.open import open_rows
from emcore.outofcore.sources import Preparation, Source
from emcore.outofcore.stored import Stored

NORMALIZATIONS = ("none", "sum", "max", "l2", "log1p", "sqrt", "root-sum")
"""What may be done to the kept values of a row, see `Recipe`."""

POSITIVE = ("sum", "log1p", "sqrt", "root-sum")


@dataclass(frozen=True, eq=False)
class Recipe:
    """
    One signal and how its rows are prepared: ``(N(x[keep]) - offset) * scale``, of all rows or
    of chosen ones.

    Attributes
    ----------
    data : array-like, shape (n, d)
        Any pixel type, any strides, in memory or outside it; neither converted nor copied.
    keep : array-like of bool, shape (d,), optional
        The features to keep, default all: for diffraction patterns, what is outside the beam
        mask.
    normalize : {"none", "sum", "max", "l2", "log1p", "sqrt", "root-sum"}, default "none"
        N, of the kept values of a row: divide by their sum, largest modulus, Euclidean norm or
        root of the sum, or take ln(1 + x) or the square root of each (Bach Siches 2022;
        "root-sum": Keenan & Kotula 2004). A row of zeros stays.
    offset, scale : array-like, shape (number kept,), optional
        Per kept feature; default 0 and 1.
    rows : array-like of int, shape (m,), optional
        The rows to keep, in that order, which of data out of core must be rising; default all.
    """

    data: ArrayLike
    keep: ArrayLike | None = None
    normalize: str = "none"
    offset: ArrayLike | None = None
    scale: ArrayLike | None = None
    rows: ArrayLike | None = None


def prepare(signals: Recipe | Sequence[Recipe], *, memory: int | str | None = None) -> Any:
    """
    Rows computed from one or more signals on the same positions.

    Parameters
    ----------
    signals : Recipe or sequence of Recipe
        All with as many rows; their kept features become those of one matrix, one signal after
        another.
    memory : int or str, optional
        Stored data that take less than half of it are held in memory or mapped as they are;
        default 1 GiB.

    Returns
    -------
    PreparedRows, or Source where data are out of core
        With `shape`, `dtype` (float32), `take(indices)` for a few rows; ``np.asarray`` computes
        all of them. The stored data must not change while it is used.

    Raises
    ------
    ValueError
        NaN or infinity (first position named), negative values where a sum, a logarithm or a
        root is taken, nothing kept, wrong lengths, different numbers of rows, unknown
        normalisation.
    TypeError
        Data that are not real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.preprocessing import Recipe, prepare
    >>> counts = np.array([[1, 2, 1], [0, 9, 3]], dtype=np.uint16)
    >>> rows = prepare(Recipe(counts, keep=[True, False, True], normalize="sum"))
    >>> np.asarray(rows)
    array([[0.5, 0.5],
           [0. , 1. ]], dtype=float32)
    """
    recipes = [signals] if isinstance(signals, Recipe) else list(signals)
    if not all(isinstance(recipe, Recipe) for recipe in recipes):
        raise TypeError("signals must be a Recipe, or several: emcore.preprocessing.Recipe(data, ...)")
    checked = [_checked(recipe, i, len(recipes), memory) for i, recipe in enumerate(recipes)]
    sources = [rows for rows, *_ in checked if isinstance(rows, Source)]
    if not sources:
        return PreparedRows(checked)
    if any(rows.recipes is not None or len(rows.parts) > 1 for rows in sources):
        raise ValueError("data are prepared already; give them as they are stored")
    if len({rows.lazy for rows in sources}) > 1 or (sources[0].lazy and len(sources) < len(checked)):
        raise ValueError("one signal is a Dask array and another is not; make all Dask arrays, or none")
    chosen = checked[0][1]
    if any(other != chosen for _, other, *_ in checked) or (chosen and any(b <= a for a, b in pairwise(chosen))):
        raise ValueError("of data out of core rows must be in rising order, and of all signals the same")
    parts: list[Any] = [rows.parts[0] if isinstance(rows, Source) else Stored(rows) for rows, *_ in checked]
    if sources[0].lazy:
        if len({part.shape[:-1] for part in parts}) > 1:
            raise ValueError(
                f"signals have the navigation axes {[part.shape[:-1] for part in parts]}; they must be the same"
            )
        parts = [part.rechunk((*parts[0].chunks[:-1], -1)) for part in parts]
    index = None if chosen is None else np.asarray(chosen, dtype=np.intp)
    source = Source(parts, [preparation for *_, preparation in checked], "the prepared data", index)
    for name in ("budget", "beside", "job", "view", "mend", "on_workers"):
        setattr(source, name, getattr(sources[0], name))
    return source


def _checked(recipe: Recipe, index: int, count: int, memory: Any) -> tuple[Any, list[int] | None, Preparation]:
    name = "data" if count == 1 else f"data of signal {index}"
    normalize = check_option(recipe.normalize, NORMALIZATIONS, "normalize")
    rows = open_rows(recipe.data, name, memory=memory)
    if isinstance(rows, Source):
        check_values(rows, memory, nonnegative=normalize in POSITIVE)
    else:
        rows = as_rows(rows, name, nonnegative=normalize in POSITIVE)
    d = rows.shape[1]
    runs = None
    if recipe.keep is not None:
        keep = np.asarray(recipe.keep)
        if keep.shape != (d,) or keep.dtype != bool:
            raise ValueError(f"keep is {keep.dtype} of shape {keep.shape}; one bool for each of {d} features is needed")
        if not keep.any():
            raise ValueError(f"keep leaves none of the {d} features of {name}; keep at least one")
        edges = np.flatnonzero(np.diff(keep, prepend=False, append=False)).tolist()
        runs = list(zip(edges[::2], edges[1::2], strict=True))
        d = int(keep.sum())
    chosen = None if recipe.rows is None else _indices(recipe.rows, rows.shape[0])
    offset, scale = _per_feature(recipe.offset, d, "offset"), _per_feature(recipe.scale, d, "scale")
    return rows, chosen, Preparation(runs, normalize, offset, scale)


def _indices(rows: ArrayLike, n: int) -> list[int]:
    array = np.asarray(rows)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not array.size:
        raise ValueError(f"rows is {array.dtype} of shape {array.shape}; indices of the rows to keep are needed")
    if array.min() < 0 or array.max() >= n:
        raise ValueError(f"rows has indices from {array.min()} to {array.max()}; the data have rows 0 to {n - 1}")
    return [int(index) for index in array.tolist()]


def _per_feature(values: ArrayLike | None, d: int, name: str) -> NDArray[np.float64] | None:
    if values is None:
        return None
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != (d,):
        raise ValueError(f"{name} has shape {array.shape}; one value for each of the {d} kept features is needed")
    check_finite(array, name)
    return array


def quantiles(data: ArrayLike, probabilities: Sequence[float]) -> NDArray[np.float64]:
    """
    Quantiles of every feature, linear between order statistics.

    Parameters
    ----------
    data : array-like, shape (n, d)
        Any pixel type; a few features at a time are copied.
    probabilities : sequence of float
        Each in [0, 1].

    Returns
    -------
    ndarray, shape (len(probabilities), d), float64
        What ``np.quantile(data, probabilities, axis=0)`` gives.

    Examples
    --------
    >>> from emcore.methods.preprocessing import quantiles
    >>> quantiles([[1, 10], [2, 20], [4, 40]], [0.5])
    array([[ 2., 20.]])
    """
    return np.ascontiguousarray(_emcore.quantiles(as_rows(data, "data"), [float(p) for p in probabilities]).T)


def mean_and_variance(data: ArrayLike | PreparedRows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Mean and variance (over n) of every feature in one read of the data, in float64.

    Parameters
    ----------
    data : array-like or PreparedRows, shape (n, d)

    Returns
    -------
    mean, variance : ndarray, shape (d,), float64

    Examples
    --------
    >>> from emcore.methods.preprocessing import mean_and_variance
    >>> mean, variance = mean_and_variance([[1, 5], [3, 5]])
    >>> mean.tolist(), variance.tolist()
    ([2.0, 5.0], [1.0, 0.0])
    """
    rows = open_rows(data, "data")
    if isinstance(rows, Source):
        passes = begin(rows, "moments", None, None, {}, 0, 8 * rows.shape[1] * 32, quiet=True)
        checked_range(passes)
        mean, squares = mean_and_squares(passes)
    else:
        rows = as_rows(rows, "data")
        mean, squares = _emcore.moments(rows)
    check_result(mean, "data")
    check_result(squares, "data")
    return mean, squares / rows.shape[0]


def sums_of(rows: Any, positions: NDArray[np.intp] | None = None) -> tuple[Floats, Floats]:
    """
    Counts of every row, and of every channel in the rows at some positions, by default all.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.preprocessing import sums_of
    >>> counts, sums = sums_of(np.array([[1, 2], [3, 4]], np.uint8), np.array([1]))
    >>> counts.tolist(), sums.tolist()
    ([3.0, 7.0], [3.0, 4.0])
    """
    if isinstance(rows, Source):
        return row_and_column_sums(rows, positions)[:2]
    d = rows.shape[1]
    counts = _emcore.x_q(rows, np.ones((d, 1)))[:, 0]
    if positions is not None and not len(positions):
        return counts, np.zeros(d)
    taken = rows if positions is None else selected(rows, positions)
    return counts, mean_and_variance(taken)[0] * taken.shape[0]


def selected(rows: Any, taken: NDArray[np.intp]) -> Any:
    """The rows at rising positions."""
    index = recipe_rows(rows, taken)
    return rows if index is None else prepare(Recipe(rows, rows=index))


def recipe_rows(rows: Any, taken: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """None where all rows are taken: then nothing is picked."""
    return None if len(taken) == rows.shape[0] else taken


def count_distinct(prepared: PreparedRows, positions: NDArray[np.intp], enough: int) -> int:
    """How many different rows there are at these positions, counted up to `enough`.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.preprocessing import Recipe, count_distinct, prepare
    >>> prepared = prepare(Recipe(np.array([[1, 2], [3, 4], [1, 2]], np.uint8)))
    >>> count_distinct(prepared, np.arange(3), 9)
    2
    """
    seen: set[bytes] = set()
    order = np.random.default_rng(0).permutation(positions)  # what lies side by side is alike
    for start in range(0, len(order), 64):
        seen.update(row.tobytes() for row in prepared.take(order[start : start + 64].tolist()))
        if len(seen) >= enough:
            return enough
    return len(seen)
