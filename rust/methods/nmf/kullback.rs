//! Σ X ln(X / W H) − X + W H, the loss of counts: only registers of X that hold a count are visited.
//!
//! `W ← W ∘ (X/WH) Hᵀ / ΣH`, then, with the new W in the same visit, `H ← H ∘ Wᵀ(X/WH) / ΣW`.

use super::counts::{Collect, Counts, Ratios, Spread, UpdateRow};
use super::update::{self, LANES};
use super::{Fit, Parameters, Penalty, Stall, block_rows};
use crate::engine::panel::{Panel, Workspaces};
use crate::engine::pass::pass;
use crate::engine::rows::Block;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::{Control, Result, Rows};

/// W H is taken larger by this fraction of the mean of X, so that nothing is divided by zero.
pub const FLOOR: f64 = 1e-12;

/// Iterate. A feature's weight ω is worked into H: with H' = H ω, `(X ω) / (W H')` is `X / (W H)`.
pub fn fit<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    h: &mut [f64],
    weights: Option<&[f64]>,
    p: Parameters,
    control: &Control,
) -> Result<Fit> {
    let (d, k) = (x.d(), h.len() / x.d());
    let workspaces = Workspaces::new(d, k);
    let mut model = Model::new(h, weights, floor_of(x, None, control)?, d);
    let mut stall = Stall::new(if p.tol > 0.0 { model.loss(x, w, control)? } else { 0.0 });

    let mut result = Fit { n_iter: 0, converged: false, loss: 0.0 };
    while result.n_iter < p.max_iter && !result.converged {
        result.n_iter += 1;
        let (ratio, sums) = sweep(x, w, &model, p.on_w, &workspaces, control)?;
        columns(h, &ratio, &sums, weights, p.on_h);
        model = Model::new(h, weights, model.floor, d);
        if p.tol > 0.0 && result.n_iter.is_multiple_of(10) {
            result.loss = model.loss(x, w, control)?;
            result.converged = stall.stalled(result.loss, p.tol);
        }
    }
    if !result.converged {
        result.loss = model.loss(x, w, control)?;
    }
    Ok(result)
}

/// One visit of X: the new W of every row, and with it `Wᵀ (X/WH)` (k × d) and ΣW.
pub fn sweep<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    model: &Model<T::Real>,
    penalty: Penalty,
    workspaces: &Workspaces<T::Real>,
    control: &Control,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let (n, k) = (x.n(), model.sums.len());
    let (mut ratio, mut sums) = (Panel::<f64, T::Real>::zeros(x.d(), k), vec![0.0; k]);
    control.expect(n as u64);
    pass(
        n,
        block_rows(n),
        control,
        w,
        |range, w| {
            let mut scratch = Vec::new();
            let mut ratio = workspaces.take();
            let sums = model.visit(x.block(range, &mut scratch), w, penalty, &mut ratio);
            (ratio, sums)
        },
        |(part, part_sums)| {
            ratio.add(&part);
            workspaces.put(part);
            sums.iter_mut().zip(&part_sums).for_each(|(a, b)| *a += b);
        },
    )?;
    let mut products = vec![0.0; k * x.d()];
    update::unpack::<T::Real>(&ratio, &mut products);
    Ok((products, sums))
}

/// New H from the sums over all rows.
pub fn columns(h: &mut [f64], ratio: &[f64], sums: &[f64], weights: Option<&[f64]>, penalty: Penalty) {
    let d = h.len() / sums.len();
    for ((h, ratio), sum) in h.chunks_mut(d).zip(ratio.chunks(d)).zip(sums) {
        for (j, (h, ratio)) in h.iter_mut().zip(ratio).enumerate() {
            let below = sum + penalty.l1 + penalty.l2 * *h * weights.map_or(1.0, |w| w[j]);
            *h = if below > 0.0 { *h * ratio / below } else { 0.0 };
        }
    }
    let least = f64::EPSILON * h.iter().fold(0.0f64, |m, &h| m.max(h));
    h.iter_mut().for_each(|h| *h = if *h < least { 0.0 } else { *h });
}

/// The loss, in f64. `mean` of all the data, of which these rows may be some only; by default that of the rows.
pub fn loss<T: Pixel>(
    x: Rows<'_, T>,
    w: &[T::Real],
    h: &[f64],
    weights: Option<&[f64]>,
    mean: Option<f64>,
    control: &Control,
) -> Result<f64> {
    Model::new(h, weights, floor_of(x, mean, control)?, x.d()).loss(x, w, control)
}

/// W H is not taken below this; positive even for no counts at all.
pub fn floor<R: Real>(mean: f64) -> R {
    R::of((mean * FLOOR).max(f64::from(f32::MIN_POSITIVE)))
}

fn floor_of<T: Pixel>(x: Rows<'_, T>, given: Option<f64>, control: &Control) -> Result<T::Real> {
    given.map_or_else(|| mean(x, control), Ok).map(floor)
}

/// Fixed spectra.
pub struct Model<R> {
    /// H.
    pub h: Panel<R>,
    /// H times the weights, if there are any.
    pub weighted: Option<Panel<R>>,
    /// Of the features, or none.
    pub weights: Vec<f64>,
    /// Sum of each weighted spectrum.
    pub sums: Vec<f64>,
    /// What is added to W H.
    pub floor: R,
}

impl<R: Real> Model<R> {
    /// Of spectra h, k × d.
    pub fn new(h: &[f64], weights: Option<&[f64]>, floor: R, d: usize) -> Self {
        let k = h.len() / d;
        let sum = |row: &[f64]| row.iter().enumerate().map(|(j, h)| h * weights.map_or(1.0, |w| w[j])).sum();
        Self {
            h: update::pack(h, k, None),
            weighted: weights.map(|weights| update::pack(h, k, Some(weights))),
            weights: weights.unwrap_or_default().to_vec(),
            sums: h.chunks(d).map(sum).collect(),
            floor,
        }
    }

    /// New W of a block, and with it the block's share of `Wᵀ (X/WH)`, added to `ratio`, and of ΣW.
    fn visit<T: Pixel<Real = R>>(
        &self,
        x: Block<'_, T>,
        w: &mut [R],
        penalty: Penalty,
        ratio: &mut Panel<R>,
    ) -> Vec<f64> {
        let k = self.sums.len();
        let mut counts = Counts::default();
        let mut sums = vec![0.0; k];
        for (i, w) in w.chunks_mut(k).enumerate() {
            dispatch(Collect { row: x.row(i), counts: &mut counts });
            dispatch(UpdateRow { model: self, counts: &mut counts, w, penalty });
            dispatch(Spread { model: self, counts: &mut counts, w, ratio });
            sums.iter_mut().zip(&*w).for_each(|(sum, w)| *sum += w.f64());
        }
        sums
    }

    fn loss<T: Pixel<Real = R>>(&self, x: Rows<'_, T>, w: &[R], control: &Control) -> Result<f64> {
        let k = self.sums.len();
        let mut total = 0.0;
        control.expect(x.n() as u64);
        pass(
            x.n(),
            block_rows(x.n()),
            control,
            &mut [] as &mut [u8],
            |range, _| {
                let mut scratch = Vec::new();
                let block = x.block(range.clone(), &mut scratch);
                let mut counts = Counts::default();
                let mut sum = 0.0;
                for (i, w) in w[range.start * k..range.end * k].chunks(k).enumerate() {
                    dispatch(Collect { row: block.row(i), counts: &mut counts });
                    dispatch(Ratios { model: self, counts: &mut counts, w });
                    sum += counts.loss(&self.weights);
                    sum += w.iter().zip(&self.sums).map(|(w, s)| w.f64() * s).sum::<f64>();
                }
                sum
            },
            |part| total += part,
        )?;
        Ok(total)
    }
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
