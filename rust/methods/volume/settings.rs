//! How spectra are computed, and what is kept of them.

use crate::methods::spectra::reduction::{bins, crop};
use crate::methods::volume::harmonics;
use crate::{Error, Result};

/// What is returned of a transform F.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// |F|²
    Power,
    /// |F|
    Modulus,
}

/// What is kept of a window's spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// Everything: kz, ky = 0, 1, .. -1 and kx = 0..=N/2.
    None,
    /// Mean over the frequencies of the whole spectrum with r - 1/2 <= |k| < r + 1/2, for r = 0..=N/2.
    Radial,
    /// Frequencies |kz|, |ky| <= r and 0 <= kx <= r: kz, ky = 0..=r, -r..=-1.
    Crop(usize),
    /// Means over b × b × b frequencies about each multiple of b (for even b the outermost count half).
    Bin(usize),
    /// For each shell r = 1..=N/2 the coefficients of real spherical harmonics of even degree up to L, fitted to its values.
    Harmonics(usize),
    /// Sums of the squares of the coefficients of each degree: they do not change when the volume turns.
    Degrees(usize),
}

impl Reduce {
    /// Three lengths of what is kept of windows of side `n`.
    pub fn shape(self, n: usize) -> Result<[usize; 3]> {
        let even = |degree: usize| {
            if degree.is_multiple_of(2) && degree <= harmonics::MOST {
                return Ok(());
            }
            let message = format!("degree {degree} is out of range; give an even one, 0 to {}", harmonics::MOST);
            Err(Error::invalid("reduce", message))
        };
        Ok(match self {
            Self::None => [n, n, n / 2 + 1],
            Self::Radial => [1, 1, n / 2 + 1],
            Self::Crop(r) => [crop(r, n)?, crop(r, n)?, r + 1],
            Self::Bin(b) => [bins(b, n)?, bins(b, n)?, n / b / 2 + 1],
            Self::Harmonics(degree) => {
                even(degree)?;
                [1, n / 2, harmonics::count(degree)]
            }
            Self::Degrees(degree) => {
                even(degree)?;
                [1, n / 2, degree / 2 + 1]
            }
        })
    }
}

/// How spectra are computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Side N of the windows in voxels, at least 8.
    pub window: usize,
    /// Distance s of neighbouring windows in voxels, along every axis.
    pub step: usize,
    /// What is returned of a transform.
    pub quantity: Quantity,
    /// What is kept of it.
    pub reduce: Reduce,
    /// Transform the periodic part of each window, not the window.
    pub periodic: bool,
    /// Voxels from the first to the second value are of the phase; none: all are.
    pub phase: Option<(f64, f64)>,
    /// Windows less of which is phase are left out: zeros.
    pub least: f64,
    /// A value near the mean of all voxels.
    pub offset: f64,
    /// Unit of voxel values: they are multiplied by it, and what is returned is divided by it or by its square. 1, unless
    /// squares would leave the range of `f32`; then a power of two.
    pub unit: f64,
}

impl Settings {
    /// Windows along z, y and x, and three lengths of what is kept; fails where the settings do not fit the volume.
    pub fn shape(&self, shape: (usize, usize, usize)) -> Result<[usize; 6]> {
        let (n, (depth, height, width)) = (self.window, shape);
        if n < 8 {
            return Err(Error::invalid("window", format!("{n} is too small; give at least 8 voxels")));
        }
        if n > MOST {
            return Err(Error::invalid("window", format!("{n} is too large; give at most {MOST} voxels")));
        }
        let most = depth.min(height).min(width);
        if n > most {
            let message =
                format!("{n} is larger than the volume of {depth} x {height} x {width} voxels; the largest is {most}");
            return Err(Error::invalid("window", message));
        }
        if self.step == 0 {
            return Err(Error::invalid("step", "0 is too small; give at least 1 voxel"));
        }
        if !(self.unit.is_finite() && self.unit > 0.0) {
            return Err(Error::invalid("unit", format!("{} is no unit; give a number above 0", self.unit)));
        }
        if !self.offset.is_finite() {
            return Err(Error::invalid("offset", format!("{} is no value of a voxel", self.offset)));
        }
        if let Some((low, high)) = self.phase.filter(|(low, high)| low.is_nan() || high.is_nan() || low > high) {
            return Err(Error::invalid("phase", format!("no value is from {low} to {high}")));
        }
        let [a, b, c] = self.reduce.shape(n)?;
        let count = |length: usize| (length - n) / self.step + 1;
        Ok([count(depth), count(height), count(width), a, b, c])
    }
}

/// The planes of larger windows are more than 100 MiB for each thread.
const MOST: usize = 256;
