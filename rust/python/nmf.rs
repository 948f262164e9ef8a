//! Non-negative factors as Python sees them.

use super::arrays::{Pixels2, with_rows};
use super::outside::Outside;
use super::run::run;
use crate::engine::simd::Pixel;
use crate::methods::nmf::{self as kernel, Loss, Parameters, Penalty, Solver};
use crate::{Control, Error, Result, Rows};
use numpy::{
    Element, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray1,
    PyReadwriteArray2,
};
use pyo3::prelude::*;

fn loss_of(kullback_leibler: bool) -> Loss {
    if kullback_leibler { Loss::KullbackLeibler } else { Loss::Frobenius }
}

fn slice<R>(array: Option<&mut [R]>) -> Result<&mut [R]> {
    array.ok_or_else(|| Error::invalid("W and H", "C-contiguous arrays are needed"))
}

fn given(array: Option<PyReadonlyArray1<'_, f64>>) -> Option<Vec<f64>> {
    array.map(|array| array.as_array().to_vec())
}

/// Improve `w` (of the type in which the kernel computes on `data`) and `h` in place: `(n_iter, converged, loss)`.
#[pyfunction]
#[pyo3(signature = (data, w, h, *, mu, kullback_leibler, inner_sweeps, max_iter, tol, penalty_w, penalty_h, weights))]
#[allow(clippy::too_many_arguments)]
fn nmf(
    py: Python<'_>,
    data: Pixels2<'_>,
    w: &Bound<'_, PyAny>,
    mut h: PyReadwriteArray2<'_, f64>,
    mu: bool,
    kullback_leibler: bool,
    inner_sweeps: usize,
    max_iter: usize,
    tol: f64,
    penalty_w: (f64, f64),
    penalty_h: (f64, f64),
    weights: Option<PyReadonlyArray1<'_, f64>>,
) -> PyResult<(usize, bool, f64)> {
    let on_h = Penalty { l1: penalty_h.0, l2: penalty_h.1 };
    let parameters = Parameters { max_iter, tol, on_h, ..step(mu, kullback_leibler, inner_sweeps, penalty_w) };
    let weights = given(weights);
    let h = slice(h.as_slice_mut().ok())?;
    with_rows!(py, data, rows => {
        let fit = with_w(py, rows, w, |x, w, control| {
            kernel::nmf(x, w, h, weights.as_deref(), parameters, control)
        })?;
        Ok((fit.n_iter, fit.converged, fit.loss))
    })
}

type Vector<'py> = Bound<'py, PyArray1<f64>>;
type Partial<'py> = (Bound<'py, PyArray2<f64>>, Vector<'py>, Vector<'py>, [f64; 3]);

fn step(mu: bool, kullback_leibler: bool, inner_sweeps: usize, penalty: (f64, f64)) -> Parameters {
    let penalty = Penalty { l1: penalty.0, l2: penalty.1 };
    let solver = if mu { Solver::Mu } else { Solver::Hals };
    let loss = loss_of(kullback_leibler);
    Parameters { solver, loss, inner_sweeps, max_iter: 1, tol: 0.0, on_w: penalty, on_h: penalty }
}

/// One visit of some rows, which improves `w` in place: `(products, small, before, terms)`, what the rows add to the sums
/// that `nmf_update` needs. `h` is multiplied by the roots of the weights already for the Frobenius loss; the other needs
/// the mean of all data.
#[pyfunction]
#[pyo3(signature = (data, w, h, *, mu, kullback_leibler, inner_sweeps, penalty_w, weights, first, mean))]
#[allow(clippy::too_many_arguments)]
fn nmf_visit<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    w: &Bound<'py, PyAny>,
    h: PyReadonlyArray2<'py, f64>,
    mu: bool,
    kullback_leibler: bool,
    inner_sweeps: usize,
    penalty_w: (f64, f64),
    weights: Option<PyReadonlyArray1<'py, f64>>,
    first: bool,
    mean: f64,
) -> PyResult<Partial<'py>> {
    let (weights, parameters) = (given(weights), step(mu, kullback_leibler, inner_sweeps, penalty_w));
    let shape = h.as_array().dim();
    let h = Vec::from_iter(h.as_array().iter().copied());
    let found = with_rows!(py, data, rows => {
        with_w(py, rows, w, |x, w, control| {
            kernel::visit(x, w, &h, weights.as_deref(), parameters, first, mean, control)
        })?
    });
    Ok((
        PyArray1::from_vec(py, found.products).reshape(shape)?,
        PyArray1::from_vec(py, found.small),
        PyArray1::from_vec(py, found.before),
        found.terms,
    ))
}

/// Update `h`, as `nmf_visit` takes it, in place from the sums of all rows; returns its share of the violation.
#[pyfunction]
#[pyo3(signature = (h, products, small, *, mu, kullback_leibler, inner_sweeps, penalty_h, weights))]
#[allow(clippy::too_many_arguments)]
fn nmf_update(
    mut h: PyReadwriteArray2<'_, f64>,
    products: PyReadonlyArray2<'_, f64>,
    small: PyReadonlyArray1<'_, f64>,
    mu: bool,
    kullback_leibler: bool,
    inner_sweeps: usize,
    penalty_h: (f64, f64),
    weights: Option<PyReadonlyArray1<'_, f64>>,
) -> PyResult<f64> {
    let (weights, parameters) = (given(weights), step(mu, kullback_leibler, inner_sweeps, penalty_h));
    let products = Vec::from_iter(products.as_array().iter().copied());
    let (h, small) = (slice(h.as_slice_mut().ok())?, small.as_array().to_vec());
    Ok(kernel::update_h(h, &products, &small, weights.as_deref(), parameters))
}

/// Order `w` and `h` by falling energy and, if `scale`, let each row of H sum to 1; in place.
#[pyfunction]
#[pyo3(signature = (w, h, *, weights, scale))]
fn nmf_canonical(
    w: &Bound<'_, PyAny>,
    mut h: PyReadwriteArray2<'_, f64>,
    weights: Option<PyReadonlyArray1<'_, f64>>,
    scale: bool,
) -> PyResult<()> {
    let (weights, k) = (given(weights), h.as_array().nrows());
    let h = slice(h.as_slice_mut().ok())?;
    if let Ok(mut w) = w.extract::<PyReadwriteArray2<'_, f32>>() {
        kernel::canonical(slice(w.as_slice_mut().ok())?, h, k, weights.as_deref(), scale);
    } else {
        let mut w: PyReadwriteArray2<'_, f64> = w.extract()?;
        kernel::canonical(slice(w.as_slice_mut().ok())?, h, k, weights.as_deref(), scale);
    }
    Ok(())
}

/// Fill `w` with the maps of the spectra `h`.
#[pyfunction]
#[pyo3(signature = (data, w, h, *, kullback_leibler, max_iter, tol, penalty_w, weights))]
#[allow(clippy::too_many_arguments)]
fn nmf_maps(
    py: Python<'_>,
    data: Pixels2<'_>,
    w: &Bound<'_, PyAny>,
    h: PyReadonlyArray2<'_, f64>,
    kullback_leibler: bool,
    max_iter: usize,
    tol: f64,
    penalty_w: (f64, f64),
    weights: Option<PyReadonlyArray1<'_, f64>>,
) -> PyResult<()> {
    let penalty = Penalty { l1: penalty_w.0, l2: penalty_w.1 };
    let weights = given(weights);
    let h = Vec::from_iter(h.as_array().iter().copied());
    with_rows!(py, data, rows => {
        with_w(py, rows, w, |x, w, control| {
            let weights = weights.as_deref();
            if kullback_leibler {
                kernel::likelihood(x, &h, weights, penalty, max_iter, tol, w, control)
            } else {
                kernel::least_squares(x, &h, weights, penalty, w, control)
            }
        })
    })
}

/// The loss of given factors.
#[pyfunction]
#[pyo3(signature = (data, w, h, *, kullback_leibler, weights, mean=None))]
fn nmf_loss(
    py: Python<'_>,
    data: Pixels2<'_>,
    w: &Bound<'_, PyAny>,
    h: PyReadonlyArray2<'_, f64>,
    kullback_leibler: bool,
    weights: Option<PyReadonlyArray1<'_, f64>>,
    mean: Option<f64>,
) -> PyResult<f64> {
    let weights = given(weights);
    let h = Vec::from_iter(h.as_array().iter().copied());
    let loss = loss_of(kullback_leibler);
    with_rows!(py, data, rows => {
        with_w(py, rows, w, |x, w, control| kernel::loss(x, w, &h, weights.as_deref(), loss, mean, control))
    })
}

/// Indices of the purest rows.
#[pyfunction]
#[pyo3(signature = (data, k, weights))]
fn pure_rows(
    py: Python<'_>,
    data: Pixels2<'_>,
    k: usize,
    weights: Option<PyReadonlyArray1<'_, f64>>,
) -> PyResult<Vec<usize>> {
    let weights = given(weights);
    with_rows!(py, data, rows => run(py, |control| kernel::pure_rows(rows, k, weights.as_deref(), control)))
}

/// One pass of `pure_rows` over some rows: `(squared distance, index)` of the farthest. `known`, two numbers for each row, is
/// brought up to date.
#[pyfunction]
#[pyo3(signature = (data, known, newest, weights))]
fn pure_rows_visit(
    py: Python<'_>,
    data: Pixels2<'_>,
    mut known: PyReadwriteArray1<'_, f64>,
    newest: Option<PyReadonlyArray1<'_, f64>>,
    weights: Option<PyReadonlyArray1<'_, f64>>,
) -> PyResult<kernel::Far> {
    let (newest, weights) = (given(newest), given(weights));
    let known = slice(known.as_slice_mut().ok())?;
    with_rows!(py, data, rows => {
        run(py, |control| kernel::farthest(rows, known, newest.as_deref(), weights.as_deref(), control))
    })
}

/// Indices of the purest rows of d features that `passes` visits: an object with the methods `farthest(newest)` and
/// `row(index)`.
#[pyfunction]
#[pyo3(signature = (passes, d, k, weights))]
fn pure_rows_outside(
    py: Python<'_>,
    passes: Py<PyAny>,
    d: usize,
    k: usize,
    weights: Option<PyReadonlyArray1<'_, f64>>,
) -> PyResult<Vec<usize>> {
    let (weights, source) = (given(weights), Outside::new(passes, (0, d)));
    let result = run(py, |_| {
        kernel::choose(
            d,
            k,
            weights.as_deref(),
            |newest| {
                source.call(|passes| {
                    let newest = newest.map(|newest| PyArray1::from_slice(passes.py(), newest));
                    passes.call_method1("farthest", (newest,))?.extract()
                })
            },
            |index| {
                source.call(|passes| {
                    let row: PyReadonlyArray1<'_, f64> = passes.call_method1("row", (index,))?.extract()?;
                    Ok(row.as_array().to_vec())
                })
            },
        )
    });
    source.explain(result)
}

/// Mean of all values.
#[pyfunction]
fn mean(py: Python<'_>, data: Pixels2<'_>) -> PyResult<f64> {
    with_rows!(py, data, rows => run(py, |control| kernel::mean(rows, control)))
}

/// Call with `w`, of the type in which a kernel computes on these rows.
pub fn with_w<T, V: Send>(
    py: Python<'_>,
    rows: Rows<'_, T>,
    w: &Bound<'_, PyAny>,
    call: impl FnOnce(Rows<'_, T>, &mut [T::Real], &Control) -> Result<V> + Send,
) -> PyResult<V>
where
    T: Pixel,
    T::Real: Element,
{
    let mut w: PyReadwriteArray2<'_, T::Real> = w.extract()?;
    let w = slice(w.as_slice_mut().ok())?;
    run(py, |control| call(rows, w, control))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(nmf, module)?)?;
    module.add_function(wrap_pyfunction!(nmf_maps, module)?)?;
    module.add_function(wrap_pyfunction!(nmf_loss, module)?)?;
    module.add_function(wrap_pyfunction!(nmf_visit, module)?)?;
    module.add_function(wrap_pyfunction!(nmf_update, module)?)?;
    module.add_function(wrap_pyfunction!(nmf_canonical, module)?)?;
    module.add_function(wrap_pyfunction!(pure_rows, module)?)?;
    module.add_function(wrap_pyfunction!(pure_rows_visit, module)?)?;
    module.add_function(wrap_pyfunction!(pure_rows_outside, module)?)?;
    module.add_function(wrap_pyfunction!(mean, module)?)
}
