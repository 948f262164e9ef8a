//! Correlation of the circular patch around a point with itself, turned or reflected.
//!
//! The patch is sampled on rings of radius ρ = 1..patch at equal angles θ, bilinearly, as f(ρ, θ), less its mean with
//! weights ρ. With F_ρ(k) the transform of a ring over the angle, P(k) = Σ_ρ ρ |F_ρ(k)|² and Q(k) = Σ_ρ ρ F_ρ(k)², the
//! correlation with the patch turned by Δ is Σ_k P(k) cos kΔ / Σ_k P(k), and with the patch reflected in the line at the
//! angle α it is Re Σ_k Q(k) exp(2ikα) / Σ_k P(k). The mean over the turns by 2πj / n, j = 1..n-1, keeps the k that are
//! multiples of n: (n Σ_{n | k} P(k) - Σ P) / ((n - 1) Σ P). Two rings share a complex transform: with Z = F₁ + iF₂,
//! |F₁(k)|² + |F₂(k)|² = (|Z(k)|² + |Z(-k)|²) / 2 and F₁(k)² + F₂(k)² = Z(k) Z(-k)*.
//!
//! Cost of a point: 4 pixels for each of the samples, patch / 2 transforms over the angle, one sum over k a plane.

use crate::engine::pass;
use crate::engine::simd::Pixel;
use crate::methods::symmetry::image::{CONSTANT, Level, grid, rows_of};
use crate::{Control, Error, Result};
use ndarray::ArrayView2;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::ops::Range;
use std::sync::Arc;

/// Which turns and reflections are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turns {
    /// Radius of the patch in pixels.
    pub patch: usize,
    /// Distance of neighbouring points in pixels.
    pub stride: usize,
    /// Orders n of the axes: a score each.
    pub folds: Vec<usize>,
    /// Mirror lines, at the angles π j / `planes` from the x axis, counted towards smaller y: a score each.
    pub planes: usize,
}

/// Orders beyond this would be told apart by no ring of a patch that anyone has.
const MOST_FOLD: usize = 60;
/// Mirror lines beyond these are nearer to each other than a degree.
const MOST_PLANES: usize = 360;
/// Rows of points a block.
const BLOCK: usize = 4;

impl Turns {
    /// Points along y and x, and values of a point; fails where the settings do not fit the image.
    pub fn shape(&self, shape: (usize, usize)) -> Result<[usize; 3]> {
        if self.patch < 2 {
            return Err(Error::invalid("patch", format!("{} is too small; give at least 2 pixels", self.patch)));
        }
        if self.patch > shape.0.max(shape.1) {
            let message = format!("{} is larger than the image of {} x {} pixels", self.patch, shape.0, shape.1);
            return Err(Error::invalid("patch", message));
        }
        if let Some(n) = self.folds.iter().find(|n| !(2..=MOST_FOLD).contains(n)) {
            return Err(Error::invalid("folds", format!("{n} is no order of an axis; give 2 to {MOST_FOLD}")));
        }
        if self.planes > MOST_PLANES {
            let message = format!("{} are too many; give at most {MOST_PLANES}", self.planes);
            return Err(Error::invalid("planes", message));
        }
        if self.folds.is_empty() && self.planes == 0 {
            return Err(Error::invalid("folds", "neither axes nor planes; give at least one"));
        }
        let (ny, nx) = grid(shape, self.patch, self.stride)?;
        Ok([ny, nx, self.folds.len() + self.planes])
    }
}

/// Scores of all points of `image`, whose values must be finite, into `output` of [`Turns::shape`]: axes, then planes.
///
/// ```
/// use emcore::Control;
/// use emcore::methods::symmetry::{Turns, turns};
/// use ndarray::Array2;
///
/// // Around the middle of a cross, a quarter turn and the mirror lines along and across change nothing.
/// let image = Array2::from_shape_fn((41, 41), |(y, x)| if (y == 20) != (x == 20) { 9u8 } else { 0 });
/// let settings = Turns { patch: 20, stride: 1, folds: vec![4, 3], planes: 2 };
/// let mut scores = vec![0.0; 4];
/// turns(image.view(), &settings, &Control::new(), &mut scores)?;
/// assert!((scores[0] - 1.0).abs() < 1e-5 && scores[1] < 0.5);
/// assert!((scores[2] - 1.0).abs() < 1e-5 && (scores[3] - 1.0).abs() < 1e-5);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn turns<T: Pixel + Into<f64>>(
    image: ArrayView2<'_, T>,
    settings: &Turns,
    control: &Control,
    output: &mut [f32],
) -> Result<()> {
    let [ny, nx, values] = settings.shape(image.dim())?;
    if output.len() != ny * nx * values {
        let message = format!("{} values; {ny} x {nx} x {values} are needed", output.len());
        return Err(Error::invalid("output", message));
    }
    let level = Level::of(image, control)?;
    let rings = Rings::new(settings, image.ncols());
    control.expect(ny as u64);
    let block = |points: Range<usize>, out: &mut [f32]| {
        let mut work = rings.work();
        let mut wide = Vec::new();
        for (iy, out) in points.zip(out.chunks_mut(nx * values)) {
            let first = iy * settings.stride;
            rows_of(image, first..first + 2 * settings.patch + 1, level, &mut wide);
            work.image.clear();
            work.image.extend(wide.iter().map(|&value| value as f32));
            for (ix, out) in out.chunks_mut(values).enumerate() {
                if control.check().is_err() {
                    return;
                }
                rings.score(ix * settings.stride, &mut work, out);
            }
        }
    };
    pass::pass(ny, BLOCK, control, output, block, |()| ())
}

/// A sample between four pixels: the place of the first, and the weights of all.
struct Sample {
    place: usize,
    weights: [f32; 4],
}

/// What all points share.
struct Rings {
    width: usize,
    /// Of all rings one after another, relative to the patch's first pixel.
    samples: Vec<Sample>,
    angles: usize,
    /// √ρ of each ring, and Σ ρ.
    roots: Vec<f32>,
    weight: f64,
    fft: Arc<dyn Fft<f32>>,
    folds: Vec<usize>,
    /// exp(2ikα) of each plane.
    planes: Vec<Vec<Complex<f32>>>,
    /// Sum of P below which a patch is constant.
    least: f64,
}

/// What one thread uses again for every point.
struct Work {
    image: Vec<f32>,
    values: Vec<f32>,
    ring: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<f32>,
    squares: Vec<Complex<f32>>,
}

/// As many angles as the outermost ring has pixels, at least; a multiple of 12, so that turns by whole samples are those
/// of the common axes, without a prime factor beyond 5.
fn angles(patch: usize) -> usize {
    let least = (2.0 * PI * patch as f64 / 12.0).ceil() as usize;
    let smooth = |mut n: usize| {
        for p in [2, 3, 5] {
            while n.is_multiple_of(p) {
                n /= p;
            }
        }
        n == 1
    };
    12 * (least..).find(|&n| smooth(n)).expect("a power of two")
}

impl Rings {
    fn new(settings: &Turns, width: usize) -> Self {
        let (patch, angles) = (settings.patch, angles(settings.patch));
        let mut samples = Vec::with_capacity(patch * angles);
        for radius in 1..=patch {
            for j in 0..angles {
                let (sin, cos) = sin_cos(j, angles);
                let (y, x) = (patch as f64 - radius as f64 * sin, patch as f64 + radius as f64 * cos);
                let (top, left) = ((y as usize).min(2 * patch - 1), (x as usize).min(2 * patch - 1));
                let (v, u) = (y - top as f64, x - left as f64);
                let weights = [(1.0 - v) * (1.0 - u), (1.0 - v) * u, v * (1.0 - u), v * u].map(|w| w as f32);
                samples.push(Sample { place: top * width + left, weights });
            }
        }
        let turned = |plane: usize| {
            let factor = |k: usize| {
                // 2kα = 2π k j / planes
                let angle = 2.0 * PI * ((k * plane) % settings.planes) as f64 / settings.planes as f64;
                Complex::new(angle.cos() as f32, angle.sin() as f32)
            };
            // Frequencies above the half are negative.
            let signed = |k: usize| if 2 * k > angles { factor(angles - k).conj() } else { factor(k) };
            Vec::from_iter((0..angles).map(signed))
        };
        let weight = (1..=patch).sum::<usize>() as f64;
        Self {
            width,
            samples,
            angles,
            roots: (1..=patch).map(|radius| (radius as f32).sqrt()).collect(),
            weight,
            fft: FftPlanner::new().plan_fft_forward(angles),
            folds: settings.folds.clone(),
            planes: (0..settings.planes).map(turned).collect(),
            // By Parseval: angles times the weighted sum of squares.
            least: CONSTANT * weight * (angles * angles) as f64,
        }
    }

    fn work(&self) -> Work {
        let zeros = |n| vec![Complex::new(0.0, 0.0); n];
        Work {
            image: Vec::new(),
            values: vec![0.0; self.samples.len()],
            ring: zeros(self.angles),
            scratch: zeros(self.fft.get_inplace_scratch_len()),
            power: vec![0.0; self.angles],
            squares: zeros(self.angles),
        }
    }

    /// Scores of the point whose patch starts at column `left`.
    fn score(&self, left: usize, work: &mut Work, out: &mut [f32]) {
        let n = self.angles;
        let mut mean = 0.0;
        for ((samples, values), root) in self.samples.chunks(n).zip(work.values.chunks_mut(n)).zip(&self.roots) {
            let mut sum = 0.0;
            for (sample, value) in samples.iter().zip(values) {
                let at = sample.place + left;
                let (upper, lower) = (&work.image[at..at + 2], &work.image[at + self.width..at + self.width + 2]);
                let [a, b, c, d] = sample.weights;
                *value = a * upper[0] + b * upper[1] + c * lower[0] + d * lower[1];
                sum += f64::from(*value);
            }
            mean += sum * f64::from(root * root);
        }
        let mean = (mean / (n as f64 * self.weight)) as f32;
        work.power.fill(0.0);
        work.squares.fill(Complex::new(0.0, 0.0));
        for (values, roots) in work.values.chunks(2 * n).zip(self.roots.chunks(2)) {
            let (first, second) = values.split_at(n);
            let weighted = |ring: &[f32], root: f32, j: usize| (ring[j] - mean) * root;
            for (j, z) in work.ring.iter_mut().enumerate() {
                let odd = if second.is_empty() { 0.0 } else { weighted(second, roots[1], j) };
                *z = Complex::new(weighted(first, roots[0], j), odd);
            }
            self.fft.process_with_scratch(&mut work.ring, &mut work.scratch);
            for k in 0..n {
                let (z, mirrored) = (work.ring[k], work.ring[(n - k) % n]);
                work.power[k] += 0.5 * (z.norm_sqr() + mirrored.norm_sqr());
                work.squares[k] += z * mirrored.conj();
            }
        }
        let total: f64 = work.power.iter().map(|&p| f64::from(p)).sum();
        if total <= self.least {
            out.fill(0.0);
            return;
        }
        let (axes, planes) = out.split_at_mut(self.folds.len());
        for (out, &fold) in axes.iter_mut().zip(&self.folds) {
            // Of both signs of k, whether or not the number of angles is a multiple of the order.
            let frequency = |k: usize| k.min(n - k);
            let kept = (0..n).filter(|&k| frequency(k).is_multiple_of(fold));
            let sum: f64 = kept.map(|k| f64::from(work.power[k])).sum();
            let fold = fold as f64;
            *out = ((fold * sum - total) / ((fold - 1.0) * total)).clamp(-1.0, 1.0) as f32;
        }
        for (out, factors) in planes.iter_mut().zip(&self.planes) {
            let products = work.squares.iter().zip(factors);
            let sum: f64 = products.map(|(q, f)| f64::from(q.re * f.re - q.im * f.im)).sum();
            *out = (sum / total).clamp(-1.0, 1.0) as f32;
        }
    }
}

/// Sine and cosine of 2πj / n, the same to the last bit for angles that a quarter turn or a mirror makes of each other.
fn sin_cos(j: usize, n: usize) -> (f64, f64) {
    let quarter = n / 4;
    let (turn, rest) = (j / quarter, j % quarter);
    let at = |i: usize| (2.0 * PI * i as f64 / n as f64).sin();
    let (sin, cos) = (at(rest), at(quarter - rest));
    match turn {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}
