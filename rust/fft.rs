//! Power spectra of one window's columns, from its rows' half-transforms.
//!
//! Conventions: a window of `n` rows has `n / 2 + 1` frequencies kx. The transforms of real rows are real at kx = 0 and,
//! for even `n`, at kx = n / 2: these two are one complex column here, so that `packed = ceil(n / 2)` complex columns hold
//! a row. A half-transformed row is `stride` real parts, then `stride` imaginary parts, `stride` being `packed` rounded up
//! to whole cache lines.

use realfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Complex columns that hold the half-transform of a row of `n` real values.
pub fn packed(n: usize) -> usize {
    n.div_ceil(2)
}

/// Real parts (and imaginary parts) stored per half-transformed row of `n` real values.
pub fn stride(n: usize) -> usize {
    packed(n).next_multiple_of(16)
}

/// How the columns of windows of one size are transformed.
pub struct Columns {
    n: usize,
    fft: Arc<dyn Fft<f32>>,
}

/// The half-transformed rows of one window, and what is done to them on the way in.
pub struct Window<'a> {
    /// `n` half-transformed rows.
    pub rows: &'a [f32],
    /// Factor of each row: the taper.
    pub taper: &'a [f32],
    /// Multiple of `constant` added to each row after its taper.
    pub offset: &'a [f32],
    /// The half-transform of a row of ones.
    pub constant: &'a [f32],
}

/// Memory that a thread uses again for every window.
pub struct Work {
    column: Vec<Complex<f32>>,
    fft: Vec<Complex<f32>>,
}

impl Columns {
    /// For windows of `n` rows.
    pub fn new(n: usize) -> Self {
        Self { n, fft: FftPlanner::new().plan_fft_forward(n) }
    }

    /// Memory for one thread.
    pub fn work(&self) -> Work {
        let zero = Complex::new(0.0, 0.0);
        Work { column: vec![zero; self.n], fft: vec![zero; self.fft.get_inplace_scratch_len()] }
    }

    /// `|F|²` of the first `kept` packed columns, into `out`, `n` rows of `n / 2 + 1`.
    pub fn power(&self, window: &Window<'_>, kept: usize, work: &mut Work, out: &mut [f32]) {
        let (n, stride, width) = (self.n, stride(self.n), self.n / 2 + 1);
        for kx in 0..kept {
            let constant = Complex::new(window.constant[kx], window.constant[stride + kx]);
            for (y, z) in work.column.iter_mut().enumerate() {
                let row = &window.rows[y * 2 * stride..][..2 * stride];
                *z = Complex::new(row[kx], row[stride + kx]) * window.taper[y] + constant * window.offset[y];
            }
            self.fft.process_with_scratch(&mut work.column, &mut work.fft);
            if kx > 0 {
                for (ky, z) in work.column.iter().enumerate() {
                    out[ky * width + kx] = z.norm_sqr();
                }
                continue;
            }
            // Column 0 is a + i b with a and b Hermitian: a = (z(k) + z*(-k)) / 2, b = (z(k) - z*(-k)) / 2i.
            for ky in 0..n {
                let (z, mirror) = (work.column[ky], work.column[(n - ky) % n].conj());
                out[ky * width] = 0.25 * (z + mirror).norm_sqr();
                if n % 2 == 0 {
                    out[ky * width + n / 2] = 0.25 * (z - mirror).norm_sqr();
                }
            }
        }
    }
}
