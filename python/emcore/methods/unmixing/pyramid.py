"""Are there components that only bins of positions and channels bring out of the noise?

Where a position has few counts, the singular values of a weak phase drown in noise. Sums over bins have the same phases
and fewer rows and channels, so less noise: the edge of noise is ``(sqrt(n) + sqrt(d)) / sqrt(total)``, of n rows and d
channels. Bins are looked at level by level. A component counts if it is above what the noise of the phases found before
it can reach (`emcore.methods.unmixing.weights.rare_edge`), if both halves of the counts have it, if its spectrum is
not that of another or a sum of others within the angle that tells phases apart, and if its map is not that of another:
a peak that shifts or a shadow on the detector differs from noise, but is no phase.

Spectra, too, are those of bins where these hold more of the weakest component: at single positions noise turns its
spectrum away, in bins mixing makes it weak, and `without_noise` tells what is left of it in either.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.pca.fit import PCAResult, pca
from emcore.methods.preprocessing import sums_of
from emcore.methods.selection.rules import without_noise
from emcore.methods.selection.split_halves import count_shared_by_thinning, weighted_rows
from emcore.methods.unmixing.bins import Bins
from emcore.methods.unmixing.endmembers import ITERATIONS, SETTLED, factored, reach
from emcore.methods.unmixing.joining import pure_spectra
from emcore.methods.unmixing.weights import channel_weights, floors

# Levels of bins: positions along a side, channels.
_LEVELS = ((8, 8), (4, 4), (2, 4))
# With so many counts in a bin on average it is no longer noise that hides phases.
_ENOUGH = 2000.0
# Bins at the finest level, and the least number of bins of positions.
MOST_BINS = 1 << 24
_LEAST_ROWS = 16
# The largest singular value of noise fluctuates about its edge.
_MARGIN = 1.05
# Bins are to hold so many times what single positions do.
_BETTER = 1.1
# Components beyond those that are known already.
_MORE = 5
# Degrees: what absorption and a detector's drift turn the spectrum of one phase by stays below that.
_ANGLE = 18.0
# Maps that correlate so are one.
_COLLINEAR = 0.95


@dataclass(frozen=True, eq=False)
class Level:
    """Components of one level of bins.

    Attributes
    ----------
    n : int
    maps : ndarray, shape (n_bins, n), float64
        Counts of each in every bin of positions; 0 in bins that took no part.
    counts : ndarray, shape (n_bins,), float64
        All counts of these bins.
    signal : float
        What is left of the weakest one `without_noise`, in units of the first.
    """

    n: int
    maps: Floats
    counts: Floats
    signal: float


@dataclass(frozen=True, eq=False)
class Shown:
    """How many components, why if more than without bins, and of which bins spectra are better, if any."""

    n: int
    reason: str
    bins: Bins | None = None
    level: Level | None = None


@dataclass(frozen=True, eq=False)
class _Weighted:
    """Bins that take part, weighted for their noise, and the sums and weights of all rows and channels."""

    rows: Any
    scale: Floats
    of_rows: Floats
    of_channels: Floats
    taken: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and channels that hold counts."""
        return len(self.taken), int(np.count_nonzero(self.of_channels))


def levels(grid: tuple[int, ...], channels: int, dose: float) -> list[tuple[int, int]]:
    """
    Positions along a side and channels of the bins that are worth looking at, from the coarsest.

    Parameters
    ----------
    grid : tuple of int
        Shape of the scan.
    channels : int
    dose : float
        Counts of a position.

    Returns
    -------
    list of (int, int)
        None where counts are many or positions few, or the finest bins too many.

    Examples
    --------
    >>> from emcore.methods.unmixing.pyramid import levels
    >>> levels((64, 64), 1000, 20.0), levels((64, 64), 1000, 100.0), levels((64, 64), 1000, 1000.0)
    ([(8, 8), (4, 4), (2, 4)], [(4, 4), (2, 4)], [])
    """
    some = [
        (side, many)
        for side, many in _LEVELS
        if math.prod(-(-size // side) for size in grid) >= _LEAST_ROWS and dose * side ** len(grid) <= _ENOUGH
    ]
    if not some or len(grid) > 2:
        return []
    side, many = some[-1]
    return some if math.prod(grid) // side ** len(grid) * channels // many <= MOST_BINS else []


def search(
    finest: Bins, sides: list[tuple[int, int]], known: int, singular: Floats, signals: Floats, more: bool
) -> Shown | None:
    """
    What bins show beyond single positions.

    Parameters
    ----------
    finest : Bins
        At the last of these levels.
    sides : list of (int, int)
        Of `levels`.
    known : int
        How many components there are without bins.
    singular, signals : ndarray
        Singular values of single positions, in units of the first, and what is left of them `without_noise`.
    more : bool
        Whether more components than known are looked for.

    Returns
    -------
    Shown, or None
        None where bins show nothing else.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.bins import Bins
    >>> from emcore.methods.unmixing.pyramid import search
    >>> rng = np.random.default_rng(0)
    >>> spectra = np.repeat(np.eye(2), 20, axis=1) + 0.1
    >>> counts = rng.poisson(rng.dirichlet([0.4, 0.4], (15, 20)) @ spectra).astype(np.float32)
    >>> single = np.array([1.0, 0.1]), np.array([1.0, 0.0])
    >>> shown = search(Bins(counts, 2, 4, np.arange(300)), [(4, 4), (2, 4)], 1, *single, True)
    >>> shown.n, shown.bins.side, shown.reason.split(",")[0]
    (2, 2, '2 in bins of 2 x 2 positions and 4 channels')
    """
    best, shown = known, None
    for side, channels in sides if more else ():
        bins = finest.coarser(side // finest.side, channels // finest.channels)
        level = search_level(bins.rows, known, best if best > known else best + 1)
        if level is not None:
            best, shown = level.n, bins
    source = None
    signal = float(signals[best - 1]) if best <= len(signals) else 0.0
    # Of smaller bins less is mixed: coarser ones only where noise hides something in the finest.
    for side, channels in () if settled(best, singular, signals) else reversed(sides):
        bins = finest.coarser(side // finest.side, channels // finest.channels)
        level = factors_of_bins(bins.rows, best, _BETTER * signal)
        if level is not None:
            source = bins, level
            break
    if shown is None:
        return None if source is None else Shown(known, "", *source)
    bins = shown
    where = f"{bins.side} x {bins.side}" if bins.sums.shape[0] > 1 else f"{bins.side}"
    reason = (
        f"{best} in bins of {where} positions and {bins.channels} channels, above the noise and in both halves of the "
        f"counts; {known} at single positions"
    )
    return Shown(best, reason, *(source or ()))


def settled(n: int, singular: Floats, signals: Floats) -> bool:
    """
    Whether bins cannot hold much more of the n-th component than single positions: no more than was measured.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.pyramid import settled
    >>> settled(2, np.array([1.0, 0.5]), np.array([1.0, 0.49])), settled(2, np.array([1.0, 0.1]), np.array([1.0, 0.02]))
    (True, False)
    """
    return n <= len(singular) and bool(singular[n - 1] <= _BETTER * signals[n - 1])


def search_level(counts: NDArray[np.float32], known: int, least: int | None = None) -> Level | None:
    """
    More components than are known, if bins show them.

    Parameters
    ----------
    counts : ndarray, shape (n, d), float32
        Of bins of positions and channels.
    known : int
        How many components were found without them.
    least : int, optional
        How many are worth saying, by default one more.

    Returns
    -------
    Level, or None
        None where fewer stand out.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.pyramid import search_level
    >>> rng = np.random.default_rng(0)
    >>> spectra = np.repeat(np.eye(2), 20, axis=1) + 0.1
    >>> counts = rng.poisson(rng.dirichlet([0.4, 0.4], 300) @ spectra).astype(np.float32)
    >>> search_level(counts, 1).n, search_level(rng.poisson(1.0, (300, 40)).astype(np.float32), 1)
    (2, None)
    """
    known = known if least is None else max(least - 1, known)
    weighted = _weighted(counts, known)
    if weighted is None:
        return None
    most = min(known + _MORE, *weighted.rows.shape)
    decomposition = pca(weighted.rows, most, center=False)
    singular = decomposition.singular_values / max(float(decomposition.singular_values[0]), 1e-300)
    k = int(np.count_nonzero(singular > _MARGIN * _edge(weighted)))
    own = weighted.of_rows[weighted.taken]
    while k > known and singular[k - 1] <= _MARGIN * reach(weighted.rows, decomposition, k - 1, own, weighted.scale):
        k -= 1
    if k > known:
        k = min(k, count_shared_by_thinning(counts, weighted.scale, weighted.taken, k))
    return _distinct(weighted, decomposition, k, known)


def factors_of_bins(counts: NDArray[np.float32], k: int, least: float) -> Level | None:
    """So many components of bins, shape (n, d), if more than the least signal is left of the weakest one."""
    weighted = _weighted(counts, k)
    if weighted is None or min(weighted.rows.shape) < k:
        return None
    decomposition = pca(weighted.rows, k, center=False)
    if not _signal(weighted, decomposition, k) > least:
        return None
    maps = _maps(weighted, decomposition, k)[0]
    return _level(weighted, decomposition, maps) if (maps.sum(axis=0) > 0).all() else None


def _edge(weighted: _Weighted) -> float:
    """The largest singular value of noise, in units of the largest there is."""
    n, d = weighted.shape
    return (math.sqrt(n) + math.sqrt(d)) / math.sqrt(float(weighted.of_channels.sum()))


def _signal(weighted: _Weighted, decomposition: PCAResult, k: int) -> float:
    """What is left of the k-th component without noise, in units of the first."""
    value = decomposition.singular_values[k - 1 : k] / decomposition.singular_values[0]
    return float(without_noise(value, weighted.shape, float(weighted.of_channels.sum()) ** -0.5)[0])


def _weighted(counts: NDArray[np.float32], known: int) -> _Weighted | None:
    of_rows, of_channels = sums_of(counts)
    total, filled = float(of_rows.sum()), int(np.count_nonzero(of_channels))
    taken = np.flatnonzero(of_rows > 0)
    if total <= 0 or len(taken) < 2 * known or filled < 2 * known:
        return None
    taken = np.flatnonzero(of_rows >= max(floors(len(taken), filled, total)[0], 1e-300))
    if not len(taken):
        return None
    of_channels = sums_of(counts, taken)[1]
    scale = np.sqrt(channel_weights(of_channels, of_rows[taken], True)) * (of_channels > 0)
    return _Weighted(weighted_rows(counts, scale, taken), scale, of_rows, of_channels, taken)


def _distinct(weighted: _Weighted, decomposition: PCAResult, k: int, known: int) -> Level | None:
    """Factors none of which is another's copy, as many as there are."""
    while k > known:
        maps, spectra = _maps(weighted, decomposition, k)
        own = maps.sum(axis=0)
        if (own > 0).all() and not collinear(maps):
            kept = pure_spectra(spectra, own, _ANGLE)
            # The strongest, of which the others are parts that were taken out, need not differ from their sum.
            if len({*kept, int(np.argmax(own))}) == k:
                return _level(weighted, decomposition, maps)
        k -= 1
    return None


def _maps(weighted: _Weighted, decomposition: PCAResult, k: int) -> tuple[Floats, Floats]:
    """Maps in counts and spectra of sum 1 of k factors; of one that is zero, zeros."""
    filled = weighted.scale > 0
    fit = factored(weighted.rows, decomposition, k, ITERATIONS, SETTLED)
    spectra = fit.H[:, filled] / weighted.scale[filled]
    whole = spectra.sum(axis=1)
    maps = fit.W * np.sqrt(weighted.of_rows[weighted.taken])[:, None] * whole
    return maps, spectra / np.where(whole > 0, whole, 1)[:, None]


def _level(weighted: _Weighted, decomposition: PCAResult, maps: Floats) -> Level:
    k = maps.shape[1]
    placed = np.zeros((len(weighted.of_rows), k))
    placed[weighted.taken] = maps
    return Level(k, placed, weighted.of_rows, _signal(weighted, decomposition, k))


def collinear(maps: Floats) -> bool:
    """Whether two maps, shape (n, k), are the same but for a factor."""
    size = np.maximum(np.linalg.norm(maps, axis=0), 1e-300)
    cosines = (maps.T @ maps) / np.outer(size, size) - np.eye(maps.shape[1])
    return bool(cosines.max() > _COLLINEAR)


def spectra_of_maps(products: Floats, maps: Floats, counts: Floats) -> Floats:
    """
    Spectra of known maps: non-negative least squares in every channel, every row weighted by its counts.

    Parameters
    ----------
    products : ndarray, shape (d, k)
        ``X^T (W / counts)``, of the maps W and all rows X.
    maps : ndarray, shape (n, k)
    counts : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (k, d), float64
        Each of sum 1.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.unmixing.pyramid import spectra_of_maps
    >>> maps, spectra = np.array([[4.0, 0.0], [1.0, 1.0], [0.0, 2.0]]), np.array([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    >>> counts = maps.sum(axis=1)
    >>> spectra_of_maps((maps @ spectra).T @ (maps / counts[:, None]), maps, counts).round(6).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]]
    """
    from scipy.optimize import nnls

    used = counts > 0
    gram = maps[used].T @ (maps[used] / counts[used, None])
    size = np.sqrt(np.diag(gram))
    # G = R^T R: |R h - R^-T b| is what is least where G h = b.
    root = np.linalg.cholesky(gram / np.outer(size, size) + 1e-12 * np.eye(len(gram))).T
    sought = np.linalg.solve(root.T, (products / size).T)
    observed = np.stack([nnls(root, column)[0] for column in sought.T], axis=1) / size[:, None]
    whole = observed.sum(axis=1, keepdims=True)
    spectra: Floats = observed / np.where(whole > 0, whole, 1)
    return spectra
