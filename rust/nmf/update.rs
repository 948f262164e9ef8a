//! The small updates of W, 16 rows at a time, and of H, all columns at a time.

use super::Penalty;
use crate::simd::Real;

/// Rows that are updated side by side, one per lane.
pub const LANES: usize = 16;

/// The same component of [`LANES`] rows of W.
pub type Lane<R> = [R; LANES];

/// `H Hᵀ` of k × d values, in f64.
pub fn gram(h: &[f64], k: usize) -> Vec<f64> {
    let d = h.len() / k;
    let mut gram = vec![0.0; k * k];
    for s in 0..k {
        for t in 0..=s {
            let dot = h[s * d..][..d].iter().zip(&h[t * d..][..d]).map(|(a, b)| a * b).sum();
            gram[s * k + t] = dot;
            gram[t * k + s] = dot;
        }
    }
    gram
}

/// Fill the upper half of a symmetric k × k matrix from the lower.
pub fn mirror(matrix: &mut [f64], k: usize) {
    for s in 0..k {
        for t in 0..s {
            matrix[t * k + s] = matrix[s * k + t];
        }
    }
}

/// Rows `w` of W (r × k), as lanes.
#[inline(always)]
pub fn to_lanes<R: Real>(w: &[R], k: usize, lanes: &mut [Lane<R>]) {
    lanes.fill([R::ZERO; LANES]);
    for (i, row) in w.chunks(k).enumerate() {
        for (t, &x) in row.iter().enumerate() {
            lanes[t][i] = x;
        }
    }
}

/// Lanes back into rows of W.
#[inline(always)]
pub fn from_lanes<R: Real>(lanes: &[Lane<R>], k: usize, w: &mut [R]) {
    for (i, row) in w.chunks_mut(k).enumerate() {
        for (t, x) in row.iter_mut().enumerate() {
            *x = lanes[t][i];
        }
    }
}

/// One HALS sweep over the components of some rows: `w_t ← max(0, w_t − (Σ_s g_ts w_s − c_t) / g_tt)`, where `gram`
/// and `c` hold the penalties already. Returns the violation Σ|projected gradient| before each step.
#[inline(always)]
pub fn hals<R: Real>(w: &mut [Lane<R>], c: &[Lane<R>], gram: &[R]) -> R {
    let k = w.len();
    let mut violation = [R::ZERO; LANES];
    for t in 0..k {
        let mut gradient = [R::ZERO; LANES];
        for (s, w) in w.iter().enumerate() {
            let g = gram[t * k + s];
            for l in 0..LANES {
                gradient[l] += g * w[l];
            }
        }
        let g = gram[t * k + t];
        let inverse = if g > R::ZERO { R::ONE / g } else { R::ZERO };
        for l in 0..LANES {
            let (old, slope) = (w[t][l], gradient[l] - c[t][l]);
            let size = if slope < R::ZERO { R::ZERO - slope } else { slope };
            let held = old == R::ZERO && slope > R::ZERO;
            violation[l] += if held { R::ZERO } else { size };
            let new = old - slope * inverse;
            w[t][l] = if new > R::ZERO { new } else { R::ZERO };
        }
    }
    violation.into_iter().sum()
}

/// One multiplicative update of some rows: `w_t ← w_t c_t / (Σ_s g_ts w_s + l1)`, where `gram` holds l2 already.
#[inline(always)]
pub fn mu<R: Real>(w: &mut [Lane<R>], c: &mut [Lane<R>], gram: &[R], l1: R) {
    let k = w.len();
    for t in 0..k {
        let mut below = [l1; LANES];
        for (s, w) in w.iter().enumerate() {
            let g = gram[t * k + s];
            for l in 0..LANES {
                below[l] += g * w[l];
            }
        }
        for l in 0..LANES {
            // Nothing below means that w_t or h_t is zero: the product is zero whatever it is divided by.
            let new = w[t][l] * c[t][l] / below[l];
            c[t][l] = if below[l] > R::ZERO && new > R::of(f64::from(f32::MIN_POSITIVE)) { new } else { R::ZERO };
        }
    }
    w.copy_from_slice(c);
}

/// One HALS sweep over the rows of H, from `Wᵀ W` and `Wᵀ X`; returns the violation.
pub fn hals_h(h: &mut [f64], wtw: &[f64], wtx: &[f64], penalty: Penalty) -> f64 {
    let k = wtw.len().isqrt();
    let d = h.len() / k;
    let mut violation = 0.0;
    let mut slope = vec![0.0; d];
    for t in 0..k {
        slope.iter_mut().zip(&wtx[t * d..]).for_each(|(g, b)| *g = penalty.l1 - b);
        for (s, h) in h.chunks(d).enumerate() {
            let a = wtw[t * k + s] + if s == t { penalty.l2 } else { 0.0 };
            slope.iter_mut().zip(h).for_each(|(g, h)| *g += a * h);
        }
        let a = wtw[t * k + t] + penalty.l2;
        let inverse = if a > 0.0 { 1.0 / a } else { 0.0 };
        for (h, &g) in h[t * d..].iter_mut().zip(&slope) {
            violation += if *h == 0.0 && g > 0.0 { 0.0 } else { g.abs() };
            *h = (*h - g * inverse).max(0.0);
        }
    }
    violation
}

/// One multiplicative update of H from `Wᵀ W` and `Wᵀ X`.
pub fn mu_h(h: &mut [f64], wtw: &[f64], wtx: &[f64], penalty: Penalty) {
    let k = wtw.len().isqrt();
    let d = h.len() / k;
    let old = h.to_vec();
    let mut below = vec![0.0; d];
    for t in 0..k {
        below.fill(penalty.l1);
        for (s, h) in old.chunks(d).enumerate() {
            let a = wtw[t * k + s] + if s == t { penalty.l2 } else { 0.0 };
            below.iter_mut().zip(h).for_each(|(g, h)| *g += a * h);
        }
        for ((h, b), g) in h[t * d..].iter_mut().zip(&wtx[t * d..]).zip(&below) {
            *h = if *g > 0.0 { *h * b / g } else { 0.0 };
        }
    }
}
