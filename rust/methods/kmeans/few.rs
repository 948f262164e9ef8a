//! Each row to its nearest centre where features are few: rows transposed, so that lanes are rows, distance and smallest at
//! once.
//!
//! Per row and centre d multiply-adds and four steps that keep the lowest score, whose it is, and the second lowest; where
//! these two differ by less than f32 can err, f64 decides. One bound for each row, of how much farther than its own every
//! other centre is at least, lets most rows rest once the centres move little (Hamerly 2010).

use super::centers::Centers;
use super::distance::Distance;
use super::parameters::{Metric, UNASSIGNED};
use super::rows::WeightedRows;
use super::sums::{Add, SumChanges, Workspaces};
use crate::Control;
use crate::engine::lanes::Lanes;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd};
use crate::engine::tiles::tiles;
use std::ops::Range;

/// Rows of which those that need it are transposed at a time.
const TILE: usize = 1024;
/// Registers of rows at a time.
const P: usize = 2;

/// Least length of a table whose indices need no check.
const DRIFTS: usize = 128;

/// Centres at a time, whose scores stay in registers, of `left`.
fn centers_at_a_time(left: usize) -> usize {
    match left {
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// The centres in the order in which they are read: for a few of them the halved squares, then feature after feature.
pub struct Table<R> {
    values: Vec<R>,
    /// What to subtract from each feature.
    offset: Vec<R>,
    margin: (R, R),
    /// How far a centre and the one that moved farthest moved together, from above; a power of two of them, at least
    /// [`DRIFTS`].
    drift: Vec<f32>,
}

impl<R: Real> Table<R> {
    pub fn new(centers: &Centers<R>) -> Self {
        let d = centers.d;
        let mut values = Vec::with_capacity((d + 1) * centers.k);
        let mut first = 0;
        while first < centers.k {
            let group = first..first + centers_at_a_time(centers.k - first);
            values.extend(centers.half[group.clone()].iter().map(|&half| R::of(half)));
            let minus = |c: usize, j: usize| R::of(-centers.q.get(j, c).f64());
            values.extend((0..d).flat_map(|j| group.clone().map(move |c| minus(c, j))));
            first = group.end;
        }
        let (fixed, per_square) = centers.margin(d + 1);
        let margin = (R::of(fixed * (1.0 + 1e-5)), R::of(per_square * (1.0 + 1e-5)));
        let farthest = centers.drift.iter().copied().fold(0.0, f32::max);
        let mut drift = Vec::from_iter(centers.drift.iter().map(|drift| (drift + farthest) * (1.0 + f32::EPSILON)));
        drift.resize(centers.k.next_power_of_two().max(DRIFTS), 0.0);
        let mut offset = centers.offset.clone(); // whole lines, or none
        offset.resize(d, R::ZERO);
        Self { values, drift, offset, margin }
    }
}

/// Brings the labels and bounds of some rows up to date.
pub struct Visit<'a, 'x, 'w, T: Pixel> {
    pub x: &'a WeightedRows<'x, 'w, T>,
    pub centers: &'a Centers<T::Real>,
    pub table: &'a Table<T::Real>,
    pub rows: Range<usize>,
    pub labels: &'a mut [u32],
    /// By how much the other centres are farther, at the least, than the row's own.
    pub bounds: &'a mut [f32],
    pub workspaces: Option<&'a Workspaces>,
    pub control: &'a Control,
}

/// The nearest centres of a group of rows.
#[derive(Clone, Copy)]
struct Nearest<R> {
    index: [R; 32],
    /// By how much farther than the nearest centre the second nearest is at least; negative where it is not sure which is
    /// which.
    bound: [R; 32],
    /// |x − p|².
    square: [R; 32],
}

impl<T: Pixel + Into<f64>> WithSimd for Visit<'_, '_, '_, T> {
    type Output = SumChanges;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> SumChanges {
        let Self { x, centers, table, rows, labels, bounds, workspaces, control } = self;
        let (d, line, zeros) = (centers.d, T::Real::LINE, [T::Real::ZERO; 32]);
        let mut changes = SumChanges::new(centers.k);
        let mut lanes = Lanes::new(d);
        let (mut scratch, mut need) = (Vec::new(), [0; TILE]);
        let mut nearest = Nearest { index: zeros, bound: zeros, square: zeros };
        let (mut factors, mut changed) = ([T::Real::ONE; 32], [0; 32]);
        for tile in tiles(rows.len(), TILE) {
            if control.check().is_err() {
                break; // as the pass will see
            }
            let (labels, bounds) = (&mut labels[tile.clone()], &mut bounds[tile.clone()]);
            let count = uncertain(table, labels, bounds, &mut need);
            let need = &need[..count];
            if need.is_empty() {
                continue;
            }
            let start = rows.start + tile.start;
            let block = x.rows.block(start..start + tile.len(), &mut scratch);
            lanes.resize(need.len());
            for group in 0..lanes.groups() {
                lanes.fill_groups(simd, group..group + 1, block, Some(need), &table.offset, &[]);
                let need = &need[group * line..need.len().min((group + 1) * line)];
                if x.metric == Metric::Cosine {
                    for (factor, &at) in factors.iter_mut().zip(need) {
                        *factor = T::Real::of(x.factor(start + at as usize));
                    }
                }
                for at in (0..line).step_by(P * T::Real::lanes::<S>()) {
                    find_nearest::<S, T::Real>(simd, table, lanes.group(group), d, at, &factors, &mut nearest);
                }
                if centers.k == 1 {
                    nearest.bound = [T::Real::of(f64::INFINITY); 32];
                }
                let mut count = 0;
                for (l, &at) in need.iter().enumerate() {
                    let (bound, old) = (nearest.bound[l].f64(), f64::from(labels[at as usize]));
                    bounds[at as usize] = bound as f32;
                    changed[count % 32] = l;
                    count += usize::from((bound < 0.0) | (old != nearest.index[l].f64()));
                }
                for &l in &changed[..count] {
                    let at = need[l] as usize;
                    let (row, i, old) = (block.row(at), start + at, labels[at]);
                    let mut new = nearest.index[l].f64() as u32;
                    if bounds[at] < 0.0 {
                        let square = |center| Distance { x: row, factor: x.factor(i), center }.with_simd(simd);
                        let squares = centers.values.chunks_exact(d).map(square).enumerate();
                        new = squares.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(c, _)| c as u32);
                    }
                    if new != old {
                        labels[at] = new;
                        changes.moved += 1;
                        if old == UNASSIGNED {
                            changes.squares += x.weight(i) * nearest.square[l].f64();
                        }
                        if let Some(workspaces) = workspaces {
                            changes.step(x, row, i, old, new, workspaces, |add: Add<'_, T>| add.with_simd(simd));
                        }
                    }
                }
            }
        }
        changes
    }
}

/// Takes off from the bounds what the centres moved; finds which rows may have another nearest centre now, and how many.
#[inline(always)]
fn uncertain<R: Real>(table: &Table<R>, labels: &[u32], bounds: &mut [f32], need: &mut [u32; TILE]) -> usize {
    // 4 units of rounding are taken off, for the 2 that may be lost here.
    const LESS: f32 = 1.0 - 2.0 * f32::EPSILON;
    if let Ok(drift) = <&[f32; DRIFTS]>::try_from(&table.drift[..]) {
        for (bound, &label) in bounds.iter_mut().zip(labels) {
            *bound = *bound * LESS - drift[label as usize % DRIFTS];
        }
    } else {
        for (bound, &label) in bounds.iter_mut().zip(labels) {
            *bound = *bound * LESS - table.drift[label as usize & (table.drift.len() - 1)];
        }
    }
    let mut count = 0;
    for (first, bounds) in bounds.chunks(16).enumerate() {
        if !bounds.iter().fold(false, |any, &bound| any | (bound <= 0.0)) {
            continue;
        }
        for (i, &bound) in bounds.iter().enumerate() {
            need[count % TILE] = (16 * first + i) as u32;
            count += usize::from(bound <= 0.0);
        }
    }
    count
}

/// Finds the nearest centres of the rows in lanes `at..at + P * lanes` of a group.
#[inline(always)]
fn find_nearest<S: Simd, R: Real>(
    simd: S,
    table: &Table<R>,
    group: &[R],
    d: usize,
    at: usize,
    factors: &[R; 32],
    nearest: &mut Nearest<R>,
) {
    let (line, lanes) = (R::LINE, R::lanes::<S>());
    let infinity = R::splat(simd, R::of(f64::INFINITY));
    let factor: [_; P] = std::array::from_fn(|p| R::load(simd, &factors[at + p * lanes..]));
    let mut square = [R::splat(simd, R::ZERO); P];
    let (best, second, index) = ([infinity; P], [infinity; P], square);
    for x in group.chunks_exact(line) {
        for p in 0..P {
            let x = R::load(simd, &x[at + p * lanes..]);
            square[p] = R::mul_add(simd, x, x, square[p]);
        }
    }
    let mut state = State { best, second, index };
    let (mut values, mut first) = (table.values.as_slice(), 0);
    while !values.is_empty() {
        let count = centers_at_a_time(values.len() / (d + 1));
        let (centers, rest) = values.split_at(count * (d + 1));
        match count {
            4 => try_centers::<S, R, 4>(simd, centers, first, group, at, factor, &mut state),
            2 => try_centers::<S, R, 2>(simd, centers, first, group, at, factor, &mut state),
            _ => try_centers::<S, R, 1>(simd, centers, first, group, at, factor, &mut state),
        }
        (values, first) = (rest, first + count);
    }
    let State { best, second, index } = state;
    let splat = |x: f64| R::splat(simd, R::of(x));
    let (fixed, per_square) = (R::splat(simd, table.margin.0), R::splat(simd, table.margin.1));
    for p in 0..P {
        let square = <R as Real>::mul(simd, <R as Real>::mul(simd, square[p], factor[p]), factor[p]);
        let margin = R::mul_add(simd, square, per_square, fixed);
        let widened = <R as Real>::mul(simd, square, splat(1.0 + 1e-5));
        let distance =
            |score| R::sqrt(simd, R::mul_add(simd, splat(2.0), <R as Real>::add(simd, score, margin), widened));
        // d_2 - d_1 = (d_2^2 - d_1^2) / (d_2 + d_1), from below; what is not a number is not sure.
        let gap = <R as Real>::sub(simd, <R as Real>::sub(simd, second[p], best[p]), margin);
        let sum = <R as Real>::add(simd, distance(second[p]), distance(best[p]));
        let bound = <R as Real>::div(simd, <R as Real>::mul(simd, gap, splat(2.0 - 2e-5)), sum);
        let bound = R::where_less(simd, splat(0.0), bound, R::min(simd, bound, splat(1e38)), splat(-1.0));
        for (to, value) in [(&mut nearest.index, index[p]), (&mut nearest.bound, bound), (&mut nearest.square, square)]
        {
            R::store(simd, &mut to[at + p * lanes..], value);
        }
    }
}

/// Of P registers of rows.
struct State<L> {
    best: [L; P],
    second: [L; P],
    index: [L; P],
}

/// Sees whether one of C centres, the first of which is number `first`, is nearer to rows than those before.
#[inline(always)]
fn try_centers<S: Simd, R: Real, const C: usize>(
    simd: S,
    centers: &[R],
    first: usize,
    group: &[R],
    at: usize,
    factor: [R::Lanes<S>; P],
    state: &mut State<R::Lanes<S>>,
) {
    let lanes = R::lanes::<S>();
    let (half, centers) = centers.split_at(C);
    let mut dots = [[R::splat(simd, R::ZERO); P]; C];
    for (x, q) in group.chunks_exact(R::LINE).zip(centers.chunks_exact(C)) {
        let x: [_; P] = std::array::from_fn(|p| R::load(simd, &x[at + p * lanes..]));
        for c in 0..C {
            let q = R::splat(simd, q[c]);
            for p in 0..P {
                dots[c][p] = R::mul_add(simd, x[p], q, dots[c][p]);
            }
        }
    }
    for c in 0..C {
        let (half, number) = (R::splat(simd, half[c]), R::splat(simd, R::of((first + c) as f64)));
        for p in 0..P {
            let score = R::mul_add(simd, dots[c][p], factor[p], half);
            state.second[p] = R::min(simd, state.second[p], R::max(simd, state.best[p], score));
            state.index[p] = R::where_less(simd, score, state.best[p], number, state.index[p]);
            state.best[p] = R::min(simd, state.best[p], score);
        }
    }
}
