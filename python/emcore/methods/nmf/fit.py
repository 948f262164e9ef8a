"""Non-negative factors: which few spectra H and maps W make up the rows of X, ``X ≈ W H``."""

import os
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.documentation import documented
from emcore.core.validation import as_rows, check_count, check_number, check_option
from emcore.methods.nmf.checks import (
    check_fixed,
    check_weights,
    checked_rows,
    count_components,
    penalties,
    real_of,
    source_of_size,
)
from emcore.methods.nmf.in_memory import InMemory
from emcore.methods.nmf.out_of_core import OutOfCore, row_bytes, sums_bytes
from emcore.methods.nmf.settings import Parameters, Penalty
from emcore.methods.nmf.starts import beside_fixed, custom, start
from emcore.outofcore.engine import Passes, begin
from emcore.outofcore.open import open_rows
from emcore.outofcore.sources import Source

SOLVERS = ("hals", "mu")
LOSSES = ("frobenius", "kullback-leibler")
INITS = ("nndsvda", "nndsvd", "nndsvdar", "random", "spa", "custom")
RANDOM = ("nndsvdar", "random")
SWEEPS = 5
"""Inner sweeps of the workflows: images and spectrum images need fewer iterations, many less than half as many."""


class Factors(NamedTuple):
    """``X ≈ W @ H``: maps W (n, k), spectra H (k, d), iterations done, and the loss reached."""

    W: NDArray[Any]
    H: NDArray[Any]
    n_iter: int
    loss: float


@documented()
def nmf(
    X: ArrayLike,
    n_components: int | None = None,
    *,
    solver: str = "hals",
    loss: str = "frobenius",
    init: str = "nndsvda",
    max_iter: int = 200,
    tol: float = 1e-4,
    inner_sweeps: int = 1,
    random_state: Any = 0,
    alpha_W: float = 0.0,
    alpha_H: float | str = "same",
    l1_ratio: float = 0.0,
    W0: ArrayLike | None = None,
    H0: ArrayLike | None = None,
    fixed_components: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Factors:
    """
    Factor non-negative data into a few maps and a few spectra.

    Minimises ``½‖X - W H‖²`` or the Kullback-Leibler divergence ``Σ X ln(X / W H) - X + W H``, plus the penalties
    ``l1_ratio * (d alpha_W ΣW + n alpha_H ΣH) + (1 - l1_ratio) / 2 * (d alpha_W ‖W‖² + n alpha_H ‖H‖²)``. X is read
    once per iteration, in its own type. The answer does not depend on the number of threads.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n, d), or PreparedRows
        Not negative. Any pixel type; it is not converted. Of more than two axes the last one is the features, and rows
        are in the order of the others, in memory and out of core. Of a sparse matrix, in any format of SciPy's, only
        what it stores is read.
    n_components : int
        k. Default: as many rows as `H0` has, else the smaller of n and d.
    solver : {"hals", "mu"}
        Hierarchical alternating least squares [1]_ (scikit-learn's "cd"), or multiplicative updates [2]_.
    loss : {"frobenius", "kullback-leibler"}
        The second is for counts and needs ``solver="mu"``.
    init : {"nndsvda", "nndsvd", "nndsvdar", "random", "spa", "custom"}
        From the singular vectors, zeros filled with the mean, left, or filled with small random numbers [3]_; random;
        the purest rows [4]_ (data in which each component occurs somewhere alone); `W0` and `H0`, or `H0` and the maps
        that belong to it.
    max_iter : int
        At most so many iterations.
    tol : float
        "hals" stops when the violation of the optimality conditions has fallen to this fraction of the first one;
        "mu" when 10 iterations lower the root of the loss by less than this fraction of the starting one.
    inner_sweeps : int
        How often W, and then H, is updated for each reading of X [5]_, at nearly no cost: with 1 the iterates are those
        of scikit-learn, with 3 to 20 about half the iterations settle, sometimes at another minimum. For "frobenius"
        only.
    random_state : int or numpy.random.Generator
        For ``init="random"`` and "nndsvdar".
    alpha_W, alpha_H, l1_ratio : float
        Penalties as above; ``alpha_H="same"`` means `alpha_W`.
    W0, H0 : array-like, shapes (n, k) and (k, d)
        Where ``init="custom"`` starts; not changed.
    fixed_components : array-like, shape (m, d), optional
        Spectra that are known: they are the first m rows of H, as they are, and only their maps are fitted. Their scale
        is free. The other components are found beside them; for m = k this is `nmf_maps`.
    weights : array-like, shape (d,)
        Factor of each feature's share of the loss, positive.
    %(memory)s
    %(checkpoint)s

    Returns
    -------
    Factors
        ``W, H, n_iter, loss``: float64 for float64 data, else float32. The components come in the order of falling
        energy ``‖w‖ ‖h‖`` and, unless a penalty fixes their scale, each row of H sums to 1 (weighted, if there are
        weights), so that maps carry counts. What is fixed comes first, in its own order and scale. `n_iter` is 0 where
        all are fixed.

    Raises
    ------
    ValueError
        Negative values, NaN or infinity (the first is named); too many components; an unknown option; starting factors
        that do not fit; fixed spectra of other features, of zeros, more than components, or two that are the same.
    TypeError
        Not real numbers.

    References
    ----------
    .. [1] Cichocki & Phan, IEICE Trans. Fundam. E92-A (2009) 708.
    .. [2] Lee & Seung, Adv. Neural Inf. Process. Syst. 13 (2001) 556.
    .. [3] Boutsidis & Gallopoulos, Pattern Recognition 41 (2008) 1350.
    .. [4] Araujo et al., Chemom. Intell. Lab. Syst. 57 (2001) 65; Gillis & Vavasis, IEEE TPAMI 36 (2014) 698.
    .. [5] Gillis & Glineur, Neural Comput. 24 (2012) 1085.

    Examples
    --------
    >>> import numpy as np
    >>> maps = np.array([[5, 0], [3, 1], [0, 4], [1, 1]])
    >>> spectra = np.array([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    >>> W, H, n_iter, loss = nmf(maps @ spectra, 2, init="spa")
    >>> bool(loss < 1e-9), H.round(2).tolist()
    (True, [[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    """
    rows: Any = open_rows(X, memory=memory, checkpoint=checkpoint)
    solver = check_option(solver, SOLVERS, "solver")
    loss = check_option(loss, LOSSES, "loss")
    init = check_option(init, INITS, "init")
    if loss == "kullback-leibler" and solver == "hals":
        raise ValueError("solver='hals' minimises loss='frobenius' only; use solver='mu' for 'kullback-leibler'")
    max_iter = check_count(max_iter, "max_iter", 1)
    sweeps = check_count(inner_sweeps, "inner_sweeps", 1, 100, "by then nothing moves any more")
    if loss == "kullback-leibler" and sweeps != 1:
        raise ValueError(f"inner_sweeps={sweeps} is for loss='frobenius'; with 'kullback-leibler' leave it at 1")
    tol = check_number(tol, "tol", 0)
    if isinstance(rows, Source):
        real = real_of(rows)
    else:
        rows, real = checked_rows(rows)
    per_feature = check_weights(weights, rows.shape[1])
    on_w, on_h = penalties(rows.shape, alpha_W, alpha_H, l1_ratio)
    k = count_components(rows, n_components, init, H0)
    known = check_fixed(fixed_components, k, rows.shape[1])
    m = 0 if known is None else len(known)
    if init != "custom" and (W0 is not None or H0 is not None):
        raise ValueError(f"W0 and H0 are used with init='custom' only, not with init={init!r}")
    parameters = Parameters(solver, loss, sweeps, max_iter, tol, on_w, on_h, m)
    data: InMemory | OutOfCore
    if isinstance(rows, Source):
        settings = {"n_components": k, "init": init, **asdict(parameters), "weights": per_feature}
        del settings["max_iter"]  # a job may be given more
        settings |= {"random_state": repr(random_state)} if init in RANDOM else {}
        settings |= {name: np.asarray(value) for name, value in (("W0", W0), ("H0", H0)) if value is not None}
        settings |= {} if known is None else {"fixed_components": known}
        sizes = row_bytes(k, real, init), sums_bytes(rows.shape[1], k)
        data = _out_of_core(begin(rows, "nmf", memory, checkpoint, settings, *sizes))
    else:
        data = InMemory(rows)
        data.check_room(k)

    # Where no penalty depends on their scale, fixed spectra are of sum 1 in the arithmetic.
    unit = np.ones(m)
    if known is not None and on_w == on_h == Penalty():
        unit = known.sum(axis=1)

    def first() -> tuple[NDArray[Any], NDArray[np.float64]]:
        if init == "custom":
            factors = custom(data, k, W0, H0, per_feature, known)
            _scale(*factors, unit, data.chunk)
            return factors
        if known is None:
            return start(data, k, init, solver, random_state, per_feature)
        spectra = beside_fixed(data, known / unit[:, None], k, init, random_state, per_feature)
        return custom(data, k, None, spectra, per_feature)

    if known is not None and m == k:
        h = known / unit[:, None]
        w = data.maps(h, loss=loss, max_iter=max_iter, tol=tol, penalty=on_w, weights=per_feature)
        n_iter, reached = 0, data.loss(w, h, loss, per_feature)
    else:
        w, h, n_iter, reached = data.factor(first, parameters, per_feature)
    if known is not None:
        _scale(w, h, 1 / unit, data.chunk)
        h[:m] = known  # which weights leave to rounding
    return Factors(w.astype(real, copy=False), h.astype(real, copy=False), n_iter, reached)


def _scale(w: NDArray[Any], h: NDArray[Any], by: NDArray[np.float64], chunk: int) -> None:
    """Multiply the first columns of W, and divide the first rows of H."""
    for i in range(0, len(w), chunk):
        w[i : i + chunk, : len(by)] *= by
    h[: len(by)] /= by[:, None]


def _out_of_core(passes: Passes) -> OutOfCore:
    """Rows that are checked in a pass, where their type does not say enough."""
    passes.source = source_of_size(passes)
    return OutOfCore(passes)


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
    memory: int | str | None = None,
) -> NDArray[Any]:
    """
    The maps W of known spectra H: the same minimum as in `nmf`, row by row.

    Parameters
    ----------
    X : array-like or sparse matrix, shape (n, d), or PreparedRows
        Not negative. Any pixel type; it is not converted.
    H : array-like, shape (k, d)
        Spectra, not negative; they may depend on each other.
    loss : {"frobenius", "kullback-leibler"}
        Non-negative least squares, exactly [1]_; or the largest Poisson likelihood, by Newton's method until `tol`.
    max_iter, tol : int, float
        For "kullback-leibler": a row is done when a step moves less than this fraction of its counts; what is left is
        about the square of that.
    alpha_W, l1_ratio, weights, memory
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
    rows: Any = open_rows(X, memory=memory)
    if isinstance(rows, Source):
        real = real_of(rows)
    else:
        rows, real = checked_rows(rows)
    loss = check_option(loss, LOSSES, "loss")
    max_iter = check_count(max_iter, "max_iter", 1)
    tol = check_number(tol, "tol", 0)
    spectra = np.ascontiguousarray(as_rows(H, "H", nonnegative=True), dtype=np.float64)
    if spectra.shape[1] != rows.shape[1]:
        raise ValueError(f"H has {spectra.shape[1]} features and X has {rows.shape[1]}; they must be the same")
    penalty, _ = penalties(rows.shape, alpha_W, "same", l1_ratio)
    per_feature = check_weights(weights, rows.shape[1])
    data = _visited(rows, memory, len(spectra))
    w = data.maps(spectra, loss=loss, max_iter=max_iter, tol=tol, penalty=penalty, weights=per_feature)
    return w.astype(real, copy=False)


def nmf_loss(
    X: ArrayLike,
    W: ArrayLike,
    H: ArrayLike,
    *,
    loss: str = "frobenius",
    weights: ArrayLike | None = None,
    memory: int | str | None = None,
) -> float:
    """
    How far ``W @ H`` is from X: what `nmf` minimises, without the penalties.

    Parameters
    ----------
    X, W, H : array-like, shapes (n, d), (n, k) and (k, d)
        X may be a sparse matrix.
    loss, weights, memory
        As in `nmf`.

    Examples
    --------
    >>> nmf_loss([[1.0, 2.0]], [[1.0]], [[1.0, 1.0]])
    0.5
    """
    rows: Any = open_rows(X, memory=memory)
    if not isinstance(rows, Source):
        rows, _ = checked_rows(rows)
    spectra = as_rows(H, "H", nonnegative=True).astype(np.float64, order="C")
    maps = as_rows(W, "W", nonnegative=True)
    if maps.shape != (len(rows), len(spectra)) or spectra.shape[1] != rows.shape[1]:
        raise ValueError(f"W {maps.shape} times H {spectra.shape} does not have the shape of X {rows.shape}")
    loss = check_option(loss, LOSSES, "loss")
    per_feature = check_weights(weights, rows.shape[1])
    data = _visited(rows, memory, len(spectra))
    return data.loss(maps.astype(data.real, order="C", copy=False), spectra, loss, per_feature)


def _visited(rows: Any, memory: Any, k: int) -> InMemory | OutOfCore:
    """Rows of which k numbers each are asked; those in memory are checked already."""
    if not isinstance(rows, Source):
        data = InMemory(rows)
        data.check_room(k)
        return data
    return _out_of_core(begin(rows, "maps", memory, None, {}, 8 * k, sums_bytes(rows.shape[1], k), quiet=True))
