//! Rows as k-means sees them: with a weight each and, for the cosine metric, as if scaled to length 1.

use super::distance::{is_integer, sum_squares};
use super::parameters::{Metric, too_large};
use crate::engine::pass::{block_rows, pass};
use crate::engine::room;
use crate::engine::simd::{Pixel, Simd, WithSimd, dispatch};
use crate::{Control, Error, Result, Rows};

/// Bytes of X that a thread takes at a time.
const BLOCK_BYTES: usize = 16 << 20;

/// Rows, their weights and factors.
pub struct WeightedRows<'a, 'w, T> {
    pub rows: Rows<'a, T>,
    pub metric: Metric,
    weights: Option<&'w [f64]>,
    /// 1/|x| of each row, for the cosine metric.
    factors: Option<Vec<f64>>,
}

impl<'a, 'w, T: Pixel + Into<f64>> WeightedRows<'a, 'w, T> {
    /// Rows with these weights; for the cosine metric their lengths are found in one read of X.
    pub fn new(rows: Rows<'a, T>, metric: Metric, weights: Option<&'w [f64]>, control: &Control) -> Result<Self> {
        if rows.d() == 0 {
            return Err(Error::invalid("X", "rows without features have no distances; give at least one"));
        }
        let factors = if metric == Metric::Cosine { Some(factors(&rows, control)?) } else { None };
        Ok(Self { rows, metric, weights, factors })
    }

    /// What row `i` counts for.
    #[inline(always)]
    pub fn weight(&self, i: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[i])
    }

    /// What row `i` is to be multiplied by.
    #[inline(always)]
    pub fn factor(&self, i: usize) -> f64 {
        self.factors.as_ref().map_or(1.0, |factors| factors[i])
    }

    /// Whether sums are exact in f64 whatever is added and taken away: integers as they are, one for one.
    pub fn sums_are_exact(&self) -> bool {
        self.weights.is_none() && self.factors.is_none() && is_integer::<T>()
    }

    /// A copy of row `i` as it is.
    pub fn copy(&self, i: usize) -> Vec<f64> {
        let mut scratch = Vec::new();
        self.rows.block(i..i + 1, &mut scratch).row(0).iter().map(|&x| x.into()).collect()
    }

    /// The number of rows in a block: for few features as many as make a block worth while, for many a few megabytes.
    pub fn block_rows(&self) -> usize {
        block_rows(self.rows.row_bytes(), BLOCK_BYTES, 64).min(1 << 14)
    }
}

fn factors<T: Pixel + Into<f64>>(rows: &Rows<'_, T>, control: &Control) -> Result<Vec<f64>> {
    let mut factors = room::zeros(rows.n(), "lengths of rows")?;
    let mut zero = None;
    control.expect(rows.n() as u64);
    pass(
        rows.n(),
        block_rows(rows.row_bytes(), 1 << 20, 1),
        control,
        &mut factors,
        |range, out| {
            let mut scratch = Vec::new();
            let block = rows.block(range.clone(), &mut scratch);
            for (i, out) in out.iter_mut().enumerate() {
                *out = factor(block.row(i));
            }
            out.iter().position(|f| !f.is_finite() || *f == 0.0).map(|i| range.start + i)
        },
        |bad| zero = zero.or(bad),
    )?;
    match zero {
        None => Ok(factors),
        Some(i) if factors[i] == 0.0 => Err(too_large()),
        Some(i) => Err(Error::invalid(
            "X",
            format!("row {i} is zero throughout and has no direction; leave it out, or use metric='euclidean'"),
        )),
    }
}

/// 1/|x|, infinite for a row of zeros.
pub fn factor<T: Pixel + Into<f64>>(row: &[T]) -> f64 {
    1.0 / dispatch(Squares(row)).sqrt()
}

/// Σ x² of a row in f64.
struct Squares<'a, T>(&'a [T]);

impl<T: Pixel + Into<f64>> WithSimd for Squares<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        sum_squares(self.0.iter().map(|&x| x.into()))
    }
}
