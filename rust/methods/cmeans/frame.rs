//! How rows are centred and scaled in the arithmetic, so that 32-bit floats lose no digits to a mean or a unit.

use crate::engine::simd::Real;

/// Variances of which the squared distances stay far from the ends of 32-bit floats, and from the least distance that counts.
const NEAR_ONE: std::ops::Range<f64> = 0.25..65536.0;

/// How rows are centred and scaled in the arithmetic.
pub struct Frame {
    /// Of every feature.
    pub offset: Vec<f64>,
    /// Of every feature.
    pub factor: Vec<f64>,
}

impl Frame {
    /// The frame in which `variance` is one: that of each feature; or that of all together, up to a power of two, where it is
    /// far from one.
    pub fn new<R: Real>(center: &[f64], variance: &[f64], each: bool) -> Self {
        let whole = variance.iter().sum::<f64>() / variance.len() as f64;
        let factor = |&v: &f64| match if each { v } else { whole } {
            v if v > 0.0 && each => v.sqrt().recip(),
            v if v > 0.0 && !NEAR_ONE.contains(&v) => (-v.sqrt().log2().round()).exp2(),
            _ => 1.0,
        };
        // Of denormal numbers the reciprocal is more than an `f32` holds.
        let rounded = |x: f64| if size_of::<R>() == 4 { R::of(x.min(1e38)).f64() } else { x };
        Self {
            offset: center.iter().map(|&x| rounded(x)).collect(),
            factor: variance.iter().map(|v| rounded(factor(v))).collect(),
        }
    }

    /// The frame that clusters alone determine.
    pub fn of_clusters<R: Real>(centers: &[f64], covariances: Option<&[f64]>, d: usize) -> Self {
        let k = (centers.len() / d) as f64;
        let mean = |of: &dyn Fn(usize) -> f64, j: usize| (0..k as usize).map(|c| of(c * d + j)).sum::<f64>() / k;
        let center = Vec::from_iter((0..d).map(|j| mean(&|at| centers[at], j)));
        let spread = |j: usize| match covariances {
            Some(covariances) => mean(&|at| covariances[at * d + at % d], j),
            None => mean(&|at| (centers[at] - center[j]).powi(2), j),
        };
        let variance = Vec::from_iter((0..d).map(spread));
        Self::new::<R>(&center, &variance, covariances.is_some())
    }

    /// Centres as they count in the arithmetic.
    pub fn inward<R: Real>(&self, centers: &[f64]) -> Vec<f64> {
        let d = self.offset.len();
        let each = centers.iter().enumerate();
        each.map(|(at, x)| R::of((x - self.offset[at % d]) * self.factor[at % d]).f64()).collect()
    }

    /// The reverse.
    pub fn outward(&self, centers: &[f64]) -> Vec<f64> {
        let d = self.offset.len();
        centers.iter().enumerate().map(|(at, x)| x / self.factor[at % d] + self.offset[at % d]).collect()
    }

    /// A squared distance in the arithmetic over the true one.
    pub fn unit(&self, covariances: bool) -> f64 {
        let square = if covariances {
            self.factor.iter().map(|f| f.ln()).sum::<f64>() * 2.0 / self.factor.len() as f64
        } else {
            2.0 * self.factor[0].ln()
        };
        square.exp()
    }
}
