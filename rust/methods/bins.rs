//! Sums over groups of features of every row: a detector binned, its masked and broken pixels left out.
//!
//! A row of a detector of 256 x 256 pixels has 65,536 features, of which neighbours say the same. The sums are formed as the
//! rows are read, in the type in which they are stored; the stored data are never copied as floats. Lines of the detector
//! that are binned alike are added first, in registers, and then neighbours along the sum. Cost: one read of the data, an
//! addition for every feature, and one more for every feature of a line of bins.
//!
//! Groups of another shape, as rings around a beam, have neither such lines nor many neighbours. There rows are transposed, a
//! few features of sixteen rows at a time, so that one addition of registers serves sixteen rows. Cost: half a shuffle and a
//! quarter of a load, an addition and a store for every feature.

use crate::engine::pass::{block_rows, pass};
use crate::engine::room;
use crate::engine::rows::{Block, Rows};
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::{Control, Error, Result};
use std::ops::Range;

/// Bytes of the data that a thread takes at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// Groups are scattered that have more than one stretch of neighbours in so many features.
const SCATTERED: usize = 6;
/// Rows that are transposed together, and of how many features: as f32 half of a first-level cache.
const TOGETHER: usize = 16;
const FEATURES: usize = 256;

/// For every row, a picture of lines of `width` features, the sum of the features of each of k groups, n × k; features of a
/// negative group are left out.
///
/// ```
/// use emcore::methods::bins::bin_features;
/// use emcore::{Control, Rows};
///
/// let rows = Rows::from_slice(&[1u8, 2, 3, 4, 5, 6], 2, 3);
/// assert_eq!(bin_features(rows, &[0, -1, 0], 3, 1, &Control::new())?, [4.0, 10.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn bin_features<T: Pixel>(
    rows: Rows<'_, T>,
    groups: &[i32],
    width: usize,
    k: usize,
    control: &Control,
) -> Result<Vec<f32>> {
    if groups.len() != rows.d() {
        return Err(Error::invalid("groups", format!("{} for {} features", groups.len(), rows.d())));
    }
    if let Some(group) = groups.iter().find(|&&group| group >= 0 && group as usize >= k) {
        return Err(Error::invalid("groups", format!("{group} is none of 0 to k - 1, k = {k}")));
    }
    if width == 0 || !groups.len().is_multiple_of(width) {
        return Err(Error::invalid("width", format!("lines of {width} do not make {} features", groups.len())));
    }
    let bands = bands::<T::Real>(groups, width);
    let mut sums = room::zeros(room::product::<f32>(&[rows.n(), k], "sums of bins")?, "sums of bins")?;
    control.expect(rows.n() as u64);
    let stretches: usize = bands.iter().map(|band| band.stretches.len()).sum();
    if SCATTERED * stretches > rows.d() {
        // What is in no group goes to one of its own, which nobody asks for.
        let groups = Vec::from_iter(groups.iter().map(|&group| usize::try_from(group).unwrap_or(k)));
        let block = |range: Range<usize>, out: &mut [f32]| {
            let (mut scratch, mut values) = (Vec::new(), vec![T::Real::ZERO; TOGETHER * FEATURES]);
            let mut sums = room::zeros_or_unwind(TOGETHER * (k + 1), "sums of bins");
            for (start, out) in range.clone().step_by(TOGETHER).zip(out.chunks_mut(TOGETHER * k)) {
                let block = rows.block(start..(start + TOGETHER).min(range.end), &mut scratch);
                dispatch(Scattered { block, groups: &groups, k, values: &mut values, sums: &mut sums, out });
            }
        };
        let block_rows = block_rows(rows.row_bytes(), BLOCK_BYTES, TOGETHER).next_multiple_of(TOGETHER);
        pass(rows.n(), block_rows, control, &mut sums, block, |()| ())?;
        return Ok(sums);
    }
    let block = |range: Range<usize>, out: &mut [f32]| {
        let (mut scratch, mut line) = (Vec::new(), vec![T::Real::ZERO; width]);
        let block = rows.block(range, &mut scratch);
        for (i, out) in out.chunks_mut(k).enumerate() {
            dispatch(Row { row: block.row(i), bands: &bands, line: &mut line, out });
        }
    };
    if k > 0 {
        pass(rows.n(), block_rows(rows.row_bytes(), BLOCK_BYTES, 1), control, &mut sums, block, |()| ())?;
    }
    Ok(sums)
}

/// Lines of a picture that are added before neighbours along them are.
struct Band<R> {
    features: Range<usize>,
    /// 1 for every feature of these lines that is in a group, 0 for the others.
    counts: Vec<R>,
    stretches: Vec<Stretch>,
}

/// Neighbouring groups of as many neighbours each.
struct Stretch {
    first: usize,
    length: usize,
    groups: Range<usize>,
}

/// Neighbouring lines in which no feature is in another group than the one above it.
fn bands<R: Real>(groups: &[i32], width: usize) -> Vec<Band<R>> {
    let mut bands: Vec<(Range<usize>, Vec<i32>)> = Vec::new();
    for (i, line) in groups.chunks(width).enumerate() {
        if let Some((features, merged)) = bands.last_mut()
            && merged.iter().zip(line).all(|(&a, &b)| a == b || a < 0 || b < 0)
        {
            merged.iter_mut().zip(line).for_each(|(a, &b)| *a = (*a).max(b));
            features.end += width;
        } else {
            bands.push((i * width..(i + 1) * width, line.to_vec()));
        }
    }
    let band = |(features, merged): (Range<usize>, Vec<i32>)| {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut first = 0;
        for run in merged.chunk_by(|a, b| a == b) {
            let length = run.len();
            if let Ok(group) = usize::try_from(run[0]) {
                match stretches.last_mut() {
                    Some(last)
                        if last.length == length
                            && last.groups.end == group
                            && last.first + last.groups.len() * length == first =>
                    {
                        last.groups.end += 1;
                    }
                    _ => stretches.push(Stretch { first, length, groups: group..group + 1 }),
                }
            }
            first += length;
        }
        let count = |&group: &i32| if group < 0 { R::ZERO } else { R::ONE };
        Band { counts: groups[features.clone()].iter().map(count).collect(), features, stretches }
    };
    bands.into_iter().map(band).collect()
}

/// One row, whose sums are added to `out`.
struct Row<'a, T: Pixel> {
    row: &'a [T],
    bands: &'a [Band<T::Real>],
    line: &'a mut [T::Real],
    out: &'a mut [f32],
}

impl<T: Pixel> WithSimd for Row<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { row, bands, line, out } = self;
        let (lanes, width) = (T::Real::lanes::<S>(), line.len());
        let whole = width / lanes * lanes;
        let zero = T::Real::splat(simd, T::Real::ZERO);
        for Band { features, counts, stretches } in bands {
            if stretches.is_empty() {
                continue;
            }
            line.fill(T::Real::ZERO);
            for (x, counts) in row[features.clone()].chunks_exact(width).zip(counts.chunks_exact(width)) {
                for at in (0..whole).step_by(lanes) {
                    // What does not count may be NaN, so it is not multiplied by zero.
                    let counted = T::Real::load(simd, &counts[at..]);
                    let x = T::Real::where_less(simd, zero, counted, T::load(simd, &x[at..]), zero);
                    let sum = T::Real::add(simd, T::Real::load(simd, &line[at..]), x);
                    T::Real::store(simd, &mut line[at..], sum);
                }
                for at in whole..width {
                    if counts[at] > T::Real::ZERO {
                        line[at] += x[at].real();
                    }
                }
            }
            for Stretch { first, length, groups } in stretches {
                let (line, out) = (&line[*first..], &mut out[groups.clone()]);
                match length {
                    1 => add_neighbours::<1, _>(line, out),
                    2 => add_neighbours::<2, _>(line, out),
                    3 => add_neighbours::<3, _>(line, out),
                    4 => add_neighbours::<4, _>(line, out),
                    8 => add_neighbours::<8, _>(line, out),
                    _ => line.chunks_exact(*length).zip(out).for_each(|(some, out)| *out += sum(some)),
                }
            }
        }
    }
}

/// At most sixteen rows, whose sums go to `out`.
struct Scattered<'a, T: Pixel> {
    block: Block<'a, T>,
    /// Of every feature, k where it is in none.
    groups: &'a [usize],
    k: usize,
    values: &'a mut [T::Real],
    sums: &'a mut [T::Real],
    out: &'a mut [f32],
}

impl<T: Pixel> WithSimd for Scattered<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { block, groups, k, values, sums, out } = self;
        let lanes = T::Real::lanes::<S>();
        sums.fill(T::Real::ZERO);
        for (at, groups) in groups.chunks(FEATURES).enumerate() {
            let (first, count) = (at * FEATURES, groups.len());
            let whole = count / lanes * lanes;
            // Side by side: rows of a detector lie a power of two apart, where they drive each other out of the cache.
            for (i, values) in values.chunks_exact_mut(FEATURES).enumerate() {
                let row = &block.row(i.min(block.n() - 1))[first..first + count];
                for j in (0..whole).step_by(lanes) {
                    T::Real::store(simd, &mut values[j..], T::load(simd, &row[j..]));
                }
                for (value, x) in values[whole..count].iter_mut().zip(&row[whole..]) {
                    *value = x.real();
                }
            }
            let fours = count / 4 * 4;
            for (j, groups) in (0..fours).step_by(4).zip(groups.chunks_exact(4)) {
                for i in (0..TOGETHER).step_by(4) {
                    let four = |row: usize| -> [T::Real; 4] {
                        let at = (i + row) * FEATURES + j;
                        values[at..at + 4].try_into().expect("four")
                    };
                    let columns = T::Real::transpose([four(0), four(1), four(2), four(3)]);
                    for (column, group) in columns.iter().zip(groups) {
                        let sums = &mut sums[group * TOGETHER + i..][..4];
                        sums.iter_mut().zip(column).for_each(|(sum, &x)| *sum += x);
                    }
                }
            }
            for (j, group) in (fours..count).zip(&groups[fours..]) {
                let sums = &mut sums[group * TOGETHER..][..TOGETHER];
                sums.iter_mut().enumerate().for_each(|(i, sum)| *sum += values[i * FEATURES + j]);
            }
        }
        for (i, out) in out.chunks_exact_mut(k).enumerate() {
            out.iter_mut().enumerate().for_each(|(group, out)| *out = sums[group * TOGETHER + i].f64() as f32);
        }
    }
}

#[inline(always)]
fn sum<R: Real>(values: &[R]) -> f32 {
    let mut sum = R::ZERO;
    values.iter().for_each(|&value| sum += value);
    sum.f64() as f32
}

/// Sums of so many neighbours each.
#[inline(always)]
fn add_neighbours<const N: usize, R: Real>(values: &[R], out: &mut [f32]) {
    values.chunks_exact(N).zip(out).for_each(|(some, out)| *out += sum(some));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_features_of_a_group() {
        let (n, d, k) = (700, 45, 7);
        let data = Vec::from_iter((0..n * d).map(|i| ((i * 7919) % 251) as u16));
        let scattered = Vec::from_iter((0..d).map(|j| (j * 5 % 9) as i32 - 2));
        // 3 x 15 pixels in bins of 2 x 4, some masked, and of a whole line and columns.
        let binned = |j: usize| if j % 11 == 3 { -1 } else { (j / 15 / 2 * 4 + j % 15 / 4) as i32 - 1 };
        let columns = Vec::from_iter((0..d).map(|j| (j % 15 % 7) as i32));
        for (groups, width) in [
            (&scattered, 45),
            (&scattered, 1),
            (&scattered, 9),
            (&Vec::from_iter((0..d).map(binned)), 15),
            (&columns, 15),
            (&vec![-1; d], 5),
            (&vec![6; d], 5),
        ] {
            let sums = bin_features(Rows::from_slice(&data, n, d), groups, width, k, &Control::new()).unwrap();
            for i in 0..n {
                for group in 0..k {
                    let own = (0..d).filter(|&j| groups[j] == group as i32);
                    let expected: u32 = own.map(|j| u32::from(data[i * d + j])).sum();
                    assert_eq!(sums[i * k + group], expected as f32, "{groups:?} {width}");
                }
            }
        }
    }

    #[test]
    fn rings_are_summed_whatever_the_number_of_rows_and_features() {
        for (n, side, k) in [(8, 33, 24), (16, 16, 12), (41, 37, 20), (100, 5, 4)] {
            let d = side * side;
            let groups = Vec::from_iter((0..d).map(|j| {
                let (y, x) = ((j / side) as f64 - 7.3, (j % side) as f64 - 8.1);
                if j % 23 == 5 { -1 } else { ((y * y + x * x).sqrt() as i32).min(k as i32 - 1) }
            }));
            let data = Vec::from_iter((0..n * d).map(|i| ((i * 7919) % 8191) as u16));
            let floats = Vec::from_iter(data.iter().map(|&x| f64::from(x)));
            let sums = bin_features(Rows::from_slice(&data, n, d), &groups, side, k, &Control::new()).unwrap();
            let same = bin_features(Rows::from_slice(&floats, n, d), &groups, side, k, &Control::new()).unwrap();
            for i in 0..n {
                for group in 0..k {
                    let own = (0..d).filter(|&j| groups[j] == group as i32);
                    let expected: u32 = own.map(|j| u32::from(data[i * d + j])).sum();
                    assert_eq!(sums[i * k + group], expected as f32, "{n} {side} {i} {group}");
                    assert_eq!(same[i * k + group], expected as f32, "{n} {side} {i} {group}");
                }
            }
        }
    }

    #[test]
    fn what_is_in_no_group_may_be_anything() {
        let data = [1.0, f64::NAN, 3.0, f64::INFINITY, 5.0, 6.0];
        let sums = bin_features(Rows::from_slice(&data, 1, 6), &[0, -1, 0, -1, 0, 0], 3, 1, &Control::new()).unwrap();
        assert_eq!(sums, [15.0]);
        let data = [f32::NAN; 64];
        let mut groups = [-1; 64];
        groups[7] = 0;
        let sums = bin_features(Rows::from_slice(&data, 1, 64), &groups, 32, 2, &Control::new()).unwrap();
        assert!(sums[0].is_nan() && sums[1] == 0.0);
    }

    #[test]
    fn groups_that_do_not_fit_are_refused() {
        let data = [0u8; 6];
        assert!(bin_features(Rows::from_slice(&data, 2, 3), &[0, 0], 2, 1, &Control::new()).is_err());
        assert!(bin_features(Rows::from_slice(&data, 2, 3), &[0, 1, 0], 3, 1, &Control::new()).is_err());
        assert!(bin_features(Rows::from_slice(&data, 2, 3), &[0, 0, 0], 2, 1, &Control::new()).is_err());
        assert!(bin_features(Rows::from_slice(&data, 2, 3), &[0, 0, 0], 0, 1, &Control::new()).is_err());
    }
}
