"""
Electron-microscopy data turned, without labels and without training, into a few maps and a few representative signals.

Names are imported when they are first used: ``import emcore`` alone does not even import NumPy.
"""

from importlib import import_module
from typing import Any

from emcore import _emcore
from emcore._emcore import __version__
from emcore.core import starting as _starting  # noqa: F401 - before what takes long to import
from emcore.core.drawing import set_backend
from emcore.results import RESULT_CLASSES

if not _emcore.optimized:
    import warnings

    warnings.warn("emcore was built without optimisation and is slow; build it with --release", stacklevel=2)

_WHERE: dict[str, str] = {
    "analyze_volume": "workflows.volume",
    "Axis": "core.signals",
    "FuzzyCMeans": "methods.fuzzy.estimators",
    "GustafsonKessel": "methods.fuzzy.estimators",
    "KMeans": "methods.kmeans.estimator",
    "NMF": "methods.nmf.estimator",
    "PCA": "methods.pca.estimator",
    "Signal": "core.signals",
    "as_signal": "io.read",
    "denoise": "workflows.denoise",
    "describe": "scans.describe",
    "inspect": "scans.describe",
    "get_num_threads": "core.control",
    "num_threads": "core.control",
    "progress": "core.control",
    "set_num_threads": "core.control",
    "full_plane": "methods.power_spectra.windows",
    "half_plane_weights": "methods.power_spectra.windows",
    "load_result": "results.result",
    "cluster_curves": "workflows.curves",
    "correlate": "workflows.correlate",
    "merge_signals": "scans.merging",
    "MergedSignals": "scans.merging",
    "analyze_image": "workflows.image",
    "best_detector": "workflows.detector",
    "cluster_diffraction": "workflows.diffraction",
    "cluster_reflections": "workflows.reflections",
    "choose_n_clusters": "methods.selection.clusters",
    "group_signals": "workflows.groups",
    "find_particles": "workflows.particles",
    "image_series": "scans.series",
    "segment_grains": "workflows.grains",
    "mean_signals": "methods.superpixels.slic",
    "merge_similar": "methods.superpixels.slic",
    "slic": "methods.superpixels.slic",
    "local_symmetry": "workflows.symmetry",
    "local_symmetry_series": "workflows.symmetry_series",
    "local_symmetry_scores": "methods.symmetry.scores",
    "phase_map": "workflows.phase_map",
    "map_peaks": "workflows.peaks",
    "stitch": "workflows.stitch",
    "n_components": "methods.selection.components",
    "read": "io.read",
    "unmix": "workflows.unmix",
    "window_centers": "methods.power_spectra.windows",
    "windowed_power_spectra": "methods.power_spectra.windows",
    "windowed_power_spectra_3d": "methods.volume.spectra",
} | {name: f"results.{module}" for name, module in RESULT_CLASSES.items()}
"""Public name -> the module that it is imported from when first used."""

set_backend(
    plot="emcore.reporting.pictures",
    show="emcore.reporting.pictures",
    write_report="emcore.reporting.report",
    write_html="emcore.reporting.html",
    in_notebook="emcore.reporting.html.notebook",
    export="emcore.reporting.export",
)

__all__ = ["__version__", *sorted(_WHERE)]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from emcore.core.signatures import readable

        return readable(getattr(import_module(f"emcore.{_WHERE[name]}"), name))
    raise AttributeError(f"module 'emcore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
