//! Fuzzy clusters as Python sees them.

mod out_of_core;

use super::arrays::{Pixels2, optional, with_rows};
use super::run::run;
use super::settings::from_attributes;
use crate::engine::room;
use crate::engine::simd::Pixel;
use crate::methods::cmeans::{self as kernel, Covariances, Fuzzy, Options, Power, Start};
use crate::{Error, Result, Rows};
use numpy::{
    Element, PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3,
};
use pyo3::prelude::*;

type Vector<'py> = Bound<'py, PyArray1<f64>>;
type Counts<'py> = Bound<'py, PyArray1<usize>>;
type Centers<'py> = PyReadonlyArray2<'py, f64>;

from_attributes!(Covariances { rho, gamma, beta });

/// What was fitted; in Python a dictionary.
#[derive(IntoPyObject)]
struct Fitted<'py> {
    centers: Bound<'py, PyArray2<f64>>,
    covariances: Option<Bound<'py, PyArray3<f64>>>,
    objective: Vector<'py>,
    converged: bool,
    conditioned: Counts<'py>,
    empty: Counts<'py>,
}

impl<'py> Fitted<'py> {
    fn new(py: Python<'py>, fuzzy: Fuzzy, k: usize, d: usize) -> PyResult<Self> {
        let covariances = Some(fuzzy.covariances).filter(|matrices| !matrices.is_empty());
        Ok(Self {
            centers: PyArray1::from_vec(py, fuzzy.centers).reshape([k, d])?,
            covariances: covariances.map(|all| PyArray1::from_vec(py, all).reshape([k, d, d])).transpose()?,
            objective: PyArray1::from_vec(py, fuzzy.objective),
            converged: fuzzy.converged,
            conditioned: PyArray1::from_vec(py, fuzzy.conditioned),
            empty: PyArray1::from_vec(py, fuzzy.empty),
        })
    }
}

/// Centres of d features, row by row.
fn rows_of(centers: &Centers<'_>, d: usize) -> Result<Vec<f64>> {
    let (centers, features) = (centers.as_array(), centers.as_array().ncols());
    if features != d {
        return Err(Error::invalid("centers", format!("{features} features, X has {d}; they must be the same")));
    }
    room::collected(centers.iter().copied(), "centres")
}

/// Clusters, from either centres or memberships to start from; these contiguous and of the type in which the kernel computes on
/// `data`. `weights`: what every row counts for.
#[pyfunction]
#[pyo3(signature = (data, *, centers, memberships, m, max_iter, tol, covariances, weights=None))]
#[allow(clippy::too_many_arguments)]
fn cmeans<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: Option<Centers<'py>>,
    memberships: Option<Bound<'py, PyAny>>,
    m: f64,
    max_iter: usize,
    tol: f64,
    covariances: Option<Covariances>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Fitted<'py>> {
    let options = Options { m, max_iter, tol, covariances };
    let weights = optional(weights.as_ref())?;
    with_rows!(py, data, rows => fit(py, rows, centers, memberships, weights.as_deref(), &options))
}

fn fit<'py, T>(
    py: Python<'py>,
    rows: Rows<'_, T>,
    centers: Option<Centers<'py>>,
    memberships: Option<Bound<'py, PyAny>>,
    weights: Option<&[f64]>,
    options: &Options,
) -> PyResult<Fitted<'py>>
where
    T: Pixel + Into<f64>,
    T::Real: Power + Element,
{
    let u: Option<PyReadonlyArray2<'py, T::Real>> = memberships.map(|u| u.extract()).transpose()?;
    let rows_of_centers = centers.as_ref().map(|centers| rows_of(centers, rows.d())).transpose()?;
    let (start, k) = match (&centers, &rows_of_centers, &u) {
        (Some(centers), Some(values), None) => (Start::Centers(values), centers.as_array().nrows()),
        (None, None, Some(u)) => (Start::Memberships(u.as_slice()?), u.as_array().ncols()),
        _ => return Err(Error::invalid("centers", "give either centres or memberships to start from").into()),
    };
    let fuzzy = run(py, |control| kernel::cmeans(rows, k, start, weights, options, control))?;
    Fitted::new(py, fuzzy, k, rows.d())
}

/// Memberships of rows in clusters; those of `covariances` have the volumes `rho`.
#[pyfunction]
#[pyo3(signature = (data, centers, *, m, covariances, rho))]
fn memberships<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: Centers<'py>,
    m: f64,
    covariances: Option<PyReadonlyArray3<'py, f64>>,
    rho: Option<Vec<f64>>,
) -> PyResult<Bound<'py, PyAny>> {
    let k = centers.as_array().nrows();
    let covariances = optional(covariances.as_ref())?;
    let shapes = match (&covariances, &rho) {
        (Some(covariances), Some(rho)) => Some((&covariances[..], &rho[..])),
        (None, None) => None,
        _ => return Err(Error::invalid("rho", "give covariances and volumes, or neither").into()),
    };
    with_rows!(py, data, rows => of_clusters(py, rows, k, &rows_of(&centers, rows.d())?, shapes, m))
}

fn of_clusters<'py, T>(
    py: Python<'py>,
    rows: Rows<'_, T>,
    k: usize,
    centers: &[f64],
    covariances: Option<(&[f64], &[f64])>,
    m: f64,
) -> PyResult<Bound<'py, PyAny>>
where
    T: Pixel,
    T::Real: Power + Element,
{
    // Zeroed, for there may be no slice of what is not initialised: new pages the system hands out so, and memory that is used
    // again takes 0.1 ms for 6 MB.
    let what = "memberships";
    let mut u = room::zeros(room::product::<T::Real>(&[rows.n(), k], what)?, what)?;
    run(py, |control| kernel::memberships(rows, centers, covariances, m, &mut u, control))?;
    Ok(PyArray1::from_vec(py, u).reshape([rows.n(), k])?.into_any())
}

/// Evaluate an expression with `$u`, contiguous memberships of one of the two types, and `$k`, their number in a row.
macro_rules! with_memberships {
    ($memberships:expr, $u:ident, $k:ident => $body:expr) => {
        if let Ok(array) = $memberships.extract::<PyReadonlyArray2<'_, f32>>() {
            let ($k, $u) = (array.as_array().ncols(), array.as_slice()?);
            $body
        } else {
            let array = $memberships.extract::<PyReadonlyArray2<'_, f64>>()?;
            let ($k, $u) = (array.as_array().ncols(), array.as_slice()?);
            $body
        }
    };
}

/// The cluster of largest membership of each row, of equal ones the first.
#[pyfunction]
fn cmeans_labels<'py>(py: Python<'py>, memberships: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray1<i32>>> {
    with_memberships!(memberships, u, k => {
        Ok(PyArray1::from_vec(py, run(py, |control| kernel::labels(u, k, control))?))
    })
}

/// The row of memberships whose sum is farthest from one, and its sum.
#[pyfunction]
fn cmeans_farthest_from_one(py: Python<'_>, memberships: Bound<'_, PyAny>) -> PyResult<(usize, f64)> {
    with_memberships!(memberships, u, k => run(py, |control| kernel::farthest_from_one(u, k, control)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("CMEANS_MOST_FEATURES", kernel::MOST_FEATURES)?;
    module.add_function(wrap_pyfunction!(cmeans, module)?)?;
    out_of_core::register(module)?;
    module.add_function(wrap_pyfunction!(cmeans_labels, module)?)?;
    module.add_function(wrap_pyfunction!(cmeans_farthest_from_one, module)?)?;
    module.add_function(wrap_pyfunction!(memberships, module)?)
}
