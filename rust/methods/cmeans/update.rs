//! What follows from the sums of all rows: new centres and covariances.

use super::metric::{Metric, limits};
use super::model::MembershipSums;
use super::settings::Covariances;
use crate::engine::eigen::eigen;
use crate::engine::simd::Real;
use crate::{Control, Result};
use faer::Mat;

/// What follows beside the centres.
pub struct Update {
    /// Of each cluster; none without covariances.
    pub metrics: Vec<Metric>,
    /// Whether a cluster has no members; its centre stays.
    pub empty: Vec<bool>,
}

/// New centres, k × d in the frame, and, with covariances, new metrics.
pub fn update<R: Real>(
    centers: &mut [f64],
    sums: &MembershipSums,
    covariances: Option<&Covariances>,
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
pub fn base(sums: &MembershipSums, gamma: f64, d: usize, control: &Control) -> Result<f64> {
    let all = covariance(&sums.products, sums.mass[0], d);
    let values = eigen(Mat::from_fn(d, d, |i, j| all[i * d + j]), control)?.values;
    Ok(gamma * (values.iter().map(|x| x.max(0.0).ln()).sum::<f64>() / d as f64).exp())
}

/// The covariance about the mean, from sums about another point.
fn covariance(products: &[f64], mass: f64, d: usize) -> Vec<f64> {
    let mean = |j: usize| products[d * d + j] / mass;
    let entry = |i: usize, j: usize| products[i.max(j) * d + i.min(j)] / mass - mean(i) * mean(j);
    (0..d * d).map(|at| entry(at / d, at % d)).collect()
}
