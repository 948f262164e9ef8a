"""
Correlation of the patterns of a scan with a few references, against NumPy's formula.

262144 patterns of 1024 values, 6 references. In the row "prepared" both read the same float32 array.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from harness import Data, Growth, Workload, main

REFERENCES = 6


def scan(n: int, d: int = 1024, k: int = REFERENCES) -> Data:
    """Counts of k phases with their own peaks on a common background."""
    rng = np.random.default_rng(0)
    references = 20 + 200 * (rng.random((k, d)) < 0.03) * rng.random((k, d))
    X = np.empty((n, d), np.uint16)
    for start in range(0, n, 4096):
        of = rng.integers(k, size=min(4096, n - start))
        X[start : start + 4096] = rng.poisson(references[of])
    return {"X": X, "references": references}


def emcore(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from emcore.methods.correlation.coefficients import correlations

    X = data["X"].astype(np.float32) if prepared else data["X"]
    return lambda: correlations(X, data["references"]).r


def formula(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    X = data["X"].astype(np.float32) if prepared else data["X"]

    def call() -> np.ndarray:
        units, rows = (each.astype(np.float32, copy=False) for each in (data["references"], X))
        units = units - units.mean(axis=1, keepdims=True)
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        rows = rows - rows.mean(axis=1, keepdims=True)
        return (rows @ units.T) / np.linalg.norm(rows, axis=1, keepdims=True)

    return call


def compare(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert np.abs(ours - theirs).max() < 1e-5, "the correlations differ"


@cache
def whole() -> Data:
    return scan(262144)


WORKLOADS = [
    Workload(
        name="262144 x 1024 u16, 6 references",
        data=whole,
        emcore=emcore,
        peers={"NumPy": formula},
        compare=compare,
        asked={"as delivered": 8.0, "prepared": 8.0},
        bytes=262144 * 1024 * 2,
        flops=2.0 * 262144 * 1024 * (REFERENCES + 2),
    ),
]

GROWTHS = [
    Growth("correlations", "n", (8192, 16384, 32768, 65536), scan, emcore),
    Growth("correlations", "d", (256, 512, 1024, 2048, 4096), lambda d: scan(16384, d), emcore),
    Growth("correlations", "k", (1, 2, 4, 8, 16, 32), lambda k: scan(16384, 1024, k), emcore),
    Growth("correlations", "threads", (1, 2), lambda _: scan(32768), emcore),
]

if __name__ == "__main__":
    main(WORKLOADS, GROWTHS)
