"""Do patterns change at once along a border within a grain, or little by little?

Two grains that are nearly alike merge at an angle at which pieces of a bent grain merge too. What tells them apart is
the border: across that of two grains patterns change at once, within a bent one little by little. Scores of positions
along the difference of the means of the two sides are fitted by a line on each side, against the distance from the
border. Where the lines reach it they are as far apart as the means if patterns change at once, and meet if they change
steadily. Direction and scores are of different fields of a chessboard, so that noise in common makes no step.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.superpixels.borders import Sides, merge_along_borders

Labels = NDArray[np.int32]

# Distances from the border between which lines are fitted: a position at it may be of both sides. Those far within
# decide nothing, of however large a grain.
_NEAR, _FAR = 1.0, 7.0
# Least positions on a side, and degrees from which on mergings are looked at.
_POSITIONS, ANGLE = 10, 15.0
# A step is at least this part of the difference of means, and this part with so many standard errors to spare; that
# difference is at least so many standard deviations of the scores about their lines.
_PART, _CERTAIN, _ERRORS, _APART = 0.9, 0.75, 2.0, 3.0
# How often mergings are looked through again once sides were parted.
_ROUNDS = 3


@dataclass(frozen=True)
class Step:
    """How scores change across a border.

    Attributes
    ----------
    height, error : float
        Of the step, in units of the difference of the means of the two sides, and its standard error.
    apart : float
        That difference, in standard deviations of the scores about their lines.
    angle : float
        At which the two sides merge, degrees.
    """

    height: float
    error: float
    apart: float
    angle: float

    @property
    def clear(self) -> bool:
        """Whether patterns change at once."""
        certain = self.height - _ERRORS * self.error >= _CERTAIN
        return self.height >= _PART and certain and self.apart >= _APART


class _End(Protocol):
    @property
    def min_correlation(self) -> float: ...


def parted_at_steps(
    segments: Labels, values: NDArray[np.float32], history: Floats, end: Callable[[Floats], _End]
) -> tuple[Floats, list[Step]]:
    """Merge segments anew, without those that are merged across a border along which patterns change at once.

    Parameters
    ----------
    segments : ndarray, shape (y, x), int32
    values : ndarray, shape (y, x, channels), float32
        Each channel over the deviation that its noise has.
    history : ndarray, shape (mergings, 3)
        See `emcore.methods.superpixels.borders.merge_along_borders`.
    end : callable
        Of such a history, gives where merging ends.

    Returns
    -------
    history : ndarray, shape (mergings, 3)
        The sides of such borders merge beyond 60 degrees.
    steps : list of Step

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.borders import merge_along_borders
    >>> from emcore.methods.superpixels.choices import stops
    >>> from emcore.methods.superpixels.steps import parted_at_steps
    >>> angles = np.radians(np.repeat([0.0, 25.0, 180.0], (12, 12, 24)))
    >>> line = 9 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    >>> values = np.float32(line + 0.1 * np.random.default_rng(0).normal(size=(9, 48, 2)))
    >>> segments = np.repeat(np.arange(8, dtype=np.int32), 6)[None].repeat(9, axis=0)
    >>> history = merge_along_borders(segments, values)
    >>> parted, steps = parted_at_steps(segments, values, history, lambda tree: stops(tree, 8)[0])
    >>> [round(step.angle) for step in steps], [int((each[:, 2] > 0.5).sum()) for each in (history, parted)]
    ([25], [6, 5])
    """
    parted: list[Sides] = []
    steps: list[Step] = []
    for _ in range(_ROUNDS):
        new = [
            (sides, step)
            for sides, step in steps_within(segments, values, history, end(history).min_correlation)
            if step.clear
        ]
        if not new:
            break
        parted += [sides for sides, _ in new]
        steps += [step for _, step in new]
        history = merge_along_borders(segments, values, parted)
    return history, steps


def why_parted(steps: list[Step]) -> str:
    """What was parted, in words; of none nothing.

    Examples
    --------
    >>> why_parted([Step(1.0, 0.1, 5.0, 26.0)])
    'patterns change at once along 1 border within them, of sides that would merge at 26°: these are grains too'
    """
    if not steps:
        return ""
    angles = sorted(round(step.angle) for step in steps)
    at = f"{angles[0]}°" if angles[0] == angles[-1] else f"{angles[0]}° to {angles[-1]}°"
    return (
        f"patterns change at once along {count_of(len(steps), 'border')} within them, of sides that would merge at "
        f"{at}: these are grains too"
    )


def steps_within(
    segments: Labels, values: NDArray[np.float32], history: Floats, min_correlation: float
) -> Iterator[tuple[Sides, Step]]:
    """Where merging down to a correlation joins two sides, at 15 degrees or more, and how patterns change there.

    Borders with too few positions on a side are passed over.
    """
    mergings = int(np.count_nonzero(history[:, 2] >= min_correlation))
    angles = np.degrees(np.arccos(np.clip(history[:mergings, 2], -1.0, 1.0)))
    if not (angles >= ANGLE).any():
        return
    halves = _Halves.of(segments, values)
    into = np.arange(len(halves.sums))
    for (kept, gone), angle in zip(history[:mergings, :2].astype(np.intp), angles, strict=True):
        sides = into == kept, into == gone
        if angle >= ANGLE:
            step = halves.step(sides, float(angle))
            if step is not None:
                yield sides, step
        into[sides[1]] = kept


def step_between(sides: Labels, values: NDArray[np.float32]) -> Step | None:
    """How patterns change between positions of the sides 0 and 1; None where there are too few on a side.

    The angle at which the sides merge is not known.
    """
    first = np.array([True, False])
    return _Halves.of(sides, values).step((first, ~first), np.nan)


@dataclass(frozen=True, eq=False)
class _Halves:
    """Segments, and the sums of both fields of each."""

    segments: Labels
    fields: NDArray[np.intp]
    values: NDArray[np.float32]
    sums: Floats
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, segments: Labels, values: NDArray[np.float32]) -> "_Halves":
        y, x = np.indices(segments.shape)
        fields: NDArray[np.intp] = np.asarray((y + x) & 1)
        count = int(segments.max()) + 1
        both = np.where(segments < 0, -1, 2 * segments + fields).astype(np.int32).ravel()
        sums, sizes = _emcore.sum_by_label(values.reshape(-1, values.shape[-1]), both, 2 * count)
        return cls(segments, fields, values, sums.reshape(count, 2, -1), sizes.reshape(count, 2))

    def step(self, sides: Sides, angle: float) -> Step | None:
        """At the border between two sets of segments; None where there is too little on a side."""
        sizes = np.stack([self.sizes[side].sum(axis=0) for side in sides])
        if sizes.min() < _POSITIONS // 2:
            return None
        means = np.stack([self.sums[side].sum(axis=0) for side in sides]) / sizes[:, :, None]
        difference = means[1] - means[0]
        whole = float(difference[0] @ difference[1])
        lines = [self._line(own, other, difference.astype(np.float32)) for own, other in (sides, sides[::-1])]
        low, high = lines
        if low is None or high is None or whole <= 0:
            return None
        spread = max(np.sqrt((low.squares + high.squares) / (low.count + high.count)), 1e-12 * whole)
        error = float(np.hypot(low.error, high.error))
        return Step((high.at_border - low.at_border) / whole, error / whole, float(whole / spread), angle)

    def _line(
        self, own: NDArray[np.bool_], other: NDArray[np.bool_], difference: NDArray[np.float32]
    ) -> "_Line | None":
        """The scores of one side against the distance from the other."""
        from scipy.ndimage import distance_transform_edt

        there = self.segments >= 0
        mine, others = own[self.segments] & there, other[self.segments] & there
        smaller = mine if np.count_nonzero(mine) < np.count_nonzero(others) else others
        box = _box(smaller, int(_FAR) + 1)
        away = distance_transform_edt(~others[box]) - 0.5
        at = mine[box] & (away >= _NEAR) & (away <= _FAR)
        if np.count_nonzero(at) < _POSITIONS:
            return None
        rows, field, away = self.values[box][at], self.fields[box][at], away[at]
        scores = np.where(field == 0, rows @ difference[1], rows @ difference[0]).astype(np.float64)
        columns = np.stack([np.ones(len(away)), away], axis=1)[:, : 1 + (np.ptp(away) >= 2)]
        coefficients = np.linalg.lstsq(columns, scores, rcond=None)[0]
        squares = float(np.square(scores - columns @ coefficients).sum())
        free = len(scores) - columns.shape[1]
        error = squares / free * float(np.linalg.inv(columns.T @ columns)[0, 0])
        return _Line(float(coefficients[0]), float(np.sqrt(error)), squares, free)


@dataclass(frozen=True)
class _Line:
    at_border: float
    error: float
    squares: float
    count: int


def _box(mask: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Lines and columns around what is true."""
    lines, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(int(lines[0]) - margin, 0), int(lines[-1]) + 1 + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + 1 + margin),
    )
