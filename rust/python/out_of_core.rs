//! What is not in memory: passes over all of it that Python makes, block by block, and hands back merged.

use super::arrays::{check, values};
use crate::engine::panel::Panel;
use crate::engine::simd::Real;
use crate::methods::moments::Moments;
use crate::methods::pca::Source;
use crate::{Control, Error, Result};
use faer::Mat;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use std::sync::Mutex;

type Matrix<'py> = PyReadonlyArray2<'py, f64>;

/// What comes as a dictionary: where an item of it lacks, a ValueError that names it.
pub struct Items<T>(pub T);

impl<'a, 'py, T: FromPyObject<'a, 'py>> FromPyObject<'a, 'py> for Items<T> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        object.extract().map(Self).map_err(|error: T::Error| named(object.py(), error.into()))
    }
}

/// In place of a KeyError a ValueError that names what lacks.
pub fn named(py: Python<'_>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyKeyError>(py) {
        return error;
    }
    PyValueError::new_err(format!("{} is missing from the dictionary", error.value(py)))
}

/// An object of Python with one method for each pass; what it raises is kept, and ends the kernel.
pub struct OutOfCore {
    passes: Py<PyAny>,
    pub(super) shape: (usize, usize),
    raised: Mutex<Option<PyErr>>,
}

impl OutOfCore {
    /// n × d data.
    pub fn new(passes: Py<PyAny>, shape: (usize, usize)) -> Self {
        Self { passes, shape, raised: Mutex::new(None) }
    }

    /// Numbers of rows and features.
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// Mean and squared deviations of every feature.
    pub fn moments(&self) -> Result<Moments> {
        self.call(|passes| {
            type Returned<'py> = (PyReadonlyArray1<'py, f64>, PyReadonlyArray1<'py, f64>);
            let (mean, squares): Returned<'_> = passes.call_method0("moments")?.extract()?;
            let [mean, squares] = [values(&mean)?, values(&squares)?];
            for values in [&mean, &squares] {
                check("passes", "values of the moments", values.len(), self.shape.1)?;
            }
            Ok(Moments { n: self.shape.0, mean, squares })
        })
    }

    /// Make a pass.
    pub fn call<V>(&self, pass: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<V>) -> Result<V> {
        Python::attach(|py| pass(self.passes.bind(py))).map_err(|error| {
            self.raised.lock().unwrap().get_or_insert(error);
            Error::Cancelled
        })
    }

    /// The exception of a pass rather than that of the kernel it ended.
    pub fn explain<V>(self, result: PyResult<V>) -> PyResult<V> {
        match self.raised.into_inner().unwrap() {
            Some(error) => Err(error),
            None => result,
        }
    }
}

/// d × k, row by row.
fn columns<'py, R: Real>(py: Python<'py>, q: &Panel<R>) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let values = (0..q.d()).flat_map(|j| (0..q.k()).map(move |c| q.get(j, c).f64())).collect();
    PyArray1::from_vec(py, values).reshape([q.d(), q.k()])
}

/// The `rows` x `columns` values that a pass returned.
fn matrix(sums: &Bound<'_, PyAny>, rows: usize, columns: usize) -> PyResult<Mat<f64>> {
    let sums: Matrix<'_> = sums.extract()?;
    let sums = sums.as_array();
    check("passes", "rows of a sum", sums.nrows(), rows)?;
    check("passes", "columns of a sum", sums.ncols(), columns)?;
    Ok(Mat::from_fn(rows, columns, |i, j| sums[(i, j)]))
}

impl<R: Real> Source<R> for OutOfCore {
    fn shape(&self) -> (usize, usize) {
        self.shape
    }

    fn moments(&self, _: &Control) -> Result<Moments> {
        Self::moments(self)
    }

    fn gram(&self, mean: &[f64], weights: &[f64], _: &Control) -> Result<Mat<f64>> {
        self.call(|passes| {
            let [mean, weights] = [mean, weights].map(|values| PyArray1::from_slice(passes.py(), values));
            matrix(&passes.call_method1("gram", (mean, weights))?, self.shape.1, self.shape.1)
        })
    }

    fn xt_x_q(&self, offset: &[f64], q: &Panel<R>, _: &Control) -> Result<Panel<f64, R>> {
        self.call(|passes| {
            let py = passes.py();
            let product = passes.call_method1("xt_x_q", (columns(py, q)?, PyArray1::from_slice(py, offset)))?;
            let product = matrix(&product, q.d(), q.k())?;
            Ok(Panel::from_fn(q.d(), q.k(), |j, c| product[(j, c)]))
        })
    }

    fn triangle(&self, offset: &[f64], q: &Panel<R>, shift: &[f64], _: &Control) -> Result<Mat<f64>> {
        self.call(|passes| {
            let py = passes.py();
            let [offset, shift] = [offset, shift].map(|values| PyArray1::from_slice(py, values));
            matrix(&passes.call_method1("triangle", (columns(py, q)?, offset, shift))?, q.k(), q.k())
        })
    }
}
