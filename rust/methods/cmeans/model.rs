//! The clusters in the arithmetic, where memberships come from, and what they add up to.

use super::frame::Frame;
use super::settings::length;
use crate::engine::room;
use crate::engine::simd::Real;
use crate::{Error, Result};

/// Rows of a whitening matrix that are worked on together; the last ones are padded with zeros.
pub const PACK: usize = 4;

/// What is held fixed while the rows pass. Rows count as (x - offset) factor, and so do the centres.
pub struct Model<R> {
    /// Number of clusters.
    pub k: usize,
    /// Number of features.
    pub d: usize,
    /// The exponent.
    pub m: R,
    /// Of every feature.
    pub offset: Vec<R>,
    /// Of every feature; none where all are one.
    pub factor: Vec<R>,
    /// k × d.
    pub centers: Vec<R>,
    /// k lower triangles, [packed](pack); empty before the first covariances are known, None for spheres.
    pub whitening: Option<Vec<R>>,
}

impl<R: Real> Model<R> {
    /// From centres, k × d in the frame, and `whitening`, k × d × d.
    pub fn new(frame: &Frame, centers: &[f64], whitening: Option<&[f64]>, m: f64) -> Self {
        let reals = |values: &[f64]| Vec::from_iter(values.iter().map(|&x| R::of(x)));
        let d = frame.offset.len();
        Self {
            k: centers.len() / d,
            d,
            m: R::of(m),
            offset: reals(&frame.offset),
            factor: if frame.factor.iter().all(|&f| f == 1.0) { Vec::new() } else { reals(&frame.factor) },
            centers: reals(centers),
            whitening: whitening.map(|all| all.chunks(d * d).flat_map(|matrix| pack(matrix, d)).collect()),
        }
    }

    /// Refuses a model that is not one of rows of `d` features.
    pub fn check(&self, d: usize) -> Result<()> {
        if self.k == 0 || d == 0 || self.d != d {
            let message =
                format!("{} centres of {} features; rows have {d}; give one or more of as many", self.k, self.d);
            return Err(Error::invalid("centers", message));
        }
        length("centers", self.centers.len(), self.k * d, "k centres of d features")?;
        length("offset", self.offset.len(), d, "one for each feature")?;
        if !self.factor.is_empty() {
            length("factor", self.factor.len(), d, "one for each feature, or none")?;
        }
        match &self.whitening {
            Some(whitening) if !whitening.is_empty() => {
                let triangle = (0..d).step_by(PACK).map(|first| (first + PACK).min(d) * PACK).sum::<usize>();
                length("whitening", whitening.len(), self.k * triangle, "a packed triangle for each cluster, or none")
            }
            _ => Ok(()),
        }
    }
}

/// A lower triangle in the order of use: of each [`PACK`] rows, column by column up to the diagonal.
fn pack<R: Real>(lower: &[f64], d: usize) -> impl Iterator<Item = R> {
    (0..d).step_by(PACK).flat_map(move |first| {
        (0..(first + PACK).min(d))
            .flat_map(move |j| (first..first + PACK).map(move |i| R::of(if i < d { lower[i * d + j] } else { 0.0 })))
    })
}

/// Where the memberships of some rows come from: they are nowhere stored, but computed again when they are needed.
pub enum Memberships<'a, R> {
    /// Every row belongs wholly to every cluster.
    Full,
    /// A row of k for each row.
    Stored(&'a [R]),
    /// From the distances to the clusters of a model.
    Of(&'a Model<R>),
}

impl<R> Clone for Memberships<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Memberships<'_, R> {}

impl<R: Real> Memberships<'_, R> {
    /// Refuses what are no memberships of n rows of d features in k clusters.
    pub fn check(&self, (n, d): (usize, usize), k: usize) -> Result<()> {
        match self {
            Self::Full => Ok(()),
            Self::Stored(u) => length("memberships", u.len(), n * k, "one for each row and cluster"),
            Self::Of(model) if model.whitening.as_ref().is_some_and(Vec::is_empty) => {
                Err(Error::invalid("whitening", "it is empty; memberships need a triangle for each cluster, or None"))
            }
            Self::Of(model) => {
                model.check(d)?;
                length("centers", model.k, k, "as many clusters as those about which is summed")
            }
        }
    }
}

/// What memberships add up to over rows, in f64.
#[derive(Debug, Clone)]
pub struct MembershipSums {
    /// Σ u^m of each cluster.
    pub mass: Vec<f64>,
    /// Spherical: Σ u^m x, k × d. Else k × (d + 1) × d: the lower triangle of Σ u^m (x - v)(x - v)ᵀ, and then Σ u^m (x - v).
    pub products: Vec<f64>,
    /// Σ u^m d².
    pub objective: f64,
    /// The largest change of a membership.
    pub change: f64,
}

impl MembershipSums {
    /// Zeros, about the centres of a model.
    pub fn new<R>(model: &Model<R>) -> Self {
        let (k, d) = (model.k, model.d);
        let products = room::zeros_or_unwind(products_len(k, d, model.whitening.is_some()), "sums of memberships");
        Self { mass: vec![0.0; k], products, objective: 0.0, change: 0.0 }
    }

    /// Adds those of another block.
    pub fn add(&mut self, block: &Self) {
        self.mass.iter_mut().zip(&block.mass).for_each(|(a, b)| *a += b);
        self.products.iter_mut().zip(&block.products).for_each(|(a, b)| *a += b);
        self.objective += block.objective;
        self.change = self.change.max(block.change);
    }

    /// Refuses sums that are not those of k clusters of d features.
    pub fn check(&self, k: usize, d: usize, covariances: bool) -> Result<()> {
        length("mass", self.mass.len(), k, "one for each cluster")?;
        length("products", self.products.len(), products_len(k, d, covariances), "those of each cluster")
    }
}

fn products_len(k: usize, d: usize, covariances: bool) -> usize {
    if covariances { k * (d + 1) * d } else { k * d }
}
