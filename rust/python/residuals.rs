//! What factors leave unexplained, as Python sees it.

use super::arrays::{Pixels2, check, with_rows};
use super::nmf::with_w;
use crate::engine::room;
use crate::methods::residuals::residuals as kernel;
use numpy::{PyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

type Residuals<'py> = (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>);

/// Sums of squares of `data - w h` over every row and over every feature.
#[pyfunction]
fn residuals<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    w: &Bound<'py, PyAny>,
    h: PyReadonlyArray2<'py, f64>,
) -> PyResult<Residuals<'py>> {
    let h = h.as_array();
    let sums = with_rows!(py, data, rows => {
        check("h", "columns", h.ncols(), rows.d())?;
        let h = room::collected(h.iter().copied(), "spectra")?;
        with_w(py, rows, w, |x, w, control| kernel(x, w, &h, control))?
    });
    Ok((PyArray1::from_vec(py, sums.rows), PyArray1::from_vec(py, sums.features)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(residuals, module)?)
}
