//! k-means of rows out of core: the iteration and k-means++ are the kernel's, the passes Python's.

use super::{Floats, Floats2, Integers, Matrix, matrix, rows_of, unsigned};
use crate::methods::kmeans::out_of_core;
use crate::methods::kmeans::{self as kernel, ClusterSums, FarRow, Metric, Parameters, State};
use crate::python::arrays::values;
use crate::python::out_of_core::{Items, OutOfCore};
use crate::python::run::run;
use crate::{Control, Error, Result};
use pyo3::prelude::*;

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
    state: Items<Resumed<'py>>,
    features: usize,
    double: bool,
    max_iter: usize,
    tol: f64,
    metric: Metric,
) -> PyResult<Progress<'py>> {
    let centers = rows_of("centers", &state.0.centers, features)?;
    kernel::check_centers(&centers, features)?;
    let Resumed { n_iter, tol: limit, converged, inertia, .. } = state.0;
    let centers = if n_iter == 0 { kernel::scaled(&centers, features, metric) } else { centers };
    let state = State { centers, n_iter, tol: limit, converged, inertia: (!inertia.is_nan()).then_some(inertia) };
    let passes = OutOfCore::new(passes, (0, features));
    let parameters = Parameters { max_iter, tol, metric };
    let result = run(py, |control| {
        let mut source = Passes::new(&passes, features, metric, double);
        kernel::lloyd(&mut source, state, &parameters, control, |state| {
            passes.call(|passes| passes.call_method1("save", (progress(passes.py(), state, features)?,)).map(drop))
        })
    });
    let (mut state, inertia) = passes.explain(result)?;
    state.inertia = Some(inertia);
    progress(py, &state, features)
}

/// Lloyd's passes, which Python makes.
struct Passes<'a> {
    passes: &'a OutOfCore,
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
    fn new(passes: &'a OutOfCore, d: usize, metric: Metric, double: bool) -> Self {
        let (sums, origin, visited) = (ClusterSums::new(1, d), vec![0.0; d], (Vec::new(), f64::NAN));
        Self { passes, d, metric, double, sums, origin, visited }
    }

    fn call<V>(&self, centers: &[f64], pass: impl FnOnce(&Bound<'_, PyAny>, Matrix<'_>) -> PyResult<V>) -> Result<V> {
        let shape = [centers.len() / self.d, self.d];
        self.passes.call(|passes| pass(passes, matrix(passes.py(), centers.to_vec(), shape)?))
    }
}

impl kernel::Source for Passes<'_> {
    fn assign(&mut self, centers: &[f64], _: &Control) -> Result<usize> {
        let (sums, moved, inertia) = self.call(centers, |passes, array| {
            let Assigned(sums, weights, squares, moved, inertia) =
                passes.call_method1("assign", (array,))?.extract()?;
            let sums = values(&sums)?;
            Ok((out_of_core::cluster_sums(sums, values(&weights)?, squares, centers)?, moved, inertia))
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
            let (rows, labels, weights) = (rows_of("rows", &rows, self.d)?, unsigned(&labels)?, values(&weights)?);
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
    let draws = values(&draws)?;
    kernel::check_seeds(rows, k, &draws)?;
    let passes = OutOfCore::new(passes, (rows, 0));
    let result =
        run(py, |control| kernel::plus_plus(&mut Seeding { passes: &passes, n: rows }, k, &draws, chosen, control));
    passes.explain(result)
}

/// The passes of k-means++, which Python makes.
struct Seeding<'a> {
    passes: &'a OutOfCore,
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
        self.passes.call(|passes| {
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
        self.passes.call(|passes| {
            let sums: Floats<'_> = passes.call_method1("attempt", (rows.to_vec(),))?.extract()?;
            if sums.as_array().len() != rows.len() {
                let message = format!("{} for {} candidates", sums.as_array().len(), rows.len());
                return Err(Error::invalid("sums", message).into());
            }
            Ok(values(&sums)?)
        })
    }

    fn choose(&mut self, chosen: &[usize], which: usize) -> Result<()> {
        self.passes.call(|passes| passes.call_method1("choose", (chosen.to_vec(), which)).map(drop))
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(kmeans_out_of_core, module)?)?;
    module.add_function(wrap_pyfunction!(kmeans_seeds_out_of_core, module)?)
}
