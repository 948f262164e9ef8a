//! The largest eigenpairs of a big symmetric operator that is only known by what it does to a few vectors.
//!
//! From a random block V, slightly wider than the number of pairs wanted, the basis grows by the residuals
//! A u - θ u of the pairs (θ, u) that VᵀAV has in it, first those that stand apart from the others, then the worst
//! (Davidson 1975, without a preconditioner): a
//! block Krylov method (Musco & Musco 2015) that spends no product on what has converged. All products so far take part in
//! the answer, so that for equally many of them it is far more accurate than subspace iteration, which keeps the last
//! block only; and the wide first block finds eigenvalues of high multiplicity, which narrow blocks alone overlook.
//!
//! Stops when the residual of every wanted pair is below [`TOLERANCE`] of its eigenvalue: eigenvalues are then good to its
//! square over the relative gap, vectors to it over the gap. Where wanted eigenvalues lie in a continuum (noise) there are
//! no gaps, and vectors of their own mean little; it stops there once a step raises them by less than [`SMALL_GAIN`] on
//! average while the gains fade only slowly.
//!
//! Cost: the products, and about 20 d m b flops a step for m vectors so far and b new ones.

use crate::engine::pass::pass;
use crate::engine::pool;
use crate::engine::room;
use crate::{Control, Error, Result};
use faer::linalg::{matmul::matmul, solvers::SelfAdjointEigen};
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use std::ops::Range;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Residual of a pair, relative to its eigenvalue, that counts as converged.
pub const TOLERANCE: f64 = 1e-4;
/// Mean relative gain of the eigenvalues in a step that is not worth another step ...
pub const SMALL_GAIN: f64 = 0.01;
/// ... when it is more than this share of the gain in the step before.
pub const SLOW_FADING: f64 = 0.66;
/// Gap, relative, of an eigenvalue that stands apart from its neighbours.
const APART: f64 = 0.1;
/// Mean relative gain that is rounding.
const NO_GAIN: f64 = 1e-9;

/// Columns of the basis at most, in wanted pairs; then half of them stay (a thick restart: Wu & Simon 2000).
const BASIS: usize = 4;
/// Columns of a block: what the registers hold in one go.
const BLOCK: usize = 8;
/// Rows of tall matrices that a thread takes at a time.
const ROWS: usize = 1024;

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
    let capacity = (BASIS * k).max(8 * BLOCK).max(start.ncols() + most);
    // Basis, image, and what a step and its rotation need beside.
    room::check::<f64>(4 * d as u128 * capacity.min(d) as u128, "vectors of all features")?;
    let [mut basis, mut image] = [0; 2].map(|_| Mat::<f64>::with_capacity(d, capacity.min(d))); // V, AV
    basis.resize_with(d, 0, |_, _| 0.0);
    image.resize_with(d, 0, |_, _| 0.0);
    let mut small = Mat::<f64>::zeros(0, 0); // VᵀAV
    let mut block = start.qr().compute_thin_Q();
    drop(start);
    let mut former: Option<(Vec<f64>, f64)> = None; // eigenvalues after the last step, and their gain in it
    let mut dense = false; // whether the block was made for eigenvalues that lie dense
    loop {
        let product = apply(block.as_ref())?;
        append(&mut basis, &block);
        let (m, before) = (basis.ncols(), image.ncols());
        let column = inner(basis.as_ref(), product.as_ref(), control)?;
        append(&mut image, &product);
        drop(product);
        small.resize_with(m, m, |_, _| 0.0);
        for (i, j) in (before..m).flat_map(|j| (0..m).map(move |i| (i, j))) {
            small[(i, j)] = column[(i, j - before)];
            small[(j, i)] = column[(i, j - before)];
        }
        let pairs = eigen(small.clone(), control)?;
        let values = Vec::from_iter(pairs.values[..k].iter().map(|x| x.max(0.0)));
        let wanted = pairs.vectors.subcols(0, k);
        let negative = Mat::from_fn(m, k, |i, j| -wanted[(i, j)] * pairs.values[j]);
        let residuals = combine(&[(image.as_ref(), wanted), (basis.as_ref(), negative.as_ref())], control)?;
        let norms = Vec::from_iter(residuals.col_iter().map(|column| column.norm_l2()));
        let size = |j: usize| norms[j] / (values[j] + noise / TOLERANCE).max(f64::MIN_POSITIVE);
        let value = |j: usize| pairs.values.get(j).copied().unwrap_or(if j < m { 0.0 } else { f64::INFINITY });
        let gap = |j: usize| (value(j.wrapping_sub(1)) - values[j]).min(values[j] - value(j + 1));
        let apart = |j: usize| gap(j) > (2.0 * norms[j]).max(APART * values[j]);
        let mut left = Vec::from_iter((0..k).filter(|&j| size(j) > TOLERANCE));
        // First those that stand apart, for they converge fast; then the worst.
        left.sort_by(|&a, &b| apart(b).cmp(&apart(a)).then(size(b).total_cmp(&size(a))));

        let gain = former.as_ref().map_or(f64::INFINITY, |(old, _)| {
            left.iter().map(|&j| 1.0 - old[j] / values[j]).sum::<f64>() / left.len() as f64
        });
        let fades_slowly = former.as_ref().is_some_and(|&(_, last)| gain >= SLOW_FADING * last);
        let was_dense = std::mem::replace(&mut dense, left.first().is_some_and(|&j| !apart(j)));
        let pays_no_more = gain <= NO_GAIN || (dense && was_dense && gain <= SMALL_GAIN && fades_slowly);
        left.truncate(most.min(d - m));
        if !pays_no_more {
            let worst = Mat::from_fn(d, left.len(), |i, j| residuals[(i, left[j])] / norms[left[j]]);
            block = orthonormal(basis.as_ref(), worst, control)?;
        }
        if pays_no_more || block.ncols() == 0 {
            return Ok(Eigen { values, vectors: combine(&[(basis.as_ref(), wanted)], control)? });
        }
        drop(residuals);
        if m + block.ncols() > capacity {
            // What the answer needs least goes: of V the span of the leading pairs stays.
            let leading = pairs.vectors.subcols(0, capacity / 2);
            shrink(&mut basis, leading, control)?;
            shrink(&mut image, leading, control)?;
            small = Mat::from_fn(capacity / 2, capacity / 2, |i, j| if i == j { pairs.values[i] } else { 0.0 });
        }
        former = Some((values, if was_dense { gain } else { f64::INFINITY }));
    }
}

fn append(to: &mut Mat<f64>, columns: &Mat<f64>) {
    let before = to.ncols();
    to.resize_with(to.nrows(), before + columns.ncols(), |i, j| columns[(i, j - before)]);
}

/// AᵀB of tall matrices.
fn inner(a: MatRef<'_, f64>, b: MatRef<'_, f64>, control: &Control) -> Result<Mat<f64>> {
    let mut total = Mat::zeros(a.ncols(), b.ncols());
    let block = |rows: Range<usize>, _: &mut [u8]| {
        a.subrows(rows.start, rows.len()).transpose() * b.subrows(rows.start, rows.len())
    };
    control.expect(a.nrows() as u64);
    pass(a.nrows(), ROWS, control, &mut [], block, |part| total += part)?;
    Ok(total)
}

/// The sum of the products A C of tall matrices A and small ones C.
fn combine(terms: &[(MatRef<'_, f64>, MatRef<'_, f64>)], control: &Control) -> Result<Mat<f64>> {
    let (d, k) = (terms[0].0.nrows(), terms[0].1.ncols());
    let mut sums = vec![0.0; d * k];
    let block = |rows: Range<usize>, out: &mut [f64]| {
        let mut out = MatMut::from_row_major_slice_mut(out, rows.len(), k);
        for (tall, small) in terms {
            matmul(out.as_mut(), Accum::Add, tall.subrows(rows.start, rows.len()), small, 1.0, Par::Seq);
        }
    };
    control.expect(d as u64);
    pass(d, ROWS, control, &mut sums, block, |()| ())?;
    Ok(MatRef::from_row_major_slice(&sums, d, k).to_owned())
}

/// A tall matrix A becomes A C, in place.
fn shrink(tall: &mut Mat<f64>, small: MatRef<'_, f64>, control: &Control) -> Result<()> {
    let (mut parts, mut rest) = (Vec::new(), tall.as_mut());
    while rest.nrows() > 0 {
        let rows = ROWS.min(rest.nrows());
        let (part, others) = rest.split_at_row_mut(rows);
        parts.push(part);
        rest = others;
    }
    let block = |_: Range<usize>, parts: &mut [MatMut<'_, f64>]| {
        let product = parts[0].as_ref() * small;
        parts[0].as_mut().subcols_mut(0, small.ncols()).copy_from(product);
    };
    control.expect(parts.len() as u64);
    pass(parts.len(), 1, control, &mut parts, block, |()| ())?;
    drop(parts);
    tall.resize_with(tall.nrows(), small.ncols(), |_, _| 0.0);
    Ok(())
}

/// Orthonormal columns that span what `block`, of unit columns, adds to the span of `basis`; fewer where it adds less.
fn orthonormal(basis: MatRef<'_, f64>, mut block: Mat<f64>, control: &Control) -> Result<Mat<f64>> {
    for _ in 0..2 {
        let inside = -inner(basis, block.as_ref(), control)?;
        block += combine(&[(basis, inside.as_ref())], control)?;
        let qr = block.qr();
        let new = Vec::from_iter((0..block.ncols()).filter(|&j| qr.thin_R()[(j, j)].abs() > 1e-8));
        let q = qr.compute_thin_Q();
        block = Mat::from_fn(q.nrows(), new.len(), |i, j| q[(i, new[j])]);
    }
    Ok(block)
}

/// All eigenpairs of a small symmetric matrix (its lower half), largest first.
///
/// A large one is solved on a thread of its own, which is left behind when the caller asks it to stop.
pub fn eigen(matrix: Mat<f64>, control: &Control) -> Result<Eigen> {
    const QUICK: usize = 400;
    let m = matrix.nrows();
    let message = "sums of products are not finite; look for values that are not, or are too large to square";
    let not_finite = move || Error::invalid("X", message);
    if !(0..m).all(|j| (j..m).all(|i| matrix[(i, j)].is_finite())) {
        return Err(not_finite());
    }
    // The solver's vectors and workspace, which it cannot do without, and the vectors once more.
    room::check::<f64>(5 * m as u128 * m as u128, "eigenvectors")?;
    let solve = move |matrix: &Mat<f64>| {
        let pairs = SelfAdjointEigen::new(matrix.as_ref(), Side::Lower).map_err(|_| not_finite())?;
        let values = Vec::from_iter((0..m).rev().map(|j| pairs.S()[j]));
        Ok(Eigen { values, vectors: Mat::from_fn(m, m, |i, j| pairs.U()[(i, m - 1 - j)]) })
    };
    if m <= QUICK {
        return solve(&matrix);
    }
    let (sender, receiver) = mpsc::channel();
    let matrix = Arc::new(matrix);
    let theirs = Arc::clone(&matrix);
    let thread = std::thread::Builder::new().spawn(move || {
        let _ = sender.send(solve(&theirs));
    });
    if thread.is_err() {
        return solve(&matrix); // where the system gives no further thread
    }
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(pairs) => return pairs,
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

    fn leading(values: impl Fn(usize) -> f64, d: usize, k: usize) -> (Eigen, usize) {
        let mut products = 0;
        let start = Mat::from_fn(d, start_columns(k), |i, j| ((i * 7919 + j * 104_729) as f64).sin());
        let diagonal = |q: MatRef<'_, f64>| {
            products += q.ncols();
            Ok(Mat::from_fn(d, q.ncols(), |i, j| values(i) * q[(i, j)]))
        };
        (largest(diagonal, k, start, 0.0, &Control::new()).unwrap(), products)
    }

    #[test]
    fn what_is_not_finite_has_no_eigenvalues_and_says_so() {
        for d in [3, 401] {
            assert!(eigen(Mat::from_fn(d, d, |_, _| f64::NAN), &Control::new()).is_err());
        }
    }

    #[test]
    fn pairs_that_stand_apart_are_found_to_many_digits() {
        let (pairs, products) = leading(|i| 1.0 / (i + 1) as f64, 2000, 12);
        for j in 0..12 {
            assert!((pairs.values[j] * (j + 1) as f64 - 1.0).abs() < 1e-7);
            assert!((pairs.vectors[(j, j)].abs() - 1.0).abs() < 1e-6);
        }
        assert!(products < 130);
    }

    #[test]
    fn an_eigenvalue_of_high_multiplicity_is_found_as_often_as_it_is_there() {
        let (pairs, _) = leading(|i| if i < 12 { 10.0 } else { (i as f64 * 0.7).sin().powi(2) }, 1500, 14);
        assert!(pairs.values[..12].iter().all(|x| (x - 10.0).abs() < 1e-6), "{:?}", pairs.values);
        assert!(pairs.values[12..].iter().all(|&x| 0.98 < x && x <= 1.0), "{:?}", pairs.values);
    }

    #[test]
    fn an_operator_of_low_rank_ends_early() {
        let (pairs, products) = leading(|i| if i < 3 { 5.0 } else { 0.0 }, 500, 6);
        assert_eq!(pairs.values.iter().filter(|&&x| x > 1e-9).count(), 3);
        assert!(products <= 24);
    }
}
