//! Rows to start from: greedy k-means++ (Arthur & Vassilvitskii 2007).
//!
//! Each further row is drawn with a chance that grows as its squared distance to the rows chosen before; of a few draws
//! the one is kept that leaves the smallest sum of these. Costs one read of X per row chosen.

use super::centers::Centers;
use super::exact::{Distance, own_distances};
use super::rows::Weighed;
use super::{Metric, too_large};
use crate::engine::pass::pass;
use crate::engine::simd::{Pixel, Real, dispatch};
use crate::engine::tiles::{project, tile_rows, tiles};
use crate::{Control, Error, Result, Rows};

/// Indices of k rows. `draws` are numbers in [0, 1): one, and then as many for each further row, which are its trials.
pub fn seeds<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    k: usize,
    metric: Metric,
    weights: Option<&[f64]>,
    draws: &[f64],
    control: &Control,
) -> Result<Vec<usize>> {
    let n = rows.n();
    if k == 0 || k > n {
        return Err(Error::invalid("n_clusters", format!("{k} asked for; {n} rows can have 1 to {n}")));
    }
    let trials = (draws.len() - 1).checked_div(k - 1).unwrap_or(0);
    let x = Weighed::new(rows, metric, weights, control)?;
    let first = draw(|i| x.weight(i), n, draws[0]);
    let origin = center(&x, first);
    let (squares, total) = from_center(&x, &origin, control)?;
    if !f64::is_finite(total) {
        return Err(too_large());
    }
    let mut nearest = squares.clone();
    let mut chosen = vec![first];
    for draws in draws[1..].chunks(trials.max(1)).take(k - 1) {
        let weighted = |i: usize| x.weight(i) * nearest[i];
        let candidates = Vec::from_iter(draws.iter().map(|&u| draw(weighted, n, u)));
        let points = candidates.iter().flat_map(|&i| center(&x, i)).collect();
        let (closer, sums) = try_rows(&x, &origin, &squares, &nearest, points, control)?;
        let best = (0..candidates.len()).min_by(|&a, &b| sums[a].total_cmp(&sums[b])).unwrap_or(0);
        nearest.iter_mut().zip(closer.iter().skip(best).step_by(candidates.len())).for_each(|(near, &new)| *near = new);
        chosen.push(candidates[best]);
    }
    Ok(chosen)
}

/// The squared distances of some rows from one (d values), and their weighted sum.
pub fn squares<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    from: &[f64],
    metric: Metric,
    weights: Option<&[f64]>,
    control: &Control,
) -> Result<(Vec<f64>, f64)> {
    let x = Weighed::new(rows, metric, weights, control)?;
    let (squares, total) = from_center(&x, &points(from, rows.d(), metric, control)?, control)?;
    if total.is_finite() { Ok((squares, total)) } else { Err(too_large()) }
}

/// Of some rows, of which `squares` are the squared distances from the first row chosen, `origin`, and `nearest` those from
/// the nearest: what they would be if each of `candidates` (m × d) were chosen too, n × m, and their weighted sums.
#[allow(clippy::too_many_arguments)]
pub fn attempts<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    origin: &[f64],
    squares: &[f64],
    nearest: &[f64],
    candidates: &[f64],
    metric: Metric,
    weights: Option<&[f64]>,
    control: &Control,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let x = Weighed::new(rows, metric, weights, control)?;
    let [origin, candidates] = [origin, candidates].map(|rows| points(rows, x.rows.d(), metric, control));
    try_rows(&x, &origin?, squares, nearest, candidates?, control)
}

/// Copies of rows as centres.
fn points(rows: &[f64], d: usize, metric: Metric, control: &Control) -> Result<Vec<f64>> {
    let n = rows.len() / d;
    let x = Weighed::new(Rows::from_slice(rows, n, d), metric, None, control)?;
    Ok((0..n).flat_map(|i| center(&x, i)).collect())
}

/// Squared distances of all rows from a centre, and their weighted sum.
fn from_center<T: Pixel + Into<f64>>(
    x: &Weighed<'_, '_, T>,
    center: &[f64],
    control: &Control,
) -> Result<(Vec<f64>, f64)> {
    let (mut squares, mut total) = (vec![0.0; x.rows.n()], 0.0);
    own_distances(x, center, |_| 0, &mut squares, control, |i, square| x.weight(i) * square, |part| total += part)?;
    Ok((squares, total))
}

/// The row at the fraction `u` of the sum of all values.
pub fn draw(value: impl Fn(usize) -> f64, n: usize, u: f64) -> usize {
    let target = u * (0..n).map(&value).sum::<f64>();
    let mut sum = 0.0;
    for i in 0..n {
        sum += value(i);
        if sum > target {
            return i;
        }
    }
    n - 1 // all are zero, or rounding
}

fn center<T: Pixel + Into<f64>>(x: &Weighed<'_, '_, T>, i: usize) -> Vec<f64> {
    let mut scratch = Vec::new();
    let factor = x.factor(i);
    x.rows.block(i..i + 1, &mut scratch).row(0).iter().map(|&v| factor * v.into()).collect()
}

/// Squared distances to the nearest row chosen, if each of the candidates were too: n × candidates, and their sums.
fn try_rows<T: Pixel + Into<f64>>(
    x: &Weighed<'_, '_, T>,
    origin: &[f64],
    squares: &[f64],
    nearest: &[f64],
    candidates: Vec<f64>,
    control: &Control,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let (n, d) = (x.rows.n(), x.rows.d());
    let m = candidates.len() / d;
    let centers = Centers::around(x, origin, candidates);
    let mut closer = vec![0.0; n * m];
    let mut sums = vec![0.0; m];
    control.expect(n as u64);
    pass(
        n,
        x.block_rows(),
        control,
        &mut closer,
        |range, out| {
            let (mut scratch, mut sums, mut dots) = (Vec::new(), vec![0.0; m], Vec::new());
            for tile in tiles(range.len(), tile_rows::<T>(d)) {
                if control.check().is_err() {
                    break;
                }
                let start = range.start + tile.start;
                let block = x.rows.block(start..start + tile.len(), &mut scratch);
                dots.resize(tile.len() * m, T::Real::ZERO);
                project(block, &centers.offset, &centers.q, &mut dots);
                for (at, (dots, out)) in dots.chunks(m).zip(out[tile.start * m..].chunks_mut(m)).enumerate() {
                    let (i, row) = (start + at, block.row(at));
                    let factor = x.factor(i);
                    for c in 0..m {
                        let square = squares[i] + 2.0 * (centers.half[c] - factor * dots[c].f64());
                        // What cancels is taken directly.
                        let sure = square > 1e3 * centers.error_of(c, squares[i].sqrt(), factor);
                        let center = &centers.values[c * d..][..d];
                        let square = if sure { square } else { dispatch(Distance { x: row, factor, center }) };
                        out[c] = nearest[i].min(square);
                        sums[c] += x.weight(i) * out[c];
                    }
                }
            }
            sums
        },
        |part| sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part),
    )?;
    Ok((closer, sums))
}
