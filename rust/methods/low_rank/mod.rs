//! Rows at low rank: each is projected on a few components and made anew of these, and what is taken off is summed.
//!
//! With x a row, P (d × k) what projects it and B (k × d) what makes rows of scores, the new row is
//! `(m + v (xP - m)) B`, where m and v differ from 0 and 1 for the first component only: its scores are brought nearer to
//! their mean (James & Stein 1961). Negative values can be set to zero, features and rows can be left as they are. A tile of
//! rows that was just projected is still in the second-level cache when its new values are compared with it.
//!
//! Cost: 4 n d k flops, n d values read and written. Arithmetic is f32 (f64 for f64 data) over at most 240 rows or one line
//! of features; sums over blocks are f64, merged in a fixed order.

mod squares;
#[cfg(test)]
mod tests;

pub use squares::squares;

use crate::engine::panel::{Panel, Workspaces};
use crate::engine::pass::{block_rows, pass};
use crate::engine::rows::Block;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::engine::tiles::{BLOCK_ROWS, project, tile_rows, tiles};
use crate::{Control, Error, Result, Rows};
use ndarray::ArrayView2;
use std::ops::Range;

/// Bytes of rows that a thread takes at a time.
const BLOCK_BYTES: usize = 4 << 20;
/// Rows whose values are made at a time; with two registers of each, and of B, all stays in registers.
const ROWS: usize = 4;
/// Values in the longest line of features.
const LINE: usize = 32;

/// A type in which new values can be written, from arithmetic in `R`.
pub trait Made<R>: Copy + Default + Send + 'static {
    /// Whether values are rounded to whole numbers.
    const WHOLE: bool;
    /// The nearest value.
    fn of(x: R) -> Self;
}

macro_rules! made {
    ($($to:ident of $real:ident by $wide:ident),*) => {$(
        impl Made<$real> for $to {
            const WHOLE: bool = true;
            #[inline(always)]
            fn of(x: $real) -> Self {
                let x = x.max($to::MIN as $real).min($to::MAX as $real).round_ties_even();
                // SAFETY: a whole number that the type holds; NaN became its smallest.
                unsafe { x.to_int_unchecked::<$wide>() as $to }
            }
        }
    )*};
    ($($to:ident from $real:ident),*) => {$(
        impl Made<$real> for $to {
            const WHOLE: bool = false;
            #[inline(always)]
            fn of(x: $real) -> Self {
                x as $to
            }
        }
    )*};
}

// By 32 bits, for which there are instructions.
made!(u8 of f32 by i32, u16 of f32 by i32, i16 of f32 by i32, u32 of f64 by i64, i32 of f64 by i32);
made!(f32 from f32, f32 from f64, f64 from f64);

/// What makes rows of low rank of rows.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    /// P, d × k.
    pub into: ArrayView2<'a, f64>,
    /// B, k × d.
    pub back: ArrayView2<'a, f64>,
    /// m of the first component.
    pub toward: f64,
    /// v of the first component.
    pub varying: f64,
    /// Features that are made; others stay as they are.
    pub features: Option<&'a [bool]>,
    /// Whether negative values are set to zero.
    pub clip: bool,
}

/// What is summed while rows are made. Rows that stay as they are add nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sums {
    /// Squares of the differences between data and new values, before these are rounded, of each feature and of each row.
    pub residuals: (Vec<f64>, Vec<f64>),
    /// New values, not rounded.
    pub values: (Vec<f64>, Vec<f64>),
    /// Squares of the data.
    pub squares: (Vec<f64>, Vec<f64>),
    /// How many values were negative, and their sum.
    pub negative: (u64, f64),
    /// How many values above zero were rounded to zero.
    pub lost: u64,
}

/// Writes the n × d values of rows at low rank; `measured` are the rows that do not stay as they are.
///
/// ```
/// use emcore::methods::low_rank::{Model, at_low_rank};
/// use emcore::{Control, Rows};
/// use ndarray::array;
///
/// let (into, back) = (array![[1.0], [0.0]], array![[1.0, 2.0]]);
/// let model = Model { into: into.view(), back: back.view(), toward: 0.0, varying: 1.0, features: None, clip: true };
/// let mut values = [0.0f32; 4];
/// let rows = Rows::from_slice(&[3u8, 5, 4, 8], 2, 2);
/// let sums = at_low_rank(rows, &model, &[true, true], &mut values, &Control::new())?;
/// assert_eq!(values, [3.0, 6.0, 4.0, 8.0]);
/// assert_eq!(sums.residuals.1, [1.0, 0.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn at_low_rank<T: Pixel, O: Made<T::Real>>(
    rows: Rows<'_, T>,
    model: &Model<'_>,
    measured: &[bool],
    values: &mut [O],
    control: &Control,
) -> Result<Sums> {
    let (n, d, k) = (rows.n(), rows.d(), model.into.ncols());
    check(n, d, model, measured.len(), values.len())?;
    let packed = Packed {
        into: Panel::from_fn(d, k, |j, c| T::Real::of(model.into[(j, c)])),
        back: Panel::from_fn(d, k, |j, c| T::Real::of(model.back[(c, j)])),
        toward: T::Real::of(model.toward),
        varying: T::Real::of(model.varying),
        made: model.features.map(|features| {
            let mut made = Vec::from_iter(features.iter().map(|&made| if made { T::Real::ONE } else { T::Real::ZERO }));
            made.resize(d.div_ceil(T::Real::LINE) * T::Real::LINE, T::Real::ONE);
            made
        }),
        clip: model.clip,
    };
    // Of each feature squares of residuals, values and squares.
    let workspaces = Workspaces::<T::Real>::new(false, d, 3);
    let mut of_features = Panel::<f64, T::Real>::zeros(d, 3);
    let mut total = Sums::default();
    let block = |range: Range<usize>, values: &mut [O]| {
        let (mut scratch, mut sums) = (Vec::new(), workspaces.take());
        let mut partial = Sums::default();
        let mut scores = Vec::new();
        for part in tiles(range.len(), tile_rows::<T>(d)) {
            let block = rows.block(range.start + part.start..range.start + part.end, &mut scratch);
            scores.resize(part.len() * k, T::Real::ZERO);
            project(block, &[], &packed.into, &mut scores);
            for score in scores.iter_mut().step_by(k) {
                *score = packed.toward + packed.varying * (*score - packed.toward);
            }
            let measured = &measured[range.start + part.start..range.start + part.end];
            let values = &mut values[part.start * d..part.end * d];
            let (model, scores, sums, partial) = (&packed, &scores[..], &mut sums, &mut partial);
            dispatch(Make { block, model, scores, measured, values, sums, partial });
        }
        (partial, sums)
    };
    control.expect(n as u64);
    let together = block_rows(rows.row_bytes(), BLOCK_BYTES, 4 * ROWS).min(BLOCK_ROWS);
    pass(n, together, control, values, block, |(partial, sums)| {
        total.residuals.1.extend(partial.residuals.1);
        total.values.1.extend(partial.values.1);
        total.squares.1.extend(partial.squares.1);
        total.negative.0 += partial.negative.0;
        total.negative.1 += partial.negative.1;
        total.lost += partial.lost;
        of_features.add(&sums);
        workspaces.put(sums);
    })?;
    let column = |c: usize| Vec::from_iter((0..d).map(|j| of_features.get(j, c)));
    (total.residuals.0, total.values.0, total.squares.0) = (column(0), column(1), column(2));
    Ok(total)
}

fn check(n: usize, d: usize, model: &Model<'_>, measured: usize, values: usize) -> Result<()> {
    let k = model.into.ncols();
    if k == 0 || model.into.nrows() != d || model.back.dim() != (k, d) {
        let (into, back) = (model.into.dim(), model.back.dim());
        return Err(Error::invalid("into and back", format!("{into:?} and {back:?} values for {d} features")));
    }
    if model.features.is_some_and(|features| features.len() != d) {
        return Err(Error::invalid("features", format!("one for each of {d} is needed")));
    }
    if measured != n || values != n * d {
        let message = format!("{measured} and {values}; {n} rows of {d} values are needed");
        return Err(Error::invalid("measured and values", message));
    }
    Ok(())
}

/// A [`Model`] as the hot loop reads it.
struct Packed<R> {
    into: Panel<R>,
    back: Panel<R>,
    toward: R,
    varying: R,
    /// 1 for each feature that is made, 0 for others, padded to whole lines.
    made: Option<Vec<R>>,
    clip: bool,
}

/// The values of a tile of rows, from their scores.
struct Make<'a, T: Pixel, O> {
    block: Block<'a, T>,
    model: &'a Packed<T::Real>,
    scores: &'a [T::Real],
    measured: &'a [bool],
    values: &'a mut [O],
    sums: &'a mut Panel<T::Real>,
    partial: &'a mut Sums,
}

/// Lines that are summed in the type of the arithmetic before the sum goes on in f64.
const LINES: usize = 16;
/// What is summed of every row, and of every value of a line by itself: squares of residuals, values and squares.
const SUMS: usize = 3;

impl<T: Pixel, O: Made<T::Real>> WithSimd for Make<'_, T, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n, d, line) = (self.block.n(), self.block.d(), T::Real::LINE);
        let mut model = [[T::Real::ZERO; LINE]; ROWS];
        let mut last = [T::default(); LINE];
        for start in (0..n).step_by(ROWS) {
            let rows = ROWS.min(n - start);
            let mut of_rows = [[0.0; SUMS]; ROWS];
            let mut sums = [[T::Real::splat(simd, T::Real::ZERO); SUMS]; ROWS];
            let mut counts = [T::Real::splat(simd, T::Real::ZERO); 3];
            for (at, first) in (0..d).step_by(line).enumerate() {
                self.line(simd, start, at, &mut model);
                let width = line.min(d - first);
                for r in 0..rows {
                    let row = &self.block.row(start + r)[first..first + width];
                    let values = &mut self.values[(start + r) * d + first..][..width];
                    if !self.measured[start + r] {
                        values.iter_mut().zip(row).for_each(|(value, x)| *value = O::of(x.real()));
                        continue;
                    }
                    // Behind the last feature all is zero, of which nothing is summed.
                    let x = if width == line {
                        row
                    } else {
                        last[..width].copy_from_slice(row);
                        &last[..line]
                    };
                    let of_line = self.sums.line_mut(at);
                    add_line(simd, self.model, at, x, &mut model[r], of_line, &mut sums[r], &mut counts);
                    if width == line {
                        write(&model[r][..line], &mut values[..line]);
                    } else {
                        write(&model[r], values);
                    }
                }
                if at % LINES == LINES - 1 || first + line >= d {
                    for (sums, of_row) in sums.iter_mut().zip(&mut of_rows) {
                        for (sum, total) in sums.iter_mut().zip(of_row) {
                            *total += T::Real::sum(simd, *sum).f64();
                            *sum = T::Real::splat(simd, T::Real::ZERO);
                        }
                    }
                    let [negative, lacking, lost] = counts.map(|count| T::Real::sum(simd, count).f64());
                    self.partial.negative.0 += negative as u64;
                    self.partial.negative.1 += lacking;
                    self.partial.lost += if O::WHOLE { lost as u64 } else { 0 };
                    counts = [T::Real::splat(simd, T::Real::ZERO); 3];
                }
            }
            for [residuals, values, squares] in &of_rows[..rows] {
                self.partial.residuals.1.push(*residuals);
                self.partial.values.1.push(*values);
                self.partial.squares.1.push(*squares);
            }
        }
    }
}

impl<T: Pixel, O: Made<T::Real>> Make<'_, T, O> {
    /// One line of features of the model of some rows.
    #[inline(always)]
    fn line<S: Simd>(&self, simd: S, start: usize, line: usize, model: &mut [[T::Real; LINE]; ROWS]) {
        const G: usize = 2;
        let (k, size, lanes, n) = (self.model.back.k(), T::Real::LINE, T::Real::lanes::<S>(), self.block.n());
        let back = self.model.back.line(line);
        let mut scores = [&[] as &[T::Real]; ROWS];
        for (r, scores) in scores.iter_mut().enumerate() {
            *scores = &self.scores[(start + r).min(n - 1) * k..][..k];
        }
        for part in (0..size).step_by(G * lanes) {
            let mut acc = [[T::Real::splat(simd, T::Real::ZERO); G]; ROWS];
            for (c, column) in back.chunks_exact(size).enumerate() {
                let mut b = [T::Real::splat(simd, T::Real::ZERO); G];
                for (g, b) in b.iter_mut().enumerate() {
                    *b = T::Real::load(simd, &column[part + g * lanes..]);
                }
                for r in 0..ROWS {
                    let score = T::Real::splat(simd, scores[r][c]);
                    for g in 0..G {
                        acc[r][g] = T::Real::mul_add(simd, score, b[g], acc[r][g]);
                    }
                }
            }
            for r in 0..ROWS {
                for g in 0..G {
                    T::Real::store(simd, &mut model[r][part + g * lanes..], acc[r][g]);
                }
            }
        }
    }
}

/// Correct a line of the model of one row, and add what is summed: of the features, of the row, and how many values were
/// negative, their sum, how many are going to be rounded to zero.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn add_line<S: Simd, T: Pixel>(
    simd: S,
    packed: &Packed<T::Real>,
    line: usize,
    x: &[T],
    model: &mut [T::Real; LINE],
    of_line: &mut [T::Real],
    of_row: &mut [<T::Real as Real>::Lanes<S>; SUMS],
    counts: &mut [<T::Real as Real>::Lanes<S>; 3],
) {
    let (size, lanes) = (T::Real::LINE, T::Real::lanes::<S>());
    let [zero, one, half] = [0.0, 1.0, 0.5].map(|x| T::Real::splat(simd, T::Real::of(x)));
    for part in (0..size).step_by(lanes) {
        let x = T::load(simd, &x[part..part + lanes]);
        let mut m = T::Real::load(simd, &model[part..part + lanes]);
        counts[0] = T::Real::add(simd, counts[0], T::Real::where_less(simd, m, zero, one, zero));
        counts[1] = T::Real::add(simd, counts[1], T::Real::min(simd, m, zero));
        if packed.clip {
            m = T::Real::max(simd, m, zero);
        }
        if let Some(made) = &packed.made {
            let made = T::Real::load(simd, &made[line * size + part..][..lanes]);
            m = T::Real::where_less(simd, zero, made, m, x);
        }
        let small = T::Real::where_less(simd, half, m, zero, one);
        counts[2] = T::Real::add(simd, counts[2], T::Real::where_less(simd, zero, m, small, zero));
        T::Real::store(simd, &mut model[part..part + lanes], m);
        let residual = T::Real::sub(simd, x, m);
        let terms = [T::Real::mul(simd, residual, residual), m, T::Real::mul(simd, x, x)];
        for (c, term) in terms.into_iter().enumerate() {
            let sum = &mut of_line[c * size + part..][..lanes];
            let more = T::Real::add(simd, T::Real::load(simd, sum), term);
            T::Real::store(simd, sum, more);
            of_row[c] = T::Real::add(simd, of_row[c], term);
        }
    }
}

/// The nearest values of the type that is written.
#[inline(always)]
fn write<R: Real, O: Made<R>>(model: &[R], values: &mut [O]) {
    values.iter_mut().zip(model).for_each(|(value, m)| *value = O::of(*m));
}
