"""Windows of volumes: their power spectra, textures and orientations."""
