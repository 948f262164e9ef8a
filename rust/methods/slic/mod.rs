//! Which compact patches of a scan hold alike signals? SLIC superpixels for any number of channels.
//!
//! Achanta et al., IEEE TPAMI 34 (2012) 2274; for diffraction Selby et al. (2024). Seeds lie S apart; every position takes
//! the label of the nearest of the centres whose window, `reach` around each, covers it; a centre is the mean of its
//! positions. What is near, for C channels of mean variance σ² and compactness m:
//!
//! > D² = |x − c|² / (C σ²) + (m / S)² |r − r_c|²
//!
//! so that neither the number of channels nor their unit changes what a compactness means. The first assignment is by place
//! alone. With `adaptive` (SLICO) the first term of every centre is divided by the largest that its positions had, over m².
//!
//! What is done is exactly that, at less than its cost. D is a distance in channels and places together: a position whose
//! nearest centre cannot have changed, by the triangle inequality, is not read (Elkan 2003; Hamerly 2010); a centre that is
//! too far by place alone is left out for a whole tile; sums change only by positions that changed label. Distances come
//! from f32 products of two rows with eight centres at a time; where the nearest two differ by less than those can err,
//! f64 distances decide, and of equal ones the lowest label. So labels do not depend on threads or instruction set.
//!
//! Cost: a window of ± 2 S holds 16 centres: at most 32 n C flops and one read of the data an iteration. What follows
//! works on labels: [`sums`] in one pass, [`connect`], [`merge`] or [`merge_borders`], [`confidence`].

mod assign;
mod borders;
mod centers;
mod confidence;
mod connect;
mod labels;
mod measure;
mod merge;
mod products;
mod sums;
#[cfg(test)]
mod tests;

pub use borders::{Border, merge_borders};
pub use confidence::confidence;
pub use connect::connect;
pub use merge::{Step, merge};
pub use sums::{SegmentSums, sums};

use crate::engine::room;
use crate::engine::simd::Pixel;
use crate::methods::kmeans::is_integer;
use crate::{Control, Error, Result, Rows};
use assign::Assignment;
use centers::Centers;

/// An iteration that moves less than this part of all positions is the last.
const AT_REST: f64 = 1e-3;
/// Iterations after which sums of floats are formed anew.
const REBUILD: usize = 10;

/// What [`slic`] needs beside the data and the seeds.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// m: what a distance of S counts beside one standard deviation of every channel.
    pub compactness: f64,
    /// Whether each centre adapts it (SLICO).
    pub adaptive: bool,
    /// At most so many assignments, the one by place included.
    pub n_iter: usize,
    /// Distance of the seeds S.
    pub spacing: f64,
    /// How far a window reaches from its centre along y and x.
    pub reach: [f64; 2],
    /// False where a position is left out.
    pub mask: Option<&'a [bool]>,
}

/// Where the iteration ended.
#[derive(Debug)]
pub struct Fit {
    /// The label of every position, the number of its seed; -1 where the mask leaves it out.
    pub labels: Vec<i32>,
    /// Sums over the positions of every label.
    pub sums: SegmentSums,
    /// Assignments done.
    pub n_iter: usize,
}

/// Segment a scan of `shape` (y, x), a row for each position, from seeds (y, x).
///
/// ```
/// use emcore::methods::slic::{Options, slic};
/// use emcore::{Control, Rows};
///
/// // A line of six positions, a signal on the first four and none on the others.
/// let rows = Rows::from_slice(&[9u8, 9, 9, 9, 0, 0], 6, 1);
/// let (compactness, reach) = (0.1, [2.0, 6.0]);
/// let options = Options { compactness, adaptive: false, n_iter: 10, spacing: 3.0, reach, mask: None };
/// let fit = slic(rows, (1, 6), &[[0.0, 1.0], [0.0, 4.0]], &options, &Control::new())?;
/// assert_eq!(fit.labels, [0, 0, 0, 0, 1, 1]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn slic<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    shape: (usize, usize),
    seeds: &[[f64; 2]],
    options: &Options<'_>,
    control: &Control,
) -> Result<Fit> {
    check(&rows, shape, seeds, options)?;
    // Labels twice, and what is remembered of a position.
    room::check::<[u64; 4]>(rows.n() as u128, "labels and distances of all positions")?;
    room::check::<f64>(4 * seeds.len() as u128 * rows.d() as u128, "centres and sums of segments")?;
    let used = Vec::from_iter((0..rows.n()).filter(|&i| options.mask.is_none_or(|mask| mask[i])));
    let n = used.len();
    if n == 0 {
        return Err(Error::invalid("mask", "leaves no position; keep at least one"));
    }
    let mut centers = Centers::start(&rows, seeds, shape, options.reach, &used);
    let mut assignment = Assignment::new(&rows, shape, options.reach, options.mask);
    let mut sums = SegmentSums::new(seeds.len(), rows.d())?;
    let squares = assignment.start(&rows, &centers, &mut sums, control)?;
    let total = total_variance(&sums, squares, &centers.origin, n)?;
    // Equal signals everywhere leave the place alone to decide.
    let scale = options.compactness.powi(2) * if total > 0.0 { total } else { 1.0 };
    centers.weight = (scale / options.spacing.powi(2)).max(f64::MIN_POSITIVE);
    let mut n_iter = 1;
    while n_iter < options.n_iter {
        centers.advance(&sums, options.adaptive.then_some(scale));
        n_iter += 1;
        let moved = assignment.assign(&rows, &centers, &mut sums, options.adaptive, control)?;
        if n_iter.is_multiple_of(REBUILD) && !is_integer::<T>() {
            sums.values = self::sums(rows, &assignment.labels(), seeds.len(), control)?.values;
        }
        if (moved as f64) < AT_REST * n as f64 {
            break;
        }
    }
    Ok(Fit { labels: assignment.labels(), sums, n_iter })
}

/// C σ², the sum over channels of their variance.
fn total_variance(sums: &SegmentSums, squares: f64, origin: &[f64], n: usize) -> Result<f64> {
    let of_mean = |j: usize| {
        let mean = sums.values.iter().skip(j).step_by(origin.len()).sum::<f64>() / n as f64 - origin[j];
        mean * mean
    };
    let mean = squares / n as f64;
    let total = mean - (0..origin.len()).map(of_mean).sum::<f64>();
    // What cancels to its last digits is no variance.
    if total.is_finite() {
        Ok(if total > 1e-12 * mean { total } else { 0.0 })
    } else {
        Err(Error::invalid("data", "values too large to square; divide by a constant first"))
    }
}

fn check<T: Pixel>(rows: &Rows<'_, T>, shape: (usize, usize), seeds: &[[f64; 2]], options: &Options<'_>) -> Result<()> {
    let n = rows.n();
    if n == 0 || rows.d() == 0 || shape.0.checked_mul(shape.1) != Some(n) {
        return Err(Error::invalid("data", format!("{n} rows for a scan of {} x {}", shape.0, shape.1)));
    }
    if options.mask.is_some_and(|mask| mask.len() != n) {
        return Err(Error::invalid("mask", format!("one value for each of {n} positions is needed")));
    }
    let inside = |seed: &[f64; 2]| (0.0..shape.0 as f64).contains(&seed[0]) && (0.0..shape.1 as f64).contains(&seed[1]);
    if seeds.is_empty() || seeds.len() > i32::MAX as usize || !seeds.iter().all(inside) {
        return Err(Error::invalid("seeds", "places (y, x) inside the scan are needed, at least one"));
    }
    let above = |x: f64, least: f64| x.is_finite() && x >= least;
    if !above(options.compactness, 0.0) || !above(options.spacing, 1.0) || options.n_iter == 0 {
        return Err(Error::invalid("compactness", "a number of at least 0, a spacing and n_iter of at least 1"));
    }
    if !options.reach.iter().all(|&reach| above(reach, 1.0)) {
        return Err(Error::invalid("reach", "a window reaches at least one position"));
    }
    Ok(())
}
