//! Which few non-negative spectra H (k × d) and maps W (n × k) make up the rows of X: X ≈ W H.
//!
//! Frobenius: ½‖X − W H‖², by hierarchical alternating least squares (Cichocki & Phan 2009; the coordinate descent of
//! scikit-learn) or multiplicative updates (Lee & Seung 2001); Kullback-Leibler: Σ X ln(X / W H) − X + W H, by
//! multiplicative updates. W is updated before H, as in scikit-learn, from which the iterates differ only by rounding.
//!
//! For fixed H the rows of W are independent, so one visit of a block of X does all: `C = X_b Hᵀ`, the update of W_b,
//! and with the new W_b its share of `Wᵀ X` and `Wᵀ W`; H follows after the pass. X is read once per iteration, at about
//! 4 n d k flops; the loss ½‖X‖² − ⟨Wᵀ X, H⟩ + ½⟨Wᵀ W, H Hᵀ⟩ costs nothing more.

mod counts;
mod frobenius;
mod kullback;
mod least_squares;
mod likelihood;
mod pure;
mod update;

pub use kullback::mean;
pub use least_squares::least_squares;
pub use likelihood::likelihood;
pub use pure::{Far, choose, farthest, pure_rows};

use crate::engine::panel::Workspaces;
use crate::engine::simd::{Pixel, Real};
use crate::engine::tiles::BLOCK_ROWS;
use crate::{Control, Error, Result, Rows};

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

/// What [`nmf`] needs beside the data and the starting factors.
#[derive(Debug, Clone, Copy)]
pub struct Parameters {
    /// How the factors are updated; [`Solver::Mu`] for [`Loss::KullbackLeibler`].
    pub solver: Solver,
    /// What is minimised.
    pub loss: Loss,
    /// Updates of W, and of H, for the products of one visit: at least 1; for [`Loss::KullbackLeibler`] always 1.
    pub inner_sweeps: usize,
    /// At most so many iterations.
    pub max_iter: usize,
    /// [`Solver::Hals`]: stop when the violation of the optimality conditions has fallen to this fraction of the first;
    /// [`Solver::Mu`]: stop when 10 iterations lower the square root of the loss by less than this fraction of the
    /// starting one; 0: never.
    pub tol: f64,
    /// Penalty on W.
    pub on_w: Penalty,
    /// Penalty on H.
    pub on_h: Penalty,
}

/// What [`nmf`] returns beside the factors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Iterations done.
    pub n_iter: usize,
    /// Whether `tol` was reached.
    pub converged: bool,
    /// The loss of the returned factors, without penalties.
    pub loss: f64,
}

/// Factor X into `w` (n × k) and `h` (k × d), starting from what they hold.
///
/// `weights`, one positive number per feature, multiply the loss of that feature. The components are put in the
/// order of falling energy ‖w_t‖ ‖h_t‖ and, unless a penalty fixes their scale, each row of H sums to 1.
pub fn nmf<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    h: &mut [f64],
    weights: Option<&[f64]>,
    parameters: Parameters,
    control: &Control,
) -> Result<Fit> {
    let (n, d) = (x.n(), x.d());
    let k = h.len() / d.max(1);
    if n == 0 || k == 0 || h.len() != k * d || w.len() != n * k {
        let message = format!("n x k and k x d values are needed, got {} and {} for {n} x {d}", w.len(), h.len());
        return Err(Error::invalid("W0 and H0", message));
    }
    if weights.is_some_and(|weights| weights.len() != d || weights.iter().any(|&w| !(w > 0.0 && w.is_finite()))) {
        return Err(Error::invalid("weights", format!("give one positive number for each of the {d} features")));
    }
    if parameters.inner_sweeps == 0 || parameters.loss == Loss::KullbackLeibler && parameters.inner_sweeps != 1 {
        let message = format!("{}: at least 1, and 1 for the Kullback-Leibler loss", parameters.inner_sweeps);
        return Err(Error::invalid("inner_sweeps", message));
    }
    let fit = match (parameters.loss, parameters.solver) {
        (Loss::Frobenius, _) => frobenius::fit(x, w, h, weights, parameters, control)?,
        (Loss::KullbackLeibler, Solver::Mu) => kullback::fit(x, w, h, weights, parameters, control)?,
        (Loss::KullbackLeibler, Solver::Hals) => {
            return Err(Error::invalid("solver", "'hals' minimises the 'frobenius' loss only; use solver='mu'"));
        }
    };
    let free = [parameters.on_w, parameters.on_h].iter().all(|p| *p == Penalty::default());
    canonical(w, h, k, weights, free);
    Ok(fit)
}

/// The loss of given factors, without penalties. `mean` of all data, of which these rows may be some only; by default that
/// of the rows.
pub fn loss<T: Pixel>(
    x: Rows<'_, T>,
    w: &[T::Real],
    h: &[f64],
    weights: Option<&[f64]>,
    loss: Loss,
    mean: Option<f64>,
    control: &Control,
) -> Result<f64> {
    match loss {
        Loss::Frobenius => frobenius::loss(x, w, h, weights, control),
        Loss::KullbackLeibler => kullback::loss(x, w, h, weights, mean, control),
    }
}

/// What one visit of some rows adds to the sums of an iteration; sums of several such are those of all their rows.
pub struct Partial {
    /// Frobenius: Wᵀ X √ω; Kullback-Leibler: Wᵀ (X/WH); k × d.
    pub products: Vec<f64>,
    /// Frobenius: Wᵀ W, k × k; Kullback-Leibler: ΣW, k.
    pub small: Vec<f64>,
    /// Frobenius, in the first visit: Wᵀ W of the W there was, else empty.
    pub before: Vec<f64>,
    /// Frobenius: ⟨Wᵀ X, H⟩ and ‖X √ω‖² (both in the first visit only), and the violation of the optimality conditions.
    pub terms: [f64; 3],
}

/// Visit some rows: their new W for fixed H, and their sums. `h` is H √ω for the Frobenius loss, H for the other, which
/// needs the `mean` of all data.
#[allow(clippy::too_many_arguments)]
pub fn visit<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    h: &[f64],
    weights: Option<&[f64]>,
    p: Parameters,
    first: bool,
    mean: f64,
    control: &Control,
) -> Result<Partial> {
    let (n, d, k) = (x.n(), x.d(), h.len() / x.d());
    if w.len() != n * k {
        return Err(Error::invalid("W", format!("{} values for {n} rows and {k} components", w.len())));
    }
    if p.loss == Loss::KullbackLeibler {
        let workspaces = Workspaces::new(d, k);
        let model = kullback::Model::new(h, weights, kullback::floor(mean), d);
        let (products, small) = kullback::sweep(x, w, &model, p.on_w, &workspaces, control)?;
        return Ok(Partial { products, small, before: Vec::new(), terms: [0.0; 3] });
    }
    let root = frobenius::root_of(weights);
    let before = if first { frobenius::wtw(w, k) } else { Vec::new() };
    let mut room = frobenius::Room::new(d, k);
    let sums = frobenius::sweep(x, w, h, root.as_deref(), p, first, &mut room, control)?;
    let terms = [sums.cross, sums.norm, sums.violation];
    Ok(Partial { products: room.wtx, small: sums.wtw, before, terms })
}

/// New H, as `h` of [`visit`], from the sums of all rows; returns its share of the violation.
pub fn update_h(h: &mut [f64], products: &[f64], small: &[f64], weights: Option<&[f64]>, p: Parameters) -> f64 {
    match p.loss {
        Loss::Frobenius => update::columns(h, small, products, p),
        Loss::KullbackLeibler => {
            kullback::columns(h, products, small, weights, p.on_h);
            0.0
        }
    }
}

/// Sort the components by falling energy; if `scale`, each row of H sums to 1 and W carries the rest.
pub fn canonical<R: Real>(w: &mut [R], h: &mut [f64], k: usize, weights: Option<&[f64]>, scale: bool) {
    let d = h.len() / k;
    let weight = |j: usize| weights.map_or(1.0, |w| w[j]);
    let mut energy = vec![0.0; k];
    for row in w.chunks(k) {
        energy.iter_mut().zip(row).for_each(|(e, w)| *e += w.f64() * w.f64());
    }
    let mut sums = Vec::with_capacity(k);
    for (e, row) in energy.iter_mut().zip(h.chunks(d)) {
        *e *= row.iter().enumerate().map(|(j, h)| h * h * weight(j)).sum::<f64>();
        let sum: f64 = row.iter().enumerate().map(|(j, h)| h * weight(j)).sum();
        sums.push(if scale && sum > 0.0 { sum } else { 1.0 });
    }
    let mut order = Vec::from_iter(0..k);
    order.sort_by(|&a, &b| energy[b].total_cmp(&energy[a]));

    let old = h.to_vec();
    for (row, &t) in h.chunks_mut(d).zip(&order) {
        row.iter_mut().zip(&old[t * d..]).for_each(|(new, old)| *new = old / sums[t]);
    }
    let mut old = vec![R::ZERO; k];
    for row in w.chunks_mut(k) {
        old.copy_from_slice(row);
        row.iter_mut().zip(&order).for_each(|(new, &t)| *new = R::of(old[t].f64() * sums[t]));
    }
}

/// Whether the multiplicative updates have stalled, asked every 10 iterations as scikit-learn does.
struct Stall {
    first: f64,
    last: f64,
}

impl Stall {
    fn new(loss: f64) -> Self {
        let root = (2.0 * loss.max(0.0)).sqrt();
        Self { first: root, last: root }
    }

    fn stalled(&mut self, loss: f64, tol: f64) -> bool {
        let root = (2.0 * loss.max(0.0)).sqrt();
        let fall = self.last - root;
        self.last = root;
        fall < tol * self.first || self.first == 0.0
    }
}

/// Rows per block: many, for a partial sum is as big as H, but enough blocks for every thread.
fn block_rows(n: usize) -> usize {
    (n / 64).clamp(48, BLOCK_ROWS)
}

#[cfg(test)]
mod tests;
