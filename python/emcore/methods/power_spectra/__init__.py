"""Moving-window power spectra of images."""
