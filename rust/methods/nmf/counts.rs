//! The inner loops of the Kullback-Leibler loss, on the parts of a row that hold a count.

use super::parameters::Penalty;
use super::spectra::Spectra;
use crate::engine::panel::Panel;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, prefetch};

/// The registers' worth of a row that hold a count or stand beside one, and later X / W H there.
#[derive(Default)]
pub struct Counts<R> {
    /// Which chunks hold one.
    chunks: Vec<u32>,
    /// Which: register `at` stands for the features from `at * width` on.
    pub at: Vec<u32>,
    /// Values in a register of the instruction set.
    pub width: usize,
    /// The counts, padded with zeros.
    pub values: Vec<R>,
    /// X / W H.
    pub ratios: Vec<R>,
    /// X / (W H)².
    squares: Vec<R>,
}

impl<R: Real> Counts<R> {
    /// Returns Σ ω (x ln(x / W H) − x).
    pub fn loss(&self, weights: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (i, &at) in self.at.iter().enumerate() {
            for l in (0..self.width).filter(|&l| self.values[i * self.width + l] > R::ZERO) {
                let (x, ratio) = (self.values[i * self.width + l].f64(), self.ratios[i * self.width + l].f64());
                let weight = weights.get(at as usize * self.width + l).unwrap_or(&1.0);
                sum += weight * (x * ratio.ln() - x);
            }
        }
        sum
    }
}

/// Values looked at together: a whole number of registers of any width.
const CHUNK: usize = 16;

/// How far ahead in memory X is asked for: between two rows so much is computed that the hardware forgets the stream.
const PREFETCH_BYTES: usize = 4096;

/// Finds the counts of `row`.
pub struct Collect<'a, T: Pixel> {
    pub row: &'a [T],
    pub counts: &'a mut Counts<T::Real>,
}

impl<T: Pixel> WithSimd for Collect<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { row, counts } = self;
        let width = T::Real::lanes::<S>();
        let parts = CHUNK / width;
        let (chunks, rest) = row.as_chunks::<CHUNK>();
        let mut last = [T::default(); CHUNK];
        last[..rest.len()].copy_from_slice(rest);
        // First where counts are, without a branch that could not be foreseen, then what they are.
        let mut filled = 0;
        counts.chunks.resize(chunks.len() + 1, 0);
        for (c, chunk) in chunks.iter().chain([&last]).enumerate() {
            counts.chunks[filled] = c as u32;
            prefetch(chunk, PREFETCH_BYTES);
            filled += usize::from(chunk.iter().fold(false, |any, x| any | (*x != T::default())));
        }
        counts.width = width;
        counts.at.resize(filled * parts, 0);
        counts.values.resize(filled * CHUNK, T::Real::ZERO);
        counts.ratios.resize(filled * CHUNK, T::Real::ZERO);
        let into = counts.at.chunks_exact_mut(parts).zip(counts.values.chunks_exact_mut(CHUNK));
        for (&c, (at, values)) in counts.chunks[..filled].iter().zip(into) {
            let chunk = chunks.get(c as usize).unwrap_or(&last);
            for (p, (at, value)) in at.iter_mut().zip(values.chunks_exact_mut(width)).enumerate() {
                *at = c * parts as u32 + p as u32;
                T::Real::store(simd, value, T::load(simd, &chunk[p * width..]));
            }
        }
    }
}

/// Counts in f64, as parts of their total, whose inverse may be no number.
pub struct Widen<'a, R> {
    pub counts: &'a Counts<R>,
    pub total: f64,
    pub into: &'a mut Counts<f64>,
}

impl<R: Real> WithSimd for Widen<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { counts, total, into } = self;
        into.width = f64::lanes::<S>();
        into.at.clear();
        into.values.clear();
        let parts = counts.width / into.width;
        for (&at, values) in counts.at.iter().zip(counts.values.chunks_exact(counts.width)) {
            for (p, part) in values.chunks_exact(into.width).enumerate() {
                if part.iter().any(|x| *x != R::ZERO) {
                    into.at.push(at * parts as u32 + p as u32);
                    into.values.extend(part.iter().map(|x| x.f64() / total));
                }
            }
        }
        into.ratios.resize(into.values.len(), 0.0);
    }
}

/// Evaluate `$body` for groups of `$K` components from `$first` on until all `$k` are done.
macro_rules! for_groups {
    ($k:expr, $first:ident, $K:ident => $body:expr) => {{
        let mut $first = 0;
        while $first < $k {
            $first += match $k - $first {
                8.. if S::REGISTER_COUNT >= 32 => for_groups!(@one 8, $K => $body),
                6.. if S::REGISTER_COUNT >= 32 => for_groups!(@one 6, $K => $body),
                4.. => for_groups!(@one 4, $K => $body),
                2.. => for_groups!(@one 2, $K => $body),
                _ => for_groups!(@one 1, $K => $body),
            }
        }
    }};
    (@one $n:literal, $K:ident => $body:expr) => {{
        const $K: usize = $n;
        $body;
        $K
    }};
}

/// Returns where, in a panel of k, a register `at` of K components from `first` on lies: [`Real::LINE`] values apart.
#[inline(always)]
fn place<R: Real, S: Simd, const K: usize>(at: u32, k: usize, first: usize) -> std::ops::Range<usize> {
    let j = at as usize * R::lanes::<S>();
    let start = (j / R::LINE * k + first) * R::LINE + j % R::LINE;
    start..start + (K - 1) * R::LINE + R::lanes::<S>()
}

/// Spreads each of K values over all lanes.
#[inline(always)]
fn splat<R: Real, S: Simd, const K: usize>(simd: S, values: &[R]) -> [R::Lanes<S>; K] {
    let mut lanes = [R::splat(simd, R::ZERO); K];
    for (lanes, &x) in lanes.iter_mut().zip(&values[..K]) {
        *lanes = R::splat(simd, x);
    }
    lanes
}

/// `counts.ratios = X / W H`.
pub struct Ratios<'a, R> {
    pub spectra: &'a Spectra<R>,
    pub counts: &'a mut Counts<R>,
    pub w: &'a [R],
}

impl<R: Real> WithSimd for Ratios<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { spectra, counts, w } = self;
        let width = R::lanes::<S>();
        for_groups!(w.len(), first, K => {
            let group = splat::<R, S, K>(simd, &w[first..]);
            for (&at, wh) in counts.at.iter().zip(counts.ratios.chunks_exact_mut(width)) {
                let h = &spectra.h.values()[place::<R, S, K>(at, w.len(), first)];
                let mut sum = if first == 0 { R::splat(simd, spectra.floor) } else { R::load(simd, wh) };
                for t in 0..K {
                    sum = R::mul_add(simd, group[t], R::load(simd, &h[t * R::LINE..]), sum);
                }
                R::store(simd, wh, sum);
            }
        });
        for (x, ratio) in counts.values.chunks_exact(width).zip(counts.ratios.chunks_exact_mut(width)) {
            R::store(simd, ratio, <R as Real>::div(simd, R::load(simd, x), R::load(simd, ratio)));
        }
    }
}

/// One multiplicative update of a row of W.
pub struct UpdateRow<'a, R> {
    pub spectra: &'a Spectra<R>,
    pub counts: &'a mut Counts<R>,
    pub w: &'a mut [R],
    pub penalty: Penalty,
}

impl<R: Real> WithSimd for UpdateRow<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { spectra, counts, w, penalty } = self;
        Ratios { spectra, counts, w }.with_simd(simd);
        let h = spectra.weighted.as_ref().unwrap_or(&spectra.h);
        let k = w.len();
        for_groups!(k, first, K => {
            let mut sums = [R::splat(simd, R::ZERO); K];
            for (&at, ratio) in counts.at.iter().zip(counts.ratios.chunks_exact(R::lanes::<S>())) {
                let (ratio, h) = (R::load(simd, ratio), &h.values()[place::<R, S, K>(at, k, first)]);
                for t in 0..K {
                    sums[t] = R::mul_add(simd, ratio, R::load(simd, &h[t * R::LINE..]), sums[t]);
                }
            }
            for t in 0..K {
                let (w, above) = (&mut w[first + t], <R as Real>::sum(simd, sums[t]).f64());
                let (old, sum) = (w.f64(), spectra.sums[first + t]);
                let below = sum + penalty.l1 + penalty.l2 * old;
                *w = R::of(if below > 0.0 { old * above / below } else { 0.0 });
            }
        });
    }
}

/// `ratio += wᵀ (x / w H)` with the new w.
pub struct Spread<'a, R> {
    pub spectra: &'a Spectra<R>,
    pub counts: &'a mut Counts<R>,
    pub w: &'a [R],
    pub ratio: &'a mut Panel<R>,
}

impl<R: Real> WithSimd for Spread<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { spectra, counts, w, ratio } = self;
        Ratios { spectra, counts, w }.with_simd(simd);
        let into: &mut [R] = ratio.values_mut();
        for_groups!(w.len(), first, K => {
            let group = splat::<R, S, K>(simd, &w[first..]);
            for (&at, x) in counts.at.iter().zip(counts.ratios.chunks_exact(R::lanes::<S>())) {
                let (x, into) = (R::load(simd, x), &mut into[place::<R, S, K>(at, w.len(), first)]);
                for t in 0..K {
                    let into = &mut into[t * R::LINE..];
                    R::store(simd, into, R::mul_add(simd, group[t], x, R::load(simd, into)));
                }
            }
        });
    }
}

/// `above = (x / w H) Hᵀ` and, unless that is empty, `curvature = H diag(x / (w H)²) Hᵀ`, k × k; weighted.
pub struct Curvature<'a, R> {
    pub spectra: &'a Spectra<R>,
    pub counts: &'a mut Counts<R>,
    pub w: &'a [R],
    pub above: &'a mut [f64],
    pub curvature: &'a mut [f64],
}

impl<R: Real> WithSimd for Curvature<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { spectra, counts, w, above, curvature } = self;
        Ratios { spectra, counts, w }.with_simd(simd);
        let (h, weighted) = (&spectra.h, spectra.weighted.as_ref().unwrap_or(&spectra.h));
        let (k, width) = (w.len(), R::lanes::<S>());
        for_groups!(k, first, K => {
            let mut sums = [R::splat(simd, R::ZERO); K];
            for (&at, ratio) in counts.at.iter().zip(counts.ratios.chunks_exact(width)) {
                let (ratio, h) = (R::load(simd, ratio), &weighted.values()[place::<R, S, K>(at, k, first)]);
                for t in 0..K {
                    sums[t] = R::mul_add(simd, ratio, R::load(simd, &h[t * R::LINE..]), sums[t]);
                }
            }
            for t in 0..K {
                above[first + t] = <R as Real>::sum(simd, sums[t]).f64();
            }
        });
        if curvature.is_empty() {
            return;
        }
        counts.squares.resize(counts.values.len(), R::ZERO);
        let least = R::splat(simd, R::of(f64::from(f32::MIN_POSITIVE)));
        let each = counts.values.chunks_exact(width).zip(counts.ratios.chunks_exact(width));
        for (square, (x, ratio)) in counts.squares.chunks_exact_mut(width).zip(each) {
            let (x, ratio) = (R::max(simd, R::load(simd, x), least), R::load(simd, ratio));
            R::store(simd, square, <R as Real>::div(simd, <R as Real>::mul(simd, ratio, ratio), x));
        }
        for s in 0..k {
            for_groups!(s + 1, first, K => {
                let mut sums = [R::splat(simd, R::ZERO); K];
                for (&at, square) in counts.at.iter().zip(counts.squares.chunks_exact(width)) {
                    let own = R::load(simd, &weighted.values()[place::<R, S, 1>(at, k, s)]);
                    let square = <R as Real>::mul(simd, R::load(simd, square), own);
                    let h = &h.values()[place::<R, S, K>(at, k, first)];
                    for t in 0..K {
                        sums[t] = R::mul_add(simd, square, R::load(simd, &h[t * R::LINE..]), sums[t]);
                    }
                }
                for t in 0..K {
                    let sum = <R as Real>::sum(simd, sums[t]).f64();
                    (curvature[s * k + first + t], curvature[(first + t) * k + s]) = (sum, sum);
                }
            });
        }
    }
}
