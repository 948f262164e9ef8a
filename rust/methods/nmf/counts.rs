//! The inner loops of the Kullback-Leibler loss, on the parts of a row that hold a count.

use super::parameters::Penalty;
use super::spectra::Spectra;
use crate::engine::filled::{Collect, Filled, dot, for_groups, place, splat, spread};
use crate::engine::panel::Panel;
use crate::engine::rows::Row;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};

/// What a row holds, and later X / W H there.
#[derive(Default)]
pub struct Counts<R> {
    /// The counts.
    pub filled: Filled<R>,
    /// X / W H.
    pub ratios: Vec<R>,
    /// X / (W H)².
    squares: Vec<R>,
}

impl<R: Real> Counts<R> {
    /// Finds those of a row.
    pub fn collect<T: Pixel<Real = R>>(&mut self, row: Row<'_, T>) {
        dispatch(Collect { row, filled: &mut self.filled });
        self.ratios.resize(self.filled.values.len(), R::ZERO);
    }

    /// Returns Σ ω (x ln(x / W H) − x).
    pub fn loss(&self, weights: &[f64]) -> f64 {
        let mut sum = 0.0;
        let Filled { at, width, values, .. } = &self.filled;
        for (i, &at) in at.iter().enumerate() {
            for l in (0..*width).filter(|&l| values[i * width + l] > R::ZERO) {
                let (x, ratio) = (values[i * width + l].f64(), self.ratios[i * width + l].f64());
                let weight = weights.get(at as usize * width + l).unwrap_or(&1.0);
                sum += weight * (x * ratio.ln() - x);
            }
        }
        sum
    }
}

/// Counts in f64, as parts of their total, whose inverse may be no number.
pub struct Widen<'a, R> {
    pub counts: &'a Filled<R>,
    pub total: f64,
    pub into: &'a mut Counts<f64>,
}

impl<R: Real> WithSimd for Widen<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { counts, total, into } = self;
        let Counts { filled: into, ratios, .. } = into;
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
        ratios.resize(into.values.len(), 0.0);
    }
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
            for (&at, wh) in counts.filled.at.iter().zip(counts.ratios.chunks_exact_mut(width)) {
                let h = &spectra.h.values()[place::<R, S, K>(at, w.len(), first)];
                let mut sum = if first == 0 { R::splat(simd, spectra.floor) } else { R::load(simd, wh) };
                for t in 0..K {
                    sum = R::mul_add(simd, group[t], R::load(simd, &h[t * R::LINE..]), sum);
                }
                R::store(simd, wh, sum);
            }
        });
        for (x, ratio) in counts.filled.values.chunks_exact(width).zip(counts.ratios.chunks_exact_mut(width)) {
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
        dot(simd, &counts.filled.at, &counts.ratios, h, |t, above| {
            let (old, sum) = (w[t].f64(), spectra.sums[t]);
            let below = sum + penalty.l1 + penalty.l2 * old;
            w[t] = R::of(if below > 0.0 { old * above.f64() / below } else { 0.0 });
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
        spread(simd, &counts.filled.at, &counts.ratios, w, ratio);
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
        dot(simd, &counts.filled.at, &counts.ratios, weighted, |t, sum| above[t] = sum.f64());
        if curvature.is_empty() {
            return;
        }
        counts.squares.resize(counts.filled.values.len(), R::ZERO);
        let least = R::splat(simd, R::of(f64::from(f32::MIN_POSITIVE)));
        let each = counts.filled.values.chunks_exact(width).zip(counts.ratios.chunks_exact(width));
        for (square, (x, ratio)) in counts.squares.chunks_exact_mut(width).zip(each) {
            let (x, ratio) = (R::max(simd, R::load(simd, x), least), R::load(simd, ratio));
            R::store(simd, square, <R as Real>::div(simd, <R as Real>::mul(simd, ratio, ratio), x));
        }
        for s in 0..k {
            for_groups!(s + 1, first, K => {
                let mut sums = [R::splat(simd, R::ZERO); K];
                for (&at, square) in counts.filled.at.iter().zip(counts.squares.chunks_exact(width)) {
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
