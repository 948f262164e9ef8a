//! Distances of all rows in f64, taken directly: for the inertia, for empty clusters, for `transform`.

use super::distance::Distance;
use super::parameters::{Metric, check_centers, too_large};
use super::rows::WeightedRows;
use super::update::scaled;
use crate::engine::pass::{block_rows, pass};
use crate::engine::room;
use crate::engine::simd::{Pixel, Simd, WithSimd, dispatch};
use crate::{Control, Result, Rows};
use std::ops::Range;

/// Σ w |x − c|² over all rows, c the centre of the row's label.
pub fn inertia<T: Pixel + Into<f64>>(
    x: &WeightedRows<'_, '_, T>,
    centers: &[f64],
    label: impl Fn(usize) -> usize + Sync,
    control: &Control,
) -> Result<f64> {
    let mut total = 0.0;
    own_distances(
        x,
        centers,
        label,
        &mut [],
        control,
        |i, square| x.weight(i) * square,
        |partial| {
            total += partial;
        },
    )?;
    if f64::is_finite(total) { Ok(total) } else { Err(too_large()) }
}

/// |x − c|² of every row to the centre of its label, into `out` if that is as long; `fold(Σ value(i, |x − c|²))` per block.
pub fn own_distances<T: Pixel + Into<f64>>(
    x: &WeightedRows<'_, '_, T>,
    centers: &[f64],
    label: impl Fn(usize) -> usize + Sync,
    out: &mut [f64],
    control: &Control,
    value: impl Fn(usize, f64) -> f64 + Sync,
    fold: impl FnMut(f64) + Send,
) -> Result<()> {
    let (n, d) = (x.rows.n(), x.rows.d());
    control.expect(n as u64);
    pass(
        n,
        block_rows(x.rows.row_bytes(), 1 << 20, 1),
        control,
        out,
        |range, out| {
            let mut scratch = Vec::new();
            let block = x.rows.block(range.clone(), &mut scratch);
            let row = |i: usize| {
                let center = &centers[label(i) * d..][..d];
                Distance { x: block.row(i - range.start), factor: x.factor(i), center }
            };
            dispatch(Each { range: range.clone(), row, value: &value, out })
        },
        fold,
    )
}

/// Σ value(i, square) over rows whose distances `row` gives; squares into `out` if that is as long.
struct Each<'a, F, V> {
    range: Range<usize>,
    row: F,
    value: &'a V,
    out: &'a mut [f64],
}

impl<'r, T: Pixel + Into<f64> + 'r, F: Fn(usize) -> Distance<'r, T>, V: Fn(usize, f64) -> f64> WithSimd
    for Each<'_, F, V>
{
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let mut sum = 0.0;
        for (at, i) in self.range.enumerate() {
            let square = (self.row)(i).with_simd(simd);
            sum += (self.value)(i, square);
            if let Some(out) = self.out.get_mut(at) {
                *out = square;
            }
        }
        sum
    }
}

/// The distance of every row to each of `centers` (k × d): n × k.
///
/// ```
/// use emcore::methods::kmeans::{Metric, distances};
/// use emcore::{Control, Rows};
///
/// let rows = Rows::from_slice(&[3_u8, 4, 0, 1], 2, 2);
/// let observed = distances(rows, &[0.0, 0.0], Metric::Euclidean, &Control::new())?;
/// assert_eq!(observed, [5.0, 1.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn distances<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    centers: &[f64],
    metric: Metric,
    control: &Control,
) -> Result<Vec<f64>> {
    let (n, d) = (rows.n(), rows.d());
    let k = check_centers(centers, d)?;
    let x = WeightedRows::new(rows, metric, None, control)?;
    let centers = scaled(centers, d, metric);
    let mut out = room::zeros(room::product::<f64>(&[n, k], "distances")?, "distances")?;
    control.expect(n as u64);
    pass(
        n,
        block_rows(rows.row_bytes() * k, 4 << 20, 1),
        control,
        &mut out,
        |range, out| {
            let mut scratch = Vec::new();
            let block = rows.block(range.clone(), &mut scratch);
            for ((at, i), out) in range.enumerate().zip(out.chunks_mut(k)) {
                for (out, center) in out.iter_mut().zip(centers.chunks(d)) {
                    *out = dispatch(Distance { x: block.row(at), factor: x.factor(i), center }).sqrt();
                }
            }
        },
        |()| (),
    )?;
    Ok(out)
}
