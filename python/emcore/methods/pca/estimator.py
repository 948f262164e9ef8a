"""PCA as an estimator that follows scikit-learn to the letter."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from emcore.core.documentation import documented
from emcore.core.sparse import rows_at
from emcore.core.validation import Floats, as_rows, check_count, check_number, check_option
from emcore.methods.estimator import Transformer
from emcore.methods.pca.fit import PCAResult, pca, scores_out_of_core
from emcore.methods.pca.number import most_probable
from emcore.methods.pca.online import Seen, found, with_batch
from emcore.methods.pca.projection import project
from emcore.outofcore.sources import Source

# Of rows whose likelihood is found together.
_BYTES = 1 << 25


@documented()
class PCA(Transformer):
    """
    Principal component analysis.

    `emcore.methods.pca.fit.pca` as an estimator, to be put where ``sklearn.decomposition.PCA``
    stands. Integers are not converted, the data are not copied; of a sparse matrix only what it
    stores is read.

    Parameters
    ----------
    n_components : int, float, "mle" or None
        k; between 0 and 1 the share of the variance that is to be explained at least; "mle" the
        most probable number [1]_, of at least as many rows as features. Default: the smaller of
        the numbers of rows and features, which for large data is slow.
    center : bool
        Subtract the mean of every feature. Without, a truncated singular value decomposition of
        X itself.
    svd_solver : {"auto", "full", "randomized"}
        "full" is exact; "auto" is too, where that is about as fast. See
        `emcore.methods.pca.fit.pca`.
    %(random_state)s
    %(memory)s
    %(checkpoint)s
    whiten : bool, default False
        Divide scores by their standard deviation, so that each has the variance 1.

    Attributes
    ----------
    components_ : ndarray, shape (k, d), float64
        Orthonormal, strongest first; the entry of largest modulus is positive.
    explained_variance_, explained_variance_ratio_, singular_values_ : ndarray, shape (k,), float64
        Ratios are shares of the variance of all components, whatever k.
    mean_ : ndarray, shape (d,), float64
    noise_variance_ : float
        Mean variance of the components that are left out.
    n_components_, n_samples_ : int
    %(features)s

    References
    ----------
    .. [1] Minka, Adv. Neural Inf. Process. Syst. 13 (2001) 598.

    Examples
    --------
    >>> from emcore import PCA
    >>> from emcore.datasets import lattice_micrograph
    >>> rows = lattice_micrograph(shape=(200, 300), dtype="uint8").image
    >>> model = PCA(3).fit(rows)
    >>> model.components_.shape, model.transform(rows).shape
    ((3, 300), (200, 3))
    """

    _basis: ClassVar[str] = "components_"
    _takes_sparse: ClassVar[bool] = True

    def __init__(
        self,
        n_components: float | str | None = None,
        *,
        center: bool = True,
        svd_solver: str = "auto",
        random_state: Any = None,
        memory: int | str | None = None,
        checkpoint: Any = None,
        whiten: bool = False,
    ) -> None:
        self.n_components = n_components
        self.center = center
        self.svd_solver = svd_solver
        self.random_state = random_state
        self.memory = memory
        self.checkpoint = checkpoint
        self.whiten = whiten

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Find the components of `X`, shape (n, d), n at least 2, in memory or out of core; `y`
        is ignored."""
        self._fit(X)
        return self

    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """
        Find the components of this batch `X`, shape (n, d), and all batches since the last
        `fit`; `y` is ignored.

        The first batch has at least `n_components` rows, a whole number; without, it says how
        many these are. More components than are asked for are kept meanwhile, so that what
        batches lose is little; what is kept does not grow.
        """
        rows = as_rows(self._batch(X), squared=True)
        seen = Seen.nothing(rows.shape[1]) if self._seen is None else self._seen[0]
        if self._seen is not None:
            k = self._seen[1]
        elif isinstance(self.n_components, float | np.floating | str):
            what = "chosen from all data" if isinstance(self.n_components, str) else "a share of the variance"
            raise ValueError(f"n_components={self.n_components!r} is {what}: partial_fit needs a number")
        else:
            least, why = min(rows.shape), f"min(n, d) of the first batch, of shape {rows.shape}"
            k = least if self.n_components is None else check_count(self.n_components, "n_components", 1, least, why)
        seen = with_batch(seen, rows, k, self.center)
        self._seen = seen, k
        if seen.n > 1:
            self._set(found(seen, k, self.center), k, seen.n)
        return self

    def _set(self, result: PCAResult, k: int, n: int) -> None:
        """What was found in n rows, of which the first k components are wanted."""
        self.components_ = result.components[:k]
        self.explained_variance_ = result.explained_variance[:k]
        self.explained_variance_ratio_ = result.explained_variance_ratio[:k]
        self.singular_values_ = result.singular_values[:k]
        self.mean_ = result.mean
        left, of = max(result.total_variance - float(self.explained_variance_.sum()), 0.0), min(n, len(result.mean)) - k
        self.noise_variance_ = left / of if of > 0 else 0.0
        self.n_components_, self.n_samples_ = k, n

    def fit_transform(self, X: ArrayLike, y: Any = None) -> NDArray[Any]:
        """Find the components of `X`, shape (n, d), and return its scores, shape (n, k); `y` is
        ignored."""
        return self._scores(self._fit(X))

    def _fit(self, X: ArrayLike) -> Any:
        rows = self._rows(X)
        n, d = rows.shape
        solver = check_option(self.svd_solver, ("auto", "full", "randomized"), "svd_solver")
        share, probable = None, isinstance(self.n_components, str)
        if isinstance(self.n_components, str):
            check_option(self.n_components, ("mle",), "n_components")
            if n < d:
                raise ValueError(
                    f"n_components='mle' needs at least as many rows as features; X has shape {rows.shape}"
                )
        if self.n_components is None or probable:
            k = min(n, d)
        elif isinstance(self.n_components, float | np.floating):
            share = check_number(self.n_components, "n_components", 0, 1)
            k = min(n, d)
        else:
            k = check_count(self.n_components, "n_components", 0, min(n, d), f"min(n, d) of X of shape {rows.shape}")
        solver = "exact" if solver == "full" else solver
        options = {"memory": self.memory, "checkpoint": self.checkpoint}
        result = pca(rows, max(k, 1), center=self.center, solver=solver, random_state=self._seed(), **options)
        if probable:
            k = most_probable(result.explained_variance, n)
        if share is not None:
            k = min(1 + int(np.searchsorted(np.cumsum(result.explained_variance_ratio), share, side="right")), k)
        self._set(result, k, n)
        return rows

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """The scores of `X`, shape (n, d): what each row holds of each component, shape (n,
        k)."""
        return self._scores(self._new_rows(X))

    def _scores(self, rows: Any) -> NDArray[Any]:
        if isinstance(rows, Source):
            result = scores_out_of_core(rows, self.components_, self.mean_, self.center, memory=self.memory)
        else:
            result = project(as_rows(rows), self.components_, self.mean_, self.center)
        return self._in_type_of(rows, result / self._deviations if self.whiten else result)

    @property
    def _deviations(self) -> Floats:
        """Standard deviations of scores, as far as they are more than rounding."""
        deviations = np.sqrt(self.explained_variance_)
        return np.maximum(deviations, np.finfo(np.float64).eps * max(float(deviations.max(initial=0.0)), 1e-300))

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """The data that the scores `X`, shape (n, k), stand for."""
        check_is_fitted(self)
        scores = np.asarray(X)
        data = (scores * self._deviations if self.whiten else scores) @ self.components_
        return np.asarray(data + self.mean_ if self.center else data)

    def get_covariance(self) -> Floats:
        """
        The covariance of features, shape (d, d), as the components and equal noise in all
        directions make it.

        That is ``components_.T @ diag(explained_variance_ - noise_variance_) @ components_ +
        noise_variance_ I`` [1]_.

        References
        ----------
        .. [1] Tipping & Bishop, J. R. Stat. Soc. B 61 (1999) 611.
        """
        check_is_fitted(self)
        above = np.maximum(self.explained_variance_ - self.noise_variance_, 0)
        covariance = (self.components_.T * above) @ self.components_
        covariance[np.diag_indices_from(covariance)] += self.noise_variance_
        return np.asarray(covariance, dtype=np.float64)

    def get_precision(self) -> Floats:
        """The inverse of `get_covariance`, shape (d, d)."""
        check_is_fitted(self)
        if self.noise_variance_ == 0 or self.n_components_ == 0:
            return np.asarray(np.linalg.inv(self.get_covariance()), dtype=np.float64)
        above = np.maximum(self.explained_variance_ - self.noise_variance_, 0)
        # Components are orthonormal: along each the inverse is that of its own variance.
        less = above / (self.noise_variance_ * (above + self.noise_variance_))
        precision = -(self.components_.T * less) @ self.components_
        precision[np.diag_indices_from(precision)] += 1 / self.noise_variance_
        return np.asarray(precision, dtype=np.float64)

    def score_samples(self, X: ArrayLike) -> Floats:
        """The log-likelihood of every row of `X`, shape (n, d), as normal with the mean and
        `get_covariance`."""
        rows = self._new_rows(X)
        if isinstance(rows, Source):
            rows = rows.in_memory()
        rows, precision = as_rows(rows), self.get_precision()
        n, d = rows.shape
        squares, together = np.empty(n), max(_BYTES // (8 * d), 1)
        for start in range(0, n, together):
            some = range(start, min(start + together, n))
            apart = rows_at(rows, some).astype(np.float64) - self.mean_
            squares[some.start : some.stop] = np.einsum("ij,ij->i", apart, apart @ precision)
        logarithm = float(np.linalg.slogdet(precision)[1])
        return np.asarray(-0.5 * (squares + d * np.log(2 * np.pi) - logarithm), dtype=np.float64)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """The mean of `score_samples` of `X`, shape (n, d); `y` is ignored."""
        return float(self.score_samples(X).mean())
