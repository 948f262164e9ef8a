//! Each row to its nearest centre where features are few: rows turned, so that lanes are rows, distance and smallest at once.
//!
//! Per row and centre d multiply-adds and four steps that keep the lowest score, whose it is, and the second lowest; where
//! these two differ by less than f32 can err, f64 decides. Reading a row costs little here, so none is skipped.

use super::assign::Part;
use super::centers::Centers;
use super::exact::Distance;
use super::rows::Weighed;
use super::sums::{Add, Change, Free, NONE};
use crate::Control;
use crate::lanes::Lanes;
use crate::simd::{Pixel, Real, Simd, WithSimd};
use crate::tiles::tiles;

/// Most features for which this is faster than [`tiles::project`](crate::tiles::project).
pub const MOST: usize = 64;

/// Rows turned at a time, a multiple of what a group of them holds.
const TILE: usize = 256;
/// Centres at a time, and registers of rows: their scores stay in registers.
const C: usize = 4;
const P: usize = 2;

/// The centres in the order in which they are read: for C of them the halved squares, then feature after feature.
pub struct Table<R> {
    values: Vec<R>,
    /// What to subtract from each feature, and what to multiply it by.
    offset: Vec<R>,
    ones: Vec<R>,
    margin: (R, R),
}

impl<R: Real> Table<R> {
    pub fn new(centers: &Centers<R>) -> Self {
        let d = centers.d;
        let mut values = Vec::with_capacity((d + 1) * centers.k.next_multiple_of(C));
        for group in tiles(centers.k, C) {
            let center = |i: usize| Some(group.start + i).filter(|c| group.contains(c));
            values.extend((0..C).map(|i| center(i).map_or(R::of(f64::INFINITY), |c| R::of(centers.half[c]))));
            let minus = |c: usize, j: usize| R::of(-centers.q.get(j, c).f64());
            values.extend((0..d * C).map(|at| center(at % C).map_or(R::ZERO, |c| minus(c, at / C))));
        }
        let (fixed, per_square) = centers.margin(d + 1);
        let margin = (R::of(fixed), R::of(per_square));
        Self { values, offset: centers.offset[..d].to_vec(), ones: vec![R::ONE; d], margin }
    }
}

/// Bring a part up to date.
pub struct Visit<'a, 'x, 'w, T: Pixel> {
    pub x: &'a Weighed<'x, 'w, T>,
    pub centers: &'a Centers<T::Real>,
    pub table: &'a Table<T::Real>,
    pub part: &'a mut Part,
    pub free: Option<&'a Free>,
    pub control: &'a Control,
}

/// What was found for a group of rows.
#[derive(Clone, Copy)]
struct Found<R> {
    index: [R; 32],
    /// Above 0 where the index is certain.
    gap: [R; 32],
}

impl<T: Pixel + Into<f64>> WithSimd for Visit<'_, '_, '_, T> {
    type Output = Change;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Change {
        let Self { x, centers, table, part, free, control } = self;
        let line = T::Real::LINE;
        let mut change = Change::new(centers.k);
        let mut lanes = Lanes::new(centers.d);
        let mut scratch = Vec::new();
        let zeros = [T::Real::ZERO; 32];
        let mut found = Found { index: zeros, gap: zeros };
        let mut factors = [T::Real::ONE; 32];
        let scale = x.metric == super::Metric::Cosine;
        for tile in tiles(part.rows.len(), TILE) {
            if control.check().is_err() {
                break; // as the pass will see
            }
            let start = part.rows.start + tile.start;
            let block = x.rows.block(start..start + tile.len(), &mut scratch);
            lanes.fill(simd, block, &table.offset, &table.ones);
            for (group, rows) in tiles(tile.len(), line).enumerate() {
                if scale {
                    for (factor, at) in factors.iter_mut().zip(rows.clone()) {
                        *factor = T::Real::of(x.factor(start + at));
                    }
                }
                for at in (0..line).step_by(P * T::Real::lanes::<S>()) {
                    nearest::<S, T::Real>(simd, table, lanes.group(group), centers.d, at, &factors, &mut found);
                }
                let labels = &mut part.labels[tile.start + rows.start..][..rows.len()];
                let mut quiet = true;
                for ((label, index), gap) in labels.iter().zip(&found.index).zip(&found.gap) {
                    quiet &= (f64::from(*label) == index.f64()) & (*gap > T::Real::ZERO);
                }
                if quiet {
                    continue;
                }
                for (l, label) in labels.iter_mut().enumerate() {
                    let (at, i) = (rows.start + l, start + rows.start + l);
                    let row = block.row(at);
                    let new = if found.gap[l] > T::Real::ZERO || centers.k == 1 {
                        found.index[l].f64() as u32
                    } else {
                        let distance = |center| Distance { x: row, factor: x.factor(i), center }.with_simd(simd);
                        let squares = centers.values.chunks_exact(centers.d).map(distance).enumerate();
                        squares.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(c, _)| c as u32)
                    };
                    if *label == NONE {
                        let to_origin = Distance { x: row, factor: x.factor(i), center: &centers.origin };
                        change.squares += x.weight(i) * to_origin.with_simd(simd);
                    }
                    if *label != new {
                        change.moved += 1;
                        if let Some(free) = free {
                            change.step(x, row, i, *label, new, free, |add: Add<'_, T>| add.with_simd(simd));
                        }
                        *label = new;
                    }
                }
            }
        }
        change
    }
}

/// The nearest centres of the rows in lanes `at..at + P * lanes` of a group.
#[inline(always)]
fn nearest<S: Simd, R: Real>(
    simd: S,
    table: &Table<R>,
    group: &[R],
    d: usize,
    at: usize,
    factors: &[R; 32],
    found: &mut Found<R>,
) {
    let (line, lanes) = (R::LINE, R::lanes::<S>());
    let infinity = R::splat(simd, R::of(f64::INFINITY));
    let factor: [_; P] = std::array::from_fn(|p| R::load(simd, &factors[at + p * lanes..]));
    let mut square = [R::splat(simd, R::ZERO); P];
    let (mut best, mut second, mut index) = ([infinity; P], [infinity; P], square);
    for x in group.chunks_exact(line) {
        for p in 0..P {
            let x = R::load(simd, &x[at + p * lanes..]);
            square[p] = R::mul_add(simd, x, x, square[p]);
        }
    }
    for (number, centers) in table.values.chunks_exact((d + 1) * C).enumerate() {
        let (half, centers) = centers.split_at(C);
        let mut dots = [[R::splat(simd, R::ZERO); P]; C];
        for (x, q) in group.chunks_exact(line).zip(centers.chunks_exact(C)) {
            let x: [_; P] = std::array::from_fn(|p| R::load(simd, &x[at + p * lanes..]));
            for c in 0..C {
                let q = R::splat(simd, q[c]);
                for p in 0..P {
                    dots[c][p] = R::mul_add(simd, x[p], q, dots[c][p]);
                }
            }
        }
        for c in 0..C {
            let (half, number) = (R::splat(simd, half[c]), R::splat(simd, R::of((number * C + c) as f64)));
            for p in 0..P {
                let score = R::mul_add(simd, dots[c][p], factor[p], half);
                second[p] = R::min(simd, second[p], R::max(simd, best[p], score));
                index[p] = R::where_less(simd, score, best[p], number, index[p]);
                best[p] = R::min(simd, best[p], score);
            }
        }
    }
    let (fixed, per_square) = (R::splat(simd, table.margin.0), R::splat(simd, table.margin.1));
    for p in 0..P {
        let square = <R as Real>::mul(simd, <R as Real>::mul(simd, square[p], factor[p]), factor[p]);
        let margin = R::mul_add(simd, square, per_square, fixed);
        let gap = <R as Real>::sub(simd, <R as Real>::sub(simd, second[p], best[p]), margin);
        R::store(simd, &mut found.index[at + p * lanes..], index[p]);
        R::store(simd, &mut found.gap[at + p * lanes..], gap);
    }
}
