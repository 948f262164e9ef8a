"""
The virtual detector that separates two groups best, against NumPy and scikit-learn.

128 x 128 positions of 64 x 64 pixels of u16 over two phases whose difference is one ring. The annulus: all pairs of
radii that are a pixel apart, by masks that are multiplied with all patterns, as py4DSTEM and LiberTEM make virtual
images, and by `np.bincount` of the rings; chosen on every other position. The free mask: scikit-learn's linear
discriminant with automatic shrinkage, of patterns binned 2 x 2, on the same positions; its contrast-to-noise at the
others is compared.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import harness

SHAPE = (128, 128)


def scan() -> harness.Data:
    from emcore.datasets import ring_phases

    sample = ring_phases(SHAPE, seed=11)
    return {
        "patterns": np.asarray(sample.patterns.data),
        "labels": sample.labels,
        "center": np.array(sample.beam_center),
    }


def emcore_annulus(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    def run() -> Any:
        found = emcore.best_detector(data["patterns"], data["labels"], center=tuple(data["center"]), beam_radius=6.4)
        return {"radii": np.array([found.inner[found.best], found.outer[found.best]])}

    return run


def emcore_free(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    def run() -> Any:
        center = tuple(data["center"])
        found = emcore.best_detector(data["patterns"], data["labels"], "free", center=center, beam_radius=6.4)
        return {"cnr": np.array(found.cnr[found.best])}

    return run


def halves(labels: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    groups = [np.flatnonzero(labels.ravel() == group) for group in (0, 1)]
    return [group[::2] for group in groups], [group[1::2] for group in groups]


def radii(data: harness.Data) -> np.ndarray:
    ky, kx = np.indices(data["patterns"].shape[2:])
    return np.hypot(ky - data["center"][0], kx - data["center"][1])


def contrast_to_noise(values: np.ndarray, groups: list[np.ndarray]) -> float:
    a, b = (values[group] for group in groups)
    return abs(a.mean() - b.mean()) / np.sqrt(a.var(ddof=1) + b.var(ddof=1))


def best_pair(profiles: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """The annulus of the largest contrast-to-noise, one after another."""
    best, chosen = -1.0, (0, 1)
    for inner in range(profiles.shape[1]):
        image = np.zeros(len(profiles))
        for outer in range(inner, profiles.shape[1]):
            image = image + profiles[:, outer]
            if not all(image[group].any() for group in groups):
                continue
            score = contrast_to_noise(image, groups)
            if score > best:
                best, chosen = score, (inner, outer + 1)
    return np.array(chosen, dtype=float)


def with_masks(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    def run() -> Any:
        away, (chosen, _) = radii(data), halves(data["labels"])
        rows = data["patterns"].reshape(-1, away.size)
        rings = np.ceil(away).astype(int).clip(1) - 1
        masks = np.stack([(rings == ring).ravel() for ring in range(rings.max() + 1)], axis=1)
        return {"radii": best_pair(rows.astype(np.float32) @ masks.astype(np.float32), chosen)}

    return run


def with_bincount(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    def run() -> Any:
        away, (chosen, _) = radii(data), halves(data["labels"])
        rings = (np.ceil(away).astype(int).clip(1) - 1).ravel()
        rows = data["patterns"].reshape(-1, away.size)
        return {"radii": best_pair(np.stack([np.bincount(rings, weights=row) for row in rows]), chosen)}

    return run


def scikit_learn(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    def run() -> Any:
        y, x, ky, kx = data["patterns"].shape
        bins = data["patterns"].reshape(y * x, ky // 2, 2, kx // 2, 2).sum(axis=(2, 4)).reshape(y * x, -1)
        chosen, judged = halves(data["labels"])
        rows = np.concatenate(chosen)
        found = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
            bins[rows], data["labels"].ravel()[rows]
        )
        return {"cnr": np.array(contrast_to_noise(bins @ found.coef_[0], judged))}

    return run


def radii_agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert np.array_equal(ours["radii"], theirs["radii"]), f"{ours['radii']} and {theirs['radii']}"


def no_worse(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours["cnr"] > 0.98 * theirs["cnr"], f"{ours['cnr']:.3f} against {theirs['cnr']:.3f}"


WORKLOADS = [
    harness.Workload(
        "the best annulus, 128 x 128 x 64 x 64 u16",
        scan,
        emcore_annulus,
        {"NumPy, masks": with_masks, "NumPy, bincount": with_bincount},
        radii_agree,
        rows=("as delivered",),
    ),
    harness.Workload(
        "a free mask",
        scan,
        emcore_free,
        {"scikit-learn": scikit_learn},
        no_worse,
        rows=("as delivered",),
    ),
]

if __name__ == "__main__":
    harness.main(WORKLOADS)
