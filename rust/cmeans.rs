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
#[cfg(test)]
mod tests;
mod tile;

use crate::eigen::eigen;
use crate::moments::moments;
use crate::pass::pass;
use crate::rows::Rows;
use crate::simd::{Pixel, Real};
use crate::{Control, Error, Result};
use faer::Mat;
use frame::Frame;
use metric::Metric;
pub use power::Power;
use std::ops::Range;
use tile::{Model, Sums, Task, visit};

/// Most features with a covariance each.
pub const MOST_FEATURES: usize = 512;
/// Spherical iterations at most before covariances come in, and the change of a membership that is enough.
const SPHERICAL: (usize, f64) = (10, 1e-3);
/// Rows per block of a pass at most, and the flops that a block takes at most, so that it can be stopped soon.
const BLOCK: (usize, usize) = (8192, 1 << 27);

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
    /// Of each row the cluster of largest membership.
    pub labels: Vec<i32>,
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
            fit.turn(u)?;
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
    let model = model::<T::Real>(&frame, &frame.inward::<T::Real>(centers), metrics.as_deref(), m);
    control.expect(n as u64);
    let block = |range: Range<usize>, out: &mut [T::Real]| {
        visit(&rows, range, &model, Task::Rows(out), &mut Sums::new(&model));
    };
    pass(n, block_rows::<T::Real>(&model), control, out, block, |()| ())
}

/// The cluster of largest membership of each row, of equal ones the first.
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
    pass(labels.len(), BLOCK.0, control, &mut labels, block, |()| ())?;
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

/// Largest ratio and smallest size of the eigenvalues of a covariance that the arithmetic can tell from rounding.
fn limits<R>() -> (f64, f64) {
    if size_of::<R>() == 4 { (1e6, 1e-14) } else { (1e15, 1e-30) }
}

fn model<R: Real>(frame: &Frame, centers: &[f64], metrics: Option<&[Metric]>, m: f64) -> Model<R> {
    let reals = |values: &[f64]| Vec::from_iter(values.iter().map(|&x| R::of(x)));
    let d = frame.offset.len();
    Model {
        k: centers.len() / d,
        d,
        m: R::of(m),
        offset: reals(&frame.offset),
        factor: reals(&frame.factor),
        centers: reals(centers),
        whitening: metrics.map(|all| all.iter().flat_map(|metric| registers::pack(&metric.whitening, d)).collect()),
    }
}

/// Whole tiles or, where they take long, whole groups.
fn block_rows<R: Real>(model: &Model<R>) -> usize {
    let flops = 4 * model.k * model.d * if model.whitening.is_some() { model.d } else { 1 };
    (BLOCK.1 / flops).clamp(R::LINE, BLOCK.0) / R::LINE * R::LINE
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
            let all = covariance(&sums.products, sums.mass[0], d);
            let values = eigen(Mat::from_fn(d, d, |i, j| all[i * d + j]), control)?.values;
            fit.base = gamma * (values.iter().map(|x| x.max(0.0).ln()).sum::<f64>() / d as f64).exp();
            fit.u.fill(T::Real::ZERO);
            fit.metrics = None;
        }
        Ok(fit)
    }

    /// Take over memberships, a row of k each, which must sum to 1.
    fn turn(&mut self, u: &[T::Real]) -> Result<()> {
        let (n, k, line) = (self.rows.n(), self.empty.len(), T::Real::LINE);
        let block = |groups: Range<usize>, turned: &mut [T::Real]| {
            let first = groups.start * line;
            let mut off = None;
            let given = u[first * k..(groups.end * line).min(n) * k].chunks(line * k);
            for (g, (rows, turned)) in given.zip(turned.chunks_exact_mut(line * k)).enumerate() {
                let mut sums = vec![T::Real::ZERO; rows.len() / k];
                for (c, turned) in turned.chunks_exact_mut(line).enumerate() {
                    for ((turned, row), sum) in turned.iter_mut().zip(rows.chunks_exact(k)).zip(&mut sums) {
                        *turned = row[c];
                        *sum += row[c];
                    }
                }
                let bad = sums.iter().position(|sum| !((sum.f64() - 1.0).abs() <= 1e-4));
                off = off.or(bad.map(|l| (first + g * line + l, sums[l].f64())));
            }
            off
        };
        let mut first = None;
        self.control.expect(n.div_ceil(line) as u64);
        pass(n.div_ceil(line), BLOCK.0 / line, self.control, &mut self.u, block, |off| first = first.or(off))?;
        first.map_or(Ok(()), |(row, sum)| {
            Err(Error::invalid(
                "init",
                format!("memberships in init[{row}] sum to {}; each row must sum to 1", (sum * 1e6).round() / 1e6),
            ))
        })
    }

    /// Visit all rows: new memberships, unless those there are be kept, and the sums.
    fn pass(&mut self, renew: bool) -> Result<Sums> {
        let (n, line) = (self.rows.n(), T::Real::LINE);
        let model = model::<T::Real>(&self.frame, &self.centers, self.metrics.as_deref(), self.options.m);
        let mut total = Sums::new(&model);
        let rows = self.rows;
        let block = |groups: Range<usize>, u: &mut [T::Real]| {
            let mut sums = Sums::new(&model);
            let range = groups.start * line..(groups.end * line).min(n);
            let task = if renew { Task::Iterate(u) } else { Task::Given(u) };
            visit(&rows, range, &model, task, &mut sums);
            sums
        };
        self.control.expect(n.div_ceil(line) as u64);
        let groups = block_rows(&model) / line;
        pass(n.div_ceil(line), groups, self.control, &mut self.u, block, |part| total.add(&part))?;
        Ok(total)
    }

    /// New centres and, with covariances, new metrics.
    fn update(&mut self, sums: &Sums) -> Result<()> {
        let (k, d) = (self.empty.len(), self.rows.d());
        let size = sums.products.len() / k;
        let round = |x: f64| T::Real::of(x).f64();
        let mut metrics = Vec::new();
        for (c, (&mass, products)) in sums.mass.iter().zip(sums.products.chunks_exact(size)).enumerate() {
            let empty = mass <= f64::from(f32::MIN_POSITIVE);
            self.empty[c] += usize::from(empty);
            let center = &mut self.centers[c * d..(c + 1) * d];
            let Some(Covariances { rho, gamma, beta }) = self.options.covariances.filter(|_| self.metrics.is_some())
            else {
                if !empty {
                    center.iter_mut().zip(products).for_each(|(v, sum)| *v = round(sum / mass));
                }
                continue;
            };
            let mut covariance = if empty { vec![0.0; d * d] } else { covariance(products, mass, d) };
            if !empty {
                center.iter_mut().zip(&products[d * d..]).for_each(|(v, sum)| *v = round(*v + sum / mass));
            }
            covariance.iter_mut().for_each(|x| *x *= 1.0 - gamma);
            (0..d).for_each(|j| covariance[j * d + j] += self.base);
            let (most, least) = limits::<T::Real>();
            let metric = Metric::new(covariance, d, rho[c], beta.min(most), least, self.control)?;
            self.conditioned[c] += usize::from(metric.conditioned);
            metrics.push(metric);
        }
        if self.metrics.is_some() {
            self.metrics = Some(metrics);
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
        let labels = labels(&self.u, k, self.control)?;
        let Self { u: memberships, conditioned, empty, .. } = self;
        Ok(Fuzzy { memberships, labels, centers, covariances, objective, converged, conditioned, empty })
    }
}

/// About the mean, from sums about another point.
fn covariance(products: &[f64], mass: f64, d: usize) -> Vec<f64> {
    let mean = |j: usize| products[d * d + j] / mass;
    let entry = |i: usize, j: usize| products[i.max(j) * d + i.min(j)] / mass - mean(i) * mean(j);
    (0..d * d).map(|at| entry(at / d, at % d)).collect()
}
