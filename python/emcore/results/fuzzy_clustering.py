"""What a fuzzy clustering of several signals on one scan gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.core.validation import check_number
from emcore.io.registry import read_all
from emcore.results.result import Result
from emcore.scans.grids import on_one_grid
from emcore.scans.several import Several, several, weighted_sums


def _scan(*before: str) -> Any:
    return lambda result: (*before, *(f"image.{axis.name}" for axis in result.image.axes))


class ClusterSignals(tuple[NDArray[np.float64], ...]):
    """Mean signals of clusters: for each input signal an array (k, ...).

    Attributes
    ----------
    positions : ndarray, shape (k,), int64
        How many scan positions each mean is of.
    """

    positions: NDArray[np.int64]

    def __new__(cls, signals: Sequence[NDArray[np.float64]], positions: NDArray[np.int64]) -> "ClusterSignals":
        new = super().__new__(cls, signals)
        new.positions = positions
        return new


@dataclass(frozen=True, eq=False)
class FuzzyClustering(Result):
    """Phases of a scan, as far as several signals together tell them apart.

    Attributes
    ----------
    memberships : ndarray, shape (k, y, x), float32
        How much of every scan position belongs to each cluster; they sum to 1, to 0 where
        nothing was measured. Clusters in the order of falling area.
    labels : ndarray, shape (y, x), int32
        The cluster of largest membership; -1 where nothing was measured.
    area : ndarray, shape (k,), float64
        Fraction of the measured positions with that label.
    positions : ndarray, shape (k,), int64
        How many positions have a membership above `threshold`: `signals` are their means.
    validity : dict
        Indices of `emcore.methods.fuzzy.validity`: how distinct the clusters are.
    n_clusters : int
    threshold : float
        The one that was asked for.
    scores : ndarray, shape (p, y, x), float32
        Maps of the principal components, 0 where nothing was measured.
    evr : ndarray, shape (up to 30,), float64
        Explained-variance ratios of the merged signals.
    n_components : int
    rule : str
        The rule that chose the number of components, or "given".
    reason : str
        Why it chose that.
    number : str
        Why so many clusters.
    alone : ndarray, shape (number of signals, k, y, x), float32
        Memberships as each signal alone gives them, its clusters in the order in which they
        resemble those of all.
    signals : tuple of Signal, each of shape (k, ...)
        Cluster signals at `threshold`, one for each input, of the data as they were measured.
    components : tuple of Signal, each of shape (p, ...)
        The principal components, split into the part that each signal has in them.
    means : tuple of Signal, each of shape (...)
        Mean over the measured positions of each input.
    image : Signal, shape (y, x)
        Mean of the first signal at every position.
    provenance : Provenance
        Input, parameters, versions, time and notes.
    n_empty : int
        How many positions have no measurement, see `emcore.scans.gaps`; they took no part.
    """

    page: ClassVar[str] = "fuzzy"

    memberships: NDArray[np.float32] = field(metadata={"axes": _scan("cluster"), "default": True})
    labels: NDArray[np.int32] = field(metadata={"axes": _scan(), "counts": "cluster"})
    area: NDArray[np.float64] = field(metadata={"axes": ("cluster",), "long_name": "fraction of the area"})
    positions: NDArray[np.int64] = field(metadata={"axes": ("cluster",), "long_name": "positions above the threshold"})
    validity: dict[str, float]
    n_clusters: int
    threshold: float
    scores: NDArray[np.float32] = field(metadata={"axes": _scan("component")})
    evr: NDArray[np.float64] = field(metadata={"axes": ("rank",), "long_name": "explained variance ratio"})
    n_components: int
    rule: str
    reason: str
    alone: NDArray[np.float32] = field(metadata={"axes": _scan("signal", "cluster")})
    signals: tuple[Signal, ...]
    components: tuple[Signal, ...]
    means: tuple[Signal, ...]
    image: Signal
    provenance: Provenance
    n_empty: int = 0
    number: str = ""

    # What was clustered, for as long as the result is in memory; its file does not hold it.
    _inputs: ClassVar[tuple[Signal, ...]] = ()
    _memory: ClassVar[int | str | None] = None

    def cluster_signals(self, threshold: float | None = None, signals: Sequence[Any] | None = None) -> ClusterSignals:
        """Mean signals of the positions that belong to a cluster by more than a threshold,
        weighted by membership.

        ``s = sum_{u > threshold} u x / sum_{u > threshold} u``, x as it was measured (Duran et
        al. 2023). 0.5 is the least at which no position counts for two clusters; a higher one
        gives purer and noisier signals; 0 the mean of all positions.

        Parameters
        ----------
        threshold : float, optional
            In [0, 1], default the one that the result was made with.
        signals : sequence, optional
            The data that were clustered, needed only for a result that was read from a file.

        Returns
        -------
        ClusterSignals
            One array (k, ...) for each input signal; zeros for a cluster without such
            positions. Its `positions` says how many there are.

        Raises
        ------
        ValueError
            A threshold outside [0, 1], no data, or data of other shapes than those that were
            clustered.

        Examples
        --------
        See `emcore.correlate`.
        """
        tau = check_number(self.threshold if threshold is None else threshold, "threshold", 0, 1)
        on_grid = on_one_grid(signals, read=read_all) if signals is not None else list(self._inputs)
        if not on_grid:
            raise ValueError("a result from a file does not hold the measured signals: give them as signals=[...]")
        shapes = [(*self.labels.shape, *mean.shape) for mean in self.means]
        if [signal.shape for signal in on_grid] != shapes:
            observed = ", ".join(str(signal.shape) for signal in on_grid)
            raise ValueError(f"signals have shapes {observed}; those that were clustered had {str(shapes)[1:-1]}")
        together = several(on_grid, self._memory)
        together.source.mend = "finite" if self.n_empty else ""
        return mean_signals(together, self.memberships.reshape(len(self.memberships), -1).T, tau)


def mean_signals(signals: Several, memberships: ArrayLike, threshold: float) -> ClusterSignals:
    """`FuzzyClustering.cluster_signals` of any memberships, shape (positions, k), in one pass; 0 takes no part."""
    u = np.asarray(memberships, dtype=np.float64)
    chosen = u > threshold
    weights = np.where(chosen, u, 0.0)
    totals = weights.sum(axis=0)
    weights = np.ascontiguousarray(weights / np.where(totals > 0, totals, 1))
    inside = [tuple(axis.size for axis in signal.axes if not axis.navigation) for signal in signals.signals]
    sums = weighted_sums(signals, weights)
    means = [each.reshape(-1, *shape) for each, shape in zip(sums, inside, strict=True)]
    return ClusterSignals(means, chosen.sum(axis=0))
