"""Memberships of rows in known fuzzy clusters; and what is checked and said of such clusters."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.validation import as_numbers, as_pixels, as_rows, check_finite, check_number
from emcore.methods.fuzzy import out_of_core as of_source
from emcore.outofcore.engine import Passes, begin
from emcore.outofcore.moments import checked_range
from emcore.outofcore.open import open_rows
from emcore.outofcore.sources import Source


class CovarianceSettings(NamedTuple):
    """
    How Gustafson-Kessel clusters get their covariances.

    Parameters
    ----------
    rho : float or sequence of k floats
        Volumes of the clusters.
    gamma : float
        Between 0 and 1: the share of the covariance of all rows.
    beta : float
        Largest ratio of eigenvalues.
    """

    rho: Any = 1.0
    gamma: float = 0.0
    beta: float = 1e15


def memberships(
    X: ArrayLike,
    centers: ArrayLike,
    *,
    m: float = 2.0,
    covariances: ArrayLike | None = None,
    rho: float | ArrayLike = 1.0,
    memory: int | str | None = None,
) -> NDArray[Any]:
    """
    Memberships of rows in known clusters.

    Parameters
    ----------
    X : array-like, shape (n, d), or PreparedRows
    centers : array-like, shape (k, d)
    m : float
        Above 1.
    covariances : array-like, shape (k, d, d), optional
        Those of `gustafson_kessel`.
    rho : float or array-like of shape (k,)
        With `covariances`: the volumes.
    memory : int or str, optional
        How much may be used for data out of core, see `emcore.methods.fuzzy.fit.fuzzy_c_means`.

    Returns
    -------
    ndarray, shape (n, k)
        float64 for float64 data, else float32.

    Examples
    --------
    >>> from emcore.methods.fuzzy.membership import memberships
    >>> memberships([[0.0], [1.0], [5.0]], [[0.0], [4.0]]).round(6).tolist()
    [[1.0, 0.0], [0.9, 0.1], [0.038462, 0.961538]]
    """
    rows = open_rows(X, memory=memory)
    rows = rows if isinstance(rows, Source) else as_rows(rows)
    points = np.ascontiguousarray(as_rows(centers, "centers"), dtype=np.float64)
    k, d = points.shape
    if d != rows.shape[1]:
        raise ValueError(f"centers have {d} features and X has {rows.shape[1]}; they must be the same")
    matrices = volumes = None
    if covariances is not None:
        matrices = np.ascontiguousarray(as_pixels(covariances, "covariances", 3), dtype=np.float64)
        check_finite(matrices, "covariances")
        if matrices.shape != (k, d, d):
            raise ValueError(f"covariances have shape {matrices.shape}; centers ask for {(k, d, d)}")
        check_features(d)
        volumes = check_volumes(rho, k)
    m = check_fuzziness(m)
    if isinstance(rows, Source):
        fixed = of_source.sums_bytes(d, k, matrices is not None)
        rows = begin(rows, "memberships", memory, None, {}, of_source.row_bytes(k, rows.dtype), fixed, quiet=True)
        checked_range(rows)
    return in_clusters(rows, points, m, matrices, volumes)


def in_clusters(
    rows: Any, centers: NDArray[np.float64], m: float, covariances: NDArray[np.float64] | None, rho: list[float] | None
) -> NDArray[Any]:
    """The memberships of rows in memory, or of those of passes, all checked."""
    options = {"m": m, "covariances": covariances, "rho": rho}
    if isinstance(rows, Passes):
        return of_source.memberships(rows, centers, options)
    return _emcore.memberships(rows, centers, m=m, covariances=covariances, rho=rho)


def check_fuzziness(m: Any) -> float:
    """`m` as a float that is safely above 1."""
    number = check_number(m, "m", 1, 1000)
    if number < 1.001:
        raise ValueError(f"m={m} is too close to 1; it must be above 1.001 (for m = 1 use k-means)")
    return number


def check_features(d: int) -> None:
    """Refuse more features than clusters may have covariances of."""
    if d > _emcore.CMEANS_MOST_FEATURES:
        raise ValueError(
            f"X has {d} features; a covariance matrix for each cluster is limited to {_emcore.CMEANS_MOST_FEATURES}. "
            "Reduce them first, for example with emcore.PCA"
        )


def check_volumes(rho: Any, k: int) -> list[float]:
    """`rho` as k positive numbers."""
    volumes = as_numbers(rho, "rho")
    if volumes.shape not in ((), (k,)):
        raise ValueError(f"rho has shape {volumes.shape}; give one number, or one for each of {k} clusters")
    volumes = np.broadcast_to(volumes, k)
    if not (np.isfinite(volumes).all() and (volumes > 0).all()):
        raise ValueError("rho holds values that are not positive numbers; it is the volume of each cluster")
    return [float(x) for x in volumes]


def what_was_done(
    centers: NDArray[np.float64],
    covariances: NDArray[np.float64] | None,
    size: float,
    conditioned: NDArray[Any],
    empty: NDArray[Any],
    n_iter: int,
) -> tuple[str, ...]:
    """What had to be done; `size` is about the mean squared distance of a row."""
    notes = []
    if conditioned.any():
        notes.append(
            f"the covariances of clusters {_named(np.flatnonzero(conditioned))} were (nearly) singular in up to "
            f"{conditioned.max()} of {n_iter} iterations: their smallest eigenvalues were raised to the largest over "
            "beta. Constant or dependent features or too many clusters do this; leave them out, or use PCA first"
        )
    if empty.any():
        notes.append(
            f"clusters {_named(np.flatnonzero(empty))} lost all members; their centres stayed; use fewer clusters"
        )
    gaps = ((centers[:, None] - centers) ** 2).sum(axis=-1)
    same = gaps <= 1e-8 * (size + ((centers - centers.mean(axis=0)) ** 2).sum(axis=1).max())
    if covariances is not None:
        scale = np.abs(covariances).max(axis=(1, 2))
        differ = np.abs(covariances[:, None] - covariances).max(axis=(2, 3))
        same &= differ <= 1e-4 * np.maximum(scale[:, None], scale)
    np.fill_diagonal(same, False)
    if same.any():
        notes.append(
            f"the centres of clusters {_named(np.flatnonzero(same.any(axis=1)))} coincide, and share their members "
            "equally: there are fewer groups than n_clusters, or m is too large"
        )
    return tuple(notes)


def _named(indices: NDArray[Any]) -> str:
    return ", ".join(str(int(i)) for i in indices)
