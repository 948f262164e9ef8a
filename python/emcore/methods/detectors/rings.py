"""Rings around the direct beam: which pixel of a detector is in which, so that an annulus is some rings in a row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats


@dataclass(frozen=True, eq=False)
class Rings:
    """Rings from the beam outwards, with no pixel in common and none left out but those that are not used.

    Attributes
    ----------
    edges : ndarray, shape (r + 1,), float64
        Radii in pixels, rising from 0: ring i is what is farther than `edges[i]` from the centre and not farther than
        `edges[i + 1]`; the first one, a disc, has the centre too.
    numbers : ndarray, shape (ky, kx), int32
        The ring of every pixel; -1 of one that is not used.
    """

    edges: Floats
    numbers: NDArray[np.int32]

    @property
    def count(self) -> int:
        """How many rings there are."""
        return len(self.edges) - 1

    def mask(self, first: int, last: int) -> NDArray[np.bool_]:
        """The pixels of the rings from `first` to `last`, both included.

        Examples
        --------
        >>> from emcore.methods.detectors.rings import rings_around
        >>> int(rings_around((9, 9), (4, 4)).mask(0, 0).sum())
        5
        """
        inside: NDArray[np.bool_] = (self.numbers >= first) & (self.numbers <= last)
        return inside

    def between(self, inner: float, outer: float) -> tuple[int, int]:
        """The first and the last ring of an annulus whose radii are edges.

        Examples
        --------
        >>> from emcore.methods.detectors.rings import rings_around
        >>> rings_around((9, 9), (4, 4)).between(1, 3)
        (1, 2)
        """
        return int(np.searchsorted(self.edges, inner)), int(np.searchsorted(self.edges, outer)) - 1


def rings_around(
    shape: tuple[int, int],
    center: tuple[float, float],
    radii: Sequence[float] = (),
    broken: NDArray[np.bool_] | None = None,
) -> Rings:
    """
    Rings one pixel wide out to the farthest corner, with more edges where they are asked for.

    Parameters
    ----------
    shape : (int, int)
        Of a pattern.
    center : (float, float)
        Of the beam along ky and kx, in pixels; may lie outside.
    radii : sequence of float
        More edges, in pixels: between whole numbers these part rings in two.
    broken : ndarray of bool, shape (ky, kx), optional
        Pixels that are in no ring.

    Returns
    -------
    Rings
        All with a pixel: edges between which there is none are left out.

    Examples
    --------
    >>> from emcore.methods.detectors.rings import rings_around
    >>> rings_around((3, 3), (1, 1), radii=[1.2]).edges.tolist()
    [0.0, 1.0, 2.0]
    """
    ky, kx = np.ogrid[: shape[0], : shape[1]]
    # As in a disc: what is at most that far from the centre is inside.
    squares = (ky - float(center[0])) ** 2 + (kx - float(center[1])) ** 2
    used = np.ones(shape, dtype=bool) if broken is None else ~broken
    farthest = float(np.sqrt(squares[used].max()))
    edges = np.union1d(np.arange(1.0, np.ceil(farthest) + 2), [r for r in radii if 0 < r < farthest])
    numbers = np.searchsorted(edges**2, squares.ravel()).reshape(shape)
    # An edge that no pixel tells from the one below it makes no ring of its own.
    there = np.unique(numbers[used])
    numbers = np.where(used, np.searchsorted(there, numbers), -1)
    return Rings(np.concatenate([[0.0], edges[there]]), numbers.astype(np.int32))
