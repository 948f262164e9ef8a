//! How transformed planes and spectra lie in memory.

use crate::methods::fft::{LINE, stride};

/// Real parts (and imaginary parts) of the jumps along x of a plane of `n` rows.
pub fn jumps(n: usize) -> usize {
    n.next_multiple_of(LINE)
}

/// Floats of a plane of `n` rows.
pub fn size(n: usize) -> usize {
    (n + 1) * 2 * stride(n) + 2 * jumps(n)
}

/// Rows of a plane: ky = 0..n, and n for the jumps along y.
#[inline(always)]
pub fn row(plane: &[f32], n: usize, ky: usize) -> [&[f32]; 2] {
    let (re, im) = plane[2 * ky * stride(n)..][..2 * stride(n)].split_at(stride(n));
    [re, im]
}

/// The jumps along x of a plane, for ky = 0..n.
#[inline(always)]
pub fn along_x(plane: &[f32], n: usize) -> [&[f32]; 2] {
    let (re, im) = plane[(n + 1) * 2 * stride(n)..].split_at(jumps(n));
    [re, im]
}

/// Values stored of kx = 0..=n / 2.
pub fn pitch(n: usize) -> usize {
    (n / 2 + 1).next_multiple_of(LINE)
}
