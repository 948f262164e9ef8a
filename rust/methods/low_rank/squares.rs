//! The squares of rows, each feature by its factor.

use crate::engine::pass::{block_rows, pass};
use crate::engine::room;
use crate::engine::rows::Block;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::{Control, Error, Result, Rows};
use std::ops::Range;

/// Bytes of rows that a thread takes at a time.
const BLOCK_BYTES: usize = 512 << 10;

/// The squares of every row, each feature by its factor: n sums `Σ_j f_j x_j²`.
///
/// Fails where there is not one factor for each feature. All in f64: what is left of them once components are taken off is small.
///
/// ```
/// use emcore::methods::low_rank::squares;
/// use emcore::{Control, Rows};
///
/// let observed = squares(Rows::from_slice(&[1u8, 2, 3, 4], 2, 2), &[1.0, 0.5], &Control::new())?;
/// assert_eq!(observed, [3.0, 17.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn squares<T: Pixel>(rows: Rows<'_, T>, factors: &[f64], control: &Control) -> Result<Vec<f64>> {
    if factors.len() != rows.d() {
        return Err(Error::invalid("factors", format!("{} for {} features", factors.len(), rows.d())));
    }
    let mut sums = room::zeros(rows.n(), "squares")?;
    let block = |range: Range<usize>, sums: &mut [f64]| {
        let mut scratch = Vec::new();
        dispatch(Squares { block: rows.block(range, &mut scratch), factors, sums });
    };
    control.expect(rows.n() as u64);
    pass(rows.n(), block_rows(rows.row_bytes(), BLOCK_BYTES, 1), control, &mut sums, block, |()| ())?;
    Ok(sums)
}

struct Squares<'a, T> {
    block: Block<'a, T>,
    factors: &'a [f64],
    sums: &'a mut [f64],
}

impl<T: Pixel> WithSimd for Squares<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (i, sum) in self.sums.iter_mut().enumerate() {
            let mut lanes = [0.0; 32];
            let (x, factors) = (self.block.row(i).chunks_exact(32), self.factors.chunks_exact(32));
            let rest = x.remainder().iter().zip(factors.remainder());
            *sum = rest.map(|(x, factor)| x.real().f64() * x.real().f64() * factor).sum();
            for (x, factors) in x.zip(factors) {
                for l in 0..32 {
                    let x = x[l].real().f64();
                    lanes[l] += x * x * factors[l];
                }
            }
            *sum += lanes.iter().sum::<f64>();
        }
    }
}
