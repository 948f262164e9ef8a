//! Rows by the registers' worth of them that hold something: their products cost what is there, not what there might be.
//!
//! Zeros add nothing to a product. So of a row with many of them, stored with them or without, only those registers are
//! multiplied that hold another value, in their order: the same sums to the last bit, however the row is stored.

use crate::engine::panel::Panel;
use crate::engine::rows::Row;
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, prefetch};
use std::ops::Range;

/// The registers' worth of a row that hold a value other than zero, or stand beside one.
#[derive(Default)]
pub struct Filled<R> {
    /// Which chunks hold one.
    chunks: Vec<u32>,
    /// Which: register `at` stands for the features from `at * width` on.
    pub at: Vec<u32>,
    /// Values in a register of the instruction set.
    pub width: usize,
    /// The values, padded with zeros.
    pub values: Vec<R>,
}

/// Values looked at together: a whole number of registers of any width.
const CHUNK: usize = 16;

/// How far ahead in memory X is asked for: between two rows so much is computed that the hardware forgets the stream.
const PREFETCH_BYTES: usize = 4096;

/// Finds what `row` holds.
pub struct Collect<'a, T: Pixel> {
    pub row: Row<'a, T>,
    pub filled: &'a mut Filled<T::Real>,
}

impl<T: Pixel> WithSimd for Collect<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.row {
            Row::Dense(row) => full(simd, row, self.filled),
            Row::Sparse(features, values) => sparse(simd, features, values, self.filled),
        }
    }
}

#[inline(always)]
fn full<S: Simd, T: Pixel>(simd: S, row: &[T], filled: &mut Filled<T::Real>) {
    let width = T::Real::lanes::<S>();
    let parts = CHUNK / width;
    let (chunks, rest) = row.as_chunks::<CHUNK>();
    let mut last = [T::default(); CHUNK];
    last[..rest.len()].copy_from_slice(rest);
    // First where values are, without a branch that could not be foreseen, then what they are.
    let mut count = 0;
    filled.chunks.resize(chunks.len() + 1, 0);
    for (c, chunk) in chunks.iter().chain([&last]).enumerate() {
        filled.chunks[count] = c as u32;
        prefetch(chunk, PREFETCH_BYTES);
        count += usize::from(chunk.iter().fold(false, |any, x| any | (*x != T::default())));
    }
    filled.width = width;
    filled.at.resize(count * parts, 0);
    filled.values.resize(count * CHUNK, T::Real::ZERO);
    let into = filled.at.chunks_exact_mut(parts).zip(filled.values.chunks_exact_mut(CHUNK));
    for (&c, (at, values)) in filled.chunks[..count].iter().zip(into) {
        let chunk = chunks.get(c as usize).unwrap_or(&last);
        for (p, (at, value)) in at.iter_mut().zip(values.chunks_exact_mut(width)).enumerate() {
            *at = c * parts as u32 + p as u32;
            T::Real::store(simd, value, T::load(simd, &chunk[p * width..]));
        }
    }
}

#[inline(always)]
fn sparse<S: Simd, T: Pixel>(simd: S, features: &[u32], values: &[T], filled: &mut Filled<T::Real>) {
    let width = T::Real::lanes::<S>();
    filled.width = width;
    filled.at.resize(features.len(), 0);
    filled.values.resize(features.len() * width, T::Real::ZERO);
    let (mut count, mut last) = (0, u32::MAX);
    for (&j, x) in features.iter().zip(values) {
        let at = j / width as u32;
        if at != last {
            (filled.at[count], last) = (at, at);
            T::Real::store(simd, &mut filled.values[count * width..], T::Real::splat(simd, T::Real::ZERO));
            count += 1;
        }
        filled.values[(count - 1) * width + j as usize % width] = x.real();
    }
    filled.at.truncate(count);
    filled.values.truncate(count * width);
}

/// Evaluate `$body` for groups of `$K` components from `$first` on until all `$k` are done.
macro_rules! for_groups {
    ($k:expr, $first:ident, $K:ident => $body:expr) => {{
        let mut $first = 0;
        while $first < $k {
            $first += match $k - $first {
                8.. if S::REGISTER_COUNT >= 32 => $crate::engine::filled::for_groups!(@one 8, $K => $body),
                6.. if S::REGISTER_COUNT >= 32 => $crate::engine::filled::for_groups!(@one 6, $K => $body),
                4.. => $crate::engine::filled::for_groups!(@one 4, $K => $body),
                2.. => $crate::engine::filled::for_groups!(@one 2, $K => $body),
                _ => $crate::engine::filled::for_groups!(@one 1, $K => $body),
            }
        }
    }};
    (@one $n:literal, $K:ident => $body:expr) => {{
        const $K: usize = $n;
        $body;
        $K
    }};
}
pub(crate) use for_groups;

/// Returns where, in a panel of k, a register `at` of K components from `first` on lies: [`Real::LINE`] values apart.
#[inline(always)]
pub fn place<R: Real, S: Simd, const K: usize>(at: u32, k: usize, first: usize) -> Range<usize> {
    let j = at as usize * R::lanes::<S>();
    let start = (j / R::LINE * k + first) * R::LINE + j % R::LINE;
    start..start + (K - 1) * R::LINE + R::lanes::<S>()
}

/// Spreads each of K values over all lanes.
#[inline(always)]
pub fn splat<R: Real, S: Simd, const K: usize>(simd: S, values: &[R]) -> [R::Lanes<S>; K] {
    let mut lanes = [R::splat(simd, R::ZERO); K];
    for (lanes, &x) in lanes.iter_mut().zip(&values[..K]) {
        *lanes = R::splat(simd, x);
    }
    lanes
}

/// `x Q` for values x of the registers `at`: calls `put(column, product)`.
#[inline(always)]
pub fn dot<R: Real, S: Simd>(simd: S, at: &[u32], x: &[R], q: &Panel<R>, mut put: impl FnMut(usize, R)) {
    let k = q.k();
    for_groups!(k, first, K => {
        let mut sums = [R::splat(simd, R::ZERO); K];
        for (&at, x) in at.iter().zip(x.chunks_exact(R::lanes::<S>())) {
            let (x, q) = (R::load(simd, x), &q.values()[place::<R, S, K>(at, k, first)]);
            for t in 0..K {
                sums[t] = R::mul_add(simd, x, R::load(simd, &q[t * R::LINE..]), sums[t]);
            }
        }
        for (t, &sum) in sums.iter().enumerate() {
            put(first + t, <R as Real>::sum(simd, sum));
        }
    });
}

/// `into += xᵀ y` for values x of the registers `at`.
#[inline(always)]
pub fn spread<R: Real, S: Simd>(simd: S, at: &[u32], x: &[R], y: &[R], into: &mut Panel<R>) {
    let into: &mut [R] = into.values_mut();
    for_groups!(y.len(), first, K => {
        let group = splat::<R, S, K>(simd, &y[first..]);
        for (&at, x) in at.iter().zip(x.chunks_exact(R::lanes::<S>())) {
            let (x, into) = (R::load(simd, x), &mut into[place::<R, S, K>(at, y.len(), first)]);
            for t in 0..K {
                let into = &mut into[t * R::LINE..];
                R::store(simd, into, R::mul_add(simd, group[t], x, R::load(simd, into)));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simd::on_each;
    use crate::engine::sparse::{
        Sparse,
        samples::{SHAPE, rows},
    };

    #[test]
    fn a_row_is_found_alike_however_it_is_stored_on_every_instruction_set() {
        let (full, starts, features, values) = rows(|at| at as f32 + 1.0);
        #[derive(Clone)]
        struct Found<'a>(Row<'a, f32>);
        impl WithSimd for Found<'_> {
            type Output = Vec<f32>;
            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
                let mut filled = Filled::default();
                Collect { row: self.0, filled: &mut filled }.with_simd(simd);
                let mut row = vec![0.0; SHAPE.1.next_multiple_of(CHUNK)];
                for (&at, values) in filled.at.iter().zip(filled.values.chunks_exact(filled.width)) {
                    row[at as usize * filled.width..][..filled.width].copy_from_slice(values);
                }
                row
            }
        }
        let sparse = Sparse::new(SHAPE.1, &starts, &features, &values).unwrap();
        for (i, row) in full.chunks(SHAPE.1).enumerate() {
            let (features, values) = sparse.row(i);
            for found in [on_each(Found(Row::Dense(row))), on_each(Found(Row::Sparse(features, values)))].concat() {
                assert_eq!(found[..SHAPE.1], *row);
            }
        }
    }
}
