//! How much does every row look like each of some references, whatever its gain and offset?
//!
//! Pearson's r of a row x with a reference s: with R = (s - mean s) / ‖s - mean s‖, `r = (x - mean x) · R / ‖x - mean x‖`. The
//! mean of a row is subtracted before anything is multiplied, so that nothing cancels, however bright the row; a tile of
//! rows less their means is still in cache when it is multiplied (Adrar et al., EMC 2024 no. 145, maps phases so).
//!
//! Cost: X is read once from memory; 2 n d (k + 2) flops.

use crate::engine::panel::Panel;
use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::rows::Block;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::engine::tiles::{BLOCK_ROWS, project, tile_rows, tiles};
use crate::{Control, Error, Result, Rows};
use ndarray::{Array2, ArrayView2, Axis};
use std::ops::Range;

/// Values that are summed in the type of the arithmetic before the sum goes on in f64.
const CHUNK: usize = 2048;
/// Registers of sums at a time: as many as an addition takes cycles.
const SUMS: usize = 4;

/// Pearson's r, and what it was formed of.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlations {
    /// Of every row with every reference, from -1 to 1; 0 where the row is constant or not finite.
    pub r: Array2<f32>,
    /// mean x of every row.
    pub means: Vec<f64>,
    /// ‖x - mean x‖ of every row: 0 where it is constant, NaN where one of its values is not finite.
    pub norms: Vec<f64>,
}

/// The correlation of every row with each of the `references` (k × d).
///
/// Fails where a reference has not as many values as a row, is constant, or not finite.
///
/// ```
/// use emcore::methods::correlation::correlations;
/// use emcore::{Control, Rows};
/// use ndarray::array;
///
/// let data = [30_001u16, 30_002, 30_003, 8, 4, 0, 7, 7, 7];
/// let rising = array![[-1.0, 0.0, 1.0]];
/// let result = correlations(Rows::from_slice(&data, 3, 3), rising.view(), &Control::new())?;
/// assert_eq!((result.r, result.norms[2]), (array![[1.0], [-1.0], [0.0]], 0.0));
/// assert_eq!(result.means, [30_002.0, 4.0, 7.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn correlations<T: Pixel<Real = R>, R: Real + Pixel<Real = R>>(
    rows: Rows<'_, T>,
    references: ArrayView2<'_, f64>,
    control: &Control,
) -> Result<Correlations> {
    let (n, d, k) = (rows.n(), rows.d(), references.nrows());
    let units = units(references, d)?;
    let units = Panel::<R>::from_fn(d, k, |j, c| R::of(units[(c, j)]));
    let mut r = room::zeros(room::product::<f32>(&[n, k], "correlations")?, "correlations")?;
    let (mut means, mut norms) = (Vec::new(), Vec::new());
    for values in [&mut means, &mut norms] {
        room::reserve(values, n, "means and lengths of rows")?;
    }
    control.expect(n as u64);
    let block = |range: Range<usize>, r: &mut [f32]| {
        let (mut scratch, mut none) = (Vec::new(), Vec::new());
        let (mut centred, mut products) = (Vec::new(), Vec::new());
        let (mut means, mut norms) = (vec![0.0; range.len()], vec![0.0; range.len()]);
        // A quarter of what else makes a tile: more values less their means are slower to come back.
        for part in tiles(range.len(), tile_rows::<[R; 4]>(d)) {
            let block = rows.block(range.start + part.start..range.start + part.end, &mut scratch);
            let (n, means, norms) = (block.n(), &mut means[part.clone()], &mut norms[part.clone()]);
            centred.resize(n * d, R::ZERO);
            dispatch(Centre { block, centred: &mut centred[..n * d], means, norms });
            products.resize(n * k, R::ZERO);
            let block = Rows::from_slice(&centred[..n * d], n, d);
            project(block.block(0..n, &mut none), &[], &units, &mut products[..n * k]);
            let r = r[part.start * k..part.end * k].chunks_mut(k);
            for ((r, products), norm) in r.zip(products.chunks(k)).zip(norms).filter(|(_, norm)| **norm > 0.0) {
                r.iter_mut().zip(products).for_each(|(r, p)| *r = (p.f64() / *norm).clamp(-1.0, 1.0) as f32);
            }
        }
        (means, norms)
    };
    pass(n, BLOCK_ROWS, control, &mut r, block, |block| {
        means.extend(block.0);
        norms.extend(block.1);
    })?;
    Ok(Correlations { r: Array2::from_shape_vec((n, k), r).expect("n * k values"), means, norms })
}

/// The references less their means, divided by their norms.
fn units(references: ArrayView2<'_, f64>, d: usize) -> Result<Array2<f64>> {
    let refused = |message: String| Err(Error::invalid("references", message));
    let (k, observed) = references.dim();
    if k == 0 || observed != d {
        return refused(format!("{k} of {observed} values; give at least one, of {d} values as the rows have"));
    }
    let mut units = references.to_owned();
    for (i, mut unit) in units.axis_iter_mut(Axis(0)).enumerate() {
        let largest = unit.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        if unit.iter().any(|x| !x.is_finite()) {
            return refused(format!("number {i} has NaN or infinity; replace such values first"));
        }
        if unit.iter().all(|&x| x == unit[0]) {
            return refused(format!("number {i} is constant, which correlates with nothing; leave it out"));
        }
        unit.mapv_inplace(|x| x / largest);
        let mean = unit.iter().map(|x| x / d as f64).sum::<f64>();
        unit.mapv_inplace(|x| x - mean);
        let norm = unit.iter().map(|x| x * x).sum::<f64>().sqrt();
        unit.mapv_inplace(|x| x / norm);
    }
    Ok(units)
}

/// Rows less their means, these means, and the norms of what is left.
struct Centre<'a, T: Pixel> {
    block: Block<'a, T>,
    centred: &'a mut [T::Real],
    means: &'a mut [f64],
    norms: &'a mut [f64],
}

impl<T: Pixel> WithSimd for Centre<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let d = self.block.d();
        let rows = self.centred.chunks_exact_mut(d).zip(self.means).zip(self.norms);
        for (i, ((centred, mean), norm)) in rows.enumerate() {
            let row = self.block.row(i);
            // As differences from the first value, in which the mean has digits to spare, and a constant row has zeros.
            let first = row[0].real();
            let (mut sum, mut squares) = (0.0, 0.0);
            for (values, centred) in row.chunks(CHUNK).zip(centred.chunks_mut(CHUNK)) {
                sum += subtract(simd, values, first, centred).f64();
            }
            *mean = first.f64() + sum / d as f64;
            for centred in centred.chunks_mut(CHUNK) {
                squares += subtract_again(simd, T::Real::of(sum / d as f64), centred).f64();
            }
            *norm = squares.sqrt();
            if !(1e-15..1e15).contains(norm) {
                *norm = careful_norm(centred);
            }
        }
    }
}

/// The norm of values whose squares are too large or too small, if they are not all 0.
fn careful_norm<R: Real>(values: &[R]) -> f64 {
    let largest = values.iter().fold(0.0, |largest: f64, x| largest.max(x.f64().abs()));
    if largest == 0.0 {
        // Of NaN the largest is 0, too.
        return values.iter().map(|x| x.f64()).sum();
    }
    largest * values.iter().map(|x| (x.f64() / largest).powi(2)).sum::<f64>().sqrt()
}

/// `out = x - offset`, and its sum.
#[inline(always)]
fn subtract<S: Simd, T: Pixel>(simd: S, values: &[T], offset: T::Real, out: &mut [T::Real]) -> T::Real {
    let lanes = T::Real::lanes::<S>();
    let (all, mut sums) = (T::Real::splat(simd, offset), [T::Real::splat(simd, T::Real::ZERO); SUMS]);
    let whole = values.len() / lanes * lanes;
    let ((values, last), (out, end)) = (values.split_at(whole), out.split_at_mut(whole));
    for (values, out) in values.chunks(SUMS * lanes).zip(out.chunks_mut(SUMS * lanes)) {
        for ((sum, x), out) in sums.iter_mut().zip(values.chunks_exact(lanes)).zip(out.chunks_exact_mut(lanes)) {
            let x = T::Real::sub(simd, T::load(simd, x), all);
            T::Real::store(simd, out, x);
            *sum = T::Real::add(simd, *sum, x);
        }
    }
    let mut total = sum_of::<S, T::Real>(simd, sums);
    for (x, out) in last.iter().zip(end) {
        *out = x.real() - offset;
        total += *out;
    }
    total
}

/// `values -= offset`, and the sum of their squares.
#[inline(always)]
fn subtract_again<S: Simd, R: Real>(simd: S, offset: R, values: &mut [R]) -> R {
    let lanes = R::lanes::<S>();
    let (all, mut sums) = (R::splat(simd, offset), [R::splat(simd, R::ZERO); SUMS]);
    let (values, last) = values.split_at_mut(values.len() / lanes * lanes);
    for values in values.chunks_mut(SUMS * lanes) {
        for (sum, value) in sums.iter_mut().zip(values.chunks_exact_mut(lanes)) {
            let x = <R as Real>::sub(simd, R::load(simd, value), all);
            R::store(simd, value, x);
            *sum = R::mul_add(simd, x, x, *sum);
        }
    }
    let mut total = sum_of::<S, R>(simd, sums);
    for value in last {
        *value = *value - offset;
        total += *value * *value;
    }
    total
}

#[inline(always)]
fn sum_of<S: Simd, R: Real>(simd: S, registers: [R::Lanes<S>; SUMS]) -> R {
    let mut total = R::ZERO;
    for sum in registers {
        total += <R as Real>::sum(simd, sum);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pool;
    use crate::engine::simd::on_each;
    use ndarray::s;

    fn noise(n: usize, d: usize) -> Array2<f64> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        Array2::from_shape_simple_fn((n, d), || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        })
    }

    fn pearson(a: &[f64], b: &[f64]) -> f64 {
        let about = |v: &[f64]| {
            let mean = v.iter().sum::<f64>() / v.len() as f64;
            Vec::from_iter(v.iter().map(|x| x - mean))
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let (a, b) = (about(a), about(b));
        dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
    }

    fn check<T: Pixel<Real = R>, R: Real + Pixel<Real = R>>(data: ArrayView2<'_, T>, references: &Array2<f64>) {
        let result = correlations(Rows::new(data), references.view(), &Control::new()).unwrap();
        // In units of the largest, whose square has a place in f64.
        let wide = data.mapv(|x| x.real().f64());
        let unit = wide.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        let wide = wide / unit;
        for ((i, c), &r) in result.r.indexed_iter() {
            let exact = pearson(&wide.row(i).to_vec(), &references.row(c).to_vec());
            assert!((f64::from(r) - exact).abs() < 2e-6, "{:?} {i} {c}: {r} and {exact}", data.dim());
        }
        for ((row, norm), mean) in wide.rows().into_iter().zip(result.norms).zip(result.means) {
            let (norm, exact) = (norm / unit, (row.len() as f64).sqrt() * row.std(0.0));
            assert!((norm - exact).abs() < 2e-6 * exact, "{norm} and {exact}");
            assert!((mean / unit - row.mean().unwrap()).abs() < 1e-6 * norm, "{mean} and {:?}", row.mean());
        }
    }

    #[test]
    fn correlations_are_the_definition_for_every_type_size_and_stride() {
        for (n, d, k) in [(3, 2, 1), (5, 16, 2), (7, 33, 3), (13, 600, 6), (250, 70, 9), (2, 5000, 31)] {
            // Whole numbers that every type holds, a tenth of which follow the first reference.
            let (data, references) = (noise(n, d), noise(k, d) * 3.0 - 70.0);
            let data =
                Array2::from_shape_fn((n, d), |(i, j)| (data[(i, j)] + references[(0, j)] + 70.0).mul_add(30.0, 1.0));
            check(data.mapv(|x| x as u8).view(), &references);
            // Bright rows of little contrast.
            check(data.mapv(|x| (30_000.0 + x / 10.0) as u16).view(), &references);
            check(data.mapv(|x| x as u32 + (1 << 22)).view(), &references);
            check(data.mapv(|x| x as i16 - 20_000).view(), &references);
            check(data.mapv(|x| x as i32 - (1 << 22)).view(), &references);
            check(data.mapv(|x| (x * 1e-25) as f32).view(), &references);
            check(data.mapv(|x| (x * 1e25) as f32).view(), &references);
            check(data.mapv(|x| x * 1e-3 + 1e6).view(), &references);
            check(data.mapv(|x| x * 1e-180 - 1e-179).view(), &references);
            check(data.mapv(|x| x as u16).slice(s![..;-1, ..]), &references);
            check(data.mapv(|x| x as f32).reversed_axes().as_standard_layout().t(), &references);
        }
    }

    #[test]
    fn constant_rows_correlate_with_nothing() {
        for d in [2, 31, 5000] {
            let mut data = Array2::from_shape_fn((7, d), |(i, _)| 0.1 + i as f32 * 1e3);
            data.row_mut(3).assign(&noise(1, d).row(0).mapv(|x| x as f32));
            let result = correlations(Rows::new(data.view()), noise(2, d).view(), &Control::new()).unwrap();
            for (i, norm) in result.norms.iter().enumerate() {
                assert_eq!((*norm == 0.0, result.r.row(i).iter().all(|&r| r == 0.0)), (i != 3, i != 3));
            }
        }
    }

    #[test]
    fn rows_that_are_not_finite_correlate_with_nothing_and_their_norms_say_so() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (at, d) in [(0, 3), (1, 70), (2500, 5000)] {
                let mut data = noise(2, d).mapv(|x| x as f32);
                data[(1, at)] = bad;
                let result = correlations(Rows::new(data.view()), noise(2, d).view(), &Control::new()).unwrap();
                assert!(result.norms[0] > 0.0 && result.norms[1].is_nan());
                assert!(result.r.row(1).iter().all(|&r| r == 0.0));
            }
        }
    }

    #[derive(Clone)]
    struct OnEach<'a>(Block<'a, u16>);
    impl WithSimd for OnEach<'_> {
        type Output = (Vec<f32>, Vec<f64>);
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let (mut centred, mut norms) = (vec![0.0; self.0.n() * self.0.d()], vec![0.0; self.0.n()]);
            Centre { block: self.0, centred: &mut centred, means: &mut norms.clone(), norms: &mut norms }
                .with_simd(simd);
            (centred, norms)
        }
    }

    #[test]
    fn every_instruction_set_agrees_with_the_baseline() {
        let data = Array2::from_shape_fn((5, 4233), |(i, j)| 40_000 + (i * j * 7919 % 23) as u16);
        let rows = Rows::new(data.view());
        let mut scratch = Vec::new();
        let outputs = on_each(OnEach(rows.block(0..5, &mut scratch)));
        for (centred, norms) in &outputs {
            assert!(norms.iter().zip(&outputs[0].1).all(|(a, b)| (a - b).abs() <= 1e-6 * b));
            assert!(centred.iter().zip(&outputs[0].0).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }

    #[test]
    fn correlations_are_the_same_on_any_number_of_threads() {
        let (data, references) = (noise(1000, 111).mapv(|x| (x * 255.0) as u8), noise(4, 111));
        let all = Vec::from_iter((1..=3).map(|threads| {
            let former = pool::set_num_threads_here(threads);
            let result = correlations(Rows::new(data.view()), references.view(), &Control::new()).unwrap();
            pool::set_num_threads_here(former);
            result
        }));
        assert!(all[0] == all[1] && all[1] == all[2]);
    }

    #[test]
    fn references_that_do_not_fit_are_refused() {
        let data = [0u8, 1, 2, 3, 4, 5];
        let rows = || Rows::from_slice(&data, 2, 3);
        let control = Control::new();
        let mut references = noise(2, 3);
        assert!(correlations(rows(), references.view(), &control).is_ok());
        let message =
            |references: ArrayView2<'_, f64>| correlations(rows(), references, &control).unwrap_err().to_string();
        assert!(message(noise(2, 4).view()).contains("2 of 4 values"));
        assert!(message(noise(0, 3).view()).contains("0 of 3 values"));
        references.row_mut(1).fill(4.0);
        assert!(message(references.view()).contains("number 1 is constant"));
        references[(0, 2)] = f64::NAN;
        assert!(message(references.view()).contains("number 0 has NaN"));
    }
}
