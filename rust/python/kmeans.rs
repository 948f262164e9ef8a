//! k-means, as Python sees it.

mod out_of_core;

use super::arrays::{Pixels2, optional, values, with_rows};
use super::run::run;
use super::settings::string_enum;
use crate::engine::room;
use crate::methods::kmeans::out_of_core::{Block, Chosen};
use crate::methods::kmeans::{self as kernel, Metric, Parameters};
use crate::{Error, Result};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

type Vector<'py> = Bound<'py, PyArray1<f64>>;
type Matrix<'py> = Bound<'py, PyArray2<f64>>;
type Labels<'py> = Bound<'py, PyArray1<i32>>;
type Floats<'py> = PyReadonlyArray1<'py, f64>;
type Floats2<'py> = PyReadonlyArray2<'py, f64>;
type Integers<'py> = PyReadonlyArray1<'py, i32>;

string_enum!(Metric, "metric" { "euclidean" => Euclidean, "cosine" => Cosine });

/// The values of rows of `d` features.
fn rows_of(argument: &'static str, array: &Floats2<'_>, d: usize) -> Result<Vec<f64>> {
    let array = array.as_array();
    if array.ncols() != d {
        let message = format!("{} features, X has {d}; they must be the same", array.ncols());
        return Err(Error::invalid(argument, message));
    }
    room::collected(array.iter().copied(), "centres")
}

/// The labels as kernels take them: one that is negative is above all others.
fn unsigned(labels: &Integers<'_>) -> Result<Vec<u32>> {
    room::collected(labels.as_array().iter().map(|&label| label as u32), "labels")
}

fn signed(py: Python<'_>, labels: Vec<u32>) -> Labels<'_> {
    PyArray1::from_vec(py, labels.into_iter().map(|label| label as i32).collect()) // in place
}

fn matrix(py: Python<'_>, values: Vec<f64>, shape: [usize; 2]) -> PyResult<Matrix<'_>> {
    PyArray1::from_vec(py, values).reshape(shape)
}

/// A fit of rows in memory.
#[derive(IntoPyObject)]
struct Fit<'py> {
    centers: Matrix<'py>,
    labels: Labels<'py>,
    inertia: f64,
    n_iter: usize,
    converged: bool,
}

/// Lloyd's iteration from `centers`.
#[pyfunction]
#[pyo3(signature = (data, centers, *, max_iter, tol, metric, weights))]
#[allow(clippy::too_many_arguments)]
fn kmeans<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: Floats2<'py>,
    max_iter: usize,
    tol: f64,
    metric: Metric,
    weights: Option<Floats<'py>>,
) -> PyResult<Fit<'py>> {
    let weights = optional(weights.as_ref())?;
    let parameters = Parameters { max_iter, tol, metric };
    let fit = with_rows!(py, data, rows => {
        let centers = rows_of("centers", &centers, rows.d())?;
        run(py, |control| kernel::kmeans(rows, &centers, weights.as_deref(), &parameters, control))?
    });
    Ok(Fit {
        centers: matrix(py, fit.centers, centers.as_array().dim().into())?,
        labels: signed(py, fit.labels),
        inertia: fit.inertia,
        n_iter: fit.n_iter,
        converged: fit.converged,
    })
}

/// How many random numbers k-means++ needs for k rows.
#[pyfunction]
fn kmeans_draws(k: usize) -> usize {
    kernel::draws(k)
}

/// Indices of the rows that greedy k-means++ chooses.
#[pyfunction]
#[pyo3(signature = (data, k, *, metric, weights, draws))]
fn kmeans_seeds(
    py: Python<'_>,
    data: Pixels2<'_>,
    k: usize,
    metric: Metric,
    weights: Option<Floats<'_>>,
    draws: Floats<'_>,
) -> PyResult<Vec<usize>> {
    let (weights, draws) = (optional(weights.as_ref())?, values(&draws)?);
    with_rows!(py, data, rows => {
        run(py, |control| kernel::seeds(rows, k, metric, weights.as_deref(), &draws, control))
    })
}

/// `(labels, inertia)` for given centres.
#[pyfunction]
#[pyo3(signature = (data, centers, *, metric, weights))]
fn kmeans_nearest<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: Floats2<'py>,
    metric: Metric,
    weights: Option<Floats<'py>>,
) -> PyResult<(Labels<'py>, f64)> {
    let weights = optional(weights.as_ref())?;
    let (labels, inertia) = with_rows!(py, data, rows => {
        let centers = rows_of("centers", &centers, rows.d())?;
        run(py, |control| kernel::nearest(rows, &centers, metric, weights.as_deref(), control))?
    });
    Ok((signed(py, labels), inertia))
}

/// Distances of all rows to given centres, n × k.
#[pyfunction]
#[pyo3(signature = (data, centers, *, metric))]
fn kmeans_distances<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: Floats2<'py>,
    metric: Metric,
) -> PyResult<Matrix<'py>> {
    let (distances, n) = with_rows!(py, data, rows => {
        let centers = rows_of("centers", &centers, rows.d())?;
        (run(py, |control| kernel::distances(rows, &centers, metric, control))?, rows.n())
    });
    matrix(py, distances, [n, centers.as_array().nrows()])
}

/// `(means, squares)`: the mean of the rows of each label, k × d, and the squared distance of each row to its own.
#[pyfunction]
#[pyo3(signature = (data, labels, k, *, metric))]
fn kmeans_spread<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    labels: Integers<'py>,
    k: usize,
    metric: Metric,
) -> PyResult<(Matrix<'py>, Vector<'py>)> {
    let labels = unsigned(&labels)?;
    let ((means, squares), d) = with_rows!(py, data, rows => {
        (run(py, |control| kernel::spread(rows, &labels, k, metric, control))?, rows.d())
    });
    Ok((matrix(py, means, [k, d])?, PyArray1::from_vec(py, squares)))
}

/// What the rows of a block add to an iteration.
#[derive(IntoPyObject)]
struct Visit<'py> {
    labels: Labels<'py>,
    /// k × d.
    sums: Matrix<'py>,
    weights: Vector<'py>,
    squares: f64,
    moved: usize,
    /// Of the centres of the visit; not a number where rows moved.
    inertia: f64,
}

/// One visit of some rows for the centres of an iteration; `labels` are those of the one before, -1 where there was none.
#[pyfunction]
#[pyo3(signature = (data, centers, labels, *, metric, weights))]
fn kmeans_visit<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: Floats2<'py>,
    labels: Integers<'py>,
    metric: Metric,
    weights: Option<Floats<'py>>,
) -> PyResult<Visit<'py>> {
    let (weights, labels) = (optional(weights.as_ref())?, unsigned(&labels)?);
    let visit = with_rows!(py, data, rows => {
        let centers = rows_of("centers", &centers, rows.d())?;
        let block = Block { rows, metric, weights: weights.as_deref() };
        run(py, |control| block.visit(&centers, &labels, control))?
    });
    Ok(Visit {
        labels: signed(py, visit.labels),
        sums: matrix(py, visit.sums.values, centers.as_array().dim().into())?,
        weights: PyArray1::from_vec(py, visit.sums.weights),
        squares: visit.sums.squares,
        moved: visit.moved,
        inertia: visit.inertia.unwrap_or(f64::NAN),
    })
}

type Far<'py> = (f64, Bound<'py, PyArray1<i64>>, Vector<'py>);

/// The inertia of some rows in the clusters `labels`, and up to `count` of them, the farthest first: indices, squared
/// distances.
#[pyfunction]
#[pyo3(signature = (data, centers, labels, count, *, metric, weights))]
fn kmeans_farthest<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: Floats2<'py>,
    labels: Integers<'py>,
    count: usize,
    metric: Metric,
    weights: Option<Floats<'py>>,
) -> PyResult<Far<'py>> {
    let (weights, labels) = (optional(weights.as_ref())?, unsigned(&labels)?);
    let (inertia, far) = with_rows!(py, data, rows => {
        let centers = rows_of("centers", &centers, rows.d())?;
        let block = Block { rows, metric, weights: weights.as_deref() };
        run(py, |control| block.farthest(&centers, &labels, count, control))?
    });
    let rows = PyArray1::from_iter(py, far.iter().map(|&(row, _)| row as i64));
    Ok((inertia, rows, PyArray1::from_iter(py, far.iter().map(|&(_, square)| square))))
}

/// What the squared distances to the nearest chosen row would be if each of some candidates (copies of rows) were chosen
/// too, n × m, and their weighted sums. `chosen` is a copy of the first row chosen, the squared distances from it, and those
/// from the nearest; None where there is none, and one candidate.
#[pyfunction]
#[pyo3(signature = (data, candidates, chosen, *, metric, weights))]
fn kmeans_attempts<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    candidates: Floats2<'py>,
    chosen: Option<(Floats2<'py>, Floats<'py>, Floats<'py>)>,
    metric: Metric,
    weights: Option<Floats<'py>>,
) -> PyResult<(Matrix<'py>, Vector<'py>)> {
    let weights = optional(weights.as_ref())?;
    let ((closer, sums), n) = with_rows!(py, data, rows => {
        let copies = rows_of("candidates", &candidates, rows.d())?;
        let block = Block { rows, metric, weights: weights.as_deref() };
        let chosen = chosen.as_ref().map(|(origin, first, nearest)| {
            Ok::<_, Error>((rows_of("chosen", origin, rows.d())?, values(first)?, values(nearest)?))
        });
        let chosen = chosen.transpose()?;
        let chosen = chosen.as_ref().map(|(origin, first, nearest)| Chosen { origin, first, nearest });
        (run(py, |control| block.attempts(&copies, chosen, control))?, rows.n())
    });
    Ok((matrix(py, closer, [n, sums.len()])?, PyArray1::from_vec(py, sums)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(kmeans, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_draws, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_seeds, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_nearest, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_distances, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_spread, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_visit, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_farthest, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_attempts, module)?)?;
    out_of_core::register(module)
}
