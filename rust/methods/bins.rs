//! Sums over groups of features of every row: a detector binned, its masked and broken pixels left out.
//!
//! A row of a detector of 256 x 256 pixels has 65,536 features, of which neighbours say the same. The sums are formed as the
//! rows are read, in the type in which they are stored; the stored data are never copied as floats. Cost: one read of the
//! data, and an addition for every feature that is in a group.

use crate::engine::pass::{block_rows, pass};
use crate::engine::rows::Rows;
use crate::engine::simd::{Pixel, Real};
use crate::{Control, Error, Result};
use std::ops::Range;

/// Bytes of the data that a thread takes at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// For every row the sum of the features of each of k groups, n × k; features of a negative group are left out.
///
/// ```
/// use emcore::methods::bins::bin_features;
/// use emcore::{Control, Rows};
///
/// let rows = Rows::from_slice(&[1u8, 2, 3, 4, 5, 6], 2, 3);
/// assert_eq!(bin_features(rows, &[0, -1, 0], 1, &Control::new())?, [4.0, 10.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn bin_features<T: Pixel>(rows: Rows<'_, T>, groups: &[i32], k: usize, control: &Control) -> Result<Vec<f32>> {
    if groups.len() != rows.d() {
        return Err(Error::invalid("groups", format!("{} for {} features", groups.len(), rows.d())));
    }
    if let Some(group) = groups.iter().find(|&&group| group >= 0 && group as usize >= k) {
        return Err(Error::invalid("groups", format!("{group} is none of 0 to k - 1, k = {k}")));
    }
    // Runs of neighbouring features of one group, one group after another.
    let mut runs: Vec<Vec<Range<usize>>> = vec![Vec::new(); k];
    let mut start = 0;
    for run in groups.chunk_by(|a, b| a == b) {
        if run[0] >= 0 {
            runs[run[0] as usize].push(start..start + run.len());
        }
        start += run.len();
    }
    let mut sums = vec![0.0; rows.n() * k];
    control.expect(rows.n() as u64);
    let block = |range: Range<usize>, out: &mut [f32]| {
        let mut scratch = Vec::new();
        let block = rows.block(range, &mut scratch);
        for (i, out) in out.chunks_mut(k).enumerate() {
            let row = block.row(i);
            for (runs, out) in runs.iter().zip(out) {
                let mut sum = T::Real::ZERO;
                runs.iter().for_each(|run| row[run.clone()].iter().for_each(|&x| sum += x.real()));
                *out = sum.f64() as f32;
            }
        }
    };
    if k > 0 {
        pass(rows.n(), block_rows(rows.row_bytes(), BLOCK_BYTES, 1), control, &mut sums, block, |()| ())?;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_features_of_a_group() {
        let (n, d, k) = (700, 45, 7);
        let data = Vec::from_iter((0..n * d).map(|i| ((i * 7919) % 251) as u16));
        let groups = Vec::from_iter((0..d).map(|j| (j * 5 % 9) as i32 - 2));
        let sums = bin_features(Rows::from_slice(&data, n, d), &groups, k, &Control::new()).unwrap();
        for i in 0..n {
            for group in 0..k {
                let expected: u32 =
                    (0..d).filter(|&j| groups[j] == group as i32).map(|j| u32::from(data[i * d + j])).sum();
                assert_eq!(sums[i * k + group], expected as f32);
            }
        }
    }

    #[test]
    fn groups_that_do_not_fit_are_refused() {
        let data = [0u8; 6];
        assert!(bin_features(Rows::from_slice(&data, 2, 3), &[0, 0], 1, &Control::new()).is_err());
        assert!(bin_features(Rows::from_slice(&data, 2, 3), &[0, 1, 0], 1, &Control::new()).is_err());
    }
}
