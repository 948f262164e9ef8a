//! Fuzzy clusters: how much of each row belongs to each of k clusters, of equal spheres or of ellipsoids of their own.
//!
//! Minimises J = Σ u^m d² over memberships u, which of each row sum to 1, and centres v (Bezdek 1981): by turns
//! u_c = d_c^(-2/(m-1)) / Σ_j d_j^(-2/(m-1)) and v_c = Σ u^m x / Σ u^m. d is the distance to a centre; or (Gustafson & Kessel 1979)
//! d² = (x - v)ᵀ A (x - v) with A = (ρ det F)^(1/p) F⁻¹ and F = Σ u^m (x - v)(x - v)ᵀ / Σ u^m, p the number of features d.
//!
//! One pass over X is one iteration: rows are turned into lanes, and of each block come memberships, the sums that the next
//! centres and covariances need, and J. Memberships are not kept: whether any has changed by more than the tolerance is
//! found from the centres of both iterations, most often from a few rows alone. In the arithmetic rows are centred, and scaled
//! by one power of two where their variance is far from one or, where covariances make up for it, each feature by its own
//! deviation. Covariances are summed about the current centres, so that nothing cancels.
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

use crate::engine::lanes::transpose;
use crate::engine::pass::pass;
use crate::engine::rows::Rows;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::methods::moments::moments;
use crate::{Control, Error, Result};
pub use frame::Frame;
pub use metric::Metric;
pub use power::Power;
use std::ops::Range;
pub use step::{Update, base, model, sweep, update};
use step::{block_rows, changed, limits, whitening};
pub use tile::{Memberships, Model, Sums};
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

/// What was found, from which [`memberships`] finds those of any rows.
#[derive(Debug)]
pub struct Fuzzy {
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
) -> Result<Fuzzy>
where
    T::Real: Power,
{
    check(rows.d(), k, options)?;
    let mut fit = Fit::new(rows, k, options, control)?;
    match start {
        Start::Centers(centers) => fit.centers = fit.frame.inward::<T::Real>(centers),
        Start::Memberships(u) => {
            fit.former = Some(Former::Given(u));
            fit.update_from_former()?;
        }
    }
    if options.covariances.is_some() {
        if matches!(start, Start::Centers(_)) {
            for _ in 0..SPHERICAL.0 {
                let (sums, changed) = fit.iterate(SPHERICAL.1)?;
                if !changed {
                    break;
                }
                fit.update(&sums)?;
            }
        }
        fit.metrics = Some(Vec::new());
        fit.update_from_former()?;
    }
    let mut objective = Vec::new();
    loop {
        let (sums, changed) = fit.iterate(options.tol)?;
        if !sums.objective.is_finite() {
            return Err(Error::invalid("X", "its values are too large or too far apart; divide them by the largest"));
        }
        objective.push(sums.objective / fit.frame.unit(options.covariances.is_some()));
        if !changed || objective.len() >= options.max_iter {
            return Ok(fit.finish(objective, !changed));
        }
        fit.update(&sums)?;
    }
}

/// Where the memberships of the last iteration came from.
enum Former<'a, R> {
    Given(&'a [R]),
    Of(Model<R>),
}

impl<R> Former<'_, R> {
    fn as_memberships(&self) -> Memberships<'_, R> {
        match self {
            Self::Given(u) => Memberships::Given(u),
            Self::Of(model) => Memberships::Of(model),
        }
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
        visit(&rows, range, (Memberships::Of(&model), None), Task::Write(out));
    };
    pass(n, block_rows::<T::Real>(&model), control, out, block, |()| ())
}

/// The row of k memberships whose sum is farthest from one, and its sum.
pub fn farthest_from_one<R: Real>(memberships: &[R], k: usize, control: &Control) -> Result<(usize, f64)> {
    let n = memberships.len() / k;
    let mut found = (0, 1.0);
    let further = |a: (usize, f64), b: (usize, f64)| if (b.1 - 1.0).abs() > (a.1 - 1.0).abs() { b } else { a };
    let block = |range: Range<usize>, _: &mut [u8]| {
        let rows = memberships[range.start * k..range.end * k].chunks_exact(k);
        let sums = rows.map(|row| row.iter().map(|u| u.f64()).sum());
        range.zip(sums).fold((0, 1.0), further)
    };
    control.expect(n as u64);
    pass(n, LABEL_ROWS, control, &mut [], block, |part| found = further(found, part))?;
    Ok(found)
}

/// The cluster of largest membership of each row of k, of equal ones the first.
pub fn labels<R: Real>(memberships: &[R], k: usize, control: &Control) -> Result<Vec<i32>> {
    let mut labels = vec![0; memberships.len() / k];
    let block = |range: Range<usize>, labels: &mut [i32]| {
        dispatch(Labels { u: &memberships[range.start * k..range.end * k], k, labels });
    };
    control.expect(labels.len() as u64);
    pass(labels.len(), LABEL_ROWS, control, &mut labels, block, |()| ())?;
    Ok(labels)
}

struct Labels<'a, R> {
    u: &'a [R],
    k: usize,
    labels: &'a mut [i32],
}

impl<R: Real> WithSimd for Labels<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (k, line) = (self.k, R::LINE);
        let (mut group, mut found) = (vec![R::ZERO; k * line], vec![R::ZERO; line]);
        for (labels, rows) in self.labels.chunks_mut(line).zip(self.u.chunks(k * line)) {
            transpose(rows, k, &mut group, line);
            for at in (0..line).step_by(R::lanes::<S>()) {
                let (mut most, mut best) = (R::load(simd, &group[at..]), R::splat(simd, R::ZERO));
                for c in 1..k {
                    let u = R::load(simd, &group[c * line + at..]);
                    best = R::where_less(simd, most, u, R::splat(simd, R::of(c as f64)), best);
                    most = R::max(simd, most, u);
                }
                R::store(simd, &mut found[at..], best);
            }
            // SAFETY: whole numbers below k.
            labels.iter_mut().zip(&found).for_each(|(label, best)| *label = unsafe { best.f64().to_int_unchecked() });
        }
    }
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
    /// Of the last iteration, if there was one.
    former: Option<Former<'a, T::Real>>,
    /// A row near which a membership changed by more than the tolerance the last time.
    witness: usize,
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
            former: None,
            witness: 0,
            conditioned: vec![0; k],
            empty: vec![0; k],
        };
        if let Some(Covariances { gamma, .. }) = options.covariances.filter(|c| c.gamma > 0.0) {
            fit.metrics = Some(Vec::new());
            let sums = fit.sums(Memberships::Full)?;
            fit.base = base(&sums, gamma, d, control)?;
            fit.metrics = None;
        }
        Ok(fit)
    }

    fn model(&self) -> Model<T::Real> {
        model(&self.frame, &self.centers, whitening(self.metrics.as_deref()), self.options.m)
    }

    /// The sums of some memberships about the centres there are.
    fn sums(&self, who: Memberships<'_, T::Real>) -> Result<Sums> {
        sweep(self.rows, who, &self.model(), None, self.control)
    }

    /// New centres from the memberships of the last iteration.
    fn update_from_former(&mut self) -> Result<()> {
        let former = self.former.as_ref().expect("given, or those of an iteration");
        let sums = self.sums(former.as_memberships())?;
        self.update(&sums)
    }

    /// The sums of the centres' own memberships, and whether one of these is further than `tol` from what it was, if it was.
    fn iterate(&mut self, tol: f64) -> Result<(Sums, bool)> {
        let model = self.model();
        let sums = sweep(self.rows, Memberships::Of(&model), &model, None, self.control)?;
        let changed = match &self.former {
            Some(former) => changed(self.rows, &model, former.as_memberships(), tol, &mut self.witness, self.control)?,
            None => true,
        };
        self.former = Some(Former::Of(model));
        Ok((sums, changed))
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

    fn finish(self, objective: Vec<f64>, converged: bool) -> Fuzzy {
        let (d, factor) = (self.rows.d(), &self.frame.factor);
        let covariances = Vec::from_iter(self.metrics.iter().flatten().flat_map(|metric| {
            let each = metric.covariance.iter().enumerate();
            each.map(|(at, x)| x / (factor[at / d] * factor[at % d]))
        }));
        let centers = self.frame.outward(&self.centers);
        let Self { conditioned, empty, .. } = self;
        Fuzzy { centers, covariances, objective, converged, conditioned, empty }
    }
}
