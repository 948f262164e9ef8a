//! Distances, memberships and sums of a tile of rows, all in lanes of rows.

use super::model::{MembershipSums, Memberships, Model};
use super::power::Power;
use super::products::{Side, in_blocks, products, row_of_blocks};
use super::registers::{register, spherical, subtract, whitened};
use crate::engine::lanes::{Lanes, transpose};
use crate::engine::rows::{Block, Rows};
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch, prefetch};
use crate::engine::tiles::tiles;
use std::ops::Range;

/// What to do with a block of rows.
pub enum Task<'a, R> {
    /// Sum about the centres of a model.
    Sum(&'a Model<R>, &'a mut MembershipSums),
    /// Write the memberships, row by row.
    Write(&'a mut [R]),
    /// Nothing but see how far they are from the former ones.
    Compare,
}

/// How far ahead rows are asked for: while as many are worked on, they come.
const PREFETCH_BYTES: usize = 4096;

/// Groups whose rows are transposed and whose memberships are computed before those of the next, so that all this stays in
/// the first-level cache, and rows are asked for a few at a time.
const GROUPS: usize = 2;

/// Rows in a tile, which is summed in the type of the arithmetic: as many as stay in the second-level cache or, where sums
/// take them many times, in the first.
pub fn tile_rows<R: Real>(model: &Model<R>) -> usize {
    let most = if model.whitening.is_some() { 512 } else { 1024 };
    (16 * most / model.d).clamp(128, most) / R::LINE * R::LINE
}

/// Visits some rows for a task that takes their memberships `members`; returns how far these are at most from the `former`
/// ones, if there were any. `weights`: what every row counts for, or empty.
pub fn visit<T: Pixel>(
    rows: &Rows<'_, T>,
    range: Range<usize>,
    (members, former): (Memberships<'_, T::Real>, Option<Memberships<'_, T::Real>>),
    weights: &[T::Real],
    mut task: Task<'_, T::Real>,
) -> f64
where
    T::Real: Power,
{
    let model = match (members, &task) {
        (Memberships::Of(model), _) => model,
        (_, Task::Sum(about, _)) => *about,
        _ => unreachable!("stored memberships are summed"),
    };
    let (k, line) = (model.k, T::Real::LINE);
    let (mut lanes, mut scratch) = (Lanes::new(model.d), Vec::new());
    let mut workspace = Workspace::new(k);
    let mut change = 0.0f64;
    for tile in tiles(range.len(), tile_rows(model)) {
        let first = range.start + tile.start;
        let block = rows.block(first..range.start + tile.end, &mut scratch);
        lanes.resize(block.n());
        workspace.w.resize(lanes.groups() * k * line, T::Real::ZERO);
        for groups in tiles(lanes.groups(), GROUPS) {
            dispatch(Transpose { block, model, groups: groups.clone(), lanes: &mut lanes });
            let some = groups.start * line..(groups.end * line).min(block.n());
            let of_some = |members| match members {
                Memberships::Stored(u) => Memberships::Stored(&u[(first + some.start) * k..(first + some.end) * k]),
                other => other,
            };
            let (members, former) = (of_some(members), former.map(of_some));
            let out = match &mut task {
                Task::Write(out) => &mut out[(tile.start + some.start) * k..(tile.start + some.end) * k],
                _ => &mut [],
            };
            let (x, workspace) = (&lanes, &mut workspace);
            let weights = if weights.is_empty() { weights } else { &weights[first + some.start..first + some.end] };
            let (objective, largest) =
                dispatch(Compute { x, groups, rows: some.len(), model, members, former, weights, out, workspace });
            change = change.max(largest);
            if let Task::Sum(_, sums) = &mut task {
                sums.objective += objective;
            }
        }
        if let Task::Sum(about, sums) = &mut task {
            dispatch(Add { x: &lanes, model: about, workspace: &mut workspace, sums });
        }
    }
    change
}

/// Transposes rows of any type into lanes.
struct Transpose<'a, T: Pixel> {
    block: Block<'a, T>,
    model: &'a Model<T::Real>,
    groups: Range<usize>,
    lanes: &'a mut Lanes<T::Real>,
}

impl<T: Pixel> WithSimd for Transpose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { block, model, groups, lanes } = self;
        let rows = groups.start * T::Real::LINE..(groups.end * T::Real::LINE).min(block.n());
        match block.contiguous(rows.clone()) {
            Some(values) => prefetch(values, PREFETCH_BYTES),
            None => rows.for_each(|i| prefetch(block.row(i), PREFETCH_BYTES)),
        }
        lanes.fill_groups(simd, groups, block, None, &model.offset, &model.factor);
    }
}

/// Registers of a thread.
struct Workspace<R> {
    /// u^m of a tile, k registers for each group.
    w: Vec<R>,
    /// u of a few groups.
    u: Vec<R>,
    /// The former u of these.
    old: Vec<R>,
    /// Powers, or x - v of one cluster.
    z: Vec<R>,
}

impl<R: Real> Workspace<R> {
    fn new(k: usize) -> Self {
        let zeros = || vec![R::ZERO; GROUPS * k * R::LINE];
        Self { w: Vec::new(), u: zeros(), old: zeros(), z: zeros() }
    }
}

/// Computes u^m and u of a few groups and, if `out` is not empty, writes a row of u for each row; returns Σ u^m d² where they
/// come from distances, and the largest change. Of rows with weights u^m is multiplied by these.
struct Compute<'a, R> {
    x: &'a Lanes<R>,
    groups: Range<usize>,
    /// Number of rows in these groups.
    rows: usize,
    model: &'a Model<R>,
    members: Memberships<'a, R>,
    former: Option<Memberships<'a, R>>,
    /// Of these rows, or empty.
    weights: &'a [R],
    out: &'a mut [R],
    workspace: &'a mut Workspace<R>,
}

impl<R: Power> WithSimd for Compute<'_, R> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f64, f64) {
        let Self { x, groups, rows, model, members, former, weights, out, workspace: Workspace { w, u, old, z } } =
            self;
        let size = model.k * R::LINE;
        let w = &mut w[groups.start * size..groups.end * size];
        let alone = former.is_none() && out.is_empty() && matches!(members, Memberships::Of(_));
        let count = if alone { 0 } else { w.len() };
        let (mut u, mut old) = (&mut u[..count], &mut old[..count]);
        let x = &x.values()[groups.start * model.d * R::LINE..groups.end * model.d * R::LINE];
        let mut objective = 0.0;
        for members in former.into_iter().chain([members]) {
            std::mem::swap(&mut u, &mut old);
            objective = memberships(simd, members, x, rows, model, weights, [&mut *w, &mut *u], z);
        }
        for (g, weights) in weights.chunks(R::LINE).enumerate() {
            for w in w[g * size..(g + 1) * size].chunks_exact_mut(R::LINE) {
                w.iter_mut().zip(weights).for_each(|(w, &weight)| *w = *w * weight);
            }
            if former.is_some() {
                // What counts for nothing has not changed.
                let (u, old) = (&mut u[g * size..(g + 1) * size], &old[g * size..(g + 1) * size]);
                for (lane, _) in weights.iter().enumerate().filter(|(_, weight)| **weight == R::ZERO) {
                    u.iter_mut().zip(old).skip(lane).step_by(R::LINE).for_each(|(u, old)| *u = *old);
                }
            }
        }
        for (rows, group) in out.chunks_mut(model.k * R::LINE).zip(u.chunks_exact(size)) {
            transpose(group, R::LINE, rows, model.k);
        }
        (objective, if former.is_some() { largest_difference(simd, u, old) } else { 0.0 })
    }
}

/// Computes `w` = u^m and `u` of the groups in `x`, of which there are `n` rows; returns Σ u^m d², weighted, where these come
/// from distances, in which case `u` may be empty.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn memberships<S: Simd, R: Power>(
    simd: S,
    members: Memberships<'_, R>,
    x: &[R],
    n: usize,
    model: &Model<R>,
    weights: &[R],
    [w, u]: [&mut [R]; 2],
    z: &mut Vec<R>,
) -> f64 {
    let (k, line) = (model.k, R::LINE);
    let mut objective = 0.0;
    match members {
        Memberships::Full => {
            u.fill(R::ONE);
            w.fill(R::ONE);
        }
        Memberships::Stored(stored) => {
            for (group, rows) in u.chunks_exact_mut(k * line).zip(stored.chunks(k * line)) {
                transpose(rows, k, group, line);
                // Beyond the rows there are the last one again, as in the lanes.
                let last = rows.len() / k - 1;
                for line in group.chunks_exact_mut(line) {
                    let x = line[last];
                    line[last + 1..].fill(x);
                }
            }
            let two = model.m == R::of(2.0);
            w.iter_mut().zip(&*u).for_each(|(w, &u)| *w = if two { u * u } else { u.power(model.m) });
        }
        Memberships::Of(model) => {
            distances(simd, model, x, w, z);
            // All groups at once or, with weights, which are of lanes of a group, one after another.
            let groups = if weights.is_empty() { n.div_ceil(line) } else { 1 };
            for first in (0..n).step_by(groups * line) {
                let rows = (n - first).min(groups * line);
                let of = first * k..(first + groups * line) * k;
                let into = [&mut w[of.clone()], u.get_mut(of).unwrap_or_default()];
                let sums = if model.m == R::of(2.0) {
                    from_distances::<S, R, true>(simd, model, rows, into, z)
                } else {
                    from_distances::<S, R, false>(simd, model, rows, into, z)
                };
                objective += match weights.get(first..first + rows) {
                    Some(weights) => sums.iter().zip(weights).map(|(sum, weight)| (*sum * *weight).f64()).sum::<f64>(),
                    None => sums.iter().map(|x| x.f64()).sum(),
                };
            }
        }
    }
    // No weight beyond row n.
    let remainder = n % line;
    if remainder != 0 {
        let last = w.len() - k * line;
        w[last..].chunks_exact_mut(line).for_each(|w| w[remainder..].fill(R::ZERO));
    }
    objective
}

/// Computes `w` = d² of every row to every centre.
#[inline(always)]
fn distances<S: Simd, R: Real>(simd: S, model: &Model<R>, x: &[R], w: &mut [R], z: &mut Vec<R>) {
    let (k, d, line) = (model.k, model.d, R::LINE);
    for (x, w) in x.chunks_exact(d * line).zip(w.chunks_exact_mut(k * line)) {
        if let Some(whitening) = &model.whitening {
            z.resize(z.len().max(d * line), R::ZERO);
            let size = whitening.len() / k;
            for (c, w) in w.chunks_exact_mut(line).enumerate() {
                subtract(simd, x, &model.centers[c * d..(c + 1) * d], &mut z[..d * line]);
                whitened(simd, &z[..d * line], &whitening[c * size..(c + 1) * size], w);
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

/// Computes `w` = u^m of n rows from their d² and, unless it is empty, `u`; returns Σ u^m d² lane by lane.
#[inline(always)]
fn from_distances<S: Simd, R: Power, const TWO: bool>(
    simd: S,
    model: &Model<R>,
    n: usize,
    [w, u]: [&mut [R]; 2],
    z: &mut Vec<R>,
) -> [R; 32] {
    let (k, line) = (model.k, R::LINE);
    z.resize(z.len().max(k * line), R::ZERO);
    let mut objective = [R::ZERO; 32];
    for (g, w) in w.chunks_exact_mut(k * line).enumerate() {
        let former = objective;
        let u = u.get_mut(g * k * line..(g + 1) * k * line).unwrap_or_default();
        for at in (0..line).step_by(R::lanes::<S>()) {
            let into = &mut objective[at..line];
            let u = u.get_mut(at..).unwrap_or_default();
            register::<S, R, TWO>(simd, &mut w[at..], &mut z[at..], u, model, into);
        }
        let rows = (n - g * line).min(line);
        objective[rows..].copy_from_slice(&former[rows..]);
    }
    objective
}

/// The largest difference between two of each lane.
#[inline(always)]
fn largest_difference<S: Simd, R: Real>(simd: S, u: &[R], old: &[R]) -> f64 {
    let mut most = R::splat(simd, R::ZERO);
    let lanes = R::lanes::<S>();
    for (new, old) in u.chunks_exact(lanes).zip(old.chunks_exact(lanes)) {
        let (new, old) = (R::load(simd, new), R::load(simd, old));
        most = R::max(simd, most, R::max(simd, <R as Real>::sub(simd, new, old), <R as Real>::sub(simd, old, new)));
    }
    let mut each = [R::ZERO; 16];
    R::store(simd, &mut each, most);
    each.iter().fold(0.0, |most, x| x.f64().max(most))
}

/// Adds what the rows of a tile weigh to the sums.
struct Add<'a, R> {
    x: &'a Lanes<R>,
    model: &'a Model<R>,
    workspace: &'a mut Workspace<R>,
    sums: &'a mut MembershipSums,
}

impl<R: Real> WithSimd for Add<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, model, workspace: Workspace { w, z, .. }, sums } = self;
        let (k, d, line, groups) = (model.k, model.d, R::LINE, x.groups());
        for (c, mass) in sums.mass.iter_mut().enumerate() {
            let mut total = [R::splat(simd, R::ZERO); 2];
            for w in w.chunks_exact(line).skip(c).step_by(k) {
                for (at, w) in w.chunks_exact(R::lanes::<S>()).enumerate() {
                    total[at % 2] = <R as Real>::add(simd, total[at % 2], R::load(simd, w));
                }
            }
            *mass += <R as Real>::sum(simd, <R as Real>::add(simd, total[0], total[1])).f64();
        }
        let weights = |c| Side { values: w, width: k, first: c };
        if model.whitening.is_none() {
            let x = Side { values: x.values(), width: d, first: 0 };
            return products(simd, weights(0), None, x, &mut sums.products);
        }
        z.resize(z.len().max(groups * d * line), R::ZERO);
        for (c, into) in sums.products.chunks_exact_mut((d + 1) * d).enumerate() {
            for (g, z) in z.chunks_exact_mut(d * line).take(groups).enumerate() {
                subtract(simd, x.group(g), &model.centers[c * d..(c + 1) * d], z);
            }
            let z = Side { values: &z[..groups * d * line], width: d, first: 0 };
            let (second, first) = into.split_at_mut(d * d);
            products(simd, z, Some(weights(c)), z, second);
            row_of_blocks::<S, R, 1>(simd, weights(c), None, z, d, first);
        }
    }
}
