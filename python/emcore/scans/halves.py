"""Positions on which something is chosen, and others on which it is judged: every other one.

What was chosen as the best on some positions looks better there than it is. Alternate positions are alike but for their
noise, so that what is found on one half says of the other what the sample has, and nothing of the first half's noise.
"""

import numpy as np
from numpy.typing import NDArray


def alternate(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """
    Every other position of each group, in the order of the scan, from the first one on.

    Parameters
    ----------
    labels : ndarray of int, any shape
        Negative ones are of no group, and in no half.

    Examples
    --------
    >>> alternate(np.array([[0, 1, 0, 0], [1, 1, -1, 0]])).astype(int).tolist()
    [[1, 1, 0, 1], [0, 1, 0, 0]]
    """
    chosen = np.zeros(labels.size, dtype=bool)
    flat = labels.ravel()
    for label in np.unique(flat[flat >= 0]):
        chosen[np.flatnonzero(flat == label)[::2]] = True
    return chosen.reshape(labels.shape)


def checkerboard(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """
    Every other position in every line and column.

    Examples
    --------
    >>> checkerboard((2, 3)).astype(int).tolist()
    [[1, 0, 1], [0, 1, 0]]
    """
    y, x = np.indices(shape)
    return np.asarray((y + x) % 2 == 0)


def labels_of_neighbours(labels: NDArray[np.int32], chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
    """
    Labels, 0 or 1, of the positions that were not chosen, by those that were: that of most of the four neighbours.

    So the label of a position does not depend on its own noise, as it does where a clustering of the data gave it.

    Parameters
    ----------
    labels : ndarray, shape (y, x), int32
        0, 1, or -1 for none.
    chosen : ndarray of bool, shape (y, x)

    Returns
    -------
    ndarray, shape (y, x), int32
        -1 of chosen positions, of those without a label of their own, and where there is no majority.

    Examples
    --------
    >>> labels = np.array([[0, 1, 0, 0], [0, 0, 1, 1]], np.int32)
    >>> labels_of_neighbours(labels, checkerboard((2, 4))).tolist()
    [[-1, 0, -1, -1], [0, -1, 0, -1]]
    """
    sides = np.pad(np.where(chosen & (labels >= 0), 1 - 2 * labels, 0), 1)
    votes = sides[:-2, 1:-1] + sides[2:, 1:-1] + sides[1:-1, :-2] + sides[1:-1, 2:]
    voted = np.where(votes > 0, 0, np.where(votes < 0, 1, -1))
    return np.where(chosen | (labels < 0), -1, voted).astype(np.int32)
