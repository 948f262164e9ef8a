"""
The whole unmixing job, against the same steps written with NumPy, SciPy and scikit-learn.

A spectrum image of 150 x 150 positions and 1000 channels of counts, three phases: a weighted copy, its singular values,
non-negative factors, weights undone, non-negative least squares for the maps, and what is left.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import harness

PHASES = 3


def counts() -> harness.Data:
    from emcore.datasets import eds_phases

    return {"counts": eds_phases(shape=(150, 150)).signal.data}


def emcore_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import emcore

    def run() -> Any:
        observed = emcore.unmix(data["counts"])
        return {"spectra": observed.spectra, "maps": observed.maps, "residual": observed.residual_map}

    return run


def plain_in_process(data: harness.Data, prepared: bool, threads: int) -> Callable[[], Any]:
    import sklearn.decomposition  # noqa: F401

    return lambda: plain(data["counts"])


def plain(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The job with what a user has at hand."""
    from scipy.optimize import nnls
    from sklearn.decomposition import NMF
    from sklearn.utils.extmath import randomized_svd

    rows = counts.reshape(-1, counts.shape[-1])
    a, b = rows.sum(axis=1, dtype=float), rows.sum(axis=0, dtype=float)
    scale = 1 / np.sqrt(np.maximum(b, 1))
    weighted = (rows * scale / np.sqrt(np.maximum(a, 1))[:, None]).astype("f4")
    singular = randomized_svd(weighted, 30, random_state=0)[1]
    n, d = rows.shape
    beta = min(n, d) / max(n, d)
    factor = math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1)))
    k = int(np.sum(singular > factor * math.sqrt(max(n, d) / a.sum())))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = NMF(k, solver="cd", init="nndsvda", max_iter=300).fit(weighted)
    spectra = model.components_ / scale
    spectra /= spectra.sum(axis=1, keepdims=True)
    basis = np.ascontiguousarray((spectra * scale).T)
    maps = np.array([nnls(basis, row)[0] for row in rows * scale])
    residual = ((rows - maps @ spectra) ** 2).sum(axis=1) / a
    order = np.argsort(-maps.sum(axis=0))
    return {
        "spectra": spectra[order],
        "maps": maps[:, order].T.reshape(k, *counts.shape[:2]),
        "residual": residual.reshape(counts.shape[:2]),
    }


def phases_agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours["spectra"].shape == theirs["spectra"].shape, "numbers of phases differ"
    a, b = (each["spectra"] / np.linalg.norm(each["spectra"], axis=1, keepdims=True) for each in (ours, theirs))
    angles = np.degrees(np.arccos(np.clip((a * b).sum(axis=1), -1, 1)))
    assert angles.max() < 10, f"spectra differ by {angles} degrees"
    assert np.abs(ours["residual"] - theirs["residual"]).mean() < 0.02, "residuals differ"


WORKLOADS = [
    harness.Workload(
        "unmix 150 x 150 x 1000 u16 counts, in one process",
        counts,
        emcore_in_process,
        {"NumPy, SciPy, scikit-learn": plain_in_process},
        phases_agree,
        rows=("as delivered",),
    ),
]

if __name__ == "__main__":
    harness.main(WORKLOADS)
