//! The spectrum of one window from its transformed planes: the transform along z, less that of the smooth part.

use crate::engine::aligned::Aligned;
use crate::engine::simd::{Real, Simd, WithSimd, dispatch};
use crate::methods::fft::transform::{self, Transform};
use crate::methods::fft::{LINE, Z, first_lane, packed, rotate, splat, stride};
use crate::methods::volume::layout::{self, pitch};
use crate::methods::volume::settings::{Quantity, Settings};
use rustfft::num_complex::Complex;
use std::f64::consts::PI;

/// How spectra are formed.
pub struct Spectrum {
    n: usize,
    periodic: bool,
    quantity: Quantity,
    transform: Transform,
    /// 1 - exp(2πik / n) for k = 0..n, and real and imaginary parts apart, on whole lines.
    waves: Vec<Complex<f32>>,
    waves_re: Vec<f32>,
    waves_im: Vec<f32>,
    /// 2 cos(2πk / n) - 2, on whole lines.
    curvature: Vec<f32>,
}

/// What one thread uses again for every window.
pub struct Work {
    transform: transform::Work,
    /// Jumps along y transformed along x and z: rows kz of packed columns, real parts, then imaginary parts.
    along_y: Aligned<f32>,
    /// Jumps along x transformed along y and z: rows kz of ky, real parts, then imaginary parts.
    along_x: Aligned<f32>,
    /// The packed column of kx = 0 and n / 2 at [ky][kz], and of the jumps along z at [ky].
    first: Vec<Complex<f32>>,
    first_along_z: Vec<Complex<f32>>,
    power: Aligned<f32>,
}

impl Spectrum {
    pub fn new(settings: &Settings) -> Self {
        let n = settings.window;
        let whole = n.next_multiple_of(LINE) + LINE;
        let wave = |k: usize| Complex::new(1.0, 0.0) - Complex::from_polar(1.0, 2.0 * PI * (k % n) as f64 / n as f64);
        let waves = Vec::from_iter((0..whole).map(|k| Complex::new(wave(k).re as f32, wave(k).im as f32)));
        Self {
            n,
            periodic: settings.periodic,
            quantity: settings.quantity,
            transform: Transform::new(n),
            waves_re: waves.iter().map(|z| z.re).collect(),
            waves_im: waves.iter().map(|z| z.im).collect(),
            curvature: (0..whole).map(|k| (-4.0 * (PI * k as f64 / n as f64).sin().powi(2)) as f32).collect(),
            waves,
        }
    }

    pub fn work(&self) -> Work {
        let n = self.n;
        let zeros = |n| vec![Complex::new(0.0, 0.0); n];
        Work {
            transform: self.transform.work(),
            along_y: Aligned::new(n * 2 * stride(n)),
            along_x: Aligned::new(n * 2 * layout::jumps(n)),
            first: zeros(n * n),
            first_along_z: zeros(n),
            power: Aligned::new(n * n * pitch(n)),
        }
    }

    /// The spectrum of the window whose plane z is at `planes[(first + z) % n]`: kz, ky = 0..n in rows of [`pitch`], of which
    /// kx = 0..=n / 2 count.
    pub fn of<'a>(&self, planes: &[f32], first: usize, work: &'a mut Work) -> &'a [f32] {
        dispatch(AlongZ { spectrum: self, planes, first, work: &mut *work });
        self.unpack(work);
        &work.power
    }

    /// kx = 0 and n / 2, from their common column a + i b: both are transforms of real values along x, so that
    /// a = (z(k) + z*(-k)) / 2 and b = (z(k) - z*(-k)) / 2i.
    fn unpack(&self, work: &mut Work) {
        let n = self.n;
        let two = |z: Complex<f32>, mirrored: Complex<f32>| {
            let (sum, difference) = (z + mirrored.conj(), z - mirrored.conj());
            [sum * 0.5, Complex::new(difference.im, -difference.re) * 0.5]
        };
        let at = |values: &[f32], width: usize, row: usize, i: usize| {
            Complex::new(values[2 * row * width + i], values[(2 * row + 1) * width + i])
        };
        let along_y = |kz: usize| at(&work.along_y, stride(n), kz, 0);
        let frequencies: &[usize] = if n.is_multiple_of(2) { &[0, n / 2] } else { &[0] };
        for ky in 0..n {
            let minus_y = (n - ky) % n;
            let z_jumps = two(work.first_along_z[ky], work.first_along_z[minus_y]);
            for kz in 0..n {
                let minus_z = (n - kz) % n;
                let values = two(work.first[ky * n + kz], work.first[minus_y * n + minus_z]);
                let y_jumps = two(along_y(kz), along_y(minus_z));
                for (i, &kx) in frequencies.iter().enumerate() {
                    let mut value = values[i];
                    if self.periodic {
                        let x_jumps = at(&work.along_x, layout::jumps(n), kz, ky);
                        let jumps =
                            z_jumps[i] * self.waves[kz] + y_jumps[i] * self.waves[ky] + x_jumps * self.waves[kx];
                        value -= jumps / (self.curvature[kz] + self.curvature[ky] + self.curvature[kx]);
                    }
                    let power = if kz + ky + kx == 0 { 0.0 } else { value.norm_sqr() };
                    work.power[(kz * n + ky) * pitch(n) + kx] = match self.quantity {
                        Quantity::Power => power,
                        Quantity::Modulus => power.sqrt(),
                    };
                }
            }
        }
    }
}

struct AlongZ<'a> {
    spectrum: &'a Spectrum,
    planes: &'a [f32],
    first: usize,
    work: &'a mut Work,
}

impl WithSimd for AlongZ<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { spectrum, planes, first, work } = self;
        let Spectrum { n, periodic, quantity, transform, waves, waves_re, waves_im, curvature } = spectrum;
        let (n, lanes) = (*n, S::F32_LANES);
        let Work { transform: work, along_y, along_x, first: first_column, first_along_z, power } = work;
        let (across, wide) = (stride(n), layout::jumps(n));
        if *periodic {
            for kx in (0..packed(n)).step_by(lanes) {
                transform.take(
                    simd,
                    work,
                    #[inline(always)]
                    |z| load(simd, layout::row(plane(planes, n, first + z), n, n), kx),
                );
                transform.give(
                    simd,
                    work,
                    #[inline(always)]
                    |kz, value| store(simd, &mut along_y[2 * kz * across..], across, kx, value),
                );
            }
            for ky in (0..n).step_by(lanes) {
                transform.take(
                    simd,
                    work,
                    #[inline(always)]
                    |z| load(simd, layout::along_x(plane(planes, n, first + z), n), ky),
                );
                transform.give(
                    simd,
                    work,
                    #[inline(always)]
                    |kz, value| store(simd, &mut along_x[2 * kz * wide..], wide, ky, value),
                );
            }
        }
        for ky in 0..n {
            for kx in (0..packed(n)).step_by(lanes) {
                transform.take(
                    simd,
                    work,
                    #[inline(always)]
                    |z| load(simd, layout::row(plane(planes, n, first + z), n, ky), kx),
                );
                let [last, start] = [n - 1, 0].map(|z| load(simd, layout::row(plane(planes, n, first + z), n, ky), kx));
                let along_z = [simd.sub_f32s(last[0], start[0]), simd.sub_f32s(last[1], start[1])];
                if kx == 0 {
                    first_along_z[ky] = first_lane(simd, along_z);
                }
                let wave_x = load(simd, [waves_re, waves_im], kx);
                let (wave_y, curvature_x) = (splat(simd, waves[ky]), f32::load(simd, &curvature[kx..]));
                transform.give(
                    simd,
                    work,
                    #[inline(always)]
                    |kz, mut value| {
                        if kx == 0 {
                            first_column[ky * n + kz] = first_lane(simd, value);
                        }
                        if *periodic {
                            let row = &along_y[2 * kz * across..][..2 * across];
                            let jump = &along_x[2 * kz * wide..][..2 * wide];
                            let terms = [
                                rotate(simd, along_z, splat(simd, waves[kz])),
                                rotate(simd, load(simd, [row, &row[across..]], kx), wave_y),
                                rotate(simd, wave_x, splat(simd, Complex::new(jump[ky], jump[wide + ky]))),
                            ];
                            let sum = simd.add_f32s(simd.splat_f32s(curvature[kz] + curvature[ky]), curvature_x);
                            let scale = simd.div_f32s(simd.splat_f32s(1.0), sum);
                            for (i, value) in value.iter_mut().enumerate() {
                                let jumps = simd.add_f32s(simd.add_f32s(terms[0][i], terms[1][i]), terms[2][i]);
                                *value = simd.sub_f32s(*value, simd.mul_f32s(jumps, scale));
                            }
                        }
                        let [re, im] = value;
                        let mut squared = simd.mul_add_e_f32s(re, re, simd.mul_f32s(im, im));
                        if *quantity == Quantity::Modulus {
                            squared = simd.sqrt_f32s(squared);
                        }
                        f32::store(simd, &mut power[(kz * n + ky) * pitch(n) + kx..], squared);
                    },
                );
            }
        }
    }
}

/// Plane `z` of those that are held.
#[inline(always)]
fn plane(planes: &[f32], n: usize, z: usize) -> &[f32] {
    &planes[z % n * layout::size(n)..][..layout::size(n)]
}

/// Real and imaginary parts from `i` on.
#[inline(always)]
fn load<S: Simd>(simd: S, [re, im]: [&[f32]; 2], i: usize) -> Z<S> {
    [f32::load(simd, &re[i..]), f32::load(simd, &im[i..])]
}

/// Real parts to `i` of a row, and imaginary parts `width` further.
#[inline(always)]
fn store<S: Simd>(simd: S, row: &mut [f32], width: usize, i: usize, [re, im]: Z<S>) {
    f32::store(simd, &mut row[i..], re);
    f32::store(simd, &mut row[width + i..], im);
}
