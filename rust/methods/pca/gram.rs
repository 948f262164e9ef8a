//! Gram matrices of the short side, in f64: of rows as they are, converted a few at a time, and of sparse rows, by what they hold.

use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::simd::Pixel;
use crate::engine::sparse::Sparse;
use crate::engine::tiles::tiles;
use crate::{Control, Error, Result, Rows};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use std::ops::Range;

/// Rows (or features) converted to f64 at a time for the Gram matrix.
const GRAM_ROWS: usize = 512;
/// Of these, converted by a thread at a time.
const CONVERT_ROWS: usize = 16;
/// Rows of the Gram matrix that a thread takes at a time.
const GRAM_PANEL: usize = 48;

/// Y Yᵀ, the lower half, of Y = (X - m) w with as many rows as X has features: `(m, w)` of place (i, j) of X.
pub fn squared<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    at: impl Fn(usize, usize) -> (f64, f64) + Sync,
    control: &Control,
) -> Result<Mat<f64>> {
    let (long, short) = (rows.n(), rows.d());
    if short == 0 {
        return Err(Error::invalid("data", "no features; give at least one"));
    }
    let mut gram =
        room::zeros(room::product::<f64>(&[short, short], "products of all features")?, "products of all features")?;
    let mut values = room::zeros(GRAM_ROWS.min(long) * short, "values of some rows")?;
    control.expect((long + long.div_ceil(GRAM_ROWS) * short) as u64);
    for part in tiles(long, GRAM_ROWS) {
        let values = &mut values[..part.len() * short];
        let convert = |range: Range<usize>, out: &mut [f64]| {
            let (mut scratch, range) = (Vec::new(), part.start + range.start..part.start + range.end);
            let block = rows.block(range.clone(), &mut scratch);
            for (i, out) in out.chunks_mut(short).enumerate() {
                for (j, (out, &x)) in out.iter_mut().zip(block.row(i)).enumerate() {
                    let (mean, weight) = at(range.start + i, j);
                    *out = (x.into() - mean) * weight;
                }
            }
        };
        pass(part.len(), CONVERT_ROWS, control, values, convert, |()| ())?;
        let values = MatRef::from_column_major_slice(values, short, part.len());
        let multiply = |range: Range<usize>, out: &mut [f64]| {
            let out = MatMut::from_row_major_slice_mut(out, range.len(), short).subcols_mut(0, range.end);
            let (left, right) = (values.subrows(range.start, range.len()), values.subrows(0, range.end));
            matmul(out, Accum::Add, left, right.transpose(), 1.0, Par::Seq);
        };
        pass(short, GRAM_PANEL, control, &mut gram, multiply, |()| ())?;
    }
    Ok(MatRef::from_row_major_slice(&gram, short, short).to_owned())
}

/// [`squared`] of sparse rows; mean and weight are of each feature.
pub fn of_sparse<T: Pixel + Into<f64>>(
    rows: Sparse<'_, T>,
    mean: &[f64],
    weights: &[f64],
    control: &Control,
) -> Result<Mat<f64>> {
    let features = rows.transposed()?;
    let sums = Vec::from_iter((0..rows.d()).map(|j| features.view().row(j).1.iter().map(|&x| x.into()).sum::<f64>()));
    let mut gram = products_of_features(rows, features.view(), |_| 1.0, control)?;
    let n = rows.n() as f64;
    for (i, j) in (0..rows.d()).flat_map(|i| (0..=i).map(move |j| (i, j))) {
        let rest = mean[j] * (sums[i] - n * mean[i]) + mean[i] * sums[j];
        gram[(i, j)] = weights[i] * weights[j] * (gram[(i, j)] - rest);
    }
    Ok(gram)
}

/// A Aᵀ, the lower half, of A = (X - 1 mᵀ) W for sparse rows X.
pub fn wide_of_sparse<T: Pixel + Into<f64>>(
    rows: Sparse<'_, T>,
    mean: &[f64],
    weights: &[f64],
    control: &Control,
) -> Result<Mat<f64>> {
    let square = |j: usize| weights[j] * weights[j];
    let mut gram = products_of_features(rows.transposed()?.view(), rows, square, control)?;
    let along = Vec::from_iter((0..rows.n()).map(|i| {
        let (features, values) = rows.row(i);
        let each = features.iter().map(|&j| j as usize).zip(values);
        each.map(|(j, &x)| square(j) * mean[j] * x.into()).sum::<f64>()
    }));
    let own: f64 = mean.iter().enumerate().map(|(j, m)| square(j) * m * m).sum();
    for (i, j) in (0..rows.n()).flat_map(|i| (0..=i).map(move |j| (i, j))) {
        gram[(i, j)] += own - along[i] - along[j];
    }
    Ok(gram)
}

/// Xᵀ V X, the lower half, of X with few values, of which `features` is the transpose; V is diagonal.
fn products_of_features<T: Pixel + Into<f64>>(
    rows: Sparse<'_, T>,
    features: Sparse<'_, T>,
    weight: impl Fn(usize) -> f64 + Sync,
    control: &Control,
) -> Result<Mat<f64>> {
    let d = rows.d();
    let mut gram = room::zeros(room::product::<f64>(&[d, d], "products of all features")?, "products of all features")?;
    let multiply = |range: Range<usize>, out: &mut [f64]| {
        for (j, out) in range.zip(out.chunks_exact_mut(d)) {
            let (of_feature, values) = features.row(j);
            for (&i, &x) in of_feature.iter().zip(values) {
                let (x, (others, values)) = (x.into() * weight(i as usize), rows.row(i as usize));
                // Ascending: those up to j.
                for (&other, &y) in others.iter().zip(values).take_while(|(other, _)| **other as usize <= j) {
                    out[other as usize] += x * y.into();
                }
            }
        }
    };
    control.expect(d as u64);
    pass(d, 1, control, &mut gram, multiply, |()| ())?;
    Ok(MatRef::from_row_major_slice(&gram, d, d).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_rows_have_the_products_of_full_ones_both_ways() {
        let (n, d) = (7, 11);
        let full = Vec::from_iter((0..n * d).map(|at| if at * at % 7 == 2 { at as f32 } else { 0.0 }));
        let (mut starts, mut features, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in full.chunks(d) {
            for (j, &x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                features.push(j as u32);
                values.push(x);
            }
            starts.push(values.len());
        }
        let sparse = Sparse::new(d, &starts, &features, &values).unwrap();
        let mean = Vec::from_iter((0..d).map(|j| j as f64 - 3.0));
        let weights = Vec::from_iter((0..d).map(|j| 1.0 + j as f64));
        let (rows, control) = (Rows::from_slice(&full, n, d), Control::new());
        let close = |a: Mat<f64>, b: Mat<f64>| {
            let lower = (0..a.nrows()).flat_map(|i| (0..=i).map(move |j| (i, j)));
            lower.into_iter().for_each(|at| assert!((a[at] - b[at]).abs() <= 1e-9 * b[at].abs().max(1.0)));
        };
        close(
            of_sparse(sparse, &mean, &weights, &control).unwrap(),
            squared(rows, |_, j| (mean[j], weights[j]), &control).unwrap(),
        );
        let features = rows.transposed().unwrap();
        close(
            wide_of_sparse(sparse, &mean, &weights, &control).unwrap(),
            squared(features, |j, _| (mean[j], weights[j]), &control).unwrap(),
        );
    }
}
