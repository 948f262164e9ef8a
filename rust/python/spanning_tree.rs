//! The tree that HDBSCAN cuts, as Python sees it.

use super::run::run;
use crate::methods::spanning_tree::spanning_tree as kernel;
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2};
use pyo3::prelude::*;

type Edges<'py> = (Bound<'py, PyArray2<u32>>, Bound<'py, PyArray1<f64>>);

/// `(ends, lengths)`: the two rows, and the mutual reachability, of each edge of the minimum spanning tree of n rows, n - 1 of
/// them.
#[pyfunction]
fn spanning_tree<'py>(py: Python<'py>, rows: PyReadonlyArray2<'py, f32>, neighbours: usize) -> PyResult<Edges<'py>> {
    let rows = rows.as_array();
    let tree = run(py, |control| kernel(rows, neighbours, control))?;
    let ends = PyArray1::from_vec(py, tree.ends.into_flattened()).reshape([tree.lengths.len(), 2])?;
    Ok((ends, PyArray1::from_vec(py, tree.lengths)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(spanning_tree, module)?)
}
