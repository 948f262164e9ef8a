//! What is kept of each window's spectrum, formed while it is in cache: averages and cuts, all as weighted sums.

use crate::{Error, Result};

/// What is kept of a window's spectrum, averages being formed before the scale is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// Everything: ky = 0, 1, .. -1 and kx = 0..=N/2.
    None,
    /// Mean over the full plane's frequencies of radius r - 1/2 <= |k| < r + 1/2, for r = 0..=N/2.
    Radial,
    /// Frequencies |ky| <= r and 0 <= kx <= r: ky = 0..=r, -r..=-1.
    Crop(usize),
    /// Means over b × b frequencies about each multiple of b (for even b the outermost count half): the shape of the
    /// spectrum of a window of N / b.
    Bin(usize),
}

impl Reduce {
    /// Values along ky and kx that are kept of windows of side `n` (radial: 1 and the radii).
    pub fn shape(self, n: usize) -> Result<(usize, usize)> {
        Ok(match self {
            Self::None => (n, n / 2 + 1),
            Self::Radial => (1, n / 2 + 1),
            Self::Crop(r) => (crop(r, n)?, r + 1),
            Self::Bin(b) => (bins(b, n)?, n / b / 2 + 1),
        })
    }
}

/// Values of an axis of `n` frequencies within `r` of zero.
pub fn crop(r: usize, n: usize) -> Result<usize> {
    if r >= 1 && r <= (n - 1) / 2 {
        return Ok(2 * r + 1);
    }
    let message = format!("radius {r} is out of range; give 1 to {} for window {n}", (n - 1) / 2);
    Err(Error::invalid("reduce", message))
}

/// Bins of `b` of an axis of `n` frequencies.
pub fn bins(b: usize, n: usize) -> Result<usize> {
    if b >= 1 && n.is_multiple_of(b) {
        return Ok(n / b);
    }
    let divisors = Vec::from_iter((1..=n).filter(|&b| n.is_multiple_of(b)).map(|b| b.to_string()));
    let message = format!("window {n} cannot be binned by {b}; give one of {}", divisors.join(", "));
    Err(Error::invalid("reduce", message))
}

/// Weighted sums of a spectrum's values.
pub struct Reduction {
    /// Where the terms of each sum start; the last entry is their number.
    starts: Vec<usize>,
    /// Index into the half plane, and weight.
    terms: Vec<(u32, f32)>,
}

impl Reduction {
    /// For windows of side `n`; none if everything is kept.
    pub fn new(n: usize, reduce: Reduce) -> Option<Self> {
        let width = n / 2 + 1;
        // Of the full plane: ky and kx may be negative.
        let index = |ky: isize, kx: isize| {
            let (ky, kx) = (ky.rem_euclid(n as isize) as usize, kx.rem_euclid(n as isize) as usize);
            let (ky, kx) = if kx < width { (ky, kx) } else { ((n - ky) % n, n - kx) };
            (ky * width + kx) as u32
        };
        let (low, high) = (-(((n - 1) / 2) as isize), (n / 2) as isize);
        let sums: Vec<Vec<(u32, f32)>> = match reduce {
            Reduce::None => return None,
            Reduce::Crop(r) => {
                let r = r as isize;
                (0..=r).chain(-r..0).flat_map(|ky| (0..=r).map(move |kx| vec![(index(ky, kx), 1.0)])).collect()
            }
            Reduce::Bin(b) => {
                let (count, b) = ((n / b) as isize, b as isize);
                let weights = Vec::from_iter((-(b / 2)..=b / 2).map(|d| {
                    let edge = b % 2 == 0 && d.abs() == b / 2;
                    (d, if edge { 0.5 } else { 1.0 } / b as f32)
                }));
                let around = |j: isize, i: isize| {
                    let row = |&(dy, wy)| weights.iter().map(move |&(dx, wx)| (index(j * b + dy, i * b + dx), wy * wx));
                    weights.iter().flat_map(row).collect()
                };
                (0..count).flat_map(|j| (0..=count / 2).map(move |i| (j, i))).map(|(j, i)| around(j, i)).collect()
            }
            Reduce::Radial => {
                let mut rings = vec![Vec::new(); width];
                for (ky, kx) in (low..=high).flat_map(|ky| (low..=high).map(move |kx| (ky, kx))) {
                    let radius = ((ky * ky + kx * kx) as f64).sqrt().round() as usize;
                    if radius < width {
                        rings[radius].push(index(ky, kx));
                    }
                }
                let mean = |ring: Vec<u32>| {
                    let weight = 1.0 / ring.len() as f32;
                    ring.into_iter().map(|i| (i, weight)).collect()
                };
                rings.into_iter().map(mean).collect()
            }
        };
        Some(Self::of(sums))
    }

    /// From the terms of each sum: index into the half of the spectrum that is stored, and weight.
    pub fn of(sums: impl IntoIterator<Item = Vec<(u32, f32)>>) -> Self {
        let mut reduction = Self { starts: vec![0], terms: Vec::new() };
        for mut sum in sums {
            // A frequency and its mirror image share a place there.
            sum.sort_by_key(|&(i, _)| i);
            sum.dedup_by(|a, b| {
                a.0 == b.0 && {
                    b.1 += a.1;
                    true
                }
            });
            reduction.terms.extend(sum);
            reduction.starts.push(reduction.terms.len());
        }
        reduction
    }

    /// Reduce one window's `power` into `out`.
    pub fn apply(&self, power: &[f32], out: &mut [f32]) {
        for (out, bounds) in out.iter_mut().zip(self.starts.windows(2)) {
            let mut sums = [0.0; 4];
            for chunk in self.terms[bounds[0]..bounds[1]].chunks(4) {
                for (sum, &(i, weight)) in sums.iter_mut().zip(chunk) {
                    *sum += f64::from(power[i as usize] * weight);
                }
            }
            *out = sums.iter().sum::<f64>() as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Powers of a half plane as the full plane has them: ky and kx may be negative.
    fn at(power: &[f32], n: usize, ky: isize, kx: isize) -> f64 {
        let m = n as isize;
        let (ky, kx) = (ky.rem_euclid(m), kx.rem_euclid(m));
        let (ky, kx) = if kx <= m / 2 { (ky, kx) } else { ((m - ky) % m, m - kx) };
        f64::from(power[(ky * (m / 2 + 1) + kx) as usize])
    }

    fn reduced(power: &[f32], n: usize, reduce: Reduce) -> Vec<f32> {
        let (ky, kx) = reduce.shape(n).unwrap();
        let mut out = vec![0.0; ky * kx];
        Reduction::new(n, reduce).unwrap().apply(power, &mut out);
        out
    }

    fn symmetric(n: usize) -> Vec<f32> {
        let width = n / 2 + 1;
        let value =
            |ky: usize, kx: usize| if (2 * kx).is_multiple_of(n) { ky.min((n - ky) % n) } else { ky } * 7 % 11 + kx;
        (0..n * width).map(|i| value(i / width, i % width) as f32).collect()
    }

    #[test]
    fn binning_keeps_the_mean_of_the_full_plane() {
        for (n, b) in [(12, 3), (12, 4), (15, 5), (9, 9), (16, 1), (16, 16)] {
            let (power, m) = (symmetric(n), n / b);
            let binned = reduced(&power, n, Reduce::Bin(b));
            let mean = |power: &[f32], n: usize| {
                let n = n as isize;
                let all = (0..n).flat_map(|ky| (0..n).map(move |kx| (ky, kx)));
                all.map(|(ky, kx)| at(power, n as usize, ky, kx)).sum::<f64>() / (n * n) as f64
            };
            assert!((mean(&power, n) - mean(&binned, m)).abs() < 1e-5 * mean(&power, n), "{n} by {b}");
        }
    }

    #[test]
    fn a_crop_keeps_the_values_about_zero() {
        let (n, r) = (11, 3);
        let (power, cropped) = (symmetric(n), reduced(&symmetric(n), n, Reduce::Crop(r)));
        for (i, x) in cropped.iter().enumerate() {
            let (ky, kx) = ((i / (r + 1)) as isize, (i % (r + 1)) as isize);
            let ky = if ky > r as isize { ky - (2 * r + 1) as isize } else { ky };
            assert_eq!(f64::from(*x), at(&power, n, ky, kx));
        }
    }

    #[test]
    fn a_radius_holds_the_mean_of_its_ring() {
        for n in [12isize, 13] {
            let power = symmetric(n as usize);
            let radial = reduced(&power, n as usize, Reduce::Radial);
            for (r, x) in radial.iter().enumerate() {
                let (mut sum, mut count) = (0.0, 0.0);
                for (ky, kx) in (-(n - 1) / 2..=n / 2).flat_map(|ky| (-(n - 1) / 2..=n / 2).map(move |kx| (ky, kx))) {
                    let k = ((ky * ky + kx * kx) as f64).sqrt();
                    if r as f64 - 0.5 <= k && k < r as f64 + 0.5 {
                        (sum, count) = (sum + at(&power, n as usize, ky, kx), count + 1.0);
                    }
                }
                assert!((f64::from(*x) - sum / count).abs() <= 1e-5 * (sum / count), "{n}: radius {r}");
            }
        }
    }
}
