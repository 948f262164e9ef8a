"""What is imported when it is first used, for editors and type checkers."""

from emcore._emcore import __version__ as __version__
from emcore.core.control import (
    get_num_threads as get_num_threads,
)
from emcore.core.control import (
    num_threads as num_threads,
)
from emcore.core.control import (
    progress as progress,
)
from emcore.core.control import (
    set_num_threads as set_num_threads,
)
from emcore.core.signals import (
    Axis as Axis,
)
from emcore.core.signals import (
    Signal as Signal,
)
from emcore.io.read import (
    as_signal as as_signal,
)
from emcore.io.read import (
    read as read,
)
from emcore.methods.fuzzy.estimators import (
    FuzzyCMeans as FuzzyCMeans,
)
from emcore.methods.fuzzy.estimators import (
    GustafsonKessel as GustafsonKessel,
)
from emcore.methods.kmeans.estimator import KMeans as KMeans
from emcore.methods.nmf.estimator import NMF as NMF
from emcore.methods.pca.estimator import PCA as PCA
from emcore.methods.power_spectra.windows import (
    full_plane as full_plane,
)
from emcore.methods.power_spectra.windows import (
    half_plane_weights as half_plane_weights,
)
from emcore.methods.power_spectra.windows import (
    window_centers as window_centers,
)
from emcore.methods.power_spectra.windows import (
    windowed_power_spectra as windowed_power_spectra,
)
from emcore.methods.selection.clusters import choose_n_clusters as choose_n_clusters
from emcore.methods.selection.components import n_components as n_components
from emcore.methods.superpixels.slic import (
    mean_signals as mean_signals,
)
from emcore.methods.superpixels.slic import (
    merge_similar as merge_similar,
)
from emcore.methods.superpixels.slic import (
    slic as slic,
)
from emcore.methods.symmetry.scores import local_symmetry_scores as local_symmetry_scores
from emcore.methods.volume.spectra import windowed_power_spectra_3d as windowed_power_spectra_3d
from emcore.results.clustering import Clustering as Clustering
from emcore.results.denoised import Denoised as Denoised
from emcore.results.detector import Detector as Detector
from emcore.results.fuzzy_clustering import FuzzyClustering as FuzzyClustering
from emcore.results.image_analysis import ImageAnalysis as ImageAnalysis
from emcore.results.mosaic import Mosaic as Mosaic
from emcore.results.particles import Particles as Particles
from emcore.results.peak_map import PeakMap as PeakMap
from emcore.results.phase_map import PhaseMap as PhaseMap
from emcore.results.reflections import ReflectionClustering as ReflectionClustering
from emcore.results.result import load_result as load_result
from emcore.results.segmentation import Segmentation as Segmentation
from emcore.results.symmetry_map import (
    SymmetryMap as SymmetryMap,
)
from emcore.results.symmetry_map import (
    SymmetrySeries as SymmetrySeries,
)
from emcore.results.unmixing import Unmixing as Unmixing
from emcore.results.volume_analysis import VolumeAnalysis as VolumeAnalysis
from emcore.scans.describe import (
    describe as describe,
)
from emcore.scans.describe import (
    inspect as inspect,
)
from emcore.scans.merging import (
    MergedSignals as MergedSignals,
)
from emcore.scans.merging import (
    merge_signals as merge_signals,
)
from emcore.scans.series import image_series as image_series
from emcore.workflows.correlate import correlate as correlate
from emcore.workflows.curves import cluster_curves as cluster_curves
from emcore.workflows.denoise import denoise as denoise
from emcore.workflows.detector import best_detector as best_detector
from emcore.workflows.diffraction import cluster_diffraction as cluster_diffraction
from emcore.workflows.grains import segment_grains as segment_grains
from emcore.workflows.groups import group_signals as group_signals
from emcore.workflows.image import analyze_image as analyze_image
from emcore.workflows.particles import find_particles as find_particles
from emcore.workflows.peaks import map_peaks as map_peaks
from emcore.workflows.phase_map import phase_map as phase_map
from emcore.workflows.reflections import cluster_reflections as cluster_reflections
from emcore.workflows.stitch import stitch as stitch
from emcore.workflows.symmetry import local_symmetry as local_symmetry
from emcore.workflows.symmetry_series import local_symmetry_series as local_symmetry_series
from emcore.workflows.unmix import unmix as unmix
from emcore.workflows.volume import analyze_volume as analyze_volume

__all__: list[str]
