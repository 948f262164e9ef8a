"""How many components: a number read off the explained-variance ratios (EVR) of a PCA by one of several rules."""

import inspect
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.validation import Floats, check_count, check_option
from emcore.methods.selection.rules import RULES as _RULES
from emcore.methods.selection.rules import RankChoice

RULES = tuple(_RULES)


def n_components(evr: ArrayLike, rule: str = "elbow", **options: object) -> RankChoice:
    """Choose the number of components from explained-variance ratios.

    Parameters
    ----------
    evr : array_like, shape (m,)
        Explained-variance ratios of a PCA in falling order, dimensionless; a truncated PCA may
        give fewer than all.
    rule : str, default "elbow"
        One of

        - ``"gap"``: the k in 2..`max_components` (20) with the largest EVR_k / EVR_(k+1), or 1
          if that is below `min_ratio` (1.5). Meant for uncentred data, whose first component is
          the mean.
        - ``"elbow"``: the point of ln EVR farthest from its chord over the first
          `max_components` (20) + 1.
        - ``"jany"``: first strict local maximum of the gradient of EVR, else ``"elbow"``.
        - ``"threshold"``: as many as reach `minimum` (0.01); where that is fewer than 2 and
          ``"gap"``, then ``"parallel"`` (if `null` is given), keeps more, that rule decides.
        - ``"broken-stick"``: while EVR_k exceeds the expected k-th longest piece of a stick
          broken at random into `n_total`, the number of components of a full PCA; needed where
          `evr` is truncated.
        - ``"gavish-donoho"``: the optimal hard threshold of singular values. Needs `shape`
          (rows, columns), and `noise` with the `sum_of_squares` of the matrix, or
          `total_counts` for Poisson-weighted counts (`shape` of the non-empty rows and
          columns), or neither: the median rule, which needs all min(shape) ratios.
        - ``"parallel"``: as many as exceed the `percentile` (95) of `null`, ratios that the
          same pipeline gives for data without structure, shape (draws, components), see
          `null_evr`.
        - ``"minka"``: Minka's Bayesian evidence, as in scikit-learn. Needs `n_samples` and all
          ratios.
    **options
        Of the chosen rule, see above.

    Returns
    -------
    RankChoice
        At least 1 component. `rule` names the rule that decided, also after a fall-back.

    Raises
    ------
    ValueError
        Ratios that are not 1-D, finite, non-negative and falling, an unknown rule, or an option
        out of range.
    TypeError
        Ratios that are not real numbers, or an option that the rule does not have or lacks.

    Examples
    --------
    >>> import emcore
    >>> evr = [0.6, 0.2, 0.1, 0.004, 0.003, 0.003]
    >>> choice = emcore.n_components(evr, rule="gap")
    >>> int(choice), choice.reason
    (3, 'largest ratio of neighbouring EVR, 25, is that of components 3 and 4')
    """
    ratios = _check_evr(evr)
    name = check_option(rule, tuple(_RULES), "rule")
    function = _RULES[name]
    accepted = [p for p in inspect.signature(function).parameters if p != "evr"]
    for option in options:
        if option not in accepted:
            has = f"it has {', '.join(accepted)}" if accepted else "it has none"
            raise TypeError(f"rule {name!r} has no option {option!r}; {has}")
    return function(ratios, **options)


def null_evr(
    data: ArrayLike,
    pipeline: Callable[[NDArray[np.generic]], ArrayLike],
    *,
    kind: str = "permute",
    n_draws: int = 20,
    random_state: int = 0,
) -> Floats:
    """Explained-variance ratios of the same pipeline on data without structure, for the rule ``"parallel"``.

    Parameters
    ----------
    data : array_like, shape (n, d)
        The matrix that was decomposed.
    pipeline : callable
        Takes a matrix of that shape and returns its ratios, as was done for the data themselves.
    kind : {"permute", "poisson"}, default "permute"
        Every column shuffled by itself, or, for counts, Poisson draws with the row and column sums of the data.
    n_draws : int, default 20
    random_state : int, default 0

    Returns
    -------
    ndarray, shape (n_draws, m), float64

    Raises
    ------
    ValueError
        If `data` is not a matrix, or holds negative values where counts are needed.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.components import null_evr, n_components
    >>> def pipeline(X):
    ...     s = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    ...     return s**2 / np.sum(s**2)
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 10)) + 0.1 * rng.normal(size=(200, 10))
    >>> n_components(pipeline(X), rule="parallel", null=null_evr(X, pipeline)).n
    2
    """
    matrix = np.asarray(data)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"data must be a matrix with rows and columns, found shape {matrix.shape}")
    check_option(kind, ("permute", "poisson"), "kind")
    check_count(n_draws, "n_draws", 1)
    rng = np.random.default_rng(random_state)
    if kind == "permute":
        draws = (rng.permuted(matrix, axis=0) for _ in range(n_draws))
    else:
        if matrix.min() < 0:
            raise ValueError("data must not be negative for kind='poisson': counts are needed")
        rows, columns = matrix.sum(axis=1, dtype=np.float64), matrix.sum(axis=0, dtype=np.float64)
        expected = np.outer(rows, columns / max(rows.sum(), 1.0))
        draws = (rng.poisson(expected) for _ in range(n_draws))
    return np.stack([np.asarray(pipeline(draw), dtype=np.float64) for draw in draws])


def _check_evr(evr: ArrayLike) -> Floats:
    array = np.asarray(evr)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"evr must be real numbers, found dtype {array.dtype}")
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"evr must be a list of at least one ratio, found shape {array.shape}")
    ratios = array.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(ratios))
    if len(bad):
        raise ValueError(f"evr must be finite, found {ratios[bad[0]]} at position {bad[0]}")
    bad = np.flatnonzero(ratios < -1e-9)
    if len(bad):
        raise ValueError(f"evr must not be negative, found {ratios[bad[0]]:.3g} at position {bad[0]}")
    ratios = np.maximum(ratios, 0)
    if ratios[0] == 0:
        raise ValueError("evr is zero throughout: the data have no variance")
    bad = np.flatnonzero(np.diff(ratios) > 1e-6 * ratios[0])
    if len(bad):
        raise ValueError(f"evr must fall: the ratio at position {bad[0] + 1} is larger than the one before")
    if ratios.sum() > 1 + 1e-3:
        raise ValueError(f"evr must have a sum of at most 1, found {ratios.sum():.4g}: divide by the total variance")
    return ratios
