//! Power spectra of one window's columns, from the half-transforms of its rows.
//!
//! Conventions: a window of `n` rows has `n / 2 + 1` frequencies kx. The transforms of real rows are real at kx = 0 and,
//! for even `n`, at kx = n / 2: these two are one complex column here, so that `packed = ceil(n / 2)` complex columns hold
//! a row. A half-transformed row is `stride` real parts, then `stride` imaginary parts, `stride` being `packed` rounded up
//! to whole cache lines. Columns are transformed by [`Transform`], one in each lane.

mod butterfly;
pub mod half;
mod layout;
pub mod transform;

pub use butterfly::{Z, rotate, splat};
pub use layout::{LINE, packed, stride};
pub use transform::Transform;

use crate::engine::simd::{Real, Simd, WithSimd, dispatch};
use rustfft::num_complex::Complex;

/// How the columns of windows of one size are transformed.
pub struct Columns {
    n: usize,
    transform: Transform,
}

/// The half-transformed rows of one window, and what is done to them on the way in.
#[derive(Debug, Clone, Copy)]
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
    transform: transform::Work,
    column: Vec<Complex<f32>>,
}

impl Columns {
    /// For windows of `n` rows, at least 8.
    pub fn new(n: usize) -> Self {
        Self { n, transform: Transform::new(n) }
    }

    /// Memory for one thread.
    pub fn work(&self) -> Work {
        Work { transform: self.transform.work(), column: vec![Complex::new(0.0, 0.0); self.n] }
    }

    /// `|F|²` of the first `used` packed columns (for even `n`, the first is kx = 0 and n / 2), into `out`, `n` rows of
    /// `n / 2 + 1`.
    pub fn power(&self, window: Window<'_>, used: usize, work: &mut Work, out: &mut [f32]) {
        dispatch(Power { columns: self, window, used, work: &mut *work, out: &mut *out });
        if self.n.is_multiple_of(2) {
            unpack(&work.column, out);
        }
    }
}

/// The powers at kx = 0 and n / 2 from their common column a + i b: both are real along x, so that their transforms are
/// a = (z(k) + z*(-k)) / 2 and b = (z(k) - z*(-k)) / 2i.
fn unpack(column: &[Complex<f32>], out: &mut [f32]) {
    let n = column.len();
    for (ky, out) in out.chunks_mut(n / 2 + 1).enumerate() {
        let (z, mirror) = (column[ky], column[(n - ky) % n].conj());
        out[0] = 0.25 * (z + mirror).norm_sqr();
        out[n / 2] = 0.25 * (z - mirror).norm_sqr();
    }
}

/// The columns of a window, as many at once as a register has lanes.
struct Power<'a> {
    columns: &'a Columns,
    window: Window<'a>,
    used: usize,
    work: &'a mut Work,
    out: &'a mut [f32],
}

impl WithSimd for Power<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { columns: Columns { n, transform }, window, used, work: Work { transform: work, column }, out } =
            self;
        let (n, stride) = (*n, stride(*n));
        assert!(window.rows.len() >= 2 * n * stride && window.taper.len() >= n && window.offset.len() >= n);
        assert!(used <= packed(n) && out.len() >= n * (n / 2 + 1));
        for kx in (0..used).step_by(S::F32_LANES) {
            let here = |part: &[f32]| part[kx..kx + S::F32_LANES].iter().all(|&c| c == 0.0);
            if here(window.constant) && here(&window.constant[stride..]) {
                transform.take(
                    simd,
                    work,
                    #[inline(always)]
                    |row| tapered(simd, &window, n, row, kx),
                );
            } else {
                let constant = load(simd, window.constant, stride, kx);
                transform.take(
                    simd,
                    work,
                    #[inline(always)]
                    |row| {
                        let ([re, im], c) = (tapered(simd, &window, n, row, kx), simd.splat_f32s(window.offset[row]));
                        [simd.mul_add_e_f32s(constant[0], c, re), simd.mul_add_e_f32s(constant[1], c, im)]
                    },
                );
            }
            let lanes = kx..used.min(kx + S::F32_LANES);
            let width = n / 2 + 1;
            if kx > 0 && lanes.len() == S::F32_LANES {
                transform.give(
                    simd,
                    work,
                    #[inline(always)]
                    |ky, z| {
                        let start = ky * width + kx;
                        // SAFETY: columns that there are of a row less than n, for which there is space, as was asserted.
                        f32::store(simd, unsafe { out.get_unchecked_mut(start..start + S::F32_LANES) }, norm(simd, z));
                    },
                );
            } else {
                transform.give(
                    simd,
                    work,
                    #[inline(always)]
                    |ky, z| {
                        let start = ky * width + kx;
                        store_some(simd, &mut out[start..start + lanes.len()], norm(simd, z));
                        if kx == 0 {
                            column[ky] = first_lane(simd, z);
                        }
                    },
                );
            }
        }
    }
}

/// Some columns of a half-transformed row.
#[inline(always)]
fn load<S: Simd>(simd: S, row: &[f32], stride: usize, kx: usize) -> Z<S> {
    [f32::load(simd, &row[kx..]), f32::load(simd, &row[stride + kx..])]
}

/// Some columns of row `row` of a window of `n` rows, which it has, after the taper.
#[inline(always)]
fn tapered<S: Simd>(simd: S, window: &Window<'_>, n: usize, row: usize, kx: usize) -> Z<S> {
    let stride = stride(n);
    // SAFETY: the window has as many rows, as its caller asserted.
    let (t, values) = unsafe {
        let values = window.rows.get_unchecked(2 * row * stride..2 * (row + 1) * stride);
        (*window.taper.get_unchecked(row), values)
    };
    let ([re, im], t) = (load(simd, values, stride, kx), simd.splat_f32s(t));
    [simd.mul_f32s(re, t), simd.mul_f32s(im, t)]
}

/// |z|²
#[inline(always)]
fn norm<S: Simd>(simd: S, [re, im]: Z<S>) -> S::f32s {
    simd.mul_add_e_f32s(re, re, simd.mul_f32s(im, im))
}

/// The first lanes of `x`, as many as `out` has places.
#[inline(always)]
fn store_some<S: Simd>(simd: S, out: &mut [f32], x: S::f32s) {
    if out.len() == S::F32_LANES {
        f32::store(simd, out, x);
    } else {
        simd.partial_store_f32s(out, x);
    }
}

/// The value of the first lane.
#[inline(always)]
pub fn first_lane<S: Simd>(simd: S, [re, im]: Z<S>) -> Complex<f32> {
    let first = |x: S::f32s| {
        let mut lanes = [0.0; LINE];
        f32::store(simd, &mut lanes, x);
        lanes[0]
    };
    Complex::new(first(re), first(im))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simd::on_each;
    use std::f64::consts::PI;

    impl Window<'_> {
        /// Row `y` of packed column `kx` as it enters the transform.
        fn value(&self, y: usize, kx: usize, stride: usize) -> Complex<f32> {
            let at = |row: &[f32]| Complex::new(row[kx], row[stride + kx]);
            at(&self.rows[2 * y * stride..]) * self.taper[y] + at(self.constant) * self.offset[y]
        }
    }

    /// Power of every frequency, from the definition.
    fn naive(n: usize, window: &Window<'_>) -> Vec<f64> {
        let width = n / 2 + 1;
        let mut power = vec![0.0; n * width];
        for (ky, kx) in (0..n).flat_map(|ky| (0..width).map(move |kx| (ky, kx))) {
            let mut sum = Complex::new(0.0, 0.0);
            for y in 0..n {
                let z = window.value(y, if 2 * kx == n { 0 } else { kx }, stride(n));
                let z = match kx {
                    0 if n.is_multiple_of(2) => Complex::new(z.re, 0.0),
                    _ if 2 * kx == n => Complex::new(z.im, 0.0),
                    _ => z,
                };
                let angle = -2.0 * PI * (y * ky % n) as f64 / n as f64;
                sum += Complex::new(f64::from(z.re), f64::from(z.im)) * Complex::from_polar(1.0, angle);
            }
            power[ky * width + kx] = sum.norm_sqr();
        }
        power
    }

    #[derive(Clone)]
    struct OnOne<'a>(&'a Columns, Window<'a>, usize);
    impl WithSimd for OnOne<'_> {
        type Output = Vec<f32>;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let Self(columns, window, used) = self;
            let n = columns.n;
            let (mut work, mut out) = (columns.work(), vec![0.0; n * (n / 2 + 1)]);
            super::Power { columns, window, used, work: &mut work, out: &mut out }.with_simd(simd);
            if n.is_multiple_of(2) {
                unpack(&work.column, &mut out);
            }
            out
        }
    }

    #[test]
    fn every_length_agrees_with_the_definition_on_every_instruction_set() {
        let mut state = 1u32;
        let mut random = |n: usize| {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            };
            Vec::from_iter((0..n).map(|_| next()))
        };
        for n in (8..70).chain([96, 100, 105, 121, 125, 126, 128, 144, 147, 192, 256]) {
            let (rows, taper, offset, mut constant) =
                (random(2 * n * stride(n)), random(n), random(n), random(2 * stride(n)));
            constant[stride(n)..].fill(0.5);
            let window = Window { rows: &rows, taper: &taper, offset: &offset, constant: &constant };
            let expected = naive(n, &window);
            let largest = expected.iter().fold(0.0f64, |a, &b| a.max(b));
            let columns = Columns::new(n);
            let (mut work, mut out) = (columns.work(), vec![0.0; n * (n / 2 + 1)]);
            columns.power(window, packed(n), &mut work, &mut out);
            let mut result = vec![out];
            result.extend(on_each(OnOne(&columns, window, packed(n))));
            for power in result {
                for (a, b) in power.iter().zip(&expected) {
                    assert!((f64::from(*a) - b).abs() < 1e-6 * largest, "{n}: {a} and {b}");
                }
            }
        }
    }

    #[test]
    fn columns_beyond_those_kept_are_not_touched() {
        let n = 40;
        let ones = vec![1.0; 2 * n * stride(n)];
        let window = Window { rows: &ones, taper: &ones[..n], offset: &ones[..n], constant: &ones };
        let columns = Columns::new(n);
        let mut out = vec![-1.0; n * (n / 2 + 1)];
        columns.power(window, 5, &mut columns.work(), &mut out);
        for row in out.chunks(n / 2 + 1) {
            assert!(row[..5].iter().all(|&x| x >= 0.0) && row[5..n / 2].iter().all(|&x| x == -1.0));
        }
    }
}
