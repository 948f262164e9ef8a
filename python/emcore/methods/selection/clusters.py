"""How many clusters? Several criteria, each of which costs time and memory in proportion to the rows."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.documentation import documented
from emcore.core.drawing import Drawable
from emcore.core.sparse import rows_at
from emcore.core.validation import as_rows, check_count, check_option, is_finite
from emcore.core.wording import count_of
from emcore.methods.fuzzy.fit import fuzzy_c_means
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.pca.projection import rough_scores
from emcore.methods.selection.agreement import adjusted_rand_index
from emcore.methods.selection.density import density_groups
from emcore.outofcore.engine import begin
from emcore.outofcore.open import open_rows
from emcore.outofcore.rows import some_rows
from emcore.outofcore.sample import sample_bytes, sample_of, sample_size, take_sample
from emcore.outofcore.sources import Source

ESTIMATORS = ("kmeans", "fuzzy-c-means")
_SAMPLE_VALUES = 20_000_000
_STABLE = 0.8
# Without a range: the numbers that are tried first, how far the next ones reach, and the largest.
_FIRST, _FURTHER, _LARGEST = 10, 1.6, 200
# More features than this are reduced before densities are compared; rows that are looked at for it.
_FEW_FEATURES, _DENSITY_ROWS = 64, 10_000

# Rows of a sample for each cluster that is asked for, at least.
_PER_CLUSTER = 20

Fit = Callable[[Any, int, int], NDArray[np.int32]]
"""``fit(rows, k, seed)`` returns labels."""


@dataclass(frozen=True, eq=False)
class ClusterChoice(Drawable):
    """
    What each criterion says of every number of clusters that was tried, and the number they agree on best.

    Attributes
    ----------
    n_clusters : int
        The recommended number; ``int(choice)`` gives it too.
    reason : str
        Which criteria chose it.
    tried : ndarray of int, shape (t,)
    inertia : ndarray, shape (t,)
        Sum of squared distances to the mean of the own cluster; its elbow is the point farthest from the chord from one
        cluster to the largest number tried.
    davies_bouldin : ndarray, shape (t,)
        Mean over clusters of the largest (spread + spread) / distance to another [1]_; low is good.
    calinski_harabasz : ndarray, shape (t,)
        Scatter between over scatter within, each by its degrees of freedom [2]_; high is good.
    silhouette : ndarray, shape (t,)
        Mean of (b - a) / max(a, b), a and b the mean distances to the own and to the nearest other cluster [3]_, on a
        sample that has rows of every cluster; between -1 and 1, high is good.
    gap, gap_error : ndarray, shape (t,)
        By how much ln(inertia) is lower than for uniform data in the same box, and the standard error of that [4]_; the
        smallest number counts whose gap reaches that of the next less its error.
    stability : ndarray, shape (t,)
        Mean adjusted Rand index of runs from other seeds with the best one; 1 where all agree.
    halves : ndarray, shape (t,)
        Adjusted Rand index of the clusters that two halves of the sample give, all its rows being given to the nearest
        mean of either.
    density : int
        Groups that regions of low density part, 0 where none do: found, not tried (`emcore.methods.selection.density`).
    votes : dict of str to int
        What each criterion chooses.
    estimator : str
    """

    page: ClassVar[str] = "choice"

    n_clusters: int
    reason: str
    tried: NDArray[np.int64]
    inertia: NDArray[np.float64]
    davies_bouldin: NDArray[np.float64]
    calinski_harabasz: NDArray[np.float64]
    silhouette: NDArray[np.float64]
    gap: NDArray[np.float64]
    gap_error: NDArray[np.float64]
    stability: NDArray[np.float64]
    halves: NDArray[np.float64]
    density: int
    votes: dict[str, int]
    estimator: str

    def __int__(self) -> int:
        return self.n_clusters

    __index__ = __int__


@documented()
def choose_n_clusters(
    data: ArrayLike,
    range: Iterable[int] | None = None,
    *,
    estimator: Any = "kmeans",
    n_seeds: int = 5,
    n_references: int = 5,
    sample: int = 2000,
    random_state: int = 0,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> ClusterChoice:
    """
    Cluster the rows into each of several numbers of groups and say which number fits them best.

    Where regions of low density part groups, on all of a sample as on its halves, their number
    is taken [5]_. Else the elbow of the inertia, Davies-Bouldin, Calinski-Harabasz, silhouette
    and gap each have a vote; of numbers with as many votes the one of larger silhouette is
    taken. Of more than 32 MiB of rows, and of more than 2,000, a sample is judged, for which
    data out of core are read once. Beside it, memory grows with the number of rows only.

    Parameters
    ----------
    data : array-like, shape (n, d), or PreparedRows
        Any pixel type; neither converted nor copied. Of more than two axes the last one is the
        features, and rows are in the order of the others.
    range : iterable of int, optional
        Numbers of clusters to try, each between 2 and n - 1. By default 2 to 10 and those about
        the number of groups that regions of low density part; and as long as the largest of
        them wins, larger ones, up to 200.
    estimator : {"kmeans", "fuzzy-c-means"}, or an estimator or its class
        What clusters; of an estimator (`emcore.KMeans`, `emcore.FuzzyCMeans`) a copy with
        ``n_clusters`` and ``random_state`` set is fitted and its ``labels_`` are judged.
    n_seeds : int, default 5
        Runs for every number; the one of least inertia is judged.
    n_references : int, default 5
        Uniform data sets for the gap, at least 2.
    sample : int, default 2000
        Rows on which the silhouette and the gap are found, fewer where rows are long, so that
        the sample stays small.
    random_state : int
        Seed of everything that is random.
    %(memory)s
    %(checkpoint)s

    Returns
    -------
    ClusterChoice

    Raises
    ------
    ValueError
        NaN or infinity, numbers of clusters below 2 or not below n, nothing to try, rows that
        are all the same; too little memory (the least is named); a checkpoint of other data or
        another seed.
    TypeError
        `data` that are not real numbers, an estimator without ``fit``.

    References
    ----------
    .. [1] D. L. Davies and D. W. Bouldin, IEEE Trans. Pattern Anal. Mach. Intell. 1 (1979)
           224-227.
    .. [2] T. Calinski and J. Harabasz, Commun. Stat. 3 (1974) 1-27.
    .. [3] P. J. Rousseeuw, J. Comput. Appl. Math. 20 (1987) 53-65.
    .. [4] R. Tibshirani, G. Walther and T. Hastie, J. R. Stat. Soc. B 63 (2001) 411-423.
    .. [5] R. J. G. B. Campello, D. Moulavi and J. Sander, PAKDD (2013) 160-172.

    Examples
    --------
    >>> import numpy as np, emcore
    >>> rng = np.random.default_rng(0)
    >>> points = rng.normal(size=(600, 2)) + 9 * rng.integers(0, 2, (600, 2))
    >>> choice = emcore.choose_n_clusters(points, range(2, 8))
    >>> int(choice), choice.votes["silhouette"]
    (4, 4)
    """
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    wanted = None if range is None else list(range)
    rows = _of_all(data, memory, checkpoint, seed, max((int(k) for k in wanted or [] if is_finite(k)), default=0))
    n, d = rows.shape
    asked = None if wanted is None else [check_count(k, "range", 2, n - 1, f"{n} rows") for k in wanted]
    if asked is not None and not asked:
        raise ValueError("range holds no number of clusters; give for example range(2, 11)")
    if n < 3:
        raise ValueError(f"data has {count_of(n, 'row')}; three at least are needed to choose a number of clusters")
    n_seeds = check_count(n_seeds, "n_seeds", 1)
    n_references = check_count(n_references, "n_references", 2)
    sample = check_count(sample, "sample", 10)
    rng = np.random.default_rng(seed)
    seeds = rng.integers(2**31 - 1, size=n_seeds).tolist()
    fit, name = _fit(estimator)
    total = float(_spread(rows, np.zeros(n, np.int32), 1)[1].sum())
    if total == 0:
        raise ValueError("data has rows that are all the same; there is nothing to cluster")
    size = min(n, sample, max(200, _SAMPLE_VALUES // d))

    sample_rows = _take(rows, np.sort(rng.choice(n, size, replace=False)))
    groups = density_groups(_few(rows, rng), int(seeds[0]))
    tried: list[int] = []
    judged: list[tuple[float, ...]] = []
    numbers = sorted(set(asked or _first(n, groups.n_groups)))
    while True:
        new = [k for k in numbers if k not in tried]
        judged += [
            (*_judge(rows, k, fit, seeds, total, size, rng), _halves(sample_rows, k, fit, seeds[0])) for k in new
        ]
        tried += new
        order = np.argsort(tried, kind="stable")
        at = np.array(tried)[order]
        inertia, bouldin, harabasz, silhouette, stability, halves = np.array(judged)[order].T
        gap, error = _gap(sample_rows, at.tolist(), fit, seeds[0], n_references, rng)
        votes = {
            "elbow": int(at[_elbow(np.r_[1, at], np.r_[total, inertia])]),
            "Davies-Bouldin": int(at[bouldin.argmin()]),
            "Calinski-Harabasz": int(at[harabasz.argmax()]),
            "silhouette": int(at[silhouette.argmax()]),
            "gap": int(at[_first_gap(gap, error)]),
        }
        count = np.array([list(votes.values()).count(k) for k in at])
        best = int(np.lexsort((silhouette, count))[-1])
        chose = [criterion for criterion, k in votes.items() if k == at[best]]
        reason = f"{len(chose)} of {len(votes)} criteria choose {at[best]}: {', '.join(chose)}"
        if groups.clear and groups.n_groups in tried:
            best, reason = int(np.flatnonzero(at == groups.n_groups)[0]), groups.reason
        most = min(n - 1, _LARGEST)
        if asked is not None or at[best] < at[-1] or at[-1] >= most:
            break
        numbers = _further(int(at[-1]), most)
    if stability[best] < _STABLE:
        reason += f"; but runs from other seeds differ (adjusted Rand index {stability[best]:.2f})"
    if best == len(at) - 1 and len(at) > 1 and at[-1] < n - 1 and not groups.clear:
        reason += f"; but {at[-1]} is the largest number tried: there may be more"
    return ClusterChoice(
        n_clusters=int(at[best]),
        reason=reason,
        tried=at,
        inertia=inertia,
        davies_bouldin=bouldin,
        calinski_harabasz=harabasz,
        silhouette=silhouette,
        gap=gap,
        gap_error=error,
        stability=stability,
        halves=halves,
        density=groups.n_groups,
        votes=votes,
        estimator=name,
    )


def _of_all(data: Any, memory: Any, checkpoint: Any, seed: int, most: int) -> Any:
    """The rows, or a sample of them that has some for each of the largest number of clusters."""
    rows: Any = open_rows(data, "data", memory=memory, checkpoint=checkpoint)
    source = isinstance(rows, Source)
    rows = rows if source else as_rows(rows, "data")
    n, d = rows.shape
    taken = sample_of(np.arange(n), sample_size(d, rows.dtype.itemsize, _PER_CLUSTER * most), seed)
    if source:
        settings = {"rows": len(taken), "random_state": seed}
        passes = begin(rows, "choose_n_clusters", memory, checkpoint, settings, 8, sample_bytes(rows, len(taken)))
        return take_sample(passes, taken)
    return rows if len(taken) == n else some_rows(rows, taken)


def _first(n: int, groups: int) -> set[int]:
    """Numbers that are tried where none are asked for."""
    near = {groups - 1, groups, groups + 1} if groups > 1 else set()
    return {k for k in near | set(np.arange(2, _FIRST + 1).tolist()) if 2 <= k < n}


def _further(largest: int, most: int) -> list[int]:
    """Some larger numbers."""
    steps = np.geomspace(largest, min(largest * _FURTHER, most), 4)
    return sorted({int(np.ceil(k)) for k in steps[1:]})


def _few(rows: Any, rng: np.random.Generator) -> NDArray[np.float64]:
    """Some rows, by few features."""
    n, d = rows.shape
    taken = np.sort(rng.choice(n, min(n, _DENSITY_ROWS, max(200, _SAMPLE_VALUES // d)), replace=False))
    part = _take(rows, taken)
    if d <= _FEW_FEATURES:
        return part
    return np.asarray(rough_scores(np.ascontiguousarray(part - part.mean(axis=0)), _FEW_FEATURES // 2, 0), np.float64)


def _halves(part: NDArray[np.float64], k: int, fit: Fit, seed: int) -> float:
    """Agreement of the clusters of two halves of some rows."""
    if len(part) < 4 * k:
        return 0.0
    labels = []
    for side in (0, 1):
        half = np.ascontiguousarray(part[side::2])
        means, _ = _spread(half, fit(half, k, seed), k)
        labels.append(_emcore.kmeans_nearest(part, means, metric="euclidean", weights=None)[0])
    return adjusted_rand_index(*labels)


def _fit(estimator: Any) -> tuple[Fit, str]:
    """How to cluster, and its name."""
    if isinstance(estimator, str):
        if check_option(estimator, ESTIMATORS, "estimator") == "kmeans":
            return lambda rows, k, seed: kmeans(rows, k, random_state=seed).labels, estimator
        return lambda rows, k, seed: fuzzy_c_means(rows, k, random_state=seed).labels, estimator
    if not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
        raise TypeError(f"estimator={estimator!r} cannot be fitted; give emcore.KMeans, emcore.FuzzyCMeans or a name")
    kind = estimator if isinstance(estimator, type) else type(estimator)
    parameters = {} if isinstance(estimator, type) else estimator.get_params()

    def fit(rows: Any, k: int, seed: int) -> NDArray[np.int32]:
        labels = kind(**{**parameters, "n_clusters": k, "random_state": seed}).fit(rows).labels_
        return np.ascontiguousarray(labels, dtype=np.int32)

    return fit, kind.__name__


def _spread(rows: Any, labels: NDArray[np.int32], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of each cluster, squared distance of each row to its own."""
    return _emcore.kmeans_spread(rows, labels, k, metric="euclidean")


def _judge(
    rows: Any, k: int, fit: Fit, seeds: list[int], total: float, size: int, rng: np.random.Generator
) -> tuple[float, float, float, float, float]:
    """Inertia, Davies-Bouldin, Calinski-Harabasz, silhouette, stability of k clusters."""
    runs = [fit(rows, k, seed) for seed in seeds]
    spreads = [_spread(rows, labels, k) for labels in runs]
    best = int(np.argmin([squares.sum() for _, squares in spreads]))
    labels, (means, squares) = runs[best], spreads[best]
    within = float(squares.sum())
    n = len(labels)
    there = np.flatnonzero(np.bincount(labels, minlength=k))
    spread = np.bincount(labels, np.sqrt(squares), k)[there] / np.bincount(labels, minlength=k)[there]
    apart = np.sqrt(((means[there, None] - means[there]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    with np.errstate(divide="ignore"):
        bouldin = float(((spread[:, None] + spread) / apart).max(axis=1).mean()) if len(there) > 1 else np.inf
        harabasz = float(np.float64(total - within) / (k - 1) / (np.float64(within) / (n - k)))
    rand = [adjusted_rand_index(labels, other) for i, other in enumerate(runs) if i != best]
    return within, bouldin, harabasz, silhouette(rows, labels, k, size, rng), float(np.mean(rand)) if rand else 1.0


def _take(rows: Any, indices: NDArray[Any]) -> NDArray[np.float64]:
    taken = rows_at(rows, indices)
    return np.asarray(taken, dtype=np.float64)


def silhouette(rows: Any, labels: NDArray[np.int32], k: int, size: int, rng: np.random.Generator) -> float:
    """Mean over all rows, estimated from at least two of every cluster that has them."""
    counts = np.bincount(labels, minlength=k)
    chosen = []
    for c in np.flatnonzero(counts):
        members = np.flatnonzero(labels == c)
        wanted = min(len(members), max(2, round(size * len(members) / len(labels))))
        chosen.append(rng.choice(members, wanted, replace=False))
    if len(chosen) < 2:
        return -1.0
    part = _take(rows, np.concatenate(chosen))
    part -= part.mean(axis=0)
    square = (part**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * part @ part.T, 0))
    np.fill_diagonal(distance, 0)
    ends = np.cumsum([len(members) for members in chosen])
    sums = np.add.reduceat(distance, np.r_[0, ends[:-1]], axis=1)
    sizes = np.diff(ends, prepend=0)
    of = np.repeat(np.arange(len(chosen)), sizes)
    here = np.arange(len(of))
    own = sums[here, of] / np.maximum(sizes[of] - 1, 1)
    others = sums / sizes
    others[here, of] = np.inf
    other = others.min(axis=1)
    larger = np.maximum(own, other)
    value = np.where((sizes[of] > 1) & (larger > 0), (other - own) / np.where(larger > 0, larger, 1), 0.0)
    share = counts[counts > 0] / len(labels)
    return float((np.bincount(of, value) / sizes) @ share)


def _gap(
    part: NDArray[np.float64], tried: list[int], fit: Fit, seed: int, n_references: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gap statistic of some rows, and its standard error."""
    low, high = part.min(axis=0), part.max(axis=0)

    def logs(rows: NDArray[np.float64]) -> list[float]:
        inertia = [_spread(rows, fit(rows, k, seed), k)[1].sum() for k in tried if k < len(rows)]
        return [float(np.log(max(x, 1e-300))) for x in inertia] + [np.nan] * (len(tried) - len(inertia))

    references = np.array([logs(rng.uniform(low, high, part.shape)) for _ in np.arange(n_references)])
    error = references.std(axis=0) * np.sqrt(1 + 1 / n_references)
    return references.mean(axis=0) - np.array(logs(part)), error


def _first_gap(gap: NDArray[np.float64], error: NDArray[np.float64]) -> int:
    """The first gap that reaches the next less its error, else the largest."""
    enough = np.flatnonzero(gap[:-1] >= gap[1:] - error[1:])
    return int(enough[0]) if len(enough) else int(np.nanargmax(gap)) if np.isfinite(gap).any() else 0


def _elbow(numbers: NDArray[Any], inertia: NDArray[np.float64]) -> int:
    """Index, the first point not counted, of the point farthest below the chord."""
    chord = np.interp(numbers, numbers[[0, -1]], inertia[[0, -1]])
    return int(np.argmax((chord - inertia)[1:]))
