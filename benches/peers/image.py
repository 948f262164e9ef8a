"""
The whole image job, against the same steps written with NumPy, SciPy, scikit-learn and matplotlib.

A micrograph of 1662 x 1370 pixels with three lattices, default settings: window 128, step 32, the number of components
chosen by the gap of the scree. In one process, and from file to report by a command in a fresh process.
The published figure for this job is about a minute (Jany, Janas & Krok 2020), on another machine: no row of the table.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import harness

WINDOW, STEP = 128, 32


def micrograph() -> harness.Data:
    from emcore.datasets import lattice_micrograph

    return {"image": lattice_micrograph(shape=(1370, 1662), dtype="uint8").image}


def emcore_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    return lambda: emcore.analyze_image(data["image"]).regions


def plain_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import scipy.fft  # noqa: F401
    import sklearn.decomposition  # noqa: F401

    return lambda: plain(data["image"], threads)["regions"]


def plain(image: np.ndarray, threads: int) -> dict[str, np.ndarray]:
    """The job with what a user has at hand."""
    from scipy import fft, ndimage
    from sklearn.decomposition import NMF
    from sklearn.utils.extmath import randomized_svd

    windows = np.lib.stride_tricks.sliding_window_view(image, (WINDOW, WINDOW))[::STEP, ::STEP].astype(np.float32)
    ny, nx = windows.shape[:2]
    taper = (np.sin(np.pi * np.arange(WINDOW) / WINDOW) ** 2).astype(np.float32)
    windows -= windows.mean(axis=(2, 3), keepdims=True)
    windows *= taper[:, None] * taper
    power = np.abs(fft.rfft2(windows, workers=threads)) ** 2
    spectra = np.log1p(power / np.median(power)).reshape(ny * nx, -1)
    weights = np.full(WINDOW // 2 + 1, np.sqrt(2), np.float32)
    weights[[0, -1]] = 1
    x = spectra * np.tile(weights, WINDOW)
    _, values, _ = randomized_svd(x, 21, random_state=0)
    ratios = values[1:-1] ** 2 / values[2:] ** 2
    k = int(ratios.argmax()) + 2 if ratios.max() >= 1.5 else 1
    model = NMF(k, init="nndsvda", random_state=0)
    maps = model.fit_transform(x).T.reshape(k, ny, nx)
    maps *= np.linalg.norm(model.components_, axis=1)[:, None, None]
    maps /= np.maximum(np.percentile(maps, 99, axis=(1, 2), keepdims=True), 1e-12)
    height, width = image.shape
    y = np.clip((np.arange(height) - (WINDOW - 1) / 2) / STEP, 0, ny - 1)
    x_ = np.clip((np.arange(width) - (WINDOW - 1) / 2) / STEP, 0, nx - 1)
    places = np.meshgrid(y, x_, indexing="ij")
    regions = np.argmax([ndimage.map_coordinates(m, places, order=1) for m in maps], axis=0)
    return {"regions": regions, "maps": maps, "components": model.components_, "evr": values**2 / np.sum(x**2)}


def plain_report(image_file: str, folder: str, threads: int) -> None:
    """The job from file to report, for a fresh process."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_pdf import PdfPages

    image = np.load(image_file)
    observed = plain(image, threads)
    with PdfPages(Path(folder) / "image.pdf") as pdf:
        for pictures in ([image, observed["regions"]], observed["maps"]):
            figure, axes = plt.subplots(1, len(pictures), figsize=(12, 5))
            for axis, picture in zip(axes, pictures, strict=True):
                axis.imshow(picture)
            pdf.savefig(figure)
        figure, axis = plt.subplots()
        axis.semilogy(observed["evr"], "o-")
        pdf.savefig(figure)
    np.save(Path(folder) / "regions.npy", observed["regions"])


def emcore_command(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    folder = with_image(data)
    options = ["--output", folder, "--force", "--quiet", "--threads", str(threads)]

    def run() -> Any:
        subprocess.run([sys.executable, "-m", "emcore", "image", f"{folder}/image.npy", *options], check=True)
        return f"{folder}/image.h5"

    return lambda: read_regions(run())


def plain_command(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    folder = with_image(data)
    command = [sys.executable, __file__, "--plain", f"{folder}/image.npy", folder, str(threads)]

    def run() -> Any:
        subprocess.run(command, check=True)
        return np.load(f"{folder}/regions.npy")

    return run


def with_image(data: harness.Data) -> str:
    """A folder that holds the image as a file; it is left to the system's cleaning of temporary files."""
    folder = tempfile.mkdtemp(prefix="emcore-bench-image-")
    np.save(Path(folder) / "image.npy", data["image"])
    return folder


def read_regions(path: str) -> np.ndarray:
    import h5py

    with h5py.File(path) as file:
        return file["entry/regions/data"][...]


def regions_agree(ours: np.ndarray, theirs: np.ndarray) -> None:
    from sklearn.metrics import adjusted_rand_score

    agreement = adjusted_rand_score(ours.ravel(), theirs.ravel())
    assert agreement > 0.9, f"the regions agree only to an adjusted Rand index of {agreement:.2f}"


STEPS = "NumPy, SciPy, scikit-learn"
WORKLOADS = [
    harness.Workload(
        "image 1662 x 1370 u8, in one process",
        micrograph,
        emcore_in_process,
        {STEPS: plain_in_process},
        regions_agree,
        rows=("as delivered",),
    ),
    harness.Workload(
        "image 1662 x 1370 u8, from file to report, a command in a fresh process",
        micrograph,
        emcore_command,
        {f"{STEPS}, matplotlib": plain_command},
        regions_agree,
        rows=("as delivered",),
        memory=False,
    ),
]

if __name__ == "__main__":
    if sys.argv[1:2] == ["--plain"]:
        plain_report(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        harness.main(WORKLOADS)
