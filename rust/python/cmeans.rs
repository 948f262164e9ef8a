//! Fuzzy clusters as Python sees them.

use super::arrays::{Pixels2, with_rows};
use super::run::run;
use crate::cmeans::{self as kernel, Covariances, Options, Power, Start};
use crate::simd::Pixel;
use crate::{Control, Rows};
use ndarray::ArrayView2;
use numpy::{Element, PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray2, PyReadonlyArray3};
use pyo3::prelude::*;

type Found<'py> = (
    Bound<'py, PyAny>,
    Bound<'py, PyArray1<i32>>,
    Bound<'py, PyArray2<f64>>,
    Option<Bound<'py, PyArray3<f64>>>,
    Bound<'py, PyArray1<f64>>,
    bool,
    Vec<usize>,
    Vec<usize>,
);

/// `(memberships, labels, centers, covariances, objective, converged, conditioned, empty)` from starting centres or, if given,
/// memberships, contiguous and of the type in which the kernel computes on `data`; `covariances` is `(rho, gamma, beta)`.
#[pyfunction]
#[pyo3(signature = (data, centers, memberships, *, m, max_iter, tol, covariances))]
#[allow(clippy::too_many_arguments)]
fn cmeans<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: PyReadonlyArray2<'py, f64>,
    memberships: Option<Bound<'py, PyAny>>,
    m: f64,
    max_iter: usize,
    tol: f64,
    covariances: Option<(Vec<f64>, f64, f64)>,
) -> PyResult<Found<'py>> {
    let covariances = covariances.as_ref().map(|&(ref rho, gamma, beta)| Covariances { rho, gamma, beta });
    let options = Options { m, max_iter, tol, covariances };
    with_rows!(py, data, rows => fit(py, rows, centers.as_array(), memberships, options))
}

fn fit<'py, T>(
    py: Python<'py>,
    rows: Rows<'_, T>,
    centers: ArrayView2<'_, f64>,
    memberships: Option<Bound<'py, PyAny>>,
    options: Options<'_>,
) -> PyResult<Found<'py>>
where
    T: Pixel + Into<f64>,
    T::Real: Power + Element,
{
    let (k, d) = centers.dim();
    let n = rows.n();
    let centers = Vec::from_iter(centers.iter().copied());
    let given: Option<PyReadonlyArray2<'py, T::Real>> = memberships.map(|u| u.extract()).transpose()?;
    let given = given.as_ref().map(|u| u.as_slice()).transpose()?;
    let start = given.map_or(Start::Centers(&centers), Start::Memberships);
    let found = run(py, |control: &Control| kernel::cmeans(rows, k, start, &options, control))?;
    let covariances = options.covariances.map(|_| PyArray1::from_vec(py, found.covariances).reshape([k, d, d]));
    Ok((
        PyArray1::from_vec(py, found.memberships).reshape([n, k])?.into_any(),
        PyArray1::from_vec(py, found.labels),
        PyArray1::from_vec(py, found.centers).reshape([k, d])?,
        covariances.transpose()?,
        PyArray1::from_vec(py, found.objective),
        found.converged,
        found.conditioned,
        found.empty,
    ))
}

/// Memberships of rows in known clusters; `covariances` with the volumes `rho`.
#[pyfunction]
#[pyo3(signature = (data, centers, *, m, covariances))]
fn memberships<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    centers: PyReadonlyArray2<'py, f64>,
    m: f64,
    covariances: Option<(PyReadonlyArray3<'py, f64>, Vec<f64>)>,
) -> PyResult<Bound<'py, PyAny>> {
    let k = centers.as_array().nrows();
    let centers = Vec::from_iter(centers.as_array().iter().copied());
    let covariances = covariances.map(|(f, rho)| (Vec::from_iter(f.as_array().iter().copied()), rho));
    let given = covariances.as_ref().map(|(f, rho)| (&f[..], &rho[..]));
    with_rows!(py, data, rows => of_known(py, rows, &centers, given, m, k))
}

fn of_known<'py, T>(
    py: Python<'py>,
    rows: Rows<'_, T>,
    centers: &[f64],
    covariances: Option<(&[f64], &[f64])>,
    m: f64,
    k: usize,
) -> PyResult<Bound<'py, PyAny>>
where
    T: Pixel,
    T::Real: Power + Element,
{
    let n = rows.n();
    let out = run(py, |control| {
        let mut out = vec![T::Real::default(); n * k];
        kernel::memberships(rows, centers, covariances, m, &mut out, control)?;
        Ok(out)
    })?;
    Ok(PyArray1::from_vec(py, out).reshape([n, k])?.into_any())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(cmeans, module)?)?;
    module.add_function(wrap_pyfunction!(memberships, module)?)
}
