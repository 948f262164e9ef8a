"""
A scan without its noise, against HyperSpy's model: its weighted principal components, kept whole.

100 x 100 positions of 800 channels of counts, 40 a position, three phases, at the same rank; and the same by NumPy and
scikit-learn. Nearer the truth is better: the error of each, relative, is compared before times are.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import harness

RANK = 3


def counts() -> harness.Data:
    from emcore.datasets import eds_phases

    sample = eds_phases(shape=(100, 100), channels=800, counts=40, minority=0.03)
    truth = np.einsum("kyx,ke->yxe", sample.maps, sample.spectra)
    return {"counts": sample.signal.data, "truth": truth.astype(np.float32)}


def scored(data: harness.Data, denoised: np.ndarray) -> dict[str, np.ndarray]:
    """The scan, and how far it is from the truth."""
    error = np.linalg.norm(denoised - data["truth"]) / np.linalg.norm(data["truth"])
    return {"error": np.array(error)}


def emcore_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    return lambda: scored(data, emcore.denoise(data["counts"], RANK).signal.data)


def hyperspy_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import hyperspy.api as hs

    def run() -> Any:
        signal = hs.signals.Signal1D(data["counts"].astype(np.float32))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            settings = {"normalize_poissonian_noise": True, "output_dimension": RANK, "print_info": False}
            signal.decomposition(svd_solver="randomized", **settings)
            return scored(data, signal.get_decomposition_model(RANK).data)

    return run


def plain_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import sklearn.utils.extmath  # noqa: F401

    return lambda: scored(data, plain(data["counts"]))


def plain(counts: np.ndarray) -> np.ndarray:
    """The job with what a user has at hand."""
    from sklearn.utils.extmath import randomized_svd

    rows = counts.reshape(-1, counts.shape[-1])
    a, b = np.sqrt(rows.sum(axis=1, dtype=float)), np.sqrt(np.maximum(rows.sum(axis=0, dtype=float), 1))
    a = np.maximum(a, 1).astype(np.float32)[:, None]
    u, s, v = randomized_svd(rows / a / b.astype(np.float32), RANK, random_state=0)
    return ((a * u * s) @ (v * b)).reshape(counts.shape)


def nearer(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """emcore's error is smaller; both are printed."""
    print(f"relative error: emcore {float(ours['error']):.4f}, peer {float(theirs['error']):.4f}", flush=True)
    assert ours["error"] < theirs["error"], f"errors {ours['error']}, {theirs['error']}"


WORKLOADS = [
    harness.Workload(
        "denoise 100 x 100 x 800 u16 counts at rank 3, in one process",
        counts,
        emcore_in_process,
        {"HyperSpy": hyperspy_in_process, "NumPy and scikit-learn": plain_in_process},
        nearer,
        rows=("as delivered",),
    ),
]

if __name__ == "__main__":
    harness.main(WORKLOADS)
