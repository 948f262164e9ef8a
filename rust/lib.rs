//! emcore: fast CPU kernels that turn electron-microscopy data into a few maps and a few representative signals.
