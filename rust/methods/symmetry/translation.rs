//! Correlation of the patch around a point with the patches around shifted points.
//!
//! r(m, n) = (Σ I J - Σ I Σ J / N) / √((Σ I² - (Σ I)² / N) (Σ J² - (Σ J)² / N)), J the image shifted by (m, n), sums over
//! the N pixels of the patch. All sums are box filters, of I, I² and I J: running sums down the columns, then along the
//! rows at the points alone. So the cost, a multiplication and three additions a pixel and shift, does not depend on
//! the patch; a block reads as many rows more as patch and shifts reach.

use crate::engine::pass;
use crate::engine::room;
use crate::engine::simd::{Pixel, Simd, WithSimd, dispatch};
use crate::methods::symmetry::image::{CONSTANT, Level, check_output, grid, rows_of};
use crate::{Control, Error, Result};
use ndarray::ArrayView2;
use std::ops::Range;

/// Which shifts are compared, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translations {
    /// The patch is 2 `patch` + 1 pixels wide and high.
    pub patch: usize,
    /// Distance of neighbouring points in pixels.
    pub stride: usize,
    /// Shifts (m, n) along y and x in pixels.
    pub shifts: Vec<(isize, isize)>,
    /// Give only the so many largest scores of a point, falling: they do not change when the crystal turns.
    pub largest: Option<usize>,
}

impl Translations {
    /// Pixels from a point as far as a patch or a shifted one reaches.
    pub fn reach(&self) -> usize {
        let far = self.shifts.iter().map(|&(m, n)| m.unsigned_abs().max(n.unsigned_abs())).max();
        self.patch + far.unwrap_or(0)
    }

    /// Points along y and x, and values of a point; fails where the settings do not fit the image.
    pub fn shape(&self, (height, width): (usize, usize)) -> Result<[usize; 3]> {
        if self.patch == 0 {
            return Err(Error::invalid("patch", "0 is too small; give at least 1 pixel"));
        }
        if self.shifts.is_empty() {
            return Err(Error::invalid("shifts", "none; give at least one"));
        }
        // Before sums of what was given are formed.
        let most = height.max(width);
        if self.patch > most || self.shifts.iter().any(|(m, n)| m.unsigned_abs().max(n.unsigned_abs()) > most) {
            let message =
                format!("patches or shifts are larger than the image of {height} x {width}; give smaller ones");
            return Err(Error::invalid("patch", message));
        }
        let count = self.shifts.len();
        if let Some(k) = self.largest
            && !(1..=count).contains(&k)
        {
            let message = format!("{k} of {count} scores of a point; give 1 to {count}");
            return Err(Error::invalid("largest", message));
        }
        let (ny, nx) = grid((height, width), self.reach(), self.stride)?;
        Ok([ny, nx, self.largest.unwrap_or(count)])
    }
}

/// Scores of all points of `image`, whose values must be finite, into `output` of [`Translations::shape`].
///
/// ```
/// use emcore::Control;
/// use emcore::methods::symmetry::{Translations, translations};
/// use ndarray::Array2;
///
/// // Columns six pixels apart fall onto themselves when shifted by six pixels, not by three.
/// let image = Array2::from_shape_fn((40, 60), |(_, x)| if x % 6 < 3 { 9u8 } else { 2 });
/// let settings = Translations { patch: 6, stride: 5, shifts: vec![(0, 6), (0, 3), (4, 0)], largest: None };
/// let [ny, nx, k] = settings.shape(image.dim())?;
/// let mut scores = vec![0.0; ny * nx * k];
/// translations(image.view(), &settings, &Control::new(), &mut scores)?;
/// assert!((scores[0] - 1.0).abs() < 1e-6 && scores[1] < -0.9 && (scores[2] - 1.0).abs() < 1e-6);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn translations<T: Pixel + Into<f64>>(
    image: ArrayView2<'_, T>,
    settings: &Translations,
    control: &Control,
    output: &mut [f32],
) -> Result<()> {
    let shape = settings.shape(image.dim())?;
    check_output(output, shape)?;
    let [ny, nx, _] = shape;
    let level = Level::of(image, control)?;
    let rows = (3 * (2 * settings.patch + 1)).div_ceil(settings.stride).max(4);
    control.expect(ny as u64);
    let block = |points: Range<usize>, out: &mut [f32]| {
        let mut part = Part::new(image, settings, level, points.clone(), nx);
        let count = settings.shifts.len();
        let kept = if settings.largest.is_some() { points.len() * nx * count } else { 0 };
        let mut all = room::zeros_or_unwind::<f32>(kept, "scores");
        let scores = if settings.largest.is_some() { &mut all[..] } else { &mut *out };
        for at in 0..count {
            if control.check().is_err() {
                return;
            }
            part.score(at, scores);
        }
        if let Some(k) = settings.largest {
            for (scores, out) in all.chunks_mut(count).zip(out.chunks_mut(k)) {
                scores.sort_unstable_by(|a, b| b.total_cmp(a));
                out.copy_from_slice(&scores[..k]);
            }
        }
    };
    pass::pass(ny, rows, control, output, block, |()| ())
}

/// What a block of points reads.
struct Part<'a> {
    settings: &'a Translations,
    /// Rows of the image less the offset, from the first that a patch or a shifted one of the first point needs.
    image: Vec<f64>,
    width: usize,
    /// Points along y and x.
    points: (usize, usize),
    /// Of the patch whose first pixel is each of these: its sum, and 1 / √(its sum of squares about its mean), 0 where it
    /// is constant.
    patches: Vec<(f64, f64)>,
    columns: Columns,
}

impl<'a> Part<'a> {
    fn new<T: Pixel + Into<f64>>(
        image: ArrayView2<'_, T>,
        settings: &'a Translations,
        level: Level,
        points: Range<usize>,
        nx: usize,
    ) -> Self {
        let (reach, side) = (settings.reach(), 2 * settings.patch + 1);
        let first = points.start * settings.stride;
        let height = (points.len() - 1) * settings.stride + 2 * reach + 1;
        let mut values = Vec::new();
        rows_of(image, first..first + height, level, &mut values);
        let width = image.ncols();
        let (down, across, pixels) = (height + 1 - side, width + 1 - side, (side * side) as f64);
        let mut patches = room::filled(down * across, (0.0, 0.0), "sums of patches").unwrap_or_else(room::unwind);
        let mut columns = Columns::default();
        let (ones, row) = (vec![1.0; width], |y: usize| &values[y * width..][..width]);
        columns.sums(
            (0, down, 1),
            side,
            |y| (row(y), &ones),
            |y, prefix| {
                for (x, patch) in patches[y * across..][..across].iter_mut().enumerate() {
                    patch.0 = prefix[x + side] - prefix[x];
                }
            },
        );
        columns.sums(
            (0, down, 1),
            side,
            |y| (row(y), row(y)),
            |y, prefix| {
                for (x, patch) in patches[y * across..][..across].iter_mut().enumerate() {
                    let about = prefix[x + side] - prefix[x] - patch.0 * patch.0 / pixels;
                    patch.1 = if about > CONSTANT * pixels { about.sqrt().recip() } else { 0.0 };
                }
            },
        );
        Self { settings, image: values, width, points: (points.len(), nx), patches, columns }
    }

    /// Scores of the shift at `at` of all points.
    fn score(&mut self, at: usize, scores: &mut [f32]) {
        let Translations { patch, stride, ref shifts, .. } = *self.settings;
        let (side, first, (m, n)) = (2 * patch + 1, self.settings.reach() - patch, shifts[at]);
        let (width, (ny, nx)) = (self.width, self.points);
        let (patches_width, pixels) = (width + 1 - side, (side * side) as f64);
        let across = (nx - 1) * stride + side;
        let (image, patches) = (&self.image, &self.patches);
        let there = |place: usize, by: isize| place.checked_add_signed(by).expect("shifts lie within the reach");
        let rows = |y: usize| {
            (&image[y * width + first..][..across], &image[there(y, m) * width + there(first, n)..][..across])
        };
        self.columns.sums((first, ny, stride), side, rows, |iy, prefix| {
            let y = first + iy * stride;
            let row = &patches[y * patches_width..][..patches_width];
            let shifted = &patches[there(y, m) * patches_width..][..patches_width];
            for ix in 0..nx {
                let x = first + ix * stride;
                let (a, b) = (row[x], shifted[there(x, n)]);
                let cross = prefix[ix * stride + side] - prefix[ix * stride] - a.0 * b.0 / pixels;
                scores[(iy * nx + ix) * shifts.len() + at] = (cross * a.1 * b.1).clamp(-1.0, 1.0) as f32;
            }
        });
    }
}

/// Sums of products down the columns.
#[derive(Default)]
struct Columns {
    running: Vec<f64>,
    /// What had been summed above each of the boxes that overlap.
    above: Vec<f64>,
    prefix: Vec<f64>,
}

impl Columns {
    /// Of products of two rows: for the boxes of `side` rows whose first are `first + i * stride`, i below `count`, calls
    /// `give` with i and the sums of the columns 0..x for every x.
    fn sums<'r>(
        &mut self,
        (first, count, stride): (usize, usize, usize),
        side: usize,
        rows: impl Fn(usize) -> (&'r [f64], &'r [f64]),
        mut give: impl FnMut(usize, &[f64]),
    ) {
        let width = rows(first).0.len();
        let open = (side - 1) / stride + 1;
        self.running.clear();
        self.running.resize(width, 0.0);
        self.above.resize(open * width, 0.0);
        for y in 0..(count - 1) * stride + side {
            if y % stride == 0 {
                self.above[y / stride % open * width..][..width].copy_from_slice(&self.running);
            }
            let (a, b) = rows(first + y);
            dispatch(AddProducts { sums: &mut self.running, a, b });
            let Some(start) = (y + 1).checked_sub(side).filter(|start| start % stride == 0) else { continue };
            let index = start / stride;
            self.prefix.clear();
            self.prefix.push(0.0);
            let mut total = 0.0;
            let above = &self.above[index % open * width..][..width];
            self.prefix.extend(self.running.iter().zip(above).map(|(running, above)| {
                total += running - above;
                total
            }));
            give(index, &self.prefix);
        }
    }
}

/// `sums += a * b`, never fused, so that all instruction sets give the same.
struct AddProducts<'a> {
    sums: &'a mut [f64],
    a: &'a [f64],
    b: &'a [f64],
}

impl WithSimd for AddProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((sum, a), b) in self.sums.iter_mut().zip(self.a).zip(self.b) {
            *sum += a * b;
        }
    }
}
