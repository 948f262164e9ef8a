//! The value range of an array, and the first position of what may not be there.

use super::arrays::{Pixels2, with_rows};
use super::run::run;
use crate::value_range as kernel;
use pyo3::prelude::*;

type Position = Option<(usize, usize)>;

/// `(min, max, first not finite, first negative)` of a 2-D array; positions are `(row, column)` or None.
#[pyfunction]
fn value_range(py: Python<'_>, data: Pixels2<'_>) -> PyResult<(f64, f64, Position, Position)> {
    with_rows!(py, data, rows => {
        let range = run(py, |control| kernel(rows, control))?;
        Ok((range.min, range.max, range.not_finite, range.negative))
    })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(value_range, module)?)
}
