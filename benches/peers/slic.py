"""
SLIC of a many-channel scan with the same seeds, windows and iterations, against scikit-image.

The scan: 60 Voronoi grains whose mean signals have 512 channels of gamma-distributed strength, and Poisson noise. Both
cut it into 100 segments in 10 iterations; labels are compared before connectivity is enforced.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from harness import Data, Growth, Workload, main

COMPACTNESS = 0.3


@cache
def scan(side: int = 256, channels: int = 512, grains: int = 60) -> Data:
    rng = np.random.default_rng(0)
    places = rng.random((grains, 2)) * side
    y, x = np.mgrid[:side, :side]
    labels = ((y[..., None] - places[:, 0]) ** 2 + (x[..., None] - places[:, 1]) ** 2).argmin(axis=2)
    means = rng.gamma(0.5, 20, (grains, channels))
    return {"x": rng.poisson(means[labels]).astype(np.uint16)}


def emcore(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from emcore import slic

    x, k = data["x"], int(data.get("k", 100))
    x = x.astype("f4") if prepared else x
    return lambda: slic(x, k, compactness=COMPACTNESS, n_iter=10, connectivity=False)


def scikit_image(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from skimage.segmentation import slic

    x = data["x"]
    # Its compactness counts beside the sum over channels of values scaled to 0..1.
    spread = float(np.sqrt(x.var(axis=(0, 1)).sum())) / float(np.ptp(x))
    ready = x.astype("f4") if prepared else None
    options = {"enforce_connectivity": False, "convert2lab": False, "start_label": 0, "channel_axis": -1}

    def call() -> np.ndarray:
        image = x.astype("f4") if ready is None else ready
        return slic(image, 100, compactness=COMPACTNESS * spread, max_num_iter=10, **options)

    return call


def compare(ours: np.ndarray, theirs: np.ndarray) -> None:
    same = float((ours == theirs).mean())
    print(f"labels {same:.4%} equal")
    assert same >= 0.99, f"{same:.4%} of the labels are equal"


WORKLOADS = [
    Workload(
        name="256 x 256 x 512, 100 segments, 10 iterations",
        data=scan,
        emcore=emcore,
        peers={"scikit-image": scikit_image},
        compare=compare,
        asked={"prepared": 30.0, "as delivered": 50.0},
        bytes=256 * 256 * 512 * 4.0,
    )
]

GROWTHS = [
    Growth("SLIC, n x n x 128 u16, 100 segments", "n", [64, 96, 128, 192, 256], lambda n: scan(n, 128), emcore),
    Growth("SLIC, 192 x 192 x d u16, 100 segments", "d", [16, 32, 64, 128, 256], lambda d: scan(192, d), emcore),
    Growth(
        "SLIC, 192 x 192 x 128 u16",
        "k",
        [25, 50, 100, 200, 400],
        lambda k: {**scan(192, 128), "k": np.array(k)},
        emcore,
    ),
    Growth("SLIC, 192 x 192 x 128 u16, 100 segments", "threads", [1, 2], lambda _: scan(192, 128), emcore),
]

if __name__ == "__main__":
    main(WORKLOADS, GROWTHS)
