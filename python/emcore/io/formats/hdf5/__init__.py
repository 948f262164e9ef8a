"""What programs write into HDF5 files, one module for each way; Zarr stores, where they are laid out alike."""
