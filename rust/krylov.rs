//! The largest eigenpairs of a big symmetric operator that is only known by what it does to a few vectors.
//!
//! Block Lanczos with full reorthogonalisation (Golub & Underwood 1977; as a randomised method: Musco & Musco 2015). From
//! a random block Q₀ the blocks Q₀, A Q₀, A² Q₀ ... are made orthonormal one after another, V = [Q₀ Q₁ ...], and the
//! eigenpairs of T = Vᵀ A V are taken for those of A. Each product A Q gives the next block and a column of T, so that
//! none is spent on checking, and every product so far takes part in the answer: for equally many products it is far more
//! accurate than subspace iteration, which keeps the last one only.
//!
//! Stops when the residual of every wanted pair is below [`TOLERANCE`] of its eigenvalue: eigenvalues are then good to its
//! square over the relative gap, vectors to it over the gap. Where wanted eigenvalues lie in a continuum (noise) there are
//! no gaps, and vectors of their own mean little; it stops there once a step raises none of them by more than
//! [`SMALL_GAIN`] while the gains fade only slowly.
//!
//! Cost: the products, and 4 d m b flops a step for m vectors so far in blocks of b.

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

/// Eigenpairs, largest first.
#[derive(Debug)]
pub struct Eigen {
    /// Eigenvalues.
    pub values: Vec<f64>,
    /// Eigenvectors, one a column, orthonormal.
    pub vectors: Mat<f64>,
    /// Products with the operator that it took.
    pub steps: usize,
}

/// The `k` largest eigenpairs of the symmetric, positive semidefinite operator `apply` of order `start.nrows()`.
///
/// `start` is the first block, full of random numbers; `random` supplies more where the blocks run dry. `rank` bounds the
/// rank of the operator, k + the width of `start` must not exceed it. Residuals below `noise` count as zero.
pub fn largest(
    mut apply: impl FnMut(MatRef<'_, f64>) -> Result<Mat<f64>>,
    k: usize,
    start: Mat<f64>,
    rank: usize,
    noise: f64,
    mut random: impl FnMut() -> f64,
    control: &Control,
) -> Result<Eigen> {
    let (d, width) = (start.nrows(), start.ncols());
    assert!(k + width <= rank && rank <= d, "too few rows for the subspace");
    let mut basis = Mat::<f64>::zeros(d, 0);
    let mut small = Mat::<f64>::zeros(0, 0); // T
    let (mut block, _, mut refilled) = orthonormal(basis.as_ref(), start, &mut random);
    let mut former: Option<(Vec<f64>, f64)> = None; // eigenvalues after the last step, and their largest relative gain
    for steps in 1.. {
        let product = apply(block.as_ref())?;
        let before = basis.ncols();
        let m = before + width;
        basis.resize_with(d, m, |i, j| block[(i, j - before)]);
        let column = basis.transpose() * &product;
        small.resize_with(m, m, |_, _| 0.0);
        for (j, i) in (0..width).flat_map(|j| (0..m).map(move |i| (j, i))) {
            small[(i, before + j)] = column[(i, j)];
            small[(before + j, i)] = column[(i, j)];
        }
        let (next, rest, dry) = orthonormal(basis.as_ref(), product - &basis * &column, &mut random);
        block = next;
        if m > k {
            let pairs = eigen(small.clone(), control)?;
            let values = Vec::from_iter(pairs.values[..k].iter().map(|x| x.max(0.0)));
            let residual = &rest * pairs.vectors.subrows(before, width);
            let left = Vec::from_iter((0..k).map(|j| residual.col(j).norm_l2() > TOLERANCE * values[j] + noise));
            let gain = |j: usize, old: &[f64]| (values[j] - old[j]) / values[j].max(noise).max(f64::MIN_POSITIVE);
            let (mut gain_left, mut gain_all) = (f64::INFINITY, f64::INFINITY);
            let mut fading = 0.0;
            if let Some((old, former_gain)) = &former {
                gain_left = (0..k).filter(|&j| left[j]).map(|j| gain(j, old)).fold(0.0, f64::max);
                gain_all = (0..k).map(|j| gain(j, old)).fold(0.0, f64::max);
                fading = gain_left / former_gain.max(f64::MIN_POSITIVE);
            }
            // A block that ran dry was refilled at random: eigenvalues of high multiplicity may only now be found.
            let converged = !left.contains(&true) && (!refilled || gain_all < TOLERANCE);
            let pays_no_more = gain_left <= SMALL_GAIN && fading >= SLOW_FADING;
            if converged || pays_no_more || m + width > rank {
                let vectors = &basis * pairs.vectors.subcols(0, k);
                return Ok(Eigen { values, vectors, steps });
            }
            former = Some((values, gain_left));
        }
        refilled = dry;
    }
    unreachable!("the basis grows until it is as large as the rank")
}

/// Orthonormal columns that span `block` less its projection on `basis`, the factor R with block = Q R, and whether
/// columns had to be replaced at random because the block has a lower rank.
fn orthonormal(
    basis: MatRef<'_, f64>,
    block: Mat<f64>,
    random: &mut impl FnMut() -> f64,
) -> (Mat<f64>, Mat<f64>, bool) {
    let scale = (0..block.ncols()).map(|j| block.col(j).norm_l2()).fold(f64::MIN_POSITIVE, f64::max);
    let project = |block: Mat<f64>| {
        let inside = basis.transpose() * &block;
        block - basis * inside
    };
    let qr = project(block).qr();
    let mut rest = qr.thin_R().to_owned();
    let mut q = qr.compute_thin_Q();
    let weak = Vec::from_iter((0..q.ncols()).filter(|&j| rest[(j, j)].abs() <= 1e-12 * scale));
    for &j in &weak {
        q.col_mut(j).iter_mut().for_each(|x| *x = random());
        rest.row_mut(j).fill(0.0);
    }
    let again = project(q).qr();
    (again.compute_thin_Q(), rest, !weak.is_empty())
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
        Eigen { values, vectors: Mat::from_fn(m, m, |i, j| pairs.U()[(i, m - 1 - j)]), steps: 0 }
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
