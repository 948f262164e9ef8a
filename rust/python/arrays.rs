//! NumPy arrays of every pixel type, rows prepared from them, and sparse rows.

use super::prepare::PreparedRows;
use super::sparse::SparseRows;
use crate::engine::room;
use crate::{Error, Result, Rows};
use ndarray::{ArrayView, Dimension};
use numpy::{Element, PyReadonlyArray, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// A 2-D array of one of the pixel types, rows prepared from such, or sparse rows.
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
    Sparse(PyRef<'py, SparseRows>),
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

/// Rows of one of the pixel types.
pub enum AnyRows<'a> {
    U8(Rows<'a, u8>),
    U16(Rows<'a, u16>),
    U32(Rows<'a, u32>),
    I16(Rows<'a, i16>),
    I32(Rows<'a, i32>),
    F32(Rows<'a, f32>),
    F64(Rows<'a, f64>),
}

/// Evaluate an expression with `$view`, the typed `ArrayView2` of a [`Pixels2`] that is stored in full, and the [`AnyRows`] of its
/// type.
macro_rules! with_view {
    ($pixels:expr, $view:ident => $body:expr) => {
        $crate::python::arrays::with_view!($pixels, $view, _any => $body, _ => {
            return Err(pyo3::exceptions::PyTypeError::new_err("an array is needed; give the data as stored"))
        })
    };
    ($pixels:expr, $view:ident, $any:ident => $body:expr, $($other:pat => $otherwise:expr),+) => {
        $crate::python::arrays::with_view!(@types $pixels, $view, $any => $body, U8 U16 U32 I16 I32 F32 F64, $($other => $otherwise),+)
    };
    (@types $pixels:expr, $view:ident, $any:ident => $body:expr, $($type:ident)*, $($other:pat => $otherwise:expr),+) => {
        match &$pixels {
            $($crate::python::arrays::Pixels2::$type(array) => {
                let ($view, $any) = ($crate::python::arrays::view(array)?, $crate::python::arrays::AnyRows::$type);
                $body
            })*
            $($other => $otherwise),+
        }
    };
}

/// Evaluate an expression with `$rows`, the typed [`Rows`](crate::Rows) of a [`Pixels2`].
macro_rules! with_rows {
    ($py:expr, $pixels:expr, $rows:ident => $body:expr) => {{
        // What the rows are read from, if that is not an array.
        let (signals, prepared, sparse);
        let rows = $crate::python::arrays::with_view!($pixels, view, any => any($crate::Rows::new(view)),
            $crate::python::arrays::Pixels2::Prepared(rows) => {
                signals = rows.held($py)?;
                prepared = rows.open(&signals)?;
                $crate::python::arrays::AnyRows::F32($crate::Rows::computed(&prepared))
            },
            $crate::python::arrays::Pixels2::Sparse(rows) => {
                sparse = rows.held($py)?;
                rows.open(&sparse)?
            }
        );
        $crate::python::arrays::with_rows!(@types rows, $rows => $body, U8 U16 U32 I16 I32 F32 F64)
    }};
    (@types $any:expr, $rows:ident => $body:expr, $($type:ident)*) => {
        match $any {
            $($crate::python::arrays::AnyRows::$type($rows) => $body,)*
        }
    };
}
pub(crate) use {with_rows, with_view};
