//! k-means, as Python sees it.

use super::arrays::{Pixels2, with_rows};
use super::run::run;
use crate::Error;
use crate::methods::kmeans::{self as kernel, Metric, Moved, Options, Sums};
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

type Summed<'py> = (Labels<'py>, Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>, f64);

/// One visit of some rows for fixed centres: `(labels, sums, weights, squares)`, the last three being what the rows add to
/// the sums that `kmeans_update` needs.
#[pyfunction]
#[pyo3(signature = (data, centers, *, metric, weights))]
fn kmeans_visit<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: PyReadonlyArray2<'py, f64>,
    metric: &str,
    weights: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Summed<'py>> {
    let (metric, weights, shape) = (self::metric(metric), given(weights), centers.as_array().dim());
    let (found, sums) = with_rows!(py, data, rows => {
        let centers = values(&centers, rows.d())?;
        run(py, |control| kernel::visit(rows, &centers, metric, weights.as_deref(), control))?
    });
    let values = PyArray1::from_vec(py, sums.values).reshape(shape)?;
    Ok((labels(py, found), values, PyArray1::from_vec(py, sums.weights), sums.squares))
}

/// Up to `count` of some rows, the farthest from their centres first: `(indices, squared distances)`.
#[pyfunction]
#[pyo3(signature = (data, labels, centers, count, *, metric))]
fn kmeans_farthest(
    py: Python<'_>,
    data: Pixels2<'_>,
    labels: PyReadonlyArray1<'_, i32>,
    centers: PyReadonlyArray2<'_, f64>,
    count: usize,
    metric: &str,
) -> PyResult<Vec<(usize, f64)>> {
    let (metric, labels) = (self::metric(metric), Vec::from_iter(labels.as_array().iter().map(|&label| label as u32)));
    with_rows!(py, data, rows => {
        let centers = values(&centers, rows.d())?;
        run(py, |control| kernel::farthest(rows, &centers, &labels, count, metric, control))
    })
}

type Step<'py> = (Bound<'py, PyArray2<f64>>, f64, f64);

/// `(centers, squared shift, mean variance of a feature)` from the sums of all rows. `moved` are the rows that empty clusters
/// take, `(rows, labels, weights)`; `double`: whether the arithmetic is that of float64 data.
#[pyfunction]
#[pyo3(signature = (centers, sums, weights, squares, *, moved, metric, double))]
#[allow(clippy::too_many_arguments)]
fn kmeans_update<'py>(
    py: Python<'py>,
    centers: PyReadonlyArray2<'py, f64>,
    sums: PyReadonlyArray2<'py, f64>,
    weights: PyReadonlyArray1<'py, f64>,
    squares: f64,
    moved: (PyReadonlyArray2<'py, f64>, PyReadonlyArray1<'py, i32>, PyReadonlyArray1<'py, f64>),
    metric: &str,
    double: bool,
) -> PyResult<Step<'py>> {
    let (metric, shape) = (self::metric(metric), centers.as_array().dim());
    let [centers, sums, rows] = [&centers, &sums, &moved.0].map(|x| Vec::from_iter(x.as_array().iter().copied()));
    let sums = Sums::of_parts(sums, weights.as_array().to_vec(), squares);
    let from = Vec::from_iter(moved.1.as_array().iter().map(|&label| label as u32));
    let weights = moved.2.as_array().to_vec();
    let moved = Moved { rows: &rows, from: &from, weights: &weights };
    let (centers, shift, variance) = run(py, |control| {
        if double {
            kernel::step::<f64>(&centers, &sums, metric, moved, control)
        } else {
            kernel::step::<f32>(&centers, &sums, metric, moved, control)
        }
    })?;
    Ok((PyArray1::from_vec(py, centers).reshape(shape)?, shift, variance))
}

/// Squared distances of some rows from a copy of a row, and their weighted sum.
#[pyfunction]
#[pyo3(signature = (data, origin, *, metric, weights))]
fn kmeans_squares<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    origin: PyReadonlyArray1<'py, f64>,
    metric: &str,
    weights: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<(Bound<'py, PyArray1<f64>>, f64)> {
    let (metric, weights, origin) = (self::metric(metric), given(weights), origin.as_array().to_vec());
    let (squares, total) = with_rows!(py, data, rows => {
        run(py, |control| kernel::squares(rows, &origin, metric, weights.as_deref(), control))?
    });
    Ok((PyArray1::from_vec(py, squares), total))
}

/// What the squared distances to the nearest chosen row would be if each of some candidates (copies of rows) were chosen
/// too, n × m, and their weighted sums; `squares` are those from `origin`, the first chosen, `nearest` those there are.
#[pyfunction]
#[pyo3(signature = (data, origin, squares, nearest, candidates, *, metric, weights))]
#[allow(clippy::too_many_arguments)]
fn kmeans_attempts<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    origin: PyReadonlyArray1<'py, f64>,
    squares: PyReadonlyArray1<'py, f64>,
    nearest: PyReadonlyArray1<'py, f64>,
    candidates: PyReadonlyArray2<'py, f64>,
    metric: &str,
    weights: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Spread<'py>> {
    let (metric, weights, m) = (self::metric(metric), given(weights), candidates.as_array().nrows());
    let [origin, squares, nearest] = [origin, squares, nearest].map(|x| x.as_array().to_vec());
    let candidates = Vec::from_iter(candidates.as_array().iter().copied());
    let (closer, sums) = with_rows!(py, data, rows => {
        let weights = weights.as_deref();
        run(py, |control| {
            kernel::attempts(rows, &origin, &squares, &nearest, &candidates, metric, weights, control)
        })?
    });
    let n = squares.len();
    Ok((PyArray1::from_vec(py, closer).reshape([n, m])?, PyArray1::from_vec(py, sums)))
}

/// The rows at the fractions `draws` of the sum of all values, times weights if there are any.
#[pyfunction]
#[pyo3(signature = (values, draws, *, weights))]
fn kmeans_draw(
    values: PyReadonlyArray1<'_, f64>,
    draws: Vec<f64>,
    weights: Option<PyReadonlyArray1<'_, f64>>,
) -> Vec<usize> {
    let (values, weights) = (values.as_array(), weights.as_ref().map(|weights| weights.as_array()));
    let value = |i: usize| weights.map_or(1.0, |weights| weights[i]) * values[i];
    draws.into_iter().map(|u| kernel::draw(value, values.len(), u)).collect()
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(kmeans, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_visit, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_farthest, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_update, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_squares, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_attempts, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_draw, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_seeds, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_nearest, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_distances, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_spread, module)?)
}
