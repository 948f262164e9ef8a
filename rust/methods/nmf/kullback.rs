//! Σ X ln(X / W H) − X + W H, the loss of counts: only registers of X that hold a count are visited.
//!
//! `W ← W ∘ (X/WH) Hᵀ / ΣH`, then, with the new W in the same visit, `H ← H ∘ Wᵀ(X/WH) / ΣW`.

use super::counts::{Counts, Ratios, Spread, UpdateRow};
use super::parameters::{Partial, Penalty, block_rows};
use super::spectra::{Spectra, floor};
use super::update::{self, LANES};
use crate::engine::panel::{Panel, Workspaces};
use crate::engine::pass::pass;
use crate::engine::rows::{Part, Row};
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::{Control, Result, Rows};

/// Memory that iterations share.
pub struct Workspace<R> {
    total: Panel<f64, R>,
    partials: Workspaces<R>,
}

impl<R: Real> Workspace<R> {
    /// Makes it for k components of d features.
    pub fn new(d: usize, k: usize) -> Self {
        Self { total: Panel::zeros(d, k), partials: Workspaces::new(false, d, k) }
    }
}

/// Visits X once: the new W of every row, and with it the sums `Wᵀ (X/WH)` (k × d) and ΣW.
pub fn sweep<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    spectra: &Spectra<T::Real>,
    penalty: Penalty,
    workspace: &mut Workspace<T::Real>,
    sums: &mut Partial,
    control: &Control,
) -> Result<()> {
    let (n, k) = (x.n(), spectra.sums.len());
    let (Workspace { total, partials }, mut small) = (workspace, vec![0.0; k]);
    total.values_mut().fill(0.0);
    control.expect(n as u64);
    pass(
        n,
        block_rows(&x),
        control,
        w,
        |range, w| {
            let mut scratch = Vec::new();
            let mut ratio = partials.take();
            let small = visit(x.part(range, &mut scratch), w, spectra, penalty, &mut ratio);
            (ratio, small)
        },
        |(ratio, of_block)| {
            total.add(&ratio);
            partials.put(ratio);
            small.iter_mut().zip(&of_block).for_each(|(a, b)| *a += b);
        },
    )?;
    sums.products.resize(k * x.d(), 0.0);
    update::unpack(total, &mut sums.products);
    sums.small = small;
    Ok(())
}

/// Updates the W of a block; adds its share of `Wᵀ (X/WH)` to `ratio` and returns that of ΣW.
fn visit<T: Pixel>(
    x: Part<'_, T>,
    w: &mut [T::Real],
    spectra: &Spectra<T::Real>,
    penalty: Penalty,
    ratio: &mut Panel<T::Real>,
) -> Vec<f64> {
    let k = spectra.sums.len();
    let mut counts = Counts::default();
    let mut sums = vec![0.0; k];
    for (i, w) in w.chunks_mut(k).enumerate() {
        counts.collect(x.row(i));
        dispatch(UpdateRow { spectra, counts: &mut counts, w, penalty });
        dispatch(Spread { spectra, counts: &mut counts, w, ratio });
        sums.iter_mut().zip(&*w).for_each(|(sum, w)| *sum += w.f64());
    }
    sums
}

/// Updates H from the sums over all rows.
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

/// Sums the loss in f64. `of_all`: the mean of all data, of which these rows may be some only; by default that of the rows.
pub fn loss<T: Pixel>(
    x: Rows<'_, T>,
    w: &[T::Real],
    h: &[f64],
    weights: Option<&[f64]>,
    of_all: Option<f64>,
    control: &Control,
) -> Result<f64> {
    let floor = floor(of_all.map_or_else(|| mean(x, control), Ok)?);
    let spectra = &Spectra::new(h, weights, floor, x.d());
    let k = spectra.sums.len();
    let mut total = 0.0;
    control.expect(x.n() as u64);
    pass(
        x.n(),
        block_rows(&x),
        control,
        &mut [] as &mut [u8],
        |range, _| {
            let mut scratch = Vec::new();
            let part = x.part(range.clone(), &mut scratch);
            let mut counts = Counts::default();
            let mut sum = 0.0;
            for (i, w) in w[range.start * k..range.end * k].chunks(k).enumerate() {
                counts.collect(part.row(i));
                dispatch(Ratios { spectra, counts: &mut counts, w });
                sum += counts.loss(&spectra.weights);
                sum += w.iter().zip(&spectra.sums).map(|(w, s)| w.f64() * s).sum::<f64>();
            }
            sum
        },
        |part| total += part,
    )?;
    Ok(total)
}

/// Returns the mean of all values.
pub fn mean<T: Pixel>(x: Rows<'_, T>, control: &Control) -> Result<f64> {
    let mut total = 0.0;
    control.expect(x.n() as u64);
    pass(
        x.n(),
        block_rows(&x),
        control,
        &mut [] as &mut [u8],
        |range, _| {
            let mut scratch = Vec::new();
            dispatch(Sum(x.part(range, &mut scratch)))
        },
        |part: f64| total += part,
    )?;
    Ok(total / (x.n() * x.d()) as f64)
}

struct Sum<'a, T>(Part<'a, T>);

impl<T: Pixel> WithSimd for Sum<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut total = 0.0;
        for i in 0..self.0.n() {
            let mut sums = [T::Real::ZERO; 4 * LANES];
            match self.0.row(i) {
                Row::Dense(row) => {
                    for chunk in row.chunks(4 * LANES) {
                        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x.real());
                    }
                }
                row => row.each(|j, x| sums[j % (4 * LANES)] += x.real()),
            }
            total += sums.iter().map(|sum| sum.f64()).sum::<f64>();
        }
        total
    }
}
