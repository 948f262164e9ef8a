//! Rows prepared block by block, as Python sees them.

use super::arrays::{Pixels2, optional, with_view};
use super::run::run;
use super::settings::{from_attributes, string_enum};
use crate::engine::pass::{block_rows, pass};
use crate::engine::prepare::{AnySignal, Normalize, Prepared, Signal};
use crate::engine::room;
use crate::engine::rows::Computed;
use crate::{Error, Rows};
use numpy::{PyArray1, PyArray2, PyArrayDescr, PyArrayMethods, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// One signal: stored rows and what is done to them.
struct Recipe {
    data: Py<PyAny>,
    chosen: Option<Vec<usize>>,
    features: Option<Vec<(usize, usize)>>,
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

string_enum!(Normalize, "normalize" {
    "none" => None,
    "sum" => Sum,
    "root-sum" => RootSum,
    "max" => Max,
    "l2" => L2,
    "log1p" => Log1p,
    "sqrt" => Sqrt,
});

/// What is done to the rows of a signal: runs of kept features, normalisation, and an offset and a scale of each.
struct Preparation<'py> {
    features: Option<Vec<(usize, usize)>>,
    normalize: Normalize,
    offset: Option<PyReadonlyArray1<'py, f64>>,
    scale: Option<PyReadonlyArray1<'py, f64>>,
}
from_attributes!(Preparation<'py> { features, normalize, offset, scale });

/// The stored rows of a signal, which of them are chosen, and what is done to these.
type Prepare<'py> = (Bound<'py, PyAny>, Option<Vec<usize>>, Preparation<'py>);

#[pymethods]
impl PreparedRows {
    /// Signals as `(matrix, chosen rows, preparation)`.
    #[new]
    fn new(py: Python<'_>, signals: Vec<Prepare<'_>>) -> PyResult<Self> {
        let recipes = signals.into_iter().map(|(data, chosen, preparation)| {
            Ok::<_, Error>(Recipe {
                data: data.unbind(),
                chosen,
                features: preparation.features,
                normalize: preparation.normalize,
                offset: optional(preparation.offset.as_ref())?,
                scale: optional(preparation.scale.as_ref())?,
            })
        });
        let recipes = recipes.collect::<Result<_, _>>()?;
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
        let rows = self.take(py, room::collected(0..self.shape.0, "numbers of rows")?)?.into_any();
        dtype.map_or(Ok(rows.clone()), |dtype| rows.call_method1("astype", (dtype,)))
    }

    /// Some rows, computed.
    fn take<'py>(&self, py: Python<'py>, indices: Vec<usize>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let held = self.held(py)?;
        let prepared = self.open(&held)?;
        let rows = Rows::computed(&prepared);
        let shape = [indices.len(), rows.d()];
        if let Some(index) = indices.iter().find(|&&index| index >= rows.n()) {
            return Err(PyValueError::new_err(format!("row {index} is asked for; there are {}", rows.n())));
        }
        let mut values = room::zeros(room::product::<f32>(&shape, "prepared rows")?, "prepared rows")?;
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
            let features = recipe.features.as_ref().map(|runs| runs.iter().map(|&(start, end)| start..end).collect());
            let (offset, scale) = (recipe.offset.as_deref(), recipe.scale.as_deref());
            with_view!(data, view => {
                let signal = Signal::new(Rows::new(view), features, recipe.normalize, offset, scale)?;
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
