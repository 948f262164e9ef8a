"""The power spectra of an image's windows as those of a few regions: factors, regions, and the lattice of each."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.methods.nmf.fit import SWEEPS, nmf
from emcore.methods.power_spectra.periodicity import strongest_peaks
from emcore.methods.power_spectra.regions import (
    balanced,
    comparable,
    leaked_powers,
    mean_powers,
    shares,
    strongest_in_pixels,
    strongest_in_windows,
    typical_powers,
    well_inside,
)
from emcore.methods.power_spectra.windows import full_plane, window_centers

ITERATIONS = 200
_TOLERANCE = 1e-3


class Picture(NamedTuple):
    """What the windows were cut from: its height and width, their step, and the size of a pixel along y and x."""

    shape: tuple[int, int]
    step: int
    scale: tuple[float, float]


class Parts(NamedTuple):
    """
    Components of windows and what they say about the picture.

    Attributes
    ----------
    maps : ndarray, shape (k, ny, nx), float32
    spectra : ndarray, shape (k, N, N / 2 + 1), float32
        Of sum 1 over the full plane where factorised.
    n_iter : int
        Iterations of the factorisation.
    regions : ndarray, shape (H, W), int32
    counts : ndarray, shape (k,)
        Pixels of each region.
    labels : ndarray, shape (ny, nx)
        The region of every window.
    powers, typical : ndarray, shape (k, N, N)
        Mean and geometric mean power of the windows of each region.
    peaks : ndarray, shape (k, 2, 3)
        As `strongest_peaks` gives them.
    """

    maps: NDArray[np.float32]
    spectra: NDArray[np.float32]
    n_iter: int
    regions: NDArray[np.int32]
    counts: NDArray[np.intp]
    labels: NDArray[np.intp]
    powers: NDArray[np.float64]
    typical: NDArray[np.float64]
    peaks: NDArray[np.float64]

    @property
    def lattices(self) -> NDArray[np.bool_]:
        """Which components have a lattice."""
        return np.isfinite(self.peaks[:, 0, 0])


def separate(
    spectra: NDArray[np.float32], weights: NDArray[Any], start: tuple[NDArray[Any], NDArray[Any]], picture: Picture
) -> Parts:
    """
    Factorise the spectra of windows from given factors.

    Parameters
    ----------
    spectra : ndarray, shape (ny, nx, N, N / 2 + 1)
        As `emcore.windowed_power_spectra` gives them.
    weights : ndarray, shape (N * (N / 2 + 1),)
        How often each frequency stands in the full plane.
    start : (ndarray, ndarray)
        Maps, shape (ny * nx, k), and spectra, shape (k, N * (N / 2 + 1)).
    picture : Picture

    Returns
    -------
    Parts

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.datasets import lattice_micrograph
    >>> from emcore.methods.power_spectra.windows import half_plane_weights, windowed_power_spectra
    >>> image = lattice_micrograph((256, 256), [7], [20]).image
    >>> spectra = windowed_power_spectra(image, 64)
    >>> weights = np.tile(half_plane_weights(64), 64)
    >>> start = np.ones((spectra.shape[0] * spectra.shape[1], 1)), np.ones((1, 64 * 33))
    >>> separate(spectra, weights, start, Picture((256, 256), 16, (1.0, 1.0))).peaks[0, 0, 0].round(1)
    np.float64(7.0)
    """
    (ny, nx, *_), n = spectra.shape, len(start[1])
    rows = spectra.reshape(ny * nx, -1)
    # Of one component the start, a singular vector, is the solution.
    limits: dict[str, Any] = {"max_iter": ITERATIONS if n > 1 else 1, "tol": _TOLERANCE}
    factors = nmf(rows, n, init="custom", W0=start[0], H0=start[1], weights=weights, inner_sweeps=SWEEPS, **limits)
    maps = np.ascontiguousarray(factors.W.T, dtype=np.float32).reshape(n, ny, nx)
    components = factors.H.astype(np.float32).reshape(n, *spectra.shape[2:])
    strength = comparable(maps)
    if n > 1:
        inside = _inside(strongest_in_windows(strength), picture.step, spectra.shape[2])
        typical = typical_powers(rows, inside.ravel(), n)
        strength = balanced(strength, maps, components.reshape(n, -1), typical, weights)
    return described(spectra, maps, components, strength, picture, factors.n_iter)


def described(
    spectra: NDArray[np.float32],
    maps: NDArray[np.float32],
    components: NDArray[np.float32],
    strength: NDArray[np.float32],
    picture: Picture,
    n_iter: int = 0,
) -> Parts:
    """
    Regions where components are strongest, and their lattices.

    Parameters
    ----------
    spectra, picture
        As for `separate`.
    maps, components : ndarray, shapes (k, ny, nx) and (k, N, N / 2 + 1)
    strength : ndarray, shape (k, ny, nx), float32
        Of which the largest says to which component a window belongs.
    n_iter : int, default 0

    Returns
    -------
    Parts

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.windows import windowed_power_spectra
    >>> spectra = windowed_power_spectra(np.random.default_rng(0).normal(size=(64, 96)), 32)
    >>> maps = np.zeros((2, 5, 9), np.float32)
    >>> maps[0, :, :4] = maps[1, :, 4:] = 1
    >>> parts = described(spectra, maps, np.ones((2, 32, 17), np.float32), maps, Picture((64, 96), 8, (1.0, 1.0)))
    >>> parts.regions[0, [0, -1]].tolist(), parts.lattices.tolist()
    ([0, 1], [False, False])
    """
    window, n = spectra.shape[2], len(maps)
    y, x = window_centers(picture.shape, window, picture.step)
    regions = strongest_in_pixels(strength, y, x, picture.shape)
    labels = strongest_in_windows(strength)
    powers, typical, peaks = lattices(spectra, regions, labels, n, picture)
    counts = np.array([np.count_nonzero(regions == i) for i in range(n)])
    return Parts(maps, components, n_iter, regions, counts, labels, powers, typical, peaks)


def lattices(
    spectra: NDArray[np.float32], regions: NDArray[np.int32], labels: NDArray[np.intp], n: int, picture: Picture
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """
    Spectra and lattices of regions, by the windows that lie within them where there are any.

    Parameters
    ----------
    spectra, picture
        As for `separate`.
    regions : ndarray, shape (H, W), int32
        Below n.
    labels : ndarray, shape (ny, nx)
        The region of every window; negative for none.
    n : int

    Returns
    -------
    powers, typical : ndarray, shape (n, N, N)
        Mean and geometric mean power of the windows of each region.
    peaks : ndarray, shape (n, 2, 3)
        As `strongest_peaks` gives them.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.datasets import lattice_micrograph
    >>> from emcore.methods.power_spectra.windows import windowed_power_spectra
    >>> spectra = windowed_power_spectra(lattice_micrograph((256, 256), [7], [20]).image, 64)
    >>> everywhere = np.zeros((256, 256), np.int32), np.zeros(spectra.shape[:2], np.intp)
    >>> lattices(spectra, *everywhere, 1, Picture((256, 256), 16, (1.0, 1.0)))[2][0, 0, 0].round(1)
    np.float64(7.0)
    """
    (ny, nx, window, _) = spectra.shape
    rows = spectra.reshape(ny * nx, -1)
    y, x = window_centers(picture.shape, window, picture.step)
    inside = _inside(labels, picture.step, window)
    powers, typical = (
        full_plane(spectrum(rows, inside.ravel(), n).reshape(n, *spectra.shape[2:]))
        for spectrum in (mean_powers, typical_powers)
    )
    leaked = leaked_powers(powers, inside, shares(regions, n, y, x, window))
    # Windows that overlap by half are as good as apart.
    windows = np.bincount(inside[inside >= 0], minlength=n) * min(2 * picture.step / window, 1) ** 2
    peaks = [strongest_peaks(powers[i], picture.scale, typical[i], leaked[i], windows[i]) for i in range(n)]
    return powers, typical, np.array(peaks)


def _inside(labels: NDArray[np.intp], step: int, window: int) -> NDArray[np.intp]:
    """Labels of windows that have only their like as near as half a window."""
    half = (window - 1) // (2 * step)
    return well_inside(labels, (half, half))
