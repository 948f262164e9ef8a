//! Power spectra of a volume's windows into an array that Python allocated.

use super::arrays::view;
use super::run::run;
use super::settings::{from_attributes, string_enum};
use crate::methods::volume::{Quantity, Reduce, Settings, volume_spectra as kernel};
use numpy::{PyReadonlyArray3, PyReadwriteArray1};
use pyo3::prelude::*;

/// A 3-D array of one of the pixel types.
#[derive(FromPyObject)]
enum Voxels<'py> {
    U8(PyReadonlyArray3<'py, u8>),
    U16(PyReadonlyArray3<'py, u16>),
    U32(PyReadonlyArray3<'py, u32>),
    I16(PyReadonlyArray3<'py, i16>),
    I32(PyReadonlyArray3<'py, i32>),
    F32(PyReadonlyArray3<'py, f32>),
    F64(PyReadonlyArray3<'py, f64>),
}

string_enum!(Quantity, "quantity" { "power" => Power, "modulus" => Modulus });
string_enum!(Reduce, "reduce" {
    "none" => None,
    "radial" => Radial,
    "crop" => Crop(radius),
    "bin" => Bin(size),
    "harmonics" => Harmonics(degree),
    "degrees" => Degrees(degree),
});
from_attributes!(Settings { window, step, quantity, reduce, periodic, phase, least, offset, unit });

/// Windows along z, y and x, and three lengths of what is kept, of a volume of this shape.
#[pyfunction]
fn volume_shape(shape: (usize, usize, usize), settings: Settings) -> PyResult<[usize; 6]> {
    Ok(settings.shape(shape)?)
}

/// Fill `output`, as long as the product of `volume_shape`, and `fractions`, one for each window.
#[pyfunction]
fn volume_spectra(
    py: Python<'_>,
    volume: Voxels<'_>,
    settings: Settings,
    mut output: PyReadwriteArray1<'_, f32>,
    mut fractions: PyReadwriteArray1<'_, f32>,
) -> PyResult<()> {
    let (output, fractions) = (output.as_slice_mut()?, fractions.as_slice_mut()?);
    macro_rules! with {
        ($($kind:ident)*) => {
            match &volume {
                $(Voxels::$kind(array) => {
                    let voxels = view(array)?;
                    run(py, |control| kernel(voxels, &settings, control, output, fractions))
                })*
            }
        };
    }
    with!(U8 U16 U32 I16 I32 F32 F64)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(volume_shape, module)?)?;
    module.add_function(wrap_pyfunction!(volume_spectra, module)?)
}
