//! Lloyd's iteration, once for rows wherever they are.

use super::parameters::{Metric, Parameters, too_large};
use super::relocate::{FarRow, relocated};
use super::sums::ClusterSums;
use super::update::advance;
use crate::{Control, Error, Result};

/// X as the iteration visits it: its passes, with what is remembered of the rows between them.
pub trait Source {
    /// Takes each row to the nearest of the centres (k × d); returns how many rows changed cluster.
    fn assign(&mut self, centers: &[f64], control: &Control) -> Result<usize>;
    /// The sums over the rows of each cluster, as assigned last, and the point about which its squares are.
    fn sums(&self) -> (&ClusterSums, &[f64]);
    /// Up to `count` rows, the farthest from the centres of their clusters first.
    fn farthest(&mut self, centers: &[f64], count: usize, control: &Control) -> Result<Vec<FarRow>>;
    /// The inertia of the rows in the clusters in which they are.
    fn inertia(&mut self, centers: &[f64], control: &Control) -> Result<f64>;
    /// Takes each row to the nearest of the final centres; returns the inertia.
    fn finish(&mut self, centers: &[f64], control: &Control) -> Result<f64>;
}

/// Where the iteration stands.
#[derive(Debug, Clone)]
pub struct State {
    /// k × d; of length 1 each if the metric is the cosine.
    pub centers: Vec<f64>,
    /// Iterations done.
    pub n_iter: usize,
    /// What the squared shifts of all centres may add up to in the last iteration; set by the first.
    pub tol: f64,
    /// Whether that, or an unchanged assignment, has ended the iteration.
    pub converged: bool,
    /// Of the final centres, where the assignment belongs to them.
    pub inertia: Option<f64>,
}

impl State {
    /// Before the first iteration.
    pub fn new(centers: Vec<f64>) -> Self {
        Self { centers, n_iter: 0, tol: 0.0, converged: false, inertia: None }
    }
}

/// Iterates to the end from `state`, which is handed to `save` after each iteration, and when no more is to be done. What
/// `max_iter` ends is not: with more iterations it goes on.
pub fn lloyd(
    source: &mut impl Source,
    mut state: State,
    parameters: &Parameters,
    control: &Control,
    mut save: impl FnMut(&State) -> Result<()>,
) -> Result<(State, f64)> {
    let Parameters { max_iter, tol, metric } = *parameters;
    while state.n_iter < max_iter && !state.converged {
        iterate(source, &mut state, tol, metric, control)?;
        save(&state)?;
    }
    if let Some(inertia) = state.inertia {
        return Ok((state, inertia));
    }
    let inertia = finite(source.finish(&state.centers, control)?)?;
    if state.converged {
        state.inertia = Some(inertia);
        save(&state)?;
    }
    Ok((state, inertia))
}

fn iterate(source: &mut impl Source, state: &mut State, tol: f64, metric: Metric, control: &Control) -> Result<()> {
    state.n_iter += 1;
    let moved = source.assign(&state.centers, control)?;
    let (sums, origin) = source.sums();
    if state.n_iter == 1 {
        if sums.weights.iter().all(|&weight| weight == 0.0) {
            return Err(Error::invalid("sample_weight", "zero for all rows; at least one row must count"));
        }
        state.tol = tol * sums.variance(origin)?;
    }
    let empty = sums.empty();
    let far = if empty == 0 { Vec::new() } else { source.farthest(&state.centers, empty, control)? };
    let shift = advance(&mut state.centers, &relocated(source.sums().0, &far), metric);
    state.converged = moved == 0 || shift <= state.tol;
    if moved == 0 {
        state.inertia = Some(finite(source.inertia(&state.centers, control)?)?);
    }
    Ok(())
}

fn finite(inertia: f64) -> Result<f64> {
    if inertia.is_finite() { Ok(inertia) } else { Err(too_large()) }
}
