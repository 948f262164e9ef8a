//! Each row to its nearest centre where features are many, reading only rows for which that may have changed.

use super::bases::Bases;
use super::bounds::Bounds;
use super::centers::Centers;
use super::distance::{Distance, above};
use super::parameters::UNASSIGNED;
use super::rows::WeightedRows;
use super::sums::{Reassigned, SumChanges, Workspaces};
use crate::Control;
use crate::engine::room;
use crate::engine::rows::{Block, Rows};
use crate::engine::simd::{Pixel, Real, dispatch};
use crate::engine::tiles::{project, tile_rows};
use std::ops::Range;

/// Brings the labels and bounds of some rows up to date.
pub struct Visit<'a, 'x, 'w, T: Pixel> {
    pub x: &'a WeightedRows<'x, 'w, T>,
    pub centers: &'a Centers<T::Real>,
    /// Where products with them are remembered.
    pub bases: Option<&'a Bases<T::Real>>,
    pub rows: Range<usize>,
    pub labels: &'a mut [u32],
    /// Upper bounds of |x − p|.
    pub sizes: &'a mut [f32],
    pub bounds: &'a mut Bounds<T::Real>,
    pub workspaces: Option<&'a Workspaces>,
    pub control: &'a Control,
}

impl<T: Pixel + Into<f64>> Visit<'_, '_, '_, T> {
    /// What the rows that change cluster change in the sums.
    pub fn run(self) -> SumChanges {
        let Self { x, centers, bases, rows, labels, sizes, bounds, workspaces, control } = self;
        let mut changes = SumChanges::new(centers.k);
        let need = match (&mut *bounds, bases) {
            (Bounds::Groups(groups), _) => groups.uncertain(centers, labels),
            (Bounds::Products(products), Some(bases)) => {
                products.uncertain(x, centers, bases, rows.start, labels, sizes)
            }
            (Bounds::Products(_), None) => (0..rows.len()).collect(),
        };
        let (mut scratch, mut buffer) = (Vec::new(), Vec::new());
        let mut dots = room::zeros_or_unwind(need.len().min(tile_rows::<T>(centers.d)) * centers.k, "products");
        let mut scores = vec![0.0; centers.k];
        for chunk in need.chunks(tile_rows::<T>(centers.d)) {
            if control.check().is_err() {
                break; // as the pass will see
            }
            let gathered;
            let block = if chunk[chunk.len() - 1] - chunk[0] + 1 == chunk.len() {
                x.rows.block(rows.start + chunk[0]..rows.start + chunk[0] + chunk.len(), &mut scratch)
            } else {
                gather(x, rows.start, chunk, &mut scratch, &mut buffer);
                gathered = Rows::from_slice(&buffer, chunk.len(), centers.d);
                gathered.block(0..chunk.len(), &mut scratch)
            };
            dots.resize(chunk.len() * centers.k, T::Real::ZERO);
            project(block, &centers.offset, &centers.q, &mut dots);
            let mut moves = Vec::new();
            for (at, (&i, dots)) in chunk.iter().zip(dots.chunks(centers.k)).enumerate() {
                let (row, index) = (block.row(at), rows.start + i);
                let (old, factor) = (labels[i], x.factor(index));
                if old == UNASSIGNED {
                    let square = dispatch(Distance { x: row, factor, center: &centers.origin });
                    sizes[i] = above(square.sqrt());
                    changes.squares += x.weight(index) * square;
                }
                let size = f64::from(sizes[i]);
                let (label, finite) = nearest(centers, row, (size, factor), dots, &mut scores);
                match (&mut *bounds, bases) {
                    (Bounds::Groups(groups), _) => {
                        groups.remember(i, label, size, &scores, |c| centers.error_of(c, size, factor));
                    }
                    (Bounds::Products(products), Some(bases)) => {
                        products.remember(i, centers, bases, (dots, finite), (size, factor));
                    }
                    (Bounds::Products(_), None) => {}
                }
                let label = label as u32;
                if label != old {
                    labels[i] = label;
                    changes.moved += 1;
                    moves.push(Reassigned { row, index, from: old, to: label });
                }
            }
            if let Some(workspaces) = workspaces {
                changes.steps(x, &moves, workspaces);
            }
        }
        changes
    }
}

/// Copies rows, runs of neighbours at a time, one after the other.
fn gather<T: Pixel + Into<f64>>(
    x: &WeightedRows<'_, '_, T>,
    start: usize,
    rows: &[usize],
    scratch: &mut Vec<T>,
    buffer: &mut Vec<T>,
) {
    buffer.clear();
    for run in rows.chunk_by(|a, b| a + 1 == *b) {
        let block: Block<'_, T> = x.rows.block(start + run[0]..start + run[0] + run.len(), scratch);
        (0..run.len()).for_each(|i| buffer.extend_from_slice(block.row(i)));
    }
}

/// The nearest centre of a row, of which `dots` are the products with all centres, and whether all scores are finite.
fn nearest<T: Pixel + Into<f64>>(
    centers: &Centers<T::Real>,
    row: &[T],
    (size, factor): (f64, f64),
    dots: &[T::Real],
    scores: &mut [f64],
) -> (usize, bool) {
    let error = |c: usize| centers.error_of(c, size, factor);
    for (score, (half, dot)) in scores.iter_mut().zip(centers.half.iter().zip(dots)) {
        *score = half - factor * dot.f64();
    }
    let mut best = 0;
    for c in 1..centers.k {
        best = if scores[c] < scores[best] { c } else { best };
    }
    let finite = scores.iter().all(|score| score.is_finite());
    let close = |c: usize, best: usize| !finite || scores[c] - error(c) <= scores[best] + error(best);
    if (0..centers.k).any(|c| c != best && close(c, best)) {
        let exact = |c: usize| {
            let center = &centers.values[c * centers.d..][..centers.d];
            dispatch(Distance { x: row, factor, center })
        };
        let candidates = (0..centers.k).filter(|&c| c == best || close(c, best)).map(|c| (exact(c), c));
        best = candidates.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(best, |(_, c)| c);
    }
    (best, finite)
}
