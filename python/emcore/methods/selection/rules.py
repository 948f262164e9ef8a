"""The rules that read a number of components off the explained-variance ratios (EVR) of a PCA.

Every rule returns a `RankChoice`: the number, the rule that really decided, and why. Sources: `gap`, measured on
windowed spectra of micrographs; `elbow`, largest distance to the chord of ln EVR; `jany`, Jany, Janas & Krok, Micron
130 (2020) 102800; `threshold`, Duran et al. (2023); `broken-stick`, Frontier (1976); `gavish-donoho`, Gavish & Donoho,
IEEE Trans. Inf. Theory 60 (2014) 5040; `parallel`, Horn, Psychometrika 30 (1965) 179; `minka`, Minka, NIPS 13 (2000).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.validation import Floats, check_count, check_number

# A ratio this far below the first is rounding of single-precision data, not a component.
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class RankChoice:
    """A number of components, the rule that chose it and the reason in words; `int(choice)` is the number."""

    n: int
    rule: str
    reason: str

    def __int__(self) -> int:
        return self.n

    def __index__(self) -> int:
        return self.n


def optimal_threshold(shape: tuple[int, int], *, known_noise: bool = True) -> float:
    """Gavish and Donoho's coefficient of the optimal hard threshold for singular values.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the matrix.
    known_noise : bool, default True
        True: lambda*(beta), to be multiplied by sigma sqrt(max(shape)). False: omega(beta), to be multiplied by the
        median singular value.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a side is below 1.

    Examples
    --------
    >>> from emcore.methods.selection.rules import optimal_threshold
    >>> round(optimal_threshold((100, 100)), 4), round(optimal_threshold((100, 100), known_noise=False), 3)
    (2.3094, 2.858)
    """
    rows, columns = _check_shape(shape)
    beta = min(rows, columns) / max(rows, columns)
    coefficient = math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1)))
    return coefficient if known_noise else coefficient / math.sqrt(_marchenko_pastur_median(beta))


def without_noise(singular_values: Floats, shape: tuple[int, int], noise: float) -> Floats:
    """
    What of each component is left of its signal once noise has turned its vectors away, as a singular value.

    Parameters
    ----------
    singular_values : ndarray
    shape : (int, int)
        Rows and columns of the matrix.
    noise : float
        Standard deviation of its entries, sigma.

    Returns
    -------
    ndarray
        With y in units of ``sigma sqrt(max(shape))``, ``sqrt((y^2 - beta - 1)^2 - 4 beta) / y``: the optimal shrinkage
        (Gavish & Donoho, IEEE Trans. Inf. Theory 63 (2017) 2137), which is the signal times the cosines of its vectors
        with those of the measurement; 0 up to the edge of noise.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.rules import without_noise
    >>> without_noise(np.array([1e4, 30.0, 19.0]), (100, 100), 1.0).round(1).tolist()
    [10000.0, 22.4, 0.0]
    """
    rows, columns = _check_shape(shape)
    beta, unit = min(rows, columns) / max(rows, columns), noise * math.sqrt(max(rows, columns))
    y = np.maximum(np.asarray(singular_values, dtype=np.float64) / unit, 1 + math.sqrt(beta))
    left: Floats = unit * np.sqrt(np.maximum((y**2 - beta - 1) ** 2 - 4 * beta, 0)) / y
    return left


def _gap(evr: Floats, min_ratio: float = 1.5, max_components: int = 20) -> RankChoice:
    check_number(min_ratio, "min_ratio", 1)
    check_count(max_components, "max_components", 2)
    floor = _NEGLIGIBLE * evr[0]
    usable = int(np.count_nonzero(evr > floor))
    last = min(max_components, usable, len(evr) - 1)
    if last < 2:
        return RankChoice(1, "gap", f"only {min(usable, len(evr))} of the EVR can be compared; the rule needs 3")
    ratios = evr[1:last] / np.maximum(evr[2 : last + 1], floor)
    best = int(np.argmax(ratios))
    if ratios[best] < min_ratio:
        return RankChoice(1, "gap", f"largest ratio of neighbouring EVR, {ratios[best]:.3g}, is below {min_ratio:g}")
    k = best + 2
    said = f"largest ratio of neighbouring EVR, {ratios[best]:.3g}, is that of components {k} and {k + 1}"
    return RankChoice(k, "gap", said)


def _elbow(evr: Floats, max_components: int = 20) -> RankChoice:
    check_count(max_components, "max_components", 2)
    positive = evr[evr > _NEGLIGIBLE * evr[0]]
    m = min(max_components, len(positive) - 1)
    if m < 2:
        return RankChoice(1, "elbow", f"only {len(positive)} positive EVR; the rule needs 3")
    y = np.log(positive[: m + 1])
    i = np.arange(m + 1)
    distance = np.abs(m * (y[0] - y) + i * (y[m] - y[0])) / math.hypot(m, y[m] - y[0])
    k = int(np.argmax(distance)) + 1
    return RankChoice(k, "elbow", f"component {k} is farthest from the chord of ln EVR over the first {m + 1}")


def _jany(evr: Floats) -> RankChoice:
    if len(evr) >= 3:
        gradient = np.gradient(evr)
        peaks = np.flatnonzero((gradient[1:-1] > gradient[:-2]) & (gradient[1:-1] > gradient[2:])) + 1
        if len(peaks):
            k = int(peaks[0]) + 1
            return RankChoice(k, "jany", f"the gradient of EVR has its first local maximum at component {k}")
    choice = _elbow(evr)
    return RankChoice(choice.n, "elbow", f"the gradient of EVR has no local maximum, so rule 'elbow': {choice.reason}")


def _threshold(evr: Floats, minimum: float = 0.01, null: ArrayLike | None = None) -> RankChoice:
    check_number(minimum, "minimum", 0, 1)
    count = int(np.count_nonzero(evr >= minimum))
    said = f"{count} EVR reach {minimum:.3g}"
    if count < 2:
        others = [_gap(evr)] if null is None else [_gap(evr), _parallel(evr, null)]
        for other in others:
            if other.n > max(count, 1):
                return RankChoice(other.n, other.rule, f"only {said}, so rule {other.rule!r}: {other.reason}")
    return RankChoice(max(count, 1), "threshold", said if count else f"{said}; at least 1 is kept")


def _broken_stick(evr: Floats, n_total: int | None = None) -> RankChoice:
    if n_total is None:
        if evr.sum() < 1 - 1e-3:
            raise ValueError(f"evr is truncated, its sum is {evr.sum():.3g}: pass n_total, the number in a full PCA")
        n_total = len(evr)
    check_count(n_total, "n_total", len(evr))
    pieces = np.cumsum(1 / np.arange(n_total, 0, -1.0))[::-1] / n_total
    k = _leading(evr > pieces[: len(evr)])
    if k == 0:
        return RankChoice(1, "broken-stick", "no EVR exceeds the broken stick; at least 1 is kept")
    return RankChoice(k, "broken-stick", f"the first {k} EVR exceed the pieces of a stick broken into {n_total}")


def _gavish_donoho(
    evr: Floats,
    shape: tuple[int, int] | None = None,
    noise: float | None = None,
    sum_of_squares: float | None = None,
    total_counts: float | None = None,
) -> RankChoice:
    if shape is None:
        raise TypeError("rule 'gavish-donoho' needs the option shape=(rows, columns) of the decomposed matrix")
    rows, columns = _check_shape(shape)
    if total_counts is not None:
        if noise is not None or sum_of_squares is not None:
            raise ValueError("total_counts fixes the noise: leave out noise and sum_of_squares")
        check_number(total_counts, "total_counts", 1)
        # Weighted counts have the largest singular value 1 exactly, which fixes the scale of the others.
        singular = np.sqrt(evr / evr[0])
        limit = optimal_threshold(shape) * math.sqrt(max(rows, columns) / total_counts)
        basis = f"noise 1/sqrt({total_counts:.4g} counts)"
    elif noise is not None:
        if sum_of_squares is None:
            raise TypeError("a known noise needs sum_of_squares, that of the decomposed matrix, beside it")
        check_number(noise, "noise", 0)
        check_number(sum_of_squares, "sum_of_squares", 0)
        singular = np.sqrt(evr * sum_of_squares)
        limit = optimal_threshold(shape) * noise * math.sqrt(max(rows, columns))
        basis = f"noise {noise:.4g}"
    else:
        if len(evr) < min(rows, columns):
            raise ValueError(
                f"evr is truncated: the median rule needs all {min(rows, columns)} ratios, found {len(evr)}; "
                "pass the full spectrum or the noise"
            )
        singular = np.sqrt(evr)
        limit = optimal_threshold(shape, known_noise=False) * float(np.median(singular))
        basis = "noise from the median"
    k = _leading(singular > limit)
    said = f"singular values above the optimal threshold {limit:.3g} ({basis})"
    if k == 0:
        return RankChoice(1, "gavish-donoho", f"no {said}; at least 1 is kept")
    atleast = " or more: evr ends here" if k == len(evr) < min(rows, columns) else ""
    return RankChoice(k, "gavish-donoho", f"{k} {said}{atleast}")


def _parallel(evr: Floats, null: ArrayLike | None = None, percentile: float = 95.0) -> RankChoice:
    if null is None:
        raise TypeError("rule 'parallel' needs the option null, see emcore.methods.selection.components.null_evr")
    check_number(percentile, "percentile", 0, 100)
    draws = np.asarray(null, dtype=np.float64)
    if draws.ndim != 2 or 0 in draws.shape or not np.isfinite(draws).all():
        raise ValueError(f"null must be finite ratios of shape (draws, components), found shape {draws.shape}")
    m = min(len(evr), draws.shape[1])
    k = _leading(evr[:m] > np.percentile(draws[:, :m], percentile, axis=0))
    said = f"exceed the {percentile:g}th percentile of {len(draws)} draws without structure"
    if k == 0:
        return RankChoice(1, "parallel", f"no EVR {said}; at least 1 is kept")
    return RankChoice(k, "parallel", f"the first {k} EVR {said}")


def _minka(evr: Floats, n_samples: int | None = None) -> RankChoice:
    if n_samples is None:
        raise TypeError("rule 'minka' needs the option n_samples, the number of rows of the decomposed matrix")
    d = len(evr)
    if evr.sum() < 1 - 1e-3:
        raise ValueError(f"evr is truncated: rule 'minka' needs all ratios, found {d} with sum {evr.sum():.3g}")
    if n_samples < d:
        raise ValueError(f"rule 'minka' needs at least as many rows as columns, found {n_samples} and {d}")
    evidence = [_minka_evidence(evr, rank, n_samples) for rank in range(1, d)]
    if not evidence:
        return RankChoice(1, "minka", "there is only one component")
    k = int(np.argmax(evidence)) + 1
    return RankChoice(k, "minka", f"the evidence is largest for {k} of {d - 1} ranks tried")


def _minka_evidence(evr: Floats, rank: int, n: int) -> float:
    """Logarithm of Minka's equation 80; the scale of the spectrum adds the same to every rank."""
    d = len(evr)
    if evr[rank - 1] < np.finfo(np.float64).eps:
        return -math.inf
    i = np.arange(1, rank + 1)
    uniform = -rank * math.log(2) + sum(math.lgamma(h) - h * math.log(math.pi) for h in (d - i + 1) / 2)
    noise = max(float(evr[rank:].sum()) / (d - rank), float(np.finfo(np.float64).eps))
    smoothed = np.concatenate([evr[:rank], np.full(d - rank, noise)])
    m = d * rank - rank * (rank + 1) / 2
    occam = 0.0
    for a in range(rank):
        spread = (evr[a] - evr[a + 1 :]) * (1 / smoothed[a + 1 :] - 1 / smoothed[a])
        with np.errstate(divide="ignore"):
            occam += float(np.sum(np.log(spread))) + (d - a - 1) * math.log(n)
    likelihood = -n / 2 * float(np.sum(np.log(evr[:rank]))) - n * (d - rank) / 2 * math.log(noise)
    volume = (m + rank) / 2 * math.log(2 * math.pi)
    return float(uniform + likelihood + volume - occam / 2 - rank / 2 * math.log(n))


def _check_shape(shape: tuple[int, int]) -> tuple[int, int]:
    if len(shape) != 2:
        raise ValueError(f"shape must be (rows, columns), found {shape}")
    return check_count(shape[0], "shape[0]", 1), check_count(shape[1], "shape[1]", 1)


def _leading(condition: NDArray[np.bool_]) -> int:
    """How many are true before the first that is not."""
    return int(np.argmin(condition)) if not condition.all() else len(condition)


def _marchenko_pastur_median(beta: float) -> float:
    """Median of the Marchenko-Pastur law of ratio beta in (0, 1], variance 1."""
    low, high = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    # x = low + (high - low) sin^2(t) takes the square-root singularities of the density away.
    t = np.linspace(0, math.pi / 2, 20001)
    x = low + (high - low) * np.sin(t) ** 2
    slope = (high - low) ** 2 * np.sin(2 * t) ** 2 / (4 * math.pi * beta * np.maximum(x, np.finfo(np.float64).tiny))
    mass = np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2)])
    return float(np.interp(0.5 * mass[-1], mass, x))


RULES: dict[str, Callable[..., RankChoice]] = {
    "gap": _gap,
    "elbow": _elbow,
    "jany": _jany,
    "threshold": _threshold,
    "broken-stick": _broken_stick,
    "gavish-donoho": _gavish_donoho,
    "parallel": _parallel,
    "minka": _minka,
}
