//! Sparse rows, as Python sees them.

use super::arrays::AnyRows;
use super::run::run;
use crate::engine::pass::{block_rows, pass};
use crate::engine::room;
use crate::{Error, Pixel, Rows, Sparse};
use numpy::{Element, PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Rows of which only the values that are not zero are stored (CSR), in arrays of the caller's.
#[pyclass(frozen, module = "emcore._emcore")]
pub struct SparseRows {
    starts: Vec<usize>,
    features: Py<PyArray1<u32>>,
    values: Py<PyAny>,
    #[pyo3(get)]
    shape: (usize, usize),
}

/// Values of one of the pixel types.
#[derive(FromPyObject)]
enum Pixels1<'py> {
    U8(PyReadonlyArray1<'py, u8>),
    U16(PyReadonlyArray1<'py, u16>),
    U32(PyReadonlyArray1<'py, u32>),
    I16(PyReadonlyArray1<'py, i16>),
    I32(PyReadonlyArray1<'py, i32>),
    F32(PyReadonlyArray1<'py, f32>),
    F64(PyReadonlyArray1<'py, f64>),
}

/// The arrays of sparse rows, held while they are read.
pub struct Held<'py> {
    features: PyReadonlyArray1<'py, u32>,
    values: Pixels1<'py>,
}

/// The values of an array that follow each other.
fn slice<'a, T: Element>(array: &'a PyReadonlyArray1<'_, T>) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|_| Error::invalid("sparse rows", "contiguous arrays are needed").into())
}

/// Evaluate an expression with `$values`, the typed slice of a [`Pixels1`], and the [`AnyRows`] of its type.
macro_rules! with_values {
    ($pixels:expr, $values:ident, $any:ident => $body:expr) => {
        with_values!($pixels, $values, $any => $body, U8 U16 U32 I16 I32 F32 F64)
    };
    ($pixels:expr, $values:ident, $any:ident => $body:expr, $($type:ident)*) => {
        match $pixels {
            $(Pixels1::$type(array) => {
                let ($values, $any) = (slice(array)?, AnyRows::$type);
                $body
            })*
        }
    };
}

#[pymethods]
impl SparseRows {
    /// Rows of d features: where the values of each start, and where those of the last end; the feature of each value; the values.
    #[new]
    fn new(
        py: Python<'_>,
        d: usize,
        starts: PyReadonlyArray1<'_, i64>,
        features: Bound<'_, PyArray1<u32>>,
        values: Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let starts = room::collected(starts.as_array().iter().map(|&at| at as usize), "starts of rows")?;
        let shape = (starts.len().saturating_sub(1), d);
        let rows = Self { starts, features: features.unbind(), values: values.unbind(), shape };
        let held = rows.held(py)?;
        let features = slice(&held.features)?;
        with_values!(&held.values, values, _any => run(py, |_| Sparse::new(d, &rows.starts, features, values).map(drop))?);
        drop(held);
        Ok(rows)
    }

    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.values.bind(py).getattr("dtype")
    }

    fn __len__(&self) -> usize {
        self.shape.0
    }

    /// The same, values of another type.
    fn astype(&self, py: Python<'_>, dtype: &Bound<'_, PyAny>) -> PyResult<Self> {
        let values = self.values.bind(py).call_method1("astype", (dtype,))?.unbind();
        Ok(Self { starts: self.starts.clone(), features: self.features.clone_ref(py), values, shape: self.shape })
    }

    /// A matrix of SciPy's, of the same memory.
    fn tocsr<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let starts = PyArray1::from_iter(py, self.starts.iter().map(|&at| at as i64));
        let features = self.features.bind(py).call_method1("view", ("int32",))?;
        let arrays = (self.values.bind(py), features, starts);
        py.import("scipy.sparse")?.call_method1("csr_array", (arrays, self.shape))
    }

    /// Some rows, with their zeros.
    fn take<'py>(&self, py: Python<'py>, indices: Vec<usize>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(index) = indices.iter().find(|&&index| index >= self.shape.0) {
            return Err(PyValueError::new_err(format!("row {index} is asked for; there are {}", self.shape.0)));
        }
        let held = self.held(py)?;
        let features = slice(&held.features)?;
        with_values!(&held.values, values, _any => {
            unpacked(py, Sparse::accepted(self.shape.1, &self.starts, features, values), &indices)
        })
    }
}

impl SparseRows {
    /// The arrays, to be read.
    pub fn held<'py>(&self, py: Python<'py>) -> PyResult<Held<'py>> {
        Ok(Held { features: self.features.bind(py).try_readonly()?, values: self.values.bind(py).extract()? })
    }

    /// The rows, of arrays from [`held`](Self::held).
    pub fn open<'a>(&'a self, held: &'a Held<'_>) -> PyResult<AnyRows<'a>> {
        let features = slice(&held.features)?;
        Ok(with_values!(&held.values, values, any => {
            any(Rows::sparse(Sparse::accepted(self.shape.1, &self.starts, features, values)))
        }))
    }
}

fn unpacked<'py, T: Pixel + Element>(
    py: Python<'py>,
    rows: Sparse<'_, T>,
    indices: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let (what, shape) = ("rows with their zeros", [indices.len(), rows.d()]);
    let mut values = room::filled(room::product::<T>(&shape, what)?, T::default(), what)?;
    run(py, |control| {
        let few = block_rows(size_of::<T>() * shape[1], 1 << 20, 1);
        let block = |range: std::ops::Range<usize>, out: &mut [T]| {
            for (&index, out) in indices[range].iter().zip(out.chunks_mut(shape[1])) {
                rows.rows(index..index + 1).unpack(out);
            }
        };
        pass(shape[0], few, control, &mut values, block, |()| ())
    })?;
    Ok(PyArray1::from_vec(py, values).reshape(shape)?.into_any())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SparseRows>()
}
