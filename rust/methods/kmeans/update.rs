//! The centres that follow from the sums over the rows of each cluster.

use super::distance::{sum_squares, unit};
use super::parameters::Metric;
use super::sums::ClusterSums;

/// Centres (k × d) as the iteration takes them: those of the cosine metric scaled to length 1.
pub fn scaled(centers: &[f64], d: usize, metric: Metric) -> Vec<f64> {
    let mut centers = centers.to_vec();
    if metric == Metric::Cosine {
        centers.chunks_mut(d).for_each(|center| {
            unit(center);
        });
    }
    centers
}

/// Moves every centre to the mean of its rows; returns the sum of the squared shifts.
pub fn advance(centers: &mut [f64], sums: &ClusterSums, metric: Metric) -> f64 {
    let d = sums.d();
    let heaviest = sums.heaviest() * d;
    let mut total = 0.0;
    for (c, old) in centers.chunks_mut(d).enumerate() {
        let of_cluster = &sums.values[c * d..][..d];
        let mut center = match sums.weights[c] {
            // Nothing could be moved there: beside the heaviest cluster, as scikit-learn does.
            w if w <= 0.0 => sums.values[heaviest..][..d].iter().map(|s| s / sums.weights[heaviest / d]).collect(),
            w => Vec::from_iter(of_cluster.iter().map(|s| s / w)),
        };
        if metric == Metric::Cosine && !unit(&mut center) {
            center.copy_from_slice(old); // rows that cancel have no direction
        }
        total += sum_squares(center.iter().zip(&*old).map(|(new, old)| new - old));
        old.copy_from_slice(&center);
    }
    total
}
