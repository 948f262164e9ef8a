"""Groups of positions wherever they lie become segments: their connected pieces."""

import numpy as np
from numpy.typing import NDArray

from emcore.methods.superpixels.slic import renumbered

Labels = NDArray[np.int32]


def connected_pieces(groups: NDArray[np.integer], least: int = 1) -> Labels:
    """Connected pieces of positions of one group; smaller ones go to the nearest that is large enough.

    Parameters
    ----------
    groups : ndarray of int, shape (y, x)
        Negative ones are no group.
    least : int, default 1
        Positions of a piece.

    Returns
    -------
    ndarray, shape (y, x), int32
        From 0 on, line by line; -1 where there is no group.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.superpixels.pieces import connected_pieces
    >>> connected_pieces(np.array([[0, 0, 1, 0, 0], [0, 0, 5, 0, 0]]), 2).tolist()
    [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1]]
    """
    from scipy import ndimage

    pieces = _pieces(groups)
    there = pieces >= 0
    small = there & (np.append(np.bincount(pieces[there]), 0)[pieces] < least)
    if small.any() and not small[there].all():
        nearest = ndimage.distance_transform_edt(small | ~there, return_distances=False, return_indices=True)
        pieces = _pieces(np.where(small, pieces[tuple(nearest)], pieces))
    return pieces


def _pieces(groups: NDArray[np.integer]) -> Labels:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    index = np.arange(groups.size).reshape(groups.shape)
    sides = [
        np.stack([index[here][same], index[beyond][same]])
        for here, beyond in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]))
        if (same := groups[here] == groups[beyond]) is not None
    ]
    first, second = np.concatenate(sides, axis=1)
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(groups.size, groups.size))
    _, pieces = connected_components(graph, directed=False)
    return renumbered(np.where(groups < 0, -1, pieces.reshape(groups.shape)))
