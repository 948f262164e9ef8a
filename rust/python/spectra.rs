//! Moving-window power spectra into an array that Python allocated.

use super::arrays::{Pixels2, with_view};
use super::run::run;
use super::settings::{from_attributes, string_enum};
use crate::methods::spectra::{Reduce, Scale, Settings, Taper, power_spectra as kernel};
use numpy::PyReadwriteArray1;
use pyo3::prelude::*;

string_enum!(Taper, "taper" {
    "hann" => Hann,
    "hann-symmetric" => HannSymmetric,
    "sqrt-hann" => SqrtHann,
    "hamming" => Hamming,
    "none" => None,
});
string_enum!(Scale, "scale" {
    "power" => Power,
    "amplitude" => Amplitude,
    "log" => Log,
    "log-plus" => LogPlus(offset),
    "log-over" => LogOver(offset),
});
string_enum!(Reduce, "reduce" { "none" => None, "radial" => Radial, "crop" => Crop(radius), "bin" => Bin(size) });
from_attributes!(Settings { window, step, taper, subtract_mean, scale, reduce, unit });

/// Windows along y and x, values along ky and kx, of an image of this height and width.
#[pyfunction]
fn spectra_shape(shape: (usize, usize), settings: Settings) -> PyResult<[usize; 4]> {
    Ok(settings.shape(shape)?)
}

/// Fill `output`, as long as the product of `spectra_shape`; returns the offset of the logarithm.
#[pyfunction]
fn power_spectra(
    py: Python<'_>,
    image: Pixels2<'_>,
    settings: Settings,
    mut output: PyReadwriteArray1<'_, f32>,
) -> PyResult<f64> {
    let output = output.as_slice_mut()?;
    with_view!(image, view => run(py, |control| kernel(view, &settings, control, output)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(spectra_shape, module)?)?;
    module.add_function(wrap_pyfunction!(power_spectra, module)?)
}
