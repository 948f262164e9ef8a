"""Which components of a factorisation are one lattice, which a varying contrast or a slight strain has parted?

Power spectra are factorised on a logarithmic scale, on which hardly any power is lifted beside none: of a lattice with
little noise, flanks of peaks and weak harmonics vary enough to be components of their own. Power itself, above the
median of its ring, is nearly all in the strong peaks; of one lattice it correlates by more than 0.96, of lattices with
other spacings or directions by less than 0.8.
"""

import numpy as np
from numpy.typing import NDArray

from emcore.methods.power_spectra.periodicity import LEAST_PERIODS
from emcore.methods.power_spectra.prominence import above_rings

LEAST_CORRELATION = 0.96


def one_lattice(powers: NDArray[np.float64], lattices: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Number components so that those of one lattice have one number.

    Parameters
    ----------
    powers : ndarray, shape (k, N, N)
        Mean power spectrum of the windows of each component, zero frequency at [N // 2, N // 2].
    lattices : ndarray of bool, shape (k,)
        Whether a component has a lattice at all: others stay by themselves.

    Returns
    -------
    ndarray, shape (k,)
        From 0 without gaps, in the order in which numbers first occur.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.likeness import one_lattice
    >>> powers = np.ones((3, 32, 32))
    >>> powers[[0, 2], 16, 24] = 50, 80
    >>> powers[1, 25, 16] = 50
    >>> one_lattice(powers, np.array([True, True, True])).tolist()
    [0, 1, 0]
    """
    n = powers.shape[1]
    above = np.zeros((len(powers), n * n))
    for i in np.flatnonzero(lattices):
        excess, radius = above_rings(powers[i])
        used = (radius >= LEAST_PERIODS - 0.5) & (radius <= n // 2)
        above[i] = np.where(used, np.maximum(excess, 0), 0).ravel()
    norms = np.linalg.norm(above, axis=1)
    above /= np.where(norms > 0, norms, 1)[:, None]
    return numbered((above @ above.T >= LEAST_CORRELATION) | np.eye(len(powers), dtype=bool))


def numbered(alike: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Number things so that what is alike, or alike to something that is alike, has one number.

    Parameters
    ----------
    alike : ndarray of bool, shape (k, k)
        Symmetric, True on the diagonal.

    Returns
    -------
    ndarray, shape (k,)
        From 0 without gaps, in the order in which numbers first occur.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.likeness import numbered
    >>> numbered(np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], dtype=bool)).tolist()
    [0, 1, 0]
    """
    for _ in alike:
        alike = alike @ alike
    _, first, numbers = np.unique(alike.argmax(axis=1), return_index=True, return_inverse=True)
    order: NDArray[np.intp] = np.argsort(np.argsort(first))[numbers]
    return order


def joined(
    maps: NDArray[np.float32], spectra: NDArray[np.float32], numbers: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Factors to start from in which components with one number are one: maps added, spectra averaged by their maps.

    Parameters
    ----------
    maps : ndarray, shape (k, ny, nx)
    spectra : ndarray, shape (k, N, N / 2 + 1)
    numbers : ndarray, shape (k,)
        As `one_lattice` gives them.

    Returns
    -------
    W, H : ndarray, shapes (ny * nx, numbers) and (numbers, N * (N / 2 + 1))

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.likeness import joined
    >>> maps, spectra = np.ones((3, 1, 2), np.float32), np.eye(3, dtype=np.float32)
    >>> W, H = joined(maps, spectra, np.array([0, 1, 0]))
    >>> W.tolist(), H.tolist()
    ([[2.0, 1.0], [2.0, 1.0]], [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    """
    belongs = (numbers == np.arange(numbers.max() + 1)[:, None]).astype(np.float32)
    maps, spectra = maps.reshape(len(numbers), -1), spectra.reshape(len(numbers), -1)
    strengths = belongs * maps.sum(axis=1)
    w0 = np.ascontiguousarray((belongs @ maps).T)
    return w0, np.ascontiguousarray(strengths @ spectra / strengths.sum(axis=1, keepdims=True))
