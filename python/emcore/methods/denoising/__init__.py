"""Rows at low rank, weighted for their noise."""
