"""Labels of voxels between overlapping windows: which class fills most of the window that stood on a voxel?

What part of a window a class fills changes evenly as the window moves over a border, and is a half where its centre is
on it. So parts are interpolated linearly between the centres of eight windows, and a voxel belongs to the class whose
part is the largest. Where one class is the largest in all eight it is so in between, too, so that only voxels near
borders are looked at one by one.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Cell(NamedTuple):
    """Voxels along one axis between the centres of two windows: where, which windows, and the weight of the second."""

    where: slice
    low: int
    high: int
    weight: NDArray[np.float32]


def cells(size: int, window: int, step: int) -> list[Cell]:
    """
    The voxels of an axis by the windows whose centres they lie between; those beyond go with the nearest.

    Examples
    --------
    >>> [(cell.where.start, cell.where.stop, cell.low, cell.high) for cell in cells(10, 4, 3)]
    [(0, 2, 0, 0), (2, 5, 0, 1), (5, 8, 1, 2), (8, 10, 2, 2)]
    """
    count = (size - window) // step + 1
    centres = np.arange(count) * step + (window - 1) / 2
    edges = [0, *np.ceil(centres).astype(int).tolist(), size]
    made = []
    for i in range(count + 1):
        low, high = max(i - 1, 0), min(i, count - 1)
        voxels = np.arange(edges[i], edges[i + 1])
        weight = (voxels - centres[low]) / step if high > low else np.zeros(len(voxels))
        if len(voxels):
            made.append(Cell(slice(edges[i], edges[i + 1]), low, high, weight.astype(np.float32)))
    return made


def label_type(count: int) -> np.dtype[np.signedinteger]:
    """
    The smallest type that holds so many labels and -1.

    Examples
    --------
    >>> label_type(9), label_type(200)
    (dtype('int8'), dtype('int16'))
    """
    return np.dtype(np.int8 if count <= 127 else np.int16 if count <= 32767 else np.int32)


def label_slabs(
    parts: NDArray[np.float32], shape: tuple[int, int, int], window: int, step: int
) -> Iterator[tuple[slice, NDArray[np.signedinteger]]]:
    """
    Labels of a volume, slab by slab along z.

    Parameters
    ----------
    parts : ndarray, shape (nz, ny, nx, k), float32
        What part of each window each class fills, adding up to 1; all 0 for a window that is in none.
    shape : (int, int, int)
        Of the volume.
    window, step : int

    Yields
    ------
    slice
        The planes of the slab.
    ndarray, shape (planes, H, W)
        From 0 to k - 1; -1 where windows that are in none weigh most.

    Examples
    --------
    >>> parts = np.zeros((1, 1, 2, 2), dtype=np.float32)
    >>> parts[0, 0, 0, 0] = parts[0, 0, 1, 1] = 1
    >>> where, labels = next(label_slabs(parts, (4, 4, 8), 4, 4))
    >>> labels[0, 0].tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    k = parts.shape[-1]
    none = (parts.max(axis=-1, keepdims=True, initial=0) <= 0).astype(np.float32)
    with_none = np.concatenate([parts, none], axis=-1)
    strongest = with_none.argmax(axis=-1)
    names = np.append(np.arange(k), -1).astype(label_type(k))
    along = [cells(size, window, step) for size in shape]
    for z in along[0]:
        slab = np.empty((z.where.stop - z.where.start, *shape[1:]), dtype=names.dtype)
        for y in along[1]:
            for x in along[2]:
                corners = np.ix_(*(sorted({c.low, c.high}) for c in (z, y, x)))
                at = strongest[corners]
                here = slab[:, y.where, x.where]
                if (at == at.flat[0]).all():
                    here[...] = names[at.flat[0]]
                    continue
                block = with_none[corners]
                classes = np.flatnonzero(block.reshape(-1, k + 1).max(axis=0) > 0)
                values = block[..., classes]
                for axis, cell in enumerate((z, y, x)):
                    if values.shape[axis] == 2:
                        first, second = np.split(values, 2, axis=axis)
                        weight = cell.weight.reshape([-1 if a == axis else 1 for a in range(4)])
                        values = first + weight * (second - first)
                    else:
                        values = np.repeat(values, len(cell.weight), axis=axis)
                here[...] = names[classes[values.argmax(axis=-1)]]
        yield z.where, slab


class Tally:
    """
    How many voxels have which labels, and the labels in the three planes through the middle, of slabs as they come.

    Parameters
    ----------
    shape : (int, int, int)
    n_textures, n_classes : int

    Attributes
    ----------
    table : ndarray, shape (n_textures, n_classes), int64
        Voxels of each texture and class; those of none are left out.
    texture_cuts, oriented_cuts : list of three ndarrays
    """

    def __init__(self, shape: tuple[int, int, int], n_textures: int, n_classes: int) -> None:
        depth, height, width = self.shape = shape
        self.table = np.zeros((n_textures, n_classes), dtype=np.int64)
        sides = ((height, width), (depth, width), (depth, height))
        self.texture_cuts = [np.empty(side, label_type(n_textures)) for side in sides]
        self.oriented_cuts = [np.empty(side, label_type(n_classes)) for side in sides]

    def add(self, where: slice, textures: NDArray[Any], oriented: NDArray[Any]) -> None:
        """The labels of a slab."""
        t, k = self.table.shape
        for a, b in zip(textures, oriented, strict=True):
            both = (a.astype(np.int32) + 1) * (k + 1) + b + 1
            counts = np.bincount(both.ravel(), minlength=(t + 1) * (k + 1))
            self.table += counts.reshape(t + 1, k + 1)[1:, 1:]
        middle = [size // 2 for size in self.shape]
        for cuts, labels in ((self.texture_cuts, textures), (self.oriented_cuts, oriented)):
            if where.start <= middle[0] < where.stop:
                cuts[0][...] = labels[middle[0] - where.start]
            cuts[1][where], cuts[2][where] = labels[:, middle[1]], labels[:, :, middle[2]]
