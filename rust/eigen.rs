//! The largest eigenpairs of a big symmetric operator that is only known by what it does to a few vectors.
//!
//! From a random block V, slightly wider than the number of pairs wanted, the basis grows by the residuals
//! A u - θ u of the pairs (θ, u) that VᵀAV has in it, the worst ones first (Davidson 1975, without a preconditioner): a
//! block Krylov method (Musco & Musco 2015) that spends no product on what has converged. All products so far take part in
//! the answer, so that for equally many of them it is far more accurate than subspace iteration, which keeps the last
//! block only; and the wide first block finds eigenvalues of high multiplicity, which narrow blocks alone overlook.
//!
//! Stops when the residual of every wanted pair is below [`TOLERANCE`] of its eigenvalue: eigenvalues are then good to its
//! square over the relative gap, vectors to it over the gap. Where wanted eigenvalues lie in a continuum (noise) there are
//! no gaps, and vectors of their own mean little; it stops there once a step raises none of them by more than
//! [`SMALL_GAIN`] while the gains fade only slowly.
//!
//! Cost: the products, and about 20 d m b flops a step for m vectors so far and b new ones.

use crate::{Control, Result, pool};
use faer::{Mat, MatRef, Side, linalg::solvers::SelfAdjointEigen};
use std::sync::mpsc;
use std::time::Duration;

/// Residual of a pair, relative to its eigenvalue, that counts as converged.
pub const TOLERANCE: f64 = 1e-4;
/// Gain of an eigenvalue in a step, relative, that is not worth another step ...
pub const SMALL_GAIN: f64 = 0.01;
/// ... when it is more than this share of the gain in the step before.
pub const SLOW_FADING: f64 = 0.66;

/// Columns of a block: what the registers hold in one go.
const BLOCK: usize = 8;

/// Eigenpairs, largest first.
#[derive(Debug)]
pub struct Eigen {
    /// Eigenvalues.
    pub values: Vec<f64>,
    /// Eigenvectors, one a column, orthonormal.
    pub vectors: Mat<f64>,
}

/// Columns that the first block must have to find `k` pairs.
pub fn start_columns(k: usize) -> usize {
    (k + 2).next_multiple_of(BLOCK)
}

/// The `k` largest eigenpairs of the symmetric, positive semidefinite operator `apply` of order `start.nrows()`.
///
/// `start` is the first block, of [`start_columns`], full of random numbers. Residuals below `noise` count as zero.
pub fn largest(
    mut apply: impl FnMut(MatRef<'_, f64>) -> Result<Mat<f64>>,
    k: usize,
    start: Mat<f64>,
    noise: f64,
    control: &Control,
) -> Result<Eigen> {
    let d = start.nrows();
    let most = BLOCK * k.div_ceil(4 * BLOCK); // columns added in a step
    let [mut basis, mut image, mut small] = [(d, 0), (d, 0), (0, 0)].map(|(n, m)| Mat::<f64>::zeros(n, m)); // V, AV, VᵀAV
    let mut block = start.qr().compute_thin_Q();
    let mut former: Option<(Vec<f64>, f64)> = None; // eigenvalues after the last step, and their largest gain in it
    loop {
        let product = apply(block.as_ref())?;
        append(&mut basis, &block);
        let (m, before) = (basis.ncols(), image.ncols());
        let column = basis.transpose() * &product;
        append(&mut image, &product);
        small.resize_with(m, m, |_, _| 0.0);
        for (i, j) in (before..m).flat_map(|j| (0..m).map(move |i| (i, j))) {
            small[(i, j)] = column[(i, j - before)];
            small[(j, i)] = column[(i, j - before)];
        }
        let pairs = eigen(small.clone(), control)?;
        let values = Vec::from_iter(pairs.values[..k].iter().map(|x| x.max(0.0)));
        let residuals = residuals(&basis, &image, &pairs, k);
        let size = |j: usize| residuals.col(j).norm_l2() / (values[j] + noise / TOLERANCE).max(f64::MIN_POSITIVE);
        let mut left = Vec::from_iter((0..k).map(|j| (size(j), j)).filter(|&(size, _)| size > TOLERANCE));
        left.sort_by(|a, b| b.partial_cmp(a).expect("finite residuals"));

        let gain = former.as_ref().map_or(f64::INFINITY, |(old, _)| {
            left.iter().map(|&(_, j)| (values[j] - old[j]) / values[j]).fold(0.0, f64::max)
        });
        let pays_no_more = gain <= SMALL_GAIN && former.as_ref().is_some_and(|(_, last)| gain >= SLOW_FADING * last);
        left.truncate(most.min(d - m));
        block = orthonormal(&basis, Mat::from_fn(d, left.len(), |i, j| residuals[(i, left[j].1)]));
        if pays_no_more || block.ncols() == 0 {
            return Ok(Eigen { values, vectors: &basis * pairs.vectors.subcols(0, k) });
        }
        former = Some((values, gain));
    }
}

fn append(to: &mut Mat<f64>, columns: &Mat<f64>) {
    let before = to.ncols();
    to.resize_with(to.nrows(), before + columns.ncols(), |i, j| columns[(i, j - before)]);
}

/// A u - θ u of the first k pairs (θ, s), u = V s.
fn residuals(basis: &Mat<f64>, image: &Mat<f64>, pairs: &Eigen, k: usize) -> Mat<f64> {
    let s = pairs.vectors.subcols(0, k);
    let scaled = Mat::from_fn(s.nrows(), k, |i, j| s[(i, j)] * pairs.values[j]);
    image * s - basis * scaled
}

/// Orthonormal columns that span what `block` adds to the span of `basis`; fewer where it adds less.
fn orthonormal(basis: &Mat<f64>, mut block: Mat<f64>) -> Mat<f64> {
    for column in block.col_iter_mut() {
        let norm = column.norm_l2().max(f64::MIN_POSITIVE);
        column.iter_mut().for_each(|x| *x /= norm);
    }
    for _ in 0..2 {
        block = &block - basis * (basis.transpose() * &block);
        let qr = block.qr();
        let kept = Vec::from_iter((0..block.ncols()).filter(|&j| qr.thin_R()[(j, j)].abs() > 1e-8));
        let q = qr.compute_thin_Q();
        block = Mat::from_fn(q.nrows(), kept.len(), |i, j| q[(i, kept[j])]);
    }
    block
}

/// All eigenpairs of a small symmetric matrix (its lower half), largest first.
///
/// A large one is solved on a thread of its own, which is left behind when the caller is told to stop.
pub fn eigen(matrix: Mat<f64>, control: &Control) -> Result<Eigen> {
    const QUICK: usize = 400;
    let solve = |matrix: Mat<f64>| {
        let m = matrix.nrows();
        let pairs = SelfAdjointEigen::new(matrix.as_ref(), Side::Lower).expect("a finite matrix has eigenvalues");
        let values = Vec::from_iter((0..m).rev().map(|j| pairs.S()[j]));
        Eigen { values, vectors: Mat::from_fn(m, m, |i, j| pairs.U()[(i, m - 1 - j)]) }
    };
    if matrix.nrows() <= QUICK {
        return Ok(solve(matrix));
    }
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = sender.send(solve(matrix));
    });
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(pairs) => return Ok(pairs),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                pool::tick(control);
                control.check()?;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("the eigenvalue solver failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: impl Fn(usize) -> f64, d: usize, k: usize) -> (Eigen, usize) {
        let mut products = 0;
        let start = Mat::from_fn(d, start_columns(k), |i, j| ((i * 7919 + j * 104_729) as f64).sin());
        let diagonal = |q: MatRef<'_, f64>| {
            products += q.ncols();
            Ok(Mat::from_fn(d, q.ncols(), |i, j| values(i) * q[(i, j)]))
        };
        (largest(diagonal, k, start, 0.0, &Control::new()).unwrap(), products)
    }

    #[test]
    fn pairs_that_stand_apart_are_found_to_many_digits() {
        let (pairs, products) = found(|i| 1.0 / (i + 1) as f64, 2000, 12);
        for j in 0..12 {
            assert!((pairs.values[j] * (j + 1) as f64 - 1.0).abs() < 1e-7);
            assert!((pairs.vectors[(j, j)].abs() - 1.0).abs() < 1e-6);
        }
        assert!(products < 130);
    }

    #[test]
    fn an_eigenvalue_of_high_multiplicity_is_found_as_often_as_it_is_there() {
        let (pairs, _) = found(|i| if i < 12 { 10.0 } else { (i as f64 * 0.7).sin().powi(2) }, 1500, 14);
        assert!(pairs.values[..12].iter().all(|x| (x - 10.0).abs() < 1e-6), "{:?}", pairs.values);
        assert!(pairs.values[12..].iter().all(|&x| 0.98 < x && x <= 1.0), "{:?}", pairs.values);
    }

    #[test]
    fn an_operator_of_low_rank_ends_early() {
        let (pairs, products) = found(|i| if i < 3 { 5.0 } else { 0.0 }, 500, 6);
        assert_eq!(pairs.values.iter().filter(|&&x| x > 1e-9).count(), 3);
        assert!(products <= 24);
    }
}
