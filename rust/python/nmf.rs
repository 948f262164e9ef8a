//! Non-negative factors as Python sees them.

use super::arrays::{Pixels2, with_rows};
use super::run::run;
use crate::nmf::{self as kernel, Loss, Parameters, Penalty, Solver};
use crate::simd::Pixel;
use crate::{Control, Error, Result, Rows};
use numpy::{Element, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray2};
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
#[pyo3(signature = (data, w, h, *, mu, kullback_leibler, max_iter, tol, penalty_w, penalty_h, weights))]
#[allow(clippy::too_many_arguments)]
fn nmf(
    py: Python<'_>,
    data: Pixels2<'_>,
    w: &Bound<'_, PyAny>,
    mut h: PyReadwriteArray2<'_, f64>,
    mu: bool,
    kullback_leibler: bool,
    max_iter: usize,
    tol: f64,
    penalty_w: (f64, f64),
    penalty_h: (f64, f64),
    weights: Option<PyReadonlyArray1<'_, f64>>,
) -> PyResult<(usize, bool, f64)> {
    let parameters = Parameters {
        solver: if mu { Solver::Mu } else { Solver::Hals },
        loss: loss_of(kullback_leibler),
        max_iter,
        tol,
        on_w: Penalty { l1: penalty_w.0, l2: penalty_w.1 },
        on_h: Penalty { l1: penalty_h.0, l2: penalty_h.1 },
    };
    let weights = given(weights);
    let h = slice(h.as_slice_mut().ok())?;
    with_rows!(py, data, rows => {
        let fit = with_w(py, rows, w, |x, w, control| {
            kernel::nmf(x, w, h, weights.as_deref(), parameters, control)
        })?;
        Ok((fit.n_iter, fit.converged, fit.loss))
    })
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
#[pyo3(signature = (data, w, h, *, kullback_leibler, weights))]
fn nmf_loss(
    py: Python<'_>,
    data: Pixels2<'_>,
    w: &Bound<'_, PyAny>,
    h: PyReadonlyArray2<'_, f64>,
    kullback_leibler: bool,
    weights: Option<PyReadonlyArray1<'_, f64>>,
) -> PyResult<f64> {
    let weights = given(weights);
    let h = Vec::from_iter(h.as_array().iter().copied());
    let loss = loss_of(kullback_leibler);
    with_rows!(py, data, rows => {
        with_w(py, rows, w, |x, w, control| kernel::loss(x, w, &h, weights.as_deref(), loss, control))
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
    module.add_function(wrap_pyfunction!(pure_rows, module)?)?;
    module.add_function(wrap_pyfunction!(mean, module)?)
}
