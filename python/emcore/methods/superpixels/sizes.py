"""Quantiles of sizes that count by their area, as of grains: half of the area is in grains above the median."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats


def weighted_quantiles(values: NDArray[Any], weights: NDArray[Any], parts: Sequence[float]) -> Floats:
    """
    The values up to which those below have at least these parts of all the weight.

    Examples
    --------
    >>> weighted_quantiles(np.array([5.0, 1.0, 3.0]), np.array([8, 1, 1]), (0.1, 0.5)).tolist()
    [1.0, 5.0]
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order].astype(np.float64))
    index = np.searchsorted(below, np.asarray(parts) * below[-1] * (1 - 1e-12))
    return np.asarray(values[order][np.minimum(index, len(order) - 1)], dtype=np.float64)
