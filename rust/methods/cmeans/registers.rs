//! The innermost loops, in registers of rows: differences, distances, memberships.

use super::model::{Model, PACK};
use super::power::Power;
use crate::engine::simd::{Real, Simd};

/// `z` = x - v for the d features of a group.
#[inline(always)]
pub fn subtract<S: Simd, R: Real>(simd: S, x: &[R], v: &[R], z: &mut [R]) {
    for ((x, &v), z) in x.chunks_exact(R::LINE).zip(v).zip(z.chunks_exact_mut(R::LINE)) {
        let v = R::splat(simd, v);
        for at in (0..R::LINE).step_by(R::lanes::<S>()) {
            R::store(simd, &mut z[at..], <R as Real>::sub(simd, R::load(simd, &x[at..]), v));
        }
    }
}

/// Squared distances of a group to C centres that follow each other.
#[inline(always)]
pub fn spherical<S: Simd, R: Real, const C: usize>(simd: S, x: &[R], centers: &[R], w: &mut [R]) {
    let (d, line, lanes) = (x.len() / R::LINE, R::LINE, R::lanes::<S>());
    let centers = &centers[..C * d];
    for at in (0..line).step_by(2 * lanes) {
        let mut sums = [[R::splat(simd, R::ZERO); 2]; C];
        for j in 0..d {
            // SAFETY: there are d lines, each of whole pairs of registers.
            let x = unsafe { x.get_unchecked(j * line + at..j * line + at + 2 * lanes) };
            let x = [R::load(simd, &x[..lanes]), R::load(simd, &x[lanes..])];
            for (c, sums) in sums.iter_mut().enumerate() {
                // SAFETY: c is less than C and j than d.
                let v = R::splat(simd, *unsafe { centers.get_unchecked(c * d + j) });
                for (sum, x) in sums.iter_mut().zip(x) {
                    let z = <R as Real>::sub(simd, x, v);
                    *sum = R::mul_add(simd, z, z, *sum);
                }
            }
        }
        for (w, [a, b]) in w.chunks_exact_mut(line).zip(sums) {
            R::store(simd, &mut w[at..], a);
            R::store(simd, &mut w[at + lanes..], b);
        }
    }
}

/// Squared lengths of the packed triangle times `z`.
#[inline(always)]
pub fn whitened<S: Simd, R: Real>(simd: S, z: &[R], triangle: &[R], w: &mut [R]) {
    let (d, line, lanes) = (z.len() / R::LINE, R::LINE, R::lanes::<S>());
    let zero = [R::splat(simd, R::ZERO); 2];
    for at in (0..line).step_by(2 * lanes) {
        let mut rest = triangle;
        let mut total = zero;
        for first in (0..d).step_by(PACK) {
            let mut y = [zero; PACK];
            let (rows, others) = rest.split_at((first + PACK).min(d) * PACK);
            rest = others;
            for (z, entries) in z.chunks_exact(line).zip(rows.chunks_exact(PACK)) {
                let z = [R::load(simd, &z[at..]), R::load(simd, &z[at + lanes..])];
                for (y, &entry) in y.iter_mut().zip(entries) {
                    let entry = R::splat(simd, entry);
                    *y = [R::mul_add(simd, entry, z[0], y[0]), R::mul_add(simd, entry, z[1], y[1])];
                }
            }
            for [a, b] in y {
                total = [R::mul_add(simd, a, a, total[0]), R::mul_add(simd, b, b, total[1])];
            }
        }
        R::store(simd, &mut w[at..], total[0]);
        R::store(simd, &mut w[at + lanes..], total[1]);
    }
}

/// Memberships of a register of rows: `w` from d² to u^m and, unless it is empty, `u`; adds Σ u^m d².
///
/// u = (1/d²)^q / Σ (1/d²)^q with q = 1 / (m - 1). For m = 2 then Σ u² d² = 1 / Σ (1/d²); else, with r the smallest d²
/// over each, u^m = u r (Σ r^q)^(1 - m), which takes but one power for each membership and one for each row.
#[inline(always)]
pub fn register<S: Simd, R: Power, const TWO: bool>(
    simd: S,
    w: &mut [R],
    powers: &mut [R],
    u: &mut [R],
    model: &Model<R>,
    objective: &mut [R],
) {
    let (k, line) = (model.k, R::LINE);
    let (one, least, most) = (R::splat(simd, R::ONE), R::splat(simd, least::<R>()), R::splat(simd, R::ONE));
    let most = <R as Real>::div(simd, most, least);
    let clamp = |x: &[R]| R::min(simd, R::max(simd, R::load(simd, x), least), most);
    // Reciprocals, two for one division.
    let mut nearest = most;
    let mut sum = R::splat(simd, R::ZERO);
    for c in (0..k).step_by(2) {
        let a = clamp(&w[c * line..]);
        let b = if c + 1 < k { clamp(&w[(c + 1) * line..]) } else { one };
        let both = <R as Real>::div(simd, one, <R as Real>::mul(simd, a, b));
        let (of_a, of_b) = (<R as Real>::mul(simd, both, b), <R as Real>::mul(simd, both, a));
        nearest = R::min(simd, nearest, a);
        sum = <R as Real>::add(simd, sum, of_a);
        R::store(simd, &mut w[c * line..], of_a);
        if c + 1 < k {
            nearest = R::min(simd, nearest, b);
            sum = <R as Real>::add(simd, sum, of_b);
            R::store(simd, &mut w[(c + 1) * line..], of_b);
        }
    }
    let mut scale = one;
    if !TWO {
        let exponent = R::ONE / (model.m - R::ONE);
        sum = R::splat(simd, R::ZERO);
        for c in 0..k {
            let ratio = <R as Real>::mul(simd, R::load(simd, &w[c * line..]), nearest);
            R::store(simd, &mut w[c * line..], ratio);
            let power = power(simd, ratio, exponent);
            R::store(simd, &mut powers[c * line..], power);
            sum = <R as Real>::add(simd, sum, power);
        }
        scale = power(simd, sum, R::ONE - model.m);
    }
    let share = <R as Real>::div(simd, one, sum);
    let cost = if TWO { share } else { <R as Real>::mul(simd, nearest, scale) };
    R::store(simd, objective, <R as Real>::add(simd, R::load(simd, objective), cost));
    for c in 0..k {
        let ratio = R::load(simd, &w[c * line..]);
        let new = <R as Real>::mul(simd, if TWO { ratio } else { R::load(simd, &powers[c * line..]) }, share);
        let weight = if TWO { new } else { <R as Real>::mul(simd, ratio, scale) };
        R::store(simd, &mut w[c * line..], <R as Real>::mul(simd, new, weight));
        if !u.is_empty() {
            R::store(simd, &mut u[c * line..], new);
        }
    }
}

/// x^p in every lane.
#[inline(always)]
fn power<S: Simd, R: Power>(simd: S, x: R::Lanes<S>, p: R) -> R::Lanes<S> {
    let mut lanes = [R::ZERO; 16];
    R::store(simd, &mut lanes, x);
    for x in &mut lanes[..R::lanes::<S>()] {
        *x = x.power(p);
    }
    R::load(simd, &lanes)
}

/// Squared distances count from here, far below rounding, to its reciprocal: the product of two is finite and not zero.
fn least<R: Real>() -> R {
    R::of(if size_of::<R>() == 4 { 1e-18 } else { 1e-100 })
}
