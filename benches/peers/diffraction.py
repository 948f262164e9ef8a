"""
The whole diffraction job, against the same steps written with NumPy and scikit-learn.

A scan of 96 x 96 patterns of 128 x 128 pixels u8 over six grains: mean pattern, direct beam, mask, normalising by the
sum, k-means with six clusters on all kept pixels, mean pattern of every cluster. One peer starts as emcore does, from
many runs on a few components; the other leaves it to k-means' own ten starts on all pixels, as most scripts do.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import harness

GRAINS = 6


def scan() -> harness.Data:
    from emcore.datasets import polycrystal_scan

    sample = polycrystal_scan((96, 96), (128, 128), GRAINS, counts=8000)
    return {"patterns": np.minimum(sample.patterns, 255).astype(np.uint8)}


def emcore_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    def run() -> Any:
        observed = emcore.cluster_diffraction(data["patterns"], GRAINS, normalize="sum", reduce=None)
        return {"labels": observed.labels, "signals": observed.signals}

    return run


def plain_start(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import sklearn.cluster
    import sklearn.decomposition  # noqa: F401

    return lambda: plain(data["patterns"], components=16)


def plain_pixels(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import sklearn.cluster  # noqa: F401

    return lambda: plain(data["patterns"], components=0)


def plain(patterns: np.ndarray, components: int) -> dict[str, np.ndarray]:
    """The job with what a user has at hand."""
    from scipy import ndimage
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    height, width = patterns.shape[2:]
    mean = patterns.mean(axis=(0, 1))
    bright = mean > (mean.max() + np.median(mean)) / 2
    center = ndimage.center_of_mass(bright)
    radius = np.sqrt(bright.sum() / np.pi) + 2
    ky, kx = np.ogrid[:height, :width]
    keep = np.hypot(ky - center[0], kx - center[1]) > radius
    rows = patterns[:, :, keep].reshape(-1, int(keep.sum())).astype(np.float32)
    rows /= rows.sum(axis=1, keepdims=True)
    if components:
        scores = PCA(components, svd_solver="randomized", random_state=0).fit_transform(rows)
        first = KMeans(GRAINS, n_init=20, random_state=0).fit(scores).labels_
        start = np.stack([rows[first == label].mean(axis=0) for label in range(GRAINS)])
        labels = KMeans(GRAINS, init=start, n_init=1).fit(rows).labels_
    else:
        labels = KMeans(GRAINS, n_init=10, random_state=0).fit(rows).labels_
    labels = labels.reshape(patterns.shape[:2])
    signals = np.stack([patterns[labels == label].mean(axis=0) for label in range(GRAINS)])
    return {"labels": labels, "signals": signals}


def plain_report(scan_file: str, folder: str) -> None:
    """The job from file to report, for a fresh process."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_pdf import PdfPages

    patterns = np.load(scan_file)
    observed = plain(patterns, components=16)
    with PdfPages(Path(folder) / "scan.pdf") as pdf:
        for pictures in ([patterns.sum(axis=(2, 3)), observed["labels"]], np.sqrt(observed["signals"])):
            figure, axes = plt.subplots(1, len(pictures), figsize=(12, 4))
            for axis, picture in zip(axes, pictures, strict=True):
                axis.imshow(picture)
            pdf.savefig(figure)
    np.savez(Path(folder) / "found.npz", **observed)


def emcore_command(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    folder = with_scan(data)
    options = ["--clusters", str(GRAINS), "--output", folder, "--force", "--quiet", "--threads", str(threads)]

    def run() -> Any:
        subprocess.run([sys.executable, "-m", "emcore", "diffraction", f"{folder}/scan.npy", *options], check=True)
        return read_result(f"{folder}/scan.h5")

    return run


def plain_command(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    folder = with_scan(data)
    command = [sys.executable, __file__, "--plain", f"{folder}/scan.npy", folder]

    def run() -> Any:
        subprocess.run(command, check=True)
        with np.load(f"{folder}/found.npz") as file:
            return dict(file)

    return run


def with_scan(data: harness.Data) -> str:
    """A folder that holds the scan as a file; it is left to the system's cleaning of temporary files."""
    folder = tempfile.mkdtemp(prefix="emcore-bench-diffraction-")
    np.save(Path(folder) / "scan.npy", data["patterns"])
    return folder


def read_result(path: str) -> dict[str, np.ndarray]:
    import h5py

    with h5py.File(path) as file:
        return {name: file[f"entry/{name}/data"][...] for name in ("labels", "signals")}


def grains_agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    from sklearn.metrics import adjusted_rand_score

    agreement = adjusted_rand_score(ours["labels"].ravel(), theirs["labels"].ravel())
    assert agreement > 0.95, f"the grains agree only to an adjusted Rand index of {agreement:.2f}"
    nearest = [np.abs(theirs["signals"] - mine).max(axis=(1, 2)).min() for mine in ours["signals"]]
    assert max(nearest) < 0.05 * ours["signals"].max(), "mean patterns differ"


WORKLOADS = [
    harness.Workload(
        "diffraction 96 x 96 patterns of 128 x 128 u8, 6 clusters, in one process",
        scan,
        emcore_in_process,
        {
            "NumPy, scikit-learn, started from components": plain_start,
            "NumPy, scikit-learn, ten starts on pixels": plain_pixels,
        },
        grains_agree,
        rows=("as delivered",),
    ),
    harness.Workload(
        "the same, from file to report, a command in a fresh process",
        scan,
        emcore_command,
        {"NumPy, scikit-learn, matplotlib, started from components": plain_command},
        grains_agree,
        rows=("as delivered",),
        memory=False,
    ),
]

if __name__ == "__main__":
    if sys.argv[1:2] == ["--plain"]:
        plain_report(sys.argv[2], sys.argv[3])
    else:
        harness.main(WORKLOADS)
