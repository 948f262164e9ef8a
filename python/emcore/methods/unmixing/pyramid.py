"""Are there components that only bins of positions and channels bring out of the noise?

Where a position has few counts, the singular values of a weak phase drown in noise. Sums over bins have the same phases
and fewer rows and channels, so less noise: the edge of noise is ``(sqrt(n) + sqrt(d)) / sqrt(total)``, of n rows and d
channels. Bins are looked at level by level. A component counts if it is above what the noise of the phases found before
it can reach (`emcore.methods.unmixing.endmembers.rare_edge`), if both halves of the counts have it, if its spectrum is
not that of another or a sum of others within the angle that tells phases apart, and if its map is not that of another:
a peak that shifts or a shadow on the detector differs from noise, but is no phase.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.pca.fit import PCAResult, pca
from emcore.methods.preprocessing import sums_of
from emcore.methods.selection.split_halves import count_shared_by_thinning, weighted_rows
from emcore.methods.unmixing.endmembers import ITERATIONS, SETTLED, channel_weights, factored, floors, reach
from emcore.methods.unmixing.joining import pure_spectra

# The largest singular value of noise fluctuates about its edge.
_MARGIN = 1.05
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
    """

    n: int
    maps: Floats
    counts: Floats


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
    weighted = weighted_rows(counts, scale, taken)
    most = min(known + _MORE, *weighted.shape)
    decomposition = pca(weighted, most, center=False)
    singular = decomposition.singular_values / max(float(decomposition.singular_values[0]), 1e-300)
    n, d = len(taken), int(np.count_nonzero(of_channels))
    edge = (np.sqrt(n) + np.sqrt(d)) / np.sqrt(float(of_channels.sum()))
    k = int(np.count_nonzero(singular > _MARGIN * edge))
    while k > known and singular[k - 1] <= _MARGIN * reach(weighted, decomposition, k - 1, of_rows[taken], scale):
        k -= 1
    if k > known:
        k = min(k, count_shared_by_thinning(counts, scale, taken, k))
    return _distinct(weighted, decomposition, scale, of_rows, taken, k, known) if k > known else None


def _distinct(
    weighted: Any, decomposition: PCAResult, scale: Floats, of_rows: Floats, taken: NDArray[np.intp], k: int, known: int
) -> Level | None:
    """Factors none of which is another's copy, as many as there are."""
    filled = scale > 0
    while k > known:
        fit = factored(weighted, decomposition, k, ITERATIONS, SETTLED)
        spectra = fit.H[:, filled] / scale[filled]
        whole = spectra.sum(axis=1)
        maps = fit.W * np.sqrt(of_rows[taken])[:, None] * whole
        own = maps.sum(axis=0)
        if (own > 0).all() and not _copies(maps):
            kept = pure_spectra(spectra / whole[:, None], own, _ANGLE)
            # The strongest, of which the others are parts that were taken out, need not differ from their sum.
            if len({*kept, int(np.argmax(own))}) == k:
                placed = np.zeros((len(of_rows), k))
                placed[taken] = maps
                return Level(k, placed, of_rows)
        k -= 1
    return None


def _copies(maps: Floats) -> bool:
    """Whether two maps are the same but for a factor."""
    size = np.linalg.norm(maps, axis=0)
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
