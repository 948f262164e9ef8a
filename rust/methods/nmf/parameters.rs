//! What a factorisation is asked for, and what its iteration keeps.

use crate::engine::tiles::BLOCK_ROWS;
use crate::{Error, Pixel, Result, Rows};

/// How the factors are updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solver {
    /// Hierarchical alternating least squares: one exact minimisation after the other.
    Hals,
    /// Multiplicative updates: zeros stay zeros.
    Mu,
}

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// ½‖X − W H‖², right for equal noise everywhere.
    Frobenius,
    /// Σ X ln(X / W H) − X + W H, right for counts.
    KullbackLeibler,
}

/// `l1 Σ|·| + ½ l2 Σ(·)²`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Penalty {
    /// Weight of the sum of the entries.
    pub l1: f64,
    /// Weight of half the sum of their squares.
    pub l2: f64,
}

/// What a factorisation needs beside the data and the starting factors.
#[derive(Debug, Clone, Copy)]
pub struct Parameters {
    /// How the factors are updated; [`Solver::Mu`] for [`Loss::KullbackLeibler`].
    pub solver: Solver,
    /// What is minimised.
    pub loss: Loss,
    /// Updates of W, and of H, for the products of one visit: at least 1; for [`Loss::KullbackLeibler`] always 1.
    pub inner_sweeps: usize,
    /// At most so many iterations, at least 1.
    pub max_iter: usize,
    /// [`Solver::Hals`]: stop when the violation of the optimality conditions has fallen to this fraction of the first;
    /// [`Solver::Mu`]: stop when 10 iterations lower the square root of the loss by less than this fraction of the
    /// starting one; 0: never.
    pub tol: f64,
    /// Penalty on W.
    pub on_w: Penalty,
    /// Penalty on H.
    pub on_h: Penalty,
    /// So many components, the first ones, have spectra that are not updated.
    pub fixed: usize,
}

impl Parameters {
    /// Refuses what does not go together.
    pub(super) fn check(&self) -> Result<()> {
        let counts = self.loss == Loss::KullbackLeibler;
        if counts && self.solver == Solver::Hals {
            return Err(Error::invalid("solver", "'hals' minimises the 'frobenius' loss only; use solver='mu'"));
        }
        if self.inner_sweeps == 0 || counts && self.inner_sweeps != 1 {
            let message = format!("{}: at least 1, and 1 for the Kullback-Leibler loss", self.inner_sweeps);
            return Err(Error::invalid("inner_sweeps", message));
        }
        if self.max_iter == 0 {
            return Err(Error::invalid("max_iter", "0: at least 1"));
        }
        Ok(())
    }

    /// Says whether no penalty fixes the scale of the components.
    pub(super) fn free_scale(&self) -> bool {
        [self.on_w, self.on_h].iter().all(|penalty| *penalty == Penalty::default())
    }
}

/// What a factorisation returns beside the factors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Iterations done.
    pub n_iter: usize,
    /// Whether `tol` was reached.
    pub converged: bool,
    /// The loss of the returned factors, without penalties.
    pub loss: f64,
}

/// Where an iteration stands: with W and H, all that it needs to go on. NaN is what is not known yet.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// Iterations done.
    pub n_iter: usize,
    /// Whether `tol` was reached.
    pub converged: bool,
    /// The loss of the factors as they are.
    pub loss: f64,
    /// ‖X √ω‖², for [`Loss::Frobenius`].
    pub norm: f64,
    /// The violation of the optimality conditions in the first iteration.
    pub violation: f64,
    /// √(2 loss) of the starting factors.
    pub start: f64,
    /// √(2 loss) when it was asked last.
    pub last: f64,
}

impl State {
    /// Stands before the first iteration.
    pub(super) fn new() -> Self {
        let unknown = f64::NAN;
        Self {
            n_iter: 0,
            converged: false,
            loss: unknown,
            norm: unknown,
            violation: unknown,
            start: unknown,
            last: unknown,
        }
    }

    /// Takes the loss of the starting factors.
    pub(super) fn begin(&mut self, loss: f64) {
        self.start = root(loss);
        self.last = self.start;
    }

    /// Says whether the multiplicative updates have stalled; asked every 10 iterations as scikit-learn does.
    pub(super) fn stalled(&mut self, tol: f64) -> bool {
        let root = root(self.loss);
        let fall = self.last - root;
        self.last = root;
        fall < tol * self.start || self.start == 0.0
    }
}

fn root(loss: f64) -> f64 {
    (2.0 * loss.max(0.0)).sqrt()
}

/// What one visit of some rows adds to the sums of an iteration; sums of several such are those of all their rows.
#[derive(Debug, Clone, Default)]
pub struct Partial {
    /// Frobenius: Wᵀ X √ω; Kullback-Leibler: Wᵀ (X/WH); k × d.
    pub products: Vec<f64>,
    /// Frobenius: Wᵀ W, k × k; Kullback-Leibler: ΣW, k.
    pub small: Vec<f64>,
    /// Frobenius, in the first visit: Wᵀ W of the W there was, else empty.
    pub before: Vec<f64>,
    /// Frobenius, in the first visit: ⟨Wᵀ X, H⟩ of the W there was.
    pub cross: f64,
    /// Frobenius, in the first visit: ‖X √ω‖².
    pub norm: f64,
    /// Frobenius: Σ|projected gradient| of W.
    pub violation: f64,
}

impl Partial {
    /// Refuses sums that are not of k components of d features.
    pub(super) fn check(&self, loss: Loss, first: bool, k: usize, d: usize) -> Result<()> {
        let [small, before] = match loss {
            Loss::Frobenius => [k * k, if first { k * k } else { 0 }],
            Loss::KullbackLeibler => [k, 0],
        };
        let lengths = [self.products.len(), self.small.len(), self.before.len()];
        if lengths == [k * d, small, before] {
            return Ok(());
        }
        let message = format!("a visit gave {lengths:?} sums where {:?} are needed", [k * d, small, before]);
        Err(Error::invalid("partial", message))
    }
}

/// Returns the number of components of `w` values of W and `h` of H for n × d data; refuses lengths that do not fit.
pub(super) fn count_components(shape: (usize, usize), w: usize, h: usize, weights: Option<&[f64]>) -> Result<usize> {
    let k = count_spectra(shape.1, h, weights)?;
    let (n, d) = shape;
    if w != n * k {
        let message = format!("n x k and k x d values are needed, got {w} and {h} for {n} x {d}");
        return Err(Error::invalid("W and H", message));
    }
    Ok(k)
}

/// Returns the number of components of `h` values of H, with d features; refuses lengths that do not fit.
pub(super) fn count_spectra(d: usize, h: usize, weights: Option<&[f64]>) -> Result<usize> {
    let k = h / d.max(1);
    if k == 0 || h != k * d {
        return Err(Error::invalid("H", format!("k x d values are needed, got {h} for {d} features")));
    }
    check_weights(d, weights)?;
    Ok(k)
}

/// Refuses weights that are not one positive number for each of d features.
pub(super) fn check_weights(d: usize, weights: Option<&[f64]>) -> Result<()> {
    if weights.is_some_and(|weights| weights.len() != d || weights.iter().any(|&w| !(w > 0.0 && w.is_finite()))) {
        return Err(Error::invalid("weights", format!("give one positive number for each of the {d} features")));
    }
    Ok(())
}

/// Returns the rows of a block: many, for a partial sum is as big as H, but enough blocks for every thread.
pub(super) fn block_rows<T: Pixel>(x: &Rows<'_, T>) -> usize {
    x.rows_of_sums((x.n() / 64).clamp(48, BLOCK_ROWS))
}
