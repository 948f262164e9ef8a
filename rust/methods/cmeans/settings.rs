//! What a fuzzy clustering is asked for, and what it returns.

use crate::{Error, Result};

/// Most features with a covariance each.
pub const MOST_FEATURES: usize = 512;

/// Covariances of Gustafson & Kessel.
#[derive(Debug, Clone)]
pub struct Covariances {
    /// Volume of each cluster.
    pub rho: Vec<f64>,
    /// Share of the covariance of all rows, between 0 and 1.
    pub gamma: f64,
    /// Largest ratio of the eigenvalues.
    pub beta: f64,
}

/// How to cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// Fuzziness, above 1.
    pub m: f64,
    /// Iterations at most.
    pub max_iter: usize,
    /// Largest change of a membership at the end.
    pub tol: f64,
    /// None for spheres.
    pub covariances: Option<Covariances>,
}

impl Options {
    /// Refuses what n × d data cannot be asked for.
    pub fn check(&self, (n, d): (usize, usize), k: usize) -> Result<()> {
        if k == 0 || self.max_iter == 0 || !(self.m > 1.0 && self.m.is_finite()) {
            return Err(Error::invalid("m", "one cluster or more, one iteration or more and m above 1 are needed"));
        }
        if n == 0 || d == 0 {
            return Err(Error::invalid("X", format!("{n} x {d} data; at least one row and one feature are needed")));
        }
        let Some(covariances) = &self.covariances else { return Ok(()) };
        if d > MOST_FEATURES {
            let message = format!(
                "{d} features are too many for a covariance matrix of each cluster, of which {MOST_FEATURES} are the \
                 most; reduce them first, for example with principal components"
            );
            return Err(Error::invalid("X", message));
        }
        length("rho", covariances.rho.len(), k, "one volume for each cluster")
    }
}

/// Refuses `values` of another length than `needed`, which is `meaning`.
pub fn length(argument: &'static str, values: usize, needed: usize, meaning: &str) -> Result<()> {
    if values == needed {
        return Ok(());
    }
    Err(Error::invalid(argument, format!("{values} values; {needed} are needed, {meaning}")))
}

/// Where to start.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a, R> {
    /// k × d; with covariances a few spherical iterations come first.
    Centers(&'a [f64]),
    /// n × k.
    Memberships(&'a [R]),
}

/// Fuzzy clusters, from which [`memberships`](super::memberships) computes those of any rows.
#[derive(Debug)]
pub struct Fuzzy {
    /// k × d.
    pub centers: Vec<f64>,
    /// k × d × d as conditioned, or empty.
    pub covariances: Vec<f64>,
    /// J of each iteration.
    pub objective: Vec<f64>,
    /// Whether the last iteration changed no membership by more than the tolerance.
    pub converged: bool,
    /// Updates of each cluster's covariance in which it was conditioned.
    pub conditioned: Vec<usize>,
    /// Updates in which a cluster had no members, so that its centre stayed.
    pub empty: Vec<usize>,
}
