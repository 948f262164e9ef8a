"""
Phases of spectrum images: how many, their spectra and their maps.

The spectral angle is the mean over the phases that are matched, in degrees; with another number found than is true,
over as many as both have. The error of the maps is their squared difference, a mean over positions and true phases, in
units of the squared mean counts of a position; a phase without a match has a map of zero. emcore chooses the number;
the others are told it: scikit-learn's NMF of Poisson-weighted counts, HyperSpy's of the same weighting, and espm's
SmoothNMF, whose answer lies in the file.
"""

import time
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

import emcore
from emcore.core.signals import Axis, Signal
from emcore.methods.unmixing.joining import spectral_angle
from table import Row

Factors = tuple[np.ndarray, np.ndarray]
"""Spectra (k, channels) of sum 1 and maps (k, y, x) in counts."""


def scored(observed: Factors, spectra: np.ndarray, maps: np.ndarray) -> dict[str, float]:
    """Mean spectral angle and error of the maps, after the best matching."""
    angles = spectral_angle(spectra, observed[0])
    true, match = linear_sum_assignment(angles)
    difference = np.array(maps, dtype=float)
    difference[true] -= observed[1][match]
    error = float(np.mean(difference**2)) / float(maps.sum(axis=0).mean()) ** 2
    return {"angle": float(angles[true, match].mean()), "worst": float(angles[true, match].max()), "error": error}


def as_counts(spectra: np.ndarray, scores: np.ndarray, shape: tuple[int, ...]) -> Factors:
    sums = np.maximum(spectra.sum(axis=1), 1e-300)
    return spectra / sums[:, None], (scores * sums).T.reshape(-1, *shape)


def with_scikit_learn(data: np.ndarray, k: int) -> Factors:
    """Weighted by the roots of the sums of rows and channels, factored, weights undone."""
    from sklearn.decomposition import NMF

    rows = data.reshape(-1, data.shape[-1])
    a, b = rows.sum(axis=1, dtype=float), rows.sum(axis=0, dtype=float)
    outer = np.sqrt(np.outer(a, b))
    weighted = np.divide(rows, outer, out=np.zeros(rows.shape), where=outer > 0)
    model = NMF(k, init="nndsvda", random_state=0, max_iter=400)
    scores = model.fit_transform(weighted)
    return as_counts(model.components_ * np.sqrt(b), scores * np.sqrt(a)[:, None], data.shape[:2])


def with_hyperspy(data: np.ndarray, k: int) -> Factors:
    import hyperspy.api as hs

    signal = hs.signals.Signal1D(data.astype(float))
    signal.decomposition(
        normalize_poissonian_noise=True,
        algorithm="NMF",
        output_dimension=k,
        print_info=False,
        init="nndsvda",
        random_state=0,
        max_iter=400,
    )
    observed = signal.learning_results
    return as_counts(np.asarray(observed.factors).T, np.asarray(observed.loadings), data.shape[:2])


def evaluate(path: Path, name: str) -> list[Row]:
    case = np.load(path)
    data, spectra, maps = case["data"], case["spectra"], case["maps"]
    k = len(spectra)
    energy = Axis("energy", data.shape[-1], float(case["scale"]), float(case["offset"]), str(case["units"]))
    y, x = (Axis(name, size, navigation=True) for name, size in zip("yx", data.shape[:2], strict=True))
    started = time.perf_counter()
    result = emcore.unmix(Signal(data, (y, x, energy)))
    seconds = time.perf_counter() - started
    said = "; ".join(note for note in result.provenance.notes if "rel" in note)
    scores = scored((result.spectra, result.maps), spectra, maps)
    rows = [Row(name, "emcore", result.n_components, k, scores, seconds, said)]
    for peer, call in (("scikit-learn, told", with_scikit_learn), ("HyperSpy, told", with_hyperspy)):
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            factors = call(data, k)
        rows.append(Row(name, peer, None, k, scored(factors, spectra, maps), time.perf_counter() - started))
    espm = case["espm_spectra"], case["espm_maps"]
    rows.append(Row(name, "espm, told", None, k, scored(espm, spectra, maps), float(case["espm_seconds"])))
    return rows
