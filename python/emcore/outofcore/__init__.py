"""Data out of core: rows in blocks, one pass over them, and what is saved for a job that is killed."""
