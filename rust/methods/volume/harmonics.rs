//! Real spherical harmonics fitted to each shell of a spectrum: what angular structure has it at each distance from zero?
//!
//! `f(k) ≈ Σ_lm a_lm(r) Y_lm(k / |k|)` by least squares over the frequencies with r - 1/2 <= |k| < r + 1/2: the
//! frequencies of a shell are few and uneven where r is small, so that plain sums would mix the degrees. A spectrum is
//! symmetric through zero, so that all l are even. `C_l(r) = Σ_m a_lm(r)²` does not change when the volume turns. A shell
//! has the degrees for which it has two independent frequencies a coefficient, evenly enough; those beyond are zero.
//!
//! The frequencies of the half space are gathered for as many windows at a time as make whole registers, a window in each
//! lane; then the fit is `G⁻¹ (Yᵀ f)`, the product by registers, in `f64` beyond some hundred frequencies.

use crate::engine::aligned::Aligned;
use crate::engine::room;
use crate::engine::simd::{Real, Simd, WithSimd, dispatch};
use crate::methods::volume::layout::pitch;
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use std::f64::consts::PI;

/// Windows whose spectra are fitted together.
pub const BATCH: usize = 16;
/// The largest degree.
pub const MOST: usize = 20;
/// Coefficients of which sums are formed together: registers that no machine is short of.
const TOGETHER: usize = 12;
/// A coefficient may vary by so many times what it would vary by if as many frequencies lay evenly over the sphere.
const UNCERTAIN: f64 = 4.0;
/// Frequencies that are added in `f32`.
const CHUNK: usize = 128;

/// Coefficients of even degrees up to `degree`.
pub fn count(degree: usize) -> usize {
    (degree + 1) * (degree + 2) / 2
}

/// How the spectra of windows of one size are fitted.
pub struct Harmonics {
    degree: usize,
    shells: Vec<Shell>,
    /// Where the frequencies of all shells are stored.
    places: Vec<u32>,
}

struct Shell {
    /// Its frequencies among all.
    start: usize,
    end: usize,
    /// For each [`TOGETHER`] coefficients, their values at each frequency.
    values: Vec<f32>,
    /// How many coefficients it has.
    k: usize,
    /// The inverse of the Gram matrix.
    inverse: Vec<f64>,
}

/// What one thread uses again.
pub struct Work {
    /// The values of a frequency in all windows, for each frequency.
    gathered: Aligned<f32>,
    /// For each coefficient of a shell, sums in all windows.
    sums: Vec<[f64; BATCH]>,
    /// For each shell and coefficient, what it is in all windows.
    coefficients: Vec<[f64; BATCH]>,
}

impl Default for Work {
    fn default() -> Self {
        Self { gathered: Aligned::new(0), sums: Vec::new(), coefficients: Vec::new() }
    }
}

impl Harmonics {
    pub fn new(n: usize, degree: usize) -> Self {
        let m = n as isize;
        let mut frequencies = vec![Vec::new(); n / 2 + 1];
        for (z, y) in (0..m).flat_map(|z| (0..m).map(move |y| (z, y))) {
            for x in 0..=m / 2 {
                let signed = |k: isize| if 2 * k > m { k - m } else { k };
                let k = [signed(z), signed(y), x].map(|k| k as f64);
                let length = k.iter().map(|k| k * k).sum::<f64>().sqrt();
                let shell = length.round() as usize;
                // n / 2 and -n / 2 are one frequency, of no direction.
                let known = [z, y, x].iter().all(|k| 2 * k != m);
                if known && (1..=n / 2).contains(&shell) {
                    // Those with kx = 0 stand there with their mirror images, the others without.
                    let weight = if x == 0 { 1.0 } else { 2.0 };
                    let place = ((z * m + y) as usize * pitch(n) + x as usize) as u32;
                    frequencies[shell].push((place, k.map(|k| k / length), weight));
                }
            }
        }
        let mut places = Vec::new();
        let mut shell = |frequencies: Vec<(u32, [f64; 3], f64)>| {
            let total = frequencies.iter().map(|(_, _, weight)| weight).sum::<f64>();
            let enough = |l: &usize| 4.0 * count(*l) as f64 <= total;
            let most = (0..=degree).step_by(2).take_while(enough).last().unwrap_or(0);
            let start = places.len();
            places.extend(frequencies.iter().map(|(place, _, _)| *place));
            let k = count(most);
            let basis = Basis::new(most);
            let mut values = room::zeros_or_unwind(k * frequencies.len(), "harmonics of all frequencies");
            let mut gram = vec![0.0; k * k];
            for (row, (_, direction, weight)) in values.chunks_mut(k).zip(&frequencies) {
                basis.values(*direction, row);
                for (i, sums) in gram.chunks_mut(k).enumerate() {
                    let weighted = weight * row[i];
                    sums[..=i].iter_mut().zip(&*row).for_each(|(sum, b)| *sum += weighted * b);
                }
            }
            let inverse = (0..=most).rev().filter(|l| l.is_multiple_of(2)).find_map(|l| {
                let gram = Mat::from_fn(count(l), count(l), |i, j| gram[i.max(j) * k + i.min(j)]);
                let inverse = gram.llt(Side::Lower).ok()?.inverse();
                (0..count(l)).all(|i| inverse[(i, i)] <= UNCERTAIN * 4.0 * PI / total).then_some(inverse)
            });
            let inverse = inverse.expect("a mean of at least one value");
            let (rows, k) = (k, inverse.nrows());
            let inverse = (0..k * k).map(|i| inverse[(i / k, i % k)]).collect();
            let mut packed = room::zeros_or_unwind(
                k.div_ceil(TOGETHER) * TOGETHER * frequencies.len(),
                "harmonics of all frequencies",
            );
            for (i, (row, (_, _, weight))) in values.chunks(rows).zip(&frequencies).enumerate() {
                for (c, value) in row[..k].iter().enumerate() {
                    packed[(c / TOGETHER * frequencies.len() + i) * TOGETHER + c % TOGETHER] = (value * weight) as f32;
                }
            }
            Shell { start, end: start + frequencies.len(), values: packed, k, inverse }
        };
        let shells = frequencies.into_iter().skip(1).map(&mut shell).collect();
        Self { degree, shells, places }
    }

    pub fn work(&self) -> Work {
        let zeros = |n| vec![[0.0; BATCH]; n];
        Work {
            gathered: Aligned::new(BATCH * self.places.len()),
            sums: zeros(count(self.degree).next_multiple_of(TOGETHER)),
            coefficients: zeros(self.shells.iter().map(|shell| shell.k).sum()),
        }
    }

    /// Take the spectrum of window `lane` of a batch in.
    pub fn gather(&self, power: &[f32], lane: usize, work: &mut Work) {
        for (&place, out) in self.places.iter().zip(work.gathered.as_chunks_mut::<BATCH>().0) {
            out[lane] = power[place as usize];
        }
    }

    /// Coefficients of each shell, of the first `windows` that were gathered.
    pub fn transform(&self, windows: usize, work: &mut Work) {
        let Work { gathered, sums, coefficients } = work;
        let mut coefficients = coefficients.as_mut_slice();
        for shell in &self.shells {
            let gathered = &gathered[shell.start * BATCH..shell.end * BATCH];
            let products = shell.values.chunks((shell.end - shell.start) * TOGETHER);
            for (values, sums) in products.zip(sums.chunks_mut(TOGETHER)) {
                dispatch(Products { values, gathered, windows, sums });
            }
            let (out, others) = coefficients.split_at_mut(shell.k);
            dispatch(Solve { inverse: &shell.inverse, sums: &sums[..shell.k], out });
            coefficients = others;
        }
    }

    /// The coefficients of window `lane` of a batch, or the sums of their squares in each degree, for each shell.
    pub fn coefficients(&self, lane: usize, squared: bool, work: &Work, out: &mut [f32]) {
        let mut coefficients = work.coefficients.iter().map(|lanes| lanes[lane]);
        let width = if squared { self.degree / 2 + 1 } else { count(self.degree) };
        out.fill(0.0);
        for (shell, out) in self.shells.iter().zip(out.chunks_mut(width)) {
            let mut degree = 0;
            for (i, value) in coefficients.by_ref().take(shell.k).enumerate() {
                if i >= count(degree) {
                    degree += 2;
                }
                if squared {
                    out[degree / 2] += (value * value) as f32;
                } else {
                    out[i] = value as f32;
                }
            }
        }
    }
}

/// Real spherical harmonics of even degrees: what makes them orthonormal.
struct Basis {
    degree: usize,
    /// √((2l + 1) / 4π · (l - m)! / (l + m)!), times √2 for m > 0, for each even l and m = 0..=l, `degree + 1` apart.
    norms: Vec<f64>,
}

impl Basis {
    fn new(degree: usize) -> Self {
        let norm = |l: usize, m: usize| {
            let factorials: f64 = (l - m + 1..=l + m).map(|i| 1.0 / i as f64).product();
            ((2 * l + 1) as f64 / (4.0 * PI) * factorials * if m > 0 { 2.0 } else { 1.0 }).sqrt()
        };
        let of_degree = |l: usize| (0..=degree).map(move |m| if m <= l { norm(l, m) } else { 0.0 });
        Self { degree, norms: (0..=degree).step_by(2).flat_map(of_degree).collect() }
    }

    /// Their values in a direction (z, y, x): for each degree m = -l..=l, those of sines first.
    fn values(&self, [z, y, x]: [f64; 3], values: &mut [f64]) {
        // (sin θ)^m cos mφ and (sin θ)^m sin mφ, and P_mm / (sin θ)^m: nothing has a pole.
        let (mut cos, mut sin, mut diagonal) = (1.0, 0.0, 1.0);
        for m in 0..=self.degree {
            let (mut before, mut legendre) = (0.0, diagonal);
            for l in m..=self.degree {
                if l > m {
                    let next = ((2 * l - 1) as f64 * z * legendre - (l + m - 1) as f64 * before) / (l - m) as f64;
                    (before, legendre) = (legendre, next);
                }
                if l.is_multiple_of(2) {
                    let value = self.norms[l / 2 * (self.degree + 1) + m] * legendre;
                    let middle = l * (l + 1) / 2;
                    values[middle + m] = value * cos;
                    if m > 0 {
                        values[middle - m] = value * sin;
                    }
                }
            }
            (cos, sin) = (x * cos - y * sin, x * sin + y * cos);
            diagonal *= (2 * m + 1) as f64;
        }
    }
}

/// `sums[c][window] = Σ_i values[i][c] gathered[i][window]`.
struct Products<'a> {
    values: &'a [f32],
    gathered: &'a [f32],
    windows: usize,
    sums: &'a mut [[f64; BATCH]],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, gathered, windows, sums } = self;
        for first in (0..windows).step_by(S::F32_LANES) {
            for sums in &mut *sums {
                sums[first..][..S::F32_LANES].fill(0.0);
            }
            for (values, gathered) in values.chunks(CHUNK * TOGETHER).zip(gathered.chunks(CHUNK * BATCH)) {
                let mut total = [simd.splat_f32s(0.0); TOGETHER];
                for (values, gathered) in values.as_chunks::<TOGETHER>().0.iter().zip(gathered.as_chunks::<BATCH>().0) {
                    let x = f32::load(simd, &gathered[first..]);
                    for (total, &value) in total.iter_mut().zip(values) {
                        *total = simd.mul_add_e_f32s(simd.splat_f32s(value), x, *total);
                    }
                }
                for (sums, total) in sums.iter_mut().zip(total) {
                    let mut lanes = [0.0; BATCH];
                    f32::store(simd, &mut lanes, total);
                    for (sum, lane) in sums[first..][..S::F32_LANES].iter_mut().zip(lanes) {
                        *sum += f64::from(lane);
                    }
                }
            }
        }
    }
}

/// `out[i][window] = Σ_j inverse[i][j] sums[j][window]`.
struct Solve<'a> {
    inverse: &'a [f64],
    sums: &'a [[f64; BATCH]],
    out: &'a mut [[f64; BATCH]],
}

impl WithSimd for Solve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, row) in self.out.iter_mut().zip(self.inverse.chunks(self.sums.len())) {
            let mut total = [0.0; BATCH];
            for (factor, sums) in row.iter().zip(self.sums) {
                total.iter_mut().zip(sums).for_each(|(total, sum)| *total += factor * sum);
            }
            *out = total;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_of_every_window_have_a_fit() {
        for n in 8..=16 {
            let harmonics = Harmonics::new(n, MOST);
            assert_eq!(harmonics.shells.len(), n / 2);
            for shell in &harmonics.shells {
                assert!((0..shell.k).all(|i| shell.inverse[i * shell.k + i] < 4.0), "window {n}");
            }
        }
    }

    #[test]
    fn harmonics_are_orthonormal_and_their_squares_add_to_a_constant() {
        // Gauss-Legendre would be exact; points of equal area come near.
        let (n, degree) = (10_000, 8);
        let golden = PI * (3.0 - 5f64.sqrt());
        let k = count(degree);
        let (basis, mut values) = (Basis::new(degree), vec![0.0; k]);
        let mut gram = vec![0.0; k * k];
        for i in 0..n {
            let z = 1.0 - (2 * i + 1) as f64 / n as f64;
            let (sin, cos) = (golden * i as f64).sin_cos();
            let r = (1.0 - z * z).sqrt();
            basis.values([z, r * sin, r * cos], &mut values);
            for (a, row) in values.iter().zip(gram.chunks_mut(k)) {
                row.iter_mut().zip(&values).for_each(|(sum, b)| *sum += 4.0 * PI / n as f64 * a * b);
            }
            for l in (0..=degree).step_by(2) {
                let start = if l == 0 { 0 } else { count(l - 2) };
                let squares: f64 = values[start..count(l)].iter().map(|v| v * v).sum();
                assert!((squares - (2 * l + 1) as f64 / (4.0 * PI)).abs() < 1e-9, "degree {l}");
            }
        }
        for (i, row) in gram.chunks(k).enumerate() {
            for (j, value) in row.iter().enumerate() {
                assert!((value - f64::from(i == j)).abs() < 1e-2, "{i} and {j}: {value}");
            }
        }
    }
}
