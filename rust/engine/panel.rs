//! Thin matrices in the order in which a hot loop reads them, and the sums of them that blocks of rows add up.

use crate::engine::aligned::Aligned;
use crate::engine::simd::{Real, Simd, WithSimd, dispatch};
use std::sync::Mutex;

/// k thin columns of d values, interleaved in lines of 128 bytes: value (j, c) stands at `((j / L) * k + c) * L + j % L`.
///
/// The order in which a hot loop reads them, whatever the instruction set. Padded with zeros to whole lines.
#[derive(Debug, PartialEq)]
pub struct Panel<V> {
    pub(crate) d: usize,
    pub(crate) k: usize,
    line: usize,
    pub(crate) values: Aligned<V>,
}

impl<V: Copy + Default> Panel<V> {
    /// Zeros, for data of d features in arithmetic of type `R`.
    pub fn zeros<R: Real>(d: usize, k: usize) -> Self {
        let line = R::LINE;
        Self { d, k, line, values: Aligned::new(d.div_ceil(line) * line * k) }
    }

    /// Packed from a function of feature j and column c.
    pub fn from_fn<R: Real>(d: usize, k: usize, value: impl Fn(usize, usize) -> V) -> Self {
        let mut panel = Self::zeros::<R>(d, k);
        for first in (0..d).step_by(R::LINE) {
            for (c, column) in panel.line_mut(first / R::LINE).chunks_exact_mut(R::LINE).enumerate() {
                column.iter_mut().zip(first..d).for_each(|(to, j)| *to = value(j, c));
            }
        }
        panel
    }

    /// Number of features d.
    pub fn d(&self) -> usize {
        self.d
    }

    /// Number of columns k.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The value of feature j in column c.
    pub fn get(&self, j: usize, c: usize) -> V {
        self.values[self.at(j, c)]
    }

    /// The k × L values of one line of features, column after column.
    pub fn line(&self, line: usize) -> &[V] {
        &self.values[line * self.k * self.line..][..self.k * self.line]
    }

    /// [`line`](Self::line), to change.
    pub fn line_mut(&mut self, line: usize) -> &mut [V] {
        &mut self.values[line * self.k * self.line..][..self.k * self.line]
    }

    /// Column by column, k × d values.
    pub fn to_columns(&self) -> Vec<V> {
        (0..self.k).flat_map(|c| (0..self.d).map(move |j| self.get(j, c))).collect()
    }

    fn at(&self, j: usize, c: usize) -> usize {
        debug_assert!(j < self.d && c < self.k);
        ((j / self.line) * self.k + c) * self.line + j % self.line
    }
}

impl Panel<f64> {
    /// Add a partial sum, value by value.
    pub fn add<R: Real>(&mut self, part: &Panel<R>) {
        assert_eq!((self.d, self.k, self.line), (part.d, part.k, part.line));
        dispatch(Add { total: &mut self.values, part: &part.values });
    }
}

/// `total += part`.
struct Add<'a, R> {
    total: &'a mut [f64],
    part: &'a [R],
}

impl<R: Real> WithSimd for Add<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (total, x) in self.total.iter_mut().zip(self.part) {
            *total += x.f64();
        }
    }
}

/// Partial sums of d × k values that were merged and may be used again: at most a few per thread are ever made.
pub struct Spare<R> {
    d: usize,
    k: usize,
    free: Mutex<Vec<Panel<R>>>,
}

impl<R: Real> Spare<R> {
    /// None yet.
    pub fn new(d: usize, k: usize) -> Self {
        Self { d, k, free: Mutex::new(Vec::new()) }
    }

    /// One that holds zeros.
    pub fn take(&self) -> Panel<R> {
        let free = self.free.lock().unwrap().pop();
        let Some(mut panel) = free else { return Panel::zeros::<R>(self.d, self.k) };
        panel.values.fill(R::ZERO);
        panel
    }

    /// Give one back.
    pub fn put(&self, panel: Panel<R>) {
        self.free.lock().unwrap().push(panel);
    }
}
