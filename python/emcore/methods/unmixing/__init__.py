"""Endmembers of counts, and spectra of several parts joined to those of phases."""
