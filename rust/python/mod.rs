//! The extension module `emcore._emcore`: one thin file per kernel, of the same name. A binding never computes.

mod arrays;
mod bins;
mod bruker;
mod cmeans;
mod correlation;
mod kmeans;
mod low_rank;
mod moments;
mod nmf;
mod out_of_core;
mod pca;
mod prepare;
mod products;
mod residuals;
mod rows;
mod run;
mod settings;
mod slic;
mod spanning_tree;
mod sparse;
mod spectra;
mod symmetry;
mod threads;
mod volume;

use pyo3::prelude::*;

/// CPU kernels of emcore.
#[pymodule(gil_used = false)]
fn _emcore(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("optimized", !cfg!(debug_assertions))?;
    threads::register(module)?;
    run::register(module)?;
    kmeans::register(module)?;
    cmeans::register(module)?;
    nmf::register(module)?;
    residuals::register(module)?;
    low_rank::register(module)?;
    correlation::register(module)?;
    rows::register(module)?;
    prepare::register(module)?;
    sparse::register(module)?;
    moments::register(module)?;
    slic::register(module)?;
    bins::register(module)?;
    bruker::register(module)?;
    products::register(module)?;
    spanning_tree::register(module)?;
    spectra::register(module)?;
    symmetry::register(module)?;
    volume::register(module)?;
    pca::register(module)?;
    // Made by PyO3; what is here is said once, in the stub, and stubtest compares.
    module.delattr("__all__")
}
