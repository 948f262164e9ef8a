//! One iteration: a pass over some rows, and what follows from the sums of all.

use super::frame::Frame;
use super::metric::Metric;
use super::power::Power;
use super::tile::{Memberships, Model, Sums, Task, tile_rows, visit};
use super::{Covariances, registers};
use crate::engine::eigen::eigen;
use crate::engine::pass::pass;
use crate::engine::simd::{Pixel, Real};
use crate::engine::tiles::tiles;
use crate::{Control, Result, Rows};
use faer::Mat;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Rows per block of a pass at most, and the flops that a block takes at most, so that it can be stopped soon.
const BLOCK: (usize, usize) = (8192, 1 << 27);

/// Visit all rows: what `who` belongs to which cluster adds up to, about the centres of `about`, and the largest change of a
/// membership since `former`, or infinity.
pub fn sweep<T: Pixel>(
    rows: Rows<'_, T>,
    who: Memberships<'_, T::Real>,
    about: &Model<T::Real>,
    former: Option<Memberships<'_, T::Real>>,
    control: &Control,
) -> Result<Sums>
where
    T::Real: Power,
{
    let mut total = Sums::new(about);
    let block = |range: Range<usize>, _: &mut [u8]| {
        let mut sums = Sums::new(about);
        sums.change = visit(&rows, range, (who, former), Task::Sum(about, &mut sums));
        sums
    };
    control.expect(rows.n() as u64);
    pass(rows.n(), block_rows(about), control, &mut [], block, |part| total.add(&part))?;
    if former.is_none() {
        total.change = f64::INFINITY;
    }
    Ok(total)
}

/// Whether some membership of a model is further than `tol` from what it was. `witness` is a row near which that was so the last
/// time: all rows are only visited, until one is found, when nothing there has changed by so much.
pub fn changed<T: Pixel>(
    rows: Rows<'_, T>,
    model: &Model<T::Real>,
    former: Memberships<'_, T::Real>,
    tol: f64,
    witness: &mut usize,
    control: &Control,
) -> Result<bool>
where
    T::Real: Power,
{
    let of = (Memberships::Of(model), Some(former));
    let differs = |range: Range<usize>| visit(&rows, range, of, Task::Compare) > tol;
    let size = tile_rows(model).min(block_rows(model));
    if differs(*witness..(*witness + size).min(rows.n())) {
        return Ok(true);
    }
    let found = AtomicUsize::new(usize::MAX);
    let block = |range: Range<usize>, _: &mut [u8]| {
        for tile in tiles(range.len(), size) {
            let tile = range.start + tile.start..range.start + tile.end;
            if found.load(Relaxed) == usize::MAX && differs(tile.clone()) {
                found.fetch_min(tile.start, Relaxed);
            }
        }
    };
    control.expect(rows.n() as u64);
    pass(rows.n(), block_rows(model), control, &mut [], block, |()| ())?;
    let found = found.into_inner();
    *witness = if found == usize::MAX { *witness } else { found };
    Ok(found != usize::MAX)
}

/// What follows from the sums of all rows, beside the centres.
pub struct Update {
    /// Of each cluster; none without covariances.
    pub metrics: Vec<Metric>,
    /// Clusters that have no members; their centres stay.
    pub empty: Vec<bool>,
}

/// New centres, k × d in the frame, and, with covariances, new metrics.
pub fn update<R: Real>(
    centers: &mut [f64],
    sums: &Sums,
    covariances: Option<Covariances<'_>>,
    base: f64,
    control: &Control,
) -> Result<Update> {
    let k = sums.mass.len();
    let (d, size) = (centers.len() / k, sums.products.len() / k);
    let round = |x: f64| R::of(x).f64();
    let mut new = Update { metrics: Vec::new(), empty: Vec::new() };
    for (c, (&mass, products)) in sums.mass.iter().zip(sums.products.chunks_exact(size)).enumerate() {
        let empty = mass <= f64::from(f32::MIN_POSITIVE);
        new.empty.push(empty);
        let center = &mut centers[c * d..(c + 1) * d];
        let Some(Covariances { rho, gamma, beta }) = covariances else {
            if !empty {
                center.iter_mut().zip(products).for_each(|(v, sum)| *v = round(sum / mass));
            }
            continue;
        };
        let mut covariance = if empty { vec![0.0; d * d] } else { covariance(products, mass, d) };
        if !empty {
            center.iter_mut().zip(&products[d * d..]).for_each(|(v, sum)| *v = round(*v + sum / mass));
        }
        covariance.iter_mut().for_each(|x| *x *= 1.0 - gamma);
        (0..d).for_each(|j| covariance[j * d + j] += base);
        let (most, least) = limits::<R>();
        new.metrics.push(Metric::new(covariance, d, rho[c], beta.min(most), least, control)?);
    }
    Ok(new)
}

/// γ det(F₀)^(1/p), from sums in which every row is a full member of the first cluster.
pub fn base(sums: &Sums, gamma: f64, d: usize, control: &Control) -> Result<f64> {
    let all = covariance(&sums.products, sums.mass[0], d);
    let values = eigen(Mat::from_fn(d, d, |i, j| all[i * d + j]), control)?.values;
    Ok(gamma * (values.iter().map(|x| x.max(0.0).ln()).sum::<f64>() / d as f64).exp())
}

/// The whitening matrices of all clusters, one after another.
pub fn whitening(metrics: Option<&[Metric]>) -> Option<Vec<f64>> {
    metrics.map(|all| all.iter().flat_map(|metric| metric.whitening.iter().copied()).collect())
}

/// What is held fixed while rows pass: centres, k × d in the frame, and `whitening`: none, or k × d × d, or empty before the
/// first covariances are known.
pub fn model<R: Real>(frame: &Frame, centers: &[f64], whitening: Option<Vec<f64>>, m: f64) -> Model<R> {
    let reals = |values: &[f64]| Vec::from_iter(values.iter().map(|&x| R::of(x)));
    let d = frame.offset.len();
    Model {
        k: centers.len() / d,
        d,
        m: R::of(m),
        offset: reals(&frame.offset),
        factor: if frame.factor.iter().all(|&f| f == 1.0) { Vec::new() } else { reals(&frame.factor) },
        centers: reals(centers),
        whitening: whitening.map(|all| all.chunks(d * d).flat_map(|matrix| registers::pack(matrix, d)).collect()),
    }
}

/// Whole tiles or, where they take long, whole groups.
pub fn block_rows<R: Real>(model: &Model<R>) -> usize {
    let flops = 4 * model.k * model.d * if model.whitening.is_some() { model.d } else { 1 };
    (BLOCK.1 / flops).clamp(R::LINE, BLOCK.0) / R::LINE * R::LINE
}

/// Largest ratio and smallest size of the eigenvalues of a covariance that the arithmetic can tell from rounding.
pub fn limits<R>() -> (f64, f64) {
    if size_of::<R>() == 4 { (1e6, 1e-14) } else { (1e15, 1e-30) }
}

/// About the mean, from sums about another point.
fn covariance(products: &[f64], mass: f64, d: usize) -> Vec<f64> {
    let mean = |j: usize| products[d * d + j] / mass;
    let entry = |i: usize, j: usize| products[i.max(j) * d + i.min(j)] / mass - mean(i) * mean(j);
    (0..d * d).map(|at| entry(at / d, at % d)).collect()
}
