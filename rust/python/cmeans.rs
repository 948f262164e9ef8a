//! Fuzzy clusters as Python sees them.

use super::arrays::{Pixels2, with_rows};
use super::run::run;
use crate::engine::simd::{Pixel, Real};
use crate::methods::cmeans::{self as kernel, Covariances, Frame, Memberships, Options, Power, Start, Sums};
use crate::{Control, Rows};
use ndarray::ArrayView2;
use numpy::{
    Element, PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3,
};
use pyo3::prelude::*;

type Found<'py> = (
    Bound<'py, PyAny>,
    Bound<'py, PyArray2<f64>>,
    Option<Bound<'py, PyArray3<f64>>>,
    Bound<'py, PyArray1<f64>>,
    bool,
    Vec<usize>,
    Vec<usize>,
);

/// `(memberships, centers, covariances, objective, converged, conditioned, empty)` from starting centres or, if given,
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
    // SAFETY: every value is written before the array is returned.
    let u = unsafe { PyArray2::<T::Real>::new(py, [n, k], false) };
    let mut writable = u.readwrite();
    let out = writable.as_slice_mut()?;
    let found = run(py, |control: &Control| {
        let found = kernel::cmeans(rows, k, start, &options, control)?;
        // Anew from what is returned, so that the same rows have the same memberships ever after.
        let covariances = options.covariances.map(|given| (&found.covariances[..], given.rho));
        kernel::memberships(rows, &found.centers, covariances, options.m, out, control)?;
        Ok(found)
    })?;
    let covariances = options.covariances.map(|_| PyArray1::from_vec(py, found.covariances).reshape([k, d, d]));
    Ok((
        u.into_any(),
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
    // SAFETY: every value is written before the array is returned.
    let u = unsafe { PyArray2::<T::Real>::new(py, [rows.n(), k], false) };
    let mut writable = u.readwrite();
    let out = writable.as_slice_mut()?;
    run(py, |control| kernel::memberships(rows, centers, covariances, m, out, control))?;
    Ok(u.into_any())
}

type Vector<'py> = Bound<'py, PyArray1<f64>>;
type Model<'py> = (
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray2<'py, f64>,
    Option<PyReadonlyArray1<'py, f64>>,
);
type Summed<'py> = (Vector<'py>, Vector<'py>, f64, f64);
/// Where memberships come from: a model, or an array, a row of k each.
#[derive(FromPyObject)]
enum Whose<'py> {
    Of(Model<'py>),
    Given(Bound<'py, PyAny>),
}

/// Evaluate an expression with `$u`, contiguous memberships of one of the two types, and `$k`, their number in a row.
macro_rules! with_memberships {
    ($given:expr, $u:ident, $k:ident => $body:expr) => {
        if let Ok(given) = $given.extract::<PyReadonlyArray2<'_, f32>>() {
            let ($k, $u) = (given.as_array().ncols(), given.as_slice()?);
            $body
        } else {
            let given = $given.extract::<PyReadonlyArray2<'_, f64>>()?;
            let ($k, $u) = (given.as_array().ncols(), given.as_slice()?);
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

/// How rows are centred and scaled in the arithmetic, that of float64 data if `double`: `(offset, factor)`; for spheres, or
/// for each feature by itself.
#[pyfunction]
fn cmeans_frame<'py>(
    py: Python<'py>,
    mean: PyReadonlyArray1<'py, f64>,
    variance: PyReadonlyArray1<'py, f64>,
    each: bool,
    double: bool,
) -> (Vector<'py>, Vector<'py>) {
    let [mean, variance] = [mean, variance].map(|x| x.as_array().to_vec());
    let frame =
        if double { Frame::new::<f64>(&mean, &variance, each) } else { Frame::new::<f32>(&mean, &variance, each) };
    (PyArray1::from_vec(py, frame.offset), PyArray1::from_vec(py, frame.factor))
}

/// One visit of some rows: `(mass, products, objective, change)`, what the rows add to the sums that `cmeans_update` needs
/// about the centres of `about`, and the largest change of a membership since `former`, or infinity. A model is
/// `(offset, factor, centers, whitening)`, centres in the frame; `who` are the memberships of a model, those of an array or,
/// if None, full ones.
#[pyfunction]
#[pyo3(signature = (data, who, about, former, *, m))]
fn cmeans_visit<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    who: Option<Whose<'py>>,
    about: Model<'py>,
    former: Option<Whose<'py>>,
    m: f64,
) -> PyResult<Summed<'py>> {
    with_rows!(py, data, rows => visit(py, rows, who.as_ref(), &about, former.as_ref(), m))
}

fn visit<'py, T>(
    py: Python<'py>,
    rows: Rows<'_, T>,
    who: Option<&Whose<'py>>,
    about: &Model<'py>,
    former: Option<&Whose<'py>>,
    m: f64,
) -> PyResult<Summed<'py>>
where
    T: Pixel,
    T::Real: Power + Element,
{
    let (who, former) = (Held::<T::Real>::new(who, m)?, Held::<T::Real>::new(former, m)?);
    let (who, former, about) = (who.memberships()?, former.memberships()?, model::<T::Real>(about, m));
    let former = if matches!(former, Memberships::Full) { None } else { Some(former) };
    let sums = run(py, |control| kernel::sweep(rows, who, &about, former, control))?;
    let [mass, products] = [sums.mass, sums.products].map(|x| PyArray1::from_vec(py, x));
    Ok((mass, products, sums.objective, sums.change))
}

fn model<R: Real>((offset, factor, centers, whitening): &Model<'_>, m: f64) -> kernel::Model<R> {
    let frame = Frame { offset: offset.as_array().to_vec(), factor: factor.as_array().to_vec() };
    let centers = Vec::from_iter(centers.as_array().iter().copied());
    kernel::model(&frame, &centers, whitening.as_ref().map(|w| w.as_array().to_vec()), m)
}

/// What [`Memberships`] borrow.
enum Held<'py, R: Element> {
    Full,
    Given(PyReadonlyArray2<'py, R>),
    Of(kernel::Model<R>),
}

impl<'py, R: Real + Element> Held<'py, R> {
    fn new(whose: Option<&Whose<'py>>, m: f64) -> PyResult<Self> {
        Ok(match whose {
            None => Self::Full,
            Some(Whose::Given(u)) => Self::Given(u.extract()?),
            Some(Whose::Of(of)) => Self::Of(model(of, m)),
        })
    }

    fn memberships(&self) -> PyResult<Memberships<'_, R>> {
        Ok(match self {
            Self::Full => Memberships::Full,
            Self::Given(u) => Memberships::Given(u.as_slice()?),
            Self::Of(model) => Memberships::Of(model),
        })
    }
}

type Updated<'py> = (Bound<'py, PyArray2<f64>>, Option<Vector<'py>>, Option<Vector<'py>>, Vec<bool>, Vec<bool>);

/// `(centers, covariances, whitening, conditioned, empty)` from the sums of all rows, in the frame; `covariances` is
/// `(rho, gamma, beta, base)`, base being what `cmeans_base` gives.
#[pyfunction]
#[pyo3(signature = (centers, mass, products, *, covariances, double))]
fn cmeans_update<'py>(
    py: Python<'py>,
    centers: PyReadonlyArray2<'py, f64>,
    mass: PyReadonlyArray1<'py, f64>,
    products: PyReadonlyArray1<'py, f64>,
    covariances: Option<(Vec<f64>, f64, f64, f64)>,
    double: bool,
) -> PyResult<Updated<'py>> {
    let shape = centers.as_array().dim();
    let mut centers = Vec::from_iter(centers.as_array().iter().copied());
    let sums = summed(&mass, &products);
    let base = covariances.as_ref().map_or(0.0, |given| given.3);
    let given = covariances.as_ref().map(|&(ref rho, gamma, beta, _)| Covariances { rho, gamma, beta });
    let new = run(py, |control| {
        if double {
            kernel::update::<f64>(&mut centers, &sums, given, base, control)
        } else {
            kernel::update::<f32>(&mut centers, &sums, given, base, control)
        }
    })?;
    let all = |of: fn(&kernel::Metric) -> &Vec<f64>| {
        given.map(|_| PyArray1::from_iter(py, new.metrics.iter().flat_map(|metric| of(metric).iter().copied())))
    };
    let (covariance, whitening) = (all(|metric| &metric.covariance), all(|metric| &metric.whitening));
    let conditioned = Vec::from_iter(new.metrics.iter().map(|metric| metric.conditioned));
    Ok((PyArray1::from_vec(py, centers).reshape(shape)?, covariance, whitening, conditioned, new.empty))
}

/// What conditioning by `gamma` adds, from sums in which every row is a full member.
#[pyfunction]
fn cmeans_base(
    py: Python<'_>,
    mass: PyReadonlyArray1<'_, f64>,
    products: PyReadonlyArray1<'_, f64>,
    gamma: f64,
    d: usize,
) -> PyResult<f64> {
    let sums = summed(&mass, &products);
    run(py, |control| kernel::base(&sums, gamma, d, control))
}

fn summed(mass: &PyReadonlyArray1<'_, f64>, products: &PyReadonlyArray1<'_, f64>) -> Sums {
    let [mass, products] = [mass, products].map(|x| x.as_array().to_vec());
    Sums { mass, products, objective: 0.0, change: 0.0 }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(cmeans, module)?)?;
    module.add_function(wrap_pyfunction!(cmeans_labels, module)?)?;
    module.add_function(wrap_pyfunction!(cmeans_farthest_from_one, module)?)?;
    module.add_function(wrap_pyfunction!(cmeans_frame, module)?)?;
    module.add_function(wrap_pyfunction!(cmeans_visit, module)?)?;
    module.add_function(wrap_pyfunction!(cmeans_update, module)?)?;
    module.add_function(wrap_pyfunction!(cmeans_base, module)?)?;
    module.add_function(wrap_pyfunction!(memberships, module)?)
}
