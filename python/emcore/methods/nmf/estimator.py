"""Non-negative matrix factorisation as an estimator that follows scikit-learn to the letter."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from emcore.core.documentation import documented
from emcore.core.sparse import is_sparse
from emcore.core.validation import check_option
from emcore.methods.estimator import Transformer, seed_of
from emcore.methods.nmf.checks import checked_rows, penalties, real_of
from emcore.methods.nmf.fit import LOSSES, RANDOM, Factors, nmf, nmf_loss, nmf_maps
from emcore.methods.nmf.online import Sums, spectra_of


def _has_sums(model: "NMF") -> bool:
    """Whether sums say enough of the batches that are gone."""
    if model._loss == "kullback-leibler":
        raise AttributeError("partial_fit is for loss='frobenius', not for loss='kullback-leibler': use fit")
    return True


@documented()
class NMF(Transformer):
    """
    Non-negative matrix factorisation, ``X ≈ W H``: a few maps W and a few spectra H.

    `emcore.methods.nmf.fit.nmf` as an estimator, to be put where ``sklearn.decomposition.NMF``
    stands. Integers are not converted; of a sparse matrix only what it stores is read.

    Parameters
    ----------
    n_components : int or "auto", optional
        k. Default: the smaller of the numbers of rows and features; "auto": as many as the `H`
        that is given, else as are fixed, else as there are features.
    solver : {"hals", "cd", "mu"}
        Hierarchical alternating least squares, which scikit-learn calls "cd", or multiplicative
        updates.
    loss : {"frobenius", "kullback-leibler"}
        The second is for counts and needs ``solver="mu"``.
    init : {"nndsvda", "nndsvd", "nndsvdar", "random", "spa", "custom"} or None, default None
        Where to start; "custom" takes `W` and `H`, or `H` alone, of `fit_transform`; None is
        "nndsvda", and "random" for more components than rows or features.
    max_iter : int
        At most so many iterations.
    tol : float
        When to stop; see `emcore.methods.nmf.fit.nmf`.
    inner_sweeps : int
        Updates for each reading of X: with 1 the iterates are those of scikit-learn; more need
        fewer iterations.
    random_state : int, RandomState or None
        For ``init="random"`` and "nndsvdar".
    alpha_W, alpha_H, l1_ratio : float
        Penalties as in scikit-learn; ``alpha_H="same"`` means `alpha_W`.
    %(memory)s
    %(checkpoint)s
    fixed_components : array-like, shape (m, d), optional
        Spectra that are known, at most k: the first rows of `components_`, of which only the
        maps are fitted; the other components are found beside them. With as many as
        `n_components` this is a non-negative fit of known spectra.
    beta_loss : {"frobenius", "kullback-leibler"} or 1, 2, optional
        The same as `loss`, by scikit-learn's name.
    verbose : int, default 0
        Print how many iterations there were, and the error that is left.

    Attributes
    ----------
    components_ : ndarray, shape (k, d)
        H, in the order of falling energy. Each sums to 1 unless a penalty fixes the scale.
        Before them, as they are, those of `fixed_components`.
    n_components_ : int
    n_iter_ : int
    reconstruction_err_ : float
        ``‖X - W H‖`` (for "kullback-leibler": the root of twice the divergence) of the data of
        `fit`.
    %(features)s

    Examples
    --------
    >>> from emcore import NMF
    >>> from emcore.datasets import lattice_micrograph
    >>> windows = lattice_micrograph(shape=(64, 64)).image.reshape(64, 64)
    >>> model = NMF(2).fit(abs(windows))
    >>> model.components_.shape, model.transform(abs(windows)).shape
    ((2, 64), (64, 2))

    One spectrum is known, the other is found beside it:

    >>> support = abs(windows).mean(axis=0, keepdims=True)
    >>> model = NMF(2, fixed_components=support).fit(abs(windows))
    >>> bool((model.components_[0] == support).all()), model.transform(abs(windows)).shape
    (True, (64, 2))
    """

    _basis: ClassVar[str] = "components_"
    _takes_sparse: ClassVar[bool] = True

    def __init__(
        self,
        n_components: int | str | None = None,
        *,
        solver: str = "hals",
        loss: str = "frobenius",
        init: str | None = None,
        max_iter: int = 200,
        tol: float = 1e-4,
        inner_sweeps: int = 1,
        random_state: Any = None,
        alpha_W: float = 0.0,
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        memory: int | str | None = None,
        checkpoint: Any = None,
        fixed_components: ArrayLike | None = None,
        beta_loss: str | float | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.solver = solver
        self.loss = loss
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.inner_sweeps = inner_sweeps
        self.random_state = random_state
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio
        self.memory = memory
        self.checkpoint = checkpoint
        self.fixed_components = fixed_components
        self.beta_loss = beta_loss
        self.verbose = verbose

    @property
    def _loss(self) -> str:
        """The loss, by whichever of its two names it was given."""
        if self.beta_loss is None:
            return self.loss
        named = {1: "kullback-leibler", 2: "frobenius"}.get(self.beta_loss, self.beta_loss)  # type: ignore[call-overload]
        if self.loss not in ("frobenius", named):
            raise ValueError(f"loss={self.loss!r} and beta_loss={self.beta_loss!r} are two: give one of them")
        return check_option(named, LOSSES, "beta_loss")

    def fit(self, X: ArrayLike, y: Any = None, W: ArrayLike | None = None, H: ArrayLike | None = None) -> Self:
        """
        Find the spectra of `X`, shape (n, d), not negative, which may be a sparse matrix.

        `W` and `H` are where ``init="custom"`` starts; `y` is ignored.
        """
        self.fit_transform(X, W=W, H=H)
        return self

    def fit_transform(
        self, X: ArrayLike, y: Any = None, W: ArrayLike | None = None, H: ArrayLike | None = None
    ) -> NDArray[Any]:
        """
        Find the spectra and return the maps W, shape (n, k), as `transform` would.

        `W` and `H` are where ``init="custom"`` starts; `y` is ignored.
        """
        rows = self._rows(X)
        factors = self._factors(rows, W, H, self.checkpoint)
        self.components_ = factors.H
        self.n_components_ = len(factors.H)
        self.n_iter_ = factors.n_iter
        maps = self._maps(rows, factors.H)
        loss = nmf_loss(rows, maps, factors.H, loss=self._loss, memory=self.memory)
        self.reconstruction_err_ = float(np.sqrt(2 * max(loss, 0)))
        if self.verbose:
            print(f"NMF: {factors.n_iter} iterations, reconstruction error {self.reconstruction_err_:.6g}")
        if factors.n_iter == self.max_iter and self.tol > 0:
            self._warn_of_iterations(self.max_iter, self.tol)
        return maps

    def _factors(self, rows: Any, W: ArrayLike | None, H: ArrayLike | None, checkpoint: Any) -> Factors:
        k, init = self.n_components, self.init
        if isinstance(k, str):
            check_option(k, ("auto",), "n_components")
            given = self.fixed_components if H is None else H
            k = rows.shape[1] if given is None else len(np.atleast_2d(np.asarray(given)))
        if init is None:
            init = "random" if k is not None and k > min(rows.shape) else "nndsvda"
        return nmf(
            rows,
            k,
            solver="hals" if self.solver == "cd" else self.solver,
            loss=self._loss,
            init=init,
            max_iter=self.max_iter,
            tol=self.tol,
            inner_sweeps=self.inner_sweeps,
            random_state=seed_of(self.random_state) if init in RANDOM else 0,
            alpha_W=self.alpha_W,
            alpha_H=self.alpha_H,
            l1_ratio=self.l1_ratio,
            W0=W,
            H0=H,
            fixed_components=self.fixed_components,
            memory=self.memory,
            checkpoint=checkpoint,
        )

    @available_if(_has_sums)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: ArrayLike, y: Any = None, W: ArrayLike | None = None, H: ArrayLike | None = None) -> Self:
        """
        Find the spectra of this batch `X`, shape (n, d), and all batches since the last `fit`,
        not negative.

        The first batch is factored as by `fit`; of those after it, and of what they change in
        the spectra, sums are kept that do not grow. `W` and `H` are where ``init="custom"``
        starts with the first; `n_iter_` counts batches; `y` is ignored. Only with
        ``loss="frobenius"``.
        """
        rows, _ = checked_rows(self._batch(X))
        sums, spectra, number = self._seen or (None, None, 0)
        if sums is None or spectra is None:
            spectra = np.asarray(self._factors(rows, W, H, None).H, dtype=np.float64)
            sums = Sums.nothing(*spectra.shape)
        sums = sums.with_batch(rows, self._maps(rows, spectra))
        _, penalty = penalties((sums.n, rows.shape[1]), self.alpha_W, self.alpha_H, self.l1_ratio)
        free = (self.alpha_W, self.alpha_H) in ((0, 0), (0, "same"))
        fixed = 0 if self.fixed_components is None else len(np.asarray(self.fixed_components))
        spectra, sums = spectra_of(sums, spectra, penalty, free, fixed)
        self._seen = sums, spectra, number + 1
        self.components_ = spectra.astype(real_of(rows))
        self.n_components_, self.n_iter_ = len(spectra), number + 1
        maps = self._maps(rows, self.components_)
        self.reconstruction_err_ = float(np.sqrt(2 * max(nmf_loss(rows, maps, self.components_), 0)))
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """The maps of `X`, shape (n, d), for the spectra found: the exact minimum, row by
        row."""
        return self._maps(self._new_rows(X), self.components_)

    def _maps(self, rows: Any, spectra: NDArray[Any]) -> NDArray[Any]:
        return nmf_maps(
            rows,
            spectra,
            loss=self._loss,
            max_iter=self.max_iter,
            tol=self.tol,
            alpha_W=self.alpha_W,
            l1_ratio=self.l1_ratio,
            memory=self.memory,
        )

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """The data that the maps `X`, shape (n, k), stand for: ``X @ components_``."""
        check_is_fitted(self)
        maps = X if is_sparse(X) else np.asarray(X)
        return np.asarray(maps @ self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
