//! k-means, as Python sees it.

use super::arrays::{Pixels2, with_rows};
use super::run::run;
use crate::Error;
use crate::kmeans::{self as kernel, Metric, Options};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

type Labels<'py> = Bound<'py, PyArray1<i32>>;
type Spread<'py> = (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>);
type Found<'py> = (Bound<'py, PyArray2<f64>>, Labels<'py>, f64, usize, bool);

fn metric(name: &str) -> Metric {
    if name == "cosine" { Metric::Cosine } else { Metric::Euclidean }
}

fn given(array: Option<PyReadonlyArray1<'_, f64>>) -> Option<Vec<f64>> {
    array.map(|array| array.as_array().to_vec())
}

/// The values of k × d centres.
fn values(centers: &PyReadonlyArray2<'_, f64>, d: usize) -> PyResult<Vec<f64>> {
    let centers = centers.as_array();
    if centers.ncols() != d {
        let message = format!("{} features, X has {d}; they must be the same", centers.ncols());
        return Err(Error::invalid("centers", message).into());
    }
    Ok(centers.iter().copied().collect())
}

fn labels(py: Python<'_>, labels: Vec<u32>) -> Labels<'_> {
    PyArray1::from_iter(py, labels.into_iter().map(|label| label as i32))
}

/// Lloyd's iteration from `centers`: `(centers, labels, inertia, n_iter, converged)`.
#[pyfunction]
#[pyo3(signature = (data, centers, *, max_iter, tol, metric, weights))]
#[allow(clippy::too_many_arguments)]
fn kmeans<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: PyReadonlyArray2<'py, f64>,
    max_iter: usize,
    tol: f64,
    metric: &str,
    weights: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Found<'py>> {
    let weights = given(weights);
    let options = Options { max_iter, tol, metric: self::metric(metric), weights: weights.as_deref() };
    let k = centers.as_array().nrows();
    let fit = with_rows!(py, data, rows => {
        let centers = values(&centers, rows.d())?;
        run(py, |control| kernel::kmeans(rows, &centers, &options, control))?
    });
    let d = fit.centers.len() / k;
    let centers = PyArray1::from_vec(py, fit.centers).reshape([k, d])?;
    Ok((centers, labels(py, fit.labels), fit.inertia, fit.n_iter, fit.converged))
}

/// Indices of the rows that greedy k-means++ chooses.
#[pyfunction]
#[pyo3(signature = (data, k, *, metric, weights, draws))]
fn kmeans_seeds(
    py: Python<'_>,
    data: Pixels2<'_>,
    k: usize,
    metric: &str,
    weights: Option<PyReadonlyArray1<'_, f64>>,
    draws: PyReadonlyArray1<'_, f64>,
) -> PyResult<Vec<usize>> {
    let (metric, weights, draws) = (self::metric(metric), given(weights), draws.as_array().to_vec());
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
    centers: PyReadonlyArray2<'py, f64>,
    metric: &str,
    weights: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<(Labels<'py>, f64)> {
    let (metric, weights) = (self::metric(metric), given(weights));
    let (found, inertia) = with_rows!(py, data, rows => {
        let centers = values(&centers, rows.d())?;
        run(py, |control| kernel::nearest(rows, &centers, metric, weights.as_deref(), control))?
    });
    Ok((labels(py, found), inertia))
}

/// Distances of all rows to given centres, n × k.
#[pyfunction]
#[pyo3(signature = (data, centers, *, metric))]
fn kmeans_distances<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: PyReadonlyArray2<'py, f64>,
    metric: &str,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (metric, k) = (self::metric(metric), centers.as_array().nrows());
    let distances = with_rows!(py, data, rows => {
        let centers = values(&centers, rows.d())?;
        run(py, |control| kernel::distances(rows, &centers, metric, control))?
    });
    let n = distances.len() / k;
    PyArray1::from_vec(py, distances).reshape([n, k])
}

/// `(means, squares)`: the mean of the rows of each label, k × d, and the squared distance of each row to its own.
#[pyfunction]
#[pyo3(signature = (data, labels, k, *, metric))]
fn kmeans_spread<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    labels: PyReadonlyArray1<'py, i32>,
    k: usize,
    metric: &str,
) -> PyResult<Spread<'py>> {
    let (metric, labels) = (self::metric(metric), Vec::from_iter(labels.as_array().iter().map(|&label| label as u32)));
    let (means, squares) =
        with_rows!(py, data, rows => run(py, |control| kernel::spread(rows, &labels, k, metric, control))?);
    let d = means.len() / k;
    Ok((PyArray1::from_vec(py, means).reshape([k, d])?, PyArray1::from_vec(py, squares)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(kmeans, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_seeds, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_nearest, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_distances, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_spread, module)?)
}
