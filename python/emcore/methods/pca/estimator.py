"""PCA as an estimator that follows scikit-learn to the letter."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from emcore.core.documentation import documented
from emcore.core.validation import as_rows, check_count, check_number, check_option
from emcore.methods.estimator import Transformer
from emcore.methods.pca.fit import PCAResult, pca, scores_out_of_core
from emcore.methods.pca.online import Seen, found, with_batch
from emcore.methods.pca.projection import project
from emcore.outofcore.sources import Source


@documented()
class PCA(Transformer):
    """
    Principal component analysis.

    `emcore.methods.pca.fit.pca` as an estimator, to be put where ``sklearn.decomposition.PCA`` stands. Integers are
    not converted, the data are not copied.

    Parameters
    ----------
    n_components : int, float or None
        k; between 0 and 1 the share of the variance that is to be explained at least. Default: the smaller of the
        numbers of rows and features, which for large data is slow.
    center : bool
        Subtract the mean of every feature. Without, a truncated singular value decomposition of X itself.
    svd_solver : {"auto", "full", "randomized"}
        "full" is exact; "auto" is too, where that is about as fast. See `emcore.methods.pca.fit.pca`.
    %(random_state)s
    %(memory)s
    %(checkpoint)s

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

    def __init__(
        self,
        n_components: float | None = None,
        *,
        center: bool = True,
        svd_solver: str = "auto",
        random_state: Any = None,
        memory: int | str | None = None,
        checkpoint: Any = None,
    ) -> None:
        self.n_components = n_components
        self.center = center
        self.svd_solver = svd_solver
        self.random_state = random_state
        self.memory = memory
        self.checkpoint = checkpoint

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Find the components of `X`, shape (n, d), n at least 2, in memory or out of core; `y` is ignored."""
        self._fit(X)
        return self

    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """
        Find the components of this batch `X`, shape (n, d), and all batches since the last `fit`; `y` is ignored.

        The first batch has at least `n_components` rows, a whole number; without, it says how many these are. More
        components than are asked for are kept meanwhile, so that what batches lose is little; what is kept does not
        grow.
        """
        rows = as_rows(self._batch(X), squared=True)
        seen = Seen.nothing(rows.shape[1]) if self._seen is None else self._seen[0]
        if self._seen is not None:
            k = self._seen[1]
        elif isinstance(self.n_components, float | np.floating):
            raise ValueError(f"n_components={self.n_components} is a share of the variance: partial_fit needs a number")
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
        """Find the components of `X`, shape (n, d), and return its scores, shape (n, k); `y` is ignored."""
        return self._scores(self._fit(X))

    def _fit(self, X: ArrayLike) -> Any:
        rows = self._rows(X)
        n, d = rows.shape
        solver = check_option(self.svd_solver, ("auto", "full", "randomized"), "svd_solver")
        share = None
        if self.n_components is None:
            k = min(n, d)
        elif isinstance(self.n_components, float | np.floating):
            share = check_number(self.n_components, "n_components", 0, 1)
            k = min(n, d)
        else:
            k = check_count(self.n_components, "n_components", 1, min(n, d), f"min(n, d) of X of shape {rows.shape}")
        solver = "exact" if solver == "full" else solver
        options = {"memory": self.memory, "checkpoint": self.checkpoint}
        result = pca(rows, k, center=self.center, solver=solver, random_state=self._seed(), **options)
        if share is not None:
            k = min(1 + int(np.searchsorted(np.cumsum(result.explained_variance_ratio), share)), k)
        self._set(result, k, n)
        return rows

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """The scores of `X`, shape (n, d): what each row holds of each component, shape (n, k)."""
        return self._scores(self._new_rows(X))

    def _scores(self, rows: Any) -> NDArray[Any]:
        if isinstance(rows, Source):
            result = scores_out_of_core(rows, self.components_, self.mean_, self.center, memory=self.memory)
        else:
            result = project(as_rows(rows), self.components_, self.mean_, self.center)
        return self._in_type_of(rows, result)

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """The data that the scores `X`, shape (n, k), stand for."""
        check_is_fitted(self)
        data = np.asarray(X) @ self.components_
        return np.asarray(data + self.mean_ if self.center else data)
