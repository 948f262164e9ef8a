"""Where did cosmic rays hit a camera, and what would it have measured without them?

A cosmic ray is a spike of few channels at one position. A value is one where it is above both what neighbouring
positions have in its channel, brought to the brightness of its position, and the median of the channels around it, by
many times the noise: a line of the specimen is as sharp at some of the neighbours, and an edge as bright in the
channels beside it. What is found is replaced by the median of the neighbours.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats

# Times the noise by which a value must stand out, and by which its neighbours still belong to it.
_OUT, _BESIDE = 8.0, 4.0
# Half the width of the window of channels; a spike is narrower than that.
_WINDOW = 8
# Relative noise beside the measured one: neighbours are not quite the same.
_UNLIKE = 0.05
_NEIGHBOURS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x)


def without_cosmic_rays(data: NDArray[Any], gain: float, read: float) -> tuple[NDArray[Any], int]:
    """
    A scan of spectra without cosmic rays, and how many there were.

    Parameters
    ----------
    data : ndarray, shape (y, x, channels)
        Not changed.
    gain, read : float
        Of the noise, of the variance ``gain * signal + read^2``.

    Returns
    -------
    data : ndarray
        The same array where there were none.
    count : int
        Runs of channels that were replaced.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.cosmic_rays import without_cosmic_rays
    >>> data = np.random.default_rng(0).poisson(100.0, (5, 6, 80))
    >>> data[2, 3, 40:42] += 5000
    >>> clean, count = without_cosmic_rays(data, 1.0, 0.0)
    >>> count, bool(clean[2, 3, 40:42].max() < 150), int((clean != data).sum()) < 5
    (1, True, True)
    """
    height, width, d = data.shape
    clean, count = data, 0
    if d < 4 * _WINDOW or height * width < 4:
        return data, 0
    bright = np.stack([_brightness(line) for line in data])
    for y in range(height):
        for x in np.unique(np.nonzero(_candidates(data[y], gain, read))[0]):
            spectrum = data[y, x].astype(np.float64)
            near = _neighbours(data, bright, y, int(x))
            if near is None:
                continue
            expected = np.median(near, axis=0)
            # The brightest neighbour but one, which may be hit as well: where a phase begins, some have its lines.
            highest = np.sort(near, axis=0)[-2 if len(near) > 4 else -1]
            noise = np.sqrt(gain * np.maximum(expected, 0) + read**2 + (_UNLIKE * expected) ** 2) + 1e-300
            above = (spectrum - np.maximum(highest, _running_median(spectrum))) / noise
            beside = (spectrum - expected) / noise > _BESIDE
            hit = _grown(above > _OUT, beside)
            if not hit.any():
                continue
            clean = data.copy() if clean is data else clean
            values = expected[hit]
            clean[y, x, hit] = np.rint(values) if data.dtype.kind in "iu" else values
            count += int(np.count_nonzero(np.diff(hit.astype(np.int8), prepend=0) == 1))
    return clean, count


def _candidates(spectra: NDArray[Any], gain: float, read: float) -> NDArray[np.bool_]:
    """Values above those half a window before and behind."""
    x = spectra.astype(np.float32)
    padded = np.pad(x, ((0, 0), (_WINDOW, _WINDOW)), mode="reflect")
    around = np.maximum(padded[:, : -2 * _WINDOW], padded[:, 2 * _WINDOW :])
    observed: NDArray[np.bool_] = x - around > _OUT * np.sqrt(gain * np.maximum(around, 0) + read**2)
    return observed


def _brightness(line: NDArray[Any]) -> Floats:
    """Of every position: the median of sums over parts of the spectrum, most of which no spike is in, or zero.

    Zero too of one value throughout, which is no measurement.
    """
    parts = np.array_split(np.arange(line.shape[1]), 16)
    sums = np.stack([line[:, part].sum(axis=1, dtype=np.float64) for part in parts], axis=1)
    typical = np.maximum(np.median(sums, axis=0), 1e-300)
    brightness: Floats = np.median(sums / typical, axis=1) * float(typical.sum())
    brightness[(line == line[:, :1]).all(axis=1)] = 0
    return brightness


def _neighbours(data: NDArray[Any], bright: Floats, y: int, x: int) -> Floats | None:
    """The spectra of neighbours, each as bright as this position."""
    height, width = bright.shape
    if height == 1 or width == 1:
        near = [(y + step * (height > 1), x + step * (width > 1)) for step in (-2, -1, 1, 2)]
    else:
        near = [(y + b, x + a) for b, a in _NEIGHBOURS]
    near = [(b, a) for b, a in near if 0 <= b < height and 0 <= a < width and bright[b, a] > 0]
    if len(near) < 2 or bright[y, x] <= 0:
        return None
    return np.stack([data[b, a] * (bright[y, x] / bright[b, a]) for b, a in near])


def _running_median(spectrum: Floats) -> Floats:
    padded = np.pad(spectrum, _WINDOW, mode="reflect")
    median: Floats = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * _WINDOW + 1), axis=1)
    return median


def _grown(seeds: NDArray[np.bool_], beside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The seeds with what lies beside them, as far as a spike reaches."""
    hit = seeds
    for _ in range(_WINDOW // 2):
        wider = hit.copy()
        wider[1:] |= hit[:-1]
        wider[:-1] |= hit[1:]
        hit = hit | (wider & beside)
    return hit
