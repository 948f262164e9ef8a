"""Non-negative factors: which few spectra H and maps W make up the rows of X, ``X ≈ W H``."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.arrays import as_pixels, as_rows, check_count, check_finite, check_number, check_option
from emcore.pca import project

SOLVERS = ("hals", "mu")
LOSSES = ("frobenius", "kullback-leibler")
INITS = ("nndsvda", "nndsvd", "random", "spa", "custom")


class Factors(NamedTuple):
    """``X ≈ W @ H``: maps W (n, k), spectra H (k, d), iterations done, and the loss reached."""

    W: NDArray[Any]
    H: NDArray[Any]
    n_iter: int
    loss: float


def nmf(
    X: ArrayLike,
    n_components: int | None = None,
    *,
    solver: str = "hals",
    loss: str = "frobenius",
    init: str = "nndsvda",
    max_iter: int = 200,
    tol: float = 1e-4,
    random_state: Any = 0,
    alpha_W: float = 0.0,
    alpha_H: float | str = "same",
    l1_ratio: float = 0.0,
    W0: ArrayLike | None = None,
    H0: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Factors:
    """
    Factor non-negative data into a few maps and a few spectra.

    Minimises ``½‖X - W H‖²`` or the Kullback-Leibler divergence ``Σ X ln(X / W H) - X + W H``, plus the penalties
    ``l1_ratio * (d alpha_W ΣW + n alpha_H ΣH) + (1 - l1_ratio) / 2 * (d alpha_W ‖W‖² + n alpha_H ‖H‖²)``. X is read
    once per iteration, in its own type. The answer does not depend on the number of threads.

    Parameters
    ----------
    X : array-like, shape (n, d), or PreparedRows
        Not negative. Any pixel type; it is not converted.
    n_components : int
        k. Default: as many rows as `H0` has, else the smaller of n and d.
    solver : {"hals", "mu"}
        Hierarchical alternating least squares [1]_ (scikit-learn's "cd"), or multiplicative updates [2]_.
    loss : {"frobenius", "kullback-leibler"}
        The second is for counts and needs ``solver="mu"``.
    init : {"nndsvda", "nndsvd", "random", "spa", "custom"}
        From the singular vectors, zeros filled with the mean or left [3]_; random; the purest rows [4]_ (data in which
        each component occurs somewhere alone); `W0` and `H0`.
    max_iter : int
        At most so many iterations.
    tol : float
        "hals" stops when the violation of the optimality conditions has fallen to this fraction of the first one;
        "mu" when 10 iterations lower the root of the loss by less than this fraction of the starting one.
    random_state : int or numpy.random.Generator
        For ``init="random"``.
    alpha_W, alpha_H, l1_ratio : float
        Penalties as above; ``alpha_H="same"`` means `alpha_W`.
    W0, H0 : array-like, shapes (n, k) and (k, d)
        Where ``init="custom"`` starts; not changed.
    weights : array-like, shape (d,)
        Factor of each feature's share of the loss, positive.

    Returns
    -------
    Factors
        ``W, H, n_iter, loss``: float64 for float64 data, else float32. The components come in the order of falling
        energy ``‖w‖ ‖h‖`` and, unless a penalty fixes their scale, each row of H sums to 1 (weighted, if there are
        weights), so that maps carry counts.

    Raises
    ------
    ValueError
        Negative values, NaN or infinity (the first is named); too many components; an unknown option; starting factors
        that do not fit.
    TypeError
        Not real numbers.

    References
    ----------
    .. [1] Cichocki & Phan, IEICE Trans. Fundam. E92-A (2009) 708.
    .. [2] Lee & Seung, Adv. Neural Inf. Process. Syst. 13 (2001) 556.
    .. [3] Boutsidis & Gallopoulos, Pattern Recognition 41 (2008) 1350.
    .. [4] Araujo et al., Chemom. Intell. Lab. Syst. 57 (2001) 65; Gillis & Vavasis, IEEE TPAMI 36 (2014) 698.

    Examples
    --------
    >>> import numpy as np
    >>> maps = np.array([[5, 0], [3, 1], [0, 4], [1, 1]])
    >>> spectra = np.array([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    >>> W, H, n_iter, loss = nmf(maps @ spectra, 2, init="spa")
    >>> bool(loss < 1e-9), H.round(2).tolist()
    (True, [[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    """
    rows, real = _checked(X)
    solver = check_option(solver, SOLVERS, "solver")
    loss = check_option(loss, LOSSES, "loss")
    init = check_option(init, INITS, "init")
    if loss == "kullback-leibler" and solver == "hals":
        raise ValueError("solver='hals' minimises loss='frobenius' only; use solver='mu' for 'kullback-leibler'")
    max_iter = check_count(max_iter, "max_iter", 1)
    tol = check_number(tol, "tol", 0)
    per_feature = check_weights(weights, rows.shape[1])
    penalty_w, penalty_h = penalties(rows.shape, alpha_W, alpha_H, l1_ratio)
    k = _components(rows, n_components, init, H0)

    if init == "custom":
        w, h = _custom(rows.shape, k, W0, H0)
    elif W0 is not None or H0 is not None:
        raise ValueError(f"W0 and H0 are used with init='custom' only, not with init={init!r}")
    else:
        w, h = _start(rows, k, init, solver, random_state, per_feature)
    w = np.array(w, dtype=_real(rows), order="C")
    h = np.array(h, dtype=np.float64, order="C")
    n_iter, _, reached = _emcore.nmf(
        rows,
        w,
        h,
        mu=solver == "mu",
        kullback_leibler=loss == "kullback-leibler",
        max_iter=max_iter,
        tol=tol,
        penalty_w=penalty_w,
        penalty_h=penalty_h,
        weights=per_feature,
    )
    return Factors(w.astype(real, copy=False), h.astype(real, copy=False), n_iter, reached)


def nmf_maps(
    X: ArrayLike,
    H: ArrayLike,
    *,
    loss: str = "frobenius",
    max_iter: int = 200,
    tol: float = 1e-4,
    alpha_W: float = 0.0,
    l1_ratio: float = 0.0,
    weights: ArrayLike | None = None,
) -> NDArray[Any]:
    """
    The maps W of known spectra H: the same minimum as in `nmf`, row by row.

    Parameters
    ----------
    X : array-like, shape (n, d), or PreparedRows
        Not negative. Any pixel type; it is not converted.
    H : array-like, shape (k, d)
        Spectra, not negative; they may depend on each other.
    loss : {"frobenius", "kullback-leibler"}
        Non-negative least squares, exactly [1]_; or multiplicative updates until `tol`.
    max_iter, tol : int, float
        For "kullback-leibler": a row is done when an update moves less than this fraction of its counts.
    alpha_W, l1_ratio, weights
        As in `nmf`.

    Returns
    -------
    ndarray, shape (n, k)
        float64 for float64 data, else float32.

    References
    ----------
    .. [1] Lawson & Hanson, Solving Least Squares Problems (1974); Bro & De Jong, J. Chemom. 11 (1997) 393.

    Examples
    --------
    >>> nmf_maps([[2.0, 3.0, 4.0]], [[1.0, 1.0, 0.0], [0.0, 0.5, 2.0]]).round(6)
    array([[2., 2.]])
    """
    rows, real = _checked(X)
    loss = check_option(loss, LOSSES, "loss")
    max_iter = check_count(max_iter, "max_iter", 1)
    tol = check_number(tol, "tol", 0)
    spectra = np.ascontiguousarray(as_rows(H, "H", nonnegative=True), dtype=np.float64)
    if spectra.shape[1] != rows.shape[1]:
        raise ValueError(f"H has {spectra.shape[1]} features and X has {rows.shape[1]}; they must be the same")
    penalty, _ = penalties(rows.shape, alpha_W, "same", l1_ratio)
    w = np.zeros((len(rows), len(spectra)), _real(rows))
    _emcore.nmf_maps(
        rows,
        w,
        spectra,
        kullback_leibler=loss == "kullback-leibler",
        max_iter=max_iter,
        tol=tol,
        penalty_w=penalty,
        weights=check_weights(weights, rows.shape[1]),
    )
    return w.astype(real, copy=False)


def nmf_loss(
    X: ArrayLike, W: ArrayLike, H: ArrayLike, *, loss: str = "frobenius", weights: ArrayLike | None = None
) -> float:
    """
    How far ``W @ H`` is from X: what `nmf` minimises, without the penalties.

    Parameters
    ----------
    X, W, H : array-like, shapes (n, d), (n, k) and (k, d)
    loss, weights
        As in `nmf`.

    Examples
    --------
    >>> nmf_loss([[1.0, 2.0]], [[1.0]], [[1.0, 1.0]])
    0.5
    """
    rows, _ = _checked(X)
    spectra = as_rows(H, "H", nonnegative=True).astype(np.float64, order="C")
    maps = as_rows(W, "W", nonnegative=True)
    if maps.shape != (len(rows), len(spectra)) or spectra.shape[1] != rows.shape[1]:
        raise ValueError(f"W {maps.shape} times H {spectra.shape} does not have the shape of X {rows.shape}")
    kullback_leibler = check_option(loss, LOSSES, "loss") == "kullback-leibler"
    per_feature = check_weights(weights, rows.shape[1])
    maps = maps.astype(_real(rows), order="C", copy=False)
    return _emcore.nmf_loss(rows, maps, spectra, kullback_leibler=kullback_leibler, weights=per_feature)


def penalties(
    shape: tuple[int, ...], alpha_W: Any, alpha_H: Any, l1_ratio: Any
) -> tuple[tuple[float, float], tuple[float, float]]:
    """``(l1, l2)`` for W and for H, scaled by the number of features and of rows as scikit-learn does."""
    on_w = check_number(alpha_W, "alpha_W", 0)
    if isinstance(alpha_H, str):
        check_option(alpha_H, ["same"], "alpha_H")
    on_h = on_w if isinstance(alpha_H, str) else check_number(alpha_H, "alpha_H", 0)
    ratio = check_number(l1_ratio, "l1_ratio", 0, 1)
    n, d = shape
    return (d * on_w * ratio, d * on_w * (1 - ratio)), (n * on_h * ratio, n * on_h * (1 - ratio))


def check_weights(weights: ArrayLike | None, d: int) -> NDArray[np.float64] | None:
    """One positive number per feature, or None."""
    if weights is None:
        return None
    array = np.ascontiguousarray(as_pixels(weights, "weights", 1), dtype=np.float64)
    if len(array) != d:
        raise ValueError(f"weights has {len(array)} values; give one for each of the {d} features")
    if check_finite(array, "weights")[0] <= 0:
        raise ValueError(f"weights[{int(np.argmax(array <= 0))}] is not positive; leave out features that do not count")
    return array


def _components(rows: NDArray[Any], n_components: Any, init: str, H0: ArrayLike | None) -> int:
    least = min(rows.shape)
    if n_components is None:
        return len(np.atleast_2d(np.asarray(H0))) if init == "custom" and H0 is not None else least
    if init in ("nndsvda", "nndsvd"):
        why = f"init={init!r} takes singular vectors of data of shape {rows.shape}; init='random' knows no limit"
        return check_count(n_components, "n_components", 1, least, why)
    if init == "spa":
        return check_count(n_components, "n_components", 1, len(rows), "init='spa' picks rows of X")
    return check_count(n_components, "n_components", 1)


def _real(rows: NDArray[Any]) -> type[np.floating[Any]]:
    return np.float64 if rows.dtype == np.float64 else np.float32


def _checked(X: ArrayLike) -> tuple[NDArray[Any], type[np.floating[Any]]]:
    """Rows that are not negative, float32 whose squares it could not hold as float64; and the type of the result."""
    if isinstance(X, _emcore.PreparedRows):
        rows = as_rows(X, "X", nonnegative=True)
        largest = _emcore.value_range(rows)[1]
    else:
        rows = as_pixels(X, "X", 2)
        if rows.dtype.kind == "u":
            return rows, np.float32
        _, largest = check_finite(rows, "X", nonnegative=True)
    if largest != 0 and not 1e-25 < largest < 1e25:
        raise ValueError(f"X has {largest:g} as largest value; choose a unit in which it is between 1e-25 and 1e25")
    real = _real(rows)
    return (rows if largest == 0 or 1e-12 < largest < 1e12 else np.asarray(rows, dtype=np.float64)), real


def _custom(shape: tuple[int, ...], k: int, W0: Any, H0: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    factors = []
    for value, name, wanted in ((W0, "W0", (shape[0], k)), (H0, "H0", (k, shape[1]))):
        if value is None:
            raise ValueError(f"{name} is missing; init='custom' starts from W0 and H0")
        array = as_rows(value, name, nonnegative=True)
        if array.shape != wanted:
            raise ValueError(f"{name} has shape {array.shape}; data and n_components ask for {wanted}")
        factors.append(array)
    return factors[0], factors[1].astype(np.float64)


def _start(
    rows: NDArray[Any], k: int, init: str, solver: str, random_state: Any, weights: NDArray[np.float64] | None
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    n, d = rows.shape
    if init == "spa":
        found = _emcore.pure_rows(rows, k, weights)
        spectra = np.empty((k, d))
        pure = rows.take(found) if isinstance(rows, _emcore.PreparedRows) else rows[found]
        spectra[: len(found)] = pure
        spectra[len(found) :] = pure.mean(axis=0, dtype=np.float64) if found else 1.0
        spectra /= spectra.sum(axis=1, keepdims=True)
        maps = nmf_maps(rows, spectra, weights=weights)
        # A multiplicative update cannot leave zero.
        return (maps + 1e-3 * maps.mean(), spectra + 1e-3 / d) if solver == "mu" else (maps, spectra)
    mean = _emcore.mean(rows)
    if init == "random":
        rng = np.random.default_rng(random_state)
        size = np.sqrt(mean / k)
        h = np.abs(rng.standard_normal((k, d))) * size
        return np.abs(rng.standard_normal((n, k))) * size, h
    w, h = nndsvd(*_singular(rows, k, None if weights is None else np.sqrt(weights)))
    tiny = 1e-6 * np.sqrt(mean)
    for factor in (w, h):
        factor[factor < tiny] = np.sqrt(mean) if init == "nndsvda" else 0.0
    return w, h if weights is None else h / np.sqrt(weights)


def _singular(
    rows: NDArray[Any], k: int, factors: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Uncentred scores (n, k) and directions (k, d) of the leading singular vectors."""
    if len(rows) == 1:
        row = np.asarray(rows, dtype=np.float64) * (1.0 if factors is None else factors)
        norm = np.linalg.norm(row)
        return np.full((1, 1), norm), row / norm if norm > 0 else row
    directions, _, mean, _, _ = _emcore.pca(rows, k, False, factors, "auto", 0)
    return project(rows, directions, mean, False, factors), directions


def nndsvd(scores: NDArray[Any], directions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Non-negative factors from singular vectors [1]_.

    Of each pair of singular vectors the positive or the negative parts are kept, whichever are larger.

    Parameters
    ----------
    scores : ndarray, shape (n, k)
        Left singular vectors times singular values.
    directions : ndarray, shape (k, d)
        Right singular vectors.

    Returns
    -------
    W, H : ndarray, shapes (n, k) and (k, d)

    References
    ----------
    .. [1] Boutsidis & Gallopoulos, Pattern Recognition 41 (2008) 1350.

    Examples
    --------
    >>> W, H = nndsvd(np.array([[-2.0], [-2.0]]), np.array([[-1.0, 0.0]]))
    >>> (W @ H).round(6).tolist()
    [[2.0, 0.0], [2.0, 0.0]]
    """
    w = np.zeros(scores.shape)
    h = np.zeros(directions.shape)
    for t, (x, y) in enumerate(zip(scores.T.astype(np.float64), directions.astype(np.float64), strict=True)):
        if t == 0:
            sides = [(np.abs(x), np.abs(y))]
        else:
            sides = [(np.maximum(x, 0), np.maximum(y, 0)), (np.maximum(-x, 0), np.maximum(-y, 0))]
        norms = [(np.linalg.norm(u), np.linalg.norm(v)) for u, v in sides]
        best = int(np.argmax([a * b for a, b in norms]))
        (u, v), (a, b) = sides[best], norms[best]
        if a > 0 and b > 0:
            w[:, t] = u * np.sqrt(b / a)
            h[t] = v * np.sqrt(a / b)
    return w, h
