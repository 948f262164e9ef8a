//! A cluster that has lost all its rows takes the row farthest from its centre, as in scikit-learn.

use super::exact::own_distances;
use super::rows::WeightedRows;
use super::sums::ClusterSums;
use crate::engine::room;
use crate::engine::simd::Pixel;
use crate::{Control, Result};
use std::borrow::Cow;

/// A copy of a row far from the centre of its cluster.
pub struct FarRow {
    pub values: Vec<f64>,
    /// What the values are to be multiplied by.
    pub factor: f64,
    pub weight: f64,
    pub label: usize,
}

impl FarRow {
    /// A copy of row `i`, of cluster `label`.
    pub fn new<T: Pixel + Into<f64>>(x: &WeightedRows<'_, '_, T>, i: usize, label: usize) -> Self {
        Self { values: x.copy(i), factor: x.factor(i), weight: x.weight(i), label }
    }
}

/// Rows and the squares of their distances from the centre of their label.
pub type Farthest = Vec<(usize, f64)>;

/// A row lies on its centre whose squared distance from it is no larger part of its own square: rounding of a mean of equal
/// rows, without which clusters that are more than there are different rows would take one another's rows for ever.
const ON_CENTER: f64 = 1e-26;

/// The inertia, and up to `count` rows: the farthest first, of equally far ones the first; none that lies on its centre.
pub fn farthest<T: Pixel + Into<f64>>(
    x: &WeightedRows<'_, '_, T>,
    centers: &[f64],
    label: impl Fn(usize) -> usize + Sync,
    count: usize,
    control: &Control,
) -> Result<(f64, Farthest)> {
    let (mut squares, mut inertia) = (room::zeros(x.rows.n(), "squared distances")?, 0.0);
    let weighted = |i: usize, square: f64| x.weight(i) * square;
    own_distances(x, centers, label, &mut squares, control, weighted, |partial| inertia += partial)?;
    let mut far = Vec::new();
    room::reserve(&mut far, squares.len(), "numbers of rows")?;
    far.extend((0..squares.len()).filter(|&i| squares[i] > 0.0));
    let farther = |&a: &usize, &b: &usize| squares[b].total_cmp(&squares[a]).then(a.cmp(&b));
    if far.len() > count {
        far.select_nth_unstable_by(count.max(1) - 1, farther);
        far.truncate(count);
    }
    far.retain(|&i| {
        let square: f64 = x.copy(i).iter().map(|value| (value * x.factor(i)).powi(2)).sum();
        squares[i] > ON_CENTER * square
    });
    far.sort_unstable_by(farther);
    Ok((inertia, far.into_iter().map(|i| (i, squares[i])).collect()))
}

/// The sums after empty clusters took one each of the rows `far`.
pub fn relocated<'a>(sums: &'a ClusterSums, far: &[FarRow]) -> Cow<'a, ClusterSums> {
    let empty = (0..sums.weights.len()).filter(|&c| sums.weights[c] == 0.0);
    let mut relocated = Cow::Borrowed(sums);
    for (to, row) in empty.zip(far) {
        relocated.to_mut().relocate(&row.values, row.factor, row.weight, row.label, to);
    }
    relocated
}
