//! The one door from Python into a kernel: releases the interpreter, catches Ctrl-C, reports progress.

use crate::engine::{pool, room};
use crate::{Control, Error, Result};
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// What is called with `(done, total)` every 100 ms of a call from this thread.
    static PROGRESS: RefCell<Option<Py<PyAny>>> = const { RefCell::new(None) };
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { .. } => PyValueError::new_err(error.to_string()),
            Error::NoRoom { .. } => PyMemoryError::new_err(error.to_string()),
            Error::Cancelled => PyKeyboardInterrupt::new_err(error.to_string()),
        }
    }
}

/// Run `kernel` without the interpreter's lock. Signals are checked and progress reported every 100 ms; the exception
/// that a signal handler or the progress callback raises ends the kernel and is raised. A panic, which is an error of
/// emcore's, becomes an exception that `except Exception` catches.
pub fn run<T: Send>(py: Python<'_>, kernel: impl FnOnce(&Control) -> Result<T> + Send) -> PyResult<T> {
    let (mut kernel, mut result) = (Some(kernel), None);
    // What a kernel leaves half done in memory that it was given is not read after an exception.
    watched(py, &mut |control| {
        result = kernel.take().map(|kernel| catch_unwind(AssertUnwindSafe(|| kernel(control))));
    })?;
    match result.expect("a kernel that ran") {
        Ok(result) => Ok(result?),
        Err(panic) => Err(internal(&*panic)),
    }
}

/// The exception for what a kernel panicked with.
fn internal(panic: &(dyn Any + Send)) -> PyErr {
    if let Some(error) = room::error_of(panic) {
        return error.clone().into(); // of a block, or of what Python called
    }
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    match text.unwrap_or("no message") {
        // faer has no other way to say so.
        text if text.contains("AllocError") => PyMemoryError::new_err(format!("not enough memory: {text}")),
        text => PyRuntimeError::new_err(format!(
            "internal error of emcore: {text}. It is no fault of yours: please report it, as SECURITY.md says, with the call and the shape and type of the data"
        )),
    }
}

/// [`run`], once for all kernels: the compiler makes that for each.
fn watched(py: Python<'_>, call: &mut (dyn FnMut(&Control) + Send)) -> PyResult<()> {
    py.check_signals()?;
    let progress = PROGRESS.with_borrow(|callback| callback.as_ref().map(|callback| callback.clone_ref(py)));
    let mut raised = None;
    py.detach(|| {
        let mut tick = |done, total| {
            Python::attach(|py| {
                let reported = progress.as_ref().map_or(Ok(()), |callback| {
                    // What the callback itself calls tells nobody, or it would be called within itself; and it gets a thread of
                    // its own, for those of the pool are busy until this call ends.
                    let (outer, threads) = (PROGRESS.take(), pool::set_num_threads_here(1));
                    let reported = callback.call1(py, (done, total)).map(drop);
                    PROGRESS.set(outer);
                    pool::set_num_threads_here(threads);
                    reported
                });
                match py.check_signals().and(reported) {
                    Ok(()) => true,
                    Err(error) => {
                        raised.get_or_insert(error);
                        false
                    }
                }
            })
        };
        pool::with_tick(&mut tick, &mut || call(&Control::new()));
    });
    raised.map_or(Ok(()), Err)
}

/// Set the callable that calls from this thread report to (None: nobody); returns the former one.
#[pyfunction]
#[pyo3(signature = (callback))]
fn set_progress(callback: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
    PROGRESS.replace(callback)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(set_progress, module)?)
}
