"""Which detector pixels tell the patterns of a scan apart?

A few reflections of a few grains have the largest range of values, so those would hide all other grains. Every pixel is
compared that varies over the scan by more than its own noise, which neighbouring positions show (`neighbours.py`),
whether it counts or not.

Neighbouring detector pixels say the same, so the detector is binned first, as the data are read. Bins in which hardly
a pattern has a count are too fine: a single count there stands far out of the mean, and two such make positions alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.memory import check_memory
from emcore.core.validation import Floats
from emcore.outofcore.checkpoint import step
from emcore.outofcore.engine import begin
from emcore.outofcore.reduction import Partial, PerRow
from emcore.outofcore.sources import Source
from emcore.scans.binning import bin_factor, bin_numbers, binned_pieces, piece_bytes
from emcore.scans.neighbours import above_noise

# Positions from which variance and noise are taken at most.
_POSITIONS = 16384
# What is kept of the bins of one side in a pass; sides that are tried in one pass.
_SUMS, _AHEAD = 8, 4
# What the values that are compared may take, in bytes.
_BYTES = 256 << 20
# Counts that half of the bins have in the mean at least; bins a side that are left for it.
_COUNTS, _COARSEST = 0.09, 16


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

    @property
    def counts(self) -> float:
        """Counts whose noise would be as large beside their mean: the median over the bins."""
        noisy = self.noise > 0
        return float(np.median(np.square(self.mean[noisy]) / self.noise[noisy])) if noisy.any() else math.inf

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
    passes : int
        How often lines of the scan were visited for it.
    """

    keep: NDArray[np.bool_]
    factor: int
    known: Statistics
    certain: bool
    passes: int = 1

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

    @property
    def numbers(self) -> tuple[NDArray[np.int32], int]:
        """The bin of every pixel, and how many there are, see `bin_numbers`."""
        return bin_numbers(self.keep, self.factor)


def choose_channels(
    source: Source,
    scan: tuple[int, int],
    mean: Floats,
    empty: NDArray[np.bool_],
    used: NDArray[np.bool_],
    side: int,
    every: bool = False,
) -> Channels:
    """
    What to compare, as fine as asked for or coarser: where values of all positions would take more than 256 MiB or a
    quarter of the memory, and down to 16 bins a side where half of the bins have less than 0.09 counts.

    Parameters
    ----------
    source : Source, shape (y * x, ky * kx)
        Out of core a pass over some of its lines, and more where bins must be coarser.
    scan : (int, int)
        Positions along y and x.
    mean : ndarray, shape (ky, kx)
        Of the measured patterns.
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
    >>> from emcore.scans.patterns import pattern_source, scan_of_patterns
    >>> patterns = bent_polycrystal((24, 24), (64, 64), n_grains=4).patterns
    >>> source, mean = pattern_source(scan_of_patterns(patterns), None, 8), patterns.data.mean(axis=(0, 1))
    >>> found = choose_channels(source, (24, 24), mean, np.zeros(576, bool), np.ones((64, 64), bool), 32)
    >>> found.factor, found.certain, 100 < len(found.known.mean) < 1000
    (2, True, True)
    """
    positions = max(int((~empty).sum()), 1)
    factor = bin_factor(used.shape, side)
    most = min(_BYTES, check_memory(source.budget) // 4)
    coarsest = bin_factor(used.shape, _COARSEST)
    # Of a scan so large that it may be too much, a quarter of the lines tells how coarse.
    roughly = 4 if math.prod(-(-pixels // factor) for pixels in used.shape) * positions * 4 > most else 1
    passes, too_fine = 0, False
    found: dict[tuple[int, int], Statistics] = {}
    while True:
        if (factor, roughly) not in found:
            passes += 1
            # Of bins that are too fine those after the next are probably too: one pass is for several.
            factors = range(factor, max(min(factor + _AHEAD, coarsest + 1), factor + 1) if too_fine else factor + 1)
            several = statistics(source, scan, mean, empty, used, factors, _POSITIONS // roughly)
            found |= {(each, roughly): known for each, known in zip(factors, several, strict=True)}
        known = found[factor, roughly]
        varying = known.varying
        certain = bool(varying.any())
        chosen = varying if certain and not every else known.variance > 1e-12 * np.square(known.mean)
        times = int(chosen.sum()) * positions * 4 / most
        too_fine = factor < coarsest and known.of(chosen).counts < _COUNTS
        if factor < max(used.shape) and (times > 1 or too_fine):
            factor = max(math.ceil(factor * math.sqrt(times)), factor + 1)
        elif roughly > 1:
            roughly = 1
        else:
            break
    if not chosen.any():
        raise ValueError("all patterns are the same where they are compared: there are no grains to find")
    numbers, _ = bin_numbers(used, factor)
    return Channels(used & np.append(chosen, False)[numbers], factor, known.of(chosen), certain, passes)


def statistics(
    source: Source,
    scan: tuple[int, int],
    mean: Floats,
    empty: NDArray[np.bool_],
    used: NDArray[np.bool_],
    factors: Sequence[int],
    most: int | None = None,
) -> list[Statistics]:
    """Mean, variance and noise of the bins of each of some sides, from lines of the scan evenly apart with about so
    many positions, in one pass."""
    most = _POSITIONS if most is None else most
    height, width = scan if scan[1] > 1 else (1, scan[0])
    lines = np.arange(0, height, max(-(-height * width // most), 1))
    rows = (lines[:, None] * width + np.arange(width)).ravel()
    # Neighbours have numbers that differ by 1, the last of a line and the first of the next have not.
    place = np.where(empty[rows], -1, rows + rows // width)
    state: list[Any] = []
    for factor in factors:
        numbers, count = bin_numbers(used, factor)
        # About the mean nothing cancels.
        origin = np.bincount(numbers[used], mean[used], count).astype(np.float32)
        state.append((np.ascontiguousarray(numbers.ravel()), numbers.shape[1], origin))
    name = f"noise {factors[0]} to {factors[-1]} of {most}"

    def visit() -> tuple[Any, ...]:
        some = source if len(lines) == height else source.at(rows)
        passes = begin(some, name, None, None, {}, 16, piece_bytes(), quiet=True)
        return passes(_statistics, state, rows=[PerRow(passes.source, place)], merge=_of_each)

    sums = step(source, name, visit)
    return [
        _known(origin, *sums[i : i + 5]) for i, (_, _, origin) in zip(range(0, len(sums), _SUMS), state, strict=True)
    ]


def _known(origin: NDArray[np.float32], positions: int, pairs: int, *sums: Floats) -> Statistics:
    total, squares, steps = sums
    shift = total / positions
    noise = steps / (2 * max(pairs, 1))
    return Statistics(origin + shift, np.maximum(squares / positions - shift**2, 0), noise, int(pairs))


def _statistics(x: NDArray[Any], state: Any, index: int, place: NDArray[np.int64]) -> tuple[Any, ...]:
    sums = (_sums(x, groups, width, origin, place) for groups, width, origin in state)
    return (tuple(chain.from_iterable(sums)),)


def _sums(
    x: NDArray[Any], groups: NDArray[np.int32], width: int, origin: NDArray[np.float32], place: NDArray[np.int64]
) -> Partial:
    """Positions, pairs, sums, sums of squares, those of steps; places and values of the first and last position."""
    found: Partial | None = None
    there = np.flatnonzero(place >= 0)
    for some, values in binned_pieces(x, there, groups, width, len(origin)):
        values -= origin
        places = place[there[some]]
        following = np.diff(places) == 1
        mean, about = _emcore.moments(values)
        squares = about + len(values) * np.square(mean)
        steps = np.zeros(len(origin))
        if following.any():
            step = np.diff(values, axis=0)
            of_step, about = _emcore.moments(step if following.all() else step[following])
            steps = about + int(following.sum()) * np.square(of_step)
        ends = places[[0, -1]]
        own_sums = len(values) * mean, squares, steps
        part = len(values), int(following.sum()), *own_sums, ends, values[0].copy(), values[-1].copy()
        found = part if found is None else _together(found, part)
    nothing = np.zeros_like(origin)
    return found or (0, 0, *np.zeros((3, len(origin))), np.array([-1, -1]), nothing, nothing)


def _of_each(a: Partial, b: Partial) -> Partial:
    """Parts of several sides of bins."""
    starts = range(0, len(a), _SUMS)
    return tuple(each for i in starts for each in _together(a[i : i + _SUMS], b[i : i + _SUMS]))


def _together(a: Partial, b: Partial) -> Partial:
    """Sums of two parts, and what is between the last position of one and the first of the other."""
    if not a[0] or not b[0]:
        return a if a[0] else b
    pairs, steps = a[1] + b[1], a[4] + b[4]
    if a[5][1] + 1 == b[5][0]:
        pairs, steps = pairs + 1, steps + np.square((b[6] - a[7]).astype(np.float64))
    return a[0] + b[0], pairs, a[2] + b[2], a[3] + b[3], steps, np.array([a[5][0], b[5][1]]), a[6], b[7]


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
