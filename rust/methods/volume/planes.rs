//! The transformed planes of some windows that follow each other along z, each row and each plane transformed once.

use crate::Control;
use crate::engine::aligned::Aligned;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::methods::fft::half::{self, HalfTransform};
use crate::methods::fft::transform::{self, Transform};
use crate::methods::fft::{first_lane, packed, stride};
use crate::methods::volume::layout::{self, size};
use crate::methods::volume::settings::Settings;
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2};

/// Offsets along y whose rows are transformed together, at most.
const TOGETHER: usize = 4;
/// Bytes of planes that a thread holds for these, about.
const HELD_BYTES: usize = 1 << 22;

/// How planes are transformed.
///
/// A plane is rows of packed columns kx, real parts and then imaginary parts: ky = 0..n, and what half-transformed rows jump by
/// from the first to the last; then what rows jump by from their first to their last value, for ky = 0..n.
pub struct Planes {
    n: usize,
    offset: f64,
    unit: f64,
    rows: HalfTransform,
    columns: Transform,
}

/// What one thread uses again for every block.
pub struct Work<T> {
    gathered: Vec<T>,
    half: Aligned<f32>,
    /// What each row jumps by from its first to its last value.
    jumps: Vec<f32>,
    /// Of each offset along y the last n planes, plane z at z % n.
    planes: Vec<Aligned<f32>>,
    row: half::Work,
    columns: transform::Work,
}

impl Planes {
    pub fn new(settings: &Settings) -> Self {
        let n = settings.window;
        Self {
            n,
            offset: settings.offset,
            unit: settings.unit,
            rows: HalfTransform::new(&vec![1.0; n], settings.unit),
            columns: Transform::new(n),
        }
    }

    /// Offsets along y whose rows are transformed together.
    pub fn together(&self) -> usize {
        (HELD_BYTES / (self.n * size(self.n) * size_of::<f32>())).clamp(1, TOGETHER)
    }

    pub fn work<T>(&self) -> Work<T> {
        Work {
            gathered: Vec::new(),
            half: Aligned::new(0),
            jumps: Vec::new(),
            planes: Vec::new(),
            row: self.rows.work(),
            columns: self.columns.work(),
        }
    }

    /// Transform plane `z` of a block, for the offsets along y that are `wanted`.
    pub fn add<T: Pixel + Into<f64>>(
        &self,
        plane: ArrayView2<'_, T>,
        z: usize,
        wanted: &[bool],
        step: usize,
        work: &mut Work<T>,
    ) {
        let (n, row) = (self.n, 2 * stride(self.n));
        if work.half.len() < plane.nrows() * row {
            work.half = Aligned::new(plane.nrows() * row);
        }
        work.jumps.resize(plane.nrows(), 0.0);
        while work.planes.len() < wanted.len() {
            work.planes.push(Aligned::new(n * size(self.n)));
        }
        let held = |y: usize| {
            // Offsets that hold row y.
            let holding = (y + 1).saturating_sub(n).div_ceil(step)..(y / step + 1).min(wanted.len());
            wanted[holding.start.min(holding.end)..holding.end].contains(&true)
        };
        for (y, values) in plane.outer_iter().enumerate().filter(|(y, _)| held(*y)) {
            let out = &mut work.half[y * row..][..row];
            let values = if let Some(values) = values.to_slice() {
                values
            } else {
                work.gathered.clear();
                work.gathered.extend(values);
                &work.gathered
            };
            let mean = self.rows.transform(values, &mut work.row, out);
            out[0] = (n as f64 * ((mean - self.offset) * self.unit)) as f32;
            let [first, last] = [values[0], values[n - 1]].map(Into::<f64>::into);
            work.jumps[y] = ((last - first) * self.unit) as f32;
        }
        for (iy, planes) in work.planes.iter_mut().enumerate().take(wanted.len()).filter(|(iy, _)| wanted[*iy]) {
            let rows = &work.half[iy * step * row..][..n * row];
            let out = &mut planes[z % n * size(self.n)..][..size(self.n)];
            let jumps = &work.jumps[iy * step..][..n];
            dispatch(AlongY { n, transform: &self.columns, rows, jumps, work: &mut work.columns, out });
        }
    }

    /// The last n planes of an offset along y, plane z at z % n.
    pub fn held<'a, T>(&self, iy: usize, work: &'a Work<T>) -> &'a [f32] {
        &work.planes[iy]
    }
}

/// The columns of a plane, from its rows.
struct AlongY<'a> {
    n: usize,
    transform: &'a Transform,
    rows: &'a [f32],
    jumps: &'a [f32],
    work: &'a mut transform::Work,
    out: &'a mut [f32],
}

impl WithSimd for AlongY<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { n, transform, rows, jumps, work, out } = self;
        let stride = stride(n);
        for kx in (0..packed(n)).step_by(S::F32_LANES) {
            transform.take(
                simd,
                work,
                #[inline(always)]
                |y| {
                    let row = &rows[2 * y * stride..][..2 * stride];
                    [Real::load(simd, &row[kx..]), Real::load(simd, &row[stride + kx..])]
                },
            );
            transform.give(
                simd,
                work,
                #[inline(always)]
                |ky, [re, im]| {
                    let row = &mut out[2 * ky * stride..][..2 * stride];
                    f32::store(simd, &mut row[kx..], re);
                    f32::store(simd, &mut row[stride + kx..], im);
                },
            );
        }
        let (first, last) = (&rows[..2 * stride], &rows[2 * (n - 1) * stride..][..2 * stride]);
        let (jump, along_x) = out[2 * n * stride..].split_at_mut(2 * stride);
        for ((jump, last), first) in jump.iter_mut().zip(last).zip(first) {
            *jump = last - first;
        }
        // In every lane the same.
        transform.take(
            simd,
            work,
            #[inline(always)]
            |y| [simd.splat_f32s(jumps[y]), simd.splat_f32s(0.0)],
        );
        let (re, im) = along_x.split_at_mut(layout::jumps(n));
        transform.give(
            simd,
            work,
            #[inline(always)]
            |ky, value| {
                let value = first_lane(simd, value);
                (re[ky], im[ky]) = (value.re, value.im);
            },
        );
    }
}

/// The fraction of voxels with values in `phase` in each window of `part`.
pub fn fractions<T: Pixel + Into<f64>>(
    part: ArrayView3<'_, T>,
    (low, high): (f64, f64),
    n: usize,
    step: usize,
    mut fractions: ArrayViewMut2<'_, f32>,
    control: &Control,
) {
    let (nz, ny) = fractions.dim();
    let mut counts = vec![0u64; nz * ny];
    for (z, plane) in part.outer_iter().enumerate() {
        if control.check().is_err() {
            return;
        }
        let within = Vec::from_iter(plane.outer_iter().map(|row| {
            let inside = |&&value: &&T| (low..=high).contains(&value.into());
            row.iter().filter(inside).count() as u64
        }));
        for iz in (0..nz).filter(|iz| (iz * step..iz * step + n).contains(&z)) {
            for iy in 0..ny {
                counts[iz * ny + iy] += within[iy * step..][..n].iter().sum::<u64>();
            }
        }
    }
    for (fraction, count) in fractions.iter_mut().zip(counts) {
        *fraction = (count as f64 / (n * n * n) as f64) as f32;
    }
}
