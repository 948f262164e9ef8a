"""What rows hold of known components."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore


def project(
    rows: NDArray[Any],
    components: NDArray[np.float64],
    mean: NDArray[np.float64],
    center: bool,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """`scores` of checked rows."""
    thin = np.ascontiguousarray((components if weights is None else components * weights).T, dtype=np.float64)
    # The kernel subtracts the mean in either case, so that it costs no digits; what that is too much is added here.
    offset = mean.astype(np.float64 if rows.dtype == np.float64 else np.float32).astype(np.float64)
    return _emcore.x_q(rows, thin, offset) + (offset - mean if center else offset) @ thin
