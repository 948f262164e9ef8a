//! Which centre is a row nearest to now, if its products with those of an earlier iteration are known? Without reading it.
//!
//! Let y = Bᵀx be the products of a row, relative to p, with the k centres of the iteration in which it was read last.
//! The difference w of two of today's centres has a part within the span of B, Bα, and a rest r across it, so that
//!
//! `x·w = α·y + x·r`, `|x·r| ≤ |x⊥| |r|`,
//!
//! x⊥ the part of x across that span. This bound is never looser than that of the triangle inequality (Elkan 2003), for
//! |x⊥| is at most the distance of x from each of the centres in B, and |r| at most what two centres moved since, in a
//! straight line. Where rows are far from all centres (noise) and centres move along one another it is far tighter.
//!
//! Cost: k² multiply-adds a row and iteration, and k² d for each basis; k values kept of each row, k d of each basis.

use super::centers::Centers;
use super::distance::above;
use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::simd::{Real, Simd, WithSimd, dispatch};
use crate::engine::tiles::tiles;
use crate::{Control, Result};
use faer::{Mat, Side};
use std::iter::zip;

/// Bases kept at most, and fewer than are worth the trouble.
const MOST: usize = 16;
const LEAST: usize = 6;
/// What is kept of a row, and all bases, may take this share of the bytes of X.
const SHARE: usize = 64;
/// Directions of which the centres have less than this, squared, relative to the most, are left to the rest.
const SMALL: f64 = 1e-6;
/// Sums side by side in a product of two centres, and features after which they are added up.
const LANES: usize = 32;
const CHUNK: usize = 512;
/// No basis: the row has to be read.
pub const NONE: u8 = u8::MAX;

/// The centres of earlier iterations.
pub struct Bases<R> {
    most: usize,
    /// Those of all bases, relative to p, in the type in which rows were multiplied with them; k × d each.
    vectors: Vec<R>,
    bases: Vec<Basis>,
    /// That of the centres of today.
    pub today: usize,
}

/// k centres, and what they tell of the centres of today. Of each pair of these: a × k + c.
#[derive(Default)]
struct Basis {
    /// Orthonormal directions as sums of the centres: rank × k.
    directions: Vec<f64>,
    /// By how much directions may fail to be orthonormal.
    skew: f64,
    /// Of each centre.
    lengths: Vec<f64>,
    /// α of each of today's centres: k × k.
    alpha: Vec<f64>,
    /// |r|, from above.
    rest: Vec<f64>,
    /// How much the bound errs by: times |x|, and times the factor of the row.
    error: Vec<f64>,
    underflow: Vec<f64>,
}

impl<R: Real> Bases<R> {
    /// No centres yet, for n rows of `row_bytes`; none at all where they would take much of the memory that X takes.
    pub fn new(n: usize, row_bytes: usize, k: usize, d: usize) -> Option<Self> {
        let most = (n * row_bytes / (SHARE * k * d * size_of::<R>())).min(MOST);
        let fits = k > 1 && most >= LEAST && SHARE * k * size_of::<R>() <= row_bytes;
        fits.then(|| Self { most, vectors: Vec::new(), bases: Vec::new(), today: 0 })
    }

    /// Takes in the centres of today. Where there are as many bases as may be, the one that the fewest rows refer to goes
    /// (`of_rows` is that of each row): it is [`today`](Self::today) now, and these rows have to be read.
    pub fn take_in<'a>(
        &mut self,
        centers: &Centers<R>,
        of_rows: impl Iterator<Item = &'a u8>,
        control: &Control,
    ) -> Result<()> {
        let (k, d) = (centers.k, centers.d);
        if self.bases.len() < self.most {
            self.today = self.bases.len();
            self.bases.push(Basis::default());
            room::reserve(&mut self.vectors, k * d, "centres of an iteration")?;
            self.vectors.resize(self.bases.len() * k * d, R::ZERO);
        } else {
            let mut counts = [0; 1 + NONE as usize];
            of_rows.for_each(|&basis| counts[basis as usize] += 1);
            self.today = (0..self.most).min_by_key(|&basis| counts[basis]).expect("at least one");
        }
        let own = self.today * k * d..(self.today + 1) * k * d;
        for (vector, center) in zip(self.vectors[own.clone()].chunks_mut(d), centers.values.chunks(d)) {
            zip(vector, zip(center, &centers.origin)).for_each(|(to, (c, p))| *to = R::of(c - p)); // as in the products
        }
        let with = &self.vectors[own];
        let mut products = room::zeros(self.bases.len() * k * k, "products of centres")?;
        let block = |rows: std::ops::Range<usize>, out: &mut [f64]| {
            dispatch(Products { rows: &self.vectors[rows.start * d..rows.end * d], with, d, out });
        };
        control.expect((self.bases.len() * k) as u64);
        pass(self.bases.len() * k, k, control, &mut products, block, |()| ())?;

        let gram = products[self.today * k * k..][..k * k].to_vec();
        let precision = (CHUNK / LANES + LANES + d.div_ceil(CHUNK) + 8) as f64 * 1.2e-16;
        self.bases[self.today].span(&gram, precision, k);
        for (basis, products) in zip(&mut self.bases, products.chunks(k * k)) {
            basis.relate(products, &gram, centers);
        }
        Ok(())
    }

    /// The length of the part of a row across the span of today's centres, from above; `dots` are its products with them,
    /// `size` is |x| from above, `factor` what the row is to be multiplied by.
    pub fn across(&self, centers: &Centers<R>, dots: &[R], size: f64, factor: f64) -> f32 {
        let (basis, reach) = (&self.bases[self.today], centers.reach(size));
        let mut within = 0.0;
        for direction in basis.directions.chunks(centers.k) {
            let (mut sum, mut error) = (0.0, 0.0);
            for ((part, dot), length) in zip(zip(direction, dots), &basis.lengths) {
                sum += part * factor * dot.f64();
                error += part.abs() * (centers.error * reach * length + centers.underflow * factor);
            }
            within += (sum.abs() - error).max(0.0).powi(2);
        }
        let whole = centers.whole(size);
        above((whole * whole - within * (1.0 - basis.skew)).max(0.0).sqrt())
    }

    /// Whether a row is nearest to centre `own` for certain.
    #[allow(clippy::too_many_arguments)]
    pub fn certain(
        &self,
        centers: &Centers<R>,
        basis: u8,
        own: usize,
        dots: &[R],
        across: f32,
        size: f64,
        factor: f64,
    ) -> bool {
        let (basis, k, reach) = (&self.bases[basis as usize], centers.k, centers.reach(size));
        let score = |c: usize| {
            let within = zip(&basis.alpha[c * k..][..k], dots).map(|(alpha, dot)| alpha * dot.f64()).sum::<f64>();
            centers.half[c] - factor * within
        };
        let least = score(own);
        (0..k).all(|c| {
            let at = own * k + c;
            let error = f64::from(across) * basis.rest[at] + reach * basis.error[at] + factor * basis.underflow[at];
            let lengths = [c, own].map(|c| centers.length[c] * centers.length[c]);
            c == own || score(c) - least > error + 1e-14 * (lengths[0] + lengths[1])
        })
    }
}

impl Basis {
    /// Finds orthonormal directions from the products of the centres with each other, which err by `precision`.
    fn span(&mut self, gram: &[f64], precision: f64, k: usize) {
        self.lengths = (0..k).map(|c| gram[c * k + c].sqrt()).collect();
        self.directions.clear();
        let mut stretch = 1.0f64;
        let gram = Mat::from_fn(k, k, |a, c| 0.5 * (gram[a * k + c] + gram[c * k + a]));
        if let Ok(eigen) = gram.self_adjoint_eigen(Side::Lower) {
            let (values, vectors) = (eigen.S().column_vector(), eigen.U());
            for i in (0..k).filter(|&i| values[i] > SMALL * values[k - 1]) {
                let direction = Vec::from_iter((0..k).map(|c| vectors[(c, i)] / values[i].sqrt()));
                stretch = stretch.max(zip(&direction, &self.lengths).map(|(part, length)| part.abs() * length).sum());
                self.directions.extend(direction);
            }
        }
        self.skew = 4.0 * k as f64 * precision * stretch * stretch;
    }

    /// Expresses the centres of today by those of the basis, from their products with those of the basis (centre of the basis × k) and
    /// with each other.
    fn relate<R: Real>(&mut self, products: &[f64], gram: &[f64], centers: &Centers<R>) {
        let k = centers.k;
        let rank = self.directions.len() / k;
        let mut within = vec![0.0; k * rank];
        self.alpha = vec![0.0; k * k];
        for c in 0..k {
            for (i, direction) in self.directions.chunks(k).enumerate() {
                let part: f64 = (0..k).map(|j| direction[j] * products[j * k + c]).sum();
                within[c * rank + i] = part;
                zip(&mut self.alpha[c * k..][..k], direction).for_each(|(alpha, x)| *alpha += part * x);
            }
        }
        for values in [&mut self.rest, &mut self.error, &mut self.underflow] {
            values.resize(k * k, 0.0);
        }
        for a in 0..k {
            for c in 0..k {
                let part = |i: usize| within[c * rank + i] - within[a * rank + i];
                let square = gram[a * k + a] + gram[c * k + c] - gram[a * k + c] - gram[c * k + a];
                let across = square - (0..rank).map(|i| part(i) * part(i)).sum::<f64>();
                let both = centers.length[a] + centers.length[c];
                let (mut of_dots, mut of_sums, mut parts) = (0.0, 0.0, 0.0);
                for j in 0..k {
                    let (alpha, beta) = (self.alpha[a * k + j], self.alpha[c * k + j]);
                    of_dots += (beta - alpha).abs() * self.lengths[j];
                    of_sums += (beta.abs() + alpha.abs()) * self.lengths[j];
                    parts += (beta - alpha).abs();
                }
                let at = a * k + c;
                self.rest[at] = (across.max(0.0) + 4.0 * self.skew * both * both).sqrt();
                self.error[at] = centers.error * of_dots + 1e-14 * of_sums + (self.skew + centers.rounding) * both;
                self.underflow[at] = centers.underflow * parts;
            }
        }
    }
}

/// Products of some rows (m × d) with k others, m × k.
struct Products<'a, R> {
    rows: &'a [R],
    with: &'a [R],
    d: usize,
    out: &'a mut [f64],
}

impl<R: Real> WithSimd for Products<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let k = self.with.len() / self.d;
        let (mut row64, mut with64) = ([0.0; CHUNK], vec![0.0; k * CHUNK]);
        for chunk in tiles(self.d, CHUNK) {
            for (with64, with) in zip(with64.chunks_exact_mut(CHUNK), self.with.chunks(self.d)) {
                zip(with64, &with[chunk.clone()]).for_each(|(to, x)| *to = x.f64());
            }
            for (row, out) in zip(self.rows.chunks(self.d), self.out.chunks_mut(k)) {
                zip(&mut row64, &row[chunk.clone()]).for_each(|(to, x)| *to = x.f64());
                for (with64, out) in zip(with64.chunks_exact(CHUNK), out) {
                    *out += dot(&row64[..chunk.len()], &with64[..chunk.len()]);
                }
            }
        }
    }
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (mut rows, mut others) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in (&mut rows).zip(&mut others) {
        for l in 0..LANES {
            sums[l] += a[l] * b[l];
        }
    }
    for (l, (a, b)) in zip(rows.remainder(), others.remainder()).enumerate() {
        sums[l] += a * b;
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::super::parameters::Metric;
    use super::super::rows::WeightedRows;
    use super::super::update::scaled;
    use super::*;
    use crate::Rows;
    use crate::engine::simd::Pixel;
    use crate::engine::tiles::project;

    /// Numbers from -1 to 1 without a pattern, the same in every run (xorshift).
    fn noise(count: usize) -> Vec<f64> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Of rows in the span of k centres and along how these move, those that are certain, and those that are right.
    fn certain<T: Pixel + Into<f64>>(of: impl Fn(f64) -> T, metric: Metric, along: f64, across: f64) -> (usize, usize) {
        let (n, d, k) = (400, 100, 3);
        let random = noise(2 * k * d + n * (k + 2));
        let start = Vec::from_iter(random[..k * d].iter().map(|x| 3.0 + x));
        let moves = &random[k * d..2 * k * d];
        let moved = Vec::from_iter((0..k * d).map(|at| {
            let (c, j) = (at / d, at % d);
            start[at] + along * (start[(c + 1) % k * d + j] - start[at]) + across * moves[at]
        }));
        let row = |shares: &[f64], j: usize| {
            let total: f64 = shares[..k].iter().map(|x| x.abs() + 0.1).sum();
            let inside: f64 = (0..k).map(|c| (shares[c].abs() + 0.1) / total * start[c * d + j]).sum();
            let which = (((shares[k] + 1.0) * 1.5) as usize).min(k - 1);
            inside + 0.8 * shares[k + 1] * moves[which * d + j]
        };
        let shares = &random[2 * k * d..];
        let x = Vec::from_iter((0..n * d).map(|at| of(row(&shares[at / d * (k + 2)..], at % d))));
        let x = WeightedRows::new(Rows::from_slice(&x, n, d), metric, None, &Control::new()).unwrap();
        let mut scratch = Vec::new();
        let block = x.rows.block(0..n, &mut scratch);
        let square = |center: &[f64], i: usize| {
            let factor = x.factor(i);
            zip(block.row(i), center).map(|(&x, c)| (factor * x.into() - c) * (factor * x.into() - c)).sum::<f64>()
        };
        let nearest = |values: &[f64], i: usize| {
            let all = values.chunks(d).map(|center| square(center, i)).enumerate();
            all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
        };
        let before = Centers::new(&x, scaled(&start, d, metric));
        let after = Centers::around(&x, &before.origin, scaled(&moved, d, metric));
        let mut bases = Bases { most: 2, vectors: Vec::new(), bases: Vec::new(), today: 0 };
        bases.take_in(&before, [].iter(), &Control::new()).unwrap();
        let mut dots = vec![T::Real::ZERO; n * k];
        project(block, &before.offset, &before.q, &mut dots);
        let sizes = Vec::from_iter((0..n).map(|i| f64::from(above(square(&before.origin, i).sqrt()))));
        let dots = |i: usize| &dots[i * k..(i + 1) * k];
        let parts = Vec::from_iter((0..n).map(|i| bases.across(&before, dots(i), sizes[i], x.factor(i))));
        bases.take_in(&after, [].iter(), &Control::new()).unwrap();
        let (mut certain, mut right) = (0, 0);
        for i in 0..n {
            let own = nearest(&before.values, i);
            if bases.certain(&after, 0, own, dots(i), parts[i], sizes[i], x.factor(i)) {
                certain += 1;
                right += usize::from(nearest(&after.values, i) == own);
            }
        }
        (certain, right)
    }

    #[test]
    fn what_is_certain_is_true() {
        for metric in [Metric::Euclidean, Metric::Cosine] {
            for (along, across) in [(0.0, 0.02), (0.1, 0.1), (-0.2, 0.3), (0.5, 0.5), (0.05, 0.0), (0.0, 0.7)] {
                for (certain, right) in [
                    certain(|x| x as f32, metric, along, across),
                    certain(|x| x, metric, along, across),
                    certain(|x| (x * 20.0) as u8, metric, along, across),
                ] {
                    assert_eq!(certain, right, "{metric:?}, centres moved {along} along each other, {across} across");
                }
            }
        }
    }

    #[test]
    fn rows_need_not_be_read_for_centres_that_move_along_each_other() {
        // By as much as a quarter of their distances, which no triangle inequality would bear.
        let (certain, _) = certain(|x| x as f32, Metric::Euclidean, 0.25, 0.0);
        assert!(certain > 150, "{certain} of 400");
    }
}
