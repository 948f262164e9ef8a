//! Fuzzy clusters: how much of each row belongs to each of k clusters, of equal spheres or of ellipsoids of their own.
//!
//! Minimises J = Σ u^m d² over memberships u, which of each row sum to 1, and centres v (Bezdek 1981): by turns
//! u_c = d_c^(-2/(m-1)) / Σ_j d_j^(-2/(m-1)) and v_c = Σ u^m x / Σ u^m. d is the distance to a centre; or (Gustafson & Kessel 1979)
//! d² = (x - v)ᵀ A (x - v) with A = (ρ det F)^(1/p) F⁻¹ and F = Σ u^m (x - v)(x - v)ᵀ / Σ u^m, p the number of features d.
//!
//! One pass over X is one iteration: rows are transposed into lanes, and of each block come memberships, the sums that the next
//! centres and covariances need, and J. Memberships are not stored: whether any has changed by more than the tolerance
//! follows from the centres of both iterations, in memory most often from a few rows alone. In the arithmetic rows are centred,
//! and scaled by one power of two where their variance is far from one or, where covariances make up for it, each feature by its
//! own deviation: that is their frame. Covariances are summed about the current centres, so that nothing cancels.
//!
//! Cost of an iteration: 5 n d k flops, or 2 n d² k with covariances; and n k powers unless m is 2.

mod driver;
mod frame;
mod in_memory;
mod labels;
mod metric;
mod model;
mod power;
mod products;
mod registers;
mod settings;
#[cfg(test)]
mod tests;
mod tile;
mod update;

use crate::engine::room;
use crate::engine::rows::Rows;
use crate::engine::simd::Pixel;
use crate::{Control, Error, Result};
use frame::Frame;
pub(crate) use in_memory::check_weights;
use in_memory::{InMemory, write};
pub use labels::labels;
use metric::{Metric, limits};
pub(crate) use model::Model;
pub use power::Power;
use settings::length;
pub use settings::{Covariances, Fuzzy, Options, Start};
#[cfg(feature = "python")]
pub(crate) use {
    driver::{Clusters, Members, Source, Stage, State, fit},
    in_memory::{rounded, sweep},
    labels::farthest_from_one,
    model::{MembershipSums, Memberships},
    settings::MOST_FEATURES,
};

/// Clusters `rows` into `k` clusters; `weights`, one for each row, are what it counts for, as if it were there so many times.
///
/// ```
/// use emcore::methods::cmeans::{Options, Start, cmeans};
/// use emcore::{Control, Rows};
///
/// let rows = Rows::from_slice(&[0.0f32, 1.0, 9.0, 10.0], 4, 1);
/// let options = Options { m: 2.0, max_iter: 100, tol: 1e-5, covariances: None };
/// let clusters = cmeans(rows, 2, Start::Centers(&[0.0, 9.0]), None, &options, &Control::new())?;
/// assert!(clusters.converged);
/// assert!((clusters.centers[0] - 0.5).abs() < 0.1 && (clusters.centers[1] - 9.5).abs() < 0.1);
/// # Ok::<(), emcore::Error>(())
/// ```
///
/// # Errors
///
/// A start or weights of another length, weights that are negative, m of 1 or less, no clusters, rows or iterations, more than 512 features with covariances, volumes of
/// another number; values that are too large or too far apart.
pub fn cmeans<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    k: usize,
    start: Start<'_, T::Real>,
    weights: Option<&[f64]>,
    options: &Options,
    control: &Control,
) -> Result<Fuzzy>
where
    T::Real: Power,
{
    let (centers, memberships) = match start {
        Start::Centers(centers) => (Some(centers), &[][..]),
        Start::Memberships(u) => (None, u),
    };
    check_weights(weights, rows.n())?;
    driver::fit(&mut InMemory::new(rows, memberships, weights), k, centers, None, options, control)
}

/// Writes the memberships of `rows`, n × k, in clusters of `centers`, k × d, and, where there are any, of `covariances`,
/// k × d × d, and volumes.
///
/// ```
/// use emcore::methods::cmeans::memberships;
/// use emcore::{Control, Rows};
///
/// let mut u = [0.0f32; 6];
/// let rows = Rows::from_slice(&[0.0f32, 1.0, 5.0], 3, 1);
/// memberships(rows, &[0.0, 4.0], None, 2.0, &mut u, &Control::new())?;
/// assert!((u[0] - 1.0).abs() < 1e-6 && (u[2] - 0.9).abs() < 1e-6 && (u[5] - 25.0 / 26.0).abs() < 1e-6);
/// # Ok::<(), emcore::Error>(())
/// ```
///
/// # Errors
///
/// Centres, covariances, volumes or memberships of another length.
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
    let d = rows.d();
    if d == 0 || centers.is_empty() || !centers.len().is_multiple_of(d) {
        let message = format!("{} values are no centres of {d} features; give d for each cluster", centers.len());
        return Err(Error::invalid("centers", message));
    }
    let k = centers.len() / d;
    if let Some((covariances, rho)) = covariances {
        length("covariances", covariances.len(), k * d * d, "a matrix for each cluster")?;
        length("rho", rho.len(), k, "one volume for each cluster")?;
    }
    room::check::<f64>(4 * covariances.map_or(centers.len(), |(all, _)| all.len()) as u128, "covariances of clusters")?;
    let frame = Frame::of_clusters::<T::Real>(centers, covariances.map(|(covariances, _)| covariances), d);
    let mut whitening = covariances.map(|_| Vec::new());
    if let (Some((covariances, rho)), Some(whitening)) = (covariances, &mut whitening) {
        for (matrix, &rho) in covariances.chunks_exact(d * d).zip(rho) {
            let each = matrix.iter().enumerate();
            let scaled = each.map(|(at, x)| x * frame.factor[at / d] * frame.factor[at % d]).collect();
            let (beta, least) = limits::<T::Real>();
            whitening.extend(Metric::new(scaled, d, rho, beta, least, control)?.whitening);
        }
    }
    let centers = frame.inward::<T::Real>(centers);
    write(rows, &Model::new(&frame, &centers, whitening.as_deref(), m), out, control)
}
