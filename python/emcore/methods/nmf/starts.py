"""Where non-negative factors start: from singular vectors, pure rows, random numbers, or given factors."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats, as_rows
from emcore.methods.nmf.in_memory import InMemory
from emcore.methods.nmf.out_of_core import OutOfCore
from emcore.methods.nmf.settings import Penalty
from emcore.methods.pca.fit import PCAResult, scores


def custom(
    data: InMemory | OutOfCore, k: int, W0: Any, H0: Any, weights: Floats | None, fixed: Floats | None = None
) -> tuple[NDArray[Any], Floats]:
    """Copies of given factors, W of the type in which is computed; without W0 the maps that belong to H0."""
    n, d = data.shape
    spectra = np.array(_given(H0, "H0", (k, d)), dtype=np.float64, order="C")
    if fixed is not None and not np.allclose(spectra[: len(fixed)], fixed, rtol=1e-6, atol=0):
        raise ValueError(f"H0 begins with other spectra than the {len(fixed)} of fixed_components; repeat these in it")
    if W0 is not None:
        return np.array(_given(W0, "W0", (n, k)), dtype=data.real, order="C"), spectra
    maps = data.maps(spectra, loss="frobenius", max_iter=1, tol=0.0, penalty=Penalty(), weights=weights)
    # Where a multiplicative update cannot leave zero.
    maps += 1e-3 * maps.mean()
    return maps, spectra


def _given(value: Any, name: str, wanted: tuple[int, int]) -> NDArray[Any]:
    if value is None:
        raise ValueError(f"{name} is missing; init='custom' starts from H0, and from W0 if it is given")
    array = as_rows(value, name, nonnegative=True)
    if array.shape != wanted:
        raise ValueError(f"{name} has shape {array.shape}; data and n_components ask for {wanted}")
    return array


def beside_fixed(
    data: InMemory | OutOfCore, fixed: Floats, k: int, init: str, random_state: Any, weights: Floats | None
) -> Floats:
    """The fixed spectra, shape (m, d), and k - m more to start from, for any `init` but "custom"."""
    d, free = fixed.shape[1], k - len(fixed)
    root = np.ones(d) if weights is None else np.sqrt(weights)
    if init == "random":
        return np.vstack([fixed, np.abs(np.random.default_rng(random_state).standard_normal((free, d)))])
    if init == "spa":
        purest = pure_spectra(data.purest(k, weights), k)
        return np.vstack([fixed, purest[_farthest(fixed * root, purest * root, free)] + 1e-3 / d])
    scores, directions = data.singular(k, None if weights is None else root)
    mean = data.mean()
    h = orthogonal(scores, directions, fixed * root, free, data.chunk)
    # As large as those of `nndsvd` are.
    h[h < 1e-6 * np.sqrt(mean)] = np.sqrt(mean) if init == "nndsvda" else 0.0
    if init == "nndsvdar":
        zeros = h == 0
        h[zeros] = np.abs(mean / 100 * np.random.default_rng(random_state).standard_normal(int(zeros.sum())))
    return np.vstack([fixed, h / root])


def orthogonal(scores: NDArray[Any], directions: NDArray[Any], fixed: Floats, free: int, chunk: int) -> Floats:
    """
    Spectra of what singular vectors hold beside fixed spectra: of the part orthogonal to these, as `nndsvd` has them.

    Parameters
    ----------
    scores : ndarray, shape (n, k)
        Left singular vectors times singular values.
    directions : ndarray, shape (k, d)
        Right singular vectors.
    fixed : ndarray, shape (m, d)
        Weighted as the directions are.
    free : int
        How many, at most k - m.
    chunk : int
        Rows of `scores` that are looked at at a time.

    Returns
    -------
    ndarray, shape (free, d)

    Examples
    --------
    >>> orthogonal(np.array([[3.0, 0.0], [0.0, 2.0]]), np.eye(2), np.array([[5.0, 0.0]]), 1, 2).round(3).tolist()
    [[0.0, 1.414]]
    """
    directions = directions.astype(np.float64)
    along = np.einsum("md,kd->mk", fixed / np.linalg.norm(fixed, axis=1, keepdims=True), directions)
    _, sizes, axes = np.linalg.svd(along)
    axes = axes[np.count_nonzero(sizes > 1e-6) :]
    chunks = [scores[i : i + chunk] for i in range(0, len(scores), chunk)]
    gram = sum(np.einsum("ij,ik->jk", some, some, dtype=np.float64) for some in chunks)
    axes = np.linalg.eigh(axes @ gram @ axes.T)[1][:, ::-1][:, :free].T @ axes
    norms = np.sqrt(sum(_squares(np.einsum("ij,fj->if", some, axes)) for some in chunks))
    return sides(norms, np.einsum("fj,jd->fd", axes, directions), moduli=False)[2]


def _farthest(fixed: Floats, candidates: Floats, free: int) -> list[int]:
    """Which candidates are, one after another, farthest from the span of the fixed spectra and those before."""
    _, sizes, basis = np.linalg.svd(fixed / fixed.max(axis=1, keepdims=True), full_matrices=False)
    basis = basis[sizes > 1e-6 * sizes[0]]
    rest = candidates - np.einsum("ik,kd->id", np.einsum("id,kd->ik", candidates, basis), basis)
    chosen: list[int] = []
    for _ in range(free):
        sizes = np.linalg.norm(rest, axis=1)
        sizes[chosen] = -1
        chosen.append(int(np.argmax(sizes)))
        unit = rest[chosen[-1]] / max(float(sizes[chosen[-1]]), 1e-300)
        rest = rest - np.outer(np.einsum("id,d->i", rest, unit), unit)
    return chosen


def start(
    data: InMemory | OutOfCore, k: int, init: str, solver: str, random_state: Any, weights: Floats | None
) -> tuple[NDArray[Any], Floats]:
    """W and H, new arrays, for any `init` but "custom"."""
    n, d = data.shape
    if init == "spa":
        spectra = pure_spectra(data.purest(k, weights), k)
        maps = data.maps(spectra, loss="frobenius", max_iter=1, tol=0.0, penalty=Penalty(), weights=weights)
        if solver == "mu":  # a multiplicative update cannot leave zero
            maps += 1e-3 * maps.mean()
            spectra += 1e-3 / d
        return maps, spectra
    mean = data.mean()
    if init == "random":
        rng, size = np.random.default_rng(random_state), np.sqrt(mean / k)
        h = np.abs(rng.standard_normal((k, d))) * size
        w = np.empty((n, k), data.real)
        for i in range(0, n, data.chunk):
            some = w[i : i + data.chunk]
            some[...] = np.abs(rng.standard_normal(some.shape)) * size
        return w, h
    w, directions = data.singular(k, None if weights is None else np.sqrt(weights))
    tiny, fill = 1e-6 * np.sqrt(mean), np.sqrt(mean) if init == "nndsvda" else 0.0
    h = nndsvd(w, directions, tiny, fill, data.chunk)
    if init == "nndsvdar":
        rng, size = np.random.default_rng(random_state), mean / 100
        for some in (h, *(w[i : i + data.chunk] for i in range(0, n, data.chunk))):
            zeros = some == 0
            some[zeros] = np.abs(size * rng.standard_normal(int(zeros.sum())))
    return w, h if weights is None else h / np.sqrt(weights)


def from_pure_scores(rows: NDArray[Any], decomposition: PCAResult, k: int) -> tuple[Floats, Floats]:
    """
    Maps and spectra from the purest rows, freed from noise by a PCA, and all others as their mixtures.

    For power spectra of windows the factorisation reaches the same minimum from here as from the singular vectors in a
    tenth of the iterations. The rows are chosen by successive projection of their scores.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        Not negative.
    decomposition : PCAResult
        Of these rows, not centred, with weights that are not zero.
    k : int
        How many of its components count.

    Returns
    -------
    W, H : ndarray, shapes (n, k) and (k, d)

    Examples
    --------
    >>> from emcore.methods.pca.fit import pca
    >>> rows = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [0.5, 1.5, 1.0]])
    >>> W, H = from_pure_scores(rows, pca(rows, 2, center=False, weights=np.ones(3)), 2)
    >>> bool(np.allclose(W @ H, rows))
    True
    """
    decomposition = replace(decomposition, components=decomposition.components[:k])
    places = scores(rows, decomposition)
    chosen = _emcore.pure_rows(places, k, None, scaled=False)  # scores are of either sign
    pure = places[np.resize(chosen, k)]  # where rows are mixtures of fewer, some stand twice
    mixture = np.einsum("ij,jk->ik", places, np.linalg.pinv(pure, rcond=1e-6))
    spectra = np.einsum("ij,jd->id", pure, decomposition.components) / (
        1.0 if decomposition.weights is None else decomposition.weights
    )
    return np.maximum(mixture, 0), np.maximum(spectra, 0)


def pure_spectra(chosen: NDArray[Any], k: int) -> Floats:
    """Spectra of sum 1 from up to k pure rows; where there are fewer, their mean stands for the rest."""
    spectra = np.empty((k, chosen.shape[1]))
    spectra[: len(chosen)] = chosen
    spectra[len(chosen) :] = chosen.mean(axis=0, dtype=np.float64) if len(chosen) else 1.0
    return np.asarray(spectra / spectra.sum(axis=1, keepdims=True))


def nndsvd(w: NDArray[Any], directions: NDArray[Any], tiny: float, fill: float, chunk: int) -> Floats:
    """
    Non-negative factors from singular vectors [1]_.

    Of each pair of singular vectors the positive or the negative parts are taken, whichever are larger.

    Parameters
    ----------
    w : ndarray, shape (n, k)
        Left singular vectors times singular values; W is put in their place.
    directions : ndarray, shape (k, d)
        Right singular vectors.
    tiny, fill : float
        What is less than `tiny` becomes `fill`.
    chunk : int
        Rows of `w` that are changed at a time.

    Returns
    -------
    ndarray, shape (k, d)
        H.

    References
    ----------
    .. [1] Boutsidis & Gallopoulos, Pattern Recognition 41 (2008) 1350.

    Examples
    --------
    >>> W = np.array([[-2.0], [-2.0]])
    >>> H = nndsvd(W, np.array([[-1.0, 0.0]]), 0.0, 0.0, 2)
    >>> (W @ H).round(6).tolist()
    [[2.0, 0.0], [2.0, 0.0]]
    """
    chunks = [w[i : i + chunk] for i in range(0, len(w), chunk)]
    signs, sizes, h = sides(np.sqrt(sum(_squares(some) for some in chunks)), directions)
    for some in chunks:
        values = some.astype(np.float64)
        values[:, 0] = np.abs(values[:, 0])
        values = np.maximum(values * signs, 0) * sizes
        values[values < tiny] = fill
        some[...] = values
    h[h < tiny] = fill
    return h


def _squares(scores: NDArray[Any]) -> Floats:
    """Squared norms of the positive and of the negative parts of columns."""
    values = scores.astype(np.float64)
    return np.stack([(np.maximum(sign * values, 0) ** 2).sum(axis=0) for sign in (1, -1)])


def sides(
    norms: NDArray[np.float64], directions: NDArray[Any], moduli: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """
    Which parts of singular vectors `nndsvd` keeps, from the norms of the positive and negative parts of all scores.

    Parameters
    ----------
    norms : ndarray, shape (2, k)
    directions : ndarray, shape (k, d)
    moduli : bool
        Whether of the first pair the moduli are kept.

    Returns
    -------
    signs, sizes : ndarray, shape (k,)
        W is the positive part of the scores times `signs`, times `sizes`.
    H : ndarray, shape (k, d)
    """
    signs, sizes, h = np.ones(len(directions)), np.zeros(len(directions)), np.zeros(directions.shape)
    for t, y in enumerate(directions.astype(np.float64)):
        if t == 0 and moduli:
            parts = [(1.0, np.hypot(*norms[:, t]), np.abs(y))]
        else:
            parts = [(1.0, norms[0, t], np.maximum(y, 0)), (-1.0, norms[1, t], np.maximum(-y, 0))]
        best = int(np.argmax([a * np.linalg.norm(v) for _, a, v in parts]))
        sign, a, v = parts[best]
        b = np.linalg.norm(v)
        if a > 0 and b > 0:
            signs[t], sizes[t] = sign, np.sqrt(b / a)
            h[t] = v * np.sqrt(a / b)
    return signs, sizes, h
