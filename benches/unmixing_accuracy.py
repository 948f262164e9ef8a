"""
How near are unmixed spectra and maps to the truth, of emcore and of others?

A simulation made by others, two particles in a matrix (espm's), with its true maps: mean spectral angle, and mean
squared error of the maps in units of the mean counts of a position. The true spectra are those that explain the counts
best with the true maps. scikit-learn gets a Poisson-weighted copy and ten random starts; espm the counts as they are,
without its tables, and with them as its tutorial has it: X-ray lines of the elements that are in the sample, detector,
absorption and bremsstrahlung.

    python benches/unmixing_accuracy.py DATA_FOLDER [--seeds 10]
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

import emcore
from emcore.methods.unmixing.joining import spectral_angle

PHASES = 3
ESPM_SEEDS = 3

Factors = tuple[np.ndarray, np.ndarray]
"""Spectra of sum 1 and maps in counts."""


def scored(found: Factors, spectra: np.ndarray, maps: np.ndarray) -> tuple[float, float]:
    """Mean spectral angle in degrees and mean squared error of the maps, after the best matching."""
    angles = spectral_angle(spectra, found[0])
    true, match = linear_sum_assignment(angles)
    error = np.mean((found[1][match] - maps) ** 2) / maps.sum(axis=0).mean() ** 2
    return float(angles[true, match].mean()), float(error)


def with_scikit_learn(rows: np.ndarray, seed: int, **options: str) -> Factors:
    """Weighted counts factored, weights undone."""
    from sklearn.decomposition import NMF

    a, b = rows.sum(axis=1, dtype=float), rows.sum(axis=0, dtype=float)
    outer = np.sqrt(np.outer(a, b))
    weighted = np.divide(rows, outer, out=np.zeros(rows.shape), where=outer > 0).astype("f4")
    model = NMF(PHASES, init="random", random_state=seed, max_iter=500, **options)
    scores = model.fit_transform(weighted)
    return as_counts(model.components_ * np.sqrt(b), scores * np.sqrt(a)[:, None])


def with_espm(rows: np.ndarray, shape: tuple[int, int], **options: float) -> Factors:
    """What espm does without a table of elements: Poisson likelihood, maps that sum to one, smooth or sparse."""
    from espm.estimators import SmoothNMF

    model = SmoothNMF(
        n_components=PHASES, simplex_H=True, simplex_W=False, shape_2d=shape, max_iter=500, verbose=False, **options
    )
    spectra = np.asarray(model.fit_transform(rows.T.astype(float))).T
    return as_counts(spectra, np.asarray(model.H_).T)


# Those of the simulation, as its authors list them; Cu is the grid's.
ELEMENTS = ("Fe", "Al", "Nd", "Mg", "Sm", "Cu", "Si", "Ca", "Lu", "Hf", "O", "Ti")


def with_espm_tables(file: Path, seed: int, **options: bool) -> Factors:
    """What espm is published for: spectra are made of the elements' lines and a bremsstrahlung, told which elements."""
    import hyperspy.api as hs
    from espm.estimators import SmoothNMF

    signal = hs.load(file)
    signal.set_signal_type("EDS_espm")
    signal.axes_manager[-1].units = "keV"
    signal.change_dtype("float64")
    signal.set_elements(list(ELEMENTS))
    signal.set_microscope_parameters(beam_energy=200, azimuth_angle=0.0, elevation_angle=22.0, tilt_stage=0.0)
    signal.set_analysis_parameters(
        thickness=1e-5,
        density=1.0,
        detector_type="SDD_efficiency.txt",
        width_slope=0.01,
        width_intercept=0.065,
        xray_db="200keV_xrays.json",
    )
    signal.build_G()
    settings = {"tol": 1e-6, "max_iter": 200, "verbose": 0, "random_state": seed}
    model = SmoothNMF(n_components=PHASES, G=signal.model, **settings, **options)
    rows = signal.data.reshape(-1, signal.data.shape[-1])
    spectra = np.asarray(model.fit_transform(rows.T)).T
    return as_counts(spectra, np.asarray(model.H_).T)


def as_counts(spectra: np.ndarray, scores: np.ndarray) -> Factors:
    sums = spectra.sum(axis=1)
    return spectra / sums[:, None], (scores * sums).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where eds_two_particles.hspy and its maps are")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    maps = np.stack([np.load(options.folder / f"eds_two_particles_map_p{i}.npy") for i in range(PHASES)])
    counts = emcore.read(options.folder / "eds_two_particles.hspy").data.astype(np.uint16)
    rows = counts.reshape(-1, counts.shape[-1])
    maps = maps.reshape(PHASES, -1)
    spectra = np.linalg.lstsq(maps.T, rows.astype(float), rcond=None)[0]
    maps = maps * spectra.sum(axis=1)[:, None]

    def tell(name: str, results: list[Factors], seconds: float) -> None:
        angles, errors = np.array([scored(each, spectra, maps) for each in results]).T
        spread = f", {angles.min():.2f} to {angles.max():.2f}" if len(results) > 1 else ""
        print(
            f"{name:<48} angle {angles.mean():5.2f}{spread}; error {errors.mean():.4f}; {seconds:.1f} s each",
            flush=True,
        )

    for loss in ("frobenius", "kullback-leibler"):
        started = time.perf_counter()
        found = emcore.unmix(counts, loss=loss)
        seconds = time.perf_counter() - started
        result = found.spectra, found.maps.reshape(found.n_components, -1)
        tell(f"emcore, {loss}, {found.n_components} phases by itself", [result], seconds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind in (
            ("cd", {"solver": "cd"}),
            ("KL mu", {"solver": "mu", "beta_loss": "kullback-leibler"}),
        ):
            started = time.perf_counter()
            results = [with_scikit_learn(rows, seed, **kind) for seed in range(options.seeds)]
            tell(f"scikit-learn, {name}, weighted", results, (time.perf_counter() - started) / options.seeds)
        try:
            for name, extra in (
                ("simplex", {}),
                ("simplex, smooth", {"lambda_L": 100.0}),
                ("simplex, sparse", {"mu": 1.0}),
            ):
                started = time.perf_counter()
                results = [with_espm(rows, counts.shape[:2], **extra)]
                tell(f"espm, {name}", results, time.perf_counter() - started)
            file = options.folder / "eds_two_particles.hspy"
            for name, seeds, extra in (
                ("as its tutorial", ESPM_SEEDS, {}),
                ("simplex", 1, {"simplex_H": True, "simplex_W": False}),
            ):
                started = time.perf_counter()
                results = [with_espm_tables(file, seed, **extra) for seed in range(seeds)]
                tell(f"espm, told the elements, {name}", results, (time.perf_counter() - started) / seeds)
        except (ImportError, AttributeError) as error:
            print(f"espm does not run here ({error})")


if __name__ == "__main__":
    main()
