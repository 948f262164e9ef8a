"""
k-means from the same starting centres, against scikit-learn (Lloyd, Elkan), scikit-learn-intelex and faiss.

The scan that is clustered: six phases, each with a lattice of spots of its own over a common inelastic background. How
strongly each spot is excited varies smoothly along the scan, as in a bent foil, and so does the thickness, which scales
background and spots; one row in five lies at a border and mixes two phases; then Poisson noise, 2.7 counts a pixel on
average. The noise of a pattern is several times the distance between the mean patterns. The few features are what a PCA
leaves of such a scan: ten scores, drawn from overlapping Gaussian clouds of unequal size and shape.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from harness import Data, Growth, Setup, Workload, main


def scan(n: int, d: int, k: int = 6, phases: int = 6) -> Data:
    """Diffraction patterns as counts, and k of them to start from."""
    rng = np.random.default_rng(0)
    side = round(d**0.5)
    y, x = np.indices((side, side)) - (side - 1) / 2
    background = np.exp(-np.hypot(y, x) / (side / 5))
    spots = []
    for _ in range(phases):
        a, b = rng.normal(size=(2, 2)) * side / 7
        places = [(i * a + j * b) for i in range(-3, 4) for j in range(-3, 4) if (i or j)]
        near = [p for p in places if np.hypot(*p) < side / 2]
        spots.append(
            np.stack([np.exp(-((y - p[0]) ** 2 + (x - p[1]) ** 2) / 6) for p in near[:: max(1, len(near) // 8)]])
        )
    t = np.linspace(0, 60, n)
    share = np.zeros((n, phases), np.float32)
    grain = rng.integers(phases, size=n // 40 + 1)[np.arange(n) // 40]
    share[np.arange(n), grain] = 1
    border = rng.random(n) < 0.2
    mix = rng.random(n).astype("f4")
    other = rng.integers(phases, size=n)
    share[border] *= mix[border, None]
    share[np.flatnonzero(border), other[border]] += 1 - mix[border]
    thickness = (1 + 0.4 * np.sin(0.7 * t + 1)).astype("f4")
    counts = np.empty((n, side * side), np.uint8)
    for start in range(0, n, 1000):
        part = slice(start, start + 1000)
        expected = np.tile(14 * background.ravel().astype("f4"), (len(t[part]), 1))
        for p, images in enumerate(spots):
            rows = np.flatnonzero(share[part, p])
            bend = [1 + np.sin(t[part][rows] * (0.5 + 0.1 * s) + s + p) for s in range(len(images))]
            excited = 6 * share[part][rows, p][:, None] * np.stack(bend, axis=1)
            expected[rows] += excited.astype("f4") @ images.reshape(len(images), -1).astype("f4")
        counts[part] = np.minimum(rng.poisson(expected * thickness[part, None]), 255)
    return {"x": counts, "start": counts[rng.choice(n, k, replace=False)].astype("f4")}


def scores(n: int, d: int, k: int, clouds: int = 30) -> Data:
    """Overlapping clouds, and k of the points to start from."""
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(clouds, d)) * 1.5
    shape = rng.normal(size=(clouds, d, d)) / d**0.5
    of = rng.choice(clouds, n, p=rng.dirichlet(np.full(clouds, 2.0)))
    points = rng.normal(size=(n, d))
    for c in range(clouds):
        points[of == c] = points[of == c] @ shape[c] + middle[c]
    x = points.astype("f4")
    return {"x": x, "start": x[rng.choice(n, k, replace=False)]}


def emcore(max_iter: int = 300, tol: float = 1e-4) -> Setup:
    def setup(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
        from emcore.methods.kmeans.fit import kmeans

        def call() -> Data:
            observed = kmeans(data["x"], len(data["start"]), init=data["start"], max_iter=max_iter, tol=tol)
            return {
                "inertia": np.array(observed.inertia),
                "labels": observed.labels,
                "n_iter": np.array(observed.n_iter),
            }

        return call

    return setup


def scikit_learn(algorithm: str, intelex: bool = False, max_iter: int = 300, tol: float = 1e-4) -> Setup:
    def setup(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
        if intelex:
            from sklearnex.cluster import KMeans
        else:
            from sklearn.cluster import KMeans

        ready = data["x"].astype("f4") if prepared else None
        options = {"init": data["start"], "n_init": 1, "max_iter": max_iter, "tol": tol, "algorithm": algorithm}

        def call() -> Data:
            x = data["x"].astype("f4", copy=False) if ready is None else ready
            model = KMeans(len(data["start"]), copy_x=False, **options).fit(x)
            return {"inertia": np.array(model.inertia_), "labels": model.labels_, "n_iter": np.array(model.n_iter_)}

        return call

    return setup


def faiss(iterations: int) -> Setup:
    """It knows no tolerance: as many iterations as emcore needs."""

    def setup(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
        import faiss as library

        library.omp_set_num_threads(threads)
        ready = data["x"].astype("f4") if prepared else None
        k, d = data["start"].shape

        def call() -> Data:
            x = data["x"].astype("f4", copy=False) if ready is None else ready
            options = {"niter": iterations, "min_points_per_centroid": 1, "max_points_per_centroid": len(x)}
            model = library.Kmeans(d, k, **options)
            model.train(x, init_centroids=data["start"])
            squares, labels = model.index.search(x, 1)
            return {"inertia": squares.sum(dtype="f8"), "labels": labels[:, 0], "n_iter": np.array(iterations)}

        return call

    return setup


def compare(ours: Data, theirs: Data) -> None:
    """The same inertia; and the same labels but for rows between two centres, where float32 decides by its rounding."""
    a, b = float(ours["inertia"]), float(theirs["inertia"])
    same = float((ours["labels"] == theirs["labels"]).mean())
    print(
        f"inertia {a:.8g}, the peer's {b:.8g}; iterations {ours['n_iter']}, {theirs['n_iter']}; labels {same:.4%} equal"
    )
    assert a <= b * (1 + 1e-4), f"inertia {a}, the peer's {b}"


def peers(iterations: int, max_iter: int = 300, tol: float = 1e-4) -> dict[str, Setup]:
    return {
        "scikit-learn elkan": scikit_learn("elkan", max_iter=max_iter, tol=tol),
        "scikit-learn-intelex": scikit_learn("lloyd", True, max_iter, tol),
        "scikit-learn lloyd": scikit_learn("lloyd", max_iter=max_iter, tol=tol),
        "faiss": faiss(iterations),
    }


@cache
def whole() -> Data:
    return scan(31132, 20736)


WORKLOADS = [
    Workload(
        name="31132 x 20736 u8, k 6, to convergence",
        data=whole,
        emcore=emcore(),
        peers=peers(30),
        compare=compare,
        asked={"prepared": 5.0, "as delivered": 12.0},
        bytes=31132 * 20736.0,
    ),
    *(
        Workload(
            name=f"262144 x 10 f32, k {k}, 30 iterations",
            data=lambda k=k: scores(262144, 10, k),
            emcore=emcore(30, 0.0),
            peers=peers(30, 30, 0.0),
            compare=compare,
            rows=("prepared",),
            asked={"prepared": asked},
            bytes=30 * 262144 * 40.0,
            flops=30 * 262144 * 20.0 * k,
        )
        for k, asked in ((6, 1.5), (100, 2.5))
    ),
]

TWENTY = emcore(20, 0.0)
GROWTHS = [
    Growth("k-means, n x 4096 u8, k 6", "n", [4000, 8000, 16000, 32000, 64000], lambda n: scan(n, 4096), TWENTY),
    Growth("k-means, 8000 x d u8, k 6", "d", [1024, 2304, 4096, 9216, 20736], lambda d: scan(8000, d), TWENTY),
    Growth("k-means, 8000 x 4096 u8", "k", [2, 4, 8, 16, 32], lambda k: scan(8000, 4096, k), TWENTY),
    Growth("k-means, 262144 x 10 f32", "k", [3, 6, 12, 25, 50, 100], lambda k: scores(262144, 10, k), TWENTY),
    Growth("k-means, 262144 x 10 f32, k 6", "threads", [1, 2], lambda _: scores(262144, 10, 6), TWENTY),
]

if __name__ == "__main__":
    main(WORKLOADS, GROWTHS)
