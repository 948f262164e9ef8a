//! One iteration: a pass over some rows, and what follows from the sums of all.

use super::frame::Frame;
use super::metric::Metric;
use super::power::Power;
use super::tile::{Model, Sums, Task, visit};
use super::{Covariances, registers};
use crate::eigen::eigen;
use crate::pass::pass;
use crate::simd::{Pixel, Real};
use crate::{Control, Result, Rows};
use faer::Mat;
use std::ops::Range;

/// Rows per block of a pass at most, and the flops that a block takes at most, so that it can be stopped soon.
const BLOCK: (usize, usize) = (8192, 1 << 27);

/// Memberships, a row of k each, as [`sweep`] takes them: of each group of [`Real::LINE`] rows k times as many values.
pub fn turned<R: Real>(u: &[R], k: usize, control: &Control) -> Result<Vec<R>> {
    let (n, line) = (u.len() / k, R::LINE);
    let groups = n.div_ceil(line);
    let mut turned = vec![R::ZERO; groups * line * k];
    let block = |range: Range<usize>, out: &mut [R]| {
        let rows = &u[range.start * line * k..(range.end * line).min(n) * k];
        for (rows, out) in rows.chunks(line * k).zip(out.chunks_exact_mut(line * k)) {
            for (c, out) in out.chunks_exact_mut(line).enumerate() {
                out.iter_mut().zip(rows.chunks_exact(k)).for_each(|(out, row)| *out = row[c]);
            }
        }
    };
    control.expect(groups as u64);
    pass(groups, BLOCK.0 / line, control, &mut turned, block, |()| ())?;
    Ok(turned)
}

/// Visit some rows: new memberships, unless those there are (see [`turned`]) be kept, and the sums.
pub fn sweep<T: Pixel>(
    rows: Rows<'_, T>,
    model: &Model<T::Real>,
    u: &mut [T::Real],
    renew: bool,
    control: &Control,
) -> Result<Sums>
where
    T::Real: Power,
{
    let (n, line) = (rows.n(), T::Real::LINE);
    let mut total = Sums::new(model);
    let block = |groups: Range<usize>, u: &mut [T::Real]| {
        let mut sums = Sums::new(model);
        let range = groups.start * line..(groups.end * line).min(n);
        let task = if renew { Task::Iterate(u) } else { Task::Given(u) };
        visit(&rows, range, model, task, &mut sums);
        sums
    };
    control.expect(n.div_ceil(line) as u64);
    let groups = block_rows(model) / line;
    pass(n.div_ceil(line), groups, control, u, block, |part| total.add(&part))?;
    Ok(total)
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
        factor: reals(&frame.factor),
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
