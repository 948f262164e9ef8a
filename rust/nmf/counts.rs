//! The inner loops of the Kullback-Leibler loss, on the parts of a row that hold a count.

use super::Penalty;
use super::kullback::Model;
use crate::panel::Panel;
use crate::simd::{Pixel, Real, Simd, WithSimd};

/// The registers' worth of a row that hold a count, and later X / W H there.
#[derive(Default)]
pub struct Counts<R> {
    /// Which: register `at` stands for the features from `at * width` on.
    pub at: Vec<u32>,
    /// Values in a register of the instruction set.
    pub width: usize,
    /// The counts, padded with zeros.
    pub values: Vec<R>,
    /// X / W H.
    pub ratios: Vec<R>,
}

impl<R: Real> Counts<R> {
    /// Σ ω (x ln(x / W H) − x).
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

/// Find the counts of `row`.
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
        let (all, whole) = (row.len().div_ceil(width), row.len() / width);
        counts.width = width;
        counts.at.resize(all, 0);
        counts.values.resize(all * width, T::Real::ZERO);
        let mut tail = vec![T::default(); width];
        tail[..row.len() - whole * width].copy_from_slice(&row[whole * width..]);
        let mut found = 0;
        for at in 0..all {
            let from = if at < whole { &row[at * width..(at + 1) * width] } else { &tail };
            T::Real::store(simd, &mut counts.values[found * width..], T::load(simd, from));
            counts.at[found] = at as u32;
            // Kept only if a count is there, without a branch that could not be foreseen.
            found += usize::from(from.iter().fold(false, |any, x| any | (*x != T::default())));
        }
        counts.at.truncate(found);
        counts.values.truncate(found * width);
        counts.ratios.resize(found * width, T::Real::ZERO);
    }
}

/// The line of a panel that holds register `at`, and where in each column of the line.
#[inline(always)]
fn place<R: Real, S: Simd>(at: u32) -> (usize, usize) {
    let j = at as usize * R::lanes::<S>();
    (j / R::LINE, j % R::LINE)
}

/// `counts.ratios = X / W H`.
pub struct Ratios<'a, R> {
    pub model: &'a Model<R>,
    pub counts: &'a mut Counts<R>,
    pub w: &'a [R],
}

impl<R: Real> WithSimd for Ratios<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { model, counts, w } = self;
        let width = R::lanes::<S>();
        let registers = counts.values.chunks_exact(width).zip(counts.ratios.chunks_exact_mut(width));
        for (&at, (values, ratios)) in counts.at.iter().zip(registers) {
            let (line, part) = place::<R, S>(at);
            let mut wh = R::splat(simd, model.floor);
            for (h, &w) in model.h.line(line).chunks_exact(R::LINE).zip(w) {
                wh = R::mul_add(simd, R::splat(simd, w), R::load(simd, &h[part..]), wh);
            }
            R::store(simd, ratios, <R as Real>::div(simd, R::load(simd, values), wh));
        }
    }
}

/// One multiplicative update of a row of W; returns how many of its counts moved, as a fraction.
pub struct UpdateRow<'a, R> {
    pub model: &'a Model<R>,
    pub counts: &'a mut Counts<R>,
    pub w: &'a mut [R],
    pub penalty: Penalty,
}

impl<R: Real> WithSimd for UpdateRow<'_, R> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { model, counts, w, penalty } = self;
        Ratios { model, counts, w }.with_simd(simd);
        let h = model.weighted.as_ref().unwrap_or(&model.h);
        let (mut moved, mut all) = (0.0, 0.0);
        let mut update = |t: usize, above: R| {
            let (old, below) = (w[t].f64(), model.sums[t] + penalty.l1);
            let below = below + penalty.l2 * old;
            w[t] = R::of(if below > 0.0 { old * above.f64() / below } else { 0.0 });
            moved += (w[t].f64() - old).abs() * model.sums[t];
            all += w[t].f64() * model.sums[t];
        };
        let k = model.sums.len();
        for t in (0..k / 4 * 4).step_by(4) {
            let above = above::<R, S, 4>(simd, h, counts, t);
            (0..4).for_each(|i| update(t + i, above[i]));
        }
        for t in k / 4 * 4..k {
            update(t, above::<R, S, 1>(simd, h, counts, t)[0]);
        }
        if moved > 0.0 { moved / all.max(moved) } else { 0.0 }
    }
}

/// `Σ_j ratio_j h_tj` of K components from `first` on.
#[inline(always)]
fn above<R: Real, S: Simd, const K: usize>(simd: S, h: &Panel<R>, counts: &Counts<R>, first: usize) -> [R; K] {
    let mut sums = [R::splat(simd, R::ZERO); K];
    for (&at, ratios) in counts.at.iter().zip(counts.ratios.chunks_exact(R::lanes::<S>())) {
        let (line, part) = place::<R, S>(at);
        let ratio = R::load(simd, ratios);
        let h = &h.line(line)[first * R::LINE..(first + K) * R::LINE];
        for (sum, h) in sums.iter_mut().zip(h.chunks_exact(R::LINE)) {
            *sum = R::mul_add(simd, ratio, R::load(simd, &h[part..]), *sum);
        }
    }
    sums.map(|sum| <R as Real>::sum(simd, sum))
}

/// `ratio += wᵀ (x / w H)` with the new w.
pub struct Spread<'a, R> {
    pub model: &'a Model<R>,
    pub counts: &'a mut Counts<R>,
    pub w: &'a [R],
    pub ratio: &'a mut Panel<R>,
}

impl<R: Real> WithSimd for Spread<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { model, counts, w, ratio } = self;
        Ratios { model, counts, w }.with_simd(simd);
        for (&at, ratios) in counts.at.iter().zip(counts.ratios.chunks_exact(R::lanes::<S>())) {
            let (line, part) = place::<R, S>(at);
            let x = R::load(simd, ratios);
            for (into, &w) in ratio.line_mut(line).chunks_exact_mut(R::LINE).zip(w) {
                let sum = R::mul_add(simd, R::splat(simd, w), x, R::load(simd, &into[part..]));
                R::store(simd, &mut into[part..], sum);
            }
        }
    }
}
