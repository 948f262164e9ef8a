"""What one pass tells of the values of rows outside memory."""

from typing import Any

import numpy as np

from emcore import _emcore
from emcore.outofcore.engine import Passes
from emcore.outofcore.reduction import Partial


def mean_and_squares(passes: Passes) -> Partial:
    """Mean and sum of squared deviations of every feature."""
    _, mean, squares = passes.once(_moments, merge=_merge)
    return mean, squares


def _moments(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return ((x.shape[0], *_emcore.moments(x)),)


def _merge(a: Partial, b: Partial) -> Partial:
    # Chan, Golub & LeVeque (1983), as in the kernel.
    n = a[0] + b[0]
    step = b[1] - a[1]
    return n, a[1] + step * (b[0] / n), a[2] + b[2] + step * step * (a[0] * b[0] / n)


def mean(passes: Passes) -> float:
    """Of all values."""
    if passes.mean is None:
        passes.mean = float(passes.once(_sum)[0]) / len(passes.source)
    return passes.mean


def _sum(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    return ((_emcore.mean(x) * x.shape[0],),)


def checked_range(passes: Passes, *, nonnegative: bool = False) -> tuple[float, float]:
    """
    The smallest and largest value of rows that are finite and, if asked, not negative; no pass where the type says so.

    Raises
    ------
    ValueError
        NaN, infinity or a negative value, with the first position.
    """
    source = passes.source
    kind = source.dtype.kind if source.recipes is None else "f"
    if kind == "u" or (kind == "i" and not nonnegative):
        info: Any = np.iinfo(source.dtype.name)
        return info.min, info.max
    if "range" in source.known and (not nonnegative or source.known["range"][0] >= 0):
        return source.known["range"]  # type: ignore[no-any-return]
    low, high, bad, negative = passes.once(_range, merge=_widest)

    def position(place: Any) -> str:
        at = [*source.position(source.row_of(int(place[0]), int(place[1]))), place[2]]
        return ", ".join(str(int(i)) for i in at)

    if bad[0] >= 0:
        raise ValueError(
            f"Input {source.name} contains NaN or infinity, first at [{position(bad)}]; "
            "replace or crop such values first"
        )
    if nonnegative and negative[0] >= 0:
        raise ValueError(
            f"Negative values in data passed to {source.name}, first at [{position(negative)}]; "
            "subtract the detector's offset or set them to zero first"
        )
    source.known["range"] = float(low), float(high)
    return float(low), float(high)


def _range(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    low, high, *places = _emcore.value_range(x)
    return ((low, high, *(np.array([-1, 0, 0] if at is None else [index, *at]) for at in places)),)


def _widest(a: Partial, b: Partial) -> Partial:
    first = (x if x[0] >= 0 else y for x, y in zip(a[2:], b[2:], strict=True))
    return min(a[0], b[0]), max(a[1], b[1]), *first
