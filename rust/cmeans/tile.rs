//! Distances, memberships and sums of a tile of rows, all in lanes of rows.

use super::power::Power;
use super::products::{Side, in_blocks, products, row_of_blocks};
use super::registers::{register, spherical, subtract, whitened};
use crate::lanes::Lanes;
use crate::rows::{Block, Rows};
use crate::simd::{Pixel, Real, Simd, WithSimd, dispatch, prefetch};
use crate::tiles::tiles;
use std::ops::Range;

/// What is held fixed while the rows pass. Rows count as (x - offset) factor, and so do the centres.
pub struct Model<R> {
    /// Number of clusters.
    pub k: usize,
    /// Number of features.
    pub d: usize,
    /// The exponent.
    pub m: R,
    /// Of every feature.
    pub offset: Vec<R>,
    /// Of every feature.
    pub factor: Vec<R>,
    /// k × d.
    pub centers: Vec<R>,
    /// k lower triangles as `registers::pack` packs them.
    pub whitening: Option<Vec<R>>,
}

/// What to do with a block of rows, and its memberships: k registers of each group, or a row of k each.
pub enum Task<'a, R> {
    /// Replace them by new ones, and sum.
    Iterate(&'a mut [R]),
    /// Sum with these.
    Given(&'a [R]),
    /// Write new ones, row by row.
    Rows(&'a mut [R]),
}

/// What a block adds up, in f64.
pub struct Sums {
    /// Σ u^m of each cluster.
    pub mass: Vec<f64>,
    /// Spherical: Σ u^m x, k × d. Else k × (d + 1) × d: the lower triangle of Σ u^m (x - v)(x - v)ᵀ, and then Σ u^m (x - v).
    pub products: Vec<f64>,
    /// Σ u^m d².
    pub objective: f64,
    /// The largest change of a membership.
    pub change: f64,
}

impl Sums {
    /// Zeros.
    pub fn new<R>(model: &Model<R>) -> Self {
        let (k, d) = (model.k, model.d);
        let products = vec![0.0; if model.whitening.is_some() { k * (d + 1) * d } else { k * d }];
        Self { mass: vec![0.0; k], products, objective: 0.0, change: 0.0 }
    }

    /// Add those of another block.
    pub fn add(&mut self, part: &Self) {
        self.mass.iter_mut().zip(&part.mass).for_each(|(a, b)| *a += b);
        self.products.iter_mut().zip(&part.products).for_each(|(a, b)| *a += b);
        self.objective += part.objective;
        self.change = self.change.max(part.change);
    }
}

/// How far ahead rows and memberships are asked for.
const PREFETCH_BYTES: usize = 2048;

/// Rows in a tile, which is summed in the type of the arithmetic: as many as stay in the second-level cache or, where sums
/// take them many times, in the first.
fn tile_rows<R: Real>(model: &Model<R>) -> usize {
    let most = if model.whitening.is_some() { 512 } else { 1024 };
    (16 * most / model.d).clamp(128, most) / R::LINE * R::LINE
}

/// Visit some rows and add to `sums`.
pub fn visit<T: Pixel>(
    rows: &Rows<'_, T>,
    range: Range<usize>,
    model: &Model<T::Real>,
    mut task: Task<'_, T::Real>,
    sums: &mut Sums,
) where
    T::Real: Power,
{
    let (mut lanes, mut scratch) = (Lanes::new(model.d), Vec::new());
    let mut work = Work { w: Vec::new(), z: Vec::new() };
    for tile in tiles(range.len(), tile_rows(model)) {
        let block = rows.block(range.start + tile.start..range.start + tile.end, &mut scratch);
        dispatch(Turn { block, model, lanes: &mut lanes });
        let first = tile.start * model.k;
        let size = lanes.groups() * model.k * T::Real::LINE;
        work.w.resize(size, T::Real::ZERO);
        let task = match &mut task {
            Task::Iterate(u) => Task::Iterate(&mut u[first..first + size]),
            Task::Given(u) => Task::Given(&u[first..first + size]),
            Task::Rows(out) => Task::Rows(&mut out[first..tile.end * model.k]),
        };
        dispatch(Step { lanes: &lanes, model, task, work: &mut work, sums });
    }
}

/// Rows of any type to lanes.
struct Turn<'a, T: Pixel> {
    block: Block<'a, T>,
    model: &'a Model<T::Real>,
    lanes: &'a mut Lanes<T::Real>,
}

impl<T: Pixel> WithSimd for Turn<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let row = |i: usize| {
            prefetch(self.block.row(i), PREFETCH_BYTES);
            self.block.row(i)
        };
        self.lanes.fill_from(simd, self.block.n(), row, &self.model.offset, &self.model.factor);
    }
}

/// What is done with the lanes of a tile.
struct Step<'a, R> {
    lanes: &'a Lanes<R>,
    model: &'a Model<R>,
    task: Task<'a, R>,
    work: &'a mut Work<R>,
    sums: &'a mut Sums,
}

impl<R: Power> WithSimd for Step<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { lanes, model, task, work, sums } = self;
        let (k, n) = (model.k, lanes.n());
        match task {
            Task::Given(u) => work.weights(model.m, n, u, k),
            Task::Iterate(u) => {
                work.distances(simd, model, lanes);
                work.memberships(simd, model, n, u, sums);
            }
            Task::Rows(out) => {
                let mut u = vec![R::ZERO; work.w.len()];
                work.distances(simd, model, lanes);
                work.memberships(simd, model, n, &mut u, sums);
                for (rows, group) in out.chunks_mut(k * R::LINE).zip(u.chunks_exact(k * R::LINE)) {
                    for (l, row) in rows.chunks_exact_mut(k).enumerate() {
                        row.iter_mut().zip(group.chunks_exact(R::LINE)).for_each(|(out, line)| *out = line[l]);
                    }
                }
                return;
            }
        }
        work.sum(simd, model, lanes, sums);
    }
}

/// Registers of a tile.
struct Work<R> {
    /// k of each group: d², then u^m.
    w: Vec<R>,
    /// Powers of a register, or x - v of one cluster.
    z: Vec<R>,
}

impl<R: Power> Work<R> {
    /// `w` = d² of every row to every centre.
    #[inline(always)]
    fn distances<S: Simd>(&mut self, simd: S, model: &Model<R>, x: &Lanes<R>) {
        let (k, d, line) = (model.k, model.d, R::LINE);
        for (g, w) in self.w.chunks_exact_mut(k * line).enumerate() {
            let x = x.group(g);
            if let Some(whitening) = &model.whitening {
                self.z.resize(self.z.len().max(d * line), R::ZERO);
                let size = whitening.len() / k;
                for (c, w) in w.chunks_exact_mut(line).enumerate() {
                    subtract(simd, x, &model.centers[c * d..(c + 1) * d], &mut self.z[..d * line]);
                    whitened(simd, &self.z[..d * line], &whitening[c * size..(c + 1) * size], w);
                }
            } else {
                in_blocks!(
                    c in k,
                    spherical::<S, R, 4>(simd, x, &model.centers[c * d..], &mut w[c * line..]),
                    spherical::<S, R, 2>(simd, x, &model.centers[c * d..], &mut w[c * line..]),
                    spherical::<S, R, 1>(simd, x, &model.centers[c * d..], &mut w[c * line..])
                );
            }
        }
    }

    /// `w` = u^m of n rows from their d², and `u` from the old memberships to the new.
    #[inline(always)]
    fn memberships<S: Simd>(&mut self, simd: S, model: &Model<R>, n: usize, u: &mut [R], sums: &mut Sums) {
        let (k, line) = (model.k, R::LINE);
        self.z.resize(self.z.len().max(k * line), R::ZERO);
        let (mut objective, mut change) = (vec![R::ZERO; line], vec![R::ZERO; line]);
        for (g, (w, u)) in self.w.chunks_exact_mut(k * line).zip(u.chunks_exact_mut(k * line)).enumerate() {
            prefetch(u, PREFETCH_BYTES);
            let former = (g * line + line > n).then(|| objective.clone());
            for at in (0..line).step_by(R::lanes::<S>()) {
                let (w, u, into) = (&mut w[at..], &mut u[at..], (&mut objective[at..], &mut change[at..]));
                if model.m == R::of(2.0) {
                    register::<S, R, true>(simd, w, &mut self.z[at..], u, model, into);
                } else {
                    register::<S, R, false>(simd, w, &mut self.z[at..], u, model, into);
                }
            }
            if let Some(former) = former {
                objective[n - g * line..].copy_from_slice(&former[n - g * line..]);
            }
        }
        self.mask(k, n);
        sums.objective += objective.iter().map(|x| x.f64()).sum::<f64>();
        sums.change = change.iter().fold(sums.change, |most, x| most.max(x.f64()));
    }

    /// `w` = u^m of n rows.
    #[inline(always)]
    fn weights(&mut self, m: R, n: usize, u: &[R], k: usize) {
        self.w.iter_mut().zip(u).for_each(|(w, &u)| *w = if m == R::of(2.0) { u * u } else { u.power(m) });
        self.mask(k, n);
    }

    /// No weight beyond row n.
    #[inline(always)]
    fn mask(&mut self, k: usize, n: usize) {
        let rest = n % R::LINE;
        if rest != 0 {
            let last = self.w.len() - k * R::LINE;
            self.w[last..].chunks_exact_mut(R::LINE).for_each(|w| w[rest..].fill(R::ZERO));
        }
    }

    /// Add what the rows weigh to the sums.
    #[inline(always)]
    fn sum<S: Simd>(&mut self, simd: S, model: &Model<R>, x: &Lanes<R>, sums: &mut Sums) {
        let (k, d, line, groups) = (model.k, model.d, R::LINE, x.groups());
        for (c, mass) in sums.mass.iter_mut().enumerate() {
            let mut total = R::splat(simd, R::ZERO);
            for w in self.w.chunks_exact(line).skip(c).step_by(k) {
                for part in w.chunks_exact(R::lanes::<S>()) {
                    total = <R as Real>::add(simd, total, R::load(simd, part));
                }
            }
            *mass += <R as Real>::sum(simd, total).f64();
        }
        let weights = |c| Side { values: &self.w, width: k, first: c };
        if model.whitening.is_none() {
            let x = Side { values: x.values(), width: d, first: 0 };
            return products(simd, weights(0), None, x, &mut sums.products);
        }
        self.z.resize(self.z.len().max(groups * d * line), R::ZERO);
        for (c, into) in sums.products.chunks_exact_mut((d + 1) * d).enumerate() {
            for (g, z) in self.z.chunks_exact_mut(d * line).take(groups).enumerate() {
                subtract(simd, x.group(g), &model.centers[c * d..(c + 1) * d], z);
            }
            let z = Side { values: &self.z[..groups * d * line], width: d, first: 0 };
            let (second, first) = into.split_at_mut(d * d);
            products(simd, z, Some(weights(c)), z, second);
            row_of_blocks::<S, R, 1>(simd, weights(c), None, z, d, first);
        }
    }
}
