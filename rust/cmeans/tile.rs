//! The inner loops: distances, memberships and sums of a tile of rows, all in lanes of rows.

use super::power::Power;
use crate::lanes::Lanes;
use crate::rows::{Block, Rows};
use crate::simd::{Pixel, Real, Simd, WithSimd, dispatch};
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
    /// k lower triangles as [`pack`] packs them.
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

/// Rows of a whitening matrix that are worked on together; the last ones are padded with zeros.
const PACK: usize = 4;

/// A lower triangle in the order of use: of each [`PACK`] rows, column by column up to the diagonal.
pub fn pack<R: Real>(lower: &[f64], d: usize) -> impl Iterator<Item = R> {
    (0..d).step_by(PACK).flat_map(move |first| {
        (0..(first + PACK).min(d))
            .flat_map(move |j| (first..first + PACK).map(move |i| R::of(if i < d { lower[i * d + j] } else { 0.0 })))
    })
}

/// Rows in a tile: it stays in the second-level cache, and is summed in the type of the arithmetic.
pub fn tile_rows<R: Real>(d: usize) -> usize {
    (16384 / d).clamp(128, 1024) / R::LINE * R::LINE
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
    let mut work = Work { w: Vec::new(), z: Vec::new(), wz: Vec::new() };
    for tile in tiles(range.len(), tile_rows::<T::Real>(model.d)) {
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
        self.lanes.fill(simd, self.block, &self.model.offset, &self.model.factor);
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
                for (i, row) in out.chunks_exact_mut(k).enumerate() {
                    let group = &u[i / R::LINE * k * R::LINE..];
                    for (c, out) in row.iter_mut().enumerate() {
                        *out = group[c * R::LINE + i % R::LINE];
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
    /// x - v, and u^m times it and times 1, for one cluster.
    z: Vec<R>,
    wz: Vec<R>,
}

/// From 0 to `$count` by steps of 4, 2 or 1, each with its own expression.
macro_rules! in_blocks {
    ($from:ident in $count:expr, $four:expr, $two:expr, $one:expr) => {
        let mut $from = 0;
        while $from < $count {
            match $count - $from {
                4.. => {
                    $four;
                    $from += 4;
                }
                2.. => {
                    $two;
                    $from += 2;
                }
                _ => {
                    $one;
                    $from += 1;
                }
            }
        }
    };
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
        if model.whitening.is_none() {
            let x = (0..groups).map(|g| x.group(g));
            products(simd, (&self.w, k), (x, d), false, &mut sums.products);
            return;
        }
        self.z.resize(groups * d * line, R::ZERO);
        self.wz.resize(groups * (d + 1) * line, R::ZERO);
        for (c, into) in sums.products.chunks_exact_mut((d + 1) * d).enumerate() {
            let each = self.z.chunks_exact_mut(d * line).zip(self.wz.chunks_exact_mut((d + 1) * line));
            for (g, (z, wz)) in each.enumerate() {
                subtract(simd, x.group(g), &model.centers[c * d..(c + 1) * d], z);
                let w = &self.w[(g * k + c) * line..][..line];
                wz[d * line..].copy_from_slice(w);
                for (wz, z) in wz.chunks_exact_mut(line).zip(z.chunks_exact(line)) {
                    for at in (0..line).step_by(R::lanes::<S>()) {
                        let product = <R as Real>::mul(simd, R::load(simd, &w[at..]), R::load(simd, &z[at..]));
                        R::store(simd, &mut wz[at..], product);
                    }
                }
            }
            products(simd, (&self.wz, d + 1), (self.z.chunks_exact(d * line), d), true, into);
        }
    }
}

/// `z` = x - v for the d features of a group.
#[inline(always)]
fn subtract<S: Simd, R: Real>(simd: S, x: &[R], v: &[R], z: &mut [R]) {
    for ((x, &v), z) in x.chunks_exact(R::LINE).zip(v).zip(z.chunks_exact_mut(R::LINE)) {
        let v = R::splat(simd, v);
        for at in (0..R::LINE).step_by(R::lanes::<S>()) {
            R::store(simd, &mut z[at..], <R as Real>::sub(simd, R::load(simd, &x[at..]), v));
        }
    }
}

/// Squared distances of a group to C centres that follow each other.
#[inline(always)]
fn spherical<S: Simd, R: Real, const C: usize>(simd: S, x: &[R], centers: &[R], w: &mut [R]) {
    let d = x.len() / R::LINE;
    let centers = &centers[..C * d];
    for at in (0..R::LINE).step_by(R::lanes::<S>()) {
        let mut sums = [R::splat(simd, R::ZERO); C];
        for (j, x) in x.chunks_exact(R::LINE).enumerate() {
            let x = R::load(simd, &x[at..]);
            for c in 0..C {
                let z = <R as Real>::sub(simd, x, R::splat(simd, centers[c * d + j]));
                sums[c] = R::mul_add(simd, z, z, sums[c]);
            }
        }
        for (c, &sum) in sums.iter().enumerate() {
            R::store(simd, &mut w[c * R::LINE + at..], sum);
        }
    }
}

/// Squared lengths of the packed triangle times `z`.
#[inline(always)]
fn whitened<S: Simd, R: Real>(simd: S, z: &[R], triangle: &[R], w: &mut [R]) {
    let d = z.len() / R::LINE;
    for at in (0..R::LINE).step_by(R::lanes::<S>()) {
        let mut rest = triangle;
        let mut total = R::splat(simd, R::ZERO);
        for first in (0..d).step_by(PACK) {
            let mut y = [R::splat(simd, R::ZERO); PACK];
            let columns = (first + PACK).min(d);
            let (rows, others) = rest.split_at(columns * PACK);
            rest = others;
            for (z, entries) in z.chunks_exact(R::LINE).zip(rows.chunks_exact(PACK)) {
                let z = R::load(simd, &z[at..]);
                for (y, &entry) in y.iter_mut().zip(entries) {
                    *y = R::mul_add(simd, R::splat(simd, entry), z, *y);
                }
            }
            for y in y {
                total = R::mul_add(simd, y, y, total);
            }
        }
        R::store(simd, &mut w[at..], total);
    }
}

/// Memberships of a register of rows: `w` from d² to u^m, `u` from old to new; adds Σ u^m d² and keeps the largest change.
///
/// u = (1/d²)^q / Σ (1/d²)^q with q = 1 / (m - 1). For m = 2 then Σ u² d² = 1 / Σ (1/d²); else, with r the smallest d²
/// over each, u^m = u r (Σ r^q)^(1 - m), which takes but one power for each membership and one for each row.
#[inline(always)]
fn register<S: Simd, R: Power, const TWO: bool>(
    simd: S,
    w: &mut [R],
    powers: &mut [R],
    u: &mut [R],
    model: &Model<R>,
    (objective, change): (&mut [R], &mut [R]),
) {
    let (k, line) = (model.k, R::LINE);
    let (one, least, most) = (R::splat(simd, R::ONE), R::splat(simd, least::<R>()), R::splat(simd, R::ONE));
    let most = <R as Real>::div(simd, most, least);
    let clamp = |x: &[R]| R::min(simd, R::max(simd, R::load(simd, x), least), most);
    // Reciprocals, two for one division.
    let mut nearest = most;
    let mut sum = R::splat(simd, R::ZERO);
    for c in (0..k).step_by(2) {
        let a = clamp(&w[c * line..]);
        let b = if c + 1 < k { clamp(&w[(c + 1) * line..]) } else { one };
        let both = <R as Real>::div(simd, one, <R as Real>::mul(simd, a, b));
        let (of_a, of_b) = (<R as Real>::mul(simd, both, b), <R as Real>::mul(simd, both, a));
        nearest = R::min(simd, nearest, a);
        sum = <R as Real>::add(simd, sum, of_a);
        R::store(simd, &mut w[c * line..], of_a);
        if c + 1 < k {
            nearest = R::min(simd, nearest, b);
            sum = <R as Real>::add(simd, sum, of_b);
            R::store(simd, &mut w[(c + 1) * line..], of_b);
        }
    }
    let mut scale = one;
    if !TWO {
        let exponent = R::ONE / (model.m - R::ONE);
        sum = R::splat(simd, R::ZERO);
        for c in 0..k {
            let ratio = <R as Real>::mul(simd, R::load(simd, &w[c * line..]), nearest);
            R::store(simd, &mut w[c * line..], ratio);
            let power = power(simd, ratio, exponent);
            R::store(simd, &mut powers[c * line..], power);
            sum = <R as Real>::add(simd, sum, power);
        }
        scale = power(simd, sum, R::ONE - model.m);
    }
    let share = <R as Real>::div(simd, one, sum);
    let cost = if TWO { share } else { <R as Real>::mul(simd, nearest, scale) };
    R::store(simd, objective, <R as Real>::add(simd, R::load(simd, objective), cost));
    let mut largest = R::load(simd, change);
    for c in 0..k {
        let ratio = R::load(simd, &w[c * line..]);
        let new = <R as Real>::mul(simd, if TWO { ratio } else { R::load(simd, &powers[c * line..]) }, share);
        let weight = if TWO { new } else { <R as Real>::mul(simd, ratio, scale) };
        R::store(simd, &mut w[c * line..], <R as Real>::mul(simd, new, weight));
        let old = R::load(simd, &u[c * line..]);
        let (up, down) = (<R as Real>::sub(simd, new, old), <R as Real>::sub(simd, old, new));
        largest = R::max(simd, largest, R::max(simd, up, down));
        R::store(simd, &mut u[c * line..], new);
    }
    R::store(simd, change, largest);
}

/// x^p in every lane.
#[inline(always)]
fn power<S: Simd, R: Power>(simd: S, x: R::Lanes<S>, p: R) -> R::Lanes<S> {
    let mut lanes = [R::ZERO; 16];
    R::store(simd, &mut lanes, x);
    for x in &mut lanes[..R::lanes::<S>()] {
        *x = x.power(p);
    }
    R::load(simd, &lanes)
}

/// Squared distances count from here, far below rounding, to its reciprocal: the product of two is finite and not zero.
fn least<R: Real>() -> R {
    R::of(if size_of::<R>() == 4 { 1e-18 } else { 1e-100 })
}

/// `into` += Σ left rightᵀ over the lanes of all groups, `into` of a × b; of `lower` the blocks above the diagonal are
/// left out.
#[inline(always)]
fn products<'a, S: Simd, R: Real>(
    simd: S,
    (left, a): (&[R], usize),
    (right, b): (impl Iterator<Item = &'a [R]> + Clone, usize),
    lower: bool,
    into: &mut [f64],
) {
    in_blocks!(
        i in a,
        row_of_blocks::<S, R, 4>(simd, (left, a, i), (right.clone(), b), lower, into),
        row_of_blocks::<S, R, 2>(simd, (left, a, i), (right.clone(), b), lower, into),
        row_of_blocks::<S, R, 1>(simd, (left, a, i), (right.clone(), b), lower, into)
    );
}

#[inline(always)]
fn row_of_blocks<'a, S: Simd, R: Real, const A: usize>(
    simd: S,
    left: (&[R], usize, usize),
    (right, b): (impl Iterator<Item = &'a [R]> + Clone, usize),
    lower: bool,
    into: &mut [f64],
) {
    let end = if lower { b.min(left.2 + A) } else { b };
    let into = &mut into[left.2 * b..(left.2 + A) * b];
    in_blocks!(
        j in end,
        block::<S, R, A, 4>(simd, left, (right.clone(), j), into),
        block::<S, R, A, 2>(simd, left, (right.clone(), j), into),
        block::<S, R, A, 1>(simd, left, (right.clone(), j), into)
    );
}

/// A × B sums in registers while the groups pass.
#[inline(always)]
fn block<'a, S: Simd, R: Real, const A: usize, const B: usize>(
    simd: S,
    (left, a, i): (&[R], usize, usize),
    (right, j): (impl Iterator<Item = &'a [R]>, usize),
    into: &mut [f64],
) {
    let line = R::LINE;
    let mut sums = [[R::splat(simd, R::ZERO); B]; A];
    for (left, right) in left.chunks_exact(a * line).zip(right) {
        let (left, right) = (&left[i * line..(i + A) * line], &right[j * line..(j + B) * line]);
        for at in (0..line).step_by(R::lanes::<S>()) {
            let right: [_; B] = std::array::from_fn(|j| R::load(simd, &right[j * line + at..]));
            for (sums, left) in sums.iter_mut().zip(left.chunks_exact(line)) {
                let left = R::load(simd, &left[at..]);
                for (sum, &right) in sums.iter_mut().zip(&right) {
                    *sum = R::mul_add(simd, left, right, *sum);
                }
            }
        }
    }
    let b = into.len() / A;
    for (sums, into) in sums.iter().zip(into.chunks_exact_mut(b)) {
        for (&sum, into) in sums.iter().zip(&mut into[j..]) {
            *into += <R as Real>::sum(simd, sum).f64();
        }
    }
}
