//! The maps W of known spectra H in counts, row by row: of w ≥ 0 the one that minimises Σ ω (w H − x ln w H) + penalty.
//!
//! Newton's method: the quadratic model of that convex sum is minimised over w ≥ 0 by the active set of least squares,
//! and a step beyond the minimum along it is shortened. Near the minimum a step squares the error, so that a row is as
//! exact as its arithmetic, f64, whatever ended it; multiplicative updates would end on their slow way there. It takes
//! about 6 visits of the counts of a row, each of k² / 2 + 3 k multiplications.

use super::counts::{Counts, Curvature, Widen};
use super::least_squares::NonNegative;
use super::parameters::{Penalty, block_rows, count_components};
use super::spectra::{FLOOR, Spectra};
use crate::engine::pass::pass;
use crate::engine::simd::{Pixel, Real, dispatch};
use crate::{Control, Result, Rows};

/// Multiplicative updates to begin with: few, for they are slow only near the minimum.
const FIRST: usize = 2;

/// Added to the curvature along each spectrum, as a fraction: what spectra do not tell apart stays where it is.
const RIDGE: f64 = 1e-9;

/// Part of the slope at the beginning of a step that the slope at its end may have, upwards.
const BEYOND: f64 = 0.25;

/// Rounding of a slope, and of a step as part of the counts.
const ROUNDING: f64 = 1e-13;

/// Fills `w` row by row, until a step moves at most `tol` of the counts of a row and promises at most `tol`² of the
/// likelihood of one, with at most `max_iter` steps.
///
/// ```
/// use emcore::methods::nmf::{Penalty, likelihood};
/// use emcore::{Control, Rows};
///
/// let (x, h, mut w) = ([2u8, 6, 8], [0.5, 0.5, 0.0, 0.0, 0.2, 0.8], [0.0; 2]);
/// likelihood(Rows::from_slice(&x, 1, 3), &h, None, Penalty::default(), 50, 1e-4, &mut w, &Control::new())?;
/// assert!(((w[0] + w[1]) as f64 - 16.0).abs() < 1e-4);
/// # Ok::<(), emcore::Error>(())
/// ```
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
    let (n, d) = (x.n(), x.d());
    let k = count_components((n, d), w.len(), h.len(), weights)?;
    let weight = |j: usize| weights.map_or(1.0, |w| w[j]);
    let sums = Vec::from_iter(h.chunks(d).map(|h| h.iter().enumerate().map(|(j, h)| h * weight(j)).sum::<f64>()));
    let scaled =
        Vec::from_iter(h.iter().enumerate().map(|(i, h)| if sums[i / d] > 0.0 { h / sums[i / d] } else { 0.0 }));
    // Of a row whose counts are parts of one.
    let spectra = Spectra::<f64>::new(&scaled, weights, FLOOR / d as f64, d);
    control.expect(n as u64);
    pass(
        n,
        block_rows(&x),
        control,
        w,
        |range, w| {
            let mut scratch = Vec::new();
            let part = x.part(range, &mut scratch);
            let mut counts = Counts::default();
            let mut newton = Newton::new(&spectra, &sums, penalty);
            for (i, w) in w.chunks_mut(k).enumerate() {
                counts.collect(part.row(i));
                let total: f64 = counts.filled.values.iter().map(|x| x.f64()).sum();
                w.fill(T::Real::ZERO);
                if total > 0.0 {
                    dispatch(Widen { counts: &counts.filled, total, into: &mut newton.counts });
                    newton.solve(total, max_iter, tol, control);
                    for ((w, share), sum) in w.iter_mut().zip(&newton.shares).zip(&sums) {
                        *w = T::Real::of(if *sum > 0.0 { share * total / sum } else { 0.0 });
                    }
                }
            }
        },
        |()| (),
    )
}

/// One row at a time, in shares `w ΣH / Σx`.
struct Newton<'a> {
    spectra: &'a Spectra<f64>,
    sums: &'a [f64],
    penalty: Penalty,
    /// Of the row, as parts of one.
    counts: Counts<f64>,
    shares: Vec<f64>,
    trial: Vec<f64>,
    /// `Σ ω x h / (w H)` for each spectrum.
    above: Vec<f64>,
    curvature: Vec<f64>,
    quadratic: NonNegative,
    slope: Vec<f64>,
    step: Vec<f64>,
}

impl<'a> Newton<'a> {
    fn new(spectra: &'a Spectra<f64>, sums: &'a [f64], penalty: Penalty) -> Self {
        let (k, zeros) = (sums.len(), vec![0.0; sums.len()]);
        Self {
            spectra,
            sums,
            penalty,
            counts: Counts::default(),
            shares: zeros.clone(),
            trial: zeros.clone(),
            above: zeros.clone(),
            curvature: vec![0.0; k * k],
            quadratic: NonNegative::new(&vec![0.0; k * k], k),
            slope: zeros.clone(),
            step: zeros,
        }
    }

    fn solve(&mut self, total: f64, max_iter: usize, tol: f64, control: &Control) {
        let (k, least) = (self.sums.len(), tol.max(ROUNDING));
        for (trial, sum) in self.trial.iter_mut().zip(self.sums) {
            *trial = if *sum > 0.0 { 1.0 / k as f64 } else { 0.0 };
        }
        for _ in 0..FIRST {
            self.visit(false);
            for t in 0..k {
                self.trial[t] *= self.above[t] / self.price(t, total);
            }
        }
        self.visit(true);
        self.shares.copy_from_slice(&self.trial);
        for _ in 0..max_iter {
            if control.check().is_err() {
                return;
            }
            let (size, fall) = self.aim(total);
            if !(fall > 0.0 && fall.is_finite()) {
                return;
            }
            // The fall looks at small shares too: of counts that one of them alone explains it is the square of its error.
            let small = size <= least && fall <= least * least;
            let mut part = 1.0;
            loop {
                for ((trial, share), step) in self.trial.iter_mut().zip(&self.shares).zip(&self.step) {
                    *trial = (share + part * step).max(0.0);
                }
                self.visit(!small || part < 1.0);
                let rise: f64 = (0..k).map(|t| (self.price(t, total) - self.above[t]) * self.step[t]).sum();
                if !rise.is_finite() {
                    return;
                }
                if rise <= BEYOND * fall + ROUNDING * size || part < ROUNDING {
                    break;
                }
                part *= (fall / (fall + rise)).clamp(0.25, 0.75);
            }
            self.shares.copy_from_slice(&self.trial);
            if small && part == 1.0 {
                return;
            }
        }
    }

    /// Finds `above` of the trial and, if it is asked for, the curvature.
    fn visit(&mut self, curved: bool) {
        let curvature = if curved { &mut self.curvature[..] } else { &mut [] };
        let (spectra, counts, above) = (self.spectra, &mut self.counts, &mut self.above[..]);
        dispatch(Curvature { spectra, counts, w: &self.trial, above, curvature });
    }

    /// Returns what a share of the trial costs: the slope of all but the logarithms.
    fn price(&self, t: usize, total: f64) -> f64 {
        let sum = self.sums[t];
        if sum > 0.0 { 1.0 + (self.penalty.l1 + self.penalty.l2 * total * self.trial[t] / sum) / sum } else { 1.0 }
    }

    /// Takes the step from the shares, which are the trial, to the minimum of the quadratic model; returns how far it
    /// goes, and how much the sum would fall at the slope here.
    fn aim(&mut self, total: f64) -> (f64, f64) {
        let k = self.sums.len();
        for t in 0..k {
            self.slope[t] = self.price(t, total) - self.above[t];
            let sum = self.sums[t];
            let own = if sum > 0.0 { self.penalty.l2 * total / (sum * sum) } else { 0.0 };
            self.curvature[t * k + t] = (self.curvature[t * k + t] + own) * (1.0 + RIDGE);
        }
        self.quadratic.set_gram(&self.curvature);
        for (t, row) in self.curvature.chunks(k).enumerate() {
            self.quadratic.b[t] = row.iter().zip(&self.shares).map(|(c, w)| c * w).sum::<f64>() - self.slope[t];
        }
        let (mut size, mut fall) = (0.0, 0.0);
        let there = self.quadratic.solve().iter().zip(&self.shares).zip(&self.slope);
        for (step, ((there, share), slope)) in self.step.iter_mut().zip(there) {
            *step = there - share;
            size += step.abs();
            fall -= slope * *step;
        }
        (size, fall)
    }
}
