//! Where points lie in an image, and what blocks of them read of it.

use crate::engine::rows::Rows;
use crate::engine::simd::Pixel;
use crate::methods::moments::moments;
use crate::{Control, Error, Result};
use ndarray::{ArrayView2, s};
use std::ops::Range;

/// Points along one axis of `length` pixels whose neighbourhood reaches `reach` pixels to both sides.
fn points(length: usize, reach: usize, stride: usize) -> usize {
    if length > 2 * reach { (length - 2 * reach - 1) / stride + 1 } else { 0 }
}

/// Points along y and x; fails where there are none.
pub fn grid(shape: (usize, usize), reach: usize, stride: usize) -> Result<(usize, usize)> {
    if stride == 0 {
        return Err(Error::invalid("stride", "0 is too small; give at least 1 pixel"));
    }
    let (ny, nx) = (points(shape.0, reach, stride), points(shape.1, reach, stride));
    if ny == 0 || nx == 0 {
        let (side, (height, width)) = (2 * reach + 1, shape);
        let message = format!(
            "a neighbourhood of {side} x {side} pixels does not fit into an image of {height} x {width}; give smaller ones"
        );
        return Err(Error::invalid("patch", message));
    }
    Ok((ny, nx))
}

/// Fails where `output` does not hold as many values as all points have.
pub fn check_output(output: &[f32], [ny, nx, values]: [usize; 3]) -> Result<()> {
    if output.len() == ny * nx * values {
        return Ok(());
    }
    let message = format!("{} values; {ny} x {nx} x {values} are needed", output.len());
    Err(Error::invalid("output", message))
}

/// What all blocks know of the image: a value near its mean, and the power of two that makes the rest about 1.
#[derive(Clone, Copy)]
pub struct Level {
    offset: f64,
    unit: f64,
}

/// Mean square about its mean, where the image's own is about 1, below which a patch is constant: sums of `f64` over a block
/// are exact to far less, squares of `f32` values to 1e-14.
pub const CONSTANT: f64 = 1e-9;

impl Level {
    /// Of an image, in one read of it.
    pub fn of<T: Pixel + Into<f64>>(image: ArrayView2<'_, T>, control: &Control) -> Result<Self> {
        let whole = moments(Rows::new(image), control)?;
        let n = image.nrows() as f64;
        let width = image.ncols() as f64;
        // Whole, so that sums over whole numbers stay exact.
        let mean = whole.mean.iter().sum::<f64>() / width;
        let offset = if mean.abs() > 1.0 { mean.round() } else { mean };
        let squares: f64 = whole.squares.iter().zip(&whole.mean).map(|(q, m)| q + n * (m - offset).powi(2)).sum();
        let deviation = (squares / (n * width)).sqrt();
        let unit = if deviation > 0.0 { deviation.log2().round().exp2().recip() } else { 1.0 };
        Ok(Self { offset, unit })
    }
}

/// Some rows of the image less the offset, in that unit, one after another.
pub fn rows_of<T: Pixel + Into<f64>>(image: ArrayView2<'_, T>, rows: Range<usize>, level: Level, into: &mut Vec<f64>) {
    into.clear();
    for row in image.slice(s![rows, ..]).rows() {
        into.extend(row.iter().map(|&x| (Into::<f64>::into(x) - level.offset) * level.unit));
    }
}
