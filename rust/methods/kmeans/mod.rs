//! Which k groups do the rows fall into, and what is the mean of each? k-means by Lloyd's iteration (Lloyd 1982).
//!
//! Every row belongs to the nearest centre, every centre is the mean of its rows, until no row changes. With the scores
//! `s_c = |c − p|²/2 − (x − p)·(c − p)`, p a fixed point amid the data, the nearest centre has the lowest score, and the
//! squared distance is |x − p|² + 2 s. What is done is exactly Lloyd's iteration, at less than its cost:
//!
//! - *Many features*: a row is not read at all while its nearest centre cannot have changed. What its products with the
//!   centres of an earlier iteration tell of those of today says so (see `bases`). Where there is no memory for these each
//!   row keeps by how much every (group of) other centres is farther at least than its own; what the centres moved since is
//!   taken off (the triangle inequality: Elkan 2003; Hamerly 2010 for one group, Ding et al. 2015 for several). Else n d k
//!   multiply-adds.
//! - *Certainty*: scores come from f32 products; where the best two differ by less than those can err, f64 distances
//!   decide, and of equal ones the lowest index. So labels do not depend on the instruction set.
//! - *Sums* over the rows of a cluster change only by rows that changed cluster. f64 sums of integers are exact (below
//!   2⁵³); those of floats are formed anew every ten iterations.
//!
//! With the cosine metric rows count as if scaled to length 1 (no scaled copy is made), and so are the centres: the
//! spherical k-means of Dhillon & Modha (2001). |x − c|² = 2 − 2 cos, so that all of the above holds.

mod assign;
mod bases;
mod centers;
mod exact;
mod few;
mod relocate;
mod rows;
mod seeds;
mod sums;
#[cfg(test)]
mod tests;

pub(crate) use centers::{above, is_integer, rounding};
pub use exact::distances;
pub(crate) use exact::{Distance, sum_squares};
pub use seeds::{attempts, draw, seeds, squares};
pub use sums::Sums;

use crate::engine::simd::Pixel;
use crate::{Control, Error, Result, Rows};
use assign::Parts;
use centers::Centers;
use rows::Weighed;

/// Sums of floats are formed anew when so many times as many rows changed cluster as there are.
const REBUILD: usize = 8;

/// What is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Small |x − c|.
    Euclidean,
    /// A small angle between x and c.
    Cosine,
}

/// What [`kmeans`] needs beside the data and the starting centres.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// At most so many iterations.
    pub max_iter: usize,
    /// Stop when the squared shifts of all centres add up to this times the mean variance of a feature.
    pub tol: f64,
    /// What is near.
    pub metric: Metric,
    /// What each row counts for.
    pub weights: Option<&'a [f64]>,
}

/// Where Lloyd's iteration ended.
#[derive(Debug)]
pub struct Fit {
    /// k × d, row by row.
    pub centers: Vec<f64>,
    /// Of each row the nearest centre.
    pub labels: Vec<u32>,
    /// Sum over rows of the (weighted) squared distance to their centre.
    pub inertia: f64,
    /// Iterations done.
    pub n_iter: usize,
    /// False when `max_iter` ended it.
    pub converged: bool,
}

/// Iterate from `centers`, k × d.
pub fn kmeans<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    centers: &[f64],
    options: &Options<'_>,
    control: &Control,
) -> Result<Fit> {
    let k = check(&rows, centers, options.weights)?;
    let x = Weighed::new(rows, options.metric, options.weights, control)?;
    let mut centers = Centers::start(&x, centers);
    let mut parts = Parts::new(&x, k);
    let mut sums = Sums::new(k, rows.d());
    let mut tol = 0.0;
    let (mut n_iter, mut strict, mut converged, mut changes) = (0, false, false, 0);
    while n_iter < options.max_iter && !converged {
        n_iter += 1;
        let moved = parts.assign(&x, &centers, Some(&mut sums), control)?;
        changes += moved;
        if n_iter == 1 {
            tol = options.tol * sums.variance(&centers)?;
        } else if (moved == 0 || changes > REBUILD * x.rows.n()) && !sums::exact::<T>(&x) {
            // As many steps round sums of floats as if they were formed a few times over.
            sums = Sums::of(&x, k, |i| parts.label(i), control)?;
            changes = 0;
        }
        let shift = if sums.weights.contains(&0.0) {
            let (count, label) = (sums.empty(), |i: usize| parts.label(i) as usize);
            let far = relocate::farthest(&x, &centers.values, label, count, control)?;
            centers.advance(&relocate::relocated(&x, &sums, far.into_iter().map(|(i, _)| i), label))
        } else {
            centers.advance(&sums)
        };
        strict = moved == 0;
        converged = strict || shift <= tol;
    }
    if !strict {
        parts.assign(&x, &centers, Some(&mut sums), control)?;
    }
    let labels = parts.into_labels();
    let inertia = match sums.inertia(&centers) {
        Some(inertia) => inertia,
        None => exact::inertia(&x, &centers.values, &labels, control)?,
    };
    Ok(Fit { centers: centers.values, labels, inertia, n_iter, converged })
}

/// One visit of some rows for fixed centres: the label of each, and what they add to the sums of their clusters.
pub fn visit<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    centers: &[f64],
    metric: Metric,
    weights: Option<&[f64]>,
    control: &Control,
) -> Result<(Vec<u32>, Sums)> {
    let k = check(&rows, centers, weights)?;
    let x = Weighed::new(rows, metric, weights, control)?;
    let (mut parts, mut sums) = (Parts::new(&x, k), Sums::new(k, rows.d()));
    parts.assign(&x, &Centers::start(&x, centers), Some(&mut sums), control)?;
    Ok((parts.into_labels(), sums))
}

/// Up to `count` of some rows and their squared distances from the centres of their labels, the farthest first.
pub fn farthest<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    centers: &[f64],
    labels: &[u32],
    count: usize,
    metric: Metric,
    control: &Control,
) -> Result<Vec<(usize, f64)>> {
    let x = Weighed::new(rows, metric, None, control)?;
    relocate::farthest(&x, centers, |i| labels[i] as usize, count, control)
}

/// Rows that empty clusters take: copies of them (m × d), the clusters they are in, and what they count for.
#[derive(Debug, Clone, Copy)]
pub struct Moved<'a> {
    /// m × d.
    pub rows: &'a [f64],
    /// Of each row.
    pub from: &'a [u32],
    /// Of each row.
    pub weights: &'a [f64],
}

/// The centres that follow from the sums over all rows, how far they moved (squared, together), and the mean variance of a
/// feature, which only sums about the first centres tell. In the arithmetic of rows of type `T`.
pub fn step<T: Pixel + Into<f64>>(
    centers: &[f64],
    sums: &Sums,
    metric: Metric,
    moved: Moved<'_>,
    control: &Control,
) -> Result<(Vec<f64>, f64, f64)> {
    let d = centers.len() / sums.weights.len();
    let none = Weighed::new(Rows::<T>::from_slice(&[], 0, d), metric, None, control)?;
    let mut centers = Centers::start(&none, centers);
    let variance = sums.variance(&centers)?;
    let rows = Rows::from_slice(moved.rows, moved.from.len(), d);
    let x = Weighed::new(rows, metric, Some(moved.weights), control)?;
    let from = |i: usize| moved.from[i] as usize;
    let shift = centers.advance(&relocate::relocated(&x, sums, 0..moved.from.len(), from));
    Ok((centers.values, shift, variance))
}

/// The nearest of `centers` (k × d) to each row, and the inertia.
pub fn nearest<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    centers: &[f64],
    metric: Metric,
    weights: Option<&[f64]>,
    control: &Control,
) -> Result<(Vec<u32>, f64)> {
    let k = check(&rows, centers, weights)?;
    let x = Weighed::new(rows, metric, weights, control)?;
    let centers = Centers::start(&x, centers);
    let mut parts = Parts::new(&x, k);
    parts.assign(&x, &centers, None, control)?;
    let labels = parts.into_labels();
    let inertia = exact::inertia(&x, &centers.values, &labels, control)?;
    Ok((labels, inertia))
}

/// The mean of the rows of each label (k × d; a label without rows has zeros), and the squared distance of each row to its own.
pub fn spread<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    labels: &[u32],
    k: usize,
    metric: Metric,
    control: &Control,
) -> Result<(Vec<f64>, Vec<f64>)> {
    if labels.len() != rows.n() || labels.iter().any(|&label| label as usize >= k) {
        let found = labels.len();
        return Err(Error::invalid("labels", format!("{found} labels; one below {k} for each of {} rows", rows.n())));
    }
    let x = Weighed::new(rows, metric, None, control)?;
    let sums = Sums::of(&x, k, |i| labels[i], control)?;
    let mut means = sums.values;
    for (mean, weight) in means.chunks_mut(rows.d()).zip(sums.weights) {
        mean.iter_mut().for_each(|x| *x /= weight.max(1.0));
    }
    let mut squares = vec![0.0; rows.n()];
    exact::own_distances(&x, &means, |i| labels[i] as usize, &mut squares, control, |_, _| 0.0, |_| ())?;
    Ok((means, squares))
}

/// The number of centres.
fn check<T: Pixel>(rows: &Rows<'_, T>, centers: &[f64], weights: Option<&[f64]>) -> Result<usize> {
    let (n, d) = (rows.n(), rows.d());
    let bad = |w: &f64| !(w.is_finite() && *w >= 0.0);
    if centers.is_empty() || !centers.len().is_multiple_of(d) {
        return Err(Error::invalid("centers", format!("{} values; rows of {d} features are needed", centers.len())));
    }
    if centers.iter().any(|x| !x.is_finite()) {
        return Err(Error::invalid("centers", "a value is not finite; give numbers"));
    }
    match weights {
        Some(weights) if weights.len() != n => {
            Err(Error::invalid("sample_weight", format!("{} weights for {n} rows", weights.len())))
        }
        Some(weights) if weights.iter().any(bad) || weights.iter().sum::<f64>() <= 0.0 => Err(Error::invalid(
            "sample_weight",
            "a weight is negative or not finite, or all are zero; give numbers of at least 0",
        )),
        _ => Ok(centers.len() / d),
    }
}

fn too_large() -> Error {
    Error::invalid("X", "values too large to square; divide by a constant first")
}
