"""
The whole job on correlated signals, against the same steps written with NumPy and scikit-learn.

128 x 128 positions with a pattern of 64 x 64 u16 and a spectrum of 512 channels u16: robust scaling, equal balance,
principal components, k-means with ten starts, Gustafson-Kessel, cluster signals; the same for each signal alone. The
peer is told the number of components that emcore has to find, and refines its best start only, not every one.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import harness

PHASES = 4
COMPONENTS = 4
M = 1.5


def scan() -> harness.Data:
    from emcore.datasets import correlated_scan

    sample = correlated_scan(shape=(128, 128), detector=64, channels=512)
    return {"diffraction": sample.diffraction.data, "eds": sample.eds.data}


def emcore_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    def run() -> Any:
        settings = {"method": "gustafson-kessel", "scaling": "robust", "components": "threshold"}
        observed = emcore.correlate([data["diffraction"], data["eds"]], PHASES, **settings)
        return {"labels": observed.labels, "eds": observed.signals[1].data}

    return run


def plain_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import sklearn.cluster
    import sklearn.decomposition  # noqa: F401

    return lambda: plain(data["diffraction"], data["eds"])


def plain(diffraction: np.ndarray, eds: np.ndarray) -> dict[str, np.ndarray]:
    """The job with what a user has at hand."""
    grid = diffraction.shape[:2]
    matrices = [signal.reshape(grid[0] * grid[1], -1) for signal in (diffraction, eds)]
    scaled = [_scaled(matrix.astype(np.float32)) for matrix in matrices]
    scaled[1] *= np.sqrt(scaled[0].var(axis=0).sum() / scaled[1].var(axis=0).sum())
    u = _clustered(np.hstack(scaled))
    alone = [_clustered(matrix) for matrix in scaled]
    weights = np.where(u > 0.5, u, 0)
    weights /= weights.sum(axis=0)
    signals = [weights.T @ matrix for matrix in matrices]
    return {
        "labels": u.argmax(axis=1).reshape(grid),
        "eds": signals[1],
        "pattern": signals[0],
        "alone": np.stack(alone),
    }


def _scaled(rows: np.ndarray) -> np.ndarray:
    low, middle, high = np.quantile(rows, (0.25, 0.5, 0.75), axis=0).astype(np.float32)
    divisor = np.where(high > low, high - low, rows.std(axis=0))
    keep = divisor > 0
    return (rows[:, keep] - middle[keep]) / divisor[keep]


def _clustered(rows: np.ndarray) -> np.ndarray:
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    scores = PCA(30, svd_solver="randomized", random_state=0).fit_transform(rows)[:, :COMPONENTS]
    scores = (scores / scores.std(axis=0)).astype(np.float64)
    u = 0.9 * np.eye(PHASES)[KMeans(PHASES, n_init=10, random_state=0).fit(scores).labels_] + 0.1 / PHASES
    for _ in range(300):
        weights = u**M
        distances = np.empty_like(u)
        for k in range(PHASES):
            away = scores - weights[:, k] @ scores / weights[:, k].sum()
            covariance = (weights[:, k, None] * away).T @ away / weights[:, k].sum()
            inverse = np.linalg.inv(covariance) * np.linalg.det(covariance) ** (1 / COMPONENTS)
            distances[:, k] = np.einsum("ij,jk,ik->i", away, inverse, away)
        new = (distances.min(axis=1, keepdims=True) / distances) ** (1 / (M - 1))
        new /= new.sum(axis=1, keepdims=True)
        if np.abs(new - u).max() < 1e-5:
            return new
        u = new
    return u


def plain_report(folder: str) -> None:
    """The job from files to report, for a fresh process."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_pdf import PdfPages

    observed = plain(*(np.load(f"{folder}/{name}.npy") for name in ("diffraction", "eds")))
    with PdfPages(Path(folder) / "both.pdf") as pdf:
        shape = observed["labels"].shape
        alone = [u.argmax(axis=1).reshape(shape) for u in observed["alone"]]
        patterns = np.sqrt(observed["pattern"]).reshape(PHASES, 64, 64)
        for pictures in ([observed["labels"], *alone], patterns):
            figure, axes = plt.subplots(1, len(pictures), figsize=(12, 4))
            for axis, picture in zip(axes, pictures, strict=True):
                axis.imshow(picture)
            pdf.savefig(figure)
        figure, axis = plt.subplots()
        axis.plot(observed["eds"].T)
        pdf.savefig(figure)
    np.savez(Path(folder) / "found.npz", **observed)


def emcore_command(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    folder = with_files(data)
    words = ["correlate", f"{folder}/diffraction.npy", f"{folder}/eds.npy", "--clusters", str(PHASES)]
    options = ["--output", folder, "--force", "--quiet", "--threads", str(threads)]

    def run() -> Any:
        subprocess.run([sys.executable, "-m", "emcore", *words, *options], check=True)
        return read_result(f"{folder}/diffraction_eds.h5")

    return run


def plain_command(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    folder = with_files(data)

    def run() -> Any:
        subprocess.run([sys.executable, __file__, "--plain", folder], check=True)
        with np.load(f"{folder}/found.npz") as file:
            return dict(file)

    return run


def with_files(data: harness.Data) -> str:
    """A folder that holds the signals as files; it is left to the system's cleaning of temporary files."""
    folder = tempfile.mkdtemp(prefix="emcore-bench-correlate-")
    for name, signal in data.items():
        np.save(Path(folder) / f"{name}.npy", signal)
    return folder


def read_result(path: str) -> dict[str, np.ndarray]:
    import h5py

    with h5py.File(path) as file:
        return {"labels": file["entry/labels/data"][...], "eds": file["entry/signals_1/data"][...]}


def phases_agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    from sklearn.metrics import adjusted_rand_score

    agreement = adjusted_rand_score(ours["labels"].ravel(), theirs["labels"].ravel())
    assert agreement > 0.95, f"the phases agree only to an adjusted Rand index of {agreement:.2f}"
    nearest = [np.abs(theirs["eds"] - mine).max(axis=1).min() for mine in ours["eds"]]
    assert max(nearest) < 0.05 * ours["eds"].max(), "spectra differ"


STEPS = "NumPy, scikit-learn"
WORKLOADS = [
    harness.Workload(
        "correlate 128 x 128 x (64 x 64 + 512) u16, 4 phases, in one process",
        scan,
        emcore_in_process,
        {STEPS: plain_in_process},
        phases_agree,
        rows=("as delivered",),
    ),
    harness.Workload(
        "the same, from files to report, a command in a fresh process",
        scan,
        emcore_command,
        {f"{STEPS}, matplotlib": plain_command},
        phases_agree,
        rows=("as delivered",),
        memory=False,
    ),
]

if __name__ == "__main__":
    if sys.argv[1:2] == ["--plain"]:
        plain_report(sys.argv[2])
    else:
        harness.main(WORKLOADS)
