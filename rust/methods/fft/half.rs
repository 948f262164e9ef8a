//! The transform of one image row, mean removed and tapered, in the layout of [`crate::methods::fft`].
//!
//! rustfft transforms complex values; a row of even length N is transformed as N / 2 of them and untangled here, in
//! registers: with realfft, whose untangling is not vectorised, the spectra of 128-pixel windows at step 64 take a sixth
//! more time.

use crate::engine::simd::{Pixel, Simd, WithSimd, dispatch};
use crate::methods::fft::layout;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::slice;
use std::sync::Arc;

/// How rows of one length are transformed.
pub struct HalfTransform {
    taper: Vec<f64>,
    even: bool,
    /// Of N / 2 complex values for even N, else of N.
    fft: Arc<dyn Fft<f32>>,
    /// exp(-2πik / N) / 2, real parts and imaginary parts.
    twiddles: [Vec<f32>; 2],
}

/// Memory that a thread uses again for every row.
pub struct Work {
    row: Vec<f32>,
    complex: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl HalfTransform {
    /// For rows as long as `taper`, pixel values multiplied by `unit`.
    pub fn new(taper: &[f64], unit: f64) -> Self {
        let n = taper.len();
        let even = n.is_multiple_of(2);
        let twiddles =
            Vec::from_iter((0..layout::packed(n)).map(|k| Complex::from_polar(0.5, -2.0 * PI * k as f64 / n as f64)));
        Self {
            taper: taper.iter().map(|t| t * unit).collect(),
            even,
            fft: FftPlanner::new().plan_fft_forward(if even { n / 2 } else { n }),
            twiddles: [twiddles.iter().map(|z| z.re as f32).collect(), twiddles.iter().map(|z| z.im as f32).collect()],
        }
    }

    /// Memory for one thread.
    pub fn work(&self) -> Work {
        let zeros = |n| vec![Complex::new(0.0, 0.0); n];
        let (complex, scratch) = (zeros(self.fft.len()), zeros(self.fft.get_inplace_scratch_len()));
        Work { row: vec![0.0; self.taper.len()], complex, scratch }
    }

    /// Transform a row of pixels less their mean into `out`, and return the mean.
    pub fn transform<T: Pixel + Into<f64>>(&self, pixels: &[T], work: &mut Work, out: &mut [f32]) -> f64 {
        let mean = if self.even {
            // SAFETY: a complex number is its real part followed by its imaginary part.
            let pairs = unsafe { slice::from_raw_parts_mut(work.complex.as_mut_ptr().cast(), 2 * work.complex.len()) };
            dispatch(Center { pixels, taper: &self.taper, out: pairs })
        } else {
            let mean = dispatch(Center { pixels, taper: &self.taper, out: &mut work.row });
            work.complex.iter_mut().zip(&work.row).for_each(|(z, &x)| *z = x.into());
            mean
        };
        self.fft.process_with_scratch(&mut work.complex, &mut work.scratch);
        let (re, im) = out.split_at_mut(out.len() / 2);
        dispatch(Untangle { z: &work.complex, twiddles: &self.twiddles, even: self.even, re, im });
        mean
    }
}

/// The half-transform of the taper itself; what is but rounding is zero.
pub fn constant(taper: &[f64]) -> Vec<f32> {
    let n = taper.len();
    let (stride, packed) = (layout::stride(n), layout::packed(n));
    let mut transformed = Vec::from_iter(taper.iter().map(|&t| Complex::new(t, 0.0)));
    FftPlanner::new().plan_fft_forward(n).process(&mut transformed);
    let mut out = vec![0.0; 2 * stride];
    let least = 1e-14 * taper.iter().sum::<f64>();
    let narrow = |x: f64| if x.abs() < least { 0.0 } else { x as f32 };
    for (k, z) in transformed[..packed].iter().enumerate() {
        (out[k], out[stride + k]) = (narrow(z.re), narrow(z.im));
    }
    if n.is_multiple_of(2) {
        out[stride] = narrow(transformed[n / 2].re);
    }
    out
}

/// Subtract the mean of `pixels`, multiply by the taper, and return the mean. Constant pixels give exact zeros.
struct Center<'a, T> {
    pixels: &'a [T],
    taper: &'a [f64],
    out: &'a mut [f32],
}

impl<T: Pixel + Into<f64>> WithSimd for Center<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let first: f64 = self.pixels[0].into();
        let mut sums = [0.0; 16];
        let (chunks, rest) = self.pixels.as_chunks::<16>();
        for chunk in chunks {
            for (sum, &x) in sums.iter_mut().zip(chunk) {
                *sum += x.into() - first;
            }
        }
        for (sum, &x) in sums.iter_mut().zip(rest) {
            *sum += x.into() - first;
        }
        let mean = first + sums.iter().sum::<f64>() / self.pixels.len() as f64;
        for ((out, &x), &t) in self.out.iter_mut().zip(self.pixels).zip(self.taper) {
            *out = ((x.into() - mean) * t) as f32;
        }
        mean
    }
}

/// The half-transform of a row from the transform Z of its N values, or for even N of
/// x(2i) + i x(2i + 1), i < M = N / 2: X(k) = (Z(k) + Z*(M - k)) / 2 - i exp(-2πik / N) (Z(k) - Z*(M - k)) / 2.
struct Untangle<'a> {
    z: &'a [Complex<f32>],
    twiddles: &'a [Vec<f32>; 2],
    even: bool,
    re: &'a mut [f32],
    im: &'a mut [f32],
}

impl WithSimd for Untangle<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { z, twiddles: [cos, sin], even, re, im } = self;
        let m = cos.len();
        let (z, re, im, cos, sin) =
            (&z[..if even { m } else { 2 * m - 1 }], &mut re[..m], &mut im[..m], &cos[..m], &sin[..m]);
        if !even {
            for ((re, im), z) in re.iter_mut().zip(im).zip(z) {
                (*re, *im) = (z.re, z.im);
            }
            return;
        }
        for k in 1..m {
            let (a, b) = (z[k], z[m - k]);
            let (plus, minus) = (a.im + b.im, a.re - b.re);
            re[k] = 0.5 * (a.re + b.re) + cos[k] * plus + sin[k] * minus;
            im[k] = 0.5 * (a.im - b.im) - cos[k] * minus + sin[k] * plus;
        }
        (re[0], im[0]) = (z[0].re + z[0].im, z[0].re - z[0].im);
    }
}
