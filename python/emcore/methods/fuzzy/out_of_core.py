"""Fuzzy clusters of rows outside memory: the iterations of `emcore.methods.fuzzy.fit`, each one pass."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.methods.kmeans.out_of_core import seed_centers
from emcore.outofcore.engine import Passes
from emcore.outofcore.moments import mean_and_squares
from emcore.outofcore.reduction import Partial, PerRow

Floats = NDArray[np.float64]
SPHERICAL = (10, 1e-3)
"""Spherical iterations at most before covariances, and the change of a membership that is enough; as in memory."""
READY = 4
"""The stage at which the iterations begin."""
GIVEN = "given"
"""Stands for the rows of the given memberships that belong to a block."""
Found = tuple[NDArray[Any], Floats, Floats | None, Floats, bool, list[int], list[int]]


def sums_bytes(d: int, k: int, covariances: bool) -> int:
    """About how much memory the sums of a fit take."""
    return 8 * k * d * (d + 1 if covariances else 1) * 24


def row_bytes(k: int, dtype: Any) -> int:
    """What is kept of each row: its memberships, twice while they are gathered or the best run's wait, and a label."""
    return 2 * (8 if dtype == np.float64 else 4) * k + 4


class FuzzyPasses:
    """
    The passes of a fuzzy clustering over a source.

    Memberships are nowhere kept: those of the last iteration are found again from its centres.

    `covariances` is None or ``(rho, gamma, beta)``.
    """

    def __init__(self, passes: Passes, m: float, covariances: tuple[list[float], float, float] | None) -> None:
        self.passes, self.m, self.covariances = passes, m, covariances
        self.double = passes.source.dtype == np.float64
        self.real: Any = np.float64 if self.double else np.float32
        mean, squares = mean_and_squares(passes)
        variance = squares / len(passes.source)
        self.offset, self.factor = _emcore.cmeans_frame(mean, variance, covariances is not None, self.double)

    def fit(self, centers: Floats, given: NDArray[Any] | None, max_iter: int, tol: float, run: int, best: Any) -> Found:
        """As the kernel does, from centres or given memberships."""
        keep = self.passes.checkpoint
        kept, state = self._kept(run, best), keep.load("fuzzy")
        if state is not None and state["run"] == run:
            state = {key: value for key, value in state.items() if key != "run" and not key.startswith("best_")}
        else:
            k = len(centers)
            state = {"centers": self._inward(centers), "base": 0.0, "objective": np.empty(0), "converged": False}
            state.update(conditioned=np.zeros(k, int), empty=np.zeros(k, int), stage=0, spherical=0)

        def save() -> None:
            if keep.path is not None:
                keep.save("fuzzy", **kept, **state)

        while state["stage"] < READY:
            if self._prepare(state, given):
                save()
        while not state["converged"] and len(state["objective"]) < max_iter:
            if state["objective"].size:
                self._update(state, state["mass"], state["products"])
            mass, products, objective, change = self._iterate(state, given)
            if not np.isfinite(objective):
                raise ValueError("X: its values are too large or too far apart; divide them by the largest")
            state["objective"] = np.append(state["objective"], objective / self._unit())
            state["converged"] = bool(change <= tol)
            state["mass"], state["products"] = mass, products
            save()
        return self._finish(state)

    def runs(
        self,
        runs: int,
        centers: Floats,
        given: NDArray[Any] | None,
        init: Any,
        stream: np.random.Generator,
        max_iter: int,
        tol: float,
    ) -> Found:
        """The best of some runs; with a named `init` each has its own start."""
        from emcore.methods.kmeans.starts import start_outside

        keep, k = self.passes.checkpoint, len(centers)
        best: Any = None
        resumed = keep.load("fuzzy") or keep.load("seeds") or {}
        if "best_3" in resumed:
            best = tuple(resumed.get(f"best_{i}") for i in range(7))
        for run in range(runs):
            begin = start_outside(self.passes.source, k, init, None, stream) if isinstance(init, str) else centers
            if run < resumed.get("run", 0):
                continue
            going = keep.load("fuzzy")
            if begin.ndim == 1 and (going is None or going["run"] != run):
                begin = seed_centers(self.passes, begin, k, keep=self._kept(run, best))
            found = self.fit(centers if begin.ndim == 1 else begin, given, max_iter, tol, run, best)
            if best is None or found[3][-1] < best[3][-1]:
                best = found
        assert best is not None
        fuzzy: Found = best
        return fuzzy

    def _kept(self, run: int, best: Any) -> dict[str, Any]:
        return {"run": run, **({} if best is None else {f"best_{i}": x for i, x in enumerate(best) if x is not None})}

    def _prepare(self, state: dict[str, Any], given: NDArray[Any] | None) -> bool:
        """One stage of what comes before the iterations; whether it took a pass."""
        (k, d), shaped = state["centers"].shape, self.covariances
        stage, state["stage"] = state["stage"], state["stage"] + 1
        if stage == 0:  # what conditioning by gamma adds, from every row as a full member of every cluster
            if shaped is None or shaped[1] == 0:
                return False
            everything = {"centers": np.zeros((k, d)), "whitening": np.empty(0)}
            mass, products, _, _ = self._visit(None, everything, None, None)
            state["base"] = _emcore.cmeans_base(mass, products, shaped[1], d)
        elif stage == 1:  # where to start
            if given is None:
                return False
            mass, products, _, _ = self._visit(GIVEN, state, None, given)
            self._update(state, mass, products)
        elif stage == 2:  # a few spherical iterations before covariances
            if shaped is None or given is not None:
                return False
            mass, products, _, change = self._iterate(state, given)
            state["spherical"] += 1
            if change > SPHERICAL[1]:
                self._update(state, mass, products)
                state["stage"] = 2 if state["spherical"] < SPHERICAL[0] else 3
        else:  # the first covariances
            if shaped is None:
                return False
            state["whitening"] = np.empty(0)
            mass, products, _, _ = self._visit(self._former(state, given), state, None, given)
            self._update(state, mass, products)
        return True

    def _iterate(self, state: dict[str, Any], given: NDArray[Any] | None) -> Partial:
        """A pass with the memberships of the centres there are; these are then the former ones."""
        found = self._visit(self._model(state), state, self._former(state, given), given)
        state.update({f"former_{key}": state[key] for key in ("centers", "whitening") if key in state})
        return found

    def _visit(self, who: Any, about: dict[str, Any], former: Any, given: NDArray[Any] | None) -> Partial:
        rows = [PerRow(self.passes.source, given)] if given is not None and GIVEN in (who, former) else []
        return self.passes(_visit, (who, self._model(about), former, self.m), rows, merge=_merged)

    def _model(self, state: dict[str, Any], prefix: str = "") -> tuple[Any, ...]:
        return self.offset, self.factor, state[f"{prefix}centers"], state.get(f"{prefix}whitening")

    def _former(self, state: dict[str, Any], given: NDArray[Any] | None) -> Any:
        """Where the memberships of the last iteration came from, if there were any."""
        if "former_centers" in state:
            return self._model(state, "former_")
        return None if given is None else GIVEN

    def _update(self, state: dict[str, Any], mass: Floats, products: Floats) -> None:
        shaped = None
        if self.covariances is not None and "whitening" in state:
            shaped = (*self.covariances, float(state["base"]))
        centers, covariances, whitening, conditioned, empty = _emcore.cmeans_update(
            state["centers"], mass, products, covariances=shaped, double=self.double
        )
        state["centers"], state["empty"] = centers, state["empty"] + np.array(empty)
        if shaped is not None:
            state["whitening"], state["covariances"] = whitening, covariances
            state["conditioned"] = state["conditioned"] + np.array(conditioned)

    def _finish(self, state: dict[str, Any]) -> Found:
        k, d = state["centers"].shape
        centers, shapes = state["centers"] / self.factor + self.offset, None
        if self.covariances is not None:
            shapes = state["covariances"].reshape(k, d, d) / (self.factor[:, None] * self.factor)
        given = None if self.covariances is None else (shapes, self.covariances[0])
        u = memberships(self.passes, centers, self.m, given)
        counts = [state[key].tolist() for key in ("conditioned", "empty")]
        return u, centers, shapes, state["objective"], state["converged"], counts[0], counts[1]

    def _inward(self, centers: Floats) -> Floats:
        return ((centers - self.offset) * self.factor).astype(self.real).astype(np.float64)

    def _unit(self) -> float:
        """A squared distance in the arithmetic over the true one."""
        logs = np.log(self.factor)
        return float(np.exp(2 * (logs.mean() if self.covariances is not None else logs[0])))


def memberships(passes: Passes, centers: Floats, m: float, covariances: Any) -> NDArray[Any]:
    """`emcore.methods.fuzzy.membership.memberships` of all rows."""
    source = passes.source
    u = np.empty((len(source), len(centers)), np.float64 if source.dtype == np.float64 else np.float32)
    passes(_memberships, (centers, m, covariances), into=[PerRow(source, u)])
    return u


def _memberships(x: Any, state: Any, index: int) -> tuple[Any, ...]:
    centers, m, covariances = state
    return (), _emcore.memberships(x, centers, m=m, covariances=covariances)


def _visit(x: Any, state: Any, index: int, given: Any = None) -> tuple[Any, ...]:
    who, about, former, m = state
    who, former = (given if of == GIVEN else of for of in (who, former))
    return (_emcore.cmeans_visit(x, who, about, former, m=m),)


def _merged(a: Partial, b: Partial) -> Partial:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], max(a[3], b[3])
