"""Virtual detectors that are chosen: rings around the beam, the annulus or free mask that separates two groups best."""
