"""
Sparse matrices against scikit-learn: spectra of few events, of which 0.3 to 5 % of the channels hold one.

NMF from the same start with the same number of iterations; PCA by whichever of scikit-learn's solvers for sparse
matrices is meant. Both get the same CSR matrix of float32.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import harness

N, D, K, ITERATIONS = 60_000, 1000, 8, 10
DENSITIES = (0.003, 0.01, 0.05)
COMPONENTS = 10


def events(density: float) -> harness.Data:
    """Spectra of six phases, as a matrix, and where factors start."""
    from scipy.sparse import csr_array, vstack

    rng = np.random.default_rng(0)
    model = rng.dirichlet(np.full(D, 0.3), 6)
    parts = []
    for part in np.array_split(np.arange(N), 16):
        expected = rng.dirichlet(np.full(6, 0.3), len(part)) @ model
        parts.append(csr_array(rng.poisson(expected * (1.1 * density * D)).astype("f4")))
    x = vstack(parts).tocsr()
    size = np.sqrt(x.mean() / K)
    w, h = (((rng.random(shape) + 0.1) * size).astype("f4") for shape in ((N, K), (K, D)))
    return {"values": x.data, "features": x.indices, "starts": x.indptr, "w": w, "h": h}


def matrix(data: harness.Data) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((data["values"], data["features"], data["starts"]), shape=(N, D))


def factored(loss: str) -> harness.Setup:
    def setup(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
        from emcore.methods.nmf.fit import nmf

        x, solver = matrix(data), "hals" if loss == "frobenius" else "mu"
        options = {"init": "custom", "W0": data["w"], "H0": data["h"], "solver": solver, "loss": loss}

        def call() -> dict[str, np.ndarray]:
            observed = nmf(x, K, max_iter=ITERATIONS, tol=0, **options)
            return {"w": observed.W, "h": observed.H}

        return call

    return setup


def factored_by_peer(loss: str) -> harness.Setup:
    def setup(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
        from sklearn.decomposition import NMF

        warnings.simplefilter("ignore")
        x, solver = matrix(data), "cd" if loss == "frobenius" else "mu"
        model = NMF(K, solver=solver, beta_loss=loss, init="custom", max_iter=ITERATIONS, tol=0)

        def call() -> dict[str, np.ndarray]:
            w = model.fit_transform(x, W=data["w"].copy(), H=data["h"].copy())
            return {"w": w, "h": model.components_}

        return call

    return setup


def objective(data: harness.Data, factors: harness.Data, loss: str) -> float:
    total, x = 0.0, matrix(data)
    for rows in np.array_split(np.arange(N), 30):
        part = x[rows].toarray().astype("f8")
        model = factors["w"][rows].astype("f8") @ factors["h"].astype("f8")
        if loss == "frobenius":
            total += ((part - model) ** 2).sum() / 2
        else:
            some = part > 0
            total += model.sum() - part.sum() + (part[some] * np.log(part[some] / model[some])).sum()
    return float(total)


def as_good(density: float, loss: str, ours: harness.Data, theirs: harness.Data) -> None:
    data = events(density)
    a, b = objective(data, ours, loss), objective(data, theirs, loss)
    assert abs(a - b) <= 1e-4 * b, f"objective {a}, the peer's {b}"


def components(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from emcore import PCA

    x = matrix(data)
    return lambda: {"variance": PCA(COMPONENTS).fit(x).explained_variance_}


def components_by_peer(solver: str) -> harness.Setup:
    def setup(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
        from sklearn.decomposition import PCA

        x = matrix(data)
        return lambda: {"variance": PCA(COMPONENTS, svd_solver=solver, random_state=0).fit(x).explained_variance_}

    return setup


def explains(ours: harness.Data, theirs: harness.Data) -> None:
    a, b = ours["variance"].sum(), theirs["variance"].sum()
    assert a >= 0.99 * b, f"variance {a}, the peer's {b}"


WORKLOADS = [
    harness.Workload(
        f"NMF, {N} x {D} f32, {density:.1%} stored, k {K}, {loss}, {ITERATIONS} iterations",
        partial(events, density),
        factored(loss),
        {f"scikit-learn {'cd' if loss == 'frobenius' else 'mu'}, sparse": factored_by_peer(loss)},
        partial(as_good, density, loss),
        rows=("prepared",),
    )
    for loss in ("frobenius", "kullback-leibler")
    for density in DENSITIES
]
WORKLOADS += [
    harness.Workload(
        f"PCA, {N} x {D} f32, {density:.1%} stored, {COMPONENTS} components",
        partial(events, density),
        components,
        {f"scikit-learn {solver}, sparse": components_by_peer(solver) for solver in ("arpack", "covariance_eigh")},
        explains,
        rows=("prepared",),
    )
    for density in DENSITIES
]

if __name__ == "__main__":
    harness.main(WORKLOADS)
