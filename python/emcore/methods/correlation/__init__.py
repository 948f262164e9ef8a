"""Correlation of rows with references, and which phases the references make of them."""
