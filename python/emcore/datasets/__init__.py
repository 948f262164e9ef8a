"""Seeded synthetic data whose truth is known, for trials, tests and examples.

One file for each kind of data; `agreement` which positions are far from borders.
"""

import sys

from emcore.core.signatures import readable
from emcore.datasets.agreement import far_from_borders
from emcore.datasets.correlated import CorrelatedScan, co_fe_ratio, correlated_scan
from emcore.datasets.curves import LabelledCurves, iv_curves
from emcore.datasets.diffraction import LabelledPatterns, polycrystal_scan
from emcore.datasets.eds import LabelledSpectra, eds_phases, eds_spectrum, eds_spheres
from emcore.datasets.energies import LabelledEnergies, energy_series
from emcore.datasets.grains import LabelledGrains, bent_polycrystal
from emcore.datasets.micrograph import LabelledImage, lattice_micrograph
from emcore.datasets.mosaics import OverlappingScans, overlapping_scans
from emcore.datasets.particles import LabelledParticles, shaped_particles
from emcore.datasets.phases import LabelledPhases, absorption_phases
from emcore.datasets.profiles import LabelledLosses, LabelledSeries, deformed_series, plasmon_spectra
from emcore.datasets.rings import LabelledRings, ring_phases
from emcore.datasets.symmetry import LabelledFrames, crystal_grains, moving_boundary
from emcore.datasets.volumes import LabelledVolume, quasi_ordered_volume
from emcore.methods.selection.agreement import adjusted_rand_index

__all__ = [
    "CorrelatedScan",
    "LabelledCurves",
    "LabelledEnergies",
    "LabelledFrames",
    "LabelledGrains",
    "LabelledImage",
    "LabelledLosses",
    "LabelledParticles",
    "LabelledPatterns",
    "LabelledPhases",
    "LabelledRings",
    "LabelledSeries",
    "LabelledSpectra",
    "LabelledVolume",
    "OverlappingScans",
    "absorption_phases",
    "adjusted_rand_index",
    "bent_polycrystal",
    "co_fe_ratio",
    "correlated_scan",
    "crystal_grains",
    "deformed_series",
    "eds_phases",
    "eds_spectrum",
    "eds_spheres",
    "energy_series",
    "far_from_borders",
    "iv_curves",
    "lattice_micrograph",
    "moving_boundary",
    "overlapping_scans",
    "plasmon_spectra",
    "polycrystal_scan",
    "quasi_ordered_volume",
    "ring_phases",
    "shaped_particles",
]

readable(sys.modules[__name__])
