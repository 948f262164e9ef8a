"""Which phases have positions of their own, and what is their spectrum there?

Non-negative factors are not unique: whatever two phases have in common may be given to either, as long as no spectrum
and no map falls below zero. Where a background lies under all lines, as under the edges of energy losses, that freedom
is large, and a factor is a phase without its background. The maps tell better: where much of a phase lies at positions
of one and the same composition, at a corner of all compositions, these are of that phase alone, and their spectrum is
its spectrum. Compositions that thin out towards the corner are of mixtures, and the factor stays, without the lines of
phases that are alone somewhere (`emcore.methods.unmixing.lines`).

Compositions are shares of the factors, and a phase's amount is its barycentric coordinate with respect to all corners,
whatever the factors share. Corners are where the share of each factor is largest, or where they span the largest
volume (Winter, Proc. SPIE 3753 (1999) 266), whichever holds more. Positions are looked at one by one and with their
neighbours, in whose mean there is less noise.
"""

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.unmixing.lines import without_lines_of_others

# A corner is where this part of a factor is, which is purest, and not fewer positions than these.
_CORNER, _LEAST = 0.1, 9
# Of the same composition: coordinates that differ by less.
_SAME = 0.1
# A phase with so much of it at its corner has positions of its own.
_OWN = 0.5
# Corners nearer to each other, as their matrix is conditioned, are not apart.
_APART = 1e4
# A position farther out than a corner by this makes a larger volume; and so much of the mean counts it has at least.
_BEYOND, _BRIGHT = 1.05, 0.25


def at_pure_positions(maps: Floats, spectra: Floats, grid: tuple[int, ...]) -> tuple[Floats, NDArray[np.bool_]]:
    """
    The spectra of phases at positions of their own.

    Parameters
    ----------
    maps : ndarray, shape (n, k)
        Counts of every factor; a position that takes no part has none.
    spectra : ndarray, shape (k, d)
        Of the factors, each of sum 1.
    grid : tuple of int
        Shape of the scan, of n positions.

    Returns
    -------
    spectra : ndarray, shape (k, d)
        Each of sum 1: of these phases at their own positions, of the others without the lines of these.
    own : ndarray of bool, shape (k,)
        Which they are.

    Examples
    --------
    Two phases, side by side, and factors between which their background was shared out wrongly:

    >>> import numpy as np
    >>> from emcore.methods.unmixing.pure_positions import at_pure_positions
    >>> maps = np.zeros((6, 6, 2))
    >>> maps[:, :3], maps[:, 3:] = [90.0, 10.0], [0.0, 100.0]
    >>> spectra, own = at_pure_positions(maps.reshape(-1, 2), np.array([[1.0, 0.0], [0.0, 1.0]]), (6, 6))
    >>> spectra.round(3).tolist(), own.tolist()
    ([[0.9, 0.1], [0.0, 1.0]], [True, True])
    """
    k = maps.shape[1]
    if k < 2 or np.count_nonzero(maps.any(axis=1)) < _LEAST * k or not (maps.sum(axis=0) > 0).all():
        return spectra, np.zeros(k, dtype=bool)
    amounts = [maps, _with_neighbours(maps, grid)]
    best, shares, own = 0.0, np.eye(k), np.zeros(k, dtype=bool)
    first = _corners(amounts[1], amounts[1] / np.maximum(amounts[1].sum(axis=1, keepdims=True), 1e-300))
    for corners in (first, _largest_volume(amounts[1], first)):
        if np.linalg.cond(corners) > _APART:
            continue
        parts, means = zip(*(_at_corners(each, corners) for each in amounts), strict=True)
        better, part = np.argmax(parts, axis=0), np.max(parts, axis=0)
        if part.sum() > best:
            best, own = float(part.sum()), part > _OWN
            shares = np.where(own[:, None], np.array(means)[better, np.arange(k)], np.eye(k))
    if not own.any():
        return spectra, own
    return without_lines_of_others(shares @ spectra, own), own


def _with_neighbours(maps: Floats, grid: tuple[int, ...]) -> Floats:
    """Sums over every position that takes part and those around it; along a line, those next to it that do."""
    filled, sums = maps.any(axis=1), np.zeros(maps.shape)
    if sum(size > 1 for size in grid) < 2:
        sums[filled] = _with_next(maps[filled].astype(np.float64), 0)
        return sums
    around = maps.reshape(*grid, -1).astype(np.float64)
    for axis in range(len(grid)):
        around = _with_next(around, axis)
    sums[filled] = around.reshape(maps.shape)[filled]
    return sums


def _with_next(values: Floats, axis: int) -> Floats:
    along = np.moveaxis(values, axis, 0)
    sums = along.copy()
    sums[1:] += along[:-1]
    sums[:-1] += along[1:]
    together: Floats = np.moveaxis(sums, 0, axis)
    return together


def _corners(amounts: Floats, of_positions: Floats) -> Floats:
    """Shares of all factors where the coordinate of each corner is largest, one row a corner."""
    corners = []
    for coordinate in of_positions.T:
        order = np.argsort(-coordinate, kind="stable")
        mass = np.cumsum((np.maximum(coordinate, 0) * amounts.sum(axis=1))[order])
        many = [max(int(np.searchsorted(mass, part * mass[-1])) + 1, _LEAST) for part in (_CORNER, 2 * _CORNER)]
        inner, outer = (coordinate[order[min(count, len(order) - 1)]] for count in many)
        # Of one half to the other the weights fall to zero: a position more or less makes no step.
        width = float(inner - outer)
        weights = np.clip((coordinate - outer) / width, 0, 1) if width > 1e-9 else (coordinate >= inner).astype(float)
        corners.append(weights @ amounts)
    shares = np.array(corners)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
    return shares


def _largest_volume(amounts: Floats, corners: Floats) -> Floats:
    """Corners between which the largest volume lies, each where the factor is that has most of it there."""
    from scipy.optimize import linear_sum_assignment

    whole = amounts.sum(axis=1)
    bright = amounts[whole >= _BRIGHT * whole[whole > 0].mean()]
    shares, corners = bright / bright.sum(axis=1, keepdims=True), corners.copy()
    for _ in range(3 * len(corners)):
        moved = False
        for i in range(len(corners)):
            # The volume with a position in place of a corner, over that with the corner, is its coordinate.
            beyond = np.abs(shares @ np.linalg.pinv(corners)[:, i])
            farthest = int(np.argmax(beyond))
            if beyond[farthest] > _BEYOND:
                corners[i], moved = shares[farthest], True
        if not moved:
            break
    if np.linalg.cond(corners) > _APART:
        return corners
    means = _corners(bright, np.linalg.solve(corners.T, shares.T).T)
    of_factors = linear_sum_assignment(means / means.max(axis=0), maximize=True)[1]
    ordered = np.empty_like(means)
    ordered[of_factors] = means
    return ordered


def _at_corners(amounts: Floats, corners: Floats) -> tuple[Floats, Floats]:
    """Which part of every phase is at its corner, and the shares of the factors there."""
    whole = amounts.sum(axis=1)
    filled = whole > 0
    of_positions = np.linalg.solve(corners.T, (amounts[filled] / whole[filled, None]).T).T
    mass = np.maximum(of_positions, 0) * whole[filled, None]
    away = np.abs(of_positions - 1) / _SAME
    at = away < 1
    means = np.maximum(1 - away, 0).T @ amounts[filled]
    sums = means.sum(axis=1, keepdims=True)
    return (mass * at).sum(axis=0) / np.maximum(mass.sum(axis=0), 1e-300), np.where(
        sums > 0, means / np.where(sums > 0, sums, 1), corners
    )
