"""How large is the noise of spectra? Measured, by what neighbouring positions and channels differ in.

Of two neighbouring spectra a and b, brought to the same sum, the difference of their differences in two channels holds
what they have in common neither along the scan nor along the channels: noise. Its square over the signal, in groups of
channels of like brightness, is ``gain + read^2 / signal``, and rises further where spectra really differ: that part is
fitted and left aside. Counts have the gain 1 and no read noise; a camera's values have the gain of its electronics.

Where light spreads to neighbouring channels of a camera, so does its noise: neighbours differ by less than channels
farther apart. Channels are then summed by so many that the noise of the sums is white.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats

# Channels so far apart have noise of their own.
_APART = 4
_BINS = (1, 2, 4, 8)
# White enough: neighbours differ by at least this part of what channels farther apart do.
_WHITE = 0.85
_GROUPS = 8
# How far, relatively, the squares of differences may be from the model: of a simple one, and of any.
_FITS, _STEADY = 0.15, 0.3
_MOST = 0.6
# With so many counts behind a value, its noise has the shape of a bell, and outliers are left aside.
_MANY = 20.0
_LEAST = 200
# Of channels of a spectrum that hold anything: with fewer, bringing two to the same sum takes their noise away.
_FILLED = 10
_COUNTS = (0.8, 1.25)
# Groups of the same brightness vary alike, whether or not with the signal: those that agree differ by so many times.
_SPAN = 1.5
# Counts vary by their signal at least, up to what a busy detector misses.
_NO_COUNTS = 0.5


@dataclass(frozen=True)
class MeasuredNoise:
    """Noise of the variance ``gain * signal + read^2``.

    Attributes
    ----------
    gain : float
        Of single channels; 1 for counts.
    read : float
        Standard deviation of what does not depend on the signal.
    bin : int
        How many channels are summed for their noise to be white.
    gain_of_bin : float
        Gain of these sums.
    steady : bool
        Whether the variance follows the signal so at all.
    effective : float
        Counts behind a typical value: its signal over the gain.
    ratio : float
        Of the variance to the signal, in a usual group of channels.
    """

    gain: float
    read: float
    bin: int
    gain_of_bin: float
    steady: bool
    effective: float
    ratio: float = 1.0

    @property
    def no_counts(self) -> bool:
        """Whether values vary by less than counts ever do, whatever else they vary by."""
        return self.ratio < _NO_COUNTS

    @property
    def counts(self) -> bool:
        """Whether values with this noise are counts."""
        return _COUNTS[0] <= self.gain <= _COUNTS[1]


def measure_noise(first: NDArray[np.generic], second: NDArray[np.generic]) -> MeasuredNoise | None:
    """
    The noise of spectra, from pairs of neighbouring ones.

    Parameters
    ----------
    first, second : ndarray, shape (pairs, d)
        Not negative.

    Returns
    -------
    MeasuredNoise, or None
        None where too little was measured to say.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.measured_noise import measure_noise
    >>> rng = np.random.default_rng(0)
    >>> spectra = 4 * rng.poisson(np.linspace(50, 500, 1000), (2, 30, 1000))
    >>> noise = measure_noise(*spectra)
    >>> round(noise.gain, 1), noise.bin, noise.counts
    (4.0, 1, False)
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    filled = np.minimum(np.count_nonzero(a, axis=1), np.count_nonzero(b, axis=1)) >= _FILLED
    if not filled.any() or a.shape[1] < 2 * _APART:
        return None
    a, b = a[filled], b[filled]
    single = _fitted(a, b, _APART)
    if single is None:
        return None
    gain, read, steady, signal, ratio = single
    summed, bins = single, 1
    for bins in _BINS:
        if a.shape[1] // bins < 4 * _APART:
            break
        of_bins = _summed(a, bins), _summed(b, bins)
        near, far = _fitted(*of_bins, 1), _fitted(*of_bins, _APART)
        if near is None or far is None:
            break
        summed = far
        if near[0] >= _WHITE * far[0]:
            break
    effective = signal / gain if gain > 0 else 0.0
    return MeasuredNoise(gain, read, bins, summed[0], steady and gain > 0, effective, ratio)


def _summed(x: Floats, bins: int) -> Floats:
    whole = x.shape[1] // bins * bins
    sums: Floats = x[:, :whole].reshape(len(x), -1, bins).sum(axis=2)
    return sums


def _fitted(a: Floats, b: Floats, apart: int) -> tuple[float, float, bool, float, float] | None:
    """Gain, read noise, whether they say it all, the typical signal, and the usual ratio of the variance to it."""
    factor = np.sqrt(a.sum(axis=1, keepdims=True) / b.sum(axis=1, keepdims=True))
    difference = a / factor - b * factor
    variance = a / factor**2 + b * factor**2
    scatter = 1 / factor**2 + factor**2
    v = (difference[:, apart:] - difference[:, :-apart]).ravel()
    m = (variance[:, apart:] + variance[:, :-apart]).ravel()
    s = (np.broadcast_to(2 * scatter, variance[:, apart:].shape)).ravel()
    # By what the channels hold on the whole, not by the noisy values themselves: these would be sorted by their noise.
    mean = (a + b).mean(axis=0)
    level = np.broadcast_to(mean[apart:] + mean[:-apart], variance[:, apart:].shape).ravel()
    used = level > 0
    v, m, s, level = v[used], m[used], s[used], level[used]
    if np.count_nonzero(m) < _LEAST:
        return None
    order = np.argsort(level, kind="stable")
    ratios, constants, signals = [], [], []
    for group in np.array_split(order, _GROUPS):
        whole = float(m[group].sum())
        if np.count_nonzero(m[group]) < _LEAST // _GROUPS:
            continue
        squares = float((v[group] ** 2).sum())
        signal = whole / float(s[group].sum())
        # The median of the squares of a normal deviate, in units of its variance.
        usual = whole * float(np.median(v[group] ** 2 / np.maximum(m[group], 1e-300))) / 0.4549
        if signal * whole > _MANY * usual > 0:
            squares = usual
        ratios.append(squares / whole)
        constants.append(float(s[group].sum()) / whole)
        signals.append(signal)
    if len(ratios) < 2:
        return None
    return _model(np.array(ratios), np.array(constants), np.array(signals))


def _model(ratios: Floats, constants: Floats, signals: Floats) -> tuple[float, float, bool, float, float]:
    """``gain + read^2 * constant``: most groups say the same, or as little read noise as is needed is fitted."""
    from scipy.optimize import nnls

    typical = float(np.median(signals))
    gain = float(np.median(ratios))
    alike = np.abs(ratios - gain) <= _FITS * gain
    if (
        gain > 0
        and alike.mean() >= _MOST
        and np.ptp(np.log(signals[alike])) >= min(math.log(_SPAN), np.ptp(np.log(signals)) / 2)
    ):
        return gain, 0.0, True, typical, gain
    columns = [np.ones_like(ratios), constants * typical, signals / typical]
    best: Floats = np.zeros(3)
    left = np.inf
    for used in ([0, 1], [0, 2], [0, 1, 2]):
        design = np.stack([columns[i] for i in used], axis=1) / np.maximum(ratios, 1e-300)[:, None]
        observed, norm = nnls(design, np.ones(len(ratios)))
        error = norm / math.sqrt(len(ratios))
        if error < 0.8 * left:
            best, left = np.zeros(3), error
            best[used] = observed
        if left <= _FITS:
            break
    return float(best[0]), math.sqrt(best[1] * typical), bool(left <= _STEADY), typical, gain
