"""What `latency.py` calls: every public name, on data for which it lasts some seconds, but what is quick on any."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import emcore
from emcore import datasets
from emcore.core.signals import Axis, Signal

Call = Callable[[], Any]

LEFT_OUT = {
    # Too quick to be interrupted, or no call.
    "__version__", "get_num_threads", "num_threads", "progress", "set_num_threads", "Axis", "Signal", "MergedSignals",
    "window_centers", "half_plane_weights", "full_plane", "as_signal", "n_components",
    # Classes of results, whose pictures and files are below.
    "ImageAnalysis", "Clustering", "FuzzyClustering", "Segmentation", "SymmetryMap", "SymmetrySeries", "Unmixing",
    "VolumeAnalysis", "Particles", "PhaseMap", "PeakMap", "Denoised", "Mosaic", "ReflectionClustering", "Detector",
}  # fmt: skip


def tiled(signal: Any, times: int) -> Any:
    """A scan so many times along both of its axes."""
    data = np.asarray(signal.data)
    data = np.tile(data, (times, times) + (1,) * (data.ndim - 2))
    axes = [
        Axis(a.name, n, a.scale, a.offset, a.units, a.navigation) for a, n in zip(signal.axes, data.shape, strict=True)
    ]
    return Signal(data, tuple(axes))


def counts(n: int, d: int) -> Any:
    """Rows of counts of six spectra."""
    rng = np.random.default_rng(0)
    means = rng.gamma(0.3, 2, (6, d))
    out = np.empty((n, d), np.uint16)
    for start in range(0, n, 4096):
        out[start : start + 4096] = rng.poisson(rng.dirichlet(np.ones(6), min(4096, n - start)) @ means)
    return out


def mapped(array: Any, folder: Path) -> Any:
    """The same out of core."""
    np.save(folder / "rows.npy", array)
    return np.load(folder / "rows.npy", mmap_mode="r")


def eds(times: int = 6) -> Any:
    return tiled(datasets.eds_phases((64, 64)).signal, times)


def patterns(times: int = 3) -> Any:
    made = datasets.polycrystal_scan().patterns
    return tiled(made if isinstance(made, Signal) else emcore.as_signal(made), times)


def on_disk(signal: Any, folder: Path) -> Any:
    """A signal whose data are a memory map."""
    return Signal(mapped(signal.data, folder), signal.axes)


def fit(model: Any, n: int = 200_000, d: int = 500) -> Callable[[Path], Call]:
    return lambda folder: partial(model.fit, counts(n, d))


def fit_map(model: Any, n: int = 200_000, d: int = 500) -> Callable[[Path], Call]:
    return lambda folder: partial(model.fit, mapped(counts(n, d), folder))


def fit_dask(model: Any, n: int = 200_000, d: int = 500) -> Callable[[Path], Call]:
    def case(folder: Path) -> Call:
        import dask.array as da

        return partial(model.fit, da.from_array(mapped(counts(n, d), folder), chunks=(20_000, -1)))

    return case


def micrograph(side: int = 4096) -> Any:
    return datasets.lattice_micrograph((side, side)).image


def hdf5(name: str, **options: Any) -> Callable[[Path], Call]:
    def case(folder: Path) -> Call:
        import h5py

        with h5py.File(folder / name, "w") as file:
            data = file.create_dataset("data", (240, 240, 2048), "u2", **options)
            rng = np.random.default_rng(0)
            for y in range(0, 240, 40):
                data[y : y + 40] = rng.poisson(3, (40, 240, 2048))
        return partial(emcore.read, folder / name)

    return case


def written(name: str) -> Callable[[Path], Call]:
    """Reading of a file as emcore and others write it."""

    def case(folder: Path) -> Call:
        data = np.random.default_rng(0).poisson(3, (240, 240, 2048)).astype("u2")
        path = folder / name
        if name.endswith(".npy"):
            np.save(path, data)
        elif name.endswith(".npz"):
            np.savez_compressed(path, data=data)
        elif name.endswith(".tif"):
            import tifffile

            packed = {"compression": "zlib"} if "packed" in name else {}
            tifffile.imwrite(path, data.transpose(2, 0, 1), photometric="minisblack", **packed)
        elif name.endswith(".zarr"):
            import zarr

            made = zarr.create_array(str(path), shape=data.shape, chunks=(40, 40, 2048), dtype="u2")
            made[...] = data
        else:
            from rsciio.hspy import file_writer

            axes = [
                {
                    "name": n,
                    "size": s,
                    "scale": 1.0,
                    "offset": 0.0,
                    "units": "",
                    "navigate": i < 2,
                    "_type": "UniformDataAxis",
                    "is_binned": False,
                }
                for i, (n, s) in enumerate(zip(("y", "x", "E"), data.shape, strict=True))
            ]
            signal = {
                "data": data,
                "axes": axes,
                "metadata": {"General": {"title": "a"}, "Signal": {"signal_type": ""}, "_HyperSpy": {}},
            }
            signal |= {
                "original_metadata": {},
                "package_info": {"package": "", "package_version": ""},
                "tmp_parameters": {},
            }
            signal |= {"attributes": {"_lazy": False, "ragged": False}, "models": {}, "learning_results": {}}
            file_writer(str(path), signal)
        return partial(emcore.read, path)

    return case


def unmixing() -> Any:
    return emcore.unmix(eds(6), 4)


def many(call: Call, times: int) -> Call:
    """A quick call so often that it lasts."""

    def again() -> None:
        for _ in range(times):
            call()

    return again


def drawn(result: Callable[[], Any], times: int = 3) -> dict[str, Callable[[Path], Call]]:
    """Pictures and files of a result."""

    def plot(folder: Path) -> Call:
        return many(result().plot, times)

    def report(folder: Path) -> Call:
        observed = result()
        return many(lambda: observed.report(folder / "a.pdf", overwrite=True), times)

    def save(folder: Path) -> Call:
        observed = result()
        return many(lambda: observed.save(folder / "a.h5", overwrite=True), times * 3)

    return {"plot": plot, "report": report, "save": save}


def results() -> dict[str, Callable[[], Any]]:
    """One of each class, of some size."""
    return {
        "image": lambda: emcore.analyze_image(micrograph(2048), n_components=4),
        "unmix": unmixing,
        "grains": lambda: emcore.segment_grains(patterns(2)),
        "diffraction": lambda: emcore.cluster_diffraction(patterns(2), 5),
        "curves": lambda: emcore.cluster_curves(datasets.iv_curves((200, 200)).curves, 5),
        "groups": lambda: emcore.group_signals(tiled(datasets.plasmon_spectra().signal, 2)),
        "correlate": lambda: emcore.correlate(
            [datasets.correlated_scan().diffraction, datasets.correlated_scan().eds], 4
        ),
        "symmetry": lambda: emcore.local_symmetry(datasets.crystal_grains((512, 512)).image),
        "series": lambda: emcore.local_symmetry_series(datasets.moving_boundary(8).frames),
        "volume": lambda: emcore.analyze_volume(datasets.quasi_ordered_volume().volume),
        "phases": lambda: emcore.phase_map(eds(4), datasets.eds_phases().spectra),
        "peaks": lambda: emcore.map_peaks(datasets.energy_series().stack, n_peaks=3),
        "particles": lambda: emcore.find_particles(datasets.shaped_particles((1024, 1280), 500).image),
        "stitch": lambda: emcore.stitch(list(datasets.overlapping_scans().scans)),
        "reflections": lambda: emcore.cluster_reflections(patterns(2)),
        "detector": lambda: emcore.best_detector(patterns(2)),
        "denoise": lambda: emcore.denoise(eds(2)),
    }


CASES: dict[str, Callable[[Path], Call]] = {
    "PCA": fit(emcore.PCA(50), 400_000),
    "PCA full": fit(emcore.PCA(50, svd_solver="full"), 100_000, 2000),
    "PCA memory map": fit_map(emcore.PCA(50, svd_solver="randomized")),
    "PCA Dask": fit_dask(emcore.PCA(50, svd_solver="randomized")),
    "NMF": fit(emcore.NMF(6, max_iter=100, tol=0)),
    "NMF init": fit(emcore.NMF(60, max_iter=1), 400_000),
    "NMF kullback-leibler": fit(emcore.NMF(6, solver="mu", loss="kullback-leibler", max_iter=100, tol=0), 50_000),
    "NMF memory map": fit_map(emcore.NMF(6, max_iter=30, tol=0)),
    "NMF Dask": fit_dask(emcore.NMF(6, max_iter=10, tol=0)),
    "KMeans": fit(emcore.KMeans(20, n_init=3, tol=0)),
    "KMeans memory map": fit_map(emcore.KMeans(20, tol=0)),
    "FuzzyCMeans": fit(emcore.FuzzyCMeans(8, max_iter=100, tol=0)),
    "FuzzyCMeans memory map": fit_map(emcore.FuzzyCMeans(8, max_iter=30, tol=0)),
    "GustafsonKessel": fit(emcore.GustafsonKessel(6, max_iter=200, tol=0), 400_000, 30),
    "GustafsonKessel memory map": fit_map(emcore.GustafsonKessel(6, max_iter=50, tol=0), 400_000, 30),
    "windowed_power_spectra": lambda folder: partial(
        emcore.windowed_power_spectra, micrograph(8192), 128, 16, reduce="radial"
    ),
    "windowed_power_spectra_3d": lambda folder: partial(
        emcore.windowed_power_spectra_3d,
        datasets.quasi_ordered_volume((200, 200, 200)).volume,
        50,
        10,
        reduce=("harmonics", 8),
    ),
    "analyze_image": lambda folder: partial(emcore.analyze_image, micrograph(4096)),
    "analyze_image auto": lambda folder: partial(emcore.analyze_image, micrograph(4096), "auto"),
    "unmix": lambda folder: partial(emcore.unmix, eds(6)),
    "unmix blocks": lambda folder: partial(emcore.unmix, eds(6), blocks="auto"),
    "unmix kullback-leibler": lambda folder: partial(emcore.unmix, eds(3), loss="kullback-leibler"),
    "unmix memory map": lambda folder: partial(emcore.unmix, on_disk(eds(6), folder), memory="200 MB"),
    "unmix checkpoint": lambda folder: partial(emcore.unmix, eds(4), checkpoint=folder / "job.npz"),
    "denoise": lambda folder: partial(emcore.denoise, eds(6)),
    "denoise memory map": lambda folder: partial(
        emcore.denoise, on_disk(eds(6), folder), out=folder / "a.hspy", memory="400 MB", overwrite=True
    ),
    "cluster_diffraction": lambda folder: partial(emcore.cluster_diffraction, patterns(3)),
    "cluster_diffraction memory map": lambda folder: partial(emcore.cluster_diffraction, on_disk(patterns(3), folder)),
    "cluster_reflections": lambda folder: partial(emcore.cluster_reflections, patterns(3)),
    "cluster_reflections memory map": lambda folder: partial(
        emcore.cluster_reflections, on_disk(patterns(3), folder), memory="200 MB"
    ),
    "segment_grains": lambda folder: partial(emcore.segment_grains, patterns(3)),
    "segment_grains graph": lambda folder: partial(emcore.segment_grains, patterns(3), method="graph"),
    "segment_grains hdbscan": lambda folder: partial(emcore.segment_grains, patterns(2), method="hdbscan"),
    "best_detector": lambda folder: partial(emcore.best_detector, patterns(3)),
    "best_detector free": lambda folder: partial(emcore.best_detector, patterns(3), kind="free"),
    "best_detector memory map": lambda folder: partial(
        emcore.best_detector, on_disk(patterns(3), folder), memory="200 MB"
    ),
    "cluster_curves": lambda folder: partial(emcore.cluster_curves, datasets.iv_curves((400, 400)).curves),
    "correlate": lambda folder: partial(
        emcore.correlate,
        [tiled(s, 2) for s in (datasets.correlated_scan().diffraction, datasets.correlated_scan().eds)],
    ),
    "correlate gustafson-kessel": lambda folder: partial(
        emcore.correlate,
        [tiled(s, 2) for s in (datasets.correlated_scan().diffraction, datasets.correlated_scan().eds)],
        4,
        method="gustafson-kessel",
    ),
    "merge_signals": lambda folder: partial(emcore.merge_signals, [eds(4), eds(4)]),
    "group_signals": lambda folder: partial(emcore.group_signals, tiled(datasets.plasmon_spectra().signal, 4)),
    "group_signals all": lambda folder: partial(
        emcore.group_signals, tiled(datasets.plasmon_spectra().signal, 2), reduce=None
    ),
    "group_signals mixture": lambda folder: partial(
        emcore.group_signals, tiled(datasets.plasmon_spectra().signal, 4), "mixture"
    ),
    "group_signals kmeans": lambda folder: partial(
        emcore.group_signals, tiled(datasets.plasmon_spectra().signal, 4), "kmeans"
    ),
    "image_series": lambda folder: partial(
        emcore.image_series, np.tile(datasets.deformed_series().stack.data, (1, 8, 8)), register=True
    ),
    "find_particles": lambda folder: partial(
        emcore.find_particles,
        *(lambda made: (made.image, made.spectrum_image))(datasets.shaped_particles((1024, 1280), 500, channels=200)),
    ),
    "find_particles large": lambda folder: partial(
        emcore.find_particles, np.tile(datasets.shaped_particles().image.data, (6, 6))
    ),
    "phase_map": lambda folder: partial(emcore.phase_map, eds(8), datasets.eds_phases().spectra),
    "phase_map memory map": lambda folder: partial(
        emcore.phase_map, on_disk(eds(8), folder), datasets.eds_phases().spectra, memory="200 MB"
    ),
    "map_peaks": lambda folder: partial(
        emcore.map_peaks, np.tile(datasets.energy_series().stack.data, (1, 4, 4)), signal_axis=0
    ),
    "map_peaks register": lambda folder: partial(
        emcore.map_peaks, np.tile(datasets.energy_series(drift=5.0).stack.data, (1, 4, 4)), signal_axis=0, register=True
    ),
    "stitch": lambda folder: partial(emcore.stitch, list(datasets.overlapping_scans((80, 96), (2, 2)).scans)),
    "local_symmetry": lambda folder: partial(emcore.local_symmetry, datasets.crystal_grains((1024, 1024)).image),
    "local_symmetry_scores": lambda folder: partial(
        emcore.local_symmetry_scores, datasets.crystal_grains((1024, 1024)).image, "rotation"
    ),
    "local_symmetry_series": lambda folder: partial(emcore.local_symmetry_series, datasets.moving_boundary(30).frames),
    "analyze_volume": lambda folder: partial(
        emcore.analyze_volume, datasets.quasi_ordered_volume((256, 256, 256)).volume, step=16
    ),
    "analyze_volume memory map": lambda folder: partial(
        emcore.analyze_volume,
        mapped(datasets.quasi_ordered_volume((256, 256, 256)).volume, folder),
        step=16,
        labels=folder / "a.ome.zarr",
        overwrite=True,
    ),
    "choose_n_clusters": lambda folder: partial(
        emcore.choose_n_clusters, counts(50_000, 100).astype("f4"), range(2, 10)
    ),
    "slic": lambda folder: partial(emcore.slic, patterns(4).data.reshape(192, 256, -1), 500, n_iter=30),
    "merge_similar": lambda folder: partial(
        emcore.merge_similar, np.arange(192 * 256).reshape(192, 256) // 12, patterns(4).data.reshape(192, 256, -1), 0.5
    ),
    "mean_signals": lambda folder: many(
        partial(
            emcore.mean_signals, np.arange(192 * 256).reshape(192, 256) // 12, patterns(4).data.reshape(192, 256, -1)
        ),
        5,
    ),
    "read HDF5": hdf5("a.h5"),
    "read HDF5 gzip": hdf5("gzip.h5", compression="gzip", chunks=(40, 40, 2048)),
    "read HDF5 gzip small chunks": hdf5("small.h5", compression="gzip", chunks=(1, 1, 2048)),
    "read HDF5 gzip one chunk": hdf5("one.h5", compression="gzip", chunks=(120, 240, 2048)),
    "read npz packed": written("a.npz"),
    "read tif": written("a.tif"),
    "read tif packed": written("packed.tif"),
    "read hspy": written("a.hspy"),
    "read zarr": written("a.zarr"),
    "describe": lambda folder: partial(
        emcore.describe, hdf5("gzip.h5", compression="gzip", chunks=(40, 40, 2048))(folder).args[0]
    ),
    "inspect": lambda folder: partial(emcore.inspect, eds(6)),
    "load_result": lambda folder: many(partial(emcore.load_result, unmixing().save(folder / "a.h5")), 20),
}
for kind, result in results().items():
    CASES |= {f"{name} {kind}": case for name, case in drawn(result).items()}


def stored(name: str, values: Callable[[], Any]) -> Callable[[Path], str]:
    def path(folder: Path) -> str:
        np.save(folder / f"{name}.npy", np.asarray(values()))
        return str(folder / f"{name}.npy")

    return path


def verb(words: str, *files: Callable[[Path], str]) -> Callable[[Path], list[str]]:
    return lambda folder: [*words.split(), *(file(folder) for file in files)]


_SCAN, _EDS = stored("scan", lambda: patterns(3).data), stored("eds", lambda: eds(6).data)
COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    f"emcore {words}": verb(words, *files)
    for words, files in {
        "image": [stored("image", micrograph)],
        "symmetry": [stored("grains", lambda: datasets.crystal_grains((1024, 1024)).image)],
        "unmix": [_EDS],
        "diffraction": [_SCAN],
        "grains": [_SCAN],
        "reflections": [_SCAN],
        "detector": [_SCAN],
        "curves": [stored("curves", lambda: datasets.iv_curves((400, 400)).curves)],
        "correlate": [
            stored("a", lambda: datasets.correlated_scan().diffraction.data),
            stored("b", lambda: datasets.correlated_scan().eds.data),
        ],
        "groups": [stored("losses", lambda: tiled(datasets.plasmon_spectra().signal, 4).data)],
        "series": [stored("tilt", lambda: np.tile(datasets.deformed_series().stack.data, (1, 4, 4)))],
        "particles": [stored("particles", lambda: np.tile(datasets.shaped_particles().image.data, (4, 4)))],
        "volume --step 16": [stored("volume", lambda: datasets.quasi_ordered_volume((256, 256, 256)).volume)],
        "peaks --signal-axis 0": [stored("energies", lambda: np.tile(datasets.energy_series().stack.data, (1, 4, 4)))],
        "denoise": [_EDS],
        "stitch": [
            stored(f"part{i}", lambda i=i: datasets.overlapping_scans((80, 96)).scans[i].data) for i in range(2)
        ],
        "demo": [],
    }.items()
}
