"""Fuzzy clusterings as estimators that follow scikit-learn to the letter."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClusterMixin

from emcore.core.documentation import documented
from emcore.methods.estimator import Transformer
from emcore.methods.fuzzy.fit import FuzzyResult, cluster
from emcore.methods.fuzzy.membership import CovarianceSettings, memberships

# Paragraphs of both docstrings.
_ATTRIBUTES = {
    "memberships": """\
memberships_ : ndarray, shape (n, k)
    Of the rows of `fit`; each row sums to 1.
cluster_centers_ : ndarray, shape (k, d), float64""",
    "labels": """\
labels_ : ndarray, shape (n,), int32
    The cluster of largest membership.
objective_ : ndarray, shape (n_iter_,), float64
    Σ u^m d² of each iteration, of rows times their weights.
n_iter_ : int""",
}


class _Fuzzy(ClusterMixin, Transformer):  # type: ignore[misc]
    """What both have in common."""

    _basis: ClassVar[str] = "cluster_centers_"

    def _clusters(self, X: Any, seed: int, sample_weight: ArrayLike | None) -> FuzzyResult:
        raise NotImplementedError

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """
        Find the clusters of `X`, shape (n, d); `y` is ignored.

        `sample_weight`, shape (n,), at least 0, is what each row counts for: 2 is the row
        twice, 0 none.
        """
        result = self._clusters(self._rows(X), self._seed(), sample_weight)
        self.memberships_ = result.memberships
        self.cluster_centers_ = result.centers
        self.labels_ = result.labels
        self.objective_ = result.objective
        self.n_iter_ = result.n_iter
        if result.covariances is not None:
            self.covariances_ = result.covariances
        for note in result.notes:
            self._warn(note)
        if not result.converged and self.tol > 0:
            self._warn_of_iterations(self.max_iter, self.tol)
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """The memberships of `X`, shape (n, d), in the clusters found, shape (n, k): as
        `predict_proba`."""
        return self.predict_proba(X)

    def fit_transform(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> NDArray[Any]:
        """Find the clusters of `X`, shape (n, d), as `fit`, and return the memberships of its
        rows; `y` is ignored."""
        return np.asarray(self.fit(X, sample_weight=sample_weight).memberships_)

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """
        The memberships of `X`, shape (n, d), in the clusters found, shape (n, k).

        Named as in scikit-learn's ``GaussianMixture``, which gives the shares of a row in each
        group under this name. Those of the rows of `fit` are `memberships_`.
        """
        rows = self._new_rows(X)
        shape = {}
        if hasattr(self, "covariances_"):
            shape = {"covariances": self.covariances_, "rho": self.rho}
        return memberships(rows, self.cluster_centers_, m=self.m, memory=self.memory, **shape)

    def predict(self, X: ArrayLike) -> NDArray[np.int32]:
        """The cluster of largest membership of every row of `X`, shape (n, d)."""
        return np.asarray(self.predict_proba(X).argmax(axis=1), dtype=np.int32)


@documented(**_ATTRIBUTES)
class FuzzyCMeans(_Fuzzy):
    """
    Fuzzy c-means clustering: memberships in a few spherical clusters.

    `emcore.methods.fuzzy.fit.fuzzy_c_means` as an estimator. Integers are not converted, the
    data are not copied.

    Parameters
    ----------
    n_clusters : int
        k; of one cluster, which scikit-learn's rules allow, every row is a full member.
    m : float
        Fuzziness, above 1.
    max_iter : int
        At most so many iterations of each run.
    tol : float
        Stop when no membership changes by more.
    n_init : int
        Runs of which the one of lowest objective is kept.
    init : {"k-means++", "random"} or array-like of shape (k, d) or (n, k)
        Where to start: rows far from each other, any rows, these centres, or these memberships.
    %(random_state)s
    %(memory)s
    %(checkpoint)s

    Attributes
    ----------
    %(memberships)s
    %(labels)s
    %(features)s

    Examples
    --------
    >>> from emcore import FuzzyCMeans
    >>> model = FuzzyCMeans(2, init=[[0.0], [9.0]]).fit([[0.0], [1.0], [9.0], [10.0]])
    >>> model.labels_.tolist(), model.predict_proba([[5.0]]).round(3).tolist()
    ([0, 0, 1, 1], [[0.5, 0.5]])
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        m: float = 2.0,
        max_iter: int = 300,
        tol: float = 1e-5,
        n_init: int = 1,
        init: str | ArrayLike = "k-means++",
        random_state: Any = None,
        memory: int | str | None = None,
        checkpoint: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.m = m
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.init = init
        self.random_state = random_state
        self.memory = memory
        self.checkpoint = checkpoint

    def _clusters(self, X: Any, seed: int, sample_weight: ArrayLike | None) -> FuzzyResult:
        options: dict[str, Any] = {"where": (self.memory, self.checkpoint), "sample_weight": sample_weight}
        return cluster(X, self.n_clusters, self.m, self.max_iter, self.tol, self.n_init, self.init, seed, **options)


@documented(**_ATTRIBUTES)
class GustafsonKessel(_Fuzzy):
    """
    Gustafson-Kessel clustering: memberships in a few ellipsoidal clusters, each of a shape of
    its own.

    `emcore.methods.fuzzy.fit.gustafson_kessel` as an estimator. Integers are not converted, the
    data are not copied.

    Parameters
    ----------
    n_clusters, m, max_iter, tol, n_init, init, random_state, memory, checkpoint
        As of `FuzzyCMeans`.
    gamma : float
        Between 0 and 1: how much of a unit matrix is mixed into each covariance.
    beta : float
        Largest ratio of a covariance's eigenvalues; smaller ones are raised.
    rho : float or array-like of shape (k,)
        Volumes of the clusters.

    Attributes
    ----------
    %(memberships)s
    covariances_ : ndarray, shape (k, d, d), float64
        As conditioned.
    %(labels)s
    %(features)s

    Examples
    --------
    >>> import numpy as np
    >>> from emcore import GustafsonKessel
    >>> x = np.linspace(-1, 1, 50)
    >>> lines = np.r_[np.c_[x, x + 0.02 * np.cos(40 * x)], np.c_[x, 2 - x + 0.02 * np.sin(40 * x)]]
    >>> model = GustafsonKessel(2, random_state=0).fit(lines)
    >>> model.covariances_.shape, bool((model.predict(lines) == model.labels_).all())
    ((2, 2, 2), True)
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        m: float = 2.0,
        max_iter: int = 300,
        tol: float = 1e-5,
        n_init: int = 1,
        init: str | ArrayLike = "k-means++",
        random_state: Any = None,
        gamma: float = 0.0,
        beta: float = 1e15,
        rho: float | ArrayLike = 1.0,
        memory: int | str | None = None,
        checkpoint: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.m = m
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.init = init
        self.random_state = random_state
        self.gamma = gamma
        self.beta = beta
        self.rho = rho
        self.memory = memory
        self.checkpoint = checkpoint

    def _clusters(self, X: Any, seed: int, sample_weight: ArrayLike | None) -> FuzzyResult:
        options: dict[str, Any] = {"where": (self.memory, self.checkpoint), "sample_weight": sample_weight}
        options["shape"] = CovarianceSettings(self.rho, self.gamma, self.beta)
        return cluster(X, self.n_clusters, self.m, self.max_iter, self.tol, self.n_init, self.init, seed, **options)
