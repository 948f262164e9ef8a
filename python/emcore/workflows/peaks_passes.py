"""The passes over a hyperspectral stack that `emcore.map_peaks` makes, some lines of the scan at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.peaks.angles import Directions, nearest
from emcore.methods.peaks.find import Peaks, prominent_peaks
from emcore.methods.peaks.noise import ORDER
from emcore.methods.peaks.smoothing import Smoothing, best_smoothing
from emcore.outofcore.checkpoint import Job
from emcore.scans.energy_images import EnergyImages
from emcore.scans.gaps import Gaps, find_gaps

# Blocks of a sample that smoothing and noise are chosen on, and in how many strips of the scan they lie.
_SAMPLE, _STRIPS = 4096, 16
# Of the blocks that have a peak, the part of which it is the most prominent at least, for these to be its own.
_OWN = 0.1
# What falls, as a part of what rises, where an intensity rises throughout.
_FALL = 0.1


@dataclass(frozen=True, eq=False)
class Scan:
    """What is visited, in which bands, cut into which blocks."""

    images: EnergyImages
    side: int
    bands: list[tuple[int, int]]
    job: Job | None

    @property
    def blocks(self) -> tuple[int, ...]:
        """How many blocks along each axis."""
        return tuple(-(-size // self.side) for size in self.images.grid)

    @property
    def n_blocks(self) -> int:
        return int(np.prod(self.blocks))

    def across(self) -> int:
        return self.blocks[1] if len(self.blocks) == 2 else 1

    def numbers(self, start: int, stop: int) -> NDArray[np.int32]:
        """The block of each position of some lines, counted from the first of them."""
        lines = np.arange(stop - start) // self.side * self.across()
        columns = np.arange(self.images.across) // self.side
        return np.add.outer(lines, columns).ravel().astype(np.int32)

    def averaged(self, start: int, stop: int, rows: NDArray[Any], empty: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """The mean of each block of some lines, and how many positions were measured in it."""
        numbers = self.numbers(start, stop)
        count = int(numbers[-1]) + 1
        sums, counts = _emcore.sum_by_label(rows, np.where(empty, -1, numbers).astype(np.int32), count)
        return sums / np.maximum(counts, 1)[:, None], counts.astype(np.float64)

    def first_block(self, start: int) -> int:
        return start // self.side * self.across()

    def first_position(self, start: int) -> int:
        return start * self.images.across

    def strips(self) -> Iterator[tuple[int, int]]:
        """A sample: strips of lines, evenly over the scan."""
        rows = self.blocks[0]
        wanted = min(max(_SAMPLE // self.across(), 1), rows)
        each = -(-wanted // _STRIPS)
        for first in np.unique(np.linspace(0, rows - each, min(_STRIPS, -(-wanted // each))).round().astype(int)):
            start = int(first) * self.side
            yield start, min(start + each * self.side, self.images.lines)


def prepared(scan: Scan, differentiate: Any) -> tuple[bool, Smoothing, list[str]]:
    """Whether and how spectra are made of what was measured, from a sample of it."""
    means = []
    for start, stop in scan.strips():
        rows = scan.images.read(start, stop)
        of_blocks, counts = scan.averaged(start, stop, rows, find_gaps(rows).empty)
        means.append(of_blocks[counts > 0])
    some = np.concatenate(means)
    if not len(some):
        for start, stop in scan.bands:
            rows = scan.images.read(start, stop)
            of_blocks, counts = scan.averaged(start, stop, rows, find_gaps(rows).empty)
            some = of_blocks[counts > 0][:_SAMPLE]
            if len(some):
                break
        else:
            raise ValueError(f"stack: none of {int(np.prod(scan.images.grid))} positions holds a measurement")
    energies = scan.images.energy.values
    steps_up = np.diff(some.mean(axis=0)) * np.sign(energies[-1] - energies[0])
    rises, falls = float(steps_up[steps_up > 0].sum()), -float(steps_up[steps_up < 0].sum())
    rising = falls <= _FALL * rises
    derivative = rising if isinstance(differentiate, str) else differentiate
    sign = -1 if derivative and falls > rises else 1
    notes = [_said(differentiate, derivative, rising, falls > rises, rises <= _FALL * falls)]
    smoothing = best_smoothing(some, energies, derivative)
    if sign < 0:
        smoothing = replace(smoothing, matrix=-smoothing.matrix)
    return derivative, smoothing, notes


def _said(asked: Any, derivative: bool, rising: bool, falls: bool, falling: bool) -> str:
    """What was taken for a spectrum, and why."""
    if isinstance(asked, bool):
        if not asked:
            return "spectra are what was measured: differentiate=False was asked for"
        counted = "from an energy on: spectra are the negative" if falls else "up to an energy: spectra are the"
        return f"counts of all {counted} derivative of what was measured: differentiate=True was asked for"
    if derivative:
        return (
            "the mean intensity rises from the first energy to the last: spectra are its derivative; "
            "differentiate=False takes them as measured"
        )
    if falling:
        return (
            "spectra are what was measured; the mean intensity falls throughout: if the detector counted all from an "
            "energy on, give differentiate=True"
        )
    return "spectra are what was measured, as the mean intensity rises and falls; differentiate=True takes derivatives"


class Found(NamedTuple):
    """Peaks of all blocks, and what the blocks are."""

    peaks: Peaks
    levels: Floats
    counts: Floats
    gaps: Gaps
    mean: Floats


def peaks_of_blocks(scan: Scan, smoothing: Smoothing, derivative: bool, done: Any) -> Found:
    n = int(np.prod(scan.images.grid))
    energies = scan.images.energy.values
    levels, counts = np.zeros(scan.n_blocks), np.zeros(scan.n_blocks)
    empty, sums = np.zeros(n, dtype=bool), np.zeros(len(energies))
    why = np.zeros(3, dtype=np.int64)
    all_peaks: list[Peaks] = []
    for band, (start, stop) in enumerate(scan.bands):

        def work(start: int = start, stop: int = stop) -> tuple[Any, ...]:
            rows = scan.images.read(start, stop)
            scan.images.compare(scan.job, start, stop, rows)
            gaps = find_gaps(rows)
            means, of_blocks = scan.averaged(start, stop, rows, gaps.empty)
            there = np.flatnonzero(of_blocks)
            of_noise = np.zeros(len(means))
            of_noise[there] = smoothing.noise_of(means[there])
            spectra = smoothing.of(means[there])
            quanta = (rows.dtype.kind != "f") / of_blocks[there]
            deviations = smoothing.deviations(of_noise[there], quanta)
            peaks = prominent_peaks(spectra, deviations, energies, smoothing.least)
            blocks = there[peaks.rows] + scan.first_block(start)
            kinds = np.array([gaps.zero, gaps.constant, gaps.invalid])
            return blocks, *peaks[1:], of_noise, of_blocks, gaps.empty, kinds, of_blocks @ means

        values = work() if scan.job is None else scan.job.step(f"peaks of lines {start} to {stop}", work)
        blocks, at, prominences, many, of_noise, of_blocks, none, kinds, total = (np.asarray(each) for each in values)
        of_peaks = (each.reshape(-1) for each in (at, prominences, many))
        all_peaks.append(Peaks(blocks.astype(np.int64).reshape(-1), *of_peaks))
        first = scan.first_block(start)
        levels[first : first + len(of_noise)], counts[first : first + len(of_blocks)] = of_noise, of_blocks
        position = scan.first_position(start)
        empty[position : position + len(none)] = none
        why += kinds
        sums += total
        done(2 + band)
    peaks = Peaks(*(np.concatenate([getattr(each, name) for each in all_peaks]) for name in Peaks._fields))
    zero, constant, invalid = (int(count) for count in why)
    gaps = Gaps(empty, zero, constant, invalid)
    return Found(peaks, levels, counts, gaps, sums / max(float(counts.sum()), 1.0))


def no_peaks(scan: Scan, found: Found, smoothing: Smoothing, derivative: bool) -> str:
    blocks = int((found.counts > 0).sum())
    return (
        f"stack: {count_of(len(found.peaks.rows), 'peak')} in {count_of(blocks, 'block')} of {scan.side} positions a "
        f"side stands out of noise, by {smoothing.least:.1f} deviations of it: larger blocks have less noise, and "
        f"differentiate={not derivative} looks at {'the values' if derivative else 'derivatives'} instead"
    )


def blocks_of(peaks: Peaks, labels: NDArray[np.int32], k: int, n: int) -> NDArray[np.bool_]:
    """The blocks of each peak, shape (k, blocks): of which it is the most prominent; where few are, all with it."""
    there = np.flatnonzero(labels >= 0)
    order = there[np.argsort(peaks.prominences[there], kind="stable")]
    first = np.full(n, -1)
    first[peaks.rows[order]] = labels[order]
    whole = np.zeros((k, n), dtype=bool)
    whole[labels[there], peaks.rows[there]] = True
    own = first == np.arange(k)[:, None]
    few = own.sum(axis=1) < _OWN * whole.sum(axis=1)
    return np.where(few[:, None], whole, own)


def sums_of_blocks(
    scan: Scan, smoothing: Smoothing, derivative: bool, found: Found, has: NDArray[np.bool_], done: Any
) -> Floats:
    """The sum of the spectra of the blocks of each peak."""
    sums = np.zeros((len(has), scan.images.energy.size))
    for band, (start, stop) in enumerate(scan.bands):
        first, empty = scan.first_block(start), found.gaps.empty[scan.first_position(start) : scan.first_position(stop)]
        rows = scan.images.read(start, stop)
        means, _ = scan.averaged(start, stop, rows, empty)
        sums += has[:, first : first + len(means)].astype(np.float64) @ means
        done(2 + len(scan.bands) + band)
    return smoothing.of(sums) if derivative else sums


class Angles(NamedTuple):
    labels: NDArray[np.int32]
    angle: NDArray[np.float32]
    second: NDArray[np.float32]
    expected: Floats
    means: Floats


def angles_of(
    scan: Scan, smoothing: Smoothing, derivative: bool, found: Found, references: Floats, done: Any
) -> Angles:
    """The nearest reference of every position, and what noise makes of the angle there."""
    n = int(np.prod(scan.images.grid))
    directions = Directions(references, smoothing.matrix.toarray() if derivative else None)
    energy = float(np.square(smoothing.deviation if derivative else smoothing.profile).sum())
    out = Angles(
        np.full(n, -1, np.int32), np.full(n, 90, np.float32), np.full(n, 90, np.float32), np.zeros(n), np.zeros(n)
    )
    noise = np.square(found.levels) * found.counts * energy
    for band, (start, stop) in enumerate(scan.bands):
        some = slice(scan.first_position(start), scan.first_position(stop))
        cosines, norms, means = directions.of(scan.images.read(start, stop))
        empty = found.gaps.empty[some]
        cosines[empty] = means[empty] = 0
        labels, out.angle[some], out.second[some] = nearest(cosines)
        out.labels[some] = labels
        along = np.square(cosines.max(axis=1) * norms)
        own = noise[scan.first_block(start) + scan.numbers(start, stop)]
        out.expected[some] = np.divide(own, along, out=np.full(len(along), np.inf), where=along > 0)
        out.means[some] = means
        done(2 + 2 * len(scan.bands) + band)
    return out


def independent(smoothing: Smoothing, derivative: bool) -> tuple[float, float]:
    """How many independent values the noise of a spectrum has, and how many it was measured on in each block."""
    measured = len(smoothing.energies) - ORDER
    if not derivative:
        squares = np.square(smoothing.profile)
        return float(np.square(squares.sum()) / np.square(squares).sum()), measured
    made = smoothing.matrix.toarray() * smoothing.profile
    covariance = made @ made.T
    return float(np.square(np.trace(covariance)) / np.square(covariance).sum()), measured
