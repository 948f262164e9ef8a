//! Moving-window power spectra into an array that Python allocated.

use super::arrays::{Pixels2, with_view};
use super::run::run;
use crate::Error;
use crate::methods::spectra::{Reduce, Scale, Settings, Taper, power_spectra as kernel};
use numpy::PyReadwriteArray1;
use pyo3::prelude::*;

/// Window, step, taper, subtract_mean, scale and its offset ("log-plus", "log-over"), reduce and its size ("crop", "bin"), unit.
#[derive(FromPyObject)]
struct Named(usize, usize, String, bool, String, f64, String, usize, f64);

impl Named {
    fn settings(&self) -> PyResult<Settings> {
        let unknown = |argument, found: &str| Error::invalid(argument, format!("{found:?} is not known"));
        Ok(Settings {
            window: self.0,
            step: self.1,
            taper: match self.2.as_str() {
                "hann" => Taper::Hann,
                "hann-symmetric" => Taper::HannSymmetric,
                "sqrt-hann" => Taper::SqrtHann,
                "hamming" => Taper::Hamming,
                "none" => Taper::None,
                name => return Err(unknown("taper", name).into()),
            },
            subtract_mean: self.3,
            scale: match self.4.as_str() {
                "power" => Scale::Power,
                "amplitude" => Scale::Amplitude,
                "log" => Scale::Log,
                "log-plus" => Scale::LogPlus(self.5),
                "log-over" => Scale::LogOver(self.5),
                name => return Err(unknown("scale", name).into()),
            },
            reduce: match self.6.as_str() {
                "none" => Reduce::None,
                "radial" => Reduce::Radial,
                "crop" => Reduce::Crop(self.7),
                "bin" => Reduce::Bin(self.7),
                name => return Err(unknown("reduce", name).into()),
            },
            unit: self.8,
        })
    }
}

/// Windows along y and x, values along ky and kx, of an image of this height and width.
#[pyfunction]
fn spectra_shape(shape: (usize, usize), settings: Named) -> PyResult<[usize; 4]> {
    Ok(settings.settings()?.shape(shape)?)
}

/// Fill `output`, as long as the product of `spectra_shape`; returns the offset of the logarithm.
#[pyfunction]
fn power_spectra(
    py: Python<'_>,
    image: Pixels2<'_>,
    settings: Named,
    mut output: PyReadwriteArray1<'_, f32>,
) -> PyResult<f64> {
    let settings = settings.settings()?;
    let output = output.as_slice_mut()?;
    with_view!(image, view => run(py, |control| kernel(view, &settings, control, output)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(spectra_shape, module)?)?;
    module.add_function(wrap_pyfunction!(power_spectra, module)?)
}
