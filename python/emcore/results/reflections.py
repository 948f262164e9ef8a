"""What a clustering of a scan by the strength of its reflections gives back."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Signal
from emcore.results.clustering import Clustering


@dataclass(frozen=True, eq=False, kw_only=True)
class ReflectionClustering(Clustering):
    """Groups of scan positions in which the same reflections are strong: a `Clustering`, and
    besides

    Attributes
    ----------
    deviation : Signal, shape (ky, kx)
        Standard deviation over the scan of every pixel, 0 where it is broken.
    reflections : ndarray, shape (m, 2), float64
        Where the reflections are, along ky and kx, in detector pixels.
    prominence : ndarray, shape (m,), float64
        By how much the deviation is larger in the disc of each than in the ring around it.
    disc_radius : float
        Of the discs, in detector pixels.
    strength : ndarray, shape (k, m), float64
        Mean strength of every reflection in every cluster: its disc less what its ring says of
        the background.
    kinds : tuple of str
        Of each cluster "crystal", or where its mean pattern has no reflections "amorphous" or
        "vacuum".
    heights : ndarray, shape (joinings,), float64, optional
        Of Ward's last joinings, the last one first: how different are the two that are joined.
    """

    page: ClassVar[str] = "reflections"

    deviation: Signal
    reflections: NDArray[np.float64] = field(metadata={"axes": ("reflection", "along"), "units": "px"})
    prominence: NDArray[np.float64] = field(metadata={"axes": ("reflection",)})
    disc_radius: float
    strength: NDArray[np.float64] = field(metadata={"axes": ("cluster", "reflection"), "long_name": "mean strength"})
    kinds: tuple[str, ...]
    heights: NDArray[np.float64] | None = field(default=None, metadata={"axes": ("joining",)})
