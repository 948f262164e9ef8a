//! Correlation of rows with references, as Python sees it.

use super::arrays::{Pixels2, check, with_rows};
use super::run::run;
use crate::methods::correlation::correlations as kernel;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;

type Correlations<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>);

/// `(r, means, norms)`: Pearson's r of every row with every reference, n x k; the mean of every row, and the norm of what is
/// left, 0 where it is constant and NaN where it is not finite.
#[pyfunction]
fn correlations<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    references: PyReadonlyArray2<'py, f64>,
) -> PyResult<Correlations<'py>> {
    let references = references.as_array();
    let result = with_rows!(py, data, rows => {
        check("references", "columns", references.ncols(), rows.d())?;
        run(py, |control| kernel(rows, references, control))?
    });
    let array = |values| PyArray1::from_vec(py, values);
    Ok((result.r.into_pyarray(py), array(result.means), array(result.norms)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(correlations, module)?)
}
