"""
Peaks of a hyperspectral stack, against the same steps written with NumPy, SciPy and scikit-learn.

71 images of 192 x 240 counts in u16: derivatives of blocks of 3 x 3 positions, smoothed, their peaks, Gaussian mixtures
of 1 to 12 components on the pooled positions, the mean spectrum of the blocks of each, and the smallest spectral angle
at every position. The peer smooths by a width that is given, and takes the mixture of five, which is given, too: by the
Bayesian information criterion alone it would take 7 to 12.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import harness

PEAKS, BLOCK, WIDTH = 5, 3, 1.5


def series() -> harness.Data:
    from emcore.datasets import energy_series

    sample = energy_series((192, 240), seed=11)
    return {"stack": sample.stack.data, "energies": sample.stack.axes[0].values, "peaks": sample.peaks}


def emcore(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    def run() -> Any:
        found = emcore.map_peaks(data["stack"], BLOCK, energies=data["energies"], signal_axis=0, differentiate=True)
        return {"labels": found.labels, "energies": found.energies, "peaks": data["peaks"]}

    return run


def plain_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import sklearn.mixture  # noqa: F401

    return lambda: plain(data["stack"], data["energies"])


def plain(stack: np.ndarray, energies: np.ndarray) -> dict[str, np.ndarray]:
    """The job with what a user has at hand."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks
    from sklearn.mixture import GaussianMixture

    count, height, width = stack.shape
    counts = stack.astype(np.float32)
    blocks = counts.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean(axis=(2, 4))
    spectra = gaussian_filter1d(np.gradient(blocks.reshape(count, -1).T, energies, axis=1), WIDTH, axis=1)
    noise = np.std(np.diff(np.gradient(blocks.reshape(count, -1).T, energies, axis=1), 2, axis=1), axis=1) / np.sqrt(6)
    at, of = [], []
    for i, (spectrum, level) in enumerate(zip(spectra, noise, strict=True)):
        for peak in find_peaks(spectrum, prominence=2.5 * level)[0]:
            left, middle, right = spectrum[peak - 1 : peak + 2]
            at.append(energies[peak] + (energies[1] - energies[0]) * (left - right) / (2 * (left - 2 * middle + right)))
            of.append((i, spectrum[peak]))
    positions = np.array(at)[:, None]
    floor = (energies[1] - energies[0]) ** 2 / 12
    models = [GaussianMixture(k, reg_covar=floor, random_state=0).fit(positions) for k in range(1, 13)]
    min(models, key=lambda model: model.bic(positions))
    model = models[PEAKS - 1]
    order = np.argsort(model.means_[:, 0])
    labels = np.argsort(order)[model.predict(positions)]
    rows, heights = (np.array(each) for each in zip(*of, strict=True))
    strongest: dict[int, int] = {}
    for i in np.argsort(heights):
        strongest[int(rows[i])] = int(labels[i])
    own = np.array(list(strongest.values()))
    chosen = np.array(list(strongest))
    references = np.stack([spectra[chosen[own == k]].mean(axis=0) for k in range(PEAKS)])
    whole = gaussian_filter1d(np.gradient(counts.reshape(count, -1).T, energies, axis=1), WIDTH, axis=1)
    cosines = whole @ references.T / np.linalg.norm(references, axis=1) / np.linalg.norm(whole, axis=1)[:, None]
    return {"labels": cosines.argmax(axis=1).reshape(height, width), "energies": model.means_[order, 0]}


def agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    from emcore.datasets import adjusted_rand_index

    assert np.abs(ours["energies"] - ours["peaks"]).max() < 0.05, "a peak is off by half a channel"
    there = ours["labels"] >= 0
    index = adjusted_rand_index(ours["labels"][there], theirs["labels"][there])
    assert index > 0.9, f"labels differ, adjusted Rand index {index:.3f}, energies {theirs['energies']}"


WORKLOADS = [
    harness.Workload(
        "peaks of 71 images of 192 x 240",
        series,
        emcore,
        {"NumPy, SciPy and scikit-learn": plain_in_process},
        agree,
        rows=("as delivered",),
    )
]

if __name__ == "__main__":
    harness.main(WORKLOADS)
