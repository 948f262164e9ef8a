//! Fuzzy clusters: how much of each row belongs to each of k clusters, of equal spheres or of ellipsoids of their own.
//!
//! Minimises J = Σ u^m d² over memberships u, which of each row sum to 1, and centres v (Bezdek 1981): by turns
//! u_c = d_c^(-2/(m-1)) / Σ_j d_j^(-2/(m-1)) and v_c = Σ u^m x / Σ u^m. d is the distance to a centre; or (Gustafson & Kessel 1979)
//! d² = (x - v)ᵀ A (x - v) with A = (ρ det F)^(1/p) F⁻¹ and F = Σ u^m (x - v)(x - v)ᵀ / Σ u^m, p the number of features d.
//!
//! One pass over X is one iteration: rows are turned into lanes, and of each block come new memberships, the sums that the next
//! centres and covariances need, J, and the largest change of a membership. In the arithmetic rows are centred and scaled
//! by powers of two: by one for all features or, where covariances make up for it, by one for each. Covariances are
//! summed about the current centres, so that nothing cancels.
//!
//! Cost of an iteration: 5 n d k flops, or 2 n d² k with covariances; and n k powers unless m is 2.

mod frame;
mod metric;
mod power;
mod products;
mod registers;
mod step;
#[cfg(test)]
mod tests;
mod tile;

use crate::moments::moments;
use crate::pass::pass;
use crate::rows::Rows;
use crate::simd::{Pixel, Real};
use crate::{Control, Error, Result};
pub use frame::Frame;
pub use metric::Metric;
pub use power::Power;
use std::ops::Range;
pub use step::{Update, base, model, sweep, turned, update};
use step::{block_rows, limits, whitening};
pub use tile::{Model, Sums};
use tile::{Task, visit};

/// Most features with a covariance each.
pub const MOST_FEATURES: usize = 512;
/// Rows of memberships that a thread takes at a time.
const LABEL_ROWS: usize = 8192;
/// Spherical iterations at most before covariances come in, and the change of a membership that is enough.
const SPHERICAL: (usize, f64) = (10, 1e-3);
/// Covariances of Gustafson & Kessel.
#[derive(Debug, Clone, Copy)]
pub struct Covariances<'a> {
    /// Volume of each cluster.
    pub rho: &'a [f64],
    /// Share of the covariance of all rows, between 0 and 1.
    pub gamma: f64,
    /// Largest ratio of the eigenvalues.
    pub beta: f64,
}

/// How to cluster.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Above 1.
    pub m: f64,
    /// At most so many iterations.
    pub max_iter: usize,
    /// Largest change of a membership at the end.
    pub tol: f64,
    /// None: spheres.
    pub covariances: Option<Covariances<'a>>,
}

/// Where to start.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a, R> {
    /// k × d; with covariances a few spherical iterations come first.
    Centers(&'a [f64]),
    /// n × k.
    Memberships(&'a [R]),
}

/// What was found.
#[derive(Debug)]
pub struct Fuzzy<R> {
    /// n × k, those of the centres and covariances below.
    pub memberships: Vec<R>,
    /// k × d.
    pub centers: Vec<f64>,
    /// k × d × d, or empty.
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

/// Cluster `rows` into `k` clusters.
pub fn cmeans<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    k: usize,
    start: Start<'_, T::Real>,
    options: &Options<'_>,
    control: &Control,
) -> Result<Fuzzy<T::Real>>
where
    T::Real: Power,
{
    check(rows.d(), k, options)?;
    let mut fit = Fit::new(rows, k, options, control)?;
    match start {
        Start::Centers(centers) => fit.centers = fit.frame.inward::<T::Real>(centers),
        Start::Memberships(u) => {
            fit.u = turned(u, k, control)?;
            let sums = fit.pass(false)?;
            fit.update(&sums)?;
        }
    }
    if options.covariances.is_some() {
        if matches!(start, Start::Centers(_)) {
            for _ in 0..SPHERICAL.0 {
                let sums = fit.pass(true)?;
                if sums.change <= SPHERICAL.1 {
                    break;
                }
                fit.update(&sums)?;
            }
        }
        fit.metrics = Some(Vec::new());
        let sums = fit.pass(false)?;
        fit.update(&sums)?;
    }
    let mut objective = Vec::new();
    loop {
        let sums = fit.pass(true)?;
        if !sums.objective.is_finite() {
            return Err(Error::invalid("X", "its values are too large or too far apart; divide them by the largest"));
        }
        objective.push(sums.objective / fit.frame.unit(options.covariances.is_some()));
        let converged = sums.change <= options.tol;
        if converged || objective.len() >= options.max_iter {
            return fit.finish(objective, converged);
        }
        fit.update(&sums)?;
    }
}

/// Write the memberships of `rows`, n × k, in clusters of `centers`, k × d, and, where there are any, of `covariances`,
/// k × d × d, and volumes.
pub fn memberships<T: Pixel>(
    rows: Rows<'_, T>,
    centers: &[f64],
    covariances: Option<(&[f64], &[f64])>,
    m: f64,
    out: &mut [T::Real],
    control: &Control,
) -> Result<()>
where
    T::Real: Power,
{
    let (n, d) = (rows.n(), rows.d());
    let k = centers.len() / d;
    let frame = Frame::of_clusters::<T::Real>(centers, covariances.map(|(covariances, _)| covariances), d);
    let metrics = match covariances {
        None => None,
        Some((covariances, rho)) => Some(
            (0..k)
                .map(|c| {
                    let covariance =
                        (0..d * d).map(|at| covariances[c * d * d + at] * frame.factor[at / d] * frame.factor[at % d]);
                    let (beta, least) = limits::<T::Real>();
                    Metric::new(covariance.collect(), d, rho[c], beta, least, control)
                })
                .collect::<Result<Vec<_>>>()?,
        ),
    };
    let model = model::<T::Real>(&frame, &frame.inward::<T::Real>(centers), whitening(metrics.as_deref()), m);
    control.expect(n as u64);
    let block = |range: Range<usize>, out: &mut [T::Real]| {
        visit(&rows, range, &model, Task::Rows(out), &mut Sums::new(&model));
    };
    pass(n, block_rows::<T::Real>(&model), control, out, block, |()| ())
}

/// The cluster of largest membership of each row of k, of equal ones the first.
pub fn labels<R: Real>(memberships: &[R], k: usize, control: &Control) -> Result<Vec<i32>> {
    let mut labels = vec![0; memberships.len() / k];
    let block = |range: Range<usize>, labels: &mut [i32]| {
        let rows = memberships[range.start * k..range.end * k].chunks_exact(k);
        for (label, u) in labels.iter_mut().zip(rows) {
            let mut best = 0;
            for c in 1..k {
                best = if u[c] > u[best] { c } else { best };
            }
            *label = best as i32;
        }
    };
    control.expect(labels.len() as u64);
    pass(labels.len(), LABEL_ROWS, control, &mut labels, block, |()| ())?;
    Ok(labels)
}

fn check(d: usize, k: usize, options: &Options<'_>) -> Result<()> {
    if k == 0 || options.max_iter == 0 || !(options.m > 1.0 && options.m.is_finite()) {
        return Err(Error::invalid("m", "one cluster or more, one iteration or more and m above 1 are needed"));
    }
    if options.covariances.is_some() && d > MOST_FEATURES {
        let message = format!(
            "{d} features are too many for a covariance matrix of each cluster, of which {MOST_FEATURES} are the most; \
             reduce them first, for example with emcore.PCA"
        );
        return Err(Error::invalid("X", message));
    }
    Ok(())
}

/// A fit under way.
struct Fit<'a, 'r, T: Pixel> {
    rows: Rows<'r, T>,
    options: &'a Options<'a>,
    control: &'a Control,
    frame: Frame,
    /// k × d in the frame.
    centers: Vec<f64>,
    /// Of every cluster; none yet before the first covariances are known.
    metrics: Option<Vec<Metric>>,
    /// γ det(F₀)^(1/p).
    base: f64,
    /// Turned: of each group of rows k times as many memberships.
    u: Vec<T::Real>,
    conditioned: Vec<usize>,
    empty: Vec<usize>,
}

impl<'a, 'r, T: Pixel + Into<f64>> Fit<'a, 'r, T>
where
    T::Real: Power,
{
    fn new(rows: Rows<'r, T>, k: usize, options: &'a Options<'a>, control: &'a Control) -> Result<Self> {
        let (n, d) = (rows.n(), rows.d());
        let found = moments(rows, control)?;
        let variance = Vec::from_iter(found.squares.iter().map(|s| s / n as f64));
        let mut fit = Self {
            rows,
            options,
            control,
            frame: Frame::new::<T::Real>(&found.mean, &variance, options.covariances.is_some()),
            centers: vec![0.0; k * d],
            metrics: None,
            base: 0.0,
            u: vec![T::Real::ZERO; n.div_ceil(T::Real::LINE) * T::Real::LINE * k],
            conditioned: vec![0; k],
            empty: vec![0; k],
        };
        if let Some(Covariances { gamma, .. }) = options.covariances.filter(|c| c.gamma > 0.0) {
            // Every row a full member of every cluster.
            fit.u.fill(T::Real::ONE);
            fit.metrics = Some(Vec::new());
            let sums = fit.pass(false)?;
            fit.base = base(&sums, gamma, d, control)?;
            fit.u.fill(T::Real::ZERO);
            fit.metrics = None;
        }
        Ok(fit)
    }

    /// Visit all rows: new memberships, unless those there are be kept, and the sums.
    fn pass(&mut self, renew: bool) -> Result<Sums> {
        let model = model::<T::Real>(&self.frame, &self.centers, whitening(self.metrics.as_deref()), self.options.m);
        sweep(self.rows, &model, &mut self.u, renew, self.control)
    }

    /// New centres and, with covariances, new metrics.
    fn update(&mut self, sums: &Sums) -> Result<()> {
        let covariances = self.options.covariances.filter(|_| self.metrics.is_some());
        let new = update::<T::Real>(&mut self.centers, sums, covariances, self.base, self.control)?;
        for (c, empty) in new.empty.iter().enumerate() {
            self.empty[c] += usize::from(*empty);
            self.conditioned[c] += usize::from(new.metrics.get(c).is_some_and(|metric| metric.conditioned));
        }
        if self.metrics.is_some() {
            self.metrics = Some(new.metrics);
        }
        Ok(())
    }

    fn finish(mut self, objective: Vec<f64>, converged: bool) -> Result<Fuzzy<T::Real>> {
        let (n, k, d) = (self.rows.n(), self.empty.len(), self.rows.d());
        let centers = self.frame.outward(&self.centers);
        let factor = &self.frame.factor;
        let covariances = Vec::from_iter(self.metrics.iter().flatten().flat_map(|metric| {
            let each = metric.covariance.iter().enumerate();
            each.map(|(at, x)| x / (factor[at / d] * factor[at % d]))
        }));
        self.u.truncate(n * k);
        // Anew from what is returned, so that the same rows have the same memberships ever after.
        let given = self.options.covariances.map(|given| (&covariances[..], given.rho));
        memberships(self.rows, &centers, given, self.options.m, &mut self.u, self.control)?;
        let Self { u: memberships, conditioned, empty, .. } = self;
        Ok(Fuzzy { memberships, centers, covariances, objective, converged, conditioned, empty })
    }
}
