"""Segments grown from positions whose patterns are most alike: a graph of neighbours (Lee et al., arXiv 2601.17262).

Neighbouring positions are joined by the cosine between their patterns, less the mean of all; the most alike are joined
first, and regions by the mean likeness along their border. Where grains are many times a position wide this needs no
seeds and no size; counting noise makes the patterns of single positions unlike, and then segments of many positions,
`emcore.slic`, do better.
"""

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.methods.superpixels.slic import renumbered

Labels = NDArray[np.int32]


def grow(grid: NDArray[np.float32], there: NDArray[np.bool_], n_segments: int, energy: float) -> Labels:
    """About so many segments, grown from the most alike neighbours.

    Parameters
    ----------
    grid : ndarray, shape (y, x, channels), float32
        Each channel over the deviation that its noise has.
    there : ndarray of bool, shape (y, x)
    n_segments : int
    energy : float
        Sum over channels of the noise variance of a position; without it norms would be too long.

    Returns
    -------
    ndarray, shape (y, x), int32
        From 0 on; -1 where nothing was measured. More where the scan falls into more connected parts.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.graph import grow
    >>> grid = np.zeros((1, 6, 2), dtype=np.float32)
    >>> grid[0, :3, 0] = grid[0, 3:, 1] = 9
    >>> grow(grid, np.ones((1, 6), dtype=bool), 2, 0.0).tolist()
    [[0, 0, 0, 1, 1, 1]]
    """
    count = int(there.sum())
    index = np.full(there.shape, -1, dtype=np.int64)
    index[there] = np.arange(count)
    total = sum(line[measured].sum(axis=0, dtype=np.float64) for line, measured in zip(grid, there, strict=True))
    mean = (total / max(count, 1)).astype(np.float32)
    squares = _line_products(grid, grid, mean)
    # What is no longer than noise is as unlike as can be said.
    norms = np.sqrt(np.maximum(squares - energy, 0.05 * squares))
    pairs, products, lengths = [], [], []
    for here, next_one in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        both = there[here] & there[next_one]
        pairs.append(np.stack([index[here][both], index[next_one][both]], axis=1))
        products.append(_line_products(grid[here], grid[next_one], mean)[both])
        lengths.append((norms[here] * norms[next_one])[both])
    steps = _emcore.merge_borders(
        count,
        np.ascontiguousarray(np.concatenate(pairs), dtype=np.uint32),
        np.concatenate(products),
        np.concatenate(lengths),
    )
    into = np.arange(count)
    for kept, gone, _ in reversed(steps[: max(count - n_segments, 0)]):
        into[gone] = into[kept]
    labels = np.full(there.shape, -1, dtype=np.int64)
    labels[there] = into
    return renumbered(labels)


def _line_products(first: NDArray[np.float32], second: NDArray[np.float32], mean: NDArray[np.float32]) -> Floats:
    """Products of the patterns of two grids, less a mean, line by line: no copy of all."""
    products = np.empty(first.shape[:2])
    for line in range(len(first)):
        products[line] = np.einsum("ij,ij->i", first[line] - mean, second[line] - mean)
    return products
