"""
Fuzzy c-means and Gustafson-Kessel on scores of a scan, from the same memberships, the same number of iterations.

All packages get float32 rows (scikit-fuzzy turned, as it wants them). A run whose memberships or centres differ fails.
scikit-cmeans takes squared distances of Gustafson-Kessel for distances and so minimises something else: left out there.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from harness import Data, Growth, Workload, main

ITERATIONS = 20


def scores(n: int, d: int, k: int) -> Data:
    """Rows around k points, each group of a shape of its own, overlapping; and memberships to begin with."""
    rng = np.random.default_rng(0)
    truth = rng.integers(k, size=n)
    shapes = rng.normal(size=(k, d, d)) / np.sqrt(d) + np.eye(d)
    x = np.empty((n, d), np.float32)
    centers = 2 * rng.normal(size=(k, d))
    for part in np.array_split(np.arange(n), max(1, n // 50000)):
        x[part] = centers[truth[part]] + np.einsum("nij,nj->ni", shapes[truth[part]], rng.normal(size=(len(part), d)))
    u = 1 / (((x[:, None] - centers - 0.5) ** 2).sum(axis=2) + 1)
    return {"x": x, "u": u / u.sum(axis=1, keepdims=True)}


def emcore(kessel: bool) -> Any:
    def setup(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
        from emcore.methods.fuzzy.fit import fuzzy_c_means, gustafson_kessel

        method = gustafson_kessel if kessel else fuzzy_c_means
        x, u = data["x"], data["u"].astype(np.float32)
        k = u.shape[1]

        def call() -> Any:
            observed = method(x, k, init=u, max_iter=ITERATIONS, tol=0)
            return {"u": observed.memberships, "v": observed.centers, "objective": observed.objective[-1:]}

        return call

    return setup


def fuzzy_c_means(kessel: bool) -> Any:
    def setup(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
        from fcmeans import FCM, GK

        x, u = data["x"], data["u"].astype(np.float32)

        class Given(GK if kessel else FCM):  # type: ignore[misc]
            def _init_u(self, X: Any) -> None:
                self.u = u

        options = {"reg": 0.0} if kessel else {}

        def call() -> Any:
            model = Given(n_clusters=u.shape[1], max_iter=ITERATIONS, error=1e-9, **options)
            model.fit(x)
            return {"u": model.u, "v": model.centers}

        return call

    return setup


def scikit_fuzzy(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from skfuzzy import cmeans

    x, u = np.ascontiguousarray(data["x"].T), np.ascontiguousarray(data["u"].T)

    def call() -> Any:
        centers, observed, *_ = cmeans(x, len(u), 2, 0.0, ITERATIONS, init=u)
        return {"u": observed.T, "v": centers}

    return call


def scikit_cmeans(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    if not hasattr(np, "infty"):
        setattr(np, "infty", np.inf)  # noqa: B010  # which it uses, and NumPy 2 does not have
    from skcmeans.algorithms import Probabilistic

    x, u = data["x"], data["u"]
    start = (u**2).T @ x / (u**2).sum(axis=0)[:, None]

    def call() -> Any:
        model = Probabilistic(n_clusters=len(start), max_iter=ITERATIONS, tol=0.0)
        model.centers, model.memberships = start, u
        model.converge(x)
        return {"u": model.memberships}

    return call


def compare(ours: Data, theirs: Data) -> None:
    """The same memberships, and centres where the peer has those from before the last memberships."""
    apart = np.abs(ours["u"] - theirs["u"])
    print(f"memberships differ by up to {apart.max():.1e}, on average {apart.mean():.1e}")
    assert apart.max() < 2e-3, f"memberships differ by up to {apart.max():.1e}"
    if "v" in theirs:
        gap = np.abs(ours["v"] - theirs["v"]).max() / np.abs(theirs["v"]).max()
        assert gap < 1e-4, f"centres differ by {gap:.1e} of the largest"


def flops(n: int, d: int, k: int, kessel: bool) -> float:
    """Of the distances and the sums, an addition and a multiplication each, subtractions too."""
    each = k * (2 * d * (d + 1) + 3 * d) if kessel else 5 * k * d
    return float(ITERATIONS * n * each)


N, D, K = 262144, 10, 6
WORKLOADS = [
    Workload(
        name=f"fuzzy c-means, {N} x {D} f32, c {K}, {ITERATIONS} iterations",
        data=lambda: scores(N, D, K),
        emcore=emcore(False),
        peers={
            "fuzzy-c-means": fuzzy_c_means(False),
            "scikit-fuzzy": scikit_fuzzy,
            "scikit-cmeans": scikit_cmeans,
        },
        compare=compare,
        rows=("prepared",),
        asked={"prepared": 20.0},
        flops=flops(N, D, K, False),
    ),
    Workload(
        name=f"Gustafson-Kessel, {N} x {D} f32, c {K}, {ITERATIONS} iterations",
        data=lambda: scores(N, D, K),
        emcore=emcore(True),
        peers={"fuzzy-c-means (GK)": fuzzy_c_means(True)},
        compare=compare,
        rows=("prepared",),
        asked={"prepared": 30.0},
        flops=flops(N, D, K, True),
    ),
]

SIZES = [16384, 65536, 262144, 524288, 1048576]
GROWTHS = [
    Growth(f"fuzzy c-means, n x {D}, c {K}", "n", SIZES, lambda n: scores(n, D, K), emcore(False)),
    Growth(f"fuzzy c-means, 65536 x d, c {K}", "d", [5, 10, 20, 40, 80], lambda d: scores(65536, d, K), emcore(False)),
    Growth(f"fuzzy c-means, 65536 x {D}, c", "c", [2, 4, 8, 16, 32], lambda k: scores(65536, D, k), emcore(False)),
    Growth(f"Gustafson-Kessel, n x {D}, c {K}", "n", SIZES, lambda n: scores(n, D, K), emcore(True)),
    Growth(
        f"Gustafson-Kessel, 65536 x d, c {K}", "d", [5, 10, 20, 40, 80], lambda d: scores(65536, d, K), emcore(True)
    ),
    Growth(f"Gustafson-Kessel, {N} x {D}, c {K}", "threads", [1, 2], lambda _: scores(N, D, K), emcore(True)),
]

if __name__ == "__main__":
    main(WORKLOADS, GROWTHS)
