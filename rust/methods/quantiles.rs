//! Quantiles of every feature: what is robust against outliers. Linear between order statistics, as NumPy's default.
//!
//! A few features at a time are gathered over all rows and partitioned (Hoare 1961), in their own type: exact, O(n d) time.

use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::simd::{Pixel, Real};
use crate::{Control, Error, Result, Rows};
use std::cmp::Ordering;

/// Features gathered at a time: a row's share is a cache line or more.
const FEATURES: usize = 64;

/// The `probabilities`-quantiles of every feature, feature by feature; the data must not hold NaN.
///
/// Fails without a row or a probability, where one is not from 0 to 1, and of rows that are computed.
///
/// ```
/// use emcore::methods::quantiles::quantiles;
/// use emcore::{Control, Rows};
///
/// let data = [1u8, 50, 2, 40, 4, 30];
/// let quartiles = quantiles(Rows::from_slice(&data, 3, 2), &[0.25, 0.5], &Control::new())?;
/// assert_eq!(quartiles, [1.5, 2.0, 35.0, 40.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn quantiles<T: Pixel>(rows: Rows<'_, T>, probabilities: &[f64], control: &Control) -> Result<Vec<f64>> {
    let (n, q) = (rows.n(), probabilities.len());
    let Some(features) = rows.transposed() else {
        return Err(Error::invalid("data", "quantiles are taken of stored data; give them before they are prepared"));
    };
    if n == 0 || q == 0 || probabilities.iter().any(|p| !(0.0..=1.0).contains(p)) {
        return Err(Error::invalid(
            "probabilities",
            "numbers from 0 to 1, at least one, and data of at least one row are needed",
        ));
    }
    let mut result = room::zeros(room::product::<f64>(&[rows.d(), q], "quantiles")?, "quantiles")?;
    control.expect(rows.d() as u64);
    let block = |range: std::ops::Range<usize>, result: &mut [f64]| {
        let (mut scratch, mut values) = (Vec::new(), Vec::new());
        room::reserve(&mut values, n, "values of a feature").unwrap_or_else(room::unwind);
        let block = features.block(range, &mut scratch);
        for (i, result) in result.chunks_mut(q).enumerate() {
            if control.check().is_err() {
                return;
            }
            values.clear();
            values.extend_from_slice(block.row(i));
            for (result, &p) in result.iter_mut().zip(probabilities) {
                let place = p * (n - 1) as f64;
                let (_, &mut low, above) = values.select_nth_unstable_by(place as usize, ascending);
                let low = low.real().f64();
                let high = above.iter().map(|x| x.real().f64()).fold(f64::INFINITY, f64::min);
                *result = if place.fract() > 0.0 { low + place.fract() * (high - low) } else { low };
            }
        }
    };
    pass(rows.d(), FEATURES, control, &mut result, block, |()| ())?;
    Ok(result)
}

/// The order of values, NaN above all others: an order that is not total may panic.
fn ascending<T: Pixel>(a: &T, b: &T) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| a.partial_cmp(a).is_none().cmp(&b.partial_cmp(b).is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn no_probability_and_no_row_are_refused() {
        let data = [0u8; 4];
        assert!(quantiles(Rows::from_slice(&data, 2, 2), &[], &Control::new()).is_err());
        assert!(quantiles(Rows::from_slice(&data, 2, 2), &[1.5], &Control::new()).is_err());
        assert!(quantiles(Rows::from_slice(&data[..0], 0, 2), &[0.5], &Control::new()).is_err());
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        for n in [1, 2, 5, 40, 101] {
            let data = Array2::from_shape_fn((n, 130), |(i, j)| ((i * 7919 + j * 104_729) % 251) as i16 - 100);
            let ps = [0.25, 0.5, 0.75, 0.0, 1.0];
            let result = quantiles(Rows::new(data.view()), &ps, &Control::new()).unwrap();
            for (j, result) in result.chunks(ps.len()).enumerate() {
                let mut sorted = data.column(j).to_vec();
                sorted.sort_unstable();
                for (result, p) in result.iter().zip(ps) {
                    let place = p * (n - 1) as f64;
                    let at = |i: usize| f64::from(sorted[i.min(n - 1)]);
                    let low = place as usize;
                    assert!((result - (at(low) + place.fract() * (at(low + 1) - at(low)))).abs() < 1e-12);
                }
            }
        }
    }
}
