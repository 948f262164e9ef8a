//! Thin matrices in the order in which a hot loop reads them, and the sums of them that blocks of rows add up.

use crate::engine::aligned::Aligned;
use crate::engine::room::Zero;
use crate::engine::simd::{Real, Simd, WithSimd, dispatch};
use std::marker::PhantomData;
use std::sync::Mutex;

/// Columns that lie side by side are padded to a multiple of so many.
pub const SIDE: usize = 8;

/// k thin columns of d values, interleaved in lines of 128 bytes: value (j, c) stands at `((j / L) * k + c) * L + j % L`.
///
/// Or, for sparse rows, [by feature](Self::by_feature): value (j, c) at `j * width + c`.
///
/// The order in which a hot loop reads them, whatever the instruction set. Padded with zeros to whole lines. L is that of `R`,
/// the arithmetic of the loop, of which the values are; or they are f64, sums of what was computed in `R`.
#[derive(Debug, PartialEq)]
pub struct Panel<V, R = V> {
    d: usize,
    k: usize,
    is_by_feature: bool,
    values: Aligned<V>,
    lines_of: PhantomData<R>,
}

impl<V: Zero, R: Real> Panel<V, R> {
    /// Zeros, for data of d features.
    pub fn zeros(d: usize, k: usize) -> Self {
        let values = Aligned::new(d.div_ceil(R::LINE) * R::LINE * k);
        Self { d, k, is_by_feature: false, values, lines_of: PhantomData }
    }

    /// Zeros, the columns of a feature side by side.
    pub fn by_feature(d: usize, k: usize) -> Self {
        let values = Aligned::new(d.saturating_mul(k.next_multiple_of(SIDE)));
        Self { d, k, is_by_feature: true, values, lines_of: PhantomData }
    }

    /// Zeros, laid out for rows that are sparse or not.
    pub fn zeros_for(sparse: bool, d: usize, k: usize) -> Self {
        if sparse { Self::by_feature(d, k) } else { Self::zeros(d, k) }
    }

    /// The same values by feature.
    pub fn to_features(&self) -> Self {
        let mut panel = Self::by_feature(self.d, self.k);
        let width = panel.width();
        for (j, values) in panel.values.chunks_exact_mut(width.max(1)).enumerate() {
            (0..self.k).for_each(|c| values[c] = self.get(j, c));
        }
        panel
    }

    /// Packed from a function of feature j and column c.
    pub fn from_fn(d: usize, k: usize, value: impl Fn(usize, usize) -> V) -> Self {
        let mut panel = Self::zeros(d, k);
        for first in (0..d).step_by(R::LINE) {
            for (c, column) in panel.line_mut(first / R::LINE).chunks_exact_mut(R::LINE).enumerate() {
                column.iter_mut().zip(first..d).for_each(|(to, j)| *to = value(j, c));
            }
        }
        panel
    }

    /// Number of features d.
    #[inline(always)]
    pub fn d(&self) -> usize {
        self.d
    }

    /// Number of columns k.
    #[inline(always)]
    pub fn k(&self) -> usize {
        self.k
    }

    /// Whether the columns of a feature lie side by side.
    #[inline(always)]
    pub fn is_by_feature(&self) -> bool {
        self.is_by_feature
    }

    /// Values of each feature that lies [by feature](Self::by_feature): k, padded.
    #[inline(always)]
    pub fn width(&self) -> usize {
        self.k.next_multiple_of(SIDE)
    }

    /// The value of feature j in column c.
    pub fn get(&self, j: usize, c: usize) -> V {
        debug_assert!(j < self.d && c < self.k);
        if self.is_by_feature {
            return self.values[j * self.width() + c];
        }
        self.values[((j / R::LINE) * self.k + c) * R::LINE + j % R::LINE]
    }

    /// All values, line after line: k × L for each L features, the last of which may be padding.
    #[inline(always)]
    pub fn values(&self) -> &[V] {
        &self.values
    }

    /// [`values`](Self::values), to change.
    #[inline(always)]
    pub fn values_mut(&mut self) -> &mut [V] {
        &mut self.values
    }

    /// The k × L values of one line of features, column after column.
    pub fn line(&self, line: usize) -> &[V] {
        &self.values[line * self.k * R::LINE..][..self.k * R::LINE]
    }

    /// [`line`](Self::line), to change.
    pub fn line_mut(&mut self, line: usize) -> &mut [V] {
        &mut self.values[line * self.k * R::LINE..][..self.k * R::LINE]
    }

    /// Column by column, k × d values.
    pub fn to_columns(&self) -> Vec<V> {
        (0..self.k).flat_map(|c| (0..self.d).map(move |j| self.get(j, c))).collect()
    }
}

impl<R: Real> Panel<f64, R> {
    /// Adds a partial sum, value by value.
    pub fn add(&mut self, partial: &Panel<R>) {
        assert_eq!((self.d, self.k), (partial.d, partial.k), "features and columns of the sum");
        assert_eq!(self.is_by_feature, partial.is_by_feature, "how they lie");
        dispatch(Add { total: &mut self.values, partial: &partial.values });
    }
}

/// `total += partial`.
struct Add<'a, R> {
    total: &'a mut [f64],
    partial: &'a [R],
}

impl<R: Real> WithSimd for Add<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (total, x) in self.total.iter_mut().zip(self.partial) {
            *total += x.f64();
        }
    }
}

/// Panels for partial sums of d × k values, used again once they are merged: at most a few per thread are ever made.
pub struct Workspaces<R> {
    sparse: bool,
    d: usize,
    k: usize,
    idle: Mutex<Vec<Panel<R>>>,
}

impl<R: Real> Workspaces<R> {
    /// None yet, for rows that are sparse or not.
    pub fn new(sparse: bool, d: usize, k: usize) -> Self {
        Self { sparse, d, k, idle: Mutex::new(Vec::new()) }
    }

    /// Takes one that holds zeros.
    pub fn take(&self) -> Panel<R> {
        let idle = self.idle.lock().unwrap().pop();
        let Some(mut panel) = idle else { return Panel::zeros_for(self.sparse, self.d, self.k) };
        panel.values.fill(R::ZERO);
        panel
    }

    /// Gives one back.
    pub fn put(&self, panel: Panel<R>) {
        self.idle.lock().unwrap().push(panel);
    }
}
