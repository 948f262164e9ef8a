//! Mean and sum of squared deviations of every feature, from one read of the data.
//!
//! Chan, Golub & LeVeque (1983): each block's own mean and squared deviations, taken about the block's first row so that
//! nothing cancels, are merged pairwise. All in f64: exact for integers as far as f64 is. Cost: 3 n d flops. Of sparse rows the
//! means come first, and then the deviations of what is stored, and of all zeros at once.

use crate::engine::pass::{block_rows, pass};
use crate::engine::room;
use crate::engine::rows::{Block, Rows};
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::engine::sparse::Sparse;
use crate::{Control, Error, Result};

/// Features whose sums are held in registers while the rows of a block pass.
const CHUNK: usize = 64;

/// What one pass tells of n rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Number of rows.
    pub n: usize,
    /// Mean of each feature.
    pub mean: Vec<f64>,
    /// Sum over rows of (x - mean)², for each feature.
    pub squares: Vec<f64>,
}

impl Moments {
    fn zeros(n: usize, d: usize) -> Self {
        let [mean, squares] = [(); 2].map(|()| room::zeros_or_unwind(d, "means and deviations"));
        Self { n, mean, squares }
    }

    fn merge(&mut self, part: Self) {
        let n = (self.n + part.n) as f64;
        let (share, weight) = (part.n as f64 / n, (self.n * part.n) as f64 / n);
        for j in 0..self.mean.len() {
            let step = part.mean[j] - self.mean[j];
            self.mean[j] += step * share;
            self.squares[j] += part.squares[j] + step * step * weight;
        }
        self.n += part.n;
    }
}

/// Mean and squared deviations of every feature.
///
/// ```
/// use emcore::methods::moments::moments;
/// use emcore::{Control, Rows};
///
/// let observed = moments(Rows::from_slice(&[1u16, 10, 3, 30], 2, 2), &Control::new())?;
/// assert_eq!(observed.mean, [2.0, 20.0]);
/// assert_eq!(observed.squares, [2.0, 200.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn moments<T: Pixel + Into<f64>>(rows: Rows<'_, T>, control: &Control) -> Result<Moments> {
    check(&rows)?;
    if let Some(rows) = rows.as_sparse() {
        return of_sparse(rows, control);
    }
    let d = rows.d();
    let mut total = Moments::zeros(0, d);
    control.expect(rows.n() as u64);
    let block = |range: std::ops::Range<usize>, _: &mut [u8]| {
        let mut scratch = Vec::new();
        let mut part = Moments::zeros(range.len(), d);
        dispatch(Sum { block: rows.block(range, &mut scratch), part: &mut part });
        part
    };
    // Of few features every row is read several times, and shall still be in cache.
    let bytes = if d < CHUNK { 1 << 18 } else { 4 << 20 };
    pass(rows.n(), block_rows(rows.row_bytes(), bytes, 1), control, &mut [], block, |part| total.merge(part))?;
    Ok(total)
}

/// [`moments`], and the smallest and the largest value of every feature, in the same read.
///
/// ```
/// use emcore::methods::moments::moments_and_range;
/// use emcore::{Control, Rows};
///
/// let (moments, low, high) = moments_and_range(Rows::from_slice(&[1u16, 10, 3, 30], 2, 2), &Control::new())?;
/// assert_eq!(moments.mean, [2.0, 20.0]);
/// assert_eq!((low, high), (vec![1.0, 10.0], vec![3.0, 30.0]));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn moments_and_range<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    control: &Control,
) -> Result<(Moments, Vec<f64>, Vec<f64>)> {
    check(&rows)?;
    let d = rows.d();
    let mut total = Moments::zeros(0, d);
    let mut range: Option<(Vec<T>, Vec<T>)> = None;
    control.expect(rows.n() as u64);
    let block = |part: std::ops::Range<usize>, _: &mut [u8]| {
        let mut scratch = Vec::new();
        let block = rows.block(part, &mut scratch);
        let mut part = Moments::zeros(block.n(), d);
        let (mut low, mut high) = (block.row(0).to_vec(), block.row(0).to_vec());
        dispatch(Sum { block, part: &mut part });
        dispatch(Extremes { block, low: &mut low, high: &mut high });
        (part, low, high)
    };
    // Half as much as for the moments alone: the block is read twice and shall still be in cache.
    pass(rows.n(), block_rows(rows.row_bytes(), 2 << 20, 1), control, &mut [], block, |(part, low, high)| {
        total.merge(part);
        let (lowest, highest) = range.get_or_insert_with(|| (low.clone(), high.clone()));
        lowest.iter_mut().zip(low).for_each(|(to, x)| *to = if x < *to { x } else { *to });
        highest.iter_mut().zip(high).for_each(|(to, x)| *to = if x > *to { x } else { *to });
    })?;
    let (low, high) = range.unwrap_or_default();
    let wide = |values: Vec<T>| values.into_iter().map(Into::into).collect();
    Ok((total, wide(low), wide(high)))
}

/// [`moments`] of rows that count by their weights, as if each were there so many times; but as of n rows: squares are
/// n / Σ weights of that sum.
///
/// ```
/// use emcore::methods::moments::weighted_moments;
/// use emcore::{Control, Rows};
///
/// let rows = Rows::from_slice(&[1u16, 10, 3, 30], 2, 2);
/// let observed = weighted_moments(rows, &[3.0, 1.0], &Control::new())?;
/// assert_eq!(observed.mean, [1.5, 15.0]);
/// assert_eq!(observed.squares, [1.5, 150.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn weighted_moments<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    weights: &[f64],
    control: &Control,
) -> Result<Moments> {
    check(&rows)?;
    if weights.len() != rows.n() {
        let message = format!("{} values for {} rows; give one for each row", weights.len(), rows.n());
        return Err(Error::invalid("weights", message));
    }
    let (n, d) = (rows.n(), rows.d());
    let (mut total, mut sum) = (Moments::zeros(n, d), 0.0);
    control.expect(n as u64);
    let block = |range: std::ops::Range<usize>, _: &mut [u8]| {
        let mut scratch = Vec::new();
        let weights = &weights[range.clone()];
        let mut part = Moments::zeros(range.len(), d);
        weighted(rows.block(range, &mut scratch), weights, &mut part);
        (weights.iter().sum::<f64>(), part)
    };
    pass(n, block_rows(rows.row_bytes(), 1 << 18, 1), control, &mut [], block, |(weight, part)| {
        let both = sum + weight;
        let share = if both > 0.0 { weight / both } else { 0.0 };
        for j in 0..d {
            let step = part.mean[j] - total.mean[j];
            total.mean[j] += step * share;
            total.squares[j] += part.squares[j] + step * step * sum * share;
        }
        sum = both;
    })?;
    let scale = if sum > 0.0 { n as f64 / sum } else { 0.0 };
    total.squares.iter_mut().for_each(|square| *square *= scale);
    Ok(total)
}

/// About the first row of a block that counts, so that nothing cancels.
fn weighted<T: Pixel + Into<f64>>(block: Block<'_, T>, weights: &[f64], part: &mut Moments) {
    let counted = || (0..block.n()).zip(weights).filter(|(_, weight)| **weight > 0.0);
    let Some((first, _)) = counted().next() else { return };
    let first = Vec::from_iter(block.row(first).iter().map(|&x| x.into()));
    for (i, weight) in counted() {
        for (j, &x) in block.row(i).iter().enumerate() {
            let step = x.into() - first[j];
            part.mean[j] += weight * step;
            part.squares[j] += weight * step * step;
        }
    }
    let sum: f64 = weights.iter().sum();
    for (j, first) in first.iter().enumerate() {
        let step = part.mean[j] / sum;
        part.squares[j] = (part.squares[j] - part.mean[j] * step).max(0.0);
        part.mean[j] = first + step;
    }
}

/// [`moments`] of sparse rows, in two visits of what they hold.
fn of_sparse<T: Pixel + Into<f64>>(rows: Sparse<'_, T>, control: &Control) -> Result<Moments> {
    let (n, d) = (rows.n(), rows.d());
    let mut moments = Moments::zeros(n, d);
    let mut zeros = room::filled(d, n as f64, "numbers of zeros")?;
    let sums = sums_of_features(rows, |_, x| [1.0, x], control)?;
    for ((mean, zeros), [stored, sum]) in moments.mean.iter_mut().zip(&mut zeros).zip(sums) {
        *mean = sum / n as f64;
        *zeros -= stored;
    }
    let squares = sums_of_features(rows, |j, x| [0.0, (x - moments.mean[j]).powi(2)], control)?;
    for (((square, zeros), mean), [_, sum]) in moments.squares.iter_mut().zip(zeros).zip(&moments.mean).zip(squares) {
        *square = sum + zeros * mean * mean;
    }
    Ok(moments)
}

/// For every feature the sums of what is made of its values that are stored.
fn sums_of_features<T: Pixel + Into<f64>>(
    rows: Sparse<'_, T>,
    of: impl Fn(usize, f64) -> [f64; 2] + Sync,
    control: &Control,
) -> Result<Vec<[f64; 2]>> {
    let (n, d) = (rows.n(), rows.d());
    let what = "sums of features";
    let mut total = room::zeros::<[f64; 2]>(d, what)?;
    let block = |range: std::ops::Range<usize>, _: &mut [u8]| {
        let mut sums = room::zeros_or_unwind::<[f64; 2]>(d, what);
        for (features, values) in range.map(|i| rows.row(i)) {
            for (&j, &x) in features.iter().zip(values) {
                let (sum, [a, b]) = (&mut sums[j as usize], of(j as usize, x.into()));
                *sum = [sum[0] + a, sum[1] + b];
            }
        }
        sums
    };
    control.expect(n as u64);
    pass(n, Rows::sparse(rows).rows_of_sums(CHUNK), control, &mut [], block, |part| {
        total.iter_mut().zip(part).for_each(|(sum, [a, b])| *sum = [sum[0] + a, sum[1] + b]);
    })?;
    Ok(total)
}

fn check<T: Pixel>(rows: &Rows<'_, T>) -> Result<()> {
    if rows.n() == 0 || rows.d() == 0 {
        return Err(Error::invalid("data", "no values; give at least one row and one feature"));
    }
    Ok(())
}

struct Extremes<'a, T> {
    block: Block<'a, T>,
    low: &'a mut [T],
    high: &'a mut [T],
}

impl<T: Pixel> WithSimd for Extremes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for i in 0..self.block.n() {
            for ((low, high), &x) in self.low.iter_mut().zip(self.high.iter_mut()).zip(self.block.row(i)) {
                *low = if x < *low { x } else { *low };
                *high = if x > *high { x } else { *high };
            }
        }
    }
}

struct Sum<'a, T> {
    block: Block<'a, T>,
    part: &'a mut Moments,
}

impl<T: Pixel + Into<f64>> WithSimd for Sum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let d = self.block.d();
        let whole = d / CHUNK * CHUNK;
        for start in (0..whole).step_by(CHUNK) {
            if size_of::<T>() == 1 {
                bytes::<T, CHUNK>(self.block, start, self.part);
            } else {
                chunk::<T, CHUNK>(self.block, start, self.part);
            }
        }
        let mut start = whole;
        while start < d {
            start += match d - start {
                8.. => chunk::<T, 8>(self.block, start, self.part),
                2.. => chunk::<T, 2>(self.block, start, self.part),
                _ => chunk::<T, 1>(self.block, start, self.part),
            }
        }
    }
}

/// Rows of bytes whose squares add up to less than 2^24: exact in f32.
const BYTE_ROWS: usize = 240;

/// As [`chunk`], of bytes: sums in f32 are exact over so few rows, and twice as fast.
#[inline(always)]
fn bytes<T: Pixel, const N: usize>(block: Block<'_, T>, start: usize, part: &mut Moments) {
    let values = |i: usize| <&[T; N]>::try_from(&block.row(i)[start..start + N]).expect("N values");
    let first = values(0).map(Pixel::real);
    let [mut sum, mut square] = [[0.0; N]; 2];
    for rows in (0..block.n()).step_by(BYTE_ROWS) {
        let [mut sum_here, mut square_here] = [[T::Real::ZERO; N]; 2];
        for i in rows..(rows + BYTE_ROWS).min(block.n()) {
            for (l, &x) in values(i).iter().enumerate() {
                let step = x.real() - first[l];
                sum_here[l] += step;
                square_here[l] += step * step;
            }
        }
        for l in 0..N {
            sum[l] += sum_here[l].f64();
            square[l] += square_here[l].f64();
        }
    }
    let n = block.n() as f64;
    for (l, first) in first.iter().enumerate() {
        part.mean[start + l] = first.f64() + sum[l] / n;
        part.squares[start + l] = (square[l] - sum[l] * sum[l] / n).max(0.0);
    }
}

/// Features `start..start + N`, whose sums stay in registers while the rows pass; returns N.
#[inline(always)]
fn chunk<T: Pixel + Into<f64>, const N: usize>(block: Block<'_, T>, start: usize, part: &mut Moments) -> usize {
    let values = |i: usize| <&[T; N]>::try_from(&block.row(i)[start..start + N]).expect("N values");
    let first = values(0).map(Into::into);
    let [mut sum, mut square] = [[0.0; N]; 2];
    for i in 1..block.n() {
        for (l, &x) in values(i).iter().enumerate() {
            let step: f64 = x.into() - first[l];
            sum[l] += step;
            square[l] += step * step;
        }
    }
    let n = block.n() as f64;
    for (l, first) in first.iter().enumerate() {
        part.mean[start + l] = first + sum[l] / n;
        part.squares[start + l] = (square[l] - sum[l] * sum[l] / n).max(0.0);
    }
    N
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis, s};

    #[test]
    fn a_large_offset_costs_no_digits() {
        let data = Array2::from_shape_fn((5001, 700), |(i, j)| 60_000 + ((i * 7 + j * 13 + i * j) % 11) as u16);
        for view in [data.view(), data.slice(s![..;-2, ..;3])] {
            let exact = view.mapv(f64::from);
            let result = moments(Rows::new(view), &Control::new()).unwrap();
            let mean = exact.mean_axis(Axis(0)).unwrap();
            let squares = (&exact - &mean).mapv(|x| x * x).sum_axis(Axis(0));
            for j in 0..view.ncols() {
                assert!((result.mean[j] - mean[j]).abs() < 1e-10);
                assert!((result.squares[j] - squares[j]).abs() <= 1e-10 * squares[j]);
            }
        }
    }

    #[test]
    fn bytes_are_summed_exactly() {
        let data = Array2::from_shape_fn((3001, 130), |(i, j)| if (i * j) % 3 == 0 { 0u8 } else { 255 });
        let result = moments(Rows::new(data.view()), &Control::new()).unwrap();
        let wide = data.mapv(f64::from);
        let exact = moments(Rows::new(wide.view()), &Control::new()).unwrap();
        for j in 0..130 {
            assert!((result.mean[j] - exact.mean[j]).abs() < 1e-10);
            assert!((result.squares[j] - exact.squares[j]).abs() <= 1e-11 * exact.squares[j]);
        }
    }

    #[test]
    fn the_range_is_that_of_every_feature_and_the_moments_are_the_same() {
        let data = Array2::from_shape_fn((4001, 300), |(i, j)| ((i * 7919 + j * 104_729) % 65_521) as u16);
        let rows = Rows::new(data.view());
        let (result, low, high) = moments_and_range(rows, &Control::new()).unwrap();
        let exact = moments(rows, &Control::new()).unwrap();
        for (j, column) in data.columns().into_iter().enumerate() {
            assert_eq!(low[j], f64::from(*column.iter().min().unwrap()));
            assert_eq!(high[j], f64::from(*column.iter().max().unwrap()));
            assert!((result.mean[j] - exact.mean[j]).abs() < 1e-8);
            assert!((result.squares[j] / exact.squares[j] - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn constant_features_have_no_deviation_at_all() {
        let data = Array2::from_shape_fn((3000, 3), |(_, j)| [0.1f32, -7.3e8, 3.0][j]);
        let result = moments(Rows::new(data.view()), &Control::new()).unwrap();
        assert_eq!(result.squares, [0.0; 3]);
        assert_eq!(result.mean, [0.1f32, -7.3e8, 3.0].map(f64::from));
    }
}
