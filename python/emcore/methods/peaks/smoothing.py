"""Which spectrum does a noisy one show? Its values, or its derivative, by parabolas fitted to channels around each.

Weights of the fit fall as a Gaussian with the distance (Savitzky & Golay, Anal. Chem. 36 (1964) 1627, on axes of any
steps). Its width is that of the smallest expected error, which Stein's estimate of it tells without knowing the truth
(Ann. Statist. 9 (1981) 1135). What stands out of a spectrum is told from noise by what noise alone makes of it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from emcore.core.validation import Floats
from emcore.methods.peaks.find import prominent_peaks
from emcore.methods.peaks.noise import levels_of, profile_of

WIDTHS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
"""Widths of the weights that are tried, in channels; at 0.5 a value is nearly what it was."""
# Weights end there, in widths; so many steps to each side have the same width.
_REACH, _ALIKE = 6.0, 4
# Variance of a channel without counts.
_COUNT = 0.1
# Spectra of noise that are looked at, and the part of them in which a peak is found.
_TRIALS, _FALSE = 1000, 0.01


@dataclass(frozen=True, eq=False)
class Smoothing:
    """
    How spectra are made of what was measured.

    Attributes
    ----------
    energies : ndarray, shape (d,)
    matrix : sparse matrix, shape (d, d)
        A spectrum is its product with what was measured.
    width : float
        Of the weights, in channels.
    profile : ndarray, shape (d,)
        Standard deviation of the noise along the axis of what was measured, of mean square 1.
    deviation : ndarray, shape (d,)
        The same of a spectrum that is made of it.
    least : float
        How many deviations a peak stands out that noise alone has in 1 of 100 spectra.
    """

    energies: Floats
    matrix: Any
    width: float
    profile: Floats
    deviation: Floats
    least: float

    def of(self, measured: Floats) -> Floats:
        """The spectra of what was measured, shape (n, d)."""
        made: Floats = np.ascontiguousarray((self.matrix @ measured.T).T)
        return made

    def deviations(self, levels: Floats, quanta: Floats) -> Floats:
        """
        The standard deviation of every value of some spectra, shape (n, d).

        Parameters
        ----------
        levels : ndarray, shape (n,)
            As `noise_of` gives them.
        quanta : ndarray, shape (n,)
            What one count adds to what was measured, 0 where nothing was counted: where hardly any are, a channel
            without a count may have had one.
        """
        least = _COUNT * np.square(quanta)[:, None] * (self.matrix * self.matrix).sum(axis=1)
        made: Floats = np.sqrt(np.square(levels[:, None] * self.deviation) + least)
        return made

    def noise_of(self, measured: Floats) -> Floats:
        """How many times the profile the noise of each is, shape (n,)."""
        return levels_of(measured, self.energies, self.profile)


def local_fits(energies: Floats, width: float, derivative: bool) -> Any:
    """
    The values or derivatives of parabolas fitted around every point, as a sparse matrix.

    Parameters
    ----------
    energies : ndarray, shape (d,)
        Rising or falling.
    width : float
        Standard deviation of the weights, in channels.
    derivative : bool

    Returns
    -------
    scipy.sparse matrix, shape (d, d)

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.peaks.smoothing import local_fits
    >>> energies = np.array([0.0, 1.0, 3.0, 4.0, 4.5, 6.0])
    >>> (local_fits(energies, 2.0, derivative=True) @ energies**2).round(9) + 0.0
    array([ 0.,  2.,  6.,  8.,  9., 12.])
    """
    from scipy.sparse import csr_array

    d = len(energies)
    # Of steps that change from one to the next the mean, so that neighbours are smoothed alike.
    steps = np.pad(np.abs(np.gradient(energies)), _ALIKE, mode="edge")
    scale = width * np.convolve(steps, np.full(2 * _ALIKE + 1, 1 / (2 * _ALIKE + 1)), mode="valid")[:, None]
    reach = max(int(_REACH * width), 3)
    columns = np.arange(d)[:, None] + np.arange(-reach, reach + 1)
    inside = (columns >= 0) & (columns < d)
    columns = np.clip(columns, 0, d - 1)
    apart = (energies[columns] - energies[:, None]) / scale
    weights = np.where(inside, np.exp(-0.5 * np.square(np.minimum(np.abs(apart), _REACH))), 0.0)
    powers = apart[:, :, None] ** np.arange(3)
    sums = np.einsum("ij,ija,ijb->iab", weights, powers, powers)
    wanted = np.zeros(3)
    wanted[int(derivative)] = 1
    solved = np.linalg.solve(sums, np.broadcast_to(wanted, (d, 3))[:, :, None])[:, :, 0]
    values = weights * np.einsum("ija,ia->ij", powers, solved) / (scale if derivative else 1.0)
    lines = np.repeat(np.arange(d), columns.shape[1])
    return csr_array((values.ravel(), (lines, columns.ravel())), shape=(d, d))


def best_smoothing(some: Floats, energies: Floats, derivative: bool) -> Smoothing:
    """
    How spectra like some are best smoothed.

    Parameters
    ----------
    some : ndarray, shape (n, d)
        What was measured, of a sample; finite, at least eight channels.
    energies : ndarray, shape (d,)
        Rising or falling.
    derivative : bool
        Whether a spectrum is the derivative of what was measured.

    Returns
    -------
    Smoothing

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.peaks.smoothing import best_smoothing
    >>> energies = np.arange(60.0)
    >>> peak = np.exp(-np.square(energies - 30) / 50)
    >>> noise = np.random.default_rng(0).normal(size=(50, 60))
    >>> [best_smoothing(peak + level * noise, energies, derivative=False).width for level in (0.2, 0.01)]
    [4.0, 1.5]
    """
    measured = np.asarray(some, dtype=np.float64)
    profile = profile_of(measured, energies)
    unit = measured / levels_of(measured, energies, profile)[:, None]
    variance = np.square(profile)
    plain = local_fits(energies, WIDTHS[0], derivative)
    # Errors count in deviations of what is not smoothed, so that noisy channels do not decide alone.
    scale = (plain * plain) @ variance
    as_it_is = plain @ unit.T
    best: tuple[float, Any, float] | None = None
    for width in WIDTHS:
        if best is not None and 2 * width > len(energies) / 4:
            break
        matrix = local_fits(energies, width, derivative)
        changed = np.square(matrix @ unit.T - as_it_is).mean(axis=1)
        risk = float(((changed + 2 * ((matrix * plain) @ variance)) / scale).sum())
        if best is None or risk < best[0]:
            best = risk, matrix, width
    assert best is not None
    _, matrix, width = best
    deviation = np.sqrt((matrix * matrix) @ variance)
    return Smoothing(energies, matrix, width, profile, deviation, _least(matrix, profile, deviation, energies))


def _least(matrix: Any, profile: Floats, deviation: Floats, energies: Floats) -> float:
    """The prominence, in deviations, that peaks of noise alone have in few spectra."""
    noise = np.random.default_rng(0).standard_normal((_TRIALS, len(profile))) * profile
    spectra = np.ascontiguousarray((matrix @ noise.T).T)
    found = prominent_peaks(spectra, np.broadcast_to(deviation, spectra.shape), energies, 0.0)
    most = np.zeros(_TRIALS)
    np.maximum.at(most, found.rows, found.deviations)
    return float(np.quantile(most, 1 - _FALSE))
