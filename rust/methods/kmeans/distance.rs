//! The squared distance of a row to a centre, and sums of squares, in f64 and in an order that no machine changes.

use crate::engine::simd::{Pixel, Simd, WithSimd};

/// Sums side by side: enough for every instruction set, and the same for each, so that all give the same bits.
const LANES: usize = 32;

/// Σ v² in a fixed order.
#[inline(always)]
pub fn sum_squares(values: impl Iterator<Item = f64>) -> f64 {
    let mut sums = [0.0; LANES];
    let mut lane = 0;
    for v in values {
        sums[lane] += v * v;
        lane = (lane + 1) % LANES;
    }
    sums.iter().sum()
}

/// Σ (f x − c)².
pub struct Distance<'a, T> {
    pub x: &'a [T],
    pub factor: f64,
    pub center: &'a [f64],
}

impl<T: Pixel + Into<f64>> WithSimd for Distance<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut sums = [0.0; LANES];
        let whole = self.x.len() / LANES * LANES;
        for (x, c) in self.x.chunks_exact(LANES).zip(self.center.chunks_exact(LANES)) {
            for l in 0..LANES {
                let step = self.factor * x[l].into() - c[l];
                sums[l] += step * step;
            }
        }
        for (l, (&x, c)) in self.x[whole..].iter().zip(&self.center[whole..]).enumerate() {
            let step = self.factor * x.into() - c;
            sums[l] += step * step;
        }
        // Those beyond the features are zero.
        sums[..self.x.len().min(LANES)].iter().sum()
    }
}

/// A little above `x`, or 0.
pub fn above(x: f64) -> f32 {
    if x == 0.0 { 0.0 } else { (x * (1.0 + 1e-6)) as f32 + f32::MIN_POSITIVE }
}

/// Whether `T` is one of the integer types.
pub fn is_integer<T: 'static>() -> bool {
    use std::any::TypeId;
    ![TypeId::of::<f32>(), TypeId::of::<f64>()].contains(&TypeId::of::<T>())
}

/// Scales to length 1; false, and nothing done, where there is none.
pub fn unit(center: &mut [f64]) -> bool {
    let length = sum_squares(center.iter().copied()).sqrt();
    if length > 0.0 {
        center.iter_mut().for_each(|x| *x /= length);
    }
    length > 0.0
}
