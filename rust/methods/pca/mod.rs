//! Principal components: the few directions in feature space along which the rows vary most.
//!
//! With m the column means (or zero), W the feature weights and A = (X - 1 mᵀ) W, the components are the leading
//! eigenvectors v of AᵀA, the singular values σ the square roots of its eigenvalues, and σ² / ‖A‖² the share of the
//! variance that a component explains (Jolliffe 2002). Signs are fixed: the largest entry of a component is positive.
//!
//! - *Exact*, where the short side is small: all eigenpairs of the Gram matrix of the short side, summed in f64 from
//!   blocks converted one at a time. Cost: n d min(n, d) flops + 9 min(n, d)³.
//! - *Randomised*, else: a block Krylov method (`engine/eigen.rs`) on AᵀA, which is never formed; each step reads X once
//!   in its own type (`Xᵀ(X Q)`, fused) for 4 n d b flops with b columns, mostly 8.
//!
//! X is never copied or centred: products are taken of X - o, with o the means rounded to f32, subtracted in registers, and
//! the two rank-one terms that this leaves out are added to the thin results in f64. So data that sit on a huge offset,
//! or are not to be centred at all, lose no digits to their mean. Of sparse rows o is zero, for X - o would have no zeros: their
//! mean is no larger than their deviations, and where it is, o is as above.

mod gram;

use crate::engine::eigen::{Eigen, eigen, largest, start_columns};
use crate::engine::panel::Panel;
use crate::engine::rows::Rows;
use crate::engine::simd::{Pixel, Real};
use crate::engine::tiles::tiles;
use crate::methods::moments::{Moments, moments};
use crate::methods::products::packed::{COLUMNS, x_q, xt_x_q, xt_y};
use crate::{Control, Error, Result};
use faer::{Mat, MatRef};

/// Work up to which the exact solver is taken: there it takes below 0.1 s, or no longer than the randomised one.
const QUICK: f64 = 2e9;

/// Times the squares of deviations, those of means above which these are subtracted from sparse rows too.
const OUTWEIGHED: f64 = 100.0;

/// How to find the components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solver {
    /// Exact where it is about as fast, or where most components are wanted.
    Auto,
    /// From the Gram matrix of the short side.
    Exact,
    /// A block Krylov method from a random start.
    Randomized,
}

/// What to compute.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Number of components, at most min(n, d).
    pub components: usize,
    /// Subtract the mean of every feature.
    pub center: bool,
    /// Factor of every feature.
    pub weights: Option<&'a [f64]>,
    /// How.
    pub solver: Solver,
    /// Of the random start.
    pub seed: u64,
}

/// Principal components, strongest first.
#[derive(Debug)]
pub struct Pca {
    /// k × d, row by row, orthonormal: directions in the space of the weighted features.
    pub components: Vec<f64>,
    /// k.
    pub singular_values: Vec<f64>,
    /// Mean of every feature, subtracted or not.
    pub mean: Vec<f64>,
    /// Sum over all rows and features of the squares of what was decomposed.
    pub squares: f64,
    /// What was done, never `Auto`.
    pub solver: Solver,
}

/// X as this method visits it, wherever it is; sums over rows are f64, products of arithmetic `R`.
pub trait Source<R> {
    /// Whether products without an offset pass zeros over.
    fn is_sparse(&self) -> bool {
        false
    }
    /// Numbers of rows and features.
    fn shape(&self) -> (usize, usize);
    /// Of every feature.
    fn moments(&self, control: &Control) -> Result<Moments>;
    /// AᵀA for A = (X - 1 mᵀ) W: the lower half.
    fn gram(&self, mean: &[f64], weights: &[f64], control: &Control) -> Result<Mat<f64>>;
    /// `(X - o)ᵀ (X - o) Q`, in memory in one read of X for every few columns.
    fn xt_x_q(&self, offset: &[f64], q: &Panel<R>, control: &Control) -> Result<Panel<f64, R>>;
    /// The triangular factor of (X - o) Q + 1 sᵀ.
    fn triangle(&self, offset: &[f64], q: &Panel<R>, shift: &[f64], control: &Control) -> Result<Mat<f64>>;
}

impl<T: Pixel + Into<f64>> Source<T::Real> for Rows<'_, T> {
    fn is_sparse(&self) -> bool {
        self.as_sparse().is_some()
    }

    fn shape(&self) -> (usize, usize) {
        (self.n(), self.d())
    }

    fn moments(&self, control: &Control) -> Result<Moments> {
        moments(*self, control)
    }

    fn gram(&self, mean: &[f64], weights: &[f64], control: &Control) -> Result<Mat<f64>> {
        match self.as_sparse() {
            Some(rows) => gram::of_sparse(rows, mean, weights, control),
            None => gram::squared(*self, |_, j| (mean[j], weights[j]), control),
        }
    }

    fn xt_x_q(&self, offset: &[f64], q: &Panel<T::Real>, control: &Control) -> Result<Panel<f64, T::Real>> {
        xt_x_q(*self, nonzero(offset), q, control)
    }

    fn triangle(&self, offset: &[f64], q: &Panel<T::Real>, shift: &[f64], control: &Control) -> Result<Mat<f64>> {
        let product = x_q(*self, nonzero(offset), q, control)?;
        let k = q.k();
        let scores = Mat::from_fn(self.n(), k, |i, c| product[i * k + c].f64() + shift[c]);
        Ok(scores.qr().thin_R().to_owned())
    }
}

/// What is to be subtracted, if it is not zero throughout.
fn nonzero(offset: &[f64]) -> Option<&[f64]> {
    offset.iter().any(|&x| x != 0.0).then_some(offset)
}

/// The principal components of `rows`.
///
/// ```
/// use emcore::methods::pca::{Options, Solver, pca};
/// use emcore::{Control, Rows};
///
/// // Four points on a line in the plane.
/// let rows = Rows::from_slice(&[1.0f32, 2.0, 2.0, 4.0, 3.0, 6.0, 4.0, 8.0], 4, 2);
/// let options = Options { components: 1, center: true, weights: None, solver: Solver::Auto, seed: 0 };
/// let line = pca(rows, &options, &Control::new())?;
/// assert!((line.components[1] / line.components[0] - 2.0).abs() < 1e-6);
/// assert!((line.singular_values[0].powi(2) / line.squares - 1.0).abs() < 1e-6); // all of the variance
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn pca<T: Pixel + Into<f64>>(rows: Rows<'_, T>, options: &Options<'_>, control: &Control) -> Result<Pca> {
    let (n, d, k) = (rows.n(), rows.d(), options.components);
    check(n, d, options)?;
    let sideways = rows.transposed().is_none() && !rows.is_sparse();
    let exact = is_exact(n, d, k, options.solver, n < d && sideways);
    if !exact || n >= d {
        return pca_of(&rows, exact, options, control);
    }
    if sideways {
        // Features will be visited: of rows that are computed, the few there are are held.
        let mut held = Vec::new();
        rows.block(0..n, &mut held);
        return pca(Rows::from_slice(&held, n, d), options, control);
    }
    let data = Data::new(&rows, options, control)?;
    let mut pairs = eigen(data.wide_gram(control)?, control)?;
    pairs.vectors = data.right(pairs.vectors.subcols(0, k), control)?.qr().compute_thin_Q();
    Ok(data.finish(pairs, exact, k))
}

/// The principal components of what is not in memory; the exact solver is for at least as many rows as features.
pub fn out_of_core<R: Real>(source: &impl Source<R>, options: &Options<'_>, control: &Control) -> Result<Pca> {
    let (n, d) = source.shape();
    check(n, d, options)?;
    if n < d && (options.solver == Solver::Exact || start_columns(options.components) > d) {
        let message = format!("'exact' takes all of {n} x {d} data at once, which are not in memory; use 'randomized'");
        return Err(Error::invalid("solver", message));
    }
    pca_of(source, is_exact(n, d, options.components, options.solver, n < d), options, control)
}

/// Whether the exact solver is taken for k components; `sideways`: where that would have to compute features one after the
/// other.
pub(crate) fn is_exact(n: usize, d: usize, k: usize, solver: Solver, sideways: bool) -> bool {
    let short = n.min(d);
    let [long, size] = [n.max(d), short].map(|x| x as f64);
    let quick = (size * size * (long + 5.0 * size) <= QUICK || 3 * k > short) && !sideways;
    solver == Solver::Exact || start_columns(k) > d || (solver == Solver::Auto && quick)
}

/// By products of all rows only.
fn pca_of<R: Real>(source: &impl Source<R>, exact: bool, options: &Options<'_>, control: &Control) -> Result<Pca> {
    let k = options.components;
    let data = Data::new(source, options, control)?;
    let pairs = if exact {
        eigen(source.gram(&data.centre(), &data.weights, control)?, control)?
    } else {
        data.randomized(k, options.seed, control)?
    };
    Ok(data.finish(pairs, exact, k))
}

fn check(n: usize, d: usize, options: &Options<'_>) -> Result<()> {
    let k = options.components;
    if k == 0 || k > n.min(d) {
        let limit = n.min(d);
        return Err(Error::invalid("n_components", format!("{k} asked for; {n} x {d} data have 1 to {limit}")));
    }
    if n < 2 && options.center {
        return Err(Error::invalid("X", "1 sample has no variance; give at least 2 rows, or do not centre"));
    }
    let bad = |w: &f64| !(w.is_finite() && *w >= 0.0);
    match options.weights {
        Some(weights) if weights.len() != d => {
            Err(Error::invalid("weights", format!("{} weights for {d} features", weights.len())))
        }
        Some(weights) if weights.iter().any(bad) => {
            Err(Error::invalid("weights", "a weight is negative or not finite; give factors of at least 0"))
        }
        _ => Ok(()),
    }
}

/// The matrix A = (X - 1 mᵀ) W, by what is needed to multiply with it.
struct Data<'a, S, R> {
    source: &'a S,
    shape: (usize, usize),
    center: bool,
    weights: Vec<f64>,
    mean: Vec<f64>,
    /// The means as the products subtract them.
    offset: Vec<f64>,
    /// ‖A‖², that of the centred A, and of what products are taken of.
    squares: f64,
    centered_squares: f64,
    visited_squares: f64,
    real: std::marker::PhantomData<R>,
}

impl<T: Pixel + Into<f64>> Data<'_, Rows<'_, T>, T::Real> {
    /// AAᵀ of a wide A, the columns of which are the rows of its transpose: the lower half.
    fn wide_gram(&self, control: &Control) -> Result<Mat<f64>> {
        if let Some(rows) = self.source.as_sparse() {
            return gram::wide_of_sparse(rows, &self.centre(), &self.weights, control);
        }
        let features = self.source.transposed().expect("the features as rows");
        let centre = self.centre();
        gram::squared(features, |j, _| (centre[j], self.weights[j]), control)
    }

    /// AᵀU, a few columns at a time.
    fn right(&self, left: MatRef<'_, f64>, control: &Control) -> Result<Mat<f64>> {
        let ((n, d), k) = (self.shape, left.ncols());
        let mut right = Mat::zeros(d, k);
        for part in tiles(k, COLUMNS) {
            let left = left.subcols(part.start, part.len());
            let y = Vec::from_iter((0..n).flat_map(|i| left.row(i).iter().map(|&x| T::Real::of(x))));
            let product = xt_y(*self.source, nonzero(&self.offset), &y, part.len(), control)?;
            for (c, column) in part.enumerate() {
                let sum: f64 = y.iter().skip(c).step_by(left.ncols()).map(|x| x.f64()).sum();
                for j in 0..d {
                    let back = self.offset[j] - if self.center { self.mean[j] } else { 0.0 };
                    right[(j, column)] = (product.get(j, c) + back * sum) * self.weights[j];
                }
            }
        }
        if right.norm_l2().is_finite() { Ok(right) } else { Err(too_large()) }
    }
}

impl<'a, R: Real, S: Source<R>> Data<'a, S, R> {
    fn new(source: &'a S, options: &Options<'_>, control: &Control) -> Result<Self> {
        let (n, d) = source.shape();
        let Moments { mean, squares, .. } = source.moments(control)?;
        let weights = options.weights.map_or_else(|| vec![1.0; d], <[f64]>::to_vec);
        let sum = |square: &dyn Fn(usize) -> f64| (0..d).map(|j| weights[j] * weights[j] * square(j)).sum();
        let centered_squares: f64 = sum(&|j| squares[j]);
        let mean_squares: f64 = sum(&|j| mean[j] * mean[j]);
        let squares = centered_squares + if options.center { 0.0 } else { n as f64 * mean_squares };
        if !squares.is_finite() {
            return Err(too_large());
        }
        let zeros = source.is_sparse() && n as f64 * mean_squares <= OUTWEIGHED * centered_squares;
        let offset = Vec::from_iter(mean.iter().map(|&m| if zeros { 0.0 } else { R::of(m).f64() }));
        let visited_squares = centered_squares + if zeros { n as f64 * mean_squares } else { 0.0 };
        let center = options.center;
        let real = std::marker::PhantomData;
        let shape = (n, d);
        Ok(Self { source, shape, center, weights, mean, offset, squares, centered_squares, visited_squares, real })
    }

    /// What is subtracted.
    fn centre(&self) -> Vec<f64> {
        if self.center { self.mean.clone() } else { vec![0.0; self.mean.len()] }
    }

    /// Of k pairs.
    fn finish(self, pairs: Eigen, exact: bool, k: usize) -> Pca {
        let mut components = Vec::with_capacity(k * self.mean.len());
        for j in 0..k {
            let column = pairs.vectors.col(j);
            let largest = column.iter().fold(0.0, |top: f64, &x| if x.abs() > top.abs() { x } else { top });
            let sign = if largest < 0.0 { -1.0 } else { 1.0 };
            components.extend(column.iter().map(|x| sign * x));
        }
        Pca {
            components,
            singular_values: pairs.values[..k].iter().map(|x| x.max(0.0).sqrt()).collect(),
            squares: self.squares,
            mean: self.mean,
            solver: if exact { Solver::Exact } else { Solver::Randomized },
        }
    }

    fn randomized(&self, k: usize, seed: u64, control: &Control) -> Result<Eigen> {
        let d = self.shape.1;
        let mut state = seed;
        let mut random = move || uniform(&mut state);
        let mut start = Mat::<f64>::zeros(d, start_columns(k));
        start.col_iter_mut().for_each(|column| column.iter_mut().for_each(|x| *x = random()));
        if !self.center {
            // The mean is close to the first component.
            (0..d).for_each(|j| start[(j, 0)] += self.mean[j] * self.weights[j]);
        }
        // Rounding of the products.
        let noise = self.visited_squares * if size_of::<R>() == 4 { 2e-8 } else { 1e-15 };
        let pairs = largest(|q| self.gram_times(q, control), k, start, noise, control)?;
        let (first, last) = (pairs.values[0], pairs.values[k - 1]);
        let rounding = first.min(self.centered_squares) * if size_of::<R>() == 4 { 1e-4 } else { 1e-10 };
        if last < rounding.max(1e-10 * first) { self.polish(&pairs.vectors, control) } else { Ok(pairs) }
    }

    /// Pairs in the span of `vectors` from A itself, not its square, so that small ones are not lost beside large ones.
    fn polish(&self, vectors: &Mat<f64>, control: &Control) -> Result<Eigen> {
        let (d, k) = (self.shape.1, vectors.ncols());
        let weighted = |j: usize, c: usize| self.weights[j] * vectors[(j, c)];
        let q = Panel::from_fn(d, k, |j, c| R::of(weighted(j, c)));
        let back = |j: usize| self.offset[j] - if self.center { self.mean[j] } else { 0.0 };
        let shift = Vec::from_iter((0..k).map(|c| (0..d).map(|j| back(j) * weighted(j, c)).sum::<f64>()));
        let triangle = self.source.triangle(&self.offset, &q, &shift, control)?;
        let svd = triangle.thin_svd().map_err(|_| too_large())?;
        let values = svd.S().column_vector().iter().map(|s| s * s).collect();
        Ok(Eigen { values, vectors: vectors * svd.V() })
    }

    /// AᵀA Q = W [Xᵀ X + corrections] W Q.
    fn gram_times(&self, q: MatRef<'_, f64>, control: &Control) -> Result<Mat<f64>> {
        let (n, d) = (self.shape.0 as f64, self.shape.1);
        // A power of two that keeps X Q near one, whatever the unit of X.
        let row = (self.visited_squares / n).sqrt();
        let scale = if row > 0.0 { row.log2().round().exp2() } else { 1.0 };
        let scaled = Panel::from_fn(d, q.ncols(), |j, c| R::of(self.weights[j] * q[(j, c)] / scale));
        let product = self.source.xt_x_q(&self.offset, &scaled, control)?;
        let mut result = Mat::zeros(d, q.ncols());
        for c in 0..q.ncols() {
            let dot = |v: &dyn Fn(usize) -> f64| (0..d).map(|j| v(j) * scaled.get(j, c).f64()).sum::<f64>();
            let on_rest = n * dot(&|j| self.mean[j] - self.offset[j]);
            let on_mean = if self.center { 0.0 } else { n * dot(&|j| self.mean[j]) };
            for j in 0..d {
                let rank_one = self.mean[j] * on_mean - (self.mean[j] - self.offset[j]) * on_rest;
                result[(j, c)] = (product.get(j, c) + rank_one) * self.weights[j] * scale;
            }
        }
        if result.norm_l2().is_finite() { Ok(result) } else { Err(too_large()) }
    }
}

fn too_large() -> Error {
    Error::invalid("X", "values too large to square; divide by a constant first")
}

/// The next of a stream of numbers uniform in (-1, 1): SplitMix64 (Steele, Lea & Flood 2014).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}
