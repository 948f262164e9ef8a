//! What a pass out of core asks of the rows of one block. What must hold of all rows together is not checked here: a block may
//! have fewer rows than there are clusters, and none that counts.

use super::assign::Assignment;
pub use super::candidates::Chosen;
use super::candidates::{self, center};
use super::centers::Centers;
use super::parameters::{Metric, check_centers, check_labels, check_weights};
use super::relocate::{self, FarRow, Farthest};
use super::rows::WeightedRows;
use super::sums::ClusterSums;
use super::{centers, exact, rows};
use crate::engine::simd::Pixel;
use crate::{Control, Error, Result, Rows};

/// What the rows of a block are, and what they count for.
#[derive(Clone, Copy)]
pub struct Block<'a, 'w, T> {
    pub rows: Rows<'a, T>,
    pub metric: Metric,
    pub weights: Option<&'w [f64]>,
}

/// The clusters of the rows of a block, and what they add to the sums of all.
pub struct Visit {
    pub labels: Vec<u32>,
    pub sums: ClusterSums,
    /// Rows that changed cluster.
    pub moved: usize,
    /// Of the centres of the visit, where no row changed cluster.
    pub inertia: Option<f64>,
}

impl<'a, 'w, T: Pixel + Into<f64>> Block<'a, 'w, T> {
    fn weighted(&self, control: &Control) -> Result<WeightedRows<'a, 'w, T>> {
        check_weights(self.rows.n(), self.weights)?;
        WeightedRows::new(self.rows, self.metric, self.weights, control)
    }

    /// Takes each row to the nearest of the centres of an iteration (k × d); `former` are the clusters of the last one.
    pub fn visit(&self, centers: &[f64], former: &[u32], control: &Control) -> Result<Visit> {
        let k = check_centers(centers, self.rows.d())?;
        let x = self.weighted(control)?;
        let n = x.rows.n();
        if former.len() != n {
            return Err(Error::invalid("labels", format!("{}; one for each of {n} rows is needed", former.len())));
        }
        let (mut assignment, mut sums) = (Assignment::new(&x, k)?, ClusterSums::new(k, x.rows.d()));
        let centers = Centers::new(&x, centers.to_vec());
        assignment.assign(&x, &centers, Some(&mut sums), control)?;
        let labels = assignment.into_labels()?;
        let moved = labels.iter().zip(former).filter(|(label, former)| label != former).count();
        let inertia = match sums.inertia(&centers.values, &centers.origin) {
            _ if moved > 0 => None,
            None => Some(exact::inertia(&x, &centers.values, |i| labels[i] as usize, control)?),
            inertia => inertia,
        };
        Ok(Visit { labels, sums, moved, inertia })
    }

    /// The inertia of rows in clusters, and up to `count` rows with their squared distances, the farthest first.
    pub fn farthest(
        &self,
        centers: &[f64],
        labels: &[u32],
        count: usize,
        control: &Control,
    ) -> Result<(f64, Farthest)> {
        let k = check_centers(centers, self.rows.d())?;
        check_labels(self.rows.n(), labels, k)?;
        relocate::farthest(&self.weighted(control)?, centers, |i| labels[i] as usize, count, control)
    }

    /// What squared distances to the nearest row chosen would be if each of some candidates (copies of rows, m × d) were
    /// chosen too, n × m, and their weighted sums. Where none was chosen there is one candidate.
    pub fn attempts(
        &self,
        candidates: &[f64],
        chosen: Option<Chosen<'_>>,
        control: &Control,
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        let (n, d) = (self.rows.n(), self.rows.d());
        let x = self.weighted(control)?;
        let candidates = self.copies("candidates", candidates, control)?;
        let Some(Chosen { origin, first, nearest }) = chosen else {
            if candidates.len() != d {
                let message = format!("{}; the first row is chosen alone", candidates.len() / d);
                return Err(Error::invalid("candidates", message));
            }
            return candidates::attempts(&x, None, candidates, control);
        };
        if first.len() != n || nearest.len() != n {
            let message = format!("{} and {} squared distances for {n} rows", first.len(), nearest.len());
            return Err(Error::invalid("chosen", message));
        }
        let origin = &self.copies("chosen", origin, control)?[..d];
        candidates::attempts(&x, Some(Chosen { origin, first, nearest }), candidates, control)
    }

    /// Copies of rows as centres.
    fn copies(&self, argument: &'static str, values: &[f64], control: &Control) -> Result<Vec<f64>> {
        let d = self.rows.d();
        if values.is_empty() || !values.len().is_multiple_of(d) {
            return Err(Error::invalid(argument, format!("{} values; rows of {d} features are needed", values.len())));
        }
        let n = values.len() / d;
        let x = WeightedRows::new(Rows::from_slice(values, n, d), self.metric, None, control)?;
        Ok((0..n).flat_map(|i| center(&x, i)).collect())
    }
}

/// The sums over the rows of all blocks.
pub fn cluster_sums(values: Vec<f64>, weights: Vec<f64>, squares: f64, centers: &[f64]) -> Result<ClusterSums> {
    if values.len() != centers.len() || weights.is_empty() || !centers.len().is_multiple_of(weights.len()) {
        let message = format!("{} values of {} clusters; as many as centres are needed", values.len(), weights.len());
        return Err(Error::invalid("sums", message));
    }
    let counts = weights.iter().map(|&weight| i64::from(weight > 0.0)).collect();
    Ok(ClusterSums { values, weights, counts, squares })
}

/// Copies of rows (m × d) that are far from the centres of their clusters, of which there are k, with their weights.
pub fn far_rows(rows: &[f64], labels: &[u32], weights: &[f64], k: usize, metric: Metric) -> Result<Vec<FarRow>> {
    let n = labels.len();
    check_labels(n, labels, k)?;
    check_weights(n, Some(weights))?;
    if n == 0 {
        return Ok(Vec::new());
    }
    let of_row = |(row, (&label, &weight)): (&[f64], (&u32, &f64))| {
        let factor = if metric == Metric::Cosine { rows::factor(row) } else { 1.0 };
        FarRow { values: row.to_vec(), factor, weight, label: label as usize }
    };
    Ok(rows.chunks(rows.len() / n).zip(labels.iter().zip(weights)).map(of_row).collect())
}

/// The point about which the squares of the sums are, in the arithmetic of float64 data or in that of all others.
pub fn origin(centers: &[f64], d: usize, metric: Metric, double: bool) -> Vec<f64> {
    if double { centers::origin::<f64>(centers, d, metric) } else { centers::origin::<f32>(centers, d, metric) }
}
