//! Which k groups do the rows fall into, and what is the mean of each? k-means by Lloyd's iteration (Lloyd 1982).
//!
//! Every row belongs to the nearest centre, every centre is the mean of its rows, until no row changes. With the scores
//! `s_c = |c − p|²/2 − (x − p)·(c − p)`, p a fixed point amid the data, the nearest centre has the lowest score, and the
//! squared distance is |x − p|² + 2 s. What is done is exactly Lloyd's iteration, at less than its cost:
//!
//! - *Many features*: a row is not read at all while its nearest centre cannot have changed. What its products with the
//!   centres of an earlier iteration say of those of today says so (see `bases`). Where there is no memory for these each
//!   row keeps by how much every (group of) other centres is farther at least than its own; what the centres moved since is
//!   taken off (the triangle inequality: Elkan 2003; Hamerly 2010 for one group, Ding et al. 2015 for several). Else n d k
//!   multiply-adds.
//! - *Certainty*: scores come from f32 products; where the best two differ by less than those can err, f64 distances
//!   decide, and of equal ones the lowest index. So labels do not depend on the instruction set.
//! - *Sums* over the rows of a cluster change only by rows that changed cluster. f64 sums of integers are exact (below
//!   2⁵³); those of floats are formed anew every ten iterations.
//!
//! With the cosine metric rows count as if scaled to length 1 (no scaled copy is made), and so are the centres: the
//! spherical k-means of Dhillon & Modha (2001). |x − c|² = 2 − 2 cos, so that all of the above holds.

mod assign;
mod bases;
mod bounds;
mod candidates;
mod centers;
mod distance;
mod exact;
mod few;
mod in_memory;
mod lloyd;
mod many;
#[cfg(feature = "python")]
pub(crate) mod out_of_core;
mod parameters;
mod relocate;
mod rows;
mod seeds;
#[cfg(feature = "python")]
mod spread;
mod sums;
#[cfg(test)]
mod tests;
mod update;

pub(crate) use centers::rounding;
pub(crate) use distance::{Distance, above, is_integer, sum_squares};
pub use exact::distances;
pub(crate) use parameters::check_centers;
pub use parameters::{Fit, Metric, Parameters};
pub use seeds::{draws, seeds};
#[cfg(feature = "python")]
pub(crate) use {
    candidates::draw,
    lloyd::{Source, State, lloyd},
    relocate::FarRow,
    seeds::{Source as SeedSource, check as check_seeds, plus_plus},
    spread::spread,
    sums::ClusterSums,
    update::scaled,
};

use crate::engine::simd::Pixel;
use crate::{Control, Error, Result, Rows};
use assign::Assignment;
use centers::Centers;
use in_memory::InMemory;
use parameters::check_weights;
use rows::WeightedRows;

/// Iterates from `centers`, k × d; `weights` are what rows count for.
///
/// ```
/// use emcore::methods::kmeans::{Metric, Parameters, kmeans};
/// use emcore::{Control, Rows};
///
/// let rows = Rows::from_slice(&[1_u8, 2, 91, 93], 4, 1);
/// let parameters = Parameters { max_iter: 100, tol: 0.0, metric: Metric::Euclidean };
/// let fit = kmeans(rows, &[0.0, 10.0], None, &parameters, &Control::new())?;
/// assert_eq!(fit.centers, [1.5, 92.0]);
/// assert_eq!(fit.labels, [0, 0, 1, 1]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn kmeans<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    centers: &[f64],
    weights: Option<&[f64]>,
    parameters: &Parameters,
    control: &Control,
) -> Result<Fit> {
    check_centers(centers, rows.d())?;
    check_weights(rows.n(), weights)?;
    if weights.is_some_and(|weights| weights.iter().all(|&weight| weight == 0.0)) {
        return Err(Error::invalid("sample_weight", "zero for all rows; at least one row must count"));
    }
    let x = WeightedRows::new(rows, parameters.metric, weights, control)?;
    let start = update::scaled(centers, rows.d(), parameters.metric);
    let mut source = InMemory::new(&x, start.clone())?;
    let (state, inertia) = lloyd::lloyd(&mut source, lloyd::State::new(start), parameters, control, |_| Ok(()))?;
    let lloyd::State { centers, n_iter, converged, .. } = state;
    Ok(Fit { centers, labels: source.into_labels()?, inertia, n_iter, converged })
}

/// The nearest of `centers` (k × d) to each row, and the inertia.
///
/// ```
/// use emcore::methods::kmeans::{Metric, nearest};
/// use emcore::{Control, Rows};
///
/// let rows = Rows::from_slice(&[1_u8, 2, 9], 3, 1);
/// let (labels, inertia) = nearest(rows, &[0.0, 10.0], Metric::Euclidean, None, &Control::new())?;
/// assert_eq!((labels, inertia), (vec![0, 0, 1], 6.0));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn nearest<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    centers: &[f64],
    metric: Metric,
    weights: Option<&[f64]>,
    control: &Control,
) -> Result<(Vec<u32>, f64)> {
    let k = check_centers(centers, rows.d())?;
    check_weights(rows.n(), weights)?;
    let x = WeightedRows::new(rows, metric, weights, control)?;
    let centers = Centers::new(&x, update::scaled(centers, rows.d(), metric));
    let mut assignment = Assignment::new(&x, k)?;
    assignment.assign(&x, &centers, None, control)?;
    let labels = assignment.into_labels()?;
    let inertia = exact::inertia(&x, &centers.values, |i| labels[i] as usize, control)?;
    Ok((labels, inertia))
}
