//! The distances of one position to the centres of its tile, from products of their rows.

use super::centers::Centers;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd};
use crate::methods::kmeans::Distance;

/// Properties of the chosen centres, one value for each in every list.
#[derive(Default)]
pub struct Measure {
    chosen: Vec<u32>,
    squares: Vec<f64>,
    factors: Vec<f64>,
    /// A squared distance errs by at most the first plus |x − p| times the second.
    errors: [Vec<f64>; 2],
    places: [Vec<f64>; 2],
    /// First and last position of the window along y, then x.
    windows: [Vec<f64>; 4],
    weight: f64,
    /// Squared distances of one position: to every centre, and infinite where its window does not cover the position.
    all: Vec<f64>,
    near: Vec<f64>,
    off: Vec<f64>,
}

/// A position.
pub struct Position<'a, T> {
    pub row: &'a [T],
    pub y: usize,
    pub x: usize,
    /// |x − p|².
    pub square: f64,
}

/// The nearest of the chosen centres.
pub struct Nearest {
    pub label: u32,
    /// The squared distance to its centre is at most that, the one in channels alone about that.
    pub above: f64,
    pub channels: f64,
    /// To every other of the chosen centres it is at least that; below zero where nothing is certain.
    pub below: f64,
}

impl Measure {
    /// For these centres.
    pub fn choose<R: Real>(&mut self, centers: &Centers<R>, chosen: &[u32]) {
        self.weight = centers.weight;
        self.chosen.clear();
        self.chosen.extend_from_slice(chosen);
        let per = |values: &mut Vec<f64>, of: &dyn Fn(usize) -> f64| {
            values.clear();
            values.extend(chosen.iter().map(|&c| of(c as usize)));
        };
        per(&mut self.squares, &|c| centers.squares[c]);
        per(&mut self.factors, &|c| centers.factors[c]);
        per(&mut self.errors[0], &|c| centers.factors[c] * centers.error_of(c, 0.0));
        per(&mut self.errors[1], &|c| centers.factors[c] * (centers.error_of(c, 1.0) - centers.error_of(c, 0.0)));
        for axis in [0, 1] {
            per(&mut self.places[axis], &|c| centers.places[c][axis]);
        }
        per(&mut self.windows[0], &|c| centers.windows[c].y.0 as f64);
        per(&mut self.windows[1], &|c| centers.windows[c].y.1 as f64 - 1.0);
        per(&mut self.windows[2], &|c| centers.windows[c].x.0 as f64);
        per(&mut self.windows[3], &|c| centers.windows[c].x.1 as f64 - 1.0);
        for values in [&mut self.all, &mut self.near, &mut self.off] {
            values.resize(chosen.len(), 0.0);
        }
    }

    /// The nearest of the chosen centres whose window covers the position, from its products with all of them.
    #[inline(always)]
    pub fn nearest<S: Simd, T: Pixel + Into<f64>>(
        &mut self,
        simd: S,
        centers: &Centers<T::Real>,
        position: &Position<'_, T>,
        dots: &[T::Real],
    ) -> Option<Nearest> {
        self.fill(position, dots);
        let n = self.chosen.len();
        let mut least = f64::INFINITY;
        for &square in &self.near[..n] {
            least = if square < least { square } else { least };
        }
        let finite = self.all[..n].iter().fold(0.0, |sum, x| sum + x * 0.0) == 0.0;
        if least == f64::INFINITY && finite {
            return None;
        }
        let mut best = self.near[..n].iter().position(|&square| square == least).unwrap_or(0);
        let limit = self.near[best] + self.off[best];
        let close = self.near[..n].iter().zip(&self.off).filter(|&(square, off)| square - off <= limit).count();
        if close > 1 || !finite {
            best = self.decide(simd, centers, position, limit, finite)?;
        }
        let mut below = f64::INFINITY;
        for c in 0..n {
            let square = self.all[c] - self.off[c];
            below = if c != best && square < below { square } else { below };
        }
        let above = self.near[best] + self.off[best];
        let from = position.square + self.squares[best] - 2.0 * dots[best].f64();
        Some(Nearest {
            label: self.chosen[best],
            above: if finite { above.max(0.0) } else { f64::INFINITY },
            channels: from.max(0.0),
            below: if finite { below } else { -1.0 },
        })
    }

    #[inline(always)]
    fn fill<T: Pixel>(&mut self, position: &Position<'_, T>, dots: &[T::Real]) {
        let n = self.chosen.len();
        let (y, x, square) = (position.y as f64, position.x as f64, position.square);
        let (size, rounding) = (square.sqrt(), 1e-14 * square);
        let [py, px] = [&self.places[0][..n], &self.places[1][..n]];
        let [y0, y1, x0, x1] = [0, 1, 2, 3].map(|edge| &self.windows[edge][..n]);
        let (squares, factors) = (&self.squares[..n], &self.factors[..n]);
        let [fixed, growing] = [&self.errors[0][..n], &self.errors[1][..n]];
        let (all, near, off, dots) = (&mut self.all[..n], &mut self.near[..n], &mut self.off[..n], &dots[..n]);
        for c in 0..n {
            let (dy, dx) = (y - py[c], x - px[c]);
            let channels = square + squares[c] - 2.0 * dots[c].f64();
            all[c] = channels * factors[c] + self.weight * (dy * dy + dx * dx);
            let covers = (y >= y0[c]) & (y <= y1[c]) & (x >= x0[c]) & (x <= x1[c]);
            near[c] = if covers { all[c] } else { f64::INFINITY };
            off[c] = fixed[c] + growing[c] * size + rounding * factors[c];
        }
    }

    /// By f64 distances, of those that may be nearest.
    #[inline(always)]
    fn decide<S: Simd, T: Pixel + Into<f64>>(
        &self,
        simd: S,
        centers: &Centers<T::Real>,
        position: &Position<'_, T>,
        limit: f64,
        finite: bool,
    ) -> Option<usize> {
        let mut best = None;
        let mut least = f64::INFINITY;
        for (i, &c) in self.chosen.iter().enumerate() {
            let c = c as usize;
            if !centers.windows[c].covers(position.y, position.x) || (finite && self.near[i] - self.off[i] > limit) {
                continue;
            }
            let center = &centers.values[c * centers.d..][..centers.d];
            let square = Distance { x: position.row, factor: 1.0, center }.with_simd(simd);
            let (dy, dx) = (position.y as f64 - centers.places[c][0], position.x as f64 - centers.places[c][1]);
            let square = square * centers.factors[c] + centers.weight * (dy * dy + dx * dx);
            if square < least || best.is_none() {
                (best, least) = (Some(i), square);
            }
        }
        best
    }
}
