//! How far do the rows of each label scatter about their mean? For measures of how good a clustering is.

use super::exact::own_distances;
use super::parameters::{Metric, check_labels};
use super::rows::WeightedRows;
use super::sums::ClusterSums;
use crate::engine::room;
use crate::engine::simd::Pixel;
use crate::{Control, Error, Result, Rows};

/// The mean of the rows of each label (k × d; a label without rows has zeros), and the squared distance of each row to its own.
pub fn spread<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    labels: &[u32],
    k: usize,
    metric: Metric,
    control: &Control,
) -> Result<(Vec<f64>, Vec<f64>)> {
    if k == 0 || k > rows.n() {
        return Err(Error::invalid("k", format!("{k}; {} rows have labels of 1 to {}", rows.n(), rows.n())));
    }
    check_labels(rows.n(), labels, k)?;
    let x = WeightedRows::new(rows, metric, None, control)?;
    let sums = ClusterSums::of(&x, k, |i| labels[i], control)?;
    let mut means = sums.values;
    for (mean, weight) in means.chunks_mut(rows.d()).zip(sums.weights) {
        mean.iter_mut().for_each(|x| *x /= weight.max(1.0));
    }
    let mut squares = room::zeros(rows.n(), "squared distances")?;
    own_distances(&x, &means, |i| labels[i] as usize, &mut squares, control, |_, _| 0.0, |_| ())?;
    Ok((means, squares))
}
