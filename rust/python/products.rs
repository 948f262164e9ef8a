//! Products with thin matrices, as Python sees them.

use super::arrays::{Pixels2, check, optional, with_rows};
use super::run::run;
use crate::engine::room;
use crate::engine::simd::Real;
use crate::methods::products;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

type Matrix<'py> = Bound<'py, PyArray2<f64>>;

/// `(X - offset) Q`, n x k float64.
#[pyfunction]
#[pyo3(signature = (x, q, offset=None))]
fn x_q<'py>(
    py: Python<'py>,
    x: Pixels2<'py>,
    q: PyReadonlyArray2<'py, f64>,
    offset: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Matrix<'py>> {
    let offset = optional(offset.as_ref())?;
    let k = q.as_array().ncols();
    let (n, y) = with_rows!(py, x, rows => {
        check("q", "rows", q.as_array().nrows(), rows.d())?;
        check("offset", "values", offset.as_ref().map_or(rows.d(), Vec::len), rows.d())?;
        let q = q.as_array();
        let y = run(py, |control| products::x_q(rows, offset.as_deref(), q, control))?;
        (rows.n(), room::collected(y.into_iter().map(Real::f64), "products")?)
    });
    PyArray1::from_vec(py, y).reshape([n, k])
}

/// `(X - offset)^T Y`, d x k float64.
#[pyfunction]
#[pyo3(signature = (x, y, offset=None))]
fn xt_y<'py>(
    py: Python<'py>,
    x: Pixels2<'py>,
    y: PyReadonlyArray2<'py, f64>,
    offset: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Matrix<'py>> {
    let offset = optional(offset.as_ref())?;
    let y = y.as_array();
    with_rows!(py, x, rows => {
        check("y", "rows", y.nrows(), rows.n())?;
        check("offset", "values", offset.as_ref().map_or(rows.d(), Vec::len), rows.d())?;
        Ok(run(py, |control| products::xt_y(rows, offset.as_deref(), y, control))?.into_pyarray(py))
    })
}

/// `(X - offset)^T W (X - offset) Q`, d x k float64; W is diagonal, of one weight for each row.
#[pyfunction]
#[pyo3(signature = (x, q, offset=None, weights=None))]
fn xt_x_q<'py>(
    py: Python<'py>,
    x: Pixels2<'py>,
    q: PyReadonlyArray2<'py, f64>,
    offset: Option<PyReadonlyArray1<'py, f64>>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Matrix<'py>> {
    let (offset, weights) = (optional(offset.as_ref())?, optional(weights.as_ref())?);
    with_rows!(py, x, rows => {
        check("q", "rows", q.as_array().nrows(), rows.d())?;
        check("offset", "values", offset.as_ref().map_or(rows.d(), Vec::len), rows.d())?;
        let q = q.as_array();
        Ok(run(py, |control| products::xt_x_q(rows, offset.as_deref(), weights.as_deref(), q, control))?.into_pyarray(py))
    })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(x_q, module)?)?;
    module.add_function(wrap_pyfunction!(xt_y, module)?)?;
    module.add_function(wrap_pyfunction!(xt_x_q, module)?)
}
