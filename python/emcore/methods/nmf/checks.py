"""What non-negative factors may be asked of: rows, penalties, weights, numbers of components."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.validation import (
    Floats,
    as_matrix,
    as_pixels,
    as_rows,
    check_count,
    check_finite,
    check_number,
    check_option,
)
from emcore.methods.nmf.settings import Penalty
from emcore.outofcore.engine import Passes
from emcore.outofcore.moments import checked_range
from emcore.outofcore.sources import Source

# Spectra of length 1 that differ by less in every feature are the same.
_SAME = 1e-6


def penalties(shape: tuple[int, ...], alpha_W: Any, alpha_H: Any, l1_ratio: Any) -> tuple[Penalty, Penalty]:
    """On W and on H, scaled by the number of features and of rows as scikit-learn does."""
    on_w = check_number(alpha_W, "alpha_W", 0)
    if isinstance(alpha_H, str):
        check_option(alpha_H, ["same"], "alpha_H")
    on_h = on_w if isinstance(alpha_H, str) else check_number(alpha_H, "alpha_H", 0)
    ratio = check_number(l1_ratio, "l1_ratio", 0, 1)
    n, d = shape
    on_w, on_h = d * on_w, n * on_h
    return Penalty(on_w * ratio, on_w * (1 - ratio)), Penalty(on_h * ratio, on_h * (1 - ratio))


def check_weights(weights: ArrayLike | None, d: int) -> NDArray[np.float64] | None:
    """One positive number per feature, or None."""
    if weights is None:
        return None
    array = np.ascontiguousarray(as_pixels(weights, "weights", 1), dtype=np.float64)
    if len(array) != d:
        raise ValueError(f"weights has {len(array)} values; give one for each of the {d} features")
    if check_finite(array, "weights")[0] <= 0:
        raise ValueError(f"weights[{int(np.argmax(array <= 0))}] is not positive; leave out features that do not count")
    return array


def check_fixed(fixed_components: ArrayLike | None, k: int, d: int) -> Floats | None:
    """Spectra of d features for the first of k components to have and to keep, or None."""
    if fixed_components is None:
        return None
    name = "fixed_components"
    spectra = np.array(as_rows(fixed_components, name, nonnegative=True), dtype=np.float64, order="C")
    if spectra.shape[1] != d:
        raise ValueError(f"{name} has {spectra.shape[1]} features and X has {d}; they must be the same")
    if len(spectra) > k:
        raise ValueError(f"{name} has {len(spectra)} spectra, more than n_components={k}; ask for as many or more")
    for i, spectrum in enumerate(spectra):
        if not spectrum.any():
            raise ValueError(f"{name}[{i}] is zero throughout; leave it out")
        check_size(float(spectrum.max()), f"{name}[{i}]")
    same = same_spectra(spectra)
    if same is not None:
        raise ValueError(
            f"{name}[{same[0]}] and [{same[1]}] are the same but for a factor, so nothing tells them apart; give one"
        )
    return spectra


def same_spectra(spectra: Floats) -> tuple[int, int] | None:
    """
    The first two spectra that differ by no more than a factor, and what the rounding to float32 makes of it.

    Examples
    --------
    >>> same_spectra(np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 6.0]]))
    (0, 2)
    """
    units = spectra / spectra.max(axis=1, keepdims=True)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    for i, unit in enumerate(units):
        near = np.flatnonzero(np.abs(units[i + 1 :] - unit).max(axis=1) < _SAME)
        if near.size:
            return i, i + 1 + int(near[0])
    return None


def count_components(rows: NDArray[Any], n_components: Any, init: str, H0: ArrayLike | None) -> int:
    """k, as far as `init` can begin with so many."""
    least = min(rows.shape)
    if n_components is None:
        return len(np.atleast_2d(np.asarray(H0))) if init == "custom" and H0 is not None else least
    if init in ("nndsvda", "nndsvd", "nndsvdar"):
        why = f"init={init!r} takes singular vectors of data of shape {rows.shape}; init='random' knows no limit"
        return check_count(n_components, "n_components", 1, least, why)
    if init == "spa":
        return check_count(n_components, "n_components", 1, len(rows), "init='spa' picks rows of X")
    return check_count(n_components, "n_components", 1)


def real_of(rows: Any) -> type[np.floating[Any]]:
    """In which the kernels compute on such rows."""
    return np.float64 if rows.dtype == np.float64 else np.float32


def checked_rows(X: ArrayLike) -> tuple[NDArray[Any], type[np.floating[Any]]]:
    """Rows that are not negative, float32 whose squares it could not hold as float64; and the type of the result."""
    if isinstance(X, _emcore.PreparedRows):
        rows = as_rows(X, nonnegative=True)
        largest = _emcore.value_range(X)[1]
        return (rows if check_size(largest) else np.asarray(rows, dtype=np.float64)), np.float32
    rows = as_matrix(X)
    if rows.dtype.kind == "u":
        return rows, np.float32
    _, largest = check_finite(rows, "X", nonnegative=True)
    real = real_of(rows)
    return (rows if check_size(largest) else rows.astype(np.float64)), real


def check_size(largest: float, name: str = "X") -> bool:
    """Whether float32 holds the squares of values of which this is the largest."""
    if largest != 0 and not 1e-25 < largest < 1e25:
        said = f"{name} has {largest:g} as largest value"
        raise ValueError(f"{said}; choose a unit in which it is between 1e-25 and 1e25")
    return largest == 0 or 1e-12 < largest < 1e12


def source_of_size(passes: Passes) -> Source:
    """The source of `passes`, found not to be negative, as float64 where its squares are beyond float32."""
    source = passes.source
    if source.dtype.kind == "u" and source.recipes is None:
        return source
    _, largest = checked_range(passes, nonnegative=True)
    return source if check_size(largest) else source.astype(np.float64)
