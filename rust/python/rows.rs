//! The value range of an array, and the first position of what may not be there.

use super::arrays::{Pixels2, with_view};
use super::run::run;
use crate::rows::{Rows, value_range as kernel};
use pyo3::prelude::*;

type Position = Option<(usize, usize)>;

/// `(min, max, first not finite, first negative)` of a 2-D array; positions are `(row, column)` or None.
#[pyfunction]
fn value_range(py: Python<'_>, data: Pixels2<'_>) -> PyResult<(f64, f64, Position, Position)> {
    with_view!(data, view => {
        let found = run(py, |control| kernel(Rows::new(view), control))?;
        Ok((found.min, found.max, found.not_finite, found.negative))
    })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(value_range, module)?)
}
