//! Rows made ready for clustering without a float copy of the data: masked, normalised, scaled, signals side by side.
//!
//! Of one signal, with x what is kept of a row: `y = (N(x) - offset) * scale`, N one of [`Normalize`] (Bach Siches 2022),
//! offset and scale per kept feature; of all rows or of chosen ones. Several signals on the same positions give their y one after another, so that merged
//! data (Duran et al. 2023) are rows like any others. A block of rows is computed when it is visited, in the type of the
//! arithmetic of its pixels, and handed on as f32. Cost: some 10 flops a value and a visit.

use crate::engine::rows::Computed;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch};
use crate::{Error, Result, Rows};
use std::ops::Range;

/// What is done to the kept values of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalize {
    /// Nothing.
    None,
    /// Divide by their sum.
    Sum,
    /// Divide by the root of their sum: the rows' part of Poisson weighting (Keenan & Kotula 2004).
    RootSum,
    /// Divide by the largest modulus.
    Max,
    /// Divide by the Euclidean norm.
    L2,
    /// ln(1 + x).
    Log1p,
    /// √x.
    Sqrt,
}

/// One signal: stored rows, and what is done to them. A row that holds nothing but zeros stays so.
///
/// ```
/// use emcore::methods::moments::moments;
/// use emcore::prepare::{Normalize, Prepared, Signal};
/// use emcore::{Control, Rows};
///
/// let counts = [1u16, 3, 7, 10, 30, 9]; // of each row, the last channel is left out
/// let signal = Signal::new(Rows::from_slice(&counts, 2, 3), Some(vec![0..2]), Normalize::Sum, None, None)?;
/// let prepared = Prepared::new(vec![Box::new(signal)])?;
/// assert_eq!(moments(Rows::computed(&prepared), &Control::new())?.mean, [0.25, 0.75]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub struct Signal<'a, T: Pixel> {
    rows: Rows<'a, T>,
    /// Which rows, if not all.
    chosen: Option<&'a [usize]>,
    /// Runs of kept features.
    features: Vec<Range<usize>>,
    normalize: Normalize,
    offset: Vec<T::Real>,
    scale: Vec<T::Real>,
}

impl<'a, T: Pixel> Signal<'a, T> {
    /// `features` are ascending runs of features, all of them if none are given; offset and scale have one value per kept feature.
    pub fn new(
        rows: Rows<'a, T>,
        features: Option<Vec<Range<usize>>>,
        normalize: Normalize,
        offset: Option<&[f64]>,
        scale: Option<&[f64]>,
    ) -> Result<Self> {
        let features = features.unwrap_or_else(|| std::iter::once(0..rows.d()).collect());
        let ends = features.iter().flat_map(|run| [run.start, run.end]);
        if !ends.clone().is_sorted()
            || ends.last().is_none_or(|end| end > rows.d())
            || features.iter().all(Range::is_empty)
        {
            return Err(Error::invalid(
                "kept",
                "ascending runs of features of the data are needed, and at least one feature",
            ));
        }
        let d = features.iter().map(Range::len).sum();
        if d == 0 {
            return Err(Error::invalid("kept", "no feature; keep at least one"));
        }
        let values = |given: Option<&[f64]>, name, default: T::Real| match given {
            Some(given) if given.len() != d => {
                Err(Error::invalid(name, format!("{} values for {d} kept features", given.len())))
            }
            Some(given) => Ok(Vec::from_iter(given.iter().map(|&x| T::Real::of(x)))),
            None => Ok(vec![default; d]),
        };
        let (offset, scale) = (values(offset, "offset", T::Real::ZERO)?, values(scale, "scale", T::Real::ONE)?);
        Ok(Self { rows, chosen: None, features, normalize, offset, scale })
    }

    /// Only the chosen rows, in that order.
    pub fn only(self, chosen: &'a [usize]) -> Result<Self> {
        let n = self.rows.n();
        match chosen.iter().find(|&&index| index >= n) {
            _ if chosen.is_empty() => Err(Error::invalid("rows", "none chosen; choose at least one")),
            Some(index) => Err(Error::invalid("rows", format!("row {index} is chosen; there are {n}"))),
            None => Ok(Self { chosen: Some(chosen), ..self }),
        }
    }
}

impl<T: Pixel> Signal<'_, T> {
    /// Stored rows that are those asked for, neighbours together.
    fn runs(&self, rows: Range<usize>) -> Vec<Range<usize>> {
        let Some(chosen) = self.chosen else { return Vec::from([rows]) };
        let groups = chosen[rows].chunk_by(|a, b| a + 1 == *b);
        groups.map(|group| group[0]..group[0] + group.len()).collect()
    }
}

/// A signal of whatever type.
pub trait AnySignal: Sync {
    /// Numbers of rows and of kept features.
    fn shape(&self) -> (usize, usize);
    /// Some rows, written to `values` from `first` on, one row every `stride`.
    fn fill(&self, rows: Range<usize>, values: &mut [f32], first: usize, stride: usize);
}

impl<T: Pixel> AnySignal for Signal<'_, T> {
    fn shape(&self) -> (usize, usize) {
        (self.chosen.map_or(self.rows.n(), <[usize]>::len), self.offset.len())
    }

    fn fill(&self, rows: Range<usize>, values: &mut [f32], first: usize, stride: usize) {
        let mut scratch = Vec::new();
        let mut selected = vec![T::Real::ZERO; self.offset.len()];
        let mut outs = values.chunks_mut(stride).map(|out| &mut out[first..first + self.offset.len()]);
        for rows in self.runs(rows) {
            let block = self.rows.block(rows, &mut scratch);
            for (i, out) in (0..block.n()).zip(&mut outs) {
                dispatch(Row { signal: self, row: block.row(i), selected: &mut selected, out });
            }
        }
    }
}

struct Row<'a, 'b, T: Pixel> {
    signal: &'a Signal<'b, T>,
    row: &'a [T],
    selected: &'a mut [T::Real],
    out: &'a mut [f32],
}

impl<T: Pixel> WithSimd for Row<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { signal, row, selected, out } = self;
        let mut at = 0;
        for run in &signal.features {
            let from = &row[run.clone()];
            selected[at..at + from.len()].iter_mut().zip(from).for_each(|(to, x)| *to = x.real());
            at += from.len();
        }
        match signal.normalize {
            Normalize::Log1p => selected.iter_mut().for_each(|x| *x = T::Real::of(x.f64().ln_1p())),
            Normalize::Sqrt => selected.iter_mut().for_each(|x| *x = T::Real::of(x.f64().sqrt())),
            _ => {}
        }
        let mut size = size(selected, signal.normalize);
        if !(size.is_finite() && T::Real::of(1.0 / size).f64().is_finite()) {
            // Too small for its inverse, or no number for squares: a power of two rounds nothing, and the quotient stays as it is.
            let top = selected.iter().fold(0.0, |top: f64, x| top.max(x.f64().abs()));
            if top > 0.0 && matches!(signal.normalize, Normalize::Sum | Normalize::L2 | Normalize::Max) {
                let half = (-0.5 * top.log2().floor()).exp2();
                selected.iter_mut().for_each(|x| *x = T::Real::of(x.f64() * half * half));
                size = self::size(selected, signal.normalize);
            }
        }
        let factor = T::Real::of(if size > 0.0 { 1.0 / size } else { 0.0 });
        let scaled = selected.iter().zip(&signal.offset).zip(&signal.scale);
        for (out, ((&x, &offset), &scale)) in out.iter_mut().zip(scaled) {
            *out = ((x * factor - offset) * scale).f64() as f32;
        }
    }
}

/// What a row is divided by.
#[inline(always)]
fn size<R: Real>(values: &[R], normalize: Normalize) -> f64 {
    match normalize {
        Normalize::Sum => total(values, |x| x),
        Normalize::RootSum => total(values, |x| x).max(0.0).sqrt(),
        Normalize::L2 => total(values, |x| x * x).sqrt(),
        Normalize::Max => largest(values),
        _ => 1.0,
    }
}

/// Values summed in the type of the arithmetic before the sum goes on in f64.
const CHUNK: usize = 512;

#[inline(always)]
fn total<R: Real>(values: &[R], of: impl Fn(R) -> R) -> f64 {
    let mut total = 0.0;
    for chunk in values.chunks(CHUNK) {
        let mut sums = [R::ZERO; 16];
        for part in chunk.chunks(16) {
            sums.iter_mut().zip(part).for_each(|(sum, &x)| *sum += of(x));
        }
        total += sums.iter().map(|sum| sum.f64()).sum::<f64>();
    }
    total
}

#[inline(always)]
fn largest<R: Real>(values: &[R]) -> f64 {
    let mut top = [R::ZERO; 16];
    for part in values.chunks(16) {
        for (top, &x) in top.iter_mut().zip(part) {
            let size = if x < R::ZERO { R::ZERO - x } else { x };
            *top = if size > *top { size } else { *top };
        }
    }
    top.iter().fold(0.0, |top, x| x.f64().max(top))
}

/// Signals side by side.
pub struct Prepared<'a> {
    signals: Vec<Box<dyn AnySignal + 'a>>,
    n: usize,
    d: usize,
}

impl<'a> Prepared<'a> {
    /// At least one signal, all with as many rows.
    pub fn new(signals: Vec<Box<dyn AnySignal + 'a>>) -> Result<Self> {
        let shapes = Vec::from_iter(signals.iter().map(|signal| signal.shape()));
        match shapes.iter().find(|shape| shape.0 != shapes[0].0) {
            _ if shapes.is_empty() => Err(Error::invalid("signals", "none given; give at least one")),
            Some(other) => Err(Error::invalid("signals", format!("{} and {} rows", shapes[0].0, other.0))),
            None => Ok(Self { signals, n: shapes[0].0, d: shapes.iter().map(|shape| shape.1).sum() }),
        }
    }
}

impl Computed<f32> for Prepared<'_> {
    fn shape(&self) -> (usize, usize) {
        (self.n, self.d)
    }

    fn fill(&self, rows: Range<usize>, values: &mut [f32]) {
        let mut first = 0;
        for signal in &self.signals {
            signal.fill(rows.clone(), values, first, self.d);
            first += signal.shape().1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    /// The definition, value by value, in f64.
    fn plain(x: &[f64], normalize: Normalize, offset: f64, scale: f64) -> Vec<f64> {
        let size = match normalize {
            Normalize::Sum => x.iter().sum::<f64>(),
            Normalize::RootSum => x.iter().sum::<f64>().sqrt(),
            Normalize::Max => x.iter().copied().fold(0.0, f64::max),
            Normalize::L2 => x.iter().map(|x| x * x).sum::<f64>().sqrt(),
            _ => 1.0,
        };
        let value = |x: f64| match normalize {
            Normalize::Log1p => x.ln_1p(),
            Normalize::Sqrt => x.sqrt(),
            _ if size > 0.0 => x / size,
            _ => 0.0,
        };
        x.iter().map(|&x| (value(x) - offset) * scale).collect()
    }

    #[test]
    fn rows_of_any_magnitude_are_divided_by_their_size() {
        for normalize in [Normalize::Sum, Normalize::Max, Normalize::L2] {
            for exponent in [-1060, -700, 0, 500, 1000] {
                let data = Array2::from_shape_fn((2, 5), |(i, j)| (i + j) as f64 * f64::from(exponent).exp2());
                let narrow = f64::from(exponent / 8).exp2() as f32;
                let small = Array2::from_shape_fn((2, 5), |(i, j)| (i + j) as f32 * narrow);
                let signals = (
                    Signal::new(Rows::new(data.view()), None, normalize, None, None).unwrap(),
                    Signal::new(Rows::new(small.view()), None, normalize, None, None).unwrap(),
                );
                let prepared = Prepared::new(vec![Box::new(signals.0), Box::new(signals.1)]).unwrap();
                let mut scratch = Vec::new();
                let rows = Rows::computed(&prepared);
                let block = rows.block(0..2, &mut scratch);
                for i in 0..2 {
                    let expected = plain(&[0, 1, 2, 3, 4].map(|j| f64::from(i + j)), normalize, 0.0, 1.0);
                    for (observed, expected) in block.row(i as usize).iter().zip(expected.iter().chain(&expected)) {
                        assert!((f64::from(*observed) - expected).abs() < 1e-6, "{normalize:?} at 2^{exponent}");
                    }
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "it takes minutes, and prepared rows are read through a block like stored ones")]
    fn prepared_rows_are_the_definition_for_every_normalisation_and_strided_data() {
        let mut data = Array2::from_shape_fn((23, 700), |(i, j)| ((i * 31 + j * 17 + i * j) % 251) as u16);
        data.row_mut(4).fill(0);
        let other = Array2::from_shape_fn((23, 9), |(i, j)| i as f64 - 0.1 * j as f64);
        use Normalize::{L2, Log1p, Max, None as Nothing, RootSum, Sqrt, Sum};
        for normalize in [Nothing, Sum, RootSum, Max, L2, Log1p, Sqrt] {
            for (view, offset) in [(data.view(), 0.0), (data.slice(s![.., ..;-1]), 0.25)] {
                let (features, offsets, scales) = (vec![0..3, 10..610], [offset; 603], [3.0; 603]);
                let left = Signal::new(Rows::new(view), Some(features), normalize, Some(&offsets), Some(&scales));
                let right = Signal::new(Rows::new(other.view()), None, Nothing, None, None);
                let prepared = Prepared::new(vec![Box::new(left.unwrap()), Box::new(right.unwrap())]).unwrap();
                let rows = Rows::computed(&prepared);
                assert_eq!((rows.n(), rows.d()), (23, 603 + 9));
                let mut scratch = Vec::new();
                let block = rows.block(3..23, &mut scratch);
                for i in 3..23 {
                    let row = view.row(i);
                    let x = Vec::from_iter((0..3).chain(10..610).map(|j| f64::from(row[j])));
                    let mut expected = plain(&x, normalize, offset, 3.0);
                    expected.extend(other.row(i));
                    for (observed, expected) in block.row(i - 3).iter().zip(expected) {
                        let close = 1e-6 * (expected.abs() + 3.0 * offset);
                        assert!(
                            (f64::from(*observed) - expected).abs() <= close,
                            "{normalize:?} {observed} {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn chosen_rows_are_those_of_all() {
        let data = Array2::from_shape_fn((23, 70), |(i, j)| ((i * 31 + j * 17 + i * j) % 251) as u16);
        let chosen = [0, 1, 2, 7, 5, 6, 22, 22, 3];
        for view in [data.view(), data.slice(s![.., ..;-1])] {
            let signal = || Signal::new(Rows::new(view), None, Normalize::RootSum, None, None).unwrap();
            let all = Prepared::new(vec![Box::new(signal())]).unwrap();
            let few = Prepared::new(vec![Box::new(signal().only(&chosen).unwrap())]).unwrap();
            let (mut values, mut some) = (vec![0.0; 23 * 70], vec![0.0; 7 * 70]);
            all.fill(0..23, &mut values);
            few.fill(2..9, &mut some);
            assert_eq!(Computed::shape(&few), (9, 70));
            for (i, row) in some.chunks(70).enumerate() {
                assert_eq!(row, &values[chosen[2 + i] * 70..][..70]);
            }
            assert!(signal().only(&[0, 23]).is_err() && signal().only(&[]).is_err());
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let data = [0u8; 12];
        let rows = || Rows::from_slice(&data, 3, 4);
        let with = |features| Signal::new(rows(), Some(features), Normalize::None, None, None).is_ok();
        assert!(with(vec![0..2, 2..4]) && with(vec![0..1, 3..4]));
        assert!(!with(vec![]) && !with(vec![2..2, 3..3]) && !with(vec![1..2, 2..5]) && !with(vec![2..3, 0..1]));
        assert!(Signal::new(rows(), None, Normalize::None, Some(&[0.0; 3]), None).is_err());
        let short = Signal::new(Rows::from_slice(&data, 2, 6), None, Normalize::None, None, None).unwrap();
        let whole = Signal::new(rows(), None, Normalize::None, None, None).unwrap();
        assert!(Prepared::new(vec![Box::new(whole), Box::new(short)]).is_err());
        assert!(Prepared::new(vec![]).is_err());
    }
}
