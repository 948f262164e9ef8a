"""Non-negative factors against scikit-learn: from the same start, the same number of iterations or the same loss."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import harness

ITERATIONS = 10
MU = ("mu", "frobenius")
HALS = ("hals", "frobenius")
KL = ("mu", "kullback-leibler")


def spectra(n: int, d: int, k: int, dtype: str) -> harness.Data:
    """Noisy mixtures of 10 spectra that fill the type, and a start for k of them."""
    rng = np.random.default_rng(0)
    top = 240 if dtype == "u1" else 4000
    model = rng.gamma(0.5, size=(10, d)).astype("f4")
    x = np.empty((n, d), dtype)
    for part in np.array_split(np.arange(n), max(1, n * d >> 24)):
        maps = rng.dirichlet(np.full(10, 0.3), len(part)).astype("f4")
        rows = maps @ model
        rows += 0.05 * rng.standard_normal(rows.shape, dtype="f4")
        x[part] = np.clip(rows * (top / 6), 0, top)
    return start(x, k)


def counts(n: int, d: int, k: int) -> harness.Data:
    """A spectrum image of which 2 % of the channels hold a count."""
    rng = np.random.default_rng(0)
    model = rng.dirichlet(np.full(d, 0.3), 6)
    x = np.empty((n, d), "u1")
    for part in np.array_split(np.arange(n), 32):
        x[part] = np.minimum(rng.poisson(rng.dirichlet(np.full(6, 0.3), len(part)) @ model * (0.0206 * d)), 255)
    return start(x, k)


def start(x: np.ndarray, k: int) -> harness.Data:
    rng = np.random.default_rng(1)
    size = np.sqrt(x[:1000].mean() / k)
    w = (rng.random((len(x), k)) + 0.1) * size
    return {"x": x, "w": w.astype("f4"), "h": ((rng.random((k, x.shape[1])) + 0.1) * size).astype("f4")}


def emcore(
    solver: str, loss: str, iterations: int = ITERATIONS, tol: float = 0.0, inner_sweeps: int = 1
) -> harness.Setup:
    def setup(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
        from emcore.methods.nmf.fit import nmf

        x = data["x"].astype("f4") if prepared else data["x"]

        def call() -> dict[str, np.ndarray]:
            options = {"solver": solver, "loss": loss, "max_iter": iterations, "tol": tol, "inner_sweeps": inner_sweeps}
            observed = nmf(x, len(data["h"]), init="custom", W0=data["w"], H0=data["h"], **options)
            return {"w": observed.W, "h": observed.H}

        return call

    return setup


def sklearn(
    solver: str, loss: str, iterations: int = ITERATIONS, tol: float = 0.0, sparse: bool = False
) -> harness.Setup:
    def setup(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
        from scipy.sparse import csr_array
        from sklearn.decomposition import NMF

        warnings.simplefilter("ignore")
        model = NMF(len(data["h"]), solver=solver, beta_loss=loss, init="custom", max_iter=iterations, tol=tol)

        def convert() -> Any:
            x = data["x"].astype("f4")
            return csr_array(x) if sparse else x

        ready = convert() if prepared else None

        def call() -> dict[str, np.ndarray]:
            x = convert() if ready is None else ready
            w = model.fit_transform(x, W=data["w"].copy(), H=data["h"].copy())
            return {"w": w, "h": model.components_}

        return call

    return setup


def objective(x: np.ndarray, factors: dict[str, np.ndarray], loss: str) -> float:
    """In float64: scikit-learn's own sum for float32 data is good to three or four digits only."""
    total = 0.0
    for rows in np.array_split(np.arange(len(x)), max(1, x.size >> 22)):
        part = x[rows].astype("f8")
        model = factors["w"][rows].astype("f8") @ factors["h"].astype("f8")
        if loss == "frobenius":
            total += ((part - model) ** 2).sum() / 2
        else:
            total += model.sum() - part.sum()
            total += (part[part > 0] * np.log(part[part > 0] / model[part > 0])).sum()
    return float(total)


def as_good(data: Callable[[], harness.Data], loss: str, same: bool = True) -> Callable[[Any, Any], None]:
    """Equal objectives; or, where each library stops by itself, one that is no worse than the peer's."""

    def compare(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
        x = data()["x"]
        a, b = objective(x, ours, loss), objective(x, theirs, loss)
        assert a <= b * (1 + 1e-5), f"objective {a}, the peer's {b}"
        assert not same or a >= b * (1 - 1e-5), f"objective {a}, the peer's {b}"

    return compare


def job(n: int, d: int, k: int, dtype: str, method: tuple[str, str]) -> harness.Workload:
    size = np.dtype(dtype).itemsize

    def data() -> harness.Data:
        return spectra(n, d, k, dtype)

    return harness.Workload(
        f"{method[0]}, {n} x {d} {dtype}, k {k}, {ITERATIONS} iterations",
        data,
        emcore(*method),
        {f"scikit-learn {'cd' if method == HALS else 'mu'}": sklearn("cd" if method == HALS else "mu", "frobenius")},
        as_good(data, "frobenius"),
        asked={"prepared": 4, "as delivered": 12},
        bytes=(ITERATIONS + 2.0) * n * d * size,
        flops=(4.0 * ITERATIONS + 2) * n * d * k,
    )


WORKLOADS = [job(7000, 8320, k, "u1", method) for k in (4, 8) for method in (MU, HALS)]
WORKLOADS += [job(200_000, 1000, 8, "u2", method) for method in (MU, HALS)]
WORKLOADS += [
    harness.Workload(
        f"to the loss where scikit-learn cd stops, 7000 x 8320 u1, k {k}, {inner_sweeps} inner sweeps",
        lambda k=k: spectra(7000, 8320, k, "u1"),
        emcore(*HALS, 1000, 1e-4, inner_sweeps),
        {
            "scikit-learn cd": sklearn("cd", "frobenius", 1000, 1e-4),
            "scikit-learn mu": sklearn("mu", "frobenius", 1000, 1e-5),
        },
        as_good(lambda k=k: spectra(7000, 8320, k, "u1"), "frobenius", same=False),
        asked={"prepared": 5},
    )
    for k in (4, 8)
    for inner_sweeps in (1, 20)
]
WORKLOADS += [
    harness.Workload(
        f"KL, 65536 x 1024 u1, 2 % non-zero, k 6, {ITERATIONS} iterations",
        lambda: counts(65536, 1024, 6),
        emcore(*KL),
        {"scikit-learn mu": sklearn(*KL), "scikit-learn mu, sparse": sklearn(*KL, sparse=True)},
        as_good(lambda: counts(65536, 1024, 6), "kullback-leibler"),
        asked={"prepared": 10, "as delivered": 15},
        bytes=(ITERATIONS + 3.0) * 65536 * 1024,
    )
]


def growth(axis: str, values: list[int], shape: Callable[[int], tuple[int, int, int]]) -> harness.Growth:
    return harness.Growth(f"hals, {axis}", axis, values, lambda value: spectra(*shape(value), "u1"), emcore(*HALS))


GROWTHS = [
    growth("n", [1000, 2000, 4000, 8000, 16000], lambda n: (n, 4096, 8)),
    growth("d", [512, 1024, 2048, 4096, 8192], lambda d: (8000, d, 8)),
    growth("k", [2, 4, 8, 16, 32], lambda k: (4000, 4096, k)),
    growth("threads", [1, 2], lambda threads: (7000, 8320, 8)),
]

if __name__ == "__main__":
    harness.main(WORKLOADS, GROWTHS)
