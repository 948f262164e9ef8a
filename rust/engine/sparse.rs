//! Rows of which few values are not zero, stored as those alone: compressed sparse rows (CSR).

use crate::engine::room;
use crate::engine::simd::Pixel;
use crate::{Error, Result};
use std::ops::Range;

/// n rows × d features, of which the values that are not zero are stored, row by row.
///
/// ```
/// use emcore::methods::moments::moments;
/// use emcore::{Control, Rows, Sparse};
///
/// // 0 7 0
/// // 1 0 2
/// let rows = Sparse::new(3, &[0, 1, 3], &[1, 0, 2], &[7u8, 1, 2])?;
/// assert_eq!(moments(Rows::sparse(rows), &Control::new())?.mean, [0.5, 3.5, 1.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Sparse<'a, T> {
    d: usize,
    starts: &'a [usize],
    features: &'a [u32],
    values: &'a [T],
}

impl<'a, T: Pixel> Sparse<'a, T> {
    /// `values` of row i, and the `features` that have them, stand at `starts[i]..starts[i + 1]`.
    ///
    /// Fails where features are not below d and ascending in every row, or the lengths do not fit.
    pub fn new(d: usize, starts: &'a [usize], features: &'a [u32], values: &'a [T]) -> Result<Self> {
        let stored = values.len();
        if d > 1 << 32 {
            return Err(Error::invalid("sparse rows", format!("{d} features; at most 2^32 have numbers")));
        }
        if features.len() != stored || starts.first() != Some(&0) || starts.last() != Some(&stored) {
            let message = format!(
                "{} features for {stored} values, and starts of rows from {:?} to {:?}",
                features.len(),
                starts.first(),
                starts.last()
            );
            return Err(Error::invalid("sparse rows", message));
        }
        let of_row = |pair: &[usize]| features.get(pair[0]..pair[1]);
        let ascending = |row: &[u32]| row.is_sorted_by(|a, b| a < b) && row.last().is_none_or(|&j| (j as usize) < d);
        match starts.windows(2).position(|pair| !of_row(pair).is_some_and(ascending)) {
            Some(row) => {
                let message = format!("features of row {row} are not ascending numbers below {d}, each once");
                Err(Error::invalid("sparse rows", message))
            }
            None => Ok(Self { d, starts, features, values }),
        }
    }

    /// The same of parts that [`new`](Self::new) has accepted before.
    #[cfg(feature = "python")]
    pub(crate) fn accepted(d: usize, starts: &'a [usize], features: &'a [u32], values: &'a [T]) -> Self {
        Self { d, starts, features, values }
    }

    /// Number of rows.
    pub fn n(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of features.
    pub fn d(&self) -> usize {
        self.d
    }

    /// Values that are stored.
    pub(crate) fn stored(&self) -> usize {
        self.starts[self.n()] - self.starts[0]
    }

    /// Some of the rows.
    pub(crate) fn rows(&self, rows: Range<usize>) -> Self {
        Self { starts: &self.starts[rows.start..=rows.end], ..*self }
    }

    /// Features of row `i`, ascending, and their values.
    #[inline(always)]
    pub(crate) fn row(&self, i: usize) -> (&'a [u32], &'a [T]) {
        let range = self.starts[i]..self.starts[i + 1];
        (&self.features[range.clone()], &self.values[range])
    }

    /// All values that are stored.
    pub(crate) fn values(&self) -> &'a [T] {
        &self.values[self.starts[0]..self.starts[self.n()]]
    }

    /// Row and feature of the first value that is one of some.
    pub(crate) fn position(&self, is: impl Fn(T) -> bool) -> Option<(usize, usize)> {
        (0..self.n()).find_map(|i| {
            let (features, values) = self.row(i);
            values.iter().position(|&x| is(x)).map(|at| (i, features[at] as usize))
        })
    }

    /// All values of the rows, one row after another, zeros among them.
    pub(crate) fn unpack(&self, values: &mut [T]) {
        values.fill(T::default());
        for (i, out) in values.chunks_exact_mut(self.d.max(1)).enumerate() {
            let (features, values) = self.row(i);
            features.iter().zip(values).for_each(|(&j, &x)| out[j as usize] = x);
        }
    }

    /// The features as rows.
    pub(crate) fn transposed(&self) -> Result<Owned<T>> {
        let (what, stored) = ("values by feature", self.stored());
        let rows = u32::try_from(self.n()).map_err(|_| Error::invalid("X", "more than 2^32 rows"))?;
        let mut starts = room::zeros(self.d + 1, what)?;
        let mut features = room::zeros(stored, what)?;
        let mut values = room::filled(stored, T::default(), what)?;
        (0..self.n()).flat_map(|i| self.row(i).0).for_each(|&j| starts[j as usize + 1] += 1);
        (0..self.d).for_each(|j| starts[j + 1] += starts[j]);
        let mut next = room::copied(&starts, what)?;
        for i in 0..rows {
            let (of_row, here) = self.row(i as usize);
            for (&j, &x) in of_row.iter().zip(here) {
                let at = &mut next[j as usize];
                (features[*at], values[*at]) = (i, x);
                *at += 1;
            }
        }
        Ok(Owned { d: self.n(), starts, features, values })
    }
}

/// Sparse rows and their memory.
pub(crate) struct Owned<T> {
    d: usize,
    starts: Vec<usize>,
    features: Vec<u32>,
    values: Vec<T>,
}

impl<T> Owned<T> {
    /// A view of them.
    pub(crate) fn view(&self) -> Sparse<'_, T> {
        Sparse { d: self.d, starts: &self.starts, features: &self.features, values: &self.values }
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use crate::engine::simd::Pixel;

    pub(crate) const SHAPE: (usize, usize) = (9, 203);

    /// Full rows, and the same as they are stored sparsely: one row empty, one full, values at both ends and beside each other.
    pub(crate) fn rows<T: Pixel>(value: impl Fn(usize) -> T) -> (Vec<T>, Vec<usize>, Vec<u32>, Vec<T>) {
        let (n, d) = SHAPE;
        let holds = |i: usize, j: usize| match i {
            2 => false,
            3 => true,
            _ => (i * 31 + j * 17 + i * j).is_multiple_of(23) || j == 0 || j + 2 > d,
        };
        let full = Vec::from_iter((0..n * d).map(|at| if holds(at / d, at % d) { value(at) } else { T::default() }));
        let (mut starts, mut features, mut values) = (vec![0], Vec::new(), Vec::new());
        for (i, row) in full.chunks(d).enumerate() {
            for (j, &x) in row.iter().enumerate().filter(|(j, _)| holds(i, *j)) {
                features.push(j as u32);
                values.push(x);
            }
            starts.push(values.len());
        }
        (full, starts, features, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTS: [usize; 5] = [0, 2, 2, 3, 6];
    const FEATURES: [u32; 6] = [1, 3, 0, 0, 2, 3];
    const VALUES: [u16; 6] = [1, 2, 3, 4, 5, 6];

    #[test]
    fn rows_and_features_are_those_of_the_full_matrix() {
        let full = [0, 1, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 5, 6];
        let sparse = Sparse::new(4, &STARTS, &FEATURES, &VALUES).unwrap();
        let mut values = [9; 16];
        sparse.unpack(&mut values);
        assert_eq!(values, full);
        sparse.rows(2..4).unpack(&mut values[..8]);
        assert_eq!(values[..8], full[8..]);
        assert_eq!((sparse.rows(2..4).stored(), sparse.rows(2..4).values()), (4, &VALUES[2..]));
        assert_eq!(sparse.position(|x| x == 5), Some((3, 2)));
        let transposed = sparse.transposed().unwrap();
        let view = transposed.view();
        assert!(Sparse::new(4, view.starts, view.features, view.values).is_ok());
        view.unpack(&mut values);
        assert_eq!(Vec::from_iter((0..16).map(|at| values[at % 4 * 4 + at / 4])), full);
    }

    #[test]
    fn what_is_no_sparse_matrix_is_refused() {
        let new = |d, starts: &[usize], features: &[u32]| Sparse::new(d, starts, features, &VALUES).is_ok();
        assert!(new(4, &STARTS, &FEATURES));
        assert!(!new(3, &STARTS, &FEATURES));
        assert!(!new(4, &STARTS, &FEATURES[1..]));
        assert!(!new(4, &[0, 2, 1, 3, 6], &FEATURES));
        assert!(!new(4, &[0, 2, 9, 3, 6], &FEATURES));
        assert!(!new(4, &[0, 2, 2, 3], &FEATURES));
        assert!(!new(4, &[1, 2, 2, 3, 6], &FEATURES));
        assert!(!new(4, &[], &FEATURES));
        assert!(!new(4, &STARTS, &[3, 1, 0, 0, 2, 3]));
        assert!(!new(4, &STARTS, &[1, 1, 0, 0, 2, 3]));
    }
}
