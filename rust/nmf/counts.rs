//! The inner loops of the Kullback-Leibler loss, on the lines of a row that hold a count.

use super::Penalty;
use super::kullback::Model;
use crate::panel::Panel;
use crate::simd::{Pixel, Real, Simd, WithSimd};

/// The lines of a row that hold a count, padded with zeros, and later X / W H there.
#[derive(Default)]
pub struct Counts<R> {
    /// Which lines.
    pub lines: Vec<u32>,
    /// Their values.
    pub values: Vec<R>,
    /// X / W H.
    pub ratios: Vec<R>,
}

impl<R: Real> Counts<R> {
    /// Σ ω (x ln(x / W H) − x).
    pub fn loss(&self, weights: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (i, &line) in self.lines.iter().enumerate() {
            for l in (i * R::LINE..(i + 1) * R::LINE).filter(|&l| self.values[l] > R::ZERO) {
                let (x, ratio) = (self.values[l].f64(), self.ratios[l].f64());
                let weight = weights.get(line as usize * R::LINE + l % R::LINE).unwrap_or(&1.0);
                sum += weight * (x * ratio.ln() - x);
            }
        }
        sum
    }
}

/// The lines of `row` that hold a count.
pub struct Collect<'a, T: Pixel> {
    pub row: &'a [T],
    pub counts: &'a mut Counts<T::Real>,
}

impl<T: Pixel> WithSimd for Collect<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { row, counts } = self;
        let line = T::Real::LINE;
        counts.lines.resize(row.len().div_ceil(line), 0);
        counts.values.resize(counts.lines.len() * line, T::Real::ZERO);
        let mut tail = vec![T::default(); line];
        let whole = row.len() / line * line;
        tail[..row.len() - whole].copy_from_slice(&row[whole..]);
        let mut found = 0;
        for at in 0..row.len().div_ceil(line) {
            let from = if at * line < whole { &row[at * line..(at + 1) * line] } else { &tail[..line] };
            for part in (0..line).step_by(T::Real::lanes::<S>()) {
                T::Real::store(simd, &mut counts.values[found * line + part..], T::load(simd, &from[part..]));
            }
            counts.lines[found] = at as u32;
            // Kept only if a count is there, without a branch that could not be foreseen.
            found += usize::from(from.iter().fold(false, |any, x| any | (*x != T::default())));
        }
        counts.lines.truncate(found);
        counts.values.truncate(found * line);
        counts.ratios.resize(found * line, T::Real::ZERO);
    }
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
        let rows = counts.values.chunks_exact(R::LINE).zip(counts.ratios.chunks_exact_mut(R::LINE));
        for (&line, (values, ratios)) in counts.lines.iter().zip(rows) {
            let h = model.h.line(line as usize);
            for part in (0..R::LINE).step_by(R::lanes::<S>()) {
                let mut wh = R::splat(simd, model.floor);
                for (h, &w) in h.chunks_exact(R::LINE).zip(w) {
                    wh = R::mul_add(simd, R::splat(simd, w), R::load(simd, &h[part..]), wh);
                }
                R::store(simd, &mut ratios[part..], <R as Real>::div(simd, R::load(simd, &values[part..]), wh));
            }
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
    for (&line, ratios) in counts.lines.iter().zip(counts.ratios.chunks_exact(R::LINE)) {
        let h = &h.line(line as usize)[first * R::LINE..(first + K) * R::LINE];
        for part in (0..R::LINE).step_by(R::lanes::<S>()) {
            let ratio = R::load(simd, &ratios[part..]);
            for (sum, h) in sums.iter_mut().zip(h.chunks_exact(R::LINE)) {
                *sum = R::mul_add(simd, ratio, R::load(simd, &h[part..]), *sum);
            }
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
        for (&line, ratios) in counts.lines.iter().zip(counts.ratios.chunks_exact(R::LINE)) {
            let into = ratio.line_mut(line as usize);
            for part in (0..R::LINE).step_by(R::lanes::<S>()) {
                let x = R::load(simd, &ratios[part..]);
                for (into, &w) in into.chunks_exact_mut(R::LINE).zip(w) {
                    let sum = R::mul_add(simd, R::splat(simd, w), x, R::load(simd, &into[part..]));
                    R::store(simd, &mut into[part..], sum);
                }
            }
        }
    }
}
