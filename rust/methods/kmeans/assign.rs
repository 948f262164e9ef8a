//! Each row to its nearest centre, reading only rows for which that may have changed.

use super::bases::{self, Bases};
use super::centers::{Centers, above};
use super::exact::Distance;
use super::few;
use super::rows::Weighed;
use super::sums::{Change, Free, Move, NONE, Sums};
use crate::engine::pass::pass;
use crate::engine::rows::{Block, Rows};
use crate::engine::simd::{Pixel, Real, dispatch};
use crate::engine::tiles::{project, tile_rows, tiles};
use crate::{Control, Result};
use std::ops::Range;

/// Bytes of a row of X for which a bound on one more group of centres is kept: bounds take 2 % of X at most.
const BYTES_PER_GROUP: usize = 256;

/// What is known of all rows, in blocks.
pub struct Parts<R> {
    parts: Vec<Part<R>>,
    block_rows: usize,
    free: Free,
    bases: Option<Bases<R>>,
}

/// What is known of some rows.
pub struct Part<R> {
    pub rows: Range<usize>,
    pub labels: Vec<u32>,
    /// An upper bound of |x − p|.
    sizes: Vec<f32>,
    /// By how much the centres of each group are farther, at the least, than the row's own.
    pub slack: Vec<f32>,
    /// Centres in a group.
    group: usize,
    /// In place of the slack: the basis whose products with the row are known, these, and the part of it across them.
    basis: Vec<u8>,
    dots: Vec<R>,
    across: Vec<f32>,
}

impl<R: Real> Parts<R> {
    /// Nothing is known.
    pub fn new<T: Pixel<Real = R> + Into<f64>>(x: &Weighed<'_, '_, T>, k: usize) -> Self {
        let (n, d) = (x.rows.n(), x.rows.d());
        let group = k.div_ceil((x.rows.row_bytes() / BYTES_PER_GROUP).clamp(1, k));
        let few = d <= few::MOST;
        let (group, groups) = if few { (k, 1) } else { (group, k.div_ceil(group)) };
        let bases = if few { None } else { Bases::new(n, x.rows.row_bytes(), k, d) };
        let block_rows = x.block_rows();
        let part = |rows: Range<usize>| {
            let n = rows.len();
            let known = if bases.is_some() { n } else { 0 };
            Part {
                rows,
                labels: vec![NONE; n],
                sizes: vec![0.0; if few { 0 } else { n }],
                slack: vec![-1.0; (n - known) * groups],
                group,
                basis: vec![bases::NONE; known],
                dots: vec![R::ZERO; known * k],
                across: vec![0.0; known],
            }
        };
        Self { parts: tiles(n, block_rows).map(part).collect(), block_rows, free: Free::new(), bases }
    }

    /// The cluster of row `i`.
    pub fn label(&self, i: usize) -> u32 {
        self.parts[i / self.block_rows].labels[i % self.block_rows]
    }

    /// Of all rows.
    pub fn into_labels(self) -> Vec<u32> {
        Vec::from_iter(self.parts.into_iter().map(|part| part.labels)).concat()
    }

    /// Find the nearest centre of each row and bring `sums` up to date; returns how many rows changed cluster.
    pub fn assign<T: Pixel<Real = R> + Into<f64>>(
        &mut self,
        x: &Weighed<'_, '_, T>,
        centers: &Centers<R>,
        mut sums: Option<&mut Sums>,
        control: &Control,
    ) -> Result<usize> {
        let keep = sums.is_some();
        let free = &self.free;
        if let Some(bases) = &mut self.bases {
            bases.turn(centers, self.parts.iter().flat_map(|part| &part.basis), control)?;
        }
        let bases = self.bases.as_ref();
        let mut moved = 0;
        let table = (centers.d <= few::MOST).then(|| few::Table::new(centers));
        control.expect(self.parts.len() as u64);
        pass(
            self.parts.len(),
            1,
            control,
            &mut self.parts,
            |_, part| match &table {
                Some(table) => {
                    dispatch(few::Visit { x, centers, table, part: &mut part[0], free: keep.then_some(free), control })
                }
                None => visit(x, centers, bases, &mut part[0], keep.then_some(free), control),
            },
            |change| {
                moved += change.moved;
                if let Some(sums) = &mut sums {
                    sums.add(change, free);
                }
            },
        )?;
        Ok(moved)
    }
}

/// Bring a part up to date.
fn visit<T: Pixel + Into<f64>>(
    x: &Weighed<'_, '_, T>,
    centers: &Centers<T::Real>,
    bases: Option<&Bases<T::Real>>,
    part: &mut Part<T::Real>,
    free: Option<&Free>,
    control: &Control,
) -> Change {
    let mut change = Change::new(centers.k);
    let need = match bases {
        Some(bases) => part.unsure(x, centers, bases),
        None => part.uncertain(centers),
    };
    let (mut scratch, mut buffer) = (Vec::new(), Vec::new());
    let mut dots = Vec::new();
    let mut scores = vec![0.0; centers.k];
    for chunk in need.chunks(tile_rows::<T>(centers.d)) {
        if control.check().is_err() {
            break; // as the pass will see
        }
        let gathered;
        let block = if chunk[chunk.len() - 1] - chunk[0] + 1 == chunk.len() {
            x.rows.block(part.rows.start + chunk[0]..part.rows.start + chunk[0] + chunk.len(), &mut scratch)
        } else {
            gather(x, part.rows.start, chunk, &mut scratch, &mut buffer);
            gathered = Rows::from_slice(&buffer, chunk.len(), centers.d);
            gathered.block(0..chunk.len(), &mut scratch)
        };
        dots.resize(chunk.len() * centers.k, T::Real::ZERO);
        project(block, &centers.offset, &centers.q, &mut dots);
        let mut moves = Vec::new();
        for (at, (&i, dots)) in chunk.iter().zip(dots.chunks(centers.k)).enumerate() {
            let (row, index) = (block.row(at), part.rows.start + i);
            let old = part.labels[i];
            if old == NONE {
                let factor = x.factor(index);
                let square = dispatch(Distance { x: row, factor, center: &centers.origin });
                part.sizes[i] = above(square.sqrt());
                change.squares += x.weight(index) * square;
            }
            let label = part.decide(x, centers, bases, i, row, dots, &mut scores);
            if label != old {
                part.labels[i] = label;
                change.moved += 1;
                moves.push(Move { row, index, from: old, to: label });
            }
        }
        if let Some(free) = free {
            change.steps(x, &moves, free);
        }
    }
    change
}

/// Copy rows, runs of neighbours at a time, one after the other.
fn gather<T: Pixel + Into<f64>>(
    x: &Weighed<'_, '_, T>,
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

impl<R: Real> Part<R> {
    /// Which rows may have another nearest centre now, by their products with a basis.
    fn unsure<T: Pixel<Real = R> + Into<f64>>(
        &self,
        x: &Weighed<'_, '_, T>,
        centers: &Centers<R>,
        bases: &Bases<R>,
    ) -> Vec<usize> {
        let certain = |i: usize| {
            let (basis, dots) = (self.basis[i], &self.dots[i * centers.k..(i + 1) * centers.k]);
            let (size, factor) = (f64::from(self.sizes[i]), x.factor(self.rows.start + i));
            usize::from(basis) != bases.today
                && basis != bases::NONE
                && bases.certain(centers, basis, self.labels[i] as usize, dots, self.across[i], size, factor)
        };
        (0..self.labels.len()).filter(|&i| !certain(i)).collect()
    }

    /// Take off what the centres moved; which rows may have another nearest centre now.
    fn uncertain(&mut self, centers: &Centers<R>) -> Vec<usize> {
        let groups =
            Vec::from_iter(centers.drift.chunks(self.group).map(|drift| drift.iter().copied().fold(0.0, f32::max)));
        let mut need = Vec::new();
        for (i, slack) in self.slack.chunks_mut(groups.len()).enumerate() {
            let own = self.labels[i];
            let own = if own == NONE { 0.0 } else { f64::from(centers.drift[own as usize]) };
            let mut least = f32::INFINITY;
            for (slack, &drift) in slack.iter_mut().zip(&groups) {
                *slack = ((f64::from(*slack) - own - f64::from(drift)) * (1.0 - 1e-6)) as f32;
                least = least.min(*slack);
            }
            if least <= 0.0 {
                need.push(i);
            }
        }
        need
    }

    /// The nearest centre of row `i` of the part, of which `dots` are the products with all centres.
    #[allow(clippy::too_many_arguments)]
    fn decide<T: Pixel<Real = R> + Into<f64>>(
        &mut self,
        x: &Weighed<'_, '_, T>,
        centers: &Centers<R>,
        bases: Option<&Bases<R>>,
        i: usize,
        row: &[T],
        dots: &[R],
        scores: &mut [f64],
    ) -> u32 {
        let factor = x.factor(self.rows.start + i);
        let size = f64::from(self.sizes[i]);
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
        if let Some(bases) = bases {
            self.dots[i * centers.k..(i + 1) * centers.k].copy_from_slice(dots);
            self.across[i] = bases.across(centers, dots, size, factor);
            self.basis[i] = if finite { bases.today as u8 } else { bases::NONE };
            return best as u32;
        }
        let above = scores[best] + error(best);
        let distance = |score: f64| (size * size + 2.0 * score).max(0.0).sqrt();
        let groups = centers.k.div_ceil(self.group);
        for (g, slack) in self.slack[i * groups..][..groups].iter_mut().enumerate() {
            let others = (g * self.group..((g + 1) * self.group).min(centers.k)).filter(|&c| c != best);
            let below = others.map(|c| scores[c] - error(c)).fold(f64::INFINITY, f64::min);
            // d_c - d_a = (d_c^2 - d_a^2) / (d_c + d_a), from below.
            *slack = match below {
                f64::INFINITY => f32::INFINITY,
                _ if finite && below > above => {
                    let farther = 2.0 * (below - above) / (distance(below) + distance(above));
                    (farther * (1.0 - 1e-6)).min(f64::from(f32::MAX)) as f32
                }
                _ => -1.0,
            };
        }
        best as u32
    }
}
