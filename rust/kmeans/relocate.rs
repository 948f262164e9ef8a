//! A cluster that has lost all its rows takes the row farthest from its centre, as in scikit-learn.

use super::assign::Parts;
use super::centers::Centers;
use super::exact::own_distances;
use super::rows::Weighed;
use super::sums::Sums;
use crate::simd::Pixel;
use crate::{Control, Result};

/// Sums in which the farthest rows, one for each empty cluster, were moved there; labels stay.
pub fn empty_clusters<T: Pixel + Into<f64>>(
    x: &Weighed<'_, '_, T>,
    centers: &Centers<T::Real>,
    parts: &Parts,
    sums: &Sums,
    control: &Control,
) -> Result<Sums> {
    let mut squares = vec![0.0; x.rows.n()];
    let label = |i: usize| parts.label(i) as usize;
    own_distances(x, &centers.values, label, &mut squares, control, |_, _| 0.0, |_| ())?;
    let empty = Vec::from_iter((0..centers.k).filter(|&c| sums.weights[c] == 0.0));
    let mut far = Vec::from_iter((0..squares.len()).filter(|&i| squares[i] > 0.0));
    let farther = |&a: &usize, &b: &usize| squares[b].total_cmp(&squares[a]).then(a.cmp(&b));
    if far.len() > empty.len() {
        far.select_nth_unstable_by(empty.len() - 1, farther);
        far.truncate(empty.len());
    }
    far.sort_unstable_by(farther);
    let mut relocated = sums.clone();
    let mut scratch = Vec::new();
    for (&to, &i) in empty.iter().zip(&far) {
        let block = x.rows.block(i..i + 1, &mut scratch);
        relocated.relocate(block.row(0), x.factor(i), x.weight(i), label(i), to);
    }
    Ok(relocated)
}
