//! The transform of length n of as many columns at once as a register has lanes.
//!
//! Every lane of a register is another column, so that the transform has no shuffles: Stockham's algorithm, decimating in
//! frequency (Van Loan 1992, algorithm 1.7.2), `y[q + s (r p + k)] = w^(pk) Σ_j x[q + s (p + m j)] exp(-2πi jk / r)` with
//! w = exp(-2πi / (m r)), for factors r of n, s the product of the factors before. A length with a prime factor above 7 goes
//! through rustfft, lane by lane.

use super::butterfly::{Z, butterfly, rotate, splat};
use super::layout::LINE;
use crate::engine::aligned::Aligned;
use crate::engine::simd::Simd;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::mem::swap;
use std::sync::Arc;

/// How columns of one length are transformed.
pub struct Transform {
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

/// Memory that a thread uses again for every transform.
pub struct Work {
    lanes: [Aligned<f32>; 2],
    column: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

/// Call a function of the radix.
macro_rules! by_radix {
    ($radix:expr, $f:ident($($argument:expr),*)) => {
        match $radix {
            2 => $f::<S, 2>($($argument),*),
            3 => $f::<S, 3>($($argument),*),
            4 => $f::<S, 4>($($argument),*),
            5 => $f::<S, 5>($($argument),*),
            7 => $f::<S, 7>($($argument),*),
            _ => $f::<S, 8>($($argument),*),
        }
    };
}

impl Transform {
    /// Of `n` values, at least 8.
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
        let (column, scratch) = match &self.method {
            Method::Lanes(_) => (0, 0),
            Method::OneByOne(fft) => (self.n, fft.get_inplace_scratch_len()),
        };
        let lanes = 2 * LINE * self.n;
        Work { lanes: [Aligned::new(lanes), Aligned::new(lanes)], column: zeros(column), scratch: zeros(scratch) }
    }

    /// Take the values `load(0..n)` of some columns in; [`Transform::give`] gives their transforms.
    #[inline(always)]
    pub fn take<S: Simd>(&self, simd: S, work: &mut Work, load: impl Fn(usize) -> Z<S>) {
        let x = lanes::<S>(&mut work.lanes[0], self.n);
        match &self.method {
            Method::Lanes(stages) => by_radix!(stages[0].radix, first_stage(simd, &stages[0], &load, x)),
            Method::OneByOne(_) => x.iter_mut().enumerate().for_each(|(i, x)| *x = load(i)),
        }
    }

    /// The transforms of the columns that were taken in: `store(k, values)` once for each frequency k < n.
    #[inline(always)]
    pub fn give<S: Simd>(&self, simd: S, work: &mut Work, mut store: impl FnMut(usize, Z<S>)) {
        let [x, y] = &mut work.lanes;
        let stages = match &self.method {
            Method::Lanes(stages) => stages,
            Method::OneByOne(fft) => {
                one_by_one::<S>(fft.as_ref(), self.n, x, &mut work.column, &mut work.scratch);
                lanes::<S>(x, self.n).iter().enumerate().for_each(|(k, &z)| store(k, z));
                return;
            }
        };
        let (mut x, mut y) = (lanes::<S>(x, self.n), lanes::<S>(y, self.n));
        let [first, middle @ .., last] = stages.as_slice() else { unreachable!("a plan has two stages") };
        let mut s = first.radix;
        for stage in middle {
            by_radix!(stage.radix, middle_stage(simd, stage, x, s, y));
            s *= stage.radix;
            swap(&mut x, &mut y);
        }
        by_radix!(last.radix, last_stage(simd, last, x, &mut store));
    }
}

/// `n` values of each lane.
#[inline(always)]
fn lanes<S: Simd>(buffer: &mut [f32], n: usize) -> &mut [Z<S>] {
    &mut S::as_mut_simd_f32s(buffer).0.as_chunks_mut::<2>().0[..n]
}

/// Transform each lane in place: a register of real parts, then one of imaginary parts, for each value.
fn one_by_one<S: Simd>(
    fft: &dyn Fft<f32>,
    n: usize,
    buffer: &mut [f32],
    column: &mut [Complex<f32>],
    scratch: &mut [Complex<f32>],
) {
    let width = S::F32_LANES;
    let buffer = &mut buffer[..2 * width * n];
    for lane in 0..width {
        for (z, value) in column.iter_mut().zip(buffer.chunks(2 * width)) {
            *z = Complex::new(value[lane], value[width + lane]);
        }
        fft.process_with_scratch(column, scratch);
        for (z, value) in column.iter().zip(buffer.chunks_mut(2 * width)) {
            (value[lane], value[width + lane]) = (z.re, z.im);
        }
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

/// The first stage: s = 1.
#[inline(always)]
fn first_stage<S: Simd, const R: usize>(simd: S, stage: &Stage, load: &impl Fn(usize) -> Z<S>, out: &mut [Z<S>]) {
    let m = out.len() / R;
    for (p, (y, w)) in out.as_chunks_mut::<R>().0.iter_mut().zip(stage.twiddles.as_chunks::<R>().0).enumerate() {
        let mut x = [[simd.splat_f32s(0.0); 2]; R];
        for (j, x) in x.iter_mut().enumerate() {
            *x = load(p + m * j);
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

/// The last stage, m = 1.
#[inline(always)]
fn last_stage<S: Simd, const R: usize>(simd: S, stage: &Stage, from: &[Z<S>], store: &mut impl FnMut(usize, Z<S>)) {
    let s = from.len() / R;
    for q in 0..s {
        let mut x = [from[q]; R];
        for (j, x) in x.iter_mut().enumerate() {
            *x = from[q + s * j];
        }
        butterfly(simd, &mut x, &stage.roots);
        for (k, x) in x.into_iter().enumerate() {
            store(q + s * k, x);
        }
    }
}
