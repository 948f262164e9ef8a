"""How many values of rows, in memory or out of core, are no counts: NaN, infinity, or negative?"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.outofcore.engine import begin
from emcore.outofcore.reduction import Partial
from emcore.outofcore.rows import blocks_of_rows, not_finite
from emcore.outofcore.sources import Source


class Values(NamedTuple):
    """
    What rows hold.

    Attributes
    ----------
    low, high : float
        The smallest and the largest value of rows without NaN and infinity.
    invalid : int
        Rows with NaN or infinity.
    negative : int
        Negative values in the others.
    first_invalid, first_negative : (int, int), or None
        Row and feature.
    """

    low: float = 0.0
    high: float = 0.0
    invalid: int = 0
    negative: int = 0
    first_invalid: tuple[int, int] | None = None
    first_negative: tuple[int, int] | None = None


def values_of(rows: Any) -> Values:
    """
    The values of rows of floats or signed integers, in one visit; none where the type says that all are counts.

    Examples
    --------
    >>> import numpy as np
    >>> values_of(np.array([[1.0, -2.0], [np.nan, 9.0]]))
    Values(low=-2.0, high=1.0, invalid=1, negative=1, first_invalid=(1, 0), first_negative=(0, 1))
    """
    if rows.dtype.kind == "u":
        return Values()
    if isinstance(rows, Source):
        passes = begin(rows, "values", None, None, {}, 0, 0, quiet=True)
        low, high, invalid, negative, *places = passes.once("values", _values, merge=_widest)
    else:
        low, high, invalid, negative, *places = _values(rows, None, 0)[0]

    def first(at: Any) -> tuple[int, int] | None:
        index, row, feature = (int(i) for i in at)
        if index < 0:
            return None
        return passes.source.row_of(index, row) if isinstance(rows, Source) else row, feature

    low, high = (0.0, 0.0) if low > high else (float(low), float(high))
    return Values(low, high, int(invalid), int(negative), *map(first, places))


def count_below(rows: Any, limit: float) -> int:
    """
    How many values are below a limit, in rows without NaN and infinity.

    Examples
    --------
    >>> import numpy as np
    >>> count_below(np.array([[1.0, -2.0], [np.nan, -9.0]]), -1.0)
    1
    """
    if not isinstance(rows, Source):
        return int(_below(rows, limit, 0)[0][0])
    passes = begin(rows, "values below a limit", None, None, {}, 0, 0, quiet=True)
    return int(passes.once("values below a limit", _below, limit)[0])


def _values(x: NDArray[Any], state: Any, index: int) -> tuple[Any, ...]:
    low, high, bad, negative = _emcore.value_range(x)
    lost = np.zeros(len(x), dtype=bool) if bad is None else not_finite(x)
    if bad is not None:
        kept = [(part, _emcore.value_range(x[part][~lost[part]])) for part in blocks_of_rows(x) if not lost[part].all()]
        low, high = min((r[0] for _, r in kept), default=np.inf), max((r[1] for _, r in kept), default=-np.inf)
        observed = [
            (part.start + np.flatnonzero(~lost[part])[r[3][0]], r[3][1]) for part, r in kept if r[3] is not None
        ]
        negative = observed[0] if observed else None
    count = _below(x, 0.0, 0)[0][0] if low < 0 else 0
    places = (np.array([-1, 0, 0] if at is None else [index, *at]) for at in (bad, negative))
    return ((float(low), float(high), int(lost.sum()), count, *places),)


def _below(x: NDArray[Any], state: float, index: int) -> tuple[Any, ...]:
    count = 0
    for part in blocks_of_rows(x):
        block = x[part]
        fine = np.isfinite(block).all(axis=1)
        count += int(np.count_nonzero(block[fine] < state))
    return ((count,),)


def _widest(a: Partial, b: Partial) -> Partial:
    first = (x if x[0] >= 0 else y for x, y in zip(a[4:], b[4:], strict=True))
    return min(a[0], b[0]), max(a[1], b[1]), a[2] + b[2], a[3] + b[3], *first
