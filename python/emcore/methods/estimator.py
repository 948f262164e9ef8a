"""What all estimators have in common: which data they take, where those lie, random seeds, warnings, tags.

They follow scikit-learn to the letter, and take, besides arrays of shape (n, d) in memory, data out of core, prepared
rows, and scans: of an array of more than two axes, (ny, nx, d), the last one is the features, and rows are in the order
of the others. scikit-learn, which has no check for them, refuses such arrays; a memory map, HDF5, Zarr or Dask array of
a scan has that shape, and its answer must not depend on where it lies. What is per row, labels or maps, has shape (n,)
or (n, k) for all of them.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from emcore._emcore import PreparedRows, SparseRows
from emcore.core.memory import check_memory, in_words
from emcore.core.sparse import is_sparse
from emcore.core.validation import as_matrix
from emcore.core.warning import warn
from emcore.outofcore.open import open_rows
from emcore.outofcore.sources import Source


def seed_of(random_state: Any) -> int:
    """A seed drawn as scikit-learn draws: an int, a RandomState or None gives one."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


class Estimator(BaseEstimator):  # type: ignore[misc]
    """
    Rows in memory or out of core, seeds and warnings of an estimator with `memory`,
    `checkpoint`, `random_state`.

    Of what a fit finds the attribute `_basis`, shape (k, n_features), is there once it has
    ended.
    """

    memory: int | str | None
    checkpoint: Any
    random_state: Any
    _basis: ClassVar[str]
    # Whether rows may be a sparse matrix.
    _takes_sparse: ClassVar[bool] = False
    # What `partial_fit` keeps of the batches so far.
    _seen: Any = None

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a result, of as many features as were last given: a fit that failed
        has none."""
        basis = getattr(self, self._basis, None)
        return basis is not None and basis.shape[-1] == getattr(self, "n_features_in_", None)

    def _rows(self, X: ArrayLike) -> Any:
        """Rows for a fit: checked by scikit-learn's rules, or a `Source` of data out of core,
        or prepared rows."""
        self._seen = None
        return self._accepted(open_rows(X, memory=self.memory, checkpoint=self.checkpoint), True)

    def _new_rows(self, X: ArrayLike) -> Any:
        """Rows for a fitted estimator, with as many features as those of the fit."""
        check_is_fitted(self)
        return self._accepted(open_rows(X, memory=self.memory), False)

    def _batch(self, X: ArrayLike) -> Any:
        """Rows of a batch, in memory, with as many features as those of the batches before."""
        rows = open_rows(X, memory=self.memory)
        if isinstance(rows, Source):
            budget = check_memory(self.memory)
            if rows.nbytes > budget:
                raise ValueError(
                    f"a batch of {in_words(rows.nbytes)} is more than memory={in_words(budget)}: give smaller batches, "
                    "or all data to fit, which visits them in blocks"
                )
            rows = rows.in_memory()
        return self._accepted(rows, self._seen is None)

    def _accepted(self, rows: Any, first: bool) -> Any:
        """Rows with as many features as those before, or the first of which there are so
        many."""
        if not isinstance(rows, Source | PreparedRows | SparseRows):
            formats = "csr" if self._takes_sparse else False
            options = {"dtype": "numeric", "ensure_all_finite": False, "reset": first}
            rows = validate_data(self, rows, accept_sparse=formats, **options)
            return as_matrix(rows) if is_sparse(rows) else rows
        if first:
            self.n_features_in_ = rows.shape[1]
            if hasattr(self, "feature_names_in_"):  # of an earlier fit
                del self.feature_names_in_
        elif rows.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {rows.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input"
            )
        return rows

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._takes_sparse
        return tags

    def _seed(self) -> int:
        """The seed of a fit; None stands for 0, so that results can be repeated."""
        return 0 if self.random_state is None else seed_of(self.random_state)

    def _warn(self, message: str) -> None:
        warn(message, ConvergenceWarning)

    def _warn_of_iterations(self, max_iter: int, tol: float) -> None:
        self._warn(
            f"Maximum number of iterations {max_iter} reached. Increase it to improve convergence, or tol={tol:g}"
        )


class Transformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):  # type: ignore[misc]
    """An estimator that turns rows into what they hold of the rows of its `_basis`."""

    @property
    def _n_features_out(self) -> int:
        return len(getattr(self, self._basis))

    @staticmethod
    def _in_type_of(rows: Any, values: NDArray[Any]) -> NDArray[Any]:
        return values.astype(np.float32) if rows.dtype == np.float32 else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
