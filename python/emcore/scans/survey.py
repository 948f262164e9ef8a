"""What one read of several signals of a scan finds, in memory or out of core.

Which positions have no measurement, and of the others mean, variance and noise of every feature. Noise is what
neighbouring positions differ by: of two in different blocks one waits for the other.
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats, check_range
from emcore.outofcore.engine import begin
from emcore.outofcore.moments import check_values, moments_at, moments_of_both
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.sources import Source
from emcore.scans.gaps import Gaps, kinds_of_rows, place_of
from emcore.scans.neighbours import neighbours, squares_between
from emcore.scans.several import COPIES, Several

# Pairs of neighbours that are compared, at most.
_PAIRS = 5000
_FIRST, _SECOND = 1, 2


@dataclass(frozen=True, eq=False)
class Surveyed:
    """
    What a survey finds; of each signal one entry.

    Attributes
    ----------
    gaps : Gaps
        Positions where a signal has NaN or infinity, or all are one value throughout.
    notes : tuple of str
        What is to be said of them.
    mean, variance : list of ndarray, shape (d,), float64
        Over the measured positions.
    noise : list of ndarray, shape (d,), or None
    pairs : int
        Of neighbours that say so.
    pictures : list of ndarray, shape (n,), float32
        Mean over the features at every position, 0 where nothing was measured.
    limits : list of (float, float)
        The smallest and the largest value; of whole numbers only their sign.
    passes : int
    """

    gaps: Gaps
    notes: tuple[str, ...]
    mean: list[Floats]
    variance: list[Floats]
    noise: list[Floats] | None
    pairs: int
    pictures: list[NDArray[np.float32]]
    limits: list[tuple[float, float]]
    passes: int


def survey(several: Several, noise: bool) -> Surveyed:
    """
    Positions without a measurement, and how features vary over the others; with their noise if asked.

    Where only some signals are one value throughout, they may be measured: a spectrum without a count where the beam
    goes through vacuum.

    Raises
    ------
    ValueError
        NaN or infinity at every position of a signal (the first is named); fewer than two positions measured; values
        of which there are no squares.

    Examples
    --------
    >>> from emcore.scans.grids import on_one_grid
    >>> from emcore.scans.several import several
    >>> patterns, spectra = np.ones((2, 3, 8, 8)), np.ones((2, 3, 50))
    >>> patterns[..., 3, 3] = spectra[..., 7] = 9
    >>> patterns[0, 0], spectra[0, 0], spectra[0, 1] = 0, 0, 0
    >>> found = survey(several(on_one_grid([patterns, spectra]), None), noise=True)
    >>> found.gaps.said, found.notes
    ('1 of 6 positions is empty (1 zero throughout)', ('signal 1: 1 more is one value throughout, taken as measured',))
    """
    source, count = several.source, len(several.signals)
    n, d = source.shape
    pairs = some(neighbours(several.grid, np.arange(n)) if noise else np.zeros((0, 2), dtype=np.intp))
    copied = copy.copy(source)
    copied.copied = True  # of a block, the rows that are measured
    passes = begin(copied, "survey", None, None, {}, 9 + 5 * count, 8 * 5 * d * COPIES, quiet=True)
    kinds = np.empty((n, count), dtype=np.uint8)
    pictures = np.empty((n, count), dtype=np.float32)
    rows = [PerRow(passes.source, each) for each in (np.arange(n), _roles(n, pairs))]
    into = [PerRow(passes.source, each) for each in (kinds, pictures)]
    found = passes.once("survey", _survey, rows=rows, into=into, merge=_merged)
    firsts, low, high, _, _, _, *of_signals = found
    of_each = [
        Gaps.of_kinds(each, place_of(passes.source, first), (float(a), float(b)))
        for each, first, a, b in zip(kinds.T, firsts, low, high, strict=True)
    ]
    for each, signal, name in zip(of_each, several.signals, several.names, strict=True):
        if each.invalid == n:
            each.check(name, signal.shape)
    gaps = Gaps.of_kinds(_shared(kinds.T))
    gaps.check("signals", (n,))
    for each, signal, name in zip(of_each, several.signals, several.names, strict=True):
        if signal.dtype.kind == "f" and each.low <= each.high:
            check_range(each.low, each.high, name)
    if gaps.invalid:
        source.mend = "finite"
    measured = n - gaps.n_empty
    mean, squares = of_signals[::4], of_signals[1::4]
    between, made = of_signals[2::4], 1
    if gaps.n_empty and noise:
        pairs = some(neighbours(several.grid, gaps.measured))
        between, made = _between(source, gaps.measured[pairs]) if len(pairs) else between, 1 + bool(len(pairs))
    more = [int(((each == 1) | (each == 2))[~gaps.empty].sum()) for each in kinds.T]
    pictures[gaps.empty] = 0
    return Surveyed(
        gaps,
        tuple(
            f"{name}: {many} more {'is' if many == 1 else 'are'} one value throughout, taken as measured"
            for name, many in zip(several.names, more, strict=True)
            if many
        ),
        mean,
        [each / measured for each in squares],
        [each / (2 * len(pairs)) for each in between] if len(pairs) else None,
        len(pairs),
        [np.ascontiguousarray(each) for each in pictures.T],
        [(each.low, each.high) for each in of_each],
        made,
    )


def some(pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """
    As many pairs of neighbours as are compared.

    Examples
    --------
    >>> len(some(np.zeros((9000, 2), dtype=int)))
    4500
    """
    return pairs[:: max(-(-len(pairs) // _PAIRS), 1)]


def _roles(n: int, pairs: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Whether a position is the first of a pair, the second of one, or both: the second is the next one measured."""
    roles = np.zeros(n, dtype=np.uint8)
    roles[pairs[:, 0]] |= _FIRST
    roles[pairs[:, 1]] |= _SECOND
    return roles


def _shared(kinds: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of numbers as `Gaps.of_kinds` has them, shape (signals, n), those of all together."""
    invalid, zero = (kinds == 3).any(axis=0), (kinds == 1).all(axis=0)
    single = ((kinds == 1) | (kinds == 2)).all(axis=0)
    shared: NDArray[np.uint8] = np.select([invalid, zero, single], [3, 1, 2], 0).astype(np.uint8)
    return shared


def _survey(
    x: tuple[NDArray[Any], ...], state: Any, index: int, number: NDArray[np.intp], roles: NDArray[np.uint8]
) -> tuple[Any, ...]:
    observed = [kinds_of_rows(part, True, index) for part in x]
    kinds = np.stack([each for *_, each in observed])
    there = np.flatnonzero(_shared(kinds) == 0)
    limits = [_limits(part, gaps) for part, (gaps, *_) in zip(x, observed, strict=True)]
    pictures = np.stack([_emcore.x_q(p, np.ones((p.shape[1], 1)))[:, 0] / p.shape[1] for p in x], axis=1)
    of_signals: list[Any] = []
    inside, edge, waiting = _places(number, roles)
    for part in x:
        of_signals += [*moments_at(part, there)[1:], *_differences(part, inside, edge)]
    firsts = np.stack([first for _, first, _ in observed])
    low, high = np.array(limits).T
    return (firsts, low, high, len(there), number[edge], waiting, *of_signals), kinds.T, pictures.astype(np.float32)


def _limits(x: NDArray[Any], gaps: Gaps) -> tuple[float, float]:
    if x.dtype.kind != "f":  # of which only the sign matters
        return (0.0 if x.dtype.kind in "bu" else float(x.min())), 0.0
    return (gaps.low, gaps.high) if not gaps.empty.all() else (np.inf, -np.inf)


def _places(
    number: NDArray[np.intp], roles: NDArray[np.uint8]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint8]]:
    """Pairs within some rows, whose positions rise; the rows of pairs of which the other is elsewhere; their roles."""
    first = np.flatnonzero(roles & _FIRST)
    second = np.minimum(np.searchsorted(number, number[first] + 1), len(number) - 1)
    here = number[second] == number[first] + 1
    waiting = roles.copy()
    waiting[first[here]] &= ~np.uint8(_FIRST)
    waiting[second[here]] &= ~np.uint8(_SECOND)
    edge = np.flatnonzero(waiting)
    return np.stack([first[here], second[here]], axis=1), edge, waiting[edge]


def _differences(x: NDArray[Any], inside: NDArray[np.intp], edge: NDArray[np.intp]) -> tuple[Floats, NDArray[Any]]:
    with np.errstate(invalid="ignore", over="ignore"):  # where nothing is measured; such pairs are not taken
        return squares_between(x, inside), x[edge]


def _joined(a: Partial, b: Partial) -> Partial:
    """Of ``(positions, roles, total, rows, total, rows, ...)`` of two blocks; what has met does not wait any longer."""
    number, roles = (np.concatenate(each) for each in zip(a[:2], b[:2], strict=True))
    order = np.argsort(number, kind="stable")
    number = number[order]
    met, waiting, roles = _places(number, roles[order])
    values: list[Any] = []
    for of_a, of_b, rows_a, rows_b in zip(a[2::2], b[2::2], a[3::2], b[3::2], strict=True):
        total, kept = _differences(np.concatenate([rows_a, rows_b])[order], met, waiting)
        values += [of_a + of_b + total, kept]
    return number[waiting], roles, *values


def _merged(a: Partial, b: Partial) -> Partial:
    firsts = np.where(a[0][:, :1] >= 0, a[0], b[0])
    waiting = _joined(
        *((*each[4:6], *(v for at in range(8, len(each), 4) for v in each[at : at + 2])) for each in (a, b))
    )
    of_signals: list[Any] = []
    for i in range(6, len(a), 4):
        _, *moments = moments_of_both((a[3], *a[i : i + 2]), (b[3], *b[i : i + 2]))
        of_signals += [*moments, *waiting[2 + (i - 6) // 2 :][:2]]
    return firsts, np.minimum(a[1], b[1]), np.maximum(a[2], b[2]), a[3] + b[3], *waiting[:2], *of_signals


def _between(source: Source, pairs: NDArray[np.intp]) -> list[Floats]:
    """The sum of the squares by which the rows of pairs differ, of each signal, in a pass of its own."""
    n, d = source.shape
    passes = begin(source, "noise", None, None, {}, 9, 8 * 3 * d * COPIES, quiet=True)
    rows = [PerRow(passes.source, each) for each in (np.arange(n), _roles(n, pairs))]
    return list(passes.once("noise", _noise, rows=rows, merge=_joined)[2::2])


def _noise(
    x: tuple[NDArray[Any], ...], state: Any, index: int, number: NDArray[np.intp], roles: NDArray[np.uint8]
) -> tuple[Any, ...]:
    inside, edge, waiting = _places(number, roles)
    return ((number[edge], waiting, *(value for part in x for value in _differences(part, inside, edge))),)


def check_not_negative(several: Several, surveyed: Surveyed) -> None:
    """
    Refuse signals with negative values, of which there are no roots, with the position of the first.

    Examples
    --------
    >>> from emcore.scans.grids import on_one_grid
    >>> from emcore.scans.several import several
    >>> found = several(on_one_grid([np.arange(24).reshape(2, 3, 4), np.ones((2, 3, 9)) - np.eye(9)[:3] * 3]), None)
    >>> check_not_negative(found, survey(found, noise=False))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: Negative values in data passed to signal 1, first at [0, 0, 0]; subtract the detector's offset ...
    """
    for i, (low, _) in enumerate(surveyed.limits):
        if low < 0:
            check_values(several.alone(i), None, nonnegative=True)
