//! Correlation of the circular patch around a point with itself, turned or reflected.
//!
//! The patch is sampled on rings of radius ρ = 1..patch at equal angles θ, bilinearly, as f(ρ, θ), less its mean with
//! weights ρ. With F_ρ(k) the transform of a ring over the angle, P(k) = Σ_ρ ρ |F_ρ(k)|² and Q(k) = Σ_ρ ρ F_ρ(k)², the
//! correlation with the patch turned by Δ is Σ_k P(k) cos kΔ / Σ_k P(k), and with the patch reflected in the line at the
//! angle α it is Re Σ_k Q(k) exp(2ikα) / Σ_k P(k). The mean over the turns by 2πj / n, j = 1..n-1, keeps the k that are
//! multiples of n: (n Σ_{n | k} P(k) - Σ P) / ((n - 1) Σ P). Two rings share a complex transform: with Z = F₁ + iF₂,
//! |F₁(k)|² + |F₂(k)|² = (|Z(k)|² + |Z(-k)|²) / 2 and F₁(k)² + F₂(k)² = Z(k) Z(-k)*. The mean changes F_ρ(0) alone, and is
//! subtracted there.
//!
//! Every lane of a register is another point of a row of points: what they have at the same place of their patches lies
//! side by side in [`Strided`]. Cost of a point: 4 pixels for each of the samples, patch / 2 transforms over the angle, one
//! sum over k a plane.

use crate::engine::aligned::Aligned;
use crate::engine::pass;
use crate::engine::room;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::methods::fft::{LINE, Transform, Z};
use crate::methods::symmetry::image::{CONSTANT, Level, check_output, grid, rows_of};
use crate::{Control, Error, Result};
use ndarray::ArrayView2;
use rustfft::num_complex::Complex;
use std::f64::consts::PI;
use std::ops::Range;

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
    let shape = settings.shape(image.dim())?;
    check_output(output, shape)?;
    let [ny, nx, _] = shape;
    let level = Level::of(image, control)?;
    let rings = Rings::new(settings, nx);
    control.expect(ny as u64);
    let block = |points: Range<usize>, out: &mut [f32]| {
        let image = Strided::new(image, settings, level, points, nx);
        dispatch(Scores { rings: &rings, image: &image, nx, control, out });
    };
    pass::pass(ny, BLOCK, control, output, block, |()| ())
}

/// Rows of the image that patches of a block of points reach: column `stride * q + r` of a row stands at `r * length + q`, so
/// that what neighbouring points have at the same place of their patches lies side by side.
pub(super) struct Strided(Vec<f32>);

/// Values of a row of [`Strided`] for each r: zeros follow where registers reach beyond the last point.
fn length(settings: &Turns, nx: usize) -> usize {
    nx.next_multiple_of(LINE) + 2 * settings.patch / settings.stride
}

/// Rows from one row of points to the next, and columns: what lies between patches is left out.
fn step(settings: &Turns) -> usize {
    settings.stride.min(2 * settings.patch + 1)
}

impl Strided {
    pub(super) fn new<T: Pixel + Into<f64>>(
        image: ArrayView2<'_, T>,
        settings: &Turns,
        level: Level,
        points: Range<usize>,
        nx: usize,
    ) -> Self {
        let (&Turns { patch, stride, .. }, length, step) = (settings, length(settings, nx), step(settings));
        let height = (points.len() - 1) * step + 2 * patch + 1;
        let mut values = room::zeros_or_unwind(height * step * length, "rows of an image");
        let mut row = Vec::new();
        for (i, values) in values.chunks_exact_mut(step * length).enumerate() {
            let y = (points.start + i / step) * stride + i % step;
            rows_of(image, y..y + 1, level, &mut row);
            row.truncate((nx - 1) * stride + 2 * patch + 1);
            for (r, values) in values.chunks_exact_mut(length).enumerate() {
                values.iter_mut().zip(row.iter().skip(r).step_by(stride)).for_each(|(to, &x)| *to = x as f32);
            }
        }
        Self(values)
    }
}

/// A sample between four pixels, of which those below are a row further on: places of the left and the right one, and the
/// weights of all times the root of the radius.
#[derive(Clone, Copy)]
struct Sample {
    left: usize,
    right: usize,
    weights: [f32; 4],
}

/// What all points share.
pub(super) struct Rings {
    /// Of all rings one after another, relative to the first row and point of a register.
    samples: Vec<Sample>,
    angles: usize,
    /// √ρ of each ring; 0 of one more where they are odd in number, all of whose weights are 0.
    roots: Vec<f32>,
    weight: f64,
    /// Values from a row of the image to the next, and from one row of points to the next.
    steps: (usize, usize),
    /// Place of the middle of the patch.
    middle: usize,
    transform: Transform,
    folds: Vec<usize>,
    /// exp(2ikα) of each plane for k = 0..=angles / 2, times how many of k and -k there are.
    planes: Vec<Vec<Complex<f32>>>,
    /// Sum of P below which a patch is constant.
    least: f64,
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
    pub(super) fn new(settings: &Turns, nx: usize) -> Self {
        let (patch, stride, angles) = (settings.patch, settings.stride, angles(settings.patch));
        let (length, step) = (length(settings, nx), step(settings));
        let place = |y: usize, x: usize| (y * step + x % stride) * length + x / stride;
        let sample = |radius: usize, j: usize| {
            let (sin, cos) = sin_cos(j, angles);
            let (y, x) = (patch as f64 - radius as f64 * sin, patch as f64 + radius as f64 * cos);
            let (top, left) = ((y as usize).min(2 * patch - 1), (x as usize).min(2 * patch - 1));
            let (v, u) = (y - top as f64, x - left as f64);
            let root = if radius > patch { 0.0 } else { (radius as f64).sqrt() };
            let weights = [(1.0 - v) * (1.0 - u), (1.0 - v) * u, v * (1.0 - u), v * u].map(|w| (w * root) as f32);
            Sample { left: place(top, left), right: place(top, left + 1), weights }
        };
        let factor = |plane: usize, k: usize| {
            // 2kα = 2π k j / planes
            let angle = 2.0 * PI * ((k * plane) % settings.planes) as f64 / settings.planes as f64;
            let often = if k == 0 || 2 * k == angles { 1.0 } else { 2.0 };
            Complex::new((often * angle.cos()) as f32, (often * angle.sin()) as f32)
        };
        let even = patch.next_multiple_of(2);
        let weight = (1..=patch).sum::<usize>() as f64;
        Self {
            samples: (1..=even)
                .flat_map(|radius| (0..angles).map(move |j| (radius, j)))
                .map(|(r, j)| sample(r, j))
                .collect(),
            angles,
            roots: (1..=even).map(|radius| if radius > patch { 0.0 } else { (radius as f32).sqrt() }).collect(),
            weight,
            steps: (step * length, step * step * length),
            middle: place(patch, patch),
            transform: Transform::new(angles),
            folds: settings.folds.clone(),
            planes: (0..settings.planes).map(|plane| (0..=angles / 2).map(|k| factor(plane, k)).collect()).collect(),
            // By Parseval: angles times the weighted sum of squares.
            least: CONSTANT * weight * (angles * angles) as f64,
        }
    }

    /// Scores of a point from the sums of as many: of P, of P at the multiples of each order, of the products of each plane.
    fn score(&self, mut sums: impl Iterator<Item = f32>, out: &mut [f32]) {
        let total = f64::from(sums.next().expect("a sum of P"));
        for (at, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            let share = f64::from(sum) / total;
            let score = self.folds.get(at).map_or(share, |&n| (n as f64 * share - 1.0) / (n as f64 - 1.0));
            *out = if total <= self.least { 0.0 } else { score.clamp(-1.0, 1.0) as f32 };
        }
    }
}

/// Scores of a block of points, whose rows of the image are given.
pub(super) struct Scores<'a> {
    pub rings: &'a Rings,
    pub image: &'a Strided,
    pub nx: usize,
    pub control: &'a Control,
    pub out: &'a mut [f32],
}

impl WithSimd for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rings, image, nx, control, out } = self;
        let (n, lanes, values) = (rings.angles, S::F32_LANES, rings.folds.len() + rings.planes.len());
        let mut transform = rings.transform.work();
        let [mut ring, mut spectrum] = [(); 2].map(|()| Aligned::<f32>::new(2 * LINE * n));
        let [ring, spectrum] = [&mut ring, &mut spectrum].map(|values| registers::<S, 2>(values, n));
        // P, real and imaginary parts of Q for k = 0..=n / 2; F(0) of each pair of rings.
        let (mut powers, mut means) = (Aligned::new(3 * LINE * (n / 2 + 1)), Aligned::new(LINE * rings.roots.len()));
        let powers = registers::<S, 3>(&mut powers, n / 2 + 1);
        let means = registers::<S, 1>(&mut means, rings.roots.len());
        let mut sums = vec![0.0; (values + 1) * lanes];
        for (iy, out) in out.chunks_exact_mut(nx * values).enumerate() {
            for (first, out) in (0..nx).step_by(lanes).zip(out.chunks_mut(lanes * values)) {
                if control.check().is_err() {
                    return;
                }
                let image = &image.0[iy * rings.steps.1 + first..];
                let middle = Real::load(simd, &image[rings.middle..]);
                powers.fill([simd.splat_f32s(0.0); 3]);
                let pairs = rings.samples.chunks_exact(2 * n).zip(rings.roots.as_chunks::<2>().0);
                for ((samples, roots), means) in pairs.zip(means.as_chunks_mut::<2>().0) {
                    let (odd, even) = samples.split_at(n);
                    let levels = roots.map(|root| simd.mul_f32s(middle, simd.splat_f32s(-root)));
                    for ((z, odd), even) in ring.iter_mut().zip(odd).zip(even) {
                        z[0] = sample(simd, odd, image, rings.steps.0, levels[0]);
                        z[1] = sample(simd, even, image, rings.steps.0, levels[1]);
                    }
                    rings.transform.take(
                        simd,
                        &mut transform,
                        #[inline(always)]
                        |j| ring[j],
                    );
                    rings.transform.give(
                        simd,
                        &mut transform,
                        #[inline(always)]
                        |k, z| spectrum[k] = z,
                    );
                    *means = [[spectrum[0][0]], [spectrum[0][1]]];
                    add_powers(simd, spectrum, powers);
                }
                powers[0] = rings.power_of_means(simd, means);
                // Of k = n / 2 there is one, not two.
                powers[n / 2][0] = simd.mul_f32s(powers[n / 2][0], simd.splat_f32s(0.5));
                rings.sum(simd, powers, &mut sums);
                for (lane, out) in out.chunks_exact_mut(values).enumerate() {
                    rings.score(sums.iter().skip(lane).step_by(lanes).copied(), out);
                }
            }
        }
    }
}

impl Rings {
    /// P(0) and Q(0) of all rings from √ρ F_ρ(0), once their mean is subtracted.
    #[inline(always)]
    fn power_of_means<S: Simd>(&self, simd: S, means: &[[S::f32s; 1]]) -> [S::f32s; 3] {
        let mut mean = simd.splat_f32s(0.0);
        for (&root, [x]) in self.roots.iter().zip(means) {
            mean = simd.mul_add_e_f32s(*x, simd.splat_f32s(root / self.weight as f32), mean);
        }
        let mut power = simd.splat_f32s(0.0);
        for (&root, [x]) in self.roots.iter().zip(means) {
            let about = simd.mul_add_e_f32s(mean, simd.splat_f32s(-root), *x);
            power = simd.mul_add_e_f32s(about, about, power);
        }
        [power, power, simd.splat_f32s(0.0)]
    }

    /// What [`Rings::score`] takes, a register each.
    #[inline(always)]
    fn sum<S: Simd>(&self, simd: S, powers: &[[S::f32s; 3]], sums: &mut [f32]) {
        let mut sums = sums.chunks_exact_mut(S::F32_LANES);
        let mut next = |sum: S::f32s| f32::store(simd, sums.next().expect("as many as scores and one"), sum);
        for fold in std::iter::once(1).chain(self.folds.iter().copied()) {
            let mut sum = simd.splat_f32s(0.0);
            for [p, ..] in powers.iter().step_by(fold) {
                sum = simd.add_f32s(sum, *p);
            }
            next(sum);
        }
        for factors in &self.planes {
            let mut sum = [simd.splat_f32s(0.0); 2];
            for ([_, re, im], factor) in powers.iter().zip(factors) {
                sum[0] = simd.mul_add_e_f32s(*re, simd.splat_f32s(factor.re), sum[0]);
                sum[1] = simd.mul_add_e_f32s(*im, simd.splat_f32s(factor.im), sum[1]);
            }
            next(simd.sub_f32s(sum[0], sum[1]));
        }
    }
}

/// `n` times N registers.
#[inline(always)]
fn registers<S: Simd, const N: usize>(values: &mut [f32], n: usize) -> &mut [[S::f32s; N]] {
    &mut S::as_mut_simd_f32s(values).0.as_chunks_mut::<N>().0[..n]
}

/// A sample of as many points as a register holds, times the root of the radius, less `level`.
#[inline(always)]
fn sample<S: Simd>(simd: S, sample: &Sample, image: &[f32], below: usize, level: S::f32s) -> S::f32s {
    let (mut sum, Sample { left, right, weights }) = (level, *sample);
    for (place, weight) in [left, right, left + below, right + below].into_iter().zip(weights) {
        sum = simd.mul_add_e_f32s(Real::load(simd, &image[place..]), simd.splat_f32s(weight), sum);
    }
    sum
}

/// Adds the powers and products of two rings, those of k and of -k, for k > 0.
#[inline(always)]
fn add_powers<S: Simd>(simd: S, z: &[Z<S>], powers: &mut [[S::f32s; 3]]) {
    for (([p, re, im], a), b) in powers.iter_mut().zip(z).skip(1).zip(z.iter().rev()) {
        for x in [a[0], a[1], b[0], b[1]] {
            *p = simd.mul_add_e_f32s(x, x, *p);
        }
        *re = simd.mul_add_e_f32s(a[0], b[0], simd.mul_add_e_f32s(a[1], b[1], *re));
        *im = simd.mul_add_e_f32s(a[1], b[0], simd.sub_f32s(*im, simd.mul_f32s(a[0], b[1])));
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
