"""Peaks of many spectra on one axis, their energies as a mixture, and the angles between spectra."""
