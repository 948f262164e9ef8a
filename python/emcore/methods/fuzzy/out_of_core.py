"""Fuzzy clusters of rows out of core: the passes that the kernel's iterations ask for, and the runs that are kept."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.methods.kmeans.out_of_core import seed_centers
from emcore.methods.kmeans.starts import start_out_of_core
from emcore.outofcore.engine import Passes
from emcore.outofcore.moments import mean_and_squares
from emcore.outofcore.reduction import Partial, PerRow


def sums_bytes(d: int, k: int, covariances: bool) -> int:
    """About how much memory the sums of a fit take."""
    return 8 * k * d * (d + 1 if covariances else 1) * 24


def row_bytes(k: int, dtype: Any, weighted: bool = False) -> int:
    """What is kept of each row: its memberships, twice while they are gathered, a label, perhaps a weight."""
    return 2 * (8 if dtype == np.float64 else 4) * k + 4 + (8 if weighted else 0)


class FuzzyPasses:
    """
    The passes of a fuzzy clustering over a source, and its runs; the checkpoint holds the best one and the present one.

    Parameters
    ----------
    passes : Passes
    memberships : ndarray, shape (n, k), or None
        To start from.
    weights : ndarray, shape (n,), or None
        What every row counts for.
    """

    def __init__(
        self, passes: Passes, memberships: NDArray[Any] | None, weights: NDArray[np.float64] | None = None
    ) -> None:
        self.passes, self.source, self.checkpoint = passes, passes.source, passes.checkpoint
        self._start = None if memberships is None else PerRow(passes.source, memberships)
        self._weights = weights
        self._moments = mean_and_squares(passes, weights)
        resumed = self.checkpoint.load("fuzzy") or self.checkpoint.load("seeds") or {}
        best = {key.removeprefix("best_"): value for key, value in resumed.items() if key.startswith("best_")}
        self.first_run, self.best = int(resumed.get("run", 0)), {"covariances": None, **best} if best else None
        self._beside: dict[str, Any] = {}

    def start(self, k: int, init: str, stream: np.random.Generator) -> NDArray[np.float64]:
        """Centres to start from, or the draws of k-means++."""
        return start_out_of_core(self.source, k, init, self._weights, stream)

    def fit(self, run: int, best: Any, k: int, start: NDArray[np.float64] | None, options: dict[str, Any]) -> Any:
        """A run, or the rest of one that was killed; `best` is that of the runs before."""
        self._beside = {f"best_{key}": value for key, value in (best or {}).items() if value is not None}
        self._beside["run"] = run
        state = self.checkpoint.load("fuzzy")
        state = state if state is not None and state["run"] == run else None
        if state is not None:
            start = None
        elif start is not None and start.ndim == 1:
            start = seed_centers(self.passes, start, k, weights=self._weights, keep=self._beside)
        double = self.source.dtype == np.float64
        return _emcore.cmeans_out_of_core(
            self, self.source.shape, k, double=double, centers=start, state=state, **options
        )

    def moments(self) -> Partial:
        return self._moments

    def visit(self, members: Any, about: Any, former: Any) -> Any:
        start = self._start if "start" in (members, former) else None
        weights = None if self._weights is None else PerRow(self.source, self._weights)
        return self.passes(_visit, (members, about, former), [start, weights], merge=_merged)

    def save(self, state: dict[str, Any]) -> None:
        self.checkpoint.save("fuzzy", **self._beside, **state)


def memberships(passes: Passes, centers: NDArray[np.float64], options: dict[str, Any]) -> NDArray[Any]:
    """The memberships of all rows; `options` are those of the kernel."""
    source = passes.source
    u = np.empty((len(source), len(centers)), np.float64 if source.dtype == np.float64 else np.float32)
    passes(_memberships, (centers, options), into=[PerRow(source, u)])
    return u


def _memberships(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    centers, options = state
    return (), _emcore.memberships(x, centers, **options)


def _visit(x: Any, state: Any, index: int, start: Any, weights: Any) -> tuple[Any, ...]:
    members, about, former = state
    members, former = (start if isinstance(of, str) else of for of in (members, former))
    return (_emcore.cmeans_visit(x, members, about, former, weights),)


def _merged(a: Any, b: Any) -> Any:
    return {key: max(a[key], b[key]) if key == "change" else a[key] + b[key] for key in a}
