"""k-means: which k groups do the rows fall into, and what is the mean of each?"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.memory import check_room
from emcore.core.validation import as_rows, check_count, check_finite, check_number, check_option
from emcore.methods.kmeans import out_of_core
from emcore.methods.kmeans.starts import check_centers, start_out_of_core, starting_centers
from emcore.outofcore.engine import Passes, begin
from emcore.outofcore.moments import checked_range
from emcore.outofcore.open import open_rows
from emcore.outofcore.sources import Source

METRICS = ("euclidean", "cosine")
INITS = ("k-means++", "random")


@dataclass(frozen=True, eq=False)
class KMeansResult:
    """
    k groups of n rows of d features.

    Attributes
    ----------
    centers : ndarray, shape (k, d), float64
        Means of the groups; for the cosine metric scaled to length 1.
    labels : ndarray, shape (n,), int32
        The nearest centre of every row; of equally near ones the first.
    inertia : float
        Sum over rows of the squared distance to their centre, times their weight.
    n_iter : int
        Iterations of the best run.
    converged : bool
        False where `max_iter` ended it.
    """

    centers: NDArray[np.float64]
    labels: NDArray[np.int32]
    inertia: float
    n_iter: int
    converged: bool


def kmeans(
    X: ArrayLike,
    n_clusters: int,
    *,
    init: str | ArrayLike | Callable[..., ArrayLike] = "k-means++",
    n_init: int | str = "auto",
    max_iter: int = 300,
    tol: float = 1e-4,
    metric: str = "euclidean",
    sample_weight: ArrayLike | None = None,
    random_state: int = 0,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> KMeansResult:
    """
    Group rows around k centres, straight from the type in which the detector wrote the data.

    Lloyd's iteration [1]_: every row to its nearest centre, every centre to the mean of its rows, until no row changes.
    Rows whose nearest centre cannot have changed are not even read [2]_ [3]_, which changes no result. Every parameter
    means what it means in scikit-learn.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n, d), or PreparedRows
        Any pixel type, any strides; neither converted nor copied. Of more than two axes the last one is the features,
        and rows are in the order of the others, in memory and out of core.
    n_clusters : int
        k, at most n.
    init : {"k-means++", "random"}, array-like of shape (k, d) or callable
        Where to start: rows far from each other, the best of 2 + ln k draws each [4]_; any rows; these centres; those
        that ``init(X, k, random_state=...)`` returns.
    n_init : int or "auto"
        Runs from different starts, of which the best is kept. "auto": 1 for "k-means++" and for given centres, else 10.
    max_iter : int
        At most so many iterations.
    tol : float
        Stop when the squared shifts of all centres add up to this times the mean variance of a feature.
    metric : {"euclidean", "cosine"}
        "cosine": by the angle between row and centre, as if every row were scaled to length 1; centres have length 1
        and squared distances are 2 - 2 cos [5]_.
    sample_weight : array-like, shape (n,), optional
        What each row counts for, at least 0; the same as repeating rows.
    random_state : int
        Seed of the starts. The number of threads never changes a result.
    memory : int or str, optional
        For data out of core (a memory map, an HDF5 or Zarr array, a lazy signal, a Dask array): how much may be
        used, in bytes or as "2 GiB"; default 1 GiB. They are visited in blocks; the result is that of memory.
    checkpoint : path, optional
        Save the state after each full pass to this file, from which a job that was killed goes on.

    Returns
    -------
    KMeansResult

    Raises
    ------
    ValueError
        NaN or infinity (the first position is named), more clusters than rows, a row of zeros with ``metric="cosine"``,
        negative weights, centres of another shape.
    TypeError
        `X` does not hold real numbers.

    References
    ----------
    .. [1] S. P. Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28 (1982) 129-137.
    .. [2] C. Elkan, Using the triangle inequality to accelerate k-means, ICML (2003) 147-153.
    .. [3] G. Hamerly, Making k-means even faster, SIAM SDM (2010) 130-140.
    .. [4] D. Arthur and S. Vassilvitskii, k-means++: the advantages of careful seeding, SODA (2007) 1027-1035.
    .. [5] I. S. Dhillon and D. S. Modha, Concept decompositions for large sparse text data using clustering, Mach.
       Learn. 42 (2001) 143-175.

    Examples
    --------
    >>> from emcore.methods.kmeans.fit import kmeans
    >>> fit = kmeans([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]], 2)
    >>> fit.inertia, sorted(fit.centers.tolist())
    (16.0, [[1.0, 2.0], [10.0, 2.0]])
    """
    rows: Any = open_rows(X, memory=memory, checkpoint=checkpoint)
    rows = rows if isinstance(rows, Source) else as_rows(rows, sparse=True)
    n, d = rows.shape
    k = check_clusters(n_clusters, n)
    metric = check_option(metric, METRICS, "metric")
    max_iter = check_count(max_iter, "max_iter", 1)
    tol = check_number(tol, "tol", 0)
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    weights = check_sample_weight(sample_weight, n)
    centers = None
    if isinstance(init, str):
        init = check_option(init, INITS, "init")
    elif not callable(init):
        centers = check_centers(init, k, d)
    runs = 1 if centers is not None or (init == "k-means++" and n_init == "auto") else 10
    if n_init != "auto":
        runs = check_count(n_init, "n_init", 1, 2**20)
        runs = runs if centers is None else 1
    stream = np.random.default_rng(seed)
    parameters: dict[str, Any] = {"metric": metric, "weights": weights, "max_iter": max_iter, "tol": tol}
    best, first, passes = None, 0, None
    if isinstance(rows, Source):
        if callable(init):
            raise ValueError(
                "init is a function, which needs all data in memory; give centres, 'k-means++' or 'random'"
            )
        settings: dict[str, Any] = {"n_clusters": k, "init": init if centers is None else centers, "runs": runs}
        settings.update(tol=tol, metric=metric, weights=weights, seed=seed)
        per_row, fixed = _row_bytes(k, init, weights), _sums_bytes(d, k)
        passes = begin(rows, "kmeans", memory, checkpoint, settings, per_row, fixed)
        checked_range(passes)
        best, first = _resumed(passes)
    for run in range(runs):
        if passes is None:
            start = starting_centers(rows, k, init, metric, weights, stream) if centers is None else centers
            fit = KMeansResult(**_emcore.kmeans(rows, start, **parameters))
        else:
            start = start_out_of_core(passes.source, k, str(init), weights, stream) if centers is None else centers
            if run < first:
                continue
            keep = {} if best is None else {f"best_{name}": value for name, value in vars(best).items()}
            fit = KMeansResult(**out_of_core.lloyd(passes, start, k, keep={"run": run, **keep}, **parameters))
        if best is None or fit.inertia < best.inertia:
            best = fit
    assert best is not None
    return best


def _resumed(passes: Passes) -> tuple[KMeansResult | None, int]:
    """The best run that a checkpoint holds, and the number of the run that it is in."""
    state = passes.checkpoint.load("lloyd") or passes.checkpoint.load("seeds") or {}
    best = {key.removeprefix("best_"): value for key, value in state.items() if key.startswith("best_")}
    return KMeansResult(**best) if best else None, state.get("run", 0)


def _sums_bytes(d: int, k: int) -> int:
    """About how much memory the sums of a fit take."""
    return 8 * d * k * 24


def _row_bytes(k: int, init: Any, weights: NDArray[np.float64] | None) -> int:
    """What is kept of each row: labels of this and of the best run, distances while k-means++ draws, its weight."""
    drawn = out_of_core.seeds_bytes(k) if isinstance(init, str) and init == "k-means++" else 0
    return 12 + drawn + (0 if weights is None else 8)


def nearest(
    X: ArrayLike,
    centers: ArrayLike,
    *,
    metric: str = "euclidean",
    sample_weight: ArrayLike | None = None,
    memory: int | str | None = None,
) -> tuple[NDArray[np.int32], float]:
    """
    The nearest centre of every row, and the inertia.

    Parameters
    ----------
    X : array-like, shape (n, d)
    centers : array-like, shape (k, d)
    metric, sample_weight, memory
        As in `kmeans`.

    Returns
    -------
    labels : ndarray, shape (n,), int32
    inertia : float

    Examples
    --------
    >>> from emcore.methods.kmeans.fit import nearest
    >>> nearest([[1, 2], [9, 2]], [[0, 2], [10, 2]])
    (array([0, 1], dtype=int32), 2.0)
    """
    rows = open_rows(X, memory=memory)
    rows = rows if isinstance(rows, Source) else as_rows(rows, sparse=True)
    points = np.ascontiguousarray(as_rows(centers, "centers"), dtype=np.float64)
    weights = check_sample_weight(sample_weight, len(rows))
    metric = check_option(metric, METRICS, "metric")
    if isinstance(rows, Source):
        return out_of_core.nearest(_passes(rows, points, memory, 4), points, metric, weights)
    return _emcore.kmeans_nearest(rows, points, metric=metric, weights=weights)


def _passes(source: Source, points: NDArray[np.float64], memory: Any, per_row: int) -> Passes:
    """Passes over checked rows out of core, for centres of as many features."""
    if points.shape[1] != source.shape[1]:
        raise ValueError(f"centers: {points.shape[1]} features, X has {source.shape[1]}; they must be the same")
    passes = begin(source, "nearest", memory, None, {}, per_row, _sums_bytes(*points.shape[::-1]), quiet=True)
    checked_range(passes)
    return passes


def distances(
    X: ArrayLike, centers: ArrayLike, *, metric: str = "euclidean", memory: int | str | None = None
) -> NDArray[np.float64]:
    """
    Distance of every row to every centre, shape (n, k); with ``metric="cosine"`` between them scaled to length 1.

    Examples
    --------
    >>> from emcore.methods.kmeans.fit import distances
    >>> distances([[3, 4]], [[0, 0], [3, 5]])
    array([[5., 1.]])
    """
    rows = open_rows(X, memory=memory)
    rows = rows if isinstance(rows, Source) else as_rows(rows, sparse=True)
    points = np.ascontiguousarray(as_rows(centers, "centers"), dtype=np.float64)
    metric = check_option(metric, METRICS, "metric")
    if isinstance(rows, Source):
        return out_of_core.distances(_passes(rows, points, memory, 8 * len(points)), points, metric)
    check_room(8 * len(rows) * len(points), f"distances of {len(rows)} rows to {len(points)} centres")
    return _emcore.kmeans_distances(rows, points, metric=metric)


def check_clusters(n_clusters: Any, n: int) -> int:
    """`n_clusters` as an int of at least 1 and at most n, the number of rows."""
    k = check_count(n_clusters, "n_clusters", 1)
    if k > n:
        raise ValueError(f"n_samples={n} should be >= n_clusters={k}; ask for fewer clusters")
    return k


def check_sample_weight(sample_weight: Any, n: int) -> NDArray[np.float64] | None:
    """Weights of n rows, not negative and not all zero."""
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"sample_weight holds the type {weights.dtype}; real numbers are needed")
    weights = weights.astype(np.float64)
    weights = np.ascontiguousarray(weights) if weights.ndim else np.full(n, weights)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n,)}: one weight for each row")
    check_finite(weights.reshape(1, -1), "sample_weight", nonnegative=True)
    if not weights.any():
        raise ValueError("sample_weight is zero throughout; at least one row must count")
    return weights
