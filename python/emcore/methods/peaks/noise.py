"""How noisy is every spectrum by itself, and where along its axis?

What a polynomial of third degree through five neighbouring points leaves is noise: differences of fourth order, which
a peak of several channels hardly has. Of second order, as is usual, they are mostly the peak's where counts are many.
Each spectrum has a level of its own, as gain or thickness change it, on a profile along the axis that all share.
"""

import numpy as np

from emcore.core.validation import Floats

ORDER = 4
"""Of the differences."""
# Over such a part of the channels their squares are averaged, over so many at least and at most: of few, what noise all
# spectra share by a detector's pattern would be low where it happens to be.
_AVERAGED, _LOW, _HIGH = 1 / 8, 5, 25
# Noise is at least this part of the largest modulus, of the mean profile.
_LEAST, _LEAST_PART = 1e-7, 1e-3


def differences(energies: Floats, order: int = ORDER) -> Floats:
    """
    Weights that leave nothing of a polynomial below `order`, and of white noise its variance.

    Parameters
    ----------
    energies : ndarray, shape (d,)
        Rising or falling, at any distances; more than `order`.

    Returns
    -------
    ndarray, shape (d - order, order + 1)
        Line i for the points from i on.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.peaks.noise import differences
    >>> np.abs(differences(np.arange(5.0), 2) * 6**0.5).round(3)[0].tolist()
    [1.0, 2.0, 1.0]
    """
    points = np.lib.stride_tricks.sliding_window_view(energies, order + 1)
    scaled = (points - points[:, :1]) / (points[:, -1:] - points[:, :1])
    apart = scaled[:, :, None] - scaled[:, None, :] + np.eye(order + 1)
    weights = 1 / apart.prod(axis=2)
    unit: Floats = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    return unit


def leftover(spectra: Floats, energies: Floats) -> Floats:
    """Of every spectrum what its differences are, shape (n, d - 4), each with the variance of the noise about it."""
    weights = differences(energies)
    total: Floats = np.zeros((len(spectra), len(weights)))
    for i in range(weights.shape[1]):
        total += weights[:, i] * spectra[:, i : i + len(weights)]
    return total


def profile_of(spectra: Floats, energies: Floats) -> Floats:
    """
    The standard deviation of the noise along the axis that some spectra share, of mean square 1.

    Parameters
    ----------
    spectra : ndarray, shape (n, d)
        Finite; at least five channels.
    energies : ndarray, shape (d,)

    Returns
    -------
    ndarray, shape (d,)

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.peaks.noise import profile_of
    >>> rng = np.random.default_rng(0)
    >>> profile_of(rng.normal(size=(500, 40)) * np.repeat([1, 3], 20), np.arange(40.0))[[5, 35]].round(1)
    array([0.4, 1.4])
    """
    squares = np.square(leftover(spectra, energies))
    shape = np.ones(squares.shape[1])
    for _ in range(2):
        levels = (squares / shape).mean(axis=1, keepdims=True)
        there = levels[:, 0] > 0
        if not there.any():
            return np.ones(len(energies))
        shape = (squares[there] / levels[there]).mean(axis=0)
        shape = np.maximum(shape, _LEAST_PART**2 * shape.mean())
    half = int(np.clip(_AVERAGED * len(energies), _LOW, _HIGH)) // 2
    padded = np.pad(shape, (ORDER // 2 + half, ORDER - ORDER // 2 + half), mode="edge")
    smooth = np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="valid")
    profile: Floats = np.sqrt(smooth / smooth.mean())
    return profile


def levels_of(spectra: Floats, energies: Floats, profile: Floats) -> Floats:
    """
    How noisy each spectrum is: what its noise along the axis is that many times of, shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.peaks.noise import levels_of
    >>> noise = np.random.default_rng(0).normal(size=(2, 4000)) * [[1], [5]]
    >>> levels_of(noise, np.arange(4000.0), np.ones(4000)).round(1)
    array([1. , 5.1])
    """
    start = ORDER // 2
    about = profile[start : start + len(energies) - ORDER]
    level: Floats = np.sqrt(np.square(leftover(spectra, energies) / about).mean(axis=1))
    floor: Floats = _LEAST * np.abs(spectra).max(axis=1, initial=0.0) + 1e-300
    return np.maximum(level, floor, out=level)
