"""
Scores of local symmetry of an image, against what one writes with SciPy.

1024 x 1024 pixels, window 21, patch 20 (half sizes), stride 5, as published (Wang et al. 2021, whose own code took 3.2
to 5 s for translations and 48 to 97 s for rotations and reflections). Translations: uniform filters of the image, its
square and its products with shifted copies, threads over shifts. Rotations and reflections: patches sampled on rings by
`map_coordinates`, correlated over the angle by FFT, many points at a time.

The whole job: the background subtracted, scores of translations, five principal components, k-means into two, a label
for every pixel; with emcore also the lattice of each region and what a result needs besides.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from harness import Data, Growth, Workload, main

WINDOW, PATCH, STRIDE, ANGLES = 21, 20, 5, 144
FOLDS, PLANES = (2, 3, 4, 6), 10
POINTS = 512  # at a time


def lattice(side: int = 1024) -> Data:
    y, x = np.mgrid[:side, :side].astype("f4")
    wave = np.sin(0.55 * x + 0.1 * y) + np.sin(0.5 * y - 0.2 * x)
    counts = np.random.default_rng(0).poisson(40 * (2.2 + wave))
    return {"image": counts.astype(np.uint16)}


def grains(side: int = 1024) -> Data:
    from emcore.datasets import crystal_grains

    return {"image": crystal_grains((side, side)).image}


def translations(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    return lambda: emcore.local_symmetry_scores(data["image"], window=WINDOW, patch=PATCH, stride=STRIDE).scores


def turns(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    def call() -> np.ndarray:
        options = {"patch": PATCH, "stride": STRIDE}
        both = [emcore.local_symmetry_scores(data["image"], score, **options) for score in ("rotation", "reflection")]
        return np.concatenate([each.scores for each in both], axis=2)

    return call


def box_filters(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from scipy.ndimage import uniform_filter

    from emcore.methods.symmetry.scores import spread_shifts

    pixels, shifts, side = data["image"].astype("f8"), spread_shifts(WINDOW), 2 * PATCH + 1
    reach = PATCH + WINDOW
    ny, nx = ((length - 2 * reach - 1) // STRIDE + 1 for length in pixels.shape)

    def call() -> np.ndarray:
        image = pixels - pixels.mean()
        mean = uniform_filter(image, side)
        spread = np.sqrt(uniform_filter(image**2, side) - mean**2)
        scores = np.empty((ny, nx, len(shifts)), "f4")
        points = np.ix_(reach + STRIDE * np.arange(ny), reach + STRIDE * np.arange(nx))

        def one(k: int) -> None:
            m, n = shifts[k]
            there = np.ix_(points[0].ravel() + m, points[1].ravel() + n)
            product = uniform_filter(image * np.roll(image, (-m, -n), (0, 1)), side)[points]
            scores[..., k] = (product - mean[points] * mean[there]) / (spread[points] * spread[there])

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, range(len(shifts))))
        return scores

    return call


def job(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    return lambda: emcore.local_symmetry(data["image"], n_regions=2, window=WINDOW, patch=PATCH, stride=STRIDE).labels


def job_with_scipy(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from scipy.ndimage import uniform_filter
    from sklearn.cluster import KMeans

    from emcore.methods.symmetry.descriptors import descriptors_for

    image = data["image"]
    side = descriptors_for(image, "translation", None, WINDOW, PATCH, STRIDE).side

    def call() -> np.ndarray:
        rest = image - uniform_filter(uniform_filter(image.astype("f8"), side), side)
        scores = box_filters({"image": rest}, prepared, threads)()
        ny, nx, d = scores.shape
        rows = scores.reshape(-1, d).astype("f8")
        rows -= rows.mean(axis=0)
        _, vectors = np.linalg.eigh(rows.T @ rows)
        labels = KMeans(2, n_init=10, random_state=0).fit_predict(rows @ vectors[:, -5:])
        if 2 * np.count_nonzero(labels) < len(labels):
            labels = 1 - labels  # the smaller first
        reach = PATCH + WINDOW
        at = [
            np.clip(np.rint((np.arange(length) - reach) / STRIDE), 0, count - 1).astype(int)
            for length, count in zip(image.shape, (ny, nx), strict=True)
        ]
        return labels.reshape(ny, nx)[np.ix_(*at)]

    return call


def compare_labels(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert np.mean(ours == theirs) > 0.995, "the regions differ"


def rings(data: Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from scipy import fft
    from scipy.ndimage import map_coordinates

    image = data["image"].astype("f4")
    ny, nx = ((length - 2 * PATCH - 1) // STRIDE + 1 for length in image.shape)
    places = np.stack(np.meshgrid(PATCH + STRIDE * np.arange(ny), PATCH + STRIDE * np.arange(nx), indexing="ij"))
    places = places.reshape(2, -1)
    radius, angle = np.arange(1, PATCH + 1)[:, None], 2 * np.pi * np.arange(ANGLES) / ANGLES
    offsets = np.stack([-radius * np.sin(angle), radius * np.cos(angle)])
    k = np.arange(ANGLES // 2 + 1)
    often = np.where((k == 0) | (2 * k == ANGLES), 1.0, 2.0)
    phases = np.exp(2j * np.pi * np.outer(k, np.arange(PLANES)) / PLANES)

    def some(start: int) -> np.ndarray:
        at = places[:, start : start + POINTS, None, None] + offsets[:, None]
        values = map_coordinates(image, at, order=1, mode="nearest")
        values -= np.average(values.mean(axis=2), axis=1, weights=radius[:, 0])[:, None, None]
        f = fft.rfft(values, axis=2)
        power = (radius * np.abs(f) ** 2).sum(axis=1) * often
        square = (radius * f**2).sum(axis=1) * often
        total = power.sum(axis=1)
        axes = [(n * power[:, ::n].sum(axis=1) / total - 1) / (n - 1) for n in FOLDS]
        mirrors = (square @ phases).real / total[:, None]
        return np.concatenate([np.stack(axes, axis=1), mirrors], axis=1)

    def call() -> np.ndarray:
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(some, range(0, places.shape[1], POINTS)))
        return np.concatenate(parts).reshape(ny, nx, -1).astype("f4")

    return call


def compare(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-3, "the scores differ"


WORKLOADS = [
    Workload(
        name="1024 x 1024 u16, translations",
        data=lattice,
        emcore=translations,
        peers={"SciPy box filters": box_filters},
        compare=compare,
        rows=("as delivered",),
        asked={"as delivered": 8.0},
    ),
    Workload(
        name="1024 x 1024 u16, rotations and reflections",
        data=lattice,
        emcore=turns,
        peers={"SciPy rings": rings},
        compare=compare,
        rows=("as delivered",),
        asked={"as delivered": 8.0},
    ),
    Workload(
        name="1024 x 1024 f32, regions by translations",
        data=grains,
        emcore=job,
        peers={"NumPy, SciPy, scikit-learn": job_with_scipy},
        compare=compare_labels,
        rows=("as delivered",),
    ),
]

GROWTHS = [
    Growth("translations", "side", (512, 724, 1024, 1448, 2048), lattice, translations),
    Growth("rotations and reflections", "side", (256, 362, 512, 724, 1024), lattice, turns),
    Growth("translations", "threads", (1, 2), lambda _: lattice(), translations),
]

if __name__ == "__main__":
    main(WORKLOADS, GROWTHS)
