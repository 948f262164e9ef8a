"""What a first look at a volume finds: its values, it in bins, the three planes through its middle, and a hash."""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.volume.threshold import Values, limits_of, values_of
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.planes import Planes

# Bins along the longest side at most.
_MOST = 128


class Overview:
    """
    Made of planes that come in their order.

    Parameters
    ----------
    shape : (int, int, int)
    dtype : dtype

    Attributes
    ----------
    bin : int
        Voxels along a side of a bin; what is left at the ends is in none.
    binned : ndarray, shape of whole bins, float32
    cuts : list of three ndarrays
        The middle planes across z, y and x, as they are.

    Examples
    --------
    >>> overview = Overview((2, 2, 3), np.dtype("u1"))
    >>> overview.add(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    >>> overview.bin, overview.binned.shape, [cut.tolist() for cut in overview.cuts][0]
    (1, (2, 2, 3), [[6, 7, 8], [9, 10, 11]])
    """

    def __init__(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        depth, height, width = self.shape = shape
        self.bin = -(-max(shape) // _MOST)
        self.binned = np.zeros([max(size // self.bin, 1) for size in shape], dtype=np.float32)
        self.cuts = [np.empty(size, dtype) for size in ((height, width), (depth, width), (depth, height))]
        self._done = 0

    def add(self, planes: NDArray[Any]) -> None:
        """The next planes."""
        middle = [size // 2 for size in self.shape]
        for plane in planes:
            z = self._done
            if z == middle[0]:
                self.cuts[0][...] = plane
            self.cuts[1][z], self.cuts[2][z] = plane[middle[1]], plane[:, middle[2]]
            if z // self.bin < len(self.binned):
                self.binned[z // self.bin] += self._means(plane)
            self._done += 1

    def _means(self, plane: NDArray[Any]) -> NDArray[np.float32]:
        (ny, nx), side = self.binned.shape[1:], self.bin
        if side == 1:
            return plane.astype(np.float32)
        rows = np.add.reduceat(plane[: ny * side], np.arange(0, ny * side, side), axis=0, dtype=np.float64)
        sums = rows[:, : nx * side].reshape(ny, nx, -1).sum(axis=2)
        return np.asarray(sums / (side * side * min(side, self.shape[0])), dtype=np.float32)


class Survey(NamedTuple):
    """
    What a first look at a volume finds.

    Attributes
    ----------
    levels, counts, mean
        See `emcore.methods.volume.threshold.Values`.
    low, high : float
        The smallest and the largest value.
    binned, cut_z, cut_y, cut_x
        See `Overview`.
    sha256 : str
        Of type, shape and values, as `emcore.core.signals.array_sha256` forms it; "" where it was not asked for.
    """

    levels: Floats
    counts: NDArray[np.int64]
    mean: float
    low: float
    high: float
    binned: NDArray[np.float32]
    cut_z: NDArray[Any]
    cut_y: NDArray[Any]
    cut_x: NDArray[Any]
    sha256: str

    @property
    def values(self) -> Values:
        """The values by themselves."""
        return Values(self.levels, self.counts, self.mean)


def survey(planes: Planes, job: Job | None = None, hashing: bool = True) -> Survey:
    """
    Look at all planes once; twice where values have more than 16 bits, as their limits must be found first.

    Raises
    ------
    ValueError
        NaN or infinity, with the first position.

    Examples
    --------
    >>> found = survey(Planes(np.arange(60, dtype=np.uint8).reshape(3, 4, 5)))
    >>> found.low, found.high, found.cut_z.shape, len(found.sha256)
    (0.0, 59.0, (4, 5), 64)
    """
    overview = Overview(planes.shape, planes.dtype)
    digest = hashlib.sha256(f"{planes.dtype.str} {planes.shape}".encode()) if hashing else None

    def looked_at() -> Iterator[NDArray[Any]]:
        for block in planes.blocks():
            overview.add(block)
            if digest is not None:
                digest.update(block.reshape(-1).view(np.uint8).data)
            yield block

    few = planes.dtype.kind in "iu" and planes.dtype.itemsize <= 2
    with planes.one_pass(job):
        limits = (0.0, 0.0) if few else limits_of(looked_at())
        values = values_of(looked_at() if few else planes.blocks(), planes.dtype, limits)
    if few:
        limits = float(values.levels[0]), float(values.levels[-1])
    sha256 = "" if digest is None else digest.hexdigest()
    cut_z, cut_y, cut_x = overview.cuts
    return Survey(*values, *limits, overview.binned, cut_z, cut_y, cut_x, sha256)
