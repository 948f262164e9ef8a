//! Scores of local symmetry into an array that Python allocated.

use super::arrays::{Pixels2, with_view};
use super::run::run;
use super::settings::from_attributes;
use crate::methods::symmetry::{Translations, Turns, translations, turns};
use numpy::PyReadwriteArray1;
use pyo3::prelude::*;

from_attributes!(Translations { patch, stride, shifts, largest });
from_attributes!(Turns { patch, stride, folds, planes });

/// Points along y and x, and values of a point, of an image of this height and width.
#[pyfunction]
fn translations_shape(shape: (usize, usize), settings: Translations) -> PyResult<[usize; 3]> {
    Ok(settings.shape(shape)?)
}

/// Fill `output`, as long as the product of `translations_shape`.
#[pyfunction]
fn translation_scores(
    py: Python<'_>,
    image: Pixels2<'_>,
    settings: Translations,
    mut output: PyReadwriteArray1<'_, f32>,
) -> PyResult<()> {
    let output = output.as_slice_mut()?;
    with_view!(image, view => run(py, |control| translations(view, &settings, control, output)))
}

/// Points along y and x, and values of a point, of an image of this height and width.
#[pyfunction]
fn turns_shape(shape: (usize, usize), settings: Turns) -> PyResult<[usize; 3]> {
    Ok(settings.shape(shape)?)
}

/// Fill `output`, as long as the product of `turns_shape`.
#[pyfunction]
fn turn_scores(
    py: Python<'_>,
    image: Pixels2<'_>,
    settings: Turns,
    mut output: PyReadwriteArray1<'_, f32>,
) -> PyResult<()> {
    let output = output.as_slice_mut()?;
    with_view!(image, view => run(py, |control| turns(view, &settings, control, output)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(translations_shape, module)?)?;
    module.add_function(wrap_pyfunction!(translation_scores, module)?)?;
    module.add_function(wrap_pyfunction!(turns_shape, module)?)?;
    module.add_function(wrap_pyfunction!(turn_scores, module)?)
}
