"""Regions of an image that differ in their lattice or texture, and spacings only where there is a lattice.

`analyze_image` at default settings, beside plain k-means that is told the number of regions: of the windows' power
spectra (logarithms, 20 principal components), and of radial and angular profiles of them. Figures: `index`, the
adjusted Rand index of all pixels; `spacing`, the largest relative error over regions with a lattice, each by that
region found which covers most of it (1 where none is claimed); `false`, how many regions are claimed to have a lattice
where none is.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.interpolate import griddata
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

import emcore
from table import Row

WINDOW, STEP = 128, 32
NOT_KNOWN = -1


def evaluate(path: Path, name: str) -> list[Row]:
    """Of one image: emcore, and k-means where there is more than one region."""
    with np.load(path) as data:
        image, regions, spacings, asked = (data[key] for key in ("image", "regions", "spacings", "asked"))
        true = int(data["true"])
    started = time.perf_counter()
    result = emcore.analyze_image(image)
    seconds = time.perf_counter() - started
    found = [Answer("emcore", result.regions, result.spacing, seconds, _said(result))]
    if true > 1:
        found += [_k_means(image, true, of) for of in (_logarithms, _profiles)]
    rows = []
    for answer in found:
        scores = {}
        if true > 1:
            known = regions != NOT_KNOWN
            scores["index"] = float(adjusted_rand_score(regions[known], answer.regions[known]))
        scores |= _of_spacings(answer, regions, spacings, asked)
        n = len(answer.spacing) if true else None
        rows.append(Row(name, answer.by, n, true or None, scores, answer.seconds, answer.remark))
    return rows


class Answer:
    """What one program made of an image."""

    def __init__(self, by: str, regions: np.ndarray, spacing: np.ndarray, seconds: float, remark: str = "") -> None:
        self.by, self.regions, self.spacing, self.seconds, self.remark = by, regions, spacing, seconds, remark


def _said(result: emcore.ImageAnalysis) -> str:
    """The notes that say how regions came about."""
    return "; ".join(note for note in result.provenance.notes if " one" in note or "radial" in note or "bar" in note)


def _of_spacings(answer: Answer, regions: np.ndarray, spacings: np.ndarray, asked: np.ndarray) -> dict[str, float]:
    n = len(answer.spacing)
    counts = np.array(
        [np.bincount(regions[(answer.regions == i) & (regions >= 0)], minlength=len(spacings)) for i in range(n)]
    )
    errors = []
    for label, own in enumerate(spacings):
        if np.isfinite(own[0]):
            error = np.nanmin(np.abs(answer.spacing[int(counts[:, label].argmax())] / own - 1), initial=1.0)
            errors.append(float(error))
    lattice = np.isfinite(spacings[:, 0]) | ~asked
    claimed = [i for i in range(n) if np.isfinite(answer.spacing[i]) and counts[i].any()]
    false = sum(not lattice[int(counts[i].argmax())] for i in claimed)
    return ({"spacing": max(errors)} if errors else {}) | {"false": float(false)}


def _k_means(image: np.ndarray, k: int, features: Callable[[np.ndarray], np.ndarray]) -> Answer:
    started = time.perf_counter()
    image = image.astype(np.float64)
    taper = np.hanning(WINDOW + 1)[:-1]
    starts = [np.arange(0, n - WINDOW + 1, STEP) for n in image.shape]
    windows = np.lib.stride_tricks.sliding_window_view(image, (WINDOW, WINDOW))[::STEP, ::STEP].reshape(
        -1, WINDOW, WINDOW
    )
    windows = (windows - windows.mean(axis=(1, 2), keepdims=True)) * np.outer(taper, taper)
    power = np.abs(np.fft.fftshift(np.fft.fft2(windows), axes=(1, 2))) ** 2
    labels = KMeans(k, n_init=10, random_state=0).fit_predict(features(power))
    spacing = np.array([_strongest(power[labels == i].mean(axis=0)) for i in range(k)])
    centres = np.stack(np.meshgrid(*(s + WINDOW / 2 for s in starts), indexing="ij"), axis=-1).reshape(-1, 2)
    pixels = np.stack(np.indices(image.shape), axis=-1).reshape(-1, 2)
    regions = griddata(centres, labels, pixels, method="nearest").reshape(image.shape).astype(int)
    told = {_logarithms: "k-means, told k", _profiles: "k-means of profiles, told k"}[features]
    return Answer(told, regions, spacing, time.perf_counter() - started)


def _logarithms(power: np.ndarray) -> np.ndarray:
    rows = np.log1p(power / np.median(power)).reshape(len(power), -1)
    return PCA(20, random_state=0).fit_transform(rows)


def _profiles(power: np.ndarray) -> np.ndarray:
    """Means of logarithms over 16 rings and over 12 directions, about their own mean."""
    y, x = np.mgrid[:WINDOW, :WINDOW] - WINDOW // 2
    radius, angle = np.hypot(y, x), np.arctan2(y, x) % np.pi
    rings = (np.log2(np.maximum(radius, 1)) / 6 * 16).astype(int)
    sectors = (angle / np.pi * 12).astype(int) % 12
    rows = np.log(power.reshape(len(power), -1) + 1e-9 * power.max())
    inside = (radius > 2) & (radius < WINDOW // 2)
    columns = [
        rows[:, (part & inside).ravel()].mean(axis=1)
        for labels in (rings, sectors)
        for part in (labels == np.arange(16)[:, None, None])
        if (part & inside).any()
    ]
    return np.stack(columns, axis=1)


def _strongest(power: np.ndarray) -> float:
    """Period of the highest bin beyond the third, in pixels."""
    y, x = np.mgrid[:WINDOW, :WINDOW] - WINDOW // 2
    radius = np.hypot(y, x)
    return float(WINDOW / radius.flat[np.argmax(np.where((radius > 3) & (radius < WINDOW / 2), power, 0))])
