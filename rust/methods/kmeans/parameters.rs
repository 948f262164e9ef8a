//! What k-means is asked and what it answers, and the checks of both.

use crate::{Error, Result};

/// Most features for which a row counts as having few of them: its distances to all centres are found at once.
pub const FEW: usize = 64;

/// The label of a row that has none yet.
pub const UNASSIGNED: u32 = u32::MAX;

/// What is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Small |x − c|.
    Euclidean,
    /// A small angle between x and c.
    Cosine,
}

/// How long to iterate, and what is near.
#[derive(Debug, Clone, Copy)]
pub struct Parameters {
    /// At most so many iterations.
    pub max_iter: usize,
    /// The iteration stops when the squared shifts of all centres add up to this times the mean variance of a feature.
    pub tol: f64,
    /// What is near.
    pub metric: Metric,
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

/// The number of centres, which are k × d finite values.
pub fn check_centers(centers: &[f64], d: usize) -> Result<usize> {
    if centers.is_empty() || !centers.len().is_multiple_of(d) {
        return Err(Error::invalid("centers", format!("{} values; rows of {d} features are needed", centers.len())));
    }
    if centers.iter().any(|x| !x.is_finite()) {
        return Err(Error::invalid("centers", "a value is not finite; give numbers"));
    }
    Ok(centers.len() / d)
}

/// One weight of at least 0 for each of `n` rows; of the rows of one block all may be zero.
pub fn check_weights(n: usize, weights: Option<&[f64]>) -> Result<()> {
    let bad = |w: &f64| !(w.is_finite() && *w >= 0.0);
    match weights {
        Some(weights) if weights.len() != n => {
            Err(Error::invalid("sample_weight", format!("{} weights for {n} rows", weights.len())))
        }
        Some(weights) if weights.iter().any(bad) => {
            Err(Error::invalid("sample_weight", "a weight is negative or not finite; give numbers of at least 0"))
        }
        _ => Ok(()),
    }
}

/// One label below `k` for each of `n` rows.
#[cfg(feature = "python")]
pub fn check_labels(n: usize, labels: &[u32], k: usize) -> Result<()> {
    if labels.len() != n {
        return Err(Error::invalid("labels", format!("{} labels; one for each of {n} rows is needed", labels.len())));
    }
    match labels.iter().position(|&label| label as usize >= k) {
        Some(i) => Err(Error::invalid(
            "labels",
            format!("label {} of row {i}; they are from 0 to {}", labels[i] as i32, k - 1),
        )),
        None => Ok(()),
    }
}

/// The error of values whose squares are infinite.
pub fn too_large() -> Error {
    Error::invalid("X", "values too large to square; divide by a constant first")
}
