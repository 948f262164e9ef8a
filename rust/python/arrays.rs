//! NumPy arrays of every pixel type as typed views.

use numpy::PyReadonlyArray2;
use pyo3::prelude::*;

/// A 2-D array of one of the pixel types.
#[derive(FromPyObject)]
pub enum Pixels2<'py> {
    U8(PyReadonlyArray2<'py, u8>),
    U16(PyReadonlyArray2<'py, u16>),
    U32(PyReadonlyArray2<'py, u32>),
    I16(PyReadonlyArray2<'py, i16>),
    I32(PyReadonlyArray2<'py, i32>),
    F32(PyReadonlyArray2<'py, f32>),
    F64(PyReadonlyArray2<'py, f64>),
}

/// Evaluate an expression with `$view`, the typed `ArrayView2` of a [`Pixels2`].
macro_rules! with_view {
    ($pixels:expr, $view:ident => $body:expr) => {
        match &$pixels {
            $crate::python::arrays::Pixels2::U8(array) => {
                let $view = array.as_array();
                $body
            }
            $crate::python::arrays::Pixels2::U16(array) => {
                let $view = array.as_array();
                $body
            }
            $crate::python::arrays::Pixels2::U32(array) => {
                let $view = array.as_array();
                $body
            }
            $crate::python::arrays::Pixels2::I16(array) => {
                let $view = array.as_array();
                $body
            }
            $crate::python::arrays::Pixels2::I32(array) => {
                let $view = array.as_array();
                $body
            }
            $crate::python::arrays::Pixels2::F32(array) => {
                let $view = array.as_array();
                $body
            }
            $crate::python::arrays::Pixels2::F64(array) => {
                let $view = array.as_array();
                $body
            }
        }
    };
}
pub(crate) use with_view;
