//! The iterations, wherever the rows are: each is one pass, made by a [`Source`].
//!
//! Memberships are stored nowhere: those of the last iteration are computed again from its clusters when it is asked whether
//! they have changed. After each pass the [`State`] is all that is needed to go on.

use super::frame::Frame;
use super::model::{MembershipSums, Model};
use super::settings::{Covariances, Fuzzy, Options, length};
use super::update::{base, update};
use crate::engine::room;
use crate::engine::simd::Real;
use crate::methods::moments::Moments;
use crate::{Control, Error, Result};

/// Spherical iterations at most before covariances come in, and the change of a membership that is enough.
const SPHERICAL: (usize, f64) = (10, 1e-3);

/// Whose memberships count in a pass.
pub enum Members<'a, R> {
    /// Every row belongs wholly to every cluster.
    Full,
    /// The memberships to start from, which the source holds.
    Start,
    /// Those that follow from the distances to the clusters of a model.
    Of(&'a Model<R>),
}

/// X as this method visits it, wherever it is; sums over rows are f64, distances and memberships of arithmetic `R`.
pub trait Source<R> {
    /// Numbers of rows and features.
    fn shape(&self) -> (usize, usize);
    /// Mean and squared deviations of every feature.
    fn moments(&self, control: &Control) -> Result<Moments>;
    /// What memberships add up to, about the centres of a model.
    fn sums(&self, members: Members<'_, R>, about: &Model<R>, control: &Control) -> Result<MembershipSums>;
    /// What the memberships of a model add up to about its own centres, and whether one of them is further than `tol` from what
    /// it was among the `former` ones.
    fn iterate(
        &mut self,
        model: &Model<R>,
        former: Option<Members<'_, R>>,
        tol: f64,
        control: &Control,
    ) -> Result<(MembershipSums, bool)>;
    /// Takes what is known after each pass.
    fn save(&self, _state: &State) -> Result<()> {
        Ok(())
    }
}

/// What the next pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Centres from the memberships to start from.
    Memberships,
    /// An iteration with spheres, before covariances.
    Spherical,
    /// What conditioning by γ adds.
    Base,
    /// The first covariances.
    Covariances,
    /// An iteration.
    Iterations,
}

/// Clusters in the frame.
#[derive(Debug, Clone)]
pub struct Clusters {
    /// k × d.
    pub centers: Vec<f64>,
    /// k × d × d, or empty for spheres.
    pub whitening: Vec<f64>,
}

/// What is known after a pass, and all that is needed to go on.
#[derive(Debug, Clone)]
pub struct State {
    /// The stage of the next pass.
    pub stage: Stage,
    /// Whether it started from memberships.
    pub from_memberships: bool,
    /// Number of spherical iterations before covariances.
    pub spherical: usize,
    /// γ det(F₀)^(1/p).
    pub base: f64,
    /// Of the last update.
    pub clusters: Clusters,
    /// Of the last update, as conditioned in the frame, k × d × d; or empty.
    pub covariances: Vec<f64>,
    /// Clusters of the last iteration.
    pub former: Option<Clusters>,
    /// Sums of the last iteration, which the clusters are not yet updated from.
    pub sums: Option<MembershipSums>,
    /// J of each iteration.
    pub objective: Vec<f64>,
    /// Whether the last iteration changed no membership by more than the tolerance.
    pub converged: bool,
    /// Updates of each cluster's covariance in which it was conditioned.
    pub conditioned: Vec<usize>,
    /// Updates in which a cluster had no members.
    pub empty: Vec<usize>,
}

impl State {
    /// Before the first pass: from centres in the frame, or None from memberships.
    fn new(k: usize, d: usize, centers: Option<Vec<f64>>, covariances: Option<&Covariances>) -> Self {
        let stage = match (&centers, covariances) {
            (None, _) => Stage::Memberships,
            (Some(_), Some(_)) => Stage::Spherical,
            (Some(_), None) => Stage::Iterations,
        };
        Self {
            stage,
            from_memberships: centers.is_none(),
            spherical: 0,
            base: 0.0,
            clusters: Clusters { centers: centers.unwrap_or_else(|| vec![0.0; k * d]), whitening: Vec::new() },
            covariances: Vec::new(),
            former: None,
            sums: None,
            objective: Vec::new(),
            converged: false,
            conditioned: vec![0; k],
            empty: vec![0; k],
        }
    }

    /// Refuses a state that is not one of k clusters of d features.
    fn check(&self, k: usize, d: usize, covariances: bool) -> Result<()> {
        let matrices = if covariances && self.stage == Stage::Iterations { k * d * d } else { 0 };
        let size = "those of k clusters of d features";
        length("checkpoint", self.clusters.centers.len(), k * d, size)?;
        length("checkpoint", self.clusters.whitening.len(), matrices, size)?;
        length("checkpoint", self.covariances.len(), matrices, size)?;
        length("checkpoint", self.conditioned.len(), k, size)?;
        length("checkpoint", self.empty.len(), k, size)?;
        if let Some(former) = &self.former {
            length("checkpoint", former.centers.len(), k * d, size)?;
            length(
                "checkpoint",
                former.whitening.len(),
                if former.whitening.is_empty() { 0 } else { k * d * d },
                size,
            )?;
        }
        let iterated = !self.objective.is_empty();
        if iterated != self.sums.is_some() || iterated && (self.stage != Stage::Iterations || self.former.is_none()) {
            return Err(Error::invalid("checkpoint", "its state is of no pass; remove the file to start anew"));
        }
        let sums = self.sums.as_ref().map_or(Ok(()), |sums| sums.check(k, d, covariances));
        sums.map_err(|error| Error::invalid("checkpoint", error.to_string()))
    }
}

/// Cluster the rows of a source into `k` clusters: from a state, else from `centers`, k × d, else from the memberships that the
/// source holds.
pub fn fit<R: Real>(
    source: &mut impl Source<R>,
    k: usize,
    centers: Option<&[f64]>,
    state: Option<State>,
    options: &Options,
    control: &Control,
) -> Result<Fuzzy> {
    let (n, d) = source.shape();
    options.check((n, d), k)?;
    if let Some(centers) = centers {
        length("centers", centers.len(), k * d, "k centres of d features")?;
    }
    if let Some(state) = &state {
        state.check(k, d, options.covariances.is_some())?;
    }
    // Clusters of this and the last iteration and their sums, of threads too.
    let (wide, clusters) = (if options.covariances.is_some() { d + 1 } else { 1 }, k as u128 * d as u128);
    room::check::<f64>(8 * clusters * wide as u128, "centres and covariances of clusters")?;
    let Moments { mean, squares, .. } = source.moments(control)?;
    let variance = Vec::from_iter(squares.iter().map(|s| s / n as f64));
    let frame = Frame::new::<R>(&mean, &variance, options.covariances.is_some());
    let begin = || State::new(k, d, centers.map(|x| frame.inward::<R>(x)), options.covariances.as_ref());
    let state = state.unwrap_or_else(begin);
    let mut fit = Fit { source, d, options, control, frame, state, real: std::marker::PhantomData };
    while !fit.has_ended() {
        fit.pass()?;
        fit.source.save(&fit.state)?;
    }
    Ok(fit.finish())
}

/// A fit under way.
struct Fit<'a, S, R> {
    source: &'a mut S,
    d: usize,
    options: &'a Options,
    control: &'a Control,
    frame: Frame,
    state: State,
    real: std::marker::PhantomData<R>,
}

impl<R: Real, S: Source<R>> Fit<'_, S, R> {
    fn has_ended(&self) -> bool {
        let State { stage, converged, objective, .. } = &self.state;
        *stage == Stage::Iterations && (*converged || objective.len() >= self.options.max_iter)
    }

    /// Makes a pass, and what follows from it.
    fn pass(&mut self) -> Result<()> {
        match self.state.stage {
            Stage::Memberships => {
                let sums = self.source.sums(Members::Start, &self.model(&self.state.clusters), self.control)?;
                self.update(&sums)?;
                self.state.stage = self.after_start();
            }
            Stage::Spherical => {
                let (sums, changed) = self.iterate(SPHERICAL.1)?;
                self.state.spherical += 1;
                if changed {
                    self.update(&sums)?;
                }
                if !changed || self.state.spherical >= SPHERICAL.0 {
                    self.state.stage = self.after_start();
                }
            }
            Stage::Base => {
                let about = self.before_covariances(&vec![0.0; self.state.clusters.centers.len()]);
                let sums = self.source.sums(Members::Full, &about, self.control)?;
                self.state.base = base(&sums, self.gamma(), self.d, self.control)?;
                self.state.stage = Stage::Covariances;
            }
            Stage::Covariances => {
                let about = self.before_covariances(&self.state.clusters.centers);
                let former = self.state.former.as_ref().map(|clusters| self.model(clusters));
                let members = former.as_ref().map_or(Members::Start, Members::Of);
                let sums = self.source.sums(members, &about, self.control)?;
                self.update(&sums)?;
                self.state.stage = Stage::Iterations;
            }
            Stage::Iterations => {
                if let Some(sums) = self.state.sums.take() {
                    self.update(&sums)?;
                }
                let (sums, changed) = self.iterate(self.options.tol)?;
                if !sums.objective.is_finite() {
                    let message = "its values are too large or too far apart; divide them by the largest";
                    return Err(Error::invalid("X", message));
                }
                self.state.objective.push(sums.objective / self.frame.unit(self.options.covariances.is_some()));
                self.state.converged = !changed;
                self.state.sums = Some(sums);
            }
        }
        Ok(())
    }

    /// The stage that follows the first centres.
    fn after_start(&self) -> Stage {
        match &self.options.covariances {
            None => Stage::Iterations,
            Some(covariances) if covariances.gamma > 0.0 => Stage::Base,
            Some(_) => Stage::Covariances,
        }
    }

    fn gamma(&self) -> f64 {
        self.options.covariances.as_ref().map_or(0.0, |covariances| covariances.gamma)
    }

    fn model(&self, clusters: &Clusters) -> Model<R> {
        let whitening = Some(&clusters.whitening[..]).filter(|matrices| !matrices.is_empty());
        Model::new(&self.frame, &clusters.centers, whitening, self.options.m)
    }

    /// About whose centres the sums of covariances are taken while there are none.
    fn before_covariances(&self, centers: &[f64]) -> Model<R> {
        Model::new(&self.frame, centers, Some(&[]), self.options.m)
    }

    /// The sums of the clusters' own memberships, and whether one of these is further than `tol` from what it was, if it was.
    fn iterate(&mut self, tol: f64) -> Result<(MembershipSums, bool)> {
        let model = self.model(&self.state.clusters);
        let former = self.state.former.as_ref().map(|clusters| self.model(clusters));
        let start = self.state.from_memberships.then_some(Members::Start);
        let iterated = self.source.iterate(&model, former.as_ref().map(Members::Of).or(start), tol, self.control)?;
        self.state.former = Some(self.state.clusters.clone());
        Ok(iterated)
    }

    /// New centres and, once they are summed, new covariances.
    fn update(&mut self, sums: &MembershipSums) -> Result<()> {
        let summed = matches!(self.state.stage, Stage::Covariances | Stage::Iterations);
        let covariances = self.options.covariances.as_ref().filter(|_| summed);
        let State { clusters, base, .. } = &mut self.state;
        let new = update::<R>(&mut clusters.centers, sums, covariances, *base, self.control)?;
        for (c, empty) in new.empty.iter().enumerate() {
            self.state.empty[c] += usize::from(*empty);
            self.state.conditioned[c] += usize::from(new.metrics.get(c).is_some_and(|metric| metric.conditioned));
        }
        self.state.clusters.whitening =
            new.metrics.iter().flat_map(|metric| metric.whitening.iter().copied()).collect();
        self.state.covariances = new.metrics.into_iter().flat_map(|metric| metric.covariance).collect();
        Ok(())
    }

    fn finish(self) -> Fuzzy {
        let (d, factor) = (self.d, &self.frame.factor);
        let State { clusters, covariances, objective, converged, conditioned, empty, .. } = self.state;
        let matrices = covariances.chunks(d * d).flat_map(|matrix| matrix.iter().enumerate());
        let covariances = matrices.map(|(at, x)| x / (factor[at / d] * factor[at % d])).collect();
        Fuzzy { centers: self.frame.outward(&clusters.centers), covariances, objective, converged, conditioned, empty }
    }
}
