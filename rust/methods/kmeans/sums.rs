//! Sums over the rows of each cluster, changed by what moved.

use super::parameters::{FEW, UNASSIGNED, too_large};
use super::rows::WeightedRows;
use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::rows::Block;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::engine::tiles::{BLOCK_ROWS, tile_rows, tiles};
use crate::{Control, Result};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Below this share of `Σ w |x − p|²` the inertia is summed anew: a difference of sums loses digits.
const CANCELS: f64 = 1e-4;

/// Sums of the rows of k clusters, times weight and factor of each row.
#[derive(Debug, Clone)]
pub struct ClusterSums {
    /// k × d.
    pub values: Vec<f64>,
    /// Sum of the weights of the rows of each cluster; exactly 0 where there is none that counts.
    pub weights: Vec<f64>,
    /// Rows of each cluster that count.
    pub counts: Vec<i64>,
    /// Σ w |x − p|² over all rows, from their first visit; p is the point amid the centres.
    pub squares: f64,
}

/// What the rows of one block that change cluster change in the sums.
pub struct SumChanges {
    /// k × d, where any row moved.
    values: Option<Vec<f64>>,
    weights: Vec<f64>,
    counts: Vec<i64>,
    pub squares: f64,
    pub moved: usize,
}

/// A pool of arrays of k × d zeros, that blocks take and give back.
pub struct Workspaces(Mutex<Vec<Vec<f64>>>);

impl Workspaces {
    /// None yet.
    pub fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn take(&self, len: usize) -> Vec<f64> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        used.unwrap_or_else(|| room::zeros_or_unwind(len, "sums of clusters"))
    }

    fn give_back(&self, mut values: Vec<f64>) {
        values.fill(0.0);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(values);
    }
}

impl ClusterSums {
    /// The sums of no rows.
    pub fn new(k: usize, d: usize) -> Self {
        Self {
            values: room::zeros_or_unwind(k * d, "sums of clusters"),
            weights: vec![0.0; k],
            counts: vec![0; k],
            squares: 0.0,
        }
    }

    /// The number of features.
    pub fn d(&self) -> usize {
        self.values.len() / self.weights.len()
    }

    /// Adds what a block changes, and gives its workspace back.
    pub fn add(&mut self, changes: SumChanges, workspaces: &Workspaces) {
        if let Some(values) = changes.values {
            self.values.iter_mut().zip(&values).for_each(|(sum, x)| *sum += x);
            workspaces.give_back(values);
        }
        for c in 0..self.counts.len() {
            self.counts[c] += changes.counts[c];
            self.weights[c] = if self.counts[c] == 0 { 0.0 } else { self.weights[c] + changes.weights[c] };
        }
        self.squares += changes.squares;
    }

    /// The sums of all rows, of which `label` gives the cluster of each.
    pub fn of<T: Pixel + Into<f64>>(
        x: &WeightedRows<'_, '_, T>,
        k: usize,
        label: impl Fn(usize) -> u32 + Sync,
        control: &Control,
    ) -> Result<Self> {
        let mut sums = Self::new(k, x.rows.d());
        let workspaces = Workspaces::new();
        let n = x.rows.n();
        control.expect(n as u64);
        let block = |range: Range<usize>, _: &mut [u8]| {
            let mut changes = SumChanges::new(k);
            let mut scratch = Vec::new();
            for tile in tiles(range.len(), tile_rows::<T>(x.rows.d())) {
                if control.check().is_err() {
                    break;
                }
                let start = range.start + tile.start;
                let block = x.rows.block(start..start + tile.len(), &mut scratch);
                dispatch(All { x, block, start, label: &label, changes: &mut changes, workspaces: &workspaces });
            }
            changes
        };
        pass(n, x.block_rows(), control, &mut [], block, |changes| sums.add(changes, &workspaces))?;
        Ok(sums)
    }

    /// The mean variance of a feature; `origin` is p.
    pub fn variance(&self, origin: &[f64]) -> Result<f64> {
        let total: f64 = self.weights.iter().sum();
        let d = origin.len();
        let of_mean = |j: usize| {
            let mean = self.values.iter().skip(j).step_by(d).sum::<f64>() / total - origin[j];
            mean * mean
        };
        let variance = (self.squares / total - (0..d).map(of_mean).sum::<f64>()) / d as f64;
        if variance.is_finite() { Ok(variance.max(0.0)) } else { Err(too_large()) }
    }

    /// Σ w |x − c|², c the centre of the row's cluster, where there are many features and that loses no digits.
    pub fn inertia(&self, centers: &[f64], origin: &[f64]) -> Option<f64> {
        let d = origin.len();
        let of_center = |c: usize| {
            let weight = self.weights[c];
            let step = |j: usize| {
                let (center, origin) = (centers[c * d + j], origin[j]);
                (center - origin) * (weight * (center + origin) - 2.0 * self.values[c * d + j])
            };
            (0..d).map(step).sum::<f64>()
        };
        let inertia = self.squares + (0..self.weights.len()).map(of_center).sum::<f64>();
        (d > FEW && inertia.is_finite() && inertia > CANCELS * self.squares).then_some(inertia)
    }

    /// The number of clusters that have no row that counts.
    pub fn empty(&self) -> usize {
        self.weights.iter().filter(|&&weight| weight == 0.0).count()
    }

    /// The first of the clusters of largest weight.
    pub fn heaviest(&self) -> usize {
        (0..self.weights.len()).rev().max_by(|&a, &b| self.weights[a].total_cmp(&self.weights[b])).unwrap_or(0)
    }

    /// Moves a row, times `factor` and of this weight, from its cluster to an empty one, where it is alone.
    pub fn relocate(&mut self, row: &[f64], factor: f64, weight: f64, from: usize, to: usize) {
        let d = row.len();
        for (j, x) in row.iter().enumerate() {
            let value = factor * weight * x;
            self.values[from * d + j] -= value;
            self.values[to * d + j] = value;
        }
        self.weights[from] -= weight;
        self.weights[to] = weight;
    }
}

impl SumChanges {
    /// No changes.
    pub fn new(k: usize) -> Self {
        Self { values: None, weights: vec![0.0; k], counts: vec![0; k], squares: 0.0, moved: 0 }
    }

    /// Takes row `i` from one cluster to another; `add` runs what it is given, on the instruction set at hand.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub fn step<T: Pixel + Into<f64>>(
        &mut self,
        x: &WeightedRows<'_, '_, T>,
        row: &[T],
        i: usize,
        from: u32,
        to: u32,
        workspaces: &Workspaces,
        add: impl Fn(Add<'_, T>),
    ) {
        let weight = x.weight(i);
        if weight == 0.0 {
            return;
        }
        let k = self.weights.len();
        let values = self.values.get_or_insert_with(|| workspaces.take(k * row.len()));
        for (c, sign) in [(from, -1), (to, 1)] {
            if c != UNASSIGNED {
                let sums = &mut values[c as usize * row.len()..][..row.len()];
                add(Add { rows: &[(row, f64::from(sign) * weight * x.factor(i))], sums });
                self.weights[c as usize] += f64::from(sign) * weight;
                self.counts[c as usize] += i64::from(sign);
            }
        }
    }

    /// Takes several rows of many features from one cluster to another, as [`step`](Self::step) does: the sums of a cluster are read once for all of them.
    pub fn steps<T: Pixel + Into<f64>>(
        &mut self,
        x: &WeightedRows<'_, '_, T>,
        moves: &[Reassigned<'_, T>],
        workspaces: &Workspaces,
    ) {
        let Some(first) = moves.first() else { return };
        let (k, d) = (self.weights.len(), first.row.len());
        let mut of_cluster = vec![Vec::new(); k];
        for &Reassigned { row, index, from, to } in moves {
            let weight = x.weight(index);
            for (c, sign) in [(from, -1), (to, 1)] {
                if c != UNASSIGNED && weight != 0.0 {
                    of_cluster[c as usize].push((row, f64::from(sign) * weight * x.factor(index)));
                    self.weights[c as usize] += f64::from(sign) * weight;
                    self.counts[c as usize] += i64::from(sign);
                }
            }
        }
        let values = self.values.get_or_insert_with(|| workspaces.take(k * d));
        let small = x.sums_are_exact() && size_of::<T>() <= 2 && moves.len() <= BLOCK_ROWS;
        for (rows, sums) in of_cluster.iter().zip(values.chunks_mut(d)) {
            if small {
                dispatch(AddSmall { rows, sums });
            } else {
                dispatch(Add { rows, sums });
            }
        }
    }
}

/// A row that goes from one cluster to another.
pub struct Reassigned<'a, T> {
    pub row: &'a [T],
    pub index: usize,
    pub from: u32,
    pub to: u32,
}

/// Takes every row of a block to its cluster.
struct All<'a, 'x, 'w, T: Pixel, L> {
    x: &'a WeightedRows<'x, 'w, T>,
    block: Block<'a, T>,
    start: usize,
    label: L,
    changes: &'a mut SumChanges,
    workspaces: &'a Workspaces,
}

impl<T: Pixel + Into<f64>, L: Fn(usize) -> u32> WithSimd for All<'_, '_, '_, T, L> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.block.d() > FEW {
            let row = |at: usize| Reassigned {
                row: self.block.row(at),
                index: self.start + at,
                from: UNASSIGNED,
                to: (self.label)(self.start + at),
            };
            return self.changes.steps(self.x, &Vec::from_iter((0..self.block.n()).map(row)), self.workspaces);
        }
        for at in 0..self.block.n() {
            let (i, add) = (self.start + at, |add: Add<'_, T>| add.with_simd(simd));
            self.changes.step(self.x, self.block.row(at), i, UNASSIGNED, (self.label)(i), self.workspaces, add);
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
