"""Peaks of X-ray spectra, and the elements and lines that they may be."""
