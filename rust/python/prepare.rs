//! Rows prepared block by block, as Python sees them.

use super::arrays::{Pixels2, with_view};
use super::run::run;
use crate::Rows;
use crate::engine::pass::{block_rows, pass};
use crate::engine::prepare::{AnySignal, Normalize, Prepared, Signal};
use crate::engine::rows::Computed;
use numpy::{PyArray1, PyArray2, PyArrayDescr, PyArrayMethods, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// One signal: stored rows and what is done to them.
struct Recipe {
    data: Py<PyAny>,
    chosen: Option<Vec<usize>>,
    kept: Option<Vec<(usize, usize)>>,
    normalize: Normalize,
    offset: Option<Vec<f64>>,
    scale: Option<Vec<f64>>,
}

/// Rows that are computed from one or more stored matrices whenever a block of them is visited.
#[pyclass(frozen, module = "emcore._emcore")]
pub struct PreparedRows {
    recipes: Vec<Recipe>,
    #[pyo3(get)]
    shape: (usize, usize),
}

type Given<'py> = (
    Bound<'py, PyAny>,
    Option<Vec<usize>>,
    Option<Vec<(usize, usize)>>,
    String,
    Option<PyReadonlyArray1<'py, f64>>,
    Option<PyReadonlyArray1<'py, f64>>,
);

#[pymethods]
impl PreparedRows {
    /// Signals as `(matrix, chosen rows, runs of kept features, normalisation, offset, scale)`.
    #[new]
    fn new(py: Python<'_>, signals: Vec<Given<'_>>) -> PyResult<Self> {
        let vector = |given: Option<PyReadonlyArray1<'_, f64>>| given.map(|x| x.as_array().to_vec());
        let mut recipes = Vec::new();
        for (data, chosen, kept, normalize, offset, scale) in signals {
            let normalize = match &*normalize {
                "none" => Normalize::None,
                "sum" => Normalize::Sum,
                "root-sum" => Normalize::RootSum,
                "max" => Normalize::Max,
                "l2" => Normalize::L2,
                "log1p" => Normalize::Log1p,
                "sqrt" => Normalize::Sqrt,
                _ => return Err(PyValueError::new_err(format!("normalize={normalize:?} is not known"))),
            };
            let (offset, scale) = (vector(offset), vector(scale));
            recipes.push(Recipe { data: data.unbind(), chosen, kept, normalize, offset, scale });
        }
        let rows = Self { recipes, shape: (0, 0) };
        let held = rows.held(py)?;
        let shape = rows.open(&held)?.shape();
        Ok(Self { shape, ..rows })
    }

    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyArrayDescr> {
        numpy::dtype::<f32>(py)
    }

    fn __len__(&self) -> usize {
        self.shape.0
    }

    /// All rows, computed.
    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if copy == Some(false) {
            return Err(PyValueError::new_err("prepared rows are computed: an array of them is always a copy"));
        }
        let rows = self.take(py, (0..self.shape.0).collect())?.into_any();
        dtype.map_or(Ok(rows.clone()), |dtype| rows.call_method1("astype", (dtype,)))
    }

    /// The given rows, computed.
    fn take<'py>(&self, py: Python<'py>, indices: Vec<usize>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let held = self.held(py)?;
        let prepared = self.open(&held)?;
        let (rows, shape) = (Rows::computed(&prepared), [indices.len(), self.shape.1]);
        if let Some(index) = indices.iter().find(|&&index| index >= rows.n()) {
            return Err(PyValueError::new_err(format!("row {index} is asked for; there are {}", rows.n())));
        }
        let mut values = vec![0.0; shape[0] * shape[1]];
        run(py, |control| {
            let few = block_rows(rows.row_bytes(), 1 << 20, 1);
            pass(
                shape[0],
                few,
                control,
                &mut values,
                |range, out: &mut [f32]| {
                    let mut scratch = Vec::new();
                    for (&index, out) in indices[range].iter().zip(out.chunks_mut(shape[1])) {
                        out.copy_from_slice(rows.block(index..index + 1, &mut scratch).row(0));
                    }
                },
                |()| (),
            )
        })?;
        PyArray1::from_vec(py, values).reshape(shape)
    }
}

impl PreparedRows {
    /// The matrices, held as arrays.
    pub fn held<'py>(&self, py: Python<'py>) -> PyResult<Vec<Pixels2<'py>>> {
        self.recipes.iter().map(|recipe| recipe.data.bind(py).extract()).collect()
    }

    /// The rows, of matrices from [`held`](Self::held).
    pub fn open<'a>(&'a self, held: &'a [Pixels2<'_>]) -> PyResult<Prepared<'a>> {
        let parts = self.recipes.iter().zip(held).map(|(recipe, data)| -> PyResult<Box<dyn AnySignal + 'a>> {
            let kept = recipe.kept.as_ref().map(|runs| runs.iter().map(|&(start, end)| start..end).collect());
            let (offset, scale) = (recipe.offset.as_deref(), recipe.scale.as_deref());
            with_view!(data, view => {
                let signal = Signal::new(Rows::new(view), kept, recipe.normalize, offset, scale)?;
                Ok(match &recipe.chosen {
                    Some(chosen) => Box::new(signal.only(chosen)?),
                    None => Box::new(signal),
                })
            })
        });
        Ok(Prepared::new(parts.collect::<PyResult<_>>()?)?)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PreparedRows>()
}
