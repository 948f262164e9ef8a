"""
From a scan of patterns to its grains, against less with NumPy and scikit-image.

A scan of 128 x 128 patterns of 128 x 128 pixels u8 over 30 bent grains. emcore compares every pixel, binned to 64 a
side, that varies by more than its noise. The plain version does less: statistics of every detector pixel, the beam
masked, the 2 % of the largest range kept and scaled, SLIC, like neighbours merged, mean pattern of every grain; on this
scan of few grains that is enough.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import harness

GRAINS, SEGMENTS, CORRELATION = 30, 350, 0.8


@cache
def scan() -> harness.Data:
    from emcore.datasets import bent_polycrystal

    sample = bent_polycrystal((128, 128), n_grains=GRAINS)
    return {"patterns": np.asarray(sample.patterns.data), "labels": sample.labels}


def emcore(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    patterns, true = data["patterns"], data["labels"]

    def run() -> harness.Data:
        observed = emcore.segment_grains(patterns, SEGMENTS, min_correlation=CORRELATION)
        return {"labels": observed.labels, "signals": observed.signals, "true": true}

    return run


def plain(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    from skimage.segmentation import slic

    return lambda: steps(data["patterns"], slic) | {"true": data["labels"]}


def steps(patterns: np.ndarray, slic: Callable[..., np.ndarray]) -> harness.Data:
    """What a user would write."""
    mean = patterns.mean(axis=(0, 1))
    spread = np.ptp(patterns, axis=(0, 1)).astype(float)
    height, width = mean.shape
    ky, kx = np.ogrid[:height, :width]
    spread[np.hypot(ky - (height - 1) / 2, kx - (width - 1) / 2) < 5] = -1
    kept = spread > np.quantile(spread, 0.98)
    values = patterns[:, :, kept].astype(np.float32) / np.sqrt(mean[kept]).astype(np.float32)
    scale = float(np.sqrt(values.var(axis=(0, 1)).sum())) / float(np.ptp(values))
    labels = slic(values, SEGMENTS, compactness=0.3 * scale, start_label=0, convert2lab=False, channel_axis=-1)
    k = int(labels.max()) + 1
    counts = np.bincount(labels.ravel(), minlength=k).astype(float)
    rows = values.reshape(-1, values.shape[2])
    means = np.stack([rows[labels.ravel() == label].mean(axis=0) for label in range(k)]) - rows.mean(axis=0)
    touching: list[set[int]] = [set() for _ in range(k)]
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        for p, q in {tuple(pair) for pair in np.stack([a[a != b], b[a != b]], axis=1).tolist()}:
            touching[p].add(q)
            touching[q].add(p)

    def likeness(p: int, q: int) -> float:
        return float(means[p] @ means[q] / np.linalg.norm(means[p]) / np.linalg.norm(means[q]))

    pairs = {(p, q): likeness(p, q) for p in range(k) for q in touching[p] if p < q}
    while pairs and max(pairs.values()) >= CORRELATION:
        p, q = max(pairs, key=pairs.__getitem__)
        means[p] = (counts[p] * means[p] + counts[q] * means[q]) / (counts[p] + counts[q])
        counts[p] += counts[q]
        labels[labels == q] = p
        touching[p] = (touching[p] | touching[q]) - {p, q}
        for other in touching[q] - {p}:
            touching[other] = (touching[other] - {q}) | {p}
        pairs = {pair: r for pair, r in pairs.items() if not {p, q} & set(pair)}
        pairs |= {(min(p, other), max(p, other)): likeness(p, other) for other in touching[p]}
    names = np.unique(labels)
    signals = np.stack([patterns[labels == name].mean(axis=0) for name in names])
    return {"labels": np.searchsorted(names, labels), "signals": signals}


def compare(ours: harness.Data, theirs: harness.Data) -> None:
    from emcore.datasets import adjusted_rand_index

    observed = [adjusted_rand_index(each["true"], each["labels"]) for each in (ours, theirs)]
    print(f"adjusted Rand index {observed[0]:.4f}, the peer's {observed[1]:.4f}")
    assert observed[0] >= observed[1] - 0.02, f"adjusted Rand index {observed[0]:.4f}, the peer's {observed[1]:.4f}"


WORKLOADS = [
    harness.Workload(
        name="128 x 128 patterns of 128 x 128 u8 to grains",
        data=scan,
        emcore=emcore,
        peers={"NumPy, scikit-image": plain},
        compare=compare,
        rows=("as delivered",),
        bytes=2.0 * 128**4,
    )
]

if __name__ == "__main__":
    harness.main(WORKLOADS)
