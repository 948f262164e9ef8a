//! Non-negative factors as Python sees them.

use super::arrays::{Pixels2, optional, values, with_rows};
use super::out_of_core::{Items, OutOfCore};
use super::run::run;
use super::settings::{from_attributes, string_enum};
use crate::engine::simd::Pixel;
use crate::methods::nmf::{self as kernel, Loss, Parameters, Partial, Penalty, Solver, Source, State};
use crate::{Control, Error, Result, Rows};
use numpy::{
    Element, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray1,
    PyReadwriteArray2,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

string_enum!(Solver, "solver" { "hals" => Hals, "mu" => Mu });
string_enum!(Loss, "loss" { "frobenius" => Frobenius, "kullback-leibler" => KullbackLeibler });
from_attributes!(Penalty { l1, l2 });
from_attributes!(Parameters { solver, loss, inner_sweeps, max_iter, tol, on_w, on_h, fixed });

type Vector<'py> = PyReadonlyArray1<'py, f64>;
type Matrix<'py> = PyReadonlyArray2<'py, f64>;
type Array<'py> = Bound<'py, PyArray1<f64>>;

fn contiguous<R>(array: Option<&mut [R]>) -> Result<&mut [R]> {
    array.ok_or_else(|| Error::invalid("W and H", "C-contiguous arrays are needed"))
}

/// Improve `w` (of the type in which the kernel computes on `data`) and `h` in place: `(n_iter, converged, loss)`.
#[pyfunction]
fn nmf(
    py: Python<'_>,
    data: Pixels2<'_>,
    w: &Bound<'_, PyAny>,
    mut h: PyReadwriteArray2<'_, f64>,
    parameters: Parameters,
    weights: Option<Vector<'_>>,
) -> PyResult<(usize, bool, f64)> {
    let weights = optional(weights.as_ref())?;
    let h = contiguous(h.as_slice_mut().ok())?;
    with_rows!(py, data, rows => {
        let fit = with_w(py, rows, w, |x, w, control| {
            kernel::nmf(x, w, h, weights.as_deref(), parameters, control)
        })?;
        Ok((fit.n_iter, fit.converged, fit.loss))
    })
}

/// The same of `w` and `h` of n × d data that `passes` visits: an object with the methods `mean()`, `visit(h, first, mean)`,
/// which improves its W, the array `w`, and gives what `nmf_visit` does of all rows, `loss(h, mean)` and `save(h, state)`,
/// called after each iteration. `state` is what was saved last with `w` and `h`, to go on from there.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn nmf_out_of_core(
    py: Python<'_>,
    passes: Py<PyAny>,
    shape: (usize, usize),
    w: &Bound<'_, PyAny>,
    mut h: PyReadwriteArray2<'_, f64>,
    parameters: Parameters,
    weights: Option<Vector<'_>>,
    state: Option<Items<State>>,
) -> PyResult<(usize, bool, f64)> {
    let weights = optional(weights.as_ref())?;
    let weights = weights.as_deref();
    let h = contiguous(h.as_slice_mut().ok())?;
    let mut source = OutOfCore::new(passes, shape);
    let result = run(py, |control| {
        kernel::factor(&mut source, h, weights, parameters, state.map(|Items(state)| state), control)
    });
    let fit = source.explain(result)?;
    // Only now, when no pass reads or writes W any more, is it borrowed.
    if let Ok(mut w) = w.extract::<PyReadwriteArray2<'_, f32>>() {
        let w = contiguous(w.as_slice_mut().ok())?;
        run(py, |control| kernel::canonical(shape, w, h, weights, parameters, control))?;
    } else {
        let mut w: PyReadwriteArray2<'_, f64> = w.extract()?;
        let w = contiguous(w.as_slice_mut().ok())?;
        run(py, |control| kernel::canonical(shape, w, h, weights, parameters, control))?;
    }
    Ok((fit.n_iter, fit.converged, fit.loss))
}

impl Source for OutOfCore {
    fn shape(&self) -> (usize, usize) {
        self.shape
    }

    fn mean(&mut self, _: &Control) -> Result<f64> {
        self.call(|passes| passes.call_method0("mean")?.extract())
    }

    fn visit(&mut self, h: &[f64], first: bool, mean: f64, partial: &mut Partial, _: &Control) -> Result<()> {
        *partial = self.call(|passes| {
            type Sums<'py> = (Vector<'py>, Vector<'py>, Vector<'py>, [f64; 3]);
            let h = spectra(passes.py(), h, self.shape.1)?;
            let (products, small, before, terms): Sums<'_> =
                passes.call_method1("visit", (h, first, mean))?.extract()?;
            let [products, small, before] = [values(&products)?, values(&small)?, values(&before)?];
            let [cross, norm, violation] = terms;
            Ok(Partial { products, small, before, cross, norm, violation })
        })?;
        Ok(())
    }

    fn loss(&mut self, h: &[f64], mean: f64, _: &Control) -> Result<f64> {
        self.call(|passes| passes.call_method1("loss", (spectra(passes.py(), h, self.shape.1)?, mean))?.extract())
    }

    fn save(&mut self, h: &[f64], state: &State) -> Result<()> {
        self.call(|passes| {
            let dict = PyDict::new(passes.py());
            let State { n_iter, converged, loss, norm, violation, start, last } = *state;
            dict.set_item("n_iter", n_iter)?;
            dict.set_item("converged", converged)?;
            let names = ["loss", "norm", "violation", "start", "last"];
            for (name, value) in names.into_iter().zip([loss, norm, violation, start, last]) {
                dict.set_item(name, value)?;
            }
            passes.call_method1("save", (spectra(passes.py(), h, self.shape.1)?, dict)).map(drop)
        })
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for State {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let number = |name| object.get_item(name)?.extract();
        Ok(Self {
            n_iter: object.get_item("n_iter")?.extract()?,
            converged: object.get_item("converged")?.extract()?,
            loss: number("loss")?,
            norm: number("norm")?,
            violation: number("violation")?,
            start: number("start")?,
            last: number("last")?,
        })
    }
}

/// Values of H as an array of rows of d features.
fn spectra<'py>(py: Python<'py>, h: &[f64], d: usize) -> PyResult<Bound<'py, PyArray2<f64>>> {
    PyArray1::from_slice(py, h).reshape([h.len() / d, d])
}

/// One visit of some rows, which improves `w` in place: `(products, small, before, terms)`, what the rows add to the sums of
/// an iteration. `h` is multiplied by the roots of the weights already for the Frobenius loss; the other needs the mean of
/// all data.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn nmf_visit<'py>(
    py: Python<'py>,
    data: Pixels2<'py>,
    w: &Bound<'py, PyAny>,
    h: Matrix<'py>,
    parameters: Parameters,
    weights: Option<Vector<'py>>,
    first: bool,
    mean: f64,
) -> PyResult<[Array<'py>; 4]> {
    let (weights, h) = (optional(weights.as_ref())?, values(&h)?);
    let partial = with_rows!(py, data, rows => {
        with_w(py, rows, w, |x, w, control| {
            kernel::visit(x, w, &h, weights.as_deref(), parameters, first, mean, control)
        })?
    });
    let Partial { products, small, before, cross, norm, violation } = partial;
    Ok([products, small, before, vec![cross, norm, violation]].map(|sums| PyArray1::from_vec(py, sums)))
}

/// Fill `w` with the maps of the spectra `h`.
#[pyfunction]
#[pyo3(signature = (data, w, h, *, loss, max_iter, tol, penalty, weights))]
#[allow(clippy::too_many_arguments)]
fn nmf_maps(
    py: Python<'_>,
    data: Pixels2<'_>,
    w: &Bound<'_, PyAny>,
    h: Matrix<'_>,
    loss: Loss,
    max_iter: usize,
    tol: f64,
    penalty: Penalty,
    weights: Option<Vector<'_>>,
) -> PyResult<()> {
    let (weights, h) = (optional(weights.as_ref())?, values(&h)?);
    let weights = weights.as_deref();
    with_rows!(py, data, rows => {
        with_w(py, rows, w, |x, w, control| match loss {
            Loss::KullbackLeibler => kernel::likelihood(x, &h, weights, penalty, max_iter, tol, w, control),
            Loss::Frobenius => kernel::least_squares(x, &h, weights, penalty, w, control),
        })
    })
}

/// The loss of given factors.
#[pyfunction]
#[pyo3(signature = (data, w, h, *, loss, weights, mean=None))]
fn nmf_loss(
    py: Python<'_>,
    data: Pixels2<'_>,
    w: &Bound<'_, PyAny>,
    h: Matrix<'_>,
    loss: Loss,
    weights: Option<Vector<'_>>,
    mean: Option<f64>,
) -> PyResult<f64> {
    let (weights, h) = (optional(weights.as_ref())?, values(&h)?);
    with_rows!(py, data, rows => {
        with_w(py, rows, w, |x, w, control| kernel::loss(x, w, &h, weights.as_deref(), loss, mean, control))
    })
}

/// Indices of the purest rows, `scaled` to sum 1 or as they are.
#[pyfunction]
#[pyo3(signature = (data, k, weights, scaled=true))]
fn pure_rows(
    py: Python<'_>,
    data: Pixels2<'_>,
    k: usize,
    weights: Option<Vector<'_>>,
    scaled: bool,
) -> PyResult<Vec<usize>> {
    let weights = optional(weights.as_ref())?;
    with_rows!(py, data, rows => run(py, |control| kernel::pure_rows(rows, k, weights.as_deref(), scaled, control)))
}

/// One pass of `pure_rows` over some rows: `(squared distance, index)` of the farthest. `state`, two numbers for each row, is
/// brought up to date.
#[pyfunction]
fn pure_rows_visit(
    py: Python<'_>,
    data: Pixels2<'_>,
    mut state: PyReadwriteArray1<'_, f64>,
    newest: Option<Vector<'_>>,
    weights: Option<Vector<'_>>,
) -> PyResult<kernel::Farthest> {
    let [newest, weights] = [optional(newest.as_ref())?, optional(weights.as_ref())?];
    let state = contiguous(state.as_slice_mut().ok())?;
    with_rows!(py, data, rows => {
        run(py, |control| kernel::farthest(rows, state, newest.as_deref(), weights.as_deref(), true, control))
    })
}

/// Indices of the purest rows of d features that `passes` visits: an object with the methods `farthest(newest)` and
/// `row(index)`.
#[pyfunction]
fn pure_rows_out_of_core(
    py: Python<'_>,
    passes: Py<PyAny>,
    d: usize,
    k: usize,
    weights: Option<Vector<'_>>,
) -> PyResult<Vec<usize>> {
    let (weights, source) = (optional(weights.as_ref())?, OutOfCore::new(passes, (0, d)));
    let farthest = |newest: Option<&[f64]>| {
        source.call(|passes| {
            let newest = newest.map(|newest| PyArray1::from_slice(passes.py(), newest));
            passes.call_method1("farthest", (newest,))?.extract()
        })
    };
    let row =
        |index| source.call(|passes| Ok(values(&passes.call_method1("row", (index,))?.extract::<Vector<'_>>()?)?));
    let result = run(py, |_| kernel::choose(d, k, weights.as_deref(), farthest, row));
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
    let w = contiguous(w.as_slice_mut().ok())?;
    run(py, |control| call(rows, w, control))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(nmf, module)?)?;
    module.add_function(wrap_pyfunction!(nmf_out_of_core, module)?)?;
    module.add_function(wrap_pyfunction!(nmf_visit, module)?)?;
    module.add_function(wrap_pyfunction!(nmf_maps, module)?)?;
    module.add_function(wrap_pyfunction!(nmf_loss, module)?)?;
    module.add_function(wrap_pyfunction!(pure_rows, module)?)?;
    module.add_function(wrap_pyfunction!(pure_rows_visit, module)?)?;
    module.add_function(wrap_pyfunction!(pure_rows_out_of_core, module)?)?;
    module.add_function(wrap_pyfunction!(mean, module)?)
}
