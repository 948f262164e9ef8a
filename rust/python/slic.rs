//! Segments of a scan, as Python sees them.

use super::arrays::{Pixels2, check, optional, values, with_rows};
use super::run::run;
use crate::engine::room;
use crate::methods::slic::{self as kernel, Options};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

type Labels<'py> = Bound<'py, PyArray1<i32>>;
type Values<'py> = Bound<'py, PyArray2<f64>>;
type Merged<'py> = (Labels<'py>, Vec<(u32, u32, f64)>);

/// Labels after at most `n_iter` assignments, -1 outside the mask, and how many were done.
///
/// `connected` is the least size of a piece that keeps its label, where labels are to be connected.
#[pyfunction]
#[pyo3(signature = (data, shape, seeds, *, compactness, adaptive, n_iter, spacing, reach, mask, connected))]
#[allow(clippy::too_many_arguments)]
fn slic<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    shape: (usize, usize),
    seeds: PyReadonlyArray2<'py, f64>,
    compactness: f64,
    adaptive: bool,
    n_iter: usize,
    spacing: f64,
    reach: [f64; 2],
    mask: Option<PyReadonlyArray1<'py, bool>>,
    connected: Option<usize>,
) -> PyResult<(Labels<'py>, usize)> {
    let seeds = seeds.as_array();
    check("seeds", "columns", seeds.ncols(), 2)?;
    let seeds = room::collected(seeds.rows().into_iter().map(|seed| [seed[0], seed[1]]), "seeds")?;
    let mask = optional(mask.as_ref())?;
    let options = Options { compactness, adaptive, n_iter, spacing, reach, mask: mask.as_deref() };
    let (labels, n_iter) = with_rows!(py, data, rows => run(py, |control| {
        let mut fit = kernel::slic(rows, shape, &seeds, &options, control)?;
        if let Some(least) = connected {
            kernel::connect(rows, shape, &mut fit.labels, &fit.sums.means(), least, control)?;
        }
        Ok((fit.labels, fit.n_iter))
    })?);
    Ok((PyArray1::from_vec(py, labels), n_iter))
}

/// Sum of the rows of each of k labels, k × d, and how many they are; negative labels are left out.
#[pyfunction]
fn sum_by_label<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    labels: PyReadonlyArray1<'py, i32>,
    k: usize,
) -> PyResult<(Values<'py>, Bound<'py, PyArray1<i64>>)> {
    let labels = values(&labels)?;
    let (d, sums) =
        with_rows!(py, data, rows => (rows.d(), run(py, |control| kernel::sums(rows, &labels, k, control))?));
    Ok((PyArray1::from_vec(py, sums.values).reshape([k, d])?, PyArray1::from_vec(py, sums.counts)))
}

/// Labels after merging segments that touch and are alike, and the steps `(label, merged label, correlation)`.
#[pyfunction]
fn merge_similar<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    labels: PyReadonlyArray1<'py, i32>,
    shape: (usize, usize),
    k: usize,
    min_correlation: f64,
) -> PyResult<Merged<'py>> {
    let mut labels = values(&labels)?;
    let steps = with_rows!(py, data, rows => run(py, |control| {
        let sums = kernel::sums(rows, &labels, k, control)?;
        kernel::merge(&mut labels, shape, &sums, min_correlation, control)
    })?);
    let steps = steps.into_iter().map(|step| (step.label, step.merged, step.correlation)).collect();
    Ok((PyArray1::from_vec(py, labels), steps))
}

/// Of every position the correlation with the mean of its own label and the largest with another's, n × 2.
#[pyfunction]
fn confidence<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    labels: PyReadonlyArray1<'py, i32>,
    means: PyReadonlyArray2<'py, f64>,
    origin: PyReadonlyArray1<'py, f64>,
) -> PyResult<Values<'py>> {
    let (labels, means, origin) = (values(&labels)?, means.as_array(), values(&origin)?);
    let correlations = with_rows!(py, data, rows => {
        check("means", "columns", means.ncols(), rows.d())?;
        let means = room::collected(means.iter().copied(), "means")?;
        run(py, |control| kernel::confidence(rows, &labels, &means, &origin, control))?
    });
    PyArray1::from_vec(py, correlations.into_flattened()).reshape([labels.len(), 2])
}

/// All mergings of k segments by their borders, steps `(label, merged label, correlation)`; see the kernel.
#[pyfunction]
fn merge_borders(
    py: Python<'_>,
    k: usize,
    pairs: PyReadonlyArray2<'_, u32>,
    products: PyReadonlyArray1<'_, f64>,
    lengths: PyReadonlyArray1<'_, f64>,
) -> PyResult<Vec<(u32, u32, f64)>> {
    let (pairs, products, lengths) = (pairs.as_array(), products.as_array(), lengths.as_array());
    check("pairs", "columns", pairs.ncols(), 2)?;
    check("products", "values", products.len(), pairs.nrows())?;
    check("lengths", "values", lengths.len(), pairs.nrows())?;
    let borders = Vec::from_iter(
        pairs.rows().into_iter().zip(products).zip(lengths).map(|((pair, &product), &lengths)| kernel::Border {
            pair: [pair[0], pair[1]],
            product,
            lengths,
        }),
    );
    let steps = run(py, |control| kernel::merge_borders(k, &borders, control))?;
    Ok(steps.into_iter().map(|step| (step.label, step.merged, step.correlation)).collect())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(slic, module)?)?;
    module.add_function(wrap_pyfunction!(sum_by_label, module)?)?;
    module.add_function(wrap_pyfunction!(merge_similar, module)?)?;
    module.add_function(wrap_pyfunction!(merge_borders, module)?)?;
    module.add_function(wrap_pyfunction!(confidence, module)?)
}
