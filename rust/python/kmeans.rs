//! k-means, as Python sees it.

use super::arrays::{Pixels2, with_rows};
use super::outside::Outside;
use super::run::run;
use super::settings::string_enum;
use crate::methods::kmeans::out_of_core::{self, Block, Chosen};
use crate::methods::kmeans::{self as kernel, ClusterSums, FarRow, Metric, Parameters, State};
use crate::{Control, Error, Result};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

type Vector<'py> = Bound<'py, PyArray1<f64>>;
type Matrix<'py> = Bound<'py, PyArray2<f64>>;
type Labels<'py> = Bound<'py, PyArray1<i32>>;
type Floats<'py> = PyReadonlyArray1<'py, f64>;
type Floats2<'py> = PyReadonlyArray2<'py, f64>;
type Integers<'py> = PyReadonlyArray1<'py, i32>;

string_enum!(Metric, "metric" { "euclidean" => Euclidean, "cosine" => Cosine });

fn values(array: &Floats<'_>) -> Vec<f64> {
    array.as_array().to_vec()
}

fn optional(array: Option<Floats<'_>>) -> Option<Vec<f64>> {
    array.as_ref().map(values)
}

/// The values of rows of `d` features.
fn rows_of(argument: &'static str, array: &Floats2<'_>, d: usize) -> Result<Vec<f64>> {
    let array = array.as_array();
    if array.ncols() != d {
        let message = format!("{} features, X has {d}; they must be the same", array.ncols());
        return Err(Error::invalid(argument, message));
    }
    Ok(array.iter().copied().collect())
}

/// The labels as kernels take them: one that is negative is above all others.
fn unsigned(labels: &Integers<'_>) -> Vec<u32> {
    labels.as_array().iter().map(|&label| label as u32).collect()
}

fn signed(py: Python<'_>, labels: Vec<u32>) -> Labels<'_> {
    PyArray1::from_iter(py, labels.into_iter().map(|label| label as i32))
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
    let weights = optional(weights);
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
    let (weights, draws) = (optional(weights), values(&draws));
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
    let weights = optional(weights);
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
    let labels = unsigned(&labels);
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
    let (weights, labels) = (optional(weights), unsigned(&labels));
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
    let (weights, labels) = (optional(weights), unsigned(&labels));
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
    let weights = optional(weights);
    let ((closer, sums), n) = with_rows!(py, data, rows => {
        let copies = rows_of("candidates", &candidates, rows.d())?;
        let block = Block { rows, metric, weights: weights.as_deref() };
        let chosen = chosen.as_ref().map(|(origin, first, nearest)| {
            Ok::<_, Error>((rows_of("chosen", origin, rows.d())?, values(first), values(nearest)))
        });
        let chosen = chosen.transpose()?;
        let chosen = chosen.as_ref().map(|(origin, first, nearest)| Chosen { origin, first, nearest });
        (run(py, |control| block.attempts(&copies, chosen, control))?, rows.n())
    });
    Ok((matrix(py, closer, [n, sums.len()])?, PyArray1::from_vec(py, sums)))
}

/// Where the iteration stands, as it is saved.
#[derive(IntoPyObject)]
struct Progress<'py> {
    centers: Matrix<'py>,
    n_iter: usize,
    tol: f64,
    converged: bool,
    /// Not a number where it is not known yet.
    inertia: f64,
}

/// The same as it comes in.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Resumed<'py> {
    centers: Floats2<'py>,
    n_iter: usize,
    tol: f64,
    converged: bool,
    inertia: f64,
}

fn progress<'py>(py: Python<'py>, state: &State, d: usize) -> PyResult<Progress<'py>> {
    let k = state.centers.len() / d;
    Ok(Progress {
        centers: matrix(py, state.centers.clone(), [k, d])?,
        n_iter: state.n_iter,
        tol: state.tol,
        converged: state.converged,
        inertia: state.inertia.unwrap_or(f64::NAN),
    })
}

/// Lloyd's iteration of n × d data that `passes` visits: an object with the methods `assign(centers)`,
/// `farthest(centers, count)` and `finish(centers)`, as of the kernel's source, and `save(state)`.
#[pyfunction]
#[pyo3(signature = (passes, state, *, features, double, max_iter, tol, metric))]
#[allow(clippy::too_many_arguments)]
fn kmeans_out_of_core<'py>(
    py: Python<'py>,
    passes: Py<PyAny>,
    state: Resumed<'py>,
    features: usize,
    double: bool,
    max_iter: usize,
    tol: f64,
    metric: Metric,
) -> PyResult<Progress<'py>> {
    let centers = rows_of("centers", &state.centers, features)?;
    kernel::check_centers(&centers, features)?;
    let Resumed { n_iter, tol: limit, converged, inertia, .. } = state;
    let centers = if n_iter == 0 { kernel::scaled(&centers, features, metric) } else { centers };
    let state = State { centers, n_iter, tol: limit, converged, inertia: (!inertia.is_nan()).then_some(inertia) };
    let outside = Outside::new(passes, (0, features));
    let parameters = Parameters { max_iter, tol, metric };
    let result = run(py, |control| {
        let mut source = Passes::new(&outside, features, metric, double);
        kernel::lloyd(&mut source, state, &parameters, control, |state| {
            outside.call(|passes| passes.call_method1("save", (progress(passes.py(), state, features)?,)).map(drop))
        })
    });
    let (mut state, inertia) = outside.explain(result)?;
    state.inertia = Some(inertia);
    progress(py, &state, features)
}

/// Lloyd's passes, which Python makes.
struct Passes<'a> {
    outside: &'a Outside,
    d: usize,
    metric: Metric,
    double: bool,
    sums: ClusterSums,
    origin: Vec<f64>,
    /// The centres of the last pass, and the inertia if no row changed cluster.
    visited: (Vec<f64>, f64),
}

/// What the rows of all blocks add to an iteration.
#[derive(FromPyObject)]
struct Assigned<'py>(Floats2<'py>, Floats<'py>, f64, usize, f64);

impl<'a> Passes<'a> {
    fn new(outside: &'a Outside, d: usize, metric: Metric, double: bool) -> Self {
        let (sums, origin, visited) = (ClusterSums::new(1, d), vec![0.0; d], (Vec::new(), f64::NAN));
        Self { outside, d, metric, double, sums, origin, visited }
    }

    fn call<V>(&self, centers: &[f64], pass: impl FnOnce(&Bound<'_, PyAny>, Matrix<'_>) -> PyResult<V>) -> Result<V> {
        let shape = [centers.len() / self.d, self.d];
        self.outside.call(|passes| pass(passes, matrix(passes.py(), centers.to_vec(), shape)?))
    }
}

impl kernel::Source for Passes<'_> {
    fn assign(&mut self, centers: &[f64], _: &Control) -> Result<usize> {
        let (sums, moved, inertia) = self.call(centers, |passes, array| {
            let Assigned(sums, weights, squares, moved, inertia) =
                passes.call_method1("assign", (array,))?.extract()?;
            let sums = sums.as_array().iter().copied().collect();
            Ok((out_of_core::cluster_sums(sums, values(&weights), squares, centers)?, moved, inertia))
        })?;
        self.sums = sums;
        self.origin = out_of_core::origin(centers, self.d, self.metric, self.double);
        self.visited = (centers.to_vec(), inertia);
        Ok(moved)
    }

    fn sums(&self) -> (&ClusterSums, &[f64]) {
        (&self.sums, &self.origin)
    }

    fn farthest(&mut self, centers: &[f64], count: usize, _: &Control) -> Result<Vec<FarRow>> {
        self.call(centers, |passes, array| {
            let far = passes.call_method1("farthest", (array, count))?;
            let (_, rows, labels, weights): (f64, Floats2<'_>, Integers<'_>, Floats<'_>) = far.extract()?;
            let (rows, labels, weights) = (rows_of("rows", &rows, self.d)?, unsigned(&labels), values(&weights));
            if rows.len() != labels.len() * self.d {
                let message = format!("{} for {} rows", labels.len(), rows.len() / self.d);
                return Err(Error::invalid("labels", message).into());
            }
            Ok(out_of_core::far_rows(&rows, &labels, &weights, centers.len() / self.d, self.metric)?)
        })
    }

    fn inertia(&mut self, centers: &[f64], _: &Control) -> Result<f64> {
        if self.visited.0 == centers && !self.visited.1.is_nan() {
            return Ok(self.visited.1);
        }
        self.call(centers, |passes, array| {
            let (inertia, ..): (f64, Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>) =
                passes.call_method1("farthest", (array, 0))?.extract()?;
            Ok(inertia)
        })
    }

    fn finish(&mut self, centers: &[f64], _: &Control) -> Result<f64> {
        self.call(centers, |passes, array| passes.call_method1("finish", (array,))?.extract())
    }
}

/// The rows that greedy k-means++ chooses of so many rows that `passes` visits: an object with the methods `attempt(rows)`
/// and `choose(chosen, which)`, as of the kernel's source, and the arrays `nearest` (ones where no row was chosen) and
/// `weights`, or None. `chosen` are those chosen already.
#[pyfunction]
#[pyo3(signature = (passes, chosen, k, *, rows, draws))]
fn kmeans_seeds_out_of_core(
    py: Python<'_>,
    passes: Py<PyAny>,
    chosen: Vec<usize>,
    k: usize,
    rows: usize,
    draws: Floats<'_>,
) -> PyResult<Vec<usize>> {
    let draws = values(&draws);
    kernel::check_seeds(rows, k, &draws)?;
    let outside = Outside::new(passes, (rows, 0));
    let result =
        run(py, |control| kernel::plus_plus(&mut Seeding { outside: &outside, n: rows }, k, &draws, chosen, control));
    outside.explain(result)
}

/// The passes of k-means++, which Python makes.
struct Seeding<'a> {
    outside: &'a Outside,
    n: usize,
}

impl Seeding<'_> {
    /// An array with an entry for each row, or None.
    fn of_rows<'py>(&self, passes: &Bound<'py, PyAny>, name: &'static str) -> PyResult<Option<Floats<'py>>> {
        let array: Option<Floats<'py>> = passes.getattr(name)?.extract()?;
        match &array {
            Some(array) if array.as_array().len() != self.n => {
                let message = format!("{} values for {} rows", array.as_array().len(), self.n);
                Err(Error::invalid(name, message).into())
            }
            _ => Ok(array),
        }
    }
}

impl kernel::SeedSource for Seeding<'_> {
    fn draw(&self, fractions: &[f64]) -> Result<Vec<usize>> {
        self.outside.call(|passes| {
            let [nearest, weights] = ["nearest", "weights"].map(|name| self.of_rows(passes, name));
            let (nearest, weights) = (nearest?, weights?);
            let [nearest, weights] = [&nearest, &weights].map(|array| array.as_ref().map(|array| array.as_array()));
            let value = |i: usize| {
                let [nearest, weight] = [&nearest, &weights].map(|array| array.map_or(1.0, |array| array[i]));
                weight * nearest
            };
            Ok(fractions.iter().map(|&u| kernel::draw(value, self.n, u)).collect())
        })
    }

    fn attempt(&mut self, rows: &[usize], _: &Control) -> Result<Vec<f64>> {
        self.outside.call(|passes| {
            let sums: Floats<'_> = passes.call_method1("attempt", (rows.to_vec(),))?.extract()?;
            if sums.as_array().len() != rows.len() {
                let message = format!("{} for {} candidates", sums.as_array().len(), rows.len());
                return Err(Error::invalid("sums", message).into());
            }
            Ok(values(&sums))
        })
    }

    fn choose(&mut self, chosen: &[usize], which: usize) -> Result<()> {
        self.outside.call(|passes| passes.call_method1("choose", (chosen.to_vec(), which)).map(drop))
    }
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
    module.add_function(wrap_pyfunction!(kmeans_out_of_core, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_seeds_out_of_core, module)?)
}
