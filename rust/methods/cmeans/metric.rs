//! The distances of Gustafson & Kessel: what a cluster's covariance F says of how far a row is.
//!
//! d² = (x - v)ᵀ A (x - v) with A = (ρ det F)^(1/p) F⁻¹ is the squared length of W (x - v), where W is the inverse of the
//! Cholesky factor of F times (ρ det F)^(1/2p). A covariance that is too flat is conditioned (Babuška, van der Veen & Kaymak 2002):
//! eigenvalues below the largest over β are raised to it.

use crate::engine::eigen::eigen;
use crate::{Control, Result};
use faer::Mat;

/// Largest ratio and smallest size of the eigenvalues of a covariance that the arithmetic can tell from rounding.
pub fn limits<R>() -> (f64, f64) {
    if size_of::<R>() == 4 { (1e6, 1e-14) } else { (1e15, 1e-30) }
}

/// What a covariance comes to.
pub struct Metric {
    /// d × d, conditioned where it had to be.
    pub covariance: Vec<f64>,
    /// W, lower triangular, d × d.
    pub whitening: Vec<f64>,
    /// Whether eigenvalues were raised.
    pub conditioned: bool,
}

impl Metric {
    /// The metric of a symmetric `covariance`, whose eigenvalues below the largest over `beta`, or below `least`, are raised.
    pub fn new(mut covariance: Vec<f64>, d: usize, rho: f64, beta: f64, least: f64, control: &Control) -> Result<Self> {
        if let Some(mut inverse) = inverse_factor(&covariance, d) {
            // The trace bounds the largest eigenvalue, the squares of the inverse factor that of the inverse.
            let trace: f64 = (0..d).map(|j| covariance[j * d + j]).sum();
            let squares: f64 = inverse.iter().map(|x| x * x).sum();
            if trace * squares <= beta && squares * least <= 1.0 {
                let ln_det = -2.0 * (0..d).map(|j| inverse[j * d + j].ln()).sum::<f64>();
                scale(&mut inverse, d, rho, ln_det);
                return Ok(Self { covariance, whitening: inverse, conditioned: false });
            }
        }
        let pairs = eigen(Mat::from_fn(d, d, |i, j| covariance[i * d + j]), control)?;
        let floor = least.max(pairs.values[0] / beta);
        let conditioned = pairs.values[d - 1] < floor;
        let values = Vec::from_iter(pairs.values.iter().map(|x| x.max(floor)));
        let vectors = &pairs.vectors;
        if conditioned {
            for (i, j) in (0..d).flat_map(|i| (0..d).map(move |j| (i, j))) {
                covariance[i * d + j] = (0..d).map(|l| vectors[(i, l)] * values[l] * vectors[(j, l)]).sum();
            }
        }
        // R of the eigenvectors over the roots, features in reverse: reversed again a lower triangle of the same lengths.
        let r = Mat::from_fn(d, d, |l, j| vectors[(d - 1 - j, l)] / values[l].sqrt()).qr();
        let r = r.thin_R();
        let mut whitening = vec![0.0; d * d];
        for (i, j) in (0..d).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            whitening[i * d + j] = r[(d - 1 - i, d - 1 - j)];
        }
        scale(&mut whitening, d, rho, values.iter().map(|x| x.ln()).sum());
        Ok(Self { covariance, whitening, conditioned })
    }
}

/// Times (ρ det)^(1/2p).
fn scale(whitening: &mut [f64], d: usize, rho: f64, ln_det: f64) {
    let factor = ((rho.ln() + ln_det) / (2 * d) as f64).exp();
    whitening.iter_mut().for_each(|x| *x *= factor);
}

/// The inverse of the Cholesky factor, None where there is none.
fn inverse_factor(matrix: &[f64], d: usize) -> Option<Vec<f64>> {
    let mut factor = vec![0.0; d * d];
    let mut inverse = vec![0.0; d * d];
    for i in 0..d {
        for j in 0..=i {
            let dot: f64 = factor[i * d..i * d + j].iter().zip(&factor[j * d..]).map(|(a, b)| a * b).sum();
            let remainder = matrix[i * d + j] - dot;
            if i == j && remainder <= f64::MIN_POSITIVE {
                return None;
            }
            factor[i * d + j] = if i == j { remainder.sqrt() } else { remainder / factor[j * d + j] };
        }
        let pivot = factor[i * d + i].recip();
        let (above, row) = inverse.split_at_mut(i * d);
        for (l, above) in above.chunks_exact(d).enumerate() {
            let by = factor[i * d + l] * pivot;
            row[..=l].iter_mut().zip(above).for_each(|(x, a)| *x -= by * a);
        }
        row[i] = pivot;
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squared(w: &[f64], z: &[f64]) -> f64 {
        w.chunks(z.len()).map(|w| w.iter().zip(z).map(|(w, z)| w * z).sum::<f64>().powi(2)).sum()
    }

    #[test]
    fn distances_are_those_of_the_inverse_scaled_to_the_determinant() {
        let f = vec![4.0, 1.0, 1.0, 2.0]; // det 7, inverse (2 -1 -1 4) / 7
        for beta in [1e15, 5.0, 1.5] {
            let metric = Metric::new(f.clone(), 2, 3.0, beta, 0.0, &Control::new()).unwrap();
            assert_eq!(metric.conditioned, beta < 3.0);
            let (root, f) =
                (metric.covariance[0] * metric.covariance[3] - metric.covariance[1].powi(2), &metric.covariance);
            let expected = (3.0 * root).sqrt() * (f[3] * 0.49 - 2.0 * f[1] * 0.7 * -1.3 + f[0] * 1.69) / root;
            assert!((squared(&metric.whitening, &[0.7, -1.3]) / expected - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_flat_or_empty_covariance_is_raised_to_one_that_can_be_inverted() {
        for f in [vec![1.0, 1.0, 1.0, 1.0], vec![0.0; 4], vec![1.0, 0.0, 0.0, 0.0]] {
            let metric = Metric::new(f, 2, 1.0, 1e6, 1e-14, &Control::new()).unwrap();
            assert!(metric.conditioned && metric.whitening.iter().all(|x| x.is_finite()));
            assert!(squared(&metric.whitening, &[1.0, 2.0]) > 0.0);
        }
    }
}
