//! The number of threads, and the instruction set, as Python sees them.

use crate::engine::pool;
use crate::engine::simd;
use pyo3::prelude::*;

#[pyfunction]
fn set_num_threads(threads: usize) {
    pool::set_num_threads(threads);
}

#[pyfunction]
fn set_num_threads_here(threads: usize) -> usize {
    pool::set_num_threads_here(threads)
}

#[pyfunction]
fn get_num_threads() -> usize {
    pool::num_threads()
}

#[pyfunction]
fn instruction_set() -> &'static str {
    simd::name()
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(set_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(set_num_threads_here, module)?)?;
    module.add_function(wrap_pyfunction!(get_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(instruction_set, module)?)
}
