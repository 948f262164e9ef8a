"""Power around the shells of a spectrum in spherical harmonics: what no rotation changes, and which rotation fits best.

Power at radius q in direction u is sum_lm a_lm(q) Y_lm(u), with real harmonics of even degree, as it is the same in
opposite directions. A rotation mixes the orders m of a degree l, so that C_l(q) = sum_m a_lm(q)^2 stays as it is
(Kazhdan, Funkhouser & Rusinkiewicz, Symp. Geometry Processing 2003, 156). The rotation that brings one such function
nearest to another is sought on a grid of all rotations and then refined; as many fit as the power has symmetries, and
the one by the smallest angle is given.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats

# Weights over neighbouring shells: a peak falls on one or two of them as its direction and the grid have it.
_SHELLS = (np.array([1, 2, 3, 2, 1]) / 9).astype(np.float32)
# Highest shells, as a part of all, whose median power is that of noise.
_HIGHEST = 4
# Degrees between rotations of the grid, and between starts that are refined.
_GRID, _START = 10, 15.0
# Starts are refined from this part of the best correlation on; what comes out with this part of the best fits, too.
_HOPEFUL, _EQUAL = 0.55, 0.9
_STARTS = 40
# Steps in degrees by which rotations are refined, by the first two those that are compared.
_STEPS = (4.0, 2.0, 1.0, 0.5, 0.25)


def orders(degree: int) -> int:
    """
    How many coefficients there are up to an even degree.

    Examples
    --------
    >>> orders(0), orders(2), orders(8)
    (1, 6, 45)
    """
    return (degree + 1) * (degree + 2) // 2


def degrees_of(count: int) -> NDArray[np.intp]:
    """
    The degree l of each of so many coefficients.

    Examples
    --------
    >>> degrees_of(6).tolist()
    [0, 2, 2, 2, 2, 2]
    """
    degree = 0
    while orders(degree) < count:
        degree += 2
    return np.repeat(np.arange(0, degree + 1, 2), 2 * np.arange(0, degree + 1, 2) + 1)


def degree_power(coefficients: NDArray[np.floating]) -> Floats:
    """
    C_l(q) of coefficients of shells.

    Parameters
    ----------
    coefficients : ndarray, shape (..., shells, orders)

    Returns
    -------
    ndarray, shape (..., shells, degrees)
        Of degrees 0, 2, 4, ...

    Examples
    --------
    >>> degree_power(np.array([[2.0, 3.0, 0.0, 4.0, 0.0, 0.0]])).tolist()
    [[4.0, 25.0]]
    """
    degree = degrees_of(coefficients.shape[-1])
    squares = np.square(coefficients, dtype=np.float64)
    starts = np.flatnonzero(np.diff(degree, prepend=-1))
    power: Floats = np.add.reduceat(squares, starts, axis=-1)
    return power


def without_noise(coefficients: NDArray[np.floating]) -> Floats:
    """
    Coefficients less those of white noise, whose power is that of the highest shells.

    Parameters
    ----------
    coefficients : ndarray, shape (..., shells, orders)

    Returns
    -------
    ndarray of the same shape, float64
    """
    values = np.array(coefficients, dtype=np.float64)
    shells = values.shape[-2]
    noise = np.median(values[..., shells - max(shells // _HIGHEST, 1) :, 0], axis=-1)
    values[..., 0] -= noise[..., None]
    return values


def over_shells(coefficients: NDArray[np.floating]) -> NDArray[np.float32]:
    """
    Coefficients averaged over five neighbouring shells, the middle ones most.

    Examples
    --------
    >>> over_shells(np.array([[0.0], [0.0], [9.0], [0.0], [0.0]]))[:, 0].tolist()
    [1.0, 2.0, 3.0, 2.0, 1.0]
    """
    shells = coefficients.shape[-2]
    averaged = np.zeros(coefficients.shape, dtype=np.float32)
    for i, weight in enumerate(_SHELLS, start=-2):
        low, high = max(-i, 0), min(shells - i, shells)
        averaged[..., low:high, :] += weight * coefficients[..., low + i : high + i, :].astype(np.float32)
    return averaged


def invariants(coefficients: NDArray[np.floating]) -> Floats:
    """
    What no rotation changes: sqrt(C_l(q)) of the coefficients less noise, of length 1.

    Parameters
    ----------
    coefficients : ndarray, shape (n, shells, orders)
        Averaged over shells: a peak falls on one or two of them as its direction and the grid have it.

    Returns
    -------
    ndarray, shape (n, shells * degrees)
        Zeros where there is nothing above noise.
    """
    power = np.sqrt(degree_power(without_noise(coefficients))).reshape(len(coefficients), -1)
    length = np.linalg.norm(power, axis=1, keepdims=True)
    unit: Floats = np.divide(power, length, out=np.zeros_like(power), where=length > 0)
    return unit


def real_harmonics(directions: Floats, degree: int) -> Floats:
    """
    Real spherical harmonics of even degree, orthonormal over the sphere.

    Parameters
    ----------
    directions : ndarray, shape (n, 3)
        As (z, y, x), of length 1.
    degree : int
        The highest, even.

    Returns
    -------
    ndarray, shape (n, orders)
        Of l = 0, 2, ..., degree, and within one of m = -l to l; sines where m is negative.

    Examples
    --------
    >>> real_harmonics(np.array([[1.0, 0.0, 0.0]]), 2).round(3).tolist()
    [[0.282, 0.0, 0.0, 0.631, 0.0, 0.0]]
    """
    return np.ascontiguousarray(_by_order(directions, degree).T)


def _by_order(directions: Floats, degree: int) -> Floats:
    """Real harmonics, shape (orders, n)."""
    z, y, x = directions.T
    # Legendre functions P_lm over sin^m, times sin^m cos(m phi), which are polynomials in x and y.
    sines, cosines = [np.zeros_like(x)], [np.ones_like(x)]
    for _ in range(degree):
        cosines, sines = [*cosines, x * cosines[-1] - y * sines[-1]], [*sines, x * sines[-1] + y * cosines[-1]]
    legendre = {(0, 0): np.ones_like(z)}
    for m in range(degree + 1):
        if m:
            legendre[m, m] = (2 * m - 1) * legendre[m - 1, m - 1]
        if m < degree:
            legendre[m + 1, m] = (2 * m + 1) * z * legendre[m, m]
        for n in range(m + 2, degree + 1):
            below = (2 * n - 1) * z * legendre[n - 1, m] - (n + m - 1) * legendre[n - 2, m]
            legendre[n, m] = below / (n - m)
    values: list[Floats] = []
    for n in range(0, degree + 1, 2):
        for m in range(-n, n + 1):
            k = abs(m)
            norm = math.sqrt((2 * n + 1) / (4 * math.pi) * math.factorial(n - k) / math.factorial(n + k))
            wave = 1.0 if m == 0 else math.sqrt(2) * (sines[k] if m < 0 else cosines[k])
            values.append(norm * legendre[n, k] * wave)
    return np.stack(values)


class Fit(NamedTuple):
    """A rotation that brings one texture onto another.

    Attributes
    ----------
    correlation : float
        Of the two, the first one rotated, without the mean over each shell.
    rotation : ndarray, shape (3, 3)
        Of directions (z, y, x).
    angle : float
        Degrees, in [0, 180].
    axis : ndarray, shape (3,)
        As (z, y, x).
    """

    correlation: float
    rotation: Floats
    angle: float
    axis: Floats


def best_rotation(a: NDArray[np.floating], b: NDArray[np.floating]) -> Fit:
    """
    The rotation by the smallest angle of those that bring `a` nearest to `b`.

    Parameters
    ----------
    a, b : ndarray, shape (shells, orders)

    Returns
    -------
    Fit

    Examples
    --------
    >>> peaks = np.eye(3)  # along z, y and x
    >>> turned = rotation_about(np.array([1.0, 0.0, 0.0]), 30.0)
    >>> a = real_harmonics(peaks, 8).sum(axis=0)[None]
    >>> fit = best_rotation(a, real_harmonics(peaks @ turned.T, 8).sum(axis=0)[None])
    >>> round(fit.angle), round(fit.correlation, 2)
    (30, 1.0)
    """
    first, second = (np.asarray(each, dtype=np.float64)[:, 1:] for each in (a, b))
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    if scale == 0:
        return Fit(0.0, np.eye(3), 0.0, np.array([1.0, 0.0, 0.0]))
    product = np.einsum("qi,qj->ij", second, first) / scale
    degree = int(degrees_of(a.shape[-1])[-1])
    starts = _starts(product, degree)
    refined = _refined(starts, product, degree, _STEPS[:2])
    correlation = _correlations(refined, product, degree)
    best = np.flatnonzero(correlation >= _EQUAL * correlation.max())
    angles = np.array([rotation_angle(refined[i]) for i in best])
    chosen = best[int(np.argmin(np.round(angles, 2)))]
    rotation = _refined(refined[chosen][None], product, degree, _STEPS[2:])[0]
    best_of_all = float(_correlations(rotation[None], product, degree)[0])
    return Fit(best_of_all, rotation, rotation_angle(rotation), rotation_axis(rotation))


def rotation_about(axis: Floats, degrees: float) -> Floats:
    """
    The rotation about an axis of length 1, of vectors in the order of its components.

    Examples
    --------
    >>> rotation_about(np.array([0.0, 0.0, 1.0]), 90.0).round(9).tolist()
    [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation: Floats = c * np.eye(3) + s * cross + (1 - c) * np.outer(axis, axis)
    return rotation


def rotation_angle(rotation: Floats) -> float:
    """Its angle in degrees, in [0, 180]."""
    return math.degrees(math.acos(min(max((float(np.trace(rotation)) - 1) / 2, -1.0), 1.0)))


def rotation_axis(rotation: Floats) -> Floats:
    """The direction that it leaves as it is; the first axis where it leaves all."""
    symmetric = (rotation + rotation.T) / 2
    values, vectors = np.linalg.eigh(symmetric)
    axis: Floats = vectors[:, -1]
    if values[0] > 1 - 1e-12:
        return np.array([1.0, 0.0, 0.0])
    skew = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    return axis * (-1.0 if skew @ axis < 0 else 1.0)


@lru_cache
def _sphere(degree: int) -> tuple[Floats, Floats]:
    """Directions evenly over the sphere, and what makes coefficients without l = 0 of values there."""
    count = 2 * orders(degree)
    index = np.arange(count, dtype=np.float64) + 0.5
    z = 1 - 2 * index / count
    phi = math.pi * (1 + 5**0.5) * index
    r = np.sqrt(1 - z * z)
    directions = np.stack([z, r * np.sin(phi), r * np.cos(phi)], axis=1)
    analysis = np.asarray(np.linalg.pinv(real_harmonics(directions, degree))[1:], dtype=np.float64)
    return directions, analysis


def _representations(rotations: Floats, degree: int) -> Floats:
    """Matrices that act on the coefficients without l = 0 as each rotation acts on the function."""
    directions, analysis = _sphere(degree)
    turned = np.einsum("ui,nij->nuj", directions, rotations)
    values = real_harmonics(turned.reshape(-1, 3), degree)[:, 1:].reshape(len(rotations), len(directions), -1)
    matrices: Floats = np.einsum("au,nub->nab", analysis, values, optimize=True)
    return matrices


def _correlations(rotations: Floats, product: Floats, degree: int) -> Floats:
    directions, analysis = _sphere(degree)
    weights = np.einsum("au,ab->ub", analysis, product)
    turned = np.einsum("ui,nij->nuj", directions, rotations)
    values = _by_order(turned.reshape(-1, 3), degree)[1:].reshape(-1, len(rotations), len(directions))
    correlations: Floats = np.einsum("bnu,ub->n", values, weights)
    return correlations


@lru_cache
def _grid(degree: int) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.intp]]:
    """
    Euler angles of the grid as rotations about z and y; the matrices of the first, and those of one about y after one
    about z, of which only what lies within a degree is not 0: where that is comes last.
    """
    z, y = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    about_z = np.stack([rotation_about(z, t) for t in range(0, 360, _GRID)])
    about_y = np.stack([rotation_about(y, t) for t in range(0, 181, _GRID)])
    of_degree = degrees_of(orders(degree))[1:]
    inside = np.flatnonzero((of_degree[:, None] == of_degree).ravel())
    both = np.einsum("yab,zbc->yzac", about_y, about_z).reshape(-1, 3, 3)
    matrices = _representations(both, degree).reshape(len(both), -1)[:, inside]
    return about_z, about_y, _representations(about_z, degree), np.ascontiguousarray(matrices), inside


def _starts(product: Floats, degree: int) -> Floats:
    """Rotations of the grid that fit well, no two of them near each other."""
    about_z, about_y, of_z, of_both, inside = _grid(degree)
    turned = np.einsum("zba,bc->zac", of_z, product).reshape(len(of_z), -1)[:, inside]
    fits = np.einsum("ai,bi->ab", turned, of_both)
    correlation = fits.reshape(len(of_z), len(about_y), len(about_z))  # first about z, about y, last about z
    order = np.argsort(-correlation, axis=None, kind="stable")
    values = correlation.ravel()[order]
    order = order[: max(int(np.count_nonzero(values >= _HOPEFUL * values[0])), 1)]
    i, j, k = np.unravel_index(order[:20_000], correlation.shape)
    rotations = np.einsum("nab,nbc,ncd->nad", about_z[i], about_y[j], about_z[k])
    taken: list[Floats] = []
    left = np.ones(len(rotations), dtype=bool)
    limit = 1 + 2 * math.cos(math.radians(_START))
    while left.any() and len(taken) < _STARTS:
        taken.append(rotations[np.argmax(left)])
        left &= np.einsum("ab,nab->n", taken[-1], rotations) < limit
    return np.stack(taken)


def _refined(rotations: Floats, product: Floats, degree: int, steps: Sequence[float]) -> Floats:
    """Each rotation moved to where the correlation is the largest near by, by parabolas along three axes."""
    axes = np.eye(3)
    for step in steps:
        for axis in axes:
            turns = np.stack([rotation_about(axis, t) for t in (-step, 0.0, step)])
            tried = np.einsum("tab,nbc->ntac", turns, rotations)
            low, middle, high = _correlations(tried.reshape(-1, 3, 3), product, degree).reshape(-1, 3).T
            bend = low + high - 2 * middle
            slope = np.where(bend < 0, (low - high) / np.where(bend < 0, 2 * bend, 1.0), np.sign(high - low))
            moves = step * np.clip(slope, -1.5, 1.5)
            rotations = np.stack([rotation_about(axis, t) @ r for t, r in zip(moves, rotations, strict=True)])
    return rotations
