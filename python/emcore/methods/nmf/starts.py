"""Where non-negative factors start: from singular vectors, pure rows, random numbers, or what was given."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import as_rows
from emcore.methods.pca.fit import PCAResult, scores
from emcore.methods.pca.projection import project


def custom(shape: tuple[int, ...], k: int, W0: Any, H0: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    factors = []
    for value, name, wanted in ((W0, "W0", (shape[0], k)), (H0, "H0", (k, shape[1]))):
        if value is None:
            raise ValueError(f"{name} is missing; init='custom' starts from W0 and H0")
        array = as_rows(value, name, nonnegative=True)
        if array.shape != wanted:
            raise ValueError(f"{name} has shape {array.shape}; data and n_components ask for {wanted}")
        factors.append(array)
    return factors[0], factors[1].astype(np.float64)


def start(
    rows: NDArray[Any], k: int, init: str, solver: str, random_state: Any, weights: NDArray[np.float64] | None
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    n, d = rows.shape
    if init == "spa":
        found = _emcore.pure_rows(rows, k, weights)
        chosen = rows.take(found) if isinstance(rows, _emcore.PreparedRows) else rows[found]
        spectra = pure_spectra(chosen, k)
        maps = _maps(rows, spectra, weights)
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


def from_pure_scores(rows: NDArray[Any], found: PCAResult, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Maps and spectra from the purest rows, freed from noise by a PCA, and all others as their mixtures.

    For power spectra of windows the factorisation reaches the same minimum from here as from the singular vectors in a
    tenth of the iterations. The rows are chosen by successive projection of their scores.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        Not negative.
    found : PCAResult
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
    found = replace(found, components=found.components[:k])
    places = scores(rows, found)
    # Scores are of either sign: they must not be scaled to sum 1, as the kernel scales rows. One more feature brings
    # every sum to 1, and with so large a weight adds nothing to distances.
    heavy = 1e30
    whole = np.column_stack([places, (1 - places.sum(axis=1)) / heavy])
    chosen = _emcore.pure_rows(whole, k, np.append(np.ones(k), heavy))
    pure = places[np.resize(chosen, k)]  # where rows are mixtures of fewer, some stand twice
    mixture = np.einsum("ij,jk->ik", places, np.linalg.pinv(pure, rcond=1e-6))
    spectra = np.einsum("ij,jd->id", pure, found.components) / (1.0 if found.weights is None else found.weights)
    return np.maximum(mixture, 0), np.maximum(spectra, 0)


def _maps(rows: NDArray[Any], spectra: NDArray[np.float64], weights: NDArray[np.float64] | None) -> NDArray[Any]:
    """Of given spectra, by non-negative least squares."""
    maps = np.zeros((len(rows), len(spectra)), np.float64 if rows.dtype == np.float64 else np.float32)
    none: dict[str, Any] = {"kullback_leibler": False, "max_iter": 1, "tol": 0.0, "penalty_w": (0.0, 0.0)}
    _emcore.nmf_maps(rows, maps, spectra, weights=weights, **none)
    return maps


def pure_spectra(chosen: NDArray[Any], k: int) -> NDArray[np.float64]:
    """Spectra of sum 1 from up to k pure rows; where there are fewer, their mean stands for the rest."""
    spectra = np.empty((k, chosen.shape[1]))
    spectra[: len(chosen)] = chosen
    spectra[len(chosen) :] = chosen.mean(axis=0, dtype=np.float64) if len(chosen) else 1.0
    return np.asarray(spectra / spectra.sum(axis=1, keepdims=True))


def _singular(
    rows: NDArray[Any], k: int, factors: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Uncentred scores (n, k) and directions (k, d) of the leading singular vectors."""
    if len(rows) == 1:
        row = np.asarray(rows, dtype=np.float64) * (1.0 if factors is None else factors)
        norm = np.linalg.norm(row)
        return np.full((1, 1), norm), row / norm if norm > 0 else row
    directions, _, mean, _, _ = _emcore.pca(rows, components=k, center=False, weights=factors, solver="auto", seed=0)
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
    values = scores.astype(np.float64)
    signs, sizes, h = sides(np.stack([np.linalg.norm(np.maximum(s * values, 0), axis=0) for s in (1, -1)]), directions)
    values[:, 0] = np.abs(values[:, 0])
    return np.maximum(values * signs, 0) * sizes, h


def sides(
    norms: NDArray[np.float64], directions: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """
    Which parts of singular vectors `nndsvd` keeps, from the norms of the positive and negative parts of all scores.

    Of the first pair the moduli are kept.

    Parameters
    ----------
    norms : ndarray, shape (2, k)
    directions : ndarray, shape (k, d)

    Returns
    -------
    signs, sizes : ndarray, shape (k,)
        W is the positive part of the scores times `signs`, times `sizes`.
    H : ndarray, shape (k, d)
    """
    signs, sizes, h = np.ones(len(directions)), np.zeros(len(directions)), np.zeros(directions.shape)
    for t, y in enumerate(directions.astype(np.float64)):
        if t == 0:
            found = [(1.0, np.hypot(*norms[:, t]), np.abs(y))]
        else:
            found = [(1.0, norms[0, t], np.maximum(y, 0)), (-1.0, norms[1, t], np.maximum(-y, 0))]
        best = int(np.argmax([a * np.linalg.norm(v) for _, a, v in found]))
        sign, a, v = found[best]
        b = np.linalg.norm(v)
        if a > 0 and b > 0:
            signs[t], sizes[t] = sign, np.sqrt(b / a)
            h[t] = v * np.sqrt(a / b)
    return signs, sizes, h
