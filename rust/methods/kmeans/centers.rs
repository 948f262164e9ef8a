//! The centres as the scores need them: relative to a fixed point amid the data, with what their products can err by.

use super::distance::{above, is_integer, sum_squares};
use super::parameters::{FEW, Metric};
use super::rows::WeightedRows;
use crate::engine::panel::Panel;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::engine::tiles::pack_offset;

/// k centres, and how far each of them moved last.
pub struct Centers<R> {
    /// k × d, row by row.
    pub values: Vec<f64>,
    pub k: usize,
    pub d: usize,
    /// The fixed point p.
    pub origin: Vec<f64>,
    /// What the products subtract from X: p itself, or nothing for the cosine metric, which scales products, not rows.
    pub offset: Vec<R>,
    /// c − p.
    pub q: Panel<R>,
    /// What to subtract the product from to have the score.
    pub half: Vec<f64>,
    /// |c − p|.
    pub length: Vec<f64>,
    /// How far each centre moved in the last step, a little widened.
    pub drift: Vec<f32>,
    /// A score errs by at most this times (|x| as the products see it) times |c − p|, plus `underflow`.
    pub error: f64,
    terms: f64,
    pub underflow: f64,
    /// The products' centres err by at most this times |c − p|.
    pub rounding: f64,
    /// |p| where X is rounded before p is subtracted, else 0.
    rounded: f64,
    metric: Metric,
}

impl<R: Real> Centers<R> {
    /// Centres (k × d) to begin with, about the point that is amid them.
    pub fn new<T: Pixel<Real = R> + Into<f64>>(x: &WeightedRows<'_, '_, T>, values: Vec<f64>) -> Self {
        let origin = origin::<R>(&values, x.rows.d(), x.metric);
        Self::around(x, &origin, values)
    }

    /// Centres, of length 1 if the metric is the cosine, about a point.
    pub fn around<T: Pixel<Real = R> + Into<f64>>(
        x: &WeightedRows<'_, '_, T>,
        origin: &[f64],
        values: Vec<f64>,
    ) -> Self {
        let (d, k) = (x.rows.d(), values.len() / x.rows.d());
        let origin = Vec::from_iter(origin.iter().map(|&x| R::of(x).f64()));
        let offset = pack_offset((x.metric == Metric::Euclidean).then_some(&origin), d);
        let (error, underflow) = rounding::<R>(d);
        let norm = sum_squares(origin.iter().copied()).sqrt();
        let mut centers = Self {
            values,
            k,
            d,
            origin,
            offset,
            q: Panel::zeros(d, k),
            half: Vec::new(),
            length: Vec::new(),
            drift: vec![0.0; k],
            error,
            terms: terms::<R>(d),
            underflow,
            rounding: if size_of::<R>() == 4 { 2f64.powi(-23) } else { 2f64.powi(-52) },
            rounded: if is_integer::<T>() && size_of::<T>() == 4 && x.metric == Metric::Euclidean { norm } else { 0.0 },
            metric: x.metric,
        };
        centers.pack();
        centers
    }

    /// By how much the score of centre `c` may err for a row at this distance from the origin.
    #[inline(always)]
    pub fn error_of(&self, c: usize, size: f64, factor: f64) -> f64 {
        self.length[c] * (self.error * self.reach(size) + 1e-14 * self.length[c]) + self.underflow * factor
    }

    /// The length of a row at this distance from the origin, as the products see it.
    #[inline(always)]
    pub fn reach(&self, size: f64) -> f64 {
        self.whole(size) + self.rounded
    }

    /// The length of what the products multiply, without what they round.
    #[inline(always)]
    pub fn whole(&self, size: f64) -> f64 {
        if self.metric == Metric::Cosine { 1.0 } else { size }
    }

    /// The certain part of the difference of two scores of one row is what exceeds `.0 + .1 |x|²`, whatever the centres,
    /// where a score adds up `terms` products one after the other: 2 (e + |x| |c − p| e) below 3 e |c − p|² + 2 e |x|².
    pub fn margin(&self, terms: usize) -> (f64, f64) {
        let error = self.error / self.terms * (terms as f64 + 6.0);
        let longest = self.length.iter().copied().fold(0.0, f64::max);
        let fixed = 3.0 * longest * longest + 4.0 * self.rounded * self.rounded;
        (error * fixed + 2.0 * self.underflow, 4.0 * error)
    }

    /// Takes other values, and what each centre moved by.
    pub fn move_to(&mut self, values: &[f64]) {
        for ((new, old), drift) in values.chunks(self.d).zip(self.values.chunks(self.d)).zip(&mut self.drift) {
            *drift = above(sum_squares(new.iter().zip(old).map(|(new, old)| new - old)).sqrt());
        }
        self.values.copy_from_slice(values);
        self.pack();
    }

    fn pack(&mut self) {
        let (values, origin, d) = (&self.values, &self.origin, self.d);
        let relative = |j: usize, c: usize| values[c * d + j] - origin[j];
        self.q = Panel::from_fn(d, self.k, |j, c| R::of(relative(j, c)));
        let squares = Vec::from_iter((0..self.k).map(|c| sum_squares((0..d).map(|j| relative(j, c)))));
        self.length = squares.iter().map(|square| square.sqrt()).collect();
        let dot = |c: usize| (0..d).map(|j| origin[j] * relative(j, c)).sum::<f64>();
        let shifted = self.metric == Metric::Cosine;
        self.half = (0..self.k).map(|c| 0.5 * squares[c] + if shifted { dot(c) } else { 0.0 }).collect();
    }
}

/// The point p amid centres (k × d), as arithmetic `R` has it.
pub fn origin<R: Real>(centers: &[f64], d: usize, metric: Metric) -> Vec<f64> {
    let k = centers.len() / d;
    let mean = |j: usize| centers.iter().skip(j).step_by(d).sum::<f64>() / k as f64;
    // With few features distances are found from |x|, which is 1 for the cosine metric, not from |x − p|.
    let zero = metric == Metric::Cosine && d <= FEW;
    (0..d).map(|j| if zero { 0.0 } else { R::of(mean(j)).f64() }).collect()
}

/// A product of two rows of `d` features errs by at most the first times their lengths, plus the second.
pub fn rounding<R: Real>(d: usize) -> (f64, f64) {
    let (unit, smallest) = if size_of::<R>() == 4 { (2f64.powi(-24), 1e-44) } else { (2f64.powi(-53), 1e-322) };
    let terms = terms::<R>(d);
    (1.01 * terms * unit / (1.0 - terms * unit), d as f64 * smallest)
}

/// Most sums that a product adds up one after the other, whatever the instruction set of this machine.
fn terms<R: Real>(d: usize) -> f64 {
    (d.next_multiple_of(R::LINE) / dispatch(LanesOf::<R>(std::marker::PhantomData))) as f64 + 12.0
}

struct LanesOf<R>(std::marker::PhantomData<R>);

impl<R: Real> WithSimd for LanesOf<R> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        R::lanes::<S>()
    }
}
