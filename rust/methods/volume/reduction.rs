//! What is kept of each window's spectrum, formed while it is in cache.

use crate::methods::spectra::reduction::Reduction as Sums;
use crate::methods::volume::harmonics::{self, Harmonics};
use crate::methods::volume::layout::pitch;
use crate::methods::volume::settings::{Quantity, Reduce, Settings};
use ndarray::{ArrayViewMut4, s};

/// How spectra are reduced.
pub struct Reduction {
    n: usize,
    /// What values are multiplied by: they were formed in another unit.
    factor: f32,
    kind: Kind,
}

enum Kind {
    All,
    Sums(Sums),
    Harmonics { harmonics: Harmonics, squared: bool },
}

/// Windows of a block that wait to be reduced together.
#[derive(Default)]
pub struct Batch {
    windows: Vec<[usize; 2]>,
    work: harmonics::Work,
}

impl Reduction {
    pub fn new(settings: &Settings) -> Self {
        let n = settings.window;
        let unit = match settings.quantity {
            Quantity::Power => settings.unit.powi(-2),
            Quantity::Modulus => settings.unit.recip(),
        };
        let kind = match settings.reduce {
            Reduce::None => Kind::All,
            Reduce::Radial | Reduce::Crop(_) | Reduce::Bin(_) => Kind::Sums(sums(n, settings.reduce)),
            Reduce::Harmonics(degree) => Kind::Harmonics { harmonics: Harmonics::new(n, degree), squared: false },
            Reduce::Degrees(degree) => Kind::Harmonics { harmonics: Harmonics::new(n, degree), squared: true },
        };
        let squared = matches!(settings.reduce, Reduce::Degrees(_));
        Self { n, factor: if squared { unit * unit } else { unit } as f32, kind }
    }

    pub fn batch(&self) -> Batch {
        match &self.kind {
            Kind::Harmonics { harmonics, .. } => Batch { windows: Vec::new(), work: harmonics.work() },
            _ => Batch::default(),
        }
    }

    /// Reduce the spectrum of window `[iz, iy]` into `spectra`, now or with others.
    pub fn put(&self, power: &[f32], window: [usize; 2], batch: &mut Batch, spectra: &mut ArrayViewMut4<'_, f32>) {
        let [iz, iy] = window;
        let mut out = spectra.slice_mut(s![iz, iy, 0, ..]);
        let out = out.as_slice_mut().expect("a window's spectrum is contiguous");
        match &self.kind {
            Kind::All => {
                let half = self.n / 2 + 1;
                for (out, row) in out.chunks_mut(half).zip(power.chunks(pitch(self.n))) {
                    out.copy_from_slice(&row[..half]);
                }
                self.scale(out);
            }
            Kind::Sums(sums) => {
                sums.apply(power, out);
                self.scale(out);
            }
            Kind::Harmonics { harmonics, .. } => {
                harmonics.gather(power, batch.windows.len(), &mut batch.work);
                batch.windows.push(window);
                if batch.windows.len() == harmonics::BATCH {
                    self.finish(batch, spectra);
                }
            }
        }
    }

    /// Reduce the windows that wait.
    pub fn finish(&self, batch: &mut Batch, spectra: &mut ArrayViewMut4<'_, f32>) {
        let Kind::Harmonics { harmonics, squared } = &self.kind else { return };
        harmonics.transform(batch.windows.len(), &mut batch.work);
        for (i, [iz, iy]) in batch.windows.drain(..).enumerate() {
            let mut out = spectra.slice_mut(s![iz, iy, 0, ..]);
            let out = out.as_slice_mut().expect("a window's spectrum is contiguous");
            harmonics.coefficients(i, *squared, &batch.work, out);
            self.scale(out);
        }
    }

    fn scale(&self, out: &mut [f32]) {
        if self.factor != 1.0 {
            out.iter_mut().for_each(|value| *value *= self.factor);
        }
    }
}

/// Sums of the half space that is stored, in rows of [`pitch`].
fn sums(n: usize, reduce: Reduce) -> Sums {
    let (m, half) = (n as isize, n / 2 + 1);
    // Of the whole spectrum: kz, ky and kx may be negative.
    let index = |kz: isize, ky: isize, kx: isize| {
        let sign = if kx.rem_euclid(m) as usize >= half { -1 } else { 1 };
        let [z, y, x] = [kz, ky, kx].map(|k| (sign * k).rem_euclid(m) as usize);
        ((z * n + y) * pitch(n) + x) as u32
    };
    let all = |low: isize, high: isize| {
        (low..=high).flat_map(move |z| (low..=high).flat_map(move |y| (low..=high).map(move |x| (z, y, x))))
    };
    match reduce {
        Reduce::Crop(r) => {
            let r = r as isize;
            let signed = move || (0..=r).chain(-r..0);
            let kept = signed().flat_map(|z| signed().flat_map(move |y| (0..=r).map(move |x| (z, y, x))));
            Sums::of(kept.map(|(z, y, x)| vec![(index(z, y, x), 1.0)]))
        }
        Reduce::Bin(b) => {
            let (count, b) = ((n / b) as isize, b as isize);
            let weight = |d: isize| if b % 2 == 0 && d.abs() == b / 2 { 0.5 } else { 1.0 } / b as f32;
            let around = |z: isize, y: isize, x: isize| {
                let term =
                    |(dz, dy, dx)| (index(z * b + dz, y * b + dy, x * b + dx), weight(dz) * weight(dy) * weight(dx));
                all(-(b / 2), b / 2).map(term).collect::<Vec<_>>()
            };
            let kept = (0..count).flat_map(|z| (0..count).flat_map(move |y| (0..=count / 2).map(move |x| (z, y, x))));
            Sums::of(kept.map(|(z, y, x)| around(z, y, x)))
        }
        _ => {
            let mut shells = vec![Vec::new(); half];
            for (z, y, x) in all(-((m - 1) / 2), m / 2) {
                let radius = ((z * z + y * y + x * x) as f64).sqrt().round() as usize;
                if radius < half {
                    shells[radius].push(index(z, y, x));
                }
            }
            Sums::of(shells.into_iter().map(|shell| {
                let weight = 1.0 / shell.len() as f32;
                shell.into_iter().map(|i| (i, weight)).collect()
            }))
        }
    }
}
