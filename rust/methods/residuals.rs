//! What do factors leave unexplained, at every position and in every feature?
//!
//! With M = W H: `Σ_j (x_ij − m_ij)²` of every row, `Σ_i (x_ij − m_ij)²` of every feature, from one read of X. The
//! differences themselves are squared: nothing cancels, however bright the data. Cost: 2 n d k flops.

use crate::engine::pass::{block_rows, pass};
use crate::engine::room;
use crate::engine::rows::Block;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::{Control, Error, Result, Rows};

/// Squares that are summed in the type of the arithmetic before the sum goes on in f64.
const CHUNK: usize = 64;

/// Sums of squared differences.
#[derive(Debug, Clone, PartialEq)]
pub struct Residuals {
    /// Of every row.
    pub rows: Vec<f64>,
    /// Of every feature.
    pub features: Vec<f64>,
}

/// The residuals of `w` (n × k) times `h` (k × d).
///
/// ```
/// use emcore::methods::residuals::residuals;
/// use emcore::{Control, Rows};
///
/// let data = [2u8, 4, 3, 9];
/// let residual = residuals(Rows::from_slice(&data, 2, 2), &[1.0, 2.0], &[2.0, 4.0], &Control::new())?;
/// assert_eq!((residual.rows, residual.features), (vec![0.0, 2.0], vec![1.0, 1.0]));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn residuals<T: Pixel>(x: Rows<'_, T>, w: &[T::Real], h: &[f64], control: &Control) -> Result<Residuals> {
    let (n, d) = (x.n(), x.d());
    let k = h.len() / d.max(1);
    if k == 0 || h.len() != k * d || w.len() != n * k {
        let message = format!("n x k and k x d values are needed, got {} and {} for {n} x {d}", w.len(), h.len());
        return Err(Error::invalid("W and H", message));
    }
    let spectra = Vec::from_iter(h.iter().map(|&h| T::Real::of(h)));
    let mut total = Residuals { rows: room::zeros(n, "residuals")?, features: room::zeros(d, "residuals")? };
    control.expect(n as u64);
    pass(
        n,
        block_rows(x.row_bytes(), 1 << 20, 16),
        control,
        &mut total.rows,
        |range, rows| {
            let mut scratch = Vec::new();
            let w = &w[range.start * k..range.end * k];
            let mut features = room::zeros_or_unwind(d, "residuals");
            let x = x.block(range, &mut scratch);
            dispatch(Squares { x, w, h: &spectra, model: &mut vec![T::Real::ZERO; d], rows, features: &mut features });
            features
        },
        |part| total.features.iter_mut().zip(part).for_each(|(sum, part)| *sum += part),
    )?;
    Ok(total)
}

struct Squares<'a, T: Pixel> {
    x: Block<'a, T>,
    w: &'a [T::Real],
    h: &'a [T::Real],
    model: &'a mut [T::Real],
    rows: &'a mut [f64],
    features: &'a mut [f64],
}

impl<T: Pixel> WithSimd for Squares<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, w, h, model, rows, features } = self;
        let d = x.d();
        let k = h.len() / d;
        for (i, row) in rows.iter_mut().enumerate() {
            model.fill(T::Real::ZERO);
            for (&w, h) in w[i * k..(i + 1) * k].iter().zip(h.chunks_exact(d)) {
                model.iter_mut().zip(h).for_each(|(m, &h)| *m += w * h);
            }
            let parts = x.row(i).chunks(CHUNK).zip(model.chunks_mut(CHUNK)).zip(features.chunks_mut(CHUNK));
            for ((x, model), features) in parts {
                for ((m, x), sum) in model.iter_mut().zip(x).zip(features) {
                    let residual = x.real() - *m;
                    *m = residual * residual;
                    *sum += m.f64();
                }
                *row += model.iter().copied().sum::<T::Real>().f64();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis, s};

    #[test]
    fn residuals_are_the_definition_for_any_strides() {
        let data = Array2::from_shape_fn((150, 700), |(i, j)| ((i * 31 + j * 17 + i * j) % 251) as u16);
        for view in [data.view(), data.slice(s![..;2, ..;-3]), data.t()] {
            let (n, d) = view.dim();
            let w = Array2::from_shape_fn((n, 3), |(i, t)| ((i + 5 * t) % 7) as f32 * 10.0);
            let h = Array2::from_shape_fn((3, d), |(t, j)| ((j + t) % 5) as f64);
            let squares = (view.mapv(f64::from) - w.mapv(f64::from).dot(&h)).mapv(|x| x * x);
            let control = Control::new();
            let result = residuals(Rows::new(view), w.as_slice().unwrap(), h.as_slice().unwrap(), &control).unwrap();
            for (result, sums) in
                [(&result.rows, squares.sum_axis(Axis(1))), (&result.features, squares.sum_axis(Axis(0)))]
            {
                assert_eq!(result.len(), sums.len());
                for (result, sum) in result.iter().zip(sums) {
                    assert!((result - sum).abs() <= 1e-6 * sum, "{result} {sum}");
                }
            }
        }
    }

    #[test]
    fn factors_that_do_not_fit_are_refused() {
        let data = [0u8; 12];
        let rows = || Rows::from_slice(&data, 3, 4);
        let control = Control::new();
        assert!(residuals(rows(), &[0.0; 3], &[0.0; 4], &control).is_ok());
        assert!(residuals(rows(), &[0.0; 4], &[0.0; 4], &control).is_err());
        assert!(residuals(rows(), &[0.0; 3], &[0.0; 5], &control).is_err());
        assert!(residuals(rows(), &[], &[], &control).is_err());
    }
}
