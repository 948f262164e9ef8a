"""
Spectrum images without their noise: how far are they from the truth?

The error is the relative root mean square difference from what was expected to be counted. emcore chooses the rank, or
is told it; HyperSpy, told, is its model of weighted principal components.
"""

import time
import warnings
from pathlib import Path

import numpy as np

import emcore
from table import Row


def with_hyperspy(data: np.ndarray, k: int) -> np.ndarray:
    import hyperspy.api as hs

    signal = hs.signals.Signal1D(data.astype(np.float32))
    signal.decomposition(normalize_poissonian_noise=True, output_dimension=k, print_info=False)
    return np.asarray(signal.get_decomposition_model(k).data)


def evaluate(path: Path, name: str) -> list[Row]:
    case = np.load(path)
    if float(case["gain"]) != 1 or float(case["read"]):
        return []
    data, k = case["data"], len(case["spectra"])
    truth = np.einsum("kyx,ke->yxe", case["maps"], case["spectra"])
    rows = []

    def score(by: str, denoised: np.ndarray, started: float, found: int | None = None) -> None:
        error = float(np.linalg.norm(denoised - truth) / np.linalg.norm(truth))
        rows.append(Row(name, by, found, k, {"error": error}, time.perf_counter() - started))

    started = time.perf_counter()
    result = emcore.denoise(data)
    score("emcore", result.signal.data, started, result.n_components)
    started = time.perf_counter()
    score("emcore, told", emcore.denoise(data, k).signal.data, started)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = with_hyperspy(data, k)
    score("HyperSpy, told", model, started)
    return rows
