//! The centres as products need them: relative to a fixed point amid the data, packed, with what products can err by.

use super::sums::SegmentSums;
use crate::engine::aligned::Aligned;
use crate::engine::room;
use crate::engine::rows::Rows;
use crate::engine::simd::{Pixel, Real};
use crate::methods::kmeans::{above, is_integer, rounding, sum_squares};

/// Rows whose mean is the fixed point.
const SAMPLE: usize = 256;

/// k centres in channels and places.
pub struct Centers<R> {
    pub d: usize,
    /// Values of a packed centre: d and zeros, whole lines.
    pub stride: usize,
    /// The fixed point p, as exact in the type of the arithmetic as it is here.
    pub origin: Vec<f64>,
    pub offset: Vec<R>,
    /// Means, k × d.
    pub values: Vec<f64>,
    /// c − p, k × stride.
    pub packed: Aligned<R>,
    /// |c − p|² and |c − p|.
    pub squares: Vec<f64>,
    pub lengths: Vec<f64>,
    /// Places (y, x).
    pub places: Vec<[f64; 2]>,
    pub windows: Vec<Window>,
    /// How far each centre moved last, in the distance of the iteration, a little widened.
    pub drift: Vec<f32>,
    /// What the channels' part of a distance is multiplied by: 1, or what SLICO makes of it.
    pub factors: Vec<f64>,
    /// What a squared distance in places counts.
    pub weight: f64,
    shape: (usize, usize),
    reach: [f64; 2],
    /// A product errs by at most this times (|x − p| + `rounded`) |c − p|, plus `underflow`.
    error: f64,
    underflow: f64,
    rounded: f64,
}

/// The positions that a centre may claim: `y.0 <= y < y.1`, and x likewise. Empty for a centre that never had any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub y: (usize, usize),
    pub x: (usize, usize),
}

impl Window {
    #[inline(always)]
    pub fn covers(&self, y: usize, x: usize) -> bool {
        self.y.0 <= y && y < self.y.1 && self.x.0 <= x && x < self.x.1
    }

    #[inline(always)]
    pub fn meets(&self, other: &Self) -> bool {
        self.y.0 < other.y.1 && other.y.0 < self.y.1 && self.x.0 < other.x.1 && other.x.0 < self.x.1
    }

    /// The squared distance of the nearest of its positions from a place.
    #[inline(always)]
    pub fn square_to(&self, place: [f64; 2]) -> f64 {
        let beyond = |(low, high): (usize, usize), at: f64| (low as f64 - at).max(at - (high as f64 - 1.0)).max(0.0);
        beyond(self.y, place[0]).powi(2) + beyond(self.x, place[1]).powi(2)
    }
}

impl<R: Real> Centers<R> {
    /// Centres at the seeds, of which the channels are not known yet; `used` are the positions that count.
    pub fn start<T: Pixel<Real = R> + Into<f64>>(
        rows: &Rows<'_, T>,
        seeds: &[[f64; 2]],
        shape: (usize, usize),
        reach: [f64; 2],
        used: &[usize],
    ) -> Self {
        let (d, k) = (rows.d(), seeds.len());
        let stride = d.next_multiple_of(R::LINE);
        let mut origin = vec![0.0; d];
        let sample = used.len().min(SAMPLE);
        let mut scratch = Vec::new();
        for i in 0..sample {
            let at = used[i * used.len() / sample];
            for (sum, &x) in origin.iter_mut().zip(rows.block(at..at + 1, &mut scratch).row(0)) {
                *sum += x.into() / sample as f64;
            }
        }
        // Rounded so that both arithmetics subtract the same; whole numbers lose nothing when they are subtracted.
        let whole = |x: f64| if is_integer::<T>() { x.round() } else { x };
        let offset = Vec::from_iter(origin.iter().map(|&x| R::of(whole(x))));
        let origin = Vec::from_iter(offset.iter().map(|x| x.f64()));
        let norm = sum_squares(origin.iter().copied()).sqrt();
        let (error, underflow) = rounding::<R>(d);
        let mut centers = Self {
            d,
            stride,
            offset,
            values: room::zeros_or_unwind(k * d, "centres"),
            packed: Aligned::new(k * stride),
            squares: vec![0.0; k],
            lengths: vec![0.0; k],
            places: seeds.to_vec(),
            windows: Vec::new(),
            drift: vec![0.0; k],
            factors: vec![1.0; k],
            weight: 1.0,
            shape,
            reach,
            error,
            underflow,
            rounded: if is_integer::<T>() && size_of::<T>() == 4 { norm } else { 0.0 },
            origin,
        };
        centers.windows = (0..k).map(|c| centers.window(c)).collect();
        centers
    }

    pub fn k(&self) -> usize {
        self.places.len()
    }

    /// By how much the squared distance in channels to centre `c` may err for a position at this distance from p.
    #[inline(always)]
    pub fn error_of(&self, c: usize, size: f64) -> f64 {
        let length = self.lengths[c];
        2.0 * (length * (self.error * (size + self.rounded) + 1e-14 * length) + self.underflow)
    }

    /// The means of `sums`; a label without positions stays where it was. `adaptive` is m² C σ².
    pub fn advance(&mut self, sums: &SegmentSums, adaptive: Option<f64>) {
        for c in 0..self.k() {
            let count = sums.counts[c] as f64;
            if count == 0.0 {
                if self.squares[c] == 0.0 {
                    self.windows[c] = Window { y: (0, 0), x: (0, 0) };
                }
                self.drift[c] = 0.0;
                continue;
            }
            let values = &mut self.values[c * self.d..][..self.d];
            let mut moved = 0.0;
            for (value, sum) in values.iter_mut().zip(&sums.values[c * self.d..]) {
                let step = sum / count - *value;
                moved += step * step;
                *value += step;
            }
            let relative = |j: usize| values[j] - self.origin[j];
            self.squares[c] = sum_squares((0..self.d).map(relative));
            self.lengths[c] = self.squares[c].sqrt();
            for (j, packed) in self.packed[c * self.stride..][..self.d].iter_mut().enumerate() {
                *packed = R::of(relative(j));
            }
            let place = [0, 1].map(|axis| sums.places[c][axis] as f64 / count);
            let step = [0, 1].map(|axis| place[axis] - self.places[c][axis]);
            self.places[c] = place;
            self.drift[c] = above((moved + self.weight * (step[0] * step[0] + step[1] * step[1])).sqrt());
            self.windows[c] = self.window(c);
            if let Some(scale) = adaptive
                && sums.largest[c] > 0.0
            {
                self.factors[c] = scale / sums.largest[c];
            }
        }
    }

    fn window(&self, c: usize) -> Window {
        let along = |axis: usize, size: usize| {
            let (place, reach) = (self.places[c][axis], self.reach[axis]);
            ((place - reach).max(0.0) as usize, ((place + reach + 1.0) as usize).min(size))
        };
        Window { y: along(0, self.shape.0), x: along(1, self.shape.1) }
    }
}
