//! Principal components, as Python sees them.

use super::arrays::{Pixels2, with_rows};
use super::run::run;
use crate::pca::{Options, Solver, pca as kernel};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;

type Found<'py> = (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>, f64, &'static str);

/// `(components, singular values, mean, sum of squares, solver)` of a 2-D array.
#[pyfunction]
fn pca<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    components: usize,
    center: bool,
    weights: Option<PyReadonlyArray1<'py, f64>>,
    solver: &str,
    seed: u64,
) -> PyResult<Found<'py>> {
    let solver = match solver {
        "exact" => Solver::Exact,
        "randomized" => Solver::Randomized,
        _ => Solver::Auto,
    };
    let weights = weights.map(|weights| weights.as_array().to_vec());
    let options = Options { components, center, weights: weights.as_deref(), solver, seed };
    let found = with_rows!(py, data, rows => run(py, |control| kernel(rows, &options, control))?);
    let solver = if found.solver == Solver::Exact { "exact" } else { "randomized" };
    let d = found.mean.len();
    Ok((
        PyArray1::from_vec(py, found.components).reshape([components, d])?,
        PyArray1::from_vec(py, found.singular_values),
        PyArray1::from_vec(py, found.mean),
        found.squares,
        solver,
    ))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(pca, module)?)
}
