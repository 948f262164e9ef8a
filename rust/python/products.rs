//! Products with thin matrices, as Python sees them.

use super::arrays::{Pixels2, check, with_rows};
use super::run::run;
use crate::engine::panel::Panel;
use crate::engine::simd::Real;
use crate::methods::pca::Source;
use crate::methods::products;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

type Matrix<'py> = Bound<'py, PyArray2<f64>>;

fn panel<R: Real>(q: &PyReadonlyArray2<'_, f64>) -> Panel<R> {
    let q = q.as_array();
    Panel::from_fn(q.nrows(), q.ncols(), |j, c| R::of(q[(j, c)]))
}

fn matrix<'py, R: Real>(py: Python<'py>, panel: &Panel<f64, R>) -> PyResult<Matrix<'py>> {
    let (d, k) = (panel.d(), panel.k());
    let values = (0..d).flat_map(|j| (0..k).map(move |c| panel.get(j, c))).collect();
    PyArray1::from_vec(py, values).reshape([d, k])
}

/// `(X - offset) Q`, n x k float64.
#[pyfunction]
#[pyo3(signature = (x, q, offset=None))]
fn x_q<'py>(
    py: Python<'py>,
    x: Pixels2<'py>,
    q: PyReadonlyArray2<'py, f64>,
    offset: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Matrix<'py>> {
    let offset = offset.map(|offset| offset.as_array().to_vec());
    let k = q.as_array().ncols();
    let (n, y) = with_rows!(py, x, rows => {
        check("q", "rows", q.as_array().nrows(), rows.d())?;
        check("offset", "values", offset.as_ref().map_or(rows.d(), Vec::len), rows.d())?;
        let q = panel(&q);
        let y = run(py, |control| products::x_q(rows, offset.as_deref(), &q, control))?;
        (rows.n(), y.into_iter().map(Real::f64).collect::<Vec<f64>>())
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
    let offset = offset.map(|offset| offset.as_array().to_vec());
    let y = y.as_array();
    let k = y.ncols();
    with_rows!(py, x, rows => {
        check("y", "rows", y.nrows(), rows.n())?;
        check("offset", "values", offset.as_ref().map_or(rows.d(), Vec::len), rows.d())?;
        let y = y.iter().map(|&y| Real::of(y)).collect::<Vec<_>>();
        matrix(py, &run(py, |control| products::xt_y(rows, offset.as_deref(), &y, k, control))?)
    })
}

/// `(X - offset)^T (X - offset) Q`, d x k float64.
#[pyfunction]
#[pyo3(signature = (x, q, offset=None))]
fn xt_x_q<'py>(
    py: Python<'py>,
    x: Pixels2<'py>,
    q: PyReadonlyArray2<'py, f64>,
    offset: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Matrix<'py>> {
    with_rows!(py, x, rows => {
        let offset = offset.map_or_else(|| vec![0.0; rows.d()], |offset| offset.as_array().to_vec());
        check("q", "rows", q.as_array().nrows(), rows.d())?;
        check("offset", "values", offset.len(), rows.d())?;
        let q = panel(&q);
        matrix(py, &run(py, |control| rows.xt_x_q(&offset, &q, control))?)
    })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(x_q, module)?)?;
    module.add_function(wrap_pyfunction!(xt_y, module)?)?;
    module.add_function(wrap_pyfunction!(xt_x_q, module)?)
}
