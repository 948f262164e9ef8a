"""How may two images lie on one another, with no idea where to begin? Correlated at every turn and every shift.

The correlation over what overlaps, for all shifts at once (Padfield, IEEE Trans. Image Process. 21 (2012) 2706), for
turns all around. It is judged by how unlikely it is in so small an overlap, not by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from emcore.core.validation import Floats
from emcore.methods.registration.images import Picture, area_alike, reduced, sampled, smoothed
from emcore.methods.registration.transforms import about, apply, grid_of, inverse, rotation

# Positions of the longer side that are searched; degrees between turns; smoothing before.
_SIDE, _STEP, _SIGMA = 64, 5.0, 1.0
# Least part of the smaller image, and least independent samples, that must overlap.
LEAST, LEAST_SAMPLES = 0.06, 6.0
# Of the variance of the whole, that an overlap must have at least.
_FLAT = 0.02
# As many starts are kept; those so near to a better one are not, in degrees and positions.
_KEPT, _TURN_APART, _APART = 6, 12.0, 6.0


@dataclass(frozen=True)
class Start:
    """A transform from one image to another that may be right, and how unlikely it is by chance."""

    transform: Floats
    score: float


def _scores(r: Floats, samples: Floats) -> Floats:
    """Fisher's transform of correlations, see `emcore.methods.registration.refine.score_of`."""
    return np.asarray(np.arctanh(np.clip(r, -0.9999, 0.9999)) * np.sqrt(np.maximum(samples - 3, 0)))


def starts(fixed: Picture, moving: Picture, *, turns: Floats | None = None, kept: int = _KEPT) -> list[Start]:
    """
    Transforms from positions of `fixed` to those of `moving`, the most unlikely by chance first.

    Parameters
    ----------
    fixed, moving : Picture
        Of the same step.
    turns : ndarray, optional
        Degrees by which it may be turned; all around by default.
    kept : int

    Returns
    -------
    list of Start
    """
    factor = max(-(-max(*fixed.shape, *moving.shape) // _SIDE), 1)
    small = [smoothed(reduced(each, factor), _SIGMA) for each in (fixed, moving)]
    area = area_alike(small[0], small[1])
    engine = _Correlator(small[0], area)
    found: list[tuple[float, float, Floats]] = []
    for turn in np.arange(-180, 180, _STEP) if turns is None else turns:
        seen, matrix = _turned(small[1], float(turn))
        for score, shift in engine.peaks(seen):
            # A position of `fixed` lies at itself less the shift in the turned image, from there in `moving`.
            back = np.eye(3)
            back[:2, 2] = -shift
            found.append((score, float(turn), matrix @ back))
    found.sort(key=lambda each: -each[0])
    best: list[tuple[float, float, Floats]] = []
    for each in found:
        if all(_differ(each, other, small[0]) for other in best):
            best.append(each)
        if len(best) == kept:
            break
    # From blocks to positions: the middle of block i is at factor * i + (factor - 1) / 2.
    up = np.diag([factor, factor, 1.0])
    up[:2, 2] = (factor - 1) / 2
    return [Start(up @ matrix @ inverse(up), score) for score, _, matrix in best]


def _differ(a: tuple[float, float, Floats], b: tuple[float, float, Floats], fixed: Picture) -> bool:
    turn = abs((a[1] - b[1] + 180) % 360 - 180)
    middle = (np.array(fixed.shape) - 1)[None] / 2
    return turn > _TURN_APART or float(np.linalg.norm(apply(a[2], middle) - apply(b[2], middle))) > _APART


def _turned(picture: Picture, degrees: float) -> tuple[Picture, Floats]:
    """The image turned about its middle on a grid that holds all of it, and the way from there to its positions."""
    from scipy import ndimage

    linear = rotation(degrees)
    size = np.ceil(np.abs(linear) @ np.array(picture.shape) - 1e-9).astype(int)
    matrix = about(linear.T, (size - 1) / 2, (np.array(picture.shape) - 1) / 2)
    places = apply(matrix, grid_of(tuple(size)))
    mask = ndimage.map_coordinates(picture.mask.astype(float), places.T, order=1, mode="constant", cval=0) > 0.99
    values = np.where(mask, sampled(picture.values, places, order=1), 0.0)
    return Picture(values.reshape(-1, *size), mask.reshape(size)), matrix


class _Correlator:
    """All shifts of images over one that stays."""

    def __init__(self, fixed: Picture, area: float) -> None:
        self.fixed, self.area = fixed, area
        self._transformed: dict[tuple[int, ...], tuple[Any, ...]] = {}

    def _of_fixed(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        if shape not in self._transformed:
            self._transformed[shape] = _spectra(self.fixed, shape)
        return self._transformed[shape]

    def peaks(self, moving: Picture, most: int = 3) -> Iterator[tuple[float, Floats]]:
        """The highest scores and the shifts of `moving` at which it has them."""
        from scipy import fft, ndimage

        sizes = [a + b - 1 for a, b in zip(self.fixed.shape, moving.shape, strict=True)]
        shape = tuple(fft.next_fast_len(-(-size // 16) * 16, real=True) for size in sizes)
        mask, values, squares = self._of_fixed(shape)
        over, others, other_squares = (np.conj(each) for each in _spectra(moving, shape))
        sums = np.stack([mask * over, squares * over, mask * other_squares, (values * others).sum(axis=0)])
        n, aa, bb, ab = fft.irfft2(sums, shape)
        count = np.maximum(np.rint(n), 1)
        a, b = (fft.irfft2(each, shape) for each in (values * over, mask * others))
        var_a, var_b = ((each - (mean**2).sum(axis=0) / count) / count for each, mean in ((aa, a), (bb, b)))
        usable = (n > LEAST * min(self.fixed.mask.sum(), moving.mask.sum())) & (count / self.area > LEAST_SAMPLES)
        usable &= (var_a > _FLAT) & (var_b > _FLAT)
        spread = np.sqrt(np.where(usable, var_a * var_b, 1.0))
        r = np.where(usable, (ab - (a * b).sum(axis=0) / count) / count / spread, 0.0)
        score = _scores(r, count / self.area)
        top = (score == ndimage.maximum_filter(score, 5, mode="wrap")) & (score > 0)
        rows, columns = np.nonzero(top)
        order = np.argsort(-score[rows, columns])[:most]
        for row, column in zip(rows[order], columns[order], strict=True):
            shift = np.array([row, column], dtype=np.float64)
            shift -= np.where(shift >= np.array(self.fixed.shape), shape, 0)
            yield float(score[row, column]), shift


def _spectra(picture: Picture, shape: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Of the mask, of every channel, of the squares of all channels together."""
    from scipy import fft

    values = picture.values.astype(np.float32)
    mask = picture.mask.astype(np.float32)
    return fft.rfft2(mask, shape), fft.rfft2(values, shape), fft.rfft2((values**2).sum(axis=0), shape)
