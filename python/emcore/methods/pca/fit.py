"""Principal components: the few directions in feature space along which the rows of X vary most."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.documentation import documented
from emcore.core.memory import check_room
from emcore.core.validation import Floats, as_rows, check_count, check_option
from emcore.methods.pca.out_of_core import principal, sums_bytes
from emcore.methods.pca.out_of_core import scores as of_rows
from emcore.methods.pca.projection import project
from emcore.outofcore.engine import begin
from emcore.outofcore.moments import checked_range
from emcore.outofcore.open import open_rows
from emcore.outofcore.sources import Source

SOLVERS = ("auto", "exact", "randomized")


@dataclass(frozen=True, eq=False)
class PCAResult:
    """
    The k strongest principal components of n rows of d features.

    Attributes
    ----------
    components : ndarray, shape (k, d), float64
        Orthonormal, strongest first, in the space of the weighted features. The entry of largest modulus is positive.
    singular_values : ndarray, shape (k,), float64
    explained_variance : ndarray, shape (k,), float64
        ``singular_values**2 / (n - 1)``.
    explained_variance_ratio : ndarray, shape (k,), float64
        The share of `total_variance`; zeros where that is zero.
    mean : ndarray, shape (d,), float64
        The column means, subtracted from every row if `center`.
    center : bool
    weights : ndarray, shape (d,), float64, or None
        What every feature was then multiplied by.
    total_variance : float
        Sum of squares of what was decomposed, over n - 1; of all components, not of the k found only.
    solver : {"exact", "randomized"}
        What "auto" came to.
    """

    components: NDArray[np.float64]
    singular_values: NDArray[np.float64]
    explained_variance: NDArray[np.float64]
    explained_variance_ratio: NDArray[np.float64]
    mean: NDArray[np.float64]
    center: bool
    weights: NDArray[np.float64] | None
    total_variance: float
    solver: str


@documented()
def pca(
    X: ArrayLike,
    n_components: int,
    *,
    center: bool = True,
    weights: ArrayLike | None = None,
    solver: str = "auto",
    random_state: int = 0,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> PCAResult:
    """
    Find the strongest principal components, straight from the type in which the detector wrote the data.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n, d)
        Any pixel type, any strides; neither converted nor copied. Of more than two axes the last one is the features,
        and rows are in the order of the others, in memory and out of core. Of a sparse matrix, in any format of
        SciPy's, only what it stores is read: it is centred in the products.
    n_components : int
        k, at most min(n, d).
    center : bool, default True
        Subtract the mean of every feature. Without, this is the truncated singular value decomposition of X, whose
        first component is close to the mean.
    weights : array-like, shape (d,), optional
        Factors of the features, at least 0: the square root of what each counts for.
    solver : {"auto", "exact", "randomized"}, default "auto"
        "exact" takes the eigenvectors of the Gram matrix of the short side, in float64. "randomized" is a block Krylov
        method [1]_ [2]_ on the data as they are: it stops when every component's residual is below 1e-4 of its
        eigenvalue, which makes singular values good to 1e-5 or better; components that do not stand out from noise,
        where eigenvalues lie dense, are left at about 1e-2 once another pass over X raises their variance by less than
        1 %. "auto" takes "exact" where the short side is small or k a large part of it.
    random_state : int, default 0
        Seed of the random start of "randomized". The number of threads never changes a result.
    %(memory)s
    %(checkpoint)s

    Returns
    -------
    PCAResult

    Raises
    ------
    ValueError
        NaN or infinity (the first position is named), one row only, too many components, negative weights.
    TypeError
        `X` does not hold real numbers.

    References
    ----------
    .. [1] E. R. Davidson, The iterative calculation of a few of the lowest eigenvalues and corresponding eigenvectors
       of large real-symmetric matrices, J. Comput. Phys. 17 (1975) 87-94.
    .. [2] C. Musco and C. Musco, Randomized block Krylov methods for stronger and faster approximate singular value
       decomposition, NeurIPS 28 (2015).

    Examples
    --------
    >>> from emcore.datasets import lattice_micrograph
    >>> from emcore.methods.pca.fit import pca
    >>> rows = lattice_micrograph(shape=(200, 300), dtype="uint8").image
    >>> result = pca(rows, 3)
    >>> result.components.shape, bool(result.explained_variance_ratio.sum() < 1)
    ((3, 300), True)
    """
    rows: Any = open_rows(X, memory=memory, checkpoint=checkpoint)
    out_of_core = isinstance(rows, Source)
    rows = rows if out_of_core else as_rows(rows, sparse=True)
    n, d = rows.shape
    k = check_count(n_components, "n_components", 1, min(n, d), f"min(n, d) of X of shape {rows.shape}")
    seed = check_count(random_state, "random_state", 0, 2**63 - 1)
    factors = None if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
    if factors is not None and factors.shape != (d,):
        raise ValueError(f"weights has shape {factors.shape}; one factor for each of the {d} features is needed")
    solver = check_option(solver, SOLVERS, "solver")
    if out_of_core:
        settings = {"n_components": k, "center": bool(center), "solver": solver, "seed": seed, "weights": factors}
        fixed = sums_bytes((n, d), k, solver)
        passes = begin(rows, "pca", memory, checkpoint, settings, 0, fixed)
        checked_range(passes)
        found = principal(passes, k, bool(center), factors, solver, seed)
    else:
        wide = 4 * min(n, d) if solver == "exact" else 2 * k
        check_room(8 * wide * min(n, d) + 16 * k * d, f"{k} components of {n} rows of {d} features")
        found = _emcore.pca(rows, components=k, center=bool(center), weights=factors, solver=solver, seed=seed)
    return as_result(found, (n, d), bool(center), factors)


def as_result(
    found: tuple[Floats, Floats, Floats, float, str], shape: tuple[int, int], center: bool, weights: Floats | None
) -> PCAResult:
    """What the kernel gives of n rows of d features."""
    (components, singular, mean, squares, used), n = found, shape[0]
    return PCAResult(
        components=components,
        singular_values=singular,
        explained_variance=singular**2 / max(n - 1, 1),
        explained_variance_ratio=singular**2 / squares if squares > 0 else np.zeros(len(singular)),
        mean=mean,
        center=center,
        weights=weights,
        total_variance=squares / max(n - 1, 1),
        solver=used,
    )


def scores(X: ArrayLike, result: PCAResult) -> NDArray[np.float64]:
    """
    What every row of `X` holds of every component: ``(X - mean) * weights @ components.T``.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n, d)
        Any pixel type; neither converted nor copied.
    result : PCAResult
        Of these or of other rows with as many features.

    Returns
    -------
    ndarray, shape (n, k), float64
        For the rows of the fit, columns of norm ``result.singular_values``: the left singular vectors times these.

    Examples
    --------
    >>> from emcore.datasets import lattice_micrograph
    >>> from emcore.methods.pca.fit import pca, scores
    >>> rows = lattice_micrograph(shape=(200, 300), dtype="uint8").image
    >>> result = pca(rows, 3)
    >>> bool(np.allclose(np.linalg.norm(scores(rows, result), axis=0), result.singular_values))
    True
    """
    rows = open_rows(X)
    if isinstance(rows, Source):
        return scores_out_of_core(rows, result.components, result.mean, result.center, result.weights)
    return project(as_rows(rows, sparse=True), result.components, result.mean, result.center, result.weights)


def scores_out_of_core(
    rows: Source,
    components: NDArray[np.float64],
    mean: NDArray[np.float64],
    center: bool,
    weights: NDArray[np.float64] | None = None,
    memory: int | str | None = None,
) -> NDArray[np.float64]:
    """`scores` of rows out of core."""
    k, d = components.shape
    passes = begin(rows, "scores", memory, None, {}, 8 * k, 8 * k * d * 4, quiet=True)
    checked_range(passes)
    return of_rows(passes, components, mean, center, weights)
