//! Mean, deviation and quantiles of every feature, as Python sees them.

use super::arrays::{Pixels2, optional, with_rows};
use super::run::run;
use crate::methods::moments::{moments as of_features, moments_and_range as with_range, weighted_moments};
use crate::methods::quantiles::quantiles as kernel;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;

type Vector<'py> = Bound<'py, PyArray1<f64>>;
type Moments<'py> = (Vector<'py>, Vector<'py>);
type Ranges<'py> = (Vector<'py>, Vector<'py>, Vector<'py>, Vector<'py>);

/// `(mean, sum of squared deviations)` of every feature; of rows with weights, as of n rows.
#[pyfunction]
#[pyo3(signature = (data, weights=None))]
fn moments<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Moments<'py>> {
    let weights = optional(weights.as_ref())?;
    let moments = with_rows!(py, data, rows => run(py, |control| match &weights {
        None => of_features(rows, control),
        Some(weights) => weighted_moments(rows, weights, control),
    })?);
    Ok((PyArray1::from_vec(py, moments.mean), PyArray1::from_vec(py, moments.squares)))
}

/// `(mean, sum of squared deviations, smallest, largest value)` of every feature.
#[pyfunction]
fn moments_and_range<'py>(py: Python<'py>, data: Pixels2<'py>) -> PyResult<Ranges<'py>> {
    let (moments, low, high) = with_rows!(py, data, rows => run(py, |control| with_range(rows, control))?);
    let array = |values| PyArray1::from_vec(py, values);
    Ok((array(moments.mean), array(moments.squares), array(low), array(high)))
}

/// Quantiles of every feature, one row each.
#[pyfunction]
fn quantiles<'py>(py: Python<'py>, data: Pixels2<'py>, probabilities: Vec<f64>) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (d, values) = with_rows!(py, data, rows => {
        (rows.d(), run(py, |control| kernel(rows, &probabilities, control))?)
    });
    PyArray1::from_vec(py, values).reshape([d, probabilities.len()])
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(moments, module)?)?;
    module.add_function(wrap_pyfunction!(moments_and_range, module)?)?;
    module.add_function(wrap_pyfunction!(quantiles, module)?)
}
