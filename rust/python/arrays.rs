//! NumPy arrays of every pixel type, and rows prepared from them.

use super::prepare::PreparedRows;
use crate::engine::room;
use crate::{Error, Result};
use ndarray::{ArrayView, Dimension};
use numpy::{Element, PyReadonlyArray, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// A 2-D array of one of the pixel types, or rows prepared from such.
#[derive(FromPyObject)]
pub enum Pixels2<'py> {
    U8(PyReadonlyArray2<'py, u8>),
    U16(PyReadonlyArray2<'py, u16>),
    U32(PyReadonlyArray2<'py, u32>),
    I16(PyReadonlyArray2<'py, i16>),
    I32(PyReadonlyArray2<'py, i32>),
    F32(PyReadonlyArray2<'py, f32>),
    F64(PyReadonlyArray2<'py, f64>),
    Prepared(PyRef<'py, PreparedRows>),
}

/// The values of an array, which must be aligned.
pub fn view<'a, T: Element, D: Dimension>(array: &'a PyReadonlyArray<'_, T, D>) -> Result<ArrayView<'a, T, D>> {
    if array.is_aligned() {
        return Ok(array.as_array());
    }
    Err(Error::invalid("data", "values are not aligned in memory; give a copy"))
}

/// A copy of the values of an array, row by row.
pub fn values<T: Element + Copy, D: Dimension>(array: &PyReadonlyArray<'_, T, D>) -> Result<Vec<T>> {
    room::collected(array.as_array().iter().copied(), "values of an array")
}

/// The same of an array that may not be there.
pub fn optional<T: Element + Copy, D: Dimension>(array: Option<&PyReadonlyArray<'_, T, D>>) -> Result<Option<Vec<T>>> {
    array.map(values).transpose()
}

/// Refuses an array that has not as many rows, columns or values as are needed.
pub fn check(argument: &'static str, what: &str, observed: usize, needed: usize) -> Result<()> {
    if observed == needed {
        return Ok(());
    }
    Err(Error::invalid(argument, format!("{observed} {what}; {needed} are needed")))
}

/// Evaluate an expression with `$view`, the typed `ArrayView2` of a [`Pixels2`] that is stored.
macro_rules! with_view {
    ($pixels:expr, $view:ident => $body:expr) => {
        $crate::python::arrays::with_view!($pixels, $view => $body, U8 U16 U32 I16 I32 F32 F64, _ => {
            return Err(pyo3::exceptions::PyTypeError::new_err("prepared rows are not an array; give the data as stored"))
        })
    };
    ($pixels:expr, $view:ident => $body:expr, $($type:ident)*, $other:pat => $otherwise:expr) => {
        match &$pixels {
            $($crate::python::arrays::Pixels2::$type(array) => {
                let $view = $crate::python::arrays::view(array)?;
                $body
            })*
            $other => $otherwise,
        }
    };
}

/// Evaluate an expression with `$rows`, the typed [`Rows`](crate::Rows) of a [`Pixels2`].
macro_rules! with_rows {
    ($py:expr, $pixels:expr, $rows:ident => $body:expr) => {
        $crate::python::arrays::with_view!($pixels, view => {
            let $rows = $crate::Rows::new(view);
            $body
        }, U8 U16 U32 I16 I32 F32 F64, $crate::python::arrays::Pixels2::Prepared(prepared) => {
            let held = prepared.held($py)?;
            let prepared = prepared.open(&held)?;
            let $rows = $crate::Rows::computed(&prepared);
            $body
        })
    };
}
pub(crate) use {with_rows, with_view};
