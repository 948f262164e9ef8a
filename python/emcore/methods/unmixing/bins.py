"""Sums over few positions and channels of a spectrum image, in each of which many counts are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Bins:
    """Sums over bins of positions and channels.

    Attributes
    ----------
    sums : ndarray, shape (y, x, channels), float32
    side, channels : int
        How many positions along each axis of the scan, and how many channels, are summed.
    places : ndarray of int, shape (positions,)
        In which bin every position lies, both counted line by line.
    """

    sums: NDArray[np.float32]
    side: int
    channels: int
    places: NDArray[np.intp]

    @property
    def rows(self) -> NDArray[np.float32]:
        """One row for each bin of positions."""
        return self.sums.reshape(-1, self.sums.shape[-1])

    @property
    def positions(self) -> float:
        """How many positions are in a bin, on average."""
        return float(len(self.places) / max(self.sums.shape[0] * self.sums.shape[1], 1))

    def coarser(self, side: int, channels: int) -> "Bins":
        """
        These bins summed further, so many together along the scan and along the channels.

        Examples
        --------
        >>> import numpy as np
        >>> from emcore.methods.unmixing.bins import Bins
        >>> fine = Bins(np.ones((2, 3, 4), np.float32), 1, 1, np.arange(6))
        >>> coarse = fine.coarser(2, 2)
        >>> coarse.sums.tolist(), coarse.places.tolist()
        ([[[8.0, 8.0], [4.0, 4.0]]], [0, 0, 1, 0, 0, 1])
        """
        sums = self.sums
        for axis, many in ((0, side), (1, side), (2, channels)):
            sums = np.add.reduceat(sums, np.arange(0, sums.shape[axis], many), axis=axis)
        height, width = self.sums.shape[:2]
        y, x = np.indices((height, width)) // side
        of_bins = (y * sums.shape[1] + x).ravel()
        return Bins(sums, self.side * side, self.channels * channels, of_bins[self.places])
