"""
Electron-microscopy data turned, without labels and without training, into a few maps and a few representative signals.

Names are imported when they are first used, so that ``import emcore`` takes no longer than NumPy.
"""

from importlib import import_module
from typing import Any

from emcore import _emcore
from emcore._emcore import __version__
from emcore.control import get_num_threads, num_threads, progress, set_num_threads

if not _emcore.optimized:
    import warnings

    warnings.warn("emcore was built without optimisation and is slow; build it with --release", stacklevel=2)

_WHERE: dict[str, str] = {
    "Axis": "signals",
    "Clustering": "workflows.clustering",
    "FuzzyCMeans": "fuzzy",
    "GustafsonKessel": "fuzzy",
    "KMeans": "clustering",
    "NMF": "decomposition",
    "PCA": "decomposition",
    "Signal": "signals",
    "as_signal": "io",
    "describe": "io",
    "full_plane": "spectra",
    "half_plane_weights": "spectra",
    "load_result": "results",
    "cluster_curves": "workflows.curves",
    "correlate": "workflows.correlate",
    "FuzzyClustering": "workflows.fuzzy",
    "merge_signals": "merging",
    "MergedSignals": "merging",
    "ImageAnalysis": "workflows.image",
    "analyze_image": "workflows.image",
    "cluster_diffraction": "workflows.diffraction",
    "choose_n_clusters": "choose",
    "Segmentation": "workflows.segmentation",
    "segment_grains": "workflows.grains",
    "mean_signals": "spatial",
    "merge_similar": "spatial",
    "slic": "spatial",
    "n_components": "rank",
    "read": "io",
    "unmix": "workflows.unmix",
    "Unmixing": "workflows.unmixing",
    "window_centers": "spectra",
    "windowed_power_spectra": "spectra",
}
"""Public name -> the module that it is imported from when first used."""

__all__ = ["__version__", "get_num_threads", "num_threads", "progress", "set_num_threads"]
__all__ += sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"emcore.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'emcore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
