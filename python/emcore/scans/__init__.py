"""What the axes of a measurement mean: scans of patterns, of spectra, of curves."""
