//! Moving-window power spectra: which periodicities does the image have around each of its points?
//!
//! For every window of N × N pixels at step s: `P(ky, kx) = |Σ t(y) t(x) (I(y, x) - μ) exp(-2πi (ky y + kx x) / N)|²`
//! with a separable taper t and the window's mean μ (Jany, Janas & Krok 2020, Micron 130, 102800, without mean removal).
//!
//! Row transforms are shared: every row of a strip of windows is transformed once and serves the N / s windows that lie over
//! it. Each row enters with its own mean m(y) removed, so that `f32` arithmetic loses nothing to a bright or sloping
//! background; what the window needs comes back after the row transform, `R(y, kx) + (m(y) - μ) T(kx)`, T the taper's
//! transform, exactly, and before the column taper. Column transforms are per window: `methods/fft`.
//!
//! Cost: (N / 2) (1 + s / N) complex transforms of length N per window, instead of N.

pub(crate) mod reduction;

use crate::engine::aligned::Aligned;
use crate::engine::logarithm::{self, Finish, Histogram};
use crate::engine::pass;
use crate::engine::room;
use crate::engine::rows::Rows;
use crate::engine::simd::{Pixel, prefetch, stream};
use crate::methods::fft::half::{self, HalfTransform};
use crate::methods::fft::{self, Columns, Window};
pub use crate::methods::spectra::reduction::Reduce;
use crate::methods::spectra::reduction::Reduction;
use crate::{Control, Error, Result};
use ndarray::{ArrayView2, ArrayViewMut2, ArrayViewMut3, Axis, s};
use std::f64::consts::PI;
use std::sync::{Mutex, PoisonError};

/// The window function t(n), n = 0..N, of each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taper {
    /// (1 - cos(2πn/N)) / 2
    Hann,
    /// (1 - cos(2πn/(N-1))) / 2
    HannSymmetric,
    /// sin(πn/(N-1)), Jany's
    SqrtHann,
    /// 0.54 - 0.46 cos(2πn/N)
    Hamming,
    /// 1
    None,
}

impl Taper {
    /// Its values for windows of `n` pixels.
    pub fn values(self, n: usize) -> Vec<f64> {
        let at = |i: usize| match self {
            Self::Hann => (PI * i as f64 / n as f64).sin().powi(2),
            Self::HannSymmetric => (PI * i as f64 / (n - 1) as f64).sin().powi(2),
            Self::SqrtHann => (PI * i as f64 / (n - 1) as f64).sin(),
            Self::Hamming => 0.54 - 0.46 * (2.0 * PI * i as f64 / n as f64).cos(),
            Self::None => 1.0,
        };
        (0..n).map(at).collect()
    }
}

/// What is returned of a power P.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// P
    Power,
    /// √P
    Amplitude,
    /// ln(1 + P/c), c the median of all P of the output (of those above zero, if more than half are zero)
    Log,
    /// ln(c + P) with this c
    LogPlus(f64),
    /// ln(1 + P/c) with this c above zero: of a part of an image, when the median of all is known
    LogOver(f64),
}

/// How spectra are computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Side N of the windows in pixels, at least 8.
    pub window: usize,
    /// Distance s of neighbouring windows in pixels.
    pub step: usize,
    /// The window function.
    pub taper: Taper,
    /// Subtract each window's mean first.
    pub subtract_mean: bool,
    /// What is returned of a power.
    pub scale: Scale,
    /// What is kept of a spectrum.
    pub reduce: Reduce,
    /// Unit of pixel values: they are multiplied by it and powers divided by its square. 1, unless the squares of
    /// differences between pixels would leave the range of `f32`; then the power of two that makes them about 1.
    pub unit: f64,
}

impl Settings {
    /// Windows along y and x, values along ky and kx (radial: 1 and the radii); fails where the settings do not fit the image.
    pub fn shape(&self, (height, width): (usize, usize)) -> Result<[usize; 4]> {
        let n = self.window;
        if n < 8 {
            return Err(Error::invalid("window", format!("{n} is too small; give at least 8 pixels")));
        }
        if n > height.min(width) {
            let most = height.min(width);
            let message = format!("{n} is larger than the image of {height} x {width} pixels; the largest is {most}");
            return Err(Error::invalid("window", message));
        }
        if self.step == 0 {
            return Err(Error::invalid("step", "0 is too small; give at least 1 pixel"));
        }
        if !(self.unit.is_finite() && self.unit > 0.0) {
            return Err(Error::invalid("unit", format!("{} is no unit; give a number above 0", self.unit)));
        }
        if let Scale::LogPlus(c) | Scale::LogOver(c) = self.scale
            && !(c.is_finite() && c > 0.0)
        {
            return Err(Error::invalid("scale", format!("{c} is no offset of a logarithm; give a number above 0")));
        }
        let (ky, kx) = self.reduce.shape(n)?;
        Ok([(height - n) / self.step + 1, (width - n) / self.step + 1, ky, kx])
    }
}

/// Power spectra of all windows of `image`, whose values must be finite, into `output` of [`Settings::shape`].
///
/// Returns c, in units of P, for the two logarithmic scales (0 when all P are zero), and 1 for the others.
///
/// ```
/// use emcore::Control;
/// use emcore::methods::spectra::{Reduce, Scale, Settings, Taper, power_spectra};
/// use ndarray::Array2;
///
/// // Lines four pixels apart, in windows of eight.
/// let image = Array2::from_shape_fn((16, 16), |(_, x)| if x % 4 == 0 { 100u8 } else { 0 });
/// let (scale, reduce) = (Scale::Power, Reduce::None);
/// let settings = Settings { window: 8, step: 8, taper: Taper::None, subtract_mean: true, scale, reduce, unit: 1.0 };
/// let [ny, nx, ky, kx] = settings.shape(image.dim())?;
/// let mut spectra = vec![0.0; ny * nx * ky * kx];
/// power_spectra(image.view(), &settings, &Control::new(), &mut spectra)?;
/// let strongest = (0..kx).max_by(|&a, &b| spectra[a].total_cmp(&spectra[b]));
/// assert!(strongest == Some(2) || strongest == Some(4)); // 2 periods in a window, and their harmonic
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn power_spectra<T: Pixel + Into<f64>>(
    image: ArrayView2<'_, T>,
    settings: &Settings,
    control: &Control,
    output: &mut [f32],
) -> Result<f64> {
    let [ny, nx, ky, kx] = settings.shape(image.dim())?;
    let size = ky * kx;
    if output.len() != ny * nx * size {
        let message = format!("{} values; {ny} x {nx} x {ky} x {kx} are needed", output.len());
        return Err(Error::invalid("output", message));
    }
    let unit = settings.unit;

    // A block is a strip of windows at one x-offset, cut where its half-transforms would outgrow a second-level cache or
    // where strips are too few to occupy many threads.
    let fits = (BAND_BYTES / (8 * fft::stride(settings.window))).saturating_sub(settings.window) / settings.step + 1;
    let length =
        ny.div_ceil(16usize.div_ceil(nx)).max(settings.window.div_ceil(settings.step)).min(fits.max(8)).min(ny);
    let mut blocks = Vec::new();
    let mut windows = ArrayViewMut3::from_shape((ny, nx, size), &mut *output).expect("the length was checked");
    for (ix, mut strip) in windows.axis_iter_mut(Axis(1)).enumerate() {
        let mut iy = 0;
        while iy < ny {
            let (head, tail) = strip.split_at(Axis(0), length.min(ny - iy));
            blocks.push(Strip { y: iy * settings.step, x: ix * settings.step, spectra: head });
            (strip, iy) = (tail, iy + length);
        }
    }
    let large = ny * nx * size * size_of::<f32>() > CACHED;
    let strips = Strips::new(settings, (length - 1) * settings.step + settings.window, large);
    let idle = Mutex::new(Vec::new());
    let count = matches!(settings.scale, Scale::Log);
    let mut histogram = Histogram::default();
    control.expect(blocks.len() as u64);
    let n = blocks.len();
    pass::pass(
        n,
        1,
        control,
        &mut blocks,
        |_, block| {
            let used = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut work = used.unwrap_or_else(|| strips.work());
            let mut counted = count.then(Histogram::default);
            strips.transform(image, &mut block[0], &mut work, counted.as_mut(), control);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(work);
            counted
        },
        |counted| {
            if let Some(counted) = counted {
                histogram.merge(&counted);
            }
        },
    )?;
    drop(blocks);

    let power = unit.powi(-2);
    match settings.scale {
        Scale::Power if unit == 1.0 => Ok(1.0),
        Scale::Power => logarithm::finish(output, Finish::Multiply(power), control).map(|()| 1.0),
        Scale::Amplitude => logarithm::finish(output, Finish::Root(unit.recip()), control).map(|()| 1.0),
        Scale::LogPlus(c) => {
            logarithm::finish(output, Finish::Log { offset: c / power, add: c.ln() }, control).map(|()| c)
        }
        Scale::LogOver(c) => {
            logarithm::finish(output, Finish::Log { offset: c / power, add: 0.0 }, control).map(|()| c)
        }
        Scale::Log => {
            let c = histogram.median(output, control)?;
            if c > 0.0 {
                logarithm::finish(output, Finish::Log { offset: c, add: 0.0 }, control)?;
            }
            Ok(c * power)
        }
    }
}

/// Bytes of half-transformed rows that one thread holds.
const BAND_BYTES: usize = 3 << 18;
/// Rows of pixels asked for ahead: they lie far apart, which the hardware does not foresee.
const ROWS_AHEAD: usize = 4;
/// Bytes of output that may still be in cache when all are written.
const CACHED: usize = 1 << 23;

/// The windows of one block, and where the first one starts.
struct Strip<'a> {
    y: usize,
    x: usize,
    spectra: ArrayViewMut2<'a, f32>,
}

/// What all blocks share.
struct Strips {
    settings: Settings,
    rows: HalfTransform,
    /// Taper, for columns.
    taper: Vec<f32>,
    /// Half-transform of the taper.
    constant: Vec<f32>,
    columns: Columns,
    /// Packed columns that the output needs.
    used: usize,
    reduction: Option<Reduction>,
    /// Rows of the highest block.
    height: usize,
    /// Whether the output is too large to stay in cache.
    stream: bool,
}

/// What one thread uses again for every block.
struct Work<T> {
    gathered: Vec<T>,
    half: Aligned<f32>,
    means: Vec<f64>,
    offset: Vec<f32>,
    row: half::Work,
    columns: fft::Work,
    power: Vec<f32>,
}

impl Strips {
    fn new(settings: &Settings, height: usize, stream: bool) -> Self {
        let n = settings.window;
        let taper = settings.taper.values(n);
        let used = match settings.reduce {
            Reduce::Crop(r) => r + 1,
            _ => fft::packed(n),
        };
        Self {
            settings: *settings,
            constant: half::constant(&taper),
            rows: HalfTransform::new(&taper, settings.unit),
            taper: taper.iter().map(|&t| t as f32).collect(),
            columns: Columns::new(n),
            used,
            reduction: Reduction::new(n, settings.reduce),
            height,
            stream,
        }
    }

    fn work<T>(&self) -> Work<T> {
        let n = self.settings.window;
        Work {
            gathered: Vec::new(),
            half: Aligned::new(self.height * 2 * fft::stride(n)),
            means: room::zeros_or_unwind(self.height, "rows of windows"),
            offset: vec![0.0; n],
            row: self.rows.work(),
            columns: self.columns.work(),
            power: room::zeros_or_unwind(n * (n / 2 + 1), "spectra of windows"),
        }
    }

    fn transform<T: Pixel + Into<f64>>(
        &self,
        image: ArrayView2<'_, T>,
        block: &mut Strip<'_>,
        work: &mut Work<T>,
        mut counted: Option<&mut Histogram>,
        control: &Control,
    ) {
        let Settings { window: n, step, .. } = self.settings;
        let width = 2 * fft::stride(n);
        let height = (block.spectra.nrows() - 1) * step + n;
        let strip = Rows::new(image.slice(s![block.y..block.y + height, block.x..block.x + n]));
        let strip = strip.block(0..height, &mut work.gathered);
        for y in (0..height).filter(|y| step <= n || y % step < n) {
            prefetch(strip.row((y + ROWS_AHEAD).min(height - 1)), 0);
            let out = &mut work.half[y * width..][..width];
            work.means[y] = self.rows.transform(strip.row(y), &mut work.row, out);
            if y.is_multiple_of(64) && control.check().is_err() {
                return;
            }
        }
        for (i, mut spectrum) in block.spectra.outer_iter_mut().enumerate() {
            if control.check().is_err() {
                return;
            }
            let rows = i * step..i * step + n;
            let means = &work.means[rows.clone()];
            let mean = if self.settings.subtract_mean {
                means[0] + means.iter().map(|m| m - means[0]).sum::<f64>() / n as f64
            } else {
                0.0
            };
            for ((offset, m), &t) in work.offset.iter_mut().zip(means).zip(&self.taper) {
                *offset = ((m - mean) * self.settings.unit) as f32 * t;
            }
            let window = Window {
                rows: &work.half[rows.start * width..rows.end * width],
                taper: &self.taper,
                offset: &work.offset,
                constant: &self.constant,
            };
            let spectrum = spectrum.as_slice_mut().expect("a window's spectrum is contiguous");
            self.columns.power(window, self.used, &mut work.columns, &mut work.power);
            match &self.reduction {
                None if self.stream => stream(&work.power, spectrum),
                None => spectrum.copy_from_slice(&work.power),
                Some(reduction) => reduction.apply(&work.power, spectrum),
            }
            if let Some(counted) = &mut counted {
                // From the cache, where there is no reduction.
                counted.count(if self.reduction.is_none() { &work.power } else { spectrum });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rustfft::num_complex::Complex;

    /// From the definition, in `f64`.
    fn naive<T: Pixel + Into<f64>>(image: ArrayView2<'_, T>, settings: &Settings, iy: usize, ix: usize) -> Vec<f64> {
        let Settings { window: n, step, .. } = *settings;
        let t = settings.taper.values(n);
        let pixels = image.slice(s![iy * step..iy * step + n, ix * step..ix * step + n]).mapv(Into::<f64>::into);
        let mean = if settings.subtract_mean { pixels.mean().unwrap() } else { 0.0 };
        let power = |ky: usize, kx: usize| {
            let term = |((y, x), v): ((usize, usize), &f64)| {
                let angle = -2.0 * PI * ((ky * y + kx * x) % n) as f64 / n as f64;
                Complex::from_polar((v - mean) * t[y] * t[x], angle)
            };
            pixels.indexed_iter().map(term).sum::<Complex<f64>>().norm_sqr()
        };
        (0..n * (n / 2 + 1)).map(|i| power(i / (n / 2 + 1), i % (n / 2 + 1))).collect()
    }

    fn check<T: Pixel + Into<f64>>(image: ArrayView2<'_, T>, settings: &Settings) {
        let [ny, nx, ky, kx] = settings.shape(image.dim()).unwrap();
        let mut result = vec![-1.0; ny * nx * ky * kx];
        power_spectra(image, settings, &Control::new(), &mut result).unwrap();
        for (i, result) in result.chunks(ky * kx).enumerate() {
            let expected = naive(image, settings, i / nx, i % nx);
            let largest = expected.iter().fold(0.0f64, |a, &b| a.max(b));
            for (a, b) in result.iter().zip(&expected) {
                assert!((f64::from(*a) - b).abs() <= 1e-5 * largest, "{settings:?}, window {i}: {a} and {b}");
            }
        }
    }

    #[test]
    fn spectra_agree_with_their_definition() {
        let image = Array2::from_shape_fn((29, 33), |(y, x)| ((y * y * 31 + x * 17 + x * x * y) % 251) as u8);
        for (window, step, taper, subtract_mean) in [
            (8, 5, Taper::Hann, true),
            (9, 20, Taper::HannSymmetric, false),
            (11, 4, Taper::SqrtHann, true),
            (12, 1, Taper::Hamming, false),
            (29, 1, Taper::None, true),
        ] {
            let settings =
                Settings { window, step, taper, subtract_mean, scale: Scale::Power, reduce: Reduce::None, unit: 1.0 };
            check(image.view(), &settings);
            check(image.slice(s![..;-1, ..;2]).slice(s![.., ..]), &Settings { window: 8, ..settings });
            check(image.t(), &settings);
            check(image.mapv(|x| u32::from(x) + 3_000_000_000).view(), &Settings { subtract_mean: true, ..settings });
            check(image.mapv(|x| f64::from(x) * 1e-3 - 0.2).view(), &settings);
        }
    }
}
