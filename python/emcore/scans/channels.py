"""Which detector pixels tell the patterns of a scan apart?

A few reflections of a few grains have the largest range of values, so those would hide all other grains. Every pixel is
compared that varies over the scan by more than its own noise, which neighbouring positions show (`neighbours.py`),
whether it counts or not.

Neighbouring detector pixels say the same, so the detector is binned first, as the data are read.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.scans.binning import bin_factor, bin_numbers, visit_binned
from emcore.scans.neighbours import above_noise
from emcore.scans.patterns import PatternRows

# Positions from which variance and noise are taken at most, in pieces of lines of at most so many.
_POSITIONS, _PIECE = 16384, 1024
# What the values that are compared may take, in bytes.
_BYTES = 256 << 20


@dataclass(frozen=True)
class Statistics:
    """What is known of every bin of a detector.

    Attributes
    ----------
    mean, variance, noise : ndarray, shape (bins,)
    pairs : int
        Of neighbouring positions, from which the noise is known.
    """

    mean: Floats
    variance: Floats
    noise: Floats
    pairs: int

    @property
    def varying(self) -> NDArray[np.bool_]:
        """Bins that vary by more than their noise."""
        rounding = 1e-12 * np.square(self.mean)
        above = above_noise(self.variance, self.noise, self.pairs)
        return np.asarray((self.pairs > 0) & above & (self.variance > rounding), dtype=bool)

    def of(self, chosen: NDArray[np.bool_]) -> "Statistics":
        """Of some bins."""
        return Statistics(self.mean[chosen], self.variance[chosen], self.noise[chosen], self.pairs)


@dataclass(frozen=True)
class Channels:
    """What is compared of patterns.

    Attributes
    ----------
    keep : ndarray of bool, shape (ky, kx)
        Detector pixels.
    factor : int
        Side of the bins into which they are added up.
    known : Statistics
        Of these bins.
    certain : bool
        Whether they vary by more than their noise. Where none does, all that vary are compared.
    """

    keep: NDArray[np.bool_]
    factor: int
    known: Statistics
    certain: bool

    @property
    def scale(self) -> Floats:
        """By what each bin is divided: the deviation of its noise.

        Counting noise goes with the root of the mean, which is known better than the noise itself; where means are not
        all above zero values are no counts, and the noise is taken as it was measured.
        """
        known = self.known
        if (known.mean > 0).all():
            return np.asarray(np.sqrt(known.mean))
        return np.asarray(np.sqrt(np.where(known.noise > 0, known.noise, known.variance)))

    def values(self, matrix: PatternRows, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Bins of the patterns at some rising positions, scaled; shape (positions, bins)."""
        scale = self.scale.astype(np.float32)
        return visit_binned(matrix, positions, self.keep, self.factor, lambda bins: np.divide(bins, scale, out=bins))


def choose_channels(
    matrix: PatternRows, empty: NDArray[np.bool_], used: NDArray[np.bool_], side: int, every: bool = False
) -> Channels:
    """
    What to compare, as fine as asked for or, where values of all positions would take more than 256 MiB, coarser.

    Parameters
    ----------
    matrix : PatternRows
    empty : ndarray of bool, shape (y * x,)
        Positions that do not count; their values may be anything.
    used : ndarray of bool, shape (ky, kx)
        Detector pixels outside the beam that are not broken.
    side : int
        Bins along the longer side of the detector at most.
    every : bool, default False
        Every bin that varies at all, not only those that vary by more than their noise.

    Returns
    -------
    Channels

    Raises
    ------
    ValueError
        If nothing varies where patterns are compared.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.datasets import bent_polycrystal
    >>> from emcore.scans.channels import choose_channels
    >>> from emcore.scans.patterns import as_pattern_rows
    >>> matrix = as_pattern_rows(bent_polycrystal((24, 24), (64, 64), n_grains=4).patterns)
    >>> found = choose_channels(matrix, np.zeros(576, dtype=bool), np.ones((64, 64), dtype=bool), 32)
    >>> found.factor, found.certain, 100 < len(found.known.mean) < 1000
    (2, True, True)
    """
    positions = max(int((~empty).sum()), 1)
    factor = bin_factor(matrix.shape, side)
    while True:
        known = statistics(matrix, empty, used, factor)
        varying = known.varying
        certain = bool(varying.any())
        chosen = varying if certain and not every else known.variance > 1e-12 * np.square(known.mean)
        times = int(chosen.sum()) * positions * 4 / _BYTES
        if times <= 1 or factor >= max(matrix.shape):
            break
        factor = max(math.ceil(factor * math.sqrt(times)), factor + 1)
    if not chosen.any():
        raise ValueError("all patterns are the same where they are compared: there are no grains to find")
    numbers, _ = bin_numbers(used, factor)
    return Channels(used & np.append(chosen, False)[numbers], factor, known.of(chosen), certain)


def statistics(matrix: PatternRows, empty: NDArray[np.bool_], used: NDArray[np.bool_], factor: int) -> Statistics:
    """Mean, variance and noise of every bin, from lines of the scan evenly apart."""
    height, width = matrix.scan if matrix.scan[1] > 1 else (1, matrix.scan[0])
    total: Floats | None = None
    positions = pairs = 0
    for line in range(0, height, max(-(-height * width // _POSITIONS), 1)):
        for start in range(line * width, (line + 1) * width, _PIECE):
            stop = min(start + _PIECE, (line + 1) * width)
            there = start + np.flatnonzero(~empty[start:stop])
            if not there.size:
                continue
            values = visit_binned(matrix, there, used, factor, lambda bins: bins)
            if total is None:
                # About a first value nothing cancels.
                origin = values.mean(axis=0, dtype=np.float64).astype(np.float32)
                total, squares, steps = (np.zeros(len(origin)) for _ in range(3))
            values -= origin
            total += values.sum(axis=0, dtype=np.float64)
            squares += np.einsum("ij,ij->j", values, values, dtype=np.float64)
            step = np.diff(values, axis=0)[np.diff(there) == 1]
            steps += np.einsum("ij,ij->j", step, step, dtype=np.float64)
            positions += len(values)
            pairs += len(step)
    assert total is not None, "no position"
    shift = total / positions
    return Statistics(origin + shift, np.maximum(squares / positions - shift**2, 0), steps / (2 * max(pairs, 1)), pairs)


def noise_energy(grid: NDArray[np.float32], there: NDArray[np.bool_]) -> float:
    """Sum over channels of the noise variance of a position: the median over pairs of neighbours, so that borders of
    grains and bending do not count.

    Parameters
    ----------
    grid : ndarray, shape (y, x, channels)
    there : ndarray of bool, shape (y, x)

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.channels import noise_energy
    >>> noise = np.random.default_rng(0).normal(size=(20, 20, 50)).astype(np.float32)
    >>> 48 < noise_energy(noise, np.ones((20, 20), dtype=bool)) < 52
    True
    """
    if grid.shape[1] < 2:
        grid, there = grid.swapaxes(0, 1), there.T
    energies = []
    for line in range(0, grid.shape[0], max(grid.shape[0] // 64, 1)):
        step = np.diff(grid[line], axis=0)[there[line, 1:] & there[line, :-1]]
        energies.append(0.5 * np.einsum("ij,ij->i", step, step))
    pairs = np.concatenate(energies)
    return float(np.median(pairs)) if pairs.size else 0.0
