//! Sums over the rows of each cluster, changed by what moved.

use super::centers::{Centers, is_integer};
use super::rows::Weighed;
use super::too_large;
use crate::engine::pass::pass;
use crate::engine::rows::Block;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::engine::tiles::{BLOCK_ROWS, tile_rows, tiles};
use crate::{Control, Result};
use std::ops::Range;
use std::sync::Mutex;

/// Of no cluster yet.
pub const NONE: u32 = u32::MAX;

/// Below this share of `Σ w |x − p|²` the inertia is summed anew: a difference of sums loses digits.
const CANCELS: f64 = 1e-4;

/// Sums of the rows of k clusters, times weight and factor of each row.
#[derive(Debug, Clone)]
pub struct Sums {
    /// k × d.
    pub values: Vec<f64>,
    /// Sum of the weights of the rows of each cluster; exactly 0 where there is none that counts.
    pub weights: Vec<f64>,
    /// Rows that count.
    counts: Vec<i64>,
    /// Σ w |x − p|² over all rows, from their first visit.
    pub squares: f64,
}

/// What one block of rows changes.
pub struct Change {
    /// k × d, where any row moved.
    values: Option<Vec<f64>>,
    weights: Vec<f64>,
    counts: Vec<i64>,
    pub squares: f64,
    pub moved: usize,
}

/// Arrays of k × d zeros that were used and may be used again.
pub struct Free(Mutex<Vec<Vec<f64>>>);

impl Free {
    pub fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

/// Whether sums are exact in f64 whatever is added and taken away: integers as they are.
pub fn exact<T: Pixel + Into<f64>>(x: &Weighed<'_, '_, T>) -> bool {
    x.plain() && is_integer::<T>()
}

impl Sums {
    /// Zeros.
    pub fn new(k: usize, d: usize) -> Self {
        Self { values: vec![0.0; k * d], weights: vec![0.0; k], counts: vec![0; k], squares: 0.0 }
    }

    pub(super) fn add(&mut self, change: Change, free: &Free) {
        if let Some(mut values) = change.values {
            self.values.iter_mut().zip(&values).for_each(|(sum, x)| *sum += x);
            values.fill(0.0);
            free.0.lock().unwrap().push(values);
        }
        for c in 0..self.counts.len() {
            self.counts[c] += change.counts[c];
            self.weights[c] = if self.counts[c] == 0 { 0.0 } else { self.weights[c] + change.weights[c] };
        }
        self.squares += change.squares;
    }

    /// Of all rows, `label` gives the cluster of each.
    pub(super) fn of<T: Pixel + Into<f64>>(
        x: &Weighed<'_, '_, T>,
        k: usize,
        label: impl Fn(usize) -> u32 + Sync,
        control: &Control,
    ) -> Result<Self> {
        let mut sums = Self::new(k, x.rows.d());
        let free = Free::new();
        let n = x.rows.n();
        control.expect(n as u64);
        let block = |range: Range<usize>, _: &mut [u8]| {
            let mut change = Change::new(k);
            let mut scratch = Vec::new();
            for tile in tiles(range.len(), tile_rows::<T>(x.rows.d())) {
                if control.check().is_err() {
                    break;
                }
                let start = range.start + tile.start;
                let block = x.rows.block(start..start + tile.len(), &mut scratch);
                dispatch(All { x, block, start, label: &label, change: &mut change, free: &free });
            }
            change
        };
        pass(n, x.block_rows(), control, &mut [], block, |change| sums.add(change, &free))?;
        Ok(sums)
    }

    /// Mean variance of a feature.
    pub(super) fn variance<R: Real>(&self, centers: &Centers<R>) -> Result<f64> {
        let total: f64 = self.weights.iter().sum();
        let d = centers.d;
        let of_mean = |j: usize| {
            let mean = self.values.iter().skip(j).step_by(d).sum::<f64>() / total - centers.origin[j];
            mean * mean
        };
        let variance = (self.squares / total - (0..d).map(of_mean).sum::<f64>()) / d as f64;
        if variance.is_finite() { Ok(variance.max(0.0)) } else { Err(too_large()) }
    }

    /// Σ w |x − c|², c the centre of the row's cluster, where there are many features and that loses no digits.
    pub(super) fn inertia<R: Real>(&self, centers: &Centers<R>) -> Option<f64> {
        let d = centers.d;
        let of_center = |c: usize| {
            let weight = self.weights[c];
            let step = |j: usize| {
                let (center, origin) = (centers.values[c * d + j], centers.origin[j]);
                (center - origin) * (weight * (center + origin) - 2.0 * self.values[c * d + j])
            };
            (0..d).map(step).sum::<f64>()
        };
        let inertia = self.squares + (0..centers.k).map(of_center).sum::<f64>();
        (d > super::few::MOST && inertia.is_finite() && inertia > CANCELS * self.squares).then_some(inertia)
    }

    /// How many clusters have no row that counts.
    pub(super) fn empty(&self) -> usize {
        self.weights.iter().filter(|&&weight| weight == 0.0).count()
    }

    /// From the sums themselves.
    pub fn of_parts(values: Vec<f64>, weights: Vec<f64>, squares: f64) -> Self {
        let counts = weights.iter().map(|&weight| i64::from(weight > 0.0)).collect();
        Self { values, weights, counts, squares }
    }

    /// The first of the clusters of largest weight.
    pub(super) fn heaviest(&self) -> usize {
        (0..self.weights.len()).rev().max_by(|&a, &b| self.weights[a].total_cmp(&self.weights[b])).unwrap_or(0)
    }

    /// As if row `row` were in cluster `to` alone, not in `from`.
    pub(super) fn relocate<T: Pixel + Into<f64>>(
        &mut self,
        row: &[T],
        factor: f64,
        weight: f64,
        from: usize,
        to: usize,
    ) {
        let d = row.len();
        for (j, &x) in row.iter().enumerate() {
            let value = factor * weight * x.into();
            self.values[from * d + j] -= value;
            self.values[to * d + j] = value;
        }
        self.weights[from] -= weight;
        self.weights[to] = weight;
    }
}

impl Change {
    pub fn new(k: usize) -> Self {
        Self { values: None, weights: vec![0.0; k], counts: vec![0; k], squares: 0.0, moved: 0 }
    }

    /// Row `i` goes from one cluster to another; `add` runs what it is given, on the instruction set at hand.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub fn step<T: Pixel + Into<f64>>(
        &mut self,
        x: &Weighed<'_, '_, T>,
        row: &[T],
        i: usize,
        from: u32,
        to: u32,
        free: &Free,
        add: impl Fn(Add<'_, T>),
    ) {
        let weight = x.weight(i);
        if weight == 0.0 {
            return;
        }
        let k = self.weights.len();
        let values = self.values.get_or_insert_with(|| {
            let used = free.0.lock().unwrap().pop();
            used.unwrap_or_else(|| vec![0.0; k * row.len()])
        });
        for (c, sign) in [(from, -1), (to, 1)] {
            if c != NONE {
                let sums = &mut values[c as usize * row.len()..][..row.len()];
                add(Add { rows: &[(row, f64::from(sign) * weight * x.factor(i))], sums });
                self.weights[c as usize] += f64::from(sign) * weight;
                self.counts[c as usize] += i64::from(sign);
            }
        }
    }

    /// [`step`](Self::step) of several rows of many features: the sums of a cluster are read once for all of them.
    pub fn steps<T: Pixel + Into<f64>>(&mut self, x: &Weighed<'_, '_, T>, moves: &[Move<'_, T>], free: &Free) {
        let Some(first) = moves.first() else { return };
        let (k, d) = (self.weights.len(), first.row.len());
        let mut of_cluster = vec![Vec::new(); k];
        for &Move { row, index, from, to } in moves {
            let weight = x.weight(index);
            for (c, sign) in [(from, -1), (to, 1)] {
                if c != NONE && weight != 0.0 {
                    of_cluster[c as usize].push((row, f64::from(sign) * weight * x.factor(index)));
                    self.weights[c as usize] += f64::from(sign) * weight;
                    self.counts[c as usize] += i64::from(sign);
                }
            }
        }
        let values = self.values.get_or_insert_with(|| {
            let used = free.0.lock().unwrap().pop();
            used.unwrap_or_else(|| vec![0.0; k * d])
        });
        let small = exact::<T>(x) && size_of::<T>() <= 2 && moves.len() <= BLOCK_ROWS;
        for (rows, sums) in of_cluster.iter().zip(values.chunks_mut(d)) {
            if small {
                dispatch(AddSmall { rows, sums });
            } else {
                dispatch(Add { rows, sums });
            }
        }
    }
}

/// Row `index` goes from one cluster to another.
pub struct Move<'a, T> {
    pub row: &'a [T],
    pub index: usize,
    pub from: u32,
    pub to: u32,
}

/// Every row of a block to its cluster.
struct All<'a, 'x, 'w, T: Pixel, L> {
    x: &'a Weighed<'x, 'w, T>,
    block: Block<'a, T>,
    start: usize,
    label: L,
    change: &'a mut Change,
    free: &'a Free,
}

impl<T: Pixel + Into<f64>, L: Fn(usize) -> u32> WithSimd for All<'_, '_, '_, T, L> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.block.d() > super::few::MOST {
            let row = |at: usize| Move {
                row: self.block.row(at),
                index: self.start + at,
                from: NONE,
                to: (self.label)(self.start + at),
            };
            return self.change.steps(self.x, &Vec::from_iter((0..self.block.n()).map(row)), self.free);
        }
        for at in 0..self.block.n() {
            let (i, add) = (self.start + at, |add: Add<'_, T>| add.with_simd(simd));
            self.change.step(self.x, self.block.row(at), i, NONE, (self.label)(i), self.free, add);
        }
    }
}

/// `sums += factor * row` for each of some rows.
pub struct Add<'a, T> {
    rows: &'a [(&'a [T], f64)],
    sums: &'a mut [f64],
}

impl<T: Pixel + Into<f64>> WithSimd for Add<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        const LANES: usize = 32;
        let whole = self.sums.len() / LANES * LANES;
        let (lines, rest) = self.sums.split_at_mut(whole);
        for (line, sums) in lines.chunks_exact_mut(LANES).enumerate() {
            let mut sum = [0.0; LANES];
            sum.copy_from_slice(sums);
            for (row, factor) in self.rows {
                let row = &row[line * LANES..(line + 1) * LANES];
                for l in 0..LANES {
                    sum[l] += factor * row[l].into();
                }
            }
            sums.copy_from_slice(&sum);
        }
        for (row, factor) in self.rows {
            for (sum, &x) in rest.iter_mut().zip(&row[whole..]) {
                *sum += factor * x.into();
            }
        }
    }
}

/// [`Add`] of integers of up to 16 bits and factors of one: of up to [`BLOCK_ROWS`] such rows f32 holds the sums exactly.
struct AddSmall<'a, T> {
    rows: &'a [(&'a [T], f64)],
    sums: &'a mut [f64],
}

impl<T: Pixel + Into<f64>> WithSimd for AddSmall<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, sums } = self;
        let (line, lanes) = (T::Real::LINE, T::Real::lanes::<S>());
        let whole = sums.len() / line * line;
        let mut part = [T::Real::ZERO; 32];
        for at in (0..whole).step_by(line) {
            for first in (0..line).step_by(2 * lanes) {
                let zero = T::Real::splat(simd, T::Real::ZERO);
                let (mut low, mut high) = (zero, zero);
                for (row, factor) in rows {
                    let (x, factor) =
                        (&row[at + first..at + first + 2 * lanes], T::Real::splat(simd, T::Real::of(*factor)));
                    low = T::Real::mul_add(simd, T::load(simd, &x[..lanes]), factor, low);
                    high = T::Real::mul_add(simd, T::load(simd, &x[lanes..]), factor, high);
                }
                T::Real::store(simd, &mut part[first..], low);
                T::Real::store(simd, &mut part[first + lanes..], high);
            }
            for (sum, part) in sums[at..at + line].iter_mut().zip(&part) {
                *sum += part.f64();
            }
        }
        for (row, factor) in rows {
            for (sum, &x) in sums[whole..].iter_mut().zip(&row[whole..]) {
                *sum += factor * x.into();
            }
        }
    }
}
