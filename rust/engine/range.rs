//! Smallest and largest value of rows, and the first position of what may not be there.

use crate::engine::pass;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::engine::sparse::Sparse;
use crate::engine::tiles::tiles;
use crate::{Control, Error, Result, Rows};
use std::ops::Range;

/// Values whose range is found at a time where rows are shorter.
const RANGE_VALUES: usize = 4096;

/// What [`value_range`] says of the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueRange {
    /// Smallest finite value.
    pub min: f64,
    /// Largest finite value.
    pub max: f64,
    /// Row and feature of the first NaN or infinity.
    pub not_finite: Option<(usize, usize)>,
    /// Row and feature of the first negative value.
    pub negative: Option<(usize, usize)>,
}

/// Smallest and largest of some values; not both finite where one of them is NaN or infinite.
struct Extremes<'a, T>(&'a [T]);

impl<T: Pixel> WithSimd for Extremes<'_, T> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f64, f64) {
        let lanes = T::Real::lanes::<S>();
        let first = T::Real::splat(simd, self.0[0].real());
        let zero = T::Real::splat(simd, T::Real::ZERO);
        // A NaN or an infinity times zero makes a sum NaN.
        let (mut low, mut high, mut sum) = ([first; 4], [first; 4], [zero; 4]);
        let mut add = |at: usize, from: &[T]| {
            let x = T::load(simd, from);
            low[at] = T::Real::min(simd, low[at], x);
            high[at] = T::Real::max(simd, high[at], x);
            sum[at] = T::Real::mul_add(simd, x, zero, sum[at]);
        };
        let (groups, rest) = self.0.split_at(self.0.len() / (4 * lanes) * 4 * lanes);
        for group in groups.chunks_exact(4 * lanes) {
            (0..4).for_each(|at| add(at, &group[at * lanes..]));
        }
        rest.chunks_exact(lanes).for_each(|part| add(0, part));
        let mut ends = [self.0[0].real(); 16];
        let last = rest.len() % lanes;
        ends.iter_mut().zip(&rest[rest.len() - last..]).for_each(|(end, x)| *end = x.real());
        let ends = T::Real::load(simd, &ends);
        let (mut lows, mut highs, mut sums) = ([T::Real::ZERO; 16], [T::Real::ZERO; 16], T::Real::ZERO);
        let all = |x: [_; 4], f: fn(S, _, _) -> _| f(simd, f(simd, x[0], x[1]), f(simd, x[2], x[3]));
        T::Real::store(simd, &mut lows, T::Real::min(simd, all(low, T::Real::min), ends));
        T::Real::store(simd, &mut highs, T::Real::max(simd, all(high, T::Real::max), ends));
        sum[0] = T::Real::mul_add(simd, ends, zero, sum[0]);
        for part in sum {
            sums += T::Real::sum(simd, part);
        }
        let none = sums.f64() * 0.0; // NaN where there was one
        let low = lows[..lanes].iter().fold(f64::INFINITY, |low, x| low.min(x.f64()));
        let high = highs[..lanes].iter().fold(f64::NEG_INFINITY, |high, x| high.max(x.f64()));
        (low + none, high + none)
    }
}

/// Smallest and largest value, and the first position of what may not be there.
///
/// ```
/// use emcore::{Control, Rows, value_range};
///
/// let range = value_range(Rows::from_slice(&[1.0f32, f32::NAN, -2.0, 8.0], 2, 2), &Control::new())?;
/// assert_eq!((range.min, range.max), (-2.0, 8.0));
/// assert_eq!((range.not_finite, range.negative), (Some((0, 1)), Some((1, 0))));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn value_range<T: Pixel>(rows: Rows<'_, T>, control: &Control) -> Result<ValueRange> {
    if rows.n() == 0 || rows.d() == 0 {
        return Err(Error::invalid("data", "no values; give at least one row and one feature"));
    }
    control.expect(rows.n() as u64);
    let none = ValueRange { min: f64::INFINITY, max: f64::NEG_INFINITY, not_finite: None, negative: None };
    let block = |range: Range<usize>, _: &mut [u8]| {
        if let Some(sparse) = rows.as_sparse() {
            return range_of_sparse(sparse.rows(range.clone()), range.start, none);
        }
        let mut scratch = Vec::new();
        let block = rows.block(range.clone(), &mut scratch);
        let mut part = none;
        // Of short rows that follow each other many at a time.
        let together = block.contiguous(0..block.n()).is_some();
        for some in tiles(block.n(), if together { (RANGE_VALUES / block.d()).max(1) } else { 1 }) {
            let values = block.contiguous(some.clone()).unwrap_or_else(|| block.row(some.start));
            let place = |is_bad: fn(f64) -> bool| {
                let bad = values.iter().position(|x| is_bad(x.real().f64()));
                bad.map(|at| (range.start + some.start + at / block.d(), at % block.d()))
            };
            let ((low, high), finite) = extremes(values);
            if !finite {
                part.not_finite = part.not_finite.or_else(|| place(|x| !x.is_finite()));
            }
            part.min = part.min.min(low);
            part.max = part.max.max(high);
            if part.negative.is_none() && low < 0.0 {
                part.negative = place(|x| x < 0.0);
            }
        }
        part
    };
    let mut total = none;
    pass::pass(rows.n(), pass::block_rows(rows.row_bytes(), 1 << 20, 1), control, &mut [], block, |part| {
        total.min = total.min.min(part.min);
        total.max = total.max.max(part.max);
        total.not_finite = total.not_finite.or(part.not_finite);
        total.negative = total.negative.or(part.negative);
    })?;
    Ok(total)
}

/// Smallest and largest finite value, and whether there is no other.
fn extremes<T: Pixel>(values: &[T]) -> ((f64, f64), bool) {
    let (low, high) = dispatch(Extremes(values));
    if low.is_finite() && high.is_finite() {
        return ((low, high), true);
    }
    let finite = values.iter().map(|x| x.real().f64()).filter(|x| x.is_finite());
    (finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x))), false)
}

/// The range of sparse rows from the row `first` on.
fn range_of_sparse<T: Pixel>(rows: Sparse<'_, T>, first: usize, mut range: ValueRange) -> ValueRange {
    let place = |is_bad: fn(f64) -> bool| {
        rows.position(|x| is_bad(x.real().f64())).map(|(row, feature)| (first + row, feature))
    };
    if rows.stored() > 0 {
        let ((low, high), finite) = extremes(rows.values());
        (range.min, range.max) = (low, high);
        range.not_finite = if finite { None } else { place(|x| !x.is_finite()) };
        range.negative = if low < 0.0 { place(|x| x < 0.0) } else { None };
    }
    if rows.stored() < rows.n() * rows.d() {
        (range.min, range.max) = (range.min.min(0.0), range.max.max(0.0));
    }
    range
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    #[test]
    #[cfg_attr(miri, ignore = "millions of values")]
    fn the_first_bad_value_is_named() {
        for d in [18, 999, 5000] {
            let mut data = Array2::from_elem((600, d + 1), 1.0f32);
            data[(400, 17)] = f32::NAN;
            data[(401, 0)] = f32::INFINITY;
            data[(150, d - 1)] = -2.0;
            data[(401, 2)] = -3.0;
            let (not_finite, negative) = (Some((400, 17)), Some((150, d - 1)));
            for view in [data.view(), data.slice(s![.., ..d])] {
                let observed = value_range(Rows::new(view), &Control::new()).unwrap();
                assert_eq!(observed, ValueRange { min: -3.0, max: 1.0, not_finite, negative });
            }
        }
    }
}
