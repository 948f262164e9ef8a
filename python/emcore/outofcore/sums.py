"""Counts of rows outside memory, of every row and of every feature, in one pass; and what maps leave of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.outofcore.checkpoint import step
from emcore.outofcore.engine import begin
from emcore.outofcore.reduction import PerRow
from emcore.outofcore.sources import Source

Floats = NDArray[np.float64]


def row_and_column_sums(source: Source, positions: NDArray[np.intp] | None = None) -> tuple[Floats, Floats]:
    """Of all rows, and of the features over all rows or those at some positions."""
    counts, columns = step(source, lambda: _counted(source, positions))
    return counts, columns


def _counted(source: Source, positions: NDArray[np.intp] | None) -> tuple[Floats, Floats]:
    n, d = source.shape
    counts, kept = np.empty(n), None
    if positions is not None:
        kept = np.zeros(n)
        kept[positions] = 1
    passes = begin(source, None, None, {}, 24, 8 * d * 32, quiet=True)
    counted = None if kept is None else PerRow(passes.source, kept)
    (columns,) = passes(_sums, rows=[counted], into=[PerRow(passes.source, counts)])
    return counts, columns


def _sums(x: Any, state: Any, index: int, kept: Any) -> tuple[Any, ...]:
    n, d = x.shape
    factor = np.ones((n, 1)) if kept is None else kept.reshape(n, 1)
    return (_emcore.xt_y(x, factor)[:, 0],), _emcore.x_q(x, np.ones((d, 1)))[:, 0]


def residuals(source: Source, maps: NDArray[Any], spectra: Floats) -> tuple[Floats, Floats]:
    """`emcore.methods.nmf.residuals.residuals` of rows outside memory."""
    n, d = source.shape
    left = np.empty(n)
    passes = begin(source, None, None, {}, 8, 8 * d * (32 + len(spectra)), quiet=True)
    (features,) = passes(_residuals, spectra, [PerRow(passes.source, maps)], [PerRow(passes.source, left)])
    return left, features


def _residuals(x: Any, spectra: Floats, index: int, maps: NDArray[Any]) -> tuple[Any, ...]:
    rows, features = _emcore.residuals(x, np.require(maps, requirements=["C", "W"]), spectra)
    return (features,), rows
