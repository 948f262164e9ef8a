//! Rows at low rank, as Python sees them.

use super::arrays::{Pixels2, optional, values as all_values, view, with_rows};
use super::run::run;
use crate::methods::low_rank::{Made, Model, Sums, at_low_rank as kernel, squares as kernel_of_squares};
use crate::{Error, Pixel, Rows};
use numpy::{Element, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray2};
use pyo3::prelude::*;

/// A 2-D array of a type in which new values can be written.
#[derive(FromPyObject)]
enum Made2<'py> {
    U8(PyReadwriteArray2<'py, u8>),
    U16(PyReadwriteArray2<'py, u16>),
    U32(PyReadwriteArray2<'py, u32>),
    I16(PyReadwriteArray2<'py, i16>),
    I32(PyReadwriteArray2<'py, i32>),
    F32(PyReadwriteArray2<'py, f32>),
    F64(PyReadwriteArray2<'py, f64>),
}

type Vector<'py> = Bound<'py, PyArray1<f64>>;
type Pair<'py> = (Vector<'py>, Vector<'py>);

/// Fill `values` with the rows of `data` at low rank; `(squares of residuals, sums of values, squares of the data)`, each over
/// every feature and over every row, then the number of negative values, their sum, and how many were rounded to zero.
#[pyfunction]
#[pyo3(signature = (data, values, *, into, back, toward, varying, features, measured, clip))]
#[allow(clippy::too_many_arguments)]
fn at_low_rank<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    values: Made2<'py>,
    into: PyReadonlyArray2<'py, f64>,
    back: PyReadonlyArray2<'py, f64>,
    toward: f64,
    varying: f64,
    features: Option<PyReadonlyArray1<'py, bool>>,
    measured: PyReadonlyArray1<'py, bool>,
    clip: bool,
) -> PyResult<(Pair<'py>, Pair<'py>, Pair<'py>, u64, f64, u64)> {
    let features = optional(features.as_ref())?;
    let measured = all_values(&measured)?;
    let (into, back) = (into.as_array(), back.as_array());
    let model = Model { into, back, toward, varying, features: features.as_deref(), clip };
    macro_rules! made {
        ($($from:ident $to:ident),*) => {
            match (&data, values) {
                $((Pixels2::$from(x), Made2::$to(values)) => fill(py, Rows::new(view(x)?), values, &model, &measured),)*
                _ => Err(pyo3::exceptions::PyTypeError::new_err("values of this type cannot be made of such data")),
            }
        };
    }
    let sums = made!(
        U8 U8, U8 F32, U16 U16, U16 F32, I16 I16, I16 F32, U32 F32, I32 F32, F32 F32, F64 F32, F64 F64, F64 U32, F64 I32
    )?;
    let pair = |(a, b)| (PyArray1::from_vec(py, a), PyArray1::from_vec(py, b));
    let (negative, lacking) = sums.negative;
    Ok((pair(sums.residuals), pair(sums.values), pair(sums.squares), negative, lacking, sums.lost))
}

fn fill<T: Pixel, O: Made<T::Real> + Element>(
    py: Python<'_>,
    rows: Rows<'_, T>,
    mut values: PyReadwriteArray2<'_, O>,
    model: &Model<'_>,
    measured: &[bool],
) -> PyResult<Sums> {
    let mut values = values.as_array_mut();
    let message = "must lie row by row without gaps";
    let values = values.as_slice_mut().ok_or_else(|| Error::invalid("values", message))?;
    run(py, |control| kernel(rows, model, measured, values, control))
}

/// `Σ_j factors_j x_j²` of every row.
#[pyfunction]
fn weighted_squares<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    factors: PyReadonlyArray1<'py, f64>,
) -> PyResult<Vector<'py>> {
    let factors = all_values(&factors)?;
    let sums = with_rows!(py, data, rows => run(py, |control| kernel_of_squares(rows, &factors, control))?);
    Ok(PyArray1::from_vec(py, sums))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(at_low_rank, module)?)?;
    module.add_function(wrap_pyfunction!(weighted_squares, module)?)
}
