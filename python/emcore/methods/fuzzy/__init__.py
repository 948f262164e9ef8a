"""Fuzzy c-means and Gustafson-Kessel."""
