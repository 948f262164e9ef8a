"""
Few counts without their noise: how far are scans of spectra and of patterns from the truth?

The error is the relative root mean square difference from what was expected to be counted, at 5 to 200 counts a
position. emcore chooses the rank, or is told it; HyperSpy's model of weighted principal components is told it. Where
signals vary without steps there is no true rank: told is what emcore chose.
"""

import time
import warnings
import zlib
from pathlib import Path

import numpy as np

import emcore
from table import Row

COUNTS = 5, 20, 50, 200


def with_hyperspy(data: np.ndarray, k: int) -> np.ndarray:
    import hyperspy.api as hs

    signal = hs.signals.Signal1D(data.reshape(*data.shape[:2], -1).astype(np.float32))
    # Of one component it finds no elbow and ends.
    signal.decomposition(normalize_poissonian_noise=True, output_dimension=max(k, 4), print_info=False)
    return np.asarray(signal.get_decomposition_model(k).data).reshape(data.shape)


def evaluate(path: Path, name: str) -> list[Row]:
    case = np.load(path)
    return [row for counts in COUNTS for row in evaluated(case["expected"], int(case["k"]), counts, name)]


def evaluated(expected: np.ndarray, k: int, counts: int, name: str) -> list[Row]:
    rng = np.random.default_rng([zlib.crc32(name.encode()), counts])
    truth = expected * counts
    data, rows = rng.poisson(truth).astype(np.uint16), []

    def score(by: str, denoised: np.ndarray, started: float, found: int | None = None) -> None:
        error = float(np.linalg.norm(denoised - truth) / np.linalg.norm(truth))
        rows.append(
            Row(f"{name}, {counts} counts", by, found, k or None, {"error": error}, time.perf_counter() - started)
        )

    started = time.perf_counter()
    result = emcore.denoise(data)
    score("emcore", result.signal.data, started, result.n_components)
    told = k or result.n_components
    started = time.perf_counter()
    score("emcore, told", emcore.denoise(data, told).signal.data, started)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = with_hyperspy(data, told)
    score("HyperSpy, told", model, started)
    return rows
