//! Bruker's packed spectra into an array that Python allocated.

use super::run::run;
use crate::methods::bruker::unpack;
use numpy::PyReadwriteArray3;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// Fill `out`, shape (height, width, channels) of u1, u2 or u4, from the data of a map.
#[pyfunction]
fn bruker_spectra(py: Python<'_>, data: &[u8], out: &Bound<'_, PyAny>) -> PyResult<()> {
    macro_rules! of_type {
        ($($T:ty),*) => {
            $(if let Ok(mut out) = out.extract::<PyReadwriteArray3<'_, $T>>() {
                let (height, width, channels) = out.as_array().dim();
                let out = out.as_slice_mut()?;
                return run(py, |control| unpack(data, (height, width, channels), out, control));
            })*
        };
    }
    of_type!(u8, u16, u32);
    Err(PyTypeError::new_err("out: an array of three axes of u1, u2 or u4 is needed"))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(bruker_spectra, module)?)
}
