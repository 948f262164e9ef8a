"""Data that are not in memory: rows in blocks, one pass over them, and what is kept for a job that is killed."""
