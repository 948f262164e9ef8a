"""Segments of a scan: SLIC and merging."""
