//! What is remembered of rows, so that they need not be read while their nearest centre cannot have changed.

use super::bases::{self, Bases};
use super::centers::Centers;
use super::rows::WeightedRows;
use crate::Result;
use crate::engine::room;
use crate::engine::simd::{Pixel, Real};

/// Of a row either by how much centres may move, or its products with the centres of an earlier iteration.
pub enum Bounds<R> {
    Groups(GroupBounds),
    Products(Products<R>),
}

/// By how much the other centres are farther, at the least, than the row's own: for groups of centres.
pub struct GroupBounds {
    /// Rows × groups.
    pub slack: Vec<f32>,
    /// Centres in a group.
    group: usize,
}

/// Products of each row with the centres of the iteration in which it was read last.
pub struct Products<R> {
    /// Which iteration that was.
    pub basis: Vec<u8>,
    /// Rows × centres.
    dots: Vec<R>,
    /// The length of the part of the row across these centres, from above.
    across: Vec<f32>,
}

impl GroupBounds {
    /// Nothing is known of `n` rows and `k` centres, in groups of `group`.
    pub fn new(n: usize, k: usize, group: usize) -> Result<Self> {
        Ok(Self { slack: room::filled(n * k.div_ceil(group), -1.0, "bounds of distances")?, group })
    }

    /// Takes off what the centres moved; returns which rows may have another nearest centre now.
    pub fn uncertain<R: Real>(&mut self, centers: &Centers<R>, labels: &[u32]) -> Vec<usize> {
        let groups =
            Vec::from_iter(centers.drift.chunks(self.group).map(|drift| drift.iter().copied().fold(0.0, f32::max)));
        let mut need = Vec::new();
        for (i, slack) in self.slack.chunks_mut(groups.len()).enumerate() {
            let own = centers.drift.get(labels[i] as usize).map_or(0.0, |&drift| f64::from(drift));
            let mut least = f32::INFINITY;
            for (slack, &drift) in slack.iter_mut().zip(&groups) {
                *slack = ((f64::from(*slack) - own - f64::from(drift)) * (1.0 - 1e-6)) as f32;
                least = least.min(*slack);
            }
            if least <= 0.0 {
                need.push(i);
            }
        }
        need
    }

    /// Remembers the scores of row `i`, at most `size` from the origin, whose nearest centre is `best`.
    pub fn remember(&mut self, i: usize, best: usize, size: f64, scores: &[f64], error: impl Fn(usize) -> f64) {
        let k = scores.len();
        let finite = scores.iter().all(|score| score.is_finite());
        let above = scores[best] + error(best);
        let distance = |score: f64| (size * size + 2.0 * score).max(0.0).sqrt();
        let groups = k.div_ceil(self.group);
        for (g, slack) in self.slack[i * groups..][..groups].iter_mut().enumerate() {
            let others = (g * self.group..((g + 1) * self.group).min(k)).filter(|&c| c != best);
            let below = others.map(|c| scores[c] - error(c)).fold(f64::INFINITY, f64::min);
            // d_c - d_a = (d_c^2 - d_a^2) / (d_c + d_a), from below.
            *slack = match below {
                f64::INFINITY => f32::INFINITY,
                _ if finite && below > above => {
                    let farther = 2.0 * (below - above) / (distance(below) + distance(above));
                    (farther * (1.0 - 1e-6)).min(f64::from(f32::MAX)) as f32
                }
                _ => -1.0,
            };
        }
    }
}

impl<R: Real> Products<R> {
    /// Nothing is known of `n` rows and `k` centres.
    pub fn new(n: usize, k: usize) -> Result<Self> {
        let what = "products with centres";
        Ok(Self {
            basis: room::filled(n, bases::NONE, what)?,
            dots: room::zeros(n * k, what)?,
            across: room::zeros(n, what)?,
        })
    }

    /// Returns which rows, the first of which is row `start` of X, may have another nearest centre now; `sizes` are their distances
    /// from the origin at most.
    pub fn uncertain<T: Pixel<Real = R> + Into<f64>>(
        &self,
        x: &WeightedRows<'_, '_, T>,
        centers: &Centers<R>,
        bases: &Bases<R>,
        start: usize,
        labels: &[u32],
        sizes: &[f32],
    ) -> Vec<usize> {
        let certain = |i: usize| {
            let (basis, dots) = (self.basis[i], &self.dots[i * centers.k..(i + 1) * centers.k]);
            let (size, factor) = (f64::from(sizes[i]), x.factor(start + i));
            usize::from(basis) != bases.today
                && basis != bases::NONE
                && bases.certain(centers, basis, labels[i] as usize, dots, self.across[i], size, factor)
        };
        (0..labels.len()).filter(|&i| !certain(i)).collect()
    }

    /// Remembers the products of row `i`, at most `size` from the origin, with the centres of today.
    pub fn remember(
        &mut self,
        i: usize,
        centers: &Centers<R>,
        bases: &Bases<R>,
        (dots, finite): (&[R], bool),
        (size, factor): (f64, f64),
    ) {
        self.dots[i * centers.k..(i + 1) * centers.k].copy_from_slice(dots);
        self.across[i] = bases.across(centers, dots, size, factor);
        self.basis[i] = if finite { bases.today as u8 } else { bases::NONE };
    }
}
