"""k-means as an estimator that follows scikit-learn to the letter."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClusterMixin
from sklearn.utils.metaestimators import available_if

from emcore.core.documentation import documented
from emcore.core.validation import as_rows, check_option
from emcore.core.warning import warn
from emcore.methods.estimator import Transformer
from emcore.methods.kmeans.fit import INITS, check_clusters, check_sample_weight, distances, kmeans, nearest
from emcore.methods.kmeans.online import RunningMeans, with_batch
from emcore.methods.kmeans.starts import check_centers, starting_centers


def _has_means(model: "KMeans") -> bool:
    """Whether centres are means of rows as they are."""
    if model.metric == "cosine":
        raise AttributeError("partial_fit is for metric='euclidean', not for metric='cosine': use fit")
    return True


@documented()
class KMeans(ClusterMixin, Transformer):  # type: ignore[misc]
    """
    k-means clustering.

    `emcore.methods.kmeans.fit.kmeans` as an estimator, to be put where
    ``sklearn.cluster.KMeans`` stands. Integers are not converted, the data are not copied; rows
    of a sparse matrix are given their zeros a few at a time.

    Parameters
    ----------
    n_clusters : int
        k.
    init : {"k-means++", "random"}, array-like of shape (k, d) or callable
        Where to start; a callable is called as ``init(X, k, random_state=...)``.
    n_init : int or "auto"
        Runs of which the best is kept; "auto" is 1 for "k-means++" and given centres, else 10.
    max_iter : int
        At most so many iterations of each run.
    tol : float
        Stop when the squared shifts of all centres add up to this times the mean variance of a
        feature.
    metric : {"euclidean", "cosine"}
        What is near; see `emcore.methods.kmeans.fit.kmeans`.
    %(random_state)s
    %(memory)s
    %(checkpoint)s
    algorithm : {"lloyd", "elkan"}, copy_x : bool
        As of scikit-learn, where they choose a way to the same result; here they change
        nothing.
    verbose : int, default 0
        Print how many iterations there were, and the inertia.

    Attributes
    ----------
    cluster_centers_ : ndarray, shape (k, d), float64
    labels_ : ndarray, shape (n,), int32
        The nearest centre of every row; of equally near ones the first.
    inertia_ : float
        Sum over rows of the squared distance to their centre, times their weight.
    n_iter_ : int
    %(features)s

    Examples
    --------
    >>> from emcore import KMeans
    >>> model = KMeans(2).fit([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model.inertia_, bool(model.predict([[0, 0]]) == model.labels_[0])
    (16.0, True)
    """

    _basis: ClassVar[str] = "cluster_centers_"
    _takes_sparse: ClassVar[bool] = True

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        metric: str = "euclidean",
        random_state: Any = None,
        memory: int | str | None = None,
        checkpoint: Any = None,
        algorithm: str = "lloyd",
        copy_x: bool = True,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.metric = metric
        self.random_state = random_state
        self.memory = memory
        self.checkpoint = checkpoint
        self.algorithm = algorithm
        self.copy_x = copy_x
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find the clusters of `X`, shape (n, d), rows weighted by `sample_weight`; `y` is
        ignored."""
        check_option(self.algorithm, ("lloyd", "elkan"), "algorithm")
        result = kmeans(
            self._rows(X),
            self.n_clusters,
            init=self.init,
            n_init=self.n_init,
            max_iter=self.max_iter,
            tol=self.tol,
            metric=self.metric,
            sample_weight=sample_weight,
            random_state=self._seed(),
            memory=self.memory,
            checkpoint=self.checkpoint,
        )
        if self.n_init not in ("auto", 1) and not (isinstance(self.init, str) or callable(self.init)):
            warn(f"Explicit initial center position passed: performing only one init instead of n_init={self.n_init}")
        self.cluster_centers_ = result.centers
        self.labels_ = result.labels
        self.inertia_ = result.inertia
        self.n_iter_ = result.n_iter
        if self.verbose:
            print(f"KMeans: {result.n_iter} iterations, inertia {result.inertia:.6g}")
        distinct = len(np.unique(result.labels))
        if distinct < self.n_clusters:
            self._warn(
                f"Number of distinct clusters ({distinct}) found smaller than n_clusters ({self.n_clusters}). "
                "Possibly due to duplicate points in X."
            )
        return self

    @available_if(_has_means)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """
        Move the centres towards the rows of a batch `X`, shape (n, d): each is the mean of the
        rows it has had.

        The first batch, of k rows at least, says where they start, and `fit` that batches
        before are forgotten. What is kept does not grow. `labels_` and `inertia_` are of this
        batch, before the centres moved; `n_iter_` counts batches; `y` is ignored. Only with
        ``metric="euclidean"``.
        """
        rows = as_rows(self._batch(X))
        weights = check_sample_weight(sample_weight, rows.shape[0])
        seen, number = self._seen or (None, 0)
        if seen is None:
            k = check_clusters(self.n_clusters, rows.shape[0])
            init = check_option(self.init, INITS, "init") if isinstance(self.init, str) else self.init
            if isinstance(init, str) or callable(init):
                stream = np.random.default_rng(self._seed())
                start = starting_centers(rows, k, init, self.metric, weights, stream)
            else:
                start = check_centers(init, k, rows.shape[1])
            seen = RunningMeans(start, np.zeros(k))
        means, labels, inertia = with_batch(seen, rows, weights)
        self._seen = means, number + 1
        self.cluster_centers_, self.labels_, self.inertia_ = means.centers, labels, inertia
        self.n_iter_ = number + 1
        return self

    def fit_predict(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> NDArray[np.int32]:
        """Find the clusters of `X`, shape (n, d), and return the label of every row; `y` is
        ignored."""
        return self.fit(X, sample_weight=sample_weight).labels_

    def predict(self, X: ArrayLike) -> NDArray[np.int32]:
        """The nearest centre of every row of `X`, shape (n, d)."""
        return self._nearest(X)[0]

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Minus the inertia of `X`, shape (n, d), whose rows belong to their nearest centre;
        `y` is ignored."""
        return -self._nearest(X, sample_weight)[1]

    def _nearest(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> tuple[NDArray[np.int32], float]:
        options: dict[str, Any] = {"metric": self.metric, "sample_weight": sample_weight, "memory": self.memory}
        return nearest(self._new_rows(X), self.cluster_centers_, **options)

    def fit_transform(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> NDArray[Any]:
        """Find the clusters of `X`, shape (n, d), and return the distances to their centres;
        `y` is ignored."""
        return self.fit(X, sample_weight=sample_weight).transform(X)

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Distance of every row of `X`, shape (n, d), to every centre, shape (n, k)."""
        rows = self._new_rows(X)
        result = distances(rows, self.cluster_centers_, metric=self.metric, memory=self.memory)
        return self._in_type_of(rows, result)
