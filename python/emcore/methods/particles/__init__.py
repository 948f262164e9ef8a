"""Particles of an image: where they are, how large, and which shapes they have."""
