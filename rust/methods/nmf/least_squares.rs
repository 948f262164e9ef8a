//! The maps W of known spectra H: non-negative least squares, row by row, exactly (Lawson & Hanson 1974; Bro & De Jong
//! 1997 work on `H Hᵀ` and `X Hᵀ` as here).

use super::parameters::{Penalty, block_rows, count_components};
use super::update;
use crate::engine::pass::pass;
use crate::engine::simd::{Pixel, Real};
use crate::engine::tiles::{pack_offset, project, tile_rows, tiles};
use crate::{Control, Result, Rows};

/// Fills `w` (n × k), for every row x of X the w ≥ 0 that minimises ½ Σ ω (x − w H)² + penalty. Where spectra depend on
/// others, one of several equal minima is chosen, the same for the same row.
///
/// ```
/// use emcore::methods::nmf::{Penalty, least_squares};
/// use emcore::{Control, Rows};
///
/// let (x, h, mut w) = ([2.0, 3.0, 4.0], [1.0, 1.0, 0.0, 0.0, 0.5, 2.0], [0.0; 2]);
/// least_squares(Rows::from_slice(&x, 1, 3), &h, None, Penalty::default(), &mut w, &Control::new())?;
/// assert!(w.iter().all(|w: &f64| (w - 2.0).abs() < 1e-9));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn least_squares<T: Pixel>(
    x: Rows<'_, T>,
    h: &[f64],
    weights: Option<&[f64]>,
    penalty: Penalty,
    w: &mut [T::Real],
    control: &Control,
) -> Result<()> {
    let (n, d) = (x.n(), x.d());
    let k = count_components((n, d), w.len(), h.len(), weights)?;
    let weight = |j: usize| weights.map_or(1.0, |w| w[j]);
    let rooted = Vec::from_iter(h.iter().enumerate().map(|(j, h)| h * weight(j % d).sqrt()));
    let mut gram = update::gram(&rooted, k);
    (0..k).for_each(|t| gram[t * k + t] += penalty.l2);
    let q = update::pack(x.as_sparse().is_some(), h, k, weights);
    let offset = pack_offset(None, d);
    control.expect(n as u64);
    pass(
        n,
        block_rows(&x),
        control,
        w,
        |range, w| {
            let mut scratch = Vec::new();
            let mut solver = NonNegative::new(&gram, k);
            for rows in tiles(range.len(), tile_rows::<T>(d)) {
                let w = &mut w[rows.start * k..rows.end * k];
                project(x.part(range.start + rows.start..range.start + rows.end, &mut scratch), &offset, &q, w);
                for w in w.chunks_mut(k) {
                    solver.b.iter_mut().zip(&*w).for_each(|(b, c)| *b = c.f64() - penalty.l1);
                    w.iter_mut().zip(solver.solve()).for_each(|(w, &x)| *w = T::Real::of(x));
                }
            }
        },
        |()| (),
    )
}

/// `min ½ wᵀ G w − bᵀ w` over `w ≥ 0`, by an active set with a Cholesky factor of the free part.
pub struct NonNegative {
    gram: Vec<f64>,
    k: usize,
    /// The linear term; set it before each [`solve`](Self::solve).
    pub b: Vec<f64>,
    w: Vec<f64>,
    /// Free components, in the order in which the factor holds them.
    free: Vec<usize>,
    factor: Vec<f64>,
    trial: Vec<f64>,
    /// Free components and their factor before any row is seen: every independent one.
    start: (Vec<usize>, Vec<f64>),
}

/// A pivot below this fraction of its diagonal entry says that the component depends on those before.
const DEPENDENT: f64 = 1e-11;

impl NonNegative {
    /// Makes it for one k × k Gram matrix.
    pub fn new(gram: &[f64], k: usize) -> Self {
        let mut new = Self {
            gram: Vec::new(),
            k,
            b: vec![0.0; k],
            w: vec![0.0; k],
            free: Vec::with_capacity(k),
            factor: vec![0.0; k * k],
            trial: vec![0.0; k],
            start: Default::default(),
        };
        new.set_gram(gram);
        new
    }

    /// Takes another Gram matrix.
    pub fn set_gram(&mut self, gram: &[f64]) {
        self.gram.clear();
        self.gram.extend_from_slice(gram);
        self.free.clear();
        (0..self.k).for_each(|t| {
            self.add(t);
        });
        self.start.0.clone_from(&self.free);
        self.start.1.clone_from(&self.factor);
    }

    /// Returns the minimiser.
    pub fn solve(&mut self) -> &[f64] {
        self.free.clone_from(&self.start.0);
        self.factor.copy_from_slice(&self.start.1);
        // Drop what is negative until all that is free is positive: a feasible point to start from.
        loop {
            self.least_squares();
            let positive = |&p: &usize| self.trial[p] > 0.0;
            let remaining = Vec::from_iter((0..self.free.len()).filter(positive).map(|p| self.free[p]));
            if remaining.len() == self.free.len() {
                break;
            }
            self.refactor(remaining);
        }
        self.accept();
        for _ in 0..10 * self.k {
            let Some(t) = self.steepest() else { break };
            if !self.add(t) {
                break;
            }
            self.least_squares();
            if self.trial[self.free.len() - 1] <= 0.0 {
                self.free.pop(); // rounding: the slope was none
                break;
            }
            self.step_back();
            self.accept();
        }
        &self.w
    }

    /// Returns the component at zero along which the objective falls most, if it does beyond rounding.
    fn steepest(&self) -> Option<usize> {
        let mut best = (0.0, None);
        for t in (0..self.k).filter(|t| !self.free.contains(t)) {
            let row = &self.gram[t * self.k..][..self.k];
            let (mut slope, mut size) = (self.b[t], self.b[t].abs());
            for (g, w) in row.iter().zip(&self.w) {
                slope -= g * w;
                size += (g * w).abs();
            }
            if slope > 1e-13 * size && slope > best.0 {
                best = (slope, Some(t));
            }
        }
        best.1
    }

    /// Moves from `w` towards `trial` as far as all stay positive, frees what hits zero, and tries again.
    fn step_back(&mut self) {
        while self.trial[..self.free.len()].iter().any(|&x| x <= 0.0) {
            let mut step = 1.0f64;
            for (&t, &x) in self.free.iter().zip(&self.trial).filter(|(_, x)| **x <= 0.0) {
                step = step.min(self.w[t] / (self.w[t] - x));
            }
            let mut remaining = Vec::with_capacity(self.free.len());
            for (&t, &x) in self.free.iter().zip(&self.trial) {
                let moved = self.w[t] + step * (x - self.w[t]);
                let gone = x <= 0.0 && self.w[t] <= step * (self.w[t] - x) * (1.0 + 1e-14);
                self.w[t] = if gone { 0.0 } else { moved };
                if !gone {
                    remaining.push(t);
                }
            }
            if remaining.len() == self.free.len() {
                return; // no number among them
            }
            self.refactor(remaining);
            self.least_squares();
        }
    }

    fn accept(&mut self) {
        self.w.fill(0.0);
        for (&t, &x) in self.free.iter().zip(&self.trial) {
            self.w[t] = x;
        }
    }

    fn refactor(&mut self, free: Vec<usize>) {
        self.free.clear();
        for t in free {
            self.add(t);
        }
    }

    /// Frees component `t`, one more row of the Cholesky factor; false when it depends on the free ones.
    fn add(&mut self, t: usize) -> bool {
        let (k, p) = (self.k, self.free.len());
        let mut pivot = self.gram[t * k + t];
        for q in 0..p {
            let mut x = self.gram[t * k + self.free[q]];
            for r in 0..q {
                x -= self.factor[p * k + r] * self.factor[q * k + r];
            }
            x /= self.factor[q * k + q];
            self.factor[p * k + q] = x;
            pivot -= x * x;
        }
        let independent = pivot > DEPENDENT * self.gram[t * k + t];
        if independent {
            self.factor[p * k + p] = pivot.sqrt();
            self.free.push(t);
        }
        independent
    }

    /// Sets `trial` to the unconstrained minimiser over the free components.
    fn least_squares(&mut self) {
        let (k, m) = (self.k, self.free.len());
        for p in 0..m {
            let mut x = self.b[self.free[p]];
            for q in 0..p {
                x -= self.factor[p * k + q] * self.trial[q];
            }
            self.trial[p] = x / self.factor[p * k + p];
        }
        for p in (0..m).rev() {
            let mut x = self.trial[p];
            for q in p + 1..m {
                x -= self.factor[q * k + p] * self.trial[q];
            }
            self.trial[p] = x / self.factor[p * k + p];
        }
    }
}
