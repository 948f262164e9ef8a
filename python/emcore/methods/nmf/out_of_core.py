"""Non-negative factors of rows outside memory: the iterations of `emcore.methods.nmf.fit`, each one pass."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.methods.pca.out_of_core import principal, scores
from emcore.outofcore.engine import Passes
from emcore.outofcore.moments import mean
from emcore.outofcore.reduction import Partial, PerRow

Floats = NDArray[np.float64]
CANCELS = 1e-2
"""Below this fraction of ``‖X‖²`` the loss is summed anew, as in the kernel: a difference of sums loses digits."""
ROWS = 1 << 16
"""Rows of W that are changed at a time."""


def sums_bytes(d: int, k: int) -> int:
    """About how much memory the sums of a fit take."""
    return 8 * d * k * 24 + 8 * d * 8 * 24


def row_bytes(k: int, dtype: Any, init: str) -> int:
    """What is kept of each row: W, and while it is changed or written a part of it; with "spa" two numbers more."""
    return (8 if dtype == np.float64 else 4) * k + (16 if init == "spa" else 0)


def factors(
    passes: Passes, w: NDArray[Any], h: Floats, given: dict[str, Any], max_iter: int, tol: float
) -> tuple[int, bool, float]:
    """
    Improve `w` and `h` in place as the kernel does: ``(n_iter, converged, loss)``.

    `given` holds mu, kullback_leibler, inner_sweeps, penalty_w, penalty_h and weights.
    """
    solve = _counts if given["kullback_leibler"] else _squares
    n_iter, converged, reached = solve(passes, w, h, given, max_iter, tol)
    free = given["penalty_w"] == given["penalty_h"] == (0.0, 0.0)
    _emcore.nmf_canonical(w, h, weights=given["weights"], scale=free)
    return n_iter, converged, reached


def _squares(
    passes: Passes, w: NDArray[Any], h: Floats, given: dict[str, Any], max_iter: int, tol: float
) -> tuple[int, bool, float]:
    weights, mu = given["weights"], given["mu"]
    root = 1.0 if weights is None else np.sqrt(weights)
    h *= root
    begin = {"n_iter": 0, "converged": False, "loss": 0.0, "norm": 0.0, "first": 0.0, "start": 0.0, "last": 0.0}
    known = _resumed(passes, w, h, begin)
    while known["n_iter"] < max_iter and not known["converged"]:
        known["n_iter"] += 1
        first, before = known["n_iter"] == 1, h.copy()
        products, small, was, terms = _visited(passes, w, h, given, first, 0.0)
        if first:
            known["norm"] = terms[1]
            known["start"] = known["last"] = _root(0.5 * terms[1] - terms[0] + _half(was, before))
        violation = terms[2] + _updated(h, products, small, given)
        if not mu:
            known["first"] = violation if first else known["first"]
            known["converged"] = bool(violation <= tol * known["first"])
        check = mu and tol > 0 and known["n_iter"] % 10 == 0
        if check or known["converged"] or known["n_iter"] == max_iter:
            known["loss"] = 0.5 * known["norm"] - float((products * h).sum()) + _half(small, h)
            known["converged"] |= check and _stalled(known, tol)
        passes.checkpoint.save("factors", w=w, h=h, **known)
    h /= root
    if known["loss"] < CANCELS * known["norm"]:
        known["loss"] = loss(passes, w, h, given)
    return known["n_iter"], known["converged"], known["loss"]


def _counts(
    passes: Passes, w: NDArray[Any], h: Floats, given: dict[str, Any], max_iter: int, tol: float
) -> tuple[int, bool, float]:
    middle = mean(passes)
    known = _resumed(passes, w, h, {"n_iter": 0, "converged": False, "loss": 0.0, "start": -1.0, "last": 0.0})
    if known["start"] < 0:
        known["start"] = known["last"] = _root(loss(passes, w, h, given, middle)) if tol > 0 else 0.0
        passes.checkpoint.save("factors", w=w, h=h, **known)
    while known["n_iter"] < max_iter and not known["converged"]:
        known["n_iter"] += 1
        products, small, _, _ = _visited(passes, w, h, given, False, middle)
        _updated(h, products, small, given)
        if tol > 0 and known["n_iter"] % 10 == 0:
            known["loss"] = loss(passes, w, h, given, middle)
            known["converged"] = _stalled(known, tol)
        passes.checkpoint.save("factors", w=w, h=h, **known)
    if not known["converged"]:
        known["loss"] = loss(passes, w, h, given, middle)
    return known["n_iter"], known["converged"], known["loss"]


def _resumed(passes: Passes, w: NDArray[Any], h: Floats, begin: dict[str, Any]) -> dict[str, Any]:
    """What was known when the job was killed, `w` and `h` with it; else `begin`."""
    known = passes.checkpoint.load("factors")
    if known is None:
        passes.checkpoint.save("factors", w=w, h=h, **begin)
        return begin
    w[...], h[...] = known.pop("w"), known.pop("h")
    return known


def _visited(passes: Passes, w: NDArray[Any], h: Floats, given: dict[str, Any], first: bool, middle: float) -> Partial:
    told = {key: given[key] for key in ("mu", "kullback_leibler", "inner_sweeps", "penalty_w", "weights")}
    of_rows = PerRow(passes.source, w)
    return passes(_visit, (h, {**told, "first": first, "mean": middle}), [of_rows], [of_rows])


def _visit(x: Any, state: Any, index: int, w: NDArray[Any]) -> tuple[Any, ...]:
    h, told = state
    w = w.copy()
    products, small, before, terms = _emcore.nmf_visit(x, w, h, **told)
    return (products, small, before, np.array(terms)), w


def _updated(h: Floats, products: Floats, small: Floats, given: dict[str, Any]) -> float:
    told = {key: given[key] for key in ("mu", "kullback_leibler", "inner_sweeps", "penalty_h", "weights")}
    return _emcore.nmf_update(h, products, small, **told)


def _half(wtw: Floats, h: Floats) -> float:
    """``½ ⟨WᵀW, H Hᵀ⟩``."""
    return 0.5 * float((wtw.reshape(len(h), len(h)) * (h @ h.T)).sum())


def _root(loss: float) -> float:
    return float(np.sqrt(2 * max(loss, 0.0)))


def _stalled(known: dict[str, Any], tol: float) -> bool:
    """Whether multiplicative updates have stalled, as the kernel asks every 10 iterations."""
    root = _root(known["loss"])
    fall, known["last"] = known["last"] - root, root
    return bool(fall < tol * known["start"] or known["start"] == 0)


def loss(passes: Passes, w: NDArray[Any], h: Floats, given: dict[str, Any], middle: float | None = None) -> float:
    """`emcore.methods.nmf.fit.nmf_loss` of all rows; `middle` is their mean, if it is known."""
    counts = given["kullback_leibler"]
    middle = mean(passes) if counts and middle is None else middle
    told = {"kullback_leibler": counts, "weights": given["weights"], "mean": middle}
    return float(passes(_loss, (h, told), [PerRow(passes.source, w)])[0])


def _loss(x: Any, state: Any, index: int, w: NDArray[Any]) -> tuple[Any, ...]:
    return ((_emcore.nmf_loss(x, w.copy(), state[0], **state[1]),),)


def maps(passes: Passes, h: Floats, dtype: Any, given: dict[str, Any]) -> NDArray[Any]:
    """`emcore.methods.nmf.fit.nmf_maps` of all rows; `given` holds the options of the kernel."""
    w = np.empty((len(passes.source), len(h)), dtype)
    passes(_maps, (h, w.dtype.str, given), into=[PerRow(passes.source, w)])
    return w


def _maps(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    h, dtype, told = state
    w = np.zeros((x.shape[0], len(h)), dtype)
    _emcore.nmf_maps(x, w, h, **told)
    return (), w


def start(
    passes: Passes, k: int, init: str, mu: bool, random_state: Any, weights: Floats | None, dtype: Any
) -> tuple[NDArray[Any], Floats]:
    """The factors to begin with, as in memory."""
    source = passes.source
    n, d = source.shape
    if init == "spa":
        return _pure(passes, k, mu, weights, dtype)
    middle = mean(passes)
    w = np.empty((n, k), dtype)
    if init == "random":
        rng = np.random.default_rng(random_state)
        size = np.sqrt(middle / k)
        h = np.abs(rng.standard_normal((k, d))) * size
        for i in range(0, n, ROWS):
            w[i : i + ROWS] = np.abs(rng.standard_normal((min(ROWS, n - i), k))) * size
        return w, h
    from emcore.methods.nmf.starts import sides

    factor = None if weights is None else np.sqrt(weights)
    directions, _, center, _, _ = principal(passes, k, False, factor, "auto", 0)
    w = scores(passes, directions, center, False, factor, dtype)
    parts = sum(_parts(w[i : i + ROWS]) for i in range(0, n, ROWS))
    signs, sizes, h = sides(np.sqrt(parts), directions)
    tiny, fill = 1e-6 * np.sqrt(middle), np.sqrt(middle) if init == "nndsvda" else 0.0
    for i in range(0, n, ROWS):
        some = w[i : i + ROWS].astype(np.float64)
        some[:, 0] = np.abs(some[:, 0])
        some = np.maximum(some * signs, 0) * sizes
        some[some < tiny] = fill
        w[i : i + ROWS] = some
    h[h < tiny] = fill
    return w, h if weights is None else h / np.sqrt(weights)


def _parts(some: NDArray[Any]) -> Floats:
    """Squared norms of the positive and of the negative parts of columns."""
    values = some.astype(np.float64)
    return np.stack([(np.maximum(sign * values, 0) ** 2).sum(axis=0) for sign in (1, -1)])


def _pure(passes: Passes, k: int, mu: bool, weights: Floats | None, dtype: Any) -> tuple[NDArray[Any], Floats]:
    from emcore.methods.nmf.starts import pure_spectra

    d = passes.source.shape[1]
    found = _emcore.pure_rows_outside(_Farthest(passes, weights), d, k, weights)
    spectra = pure_spectra(passes.source.take(found) if found else np.empty((0, d)), k)
    none = {"kullback_leibler": False, "max_iter": 1, "tol": 0.0, "penalty_w": (0.0, 0.0), "weights": weights}
    w = maps(passes, spectra, dtype, none)
    if mu:  # a multiplicative update cannot leave zero
        w += w.dtype.type(1e-3 * w.mean(dtype=np.float64))
        spectra = spectra + 1e-3 / d
    return w, spectra


class _Farthest:
    """The passes by which pure rows are found."""

    def __init__(self, passes: Passes, weights: Floats | None) -> None:
        self.passes, self.weights = passes, weights
        before = passes.checkpoint.load("pure") or {"known": np.zeros((len(passes.source), 2)), "found": []}
        self.known = PerRow(passes.source, before["known"])
        self.found = [tuple(far) for far in before["found"]]
        self.asked = 0

    def farthest(self, newest: Floats | None) -> tuple[float, int | None]:
        self.asked += 1
        if self.asked > len(self.found):
            told = (newest, self.weights)
            self.found.append(self.passes(_farthest, told, [self.known], [self.known], _farther))
            self.passes.checkpoint.save("pure", known=self.known.array, found=self.found)
        far, index, row = self.found[self.asked - 1]
        return float(far), None if row < 0 else self.passes.source.row_of(int(index), int(row))

    def row(self, index: int) -> Floats:
        found: Floats = self.passes.source.take([index])[0].astype(np.float64)
        return found


def _farthest(x: Any, state: Any, index: int, known: Floats) -> tuple[Any, ...]:
    values = known.reshape(-1).copy()
    far, row = _emcore.pure_rows_visit(x, values, *state)
    return (far, index, -1 if row is None else row), values


def _farther(a: Partial, b: Partial) -> Partial:
    return b if b[0] > a[0] else a
