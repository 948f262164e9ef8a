//! Power spectra of one window's columns, from the half-transforms of its rows.
//!
//! Conventions: a window of `n` rows has `n / 2 + 1` frequencies kx. The transforms of real rows are real at kx = 0 and,
//! for even `n`, at kx = n / 2: these two are one complex column here, so that `packed = ceil(n / 2)` complex columns hold
//! a row. A half-transformed row is `stride` real parts, then `stride` imaginary parts, `stride` being `packed` rounded up
//! to whole cache lines.
//!
//! Every lane of a register is another column, so that the transform has no shuffles: Stockham's algorithm, decimating in
//! frequency (Van Loan 1992, algorithm 1.7.2), `y[q + s (r p + k)] = w^(pk) Σ_j x[q + s (p + m j)] exp(-2πi jk / r)` with
//! w = exp(-2πi / (m r)), for factors r of n, s the product of the factors before. Windows whose length has a prime factor
//! above 7 go through rustfft column by column.

mod butterfly;
pub mod half;
mod layout;

pub use layout::{packed, stride};

use crate::engine::aligned::Aligned;
use crate::engine::simd::{Real, Simd, WithSimd, dispatch};
use butterfly::{Z, butterfly, rotate, splat};
use layout::LINE;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::ops::Range;
use std::sync::Arc;

/// How the columns of windows of one size are transformed.
pub struct Columns {
    n: usize,
    method: Method,
}

enum Method {
    Lanes(Vec<Stage>),
    OneByOne(Arc<dyn Fft<f32>>),
}

/// One factor r of n.
struct Stage {
    radix: usize,
    /// w^(pk) for p = 0..m, k = 0..r.
    twiddles: Vec<Complex<f32>>,
    /// exp(-2πi k / r)
    roots: Vec<Complex<f32>>,
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
    lanes: [Aligned<f32>; 2],
    column: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Columns {
    /// For windows of `n` rows, at least 8.
    pub fn new(n: usize) -> Self {
        let method = match factors(n) {
            Some(factors) => Method::Lanes(stages(n, &factors)),
            None => Method::OneByOne(FftPlanner::new().plan_fft_forward(n)),
        };
        Self { n, method }
    }

    /// Memory for one thread.
    pub fn work(&self) -> Work {
        let zeros = |n| vec![Complex::new(0.0, 0.0); n];
        let (lanes, scratch) = match &self.method {
            Method::Lanes(_) => (2 * LINE * self.n, 0),
            Method::OneByOne(fft) => (0, fft.get_inplace_scratch_len()),
        };
        Work { lanes: [Aligned::new(lanes), Aligned::new(lanes)], column: zeros(self.n), scratch: zeros(scratch) }
    }

    /// `|F|²` of the first `used` packed columns (for even `n`, the first is kx = 0 and n / 2), into `out`, `n` rows of
    /// `n / 2 + 1`.
    pub fn power(&self, window: Window<'_>, used: usize, work: &mut Work, out: &mut [f32]) {
        let n = self.n;
        match &self.method {
            Method::Lanes(stages) => dispatch(Lanes { n, stages, window, used, work: &mut *work, out: &mut *out }),
            Method::OneByOne(fft) => {
                for kx in (0..used).rev() {
                    for (y, z) in work.column.iter_mut().enumerate() {
                        *z = window.value(y, kx, stride(n));
                    }
                    fft.process_with_scratch(&mut work.column, &mut work.scratch);
                    for (out, z) in out.iter_mut().skip(kx).step_by(n / 2 + 1).zip(&work.column) {
                        *out = z.norm_sqr();
                    }
                }
            }
        }
        if n.is_multiple_of(2) {
            unpack(&work.column, out);
        }
    }
}

impl Window<'_> {
    /// Row `y` of packed column `kx` as it enters the transform.
    fn value(&self, y: usize, kx: usize, stride: usize) -> Complex<f32> {
        let at = |row: &[f32]| Complex::new(row[kx], row[stride + kx]);
        at(&self.rows[2 * y * stride..]) * self.taper[y] + at(self.constant) * self.offset[y]
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

/// Factors of `n` for which there is a butterfly, at least two; none for other primes.
fn factors(n: usize) -> Option<Vec<usize>> {
    let (mut remainder, mut factors) = (n, Vec::new());
    for radix in [7, 5, 3] {
        while remainder.is_multiple_of(radix) {
            factors.push(radix);
            remainder /= radix;
        }
    }
    while remainder.is_multiple_of(4) {
        factors.push(4);
        remainder /= 4;
    }
    match remainder {
        1 => {}
        2 if n > 8 && factors.last() == Some(&4) => *factors.last_mut()? = 8,
        2 => factors.push(2),
        _ => return None,
    }
    Some(factors)
}

fn stages(n: usize, factors: &[usize]) -> Vec<Stage> {
    let root = |i: usize, n: usize| {
        let (sin, cos) = (-2.0 * PI * (i % n) as f64 / n as f64).sin_cos();
        Complex::new(cos as f32, sin as f32)
    };
    let mut left = n;
    let stage = |&radix: &usize| {
        let (len, m) = (left, left / radix);
        left = m;
        let twiddles = (0..m).flat_map(|p| (0..radix).map(move |k| root(p * k, len))).collect();
        Stage { radix, twiddles, roots: (0..radix).map(|k| root(k, radix)).collect() }
    };
    factors.iter().map(stage).collect()
}

/// The columns of a window, as many at once as a register has lanes.
struct Lanes<'a> {
    n: usize,
    stages: &'a [Stage],
    window: Window<'a>,
    used: usize,
    work: &'a mut Work,
    out: &'a mut [f32],
}

/// Call a function of the radix, and perhaps of a flag.
macro_rules! by_radix {
    ($radix:expr, $f:ident($($argument:expr),*) $(, $flag:literal)?) => {
        match $radix {
            2 => $f::<S, 2 $(, $flag)?>($($argument),*),
            3 => $f::<S, 3 $(, $flag)?>($($argument),*),
            4 => $f::<S, 4 $(, $flag)?>($($argument),*),
            5 => $f::<S, 5 $(, $flag)?>($($argument),*),
            7 => $f::<S, 7 $(, $flag)?>($($argument),*),
            _ => $f::<S, 8 $(, $flag)?>($($argument),*),
        }
    };
}

impl WithSimd for Lanes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { n, stages, window, used, work: Work { lanes: [x, y], column, .. }, out } = self;
        let mut x = &mut S::as_mut_simd_f32s(x).0.as_chunks_mut::<2>().0[..n];
        let mut y = &mut S::as_mut_simd_f32s(y).0.as_chunks_mut::<2>().0[..n];
        let [first, middle @ .., last] = stages else { unreachable!("a plan has two stages") };
        let stride = stride(n);
        assert!(window.rows.len() >= 2 * n * stride && window.taper.len() >= n && window.offset.len() >= n);
        assert!(used <= packed(n) && out.len() >= n * (n / 2 + 1));
        for kx in (0..used).step_by(S::F32_LANES) {
            if window.constant[kx..kx + S::F32_LANES]
                .iter()
                .chain(&window.constant[stride + kx..][..S::F32_LANES])
                .all(|&c| c == 0.0)
            {
                by_radix!(first.radix, load_stage(simd, first, &window, kx, x), false);
            } else {
                by_radix!(first.radix, load_stage(simd, first, &window, kx, x), true);
            }
            let mut s = first.radix;
            for stage in middle {
                by_radix!(stage.radix, middle_stage(simd, stage, x, s, y));
                s *= stage.radix;
                (x, y) = (y, x);
            }
            let lanes = kx..used.min(kx + S::F32_LANES);
            if kx > 0 && lanes.len() == S::F32_LANES {
                by_radix!(last.radix, store_stage(simd, last, x, lanes, column, out), true);
            } else {
                by_radix!(last.radix, store_stage(simd, last, x, lanes, column, out), false);
            }
        }
    }
}

/// The first stage: rows of the window, s = 1. OFFSET: whether a row of ones has anything in these columns.
#[inline(always)]
fn load_stage<S: Simd, const R: usize, const OFFSET: bool>(
    simd: S,
    stage: &Stage,
    window: &Window<'_>,
    kx: usize,
    out: &mut [Z<S>],
) {
    let (m, stride) = (out.len() / R, stride(out.len()));
    let at = |row: &[f32]| [f32::load(simd, &row[kx..]), f32::load(simd, &row[stride + kx..])];
    let constant = at(window.constant);
    for (p, (y, w)) in out.as_chunks_mut::<R>().0.iter_mut().zip(stage.twiddles.as_chunks::<R>().0).enumerate() {
        let mut x = [constant; R];
        for (j, x) in x.iter_mut().enumerate() {
            let row = p + m * j;
            // SAFETY: less than n, and the window has as many rows, as was asserted.
            let (t, c, values) = unsafe {
                let values = window.rows.get_unchecked(2 * row * stride..2 * (row + 1) * stride);
                (*window.taper.get_unchecked(row), *window.offset.get_unchecked(row), values)
            };
            let ([re, im], t) = (at(values), simd.splat_f32s(t));
            *x = [simd.mul_f32s(re, t), simd.mul_f32s(im, t)];
            if OFFSET {
                let c = simd.splat_f32s(c);
                *x = [simd.mul_add_e_f32s(constant[0], c, x[0]), simd.mul_add_e_f32s(constant[1], c, x[1])];
            }
        }
        butterfly(simd, &mut x, &stage.roots);
        y[0] = x[0];
        for k in 1..R {
            y[k] = rotate(simd, x[k], splat(simd, w[k]));
        }
    }
}

/// A stage between the first and the last.
#[inline(always)]
fn middle_stage<S: Simd, const R: usize>(simd: S, stage: &Stage, from: &[Z<S>], s: usize, out: &mut [Z<S>]) {
    let apart = from.len() / R;
    for (p, (y, w)) in out.chunks_exact_mut(R * s).zip(stage.twiddles.as_chunks::<R>().0).enumerate() {
        let mut twiddles = [splat(simd, w[0]); R];
        for k in 1..R {
            twiddles[k] = splat(simd, w[k]);
        }
        for q in 0..s {
            let mut x = [from[0]; R];
            for (j, x) in x.iter_mut().enumerate() {
                *x = from[q + s * p + apart * j];
            }
            butterfly(simd, &mut x, &stage.roots);
            y[q] = x[0];
            for k in 1..R {
                y[q + s * k] = rotate(simd, x[k], twiddles[k]);
            }
        }
    }
}

/// The last stage, m = 1: powers of the columns `lanes`; the first column itself also to `column`. `INNER` columns are as
/// many as a register has lanes, and the first is not among them.
#[inline(always)]
fn store_stage<S: Simd, const R: usize, const INNER: bool>(
    simd: S,
    stage: &Stage,
    from: &[Z<S>],
    lanes: Range<usize>,
    column: &mut [Complex<f32>],
    out: &mut [f32],
) {
    let (s, width) = (from.len() / R, from.len() / 2 + 1);
    for q in 0..s {
        let mut x = [from[q]; R];
        for (j, x) in x.iter_mut().enumerate() {
            *x = from[q + s * j];
        }
        butterfly(simd, &mut x, &stage.roots);
        for (k, [re, im]) in x.into_iter().enumerate() {
            let ky = q + s * k;
            let power = simd.mul_add_e_f32s(re, re, simd.mul_f32s(im, im));
            let start = ky * width + lanes.start;
            if INNER {
                // SAFETY: columns that there are of a row less than n, for which there is space, as was asserted.
                f32::store(simd, unsafe { out.get_unchecked_mut(start..start + S::F32_LANES) }, power);
                continue;
            }
            let out = &mut out[start..start + lanes.len()];
            if out.len() == S::F32_LANES {
                f32::store(simd, out, power);
            } else {
                simd.partial_store_f32s(out, power);
            }
            if lanes.start == 0 {
                column[ky] = Complex::new(first_lane(simd, re), first_lane(simd, im));
            }
        }
    }
}

#[inline(always)]
fn first_lane<S: Simd>(simd: S, x: S::f32s) -> f32 {
    let mut lanes = [0.0; LINE];
    f32::store(simd, &mut lanes, x);
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simd::on_each;

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
    struct Power<'a>(&'a Columns, Window<'a>, usize);
    impl WithSimd for Power<'_> {
        type Output = Vec<f32>;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let Self(columns, window, used) = self;
            let Columns { n, method: Method::Lanes(stages) } = columns else { unreachable!() };
            let (mut work, mut out) = (columns.work(), vec![0.0; n * (n / 2 + 1)]);
            Lanes { n: *n, stages, window, used, work: &mut work, out: &mut out }.with_simd(simd);
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
            if let Method::Lanes(_) = columns.method {
                result.extend(on_each(Power(&columns, window, packed(n))));
            }
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
