//! Spectra that a visit of counts holds fixed, packed for its inner loops.

use super::update;
use crate::engine::panel::Panel;
use crate::engine::simd::Real;

/// W H is taken larger by this fraction of the mean of X, so that nothing is divided by zero.
pub const FLOOR: f64 = 1e-12;

/// Returns what W H is not taken below for data of this mean; positive even for no counts at all.
pub fn floor<R: Real>(mean: f64) -> R {
    R::of((mean * FLOOR).max(f64::from(f32::MIN_POSITIVE)))
}

/// H, its weights and sums.
pub struct Spectra<R> {
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

impl<R: Real> Spectra<R> {
    /// Packs k × d values.
    pub fn new(h: &[f64], weights: Option<&[f64]>, floor: R, d: usize) -> Self {
        let k = h.len() / d;
        let sum = |row: &[f64]| row.iter().enumerate().map(|(j, h)| h * weights.map_or(1.0, |w| w[j])).sum();
        Self {
            h: update::pack(false, h, k, None),
            weighted: weights.map(|weights| update::pack(false, h, k, Some(weights))),
            weights: weights.unwrap_or_default().to_vec(),
            sums: h.chunks(d).map(sum).collect(),
            floor,
        }
    }
}
