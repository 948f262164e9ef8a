//! The iteration, wherever the rows are: one visit of all of them, then the update of H.

use super::parameters::{Fit, Loss, Parameters, Partial, Solver, State, count_spectra};
use super::{kullback, update};
use crate::{Control, Error, Result};

/// Below this fraction of ‖X‖² the loss is summed anew: the difference of large sums would lose too many digits.
const CANCELS: f64 = 1e-2;

/// Multiplicative updates are asked so often whether they have stalled.
const CHECK: usize = 10;

/// X with its maps W, as this method visits them, wherever they are.
///
/// The H of the passes is H √ω for [`Loss::Frobenius`], H for [`Loss::KullbackLeibler`].
pub trait Source {
    /// Returns the numbers of rows and features.
    fn shape(&self) -> (usize, usize);
    /// Returns the mean of all values.
    fn mean(&mut self, control: &Control) -> Result<f64>;
    /// Improves W for fixed H and fills `partial`; `first`: with what the loss of the starting factors needs.
    fn visit(&mut self, h: &[f64], first: bool, mean: f64, partial: &mut Partial, control: &Control) -> Result<()>;
    /// Returns the loss of W and H (without √ω for either loss), summed directly.
    fn loss(&mut self, h: &[f64], mean: f64, control: &Control) -> Result<f64>;
    /// Is called before the first iteration and after each: W, `h` and `state` are all that [`factor`] needs to go on.
    fn save(&mut self, _h: &[f64], _state: &State) -> Result<()> {
        Ok(())
    }
}

/// Improves the W of `source` and `h`, from `resumed`, what [`Source::save`] had last with these factors, or from the start.
///
/// A feature's weight ω is worked into the thin factors. Frobenius: with H' = H √ω, `X √ω H'ᵀ = X (H ω)ᵀ`;
/// Kullback-Leibler: with H' = H ω, `(X ω) / (W H')` is `X / (W H)`.
pub fn factor(
    source: &mut impl Source,
    h: &mut [f64],
    weights: Option<&[f64]>,
    p: Parameters,
    resumed: Option<State>,
    control: &Control,
) -> Result<Fit> {
    p.check()?;
    let d = source.shape().1;
    let k = count_spectra(d, h.len(), weights)?;
    if p.fixed > k {
        return Err(Error::invalid("fixed", format!("{} of {k} components; at most all", p.fixed)));
    }
    let counts = p.loss == Loss::KullbackLeibler;
    let root = if counts { None } else { update::root_of(weights) };
    let mean = if counts { source.mean(control)? } else { 0.0 };
    let mut state = match resumed {
        Some(state) => state,
        None => {
            update::scale(h, root.as_deref(), |h, r| h * r);
            source.save(h, &State::new())?;
            State::new()
        }
    };
    if counts && state.start.is_nan() {
        state.begin(if p.tol > 0.0 { source.loss(h, mean, control)? } else { 0.0 });
        source.save(h, &state)?;
    }
    let mut partial = Partial::default();
    while state.n_iter < p.max_iter && !state.converged {
        state.n_iter += 1;
        let first = state.n_iter == 1;
        source.visit(h, first, mean, &mut partial, control)?;
        partial.check(p.loss, first, k, d)?;
        if first && !counts {
            state.norm = partial.norm;
            state.begin(loss_from(partial.norm, partial.cross, &partial.before, h));
        }
        let violation = partial.violation + columns(h, &partial, weights, p);
        if p.solver == Solver::Hals {
            state.violation = if first { violation } else { state.violation };
            state.converged = violation <= p.tol * state.violation;
        }
        let check = p.solver == Solver::Mu && p.tol > 0.0 && state.n_iter.is_multiple_of(CHECK);
        state.loss = match p.loss {
            Loss::KullbackLeibler if check => source.loss(h, mean, control)?,
            Loss::Frobenius if check || state.converged || state.n_iter == p.max_iter => {
                let cross = partial.products.iter().zip(&*h).map(|(b, h)| b * h).sum();
                loss_from(state.norm, cross, &partial.small, h)
            }
            _ => f64::NAN,
        };
        state.converged |= check && state.stalled(p.tol);
        source.save(h, &state)?;
    }
    update::scale(h, root.as_deref(), |h, r| h / r);
    let mut loss = state.loss;
    if loss.is_nan() || loss < CANCELS * state.norm {
        loss = source.loss(h, mean, control)?;
    }
    Ok(Fit { n_iter: state.n_iter, converged: state.converged, loss })
}

/// Returns ½‖X‖² − ⟨Wᵀ X, H⟩ + ½⟨Wᵀ W, H Hᵀ⟩.
fn loss_from(norm: f64, cross: f64, wtw: &[f64], h: &[f64]) -> f64 {
    let gram = update::gram(h, wtw.len().isqrt());
    0.5 * norm - cross + 0.5 * wtw.iter().zip(&gram).map(|(a, b)| a * b).sum::<f64>()
}

/// Updates `h`, but for what is fixed of it, from the sums of all rows; returns its share of the violation.
fn columns(h: &mut [f64], sums: &Partial, weights: Option<&[f64]>, p: Parameters) -> f64 {
    match p.loss {
        Loss::Frobenius => update::columns(h, &sums.small, &sums.products, p),
        Loss::KullbackLeibler => {
            let first = p.fixed * h.len() / sums.small.len();
            if first < h.len() {
                let small = &sums.small[p.fixed..];
                kullback::columns(&mut h[first..], &sums.products[first..], small, weights, p.on_h);
            }
            0.0
        }
    }
}
