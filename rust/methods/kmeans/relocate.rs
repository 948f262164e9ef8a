//! A cluster that has lost all its rows takes the row farthest from its centre, as in scikit-learn.

use super::exact::own_distances;
use super::rows::Weighed;
use super::sums::Sums;
use crate::engine::simd::Pixel;
use crate::{Control, Result};

/// Up to `count` rows and the squares of their distances from the centre of their label: the farthest first, of equally
/// far ones the first; none that lies on its centre.
pub fn farthest<T: Pixel + Into<f64>>(
    x: &Weighed<'_, '_, T>,
    centers: &[f64],
    label: impl Fn(usize) -> usize + Sync,
    count: usize,
    control: &Control,
) -> Result<Vec<(usize, f64)>> {
    let mut squares = vec![0.0; x.rows.n()];
    own_distances(x, centers, label, &mut squares, control, |_, _| 0.0, |_| ())?;
    let mut far = Vec::from_iter((0..squares.len()).filter(|&i| squares[i] > 0.0));
    let farther = |&a: &usize, &b: &usize| squares[b].total_cmp(&squares[a]).then(a.cmp(&b));
    if far.len() > count {
        far.select_nth_unstable_by(count.max(1) - 1, farther);
        far.truncate(count);
    }
    far.sort_unstable_by(farther);
    Ok(far.into_iter().map(|i| (i, squares[i])).collect())
}

/// Sums in which the rows `far` of `x`, one for each empty cluster, were moved there from the clusters `from`.
pub fn relocated<T: Pixel + Into<f64>>(
    x: &Weighed<'_, '_, T>,
    sums: &Sums,
    far: impl Iterator<Item = usize>,
    from: impl Fn(usize) -> usize,
) -> Sums {
    let empty = Vec::from_iter((0..sums.weights.len()).filter(|&c| sums.weights[c] == 0.0));
    let mut relocated = sums.clone();
    let mut scratch = Vec::new();
    for (to, i) in empty.into_iter().zip(far) {
        let block = x.rows.block(i..i + 1, &mut scratch);
        relocated.relocate(block.row(0), x.factor(i), x.weight(i), from(i), to);
    }
    relocated
}
