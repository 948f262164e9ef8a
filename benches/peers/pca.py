"""
PCA of a diffraction scan, 20 components, against scikit-learn's randomised solver.

emcore reads the detector's integers in both rows; in the row "prepared" scikit-learn's float32 copy is made before the
clock starts. A run in which scikit-learn explains more of the variance fails.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from harness import Data, Growth, Workload, main

COMPONENTS = 20


def scan(n: int, d: int, phases: int = 6) -> Data:
    """Counts as a detector gives them: a few phases with their own spots, smooth mixtures of them, Poisson noise."""
    rng = np.random.default_rng(0)
    side = round(d**0.5)
    y, x = np.indices((side, side)) - (side - 1) / 2
    patterns = np.empty((phases, side * side), np.float32)
    for pattern in patterns:
        image = 3 * np.exp(-np.hypot(y, x) / (side / 6))
        a, b = rng.normal(size=(2, 2)) * side / 8
        for i in range(-3, 4):
            for j in range(-3, 4):
                cy, cx = i * a + j * b
                image += 40 * rng.random() * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 8)
        pattern[:] = image.ravel()
    t = np.linspace(0, 20, n)
    shares = np.stack([np.maximum(np.sin(t * (1 + 0.37 * i) + i), 0.02) for i in range(phases)], axis=1).astype("f4")
    shares /= shares.sum(axis=1, keepdims=True)
    counts = np.empty((n, side * side), np.uint8)
    for start in range(0, n, 1000):
        expected = shares[start : start + 1000] @ patterns
        counts[start : start + 1000] = np.minimum(rng.poisson(expected), 255)
    return {"X": counts}


def emcore(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from emcore.methods.pca.fit import pca

    return lambda: {"variance": pca(data["X"], COMPONENTS).explained_variance}


def scikit_learn(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from sklearn.decomposition import PCA

    X = data["X"].astype(np.float32) if prepared else data["X"]
    return lambda: {"variance": PCA(COMPONENTS, svd_solver="randomized", random_state=0).fit(X).explained_variance_}


def compare(ours: Data, theirs: Data) -> None:
    """Ritz values never exceed the true ones: the more variance, the closer to the truth."""
    a, b = ours["variance"], theirs["variance"]
    print(f"variance captured, emcore over scikit-learn: {a.sum() / b.sum():.6f}; component by component {a / b}")
    assert a.sum() >= b.sum() * (1 - 1e-6), "scikit-learn captures more variance"
    assert (a >= b * (1 - 1e-6)).all(), "a component explains less than scikit-learn's"


@cache
def whole() -> Data:
    return scan(31132, 20736)


WORKLOADS = [
    Workload(
        name="31132 x 20736 u8, 20 components",
        data=whole,
        emcore=emcore,
        peers={"scikit-learn randomized": scikit_learn},
        compare=compare,
        asked={"prepared": 3.0, "as delivered": 6.0},
        bytes=31132 * 20736.0 * 12,  # about a dozen reads,
        flops=4 * 31132 * 20736.0 * 112,  # of about 112 columns in all
    ),
]

GROWTHS = [
    Growth("PCA, n x 4096 u8", "n", [4000, 8000, 16000, 32000, 64000], lambda n: scan(n, 4096), lambda *a: emcore(*a)),
    Growth("PCA, 8000 x d u8", "d", [1024, 2304, 4096, 9216, 20736], lambda d: scan(8000, d), lambda *a: emcore(*a)),
    Growth("PCA, 16000 x 4096 u8", "threads", [1, 2], lambda _: scan(16000, 4096), lambda *a: emcore(*a)),
]

if __name__ == "__main__":
    main(WORKLOADS, GROWTHS)
