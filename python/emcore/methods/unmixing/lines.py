"""Which lines in the spectrum of a phase belong to another phase, with which it lies mixed?

A phase that is nowhere alone, a particle in a matrix, has a factor in which some of the other's lines may be left.
X-ray lines tell how much: where they stand above the background, what a phase has least of another's lines, it has of
that other phase as a whole. A spectrum that is a smooth background for the most part tells nothing so: what
phases have in common there is theirs.
"""

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats

# Of a spectrum, the part that lines are at least, to be taken for one of lines: losses of electrons have 0.05 at most.
_LINES = 0.15
# Channels, as a part of all, over which a background does not change as lines do; and of the noise that is smoothed.
_WIDE, _LEAST, _SMOOTH = 20, 9, 2.0
# The least that a phase has of another's lines is taken from so much of these.
_FEW = 0.2


def lines_of(spectrum: Floats) -> Floats:
    """
    What stands above the background of a spectrum: above the opening of it, smoothed, by a twentieth of the channels.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.lines import lines_of
    >>> spectrum = np.full(200, 1.0)
    >>> spectrum[50:53] += 100
    >>> bool(lines_of(spectrum)[51] > 95), round(float(lines_of(spectrum)[100]), 6)
    (True, 0.0)
    """
    from scipy.ndimage import gaussian_filter1d, grey_opening

    background = grey_opening(gaussian_filter1d(spectrum, _SMOOTH), size=max(len(spectrum) // _WIDE, _LEAST))
    above: Floats = np.maximum(spectrum - background, 0)
    return above


def without_lines_of_others(spectra: Floats, own: NDArray[np.bool_]) -> Floats:
    """
    Spectra of phases that are nowhere alone, without the lines of those that are somewhere.

    Parameters
    ----------
    spectra : ndarray, shape (k, d)
        Each of sum 1.
    own : ndarray of bool, shape (k,)
        Which phases have positions of their own; these spectra stay.

    Returns
    -------
    ndarray, shape (k, d)
        Each of sum 1.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.lines import without_lines_of_others
    >>> matrix, particle = np.full(200, 0.001), np.full(200, 0.001)
    >>> matrix[40:43], particle[150:153] = 0.2, 0.2
    >>> mixed = np.stack([matrix, 0.3 * matrix + 0.7 * particle]) / np.array([[matrix.sum()], [particle.sum()]])
    >>> spectra = without_lines_of_others(mixed, np.array([True, False]))
    >>> round(float(mixed[1, 40] / mixed[1, 150]), 2), bool(spectra[1, 40] / spectra[1, 150] < 0.01)
    (0.43, True)
    """
    cleaned = spectra.copy()
    of_lines = {int(j): lines_of(spectra[j]) for j in np.flatnonzero(own)}
    for i in np.flatnonzero(~own):
        for j, lines in of_lines.items():
            if lines.sum() > _LINES * spectra[j].sum():
                cleaned[i] = np.maximum(cleaned[i] - _least_ratio(cleaned[i], spectra[j], lines) * spectra[j], 0)
        whole = cleaned[i].sum()
        cleaned[i] = cleaned[i] / whole if whole > 0 else spectra[i]
    return cleaned


def _least_ratio(spectrum: Floats, other: Floats, lines: Floats) -> float:
    """How much of another spectrum there is at most, by those of its lines of which there is least."""
    ratios = np.divide(spectrum, other, out=np.full(len(other), np.inf), where=other > 0)
    order = np.argsort(ratios, kind="stable")
    weights = np.cumsum(lines[order])
    least = order[: int(np.searchsorted(weights, _FEW * weights[-1])) + 1]
    least = least[np.isfinite(ratios[least])]
    return float(ratios[least] @ lines[least] / max(float(lines[least].sum()), 1e-300))
