//! `X Q` and `Xᵀ Y` for thin Q (d × k) and Y (n × k), and their fused form, straight from the detector's type.
//!
//! Every method here is made of these two products. A general matrix product is the wrong tool: it wants X as floats and
//! packs it, while with a thin Q all the time goes into reading X. Here X is read once, a tile of rows at a time; integers
//! are widened in registers, an optional offset per feature (a mean) is subtracted there too, so that centring neither
//! copies nor cancels; a tile that was just used for `X Q` is still in the second-level cache for `Xᵀ Y`. Of sparse rows only
//! what they hold is multiplied, unless there is an offset.
//!
//! Cost: 2 n d k flops a product, n d values read. Arithmetic is f32 (f64 for f64 data) over at most 240 rows;
//! sums over blocks are f64, merged in a fixed order.

use crate::engine::panel::Panel;
use crate::engine::simd::{Pixel, Real};
use crate::{Control, Error, Result, Rows};
use ndarray::{Array2, ArrayView2};

/// `(X - offset) Q`, n × k, in the arithmetic of the pixels.
///
/// Fails where Q has not as many rows as X has features, or the offset not as many values.
///
/// ```
/// use emcore::methods::products::x_q;
/// use emcore::{Control, Rows};
/// use ndarray::array;
///
/// let x = array![[1u8, 2, 3], [4, 5, 6]];
/// let product = x_q(Rows::new(x.view()), None, array![[1.0], [0.0], [10.0]].view(), &Control::new())?;
/// assert_eq!(product, array![[31.0], [64.0]]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn x_q<T: Pixel>(
    rows: Rows<'_, T>,
    offset: Option<&[f64]>,
    q: ArrayView2<'_, f64>,
    control: &Control,
) -> Result<Array2<T::Real>> {
    let product = packed::x_q(rows, check(rows.d(), offset)?, &pack("q", q, rows.d())?, control)?;
    Ok(Array2::from_shape_vec((rows.n(), q.ncols()), product).expect("n * k values"))
}

/// `(X - offset)ᵀ Y`, d × k.
///
/// Fails where Y has not as many rows as X, or the offset not as many values as X has features.
///
/// ```
/// use emcore::methods::products::xt_y;
/// use emcore::{Control, Rows};
/// use ndarray::array;
///
/// let x = array![[1u8, 2, 3], [4, 5, 6]];
/// let product = xt_y(Rows::new(x.view()), Some(&[1.0, 0.0, 0.0]), array![[1.0], [2.0]].view(), &Control::new())?;
/// assert_eq!(product, array![[6.0], [12.0], [15.0]]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn xt_y<T: Pixel>(
    rows: Rows<'_, T>,
    offset: Option<&[f64]>,
    y: ArrayView2<'_, f64>,
    control: &Control,
) -> Result<Array2<f64>> {
    if y.nrows() != rows.n() {
        return Err(Error::invalid("y", format!("{} rows for {} of the data", y.nrows(), rows.n())));
    }
    let values = Vec::from_iter(y.iter().map(|&y| T::Real::of(y)));
    Ok(unpack(&packed::xt_y(rows, check(rows.d(), offset)?, &values, y.ncols(), control)?))
}

/// `(X - offset)ᵀ W (X - offset) Q`, d × k, in one read of X for every few columns of Q; W is diagonal, of one weight for each
/// row, or not there.
///
/// Fails where Q has not as many rows as X has features, the offset not as many values, or X not as many rows as weights.
///
/// ```
/// use emcore::methods::products::xt_x_q;
/// use emcore::{Control, Rows};
/// use ndarray::array;
///
/// let x = array![[1u8, 2], [3, 4]];
/// let product = xt_x_q(Rows::new(x.view()), None, None, array![[1.0], [0.0]].view(), &Control::new())?;
/// assert_eq!(product, array![[10.0], [14.0]]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn xt_x_q<T: Pixel>(
    rows: Rows<'_, T>,
    offset: Option<&[f64]>,
    weights: Option<&[f64]>,
    q: ArrayView2<'_, f64>,
    control: &Control,
) -> Result<Array2<f64>> {
    if let Some(weights) = weights.filter(|weights| weights.len() != rows.n()) {
        return Err(Error::invalid("weights", format!("{} for {} rows of the data", weights.len(), rows.n())));
    }
    let weights = weights.map(|weights| Vec::from_iter(weights.iter().map(|&w| T::Real::of(w))));
    let q = pack("q", q, rows.d())?;
    Ok(unpack(&packed::xt_w_x_q(rows, check(rows.d(), offset)?, weights.as_deref(), &q, control)?))
}

fn check(d: usize, offset: Option<&[f64]>) -> Result<Option<&[f64]>> {
    match offset {
        Some(offset) if offset.len() != d => {
            Err(Error::invalid("offset", format!("{} values for {d} features", offset.len())))
        }
        _ => Ok(offset),
    }
}

fn pack<R: Real>(name: &'static str, q: ArrayView2<'_, f64>, d: usize) -> Result<Panel<R>> {
    if q.nrows() != d {
        return Err(Error::invalid(name, format!("{} rows for {d} features", q.nrows())));
    }
    Ok(Panel::from_fn(d, q.ncols(), |j, c| R::of(q[(j, c)])))
}

fn unpack<R: Real>(panel: &Panel<f64, R>) -> Array2<f64> {
    Array2::from_shape_fn((panel.d(), panel.k()), |(j, c)| panel.get(j, c))
}

/// The same of matrices that lie as the hot loops read them.
pub(crate) mod packed {
    use crate::engine::panel::{Panel, Workspaces};
    use crate::engine::pass::pass;
    use crate::engine::room;
    use crate::engine::rows::{Part, Rows};
    use crate::engine::simd::{Pixel, Real};
    use crate::engine::tiles::{BLOCK_ROWS, accumulate, pack_offset, project, tile_rows, tiles};
    use crate::{Control, Result};
    use std::ops::Range;

    /// Columns of a fused product: more would cost memory for partial sums, and save next to nothing.
    pub const COLUMNS: usize = 8;

    /// `(X - offset) Q`, n × k row by row.
    pub fn x_q<T: Pixel>(
        rows: Rows<'_, T>,
        offset: Option<&[f64]>,
        q: &Panel<T::Real>,
        control: &Control,
    ) -> Result<Vec<T::Real>> {
        let offset = pack_offset(offset, rows.d());
        let by_feature = is_sparse(&rows, &offset).then(|| q.to_features());
        let q = by_feature.as_ref().unwrap_or(q);
        let tile = tile_rows::<T>(rows.d());
        let mut out = room::zeros(room::product::<T::Real>(&[rows.n(), q.k()], "products")?, "products")?;
        let block = |range: Range<usize>, out: &mut [T::Real]| {
            let mut scratch = Vec::new();
            for part in tiles(range.len(), tile) {
                let part_of_x = visited(&rows, &offset, range.start + part.start..range.start + part.end, &mut scratch);
                project(part_of_x, &offset, q, &mut out[part.start * q.k()..part.end * q.k()]);
            }
        };
        control.expect(rows.n() as u64);
        pass(rows.n(), BLOCK_ROWS, control, &mut out, block, |()| ())?;
        Ok(out)
    }

    /// `(X - offset)ᵀ Y`; `y` holds n × k values row by row.
    pub fn xt_y<T: Pixel>(
        rows: Rows<'_, T>,
        offset: Option<&[f64]>,
        y: &[T::Real],
        k: usize,
        control: &Control,
    ) -> Result<Panel<f64, T::Real>> {
        assert_eq!(y.len(), rows.n() * k, "rows of X times columns of Y");
        let offset = pack_offset(offset, rows.d());
        sum_over_tiles(rows, k, &offset, control, |block, first, _, sum| {
            accumulate(block, &offset, &y[first * k..(first + block.n()) * k], sum);
        })
    }

    /// `(X - offset)ᵀ (X - offset) Q` in one read of X for every [`COLUMNS`] columns of Q.
    pub fn xt_x_q<T: Pixel>(
        rows: Rows<'_, T>,
        offset: Option<&[f64]>,
        q: &Panel<T::Real>,
        control: &Control,
    ) -> Result<Panel<f64, T::Real>> {
        xt_w_x_q(rows, offset, None, q, control)
    }

    /// `(X - offset)ᵀ W (X - offset) Q` likewise, W of one weight for each row.
    pub fn xt_w_x_q<T: Pixel>(
        rows: Rows<'_, T>,
        offset: Option<&[f64]>,
        weights: Option<&[T::Real]>,
        q: &Panel<T::Real>,
        control: &Control,
    ) -> Result<Panel<f64, T::Real>> {
        let offset = pack_offset(offset, rows.d());
        let parts = tiles(q.k(), COLUMNS).map(|columns| {
            let q = &Panel::from_fn(q.d(), columns.len(), |j, c| q.get(j, columns.start + c));
            let by_feature = is_sparse(&rows, &offset).then(|| q.to_features());
            let q = by_feature.as_ref().unwrap_or(q);
            sum_over_tiles(rows, q.k(), &offset, control, |block, first, y, sum| {
                y.resize(block.n() * q.k(), T::Real::ZERO);
                project(block, &offset, q, y);
                if let Some(weights) = weights {
                    for (y, &weight) in y.chunks_exact_mut(q.k()).zip(&weights[first..]) {
                        y.iter_mut().for_each(|y| *y = *y * weight);
                    }
                }
                accumulate(block, &offset, y, sum);
            })
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        Ok(Panel::from_fn(q.d(), q.k(), |j, c| parts[c / COLUMNS].get(j, c % COLUMNS)))
    }

    /// Some rows, with their zeros where an offset is to be subtracted.
    fn visited<'s, T: Pixel>(
        rows: &'s Rows<'_, T>,
        offset: &[T::Real],
        range: Range<usize>,
        scratch: &'s mut Vec<T>,
    ) -> Part<'s, T> {
        if offset.is_empty() { rows.part(range, scratch) } else { rows.block(range, scratch).into() }
    }

    /// Whether these are sparse.
    fn is_sparse<T: Pixel>(rows: &Rows<'_, T>, offset: &[T::Real]) -> bool {
        offset.is_empty() && rows.as_sparse().is_some()
    }

    /// One pass in which each tile of rows adds to a d × k sum; `tile(rows, index of the first row, scratch, sum)`.
    fn sum_over_tiles<T: Pixel>(
        rows: Rows<'_, T>,
        k: usize,
        offset: &[T::Real],
        control: &Control,
        tile: impl Fn(Part<'_, T>, usize, &mut Vec<T::Real>, &mut Panel<T::Real>) + Sync,
    ) -> Result<Panel<f64, T::Real>> {
        let sparse = is_sparse(&rows, offset);
        let (workspaces, mut total) = (Workspaces::new(sparse, rows.d(), k), Panel::zeros_for(sparse, rows.d(), k));
        let sum_block = |range: Range<usize>, _: &mut [u8]| {
            let (mut scratch, mut thin) = (Vec::new(), Vec::new());
            let mut sum = workspaces.take();
            for part in tiles(range.len(), tile_rows::<T>(rows.d())) {
                let first = range.start + part.start;
                let rows = visited(&rows, offset, first..range.start + part.end, &mut scratch);
                tile(rows, first, &mut thin, &mut sum);
            }
            sum
        };
        control.expect(rows.n() as u64);
        pass(rows.n(), rows.rows_of_sums(BLOCK_ROWS), control, &mut [], sum_block, |sum| {
            total.add(&sum);
            workspaces.put(sum);
        })?;
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::packed::{x_q, xt_x_q, xt_y};
    use super::*;
    use crate::engine::pool;

    fn noise(seed: u64, len: usize) -> Vec<f64> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..len).map(|_| next()).collect()
    }

    /// All three products against plain loops in f64.
    fn check<T: Pixel>(n: usize, d: usize, k: usize, centred: bool, pixel: impl Fn(f64) -> T) {
        let data = Vec::from_iter(noise(7, n * d).into_iter().map(pixel));
        let x = |i: usize, j: usize| data[i * d + j].real().f64();
        let offset = Vec::from_iter((0..d).map(|j| if centred { x(0, j) } else { 0.0 }));
        let q = Panel::<T::Real>::from_fn(d, k, |j, c| T::Real::of(noise((j * 64 + c + 1) as u64, 1)[0] - 0.5));
        let rows = Rows::from_slice(&data, n, d);
        let centring = centred.then_some(&offset[..]);

        let y = x_q(rows, centring, &q, &Control::new()).unwrap();
        let scale = (0..n * d).map(|i| data[i].real().f64().abs()).fold(1.0, f64::max);
        let tolerance = 1e-6 * scale * (d.max(n) as f64).sqrt() * 4.0;
        for i in 0..n {
            for c in 0..k {
                let exact: f64 = (0..d).map(|j| (x(i, j) - offset[j]) * q.get(j, c).f64()).sum();
                assert!((y[i * k + c].f64() - exact).abs() <= tolerance, "{n} {d} {k}: {} {exact}", y[i * k + c].f64());
            }
        }
        let z = xt_y(rows, centring, &y, k, &Control::new()).unwrap();
        let largest = y.iter().map(|y| y.f64().abs()).fold(1.0, f64::max);
        for (j, offset) in offset.iter().enumerate() {
            for c in 0..k {
                let exact: f64 = (0..n).map(|i| (x(i, j) - offset) * y[i * k + c].f64()).sum();
                assert!((z.get(j, c) - exact).abs() <= tolerance * largest, "{n} {d} {k}: {} {exact}", z.get(j, c));
            }
        }
        let fused = xt_x_q(rows, centring, &q, &Control::new()).unwrap();
        assert_eq!(fused, z, "the fused form is the same sum in the same order");
    }

    #[test]
    fn products_equal_plain_loops_for_every_type_and_odd_sizes() {
        for (n, d, k) in [(1, 1, 1), (5, 16, 2), (7, 33, 3), (13, 600, 5), (300, 70, 8), (9, 1000, 31), (250, 17, 7)] {
            for centred in [false, true] {
                check::<u8>(n, d, k, centred, |x| (x * 255.0) as u8);
                check::<u16>(n, d, k, centred, |x| (x * 60000.0) as u16);
                check::<u32>(n, d, k, centred, |x| (x * 1e6) as u32);
                check::<i16>(n, d, k, centred, |x| (x * 6e4 - 3e4) as i16);
                check::<i32>(n, d, k, centred, |x| (x * 1e6 - 5e5) as i32);
                check::<f32>(n, d, k, centred, |x| x as f32);
                check::<f64>(n, d, k, centred, |x| x - 0.5);
            }
        }
    }

    #[test]
    fn the_sum_is_the_same_on_one_two_and_three_threads() {
        let (n, d, k) = (2000, 333, 4);
        let data = Vec::from_iter(noise(5, n * d).into_iter().map(|x| x as f32));
        let q = Panel::<f32>::from_fn(d, k, |j, c| (j as f32 - 100.0) * 0.01 + c as f32);
        let sums = [1, 2, 3].map(|threads| {
            let former = pool::set_num_threads_here(threads);
            let sum = xt_x_q(Rows::from_slice(&data, n, d), None, &q, &Control::new()).unwrap();
            pool::set_num_threads_here(former);
            sum
        });
        assert!(sums[0] == sums[1] && sums[1] == sums[2]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let data = [0u8; 12];
        let (rows, control) = (Rows::from_slice(&data, 3, 4), Control::new());
        let thin = |n| Array2::zeros((n, 2));
        assert!(super::x_q(rows, None, thin(4).view(), &control).is_ok());
        assert!(super::x_q(rows, None, thin(3).view(), &control).is_err());
        assert!(super::x_q(rows, Some(&[0.0; 3]), thin(4).view(), &control).is_err());
        assert!(super::xt_x_q(rows, None, None, thin(5).view(), &control).is_err());
        assert!(super::xt_y(rows, None, thin(3).view(), &control).is_ok());
        assert!(super::xt_y(rows, None, thin(4).view(), &control).is_err());
    }
}
