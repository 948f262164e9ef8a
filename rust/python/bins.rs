//! Sums over groups of features, as Python sees them.

use super::arrays::{Pixels2, values, with_rows};
use super::run::run;
use crate::methods::bins::bin_features as kernel;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;

/// For every row, lines of `width` features, the sum of the features of each of k groups, n x k; features of a negative
/// group are left out.
#[pyfunction]
fn bin_features<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    groups: PyReadonlyArray1<'py, i32>,
    width: usize,
    k: usize,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let groups = values(&groups)?;
    let (n, sums) =
        with_rows!(py, data, rows => (rows.n(), run(py, |control| kernel(rows, &groups, width, k, control))?));
    PyArray1::from_vec(py, sums).reshape([n, k])
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(bin_features, module)?)
}
