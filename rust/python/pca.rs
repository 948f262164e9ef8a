//! Principal components, as Python sees them.

use super::arrays::{Pixels2, check, optional, values, with_rows};
use super::out_of_core::OutOfCore;
use super::run::run;
use super::settings::string_enum;
use crate::methods::pca::{Options, Pca, Solver, Source, is_exact, out_of_core, pca as kernel};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;

string_enum!(Solver, "solver" { "auto" => Auto, "exact" => Exact, "randomized" => Randomized });

type Components<'py> =
    (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>, f64, &'static str);

/// `(components, singular values, mean, sum of squares, solver)` of a 2-D array.
#[pyfunction]
#[pyo3(signature = (data, *, components, center, weights, solver, seed))]
fn pca<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    components: usize,
    center: bool,
    weights: Option<PyReadonlyArray1<'py, f64>>,
    solver: Solver,
    seed: u64,
) -> PyResult<Components<'py>> {
    let weights = optional(weights.as_ref())?;
    let options = Options { components, center, weights: weights.as_deref(), solver, seed };
    arrays(py, with_rows!(py, data, rows => run(py, |control| kernel(rows, &options, control))?), components)
}

/// The same of n × d data that `passes` visits: an object with the methods `moments()`, `gram(mean, weights)`,
/// `xt_x_q(q, offset)` and `triangle(q, offset, shift)`. `double`: whether the arithmetic is that of float64 data.
#[pyfunction]
#[pyo3(signature = (passes, shape, *, double, components, center, weights, solver, seed))]
#[allow(clippy::too_many_arguments)]
fn pca_out_of_core<'py>(
    py: Python<'py>,
    passes: Py<PyAny>,
    shape: (usize, usize),
    double: bool,
    components: usize,
    center: bool,
    weights: Option<PyReadonlyArray1<'py, f64>>,
    solver: Solver,
    seed: u64,
) -> PyResult<Components<'py>> {
    let weights = optional(weights.as_ref())?;
    let options = Options { components, center, weights: weights.as_deref(), solver, seed };
    let source = OutOfCore::new(passes, shape);
    let result = run(py, |control| {
        if double {
            out_of_core::<f64>(&source, &options, control)
        } else {
            out_of_core::<f32>(&source, &options, control)
        }
    });
    arrays(py, source.explain(result)?, components)
}

/// Whether components of n × d data that are not in memory come from the Gram matrix.
#[pyfunction]
fn pca_is_exact(shape: (usize, usize), components: usize, solver: Solver) -> bool {
    is_exact(shape.0, shape.1, components, solver, shape.0 < shape.1)
}

/// `(X - mean) * weights` squared, the lower half of the d × d Gram matrix.
#[pyfunction]
fn gram<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    mean: PyReadonlyArray1<'py, f64>,
    weights: PyReadonlyArray1<'py, f64>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let [mean, weights] = [values(&mean)?, values(&weights)?];
    let gram = with_rows!(py, data, rows => {
        check("mean", "values", mean.len(), rows.d())?;
        check("weights", "values", weights.len(), rows.d())?;
        run(py, |control| rows.gram(&mean, &weights, control))?
    });
    let d = mean.len();
    PyArray1::from_iter(py, (0..d * d).map(|at| gram[(at / d, at % d)])).reshape([d, d])
}

fn arrays(py: Python<'_>, pca: Pca, components: usize) -> PyResult<Components<'_>> {
    let solver = if pca.solver == Solver::Exact { "exact" } else { "randomized" };
    let d = pca.mean.len();
    Ok((
        PyArray1::from_vec(py, pca.components).reshape([components, d])?,
        PyArray1::from_vec(py, pca.singular_values),
        PyArray1::from_vec(py, pca.mean),
        pca.squares,
        solver,
    ))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(pca, module)?)?;
    module.add_function(wrap_pyfunction!(pca_out_of_core, module)?)?;
    module.add_function(wrap_pyfunction!(pca_is_exact, module)?)?;
    module.add_function(wrap_pyfunction!(gram, module)?)
}
