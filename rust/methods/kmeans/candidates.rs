//! What k-means++ asks of rows in memory: squared distances from candidates, and the row at a fraction of their sum.

use super::centers::Centers;
use super::distance::Distance;
use super::exact::own_distances;
use super::rows::WeightedRows;
use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::simd::{Pixel, Real, dispatch};
use crate::engine::tiles::{project, tile_rows, tiles};
use crate::{Control, Result};

/// The row of `n` at the fraction `u` of the sum of all values.
pub fn draw(value: impl Fn(usize) -> f64, n: usize, u: f64) -> usize {
    let target = u * (0..n).map(&value).sum::<f64>();
    let mut sum = 0.0;
    for i in 0..n {
        sum += value(i);
        if sum > target {
            return i;
        }
    }
    n.saturating_sub(1) // all are zero, or rounding
}

/// A row as a centre.
pub fn center<T: Pixel + Into<f64>>(x: &WeightedRows<'_, '_, T>, i: usize) -> Vec<f64> {
    let factor = x.factor(i);
    x.copy(i).into_iter().map(|x| factor * x).collect()
}

/// Squared distances of all rows from a centre, and their weighted sum.
fn from_center<T: Pixel + Into<f64>>(
    x: &WeightedRows<'_, '_, T>,
    center: &[f64],
    control: &Control,
) -> Result<(Vec<f64>, f64)> {
    let (mut squares, mut total) = (room::zeros(x.rows.n(), "squared distances")?, 0.0);
    let weighted = |i: usize, square: f64| x.weight(i) * square;
    own_distances(x, center, |_| 0, &mut squares, control, weighted, |partial| total += partial)?;
    Ok((squares, total))
}

/// The first row chosen, and squared distances of rows.
#[derive(Clone, Copy)]
pub struct Chosen<'a> {
    /// The row as a centre.
    pub origin: &'a [f64],
    /// From the first row chosen.
    pub first: &'a [f64],
    /// From the nearest row chosen.
    pub nearest: &'a [f64],
}

/// Squared distances to the nearest row chosen if each of the candidates (m × d) were too, n × m, and their weighted sums.
/// Where none was chosen there is one candidate.
pub fn attempts<T: Pixel + Into<f64>>(
    x: &WeightedRows<'_, '_, T>,
    chosen: Option<Chosen<'_>>,
    candidates: Vec<f64>,
    control: &Control,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let Some(Chosen { origin, first, nearest }) = chosen else {
        let (squares, total) = from_center(x, &candidates, control)?;
        return Ok((squares, vec![total]));
    };
    let (n, d) = (x.rows.n(), x.rows.d());
    let m = candidates.len() / d;
    let centers = Centers::around(x, origin, candidates);
    let mut closer = room::zeros(room::product::<f64>(&[n, m], "squared distances")?, "squared distances")?;
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
                    let (factor, from_first) = (x.factor(i), first[i]);
                    for c in 0..m {
                        let square = from_first + 2.0 * (centers.half[c] - factor * dots[c].f64());
                        // What cancels is taken directly.
                        let sure = square > 1e3 * centers.error_of(c, from_first.sqrt(), factor);
                        let center = &centers.values[c * d..][..d];
                        let square = if sure { square } else { dispatch(Distance { x: row, factor, center }) };
                        out[c] = nearest[i].min(square);
                        sums[c] += x.weight(i) * out[c];
                    }
                }
            }
            sums
        },
        |partial| sums.iter_mut().zip(partial).for_each(|(sum, partial)| *sum += partial),
    )?;
    Ok((closer, sums))
}
