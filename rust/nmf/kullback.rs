//! Σ X ln(X / W H) − X + W H, the loss of counts: only non-zero counts are visited, twice in one visit.
//!
//! `W ← W ∘ (X/WH) Hᵀ / ΣH`, then, with the new W in the same visit, `H ← H ∘ Wᵀ(X/WH) / ΣW`.

use super::update::LANES;
use super::{Fit, Parameters, Penalty, Stall, block_rows};
use crate::pass::pass;
use crate::rows::Block;
use crate::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::{Control, Result, Rows};

/// W H is not taken below this fraction of the mean of X.
const FLOOR: f64 = 1e-12;

/// Iterate. A feature's weight ω is worked into H: with H' = H ω, `(X ω) / (W H')` is `X / (W H)`.
pub fn fit<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    h: &mut [f64],
    weights: Option<&[f64]>,
    p: Parameters,
    control: &Control,
) -> Result<Fit> {
    let (n, d, k) = (x.n(), x.d(), h.len() / x.d());
    let weight = |j: usize| weights.map_or(1.0, |w| w[j]);
    let mut stall = Stall::new(if p.tol > 0.0 { loss(x, w, h, weights, control)? } else { 0.0 });
    let floor = floor(x, control)?;

    let mut result = Fit { n_iter: 0, converged: false, loss: 0.0 };
    while result.n_iter < p.max_iter && !result.converged {
        result.n_iter += 1;
        let weighted = Vec::from_iter(h.iter().enumerate().map(|(j, &h)| h * weight(j % d)));
        let state = State {
            h: Vec::from_iter(h.iter().map(|&h| T::Real::of(h))),
            weighted: Vec::from_iter(weighted.iter().map(|&h| T::Real::of(h))),
            below: Vec::from_iter(weighted.chunks(d).map(|row| row.iter().sum::<f64>() + p.on_w.l1)),
            l2: p.on_w.l2,
            floor,
        };
        let (mut ratio, mut sums) = (vec![0.0; k * d], vec![0.0; k]);
        control.expect(n as u64);
        pass(
            n,
            block_rows(n),
            control,
            w,
            |range, w| {
                let mut scratch = Vec::new();
                dispatch(Visit { x: x.block(range, &mut scratch), w, state: &state })
            },
            |part: Partial<T::Real>| {
                ratio.iter_mut().zip(&part.ratio).for_each(|(a, b)| *a += b.f64());
                sums.iter_mut().zip(&part.sums).for_each(|(a, b)| *a += b);
            },
        )?;
        for t in 0..k {
            for j in 0..d {
                let h = &mut h[t * d + j];
                let below = sums[t] + p.on_h.l1 + p.on_h.l2 * *h * weight(j);
                *h = if below > 0.0 { *h * ratio[t * d + j] / below } else { 0.0 };
            }
        }
        let least = f64::EPSILON * h.iter().fold(0.0f64, |m, &h| m.max(h));
        h.iter_mut().for_each(|h| *h = if *h < least { 0.0 } else { *h });
        if p.tol > 0.0 && result.n_iter.is_multiple_of(10) {
            result.converged = stall.stalled(loss(x, w, h, weights, control)?, p.tol);
        }
    }
    Ok(result)
}

struct State<R> {
    h: Vec<R>,
    weighted: Vec<R>,
    /// What each component's update of W is divided by.
    below: Vec<f64>,
    l2: f64,
    floor: R,
}

struct Partial<R> {
    ratio: Vec<R>,
    sums: Vec<f64>,
}

struct Visit<'a, T: Pixel> {
    x: Block<'a, T>,
    w: &'a mut [T::Real],
    state: &'a State<T::Real>,
}

impl<T: Pixel> WithSimd for Visit<'_, T> {
    type Output = Partial<T::Real>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self { x, w, state } = self;
        let d = x.d();
        let k = state.h.len() / d;
        let mut part = Partial { ratio: vec![T::Real::ZERO; k * d], sums: vec![0.0; k] };
        let mut above = vec![T::Real::ZERO; k];
        for (i, w) in w.chunks_mut(k).enumerate() {
            let row = x.row(i);
            above.fill(T::Real::ZERO);
            for (j, &x) in row.iter().enumerate().filter(|(_, x)| **x != T::default()) {
                let ratio = x.real() / model(w, &state.h, d, j, state.floor);
                for (t, above) in above.iter_mut().enumerate() {
                    *above += ratio * state.weighted[t * d + j];
                }
            }
            for (t, w) in w.iter_mut().enumerate() {
                let below = T::Real::of(state.below[t] + state.l2 * w.f64());
                *w = if below > T::Real::ZERO { *w * above[t] / below } else { T::Real::ZERO };
                part.sums[t] += w.f64();
            }
            for (j, &x) in row.iter().enumerate().filter(|(_, x)| **x != T::default()) {
                let ratio = x.real() / model(w, &state.h, d, j, state.floor);
                for (t, &w) in w.iter().enumerate() {
                    part.ratio[t * d + j] += ratio * w;
                }
            }
        }
        part
    }
}

/// (W H) at a row and column j, not below `floor`.
#[inline(always)]
fn model<R: Real>(w: &[R], h: &[R], d: usize, j: usize, floor: R) -> R {
    let wh = w.iter().enumerate().map(|(t, &w)| w * h[t * d + j]).sum();
    if wh > floor { wh } else { floor }
}

/// W H is not taken below this; positive even for no counts at all.
fn floor<T: Pixel>(x: Rows<'_, T>, control: &Control) -> Result<T::Real> {
    Ok(T::Real::of((mean(x, control)? * FLOOR).max(f64::from(f32::MIN_POSITIVE))))
}

/// Mean of all values.
pub fn mean<T: Pixel>(x: Rows<'_, T>, control: &Control) -> Result<f64> {
    let mut total = 0.0;
    control.expect(x.n() as u64);
    pass(
        x.n(),
        block_rows(x.n()),
        control,
        &mut [] as &mut [u8],
        |range, _| {
            let mut scratch = Vec::new();
            dispatch(Sum(x.block(range, &mut scratch)))
        },
        |part: f64| total += part,
    )?;
    Ok(total / (x.n() * x.d()) as f64)
}

struct Sum<'a, T>(Block<'a, T>);

impl<T: Pixel> WithSimd for Sum<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut total = 0.0;
        for i in 0..self.0.n() {
            let mut sums = [T::Real::ZERO; 4 * LANES];
            for chunk in self.0.row(i).chunks(4 * LANES) {
                sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x.real());
            }
            total += sums.iter().map(|sum| sum.f64()).sum::<f64>();
        }
        total
    }
}

/// The loss, in f64.
pub fn loss<T: Pixel>(
    x: Rows<'_, T>,
    w: &[T::Real],
    h: &[f64],
    weights: Option<&[f64]>,
    control: &Control,
) -> Result<f64> {
    let (n, d, k) = (x.n(), x.d(), h.len() / x.d());
    let floor = floor(x, control)?;
    let weight = |j: usize| weights.map_or(1.0, |w| w[j]);
    let sums = Vec::from_iter(h.chunks(d).map(|row| row.iter().enumerate().map(|(j, h)| h * weight(j)).sum::<f64>()));
    let h = Vec::from_iter(h.iter().map(|&h| T::Real::of(h)));
    let mut total = 0.0;
    control.expect(n as u64);
    pass(
        n,
        block_rows(x.n()),
        control,
        &mut [] as &mut [u8],
        |range, _| {
            let mut scratch = Vec::new();
            let block = x.block(range.clone(), &mut scratch);
            let mut sum = 0.0;
            for (i, w) in w[range.start * k..range.end * k].chunks(k).enumerate() {
                for (j, x) in block.row(i).iter().enumerate().filter(|(_, x)| **x != T::default()) {
                    let x = x.real().f64();
                    sum += weight(j) * (x * (x / model(w, &h, d, j, floor).f64()).ln() - x);
                }
                sum += w.iter().zip(&sums).map(|(w, s)| w.f64() * s).sum::<f64>();
            }
            sum
        },
        |part| total += part,
    )?;
    Ok(total)
}

/// The maps W of known spectra H: starting from equal shares, multiplicative updates of each row until its counts move
/// by less than `tol` of their sum, at most `max_iter` times.
#[allow(clippy::too_many_arguments)]
pub fn likelihood<T: Pixel>(
    x: Rows<'_, T>,
    h: &[f64],
    weights: Option<&[f64]>,
    penalty: Penalty,
    max_iter: usize,
    tol: f64,
    w: &mut [T::Real],
    control: &Control,
) -> Result<()> {
    let (n, d, k) = (x.n(), x.d(), h.len() / x.d());
    let floor = floor(x, control)?;
    let weighted = Vec::from_iter(h.iter().enumerate().map(|(j, &h)| h * weights.map_or(1.0, |w| w[j % d])));
    let below = Vec::from_iter(weighted.chunks(d).map(|row| row.iter().sum::<f64>() + penalty.l1));
    let h = Vec::from_iter(h.iter().map(|&h| T::Real::of(h)));
    control.expect(n as u64);
    pass(
        n,
        block_rows(n),
        control,
        w,
        |range, w| {
            let mut scratch = Vec::new();
            let block = x.block(range, &mut scratch);
            let mut above = vec![0.0; k];
            for (i, w) in w.chunks_mut(k).enumerate() {
                let row = block.row(i);
                let counts: f64 = row.iter().map(|x| x.real().f64()).sum();
                let share = |below: &f64| if *below > 0.0 { counts / (k as f64 * below) } else { 0.0 };
                w.iter_mut().zip(&below).for_each(|(w, below)| *w = T::Real::of(share(below)));
                for _ in 0..max_iter {
                    above.fill(0.0);
                    for (j, &x) in row.iter().enumerate().filter(|(_, x)| **x != T::default()) {
                        let ratio = (x.real() / model(w, &h, d, j, floor)).f64();
                        above.iter_mut().enumerate().for_each(|(t, above)| *above += ratio * weighted[t * d + j]);
                    }
                    let (mut moved, mut all) = (0.0, 0.0);
                    for ((w, above), below) in w.iter_mut().zip(&above).zip(&below) {
                        let old = w.f64();
                        let divisor = below + penalty.l2 * old;
                        *w = T::Real::of(if divisor > 0.0 { old * above / divisor } else { 0.0 });
                        moved += (w.f64() - old).abs() * below;
                        all += w.f64() * below;
                    }
                    if moved <= tol * all {
                        break;
                    }
                }
                if control.check().is_err() {
                    return;
                }
            }
        },
        |()| (),
    )
}
