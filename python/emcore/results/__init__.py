"""What a workflow gives back, and the one file it is saved in.

A result class has a line in `RESULT_CLASSES`, and its attribute `page` names the file in `emcore.reporting.pages` that
draws it; its public name, its pictures and how it is read back follow from these.
"""

RESULT_CLASSES = {
    "ImageAnalysis": "image_analysis",
    "Clustering": "clustering",
    "FuzzyClustering": "fuzzy_clustering",
    "Segmentation": "segmentation",
    "SymmetryMap": "symmetry_map",
    "SymmetrySeries": "symmetry_map",
    "Unmixing": "unmixing",
    "VolumeAnalysis": "volume_analysis",
    "Particles": "particles",
    "PhaseMap": "phase_map",
    "PeakMap": "peak_map",
    "Denoised": "denoised",
    "Mosaic": "mosaic",
    "ReflectionClustering": "reflections",
    "Detector": "detector",
}
"""Result class -> the file here in which it is defined."""
