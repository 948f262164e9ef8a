//! Power spectra of the windows of a volume: which periodicities does it have around each of its voxels, and along what?
//!
//! For every window of N × N × N voxels at step s: `|F(k)|²` or `|F(k)|` of the window less its mean, or of its periodic
//! part (Moisan 2011, J. Math. Imaging Vis. 39, 161), which needs no taper: of the window less the smooth part
//! `S(k) = Σ_a J_a(k) (1 - exp(2πi k_a / N)) / Σ_a (2 cos(2πk_a / N) - 2)`, J_a the transform of what the values jump by
//! from the first to the last voxel along axis a.
//!
//! Rows are transformed once for all windows along y and z that hold them, planes once for those along z, so that with a
//! step of N / 2 a window costs a quarter of its rows, half of its columns along y and all along z: 0.6 of a transform by
//! itself. The jumps along x are one more column of a plane, those along y one more row, those along z the difference of
//! two planes.
//!
//! Every row enters with its mean removed, which comes back at kx = 0: `f32` arithmetic loses nothing to a bright or
//! sloping background. Windows with too little of a phase are left out, and rows and planes that only these have.
//!
//! Blocks are windows at one offset along x and a few along y; a block goes through the planes along z, of which the
//! last N are held.

mod harmonics;
mod layout;
mod planes;
mod reduction;
mod settings;
mod window;

use crate::engine::pass;
use crate::engine::room;
use crate::engine::simd::Pixel;
use crate::methods::volume::planes::Planes;
use crate::methods::volume::reduction::Reduction;
pub use crate::methods::volume::settings::{Quantity, Reduce, Settings};
use crate::methods::volume::window::Spectrum;
use crate::{Control, Error, Result};
use ndarray::{ArrayView3, ArrayViewMut4, Axis, s};
use std::sync::{Mutex, PoisonError};

/// Offsets along z of a block, at most, that there are blocks enough for many threads: each transforms the planes over
/// which it reaches into the next once more.
const LONG: usize = 16;

/// Spectra of all windows of `volume`, whose values must be finite, into `output`, as long as the product of
/// [`Settings::shape`], and the fraction of the phase in each window into `fractions`.
///
/// ```
/// use emcore::Control;
/// use emcore::methods::volume::{Quantity, Reduce, Settings, volume_spectra};
/// use ndarray::Array3;
///
/// // Layers, four voxels from one to the next.
/// let volume = Array3::from_shape_fn((16, 16, 16), |(z, _, _)| if (z + 1) / 2 % 2 == 0 { 200u8 } else { 0 });
/// let settings = Settings {
///     window: 16,
///     step: 16,
///     quantity: Quantity::Modulus,
///     reduce: Reduce::Radial,
///     periodic: true,
///     phase: None,
///     least: 0.0,
///     offset: 100.0,
///     unit: 1.0,
/// };
/// let (mut radial, mut fractions) = (vec![0.0; 9], vec![0.0]);
/// volume_spectra(volume.view(), &settings, &Control::new(), &mut radial, &mut fractions)?;
/// assert!(radial[4] > 10.0 * radial[3]); // four periods in a window
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn volume_spectra<T: Pixel + Into<f64>>(
    volume: ArrayView3<'_, T>,
    settings: &Settings,
    control: &Control,
    output: &mut [f32],
    fractions: &mut [f32],
) -> Result<()> {
    let [nz, ny, nx, a, b, c] = settings.shape(volume.dim())?;
    let (windows, size) = (nz * ny * nx, a * b * c);
    for (name, observed, needed) in [("output", output.len(), windows * size), ("fractions", fractions.len(), windows)]
    {
        if observed != needed {
            return Err(Error::invalid(name, format!("{observed} values; {needed} are needed")));
        }
    }
    // Frequencies and what each adds to, and the planes and the spectrum of a window of some threads.
    room::check::<[f64; 8]>((settings.window as u128).pow(3), "frequencies of windows")?;
    let plan = Plan {
        settings,
        planes: Planes::new(settings),
        spectrum: Spectrum::new(settings),
        reduction: Reduction::new(settings),
    };
    let even = |length: usize, most: usize| length.div_ceil(length.div_ceil(most));
    let (long, together) = (even(nz, LONG), even(ny, plan.planes.together()));
    let spectra = ArrayViewMut4::from_shape((nz, ny, nx, size), output).expect("the length was checked");
    let fractions = ArrayViewMut4::from_shape((nz, ny, nx, 1), fractions).expect("the length was checked");
    let cut = |whole| {
        let columns = parts(whole, Axis(2), 1).into_iter();
        let bundles = columns.flat_map(|column| parts(column, Axis(1), together));
        bundles.flat_map(|bundle| parts(bundle, Axis(0), long))
    };
    let (bundles, lengths) = (ny.div_ceil(together), nz.div_ceil(long));
    let mut blocks =
        Vec::from_iter(cut(spectra).zip(cut(fractions)).enumerate().map(|(i, (spectra, fractions))| Block {
            z: i % lengths * long * settings.step,
            y: i / lengths % bundles * together * settings.step,
            x: i / lengths / bundles * settings.step,
            spectra,
            fractions,
        }));
    let idle = Mutex::new(Vec::new());
    control.expect(blocks.len() as u64);
    let count = blocks.len();
    let visit = |_, block: &mut [Block<'_>]| {
        let used = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut work = used.unwrap_or_else(|| plan.work());
        plan.visit(volume, &mut block[0], &mut work, control);
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(work);
    };
    pass::pass(count, 1, control, &mut blocks, visit, |()| ())
}

/// Some windows, at one offset along x, and where the first one starts.
struct Block<'a> {
    z: usize,
    y: usize,
    x: usize,
    /// Windows along z, y and x, and what is kept of them.
    spectra: ArrayViewMut4<'a, f32>,
    /// Windows along z, y and x, and one value.
    fractions: ArrayViewMut4<'a, f32>,
}

/// What one thread uses again for every block.
struct Work<T> {
    planes: planes::Work<T>,
    spectrum: window::Work,
    batch: reduction::Batch,
}

/// Cut an array along an axis into parts of a length, the last one perhaps shorter.
fn parts<'a>(whole: ArrayViewMut4<'a, f32>, axis: Axis, length: usize) -> Vec<ArrayViewMut4<'a, f32>> {
    let (mut parts, mut rest) = (Vec::new(), whole);
    while rest.len_of(axis) > length {
        let (part, others) = rest.split_at(axis, length);
        parts.push(part);
        rest = others;
    }
    parts.push(rest);
    parts
}

/// What all blocks share.
struct Plan<'a> {
    settings: &'a Settings,
    planes: Planes,
    spectrum: Spectrum,
    reduction: Reduction,
}

impl Plan<'_> {
    fn work<T>(&self) -> Work<T> {
        Work { planes: self.planes.work(), spectrum: self.spectrum.work(), batch: self.reduction.batch() }
    }

    fn visit<T: Pixel + Into<f64>>(
        &self,
        volume: ArrayView3<'_, T>,
        block: &mut Block<'_>,
        work: &mut Work<T>,
        control: &Control,
    ) {
        let Settings { window: n, step, .. } = *self.settings;
        let (nz, ny, _, _) = block.spectra.dim();
        let reach = |count: usize| (count - 1) * step + n;
        let part = volume.slice(s![block.z..block.z + reach(nz), block.y..block.y + reach(ny), block.x..block.x + n]);
        block.fractions.fill(1.0);
        if let Some(phase) = self.settings.phase {
            planes::fractions(part, phase, n, step, block.fractions.slice_mut(s![.., .., 0, 0]), control);
        }
        let mut needed =
            block.fractions.slice(s![.., .., 0, 0]).mapv(|fraction| f64::from(fraction) >= self.settings.least);
        for z in 0..reach(nz) {
            if control.check().is_err() {
                return;
            }
            // Windows at offset i along z hold planes i * step .. i * step + n.
            let holding = (z + 1).saturating_sub(n).div_ceil(step)..(z / step + 1).min(nz);
            let wanted = Vec::from_iter((0..ny).map(|iy| holding.clone().any(|iz| needed[[iz, iy]])));
            self.planes.add(part.index_axis(Axis(0), z), z, &wanted, step, &mut work.planes);
            let Some(first) = (z + 1).checked_sub(n).filter(|first| first.is_multiple_of(step)) else { continue };
            let iz = first / step;
            for iy in (0..ny).filter(|&iy| needed[[iz, iy]]) {
                if control.check().is_err() {
                    return;
                }
                let power = self.spectrum.of(self.planes.held(iy, &work.planes), first, &mut work.spectrum);
                self.reduction.put(power, [iz, iy], &mut work.batch, &mut block.spectra);
            }
        }
        self.reduction.finish(&mut work.batch, &mut block.spectra);
        needed.map_inplace(|needed| *needed = !*needed);
        for ((iz, iy), _) in needed.indexed_iter().filter(|(_, left)| **left) {
            block.spectra.slice_mut(s![iz, iy, .., ..]).fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests;
